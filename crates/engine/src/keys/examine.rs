//! Whether everything that is sealed opens: the examination of a running deployment, of a backup, of a restored copy.
//!
//! Values are opened one by one and wiped; nothing of them is told but how many.

use carnet_model::Fault;
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_store::{DbError, audit};
use serde::Serialize;

use crate::broker::{Broker, Inner};
use crate::faults;
use crate::sealed::{columns, rows};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Examined {
    /// The deployment.
    pub deployment: String,
    /// Each sealed column.
    pub columns: Vec<ExaminedColumn>,
    /// How many audit events there are.
    pub events: i64,
    /// The number of the last; the same, unless events are missing.
    pub last_event: i64,
}

/// One sealed column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExaminedColumn {
    /// `table.column`
    pub name: String,
    /// Values that open at their place.
    pub opened: u64,
    /// Values that do not: altered, moved, or sealed by a key that is gone.
    pub refused: u64,
    /// Values of rows that are gone, which nobody will ask for.
    pub abandoned: u64,
}

impl Examined {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.events == self.last_event && self.columns.iter().all(|column| column.refused == 0)
    }
}

impl Broker {
    /// Opens everything that is sealed, and counts.
    pub async fn verify_keys(&self, caller: &Caller) -> Result<Examined, Fault> {
        self.operator(caller, Right::KeyVerify).await?;
        self.examine().await.map_err(faults::store)
    }

    /// The same without a caller, for who has the files in hand.
    pub async fn examine(&self) -> Result<Examined, DbError> {
        let mut examined = Vec::with_capacity(columns().len());
        for column in columns() {
            let mut found = ExaminedColumn {
                name: format!("{}.{}", column.table, column.column),
                opened: 0,
                refused: 0,
                abandoned: 0,
            };
            let mut after = Vec::new();
            loop {
                let batch = rows(&self.inner, column, None, after, BATCH).await?;
                let Some(last) = batch.last() else { break };
                after = last.cursor.clone();
                for row in &batch {
                    match row.aad() {
                        None => found.abandoned += 1,
                        Some(aad) if self.inner.opens(&aad, &row.sealed) => found.opened += 1,
                        Some(_) => found.refused += 1,
                    }
                }
                tokio::task::yield_now().await;
            }
            examined.push(found);
        }
        let (events, last_event) = audit::extent(&self.inner.db).await?;
        let deployment = self.inner.deployment.to_string();
        Ok(Examined { deployment, columns: examined, events, last_event })
    }
}

impl Inner {
    fn opens(&self, aad: &carnet_vault::Aad<'_>, sealed: &[u8]) -> bool {
        self.keyring.open(aad, sealed).is_ok()
    }
}

const BATCH: i64 = 500;
