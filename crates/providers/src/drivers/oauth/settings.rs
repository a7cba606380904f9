//! The configuration of an `oauth` connector: its `data` on the wire and in the store.
//!
//! What is stored has the form of what was sent, completed: the server's metadata is pinned in `serverConfig`, so that
//! a server cannot move its endpoints later, and the method of client authentication is written down.

mod members;

use std::time::Duration;

use carnet_model::connector::Connector;
use carnet_model::grant::Rotation;
use carnet_model::{Scopes, SecretString};
use serde_json::{Map, Value, json};
use url::Url;

use super::account::Account;
use super::client_assertion::{self, ClientAssertion};
use super::disconnection::Disconnection;
use super::exchange::{self, Exchange};
use super::installation::Installation;
use super::jwt_bearer::{self, JwtBearer};
use super::registration::Registration;
use crate::driver::failure::BadConfiguration;
use crate::driver::signer::SigningAlgorithm;
use crate::fields::Fields;
use crate::oauth::client::{Form, Format};
use crate::oauth::client_auth::ClientAuth;
use crate::oauth::device;
use crate::oauth::metadata::{Document, Server};

use members::{
    authorization_params, default_life, format, forwarded, grant_type, refresh_tokens, resource, rotation,
    separator, signing, switch,
};

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

    /// Refuses what cannot work at this server with any client. `discovered` says that the server spoke for itself.
    pub(super) fn fit(
        options: &mut Options,
        server: &Server,
        discovered: bool,
    ) -> Result<(), BadConfiguration> {
        let bad =
            |field: &str, why: &str| Err(BadConfiguration { field: field.to_owned(), why: why.to_owned() });
        let entrance = if options.device { &server.device } else { &server.authorization };
        let unsaid = entrance.is_some() && options.installation.is_none();
        let user = options.user.enabled.get_or_insert(unsaid);
        let app = options.app.enabled.get_or_insert(false);
        let (user, app) = (*user, *app);
        let (asserted, exchanged) = (options.jwt_bearer.enabled, options.exchange.enabled);
        let installs = options.installation.is_some();
        if !user && !app && !asserted && !exchanged && !installs {
            return bad(
                "userAuthorization",
                "enable userAuthorization, installation, clientCredentials, jwtBearer or tokenExchange, or no token can \
                 be had",
            );
        }
        if installs && app {
            return bad(
                "clientCredentials.enabled",
                "an application that is installed has the token of its installation",
            );
        }
        if installs && !options.account.as_ref().is_some_and(Account::has_tenant) {
            return bad("account.tenant", "is missing: it says where the application was installed");
        }
        if installs && server.authorization.is_none() {
            return bad("serverConfig.authorization_endpoint", "is missing: installation needs it");
        }
        for (on, field, grant) in [
            (asserted, "jwtBearer.enabled", jwt_bearer::GRANT_TYPE),
            (exchanged, "tokenExchange.enabled", exchange::GRANT_TYPE),
        ] {
            if on && server.lacks_grant_type(grant) {
                return bad(field, &format!("the server does not offer the grant type {grant}"));
            }
        }
        if user && options.device && entrance.is_none() {
            return bad(
                "serverConfig.device_authorization_endpoint",
                "is missing: deviceAuthorization needs it",
            );
        }
        if user && options.device && server.lacks_grant_type(device::GRANT_TYPE) {
            return bad(
                "deviceAuthorization.enabled",
                "the server does not offer the grant type device_code",
            );
        }
        if user && entrance.is_none() {
            return bad("serverConfig.authorization_endpoint", "is missing: userAuthorization needs it");
        }
        if user && !options.device && server.lacks_grant_type("authorization_code") {
            return bad(
                "userAuthorization.enabled",
                "the server does not offer the grant type authorization_code",
            );
        }
        if app && server.lacks_grant_type("client_credentials") {
            return bad(
                "clientCredentials.enabled",
                "the server does not offer the grant type client_credentials",
            );
        }
        let challenges = server.document.challenge_methods.as_deref();
        if user && options.pkce_required && challenges.is_some_and(|known| !known.iter().any(|m| m == "S256"))
        {
            return bad(
                "pkceRequired",
                "the server does not offer PKCE by S256, which protects the authorization code; set this to false \
                 only if it has another protection",
            );
        }
        // The Model Context Protocol (revision 2026-07-28) and RFC 9700 §2.1.1: silence means no PKCE.
        if user
            && !options.device
            && options.pkce_required
            && discovered
            && options.resource.is_some()
            && challenges.is_none()
        {
            return bad(
                "pkceRequired",
                "the server of this resource does not say that it knows PKCE, so the authorization code would be \
                 unprotected; set this to false only if it has another protection",
            );
        }
        if !options.forwarded_claims.is_empty() && server.issuer().is_none() {
            return bad("serverConfig.issuer", "is missing: claims are forwarded only from a known issuer");
        }
        Ok(())
    }

    /// Completes a new configuration, once it [fits](Self::fit) and there is a client. `discovered` says that the server
    /// spoke for itself.
    pub(super) fn complete(
        read: Read,
        server: Server,
        discovered: bool,
    ) -> Result<(Self, Option<SecretString>), BadConfiguration> {
        let Read { mut options, auth, secret, installation_token, .. } = read;
        let app = options.app.is_on();
        let bad =
            |field: &str, why: &str| Err(BadConfiguration { field: field.to_owned(), why: why.to_owned() });
        let auth = match auth {
            Some(auth) => auth,
            None => choose_auth(secret.is_some(), &server, discovered)?,
        };
        if auth == ClientAuth::PrivateKeyJwt {
            options.signing = client_assertion::signing_for(options.signing, &server)?;
        }
        if options.installation.as_ref().is_some_and(|one| one.own_token) && installation_token.is_none() {
            return bad(
                "installation.token",
                "is missing: it is the token that the application has everywhere",
            );
        }
        if options.disconnection.is_some() && secret.is_none() {
            return bad("clientSecret", "is missing: disconnection needs it");
        }
        match (auth, secret.is_some()) {
            (ClientAuth::None, true) => bad(
                "clientSecret",
                "a client of method none has no secret; remove it or choose another method",
            ),
            (ClientAuth::PrivateKeyJwt, true) => bad(
                "clientSecret",
                "a client of method private_key_jwt has no secret; remove it or choose another method",
            ),
            (ClientAuth::Basic | ClientAuth::Post, false) => {
                bad("clientSecret", "is missing: the method needs it")
            }
            (ClientAuth::None, false) if app => {
                bad("clientCredentials.enabled", "a public client cannot act for itself (RFC 6749 §4.4)")
            }
            _ => Ok((Self { options, server, auth }, secret)),
        }
    }

    /// With what the connector signs, if it does.
    pub(super) fn signs(&self) -> Option<SigningAlgorithm> {
        let options = &self.options;
        let needed = self.auth == ClientAuth::PrivateKeyJwt
            || options.jwt_bearer.enabled
            || (options.exchange.enabled && options.exchange.actor);
        self.options.signing.or_else(|| needed.then(SigningAlgorithm::default))
    }

    /// As stored and shown: without the secret.
    pub(super) fn to_data(&self) -> Map<String, Value> {
        let options = &self.options;
        let mut data = Map::new();
        let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
        put("clientId", options.client_id.clone().into());
        if let Some(url) = &options.server_url {
            put("serverUrl", url.clone().into());
        }
        if let Some(url) = &options.discovery_server_url {
            put("discoveryServerUrl", url.clone().into());
        }
        put("serverConfig", self.server.document.to_json().into());
        put("tokenEndpointAuthMethod", self.auth.as_str().into());
        put("pkceRequired", options.pkce_required.into());
        put("userAuthorization", options.user.to_json());
        put("clientCredentials", options.app.to_json());
        put(
            "refreshTokens",
            match options.idle_days {
                None => json!({"enabled": options.refresh}),
                Some(days) => json!({"enabled": options.refresh, "idleDays": days}),
            },
        );
        let forwarded =
            [("idToken", &options.forwarded_claims), ("tokenResponse", &options.forwarded_members)];
        let forwarded: Map<_, _> = forwarded
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(from, names)| (from.to_owned(), names.clone().into()))
            .collect();
        if !forwarded.is_empty() {
            put("forwardedClaims", forwarded.into());
        }
        if let Some(audience) = &options.default_audience {
            put("defaultAudience", audience.clone().into());
        }
        if let Some(life) = options.default_life {
            put("defaultTokenExpiresIn", life.as_secs().into());
        }
        if !options.authorization_params.is_empty() {
            put("authorizationUrlParams", options.authorization_params.iter().cloned().collect());
        }
        if let Some(separator) = &options.separator {
            put("scopeSeparator", separator.clone().into());
        }
        if let Some(algorithm) = options.signing {
            put("signingAlgorithm", algorithm.as_str().into());
        }
        if let Some(assertion) = options.client_assertion.to_json() {
            put("clientAssertion", assertion);
        }
        if let Some(asserted) = options.jwt_bearer.to_json() {
            put("jwtBearer", asserted);
        }
        if let Some(exchanged) = options.exchange.to_json() {
            put("tokenExchange", exchanged);
        }
        put("rotation", serde_json::to_value(options.rotation).unwrap_or_default());
        if let Some(name) = &options.client_name {
            put("clientName", name.clone().into());
        }
        if let Some(resource) = &options.resource {
            put("resource", resource.clone().into());
        }
        if options.device {
            put("deviceAuthorization", json!({"enabled": true}));
        }
        if let Some(registration) = &options.registration {
            put("clientRegistration", registration.to_json());
        }
        if options.format != Format::default() {
            put("tokenRequestFormat", options.format.as_str().into());
        }
        if let Some(account) = &options.account {
            put("account", account.to_json());
        }
        if let Some(installation) = &options.installation {
            put("installation", installation.to_json());
        }
        if let Some(disconnection) = &options.disconnection {
            put("disconnection", disconnection.to_json());
        }
        if options.revocation_ends_all {
            put("revocationEndsAll", true.into());
        }
        data
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

    /// The resources that are meant: those that a caller names, else the connector's own.
    pub(super) fn resources<'a>(&'a self, asked: &'a [String]) -> &'a [String] {
        if asked.is_empty() { self.resource.as_slice() } else { asked }
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

    fn to_json(&self) -> Value {
        json!({"enabled": self.is_on(), "scopes": self.scopes})
    }
}

/// What the ways to a token that need no consent say of themselves alike: whether they are on, their scopes, and lists
/// where there is something in them.
pub(super) fn way<const N: usize>(
    enabled: bool,
    scopes: &Scopes,
    lists: [(&str, &[String]); N],
) -> Map<String, Value> {
    let said = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let mut out: Map<_, _> = said.map(|(name, list)| (name.to_owned(), list.into())).collect();
    out.insert("enabled".to_owned(), enabled.into());
    out.insert("scopes".to_owned(), json!(scopes));
    out
}

/// The method where none is configured. A server that speaks for itself and lists none means Basic (RFC 8414 §2); one
/// that was described by hand gets what most servers take, and what the wire contract has as its default.
fn choose_auth(has_secret: bool, server: &Server, discovered: bool) -> Result<ClientAuth, BadConfiguration> {
    if !has_secret {
        return Ok(ClientAuth::None);
    }
    let Some(known) = &server.document.client_auth_methods else {
        return Ok(if discovered { ClientAuth::Basic } else { ClientAuth::Post });
    };
    [ClientAuth::Basic, ClientAuth::Post]
        .into_iter()
        .find(|method| known.iter().any(|name| name == method.as_str()))
        .ok_or_else(|| BadConfiguration {
            field: "tokenEndpointAuthMethod".to_owned(),
            why: "the server lists no method that takes a client secret and is supported here".to_owned(),
        })
}
