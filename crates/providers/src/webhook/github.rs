//! GitHub: webhooks of an app.
//!
//! `X-Hub-Signature-256` is `sha256=` and the hexadecimal HMAC-SHA256 of the body under the webhook's secret
//! (docs.github.com, "Validating webhook deliveries"). No time is signed, and `X-GitHub-Delivery` is not either; a
//! delivery that is sent again by hand has the same one. `X-Hub-Signature`, with SHA-1, is not looked at.

use carnet_model::SecretString;
use serde_json::Value;

use super::body::{self, Form};
use super::{Event, Loss, LossSignal, Received, Refusal, Reply, Verdict, header, mac};

pub(super) fn verify(secrets: &[SecretString], received: &Received<'_>) -> Result<Verdict, Refusal> {
    let shown = header::one(received.headers, SIGNATURE)?;
    let tag = shown.strip_prefix("sha256=").and_then(mac::hex).ok_or(Refusal::Malformed(SIGNATURE))?;
    let name = header::word(received.headers, "x-github-event")?;
    let delivery = header::word(received.headers, "x-github-delivery")?;
    mac::proves(mac::keys(secrets), &[received.body], &[tag])?;
    let said = if body::is_form(received.headers)? {
        let form = Form::of(received)?;
        body::parse(form.one("payload")?.ok_or(Refusal::Unreadable)?.as_bytes())?
    } else {
        body::object(received)?
    };
    if name == "ping" {
        return Ok(Verdict::Handshake(Reply::empty()));
    }
    let tenant = body::id(&said, "/installation/id");
    Ok(Verdict::Event(Event {
        name: name.to_owned(),
        signal: signal(name, &said, tenant.clone()),
        tenant,
        delivery: Some(delivery.to_owned()),
        answer: Reply::empty(),
    }))
}

fn signal(name: &str, said: &Value, tenant: Option<String>) -> Option<LossSignal> {
    match (name, said.get("action")?.as_str()?) {
        ("installation", "deleted") => LossSignal::at(tenant, Loss::Uninstalled),
        ("installation", "suspend") => LossSignal::at(tenant, Loss::Suspended),
        ("github_app_authorization", "revoked") => {
            LossSignal::of(None, body::id(said, "/sender/id").into_iter().collect())
        }
        _ => None,
    }
}

const SIGNATURE: &str = "x-hub-signature-256";
