//! What a test wants to have around its broker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use carnet_engine::{ManagedService, Plans, Settings, SignInIssuer};
use carnet_model::grant::Rotation;

use crate::pebble::Pebble;

/// How the world around the broker is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the provider does with a used refresh token, and what the connector says about it.
    pub rotation: Rotation,
    /// How long its access tokens live.
    pub access_life: Duration,
    /// The connector's default scopes for people.
    pub scopes: Vec<&'static str>,
    /// The client's secret at the provider.
    pub client_secret: String,
    /// How many refreshes of one connector a node begins in a second.
    pub refreshes_per_second: u32,
    /// Within which time every token request is answered.
    pub answer_within: Duration,
    /// Issuers with whose accounts people may sign in.
    pub sign_in: Vec<SignInIssuer>,
    /// What would go to the first origin goes to the second.
    pub origins: Vec<(&'static str, String)>,
    /// The operator's recovery key.
    pub recovery_key: Option<String>,
    /// What token requests cost, where they end and how fast they may come.
    pub plans: Plans,
    /// The address by which the deployment is known, where it is not the one that the first node has.
    pub url: Option<&'static str>,
    /// The issuer that identity tokens name in place of the address.
    pub issuer: Option<String>,
    /// Applications that the operator registered at providers.
    pub managed: BTreeMap<String, ManagedService>,
    /// The authority that gives the deployment its certificate: nodes speak TLS too, at the port where it looks.
    pub authority: Option<Arc<Pebble>>,
}

impl Default for Plan {
    /// A strict provider, tokens of an hour, everything but writing.
    fn default() -> Self {
        Self {
            rotation: Rotation::Strict,
            access_life: Duration::from_hours(1),
            scopes: vec!["profile:read", "messages:read", "offline_access"],
            client_secret: "provider-client-secret-0123456789".to_owned(),
            refreshes_per_second: Settings::REFRESHES_PER_SECOND,
            answer_within: Settings::ANSWER_WITHIN,
            sign_in: Vec::new(),
            origins: Vec::new(),
            recovery_key: None,
            plans: Plans::default(),
            url: None,
            issuer: None,
            managed: BTreeMap::new(),
            authority: None,
        }
    }
}
