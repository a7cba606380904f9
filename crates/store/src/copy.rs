//! A copy of the embedded store while it is in use, and what a copy holds.
//!
//! The copy is made by SQLite's own backup, in one step, from a connection that only reads: it is the store as it was at
//! one moment, and writers go on meanwhile. It is then looked through as a whole (`integrity_check`). What is inside the
//! envelopes is not known here.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use carnet_model::{Id, kind};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

/// What a copy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The newest migration.
    pub schema: i64,
    /// The deployment.
    pub deployment: Id<kind::Deployment>,
    /// The root keys: identifier, version, and what wraps them.
    pub roots: Vec<RootFacts>,
    /// Rows of each table.
    pub rows: BTreeMap<String, i64>,
    /// How many audit events there are.
    pub events: i64,
    /// The number of the last.
    pub last_event: i64,
    /// What the last one commits to.
    pub last_commitment: Vec<u8>,
}

/// A root key that is needed to open a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootFacts {
    /// Its identifier.
    pub id: [u8; 16],
    /// Its version.
    pub version: i64,
    /// The providers, each of which opens it.
    pub wrapped_by: Vec<String>,
}

/// Why there is no copy, or none that is worth something.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is no store.
    #[error("there is no carnet.db in {0}")]
    Missing(String),
    /// The database cannot be read or written.
    #[error("the database cannot be read or written")]
    Sqlite(#[from] rusqlite::Error),
    /// Somebody holds the database and does not let go.
    #[error("the database is locked by another program")]
    Busy,
    /// SQLite finds the copy damaged.
    #[error("the copy is damaged: {0}")]
    Damaged(String),
    /// Events are missing from the audit log.
    #[error("the audit log has {events} events, and the last has number {last}")]
    Gaps {
        /// How many.
        events: i64,
        /// The number.
        last: i64,
    },
    /// It is no store of Carnet, or was never set up.
    #[error("this is not the store of a deployment")]
    Empty,
}

/// Copies `carnet.db` of a folder, in use or not, into a new file.
pub fn copy(folder: &Path, to: &Path) -> Result<(), CopyError> {
    let from = folder.join("carnet.db");
    if !from.exists() {
        return Err(CopyError::Missing(folder.display().to_string()));
    }
    let source = Connection::open_with_flags(&from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    source.busy_timeout(Duration::from_secs(5))?;
    let mut target = Connection::open(to)?;
    {
        let backup = Backup::new(&source, &mut target)?;
        // All pages in one step: one read transaction, so nothing that is written meanwhile is half in it.
        let mut tries = 0;
        while !matches!(backup.step(-1)?, StepResult::Done) {
            tries += 1;
            if tries == TRIES {
                return Err(CopyError::Busy);
            }
            std::thread::sleep(PAUSE);
        }
    }
    // One file, without a log beside it.
    target.pragma_update(None, "journal_mode", "delete")?;
    target.close().map_err(|(_, error)| error.into())
}

/// Looks through a copy.
pub fn inspect(file: &Path) -> Result<Facts, CopyError> {
    let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let verdict: String = db.query_row("pragma integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(CopyError::Damaged(verdict.chars().take(200).collect()));
    }
    let broken = db.prepare("pragma foreign_key_check")?.exists([])?;
    if broken {
        return Err(CopyError::Damaged("a row refers to one that is not there".to_owned()));
    }
    let tables: Vec<String> = {
        let mut tables = db.prepare(
            "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name",
        )?;
        tables.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    if !tables.iter().any(|name| name == "schema_migrations") {
        return Err(CopyError::Empty);
    }
    let mut rows = BTreeMap::new();
    for table in tables {
        // The names are those of the file, which an attacker may have written.
        let quoted = table.replace('"', "\"\"");
        let count = db.query_row(&format!("select count(*) from \"{quoted}\""), [], |row| row.get(0))?;
        rows.insert(table, count);
    }
    let schema = db.query_row("select max(version) from schema_migrations", [], |row| row.get(0))?;
    let (events, last_event): (i64, i64) =
        db.query_row("select count(*), coalesce(max(seq), 0) from audit_events", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let next: i64 = db.query_row("select next_seq from audit_head", [], |row| row.get(0))?;
    if events != last_event || next != last_event + 1 {
        return Err(CopyError::Gaps { events, last: next - 1 });
    }
    let last_commitment = match events {
        0 => Vec::new(),
        _ => db.query_row("select commitment from audit_events where seq = ?1", [last_event], |row| {
            row.get(0)
        })?,
    };
    let deployment: Option<[u8; 16]> =
        db.query_row("select max(id) from deployment", [], |row| row.get(0))?;
    let deployment = deployment.map(Id::from_bytes).ok_or(CopyError::Empty)?;
    let roots = roots(&db, rows.contains_key("root_wraps"))?;
    Ok(Facts { schema, deployment, roots, rows, events, last_event, last_commitment })
}

/// What wraps the root keys of the store in this folder, by name. Reads, and changes nothing: not even the schema.
pub fn wrapped_by(folder: &Path) -> Result<Vec<String>, CopyError> {
    let db = Connection::open_with_flags(folder.join("carnet.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let with_wraps = db.prepare("select 1 from sqlite_master where name = 'root_wraps'")?.exists([])?;
    let mut found: Vec<String> =
        roots(&db, with_wraps)?.into_iter().flat_map(|root| root.wrapped_by).collect();
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn roots(db: &Connection, with_wraps: bool) -> Result<Vec<RootFacts>, CopyError> {
    let mut found =
        db.prepare("select id, version, wrapped_by from keys where role = 'root' order by version")?;
    let mut roots: Vec<RootFacts> = found
        .query_map([], |row| {
            Ok(RootFacts { id: row.get(0)?, version: row.get(1)?, wrapped_by: vec![row.get(2)?] })
        })?
        .collect::<Result<_, _>>()?;
    if with_wraps {
        let mut wraps = db.prepare("select key_id, wrapped_by from root_wraps order by created_at")?;
        let wraps = wraps.query_map([], |row| Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, String>(1)?)))?;
        for wrap in wraps {
            let (key, by) = wrap?;
            if let Some(root) = roots.iter_mut().find(|root| root.id == key) {
                root.wrapped_by.push(by);
            }
        }
    }
    Ok(roots)
}

/// Ten seconds, besides what SQLite itself waits.
const TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(20);
