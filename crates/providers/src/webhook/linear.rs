//! Linear: webhooks of an OAuth application, or of a workspace.
//!
//! `Linear-Signature` is the hexadecimal HMAC-SHA256 of the body under the webhook's secret, and the time that counts is
//! `webhookTimestamp` inside the body, in milliseconds: the header of that name is not signed. Linear's own client takes
//! a minute of difference (@linear/sdk 98, `LinearWebhookClient`).

use std::time::Duration;

use carnet_model::{SecretString, Time};
use serde_json::Value;

use super::{Event, Loss, LossSignal, Received, Refusal, Reply, Verdict, body, clock, header, mac};

pub(super) fn verify(secrets: &[SecretString], received: &Received<'_>) -> Result<Verdict, Refusal> {
    let shown = header::one(received.headers, SIGNATURE)?;
    let tag = mac::hex(shown).ok_or(Refusal::Malformed(SIGNATURE))?;
    let delivery = header::word(received.headers, "linear-delivery")?;
    mac::proves(mac::keys(secrets), &[received.body], &[tag])?;
    let said = body::object(received)?;
    let signed = said.get("webhookTimestamp").and_then(Value::as_i64).ok_or(Refusal::Unreadable)?;
    clock::check(Time::from_millis(signed), received.at, ONE_MINUTE)?;
    let name = body::text(&said, "/type").ok_or(Refusal::Unreadable)?;
    let tenant = body::text(&said, "/organizationId");
    Ok(Verdict::Event(Event {
        signal: signal(&name, &said, tenant.clone()),
        name,
        tenant,
        delivery: Some(delivery.to_owned()),
        answer: Reply::empty(),
    }))
}

/// An application that a workspace removes is `OAuthApp`, a person who takes consent back `OAuthAuthorization`.
fn signal(name: &str, said: &Value, tenant: Option<String>) -> Option<LossSignal> {
    match (name, said.get("action")?.as_str()?) {
        ("OAuthApp", "revoked") => LossSignal::at(tenant, Loss::Uninstalled),
        ("OAuthAuthorization", "revoked") => {
            LossSignal::of(tenant, body::text(said, "/userId").into_iter().collect())
        }
        _ => None,
    }
}

const SIGNATURE: &str = "linear-signature";
const ONE_MINUTE: Duration = Duration::from_mins(1);
