//! The one row that says which deployment this is.

use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

struct Found(Id<kind::Deployment>);

impl FromRow for Found {
    const TABLE: &'static str = "deployment";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        row.get(0).map(Self)
    }
}

/// This deployment, once it was set up.
pub async fn find(db: &Db) -> Result<Option<Id<kind::Deployment>>, DbError> {
    Ok(db.one::<Found>("select id from deployment", args![]).await?.map(|found| found.0))
}

/// Sets it up. Meets a conflict if another node was faster: there is one row at most.
pub fn insert(id: Id<kind::Deployment>, now: Time) -> Step {
    Step::one(
        "insert into deployment (id, created_at) select $1, $2 where not exists (select 1 from deployment)",
        args![id, now],
    )
}
