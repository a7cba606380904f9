//! The configuration of a `salesforce` connector: a connected app, and the host where its people sign in.

use carnet_egress::{Call, Purpose};
use carnet_model::caller::Principal;
use carnet_model::connector::{Branding, Connector, ConnectorType};
use carnet_model::{Scopes, SecretString, Uid};
use http::StatusCode;
use serde_json::{Map, Value, json};
use url::Url;

use super::Salesforce;
use crate::driver::failure::{BadConfiguration, DriverError};
use crate::driver::mint::MintAsk;
use crate::driver::secrets::ConnectorSecrets;
use crate::driver::{Accepted, At, Driver as _, NewConnector};
use crate::fields::Fields;
use crate::oauth::client::Client;
use crate::oauth::client_auth::Proof;
use crate::oauth::json;
use crate::oauth::probe::{self, By, Known};
use crate::private_key::PrivateKey;

/// What is known about the app, without its secrets.
pub(super) struct Settings {
    consumer_key: String,
    pub login_host: String,
    has_secret: bool,
    user_scopes: Scopes,
    client_credentials: bool,
    /// As whom the application acts by JWT.
    pub app_username: Option<String>,
    assertable: Vec<String>,
    /// Whether callers may assert users.
    pub asserts: bool,
    session_seconds: Option<u64>,
}

impl Settings {
    /// The configuration of a stored connector.
    pub(super) fn of(connector: &Connector) -> Result<Self, BadConfiguration> {
        let (settings, _, _) = Self::read(connector.data.clone())?;
        Ok(settings)
    }

    /// Reads `data`, with or without its secrets: the consumer secret and the key.
    fn read(
        data: Map<String, Value>,
    ) -> Result<(Self, Option<SecretString>, Option<SecretString>), BadConfiguration> {
        let mut fields = Fields::new(data);
        let missing = |fields: &Fields, name: &str| fields.bad(name, "is missing");
        let consumer_key = fields.text("consumerKey")?.ok_or_else(|| missing(&fields, "consumerKey"))?;
        let secret = fields.secret("consumerSecret")?;
        let key = fields.pem("privateKeyPem")?;
        let login_host =
            fields.text("loginHost")?.ok_or_else(|| missing(&fields, "loginHost"))?.to_ascii_lowercase();
        if !is_login_host(&login_host) {
            return Err(fields.bad(
                "loginHost",
                "must be login.salesforce.com, test.salesforce.com or the My Domain host, NAME.my.salesforce.com, \
                 without https:// and without a path; hosts of lightning.force.com give no tokens",
            ));
        }
        let settings = Self {
            has_secret: fields.flag("confidential")?.unwrap_or(secret.is_some()),
            user_scopes: fields.scopes("userScopes")?.unwrap_or_default(),
            client_credentials: fields.flag("clientCredentials")?.unwrap_or(false),
            app_username: fields.text("appUsername")?,
            assertable: fields.texts("assertableUsernames")?.unwrap_or_default(),
            asserts: false,
            session_seconds: fields.number("sessionSeconds")?,
            consumer_key,
            login_host,
        };
        let settings = Self { asserts: !settings.assertable.is_empty(), ..settings };
        if settings.client_credentials && settings.app_username.is_some() {
            return Err(
                fields.bad("appUsername", "and clientCredentials are two ways to one token; choose one")
            );
        }
        if settings.client_credentials && !settings.is_my_domain() {
            return Err(
                fields.bad("clientCredentials", "works at a My Domain host only: set loginHost to it")
            );
        }
        if settings.client_credentials && !settings.has_secret {
            return Err(fields.bad("consumerSecret", "is missing: clientCredentials needs it"));
        }
        if settings.user_scopes.is_empty() && !settings.client_credentials && !settings.signs() {
            return Err(fields.bad(
                "userScopes",
                "is empty: name scopes of people, or set clientCredentials, appUsername or assertableUsernames",
            ));
        }
        if settings.session_seconds.is_some_and(|seconds| !(900..=86_400).contains(&seconds)) {
            // "Timeout Value": 15 minutes to 24 hours.
            return Err(fields
                .bad("sessionSeconds", "must be 900 to 86400, as the organization's session settings say"));
        }
        fields.finish()?;
        Ok((settings, secret, key))
    }

    const fn signs(&self) -> bool {
        self.app_username.is_some() || self.asserts
    }

    fn is_my_domain(&self) -> bool {
        self.login_host.ends_with(MY_DOMAIN)
    }

    /// Who is meant by an assertion: the login host of the kind of organization, whatever its own host is.
    fn audience(&self) -> &'static str {
        let is_sandbox = self.login_host == "test.salesforce.com" || self.login_host.ends_with(SANDBOX);
        if is_sandbox { "https://test.salesforce.com" } else { "https://login.salesforce.com" }
    }

    /// The connector as the driver of plain OAuth reads it.
    pub(super) fn as_oauth(&self, connector: &Connector) -> Connector {
        let at = |path: &str| format!("https://{}/services/oauth2/{path}", self.login_host);
        let mut usernames = self.assertable.clone();
        usernames.extend(self.app_username.clone());
        // Asked where nobody else says when a token ends, by whoever has a secret to show there ("OpenID Connect Token
        // Introspection").
        let introspection = (self.has_secret && self.session_seconds.is_none()).then(|| at("introspect"));
        let data = json!({
            "clientId": self.consumer_key,
            "serverConfig": {
                "authorization_endpoint": at("authorize"),
                "token_endpoint": at("token"),
                "revocation_endpoint": at("revoke"),
                "introspection_endpoint": introspection,
            },
            "tokenEndpointAuthMethod": if self.has_secret { "client_secret_post" } else { "none" },
            "pkceRequired": true,
            "userAuthorization": {"enabled": !self.user_scopes.is_empty(), "scopes": self.user_scopes},
            "clientCredentials": {"enabled": self.client_credentials},
            "jwtBearer": {"enabled": self.signs(), "sub": usernames, "aud": [self.audience()], "ttl": 180,
                "useClientCredentials": false},
            "rotation": {"class": "strict"},
            // What Salesforce forces upon apps that more than two organizations use; others may be set so.
            "refreshTokens": {"enabled": true, "idleDays": 30},
            "defaultTokenExpiresIn": self.session_seconds,
            "forwardedClaims": {"tokenResponse": ["instance_url", "id"]},
        });
        let data = data.as_object().cloned().unwrap_or_default();
        Connector { data, ..connector.clone() }
    }

    fn to_data(&self) -> Map<String, Value> {
        let mut data = Map::new();
        let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
        put("consumerKey", self.consumer_key.clone().into());
        put("loginHost", self.login_host.clone().into());
        put("confidential", self.has_secret.into());
        put("userScopes", json!(self.user_scopes));
        put("clientCredentials", self.client_credentials.into());
        if let Some(username) = &self.app_username {
            put("appUsername", username.clone().into());
        }
        if self.asserts {
            put("assertableUsernames", self.assertable.clone().into());
        }
        if let Some(seconds) = self.session_seconds {
            put("sessionSeconds", seconds.into());
        }
        data
    }
}

/// Reads the configuration, asks whether the host is one, and has a token made where the application has any.
pub(super) async fn accept(mut ask: NewConnector<'_>) -> Result<Accepted, BadConfiguration> {
    let (mut settings, secret, key) = Settings::read(std::mem::take(&mut ask.data))?;
    settings.has_secret = secret.is_some();
    if settings.client_credentials && secret.is_none() {
        return Err(bad("consumerSecret", "is missing: clientCredentials needs it"));
    }
    match &key {
        None if settings.signs() => {
            return Err(bad("privateKeyPem", "is missing: the key whose certificate the connected app has"));
        }
        None => {}
        Some(pem) => {
            PrivateKey::parse(pem).map_err(|why| bad("privateKeyPem", &why.to_string()))?;
        }
    }
    is_there(&ask, &settings.login_host).await?;
    let mut secrets = ConnectorSecrets::default();
    for (name, secret) in [(CONSUMER_SECRET, secret), (PRIVATE_KEY, key)] {
        if let Some(secret) = secret {
            secrets.insert(name.to_owned(), secret);
        }
    }
    let data = settings.to_data();
    let host = Url::parse(&format!("https://{}", settings.login_host)).ok();
    if !host.is_some_and(|host| ask.may_show(&host)) {
        // Whoever made the change is told that the secrets do not go there.
    } else if settings.client_credentials || settings.app_username.is_some() {
        first_token(&ask, &data, &secrets, &settings).await?;
    } else if let Some(secret) = secrets.at(CONSUMER_SECRET) {
        is_known(&ask, &settings, secret).await?;
    }
    let base = ask.callback_base.trim_end_matches('/');
    let people = !settings.user_scopes.is_empty();
    // Salesforce names no issuer in its answers, so the address tells them apart (RFC 9700 §4.4.2).
    let redirect_uri = people.then(|| format!("{base}/callback/{}", ask.connector));
    Ok(Accepted { data, secrets, redirect_uri })
}

/// Whether there is an organization, or the common login, at this host: it publishes how to sign in there (OpenID Connect
/// Discovery §4).
async fn is_there(ask: &NewConnector<'_>, host: &str) -> Result<(), BadConfiguration> {
    let unasked = |why: &str| bad("loginHost", &format!("Salesforce could not be asked at this host: {why}"));
    let url = format!("https://{host}/.well-known/openid-configuration");
    let url = ask.http.check(&url, Purpose::Discovery).map_err(|refused| unasked(&refused.to_string()))?;
    let answer = ask.http.send(Call::get(url, Purpose::Discovery, ask.tenant)).await;
    let answer = answer.map_err(|error| unasked(&error.to_string()))?;
    let document = json::object(&answer.body).filter(|_| answer.status == StatusCode::OK);
    match document.and_then(|document| document.get("token_endpoint").map(Value::is_string)) {
        Some(true) => Ok(()),
        _ => Err(bad("loginHost", "is no host where Salesforce gives tokens")),
    }
}

/// Whether Salesforce knows the app by its secret, where nobody but people will show it.
async fn is_known(
    ask: &NewConnector<'_>,
    settings: &Settings,
    secret: &SecretString,
) -> Result<(), BadConfiguration> {
    let endpoint = format!("https://{}/services/oauth2/token", settings.login_host);
    let unasked =
        |why: String| bad("loginHost", &format!("Salesforce could not be asked at this host: {why}"));
    let url =
        ask.http.check(&endpoint, Purpose::ProviderToken).map_err(|refused| unasked(refused.to_string()))?;
    let client = Client {
        http: ask.http,
        env: ask.env,
        tenant: ask.tenant,
        id: &settings.consumer_key,
        proof: Proof::Post(secret),
    };
    match probe::known(&client, &url, By::Code(ask.callback_base.trim_end_matches('/'))).await {
        Known::Yes => Ok(()),
        Known::No(vendor) => {
            let field = if vendor.error == "invalid_client_id" { "consumerKey" } else { "consumerSecret" };
            Err(bad(field, &format!("is not what Salesforce knows: {}", vendor.quoted())))
        }
        Known::Unasked(why) => Err(unasked(why)),
    }
}

/// A token of the application, so that a wrong key, secret or user is told now.
async fn first_token(
    ask: &NewConnector<'_>,
    data: &Map<String, Value>,
    secrets: &ConnectorSecrets,
    settings: &Settings,
) -> Result<(), BadConfiguration> {
    let now = ask.env.now();
    let uid = Uid::parse("salesforce/new").map_err(|error| bad("consumerKey", &error.to_string()))?;
    let connector = Connector {
        id: ask.connector,
        team: ask.tenant,
        uid,
        service: ask.service.to_owned(),
        r#type: ConnectorType::Salesforce,
        name: ask.name.to_owned(),
        data: data.clone(),
        branding: Branding::default(),
        default_installation: None,
        redirect_uri: None,
        created_at: now,
        updated_at: now,
        created_by: Principal::System,
        updated_by: Principal::System,
        version: 1,
        managed: false,
    };
    let at =
        At { connector: &connector, secrets, redirect_uri: "", http: ask.http, env: ask.env, signer: None };
    let (resources, audience, details) = Default::default();
    let app = MintAsk::App { scopes: None, resources, audience, details, installation: None };
    let by_jwt = settings.app_username.is_some();
    match Salesforce.mint(&at, None, &app).await {
        Ok(minted) => match minted.stray {
            None => Ok(()),
            Some(why) => Err(bad("loginHost", &format!("gives a token that cannot be used: {why}"))),
        },
        Err(DriverError::ClientRejected { vendor }) => {
            let field =
                if by_jwt || vendor.error == "invalid_client_id" { "consumerKey" } else { "consumerSecret" };
            Err(bad(field, &refused(&vendor)))
        }
        Err(DriverError::Refused { vendor }) => {
            let words = vendor.description.as_deref().unwrap_or_default();
            // "user hasn't approved this consumer", "audience is invalid", "invalid assertion".
            let field = match (by_jwt, words.contains("user"), words.contains("audience")) {
                (true, true, _) => "appUsername",
                (_, _, true) => "loginHost",
                (true, ..) => "privateKeyPem",
                (false, ..) => "clientCredentials",
            };
            Err(bad(field, &refused(&vendor)))
        }
        Err(error) => Err(bad("loginHost", &format!("Salesforce could not be asked for a token: {error}"))),
    }
}

fn refused(vendor: &crate::driver::failure::Vendor) -> String {
    let words = vendor.description.as_deref().unwrap_or(&vendor.error);
    format!("Salesforce refuses a token of the application: \u{201c}{words}\u{201d}")
}

fn is_login_host(host: &str) -> bool {
    let sound = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
    };
    matches!(host, "login.salesforce.com" | "test.salesforce.com")
        || host.strip_suffix(MY_DOMAIN).is_some_and(|name| {
            // A sandbox is `NAME--SANDBOX.sandbox`, a scratch organization `NAME.scratch`.
            let labels: Vec<&str> = name.split('.').collect();
            labels.len() <= 2 && labels.iter().all(|label| sound(label))
        })
}

fn bad(field: &str, why: &str) -> BadConfiguration {
    BadConfiguration { field: field.to_owned(), why: why.to_owned() }
}

pub(super) const CONSUMER_SECRET: &str = "/consumerSecret";
pub(super) const PRIVATE_KEY: &str = "/privateKeyPem";
const MY_DOMAIN: &str = ".my.salesforce.com";
const SANDBOX: &str = ".sandbox.my.salesforce.com";
