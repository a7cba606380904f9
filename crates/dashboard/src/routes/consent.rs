//! The consent family.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form as Posted, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use carnet_engine::{After, Broker, ConsentEnd, ConsentPage, Decision, PageKind, ScopeLine};
use carnet_model::{Fault, SecretString};
use url::form_urlencoded;

use super::browser::{self, Browser};
use super::ending::{another_account, done, finished, finished_by_form};
use super::path::Path;
use crate::consent::Consent;
use crate::elsewhere::Elsewhere;
use crate::ended::{Ended, Why};
use crate::failure::Failure;
use crate::form::{self, ConsentAnswer, Form};
use crate::head::SeeOther;
use crate::install::Install;
use crate::instructions::Instructions;
use crate::label::Label;
use crate::leaving::Leaving;
use crate::monogram::Monogram;
use crate::paste_key::{KeyRefused, PasteKey};
use crate::permission::{Permission, Words};
use crate::request::{Request, Stage, Whose};

pub(super) async fn show(
    State(broker): State<Broker>,
    Path(request): Path,
    uri: Uri,
    browser: Browser,
) -> Response {
    let secret = browser.0.unwrap_or_else(|| browser::fresh(&broker));
    match broker.consent_page(&request, &secret).await {
        Ok(page) => browser::remember(page_of(&broker, page, None), &broker, &secret),
        // Where the callback leads: the end of the request, at an address that holds neither code nor state.
        Err(ConsentEnd::Used) => match broker.consent_ending(&request, &secret).await {
            // The page that waited for the person goes on as a callback would.
            Ok(ending) if uri.query() == Some(WAITED) => finished(&broker, ending),
            Ok(ending) => done(&broker, ending),
            Err(end) => ended(&broker, end),
        },
        Err(ConsentEnd::AnotherAccount) => another_account(&broker, &request, &secret).await,
        Err(end) => ended(&broker, end),
    }
}

pub(super) async fn decide(
    State(broker): State<Broker>,
    Path(request): Path,
    browser: Browser,
    headers: HeaderMap,
    answer: Result<Posted<ConsentAnswer>, FormRejection>,
) -> Response {
    let Ok(Posted(answer)) = answer else { return failure(&broker, StatusCode::BAD_REQUEST) };
    let Some(secret) = browser.0 else { return ended(&broker, ConsentEnd::OtherBrowser) };
    if !browser::from_our_page(&headers) {
        return ended(&broker, ConsentEnd::OtherBrowser);
    }
    let decision = match (answer.decision, answer.key.as_ref()) {
        (form::Decision::Deny, _) => Decision::Deny,
        (form::Decision::Allow, None) => Decision::Allow,
        (form::Decision::Allow, Some(key)) => {
            if let Some(why) = unfit(key) {
                return ask_again(&broker, &request, &secret, why).await;
            }
            Decision::Key(SecretString::new(key.expose().trim().to_owned()))
        }
    };
    match broker.decide_consent(&request, &secret, answer.form_token.expose(), decision).await {
        Ok(After::Provider(url)) => {
            let service = Label::host(&url);
            match Leaving::to(url, service, host(&broker)) {
                Some(page) => page.render().into_response(),
                None => failure(&broker, StatusCode::INTERNAL_SERVER_ERROR),
            }
        }
        // The page once more, with what is asked for by now.
        Ok(After::Code) | Err(ConsentEnd::Changed) => {
            match SeeOther::ours(&format!("/authorize/{request}")) {
                Some(same) => same.into_response(),
                None => failure(&broker, StatusCode::INTERNAL_SERVER_ERROR),
            }
        }
        Ok(After::Ended(ending)) => finished_by_form(&broker, *ending, &secret).await,
        Err(ConsentEnd::AnotherAccount) => {
            let replace = answer.decision == form::Decision::Allow;
            match broker.decide_account(&request, &secret, answer.form_token.expose(), replace).await {
                Ok(ending) => finished_by_form(&broker, ending, &secret).await,
                Err(end) => ended(&broker, end),
            }
        }
        Err(ConsentEnd::Fault(fault)) if fault.extra.get("field").is_some_and(|field| field == "key") => {
            ask_again(&broker, &request, &secret, KeyRefused::Malformed).await
        }
        Err(end) => ended(&broker, end),
    }
}

pub(super) async fn callback(State(broker): State<Broker>, uri: Uri, browser: Browser) -> Response {
    come_back(&broker, None, &uri, browser).await
}

pub(super) async fn callback_of(
    State(broker): State<Broker>,
    Path(connector): Path,
    uri: Uri,
    browser: Browser,
) -> Response {
    come_back(&broker, Some(&connector), &uri, browser).await
}

async fn come_back(broker: &Broker, via: Option<&str>, uri: &Uri, browser: Browser) -> Response {
    let query = uri.query().unwrap_or_default();
    let params =
        form_urlencoded::parse(query.as_bytes()).map(|(name, value)| (name.into(), value.into())).collect();
    match broker.callback(via, params, browser.0.as_ref()).await {
        // On to a clean address: the code is not left in the history, nor sent on by the next link.
        Ok(ending) if ending.return_to.is_none() => {
            match SeeOther::ours(&format!("/authorize/{}", ending.request)) {
                Some(clean) => clean.into_response(),
                None => failure(broker, StatusCode::INTERNAL_SERVER_ERROR),
            }
        }
        Ok(ending) => finished(broker, ending),
        Err(end) => ended(broker, end),
    }
}

/// The page of a request, or the same page again because the pasted key was no key.
fn page_of(broker: &Broker, page: ConsentPage, refused: Option<KeyRefused>) -> Response {
    let asked: Vec<Permission> = page.scopes.iter().map(permission).collect();
    let (already, asked) = match &page.already {
        Some(before) if asked.iter().any(|p| !before.contains(&p.scope.to_string())) => {
            asked.into_iter().partition(|p| before.contains(&p.scope.to_string()))
        }
        _ => (Vec::new(), asked),
    };
    let Some(stage) = Stage::of(&page.environment, page.environment_name) else {
        return failure(broker, StatusCode::GONE);
    };
    let request = Request {
        id: page.request.to_string(),
        app: page.project.map_or_else(|| Label::name("Your command line"), |name| Label::name(name.as_str())),
        team: Label::name(&page.team),
        stage,
        service: Label::name(&page.service),
        picture: page.picture.as_ref().map(|(connector, sha1)| format!("/pictures/{connector}/{sha1}")),
        monogram: page.color.as_deref().and_then(Monogram::of),
        connector: Label::name(&page.connector),
        whose: match &page.member {
            _ if page.signs_in => Whose::SigningIn,
            Some(email) => Whose::Member(Label::words(email)),
            None => Whose::NamedByApp(Label::words(&page.subject)),
        },
        device_code: page.device_code.as_deref().map(Label::name),
        by_code: page.by_code,
        age: page.asked_at.until(broker.env().now()),
        returns_to: page.returns_to.as_ref().map(Label::host),
        host: host(broker),
        form: Form { action: format!("/authorize/{}", page.request), token: page.form_token },
    };
    match page.kind {
        PageKind::Elsewhere(there) => {
            let again = format!("/authorize/{}?{WAITED}", request.id);
            let labels = [request.app, request.service, Label::name(&there.code), request.host];
            match Elsewhere::at(there.page, there.whole_page, again, labels) {
                Some(page) => page.render().into_response(),
                None => failure(broker, StatusCode::INTERNAL_SERVER_ERROR),
            }
        }
        // The person leaves by a page of its own, so the policy of these stays at 'self'.
        PageKind::Provider(_) | PageKind::Code if page.installs => {
            Install { request, asked }.render().into_response()
        }
        PageKind::Provider(_) | PageKind::Code => {
            Consent { request, asked, already, token_life: None, provider: None }.render().into_response()
        }
        PageKind::Paste { instructions } => {
            let instructions = instructions.as_deref().and_then(Instructions::parse);
            PasteKey { request, instructions, refused }.render().into_response()
        }
    }
}

async fn ask_again(broker: &Broker, request: &str, secret: &SecretString, why: KeyRefused) -> Response {
    match broker.consent_page(request, secret).await {
        Ok(page) => page_of(broker, page, Some(why)),
        Err(end) => ended(broker, end),
    }
}

fn unfit(key: &SecretString) -> Option<KeyRefused> {
    let key = key.expose().trim();
    if key.is_empty() {
        return Some(KeyRefused::Empty);
    }
    let sound = key.len() <= PasteKey::MAX_LEN && key.bytes().all(|b| matches!(b, 0x21..=0x7e));
    (!sound).then_some(KeyRefused::Malformed)
}

fn permission(line: &ScopeLine) -> Permission {
    Permission {
        scope: Label::words(&line.scope),
        words: line.words.as_deref().map(|words| {
            // The catalog says "delete" and "manage" where that is what a scope allows.
            let lower = words.to_lowercase();
            Words {
                can: Label::words(words),
                deletes: lower.contains("delete"),
                manages: lower.contains("manage"),
                sure: line.sure,
            }
        }),
    }
}

pub(super) fn ended(broker: &Broker, end: ConsentEnd) -> Response {
    let why = match end {
        ConsentEnd::Unknown => Why::Unknown,
        // The question is shown where it can be answered; anywhere else there is nothing to do.
        ConsentEnd::Used | ConsentEnd::Changed | ConsentEnd::AnotherAccount => Why::Used,
        ConsentEnd::Expired => Why::Expired,
        ConsentEnd::OtherBrowser => Why::OtherBrowser,
        ConsentEnd::Fault(fault) => return fault_page(broker, fault),
    };
    Ended { why, app: None, host: host(broker) }.render().into_response()
}

pub(super) fn fault_page(broker: &Broker, fault: Fault) -> Response {
    let status = StatusCode::from_u16(fault.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let request_id = broker.request_id().to_string();
    tracing::warn!(request = request_id, code = fault.code.as_str(), %fault, "a page could not be shown");
    Failure { status, request_id, host: host(broker) }.render().into_response()
}

pub(super) fn failure(broker: &Broker, status: StatusCode) -> Response {
    Failure { status, request_id: broker.request_id().to_string(), host: host(broker) }
        .render()
        .into_response()
}

pub(super) fn host(broker: &Broker) -> Label {
    Label::host(&broker.settings().url)
}

/// Said by the page that waits for a decision elsewhere when it looks again.
const WAITED: &str = "waited";
