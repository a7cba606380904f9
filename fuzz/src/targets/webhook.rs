//! What arrives at a webhook's address.
//!
//! The first line of the input names the scheme, the lines up to an empty one are headers, the rest is the body. What is
//! taken was signed with the secret, within the time, by a second opinion that is written down here in other words.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carnet_model::{SecretString, Time};
use carnet_providers::webhook::{self, Received, Scheme, Verdict};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::first_line;

/// Pieces of requests.
pub const WORDS: &[&str] = &[
    "v0=",
    "v1=",
    "v1,",
    "sha256=",
    "sha1=",
    "t=1800000000,",
    "1800000000",
    "1800000300",
    "1800000301",
    "+1800000000",
    "content-type: application/json; charset=utf-16\n",
    "content-type: application/x-www-form-urlencoded\n",
    "payload=%7B%7D",
    "\"webhookTimestamp\":1800000000000",
    "\"type\":\"url_verification\"",
    "\"type\":0",
    "\"event\":{}",
    "x-hub-signature: sha1=00\n",
    "\n\n",
    ",",
    " ",
    "=",
];

/// When it arrives.
const NOW: i64 = 1_800_000_000;
const SECRET: &str = "s3cret";
/// What stands behind `whsec_` is the secret of Standard Webhooks, in Base64.
const STANDARD_KEY: [u8; 24] = [9; 24];
const SEED: [u8; 32] = [7; 32];
const PUBLIC: &str = "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c";

const SCHEMES: [(&str, Scheme); 10] = [
    ("slack", Scheme::Slack),
    ("github", Scheme::Github),
    ("linear", Scheme::Linear),
    ("discord", Scheme::Discord),
    ("stripe", Scheme::Stripe),
    ("okta", Scheme::Okta),
    ("telegram", Scheme::Telegram),
    ("standard", Scheme::Standard),
    ("websub", Scheme::Websub),
    ("google", Scheme::GoogleChannel),
];

/// Judges the input; whether it was taken.
pub fn run(data: &[u8]) -> bool {
    let (line, rest) = first_line(data);
    let named = SCHEMES.iter().find(|(name, _)| name.as_bytes() == line);
    let Some((_, scheme)) = named.copied() else { return false };
    let Some((headers, body)) = read(rest) else { return false };
    let secrets = [SecretString::new(secret(scheme))];
    let received = Received { headers: &headers, query: None, body, at: Time::from_secs(NOW) };
    let (name, event) = match webhook::verify(scheme, &secrets, &received) {
        Verdict::Refused(_) => return false,
        Verdict::Handshake(_) => (None, None),
        Verdict::Event(event) => (Some(event.name.clone()), Some(event)),
    };
    assert!(proven(scheme, &headers, body), "{scheme:?} took what nobody signed");
    let words = event.iter().flat_map(|event| [event.tenant.as_deref(), event.delivery.as_deref()]).flatten();
    for word in words.chain(name.as_deref()) {
        let sound = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
        assert!(!word.is_empty() && word.len() <= 128 && word.chars().all(sound), "{word:?}");
    }
    if let Some(signal) = event.and_then(|event| event.signal) {
        assert!(signal.tenant.is_some() || !signal.accounts.is_empty(), "everybody's access is lost");
        assert!(signal.accounts.len() <= 100);
    }
    true
}

/// A sound event and a sound question of each.
pub fn made() -> Vec<Vec<u8>> {
    let linear =
        format!("{{\"type\":\"Issue\",\"organizationId\":\"o\",\"webhookTimestamp\":{}}}", NOW * 1000);
    let bodies = [
        (
            "slack",
            r#"{"type":"event_callback","team_id":"T1","event_id":"Ev1","event":{"type":"tokens_revoked","tokens":{"oauth":["U1"]}}}"#,
        ),
        ("slack", r#"{"type":"url_verification","challenge":"c"}"#),
        ("github", r#"{"action":"deleted","installation":{"id":100}}"#),
        ("linear", &linear),
        ("discord", r#"{"type":0}"#),
        ("discord", r#"{"type":1,"event":{"type":"APPLICATION_DEAUTHORIZED","data":{"user":{"id":"5"}}}}"#),
        ("stripe", r#"{"id":"evt_1","type":"charge.succeeded"}"#),
        (
            "okta",
            r#"{"eventId":"e","data":{"events":[{"eventType":"user.lifecycle.suspend","target":[{"type":"User","id":"00u1"}]}]}}"#,
        ),
        ("telegram", r#"{"update_id":1,"message":{}}"#),
        ("standard", r#"{"type":"batch.completed"}"#),
        ("websub", r#"{"webhookEvent":"jira:issue_created"}"#),
        ("google", ""),
    ];
    bodies.map(|(name, body)| format!("{name}\n{}\n{body}", headers(name, body)).into_bytes()).into()
}

fn headers(name: &str, body: &str) -> String {
    let tag = |signed: &str| hex(sign(&Key::new(HMAC_SHA256, SECRET.as_bytes()), signed.as_bytes()).as_ref());
    match name {
        "slack" => {
            let tag = tag(&format!("v0:{NOW}:{body}"));
            format!("x-slack-request-timestamp: {NOW}\nx-slack-signature: v0={tag}\n")
        }
        "github" => format!(
            "x-github-event: installation\nx-github-delivery: d\nx-hub-signature-256: sha256={}\n",
            tag(body)
        ),
        "linear" => format!("linear-delivery: d\nlinear-signature: {}\n", tag(body)),
        "discord" => {
            let pair = Ed25519KeyPair::from_seed_unchecked(&SEED).expect("a seed of 32 bytes");
            let signature = hex(pair.sign(format!("{NOW}{body}").as_bytes()).as_ref());
            format!("x-signature-timestamp: {NOW}\nx-signature-ed25519: {signature}\n")
        }
        "stripe" => format!("stripe-signature: t={NOW},v1={}\n", tag(&format!("{NOW}.{body}"))),
        "okta" => format!("authorization: {SECRET}\n"),
        "telegram" => format!("x-telegram-bot-api-secret-token: {SECRET}\n"),
        "websub" => format!("x-atlassian-webhook-identifier: d\nx-hub-signature: sha256={}\n", tag(body)),
        "google" => format!(
            "x-goog-channel-id: c\nx-goog-message-number: 2\nx-goog-resource-state: exists\nx-goog-channel-token: {SECRET}\n"
        ),
        _ => {
            let key = Key::new(HMAC_SHA256, &STANDARD_KEY);
            let tag = STANDARD.encode(sign(&key, format!("m.{NOW}.{body}").as_bytes()));
            format!("webhook-id: m\nwebhook-timestamp: {NOW}\nwebhook-signature: v1,{tag}\n")
        }
    }
}

fn secret(scheme: Scheme) -> String {
    match scheme {
        Scheme::Discord => PUBLIC.to_owned(),
        Scheme::Standard => format!("whsec_{}", STANDARD.encode(STANDARD_KEY)),
        _ => SECRET.to_owned(),
    }
}

fn read(bytes: &[u8]) -> Option<(HeaderMap, &[u8])> {
    let (mut headers, mut rest) = (HeaderMap::new(), bytes);
    loop {
        let (line, behind) = first_line(rest);
        rest = behind;
        if line.is_empty() {
            return Some((headers, rest));
        }
        let colon = line.windows(2).position(|pair| pair == b": ")?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        headers.append(name, HeaderValue::from_bytes(&line[colon + 2..]).ok()?);
    }
}

/// The second opinion: what every signature that stands there would have to be, written out and looked for.
fn proven(scheme: Scheme, headers: &HeaderMap, body: &[u8]) -> bool {
    let all = |name: &str| {
        let values: Vec<_> = headers.get_all(name).iter().collect();
        assert!(values.len() < 2, "{name} is there twice");
        values.first().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
    };
    let tag = |key: &[u8], head: &str| {
        sign(&Key::new(HMAC_SHA256, key), &[head.as_bytes(), body].concat()).as_ref().to_vec()
    };
    let ours = |head: &str| hex(&tag(SECRET.as_bytes(), head));
    let near = |text: &str, most: i64| text.parse::<i64>().is_ok_and(|time| (time - NOW).abs() <= most);
    match scheme {
        Scheme::Slack => {
            let time = all("x-slack-request-timestamp");
            near(&time, 300) && all("x-slack-signature") == format!("v0={}", ours(&format!("v0:{time}:")))
        }
        Scheme::Github => all("x-hub-signature-256") == format!("sha256={}", ours("")),
        Scheme::Linear => {
            let said: serde_json::Value = serde_json::from_slice(body).expect("it was taken");
            let time = said["webhookTimestamp"].as_i64().expect("it was taken");
            (time - NOW * 1000).abs() <= 60_000 && all("linear-signature") == ours("")
        }
        Scheme::Discord => {
            let time = all("x-signature-timestamp");
            let signature = bytes(&all("x-signature-ed25519"));
            let key = UnparsedPublicKey::new(&ED25519, bytes(PUBLIC));
            near(&time, 300) && key.verify(&[time.as_bytes(), body].concat(), &signature).is_ok()
        }
        Scheme::Stripe => {
            let header = all("stripe-signature");
            let times: Vec<_> = header.split(',').filter_map(|part| part.strip_prefix("t=")).collect();
            let [time] = times[..] else { return false };
            near(time, 300)
                && header.split(',').any(|part| part == format!("v1={}", ours(&format!("{time}."))))
        }
        Scheme::Okta => all("authorization") == SECRET,
        Scheme::Telegram => all("x-telegram-bot-api-secret-token") == SECRET,
        Scheme::Websub => all("x-hub-signature") == format!("sha256={}", ours("")),
        Scheme::GoogleChannel => all("x-goog-channel-token") == SECRET,
        Scheme::Standard => {
            let family = if headers.contains_key("webhook-signature") { "webhook" } else { "svix" };
            let of = |rest: &str| all(&format!("{family}-{rest}"));
            let time = of("timestamp");
            let tag = STANDARD.encode(tag(&STANDARD_KEY, &format!("{}.{time}.", of("id"))));
            near(&time, 300) && of("signature").split(' ').any(|part| part == format!("v1,{tag}"))
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).expect("two digits")).collect()
}
