//! Refreshes: what was sent to a provider, and what came back too late to be recorded on its grant.

use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};
use crate::write::Step;

/// An attempt whose end is not recorded.
#[derive(Clone, Debug)]
pub struct OpenRefresh {
    /// `rfo_…`
    pub id: Id<kind::RefreshOperation>,
    /// The team of its grant.
    pub team: Id<kind::Team>,
    /// The grant.
    pub grant: Id<kind::Grant>,
    /// The lease it ran under.
    pub fence: i64,
    /// Which refresh token it presented.
    pub rt_version: i64,
    /// When it was about to be sent.
    pub sent_at: Time,
    /// Whether the process that sent it saw that no answer came, or was never heard of again.
    pub lost: bool,
}

/// New tokens whose grant had moved on.
#[derive(Clone, Debug)]
pub struct Orphan {
    /// The attempt that brought them.
    pub id: Id<kind::RefreshOperation>,
    /// The team of the grant.
    pub team: Id<kind::Team>,
    /// The grant.
    pub grant: Id<kind::Grant>,
    /// The version of the refresh token that was presented for them.
    pub rt_version: i64,
    /// The envelope.
    pub held: Vec<u8>,
    /// When they were kept.
    pub created_at: Time,
}

impl FromRow for OpenRefresh {
    const TABLE: &'static str = "refresh_operations";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            team: row.get(1)?,
            grant: row.get(2)?,
            fence: row.get(3)?,
            rt_version: row.get(4)?,
            sent_at: row.get(5)?,
            lost: row.parsed(6, |state| match state {
                "sent" | "left" | "aside" => Some(false),
                "lost" => Some(true),
                _ => None,
            })?,
        })
    }
}

impl FromRow for Orphan {
    const TABLE: &'static str = "refresh_orphans";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            team: row.get(1)?,
            grant: row.get(2)?,
            rt_version: row.get(3)?,
            held: row.get(4)?,
            created_at: row.get(5)?,
        })
    }
}

/// Records the intent to present a refresh token, before it is presented.
pub fn intend(open: &OpenRefresh) -> Step {
    Step::one(
        "insert into refresh_operations (id, team, grant_id, fence, rt_version, state, sent_at, ended_at) \
         values ($1, $2, $3, $4, $5, 'sent', $6, null)",
        args![open.id, open.team, open.grant, open.fence, open.rt_version, open.sent_at],
    )
}

/// Records that the answer is known, whatever it was. Ended attempts of the grant go.
pub fn end(team: Id<kind::Team>, grant: Id<kind::Grant>, rt_version: i64) -> Step {
    Step::any(
        "delete from refresh_operations where team = $1 and grant_id = $2 and rt_version <= $3",
        args![team, grant, rt_version],
    )
}

/// Records that the attempt certainly did not reach the provider.
pub fn cancel(id: Id<kind::RefreshOperation>) -> Step {
    Step::any("delete from refresh_operations where id = $1", args![id])
}

/// Records that the request may have been received and no answer came.
pub fn lose(id: Id<kind::RefreshOperation>) -> Step {
    Step::any("update refresh_operations set state = 'lost' where id = $1", args![id])
}

/// Puts an attempt aside until somebody needs the grant: nothing may be done about it now.
pub fn set_aside(id: Id<kind::RefreshOperation>) -> Step {
    Step::any("update refresh_operations set state = 'aside' where id = $1 and state <> 'lost'", args![id])
}

/// Notes that whoever sent what is open is gone: all of it, where no other process can be at work.
pub fn leave_all() -> Step {
    Step::any("update refresh_operations set state = 'left' where state = 'sent'", args![])
}

/// Notes that the process that sent what it holds the leases for is gone. Before its leases are freed.
pub fn leave_of(owner: [u8; 16]) -> Step {
    Step::any(
        "update refresh_operations set state = 'left' where state = 'sent' and exists (select 1 from grants \
         where grants.id = refresh_operations.grant_id and grants.lease_owner = $1 \
         and grants.fence = refresh_operations.fence)",
        args![owner],
    )
}

/// Puts every refresh token in doubt: each may have been presented since, by the deployment that this is a copy of.
pub fn doubt_all(since: Time) -> Step {
    Step::any(
        "insert into refresh_operations (id, team, grant_id, fence, rt_version, state, sent_at, ended_at) \
         select id, team, id, fence, rt_version, 'aside', $1, null from grants \
         where state = 'active' and refreshable = 1 \
         and not exists (select 1 from refresh_operations open where open.grant_id = grants.id)",
        args![since],
    )
}

/// The attempts on a grant whose end is not known, oldest first.
pub async fn open_of(
    db: &Db,
    team: Id<kind::Team>,
    grant: Id<kind::Grant>,
) -> Result<Vec<OpenRefresh>, DbError> {
    db.all(
        "select id, team, grant_id, fence, rt_version, sent_at, state from refresh_operations \
         where team = $1 and grant_id = $2 order by sent_at",
        args![team, grant],
    )
    .await
}

/// An attempt whose process is gone, and what it is judged by.
#[derive(Clone, Debug)]
pub struct Stranded {
    /// The attempt.
    pub open: OpenRefresh,
    /// The connector of its grant; `None` if the grant is gone.
    pub connector: Option<Id<kind::Connector>>,
    /// Which refresh token the grant has now.
    pub rt_version: Option<i64>,
    /// Whether tokens can be had from the grant.
    pub active: bool,
    /// When its access token ends.
    pub access_expires_at: Option<Time>,
}

impl FromRow for Stranded {
    const TABLE: &'static str = "refresh_operations";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            open: OpenRefresh::from_row(row)?,
            connector: row.maybe(7)?,
            rt_version: row.maybe(8)?,
            active: row.maybe::<String>(9)?.is_some_and(|state| state == "active"),
            access_expires_at: row.maybe(10)?,
        })
    }
}

/// Attempts whose process is known to be gone, or which were sent before `before` and which nobody has ended, nor holds the
/// lease for at `now`; oldest first, from the one after `after`.
pub async fn stranded(
    db: &Db,
    now: Time,
    before: Time,
    after: Option<(Time, Id<kind::RefreshOperation>)>,
    limit: i64,
) -> Result<Vec<Stranded>, DbError> {
    let (sent_at, id) = after.map_or((Time::default(), Vec::new()), |(at, id)| (at, id.bytes().to_vec()));
    db.all(
        "select o.id, o.team, o.grant_id, o.fence, o.rt_version, o.sent_at, o.state, g.connector, g.rt_version, \
         g.state, g.access_expires_at from refresh_operations o left join grants g on g.id = o.grant_id and g.team = o.team \
         where (o.state = 'left' or (o.state = 'sent' and o.sent_at < $1 \
         and (g.id is null or g.fence <> o.fence or g.lease_until < $5))) and o.sent_at >= $2 \
         and (o.sent_at > $2 or o.id > $3) order by o.sent_at, o.id limit $4",
        args![before, sent_at, id, limit, now],
    )
    .await
}

/// Keeps new tokens that could not be recorded on their grant.
pub fn keep_orphan(orphan: &Orphan) -> Step {
    Step::one(
        "insert into refresh_orphans (id, team, grant_id, rt_version, held, created_at) values ($1, $2, $3, $4, $5, $6)",
        args![
            orphan.id,
            orphan.team,
            orphan.grant,
            orphan.rt_version,
            orphan.held.clone(),
            orphan.created_at
        ],
    )
}

/// The orphans of a grant, newest first.
pub async fn orphans_of(
    db: &Db,
    team: Id<kind::Team>,
    grant: Id<kind::Grant>,
) -> Result<Vec<Orphan>, DbError> {
    db.all(
        "select id, team, grant_id, rt_version, held, created_at from refresh_orphans \
         where team = $1 and grant_id = $2 order by created_at desc",
        args![team, grant],
    )
    .await
}

/// All orphans, oldest first.
pub async fn orphans(db: &Db, limit: i64) -> Result<Vec<Orphan>, DbError> {
    db.all(
        "select id, team, grant_id, rt_version, held, created_at from refresh_orphans order by created_at limit $1",
        args![limit],
    )
    .await
}

/// Orphans of all teams after this one, for sealing anew: those that a key sealed, or all.
pub async fn sealed(
    db: &Db,
    key: Option<[u8; 16]>,
    after: Vec<u8>,
    limit: i64,
) -> Result<Vec<Orphan>, DbError> {
    db.all(
        "select id, team, grant_id, rt_version, held, created_at from refresh_orphans \
         where (cast($1 as bytea) is null or substr(held, 5, 16) = $1) and id > $2 order by id limit $3",
        args![key, after, limit],
    )
    .await
}

/// Drops an orphan that was adopted or proved dead. Not while its grant is withdrawn: it goes
/// with that, once the provider was told of both.
pub fn drop_orphan(id: Id<kind::RefreshOperation>) -> Step {
    Step::one(
        "delete from refresh_orphans where id = $1 and not exists \
         (select 1 from grants where grants.id = refresh_orphans.grant_id and grants.state = 'withdrawn')",
        args![id],
    )
}
