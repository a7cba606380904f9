//! Assisted set-up: an application is registered at the provider in a person's browser, and nothing is copied by hand.
//!
//! 1. Somebody asks for a connector to a service at which that can be done, and brings no client. What was asked for is
//!    written down, and the refusal (`registration_required`) names the page to open.
//! 2. There the same person, signed in, says who will own the application and what it may do. Either the browser then
//!    posts a manifest to the provider and comes back with a code, or the person gives a token with which the provider
//!    makes the application at once; that token is used once and kept nowhere.
//! 3. The application is taken over: the code is redeemed in a tracked task, the owner compared with the one that was
//!    chosen, the connector made with the rights that the person has then, its secrets sealed.
//!
//! State is bound to the browser and works once. A code works once too: where its answer is lost, or the process that
//! redeems it is gone, the application is there and its secrets are not, and the person is told how to go on.

mod interrupted;
mod page;
mod redeem;

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::connector::{Branding, ConnectorType};
use carnet_model::rights::Right;
use carnet_model::{Code, ConnectorRef, Fault, Id, Scopes, Uid, kind};
use carnet_providers::{RegistrationAsk, events_url};
use carnet_store::registrations::{self, Registration, RegistrationState};
use carnet_store::{DbError, Write, connectors};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::broker::Broker;
use crate::cache::sha256;
use crate::connectors::{NewConnectorAsk, TriggerAsk};
use crate::consent::Progress;
use crate::faults;
use crate::triggers::NewDestination;

pub use page::{ProviderForm, RegistrationChoice, RegistrationPage, RegistrationWay};

/// The connector that was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Wish {
    connector: Id<kind::Connector>,
    r#type: String,
    service: String,
    name: Option<String>,
    uid: String,
    method: Option<String>,
    data: Map<String, Value>,
    project: Option<String>,
    environments: Option<Vec<String>>,
    icon: Option<String>,
    background_color: Option<String>,
    accent_color: Option<String>,
    /// The events that are forwarded, where any are to be received; empty for all.
    #[serde(default)]
    events: Option<Vec<String>>,
    #[serde(default)]
    destination: Option<NewDestination>,
}

impl Wish {
    fn kind(&self) -> Option<ConnectorType> {
        ConnectorType::parse(&self.r#type)
    }

    /// `base` is the deployment's own URL: where the provider can reach it, which `quiet` denies, the application sends its
    /// events, whether or not somebody asked for more of them than those that tell of lost access.
    fn ask(&self, (base, quiet): (&str, bool), code: &str, data: Map<String, Value>) -> NewConnectorAsk {
        let events = self.events.clone().or_else(|| self.events_at(base, quiet).map(|_| Vec::new()));
        NewConnectorAsk {
            id: Some(self.connector),
            service: self.service.clone(),
            name: self.name.clone(),
            uid: Some(self.uid.clone()),
            r#type: Some(self.r#type.clone()),
            data,
            method: self.method.clone(),
            target: None,
            params: BTreeMap::new(),
            managed: false,
            project: self.project.clone(),
            environments: self.environments.clone(),
            branding: Branding {
                icon: self.icon.clone(),
                background_color: self.background_color.clone(),
                accent_color: self.accent_color.clone(),
            },
            triggers: events.map(|events| TriggerAsk {
                events,
                signing_secret: None,
                // An application that is there is not lost for want of a secret that can be given later.
                if_possible: true,
            }),
            destination: self.destination.clone(),
            code: Some(code.to_owned()),
        }
    }

    /// Where the provider sends the application's events.
    fn events_at(&self, base: &str, quiet: bool) -> Option<String> {
        events_url(base, self.connector).filter(|_| !quiet)
    }

    /// What the application is to be allowed unless the person says otherwise.
    fn scopes(&self) -> String {
        let named = ["appScopes", "botScopes"].iter().find_map(|name| self.data.get(*name)?.as_array());
        let named: Vec<&str> = named.into_iter().flatten().filter_map(Value::as_str).collect();
        match (named.is_empty(), self.kind()) {
            (false, _) => named.join(" "),
            (true, Some(ConnectorType::Slack)) => "chat:write".to_owned(),
            (true, _) => "contents:read metadata:read".to_owned(),
        }
    }
}

impl Broker {
    /// The driver by which a service is connected with an application that is registered from here; `None` where the
    /// request brings a client, or the service knows no such way.
    pub(crate) fn assisted(&self, ask: &NewConnectorAsk, service: &str) -> Option<ConnectorType> {
        let brings = ask.data.keys().any(|name| !ALLOWED.contains(&name.as_str()));
        if !ask.managed || brings || ask.target.is_some() || !ask.params.is_empty() {
            return None;
        }
        let entry = self.inner.settings.catalog.get(service)?;
        let mut fitting = entry.methods.iter().filter(|method| {
            ask.method.as_ref().is_none_or(|named| method.method.as_str() == named)
                && ask.r#type.as_ref().is_none_or(|named| method.driver.as_str() == named)
        });
        fitting.find(|method| is_assisted(method.driver)).map(|method| method.driver)
    }

    /// Writes down what was asked for. What comes back is the refusal that names the page.
    pub(crate) async fn start_registration(
        &self,
        caller: &Caller,
        ask: &NewConnectorAsk,
        kind: ConnectorType,
        (service, uid): (&str, &Uid),
        request: Id<kind::Request>,
    ) -> Result<Fault, Fault> {
        let inner = &self.inner;
        let (team, now) = (caller.team(), inner.env.now());
        let reference = ConnectorRef::Uid(uid.clone());
        if connectors::find(&inner.db, team, &reference).await.map_err(faults::store)?.is_some() {
            return Err(Fault::new(
                Code::Conflict,
                format!("There is a connector {uid} in this team already."),
            )
            .next(format!("carnet show {uid}"), "to see it, or choose another name"));
        }
        let (code, verifier) = if let Some(code) = &ask.code {
            (code.clone(), None)
        } else {
            let verifier = URL_SAFE_NO_PAD.encode(inner.env.bytes::<37>());
            (URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes())), Some(verifier))
        };
        let before = registrations::by_code(&inner.db, team, &code).await.map_err(faults::store)?;
        if let Some(before) = before.filter(|before| before.state != RegistrationState::Done) {
            return Ok(self.page_to_open(&before, service, None).recorded());
        }
        let wish = Wish {
            connector: inner.env.id(),
            r#type: kind.as_str().to_owned(),
            service: service.to_owned(),
            name: ask.name.clone(),
            uid: uid.to_string(),
            method: ask.method.clone(),
            data: ask.data.clone(),
            project: ask.project.clone(),
            environments: ask.environments.clone(),
            icon: ask.branding.icon.clone(),
            background_color: ask.branding.background_color.clone(),
            accent_color: ask.branding.accent_color.clone(),
            events: ask.triggers.as_ref().map(|wanted| wanted.events.clone()),
            destination: ask.destination.clone(),
        };
        let registration = Registration {
            id: inner.env.id(),
            team,
            requested_by: caller.principal(),
            service: service.to_owned(),
            ask: serde_json::to_value(&wish).map_err(faults::internal)?,
            code,
            state: RegistrationState::Open,
            browser_digest: None,
            chosen: None,
            connector: None,
            error: None,
            updated_at: now,
            expires_at: now.plus(LIFE),
        };
        let event = AuditEvent::of(caller, now, Action::RegistrationStart, Some(request))
            .on(registration.id)
            .with("service", service.to_owned())
            .with("uid", uid.as_str());
        let write = Write::new().step(registrations::insert(&registration)).event(&inner.env, &event);
        match inner.db.write(write).await {
            Ok(_) => Ok(self.page_to_open(&registration, service, verifier).recorded()),
            // The same create came twice at the same moment.
            Err(DbError::Conflict) => {
                let code = &registration.code;
                let other = registrations::by_code(&inner.db, team, code).await.map_err(faults::store)?;
                let other = other.ok_or_else(|| faults::store(DbError::Conflict))?;
                Ok(self.page_to_open(&other, service, None).recorded())
            }
            Err(error) => Err(faults::store(error)),
        }
    }

    fn page_to_open(&self, registration: &Registration, service: &str, verifier: Option<String>) -> Fault {
        let url = format!("{}/register/{}", self.inner.settings.base(), registration.id);
        let fault = Fault::new(
            Code::RegistrationRequired,
            format!("An application has to be registered at {service} first; a page does it with you."),
        )
        .with("registerUrl", url.clone())
        .with("expiresAt", registration.expires_at.millis())
        .next(url, "to register it, in a browser where you are signed in here")
        .next(
            format!("carnet create {service} --name NAME --data @file.json"),
            "with an application that you registered yourself",
        );
        match verifier {
            Some(verifier) => fault.with("verifier", verifier),
            None => fault,
        }
    }

    /// How far the registration under this code is.
    pub(crate) async fn registration_progress(
        &self,
        caller: &Caller,
        verifier: &str,
    ) -> Result<Option<Progress>, Fault> {
        let code = URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()));
        let found = registrations::by_code(&self.inner.db, caller.team(), &code).await;
        let Some(found) = found.map_err(faults::store)? else { return Ok(None) };
        Ok(Some(match (found.connector, found.error) {
            (Some(connector), _) => Progress::Success { connector, installation: None },
            (None, Some((code, _))) if code == CANCELED => Progress::Canceled,
            (None, Some((code, message))) => Progress::Error { code, message },
            (None, None) if found.expires_at <= self.inner.env.now() => Progress::Error {
                code: "expired_token".to_owned(),
                message: "The registration has expired; ask for the connector again.".to_owned(),
            },
            (None, None) => Progress::Pending,
        }))
    }

    async fn take(&self, registration: &Registration, from: RegistrationState) -> Result<(), Fault> {
        let now = self.inner.env.now();
        match self.inner.db.write(Write::new().step(registrations::take(registration, from, now))).await {
            Ok(_) => Ok(()),
            Err(DbError::Unmet(_)) => Err(over(&registration.service)),
            Err(error) => Err(faults::store(error)),
        }
    }

    async fn registration_of(&self, id: &str) -> Result<Registration, Fault> {
        let id = Id::parse(id).map_err(|_| unknown())?;
        registrations::find(&self.inner.db, id).await.map_err(faults::store)?.ok_or_else(unknown)
    }

    /// A registration that the caller asked for and may still go on with.
    async fn open_registration(&self, caller: &Caller, id: &str) -> Result<(Registration, Wish), Fault> {
        self.may(caller, Right::ConnectorCreate)?;
        let registration = self.registration_of(id).await?;
        if !is_whose(&registration, caller) {
            return Err(unknown());
        }
        let ended = matches!(registration.state, RegistrationState::Redeeming | RegistrationState::Done);
        if ended || registration.expires_at <= self.inner.env.now() {
            return Err(over(&registration.service));
        }
        let wish = serde_json::from_value(registration.ask.clone()).map_err(faults::internal)?;
        Ok((registration, wish))
    }

    /// What will be registered at the provider: the address of the connector that is not made yet.
    fn redirect_of(&self, wish: &Wish) -> String {
        format!("{}/callback/{}", self.inner.settings.base(), wish.connector)
    }
}

/// The end of one that its person does not want.
const CANCELED: &str = "canceled";

/// Whether applications of this kind are registered from here.
pub(crate) fn is_assisted(kind: ConnectorType) -> bool {
    let none = Scopes::empty();
    let ask = RegistrationAsk {
        name: "x",
        owner: None,
        scopes: &none,
        shared: false,
        home: "",
        redirect_uri: "",
        events: None,
        back: "",
        state: "",
    };
    matches!(carnet_providers::driver(kind).registration(&ask), Ok(Some(_)))
}

/// The team comes from the caller; a registration is its asker's alone.
fn is_whose(registration: &Registration, caller: &Caller) -> bool {
    registration.team == caller.team() && registration.requested_by == caller.principal()
}

fn scopes_of(text: &str) -> Result<Scopes, Fault> {
    let names = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|name| !name.is_empty());
    let bad = |why: String| Fault::new(Code::InvalidRequest, why).with("field", "scopes");
    let scopes = Scopes::parse(names).map_err(|error| bad(format!("{error}.")))?;
    if scopes.is_empty() { Err(bad("Say what the application may do.".to_owned())) } else { Ok(scopes) }
}

fn chosen_badly(bad: carnet_providers::BadConfiguration) -> Fault {
    Fault::new(Code::InvalidRequest, format!("{} {}.", bad.field, bad.why.trim_end_matches('.')))
        .with("field", bad.field)
}

/// There is none, or it is somebody else's: the same words for both.
fn unknown() -> Fault {
    Fault::new(Code::NotFound, "There is no registration under this link that you began, in this browser.")
        .next("carnet create SERVICE --name NAME", "to begin one")
}

fn over(service: &str) -> Fault {
    Fault::new(
        Code::Gone,
        format!("This registration at {service} is over: it was used, or its hour has passed."),
    )
    .next(format!("carnet create {service} --name NAME"), "to begin anew")
}

/// As long as the provider's code lives ("within one hour").
const LIFE: Duration = Duration::from_hours(1);
/// What may be said of an application before there is one.
const ALLOWED: [&str; 4] = ["appScopes", "botScopes", "userScopes", "slackTeam"];
