//! Connectors and their links as they are now, in memory.
//!
//! An entry is good for the revision of the rules it was read at. The revision moves with every change of a connector,
//! a link or a grant's withdrawal, here at once and on other nodes at the latest when the next decision is recorded:
//! [`carnet_store::Write::only_at`] refuses to record a decision made at an older one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use carnet_model::connector::{Connector, ConnectorType};
use carnet_model::{ConnectorRef, Environment, Id, kind};
use carnet_providers::{Abilities, At, ConnectorSecrets, Signer};
use carnet_store::connectors::{self, ConnectorRow};
use carnet_store::consent_rules::{self, ConsentRules};
use carnet_store::installations::{self, Installation};
use carnet_store::{DbError, Revision, destinations, links, same_rules, triggers};
use quick_cache::sync::Cache;

use crate::broker::Inner;
use crate::connector_keys::ConnectorKeys;
use crate::managed::App;
use crate::triggers::Kept;

pub(crate) struct Directory {
    entries: Cache<(Id<kind::Team>, ConnectorRef), Arc<Entry>>,
    /// A connector never changes its team.
    teams: Cache<Id<kind::Connector>, Id<kind::Team>>,
}

/// A connector with everything that is decided by.
pub(crate) struct Entry {
    pub(crate) row: ConnectorRow,
    /// Where its people are sent back to, whatever address the server had when it was made.
    pub(crate) redirect_uri: Option<String>,
    pub(crate) links: HashMap<Id<kind::Project>, Vec<Environment>>,
    pub(crate) installations: Vec<Installation>,
    /// Those of a client that it is no more.
    pub(crate) ended: Vec<Installation>,
    pub(crate) abilities: Abilities,
    /// Its own keys; none where it does not sign.
    pub(crate) keys: ConnectorKeys,
    pub(crate) consent_rules: ConsentRules,
    /// What it does with its provider's events.
    pub(crate) triggers: Kept,
    /// The operator's application that it was made from, where it is managed and the team may still use it.
    pub(crate) app: Option<App>,
    /// Whether its provider is a known service: many of those answer with scopes of their own besides, and mean no harm.
    pub(crate) adds_scopes: bool,
    pub(crate) revision: Revision,
}

impl Directory {
    pub(crate) fn new() -> Self {
        Self { entries: Cache::new(CAPACITY), teams: Cache::new(CAPACITY) }
    }
}

impl Entry {
    pub(crate) fn linked(&self, project: Option<Id<kind::Project>>) -> Option<&[Environment]> {
        self.links.get(&project?).map(Vec::as_slice)
    }

    /// The installation of this name: ours, or the provider's own.
    pub(crate) fn installation(&self, name: &str) -> Option<Id<kind::Installation>> {
        self.installations.iter().find(|one| is_called(one, name)).map(|installation| installation.id)
    }

    /// The same among those of a client that the connector is no more.
    pub(crate) fn ended_installation(&self, name: &str) -> Option<Id<kind::Installation>> {
        self.ended.iter().find(|one| is_called(one, name)).map(|installation| installation.id)
    }

    /// The installation at this tenant of the provider, by the tenant's identifier or name.
    pub(crate) fn installation_at(&self, tenant: &str) -> Option<Id<kind::Installation>> {
        self.installations.iter().find(|one| is_at(one, tenant)).map(|installation| installation.id)
    }

    /// Whether one of a client that the connector is no more was there.
    pub(crate) fn was_installed_at(&self, tenant: &str) -> bool {
        self.ended.iter().any(|one| is_at(one, tenant))
    }

    /// Whether an installation is asked for by the scopes of the tokens that it leaves. Elsewhere the provider's own page
    /// says what it allows.
    pub(crate) fn scopes_of_installation(&self) -> bool {
        self.abilities.app.as_ref().is_some_and(|app| app.left_by_installation)
    }

    /// What is known about an installation.
    pub(crate) fn installed(&self, id: Id<kind::Installation>) -> Option<&Installation> {
        self.installations.iter().find(|installation| installation.id == id)
    }

    /// By what the breaker of its provider is known: with the operator's application as it is now, whose secret may have
    /// been what was wrong.
    pub(crate) fn line(&self) -> crate::breaker::Line {
        let connector = &self.row.connector;
        let app = self.app.as_ref().map_or(0, App::changed_at);
        // Versions of a connector are counted from one; times in milliseconds have 41 bits.
        (connector.id, connector.version.wrapping_add(app << 20))
    }

    /// How long its provider remembers a refresh token that is not used, as far as the connector says.
    pub(crate) fn idle(&self) -> Option<Duration> {
        self.driver().idle(&self.row.connector)
    }

    pub(crate) fn driver(&self) -> &'static dyn carnet_providers::Driver {
        carnet_providers::driver(self.row.connector.r#type)
    }
}

impl Inner {
    /// The connector as it is at the present revision.
    pub(crate) async fn entry(
        &self,
        team: Id<kind::Team>,
        reference: &ConnectorRef,
    ) -> Result<Option<Arc<Entry>>, DbError> {
        if self.turning.is_shut() {
            return Err(DbError::Unavailable("the key service has taken the root key away".to_owned()));
        }
        self.fresh_keys().await?;
        // Read before the rows: if they change in between, the entry is older than it claims to be never, newer maybe.
        let revision = self.db.revision();
        let key = (team, reference.clone());
        if let Some(entry) = self.directory.entries.get(&key)
            && same_rules(entry.revision, revision)
        {
            return Ok(Some(entry));
        }
        let Some(row) = connectors::find(&self.db, team, reference).await? else {
            self.directory.entries.remove(&key);
            return Ok(None);
        };
        self.load_team_keys(team).await?;
        let links = links::of_connector(&self.db, team, row.connector.id).await?;
        let all = installations::all(&self.db, team, row.connector.id).await?;
        let (ended, installations): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|one| one.ended_at.is_some());
        let abilities = carnet_providers::driver(row.connector.r#type).abilities(&row.connector);
        let keys = match abilities.signs {
            Some(_) => self.connector_keys(&row.connector).await?,
            None => ConnectorKeys::default(),
        };
        let triggers = Kept {
            setting: triggers::of_connector(&self.db, team, row.connector.id).await?,
            destinations: destinations::of_connector(&self.db, team, row.connector.id).await?,
        };
        let consent_rules = consent_rules::of_connector(&self.db, team, row.connector.id).await?;
        let app =
            if row.connector.managed { self.app_for(team, &row.connector.service).await? } else { None };
        let app = app.filter(|app| self.is_made_from(&row.connector, app));
        let of_a_driver = row.connector.r#type != ConnectorType::Oauth;
        let adds_scopes =
            of_a_driver || self.entry_of(&row.connector).is_some_and(|known| !known.hosts.is_empty());
        let entry = Arc::new(Entry {
            redirect_uri: self.redirect_now(&row.connector),
            app,
            adds_scopes,
            installations,
            ended,
            consent_rules,
            triggers,
            abilities,
            keys,
            links: links.into_iter().map(|link| (link.project, link.environments)).collect(),
            row,
            revision,
        });
        self.directory.entries.insert(key, entry.clone());
        Ok(Some(entry))
    }

    /// What a driver may touch for a connector.
    pub(crate) fn at<'a>(&'a self, entry: &'a Entry, secrets: &'a ConnectorSecrets) -> At<'a> {
        let signer = entry.keys.signing(self.env.now()).map(|key| key as &dyn Signer);
        let redirect_uri = entry.redirect_uri.as_deref().unwrap_or_default();
        At { signer, redirect_uri, ..self.at_connector(&entry.row.connector, secrets) }
    }

    /// The same, for a connector that is not in the store yet, or no longer, and signs nothing.
    pub(crate) fn at_connector<'a>(
        &'a self,
        connector: &'a Connector,
        secrets: &'a ConnectorSecrets,
    ) -> At<'a> {
        At {
            connector,
            secrets,
            redirect_uri: connector.redirect_uri.as_deref().unwrap_or_default(),
            http: &self.egress,
            env: &self.env,
            signer: None,
        }
    }

    /// The team of a connector, if this process has looked for it: nothing is read.
    pub(crate) fn known_team(&self, connector: Id<kind::Connector>) -> Option<Id<kind::Team>> {
        self.directory.teams.get(&connector)
    }

    /// The team of a connector, for those who ask without being a caller of any team: readers of public keys.
    pub(crate) async fn team_of(
        &self,
        connector: Id<kind::Connector>,
    ) -> Result<Option<Id<kind::Team>>, DbError> {
        if let Some(team) = self.directory.teams.get(&connector) {
            return Ok(Some(team));
        }
        let team = connectors::team_of(&self.db, connector).await?;
        if let Some(team) = team {
            self.directory.teams.insert(connector, team);
        }
        Ok(team)
    }
}

fn is_called(installation: &Installation, name: &str) -> bool {
    installation.id.to_string() == name || installation.external_id.as_deref() == Some(name)
}

fn is_at(installation: &Installation, tenant: &str) -> bool {
    installation.tenant_id.as_deref() == Some(tenant)
        || installation.name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(tenant))
}

/// Connectors in memory. A large team has some hundred.
const CAPACITY: usize = 4096;
