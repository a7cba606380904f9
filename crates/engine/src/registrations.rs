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
//! State is bound to the browser and works once. A code works once too: where its answer is lost, the application is
//! there and its secrets are not, and the person is told how to go on.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::caller::Caller;
use carnet_model::connector::{Branding, ConnectorType};
use carnet_model::rights::Right;
use carnet_model::{Code, ConnectorRef, Fault, Id, Scopes, SecretString, Uid, kind};
use carnet_providers::{CallbackFault, DriverError, Redeem, Redeemed, RegistrationAsk};
use carnet_store::registrations::{self, Registration, RegistrationState};
use carnet_store::{DbError, Write, connectors};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;
use url::Url;

use crate::broker::Broker;
use crate::cache::sha256;
use crate::connectors::{ConnectorView, NewConnectorAsk};
use crate::consent::{Progress, hex};
use crate::faults;

/// What the page of a registration shows.
#[derive(Clone, Debug)]
pub struct RegistrationPage {
    /// The registration.
    pub id: Id<kind::Registration>,
    /// The team that will own the connector, by name.
    pub team: String,
    /// The service in words.
    pub service: String,
    /// The UID that the connector will have.
    pub uid: String,
    /// What the application could be called.
    pub name: String,
    /// What it could be allowed, with spaces between.
    pub scopes: String,
    /// How it is registered.
    pub way: RegistrationWay,
}

/// How an application is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationWay {
    /// At the provider, in the browser; an organization can own it.
    Form,
    /// With a token of the person's.
    Token {
        /// Where one is had.
        tokens: Url,
        /// Where the application can be made by hand.
        by_hand: Url,
    },
}

/// What a person chose.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RegistrationChoice {
    /// What the application is called.
    pub name: String,
    /// The organization that owns it; the person if it is empty.
    pub owner: String,
    /// What it may do, with spaces or commas between.
    pub scopes: String,
}

/// A form that the browser posts to the provider.
#[derive(Clone, Debug)]
pub struct ProviderForm {
    /// Where to.
    pub to: Url,
    /// Names and values.
    pub fields: Vec<(&'static str, String)>,
}

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
}

impl Wish {
    fn kind(&self) -> Option<ConnectorType> {
        ConnectorType::parse(&self.r#type)
    }

    fn ask(&self, code: &str, data: Map<String, Value>) -> NewConnectorAsk {
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
            code: Some(code.to_owned()),
        }
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
            (None, Some((code, message))) => Progress::Error { code, message },
            (None, None) if found.expires_at <= self.inner.env.now() => Progress::Error {
                code: "expired_token".to_owned(),
                message: "The registration has expired; ask for the connector again.".to_owned(),
            },
            (None, None) => Progress::Pending,
        }))
    }

    /// The team for which an application is registered, for whoever has the link and signs in: all else is told to that
    /// team's member alone.
    pub async fn registration_team(&self, id: &str) -> Result<Id<kind::Team>, Fault> {
        Ok(self.registration_of(id).await?.team)
    }

    /// What whoever has nothing to do with a registration is told.
    pub fn no_registration(&self) -> Fault {
        unknown()
    }

    /// The page of a registration, for the person who asked for the connector.
    pub async fn registration_page(&self, caller: &Caller, id: &str) -> Result<RegistrationPage, Fault> {
        let (registration, wish) = self.open_registration(caller, id).await?;
        let kind = wish.kind().ok_or_else(|| over(&registration.service))?;
        let team = self.team(registration.team).await?;
        let scopes = wish.scopes();
        let name: String = format!("{} {}", team.name, wish.uid.rsplit('/').next().unwrap_or_default())
            .chars()
            .filter(|c| !c.is_control())
            .take(34)
            .collect();
        let parsed = Scopes::parse(scopes.split_whitespace()).unwrap_or_default();
        let redirect_uri = self.redirect_of(&wish);
        let ask = RegistrationAsk {
            name: name.trim(),
            owner: None,
            scopes: &parsed,
            home: self.inner.settings.base(),
            redirect_uri: &redirect_uri,
            back: "",
            state: "",
        };
        let way = match carnet_providers::driver(kind).registration(&ask).map_err(chosen_badly)? {
            Some(carnet_providers::Registration::Form { .. }) => RegistrationWay::Form,
            Some(carnet_providers::Registration::Token { tokens, by_hand }) => {
                RegistrationWay::Token { tokens, by_hand }
            }
            None => return Err(over(&registration.service)),
        };
        let entry = self.inner.settings.catalog.get(&registration.service);
        Ok(RegistrationPage {
            id: registration.id,
            team: team.name,
            service: entry.map_or_else(|| registration.service.clone(), |entry| entry.name.to_string()),
            uid: wish.uid,
            name: name.trim().to_owned(),
            scopes,
            way,
        })
    }

    /// The form with which this browser goes to the provider.
    pub async fn registration_form(
        &self,
        caller: &Caller,
        id: &str,
        browser: &SecretString,
        choice: &RegistrationChoice,
    ) -> Result<ProviderForm, Fault> {
        let inner = &self.inner;
        let (registration, wish) = self.open_registration(caller, id).await?;
        let kind = wish.kind().ok_or_else(|| over(&registration.service))?;
        let state = hex(&inner.env.bytes::<32>());
        let scopes = scopes_of(&choice.scopes)?;
        let (redirect_uri, back) =
            (self.redirect_of(&wish), format!("{}/register/callback", inner.settings.base()));
        let owner = Some(choice.owner.trim()).filter(|owner| !owner.is_empty());
        let ask = RegistrationAsk {
            name: &choice.name,
            owner,
            scopes: &scopes,
            home: inner.settings.base(),
            redirect_uri: &redirect_uri,
            back: &back,
            state: &state,
        };
        let made = carnet_providers::driver(kind).registration(&ask).map_err(chosen_badly)?;
        let Some(carnet_providers::Registration::Form { to, fields }) = made else {
            return Err(over(&registration.service));
        };
        let chosen = serde_json::to_value(choice).map_err(faults::internal)?;
        let now = inner.env.now();
        let (state, browser) = (sha256(state.as_bytes()), sha256(browser.expose().as_bytes()));
        let write = Write::new().step(registrations::send(&registration, state, browser, &chosen, now));
        match inner.db.write(write).await {
            Ok(_) => Ok(ProviderForm { to: inner.egress.reroute(&to), fields }),
            Err(DbError::Unmet(_)) => Err(over(&registration.service)),
            Err(error) => Err(faults::store(error)),
        }
    }

    /// The browser came back from the provider. The connector, when it is made.
    pub async fn registration_callback(
        &self,
        caller: &Caller,
        params: &[(String, String)],
        browser: Option<&SecretString>,
        request: Id<kind::Request>,
    ) -> Result<ConnectorView, Fault> {
        let inner = &self.inner;
        let one = |name: &str| {
            let mut all = params.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
            all.next().filter(|_| all.next().is_none())
        };
        let state = one("state").ok_or_else(unknown)?;
        let found =
            registrations::by_state(&inner.db, sha256(state.as_bytes())).await.map_err(faults::store)?;
        let registration = found.filter(|found| is_whose(found, caller)).ok_or_else(unknown)?;
        let bound = registration.browser_digest.zip(browser).is_some_and(|(bound, browser)| {
            carnet_vault::equal(&bound, &sha256(browser.expose().as_bytes()))
        });
        if !bound {
            return Err(unknown());
        }
        if let Some(connector) = registration.connector {
            // The browser was reloaded.
            return self.connector(caller, &connector.to_string(), request).await;
        }
        if registration.state != RegistrationState::Sent {
            return Err(over(&registration.service));
        }
        let code = one("code").ok_or_else(|| {
            Fault::new(
                Code::InvalidRequest,
                format!(
                    "{} sent you back without an application. Nothing was made; try once more.",
                    registration.service
                ),
            )
        })?;
        let code = code.to_owned();
        self.take(&registration, RegistrationState::Sent).await?;
        let (broker, caller) = (self.clone(), caller.clone());
        let work =
            self.track(async move { broker.take_over_app(&caller, &registration, &code, request).await });
        work.await.map_err(faults::internal)?
    }

    /// Has the provider make the application with a token of the person's, which is kept nowhere.
    pub async fn register_with_token(
        &self,
        caller: &Caller,
        id: &str,
        choice: &RegistrationChoice,
        token: &SecretString,
        request: Id<kind::Request>,
    ) -> Result<ConnectorView, Fault> {
        let (registration, wish) = self.open_registration(caller, id).await?;
        let scopes = scopes_of(&choice.scopes)?;
        self.take(&registration, registration.state).await?;
        let mut data = wish.data.clone();
        data.insert("botScopes".to_owned(), serde_json::to_value(&scopes).map_err(faults::internal)?);
        data.insert("appName".to_owned(), choice.name.trim().into());
        data.insert("configurationToken".to_owned(), token.expose().trim().into());
        let ask = wish.ask(&registration.code, data);
        match self.create_connector(caller, ask, request).await {
            Ok(made) => {
                self.end_registration(&registration, Ok(made.connector.id)).await?;
                Ok(made)
            }
            Err(fault) => {
                // Nothing was made, or the person is told to look; either way another try is another application.
                let now = self.inner.env.now();
                let write = Write::new().step(registrations::reopen(&registration, now));
                self.inner.db.write(write).await.map_err(faults::store)?;
                Err(fault)
            }
        }
    }

    async fn take_over_app(
        &self,
        caller: &Caller,
        registration: &Registration,
        code: &str,
        request: Id<kind::Request>,
    ) -> Result<ConnectorView, Fault> {
        let wish: Wish = serde_json::from_value(registration.ask.clone()).map_err(faults::internal)?;
        let choice: RegistrationChoice = registration
            .chosen
            .clone()
            .and_then(|chosen| serde_json::from_value(chosen).ok())
            .unwrap_or_default();
        let made = match self.redeemed(registration, &wish, &choice, code).await {
            Ok(redeemed) => {
                let mut data = wish.data.clone();
                data.extend(redeemed.data);
                self.create_connector(caller, wish.ask(&registration.code, data), request).await
            }
            Err(fault) => Err(fault),
        };
        match made {
            Ok(made) => {
                self.end_registration(registration, Ok(made.connector.id)).await?;
                Ok(made)
            }
            Err(fault) => {
                self.end_registration(registration, Err(&fault)).await?;
                Err(fault)
            }
        }
    }

    /// What the provider gave for the code, if it is what was asked for.
    async fn redeemed(
        &self,
        registration: &Registration,
        wish: &Wish,
        choice: &RegistrationChoice,
        code: &str,
    ) -> Result<Redeemed, Fault> {
        let inner = &self.inner;
        let service = &registration.service;
        let kind = wish.kind().ok_or_else(|| over(service))?;
        let ask = Redeem { code, http: &inner.egress, env: &inner.env, tenant: registration.team };
        let redeemed = match carnet_providers::driver(kind).redeem(&ask).await {
            Ok(redeemed) => redeemed,
            Err(DriverError::Callback(CallbackFault::CodeRefused { vendor })) => {
                let fault = Fault::new(
                    Code::ProviderRefused,
                    format!(
                        "{service} does not accept the code that came back: it was used, or is older than an hour."
                    ),
                );
                return Err(match serde_json::to_value(vendor) {
                    Ok(vendor) => fault.with("vendor", vendor),
                    Err(_) => fault,
                }
                .next(format!("carnet create {service} --name NAME"), "to begin anew"));
            }
            Err(error) if error.in_doubt() => {
                return Err(Fault::new(
                    Code::ProviderUnavailable,
                    format!(
                        "The application {:?} is registered at {service}, but the answer with its secrets was lost, and \
                         it is given once. Make a new key and secret on its page there, or delete it and begin anew.",
                        choice.name.trim()
                    ),
                )
                .next(
                    format!("carnet create {service} --name NAME --data @file.json"),
                    "with appId, privateKeyPem and clientSecret from its page",
                )
                .next(format!("carnet create {service} --name NAME"), "to begin anew"));
            }
            Err(error) => return Err(faults::driver(&error, &wish.uid)),
        };
        let wanted = choice.owner.trim();
        let owner = redeemed.owner.as_deref();
        if !wanted.is_empty() && !owner.is_some_and(|owner| owner.eq_ignore_ascii_case(wanted)) {
            let page = redeemed.page.clone();
            let fault = Fault::new(
                Code::InvalidConnector,
                format!(
                    "The application was registered for {:?} at {service}, not for {wanted:?} as was chosen, so no \
                     connector is made of it. Delete it there and begin anew.",
                    owner.unwrap_or_default()
                ),
            )
            .with("field", "owner");
            return Err(match page {
                Some(page) => fault.next(page, "to delete it"),
                None => fault,
            });
        }
        Ok(redeemed)
    }

    async fn end_registration(
        &self,
        registration: &Registration,
        end: Result<Id<kind::Connector>, &Fault>,
    ) -> Result<(), Fault> {
        let inner = &self.inner;
        let now = inner.env.now();
        let mut event = AuditEvent {
            actor: registration.requested_by,
            ..AuditEvent::of_system(now, Action::RegistrationEnd).in_team(registration.team)
        }
        .on(registration.id)
        .with("service", registration.service.clone());
        event = match end {
            Ok(connector) => event.with("connector", connector.to_string()),
            Err(fault) => event.ended(Outcome::Failed).with("code", fault.code.as_str()),
        };
        let end = end.map_err(|fault| (fault.code.as_str(), fault.message.as_str()));
        let write =
            Write::new().step(registrations::finish(registration, end, now)).event(&inner.env, &event);
        match inner.db.write(write).await {
            Ok(_) | Err(DbError::Unmet(_)) => Ok(()),
            Err(error) => Err(faults::store(error)),
        }
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

/// Whether applications of this kind are registered from here.
pub(crate) fn is_assisted(kind: ConnectorType) -> bool {
    let none = Scopes::empty();
    let ask = RegistrationAsk {
        name: "x",
        owner: None,
        scopes: &none,
        home: "",
        redirect_uri: "",
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
