//! Slack: events, slash commands, buttons and dialogs of an app.
//!
//! `X-Slack-Signature` is `v0=` and the hexadecimal HMAC-SHA256 of `v0:TIME:BODY` under the app's signing secret
//! (docs.slack.dev/authentication/verifying-requests-from-slack). Slack waits three seconds, and asks for an empty 200
//! where a dialog is to close, so that is the answer to everything.

use carnet_model::SecretString;
use serde_json::Value;

use super::body::{self, Form};
use super::{Event, Loss, LossSignal, Received, Refusal, Reply, Verdict, clock, header, mac};

pub(super) fn verify(secrets: &[SecretString], received: &Received<'_>) -> Result<Verdict, Refusal> {
    let shown = header::one(received.headers, SIGNATURE)?;
    let tag = shown.strip_prefix("v0=").and_then(mac::hex).ok_or(Refusal::Malformed(SIGNATURE))?;
    let (written, signed) = clock::seconds(received.headers, TIME)?;
    clock::check(signed, received.at, clock::FIVE_MINUTES)?;
    let parts = [b"v0:", written.as_bytes(), b":", received.body];
    mac::proves(mac::keys(secrets), &parts, &[tag])?;
    if body::is_form(received.headers)? {
        return of_form(&Form::of(received)?);
    }
    let said = body::object(received)?;
    let kind = body::text(&said, "/type").ok_or(Refusal::Unreadable)?;
    match kind.as_str() {
        "url_verification" => match said.get("challenge").and_then(Value::as_str) {
            Some(challenge) => Ok(Verdict::Handshake(Reply {
                content_type: Some("text/plain; charset=utf-8"),
                body: challenge.as_bytes().to_vec(),
                ..Reply::empty()
            })),
            None => Err(Refusal::Unreadable),
        },
        "event_callback" => {
            let name = body::text(&said, "/event/type").ok_or(Refusal::Unreadable)?;
            // An app that is installed for a whole organization has one installation, and it is the organization's.
            let is_whole =
                said.pointer("/authorizations/0/is_enterprise_install") == Some(&Value::Bool(true));
            let tenant = if is_whole {
                body::text(&said, "/authorizations/0/enterprise_id")
            } else {
                body::text(&said, "/team_id").or_else(|| body::text(&said, "/enterprise_id"))
            };
            let delivery = body::text(&said, "/event_id");
            let signal = signal(&name, &said, tenant.clone());
            Ok(event(name, tenant, delivery, signal))
        }
        _ => Ok(event(kind, body::text(&said, "/team_id"), None, None)),
    }
}

/// A slash command has its fields in the form; whatever else people do has one field, and JSON in it.
fn of_form(form: &Form) -> Result<Verdict, Refusal> {
    if form.one("ssl_check")? == Some("1") {
        return Ok(Verdict::Handshake(Reply::empty()));
    }
    if let Some(payload) = form.one("payload")? {
        let said = body::parse(payload.as_bytes())?;
        let name = body::text(&said, "/type").ok_or(Refusal::Unreadable)?;
        let is_whole = said.get("is_enterprise_install") == Some(&Value::Bool(true));
        let place = if is_whole { "/enterprise/id" } else { "/team/id" };
        return Ok(event(name, body::text(&said, place), None, None));
    }
    form.one("command")?.ok_or(Refusal::Unreadable)?;
    let is_whole = form.one("is_enterprise_install")? == Some("true");
    let tenant = form.one(if is_whole { "enterprise_id" } else { "team_id" })?;
    let tenant = tenant.filter(|tenant| body::is_word(tenant)).map(str::to_owned);
    Ok(event("slash_command".to_owned(), tenant, None, None))
}

/// `tokens_revoked` and `app_uninstalled` come in any order, and the second without the first.
fn signal(name: &str, said: &Value, tenant: Option<String>) -> Option<LossSignal> {
    match name {
        "app_uninstalled" => LossSignal::at(tenant, Loss::Uninstalled),
        "tokens_revoked" if !body::words(said, "/event/tokens/bot").is_empty() => {
            LossSignal::at(tenant, Loss::Revoked)
        }
        "tokens_revoked" => LossSignal::of(tenant, body::words(said, "/event/tokens/oauth")),
        _ => None,
    }
}

fn event(
    name: String,
    tenant: Option<String>,
    delivery: Option<String>,
    signal: Option<LossSignal>,
) -> Verdict {
    Verdict::Event(Event { name, tenant, delivery, signal, answer: Reply::empty() })
}

const SIGNATURE: &str = "x-slack-signature";
const TIME: &str = "x-slack-request-timestamp";
