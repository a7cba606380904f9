//! Webhooks that are signed as WebSub signs: of Jira, set up by an administrator of the site, and of Bitbucket.
//!
//! `X-Hub-Signature` is `sha256=` and the hexadecimal HMAC-SHA256 of the body under the webhook's secret
//! (developer.atlassian.com, Jira Cloud, "Webhooks", "Secure admin webhooks"; support.atlassian.com, Bitbucket, "Manage
//! webhooks"; read 2026-11-30). A webhook without a secret is not signed, and neither is one that an OAuth app registers at
//! Jira: that one comes with a JWT instead, and is refused here. No time is signed, and the identifiers are not either.
//! Both send the identifier again when they try again.

use carnet_model::SecretString;

use super::{Event, Received, Refusal, Reply, Verdict, body, header, mac};

pub(super) fn verify(secrets: &[SecretString], received: &Received<'_>) -> Result<Verdict, Refusal> {
    let shown = header::one(received.headers, SIGNATURE)?;
    let tag = shown.strip_prefix("sha256=").and_then(mac::hex).ok_or(Refusal::Malformed(SIGNATURE))?;
    // Bitbucket names the event in a header, Jira in the body.
    let key = header::maybe(received.headers, EVENT)?;
    let delivery = header::word(received.headers, if key.is_some() { REQUEST } else { IDENTIFIER })?;
    mac::proves(mac::keys(secrets), &[received.body], &[tag])?;
    let said = body::object(received)?;
    let name = match key {
        Some(key) if body::is_word(key) => key.to_owned(),
        Some(_) => return Err(Refusal::Malformed(EVENT)),
        None => body::text(&said, "/webhookEvent").ok_or(Refusal::Unreadable)?,
    };
    Ok(Verdict::Event(Event {
        name,
        tenant: None,
        delivery: Some(delivery.to_owned()),
        signal: None,
        answer: Reply::empty(),
    }))
}

const SIGNATURE: &str = "x-hub-signature";
const EVENT: &str = "x-event-key";
const REQUEST: &str = "x-request-uuid";
const IDENTIFIER: &str = "x-atlassian-webhook-identifier";
