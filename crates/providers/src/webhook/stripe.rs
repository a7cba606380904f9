//! Stripe: events of an account, or of the accounts connected to a platform.
//!
//! `Stripe-Signature` is `t=TIME,v1=SIGNATURE`, with a `v1` for each secret while one takes the place of another; each is
//! the hexadecimal HMAC-SHA256 of `TIME.BODY` under the endpoint's secret, `whsec_` and all
//! (docs.stripe.com/webhooks/signature). `v0` is a test's and is not looked at.

use carnet_model::SecretString;

use super::{Event, Loss, LossSignal, Received, Refusal, Reply, Verdict, body, clock, header, mac};

pub(super) fn verify(secrets: &[SecretString], received: &Received<'_>) -> Result<Verdict, Refusal> {
    let (written, tags) =
        read(header::one(received.headers, SIGNATURE)?).ok_or(Refusal::Malformed(SIGNATURE))?;
    let signed = clock::parse(written).ok_or(Refusal::Malformed(SIGNATURE))?;
    clock::check(signed, received.at, clock::FIVE_MINUTES)?;
    mac::proves(mac::keys(secrets), &[written.as_bytes(), b".", received.body], &tags)?;
    let said = body::object(received)?;
    let name = body::text(&said, "/type").ok_or(Refusal::Unreadable)?;
    let delivery = body::text(&said, "/id").ok_or(Refusal::Unreadable)?;
    let tenant = body::text(&said, "/account");
    let signal = (name == "account.application.deauthorized")
        .then(|| LossSignal::at(tenant.clone(), Loss::Uninstalled))
        .flatten();
    Ok(Verdict::Event(Event { name, tenant, delivery: Some(delivery), signal, answer: Reply::empty() }))
}

/// The time as it is written, and the signatures.
fn read(header: &str) -> Option<(&str, Vec<mac::Tag>)> {
    let (mut time, mut tags) = (None, Vec::new());
    for part in header.split(',') {
        match part.split_once('=')? {
            ("t", text) if time.is_none() => time = Some(text),
            ("t", _) => return None,
            ("v1", text) => tags.push(mac::hex(text)?),
            _ => {}
        }
    }
    (!tags.is_empty() && tags.len() <= MOST_SIGNATURES).then_some((time?, tags))
}

const SIGNATURE: &str = "stripe-signature";
/// More than anybody has secrets at once.
const MOST_SIGNATURES: usize = 16;
