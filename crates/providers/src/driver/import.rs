//! Tokens that somebody has already, and wants kept here from now on.

use carnet_model::{Scopes, SecretString, Time};
use serde_json::{Map, Value};

use super::held::Bound;

/// What somebody has for one person, as it was given by the same provider to the same client.
#[derive(Debug)]
pub struct Import {
    /// The access token, or the key.
    pub access: SecretString,
    /// When it ends.
    pub access_expires_at: Option<Time>,
    /// What renews it.
    pub refresh: Option<SecretString>,
    /// When that ends.
    pub refresh_expires_at: Option<Time>,
    /// What was granted; `None` if nobody knows.
    pub scopes: Option<Scopes>,
    /// What the access token was given for, and what renews it gives tokens for. The connector can name all of it:
    /// [`TokenAbilities`](super::ability::TokenAbilities) says so.
    pub bound: Bound,
    /// The account at the provider.
    pub external_subject: Option<String>,
    /// What the provider calls the person.
    pub name: Option<String>,
    /// Further facts for callers.
    pub metadata: Map<String, Value>,
}
