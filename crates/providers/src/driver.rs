//! The seam between the engine and the outside world.
//!
//! A closed set of verbs: [`Driver::accept`] when a connector is made or changed, [`Driver::begin`] and
//! [`Driver::finish`] around a person's consent, [`Driver::import`] in its place, [`Driver::mint`] for every token, [`Driver::revoke`] at the end.

pub(crate) mod ability;
pub(crate) mod consent;
pub(crate) mod failure;
pub(crate) mod held;
pub(crate) mod import;
pub(crate) mod mint;
pub(crate) mod secrets;
pub(crate) mod signer;

use std::collections::BTreeSet;
use std::pin::Pin;

use carnet_egress::Egress;
use carnet_model::connector::Connector;
use carnet_model::{Env, Id, kind};
use serde_json::{Map, Value};

use ability::Abilities;
use consent::{Callback, ConsentAsk, Granted, Kept, Step};
use failure::{BadConfiguration, DriverError};
use held::Held;
use import::Import;
use mint::{MintAsk, Minted, Revocation};
use secrets::ConnectorSecrets;
use signer::Signer;

/// A future behind a pointer, so that drivers can be chosen at run time.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How connectors of one kind turn what is held into what a caller needs.
pub trait Driver: Send + Sync {
    /// Reads the `data` of a new or changed connector: refuses what it does not know, finds out what it can about the
    /// server, and parts what is secret from what is public. What it accepted once, with the secrets
    /// [put back](ConnectorSecrets::put_back), it accepts again.
    fn accept<'a>(&'a self, ask: NewConnector<'a>) -> Boxed<'a, Result<Accepted, BadConfiguration>>;

    /// What a connector can do. One whose stored data cannot be read can do nothing.
    fn abilities(&self, connector: &Connector) -> Abilities;

    /// The origins to which the secrets of the connector and of its grants are sent. A change that adds one would hand
    /// over what was given in confidence to another; the engine does not let it.
    fn recipients(&self, connector: &Connector) -> BTreeSet<String>;

    /// The first step of a person's consent. Speaks to nobody.
    fn begin(&self, at: &At<'_>, ask: &ConsentAsk<'_>) -> Result<Step, DriverError>;

    /// The last step: what the person's browser brought back becomes a grant. `kept` is what [`Driver::begin`] gave.
    /// That `state` belongs to this browser and this request was checked before.
    fn finish<'a>(
        &'a self,
        at: &'a At<'_>,
        back: &'a Callback,
        kept: &'a Kept,
    ) -> Boxed<'a, Result<Granted, DriverError>>;

    /// Takes over what somebody has from elsewhere, as if it had come from [`Driver::finish`]. Speaks to nobody: whether
    /// the provider still honours it shows when it is used.
    fn import(&self, at: &At<'_>, import: Import) -> Result<Granted, DriverError>;

    /// Makes a token, from what is held for the subject or from the connector's own credentials.
    fn mint<'a>(
        &'a self,
        at: &'a At<'_>,
        held: Option<&'a Held>,
        ask: &'a MintAsk,
    ) -> Boxed<'a, Result<Minted, DriverError>>;

    /// Tells the provider that what is held is no longer wanted.
    fn revoke<'a>(&'a self, at: &'a At<'_>, held: &'a Held) -> Boxed<'a, Result<Revocation, DriverError>>;
}

/// What a driver may touch.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// The connector.
    pub connector: &'a Connector,
    /// Its secrets.
    pub secrets: &'a ConnectorSecrets,
    /// The exact redirect URI that is registered at the provider.
    pub redirect_uri: &'a str,
    /// The only way out.
    pub http: &'a Egress,
    /// Time and randomness.
    pub env: &'a Env,
    /// The connector's own key, where its [`Abilities::signs`] asked for one.
    pub signer: Option<&'a dyn Signer>,
}

/// A connector that somebody wants to make or change.
pub struct NewConnector<'a> {
    /// The service as the person named it: `slack`, `mcp.linear.app`.
    pub service: &'a str,
    /// What people will call it.
    pub name: &'a str,
    /// `data` of the wire, secrets included.
    pub data: Map<String, Value>,
    /// The only way out.
    pub http: &'a Egress,
    /// Time and randomness.
    pub env: &'a Env,
    /// The team that will own it.
    pub tenant: Id<kind::Team>,
    /// The deployment's own URL, without a final `/`.
    pub callback_base: &'a str,
    /// Its identifier.
    pub connector: Id<kind::Connector>,
}

/// A configuration that can work.
#[derive(Debug)]
pub struct Accepted {
    /// What may be shown, and is stored as [`Connector::data`].
    pub data: Map<String, Value>,
    /// What may not.
    pub secrets: ConnectorSecrets,
    /// What must be registered at the provider; `None` if nobody is ever sent there.
    pub redirect_uri: Option<String>,
}
