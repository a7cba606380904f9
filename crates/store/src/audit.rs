//! Reading the audit log. Events are only ever added, and only by [`crate::Write`].

use aws_lc_rs::digest;
use carnet_model::audit::{Action, Outcome};
use carnet_model::caller::Principal;
use carnet_model::{Id, Time, kind};

use crate::db::{Db, DbError};
use crate::row::{FromRow, Row, args, json};

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

/// What an index finds, of which a page looks at no more than so many: two texts for each index. The first tells where the
/// look ends, if there are as many, and is read from the index alone; the second gives those that fit.
macro_rules! walks {
    ($($direction:literal),*) => {
        Walks {
            team: walks!(@both "", " and cast($3 as text) is null and cast($4 as text) is null", $($direction),*),
            action: walks!(
                @both " and action = $3 and action <> 'token.issue'", " and cast($4 as text) is null", $($direction),*
            ),
            target: walks!(@both " and target = $4", " and cast($3 as text) is null", $($direction),*),
            both: walks!(@both " and action = $3 and action <> 'token.issue' and target = $4", "", $($direction),*),
            refused: Walk {
                end: concat!(
                    "select seq from audit_events where team = $1 and outcome = $5 and outcome <> 'success' \
                     and cast($3 as text) is null and cast($4 as text) is null",
                    $($direction,)*
                    " limit 1 offset $6"
                ),
                page: walks!(@page " and outcome = $5 and outcome <> 'success'", $($direction),*),
            },
        }
    };
    (@both $condition:literal, $unused:literal, $($direction:literal),*) => {
        Walk {
            end: concat!(
                "select seq from audit_events where team = $1",
                $condition,
                $unused,
                " and cast($5 as text) is null",
                $($direction,)*
                " limit 1 offset $6"
            ),
            page: walks!(@page $condition, $($direction),*),
        }
    };
    // The inner limit keeps the order, and what fits is taken in it.
    (@page $condition:literal, $($direction:literal),*) => {
        concat!(
            "select seq, at, team, actor, action, target, outcome, request, commitment, payload from \
             (select seq, at, team, actor, action, target, outcome, request, commitment, payload from audit_events \
             where team = $1",
            $condition,
            $($direction,)*
            " limit $7) looked_at where (cast($3 as text) is null or action = $3) \
             and (cast($4 as text) is null or target = $4) and (cast($5 as text) is null or outcome = $5) limit $6"
        )
    };
}

/// The same of each index.
struct Walks {
    team: Walk,
    action: Walk,
    target: Walk,
    both: Walk,
    refused: Walk,
}

/// Where a look through an index ends, and what is found on the way.
#[derive(Clone, Copy)]
struct Walk {
    end: &'static str,
    page: &'static str,
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

const WALKS_BEFORE: Walks = walks!(" and seq < $2 order by seq desc");
const WALKS_AFTER: Walks = walks!(" and seq > $2 order by seq");

impl Filter {
    fn of(&self, texts: &Texts) -> &'static str {
        if self.is_of_refused() {
            return texts.refused;
        }
        match (self.action.as_deref(), &self.target) {
            (None, None) => texts.all,
            (Some(ISSUED), None) => texts.tokens,
            (Some(ISSUED), Some(_)) => texts.tokens_of,
            (Some(_), None) => texts.action,
            (None, Some(_)) => texts.target,
            (Some(_), Some(_)) => texts.both,
        }
    }

    /// Where the index finds more than is asked for, so that a page could be a walk past everything that a team ever did:
    /// through which index it goes, and by which action, target and outcome. `None` where the index finds nothing else, and
    /// a page is as long as it is.
    fn walk(&self, through: &Walks) -> Option<(Walk, [Option<&str>; 3])> {
        let (action, target) = (self.action.as_deref(), self.target.as_deref());
        if self.is_of_refused() {
            let narrower = action.is_some() || target.is_some();
            return narrower.then_some((through.refused, [None, None, self.outcome.as_deref()]));
        }
        let of_one_outcome = self.outcome.is_some();
        match (action, target) {
            (Some(ISSUED), None) => Some((through.team, [None, None, None])),
            (Some(ISSUED), Some(_)) => Some((through.target, [None, target, None])),
            _ if !of_one_outcome => None,
            (None, None) => Some((through.team, [None, None, None])),
            (Some(_), None) => Some((through.action, [action, None, None])),
            (None, Some(_)) => Some((through.target, [None, target, None])),
            (Some(_), Some(_)) => Some((through.both, [action, target, None])),
        }
    }

    fn is_of_refused(&self) -> bool {
        self.outcome.as_deref().is_some_and(|outcome| outcome != Outcome::Success.as_str())
    }
}

/// Some events, and how far they were looked for.
#[derive(Clone, Debug)]
pub struct Page {
    /// Those that were found.
    pub events: Vec<Recorded>,
    /// Where to go on: behind the last event of a page that is full, or behind the last event that was looked at. `None` if
    /// there is nothing further.
    pub next: Option<i64>,
}

/// The newest events of a team before `before`, newest first.
pub async fn before(
    db: &Db,
    team: Id<kind::Team>,
    before: Option<i64>,
    filter: &Filter,
    limit: i64,
) -> Result<Page, DbError> {
    match (filter.walk(&WALKS_BEFORE), before) {
        (Some(walk), Some(before)) => walked(db, team, before, filter, walk, limit).await,
        (Some(walk), None) => {
            // From a place that stays where it is, whatever is added while the page is looked for.
            let last = db.one::<i64>("select coalesce(max(seq), 0) from audit_events", args![]).await?;
            walked(db, team, last.unwrap_or(0) + 1, filter, walk, limit).await
        }
        (None, before) => {
            found(db, team, before.unwrap_or(i64::MAX), filter, filter.of(&BEFORE), limit).await
        }
    }
}

/// The events of a team after `after`, oldest first.
pub async fn after(
    db: &Db,
    team: Id<kind::Team>,
    after: i64,
    filter: &Filter,
    limit: i64,
) -> Result<Page, DbError> {
    match filter.walk(&WALKS_AFTER) {
        Some(walk) => walked(db, team, after, filter, walk, limit).await,
        None => found(db, team, after, filter, filter.of(&AFTER), limit).await,
    }
}

/// The token requests of `actor` that failed after `since`, newest first and no more than twenty: looked for among the last
/// thousand events of the team that failed, which is what an index finds.
pub async fn failed_tokens(
    db: &Db,
    team: Id<kind::Team>,
    actor: &Principal,
    since: Time,
) -> Result<Vec<Recorded>, DbError> {
    let text = "select seq, at, team, actor, action, target, outcome, request, commitment, payload from \
         (select seq, at, team, actor, action, target, outcome, request, commitment, payload from audit_events \
         where team = $1 and outcome = $2 and outcome <> 'success' order by seq desc limit 1000) looked_at \
         where actor = $3 and action = $4 and at > $5 order by seq desc limit 20";
    db.all(text, args![team, Outcome::Failed.as_str(), json(actor), ISSUED, since]).await
}

/// What an index finds and nothing else: as many as are asked for, however far they are.
async fn found(
    db: &Db,
    team: Id<kind::Team>,
    from: i64,
    filter: &Filter,
    text: &'static str,
    limit: i64,
) -> Result<Page, DbError> {
    let Filter { action, target, outcome } = filter.clone();
    let events = db.all(text, args![team, from, action, target, outcome, limit]).await?;
    Ok(Page::of(events, limit, None))
}

/// What fits among the next [`WALKED`] that an index finds. Where that ends is asked first: what is added behind it
/// meanwhile is of a later page.
async fn walked(
    db: &Db,
    team: Id<kind::Team>,
    from: i64,
    filter: &Filter,
    (walk, by): (Walk, [Option<&str>; 3]),
    limit: i64,
) -> Result<Page, DbError> {
    let [action, target, outcome] = by.map(|text| text.map(str::to_owned));
    let end = db.one::<i64>(walk.end, args![team, from, action, target, outcome, WALKED - 1]).await?;
    let Filter { action, target, outcome } = filter.clone();
    let events = db.all(walk.page, args![team, from, action, target, outcome, limit, WALKED]).await?;
    Ok(Page::of(events, limit, end))
}

impl Page {
    fn of(events: Vec<Recorded>, limit: i64, end: Option<i64>) -> Self {
        let full = i64::try_from(events.len()).is_ok_and(|found| found >= limit);
        let next = if full { events.last().map(|event| event.seq) } else { end };
        Self { events, next }
    }
}

/// The action of which there are most.
const ISSUED: &str = Action::TokenIssue.as_str();
/// So many events of an index are looked at for one page: some ten milliseconds on either engine, and a team's whole log of
/// a million in a hundred pages.
const WALKED: i64 = 10_000;

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
