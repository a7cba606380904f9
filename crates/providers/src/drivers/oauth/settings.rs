//! The configuration of an `oauth` connector: its `data` on the wire and in the store.
//!
//! What is stored has the form of what was sent, completed: the server's metadata is pinned in `serverConfig`, so that
//! a server cannot move its endpoints later, and the method of client authentication is written down. Here it is read;
//! [`fit`] asks whether it can work, [`written`] writes it down.

mod fit;
mod members;
mod written;

use std::time::Duration;

use carnet_model::connector::Connector;
use carnet_model::grant::Rotation;
use carnet_model::{Scopes, SecretString};
use serde_json::{Map, Value};
use url::Url;

use super::account::Account;
use super::client_assertion::ClientAssertion;
use super::disconnection::Disconnection;
use super::exchange::Exchange;
use super::installation::Installation;
use super::jwt_bearer::JwtBearer;
use super::registration::Registration;
use crate::driver::ability::is_same_resource;
use crate::driver::failure::BadConfiguration;
use crate::driver::signer::SigningAlgorithm;
use crate::fields::Fields;
use crate::oauth::client::{Form, Format};
use crate::oauth::client_auth::ClientAuth;
use crate::oauth::metadata::{Document, Server};

use members::{
    authorization_params, default_life, format, forwarded, grant_type, refresh_tokens, resource, rotation,
    separator, signing, switch, token_params,
};

pub(super) use written::way;

/// A configuration that is complete.
#[derive(Debug)]
pub(super) struct Settings {
    pub options: Options,
    pub server: Server,
    pub auth: ClientAuth,
}

/// What is said about the connector, apart from the server.
#[derive(Debug)]
pub(super) struct Options {
    pub client_id: String,
    pub server_url: Option<String>,
    pub discovery_server_url: Option<String>,
    pub pkce_required: bool,
    pub user: GrantType,
    pub app: GrantType,
    pub refresh: bool,
    /// After how many days the server forgets a refresh token that nobody used.
    pub idle_days: Option<u16>,
    pub forwarded_claims: Vec<String>,
    /// Members of the token endpoint's answer that callers are told beside the token.
    pub forwarded_members: Vec<String>,
    pub default_audience: Option<String>,
    pub default_life: Option<Duration>,
    pub authorization_params: Vec<(String, String)>,
    /// Further parameters of the request that redeems a code.
    pub token_params: Vec<(String, String)>,
    pub separator: Option<String>,
    pub rotation: Rotation,
    /// Named, so that there is a key even if nothing needs it yet.
    pub signing: Option<SigningAlgorithm>,
    pub client_assertion: ClientAssertion,
    pub jwt_bearer: JwtBearer,
    pub exchange: Exchange,
    /// What the client is called at the provider, if not like the connector.
    pub client_name: Option<String>,
    /// What tokens are for where a caller says nothing (RFC 8707): the API by whose address the server was found.
    pub resource: Option<String>,
    /// Whether people decide on a page of the provider's that sends nobody back.
    pub device: bool,
    /// How the client came to be, if nobody brought it.
    pub registration: Option<Registration>,
    /// How requests to the token endpoint are written.
    pub format: Format,
    /// Where it stands whose the tokens are, if no ID token says so.
    pub account: Option<Account>,
    /// How the application is installed at a tenant, if it is.
    pub installation: Option<Installation>,
    /// Where the connection to an account is ended, if no single token is.
    pub disconnection: Option<Disconnection>,
    /// Whether ending one token ends whatever the person granted to the client, tokens of others included.
    pub revocation_ends_all: bool,
}

/// A way to a token, and the scopes that are meant by the defaults.
#[derive(Debug)]
pub(super) struct GrantType {
    /// `None` if nothing is said.
    pub enabled: Option<bool>,
    pub scopes: Scopes,
}

/// `data` as read, before anything was found out about the server.
pub(super) struct Read {
    pub options: Options,
    pub document: Option<Document>,
    pub auth: Option<ClientAuth>,
    pub secret: Option<SecretString>,
    /// What the server asks for before it registers a client. It is used and not kept.
    pub initial: Option<SecretString>,
    pub registration_token: Option<SecretString>,
    /// The token that the application has everywhere.
    pub installation_token: Option<SecretString>,
    /// With what the service's webhooks are verified.
    pub webhook_secret: Option<SecretString>,
}

impl Read {
    /// Reads `data`, with or without the client's secret.
    pub(super) fn new(data: Map<String, Value>) -> Result<Self, BadConfiguration> {
        let mut fields = Fields::new(data);
        // Empty until a client is had from the server.
        let client_id = fields.text("clientId")?.unwrap_or_default();
        let secret = fields.secret("clientSecret")?;
        let auth = match fields.text("tokenEndpointAuthMethod")?.as_deref() {
            None => None,
            Some(name) => Some(ClientAuth::parse(name).ok_or_else(|| {
                let names = ClientAuth::ALL.map(ClientAuth::as_str).join(", ");
                fields.bad("tokenEndpointAuthMethod", format!("must be one of {names}"))
            })?),
        };
        let (registration, registration_token) = Registration::read(&mut fields, &client_id)?;
        let initial = fields.secret("initialAccessToken")?;
        let webhook_secret = fields.secret("webhookSecret")?;
        let (refresh, idle_days) = refresh_tokens(&mut fields)?;
        let (forwarded_claims, forwarded_members) = forwarded(&mut fields)?;
        let (installation, installation_token) = Installation::read(&mut fields)?;
        let options = Options {
            client_id,
            server_url: fields.text("serverUrl")?,
            discovery_server_url: fields.text("discoveryServerUrl")?,
            pkce_required: fields.flag("pkceRequired")?.unwrap_or(true),
            user: grant_type(&mut fields, "userAuthorization")?,
            app: grant_type(&mut fields, "clientCredentials")?,
            refresh,
            idle_days,
            forwarded_claims,
            forwarded_members,
            default_audience: fields.text("defaultAudience")?,
            default_life: default_life(&mut fields)?,
            authorization_params: authorization_params(&mut fields)?,
            token_params: token_params(&mut fields)?,
            separator: separator(&mut fields)?,
            rotation: rotation(&mut fields)?,
            signing: signing(&mut fields)?,
            client_assertion: ClientAssertion::read(&mut fields)?,
            jwt_bearer: JwtBearer::read(&mut fields)?,
            exchange: Exchange::read(&mut fields)?,
            client_name: fields.text("clientName")?,
            resource: resource(&mut fields)?,
            device: switch(&mut fields, "deviceAuthorization", false)?,
            registration,
            format: format(&mut fields)?,
            account: Account::read(&mut fields)?,
            installation,
            disconnection: Disconnection::read(&mut fields)?,
            revocation_ends_all: fields.flag("revocationEndsAll")?.unwrap_or(false),
        };
        let document = fields.object("serverConfig")?.map(Document::read_manual).transpose()?;
        for (name, only) in [("responseType", "code"), ("codeChallengeMethod", "S256")] {
            if fields.text(name)?.is_some_and(|value| value != only) {
                return Err(fields.bad(name, format!("must be {only}")));
            }
        }
        fields.finish()?;
        Ok(Self {
            options,
            document,
            auth,
            secret,
            initial,
            registration_token,
            installation_token,
            webhook_secret,
        })
    }
}

impl Settings {
    /// The configuration of a stored connector.
    pub(super) fn of(connector: &Connector) -> Result<Self, BadConfiguration> {
        let Read { options, document, auth, .. } = Read::new(connector.data.clone())?;
        let missing =
            |field: &str| BadConfiguration { field: field.to_owned(), why: "is missing".to_owned() };
        let auth = auth.ok_or_else(|| missing("tokenEndpointAuthMethod"))?;
        let document = document.ok_or_else(|| missing("serverConfig"))?;
        if options.client_id.is_empty() {
            return Err(missing("clientId"));
        }
        let server = Server::new(document, |text| Url::parse(text).map_err(|_| "is not a URL".to_owned()))?;
        Ok(Self { options, server, auth })
    }

    /// With what the connector signs, if it does.
    pub(super) fn signs(&self) -> Option<SigningAlgorithm> {
        let options = &self.options;
        let needed = self.auth == ClientAuth::PrivateKeyJwt
            || options.jwt_bearer.enabled
            || (options.exchange.enabled && options.exchange.actor);
        self.options.signing.or_else(|| needed.then(SigningAlgorithm::default))
    }
}

impl Settings {
    /// A form as this server takes it.
    pub(super) fn form(&self) -> Form {
        Form::new().written_as(self.options.format)
    }

    /// The same, for a grant type.
    pub(super) fn form_of(&self, grant_type: &str) -> Form {
        Form::of(grant_type).written_as(self.options.format)
    }
}

impl Options {
    /// The addresses besides the server's own to which tokens or secrets are sent, by where they stand.
    pub(super) fn own_addresses(&self) -> impl Iterator<Item = (&'static str, Url)> {
        let asked = self.account.iter().filter_map(|account| account.endpoint.clone());
        let ended = self.disconnection.iter().map(|end| end.endpoint.clone());
        let probes = self.installation.iter().filter_map(|one| one.probe.as_ref());
        let tried = probes.filter_map(|probe| Url::parse(&probe.plain()).ok());
        asked
            .map(|url| ("account.endpoint", url))
            .chain(ended.map(|url| ("disconnection.endpoint", url)))
            .chain(tried.map(|url| ("installation.probe.url", url)))
    }

    /// The resources that are meant: those that a caller names, else the connector's own. That is written as the connector
    /// does, however a caller spells it: servers compare it byte for byte.
    pub(super) fn resources<'a>(&'a self, asked: &'a [String]) -> &'a [String] {
        let own = self.resource.as_deref();
        let is_own = |asked: &String| own.is_some_and(|own| is_same_resource(own, asked));
        if asked.iter().all(is_own) { self.resource.as_slice() } else { asked }
    }

    /// How long the server remembers a refresh token that nobody uses.
    pub(super) fn idle(&self) -> Option<Duration> {
        let days = self.idle_days.filter(|_| self.refresh)?;
        Some(Duration::from_hours(24) * u32::from(days))
    }

    /// Whether people are sent to the provider and come back.
    pub(super) fn sends_people(&self) -> bool {
        (self.user.is_on() && !self.device) || self.installation.is_some()
    }

    /// What stands between two scopes.
    pub(super) fn separator(&self) -> &str {
        self.separator.as_deref().unwrap_or(" ")
    }
}

impl GrantType {
    /// Whether it can be used.
    pub(super) fn is_on(&self) -> bool {
        self.enabled == Some(true)
    }
}
