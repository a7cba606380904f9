//! Google: notification channels, by which Calendar, Drive and others say that something changed.
//!
//! Nothing is signed: each request has the `token` that the channel was made with in `X-Goog-Channel-Token`
//! (developers.google.com, "Push notifications" of Calendar and of Drive, read 2026-11-30). What changed is asked with a
//! token; the body is empty, or an object that says little. The first message, `sync`, says that the channel is there, and
//! messages are numbered per channel.

use carnet_model::SecretString;

use super::{Event, Received, Refusal, Reply, Verdict, body, header, mac};

pub(super) fn verify(secrets: &[SecretString], received: &Received<'_>) -> Result<Verdict, Refusal> {
    let shown = header::one(received.headers, SECRET)?;
    if !(1..=256).contains(&shown.len()) {
        return Err(Refusal::Malformed(SECRET));
    }
    let channel = header::word(received.headers, "x-goog-channel-id")?;
    let number = header::word(received.headers, "x-goog-message-number")?;
    let state = header::word(received.headers, "x-goog-resource-state")?;
    mac::is_one_of(shown, secrets)?;
    if !received.body.is_empty() {
        body::object(received)?;
    }
    if state == "sync" {
        return Ok(Verdict::Handshake(Reply::empty()));
    }
    let delivery = format!("{channel}:{number}");
    Ok(Verdict::Event(Event {
        name: state.to_owned(),
        tenant: None,
        delivery: Some(delivery).filter(|text| body::is_word(text)),
        signal: None,
        answer: Reply::empty(),
    }))
}

pub(super) const SECRET: &str = "x-goog-channel-token";
