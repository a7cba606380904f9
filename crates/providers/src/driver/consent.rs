//! A person's consent: what is asked, what must be remembered while the person is away, what comes of it.

use std::collections::BTreeMap;

use carnet_model::{Scopes, SecretBytes, SecretString, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::held::Held;
use super::installed::Installed;
use super::profile::Profile;

/// What a person is asked to consent to.
#[derive(Clone, Debug)]
pub struct ConsentAsk<'a> {
    /// The scopes; `None` sends none.
    pub scopes: Option<Scopes>,
    /// The engine's one-time state.
    pub state: &'a SecretString,
    /// The resources for which access is wanted (RFC 8707).
    pub resources: Vec<String>,
    /// The audiences; the connector's default if empty.
    pub audience: Vec<String>,
    /// Authorization details (RFC 9396).
    pub details: Vec<Value>,
    /// `prompt` for the provider.
    pub prompt: Option<String>,
    /// Further parameters for the provider's page. None of the protocol's own can be set here.
    pub additional_params: BTreeMap<String, String>,
    /// Who is expected to sign in.
    pub login_hint: Option<String>,
    /// Whether the application is to be installed, rather than a person to be acted for.
    pub installs: bool,
    /// At which tenant of the provider.
    pub tenant: Option<String>,
}

impl<'a> ConsentAsk<'a> {
    /// Asks for nothing in particular.
    pub const fn new(state: &'a SecretString) -> Self {
        Self {
            scopes: None,
            state,
            resources: Vec::new(),
            audience: Vec::new(),
            details: Vec::new(),
            prompt: None,
            additional_params: BTreeMap::new(),
            login_hint: None,
            installs: false,
            tenant: None,
        }
    }
}

/// What the person has to do.
#[derive(Debug)]
pub enum Step {
    /// Go to the provider and come back.
    Redirect {
        /// Where to.
        url: Url,
        /// What [`Driver::finish`](crate::Driver::finish) needs to know.
        kept: Kept,
    },
    /// Paste a key.
    PasteKey {
        /// Where the key is found, in Markdown.
        instructions: Option<String>,
    },
    /// Enter a code on a page of the provider's, which sends nobody back.
    Device {
        /// What [`Driver::finish`](crate::Driver::finish) needs to know, [the code](Kept::device) too.
        kept: Kept,
    },
}

/// Where a consent leads, told before anything is begun.
#[derive(Debug)]
pub enum Way {
    /// To the provider, and back.
    Redirect {
        /// Its page, without what the request says.
        page: Url,
    },
    /// A key is pasted.
    PasteKey {
        /// Where the key is found, in Markdown.
        instructions: Option<String>,
    },
    /// To a page of the provider's with a code.
    Device,
}

/// A code for a page of the provider's (RFC 8628 §3.2).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceCode {
    /// With what the provider is asked how far the person is.
    pub code: SecretString,
    /// What the person enters.
    pub user_code: String,
    /// Where.
    #[serde(deserialize_with = "url")]
    pub page: Url,
    /// The same page with the code in its address, if the provider has one.
    #[serde(default, deserialize_with = "maybe_url")]
    pub whole_page: Option<Url>,
    /// How many seconds lie between two questions.
    pub interval: u64,
    /// Until when the code can be used.
    pub expires_at: Time,
}

/// What is remembered while a person is at the provider. Sealed by the engine.
#[derive(Debug, Default)]
pub struct Kept {
    /// The PKCE verifier (RFC 7636).
    pub verifier: Option<SecretString>,
    /// The nonce that must stand in the ID token.
    pub nonce: Option<SecretString>,
    /// The issuer to which the person was sent (RFC 9207 §2.4).
    pub issuer: Option<String>,
    /// What was asked for.
    pub scopes: Option<Scopes>,
    /// The resources that were asked for; they are named again when the code is redeemed (RFC 8707 §2.2).
    pub resources: Vec<String>,
    /// The audiences that were asked for.
    pub audience: Vec<String>,
    /// The authorization details that were asked for.
    pub details: Vec<Value>,
    /// The code that the person was given for a page of the provider's.
    pub device: Option<DeviceCode>,
    /// Whether the application is being installed.
    pub installs: bool,
    /// When the person was sent there, where something of the provider's is to be no older.
    pub left_at: Option<Time>,
    /// As what the connector was known at the provider: the code is given to that client.
    pub client: Option<String>,
}

/// Bytes that are not a stored [`Kept`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("what was kept for a consent cannot be read")]
pub struct InvalidKept;

impl Kept {
    /// To be sealed.
    pub fn to_json(&self) -> SecretBytes {
        let plain = Plain {
            verifier: self.verifier.as_ref().map(|text| text.expose().as_str()),
            nonce: self.nonce.as_ref().map(|text| text.expose().as_str()),
            issuer: self.issuer.as_deref(),
            scopes: self.scopes.as_ref(),
            resources: &self.resources,
            audience: &self.audience,
            details: &self.details,
            device: self.device.as_ref().map(PlainDevice::of),
            installs: self.installs,
            left_at: self.left_at,
            client: self.client.as_deref(),
        };
        super::held::write_json(&plain, 1024)
    }

    /// From what was sealed.
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidKept> {
        let Read {
            verifier,
            nonce,
            issuer,
            scopes,
            resources,
            audience,
            details,
            device,
            installs,
            left_at,
            client,
        } = serde_json::from_slice(json).map_err(|_| InvalidKept)?;
        Ok(Self {
            verifier,
            nonce,
            issuer,
            scopes,
            resources,
            audience,
            details,
            device,
            installs,
            left_at,
            client,
        })
    }
}

#[derive(Serialize)]
struct Plain<'a> {
    verifier: Option<&'a str>,
    nonce: Option<&'a str>,
    issuer: Option<&'a str>,
    scopes: Option<&'a Scopes>,
    resources: &'a [String],
    audience: &'a [String],
    details: &'a [Value],
    device: Option<PlainDevice<'a>>,
    installs: bool,
    left_at: Option<Time>,
    client: Option<&'a str>,
}

#[derive(Serialize)]
struct PlainDevice<'a> {
    code: &'a str,
    user_code: &'a str,
    page: &'a str,
    whole_page: Option<&'a str>,
    interval: u64,
    expires_at: Time,
}

impl<'a> PlainDevice<'a> {
    fn of(device: &'a DeviceCode) -> Self {
        Self {
            code: device.code.expose(),
            user_code: &device.user_code,
            page: device.page.as_str(),
            whole_page: device.whole_page.as_ref().map(Url::as_str),
            interval: device.interval,
            expires_at: device.expires_at,
        }
    }
}

fn url<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    Url::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn maybe_url<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| Url::parse(&text).map_err(serde::de::Error::custom)).transpose()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    verifier: Option<SecretString>,
    nonce: Option<SecretString>,
    issuer: Option<String>,
    scopes: Option<Scopes>,
    resources: Vec<String>,
    // Not there in what was kept before these were asked for.
    #[serde(default)]
    audience: Vec<String>,
    #[serde(default)]
    details: Vec<Value>,
    #[serde(default)]
    device: Option<DeviceCode>,
    #[serde(default)]
    installs: bool,
    #[serde(default)]
    left_at: Option<Time>,
    #[serde(default)]
    client: Option<String>,
}

/// What came back from the person.
#[derive(Debug)]
pub enum Callback {
    /// The browser returned with these query parameters, decoded, in order.
    Redirected {
        /// Names and values. They hold the authorization code, and so are spent at once.
        params: Vec<(String, String)>,
    },
    /// Nothing came back; the provider is to be asked whether the person has entered the code.
    Awaited,
    /// The person pasted this.
    Pasted {
        /// As typed.
        key: SecretString,
    },
}

/// A grant, fresh from the provider.
#[derive(Debug)]
pub struct Granted {
    /// What must be sealed and stored.
    pub held: Held,
    /// What was granted: as the provider says, else as asked (RFC 6749 §5.1); `None` if nothing was asked or said.
    pub scopes: Option<Scopes>,
    /// The account at the provider, where it says.
    pub external_subject: Option<String>,
    /// When the access token ends.
    pub access_expires_at: Option<Time>,
    /// When the refresh token ends.
    pub refresh_expires_at: Option<Time>,
    /// What the provider calls the person.
    pub name: Option<String>,
    /// Further facts for callers.
    pub metadata: Map<String, Value>,
    /// Who the person is, for apps that sign people in.
    pub profile: Profile,
    /// Where the application is installed now, if that is what was asked for.
    pub installation: Option<Installed>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_reads_back() {
        let kept = Kept {
            verifier: Some("v".to_owned().into()),
            nonce: None,
            issuer: Some("https://idp.example".to_owned()),
            scopes: Scopes::parse(["a"]).ok(),
            resources: vec!["https://api.example".to_owned()],
            audience: vec!["api".to_owned()],
            details: vec![serde_json::json!({"type": "a"})],
            device: Some(DeviceCode {
                code: "d".to_owned().into(),
                user_code: "WDJB".to_owned(),
                page: Url::parse("https://a.example/device").unwrap(),
                whole_page: None,
                interval: 5,
                expires_at: Time::from_secs(7),
            }),
            installs: true,
            left_at: Some(Time::from_secs(8)),
            client: Some("c".to_owned()),
        };
        let again = Kept::from_json(kept.to_json().expose()).unwrap();
        assert_eq!(again.verifier.map(|v| v.expose().clone()).as_deref(), Some("v"));
        let device = again.device.unwrap();
        assert_eq!((device.code.expose().as_str(), device.expires_at), ("d", Time::from_secs(7)));
        assert_eq!(device.page.as_str(), "https://a.example/device");
        assert_eq!((again.issuer, again.scopes, again.resources), (kept.issuer, kept.scopes, kept.resources));
        assert_eq!((again.audience, again.details), (kept.audience, kept.details));
        assert_eq!((again.installs, again.left_at), (true, Some(Time::from_secs(8))));
        assert_eq!(again.client.as_deref(), Some("c"));
        assert_eq!(Kept::from_json(b"{}").unwrap_err(), InvalidKept);
    }
}
