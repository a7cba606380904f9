//! The link that makes the first owner: single use, expiring, only its digest kept.

use carnet_model::Time;

use crate::row::args;
use crate::write::Step;

/// Adds a link and withdraws earlier ones.
pub fn insert(digest: [u8; 32], now: Time, expires_at: Time) -> Vec<Step> {
    vec![
        Step::any("delete from setup_links where used_at is null", args![]),
        Step::one(
            "insert into setup_links (digest, created_at, expires_at, used_at) values ($1, $2, $3, null)",
            args![digest, now, expires_at],
        ),
    ]
}

/// Uses a link; finds nothing if it is unknown, used or expired.
pub fn take(digest: [u8; 32], now: Time) -> Step {
    Step::one(
        "update setup_links set used_at = $2 where digest = $1 and used_at is null and expires_at > $2",
        args![digest, now],
    )
}

/// Whether a link could be used now.
pub async fn is_open(db: &crate::Db, digest: [u8; 32], now: Time) -> Result<bool, crate::DbError> {
    let sql = "select count(*) from setup_links where digest = $1 and used_at is null and expires_at > $2";
    Ok(db.one::<i64>(sql, args![digest, now]).await? == Some(1))
}
