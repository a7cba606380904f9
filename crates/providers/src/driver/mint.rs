//! A token: what is asked for it, and what comes of it.

use carnet_model::{Scopes, SecretString, Time};
use serde_json::{Map, Value};

use super::held::Held;
use super::installed::Installed;

/// What kind of token is wanted.
#[derive(Debug)]
pub enum MintAsk {
    /// A new one from what is held for the subject.
    Refresh {
        /// Fewer scopes than were granted; `None` for all of them.
        scopes: Option<Scopes>,
        /// Bound to these (RFC 8707).
        resources: Vec<String>,
        /// For these.
        audience: Vec<String>,
        /// With these (RFC 9396).
        details: Vec<Value>,
    },
    /// One of the application itself.
    App {
        /// These scopes, or for stored keys the label; `None` sends none.
        scopes: Option<Scopes>,
        /// Bound to these (RFC 8707).
        resources: Vec<String>,
        /// For these; the connector's default if empty.
        audience: Vec<String>,
        /// With these (RFC 9396).
        details: Vec<Value>,
        /// At this installation, where the connector has them.
        installation: Option<Installed>,
    },
    /// One for an identity that the caller asserts (RFC 7523 §2.1).
    Asserted {
        /// Whose.
        who: Asserted,
        /// These scopes; `None` sends none.
        scopes: Option<Scopes>,
        /// Bound to these (RFC 8707).
        resources: Vec<String>,
        /// For these; the connector's default if empty.
        audience: Vec<String>,
        /// With these (RFC 9396).
        details: Vec<Value>,
    },
    /// One for the holder of a token that the caller has (RFC 8693).
    Exchanged {
        /// That token. It goes to the connector's token endpoint and nowhere else.
        token: SecretString,
        /// These scopes; `None` sends none.
        scopes: Option<Scopes>,
        /// Bound to these (RFC 8707).
        resources: Vec<String>,
        /// For these; the connector's default if empty.
        audience: Vec<String>,
        /// With these (RFC 9396).
        details: Vec<Value>,
    },
}

/// An identity that a caller asserts.
#[derive(Clone, Debug)]
pub struct Asserted {
    /// `sub`
    pub sub: String,
    /// `iss`; the connector's own, or its client identifier, if left out.
    pub iss: Option<String>,
    /// `aud`; the connector's own, or its token endpoint, if left out.
    pub aud: Option<String>,
    /// Claims besides the registered ones.
    pub claims: Map<String, Value>,
}

/// A token, and what changed by making it.
#[derive(Debug)]
pub struct Minted {
    /// The token.
    pub token: SecretString,
    /// When it ends; `None` if nobody says.
    pub expires_at: Option<Time>,
    /// What it may do: as the provider says, else as asked (RFC 6749 §5.1); `None` if nothing was asked or said.
    pub scopes: Option<Scopes>,
    /// What must be durable before the token leaves the process, in the place of what was held. Always there after a
    /// refresh; `None` where nothing is held, or nothing of it can change (client credentials, stored and pasted keys).
    pub held: Option<Held>,
    /// When the refresh token ends, if it is known.
    pub refresh_expires_at: Option<Time>,
    /// Further facts for the caller.
    pub metadata: Map<String, Value>,
    /// The claims about the person that the connector forwards.
    pub claims: Map<String, Value>,
    /// The account at the provider, where it says.
    pub external_subject: Option<String>,
    /// Why the token must not be handed out, if it is for something else than was asked. What is to be held is held all
    /// the same: the refresh token before it may be spent.
    pub stray: Option<String>,
    /// Whether there is no token, because the answer was none except for what the grant is renewed with, which is held.
    pub flawed: bool,
}

/// How a revocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The provider has forgotten the grant.
    Revoked,
    /// The provider has no way to be told.
    NotSupported,
}
