//! An app sends somebody to sign in with a connector: the authorization request of RFC 6749 §4.1.1 and OpenID Connect
//! Core §3.1.2.1 becomes a request for consent.
//!
//! Whoever comes is nobody yet, and what the browser brings is what anybody can write into a link. So the address to which
//! the code will go is looked up first, among those that the team registered; it says which project asks, in which
//! environment. Until it is found nobody is sent anywhere, and what is wrong is told on a page of ours. Afterwards it is
//! told to the app.
//!
//! Nothing is remembered of whoever signed in before: the person sees our page every time, and `prompt=none` gets nothing.

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Principal;
use carnet_model::grant::Place;
use carnet_model::{Code, ConnectorRef, Environment, Fault, Id, Scopes, Subject, kind};
use carnet_store::consents::{self, Consent};
use carnet_store::{DbError, Write, people, redirect_uris};
use std::sync::Arc;
use url::Url;

use super::page::PageKind;
use super::request::{AppSignIn, Remembered, life_of, names_of};
use crate::broker::Broker;
use crate::cache::sha256;
use crate::directory::Entry;
use crate::faults;
use crate::gateway::{Asker, GatewayRefused, answer_to, is_challenge, known_as};
use crate::issue::{TokenAsk, ambient};
use crate::sessions::Visitor;
use crate::tries::network;

/// What the app wrote into the link.
struct Asked<'a>(&'a [(String, String)]);

impl<'a> Asked<'a> {
    /// A parameter: none if it is left out or empty, and nothing if it stands there twice (RFC 6749 §3.1).
    fn one(&self, name: &str) -> Result<Option<&'a str>, Twice> {
        let mut all = self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        match (all.next(), all.next()) {
            (Some(_), Some(_)) => Err(Twice),
            (value, _) => Ok(value.filter(|value| !value.is_empty())),
        }
    }
}

/// A parameter stands there twice.
struct Twice;

/// Where the code goes, and for whom.
struct There {
    project: Id<kind::Project>,
    environment: Environment,
}

/// What is told to the app, which has shown that it is one.
struct Told(&'static str, &'static str);

impl From<Twice> for Told {
    fn from(_: Twice) -> Self {
        Self("invalid_request", "A parameter stands there twice.")
    }
}

impl Broker {
    /// Begins to sign somebody in to an app. `params` are the query's, decoded; what comes back is the request whose page
    /// the person sees next.
    pub async fn begin_gateway_sign_in(
        &self,
        params: &[(String, String)],
        visitor: &Visitor,
        request: Id<kind::Request>,
    ) -> Result<Id<kind::AuthorizationRequest>, GatewayRefused> {
        self.is_open()?;
        let asked = Asked(params);
        let unreadable = |_: Twice| Fault::new(Code::InvalidRequest, "A parameter stands there twice.");
        let client = asked.one("client_id").map_err(unreadable)?;
        let uri = asked.one("redirect_uri").map_err(unreadable)?;
        let team = asked.one("teamId").map_err(unreadable)?;
        let (Some(client), Some(uri)) = (client, uri) else {
            return Err(Fault::new(
                Code::InvalidRequest,
                "The app that sent you here has to say which connector you sign in with (client_id), and where you go \
                 afterwards (redirect_uri).",
            )
            .into());
        };
        let entry = self.signed_in_with(client, team).await?.ok_or_else(nowhere)?;
        let from = Asker::Browsers(entry.row.connector.id, visitor.address.map(network));
        self.gateway_pace(from).await?;
        let there = self.goes_to(&entry, uri).await?.ok_or_else(nowhere)?;
        let state = asked.one("state").map_err(unreadable)?;
        match self.begun(&entry, &there, (client, uri, state), &asked, request).await {
            Ok(id) => Ok(id),
            Err(Refused::Told(Told(error, why))) => {
                let url = answer_to(uri, state, &[("error", error), ("error_description", why)]);
                Err(url.map_or_else(|| nowhere().into(), GatewayRefused::Back))
            }
            Err(Refused::Fault(fault)) => Err(fault.into()),
        }
    }

    /// The connector of this name. A UID is a team's own: which one is meant has to be said where there are several.
    async fn signed_in_with(&self, client: &str, team: Option<&str>) -> Result<Option<Arc<Entry>>, Fault> {
        let Some(reference) = ConnectorRef::parse(client) else { return Ok(None) };
        let inner = &self.inner;
        let named = match team {
            None => None,
            Some(text) => match Id::<kind::Team>::parse(text) {
                Ok(id) => Some(id),
                Err(_) => return Ok(None),
            },
        };
        let team = match (&reference, named) {
            (ConnectorRef::Id(id), named) => {
                let own = inner.team_of(*id).await.map_err(faults::store)?;
                own.filter(|own| named.is_none_or(|named| named == *own))
            }
            (ConnectorRef::Uid(_), Some(team)) => Some(team),
            (ConnectorRef::Uid(_), None) => {
                let mut teams = people::teams(&inner.db).await.map_err(faults::store)?.into_iter();
                let first = teams.next().map(|team| team.id);
                first.filter(|_| teams.next().is_none())
            }
        };
        let Some(team) = team else { return Ok(None) };
        inner.entry(team, &reference).await.map_err(faults::store)
    }

    /// Whose this address is, if it is registered and its link still stands.
    async fn goes_to(&self, entry: &Entry, uri: &str) -> Result<Option<There>, Fault> {
        let Some(known) = known_as(uri) else { return Ok(None) };
        let connector = &entry.row.connector;
        let found = redirect_uris::find(&self.inner.db, connector.team, connector.id, &known).await;
        let found = found.map_err(faults::store)?;
        Ok(found.and_then(|found| {
            let linked = entry.linked(Some(found.project))?.contains(&found.environment);
            linked.then_some(There { project: found.project, environment: found.environment })
        }))
    }

    async fn begun(
        &self,
        entry: &Arc<Entry>,
        there: &There,
        (client, uri, state): (&str, &str, Option<&str>),
        asked: &Asked<'_>,
        request: Id<kind::Request>,
    ) -> Result<Id<kind::AuthorizationRequest>, Refused> {
        let inner = &self.inner;
        let now = inner.env.now();
        let connector = &entry.row.connector;
        check_form(asked, state)?;
        let (scope, wanted) = scopes(asked, entry)?;
        let prompt = prompt(asked)?;
        let nonce = asked.one("nonce").map_err(Told::from)?;
        if nonce.is_some_and(|text| text.len() > LONGEST) {
            return Err(Told("invalid_request", "nonce is too long.").into());
        }
        let challenge = asked.one("code_challenge").map_err(Told::from)?;
        let method = asked.one("code_challenge_method").map_err(Told::from)?;
        let challenge = challenge.filter(|text| method == Some("S256") && is_challenge(text)).ok_or(Told(
            "invalid_request",
            "PKCE is required: code_challenge with code_challenge_method S256.",
        ))?;
        self.is_offered(entry)
            .map_err(|_| Told("unauthorized_client", "The connector is not offered any longer."))?;
        let remembered = Remembered {
            scopes: names_of(&wanted),
            prompt: prompt.map(str::to_owned),
            return_url: Some(uri.to_owned()),
            sign_in: Some(AppSignIn {
                client: client.to_owned(),
                redirect_uri: uri.to_owned(),
                state: state.map(str::to_owned),
                nonce: nonce.map(str::to_owned),
                challenge: challenge.to_owned(),
                scope: scope.to_string(),
            }),
            ..Remembered::default()
        };
        // Who pastes a key has not shown whose account it is, and a code on another page can be somebody else's.
        let way = self.way(entry, &remembered);
        if !matches!(way, Ok(PageKind::Provider(_))) {
            return Err(Told("unauthorized_client", "Nobody can sign in with this connector.").into());
        }
        let abilities = entry
            .abilities
            .user
            .as_ref()
            .ok_or(Told("unauthorized_client", "Nobody can sign in with this connector."))?;
        let installation = TokenAsk::default().installation(entry, abilities).map_err(Refused::Fault)?;
        let id = inner.env.id();
        // Whose consent it is will be known when the provider says it; until then it is this request's.
        let subject = Subject::User { id: id.to_string(), issuer: None }.key().unwrap_or_default();
        let place = Place {
            team: connector.team,
            connector: connector.id,
            project: Some(there.project),
            environment: there.environment,
            subject,
            installation,
        };
        let asked = serde_json::to_value(&remembered).map_err(faults::internal)?;
        // Whoever has the link asks: the project has not proved that it was its own.
        let consent =
            Consent::pending(id, place, Principal::System, asked, now, now.plus(life_of(None, false)?));
        let mut event = AuditEvent::of_system(now, Action::AuthorizationStart)
            .in_team(connector.team)
            .on(connector.id)
            .with("connector", connector.uid.as_str())
            .with("request", id.to_string())
            .with("signIn", true)
            .with("project", there.project.to_string())
            .with("environment", there.environment.to_string())
            .with("scopes", scope.to_string())
            .with("returnsTo", known_as(uri).unwrap_or_default());
        event.request = Some(request);
        // Nobody asks what came of it but by the code.
        let nobodys = sha256(&inner.env.bytes::<32>());
        let write = Write::new().step(consents::insert(&consent, nobodys, None)).event(&inner.env, &event);
        inner.db.write(write).await.map_err(faults::store)?;
        Ok(id)
    }
}

enum Refused {
    Told(Told),
    Fault(Fault),
}

impl From<Told> for Refused {
    fn from(told: Told) -> Self {
        Self::Told(told)
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// An address that is not registered, a connector that does not exist and one of another team look the same.
fn nowhere() -> Fault {
    Fault::new(
        Code::InvalidRequest,
        "The app that sent you here is not known: its connector (client_id) and its address (redirect_uri) are not \
         registered with each other here. A UID needs teamId beside it where there are several teams.",
    )
    .next(
        "carnet redirect-uris CONNECTOR --add ADDRESS",
        "to let an app of yours sign people in, for whoever runs it",
    )
}

fn check_form(asked: &Asked<'_>, state: Option<&str>) -> Result<(), Told> {
    if asked.one("response_type")? != Some("code") {
        return Err(Told("unsupported_response_type", "response_type is code."));
    }
    if asked.one("response_mode")?.is_some_and(|mode| mode != "query") {
        return Err(Told("invalid_request", "response_mode is query."));
    }
    if asked.one("request")?.is_some() {
        return Err(Told("request_not_supported", "Request objects are not read."));
    }
    if asked.one("request_uri")?.is_some() {
        return Err(Told("request_uri_not_supported", "Request objects are not read."));
    }
    if state.is_some_and(|text| text.len() > LONGEST) {
        return Err(Told("invalid_request", "state is too long."));
    }
    Ok(())
}

/// What the app asked for, and what of it is asked of the provider: the connector's defaults if it names nothing of the
/// provider's own, else what it names, and of the scopes that shape the ceremony those that the connector has.
fn scopes(asked: &Asked<'_>, entry: &Entry) -> Result<(Scopes, carnet_model::ScopeRequest), Told> {
    let unfit = Told("invalid_scope", "scope holds names with spaces between them.");
    let text = asked.one("scope")?.unwrap_or("openid profile email");
    let named = Scopes::parse(text.split(' ').filter(|name| !name.is_empty())).map_err(|_| unfit)?;
    let ambient = ambient();
    let offline = Scopes::parse(["offline_access"]).unwrap_or_default();
    let further = named.without(&ambient);
    let Some(abilities) = &entry.abilities.user else {
        return Err(Told("unauthorized_client", "Nobody can sign in with this connector."));
    };
    let defaults = &abilities.scopes;
    if abilities.bounded && !defaults.is_empty() && !further.is_within(defaults) {
        return Err(Told("invalid_scope", "The connector does not give all of these scopes."));
    }
    let wanted = if further.is_empty() {
        carnet_model::ScopeRequest::Defaults
    } else {
        carnet_model::ScopeRequest::Exactly(further.union(&defaults.both(&ambient)))
    };
    Ok((named.union(&offline), wanted))
}

/// What the provider is told about how it is to ask. An age of the sign-in that cannot be known is brought about.
fn prompt<'a>(asked: &Asked<'a>) -> Result<Option<&'a str>, Told> {
    let prompt = asked.one("prompt")?;
    match prompt {
        Some("none") => Err(Told("interaction_required", "The person is asked every time.")),
        None if asked.one("max_age")?.is_some() => Ok(Some("login")),
        None => Ok(None),
        Some(text) if text.split(' ').all(|word| matches!(word, "login" | "consent" | "select_account")) => {
            Ok(Some(text))
        }
        Some(_) => Err(Told("invalid_request", "prompt is none, login, consent or select_account.")),
    }
}

impl From<Fault> for GatewayRefused {
    fn from(fault: Fault) -> Self {
        Self::Page(fault)
    }
}

impl From<DbError> for Refused {
    fn from(error: DbError) -> Self {
        Self::Fault(faults::store(error))
    }
}

/// Of a state and of a nonce: apps put more than a number there.
const LONGEST: usize = 2048;

impl Broker {
    /// The address of the app with what came of it: the code, or an error of RFC 6749 §4.1.2.1. While the person has
    /// something to say yet, there is no way back.
    pub(super) fn sign_in_answer(
        &self,
        app: &AppSignIn,
        request: Id<kind::AuthorizationRequest>,
        kind: &super::EndingKind,
    ) -> Option<Url> {
        use super::EndingKind;
        let told = |error: &'static str, why: &str| {
            answer_to(
                &app.redirect_uri,
                app.state.as_deref(),
                &[("error", error), ("error_description", plain(why).as_str())],
            )
        };
        match kind {
            EndingKind::AnotherAccount | EndingKind::Undone | EndingKind::Completing => None,
            EndingKind::Connected { .. } => {
                let code = self.gateway_code(request);
                answer_to(&app.redirect_uri, app.state.as_deref(), &[("code", code.expose())])
            }
            EndingKind::Canceled => told("access_denied", "The person said no."),
            EndingKind::Failed { code, message, .. } => {
                let error = match Code::parse(code) {
                    Some(Code::ProviderUnavailable | Code::StoreUnavailable | Code::Unavailable) => {
                        "temporarily_unavailable"
                    }
                    Some(Code::InvalidScope) => "invalid_scope",
                    _ => "server_error",
                };
                told(error, message)
            }
        }
    }
}

/// RFC 6749 §4.1.2.1: printable ASCII without `"` and `\`.
fn plain(text: &str) -> String {
    text.chars().map(|c| if matches!(c, ' '..='~') && !matches!(c, '"' | '\\') { c } else { '\'' }).collect()
}
