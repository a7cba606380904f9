//! The sign-in gateway: an app lets people sign in with a connector, and Carnet is its OpenID provider.
//!
//! `client_id` is a connector. The app sends the browser here ([`crate::consent`] begins and ends that ceremony), the
//! person signs in at the connector's provider, and the app gets a code at an address that the team registered for it
//! ([`redirect_uris`](RegisteredUri)). It redeems the code as a [client]: not with a secret, but with the identity of
//! the workload that it is. What it gets ([`tokens`]) is Carnet's own; the provider's tokens stay here, and are asked for
//! like those of any other user.
//!
//! Promised: a code is good once, for a minute, and only for the connector, project, environment, address and PKCE
//! verifier it was made for; used twice, it ends what it had begun. A refresh token is good once, and one that was
//! replaced ends the session. A session holds as long as the grant from which it came, the link, and the registration of
//! the workload do. Not promised: that an access token is refused before its end by whoever verifies it without asking
//! here; that is why it is short-lived.

mod client;
mod person;
mod redirect_uris;
mod session;
mod signing;
mod tokens;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::{Code, Fault, Id, kind};
use serde_json::{Map, Value, json};
use url::Url;

use crate::broker::Broker;
use crate::rates::TooFast;

pub use person::GatewayPerson;
pub(crate) use redirect_uris::known_as;
pub use redirect_uris::{NewRedirectUri, RegisteredUri};
pub use tokens::{CodeAsk, GatewayGrant, GatewayTokens};

/// Why nobody is signed in.
#[derive(Debug)]
pub enum GatewayRefused {
    /// The person is told, and sent nowhere.
    Page(Fault),
    /// The app is told, at an address that it registered.
    Back(Url),
}

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    /// Those of apps, for a connector.
    Apps(Id<kind::Connector>),
    /// Those of browsers, for a connector, from one network; all that come from nowhere are one.
    Browsers(Id<kind::Connector>, Option<IpAddr>),
}

impl Asker {
    const fn connector(self) -> Id<kind::Connector> {
        match self {
            Self::Apps(connector) | Self::Browsers(connector, _) => connector,
        }
    }
}

impl Broker {
    /// Lets a request through, or says when it can come again. The first refusal in a minute is on the record.
    pub(crate) async fn gateway_pace(&self, asker: Asker) -> Result<(), Fault> {
        let inner = &self.inner;
        let now = inner.env.now();
        let connector = asker.connector();
        let Err(TooFast { wait, is_news }) = inner.gateway_rates.take(asker, PER_MINUTE, now) else {
            return Ok(());
        };
        if is_news && let Some(team) = inner.team_of(connector).await.map_err(crate::faults::store)? {
            let event = AuditEvent::of_system(now, Action::LimitReach)
                .in_team(team)
                .on(connector)
                .ended(Outcome::Denied)
                .with("kind", "gateway")
                .with("perMinute", PER_MINUTE.get())
                .with("code", Code::RateLimited.as_str());
            self.record(event).await?;
        }
        let seconds = u64::try_from(wait.as_millis().div_ceil(1000).max(1)).unwrap_or(60);
        let message =
            format!("There are at most {PER_MINUTE} requests a minute for signing in with a connector.");
        Err(Fault::new(Code::RateLimited, message)
            .with("limit", PER_MINUTE.get())
            .retry_after(seconds)
            .recorded())
    }
}

/// The app's address with these parameters and its state. It does not name the issuer (RFC 9207): an official client takes
/// an answer that does for one of somebody else's, as it is not told the issuer that it speaks to.
pub(crate) fn answer_to(uri: &str, state: Option<&str>, params: &[(&str, &str)]) -> Option<Url> {
    let mut url = Url::parse(uri).ok()?;
    url.query_pairs_mut().extend_pairs(params).extend_pairs(state.map(|state| ("state", state)));
    Some(url)
}

/// Whether text can be an S256 challenge: a SHA-256 in base64url (RFC 7636 §4.2).
pub(crate) fn is_challenge(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// What the discovery document says besides (OpenID Connect Discovery 1.0 §3, RFC 8414 §2).
pub(crate) fn described() -> Map<String, Value> {
    let told = json!({
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [
            "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "subject_types_supported": ["pairwise"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "claims_supported": [
            "iss", "aud", "sub", "azp", "iat", "exp", "auth_time", "nonce", "at_hash", "name", "email", "email_verified",
            "picture",
        ],
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "authorization_response_iss_parameter_supported": false,
    });
    match told {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// How long a code is good: a browser brings it at once (RFC 6749 §4.1.2 allows ten minutes).
pub(crate) const CODE: Duration = Duration::from_mins(1);
/// How long an access token is, for whoever verifies it without asking here.
pub(crate) const ACCESS: Duration = Duration::from_mins(15);
/// After how long without being renewed a session is over.
pub(crate) const UNUSED: Duration = Duration::from_hours(24 * 30);
/// Of the vendor whose clients these are.
const PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(5999);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_keeps_what_stands_in_the_address_and_cannot_be_led_elsewhere() {
        let params = [("code", "c&d")];
        for (uri, state, want) in [
            ("https://app.example/cb", Some("s t"), "https://app.example/cb?code=c%26d&state=s+t"),
            ("https://app.example/cb?a=1", None, "https://app.example/cb?a=1&code=c%26d"),
            ("https://app.example", Some("#x"), "https://app.example/?code=c%26d&state=%23x"),
        ] {
            assert_eq!(answer_to(uri, state, &params).unwrap().as_str(), want);
        }
    }

    #[test]
    fn a_challenge_is_a_digest() {
        assert!(is_challenge("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
        for bad in
            ["", "short", &"a".repeat(44), &format!("{}+", "a".repeat(42)), &format!("{}=", "a".repeat(42))]
        {
            assert!(!is_challenge(bad), "{bad}");
        }
    }
}
