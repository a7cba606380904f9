//! What the operator does with applications while the server runs: registers, changes and removes them, and sees which
//! there are. The operator is an owner of the team that set the deployment up.
//!
//! An application is tried with its driver before it is kept, as a connector's configuration is. Its secrets are sealed
//! and shown to nobody; a change of where they would be sent has to bring them along. What the configuration names is
//! shown and not changed here.

mod trial;

use std::collections::{BTreeMap, BTreeSet};

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Code, Fault, Id, Slug, kind};
use carnet_store::managed_apps::{self, ManagedAppRow};
use carnet_store::{DbError, Write, people};
use serde_json::{Map, Value};

use super::view::{ManagedAppView, split};
use super::{IDENTITY, ManagedService, UnfitApp, is_service};
use crate::access_tokens::{refused, standing};
use crate::broker::Broker;
use crate::faults;

/// An application to register.
#[derive(Clone, Default)]
pub struct NewManagedApp {
    /// The service, by its name in the catalog.
    pub service: String,
    /// The driver; that of the connection method, if one is named, else `oauth`.
    pub r#type: Option<String>,
    /// The way of the catalog by which connectors are made from it.
    pub method: Option<String>,
    /// What is filled into the addresses of that way, and said by no team.
    pub params: BTreeMap<String, String>,
    /// Their `data`, secrets included.
    pub data: Map<String, Value>,
    /// The teams that may use it, by identifier or short name; all if left out.
    pub teams: Option<Vec<String>>,
    /// Whether a team that ejects a connector without a client of its own takes it along.
    pub goes_along: bool,
}

/// Which teams may use an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfferedTo {
    /// All of them.
    All,
    /// These, by identifier or short name.
    Only(Vec<String>),
}

/// A change of one.
#[derive(Clone, Default)]
pub struct ManagedAppChange {
    /// Members of `data` in the place of those before, `null` takes one away.
    pub data: Option<Map<String, Value>>,
    /// What is filled into the addresses, in the place of all that was.
    pub params: Option<BTreeMap<String, String>>,
    /// Who may use it from now on.
    pub teams: Option<OfferedTo>,
    /// Whether it goes along.
    pub goes_along: Option<bool>,
    /// Even if connectors stop working by it.
    pub force: bool,
}

impl Broker {
    /// Every application, those of the configuration first.
    pub async fn managed_apps(&self, caller: &Caller) -> Result<Vec<ManagedAppView>, Fault> {
        self.operator(caller, Right::ManagedAppRead).await?;
        let inner = &self.inner;
        let mut all = Vec::new();
        for (service, app) in &inner.apps.configured {
            all.push(self.configured_view(service, app).await?);
        }
        for row in managed_apps::all(&inner.db).await.map_err(faults::store)? {
            all.push(self.stored_view(row).await?);
        }
        Ok(all)
    }

    /// The application that is offered for a service.
    pub async fn managed_app(&self, caller: &Caller, service: &str) -> Result<ManagedAppView, Fault> {
        self.operator(caller, Right::ManagedAppRead).await?;
        match self.inner.apps.configured.get(service) {
            Some(app) => self.configured_view(service, app).await,
            None => self.stored_view(self.registered(service).await?).await,
        }
    }

    /// Registers an application for all teams, or for some.
    pub async fn register_managed_app(
        &self,
        caller: &Caller,
        new: NewManagedApp,
        request: Id<kind::Request>,
    ) -> Result<ManagedAppView, Fault> {
        let member = self.operator(caller, Right::ManagedAppUpdate).await?;
        let inner = &self.inner;
        let service = new.service.trim().to_owned();
        let driver = ManagedService::driver(
            &inner.settings.catalog,
            &service,
            new.r#type.as_deref(),
            new.method.as_deref(),
        );
        let r#type = driver.map_err(unfit)?;
        let params = new.params;
        ManagedService::fits(&inner.settings.catalog, &service, new.method.as_deref(), &params)
            .map_err(unfit)?;
        self.is_not_configured(&service)?;
        if managed_apps::of_service(&inner.db, &service).await.map_err(faults::store)?.is_some() {
            return Err(taken(&service));
        }
        let teams = match &new.teams {
            None => None,
            Some(names) => Some(self.teams_named(names).await?),
        };
        let data: Map<_, _> = new.data.into_iter().filter(|(_, value)| !value.is_null()).collect();
        let now = inner.env.now();
        let mut row = ManagedAppRow {
            service,
            r#type,
            method: new.method,
            params,
            data: Map::new(),
            secrets: Vec::new(),
            teams,
            goes_along: new.goes_along,
            created_at: now,
            updated_at: now,
            created_by: caller.principal(),
            updated_by: caller.principal(),
            version: 1,
        };
        self.try_app(caller, &row, &data).await?;
        let (public, secrets) = split(r#type, data)?;
        row.data = public;
        row.secrets = inner.seal_app(&row, &secrets).map_err(faults::internal)?;
        let event = AuditEvent::of(caller, now, Action::ManagedAppCreate, Some(request))
            .on(&row.service)
            .with("type", r#type.as_str())
            .with("teams", told(row.teams.as_ref()));
        let write = Write::new()
            .steps(standing(member, now))
            .step(managed_apps::insert(&row))
            .event(&inner.env, &event)
            .revises();
        match inner.db.write(write).await {
            Ok(_) => self.stored_view(row).await,
            Err(DbError::Conflict) => Err(taken(&row.service)),
            Err(error) => Err(refused(error)),
        }
    }

    /// Changes one: another secret is another secret for everybody at once.
    pub async fn change_managed_app(
        &self,
        caller: &Caller,
        service: &str,
        change: ManagedAppChange,
        request: Id<kind::Request>,
    ) -> Result<ManagedAppView, Fault> {
        let member = self.operator(caller, Right::ManagedAppUpdate).await?;
        let inner = &self.inner;
        let mut row = self.registered_here(service).await?;
        let mut fields = Vec::new();
        let mut secrets = inner.open_app(&row).map_err(faults::internal)?;
        let mut replaced = false;
        let leads = change.params.as_ref().is_some_and(|params| *params != row.params);
        if let Some(params) = change.params {
            ManagedService::fits(&inner.settings.catalog, service, row.method.as_deref(), &params)
                .map_err(unfit)?;
            // The connectors that are made from it stay where they are: at a server that knows the application no more.
            replaced = params != row.params;
            row.params = params;
            fields.push("params".to_owned());
        }
        if change.data.is_some() || leads {
            let changed = change.data.unwrap_or_default();
            let before = row.data.clone();
            let mut whole = before.clone();
            whole.extend(secrets.clone());
            fields.extend(changed.keys().map(|name| format!("data.{name}")));
            for (name, value) in &changed {
                if value.is_null() {
                    whole.remove(name)
                } else {
                    whole.insert(name.clone(), value.clone())
                };
            }
            let (public, sealed) = split(row.r#type, whole.clone())?;
            // Nobody reads a stored secret back, not even by having it sent to a server of one's own.
            let kept = secrets.keys().find(|name| sealed.contains_key(*name) && !changed.contains_key(*name));
            if let Some(kept) = kept.filter(|_| leads || public != before) {
                return Err(Fault::new(
                    Code::InvalidConnector,
                    format!(
                        "Where the secrets of an application go is decided by the rest of its data: give {kept} in the \
                         same change."
                    ),
                )
                .with("field", format!("data.{kept}")));
            }
            replaced |= IDENTITY.iter().any(|name| before.get(*name) != public.get(*name));
            self.try_app(caller, &row, &whole).await?;
            row.data = public;
            secrets = sealed;
        }
        if let Some(teams) = change.teams {
            row.teams = match teams {
                OfferedTo::All => None,
                OfferedTo::Only(names) => Some(self.teams_named(&names).await?),
            };
            fields.push("teams".to_owned());
        }
        if let Some(goes_along) = change.goes_along {
            row.goes_along = goes_along;
            fields.push("goesAlong".to_owned());
        }
        let used = managed_apps::connectors_of(&inner.db, service).await.map_err(faults::store)?;
        if replaced && used > 0 && !change.force {
            return Err(in_use(service, used, "update", "would not work with another application"));
        }
        let now = inner.env.now();
        row.version += 1;
        row.updated_at = now;
        row.updated_by = caller.principal();
        row.secrets = inner.seal_app(&row, &secrets).map_err(faults::internal)?;
        let event = AuditEvent::of(caller, now, Action::ManagedAppUpdate, Some(request))
            .on(service)
            .with("fields", fields)
            .with("connectors", used);
        let mut write = Write::new().steps(standing(member, now)).step(managed_apps::update(&row));
        if replaced && !change.force {
            write = write.step(managed_apps::has_no_connectors(service));
        }
        let write = self.told_to_all(write, &event, service).await?.revises();
        match inner.db.write(write).await {
            Ok(_) => self.stored_view(row).await,
            Err(error @ DbError::Unmet(2..)) => Err(faults::store(error)),
            Err(error) => Err(refused(error)),
        }
    }

    /// Removes one. Connectors that are made from it stop working, and what was granted to them is kept. How many there
    /// are.
    pub async fn remove_managed_app(
        &self,
        caller: &Caller,
        service: &str,
        force: bool,
        request: Id<kind::Request>,
    ) -> Result<i64, Fault> {
        let member = self.operator(caller, Right::ManagedAppUpdate).await?;
        let inner = &self.inner;
        let row = self.registered_here(service).await?;
        // Where the configuration has another, connectors are made from that one.
        let spares = inner.apps.configured.contains_key(service);
        let used = managed_apps::connectors_of(&inner.db, service).await.map_err(faults::store)?;
        if used > 0 && !force && !spares {
            return Err(in_use(service, used, "remove", "would not work without it"));
        }
        let now = inner.env.now();
        let event = AuditEvent::of(caller, now, Action::ManagedAppDelete, Some(request))
            .on(service)
            .with("type", row.r#type.as_str())
            .with("connectors", used);
        let mut write = Write::new().steps(standing(member, now)).step(managed_apps::delete(service));
        if !force && !spares {
            write = write.step(managed_apps::has_no_connectors(service));
        }
        let write = self.told_to_all(write, &event, service).await?.revises();
        match inner.db.write(write).await {
            Ok(_) => Ok(used),
            Err(error @ DbError::Unmet(2..)) => Err(faults::store(error)),
            Err(error) => Err(refused(error)),
        }
    }

    /// The event, in the log of the operator's team and of every team that has connectors by the application.
    async fn told_to_all(&self, write: Write, event: &AuditEvent, service: &str) -> Result<Write, Fault> {
        let inner = &self.inner;
        let teams = managed_apps::teams_with(&inner.db, service).await.map_err(faults::store)?;
        let mut theirs = event.clone();
        // How many others use it is the operator's to know.
        theirs.detail.remove("connectors");
        let others = teams.into_iter().filter(|team| event.team != Some(*team));
        let write = write.event(&inner.env, event);
        Ok(others.fold(write, |write, team| write.event(&inner.env, &theirs.clone().in_team(team))))
    }

    async fn teams_named(&self, names: &[String]) -> Result<BTreeSet<Id<kind::Team>>, Fault> {
        let db = &self.inner.db;
        let mut teams = BTreeSet::new();
        for name in names {
            let found = match (Id::parse(name), Slug::parse(name)) {
                (Ok(id), _) => people::team(db, id).await,
                (_, Ok(slug)) => people::team_by_slug(db, &slug).await,
                _ => Ok(None),
            };
            let shown: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
            let found = found.map_err(faults::store)?.ok_or_else(|| {
                Fault::new(Code::InvalidRequest, format!("There is no team {shown:?}."))
                    .with("field", "teams")
            })?;
            teams.insert(found.id);
        }
        Ok(teams)
    }

    fn is_not_configured(&self, service: &str) -> Result<(), Fault> {
        if !self.inner.apps.configured.contains_key(service) {
            return Ok(());
        }
        Err(Fault::new(
            Code::Conflict,
            format!(
                "The application for {service} stands in the configuration of this server, under [[managed]]: it is \
                 changed there."
            ),
        )
        .next(format!("carnet managed show {service}"), "to see it"))
    }

    async fn registered(&self, service: &str) -> Result<ManagedAppRow, Fault> {
        // One of the two stores takes no text with a zero in it.
        let found = if is_service(service) {
            managed_apps::of_service(&self.inner.db, service).await.map_err(faults::store)?
        } else {
            None
        };
        found.ok_or_else(|| {
            let name: String = service.chars().filter(|c| !c.is_control()).take(100).collect();
            Fault::new(Code::NotFound, format!("No application is registered here for {name:?}."))
                .next("carnet managed list", "to see those that are")
        })
    }

    /// The one that can be changed here.
    async fn registered_here(&self, service: &str) -> Result<ManagedAppRow, Fault> {
        match self.registered(service).await {
            Err(fault) if fault.code == Code::NotFound => {
                self.is_not_configured(service)?;
                Err(fault)
            }
            found => found,
        }
    }
}

fn unfit(unfit: UnfitApp) -> Fault {
    let field = if unfit.field == "method" { "connectionMethod" } else { unfit.field };
    Fault::new(Code::InvalidRequest, format!("{field} {}.", unfit.why)).with("field", field)
}

fn taken(service: &str) -> Fault {
    Fault::new(Code::Conflict, format!("There is an application for {service} already."))
        .next(format!("carnet managed show {service}"), "to see it")
        .next(format!("carnet managed update {service}"), "to change it")
}

fn in_use(service: &str, connectors: i64, verb: &str, what: &str) -> Fault {
    let number =
        if connectors == 1 { "1 connector is".to_owned() } else { format!("{connectors} connectors are") };
    Fault::new(
        Code::Conflict,
        format!("{number} made from the application for {service}, and {what}; what was granted is kept."),
    )
    .with("connectors", connectors)
    .next(format!("carnet managed {verb} {service} --force"), "to do it all the same")
}

fn told(teams: Option<&BTreeSet<Id<kind::Team>>>) -> Value {
    teams.map_or_else(|| "all".into(), |teams| teams.iter().map(ToString::to_string).collect())
}
