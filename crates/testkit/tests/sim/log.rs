//! The log goes on from what it was (7): without a gap, with what each event commits to, and whatever was read of it once
//! is still its beginning.

use aws_lc_rs::digest::{Context, SHA256};
use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::world::World;

/// What was read so far.
#[derive(Default)]
pub(crate) struct Log {
    /// After each event, the digest of everything up to it.
    heads: Vec<[u8; 32]>,
    looks: usize,
}

impl World {
    /// Reads what came since the last time; now and then, and if it is to be whole, all of it again.
    pub(crate) fn read_log(&self, whole: bool) {
        let raw = self.raw.lock().unwrap();
        let mut log = self.log.lock().unwrap();
        log.looks += 1;
        let from = if whole || log.looks.is_multiple_of(AGAIN) { 0 } else { log.heads.len() };
        let mut head = from.checked_sub(1).map(|last| log.heads[last]).unwrap_or_default();
        let mut statement = raw.prepare_cached(EVENTS).unwrap();
        let mut rows = statement.query([i64::try_from(from).unwrap()]).unwrap();
        let mut count = from;
        while let Some(row) = rows.next().unwrap() {
            let seq: i64 = row.get(0).unwrap();
            if seq != i64::try_from(count + 1).unwrap() {
                self.wrong(format!("7: the log has {seq} after {count}"));
                return;
            }
            head = after(head, row);
            match log.heads.get(count) {
                None => {
                    if !keeps_its_word(row) {
                        self.wrong(format!("7: event {seq} is another than it commits to"));
                    }
                    log.heads.push(head);
                }
                Some(before) if *before != head => {
                    self.wrong(format!("7: event {seq} is not what it was"));
                    return;
                }
                Some(_) => {}
            }
            count += 1;
        }
        if count < log.heads.len() {
            self.wrong(format!("7: the log had {} events and has {count}", log.heads.len()));
        }
        let next: i64 = raw.query_row("select next_seq from audit_head", [], |row| row.get(0)).unwrap();
        if next != i64::try_from(count + 1).unwrap() {
            self.wrong(format!("7: the log has {count} events, and its next is {next}"));
        }
    }

    /// What happened in this world, in short: the same again for the same seed.
    pub(crate) fn trace(&self) -> String {
        let raw = self.raw.lock().unwrap();
        let sql = "select at, action, target, outcome, request from audit_events order by seq";
        let mut statement = raw.prepare(sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        let mut told = Context::new(&SHA256);
        while let Some(row) = rows.next().unwrap() {
            // A signing key is named after its bytes, which no seed decides.
            if row.get_ref(1).unwrap().as_str().unwrap() != "signing-key.rotate" {
                (0..5).for_each(|column| add(&mut told, row.get_ref(column).unwrap()));
            }
        }
        told.finish().as_ref()[..8].iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }
}

/// The digest after this event.
fn after(head: [u8; 32], row: &Row<'_>) -> [u8; 32] {
    let mut next = Context::new(&SHA256);
    next.update(&head);
    (0..COLUMNS).for_each(|column| add(&mut next, row.get_ref(column).unwrap()));
    next.finish().as_ref().try_into().unwrap()
}

/// Whether the commitment is that to salt and payload.
fn keeps_its_word(row: &Row<'_>) -> bool {
    let [commitment, salt, payload] =
        [COLUMNS - 3, COLUMNS - 2, COLUMNS - 1].map(|column| row.get_ref(column).unwrap());
    let mut hash = Context::new(&SHA256);
    hash.update(salt.as_blob().unwrap());
    hash.update(payload.as_str().unwrap().as_bytes());
    commitment.as_blob().unwrap() == hash.finish().as_ref()
}

fn add(digest: &mut Context, value: ValueRef<'_>) {
    let (kind, bytes) = match value {
        ValueRef::Null => (0_u8, &[][..]),
        ValueRef::Integer(number) => {
            digest.update(&[1]);
            digest.update(&number.to_le_bytes());
            return;
        }
        ValueRef::Real(_) => panic!("no column of the log holds a fraction"),
        ValueRef::Text(bytes) => (2, bytes),
        ValueRef::Blob(bytes) => (3, bytes),
    };
    digest.update(&[kind]);
    digest.update(&bytes.len().to_le_bytes());
    digest.update(bytes);
}

const EVENTS: &str = "select seq, at, team, actor, action, target, outcome, request, commitment, salt, payload \
    from audit_events where seq > ?1 order by seq";
const COLUMNS: usize = 11;
/// Everything is read again so often.
const AGAIN: usize = 8;
