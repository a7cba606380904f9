//! The certificate with which the server speaks TLS: what an authority gave, who is at the next one, and what is to be
//! shown to the authority meanwhile. A place is an authority and the names of one certificate.

use carnet_model::Time;

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// A certificate as stored.
#[derive(Clone, Debug)]
pub struct CertificateRow {
    /// The authority and the names.
    pub place: String,
    /// The certificate and those that lead to the authority, PEM.
    pub chain: String,
    /// The private key, in an envelope of the root key.
    pub sealed: Vec<u8>,
    /// From when it holds.
    pub not_before: Time,
    /// Until when.
    pub not_after: Time,
    /// Grows with every certificate of the place.
    pub version: i64,
    /// When it was received.
    pub created_at: Time,
}

/// How the next certificate of a place stands.
#[derive(Clone, Debug)]
pub struct OrderRow {
    /// Which number the latest lease has.
    pub fence: i64,
    /// When it is to be tried.
    pub due_at: Time,
    /// How many tries failed since the last that did not.
    pub failures: i64,
    /// Why the last one failed.
    pub error: Option<String>,
    /// When.
    pub failed_at: Option<Time>,
}

/// The account at an authority.
#[derive(Clone, Debug)]
pub struct AccountRow {
    /// The authority, by the address of its directory.
    pub directory: String,
    /// Whom the authority writes to.
    pub contact: Vec<String>,
    /// The account's key and address, in an envelope of the root key.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Time,
}

impl FromRow for CertificateRow {
    const TABLE: &'static str = "certificates";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            place: row.get(0)?,
            chain: row.get(1)?,
            sealed: row.get(2)?,
            not_before: row.get(3)?,
            not_after: row.get(4)?,
            version: row.get(5)?,
            created_at: row.get(6)?,
        })
    }
}

impl FromRow for OrderRow {
    const TABLE: &'static str = "certificate_orders";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            fence: row.get(0)?,
            due_at: row.get(1)?,
            failures: row.get(2)?,
            error: row.maybe(3)?,
            failed_at: row.maybe(4)?,
        })
    }
}

impl FromRow for AccountRow {
    const TABLE: &'static str = "acme_accounts";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            directory: row.get(0)?,
            contact: row.json(1)?,
            sealed: row.get(2)?,
            created_at: row.get(3)?,
        })
    }
}

/// The certificate of a place, if it is a later one than this version.
pub async fn later(db: &Db, place: &str, version: i64) -> Result<Option<CertificateRow>, DbError> {
    let select = "select place, chain, sealed, not_before, not_after, version, created_at from certificates \
                  where place = $1 and version > $2";
    db.one(select, args![place, version]).await
}

/// Puts a certificate in the place of the version before it.
pub fn put(row: &CertificateRow) -> Step {
    Step::one(
        "insert into certificates (place, chain, sealed, not_before, not_after, version, created_at) \
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (place) do update set chain = excluded.chain, \
         sealed = excluded.sealed, not_before = excluded.not_before, not_after = excluded.not_after, \
         version = excluded.version, created_at = excluded.created_at \
         where certificates.version = excluded.version - 1",
        args![
            &row.place,
            &row.chain,
            row.sealed.clone(),
            row.not_before,
            row.not_after,
            row.version,
            row.created_at
        ],
    )
}

/// How the next one stands; nothing before the first try.
pub async fn order(db: &Db, place: &str) -> Result<Option<OrderRow>, DbError> {
    let select = "select fence, due_at, failures, error, failed_at from certificate_orders where place = $1";
    db.one(select, args![place]).await
}

/// Takes the lease, if nobody holds it and a try is due. The fence grows by one. `now` is the store's, `today` the
/// calendar's.
pub fn lease(place: &str, owner: [u8; 16], now: Time, until: Time, today: Time) -> Step {
    Step::one(
        "insert into certificate_orders (place, lease_owner, lease_until, fence, due_at, failures) \
         values ($1, $2, $3, 1, 0, 0) on conflict (place) do update set lease_owner = excluded.lease_owner, \
         lease_until = excluded.lease_until, fence = certificate_orders.fence + 1 \
         where certificate_orders.lease_until < $4 and certificate_orders.due_at <= $5",
        args![place, owner, until, now, today],
    )
}

/// Keeps the lease; finds nothing if it is somebody else's.
pub fn hold(place: &str, fence: i64, until: Time) -> Step {
    Step::one(
        "update certificate_orders set lease_until = $3 where place = $1 and fence = $2 and lease_owner is not null",
        args![place, fence, until],
    )
}

/// Gives the lease back without a change.
pub fn release(place: &str, fence: i64) -> Step {
    Step::any(
        "update certificate_orders set lease_owner = null, lease_until = 0 where place = $1 and fence = $2",
        args![place, fence],
    )
}

/// Frees every lease: for a process that holds the store alone, at its start.
pub fn free_every_lease() -> Step {
    Step::any("update certificate_orders set lease_owner = null, lease_until = 0", args![])
}

/// Frees the leases of a process that is gone.
pub fn free_leases_of(owner: [u8; 16]) -> Step {
    Step::any(
        "update certificate_orders set lease_owner = null, lease_until = 0 where lease_owner = $1",
        args![owner],
    )
}

/// It succeeded, and the next one is due then; finds nothing if the lease is somebody else's.
pub fn succeed(place: &str, fence: i64, due_at: Time) -> Step {
    Step::one(
        "update certificate_orders set lease_owner = null, lease_until = 0, due_at = $3, failures = 0, error = null, \
         failed_at = null where place = $1 and fence = $2 and lease_owner is not null",
        args![place, fence, due_at],
    )
}

/// It failed, and is tried again then; finds nothing if the lease is somebody else's.
pub fn fail(place: &str, fence: i64, due_at: Time, error: &str, at: Time) -> Step {
    Step::one(
        "update certificate_orders set lease_owner = null, lease_until = 0, due_at = $3, failures = failures + 1, \
         error = $4, failed_at = $5 where place = $1 and fence = $2 and lease_owner is not null",
        args![place, fence, due_at, error, at],
    )
}

/// Says what is to be shown to the authority under a name, for so long.
pub fn challenge(name: &str, digest: &str, ends_at: Time) -> Step {
    Step::one(
        "insert into certificate_challenges (name, digest, ends_at) values ($1, $2, $3) \
         on conflict (name) do update set digest = excluded.digest, ends_at = excluded.ends_at",
        args![name, digest, ends_at],
    )
}

/// What is to be shown under a name, if anything: a digest in hexadecimal digits.
pub async fn challenged(db: &Db, name: &str, now: Time) -> Result<Option<String>, DbError> {
    struct Found(String);
    impl FromRow for Found {
        const TABLE: &'static str = "certificate_challenges";
        fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
            row.get(0).map(Self)
        }
    }
    let select = "select digest from certificate_challenges where name = $1 and ends_at > $2";
    Ok(db.one::<Found>(select, args![name, now]).await?.map(|Found(digest)| digest))
}

/// Nothing is to be shown under a name any more.
pub fn answered(name: &str) -> Step {
    Step::any("delete from certificate_challenges where name = $1", args![name])
}

/// The account at an authority.
pub async fn account(db: &Db, directory: &str) -> Result<Option<AccountRow>, DbError> {
    let select = "select directory, contact, sealed, created_at from acme_accounts where directory = $1";
    db.one(select, args![directory]).await
}

/// Adds one; fails as a conflict if the authority has one.
pub fn add_account(row: &AccountRow) -> Step {
    Step::one(
        "insert into acme_accounts (directory, contact, sealed, created_at) values ($1, $2, $3, $4)",
        args![&row.directory, crate::row::json(&row.contact), row.sealed.clone(), row.created_at],
    )
}

/// The authority writes to others from now on.
pub fn set_contact(directory: &str, contact: &[String]) -> Step {
    Step::one(
        "update acme_accounts set contact = $2 where directory = $1",
        args![directory, crate::row::json(&contact)],
    )
}

/// The authority does not know the account any more.
pub fn remove_account(directory: &str) -> Step {
    Step::any("delete from acme_accounts where directory = $1", args![directory])
}

/// The next certificates after a place: those whose key this key sealed, or all.
pub async fn sealed(
    db: &Db,
    by: Option<[u8; 16]>,
    after: &str,
    limit: i64,
) -> Result<Vec<CertificateRow>, DbError> {
    let select = "select place, chain, sealed, not_before, not_after, version, created_at from certificates \
                  where (cast($1 as bytea) is null or substr(sealed, 5, 16) = $1) and place > $2 \
                  order by place limit $3";
    db.all(select, args![by, after, limit]).await
}

/// The next accounts after a directory, likewise.
pub async fn sealed_accounts(
    db: &Db,
    by: Option<[u8; 16]>,
    after: &str,
    limit: i64,
) -> Result<Vec<AccountRow>, DbError> {
    let select = "select directory, contact, sealed, created_at from acme_accounts \
                  where (cast($1 as bytea) is null or substr(sealed, 5, 16) = $1) and directory > $2 \
                  order by directory limit $3";
    db.all(select, args![by, after, limit]).await
}
