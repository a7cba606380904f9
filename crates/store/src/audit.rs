//! Reading the audit log. Events are only ever added, and only by [`crate::Write`].

use aws_lc_rs::digest;
use carnet_model::audit::{Action, Outcome};
use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args};

/// An event in its place in the log.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its place: 1, 2, 3, … without a gap.
    pub seq: i64,
    /// When it was decided.
    pub at: Time,
    /// The team it belongs to.
    pub team: Option<Id<kind::Team>>,
    /// Who acted, as JSON.
    pub actor: serde_json::Value,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub target: Option<String>,
    /// How it ended.
    pub outcome: String,
    /// The HTTP request it belongs to.
    pub request: Option<Id<kind::Request>>,
    /// SHA-256 of salt and payload.
    pub commitment: [u8; 32],
    /// Particulars as JSON; `None` if they were erased.
    pub detail: Option<serde_json::Value>,
}

impl FromRow for Recorded {
    const TABLE: &'static str = "audit_events";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let payload = row.maybe::<String>(9)?;
        Ok(Self {
            seq: row.get(0)?,
            at: row.get(1)?,
            team: row.maybe(2)?,
            actor: row.json(3)?,
            action: row.get(4)?,
            target: row.maybe(5)?,
            outcome: row.get(6)?,
            request: row.maybe(7)?,
            commitment: row.get(8)?,
            detail: payload
                .map(|text| serde_json::from_str(&text).map_err(|_| row.corrupt(9)))
                .transpose()?,
        })
    }
}

/// Which events to read.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// This action only.
    pub action: Option<String>,
    /// This target only.
    pub target: Option<String>,
    /// This outcome only.
    pub outcome: Option<String>,
}

/// What a filter adds to the condition, one text for each kind of filter: a condition that holds where a parameter is
/// null would keep both engines from the indices of `action` and `target`. `$5` is the outcome in all of them.
///
/// Nearly every event of a busy team is an issued token, so these are left out of the index of `action`, where they would
/// cost every token request and help nobody: they are found by walking the team's events. What was refused or failed is
/// rare, and has an index of its own, by which it is found whatever else is asked: the condition on the others is one that
/// no index is used for.
macro_rules! texts {
    ($rest:literal) => {
        Texts {
            all: texts!(@well " and cast($3 as text) is null and cast($4 as text) is null", $rest),
            tokens: texts!(@well " and action = $3 and cast($4 as text) is null", $rest),
            action: texts!(@well " and action = $3 and action <> 'token.issue' and cast($4 as text) is null", $rest),
            target: texts!(@well " and cast($3 as text) is null and target = $4", $rest),
            tokens_of: texts!(@well " and action = $3 and target = $4", $rest),
            both: texts!(@well " and action = $3 and action <> 'token.issue' and target = $4", $rest),
            refused: texts!(
                @one
                " and outcome = $5 and outcome <> 'success' and (cast($3 as text) is null or action = $3) \
                 and (cast($4 as text) is null or target = $4)",
                $rest
            ),
        }
    };
    (@well $filter:literal, $rest:literal) => {
        texts!(@one $filter, " and (cast($5 as text) is null or outcome = $5)", $rest)
    };
    (@one $($condition:literal),*) => {
        concat!(
            "select seq, at, team, actor, action, target, outcome, request, commitment, payload from audit_events \
             where team = $1",
            $($condition),*
        )
    };
}

/// A question in the words of each kind of filter.
struct Texts {
    all: &'static str,
    /// Issued tokens, whatever their target.
    tokens: &'static str,
    /// Any other action.
    action: &'static str,
    target: &'static str,
    /// Issued tokens of one target.
    tokens_of: &'static str,
    /// Any other action on one target.
    both: &'static str,
    /// What did not go well, whatever else is asked.
    refused: &'static str,
}

/// Newest first.
const BEFORE: Texts = texts!(" and seq < $2 order by seq desc limit $6");
/// Oldest first.
const AFTER: Texts = texts!(" and seq > $2 order by seq limit $6");

impl Filter {
    fn of(&self, texts: &Texts) -> &'static str {
        if self.outcome.as_deref().is_some_and(|outcome| outcome != Outcome::Success.as_str()) {
            return texts.refused;
        }
        let issued = Action::TokenIssue.as_str();
        match (self.action.as_deref(), &self.target) {
            (None, None) => texts.all,
            (Some(action), None) if action == issued => texts.tokens,
            (Some(action), Some(_)) if action == issued => texts.tokens_of,
            (Some(_), None) => texts.action,
            (None, Some(_)) => texts.target,
            (Some(_), Some(_)) => texts.both,
        }
    }
}

/// The newest events of a team before `before`, newest first.
pub async fn before(
    db: &Db,
    team: Id<kind::Team>,
    before: Option<i64>,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<Recorded>, DbError> {
    page(db, filter.of(&BEFORE), team, before.unwrap_or(i64::MAX), filter, limit).await
}

/// The events of a team after `after`, oldest first.
pub async fn after(
    db: &Db,
    team: Id<kind::Team>,
    after: i64,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<Recorded>, DbError> {
    page(db, filter.of(&AFTER), team, after, filter, limit).await
}

async fn page(
    db: &Db,
    text: &'static str,
    team: Id<kind::Team>,
    from: i64,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<Recorded>, DbError> {
    let filters = [filter.action.clone(), filter.target.clone(), filter.outcome.clone()];
    let [action, target, outcome] = filters;
    db.all(text, args![team, from, action, target, outcome, limit]).await
}

/// How many events there are, and the number of the last: equal, because the log is dense.
pub async fn extent(db: &Db) -> Result<(i64, i64), DbError> {
    struct Extent(i64, i64);
    impl FromRow for Extent {
        const TABLE: &'static str = "audit_events";
        fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
            Ok(Self(row.get(0)?, row.get(1)?))
        }
    }
    let found = db.one::<Extent>("select count(*), coalesce(max(seq), 0) from audit_events", args![]).await?;
    Ok(found.map_or((0, 0), |Extent(count, last)| (count, last)))
}

/// An event as it is proved: its place, and what it is committed to.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Its place.
    pub seq: i64,
    /// SHA-256 of salt and payload.
    commitment: [u8; 32],
    salt: Option<Vec<u8>>,
    payload: Option<String>,
}

/// What becomes of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proved {
    /// The payload is the one that was committed to.
    Kept,
    /// The payload was erased; what it was is still committed to.
    Erased,
    /// The payload is another one, or half of it is gone.
    Altered,
}

impl Proof {
    /// Holds the payload against the commitment.
    pub fn check(&self) -> Proved {
        match (&self.salt, &self.payload) {
            (None, None) => Proved::Erased,
            (Some(salt), Some(payload)) => {
                let mut hash = digest::Context::new(&digest::SHA256);
                hash.update(salt);
                hash.update(payload.as_bytes());
                if hash.finish().as_ref() == self.commitment { Proved::Kept } else { Proved::Altered }
            }
            _ => Proved::Altered,
        }
    }
}

impl FromRow for Proof {
    const TABLE: &'static str = "audit_events";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self { seq: row.get(0)?, commitment: row.get(1)?, salt: row.maybe(2)?, payload: row.maybe(3)? })
    }
}

/// The events after `after`, in their order: of one team, or of the whole log.
pub async fn proofs(
    db: &Db,
    team: Option<Id<kind::Team>>,
    after: i64,
    limit: i64,
) -> Result<Vec<Proof>, DbError> {
    db.all(
        "select seq, commitment, salt, payload from audit_events \
         where seq > $2 and (cast($1 as bytea) is null or team = $1) order by seq limit $3",
        args![team, after, limit],
    )
    .await
}

/// The number that the next event gets.
pub async fn next_seq(db: &Db) -> Result<i64, DbError> {
    struct Head(i64);
    impl FromRow for Head {
        const TABLE: &'static str = "audit_head";
        fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
            Ok(Self(row.get(0)?))
        }
    }
    let found = db.one::<Head>("select next_seq from audit_head where one = 1", args![]).await?;
    Ok(found.map_or(1, |Head(next)| next))
}

#[cfg(test)]
mod tests;
