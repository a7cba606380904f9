//! Which connector came of a create that its client gave a code.
//!
//! A client that hears nothing asks again, and must not get a second connector. The row is written together with the
//! connector, so of two creates under one code at the same moment one finds the other's row, and nothing is made twice.

use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

struct Made(Id<kind::Connector>);

impl FromRow for Made {
    const TABLE: &'static str = "creations";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self(row.get(0)?))
    }
}

/// The connector that was made under this code, as long as it is there.
pub async fn find(db: &Db, team: Id<kind::Team>, code: &str) -> Result<Option<Id<kind::Connector>>, DbError> {
    let found =
        db.one("select connector from creations where team = $1 and code = $2", args![team, code]).await?;
    Ok(found.map(|Made(connector)| connector))
}

/// Says that this connector was made under this code; fails as a conflict if another was.
pub fn insert(team: Id<kind::Team>, code: &str, connector: Id<kind::Connector>, now: Time) -> Step {
    Step::one(
        "insert into creations (team, code, connector, created_at) values ($1, $2, $3, $4)",
        args![team, code, connector, now],
    )
}

/// Forgets what nobody tries again.
pub fn forget(team: Id<kind::Team>, before: Time) -> Step {
    Step::any("delete from creations where team = $1 and created_at < $2", args![team, before])
}
