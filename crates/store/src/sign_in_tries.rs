//! Tries to sign in, and device codes that were entered: how many there were for an account, from a browser, from a
//! network, from all together.

use carnet_model::Time;

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, Sql, args};
use crate::write::Step;

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tries {
    /// How many.
    pub tries: i64,
    /// Since when.
    pub since: Time,
}

impl FromRow for Tries {
    const TABLE: &'static str = "sign_in_tries";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self { tries: row.get(0)?, since: row.get(1)? })
    }
}

/// How often it was tried.
pub async fn find(db: &Db, digest: [u8; 32]) -> Result<Option<Tries>, DbError> {
    db.one("select tries, since from sign_in_tries where digest = $1", args![digest]).await
}

/// Counts a try; finds nothing if there were `most` since the window that is still open began. Windows that began until
/// `over` are over.
pub fn count(digest: [u8; 32], most: i64, now: Time, over: Time) -> Step {
    Step::one(
        "insert into sign_in_tries (digest, tries, since) values ($1, 1, $2) on conflict (digest) do update set \
         tries = case when sign_in_tries.since <= $3 then 1 else sign_in_tries.tries + 1 end, \
         since = case when sign_in_tries.since <= $3 then excluded.since else sign_in_tries.since end \
         where sign_in_tries.tries < $4 or sign_in_tries.since <= $3",
        args![digest, now, over, most],
    )
}

/// It was a right one after all.
pub fn take_back(digest: [u8; 32]) -> Step {
    Step::any("update sign_in_tries set tries = tries - 1 where digest = $1 and tries > 0", args![digest])
}

/// Whatever was tried does not count any more.
pub fn forget(digest: [u8; 32]) -> Step {
    Step::any("delete from sign_in_tries where digest = $1", args![digest])
}

/// Drops windows that began until `over`. Rows that somebody counts at this moment are left to the next time, so that
/// nobody waits for anybody.
pub fn drop_over(over: Time) -> Step {
    const DROP: Sql = Sql {
        lite: "delete from sign_in_tries where since <= $1",
        pg: "delete from sign_in_tries where digest in \
             (select digest from sign_in_tries where since <= $1 for update skip locked)",
    };
    Step::any(DROP, args![over])
}
