//! A connector's own signing key, as a driver may use it: it signs, and never shows the private half.
//!
//! The engine makes such a key for every connector whose [`Abilities::signs`](super::ability::Abilities::signs) asks
//! for one, and serves the public half at [`jwks_url`].

use std::fmt;

use carnet_model::{Id, SecretString, kind};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// Signs with the connector's own key.
pub trait Signer: Send + Sync {
    /// The name of the key in the connector's key set.
    fn kid(&self) -> &str;

    /// The algorithm it signs with.
    fn algorithm(&self) -> SigningAlgorithm;

    /// A JWT of these claims in compact form. Its header names the key, the algorithm and `typ`.
    fn sign(&self, typ: &str, claims: &Map<String, Value>) -> Result<SecretString, CannotSign>;
}

/// The crypto library did not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connector's key could not sign")]
pub struct CannotSign;

/// What connectors sign with. RS256 where nothing is said, because every server takes it; ES256 costs a twentieth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256 and a key of 2048 bits.
    #[default]
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSASSA-PSS with SHA-256 and a key of 2048 bits.
    Ps256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519 (RFC 8037 §3.1).
    EdDsa,
}

impl SigningAlgorithm {
    /// All of them, in the order in which they are chosen where a server takes several.
    pub const ALL: [Self; 5] = [Self::Rs256, Self::Es256, Self::Ps256, Self::Es384, Self::EdDsa];

    /// The JWS name (RFC 7518 §3.1, RFC 8037 §3.1).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::Ps256 => "PS256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for SigningAlgorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Where the public keys of a connector are: what a provider is told as `jwks_uri`. `base` is the deployment's own URL.
pub fn jwks_url(base: &str, connector: Id<kind::Connector>) -> String {
    format!("{}/connect/jwks/{connector}", base.trim_end_matches('/'))
}
