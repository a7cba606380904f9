//! Discord: webhook events of an application, and interactions.
//!
//! `X-Signature-Ed25519` is the hexadecimal signature of `TIME BODY`, without anything between, by the application's key;
//! what stands for the secret is its public key. Discord sends wrong signatures on purpose, and gives an address up that
//! takes one (docs.discord.com/developers/events/webhook-events, read 2026-11-30).
//!
//! Both kinds have a `type`, and 1 is an event among events and a ping among interactions; events alone have a member
//! `event`. An interaction wants an answer within three seconds, before an application behind a queue can give one: it is
//! told that the answer follows, and the application gives it with the interaction's token within a quarter of an hour.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use carnet_model::SecretString;
use http::StatusCode;
use serde_json::{Value, json};

use super::{Event, LossSignal, Received, Refusal, Reply, Verdict, body, clock, header, mac};

pub(super) fn verify(keys: &[SecretString], received: &Received<'_>) -> Result<Verdict, Refusal> {
    let shown = header::one(received.headers, SIGNATURE)?;
    let signature: [u8; 64] = mac::hex(shown).ok_or(Refusal::Malformed(SIGNATURE))?;
    let (written, signed) = clock::seconds(received.headers, TIME)?;
    clock::check(signed, received.at, clock::FIVE_MINUTES)?;
    proves(keys, &[written.as_bytes(), received.body].concat(), &signature)?;
    let said = body::object(received)?;
    let kind = said.get("type").and_then(Value::as_u64).ok_or(Refusal::Unreadable)?;
    if said.get("event").is_some() || kind == 0 { of_event(kind, &said) } else { of_interaction(kind, &said) }
}

fn proves(keys: &[SecretString], signed: &[u8], signature: &[u8]) -> Result<(), Refusal> {
    let mut known = keys.iter().filter_map(|key| mac::hex::<32>(key.expose())).peekable();
    known.peek().ok_or(Refusal::NoSecret)?;
    let proven = known.any(|key| UnparsedPublicKey::new(&ED25519, key).verify(signed, signature).is_ok());
    if proven { Ok(()) } else { Err(Refusal::Unproven) }
}

fn of_event(kind: u64, said: &Value) -> Result<Verdict, Refusal> {
    let taken =
        Reply { status: StatusCode::NO_CONTENT, content_type: Some("application/json"), body: Vec::new() };
    match kind {
        0 => return Ok(Verdict::Handshake(taken)),
        1 => {}
        _ => return Err(Refusal::Unreadable),
    }
    let name = body::text(said, "/event/type").ok_or(Refusal::Unreadable)?;
    let signal = (name == "APPLICATION_DEAUTHORIZED")
        .then(|| body::text(said, "/event/data/user/id").into_iter().collect())
        .and_then(|accounts| LossSignal::of(None, accounts));
    let tenant = body::text(said, "/event/data/guild/id");
    Ok(Verdict::Event(Event { name, tenant, delivery: None, signal, answer: taken }))
}

fn of_interaction(kind: u64, said: &Value) -> Result<Verdict, Refusal> {
    let (name, answer) = match kind {
        1 => return Ok(Verdict::Handshake(Reply::json(&json!({"type": 1})))),
        2 => ("APPLICATION_COMMAND", json!({"type": 5})),
        3 => ("MESSAGE_COMPONENT", json!({"type": 6})),
        // What is offered while somebody types cannot follow later.
        4 => ("APPLICATION_COMMAND_AUTOCOMPLETE", json!({"type": 8, "data": {"choices": []}})),
        5 => ("MODAL_SUBMIT", json!({"type": 5})),
        _ => return Err(Refusal::Unreadable),
    };
    Ok(Verdict::Event(Event {
        name: name.to_owned(),
        tenant: body::text(said, "/guild_id"),
        delivery: body::text(said, "/id"),
        signal: None,
        answer: Reply::json(&answer),
    }))
}

const SIGNATURE: &str = "x-signature-ed25519";
const TIME: &str = "x-signature-timestamp";
