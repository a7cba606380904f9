//! The configuration of a `github` connector: an app that somebody registered at GitHub, and its key.
//!
//! GitHub is asked about the app when the connector is made or changed: a key that it does not take, a number that is
//! another app's, permissions that the app does not have, or a wrong client secret is refused there and then, with the
//! field.

use carnet_egress::Purpose;
use carnet_model::connector::Connector;
use carnet_model::{Scopes, SecretString};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::api::{self, Api, App};
use super::device;
use super::narrowing::Permissions;
use crate::driver::failure::{BadConfiguration, DriverError, Vendor};
use crate::driver::secrets::ConnectorSecrets;
use crate::driver::{Accepted, At, NewConnector};
use crate::fields::Fields;
use crate::oauth::client::Client;
use crate::oauth::client_auth::Proof;
use crate::oauth::probe::{self, By, Known};
use crate::private_key::PrivateKey;

/// What is known about the app, without its secrets.
pub(super) struct Settings {
    pub app_id: u64,
    pub slug: String,
    pub client_id: String,
    /// Whether it has a client secret, by which people can be asked.
    pub has_people: bool,
    /// Whether people decide on GitHub's own page by a code, and are not sent back.
    pub by_device: bool,
    /// What tokens of the application may do where a caller says nothing, and at most: `contents:read`. Empty for all that
    /// the installation allows.
    pub app_scopes: Scopes,
}

struct Read {
    app_id: Option<u64>,
    slug: Option<String>,
    client_id: Option<String>,
    app_scopes: Scopes,
    key: Option<SecretString>,
    client_secret: Option<SecretString>,
    webhook_secret: Option<SecretString>,
    user_tokens: Option<bool>,
    by_device: bool,
}

impl Read {
    fn new(data: Map<String, Value>) -> Result<Self, BadConfiguration> {
        let mut fields = Fields::new(data);
        // GitHub shows it as a number, and files of environment variables hold it as text.
        let app_id = match fields.any("appId") {
            None => None,
            Some(value) => {
                let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
                let positive = number.filter(|number| *number > 0);
                Some(positive.ok_or_else(|| fields.bad("appId", "must be the app's number at GitHub"))?)
            }
        };
        let slug = fields.text("appSlug")?;
        let is_slug = |text: &String| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if slug.as_ref().is_some_and(|slug| !is_slug(slug)) {
            return Err(
                fields.bad("appSlug", "must be the last part of the app's address: letters, digits and -")
            );
        }
        let app_scopes = fields.scopes("appScopes")?.unwrap_or_default();
        if let Err(why) = Permissions::of_scopes(&app_scopes) {
            return Err(fields.bad("appScopes", why));
        }
        let read = Self {
            app_id,
            slug,
            client_id: fields.text("clientId")?,
            app_scopes,
            key: fields.pem("privateKeyPem")?,
            client_secret: fields.secret("clientSecret")?,
            webhook_secret: fields.secret("webhookSecret")?,
            user_tokens: fields.flag("userTokens")?,
            by_device: fields.flag("deviceFlow")?.unwrap_or(false),
        };
        // GitHub's own words, which are asked for anew whenever the rest changes.
        for said in ["appName", "owner", "permissions", "extras", "notChecked"] {
            fields.any(said);
        }
        fields.finish()?;
        Ok(read)
    }
}

impl Settings {
    /// The configuration of a stored connector.
    pub(super) fn of(connector: &Connector) -> Result<Self, BadConfiguration> {
        let read = Read::new(connector.data.clone())?;
        let missing = |field: &str| bad(field, "is missing");
        Ok(Self {
            app_id: read.app_id.ok_or_else(|| missing("appId"))?,
            slug: read.slug.ok_or_else(|| missing("appSlug"))?,
            client_id: read.client_id.ok_or_else(|| missing("clientId"))?,
            has_people: read.user_tokens.unwrap_or(false),
            by_device: read.by_device,
            app_scopes: read.app_scopes,
        })
    }

    /// The app's key.
    pub(super) fn key(at: &At<'_>) -> Result<PrivateKey, DriverError> {
        let pem = at.secrets.at(PRIVATE_KEY).ok_or_else(|| bad("privateKeyPem", "is missing"))?;
        PrivateKey::parse(pem).map_err(|why| bad("privateKeyPem", &why.to_string()).into())
    }

    /// The client secret, by which people and those who install are recognised.
    pub(super) fn client_secret<'a>(at: &At<'a>) -> Result<&'a SecretString, DriverError> {
        at.secrets.at(CLIENT_SECRET).ok_or_else(|| {
            bad("clientSecret", "is missing: without it GitHub does not say who a person is").into()
        })
    }
}

/// Reads the configuration and asks GitHub about the app.
pub(super) async fn accept(mut ask: NewConnector<'_>) -> Result<Accepted, BadConfiguration> {
    let read = Read::new(std::mem::take(&mut ask.data))?;
    let app_id = read.app_id.ok_or_else(|| bad("appId", "is missing: the app's number at GitHub"))?;
    let pem = read
        .key
        .ok_or_else(|| bad("privateKeyPem", "is missing: make a private key in the app's settings"))?;
    let key = PrivateKey::parse(&pem).map_err(|why| bad("privateKeyPem", &why.to_string()))?;
    let app = about(&ask, &App { id: app_id, key: &key }).await?;
    let said = |name: &str| app.get(name).and_then(Value::as_str).map(str::to_owned);
    if app.get("id").and_then(Value::as_u64) != Some(app_id) {
        return Err(bad("appId", "is not the number of the app that the key belongs to"));
    }
    let slug = settled("appSlug", read.slug, said("slug"))?;
    let client_id = settled("clientId", read.client_id, said("client_id"))?;
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
    put("appId", app_id.into());
    put("appSlug", slug.into());
    put("clientId", client_id.clone().into());
    put("userTokens", read.client_secret.is_some().into());
    put("appScopes", json!(read.app_scopes));
    if let Some(name) = said("name") {
        put("appName", shown(&name).into());
    }
    if let Some(permissions) = app.get("permissions").and_then(|value| Permissions::of_json(value).ok()) {
        is_within(&read.app_scopes, &permissions)?;
        put("permissions", permissions.to_json());
    }
    let mut unchecked = Vec::new();
    if let Some(secret) = &read.client_secret
        && !is_known(&ask, &client_id, secret).await?
    {
        unchecked.push("clientSecret");
    }
    if read.by_device {
        if read.client_secret.is_none() {
            return Err(bad("clientSecret", "is missing: deviceFlow is for tokens of people, who need it"));
        }
        put("deviceFlow", true.into());
        match device::code(&device::client(ask.http, ask.env, ask.tenant, &client_id)).await {
            // Nobody is shown it, and it ends by itself.
            Ok(_) => {}
            Err(DriverError::Misconfigured(field, why)) => return Err(bad(&field, &why)),
            Err(_) => unchecked.push("deviceFlow"),
        }
    }
    if !unchecked.is_empty() {
        put("notChecked", json!(unchecked));
    }
    if let Some(owner) = app.get("owner").and_then(Value::as_object) {
        let text = |name: &str| owner.get(name).and_then(Value::as_str).map(shown);
        put(
            "owner",
            json!({"id": owner.get("id").and_then(Value::as_u64), "slug": text("login"), "type": text("type")}),
        );
    }
    let mut secrets = ConnectorSecrets::default();
    let given = [
        (PRIVATE_KEY, Some(pem)),
        (CLIENT_SECRET, read.client_secret),
        (WEBHOOK_SECRET, read.webhook_secret),
    ];
    for (name, secret) in given {
        if let Some(secret) = secret {
            secrets.insert(name.to_owned(), secret);
        }
    }
    // GitHub names no issuer in its answers, so the address tells them apart (RFC 9700 §4.4.2).
    let base = ask.callback_base.trim_end_matches('/');
    let redirect_uri = Some(format!("{base}/callback/{}", ask.connector));
    Ok(Accepted { data, secrets, redirect_uri })
}

/// What GitHub says about the app whose key this is ("Get the authenticated app").
async fn about(ask: &NewConnector<'_>, app: &App<'_>) -> Result<Map<String, Value>, BadConfiguration> {
    let unasked = |why: String| bad("appId", &format!("GitHub could not be asked about the app: {why}"));
    let url = ask.http.check(&format!("{}/app", api::API), Purpose::ProviderApi);
    let url = url.map_err(|refused| unasked(refused.to_string()))?;
    let github = Api { http: ask.http, env: ask.env, tenant: ask.tenant };
    let answer =
        github.as_app(app, Method::GET, url, None).await.map_err(|error| unasked(error.to_string()))?;
    if let Some(app) = api::object(&answer, StatusCode::OK) {
        return Ok(app);
    }
    Err(match github.refusal(&answer, &[], |vendor| DriverError::NotInstalled { vendor }) {
        DriverError::ClientRejected { vendor } => bad(
            "privateKeyPem",
            &format!("GitHub does not take this key for the app {}{}", app.id, quoted(&vendor)),
        ),
        DriverError::NotInstalled { .. } => bad("appId", "GitHub knows no app of this number"),
        DriverError::Refused { vendor } => {
            bad("appId", &format!("GitHub refuses the app{}", quoted(&vendor)))
        }
        error => unasked(error.to_string()),
    })
}

/// Refuses to promise more than the app has.
fn is_within(app_scopes: &Scopes, app: &Permissions) -> Result<(), BadConfiguration> {
    let asked = Permissions::of_scopes(app_scopes).map_err(|why| bad("appScopes", &why))?;
    let Some((beyond, allowed)) = asked.beyond(app) else { return Ok(()) };
    let (name, _) = beyond.split_once(':').unwrap_or((&beyond, ""));
    let has = allowed.map_or_else(|| format!("no {name} at all"), |level| format!("{name}:{level}"));
    Err(bad(
        "appScopes",
        &format!(
            "cannot hold {beyond}: the app has {has} at GitHub; give it the permission in its settings, or leave it out"
        ),
    ))
}

/// Whether GitHub knows the client by this secret; `false` where it does not say. It looks at the client before the code
/// ("Troubleshooting OAuth app access token request errors": `incorrect_client_credentials`, `bad_verification_code`).
async fn is_known(
    ask: &NewConnector<'_>,
    client_id: &str,
    secret: &SecretString,
) -> Result<bool, BadConfiguration> {
    let Ok(url) = api::web("login/oauth/access_token") else { return Ok(false) };
    let client = Client {
        http: ask.http,
        env: ask.env,
        tenant: ask.tenant,
        id: client_id,
        proof: Proof::Post(secret),
    };
    match probe::known(&client, &url, By::CodeAlone).await {
        Known::Yes => Ok(true),
        Known::No(vendor) => Err(bad(
            "clientSecret",
            &format!("GitHub does not take it for the client {client_id}: {}", vendor.quoted()),
        )),
        Known::Unasked(_) => Ok(false),
    }
}

/// What was given and what GitHub says must be the same; one of them is enough.
fn settled(field: &str, given: Option<String>, said: Option<String>) -> Result<String, BadConfiguration> {
    match (given, said) {
        (Some(given), Some(said)) if given != said => {
            Err(bad(field, &format!("is not this app's: GitHub says {:?}", shown(&said))))
        }
        (Some(text), _) | (None, Some(text)) => Ok(text),
        (None, None) => Err(bad(field, "is missing, and GitHub does not say it")),
    }
}

fn quoted(vendor: &Vendor) -> String {
    vendor.description.as_ref().map(|words| format!(": \u{201c}{words}\u{201d}")).unwrap_or_default()
}

/// A name of somebody else's choosing, fit to be stored.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn bad(field: &str, why: &str) -> BadConfiguration {
    BadConfiguration { field: field.to_owned(), why: why.to_owned() }
}

const PRIVATE_KEY: &str = "/privateKeyPem";
const CLIENT_SECRET: &str = "/clientSecret";
const WEBHOOK_SECRET: &str = "/webhookSecret";
