//! Registering an application at a provider on somebody's behalf, so that nobody copies secrets by hand.

use carnet_egress::Egress;
use carnet_model::{Env, Id, Scopes, kind};
use serde_json::{Map, Value};
use url::{Host, Url};

/// What the application is to be.
#[derive(Clone, Debug)]
pub struct RegistrationAsk<'a> {
    /// What people at the provider will call it.
    pub name: &'a str,
    /// The organization at the provider that will own it; the person who registers it if left out.
    pub owner: Option<&'a str>,
    /// What it may do.
    pub scopes: &'a Scopes,
    /// Whether accounts besides its owner's may install it.
    pub shared: bool,
    /// This deployment, as the application's home.
    pub home: &'a str,
    /// Where people are sent back to who consent or install.
    pub redirect_uri: &'a str,
    /// Where the provider sends its events, if it [can](events_url).
    pub events: Option<&'a str>,
    /// Where the browser is sent back to that registers it.
    pub back: &'a str,
    /// The engine's one-time state.
    pub state: &'a str,
}

/// How it is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registration {
    /// The person's browser posts this form to the provider, and comes back with a code.
    Form {
        /// Where to.
        to: Url,
        /// Names and values.
        fields: Vec<(&'static str, String)>,
    },
    /// The person has a token there with which an application can be made; it is used once and not kept.
    Token {
        /// Where such a token is had.
        tokens: Url,
        /// Where the application can be made by hand, with everything filled in; its secrets are then copied.
        by_hand: Url,
    },
}

/// What a code is redeemed with.
#[derive(Clone, Copy)]
pub struct Redeem<'a> {
    /// The code.
    pub code: &'a str,
    /// The only way out.
    pub http: &'a Egress,
    /// Time and randomness.
    pub env: &'a Env,
    /// The team on whose behalf.
    pub tenant: Id<kind::Team>,
}

/// An application that was registered.
#[derive(Debug)]
pub struct Redeemed {
    /// The `data` of its connector, secrets included.
    pub data: Map<String, Value>,
    /// Who owns it, by the provider's name.
    pub owner: Option<String>,
    /// What it is called there.
    pub name: Option<String>,
    /// Where it is looked after at the provider.
    pub page: Option<String>,
}

/// Where a provider sends the events of a connector; `None` where it could not, because the deployment is not at an https
/// address with a public name. Providers refuse an application with an address that they cannot reach, whether or not
/// they would use it. `base` is the deployment's own URL.
pub fn events_url(base: &str, connector: Id<kind::Connector>) -> Option<String> {
    let url = Url::parse(base).ok().filter(|url| url.scheme() == "https")?;
    let Some(Host::Domain(name)) = url.host() else { return None };
    let is_public = name.contains('.') && !PRIVATE.iter().any(|end| name.ends_with(end));
    is_public.then(|| format!("{}/connect/trigger/{connector}", base.trim_end_matches('/')))
}

/// Ends of names that mean nothing outside (RFC 6761, RFC 6762 appendix G, ICANN's `.internal`, RFC 8375).
const PRIVATE: [&str; 8] =
    [".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa", ".test", ".invalid"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_sent_only_where_a_provider_can_reach() {
        let connector = Id::from_bytes([7; 16]);
        let at = format!("https://carnet.acme.example/connect/trigger/{connector}");
        for base in ["https://carnet.acme.example", "https://carnet.acme.example/"] {
            assert_eq!(events_url(base, connector), Some(at.clone()), "{base}");
        }
        for base in [
            "http://carnet.acme.example",
            "http://127.0.0.1:7070",
            "https://localhost:7070",
            "https://carnet",
            "https://10.0.0.7",
            "https://203.0.113.7",
            "https://[2001:db8::1]",
            "https://carnet.corp.internal",
            "https://carnet.local",
            "https://carnet.test",
            "carnet.acme.example",
            "",
        ] {
            assert_eq!(events_url(base, connector), None, "{base}");
        }
    }
}
