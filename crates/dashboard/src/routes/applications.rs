//! `/applications`: what `carnet managed` does, for whoever would rather see a page.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, ManagedAppChange, ManagedAppSource, ManagedAppView, NewManagedApp, Session};
use carnet_model::Fault;
use serde_json::{Map, Value};

use super::consent::host;
use super::link::refused;
use super::path::Path;
use super::posted::Posted;
use super::session::{SignedIn, to_sign_in};
use crate::applications::{ApplicationDone, ApplicationLine, ApplicationTyped, Applications};
use crate::form::{ApplicationAnswer, ApplicationRemoveAnswer, ApplicationSecretAnswer};
use crate::label::Label;
use crate::setup::Entry;

/// What became of what was asked for.
enum Outcome {
    Nothing,
    Done(ApplicationDone),
    /// Why not, and what is to stand in the form again.
    Refused(String, Box<ApplicationTyped>),
}

pub(super) async fn show(State(broker): State<Broker>, SignedIn(session): SignedIn) -> Response {
    page(&broker, &session, Outcome::Nothing).await
}

pub(super) async fn register(
    State(broker): State<Broker>,
    Posted { session, answer }: Posted<ApplicationAnswer>,
) -> Response {
    if !broker.is_fresh(&session) {
        return to_sign_in(&broker, "/login/again", HERE);
    }
    let new = match new(&answer) {
        Ok(new) => new,
        Err((field, why)) => {
            let outcome =
                Outcome::Refused(String::new(), Box::new(typed(answer, Some((field, why.to_owned())))));
            return page(&broker, &session, outcome).await;
        }
    };
    let made = match broker.operator_of(&session).await {
        Ok(caller) => broker.register_managed_app(&caller, new, broker.request_id()).await,
        Err(fault) => Err(fault),
    };
    match made {
        Ok(_) => page(&broker, &session, Outcome::Done(ApplicationDone::Registered)).await,
        Err(fault) if is_answerable(&fault) => {
            let field = fault.extra.get("field").and_then(|field| field.as_str()).and_then(of_page);
            let (shown, wrong) = match field {
                Some(field) => (String::new(), Some((field, fault.message))),
                None => (fault.message, None),
            };
            page(&broker, &session, Outcome::Refused(shown, Box::new(typed(answer, wrong)))).await
        }
        Err(fault) => refused(&broker, fault),
    }
}

pub(super) async fn turn(
    State(broker): State<Broker>,
    Path(service): Path,
    Posted { session, answer }: Posted<ApplicationSecretAnswer>,
) -> Response {
    if !broker.is_fresh(&session) {
        return to_sign_in(&broker, "/login/again", HERE);
    }
    let secret = answer.secret.expose().trim().to_owned();
    let data = Map::from_iter([("clientSecret".to_owned(), Value::String(secret))]);
    let change = ManagedAppChange { data: Some(data), ..ManagedAppChange::default() };
    let changed = match broker.operator_of(&session).await {
        Ok(caller) => broker.change_managed_app(&caller, &service, change, broker.request_id()).await,
        Err(fault) => Err(fault),
    };
    ended(&broker, &session, changed.map(drop), ApplicationDone::Turned).await
}

pub(super) async fn remove(
    State(broker): State<Broker>,
    Path(service): Path,
    Posted { session, answer }: Posted<ApplicationRemoveAnswer>,
) -> Response {
    if !broker.is_fresh(&session) {
        return to_sign_in(&broker, "/login/again", HERE);
    }
    let force = answer.force.is_some();
    let removed = match broker.operator_of(&session).await {
        Ok(caller) => broker.remove_managed_app(&caller, &service, force, broker.request_id()).await,
        Err(fault) => Err(fault),
    };
    ended(&broker, &session, removed.map(drop), ApplicationDone::Removed).await
}

async fn ended(
    broker: &Broker,
    session: &Session,
    outcome: Result<(), Fault>,
    done: ApplicationDone,
) -> Response {
    match outcome {
        Ok(()) => page(broker, session, Outcome::Done(done)).await,
        Err(fault) if is_answerable(&fault) => {
            page(broker, session, Outcome::Refused(fault.message, Box::default())).await
        }
        Err(fault) => refused(broker, fault),
    }
}

/// Whether the person can do something about it on this page.
fn is_answerable(fault: &Fault) -> bool {
    matches!(fault.code.status(), 400 | 404 | 409 | 422)
}

async fn page(broker: &Broker, session: &Session, outcome: Outcome) -> Response {
    let all = match broker.operator_of(session).await {
        Ok(caller) => broker.managed_apps(&caller).await,
        Err(fault) => Err(fault),
    };
    let all = match all {
        Ok(all) => all,
        Err(fault) => return refused(broker, fault),
    };
    let (done, why, typed) = match outcome {
        Outcome::Nothing => (None, None, Box::default()),
        Outcome::Done(done) => (Some(done), None, Box::default()),
        Outcome::Refused(why, typed) => (None, Some(why).filter(|why| !why.is_empty()), typed),
    };
    Applications {
        all: all.into_iter().map(line).collect(),
        fresh: broker.is_fresh(session),
        done,
        refused: why.as_deref().map(Label::words),
        typed: *typed,
        host: host(broker),
        token: broker.session_form(session),
    }
    .render()
    .into_response()
}

fn line(app: ManagedAppView) -> ApplicationLine {
    let in_words = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let params = app.params.iter().map(|(name, value)| (Label::words(name), Label::words(value)));
    let data = app.data.iter().map(|(name, value)| (Label::words(name), Label::words(&in_words(value))));
    let whose = match &app.teams {
        None => "all teams".to_owned(),
        Some(teams) if teams.is_empty() => "nobody".to_owned(),
        Some(teams) => teams.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    ApplicationLine {
        name: Label::words(&app.service),
        way: Label::words(app.method.as_deref().unwrap_or(app.r#type.as_str())),
        whose: Label::words(&whose),
        connectors: app.connectors,
        data: params.chain(data).collect(),
        sealed: Label::words(&app.secrets.join(", ")),
        redirect_uri: app.redirect_uri.as_deref().map(Label::words),
        configured: app.source == ManagedAppSource::Configuration,
        overridden: app.overridden,
        has_secret: app.secrets.iter().any(|name| name == "clientSecret"),
        service: app.service,
    }
}

/// What was typed, as it is asked for; or the field that is wrong, and why. A parser's own words could quote a secret.
fn new(answer: &ApplicationAnswer) -> Result<NewManagedApp, (&'static str, &'static str)> {
    let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let mut params = BTreeMap::new();
    for pair in answer.params.split_whitespace() {
        let (name, value) =
            pair.split_once('=').ok_or(("params", "It is host=git.acme.example, with spaces between."))?;
        params.insert(name.to_owned(), value.to_owned());
    }
    let mut data = match text(answer.more.expose()) {
        None => Map::new(),
        Some(more) => match serde_json::from_str(&more) {
            Ok(Value::Object(data)) => data,
            _ => return Err(("more", "It has to be one JSON object.")),
        },
    };
    let said = [("clientId", text(&answer.client)), ("clientSecret", text(answer.secret.expose()))];
    for (name, value) in said {
        data.extend(value.map(|value| (name.to_owned(), Value::String(value))));
    }
    let teams: Vec<String> =
        answer.teams.split([' ', ',']).filter(|team| !team.is_empty()).map(str::to_owned).collect();
    Ok(NewManagedApp {
        service: answer.service.trim().to_owned(),
        r#type: None,
        method: text(&answer.way),
        params,
        data,
        teams: Some(teams).filter(|teams| !teams.is_empty()),
        goes_along: false,
    })
}

/// What stands in the form again: all but secrets.
fn typed(answer: ApplicationAnswer, wrong: Option<(&'static str, String)>) -> ApplicationTyped {
    let entry = |name: &str, value: String| Entry {
        value,
        error: wrong.as_ref().filter(|(field, _)| *field == name).map(|(_, why)| why.clone()),
    };
    ApplicationTyped {
        service: entry("service", answer.service),
        way: entry("way", answer.way),
        params: entry("params", answer.params),
        teams: entry("teams", answer.teams),
        client: entry("client", answer.client),
        secret: entry("secret", String::new()),
        more: entry("more", String::new()),
    }
}

/// The field of the page in which a member of the request stands.
fn of_page(field: &str) -> Option<&'static str> {
    Some(match field {
        "service" => "service",
        "connectionMethod" => "way",
        "teams" => "teams",
        "data.clientId" => "client",
        "data.clientSecret" => "secret",
        _ if field.starts_with("params") => "params",
        _ if field.starts_with("data.") => "more",
        _ => return None,
    })
}

const HERE: &str = "/applications";
