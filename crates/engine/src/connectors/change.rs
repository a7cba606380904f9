//! Changing a connector: its name, its looks, its configuration. Secrets stay with the servers that they were given for.

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::connector::{Connector, ConnectorType};
use carnet_model::rights::Right;
use carnet_model::{Code, Fault, Id, Uid, kind};
use carnet_providers::{Accepted, ConnectorSecrets, NewConnector, is_same_resource};
use carnet_store::connectors::{self, ConnectorRow};
use carnet_store::{DbError, Write, grants, pictures};
use serde_json::{Map, Value};

use super::another_client::Left;
use super::branding::check_branding;
use super::{ConnectorView, ServiceSync, called, none_has_ended, not_accepted, taken, view};
use crate::broker::Broker;
use crate::connector_keys::KeyChange;
use crate::directory::Entry;
use crate::faults;
use crate::managed::is_same_client;

/// A change of how a connector looks and is called.
#[derive(Clone, Debug, Default)]
pub struct ConnectorChange {
    /// What people call it.
    pub name: Option<String>,
    /// Its UID.
    pub uid: Option<String>,
    /// Another configuration: the members named here replace those before, `null` removes one.
    pub data: Option<Map<String, Value>>,
    /// SHA-1 of an uploaded picture.
    pub icon: Option<String>,
    /// `#RRGGBB`
    pub background_color: Option<String>,
    /// `#RRGGBB`
    pub accent_color: Option<String>,
    /// That its client is from now on the team's own business.
    pub own: bool,
}

/// What a change came to.
#[derive(Clone, Debug)]
pub struct ConnectorUpdated {
    /// The connector as it is now.
    pub connector: ConnectorView,
    /// What became of the provider's own record of the client; `None` where it has none.
    pub sync: Option<ServiceSync>,
    /// Whether people who consented before have to do so again, because what they gave does not cover the scopes that
    /// the connector asks for now, or was given to another client.
    pub reconsent: bool,
    /// Whether the application has to be installed again, because it is another one.
    pub reinstall: bool,
    /// How many grants ended because they were given to another client.
    pub grants_ended: usize,
}

/// How a change is told in the audit log, and whether the provider is told even if nothing differs.
pub(super) struct Told {
    pub(super) action: Action,
    pub(super) members: Vec<String>,
    pub(super) renew: bool,
}

impl Broker {
    /// Changes a connector, and tells the provider what it has to know.
    pub async fn update_connector(
        &self,
        caller: &Caller,
        name: &str,
        change: ConnectorChange,
        request: Id<kind::Request>,
    ) -> Result<ConnectorUpdated, Fault> {
        let told = Told { action: Action::ConnectorUpdate, members: Vec::new(), renew: false };
        self.change_connector(caller, name, change, request, told).await
    }

    /// The same, in a task that goes on if the caller hangs up: what a provider answers is kept.
    pub(super) async fn change_connector(
        &self,
        caller: &Caller,
        name: &str,
        change: ConnectorChange,
        request: Id<kind::Request>,
        told: Told,
    ) -> Result<ConnectorUpdated, Fault> {
        let (broker, caller, name) = (self.clone(), caller.clone(), name.to_owned());
        let work = self.track(async move {
            let renew = told.renew;
            let (before, row, left) = broker.write_change(&caller, &name, change, request, told).await?;
            let (row, sync) = broker.tell_of_change(&caller, &before, row, request, renew).await?;
            let connector = broker.with_triggers(view(row.connector)).await?;
            let reconsent = left.has_people() || broker.asks_people_for_more(before, &connector).await?;
            Ok(ConnectorUpdated {
                sync: left.said(connector.connector.uid.as_str(), sync),
                connector,
                reconsent,
                reinstall: left.is_installed(),
                grants_ended: left.grants(),
            })
        });
        work.await.map_err(faults::internal)?
    }

    async fn write_change(
        &self,
        caller: &Caller,
        name: &str,
        change: ConnectorChange,
        request: Id<kind::Request>,
        told: Told,
    ) -> Result<(Connector, ConnectorRow, Left), Fault> {
        let entry = self.managed(caller, name, Right::ConnectorUpdate).await?;
        let inner = &self.inner;
        let mut row = entry.row.clone();
        // Of the operator's application a team has nothing to put back into a configuration of its own.
        let secrets = inner.own_secrets(&entry).map_err(faults::internal)?;
        let leaves = row.connector.managed && change.data.is_some();
        let names_client = change.data.as_ref().is_some_and(|changed| changed.contains_key("clientId"));
        if leaves && !change.own && !names_client {
            return Err(Self::is_the_operators(&row.connector));
        }
        let along = match &change.data {
            None if change.own => Some(self.take_along(&entry)?),
            _ => None,
        };
        let now = inner.env.now();
        let mut fields = dress(&mut row.connector, &change)?;
        if let Some(moved) = inner.redirect_moved(&row.connector) {
            row.connector.redirect_uri = Some(moved);
            fields.push("redirectUri");
        }
        if change.icon.is_some() {
            row.connector.branding = self.branding(row.connector.team, row.connector.branding).await?;
        }
        if change.own {
            row.connector.managed = false;
            fields.push("managed");
        }
        row.connector.version += 1;
        row.connector.updated_at = now;
        row.connector.updated_by = caller.principal();
        let mut outlasts = false;
        let mut beside = None;
        row.secrets = match &change.data {
            None => inner.seal_connector(&row.connector, along.as_ref().unwrap_or(&secrets)),
            Some(changed) => {
                fields.push("data");
                let before = if leaves {
                    let data = without_app(row.connector.r#type, row.connector.data.clone());
                    Connector { data, ..row.connector.clone() }
                } else {
                    row.connector.clone()
                };
                let accepted = self.reconfigured(&entry, &before, &secrets, changed).await?;
                if leaves || accepted.data.get("clientId") != row.connector.data.get("clientId") {
                    // With a client of its own it is not the operator's any more.
                    row.connector.managed = false;
                } else {
                    beside = inner
                        .kept_beside(&entry, &secrets, &accepted.secrets, now)
                        .map_err(faults::internal)?;
                }
                row.connector.data = accepted.data;
                row.connector.redirect_uri = accepted.redirect_uri;
                outlasts = secrets.outlast(changed, &accepted.secrets);
                inner.seal_connector(&row.connector, &accepted.secrets)
            }
        }
        .map_err(faults::internal)?;
        let strangers = self.new_recipients(&entry, &row.connector);
        if let Some(stranger) = strangers.first().filter(|_| outlasts) {
            // Nobody reads a stored secret back, not even by having it sent to a server of one's own.
            return Err(Fault::new(
                Code::InvalidConnector,
                format!(
                    "The change would send the stored secrets of {} to {stranger}. Give the secrets for that server \
                     in the same change.",
                    row.connector.uid
                ),
            )
            .with("field", "data"));
        }
        let mut event = AuditEvent::of(caller, now, told.action, Some(request))
            .on(row.connector.id)
            .with("fields", fields);
        if !told.members.is_empty() {
            event = event.with("members", told.members);
        }
        let left = self.left_behind(&entry, &row.connector.data).await?;
        if left.is_installed() {
            row.connector.default_installation = None;
            event = event.with("installationsEnded", left.installations());
        }
        if left.grants() > 0 {
            event = event.with("grantsEnded", left.grants());
        }
        let mut write = Write::new().step(connectors::update(&row)).event(&inner.env, &event).revises();
        // What people granted at one server is not presented to another, nor for what nobody consented to. A developer's own
        // server may move, though: its port changes. Looked at behind the update, which a grant that is being recorded waits
        // for or makes wait.
        let meant_elsewhere = target_that_differs(&entry.row.connector, &row.connector.data);
        let moves = if strangers.is_empty() {
            meant_elsewhere.is_some() || is_another_issuer(&entry.row.connector.data, &row.connector.data)
        } else {
            !inner.settings.development
        };
        if moves {
            write = write.step(grants::none_left(row.connector.team, row.connector.id));
        }
        write = write.steps(left.steps(&entry, now)).steps(beside);
        let mut parked = Vec::new();
        if moves || !is_same_client(&entry.row.connector.data, &row.connector.data) {
            let left = self.requests_left_behind(&entry, moves, now).await.map_err(faults::store)?;
            (write, parked) = (write.steps(left.0), left.1);
        }
        if change.data.is_some() {
            // Made by another configuration.
            write =
                write.step(carnet_store::minted::delete_of_connector(row.connector.team, row.connector.id));
            if entry.driver().idle(&row.connector) != entry.idle() {
                write = write.step(grants::consider(row.connector.team, row.connector.id, now));
            }
            let change = KeyChange { caller, request, connector: &row.connector };
            let signs = entry.driver().abilities(&row.connector).signs;
            write = self.changed_key(write, &change, &entry, signs, !strangers.is_empty()).await?;
        }
        if let Some(icon) = row.connector.branding.icon.as_ref().filter(|_| change.icon.is_some()) {
            write = write.step(pictures::still_there(row.connector.team, icon));
        }
        match inner.db.write(write).await {
            Ok(_) => {
                self.tell_left_behind(&entry, &left, now);
                self.give_parked_back(entry.clone(), parked);
                Ok((entry.row.connector.clone(), row, left))
            }
            Err(DbError::Unmet(1)) if moves => Err(is_granted(&row.connector.uid, meant_elsewhere)),
            Err(DbError::Conflict) => Err(taken(&row.connector.uid)),
            Err(error) => Err(faults::store(error)),
        }
    }

    /// What the driver makes of the present configuration with these members in the place of those before.
    async fn reconfigured(
        &self,
        entry: &Entry,
        connector: &Connector,
        secrets: &ConnectorSecrets,
        changed: &Map<String, Value>,
    ) -> Result<Accepted, Fault> {
        let inner = &self.inner;
        none_has_ended(connector.r#type, changed, inner.env.now())?;
        let mut data = connector.data.clone();
        secrets.put_back(&mut data, changed);
        // What was given in confidence to others is not shown to a server that the change names.
        let known = entry.driver().recipients(&entry.row.connector);
        let is_put_back = data != connector.data;
        for (name, value) in changed {
            if value.is_null() {
                data.remove(name)
            } else {
                data.insert(name.clone(), value.clone())
            };
        }
        super::server::unpin(&connector.data, changed, &mut data)?;
        let ask = NewConnector {
            service: &connector.service,
            address: None,
            name: &connector.name,
            data,
            http: &inner.egress,
            env: &inner.env,
            tenant: connector.team,
            callback_base: inner.settings.base(),
            connector: connector.id,
            icon: connector.branding.icon.as_deref(),
            client_document: &self.client_document_url(connector.team, connector.id),
            // Of an application that there is nothing is set up at its provider.
            events: None,
            known: is_put_back.then_some(&known),
        };
        entry.driver().accept(ask).await.map_err(not_accepted)
    }

    /// Whether the connector asks people for scopes that it did not ask for `before`, and somebody has consented.
    async fn asks_people_for_more(&self, before: Connector, now: &ConnectorView) -> Result<bool, Fault> {
        let scopes = |view: &ConnectorView| view.abilities.user.as_ref().map(|user| user.scopes.clone());
        let (before, after) = (scopes(&view(before)).unwrap_or_default(), scopes(now).unwrap_or_default());
        if after.iter().all(|scope| before.iter().any(|known| known == scope)) {
            return Ok(false);
        }
        let Connector { team, id, .. } = now.connector;
        let some = grants::of_connector(&self.inner.db, team, id, None, 1).await.map_err(faults::store)?;
        Ok(!some.is_empty())
    }

    /// Whether a change takes what people granted to another server, or to something else at the same one.
    pub(crate) fn takes_elsewhere(&self, entry: &Entry, changed: &Connector) -> bool {
        let before = &entry.row.connector;
        !self.new_recipients(entry, changed).is_empty()
            || is_another_issuer(&before.data, &changed.data)
            || target_that_differs(before, &changed.data).is_some()
    }

    /// The origins that would be sent secrets after a change and were not before.
    pub(crate) fn new_recipients(&self, entry: &Entry, changed: &Connector) -> Vec<String> {
        let before = entry.driver().recipients(&entry.row.connector);
        entry.driver().recipients(changed).difference(&before).cloned().collect()
    }
}

/// Whether what is configured is another issuer than before: one origin can have many, a realm or a tenant each.
fn is_another_issuer(before: &Map<String, Value>, after: &Map<String, Value>) -> bool {
    let issuer = |data: &Map<String, Value>| {
        data.get("serverConfig").and_then(|server| server.get("issuer")?.as_str()).map(str::to_owned)
    };
    issuer(before).zip(issuer(after)).is_some_and(|(before, after)| before != after)
}

/// Which member says that tokens are for something else than before: what a connector is for by itself is not asked of a
/// grant when a token is wanted ([`crate::issue`]), so it is what people consented to for as long as there are grants.
fn target_that_differs(before: &Connector, after: &Map<String, Value>) -> Option<&'static str> {
    if before.r#type != ConnectorType::Oauth {
        return None;
    }
    let text =
        |data: &Map<String, Value>, name: &str| data.get(name).and_then(Value::as_str).map(str::to_owned);
    let (resource, audience) = ("resource", "defaultAudience");
    let is_same = match (text(&before.data, resource), text(after, resource)) {
        (Some(before), Some(after)) => is_same_resource(&before, &after),
        (before, after) => before == after,
    };
    if !is_same {
        return Some(resource);
    }
    (text(&before.data, audience) != text(after, audience)).then_some(audience)
}

/// There are grants, and the change would take them to another server, or to something else at the same one.
fn is_granted(uid: &Uid, meant_elsewhere: Option<&'static str>) -> Fault {
    let (what, field) = match meant_elsewhere {
        Some(member) => (
            format!(
                "People granted access to {uid} for its present {member}, and nobody consented to another one."
            ),
            format!("data.{member}"),
        ),
        None => (
            format!(
                "People granted access to {uid} at its present server, and that is not taken to another one."
            ),
            "data".to_owned(),
        ),
    };
    Fault::new(Code::Conflict, what)
        .with("field", field)
        .next(format!("carnet revoke-tokens {uid} --all-tokens"), "to end what was granted; then change it")
        .next("carnet create --help", "to make another connector beside it")
}

/// The public configuration without what is of the operator's application: of a driver for one provider, all but the
/// scopes; of the others, the client alone.
fn without_app(r#type: ConnectorType, data: Map<String, Value>) -> Map<String, Value> {
    let stays = |name: &str| match r#type {
        ConnectorType::Oauth => !matches!(name, "clientId" | "clientSecret"),
        _ => name.ends_with("Scopes"),
    };
    data.into_iter().filter(|(name, _)| stays(name)).collect()
}

/// Names and looks as the change says, and which members that were.
fn dress(connector: &mut Connector, change: &ConnectorChange) -> Result<Vec<&'static str>, Fault> {
    let mut fields = Vec::new();
    if let Some(name) = &change.name {
        called(name)?.clone_into(&mut connector.name);
        fields.push("name");
    }
    if let Some(uid) = &change.uid {
        connector.uid = Uid::chosen(uid)
            .map_err(|error| Fault::new(Code::InvalidRequest, format!("{error}.")).with("field", "uid"))?;
        fields.push("uid");
    }
    for (field, from, to) in [
        ("icon", &change.icon, &mut connector.branding.icon),
        ("backgroundColor", &change.background_color, &mut connector.branding.background_color),
        ("accentColor", &change.accent_color, &mut connector.branding.accent_color),
    ] {
        if let Some(value) = from {
            *to = Some(value.clone()).filter(|value| !value.is_empty());
            fields.push(field);
        }
    }
    check_branding(&connector.branding)?;
    Ok(fields)
}
