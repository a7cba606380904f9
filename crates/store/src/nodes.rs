//! The processes of a deployment, each as it last told of itself.

use carnet_model::Time;

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args, json};
use crate::write::Step;

/// A process.
#[derive(Clone, Debug)]
pub struct NodeRow {
    /// Drawn at its start.
    pub id: [u8; 16],
    /// When it started.
    pub started_at: Time,
    /// When it last told of itself.
    pub seen_at: Time,
    /// The keys that it knows, by their epoch.
    pub key_epoch: i64,
    /// The wraps of root keys that it has opened, by their digests.
    pub opens: Vec<String>,
}

impl FromRow for NodeRow {
    const TABLE: &'static str = "nodes";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            started_at: row.get(1)?,
            seen_at: row.get(2)?,
            key_epoch: row.get(3)?,
            opens: row.json(4)?,
        })
    }
}

/// Those seen since, in the order of their identifiers.
pub async fn seen_since(db: &Db, since: Time) -> Result<Vec<NodeRow>, DbError> {
    db.all(
        "select id, started_at, seen_at, key_epoch, opens from nodes where seen_at >= $1 order by id",
        args![since],
    )
    .await
}

/// Tells of a process.
pub fn tell(node: &NodeRow) -> Step {
    Step::one(
        "insert into nodes (id, started_at, seen_at, key_epoch, opens) values ($1, $2, $3, $4, $5) \
         on conflict (id) do update set seen_at = excluded.seen_at, key_epoch = excluded.key_epoch, \
         opens = excluded.opens",
        args![node.id, node.started_at, node.seen_at, node.key_epoch, json(&node.opens)],
    )
}

/// Forgets a process that ends.
pub fn leave(id: [u8; 16]) -> Step {
    Step::any("delete from nodes where id = $1", args![id])
}

/// Forgets those that were not seen since.
pub fn forget_before(before: Time) -> Step {
    Step::any("delete from nodes where seen_at < $1", args![before])
}
