//! Asking a provider whether what it gave still holds.
//!
//! Where the provider can be asked about a token without spending anything, it is. Else a grant that can be renewed is
//! renewed: that is the one question every provider answers, and what it answers is kept as with any refresh. What can be
//! neither is said to be not asked. An answer that a token is dead is confirmed by a refresh where there is something to
//! refresh with; only then, or where there is not, the grant needs consent again.

use std::sync::Arc;

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::grant::{Cause, GrantState};
use carnet_model::rights::Right;
use carnet_model::{Code, Fault, Id, Time, kind};
use carnet_providers::{Checked, DriverError, Held, Installed, MintAsk, Standing};
use carnet_store::Write;
use carnet_store::grants::{self, GrantRow};
use carnet_store::installations::Installation;

use super::forget::is_dead;
use crate::broker::Broker;
use crate::connectors::ConnectorView;
use crate::directory::Entry;
use crate::faults;
use crate::grants::GrantView;
use crate::issue::{PATIENT, stray};
use crate::refresh::{RenewFailure, Urgency};

/// How things stand at a connector's provider.
#[derive(Clone, Debug)]
pub struct Health {
    /// The connector.
    pub connector: ConnectorView,
    /// The connector's own credentials, where tokens of the application are had with nothing else, or where they are over;
    /// on the first page.
    pub application: Option<CheckedApplication>,
    /// A page of its installations; they come before the grants.
    pub installations: Vec<CheckedInstallation>,
    /// The rest of the page: its grants.
    pub grants: Vec<CheckedGrant>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// What the provider says about the connector's own credentials.
#[derive(Clone, Debug)]
pub struct CheckedApplication {
    /// How they stand.
    pub verdict: Verdict,
    /// Why they do not hold.
    pub message: Option<String>,
}

/// An installation, and what its provider says.
#[derive(Clone, Debug)]
pub struct CheckedInstallation {
    /// The installation.
    pub installation: Installation,
    /// How it stands.
    pub verdict: Verdict,
}

/// A grant, and what its provider says.
#[derive(Clone, Debug)]
pub struct CheckedGrant {
    /// The grant as it is now.
    pub grant: GrantView,
    /// How it stands.
    pub verdict: Verdict,
}

/// How something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can be used.
    Holds,
    /// A person must consent again.
    NeedsConsent(Cause),
    /// Somebody at the provider has stopped it for now.
    Suspended,
    /// It is not there any more.
    Gone,
    /// The provider refuses the connector's own credentials.
    ClientRejected,
    /// The secret is over that the provider gave the connector's client; a sentence that says so. Nobody was asked.
    SecretEnded(String),
    /// The provider could not be asked; why.
    Unreachable(String),
    /// There is nobody to ask.
    NotAsked,
}

impl Verdict {
    /// The stable name.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::NeedsConsent(_) => "needs_consent",
            Self::Suspended => "suspended",
            Self::Gone => "gone",
            Self::ClientRejected => "client_rejected",
            Self::SecretEnded(_) => "secret_ended",
            Self::Unreachable(_) => "unreachable",
            Self::NotAsked => "not_asked",
        }
    }

    /// Whether it is known not to hold.
    pub(crate) const fn is_broken(&self) -> bool {
        matches!(
            self,
            Self::NeedsConsent(_)
                | Self::Suspended
                | Self::Gone
                | Self::ClientRejected
                | Self::SecretEnded(_)
        )
    }
}

impl Broker {
    /// Asks the provider of a connector about a page of its installations and grants, from the one after `after`.
    pub async fn check_health(
        &self,
        caller: &Caller,
        connector: &str,
        after: Option<&str>,
        limit: u32,
        request: Id<kind::Request>,
    ) -> Result<Health, Fault> {
        let entry = self.managed(caller, connector, Right::ConnectorCheck).await?;
        self.is_offered(&entry)?;
        let place = Place::read(after)?;
        let limit = usize::try_from(limit.clamp(1, MOST)).unwrap_or(1);
        let (known, rows, next) = self.page(&entry, place, limit).await?;
        let application = if after.is_none() { self.verdict_on_application(&entry).await } else { None };
        // All begin at once; how many are at the provider at a time is the connector's pace.
        let installed: Vec<_> = known
            .into_iter()
            .map(|installation| {
                let (broker, entry) = (self.clone(), entry.clone());
                self.track(async move {
                    let said = broker.standing_of(&entry, &installation).await;
                    (installation, said)
                })
            })
            .collect();
        let asked: Vec<_> = rows
            .into_iter()
            .map(|row| {
                let (broker, entry) = (self.clone(), entry.clone());
                self.track(async move { broker.check_grant(&entry, row).await })
            })
            .collect();
        let (mut installations, mut write) = (Vec::new(), Write::new());
        for one in installed {
            let (installation, said) = one.await.map_err(faults::internal)?;
            let verdict;
            (verdict, write) = self.verdict_of(&entry, &installation, said, write);
            installations.push(CheckedInstallation { installation, verdict });
        }
        let mut grants = Vec::with_capacity(asked.len());
        for one in asked {
            grants.push(one.await.map_err(faults::internal)??);
        }
        let broken = grants.iter().filter(|one| one.verdict.is_broken()).count()
            + installations.iter().filter(|one| one.verdict.is_broken()).count()
            + application.iter().filter(|one| one.verdict.is_broken()).count();
        let event = AuditEvent::of(caller, self.inner.env.now(), Action::ConnectorCheck, Some(request))
            .on(entry.row.connector.id)
            .with("grants", grants.len())
            .with("installations", installations.len())
            .with("broken", broken);
        let write = write.event(&self.inner.env, &event);
        self.inner.db.write(write).await.map_err(faults::store)?;
        Ok(Health { connector: entry.view(), application, installations, grants, next })
    }

    /// What the provider thinks of the connector's own credentials, where tokens of the application are had with them: one
    /// is asked for, and not kept.
    async fn verdict_on_application(&self, entry: &Entry) -> Option<CheckedApplication> {
        let connector = &entry.row.connector;
        let renewal = entry.driver().renewal(connector).filter(|_| !connector.managed);
        if let Some(ended) = renewal.filter(|renewal| renewal.end <= self.inner.env.now()) {
            // Whatever it is used for: nothing that needs it works.
            let error = DriverError::SecretEnded { at: ended.end };
            let message = faults::driver(&error, connector.uid.as_str()).message;
            return Some(CheckedApplication {
                verdict: Verdict::SecretEnded(message.clone()),
                message: Some(message),
            });
        }
        let app = entry.abilities.app.as_ref().filter(|_| !entry.abilities.installation)?;
        let said = if entry.driver().asks_for_app_tokens(connector) {
            let ask = MintAsk::App {
                scopes: Some(app.scopes.clone()).filter(|scopes| !scopes.is_empty()),
                resources: Vec::new(),
                audience: Vec::new(),
                details: Vec::new(),
                installation: None,
            };
            self.call_driver(entry, None, ask).await.map(|_| Standing::Holds)
        } else {
            self.ask_provider(entry, Checked::Application).await
        };
        let error = match said {
            Ok(Standing::Unsaid) => {
                return Some(CheckedApplication { verdict: Verdict::NotAsked, message: None });
            }
            Ok(_) => return Some(CheckedApplication { verdict: Verdict::Holds, message: None }),
            Err(error) => error,
        };
        let message = faults::driver(&error, connector.uid.as_str()).message;
        // What is refused for another reason than the credentials gives no token all the same.
        let verdict = match error {
            DriverError::Later { .. } | DriverError::Garbage { .. } => Verdict::Unreachable(message.clone()),
            _ => Verdict::ClientRejected,
        };
        Some(CheckedApplication { verdict, message: Some(message) })
    }

    /// So many of a connector's installations and grants from this place on, and where the next page begins.
    async fn page(
        &self,
        entry: &Entry,
        place: Place,
        limit: usize,
    ) -> Result<(Vec<Installation>, Vec<GrantRow>, Option<String>), Fault> {
        let mut known: Vec<Installation> = match place {
            Place::Installations(after) => {
                let rest = entry.installations.iter().filter(|one| after.is_none_or(|after| one.id > after));
                rest.cloned().collect()
            }
            Place::Grants(_) => Vec::new(),
        };
        known.sort_unstable_by_key(|one| one.id);
        let more = known.len() > limit;
        known.truncate(limit);
        let last = known.last().map(|one| one.id.to_string());
        if more {
            return Ok((known, Vec::new(), last));
        }
        let after = if let Place::Grants(after) = place { Some(after) } else { None };
        let room = limit - known.len();
        let one_more = i64::try_from(room + 1).unwrap_or(i64::from(MOST) + 1);
        let connector = &entry.row.connector;
        let rows = grants::of_connector(&self.inner.db, connector.team, connector.id, after, one_more).await;
        let mut rows = rows.map_err(faults::store)?;
        let more = rows.len() > room;
        rows.truncate(room);
        let last = rows.last().map(|row| row.grant.id.to_string()).or(last);
        Ok((known, rows, last.filter(|_| more)))
    }

    pub(super) fn verdict_of(
        &self,
        entry: &Entry,
        installation: &Installation,
        said: Result<Standing, DriverError>,
        mut write: Write,
    ) -> (Verdict, Write) {
        let standing = match said {
            Ok(standing) => standing,
            Err(error) => return (self.unanswered(entry, &error), write),
        };
        let now = self.inner.env.now();
        write = write.steps(self.tell_installation(entry, installation, standing, now));
        if is_dead(standing) {
            write = self.forget_installation(write, entry, installation, standing, now);
        }
        let verdict = match standing {
            Standing::Holds => Verdict::Holds,
            Standing::Suspended => Verdict::Suspended,
            Standing::Gone => Verdict::Gone,
            Standing::Unsaid => Verdict::NotAsked,
        };
        (verdict, write)
    }

    /// What the provider says about an installation.
    pub(crate) async fn standing_of(
        &self,
        entry: &Entry,
        installation: &Installation,
    ) -> Result<Standing, DriverError> {
        let place = Installed {
            external_id: installation.external_id.clone(),
            tenant_id: installation.tenant_id.clone(),
            name: installation.name.clone(),
        };
        self.ask_provider(entry, Checked::Installation(&place)).await
    }

    async fn ask_provider(&self, entry: &Entry, what: Checked<'_>) -> Result<Standing, DriverError> {
        let inner = &self.inner;
        if let Some(error) = inner.breakers.refusal(entry.line(), inner.env.now()) {
            return Err(error);
        }
        let secrets = inner.secrets(entry).map_err(|error| {
            DriverError::Misconfigured(
                "data".to_owned(),
                format!("the stored credentials cannot be opened ({error})"),
            )
        })?;
        let pace = inner.paces.of(entry.line());
        let _place = pace.call().await;
        entry.driver().check(&inner.at(entry, &secrets), what).await
    }

    pub(super) async fn check_grant(&self, entry: &Arc<Entry>, row: GrantRow) -> Result<CheckedGrant, Fault> {
        let verdict = self.verdict_on(entry, &row).await?;
        // As it is now: it may have been renewed, or be found dead.
        let (db, place) = (&self.inner.db, &row.grant.place);
        let present = grants::find(db, place.team, row.grant.id).await.map_err(faults::store)?.unwrap_or(row);
        let verdict = match &present.grant.state {
            GrantState::NeedsConsent { cause, .. } => Verdict::NeedsConsent(*cause),
            GrantState::Active | GrantState::Withdrawn { .. } => verdict,
        };
        let grant = GrantView { last_used_at: present.last_used_at, grant: present.grant };
        Ok(CheckedGrant { grant, verdict })
    }

    async fn verdict_on(&self, entry: &Arc<Entry>, row: &GrantRow) -> Result<Verdict, Fault> {
        let now = self.inner.env.now();
        match row.grant.state {
            GrantState::Active => {}
            GrantState::NeedsConsent { cause, .. } => return Ok(Verdict::NeedsConsent(cause)),
            GrantState::Withdrawn { .. } => return Ok(Verdict::Gone),
        }
        let lives = row.grant.access_expires_at.is_none_or(|end| end > now);
        if !lives && !row.grant.refreshable {
            self.grant_over(entry, row, Cause::Expired).await?;
            return Ok(Verdict::NeedsConsent(Cause::Expired));
        }
        let secret = self.inner.open_grant(&row.grant, &row.held).map_err(faults::internal)?;
        let held: &Held = &secret.held;
        let said = if lives && (held.access().is_some() || held.key().is_some()) {
            self.ask_provider(entry, Checked::Held(held)).await
        } else {
            Ok(Standing::Unsaid)
        };
        match said {
            Ok(Standing::Holds) => Ok(Verdict::Holds),
            Ok(Standing::Suspended) => Ok(Verdict::Suspended),
            Ok(Standing::Gone) if !row.grant.refreshable => {
                self.grant_over(entry, row, Cause::RevokedAtProvider).await?;
                Ok(Verdict::NeedsConsent(Cause::RevokedAtProvider))
            }
            Ok(Standing::Gone | Standing::Unsaid) if row.grant.refreshable => {
                let renewal = self.renew(entry.clone(), row, Time::FAR_FUTURE, Urgency::Now);
                // It goes on without whoever asks, who is told that it takes long.
                let renewed = tokio::time::timeout(PATIENT, renewal).await.unwrap_or(Err(RenewFailure::Busy));
                Ok(match renewed {
                    Ok(renewed) => self.is_had(entry, &renewed)?,
                    Err(RenewFailure::Consent(cause)) => {
                        Verdict::NeedsConsent(cause.unwrap_or(Cause::RevokedAtProvider))
                    }
                    Err(RenewFailure::Provider(error)) => self.unanswered(entry, &error),
                    Err(failure) => {
                        let fault =
                            failure.fault(entry, |_| faults::no_connector(entry.row.connector.uid.as_str()));
                        Verdict::Unreachable(fault.message)
                    }
                })
            }
            Ok(Standing::Gone | Standing::Unsaid) => Ok(Verdict::NotAsked),
            Err(error) => Ok(self.unanswered(entry, &error)),
        }
    }

    /// Whether a renewal that worked left a token that is handed out.
    fn is_had(&self, entry: &Entry, renewed: &GrantRow) -> Result<Verdict, Fault> {
        let secret = self.inner.open_grant(&renewed.grant, &renewed.held).map_err(faults::internal)?;
        let is_had = secret.held.access().is_some() || secret.held.key().is_some();
        Ok(if is_had { Verdict::Holds } else { Verdict::Unreachable(stray(entry, &secret).message) })
    }

    fn unanswered(&self, entry: &Entry, error: &DriverError) -> Verdict {
        match error {
            DriverError::ClientRejected { .. } => Verdict::ClientRejected,
            DriverError::SecretEnded { .. } => {
                Verdict::SecretEnded(faults::driver(error, entry.row.connector.uid.as_str()).message)
            }
            other => Verdict::Unreachable(faults::driver(other, entry.row.connector.uid.as_str()).message),
        }
    }
}

/// Where a page begins.
#[derive(Clone, Copy)]
enum Place {
    /// Behind this installation, or with the first.
    Installations(Option<Id<kind::Installation>>),
    /// Behind this grant.
    Grants(Id<kind::Grant>),
}

impl Place {
    fn read(cursor: Option<&str>) -> Result<Self, Fault> {
        let Some(cursor) = cursor else { return Ok(Self::Installations(None)) };
        let installation = Id::parse(cursor).map(|id| Self::Installations(Some(id)));
        installation.or_else(|_| Id::parse(cursor).map(Self::Grants)).map_err(|_| {
            Fault::new(Code::InvalidRequest, "cursor is not one that this list gave.").with("field", "cursor")
        })
    }
}

/// So many installations and grants are asked about in one request: as many as their provider answers within a client's patience.
const MOST: u32 = 50;
