//! At which addresses events are received, for the time in which somebody makes up many.
//!
//! An address that this process does not know yet costs the store a look. These looks are counted together and bounded, so
//! whoever makes up addresses could use them up, and keep out a connector that is there and not known yet. So when they
//! are used up, an address is held against a list of all that there are: one look every few seconds, whatever comes.

use std::collections::HashSet;
use std::time::Duration;

use carnet_model::{Id, Time, kind};
use carnet_store::{Db, DbError, triggers};
use tokio::sync::Mutex;

/// The list, and when it was read.
#[derive(Default)]
pub(crate) struct Addresses(Mutex<Option<(Time, HashSet<Id<kind::Connector>>)>>);

impl Addresses {
    /// Whether events are received there, or were a few seconds ago.
    pub(super) async fn has(
        &self,
        db: &Db,
        connector: Id<kind::Connector>,
        now: Time,
    ) -> Result<bool, DbError> {
        let mut list = self.0.lock().await;
        let fresh = list.as_ref().filter(|(at, _)| *at <= now && at.until(now) < FRESH);
        if let Some((_, known)) = fresh {
            return Ok(known.contains(&connector));
        }
        let known: HashSet<_> = triggers::receiving(db).await?.into_iter().collect();
        let is_there = known.contains(&connector);
        *list = Some((now, known));
        Ok(is_there)
    }
}

/// For so long the list is not read again.
const FRESH: Duration = Duration::from_secs(5);
