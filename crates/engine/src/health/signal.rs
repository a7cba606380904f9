//! What a provider tells by itself about lost access.
//!
//! An event is a hint: it can be old, arrive twice, or come from somebody who knows a secret that he should not. So nothing
//! ends by it. The provider is [asked](super::check), as if somebody had wanted to know, about the installation that it
//! names, or the grants of the accounts; and what it answers is kept and told as ever. That something was asked, and why,
//! is on the record.
//!
//! It is asked in a task of its own, and the sender does not wait for it. The same signal within a minute asks once more,
//! when the minute is over: the second of two can be the true one. A process that ends before it has asked forgets it:
//! what was lost is then found at its next use, as without any signal.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::grant::GrantState;
use carnet_model::{ConnectorRef, Fault, Id, Time, kind};
use carnet_providers::webhook::{Loss, LossSignal};
use carnet_store::Write;
use carnet_store::grants::{self, GrantRow};
use carnet_store::installations::Installation;

use crate::broker::Broker;
use crate::directory::Entry;
use crate::faults;

/// The signals of the last minute.
#[derive(Default)]
pub(crate) struct Signals(Mutex<HashMap<Told, Asked>>);

/// What was told, of a connector of this team.
type Told = (Id<kind::Team>, Id<kind::Connector>, LossSignal);

struct Asked {
    at: Time,
    /// It was told again since.
    again: bool,
}

impl Signals {
    /// Whether this is the first of its kind within a minute. If not, it is [due](Self::due) when the minute is over.
    fn is_first(&self, told: &Told, now: Time) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, asked| asked.again || asked.at.until(now) < ONCE_IN);
        if let Some(asked) = known.get_mut(told) {
            asked.again = true;
            return false;
        }
        let has_room = known.len() < MOST;
        if has_room {
            known.insert(told.clone(), Asked { at: now, again: false });
        }
        has_room
    }

    /// What was told again, and is to be asked about again now.
    fn due(&self, now: Time) -> Vec<Told> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = known.iter_mut().filter(|(_, asked)| asked.again && asked.at.until(now) >= ONCE_IN);
        due.map(|(told, asked)| {
            *asked = Asked { at: now, again: false };
            told.clone()
        })
        .collect()
    }
}

impl Broker {
    /// Asks the provider of a connector about what it says is lost, soon. The team is the connector's own.
    pub(crate) fn provider_signal(
        &self,
        team: Id<kind::Team>,
        connector: Id<kind::Connector>,
        signal: LossSignal,
    ) {
        let told = (team, connector, signal);
        if self.inner.signals.is_first(&told, self.inner.env.now()) {
            self.ask_about(told);
        } else {
            tracing::debug!(%connector, loss = named(told.2.loss), "told again that access is lost");
        }
    }

    /// Asks about what was told again, when its minute is over.
    pub(crate) fn look_again(&self) {
        for told in self.inner.signals.due(self.inner.env.now()) {
            self.ask_about(told);
        }
    }

    fn ask_about(&self, (team, connector, signal): Told) {
        let broker = self.clone();
        self.track(async move {
            if let Err(fault) = broker.confirm(team, connector, &signal).await {
                tracing::warn!(%connector, loss = named(signal.loss), %fault, "could not find out whether access is lost");
            }
        });
    }

    async fn confirm(
        &self,
        team: Id<kind::Team>,
        connector: Id<kind::Connector>,
        signal: &LossSignal,
    ) -> Result<(), Fault> {
        let entry = self.inner.entry(team, &ConnectorRef::Id(connector)).await.map_err(faults::store)?;
        let Some(entry) = entry else { return Ok(()) };
        let installations = named_by(&entry, signal);
        let (mut write, mut broken) = (Write::new(), 0_usize);
        for installation in &installations {
            let said = self.standing_of(&entry, installation).await;
            let verdict;
            (verdict, write) = self.verdict_of(&entry, installation, said, write);
            broken += usize::from(verdict.is_broken());
        }
        let rows = self.in_question(&entry, &installations, signal).await?;
        let grants = rows.len();
        for row in rows {
            let grant = row.grant.id;
            match self.check_grant(&entry, row).await {
                Ok(checked) => broken += usize::from(checked.verdict.is_broken()),
                Err(fault) => tracing::warn!(%grant, %fault, "could not find out whether a grant is lost"),
            }
        }
        let mut event = AuditEvent::of_system(self.inner.env.now(), Action::ConnectorCheck)
            .in_team(team)
            .on(connector)
            .with("signal", named(signal.loss))
            .with("grants", grants)
            .with("installations", installations.len())
            .with("broken", broken);
        if let Some(tenant) = &signal.tenant {
            event = event.with("tenant", tenant.as_str());
        }
        self.inner.db.write(write.event(&self.inner.env, &event)).await.map(drop).map_err(faults::store)
    }

    /// The grants that a signal is about: those of the accounts, or what the installation left. Whose tenant is which is
    /// not known of people, but where no other tenant is known they are of this one.
    async fn in_question(
        &self,
        entry: &Entry,
        installations: &[&Installation],
        signal: &LossSignal,
    ) -> Result<Vec<GrantRow>, Fault> {
        let (db, connector) = (&self.inner.db, &entry.row.connector);
        let (team, id) = (connector.team, connector.id);
        let mut rows = Vec::new();
        for account in &signal.accounts {
            rows.extend(grants::of_account(db, team, id, account, AT_ONCE).await.map_err(faults::store)?);
        }
        for installation in installations {
            let found = grants::of_installation(db, team, id, installation.id, AT_ONCE).await;
            rows.extend(found.map_err(faults::store)?);
        }
        if signal.accounts.is_empty() && installations.len() == entry.installations.len() {
            let all = grants::of_connector(db, team, id, None, AT_ONCE).await.map_err(faults::store)?;
            rows.extend(all.into_iter().filter(|row| {
                row.grant.place.installation.is_none() && matches!(row.grant.state, GrantState::Active)
            }));
        }
        Ok(rows)
    }
}

/// The installations at the tenant that lost access as a whole.
fn named_by<'a>(entry: &'a Entry, signal: &LossSignal) -> Vec<&'a Installation> {
    let Some(tenant) = signal.tenant.as_deref().filter(|_| signal.accounts.is_empty()) else {
        return Vec::new();
    };
    let is_there = |one: &&Installation| {
        one.external_id.as_deref() == Some(tenant) || one.tenant_id.as_deref() == Some(tenant)
    };
    entry.installations.iter().filter(is_there).collect()
}

const fn named(loss: Loss) -> &'static str {
    match loss {
        Loss::Uninstalled => "uninstalled",
        Loss::Suspended => "suspended",
        Loss::Revoked => "revoked",
    }
}

/// What arrives again within this time is asked about together, when it is over.
const ONCE_IN: Duration = Duration::from_mins(1);
/// So many different signals of a minute are looked after. What is beyond is found at its next use.
const MOST: usize = 10_000;
/// As many grants of one account, or at one installation, are asked about.
const AT_ONCE: i64 = 500;
