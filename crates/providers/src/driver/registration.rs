//! Registering an application at a provider on somebody's behalf, so that nobody copies secrets by hand.

use carnet_egress::Egress;
use carnet_model::{Env, Id, Scopes, kind};
use serde_json::{Map, Value};
use url::Url;

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
