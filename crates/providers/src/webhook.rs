//! How providers sign what they send, one file each.
//!
//! [`verify`] is a pure function of what arrived, the secrets and the time: whatever is not proven is
//! [refused](Refusal), before anything of it is believed. It answers what a provider asks of an address before it uses
//! it, names the event, the tenant and the provider's own identifier of the delivery, and says where an event tells that
//! access was lost.
//!
//! What holds of every scheme: the signature is over the bytes that arrived, compared in constant time after its format
//! was checked; a header that counts stands there exactly once; a time that is signed is at most five minutes off in
//! either direction (Linear: one minute); an empty secret verifies nothing; several secrets are tried while one takes the
//! place of another; nothing is signed with SHA-1.
//!
//! What it does not do: it keeps nothing, so that it cannot know a delivery that arrives again. Whoever stores events
//! does, by [`Event::delivery`], or by the SHA-256 of the body where the provider gives no identifier. GitHub, Okta,
//! Telegram, Google and those that sign as WebSub does sign no time, and GitHub and Linear do not sign their identifiers.

mod body;
mod clock;
mod discord;
mod github;
mod google_channel;
mod header;
mod linear;
mod mac;
mod okta;
mod slack;
mod standard;
mod stripe;
mod telegram;
#[cfg(test)]
mod tests;
mod websub;

use carnet_model::{SecretString, Time};
use http::{HeaderMap, StatusCode};

use crate::driver::secrets::ConnectorSecrets;

/// A request at a connector's intake, before anything about it is known.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Its headers, all of them.
    pub headers: &'a HeaderMap,
    /// The query of its address, as it was written.
    pub query: Option<&'a str>,
    /// The bytes of its body, as they arrived.
    pub body: &'a [u8],
    /// When it arrived.
    pub at: Time,
}

/// What a request is.
#[derive(Debug)]
pub enum Verdict {
    /// A question that the provider asks of the address. It is answered and goes nowhere.
    Handshake(Reply),
    /// An event, proven to be the provider's.
    Event(Event),
    /// Nothing that may be believed.
    Refused(Refusal),
}

/// An answer that a provider waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// The type of its body, where it says one.
    pub content_type: Option<&'static str>,
    /// Its body.
    pub body: Vec<u8>,
}

/// An event of a provider.
#[derive(Debug)]
pub struct Event {
    /// What it is called at the provider: `app_mention`, `workflow_job`, `Issue`.
    pub name: String,
    /// The tenant that it is of, as the provider names it: a workspace, an installation, an account.
    pub tenant: Option<String>,
    /// The provider's identifier of this delivery, the same when it is sent again.
    pub delivery: Option<String>,
    /// That access was lost, if that is what it tells.
    pub signal: Option<LossSignal>,
    /// What the provider is answered once the event is kept.
    pub answer: Reply,
}

/// That a provider tells of lost access. It is a hint and no proof: the provider is asked before anything ends by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LossSignal {
    /// What happened.
    pub loss: Loss,
    /// At which tenant, as the provider names it; `None` where accounts are named and no tenant is.
    pub tenant: Option<String>,
    /// Whose access, by the provider's identifiers of accounts. If it is empty, that of the application at the tenant, and
    /// of everybody there.
    pub accounts: Vec<String>,
}

/// How access is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// The application was removed.
    Uninstalled,
    /// Somebody stopped it, for now.
    Suspended,
    /// Somebody took back what was granted.
    Revoked,
}

/// Why a request is not believed. It is for logs and counts alone: who sent it learns nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// There is nothing to verify with.
    #[error("the connector has no secret to verify with")]
    NoSecret,
    /// A header is not there.
    #[error("the header {0} is missing")]
    Missing(&'static str),
    /// A header is there more than once.
    #[error("the header {0} is there more than once")]
    Repeated(&'static str),
    /// A header does not have the form that the provider gives it.
    #[error("the header {0} is not well formed")]
    Malformed(&'static str),
    /// The time that is signed is too far from now, in either direction.
    #[error("it was signed too long ago, or in the future")]
    Stale,
    /// Nobody who knows a secret signed it.
    #[error("the signature is not of any secret of the connector")]
    Unproven,
    /// It is signed, and no event of the provider's.
    #[error("the body is not an event of the provider")]
    Unreadable,
}

impl Refusal {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoSecret => "no_secret",
            Self::Missing(_) => "header_missing",
            Self::Repeated(_) => "header_repeated",
            Self::Malformed(_) => "header_malformed",
            Self::Stale => "stale",
            Self::Unproven => "unproven",
            Self::Unreadable => "unreadable",
        }
    }
}

/// How a provider signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Slack: HMAC-SHA256 of time and body.
    Slack,
    /// GitHub: HMAC-SHA256 of the body.
    Github,
    /// Linear: HMAC-SHA256 of the body, with the time inside.
    Linear,
    /// Discord: Ed25519 of time and body.
    Discord,
    /// Stripe: HMAC-SHA256 of time and body, several signatures in one header.
    Stripe,
    /// Okta: a secret in a header.
    Okta,
    /// Telegram: a secret in a header.
    Telegram,
    /// Standard Webhooks: HMAC-SHA256 of identifier, time and body.
    Standard,
    /// WebSub, as Jira and Bitbucket sign: HMAC-SHA256 of the body.
    Websub,
    /// Google's notification channels: a secret in a header.
    GoogleChannel,
}

impl Scheme {
    /// All that this build knows.
    pub const ALL: [Self; 10] = [
        Self::Slack,
        Self::Github,
        Self::Linear,
        Self::Discord,
        Self::Stripe,
        Self::Okta,
        Self::Telegram,
        Self::Standard,
        Self::Websub,
        Self::GoogleChannel,
    ];

    /// The member of a connector's `data` that holds what its webhooks are verified with.
    pub const fn secret_member(self) -> &'static str {
        match self {
            Self::Slack => "signingSecret",
            Self::Github
            | Self::Linear
            | Self::Discord
            | Self::Stripe
            | Self::Okta
            | Self::Telegram
            | Self::Standard
            | Self::Websub
            | Self::GoogleChannel => "webhookSecret",
        }
    }

    /// The header that is the secret itself, where nothing is signed: whoever gets the event must not get that.
    pub const fn secret_header(self) -> Option<&'static str> {
        match self {
            Self::Okta => Some(okta::SECRET),
            Self::Telegram => Some(telegram::SECRET),
            Self::GoogleChannel => Some(google_channel::SECRET),
            Self::Slack
            | Self::Github
            | Self::Linear
            | Self::Discord
            | Self::Stripe
            | Self::Standard
            | Self::Websub => None,
        }
    }

    /// What the webhooks of a connector are verified with, if it was given it.
    pub fn secret_of(self, secrets: &ConnectorSecrets) -> Option<SecretString> {
        let secret = secrets.at(&format!("/{}", self.secret_member()))?;
        (!secret.expose().is_empty()).then(|| secret.duplicate())
    }
}

/// How a service signs its webhooks, by the slug of its catalog entry; `None` if it sends none that could be verified
/// here.
pub fn scheme_of(service: &str) -> Option<Scheme> {
    SERVICES.iter().find(|(slug, _)| *slug == service).map(|(_, scheme)| *scheme)
}

/// The services whose webhooks can be verified, and how.
pub const SERVICES: [(&str, Scheme); 14] = [
    ("slack", Scheme::Slack),
    ("github", Scheme::Github),
    ("linear", Scheme::Linear),
    ("discord", Scheme::Discord),
    ("stripe", Scheme::Stripe),
    ("okta", Scheme::Okta),
    ("telegram", Scheme::Telegram),
    // The first two name the headers webhook-…, the others svix-….
    ("openai", Scheme::Standard),
    ("replicate", Scheme::Standard),
    ("clerk", Scheme::Standard),
    ("resend", Scheme::Standard),
    ("jira", Scheme::Websub),
    ("bitbucket", Scheme::Websub),
    ("google", Scheme::GoogleChannel),
];

/// Judges a `POST`. All of `secrets` are good: more than one while a new one takes the place of an old one.
pub fn verify(scheme: Scheme, secrets: &[SecretString], received: &Received<'_>) -> Verdict {
    let verdict = match scheme {
        Scheme::Slack => slack::verify(secrets, received),
        Scheme::Github => github::verify(secrets, received),
        Scheme::Linear => linear::verify(secrets, received),
        Scheme::Discord => discord::verify(secrets, received),
        Scheme::Stripe => stripe::verify(secrets, received),
        Scheme::Okta => okta::verify(secrets, received),
        Scheme::Telegram => telegram::verify(secrets, received),
        Scheme::Standard => standard::verify(secrets, received),
        Scheme::Websub => websub::verify(secrets, received),
        Scheme::GoogleChannel => google_channel::verify(secrets, received),
    };
    verdict.unwrap_or_else(Verdict::Refused)
}

/// Judges a `GET`: a question that a provider asks of the address. Only Okta asks one so, and proves itself with it.
pub fn challenge(scheme: Scheme, secrets: &[SecretString], received: &Received<'_>) -> Verdict {
    match scheme {
        Scheme::Okta => okta::challenge(secrets, received).map_or_else(Verdict::Refused, Verdict::Handshake),
        _ => Verdict::Refused(Refusal::Unreadable),
    }
}

impl Reply {
    /// 200, and nothing else.
    fn empty() -> Self {
        Self { status: StatusCode::OK, content_type: None, body: Vec::new() }
    }

    fn json(value: &serde_json::Value) -> Self {
        Self {
            status: StatusCode::OK,
            content_type: Some("application/json"),
            body: value.to_string().into_bytes(),
        }
    }
}

impl LossSignal {
    /// `None` without a tenant, so that it is not taken for all of them.
    fn at(tenant: Option<String>, loss: Loss) -> Option<Self> {
        tenant.map(|tenant| Self { loss, tenant: Some(tenant), accounts: Vec::new() })
    }

    /// `None` if it is nobody's, so that it is not taken for everybody's.
    fn of(tenant: Option<String>, mut accounts: Vec<String>) -> Option<Self> {
        accounts.truncate(MOST_ACCOUNTS);
        (!accounts.is_empty()).then_some(Self { loss: Loss::Revoked, tenant, accounts })
    }
}

/// As many accounts of one event are asked about at most: what is lost beyond is found at its next use.
const MOST_ACCOUNTS: usize = 100;
