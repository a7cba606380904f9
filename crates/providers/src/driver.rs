//! The seam between the engine and the outside world.
//!
//! A closed set of verbs: [`Driver::accept`] when a connector is made or changed, [`Driver::begin`] and
//! [`Driver::finish`] around a person's consent, [`Driver::import`] in its place, [`Driver::mint`] for every token, [`Driver::revoke`] at the end.

pub(crate) mod ability;
pub(crate) mod consent;
pub(crate) mod failure;
pub(crate) mod held;
pub(crate) mod import;
pub(crate) mod installed;
pub(crate) mod mint;
pub(crate) mod profile;
pub(crate) mod registration;
pub(crate) mod secrets;
pub(crate) mod signer;
pub(crate) mod standing;

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

use carnet_egress::Egress;
use carnet_model::connector::Connector;
use carnet_model::{Env, Id, Scopes, Time, kind};
use serde_json::{Map, Value};
use url::Url;

use ability::Abilities;
use consent::{Callback, ConsentAsk, Granted, Kept, Step, Way};
use failure::{BadConfiguration, DriverError, NotAccepted};
use held::Held;
use import::Import;
use installed::Installed;
use mint::{MintAsk, Minted, Revocation};
use registration::{Redeem, Redeemed, Registration, RegistrationAsk};
use secrets::ConnectorSecrets;
use signer::Signer;
use standing::{Checked, Standing};

/// A future behind a pointer, so that drivers can be chosen at run time.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How connectors of one kind turn what is held into what a caller needs.
pub trait Driver: Send + Sync {
    /// Reads the `data` of a new or changed connector: refuses what it does not know, finds out what it can about the
    /// server, and parts what is secret from what is public. What it accepted once, with the secrets
    /// [put back](ConnectorSecrets::put_back), it accepts again.
    fn accept<'a>(&'a self, ask: NewConnector<'a>) -> Boxed<'a, Result<Accepted, NotAccepted>>;

    /// What a connector can do. One whose stored data cannot be read can do nothing.
    fn abilities(&self, connector: &Connector) -> Abilities;

    /// How long the provider remembers a refresh token that nobody uses, where the connector says so: its grants are
    /// then refreshed before that, whether somebody asks for tokens or not.
    fn idle(&self, _connector: &Connector) -> Option<Duration> {
        None
    }

    /// What an installation allows whatever is asked of it, as the provider said when the connector was made or changed
    /// last; empty where the provider's own page is the first to say. It is shown to whoever installs, and asked of nobody.
    fn installs(&self, _connector: &Connector) -> Scopes {
        Scopes::empty()
    }

    /// Whether the provider is asked for each token of the application itself. Where it is not, a token says nothing
    /// about what the provider thinks of the connector's own credentials.
    fn asks_for_app_tokens(&self, _connector: &Connector) -> bool {
        true
    }

    /// The origins to which the secrets of the connector and of its grants are sent. A change that adds one would hand
    /// over what was given in confidence to another; the engine does not let it.
    fn recipients(&self, connector: &Connector) -> BTreeSet<String>;

    /// Where a consent will lead, for the page that asks the person. Speaks to nobody, and refuses what
    /// [`Driver::begin`] would refuse without asking anybody.
    fn way(&self, at: &At<'_>, ask: &ConsentAsk<'_>) -> Result<Way, DriverError>;

    /// Whether a person can be asked for all of these scopes at once. A resource's own scopes do not go with its
    /// `/.default` (Microsoft identity platform), and a session has one role (Snowflake).
    fn asks_together(&self, scopes: &Scopes) -> bool {
        let standard = ["openid", "profile", "email", "offline_access"];
        let powers: Vec<&str> = scopes.iter().filter(|name| !standard.contains(name)).collect();
        let roles = powers.iter().filter(|name| name.starts_with("session:role")).count();
        roles < 2 && (powers.len() < 2 || !powers.iter().any(|name| name.ends_with("/.default")))
    }

    /// The first step of a person's consent, once the person has said yes here. It may tell the provider first what the
    /// person will be asked there.
    fn begin<'a>(&'a self, at: &'a At<'_>, ask: &'a ConsentAsk<'_>) -> Boxed<'a, Result<Step, DriverError>>;

    /// The last step: what the person's browser brought back becomes a grant. `kept` is what [`Driver::begin`] gave.
    /// That `state` belongs to this browser and this request was checked before. With [`Callback::Awaited`] it may also
    /// say that the person has [not decided yet](DriverError::Pending).
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

    /// What the provider says about the installation that it knows by this name; `None` where there is nobody to ask.
    fn installation<'a>(
        &'a self,
        _at: &'a At<'_>,
        _external_id: &'a str,
    ) -> Boxed<'a, Result<Option<Installed>, DriverError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Asks the provider whether what it gave still holds. Changes nothing there, and spends nothing: what is renewed by a
    /// token that works once is not asked about by renewing it.
    fn check<'a>(&'a self, _at: &'a At<'_>, _what: Checked<'a>) -> Boxed<'a, Result<Standing, DriverError>> {
        Box::pin(std::future::ready(Ok(Standing::Unsaid)))
    }

    /// The tenant of the provider that authorization details name, where they pick an installation.
    fn tenant_in<'a>(&self, _details: &'a [Value]) -> Option<&'a str> {
        None
    }

    /// How an application is registered at the provider from here, where the person needs to copy nothing; `None` where it
    /// is not. Speaks to nobody.
    fn registration(&self, _ask: &RegistrationAsk<'_>) -> Result<Option<Registration>, BadConfiguration> {
        Ok(None)
    }

    /// The application that was registered by a [form](Registration::Form), for the code that came back. The code works
    /// once.
    fn redeem<'a>(&'a self, _ask: &'a Redeem<'a>) -> Boxed<'a, Result<Redeemed, DriverError>> {
        Box::pin(std::future::ready(Err(failure::CallbackFault::Unexpected.into())))
    }

    /// Brings what the provider has registered about the client in line with the connector as it is now. `renew` does so
    /// even if nothing differs, for what the provider may give anew.
    fn sync<'a>(&'a self, _at: &'a At<'_>, _renew: bool) -> Boxed<'a, Synced> {
        Box::pin(std::future::ready(Synced::Nothing))
    }

    /// When the secret ends that the provider gave the client at its registration, if it does. [`Driver::sync`] may have
    /// another.
    fn renewal(&self, _connector: &Connector) -> Option<Renewal> {
        None
    }

    /// Tells the provider, if it can be told, that a client which was registered for the connector is no longer wanted.
    /// Whether it heard is not known.
    fn retire<'a>(&'a self, _at: &'a At<'_>) -> Boxed<'a, ()> {
        Box::pin(std::future::ready(()))
    }

    /// What the server says about itself now, beside what is pinned; `None` if it never says anything.
    fn inspect<'a>(&'a self, _at: &'a At<'_>) -> Boxed<'a, Result<Option<Inspection>, BadConfiguration>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// The document by which the client of this connector describes itself to servers that read one.
    fn client_document(&self, _connector: &Connector) -> Option<Map<String, Value>> {
        None
    }
}

/// A secret that ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// From when on another is to be had.
    pub at: Time,
    /// When it ends.
    pub end: Time,
}

/// What became of a registration.
#[derive(Debug)]
pub enum Synced {
    /// The provider has nothing of ours, or all of it is as it should be.
    Nothing,
    /// It has the new state.
    Done(Registered),
    /// Somebody has to see to it; the sentence says why or what. The provider may have given something new all the same.
    Required(String, Option<Registered>),
}

/// What a connector keeps about its registration: its `data` and its secrets, as they are to be stored now.
pub type Registered = (Map<String, Value>, ConnectorSecrets);

/// A server's metadata then and now, by the names of the RFCs, as far as it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// As stored with the connector, and used.
    pub pinned: Map<String, Value>,
    /// As the server says it at the moment.
    pub present: Map<String, Value>,
    /// What the connector's `data` must change to when the present is taken. A client that was registered at another
    /// issuer is not part of it.
    pub change: Map<String, Value>,
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
    /// The same, if it is a whole address: `https://mcp.linear.app/mcp`.
    pub address: Option<&'a str>,
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
    /// The SHA-1 of its picture, if it has one.
    pub icon: Option<&'a str>,
    /// Where the document about its client will be, for servers that read one.
    pub client_document: &'a str,
    /// Where its provider is told to send its events, if an application is made for it, it receives them, and the provider
    /// can reach that address.
    pub events: Option<&'a str>,
    /// The origins to which secrets may be shown while it is tried, where some of them were put back and not given anew;
    /// `None` where all are the asker's own.
    pub known: Option<&'a BTreeSet<String>>,
}

impl NewConnector<'_> {
    /// Whether secrets may be shown at this address. Whoever changes where a connector leads would otherwise have stored
    /// secrets sent there before anybody refuses the change.
    pub(crate) fn may_show(&self, url: &Url) -> bool {
        self.known.is_none_or(|known| known.contains(&url.origin().ascii_serialization()))
    }
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
