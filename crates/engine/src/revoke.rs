//! Revoking: here at once, then at the provider, and counted.
//!
//! First the grants are withdrawn in one durable write: from then on no node makes a token from them. Then each
//! provider is told. Then the rows go. Whoever stops in between is followed by recovery, which tells the provider later.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use carnet_model::access::Ask;
use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::caller::Caller;
use carnet_model::failpoint::Point;
use carnet_model::{Code, ConnectorRef, Fault, Id, Subject, kind};
use carnet_providers::Revocation;
use carnet_store::grants::{self, GrantRow};
use carnet_store::{DbError, Write, minted, pass, refreshes};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::audit::with_proof;
use crate::broker::Broker;
use crate::directory::Entry;
use crate::faults;

/// What a revocation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    /// Grants and made tokens that were there.
    pub found: u64,
    /// Of these, gone here.
    pub deleted: u64,
    /// Of these, revoked at the provider.
    pub provider_revoked: u64,
    /// Of these, with a provider that cannot be told, or nothing to tell it.
    pub provider_skipped: u64,
    /// Of these, where the provider did not confirm.
    pub provider_failed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtProvider {
    Revoked,
    Skipped,
    Failed,
}

/// What a provider was told of a withdrawn grant.
pub(crate) struct Told {
    pub(crate) end: AtProvider,
    /// What had come too late for the grant, and was looked at too.
    late: Vec<Id<kind::RefreshOperation>>,
}

impl Revoked {
    fn count(&mut self, ends: Vec<AtProvider>) {
        for end in ends {
            self.deleted += 1;
            match end {
                AtProvider::Revoked => self.provider_revoked += 1,
                AtProvider::Skipped => self.provider_skipped += 1,
                AtProvider::Failed => self.provider_failed += 1,
            }
        }
    }
}

impl AtProvider {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

impl Broker {
    /// Revokes what is kept for a subject, or for everybody if none is named.
    pub async fn revoke(
        &self,
        caller: &Caller,
        connector: &str,
        subject: Option<&Value>,
        installation: Option<&str>,
        request: Id<kind::Request>,
    ) -> Result<Revoked, Fault> {
        let inner = &self.inner;
        let now = inner.env.now();
        let entry = self.find_connector(caller, connector).await?;
        let id = entry.row.connector.id;
        let event = AuditEvent::of(caller, now, Action::TokenRevoke, Some(request)).on(id);
        let own = caller.user().map(|user| user.to_string());
        let subject = subject.map(|value| Subject::parse(value, own.as_deref())).transpose();
        let subject = subject.map_err(|error| {
            Fault::new(Code::InvalidRequest, format!("{error}.")).with("field", "subject")
        })?;
        let key = subject.as_ref().map(|subject| self.subject_key(subject));
        let event = with_proof(event, caller).with("subject", key.clone().unwrap_or_else(|| "*".to_owned()));
        if let Err((fault, rule)) = self.permit(caller, &entry, Ask::Revoke(subject.as_ref())) {
            return Err(self.refuse(event, Outcome::Denied, fault, Some(rule)).await?);
        }
        let is_shared = matches!(subject, Some(Subject::App)) && entry.scopes_of_installation();
        if is_shared && matches!(caller, Caller::Workload(_)) {
            return Err(self
                .refuse(event, Outcome::Denied, shared(&entry), Some("installation-shared"))
                .await?);
        }
        let installation = match (installation, &key) {
            (None, _) => None,
            (Some(name), key) => match (entry.installation(name), key) {
                (Some(id), _) => Some(id),
                // Nothing is kept there, which is what whoever names a subject wants.
                (None, Some(_)) => {
                    let name: String = name.chars().take(200).collect();
                    let event = event.with("installation", name).with("tokensFound", 0);
                    let write = Write::new().event(&inner.env, &event);
                    inner.db.write(write).await.map_err(faults::store)?;
                    return Ok(Revoked::default());
                }
                // Whoever means everybody's and names a place that is not there has misspelt it.
                (None, None) => return Err(faults::not_found("installation", name)),
            },
        };
        let of_caller = |row: &GrantRow| match caller {
            // A workload reaches what its own project was given in its own environment.
            Caller::Workload(w) => {
                row.grant.place.project == Some(w.project) && row.grant.place.environment == w.environment
            }
            // A person naming a subject reaches that subject wherever it consented, `app` and no subject reach all; an
            // access token that is limited to a project reaches that project and what is of none.
            Caller::Member(m) => {
                m.access.project.is_none_or(|only| row.grant.place.project.is_none_or(|p| p == only))
            }
        };
        let all = match &key {
            Some(key) => {
                grants::of_subject(&inner.db, caller.team(), id, key).await.map_err(faults::store)?
            }
            None => self.every_grant(caller.team(), id).await?,
        };
        let given: Vec<GrantRow> = all
            .into_iter()
            .filter(|row| installation.is_none_or(|wanted| row.grant.place.installation == Some(wanted)))
            .filter(of_caller)
            .collect();
        let made: Vec<_> = minted::without_grant(&inner.db, caller.team(), id)
            .await
            .map_err(faults::store)?
            .into_iter()
            .filter(|row| installation.is_none_or(|wanted| row.installation == Some(wanted)))
            .filter(|row| key.as_ref().is_none_or(|key| row.subject == *key))
            .filter(|row| match caller {
                Caller::Workload(w) => row.project == Some(w.project) && row.environment == w.environment,
                Caller::Member(_) => true,
            })
            .collect();
        let mut counted = Revoked { found: (given.len() + made.len()) as u64, ..Revoked::default() };
        let event = event.with("tokensFound", counted.found);
        // Everybody's in one statement, however many there are: a write has a deadline.
        let write = match &key {
            None => Write::new()
                .step(grants::withdraw_of_connector(caller.team(), id, installation, now))
                .step(minted::delete_without_grant(caller.team(), id, installation)),
            Some(_) => Write::new()
                .steps(given.iter().map(|row| grants::withdraw(caller.team(), row.grant.id, now)))
                .steps(made.iter().map(|row| minted::delete(caller.team(), row.place))),
        };
        let write = write.event(&inner.env, &event).revises();
        inner.db.write(write).await.map_err(faults::store)?;

        // From here on it is done whatever becomes of the caller.
        let broker = self.clone();
        let work = self.track(async move {
            let _ = pass(&broker.inner.env, Point::RevokeWithdrawn).await;
            let mut ends = broker.tell_provider_of_grants(&entry, given).await;
            ends.extend(broker.tell_provider_of_tokens(&entry, &made).await);
            ends
        });
        let ends = work.await.map_err(faults::internal)?;
        counted.count(ends);
        Ok(counted)
    }

    /// Tells the provider of grants that were withdrawn a moment ago, whatever becomes of the caller, and counts.
    pub(crate) async fn tell_of_withdrawn(
        &self,
        entry: Arc<Entry>,
        given: Vec<GrantRow>,
    ) -> Result<Revoked, Fault> {
        let mut counted = Revoked { found: given.len() as u64, ..Revoked::default() };
        let broker = self.clone();
        let work = self.track(async move { broker.tell_provider_of_grants(&entry, given).await });
        counted.count(work.await.map_err(faults::internal)?);
        Ok(counted)
    }

    /// Tells the provider of all these grants, which were withdrawn before.
    pub(crate) async fn revoke_everywhere(&self, entry: &Arc<Entry>, given: Vec<GrantRow>) {
        self.tell_provider_of_grants(entry, given).await;
    }

    /// Tells the provider of withdrawn grants, some at a time, and removes them.
    async fn tell_provider_of_grants(&self, entry: &Arc<Entry>, given: Vec<GrantRow>) -> Vec<AtProvider> {
        // Few enough that neither the provider's other calls nor the store's other writes wait behind thousands.
        let places = Arc::new(Semaphore::new(TOLD_AT_ONCE));
        let _at_it = self.at_it(given.iter());
        let tasks: Vec<_> = given
            .into_iter()
            .map(|row| {
                let (broker, entry, places) = (self.clone(), entry.clone(), places.clone());
                self.track(async move {
                    let _place = places.acquire().await;
                    let told = broker.tell_provider(&entry, &row).await;
                    if let Err(error) = broker.remove(&row, &told.late).await {
                        tracing::warn!(grant = %row.grant.id, %error, "a revoked grant could not be removed; recovery will");
                    }
                    told.end
                })
            })
            .collect();
        let mut ends = Vec::with_capacity(tasks.len());
        for task in tasks {
            ends.push(task.await.unwrap_or(AtProvider::Failed));
        }
        ends
    }

    pub(crate) async fn tell_provider(&self, entry: &Entry, row: &GrantRow) -> Told {
        let late = self.tell_of_latecomers(entry, row).await;
        let end = match self.inner.open_grant(&row.grant, &row.held) {
            _ if !entry.abilities.revocation => AtProvider::Skipped,
            Ok(secret) => self.tell(entry, &secret.held).await,
            Err(_) => AtProvider::Failed,
        };
        Told { end, late }
    }

    /// What came of a refresh too late for its grant would outlive it: the provider is told of it too, if it listens.
    async fn tell_of_latecomers(&self, entry: &Entry, row: &GrantRow) -> Vec<Id<kind::RefreshOperation>> {
        let (inner, place) = (&self.inner, &row.grant.place);
        let kept = match refreshes::orphans_of(&inner.db, place.team, row.grant.id).await {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(grant = %row.grant.id, %error, "whether tokens came too late cannot be known");
                return Vec::new();
            }
        };
        for orphan in kept.iter().filter(|_| entry.abilities.revocation) {
            match inner.open_orphan(orphan.id, place, orphan.rt_version, &orphan.held) {
                Ok(secret) => {
                    self.tell(entry, &secret.held).await;
                }
                Err(error) => {
                    tracing::warn!(grant = %row.grant.id, %error, "tokens that came too late cannot be given back");
                }
            }
        }
        kept.into_iter().map(|orphan| orphan.id).collect()
    }

    /// Tokens of the application are told to the provider too, where it listens.
    async fn tell_provider_of_tokens(&self, entry: &Entry, made: &[minted::MintedRow]) -> Vec<AtProvider> {
        let mut ends = Vec::with_capacity(made.len());
        for row in made {
            let end = match self.inner.open_minted(row) {
                Ok(token) if entry.abilities.revocation => {
                    self.tell(entry, &carnet_providers::Held::of_access(token.token)).await
                }
                Ok(_) => AtProvider::Skipped,
                Err(_) => AtProvider::Failed,
            };
            ends.push(end);
        }
        ends
    }

    async fn tell(&self, entry: &Entry, held: &carnet_providers::Held) -> AtProvider {
        let pace = self.inner.paces.of(entry.line());
        let _place = pace.call().await;
        self.tell_now(entry, held).await
    }

    /// For whoever has a place among the calls to this provider already.
    pub(crate) async fn tell_now(&self, entry: &Entry, held: &carnet_providers::Held) -> AtProvider {
        let Ok(secrets) = self.inner.secrets(entry) else { return AtProvider::Failed };
        let connector = &entry.row.connector;
        let at = self.inner.at(entry, &secrets);
        match entry.driver().revoke(&at, held).await {
            Ok(Revocation::Revoked) => AtProvider::Revoked,
            Ok(Revocation::NotSupported) => AtProvider::Skipped,
            Err(error) => {
                tracing::warn!(connector = %connector.id, %error, "the provider did not confirm a revocation");
                AtProvider::Failed
            }
        }
    }

    /// The grant goes, and with it what came too late for it, as far as its provider was told.
    async fn remove(&self, row: &GrantRow, late: &[Id<kind::RefreshOperation>]) -> Result<(), DbError> {
        pass(&self.inner.env, Point::RevokeTold).await?;
        let steps = grants::delete(row.grant.place.team, row.grant.id, late);
        self.inner.db.write(Write::new().steps(steps)).await.map(drop)
    }

    /// Tells providers of grants that were withdrawn by something that does not wait for them.
    pub(crate) fn tell_providers_later(&self, given: Vec<GrantRow>) {
        let broker = self.clone();
        self.track(async move {
            let _at_it = broker.at_it(given.iter());
            for row in given {
                if let Err(error) = broker.finish_withdrawal(&row).await {
                    tracing::warn!(grant = %row.grant.id, %error, "a withdrawn grant is left to recovery");
                }
            }
        });
    }

    /// Keeps recovery, here and on other nodes, from taking up the withdrawals of these connectors, for as long as what
    /// is given back lives: telling a provider of thousands takes longer than the silence that means a process is gone.
    fn at_it<'a>(&self, given: impl Iterator<Item = &'a GrantRow>) -> DropGuard {
        let whose: HashSet<_> = given.map(|row| (row.grant.place.team, row.grant.place.connector)).collect();
        let over = CancellationToken::new();
        let (guard, broker) = (over.clone().drop_guard(), self.clone());
        self.track(async move {
            loop {
                tokio::select! {
                    () = over.cancelled() => return,
                    () = tokio::time::sleep(BEAT) => {}
                }
                let now = broker.inner.env.now();
                let steps =
                    whose.iter().map(|(team, connector)| grants::still_withdrawing(*team, *connector, now));
                if let Err(error) = broker.inner.db.write(Write::new().steps(steps)).await {
                    tracing::debug!(%error, "that a revocation is under way could not be noted");
                }
            }
        });
        guard
    }

    /// Brings one withdrawal to its end.
    pub(crate) async fn finish_withdrawal(&self, row: &GrantRow) -> Result<(), DbError> {
        let (team, id) = (row.grant.place.team, row.grant.id);
        let reference = ConnectorRef::Id(row.grant.place.connector);
        let late = if let Some(entry) = self.inner.entry(team, &reference).await? {
            let told = self.tell_provider(&entry, row).await;
            let event = AuditEvent::of_system(self.inner.env.now(), Action::TokenRevoke)
                .in_team(team)
                .on(id)
                .with("provider", told.end.as_str());
            self.inner.db.write(Write::new().event(&self.inner.env, &event)).await?;
            told.late
        } else {
            // Nobody knows any more whom to tell.
            let kept = refreshes::orphans_of(&self.inner.db, team, id).await?;
            kept.into_iter().map(|orphan| orphan.id).collect()
        };
        self.remove(row, &late).await
    }
}

/// What an installation left is one token for every project and environment: none of them takes it from the others.
fn shared(entry: &Entry) -> Fault {
    let uid = &entry.row.connector.uid;
    Fault::new(
        Code::Forbidden,
        format!(
            "The application's tokens of {uid} are those of its installations, which every linked project and environment \
             has together; a person of the team ends them."
        ),
    )
    .with("reason", "shared_by_installation")
    .next(format!("carnet revoke-tokens {uid} --all-tokens"), "as a person, to end all that the connector gave")
    .next(format!("carnet installations list {uid}"), "to end one installation instead")
}

/// Grants of one revocation that a provider is told of at once.
const TOLD_AT_ONCE: usize = 6;
/// Between two notes that a revocation is under way: several within the silence after which recovery takes it up.
const BEAT: Duration = Duration::from_secs(5);
