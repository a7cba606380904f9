//! Typed identifiers: `scl_` and 22 base62 characters in text, 16 bytes in a column.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What an identifier identifies.
pub trait Kind: Send + Sync + 'static {
    /// The text before the underscore.
    const PREFIX: &'static str;
}

/// The kinds of identifier, one empty type each.
pub mod kind {
    use super::Kind;

    macro_rules! kinds {
        ($($(#[$doc:meta])* $name:ident = $prefix:literal,)*) => {$(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub enum $name {}
            impl Kind for $name { const PREFIX: &'static str = $prefix; }
        )*};
    }

    kinds! {
        /// A tenant.
        Team = "team",
        /// A person with an account here.
        User = "usr",
        /// A project of a team.
        Project = "prj",
        /// A custom environment of a project.
        CustomEnvironment = "env",
        /// A connector.
        Connector = "scl",
        /// An installation of a connector at one provider tenant.
        Installation = "sci",
        /// One issued token. The token itself is not stored under it.
        Token = "stk",
        /// What is kept for a subject so that tokens can be made: refresh token or key.
        Grant = "grt",
        /// An application that is being registered at a provider.
        Registration = "reg",
        /// One browser ceremony that makes a grant.
        AuthorizationRequest = "car",
        /// An access token of Carnet's own API.
        AccessToken = "atk",
        /// A person signed in, in one browser.
        Session = "ses",
        /// A key with which a person signs in.
        Passkey = "pky",
        /// A command line that a person signed in.
        CommandLine = "cli",
        /// Somebody who signed in to an app with a connector: what the app knows the account at the provider as.
        GatewayPerson = "per",
        /// Somebody's being signed in to an app with a connector.
        GatewaySession = "gws",
        /// A link by which one person may join a team.
        Invitation = "inv",
        /// A trusted issuer of workload identities.
        TrustedIssuer = "iss",
        /// One attempt to refresh a grant.
        RefreshOperation = "rfo",
        /// An inbound provider event.
        Event = "evt",
        /// Where a connector's events are forwarded to.
        Destination = "dst",
        /// One event on its way to one destination.
        Delivery = "dlv",
        /// One HTTP request to Carnet.
        Request = "req",
        /// This deployment of Carnet.
        Deployment = "dep",
    }
}

/// An identifier of a `K`: 128 random bits.
pub struct Id<K>([u8; 16], PhantomData<fn() -> K>);

/// Text that is not an identifier of the wanted kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an identifier of the form {prefix}_ and {LEN} letters or digits")]
pub struct InvalidId {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

impl<K: Kind> Id<K> {
    /// From the 16 bytes of a column.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes, PhantomData)
    }

    /// The 16 bytes of a column.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads `prefix_…`.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId { prefix: K::PREFIX };
        let Some(digits) = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_')) else {
            return Err(invalid);
        };
        decode(digits).map(Self::from_bytes).ok_or(invalid)
    }
}

/// 22 digits of base 62 hold 128 bits.
const LEN: usize = 22;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Ten digits fit into 64 bits, where dividing is cheap.
const TEN_DIGITS: u128 = 62_u128.pow(10);

fn encode(bytes: [u8; 16]) -> [u8; LEN] {
    let mut rest = u128::from_be_bytes(bytes);
    let mut out = [b'0'; LEN];
    for digits in out.rchunks_mut(10) {
        let mut low = u64::try_from(rest % TEN_DIGITS).unwrap_or_default();
        rest /= TEN_DIGITS;
        for digit in digits.iter_mut().rev() {
            *digit = usize::try_from(low % 62).ok().and_then(|i| DIGITS.get(i).copied()).unwrap_or(b'0');
            low /= 62;
        }
    }
    out
}

fn decode(text: &str) -> Option<[u8; 16]> {
    if text.len() != LEN {
        return None;
    }
    let mut value = 0_u128;
    for byte in text.bytes() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            b'a'..=b'z' => byte - b'a' + 36,
            _ => return None,
        };
        value = value.checked_mul(62)?.checked_add(u128::from(digit))?;
    }
    Some(value.to_be_bytes())
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = encode(self.0);
        f.write_str(K::PREFIX)?;
        f.write_str("_")?;
        f.write_str(str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

// Written out, because a derive would ask the same of `K`.
impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> std::hash::Hash for Id<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_identifier_reads_back(bytes: [u8; 16]) {
            let id = Id::<kind::Connector>::from_bytes(bytes);
            let text = id.to_string();
            prop_assert_eq!(text.len(), 26);
            prop_assert_eq!(Id::parse(&text), Ok(id));
        }

        #[test]
        fn no_text_is_read_as_two_identifiers(text in "[0-9A-Za-z_]{22}") {
            if let Ok(id) = Id::<kind::Team>::parse(&format!("team_{text}")) {
                prop_assert_eq!(id.to_string(), format!("team_{text}"));
            }
        }
    }

    #[test]
    fn what_is_not_an_identifier_is_refused() {
        for text in [
            "",
            "scl_",
            "scl_short",
            "prj_0000000000000000000000",
            "scl_00000000000000000000000",
            "scl_zzzzzzzzzzzzzzzzzzzzzz",
            "SCL_0000000000000000000000",
            "scl_000000000000000000000é",
        ] {
            assert!(Id::<kind::Connector>::parse(text).is_err(), "{text}");
        }
    }
}
