//! Grants and their secrets in an envelope: found, put in their places, and no longer believed. Who [refreshes] them and
//! when, and how they are [taken back], is told beside.
//!
//! [refreshes]: lease
//! [taken back]: withdraw

mod refresh;
mod withdrawal;

use aws_lc_rs::digest;
use carnet_model::grant::{Cause, Grant, GrantState, Place};
use carnet_model::{Id, Scopes, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, Sql, args};
use crate::write::Step;

pub use refresh::{
    Due, consider, due, due_of, free_every_lease, free_leases_of, hasten, hold, hurry, lease, let_rest,
    postpone, release, renew, used,
};
pub use withdrawal::{
    needs_consent_of_connector, none_left, still_withdrawing, withdraw, withdraw_of_connector,
    withdraw_of_project, withdrawn,
};

/// A grant, its envelope and its lease.
#[derive(Clone, Debug)]
pub struct GrantRow {
    /// What may be seen.
    pub grant: Grant,
    /// The envelope.
    pub held: Vec<u8>,
    /// Which number the latest lease has.
    pub fence: i64,
    /// Until when somebody is refreshing it.
    pub lease_until: Time,
    /// When tokens were last asked for; kept to the hour.
    pub last_used_at: Time,
    /// Whether what it is renewed with may be in other hands since a leak, and is to be spent.
    pub leaked: bool,
}

/// The digest by which a place is found.
fn place_key(place: &Place) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut part = |bytes: Option<&[u8]>| {
        // Length first, so that no two lists of parts run into the same bytes; an absent part has a length no part has.
        hash.update(&bytes.map_or(u64::MAX, |b| b.len() as u64).to_be_bytes());
        hash.update(bytes.unwrap_or_default());
    };
    part(Some(b"grant-place/1"));
    part(Some(place.team.bytes()));
    part(Some(place.connector.bytes()));
    part(place.project.as_ref().map(|id| &id.bytes()[..]));
    part(Some(place.environment.to_string().as_bytes()));
    part(Some(place.subject.as_bytes()));
    part(place.installation.as_ref().map(|id| &id.bytes()[..]));
    let mut out = [0; 32];
    out.copy_from_slice(hash.finish().as_ref());
    out
}

/// A select of every column that a row is read from, and what follows `from grants`.
macro_rules! select {
    ($($rest:expr),+ $(,)?) => {
        concat!(
            "select id, team, connector, project, environment, subject, installation, state, \
             state_since, cause, scopes, external_subject, held, access_expires_at, \
             refresh_expires_at, refreshable, version, rt_version, lease_until, fence, last_used_at, \
             created_at, updated_at, leaked_rt from grants ",
            $($rest),+
        )
    };
}
pub(crate) use select;

impl GrantRow {
    /// Whether somebody holds its lease: as [`lease`] sees it, to the millisecond. Whoever took it for free where that
    /// takes it for held would ask again and again without waiting.
    #[must_use]
    pub fn is_leased(&self, now: Time) -> bool {
        self.lease_until >= now
    }
}

impl FromRow for GrantRow {
    const TABLE: &'static str = "grants";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let since = row.get(8)?;
        let state = match row.get::<String>(7)?.as_str() {
            "active" => GrantState::Active,
            "needs_consent" => GrantState::NeedsConsent { since, cause: row.parsed(9, Cause::parse)? },
            "withdrawn" => GrantState::Withdrawn { since },
            _ => return Err(row.corrupt(7)),
        };
        let scopes = row.maybe::<String>(10)?;
        let rt_version = row.get(17)?;
        Ok(Self {
            grant: Grant {
                id: row.get(0)?,
                place: Place {
                    team: row.get(1)?,
                    connector: row.get(2)?,
                    project: row.maybe(3)?,
                    environment: row.get(4)?,
                    subject: row.get(5)?,
                    installation: row.maybe(6)?,
                },
                state,
                scopes: scopes
                    .map(|text| Scopes::parse_joined(&text).map_err(|_| row.corrupt(10)))
                    .transpose()?,
                external_subject: row.maybe(11)?,
                access_expires_at: row.maybe(13)?,
                refresh_expires_at: row.maybe(14)?,
                refreshable: row.get(15)?,
                version: row.get(16)?,
                rt_version,
                created_at: row.get(21)?,
                updated_at: row.get(22)?,
            },
            held: row.get(12)?,
            lease_until: row.get(18)?,
            fence: row.get(19)?,
            last_used_at: row.get(20)?,
            leaked: row.maybe(23)?.is_some_and(|leaked: i64| leaked == rt_version),
        })
    }
}

/// The grant at a place.
pub async fn at(db: &Db, place: &Place) -> Result<Option<GrantRow>, DbError> {
    db.one(
        select!("where place = $1 and team = $2 and state <> 'withdrawn'"),
        args![place_key(place), place.team],
    )
    .await
}

/// A grant of a team.
pub async fn find(db: &Db, team: Id<kind::Team>, id: Id<kind::Grant>) -> Result<Option<GrantRow>, DbError> {
    db.one(select!("where id = $1 and team = $2 and state <> 'withdrawn'"), args![id, team]).await
}

/// The grants of a connector, from the one after `after`.
pub async fn of_connector(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    after: Option<Id<kind::Grant>>,
    limit: i64,
) -> Result<Vec<GrantRow>, DbError> {
    db.all(
        select!(
            "where team = $1 and connector = $2 and id > $3 and state <> 'withdrawn' order by id limit $4"
        ),
        args![team, connector, after.map_or_else(Vec::new, |id| id.bytes().to_vec()), limit],
    )
    .await
}

/// The grants of a connector by which tokens can be had of this account at the provider.
pub async fn of_account(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    account: &str,
    limit: i64,
) -> Result<Vec<GrantRow>, DbError> {
    db.all(
        select!(
            "where team = $1 and connector = $2 and external_subject = $3 and state = 'active' order by id limit $4"
        ),
        args![team, connector, account, limit],
    )
    .await
}

/// The grants at an installation by which tokens can be had.
pub async fn of_installation(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    installation: Id<kind::Installation>,
    limit: i64,
) -> Result<Vec<GrantRow>, DbError> {
    db.all(
        select!("where team = $1 and connector = $2 and installation = $3 and state = 'active' order by id limit $4"),
        args![team, connector, installation, limit],
    )
    .await
}

/// The grants of one subject at a connector, from the one after `after`.
pub async fn page_of_subject(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    subject: &str,
    after: Option<Id<kind::Grant>>,
    limit: i64,
) -> Result<Vec<GrantRow>, DbError> {
    db.all(
        PAGE_OF_SUBJECT,
        args![team, connector, subject, after.map_or_else(Vec::new, |id| id.bytes().to_vec()), limit],
    )
    .await
}

/// The grants of one subject at a connector, wherever it consented.
pub async fn of_subject(
    db: &Db,
    team: Id<kind::Team>,
    connector: Id<kind::Connector>,
    subject: &str,
) -> Result<Vec<GrantRow>, DbError> {
    db.all(OF_SUBJECT, args![team, connector, subject]).await
}

/// The grants of a subject at every connector of a team.
pub async fn of_subject_everywhere(
    db: &Db,
    team: Id<kind::Team>,
    subject: &str,
) -> Result<Vec<GrantRow>, DbError> {
    db.all(OF_SUBJECT_EVERYWHERE, args![team, subject]).await
}

/// The grants that people gave a project.
pub async fn of_project(
    db: &Db,
    team: Id<kind::Team>,
    project: Id<kind::Project>,
) -> Result<Vec<GrantRow>, DbError> {
    db.all(
        select!("where project = $2 and team = $1 and state <> 'withdrawn' order by id"),
        args![team, project],
    )
    .await
}

/// How many grants stand alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The stored name of the state.
    pub state: String,
    /// Why, where they need consent.
    pub cause: Option<String>,
    /// How many.
    pub grants: i64,
}

impl FromRow for Standing {
    const TABLE: &'static str = "grants";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self { state: row.get(0)?, cause: row.maybe(1)?, grants: row.get(2)? })
    }
}

/// How the grants of a team, or of one of its connectors, stand: counted.
pub async fn standing(
    db: &Db,
    team: Id<kind::Team>,
    connector: Option<Id<kind::Connector>>,
) -> Result<Vec<Standing>, DbError> {
    match connector {
        Some(connector) => {
            db.all(
                "select state, cause, count(*) from grants where team = $1 and connector = $2 and state <> 'withdrawn' \
                 group by state, cause order by state, cause",
                args![team, connector],
            )
            .await
        }
        None => {
            db.all(
                "select state, cause, count(*) from grants where team = $1 and state <> 'withdrawn' \
                 group by state, cause order by state, cause",
                args![team],
            )
            .await
        }
    }
}

/// The grants of a team, or of one of its connectors, that wait for a person: the latest first.
pub async fn waiting(
    db: &Db,
    team: Id<kind::Team>,
    connector: Option<Id<kind::Connector>>,
    limit: i64,
) -> Result<Vec<GrantRow>, DbError> {
    db.all(
        select!(
            "where team = $1 and state = 'needs_consent' and (cast($2 as bytea) is null or connector = $2) \
             order by state_since desc, id limit $3"
        ),
        args![team, connector, limit],
    )
    .await
}

/// Grants of all teams after this one, withdrawn ones too, for sealing anew: those that a key sealed, or all.
pub async fn sealed(
    db: &Db,
    key: Option<[u8; 16]>,
    after: Vec<u8>,
    limit: i64,
) -> Result<Vec<GrantRow>, DbError> {
    db.all(
        select!(
            "where (cast($1 as bytea) is null or substr(held, 5, 16) = $1) and id > $2 order by id limit $3"
        ),
        args![key, after, limit],
    )
    .await
}

/// Puts a new grant at a free place, or takes the place of the one there if that is still at `replaces`.
pub fn put(row: &GrantRow, refresh_due: Option<Time>, replaces: Option<i64>) -> Step {
    let g = &row.grant;
    match replaces {
        None => Step::one(
            "insert into grants (id, place, team, connector, project, environment, subject, installation, state, \
             state_since, cause, scopes, external_subject, held, access_expires_at, refresh_expires_at, refreshable, \
             version, rt_version, lease_owner, lease_until, fence, refresh_due, last_used_at, created_at, updated_at, \
             ends_since) values ($1, $2, $3, $4, $5, $6, $7, $8, 'active', $9, null, $10, $11, $12, $13, $14, $15, $16, \
             $17, null, 0, 0, $18, $9, $9, $9, $9)",
            args![
                g.id,
                place_key(&g.place),
                g.place.team,
                g.place.connector,
                g.place.project,
                g.place.environment,
                &g.place.subject,
                g.place.installation,
                g.updated_at,
                g.scopes.as_ref().map(ToString::to_string),
                g.external_subject.clone(),
                row.held.clone(),
                g.access_expires_at,
                g.refresh_expires_at,
                g.refreshable,
                g.version,
                g.rt_version,
                refresh_due
            ],
        ),
        // The fence moves too: a refresh of the old grant that is under way must not land on the new one.
        Some(version) => Step::one(
            "update grants set state = 'active', state_since = $4, cause = null, scopes = $5, external_subject = $6, \
             held = $7, access_expires_at = $8, refresh_expires_at = $9, refreshable = $10, version = $11, \
             rt_version = $12, lease_owner = null, lease_until = 0, fence = fence + 1, refresh_due = $13, \
             leaked_rt = null, last_used_at = $4, updated_at = $4, ends_since = $4, connector = $14, project = $15, \
             environment = $16, subject = $17, installation = $18 where id = $1 and team = $2 and version = $3",
            args![
                g.id,
                g.place.team,
                version,
                g.updated_at,
                g.scopes.as_ref().map(ToString::to_string),
                g.external_subject.clone(),
                row.held.clone(),
                g.access_expires_at,
                g.refresh_expires_at,
                g.refreshable,
                g.version,
                g.rt_version,
                refresh_due,
                // What the envelope is bound to is written with it, whatever a hand has made of the row.
                g.place.connector,
                g.place.project,
                g.place.environment,
                &g.place.subject,
                g.place.installation
            ],
        ),
    }
}

/// Marks a grant as needing consent again, if its refresh token is still the one that failed.
pub fn needs_consent(
    team: Id<kind::Team>,
    id: Id<kind::Grant>,
    rt_version: i64,
    cause: Cause,
    now: Time,
) -> Step {
    Step::one(
        "update grants set state = 'needs_consent', state_since = $5, cause = $4, lease_owner = null, lease_until = 0, \
         refresh_due = null, updated_at = $5 where id = $1 and team = $2 and rt_version = $3 and state = 'active'",
        args![id, team, rt_version, cause.as_str(), now],
    )
}

/// Removes a grant whose provider was told of it and of these tokens that came too late for it, and everything made from
/// it. If others came meanwhile, it stays as it is, until their provider was told of them too.
pub fn delete(team: Id<kind::Team>, id: Id<kind::Grant>, told: &[Id<kind::RefreshOperation>]) -> Vec<Step> {
    let late = told.iter().map(|late| {
        let sql = "delete from refresh_orphans where team = $1 and grant_id = $2 and id = $3";
        Step::any(sql, args![team, id, *late])
    });
    // First of all the row is locked: what is kept for it is kept before, and seen, or finds it gone.
    std::iter::once(Step::any(PRESENT, args![team, id]))
        .chain(late)
        .chain([
            Step::any("delete from minted_tokens where team = $1 and grant_id = $2", args![team, id]),
            Step::any("delete from refresh_operations where team = $1 and grant_id = $2", args![team, id]),
            Step::any(
                "delete from grants where team = $1 and id = $2 and not exists \
                 (select 1 from refresh_orphans o where o.team = $1 and o.grant_id = $2)",
                args![team, id],
            ),
        ])
        .collect()
}

/// Goes through only if the grant is there, in whatever state, and keeps it there until the write is over.
pub fn present(team: Id<kind::Team>, id: Id<kind::Grant>) -> Step {
    Step::one(PRESENT, args![team, id])
}

const PRESENT: &str = "update grants set fence = fence where team = $1 and id = $2";

// SQLite, which has no statistics, would rather walk through every grant of the connector: in the order of identifiers,
// or by the index of how grants stand. 100 ms at a connector with 50,000; so it is told by which index the few are found.
const OF_SUBJECT: Sql = Sql {
    lite: select!(
        "indexed by grants_subject where team = $1 and connector = $2 and subject = $3 and state <> 'withdrawn' \
         order by id"
    ),
    pg: select!("where team = $1 and connector = $2 and subject = $3 and state <> 'withdrawn' order by id"),
};

const PAGE_OF_SUBJECT: Sql = Sql {
    lite: select!(
        "indexed by grants_subject where team = $1 and connector = $2 and subject = $3 and id > $4 \
         and state <> 'withdrawn' order by id limit $5"
    ),
    pg: select!(
        "where team = $1 and connector = $2 and subject = $3 and id > $4 and state <> 'withdrawn' order by id limit $5"
    ),
};

const OF_SUBJECT_EVERYWHERE: Sql = Sql {
    lite: select!(
        "indexed by grants_subject where team = $1 and connector in (select id from connectors where team = $1) \
         and subject = $2 and state <> 'withdrawn' order by id"
    ),
    pg: select!(
        "where team = $1 and connector in (select id from connectors where team = $1) and subject = $2 \
         and state <> 'withdrawn' order by id"
    ),
};

#[cfg(test)]
mod tests {
    use carnet_model::Env;
    use rusqlite::Connection;

    use super::{OF_SUBJECT, OF_SUBJECT_EVERYWHERE, PAGE_OF_SUBJECT, refresh};
    use crate::lite::numbered;
    use crate::{Db, Location};

    /// What is asked every second, what is asked of one person, and what every start waits for, must not take longer with
    /// every grant that there is.
    #[tokio::test]
    async fn few_grants_are_found_without_a_walk_through_all() {
        let folder = tempfile::tempdir().unwrap();
        let place = Location::Folder(folder.path().to_owned());
        Db::open(&place, &Env::system()).await.unwrap().close().await;
        let lite = Connection::open(folder.path().join("carnet.db")).unwrap();
        for (sql, index) in [
            (&refresh::DUE, "COVERING INDEX grants_due (refresh_due<?)"),
            (&OF_SUBJECT, "grants_subject (connector=? AND subject=?)"),
            (&PAGE_OF_SUBJECT, "grants_subject (connector=? AND subject=?"),
            (&OF_SUBJECT_EVERYWHERE, "grants_subject (connector=? AND subject=?)"),
            (&refresh::FREE_EVERY_LEASE.into(), "grants_leased (lease_until>?)"),
            (&refresh::FREE_LEASES_OF.into(), "grants_leased (lease_until>?)"),
        ] {
            let mut plan = lite.prepare(&format!("explain query plan {}", numbered(sql.lite))).unwrap();
            let nulls = vec![rusqlite::types::Null; plan.parameter_count()];
            let lines = plan.query_map(rusqlite::params_from_iter(nulls), |row| row.get::<_, String>(3));
            let lines: Vec<String> = lines.unwrap().map(Result::unwrap).collect();
            let plan = lines.join("; ");
            assert!(plan.contains(index) && !plan.contains("SCAN"), "{}: {plan}", sql.lite);
        }
    }
}
