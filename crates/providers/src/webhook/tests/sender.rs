//! A provider that signs as each of them does.

use aws_lc_rs::hmac::{self, Algorithm, HMAC_SHA256};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::*;

/// When everything is sent, in seconds.
pub(super) const NOW: i64 = 1_795_342_110;

/// What a provider sends.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub headers: Vec<(&'static str, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Sent {
    pub(super) fn judged(&self, scheme: Scheme, secrets: &[&str], at: i64) -> Verdict {
        judge(scheme, secrets, &headers(&self.headers), &self.body, Time::from_secs(at))
    }

    pub(super) fn with(mut self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let (_, value) = self.headers.iter_mut().find(|(found, _)| *found == name).unwrap();
        change(value);
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(found, _)| *found != name);
        self
    }

    pub(super) fn value(&self, name: &str) -> String {
        let (_, value) = self.headers.iter().find(|(found, _)| *found == name).unwrap();
        String::from_utf8(value.clone()).unwrap()
    }
}

/// How a provider is set up.
#[derive(Clone, Copy)]
pub(super) struct Sender {
    pub scheme: Scheme,
    /// What the connector has.
    pub secret: &'static str,
    /// Where the proof stands.
    pub proof: &'static str,
    /// What stands before it.
    pub prefix: &'static str,
    /// The header with the time, if there is one.
    pub time: Option<&'static str>,
    /// Another header without which nothing is taken.
    pub needs: &'static [(&'static str, &'static str)],
    /// A body; `TIME` stands for milliseconds.
    pub body: &'static str,
}

pub(super) const SENDERS: [Sender; 10] = [
    Sender {
        scheme: Scheme::Slack,
        secret: "8f742231b10e8888abcd99yyyzzz85a5",
        proof: "x-slack-signature",
        prefix: "v0=",
        time: Some("x-slack-request-timestamp"),
        needs: &[],
        body: r#"{"type": "event_callback", "team_id": "T1", "event_id": "Ev1", "event": {"type": "app_mention"}}"#,
    },
    Sender {
        scheme: Scheme::Github,
        secret: "It's a Secret to Everybody",
        proof: "x-hub-signature-256",
        prefix: "sha256=",
        time: None,
        needs: &[("x-github-event", "issues"), ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")],
        body: r#"{"action": "opened", "installation": {"id": 100}}"#,
    },
    Sender {
        scheme: Scheme::Linear,
        secret: "lin_wh_abcdefghijklmnop",
        proof: "linear-signature",
        prefix: "",
        time: None,
        needs: &[("linear-delivery", "234d1a4e-b617-4388-90fe-adc3633d6b72")],
        body: r#"{"action": "create", "type": "Issue", "organizationId": "o-1", "webhookTimestamp": TIME}"#,
    },
    Sender {
        scheme: Scheme::Discord,
        // RFC 8032, 7.1, test 1.
        secret: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        proof: "x-signature-ed25519",
        prefix: "",
        time: Some("x-signature-timestamp"),
        needs: &[],
        body: r#"{"type": 1, "event": {"type": "ENTITLEMENT_CREATE", "data": {}}}"#,
    },
    Sender {
        scheme: Scheme::Stripe,
        secret: "whsec_stripe_takes_it_as_it_is",
        proof: "stripe-signature",
        prefix: "",
        time: None,
        needs: &[],
        body: r#"{"id": "evt_1", "type": "charge.succeeded", "account": "acct_1"}"#,
    },
    Sender {
        scheme: Scheme::Okta,
        secret: "my shared secret",
        proof: "authorization",
        prefix: "",
        time: None,
        needs: &[],
        body: r#"{"eventId": "e-1", "eventType": "com.okta.event_hook", "data": {"events": [{"eventType": "user.session.start"}]}}"#,
    },
    Sender {
        scheme: Scheme::Telegram,
        secret: "A-secret_token",
        proof: "x-telegram-bot-api-secret-token",
        prefix: "",
        time: None,
        needs: &[],
        body: r#"{"update_id": 10000, "message": {"text": "hello"}}"#,
    },
    Sender {
        scheme: Scheme::Standard,
        secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        proof: "webhook-signature",
        prefix: "v1,",
        time: Some("webhook-timestamp"),
        needs: &[("webhook-id", "msg_1")],
        body: r#"{"type": "batch.completed", "data": {}}"#,
    },
    Sender {
        scheme: Scheme::Websub,
        secret: "a secret of an administrator",
        proof: "x-hub-signature",
        prefix: "sha256=",
        time: None,
        needs: &[("x-atlassian-webhook-identifier", "b7dd6b1e-0ac1-4d4a-9f4b-6e6d2f5a3c01")],
        body: r#"{"timestamp": 1, "webhookEvent": "jira:issue_updated", "issue": {"id": "10000"}}"#,
    },
    Sender {
        scheme: Scheme::GoogleChannel,
        secret: "A-secret_token",
        proof: "x-goog-channel-token",
        prefix: "",
        time: None,
        needs: &[
            ("x-goog-channel-id", "01234567-89ab-cdef-0123456789ab"),
            ("x-goog-message-number", "2"),
            ("x-goog-resource-state", "exists"),
        ],
        body: "{}",
    },
];

impl Sender {
    pub(super) fn of(scheme: Scheme) -> &'static Self {
        SENDERS.iter().find(|sender| sender.scheme == scheme).unwrap()
    }

    /// Whether it proves the body, and not only itself.
    pub(super) fn signs(&self) -> bool {
        !matches!(self.scheme, Scheme::Okta | Scheme::Telegram | Scheme::GoogleChannel)
    }

    /// Whether what it proves has a time.
    pub(super) fn dates(&self) -> bool {
        self.signs() && !matches!(self.scheme, Scheme::Github | Scheme::Websub)
    }

    /// Whether the event is named in a header, so that the body may say anything.
    pub(super) fn names_in_header(&self) -> bool {
        matches!(self.scheme, Scheme::Github | Scheme::GoogleChannel)
    }

    /// Its example, signed.
    pub(super) fn send(&self, at: i64) -> Sent {
        self.send_body(at, self.body)
    }

    pub(super) fn send_body(&self, at: i64, body: &str) -> Sent {
        let body = body.replace("TIME", &(at * 1000).to_string());
        self.sign(HMAC_SHA256, self.secret, &at.to_string(), body.as_bytes())
    }

    /// Signed with this secret by this algorithm, at what is written as the time.
    pub(super) fn sign(&self, algorithm: Algorithm, secret: &str, time: &str, body: &[u8]) -> Sent {
        let mac = |key: &[u8], parts: &[&[u8]]| {
            hmac::sign(&hmac::Key::new(algorithm, key), &parts.concat()).as_ref().to_vec()
        };
        let key = secret.as_bytes();
        let proof = match self.scheme {
            Scheme::Slack => hex(&mac(key, &[b"v0:", time.as_bytes(), b":", body])),
            Scheme::Github | Scheme::Linear | Scheme::Websub => hex(&mac(key, &[body])),
            Scheme::Discord => {
                let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
                let seed =
                    if secret == self.secret { super::super::mac::hex(seed).unwrap() } else { [7; 32] };
                let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
                assert!(secret != self.secret || hex(pair.public_key().as_ref()) == self.secret);
                hex(pair.sign(&[time.as_bytes(), body].concat()).as_ref())
            }
            Scheme::Stripe => {
                format!("t={time},v1={}", hex(&mac(key, &[time.as_bytes(), b".", body])))
            }
            Scheme::Okta | Scheme::Telegram | Scheme::GoogleChannel => secret.to_owned(),
            Scheme::Standard => {
                let key = BASE64_STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap();
                BASE64_STANDARD.encode(mac(&key, &[b"msg_1.", time.as_bytes(), b".", body]))
            }
        };
        let mut headers = vec![
            ("content-type", b"application/json; charset=utf-8".to_vec()),
            (self.proof, format!("{}{proof}", self.prefix).into_bytes()),
        ];
        headers.extend(self.time.map(|name| (name, time.as_bytes().to_vec())));
        headers.extend(self.needs.iter().map(|(name, value)| (*name, value.as_bytes().to_vec())));
        Sent { headers, body: body.to_vec() }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
