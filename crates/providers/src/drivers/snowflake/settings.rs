//! The configuration of a `snowflake` connector: the account, and the integration or the user by which it is entered.

use carnet_egress::Purpose;
use carnet_model::connector::Connector;
use carnet_model::{Scopes, SecretString};
use serde_json::{Map, Value, json};

use super::account::Account;
use super::key_pair;
use crate::driver::failure::{BadConfiguration, CallbackFault, DriverError};
use crate::driver::secrets::ConnectorSecrets;
use crate::driver::{Accepted, NewConnector};
use crate::fields::Fields;
use crate::oauth::client::{Client, Form};
use crate::oauth::client_auth::Proof;
use crate::oauth::failure::Phase;

/// What is known, without its secrets.
pub(super) struct Settings {
    pub account: Account,
    client_id: Option<String>,
    user_scopes: Scopes,
    default_role: Option<String>,
    single_use: bool,
    /// The user whose key pair the application has.
    pub username: Option<String>,
}

type Secrets = [(&'static str, Option<SecretString>); 2];

impl Settings {
    /// The configuration of a stored connector.
    pub(super) fn of(connector: &Connector) -> Result<Self, BadConfiguration> {
        Self::read(connector.data.clone()).map(|(settings, _)| settings)
    }

    fn read(data: Map<String, Value>) -> Result<(Self, Secrets), BadConfiguration> {
        let mut fields = Fields::new(data);
        let Some(account) = fields.text("accountIdentifier")? else {
            return Err(fields.bad("accountIdentifier", "is missing: ORGANIZATION-ACCOUNT"));
        };
        let account = Account::parse(&account).map_err(|why| fields.bad("accountIdentifier", why))?;
        let default_role = fields.text("defaultSessionRole")?;
        let is_role =
            |role: &String| role.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$'));
        if default_role.as_ref().is_some_and(|role| !is_role(role)) {
            return Err(
                fields.bad("defaultSessionRole", "must be the name of a role: letters, digits, _ and $")
            );
        }
        let settings = Self {
            account,
            client_id: fields.text("clientId")?,
            user_scopes: fields.scopes("userScopes")?.unwrap_or_default(),
            default_role,
            single_use: fields.flag("singleUseRefreshTokens")?.unwrap_or(false),
            username: fields.text("username")?,
        };
        let is_name = |name: &String| name.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
        if settings.username.as_ref().is_some_and(|name| !is_name(name)) {
            return Err(fields.bad("username", "must be a user's name without spaces and quotes"));
        }
        // A label for people, of the official clients.
        fields.text("clientName")?;
        let secrets =
            [(CLIENT_SECRET, fields.secret("clientSecret")?), (PRIVATE_KEY, fields.pem("privateKeyPem")?)];
        if settings.client_id.is_none() && settings.username.is_none() {
            return Err(fields.bad(
                "clientId",
                "is missing, and username too: give the client of a security integration, or a user with a key pair",
            ));
        }
        fields.finish()?;
        Ok((settings, secrets))
    }

    /// What people are asked for: to be renewed, and the role ("session:role:NAME"), or the user's default one.
    fn scopes(&self) -> Scopes {
        let mut names: Vec<String> = self.user_scopes.iter().map(str::to_owned).collect();
        if names.is_empty() {
            names.push("refresh_token".to_owned());
        }
        if let Some(role) = &self.default_role {
            names.push(format!("session:role:{role}"));
        }
        Scopes::parse(names).unwrap_or_default()
    }

    /// The connector as the driver of plain OAuth reads it; `None` where there is no integration for people.
    pub(super) fn as_oauth(&self, connector: &Connector) -> Option<Connector> {
        let client_id = self.client_id.as_ref()?;
        let origin = self.account.origin();
        let class = if self.single_use { "strict" } else { "none" };
        let data = json!({
            "clientId": client_id,
            "serverConfig": {
                "authorization_endpoint": format!("{origin}/oauth/authorize"),
                "token_endpoint": format!("{origin}/oauth/token-request"),
            },
            "tokenEndpointAuthMethod": "client_secret_basic",
            "userAuthorization": {"enabled": true, "scopes": self.scopes()},
            "rotation": {"class": class},
            "forwardedClaims": {"tokenResponse": ["username"]},
        });
        Some(Connector { data: data.as_object().cloned()?, ..connector.clone() })
    }

    fn to_data(&self) -> Map<String, Value> {
        let mut data = Map::new();
        let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
        put("accountIdentifier", self.account.identifier().into());
        put("userScopes", json!(self.user_scopes));
        put("singleUseRefreshTokens", self.single_use.into());
        for (name, text) in [
            ("clientId", &self.client_id),
            ("defaultSessionRole", &self.default_role),
            ("username", &self.username),
        ] {
            if let Some(text) = text {
                put(name, text.clone().into());
            }
        }
        data
    }
}

/// Reads the configuration and asks the account whether it knows the client, and takes the key.
pub(super) async fn accept(mut ask: NewConnector<'_>) -> Result<Accepted, BadConfiguration> {
    let (settings, given) = Settings::read(std::mem::take(&mut ask.data))?;
    let mut secrets = ConnectorSecrets::default();
    for (name, secret) in given {
        if let Some(secret) = secret {
            secrets.insert(name.to_owned(), secret);
        }
    }
    if let Some(client_id) = &settings.client_id {
        let secret = secrets.at(CLIENT_SECRET).ok_or_else(|| bad("clientSecret", "is missing"))?;
        is_known(&ask, &settings.account, client_id, secret).await?;
    }
    if let Some(username) = &settings.username {
        let pem = secrets.at(PRIVATE_KEY).ok_or_else(|| bad("privateKeyPem", "is missing"))?;
        key_pair::is_taken(&ask, &settings.account, username, pem).await?;
    }
    let base = ask.callback_base.trim_end_matches('/');
    // Snowflake names no issuer in its answers, so the address tells them apart (RFC 9700 §4.4.2).
    let redirect_uri = settings.client_id.is_some().then(|| format!("{base}/callback/{}", ask.connector));
    Ok(Accepted { data: settings.to_data(), secrets, redirect_uri })
}

/// Whether the account knows the client: it says so before it looks at the code, which cannot be one.
async fn is_known(
    ask: &NewConnector<'_>,
    account: &Account,
    client_id: &str,
    secret: &SecretString,
) -> Result<(), BadConfiguration> {
    let unasked = |why: String| {
        bad("accountIdentifier", &format!("Snowflake could not be asked at this account: {why}"))
    };
    let url = ask.http.check(&format!("{}/oauth/token-request", account.origin()), Purpose::ProviderToken);
    let url = url.map_err(|refused| unasked(refused.to_string()))?;
    let client = Client {
        http: ask.http,
        env: ask.env,
        tenant: ask.tenant,
        id: client_id,
        proof: Proof::Basic(secret),
    };
    let mut form = Form::of("authorization_code");
    form.push("code", "is-this-client-known");
    form.push("redirect_uri", ask.callback_base);
    match client.token(&url, form, Phase::Code).await {
        // The code was looked at, or the address before it.
        Err(DriverError::Callback(CallbackFault::CodeRefused { .. }) | DriverError::Refused { .. }) => Ok(()),
        Err(DriverError::ClientRejected { vendor }) => {
            let words = vendor.description.as_deref().unwrap_or(&vendor.error);
            Err(bad(
                "clientSecret",
                &format!("Snowflake does not know this client and secret: \u{201c}{words}\u{201d}"),
            ))
        }
        Ok(_) => Err(unasked("it took a code that was none".to_owned())),
        Err(error) => Err(unasked(error.to_string())),
    }
}

fn bad(field: &str, why: &str) -> BadConfiguration {
    BadConfiguration { field: field.to_owned(), why: why.to_owned() }
}

const CLIENT_SECRET: &str = "/clientSecret";
pub(super) const PRIVATE_KEY: &str = "/privateKeyPem";
