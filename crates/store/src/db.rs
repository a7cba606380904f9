//! The adapter: one way to read and one way to write, for both engines.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use carnet_model::{Env, Time};

use crate::lite::Lite;
use crate::pg::Pg;
use crate::row::{FromRow, Sql, Value};
use crate::write::{Revision, Write, Written};

/// Where the data is.
#[derive(Clone, Debug)]
pub enum Location {
    /// `carnet.db` in this folder, which this process then holds alone.
    Folder(PathBuf),
    /// In memory; gone with the process.
    Memory,
    /// In memory, under a name: one store for all of this process that say it, each as a node of its own.
    Shared(Shared),
    /// A `postgres://` address. TLS as its `sslmode` says.
    Postgres(String),
}

/// A store in memory that several nodes in one process share, for simulations: what is written is committed before the
/// call returns, and no thread is involved, so that what happens does not depend on the machine.
#[derive(Clone)]
pub struct Shared {
    /// Its name; a SQLite database `file:/NAME?vfs=memdb`, which lives as long as somebody has it open.
    pub name: String,
    /// By whose clock leases are measured: one for all nodes.
    pub clock: Env,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Shared").field(&self.name).finish()
    }
}

/// A handle on the store. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    engine: Engine,
    revision: Arc<AtomicI64>,
    /// The clock of a store in memory that several nodes share.
    shared_clock: Option<Env>,
}

#[derive(Clone)]
enum Engine {
    Lite(Arc<Lite>),
    Pg(Arc<Pg>),
}

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A unique column has this value already.
    #[error("a row with this key exists")]
    Conflict,
    /// Step `0`-based number `.0` of a write did not find what it must; nothing was changed.
    #[error("step {0} of the write did not find what it must")]
    Unmet(usize),
    /// The rules have changed since the revision the write was made for; nothing was changed.
    #[error("the rules have changed; the present revision is {0}")]
    Stale(Revision),
    /// The team has had this many token requests in the month, and may have no more; nothing was changed.
    #[error("the team has had {0} token requests in this month, as many as it may have")]
    Spent(i64),
    /// The store cannot be reached, has no room, or is stopping.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// A row contradicts the schema.
    #[error("column {column} of a row of {table} does not hold what the schema promises")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The position in the select list, from 0.
        column: usize,
    },
    /// The engine refuses the statement: a mistake of ours.
    #[error("the database refuses a statement")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made or used.
    #[error("cannot use the data folder {path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process holds the folder.
    #[error("another carnet process is using {0}; stop it, or choose another folder with --data")]
    InUse(PathBuf),
    /// The address of the database is not one.
    #[error("the database address is not valid: {0}")]
    Address(String),
    /// The store was written by a newer carnet.
    #[error(
        "this store has schema version {found}, and this carnet knows versions up to {known}; start the newer carnet again"
    )]
    Newer {
        /// The version found.
        found: i64,
        /// The newest that this build knows.
        known: i64,
    },
    /// A migration that ran here had another text.
    #[error(
        "migration {0} was applied with another text than this carnet has; restore a backup or use the build that made it"
    )]
    Altered(i64),
    /// The server does not keep what it acknowledges.
    #[error(
        "the database server runs with {0}=off and would lose acknowledged writes; turn it on there: alter system set {0} = on; select pg_reload_conf()"
    )]
    Unsafe(&'static str),
    /// The database cannot hold every text; `.0` is its encoding.
    #[error(
        "the database has the encoding {0} and must have UTF8, or it refuses names that are in no way wrong; \
         make another: createdb --encoding=UTF8 --template=template0"
    )]
    Encoding(String),
    /// A statement failed.
    #[error("the store does not open")]
    Db(#[from] DbError),
}

impl Db {
    /// Opens the store and brings its schema up to date.
    pub async fn open(location: &Location, env: &Env) -> Result<Self, OpenError> {
        let revision = Arc::new(AtomicI64::new(0));
        let engine = match location {
            Location::Folder(path) => Engine::Lite(Arc::new(Lite::open(Some(path), env, revision.clone())?)),
            Location::Memory => Engine::Lite(Arc::new(Lite::open(None, env, revision.clone())?)),
            Location::Shared(shared) => {
                Engine::Lite(Arc::new(Lite::share(&shared.name, env, revision.clone())?))
            }
            Location::Postgres(url) => Engine::Pg(Arc::new(Pg::open(url, env, revision.clone()).await?)),
        };
        let shared_clock = match location {
            Location::Shared(shared) => Some(shared.clock.clone()),
            _ => None,
        };
        let db = Self { engine, revision, shared_clock };
        db.refresh_revision().await?;
        Ok(db)
    }

    /// All rows of a query.
    pub async fn all<T: FromRow>(&self, sql: impl Into<Sql>, args: Vec<Value>) -> Result<Vec<T>, DbError> {
        match &self.engine {
            Engine::Lite(lite) => lite.all(sql.into(), args),
            Engine::Pg(pg) => pg.all(sql.into(), args).await,
        }
    }

    /// The first row of a query.
    pub async fn one<T: FromRow>(&self, sql: impl Into<Sql>, args: Vec<Value>) -> Result<Option<T>, DbError> {
        Ok(self.all(sql, args).await?.into_iter().next())
    }

    /// Commits a change. When this returns `Ok` the change survives a crash.
    ///
    /// A caller that stops waiting does not undo it.
    pub async fn write(&self, write: Write) -> Result<Written, DbError> {
        match &self.engine {
            Engine::Lite(lite) => lite.write(write).await,
            Engine::Pg(pg) => pg.write(write).await,
        }
    }

    /// The newest revision of the rules that this process knows of. On SQLite that is the present one.
    pub fn revision(&self) -> Revision {
        self.revision.load(Ordering::Acquire)
    }

    /// Asks the store for the present revision.
    pub async fn refresh_revision(&self) -> Result<Revision, DbError> {
        let found = self.one::<i64>("select revision from audit_head where one = 1", Vec::new()).await?;
        let found = found.ok_or(DbError::Corrupt { table: "audit_head", column: 0 })?;
        self.revision.fetch_max(found, Ordering::AcqRel);
        Ok(self.revision())
    }

    /// The store's own clock, by which leases are measured: the server's where there is one.
    pub async fn clock(&self, env: &Env) -> Result<Time, DbError> {
        match &self.engine {
            Engine::Lite(_) => Ok(self.shared_clock.as_ref().unwrap_or(env).now()),
            Engine::Pg(_) => {
                let now = "select (extract(epoch from clock_timestamp()) * 1000)::bigint";
                let millis = self.one::<i64>(now, Vec::new()).await?;
                Ok(millis.map_or_else(|| env.now(), Time::from_millis))
            }
        }
    }

    /// Whether several processes may be working on this store.
    pub fn is_shared(&self) -> bool {
        self.shared_clock.is_some() || matches!(self.engine, Engine::Pg(_))
    }

    /// Stops writing after what is queued, and gives the files back.
    pub async fn close(&self) {
        match &self.engine {
            Engine::Lite(lite) => lite.close().await,
            Engine::Pg(pg) => pg.close(),
        }
    }
}

impl DbError {
    /// Whether trying again later can help.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
