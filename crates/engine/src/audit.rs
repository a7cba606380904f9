//! Recording events and reading them back.

mod verify;

use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Code, Fault, Id, kind};
use carnet_store::audit::{self, Filter, Recorded};
use carnet_store::{Write, grants};

use crate::broker::Broker;
use crate::faults;

pub use verify::AuditChecked;

/// Which events to read.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Older than this place in the log.
    pub before: Option<i64>,
    /// Newer than this place in the log; the answer is then oldest first.
    pub after: Option<i64>,
    /// This action only.
    pub action: Option<String>,
    /// This target only: an identifier.
    pub target: Option<String>,
    /// This outcome only.
    pub outcome: Option<String>,
    /// At most this many; 1 to 1,000.
    pub limit: Option<u32>,
}

/// Some events, and where to go on.
#[derive(Clone, Debug)]
pub struct AuditPage {
    /// The events. A page can have fewer than were asked for, or none, and still not be the last: where what is asked for
    /// is rare among what is there, some ten thousand events are looked at for one page.
    pub events: Vec<Recorded>,
    /// What to give as `before`, or as `after`, for the next page.
    pub next: Option<i64>,
}

/// What of managing was refused.
#[derive(Clone, Debug)]
pub struct ManagementRefused {
    /// The method and the pattern of the path.
    pub operation: String,
    /// How it was refused.
    pub code: Code,
    /// What the path names, the innermost first, as it was told. The first of them that is of the caller's team is the
    /// target of the event, by its identifier.
    pub named: Vec<(Manageable, String)>,
    /// The right that is missing, where it is one.
    pub right: Option<String>,
}

/// What is managed by itself; all else is managed in one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manageable {
    /// A team, by its identifier or slug.
    Team,
    /// A project, by its identifier or name.
    Project,
    /// A connector, by its identifier or UID.
    Connector,
    /// A grant, by its identifier.
    Grant,
}

impl Broker {
    /// Records an event that changes nothing. When this returns `Ok`, it is durable.
    pub(crate) async fn record(&self, event: AuditEvent) -> Result<(), Fault> {
        let write = Write::new().event(&self.inner.env, &event);
        self.inner.db.write(write).await.map(drop).map_err(faults::store)
    }

    /// Records that the caller was refused a management operation. It comes before the answer; where it cannot be recorded,
    /// that is the answer.
    pub async fn management_refused(
        &self,
        caller: &Caller,
        request: Id<kind::Request>,
        refused: ManagementRefused,
    ) -> Result<(), Fault> {
        let ManagementRefused { operation, code, named, right } = refused;
        let event = AuditEvent::of(caller, self.inner.env.now(), Action::ManagementReject, Some(request))
            .ended(Outcome::Denied)
            .with("operation", operation)
            .with("code", code.as_str());
        let mut event = with_proof(event, caller);
        if let Some(right) = right {
            event = event.with("right", right);
        }
        for (what, name) in named {
            if let Some(target) = self.of_team_of(caller, what, &name).await {
                event = event.on(target);
                break;
            }
        }
        self.record(event).await
    }

    /// The identifier of what is called so in the caller's team, as far as the caller reaches. What is another team's is not
    /// written into this one's log, and what is nobody's may be anything.
    async fn of_team_of(&self, caller: &Caller, what: Manageable, name: &str) -> Option<String> {
        match what {
            Manageable::Team => {
                let team = self.team(caller.team()).await.ok()?;
                let is_own = team.id.to_string() == name || team.slug.as_str() == name;
                is_own.then(|| team.id.to_string())
            }
            Manageable::Project => {
                self.find_project(caller, name).await.ok().map(|project| project.id.to_string())
            }
            Manageable::Connector => {
                let entry = self.find_connector(caller, name).await.ok()?;
                Some(entry.row.connector.id.to_string())
            }
            Manageable::Grant => {
                let id = Id::parse(name).ok()?;
                let found = grants::find(&self.inner.db, caller.team(), id).await.ok()?;
                found.map(|row| row.grant.id.to_string())
            }
        }
    }

    /// The caller's team's events.
    pub async fn audit_events(&self, caller: &Caller, query: &AuditQuery) -> Result<AuditPage, Fault> {
        let member = self.may(caller, Right::AuditRead)?;
        let limit = query.limit.unwrap_or(100).clamp(1, 1000);
        let filter = Filter {
            action: query.action.clone(),
            target: query.target.clone(),
            outcome: query.outcome.clone(),
        };
        let db = &self.inner.db;
        let audit::Page { events, next } = match query.after {
            Some(after) => audit::after(db, member.team, after, &filter, i64::from(limit)).await,
            None => audit::before(db, member.team, query.before, &filter, i64::from(limit)).await,
        }
        .map_err(faults::store)?;
        Ok(AuditPage { events, next })
    }

    /// A fresh request identifier.
    pub fn request_id(&self) -> Id<kind::Request> {
        self.inner.env.id()
    }
}

/// Says besides by which identity a workload was recognised: a project has many.
pub(crate) fn with_proof(event: AuditEvent, caller: &Caller) -> AuditEvent {
    let Caller::Workload(workload) = caller else { return event };
    let proof = &workload.proof;
    let mut event = event.with("issuer", proof.issuer.clone()).with("sub", proof.subject.clone());
    if let Some(issuer) = proof.trusted_issuer {
        event = event.with("trustedIssuer", issuer.to_string());
    }
    if !proof.claims.is_empty() {
        event = event.with("claims", proof.claims.clone());
    }
    event
}
