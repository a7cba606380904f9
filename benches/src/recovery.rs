//! A start that finds ten thousand refreshes in doubt: how long until it serves, and until each is judged.
//!
//! The attempts are put into the store while no server runs, as a process that died in the middle of all of them would
//! have left them. The demo provider is strict and the tokens live, so each is judged and put aside, and nobody is asked.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use rusqlite::Connection;

use crate::grants::Store;
use crate::table::{Beside, Table, Unit, say};

pub(crate) fn measure(carnet: &Path, table: &mut Table) -> Result<()> {
    let store = Store::make(carnet, IN_DOUBT)?;
    let begun = Instant::now();
    store.serve(carnet)?.stop()?;
    let usual = millis(begun);
    let open = Connection::open(store.data().join("carnet.db"))?;
    let left = open.execute(LEAVE, [])?;
    drop(open);
    say(&format!("a start with {left} refreshes in doubt:"));
    let begun = Instant::now();
    let server = store.serve(carnet)?;
    let ready = millis(begun);
    let look = Connection::open(store.data().join("carnet.db"))?;
    while look.query_row(UNJUDGED, [], |row| row.get::<_, i64>(0))? > 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let judged = millis(begun);
    server.stop()?;
    let what = |what: &str| format!("start with {IN_DOUBT} refreshes in doubt: {what}");
    table.add(&what("ready"), ready, Unit::Millis, [Beside::Measured("with none", Some(usual))]);
    table.add(&what("all judged"), judged, Unit::Millis, [Beside::AtMost(10_000.0)]);
    Ok(())
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

const IN_DOUBT: u32 = 10_000;
/// One attempt for each grant. Any sixteen bytes do for its identifier; the grant's own are at hand.
const LEAVE: &str = "insert into refresh_operations (id, team, grant_id, fence, rt_version, state, sent_at) \
    select id, team, id, fence + 1, rt_version, 'sent', updated_at from grants";
const UNJUDGED: &str = "select count(*) from refresh_operations where state in ('sent', 'left')";
