//! Every sealed column of the schema, in one list.
//!
//! Sealing anew, looking whether everything opens, and dropping a key to which nothing refers all go by [`COLUMNS`]. A
//! test reads the schema and fails if a column of bytes is neither in the list nor known to be no secret. What is in an
//! envelope is not known here but for one thing: bytes 5 to 20 name the key that sealed it.

use crate::db::{Db, DbError};
use crate::row::{Value, args};
use crate::write::Step;

/// A column of envelopes.
#[derive(Debug)]
pub struct SealedColumn {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// Whether a team's key seals it; the root key otherwise.
    pub of_team: bool,
    count: &'static str,
    swap: &'static str,
    touch: &'static str,
}

macro_rules! column {
    ($table:literal, $column:literal, by $key:literal, of_team: $of_team:literal) => {
        SealedColumn {
            table: $table,
            column: $column,
            of_team: $of_team,
            count: concat!("select count(*) from ", $table, " where substr(", $column, ", 5, 16) = $1"),
            swap: concat!(
                "update ",
                $table,
                " set ",
                $column,
                " = $3 where ",
                $key,
                " = $1 and ",
                $column,
                " = $2"
            ),
            touch: concat!(
                "update ",
                $table,
                " set ",
                $column,
                " = ",
                $column,
                " where substr(",
                $column,
                ", 5, 16) = $1"
            ),
        }
    };
}

/// All of them.
pub const COLUMNS: &[SealedColumn] = &[
    column!("acme_accounts", "sealed", by "directory", of_team: false),
    column!("certificates", "sealed", by "place", of_team: false),
    column!("connector_keys", "sealed", by "kid", of_team: true),
    column!("connectors", "secrets", by "id", of_team: true),
    column!("consents", "kept", by "id", of_team: true),
    column!("consents", "parked", by "id", of_team: true),
    column!("grants", "held", by "id", of_team: true),
    column!("health_notices", "mend", by "id", of_team: true),
    column!("managed_apps", "secrets", by "service", of_team: false),
    column!("minted_tokens", "sealed", by "place", of_team: true),
    column!("passphrases", "sealed", by "user_id", of_team: false),
    column!("refresh_orphans", "held", by "id", of_team: true),
    column!("signing_keys", "sealed", by "kid", of_team: false),
    column!("trigger_events", "content", by "id", of_team: true),
    column!("trigger_settings", "secrets", by "connector", of_team: true),
];

impl SealedColumn {
    /// How many rows this key sealed.
    pub async fn count(&self, db: &Db, key: [u8; 16]) -> Result<i64, DbError> {
        Ok(db.one::<i64>(self.count, args![key]).await?.unwrap_or(0))
    }

    /// Puts a new envelope in the place of this one, if it is still there: whoever wrote another meanwhile was right.
    pub fn swap(&self, row: Value, was: Vec<u8>, now: Vec<u8>) -> Step {
        Step::any(self.swap, args![row, was, now])
    }

    /// Goes through only if this key sealed no row.
    pub fn has_none_of(&self, key: [u8; 16]) -> Step {
        Step::none(self.touch, args![key])
    }
}

impl From<&Value> for Value {
    fn from(value: &Value) -> Self {
        value.clone()
    }
}
