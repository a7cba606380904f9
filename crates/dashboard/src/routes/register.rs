//! `/register/{registration}`: where an application is registered at a provider, by the person who asked for the connector;
//! and `/register/callback`, to which the provider leads back.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, ConnectorView, RegistrationChoice, RegistrationPage, RegistrationWay, Session};
use carnet_model::caller::Caller;
use carnet_model::{Code, Fault};
use url::form_urlencoded;

use super::browser::{self, Browser};
use super::consent::{failure, host};
use super::link::refused;
use super::path::Path;
use super::posted::Posted;
use super::session::SignedIn;
use super::sign_in::on;
use crate::done::{Done, Outcome};
use crate::form::{Decision, Form, RegisterAnswer};
use crate::label::Label;
use crate::register::{Register, RegisterLeaving, RegisterWay};
use crate::setup::Entry;

pub(super) async fn show(
    State(broker): State<Broker>,
    Path(id): Path,
    SignedIn(session): SignedIn,
) -> Response {
    match page_for(&broker, &session, &id).await {
        Ok((_, page)) => {
            let choice = RegistrationChoice {
                name: page.name.clone(),
                owner: String::new(),
                scopes: page.scopes.clone(),
                shared: false,
                quiet: false,
            };
            form(&broker, &session, page, choice, None)
        }
        Err(fault) => refused(&broker, fault),
    }
}

pub(super) async fn go(
    State(broker): State<Broker>,
    Path(id): Path,
    browser: Browser,
    Posted { session, answer }: Posted<RegisterAnswer>,
) -> Response {
    let (caller, page) = match page_for(&broker, &session, &id).await {
        Ok(found) => found,
        Err(fault) => return refused(&broker, fault),
    };
    if answer.decision == Some(Decision::Deny) {
        return match broker.cancel_registration(&caller, &id, broker.request_id()).await {
            Ok(()) => canceled(&broker, &page),
            Err(fault) => refused(&broker, fault),
        };
    }
    let choice = RegistrationChoice {
        name: answer.name,
        owner: answer.owner,
        scopes: answer.scopes,
        shared: answer.shared.is_some(),
        quiet: answer.quiet.is_some(),
    };
    if let (RegistrationWay::Token { .. }, Some(token)) = (&page.way, &answer.token) {
        let made = broker.register_with_token(&caller, &id, &choice, token, broker.request_id()).await;
        return match made {
            Ok(made) => afterwards(&broker, &made),
            Err(fault) => again(&broker, &session, page, choice, fault),
        };
    }
    let secret = browser.0.unwrap_or_else(|| browser::fresh(&broker));
    match broker.registration_form(&caller, &id, &secret, &choice).await {
        Ok(there) => {
            let service = Label::name(&page.service);
            let leaving =
                RegisterLeaving { service, host: host(&broker), to: there.to, fields: there.fields };
            match leaving.render() {
                Some(page) => browser::remember(page.into_response(), &broker, &secret),
                None => failure(&broker, StatusCode::INTERNAL_SERVER_ERROR),
            }
        }
        Err(fault) => again(&broker, &session, page, choice, fault),
    }
}

pub(super) async fn callback(
    State(broker): State<Broker>,
    SignedIn(session): SignedIn,
    browser: Browser,
    uri: Uri,
) -> Response {
    let query = uri.query().unwrap_or_default();
    let params: Vec<(String, String)> =
        form_urlencoded::parse(query.as_bytes()).map(|(name, value)| (name.into(), value.into())).collect();
    // Whose it is shows by the state; the person is asked in each of their teams.
    let teams = match broker.teams_of_session(&session).await {
        Ok(teams) => teams,
        Err(fault) => return refused(&broker, fault),
    };
    let mut last = None;
    for membership in teams {
        let caller = match broker.caller_of(&session, Some(&membership.team.id.to_string())).await {
            Ok(caller) => caller,
            Err(fault) => return refused(&broker, fault),
        };
        let request = broker.request_id();
        match broker.registration_callback(&caller, &params, browser.0.as_ref(), request).await {
            Ok(made) => return afterwards(&broker, &made),
            Err(fault) if fault.code == Code::NotFound => last = Some(fault),
            Err(fault) => return refused(&broker, fault),
        }
    }
    match last {
        Some(fault) => refused(&broker, fault),
        None => failure(&broker, StatusCode::FORBIDDEN),
    }
}

async fn page_for(broker: &Broker, session: &Session, id: &str) -> Result<(Caller, RegistrationPage), Fault> {
    let team = broker.registration_team(id).await?;
    // To whoever is not in the team there is no such registration.
    let Ok(caller) = broker.caller_of(session, Some(&team.to_string())).await else {
        return Err(broker.no_registration());
    };
    let page = broker.registration_page(&caller, id).await?;
    Ok((caller, page))
}

fn canceled(broker: &Broker, page: &RegistrationPage) -> Response {
    let page = Done {
        outcome: Outcome::Cancelled,
        app: Label::name("Your command line"),
        team: Label::name(&page.team),
        service: Label::name(&page.service),
        back: None,
        undo: None,
        host: host(broker),
    };
    page.render().into_response()
}

/// On to the installation, where there is one to be had.
fn afterwards(broker: &Broker, made: &ConnectorView) -> Response {
    let connector = &made.connector;
    if made.abilities.installation {
        on(broker, &format!("/api/v1/connect/install/{}?teamId={}", connector.id, connector.team))
    } else {
        on(broker, "/account")
    }
}

fn again(
    broker: &Broker,
    session: &Session,
    page: RegistrationPage,
    choice: RegistrationChoice,
    fault: Fault,
) -> Response {
    let status = fault.code.status();
    if matches!(status, 400 | 422) {
        form(broker, session, page, choice, Some(fault))
    } else {
        refused(broker, fault)
    }
}

fn form(
    broker: &Broker,
    session: &Session,
    page: RegistrationPage,
    choice: RegistrationChoice,
    wrong: Option<Fault>,
) -> Response {
    let field = wrong.as_ref().and_then(|fault| fault.extra.get("field")?.as_str()).map(of_page);
    let message = wrong.as_ref().map(|fault| fault.message.clone());
    let entry =
        |name: &str, value: String| Entry { value, error: message.clone().filter(|_| field == Some(name)) };
    let known = ["name", "owner", "scopes", "token"];
    let elsewhere = message.clone().filter(|_| !field.is_some_and(|field| known.contains(&field)));
    let register = Register {
        service: Label::name(&page.service),
        team: Label::name(&page.team),
        uid: Label::name(&page.uid),
        name: entry("name", choice.name),
        owner: entry("owner", choice.owner),
        scopes: entry("scopes", choice.scopes),
        shared: choice.shared,
        hears: page.hears,
        quiet: choice.quiet,
        token: entry("token", String::new()),
        way: match page.way {
            RegistrationWay::Form => RegisterWay::Form,
            RegistrationWay::Token { tokens, by_hand } => RegisterWay::Token { tokens, by_hand },
        },
        refused: elsewhere.as_deref().map(Label::words),
        host: host(broker),
        form: Form { action: format!("/register/{}", page.id), token: broker.session_form(session) },
    };
    register.render().into_response()
}

/// The field of the page in which a member of `data` stands.
fn of_page(field: &str) -> &str {
    match field {
        "data.configurationToken" => "token",
        "data.botScopes" => "scopes",
        "data.appName" => "name",
        other => other,
    }
}
