//! What a provider says about lost access is a hint: the provider is asked before anything ends by it.

use std::sync::Arc;

use carnet_model::audit::{Action, AuditEvent};
use carnet_providers::webhook::LossSignal;
use carnet_store::{DbError, Write, grants};

use crate::broker::Broker;
use crate::directory::Entry;

impl Broker {
    /// Asks the provider about what an event says is lost, in a task of its own.
    pub(crate) fn heed(&self, entry: Arc<Entry>, signal: LossSignal) {
        let broker = self.clone();
        self.track(async move {
            if let Err(error) = broker.ask_about(&entry, &signal).await {
                let connector = entry.row.connector.id;
                tracing::warn!(%connector, %error, "what a provider says is lost could not be looked into");
            }
        });
    }

    async fn ask_about(&self, entry: &Arc<Entry>, signal: &LossSignal) -> Result<(), DbError> {
        let inner = &self.inner;
        let connector = &entry.row.connector;
        let at = |name: &Option<String>| signal.tenant.is_none() || *name == signal.tenant;
        let concerned: Vec<_> = entry
            .installations
            .iter()
            .filter(|one| at(&one.external_id) || at(&one.tenant_id))
            .cloned()
            .collect();
        let mut write = Write::new();
        let mut broken = 0;
        if signal.accounts.is_empty() {
            for installation in &concerned {
                let said = self.standing_of(entry, installation).await;
                let verdict;
                (verdict, write) = self.verdict_of(entry, installation, said, write);
                broken += usize::from(verdict.is_broken());
            }
        }
        let rows = grants::of_connector(&inner.db, connector.team, connector.id, None, MOST).await?;
        let is_meant = |row: &grants::GrantRow| {
            let grant = &row.grant;
            let here = grant
                .place
                .installation
                .is_none_or(|installation| concerned.iter().any(|one| one.id == installation));
            let whose = grant.external_subject.as_ref();
            here && (signal.accounts.is_empty()
                || whose.is_some_and(|whose| signal.accounts.iter().any(|account| account == whose)))
        };
        let mut asked = 0;
        for row in rows.into_iter().filter(is_meant) {
            asked += 1;
            match self.check_grant(entry, row).await {
                Ok(checked) => broken += usize::from(checked.verdict.is_broken()),
                Err(fault) => tracing::debug!(%fault, "a grant could not be asked about"),
            }
        }
        let event = AuditEvent::of_system(inner.env.now(), Action::ConnectorCheck)
            .in_team(connector.team)
            .on(connector.id)
            .with("signal", format!("{:?}", signal.loss).to_lowercase())
            .with("installations", concerned.len())
            .with("grants", asked)
            .with("broken", broken);
        inner.db.write(write.event(&inner.env, &event)).await.map(drop)
    }
}

/// Grants that are asked about for one event at most; others are found at their next use.
const MOST: i64 = 200;
