//! Telegram: updates of a bot.
//!
//! Nothing is signed: each request has the secret that `setWebhook` was called with in
//! `X-Telegram-Bot-Api-Secret-Token`, 1 to 256 letters, digits, `_` and `-` (core.telegram.org/bots/api#setwebhook).

use carnet_model::SecretString;
use serde_json::Value;

use super::{Event, Received, Refusal, Reply, Verdict, body, header, mac};

pub(super) fn verify(secrets: &[SecretString], received: &Received<'_>) -> Result<Verdict, Refusal> {
    let shown = header::one(received.headers, SECRET)?;
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !(1..=256).contains(&shown.len()) || !shown.bytes().all(is_part) {
        return Err(Refusal::Malformed(SECRET));
    }
    mac::is_one_of(shown, secrets)?;
    let said = body::object(received)?;
    let delivery = body::id(&said, "/update_id").ok_or(Refusal::Unreadable)?;
    // An update has its number and one member more, which is what happened.
    let members = said.as_object().into_iter().flat_map(|members| members.keys());
    let mut kinds = members.filter(|name| name.as_str() != "update_id");
    match (kinds.next(), kinds.next()) {
        (Some(name), None) if body::is_word(name) && said.get(name).is_some_and(Value::is_object) => {
            Ok(Verdict::Event(Event {
                name: name.clone(),
                tenant: None,
                delivery: Some(delivery),
                signal: None,
                answer: Reply::empty(),
            }))
        }
        _ => Err(Refusal::Unreadable),
    }
}

pub(super) const SECRET: &str = "x-telegram-bot-api-secret-token";
