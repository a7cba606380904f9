//! How consent is asked for at a connector. A connector without a row has the defaults.

use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// How consent is asked for at a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsentRules {
    /// Whether a request may have a code that the person enters on another device.
    pub device_codes: bool,
    /// Whether a grant holds only once the application has confirmed with the code that came to its return address.
    pub require_completion: bool,
}

impl Default for ConsentRules {
    fn default() -> Self {
        Self { device_codes: true, require_completion: false }
    }
}

impl FromRow for ConsentRules {
    const TABLE: &'static str = "consent_rules";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self { device_codes: row.get(0)?, require_completion: row.get(1)? })
    }
}

/// The rules of a connector.
pub async fn of_connector(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
) -> Result<ConsentRules, DbError> {
    let found = db
        .one(
            "select device_codes, require_completion from consent_rules where team = $1 and connector = $2",
            args![team, connector],
        )
        .await?;
    Ok(found.unwrap_or_default())
}

/// Sets the rules of a connector.
pub fn put(team: Id<kind::Team>, connector: Id<kind::Connector>, rules: ConsentRules, now: Time) -> Step {
    Step::one(
        "insert into consent_rules (connector, team, device_codes, require_completion, updated_at) \
         values ($1, $2, $3, $4, $5) on conflict (connector) do update set device_codes = excluded.device_codes, \
         require_completion = excluded.require_completion, updated_at = excluded.updated_at",
        args![connector, team, rules.device_codes, rules.require_completion, now],
    )
}
