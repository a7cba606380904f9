//! Standard Webhooks, as several services send them.
//!
//! `webhook-signature` is a list of `v1,SIGNATURE` with a space between, one for each secret while one takes the place of
//! another; each is the Base64 of the HMAC-SHA256 of `IDENTIFIER.TIME.BODY`. The key is what stands in Base64 behind
//! `whsec_` (github.com/standard-webhooks, `spec/standard-webhooks.md`). Services that send by way of Svix call the
//! headers `svix-…`; nothing else differs. Signatures of other versions are not looked at.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use carnet_model::{SecretBytes, SecretString};

use super::{Event, Received, Refusal, Reply, Verdict, body, clock, header, mac};

struct Names {
    id: &'static str,
    time: &'static str,
    signature: &'static str,
}

pub(super) fn verify(secrets: &[SecretString], received: &Received<'_>) -> Result<Verdict, Refusal> {
    let names = if received.headers.contains_key(PLAIN.signature) { PLAIN } else { SVIX };
    let id = header::word(received.headers, names.id)?;
    let shown = header::one(received.headers, names.signature)?;
    let tags = read(shown).ok_or(Refusal::Malformed(names.signature))?;
    let (written, signed) = clock::seconds(received.headers, names.time)?;
    clock::check(signed, received.at, clock::FIVE_MINUTES)?;
    let keys: Vec<SecretBytes> = secrets.iter().filter_map(key).collect();
    let parts = [id.as_bytes(), b".", written.as_bytes(), b".", received.body];
    mac::proves(keys.iter().map(|key| key.expose().as_slice()), &parts, &tags)?;
    let said = body::object(received)?;
    let name = body::text(&said, "/type").ok_or(Refusal::Unreadable)?;
    Ok(Verdict::Event(Event {
        name,
        tenant: None,
        delivery: Some(id.to_owned()),
        signal: None,
        answer: Reply::empty(),
    }))
}

fn read(header: &str) -> Option<Vec<mac::Tag>> {
    let mut tags = Vec::new();
    for part in header.split(' ') {
        let (version, text) = part.split_once(',')?;
        if version == "v1" {
            tags.push(BASE64_STANDARD.decode(text).ok()?.try_into().ok()?);
        }
    }
    (!tags.is_empty() && tags.len() <= MOST_SIGNATURES).then_some(tags)
}

fn key(secret: &SecretString) -> Option<SecretBytes> {
    let text = secret.expose().strip_prefix("whsec_")?;
    let key = SecretBytes::new(BASE64_STANDARD.decode(text).ok()?);
    (key.expose().len() >= SHORTEST_KEY).then_some(key)
}

const PLAIN: Names = Names { id: "webhook-id", time: "webhook-timestamp", signature: "webhook-signature" };
const SVIX: Names = Names { id: "svix-id", time: "svix-timestamp", signature: "svix-signature" };
/// The specification's: 24 bytes. A shorter one is no key of a service, and not worth a guess.
const SHORTEST_KEY: usize = 24;
/// More than anybody has secrets at once.
const MOST_SIGNATURES: usize = 16;
