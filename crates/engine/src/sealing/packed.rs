//! What is inside: the facts that callers are told behind their length, then the secret.

use carnet_model::{Id, Scopes, Secret, SecretBytes, SecretString, Time, kind};
use carnet_providers::{Held, Profile};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What is kept for a grant: the driver's part, and what callers are told beside the token.
pub(crate) struct GrantSecret {
    pub(crate) facts: Facts,
    pub(crate) held: Held,
}

/// What callers are told beside a token.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// `stk_…` of the access token that is held; a new one with every new token.
    pub(crate) token_id: Option<Id<kind::Token>>,
    /// What the person was asked for. Some providers answer with other names for the same scopes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asked: Option<Scopes>,
    /// What of that callers named, rather than the connector.
    #[serde(default, skip_serializing_if = "Scopes::is_empty")]
    pub(crate) named: Scopes,
    /// The resources (RFC 8707) that the person was asked for, besides the connector's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) resources: Vec<String>,
    /// The audiences that the person was asked for, besides the connector's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) audience: Vec<String>,
    /// The authorization details (RFC 9396) that the person was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) details: Vec<Value>,
    /// The request for consent from which it came; none if it was imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) given_by: Option<Id<kind::AuthorizationRequest>>,
    /// The digest of what was imported, in base64url, if it was: the same file again is known by it, after renewals too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) imported: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) external_subject: Option<String>,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
    /// For apps that sign people in; nobody else is told.
    #[serde(default, skip_serializing_if = "Profile::is_empty")]
    pub(crate) profile: Profile,
}

/// A token that was made for a request.
pub(crate) struct MadeToken {
    pub(crate) token: SecretString,
    pub(crate) facts: Facts,
    pub(crate) expires_at: Option<Time>,
}

impl GrantSecret {
    /// Facts behind their length, then the driver's part.
    pub(super) fn pack(&self) -> SecretBytes {
        pack(&self.facts, self.held.to_json().expose())
    }

    pub(super) fn unpack(bytes: &[u8]) -> Option<Self> {
        let (facts, rest) = unpack(bytes)?;
        Some(Self { facts, held: Held::from_json(rest).ok()? })
    }
}

impl MadeToken {
    pub(crate) fn pack(&self) -> SecretBytes {
        pack(&self.facts, self.token.expose().as_bytes())
    }

    pub(crate) fn unpack(bytes: &[u8], expires_at: Option<Time>) -> Option<Self> {
        let (facts, rest) = unpack(bytes)?;
        Some(Self { token: Secret::new(str::from_utf8(rest).ok()?.to_owned()), facts, expires_at })
    }
}

fn pack(facts: &Facts, secret: &[u8]) -> SecretBytes {
    let facts = serde_json::to_vec(facts).unwrap_or_default();
    let mut out = Vec::with_capacity(4 + facts.len() + secret.len());
    out.extend_from_slice(&u32::try_from(facts.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&facts);
    out.extend_from_slice(secret);
    Secret::new(out)
}

fn unpack(bytes: &[u8]) -> Option<(Facts, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (facts, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    Some((serde_json::from_slice(facts).ok()?, rest))
}
