//! The configuration of a `snowflake` connector: the account, and by what it is entered.

use carnet_egress::Purpose;
use carnet_model::connector::Connector;
use carnet_model::{Scopes, SecretString};
use serde_json::{Map, Value, json};

use super::account::Account;
use super::login::{self, Known};
use super::{external, workload};
use crate::driver::failure::BadConfiguration;
use crate::driver::secrets::ConnectorSecrets;
use crate::driver::signer::jwks_url;
use crate::driver::{Accepted, NewConnector};
use crate::fields::Fields;
use crate::oauth::client::Client;
use crate::oauth::client_auth::Proof;
use crate::oauth::probe::{self, By};

/// What is known, without its secrets.
pub(super) struct Settings {
    pub account: Account,
    client_id: Option<String>,
    user_scopes: Scopes,
    default_role: Option<String>,
    single_use: bool,
    /// The user as which the application acts.
    pub username: Option<String>,
    /// Whether the application proves itself by a token of the connector's own issuer, and not by a key pair.
    pub by_workload: bool,
    /// That issuer, once the connector is made.
    pub issuer: Option<String>,
    /// The client at another authorization server, as an `oauth` connector describes it.
    pub external: Option<Map<String, Value>>,
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
        // What the connector says of itself, so that the user at Snowflake can be told.
        let issuer = match fields.object("federatedCredential")? {
            None => None,
            Some(mut inner) => {
                let issuer = inner.text("issuer")?;
                inner.text("subject")?;
                inner.text("audience")?;
                inner.finish()?;
                issuer
            }
        };
        let settings = Self {
            account,
            client_id: fields.text("clientId")?,
            user_scopes: fields.scopes("userScopes")?.unwrap_or_default(),
            default_role,
            single_use: fields.flag("singleUseRefreshTokens")?.unwrap_or(false),
            username: fields.text("username")?,
            by_workload: fields.flag("workloadIdentity")?.unwrap_or(false),
            issuer,
            external: fields.object("externalOauth")?.map(Fields::rest),
        };
        let is_name = |name: &String| name.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
        if settings.username.as_ref().is_some_and(|name| !is_name(name)) {
            return Err(fields.bad("username", "must be a user's name without spaces and quotes"));
        }
        // A label for people, of the official clients.
        fields.text("clientName")?;
        // Found anew whenever the rest changes.
        fields.any("notChecked");
        let secrets =
            [(CLIENT_SECRET, fields.secret("clientSecret")?), (PRIVATE_KEY, fields.pem("privateKeyPem")?)];
        settings.fit(&fields, &secrets)?;
        fields.finish()?;
        Ok((settings, secrets))
    }

    /// Refuses ways that exclude each other, and none at all.
    fn fit(&self, fields: &Fields, [_, (_, key)]: &Secrets) -> Result<(), BadConfiguration> {
        let is_own = self.client_id.is_some() || self.username.is_some() || self.by_workload;
        if self.external.is_some() && is_own {
            return Err(fields.bad(
                "externalOauth",
                "takes the place of clientId, username and workloadIdentity: make a second connector for them",
            ));
        }
        if self.by_workload && key.is_some() {
            return Err(
                fields.bad("privateKeyPem", "and workloadIdentity are two ways to one token; choose one")
            );
        }
        if self.external.is_none() && !is_own {
            return Err(fields.bad(
                "clientId",
                "is missing, and every other way in too: give the client of a security integration, a username with \
                 its privateKeyPem, workloadIdentity, or externalOauth",
            ));
        }
        Ok(())
    }

    /// Whether the application has tokens by itself.
    pub(super) const fn has_app(&self) -> bool {
        self.by_workload || self.username.is_some()
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
        if let Some(external) = &self.external {
            put("externalOauth", external.clone().into());
            return data;
        }
        put("userScopes", json!(self.user_scopes));
        put("singleUseRefreshTokens", self.single_use.into());
        if self.by_workload {
            put("workloadIdentity", true.into());
        }
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

/// Reads the configuration and asks the account whether it is there, knows the client, and takes the key. What it leaves
/// open is named in `notChecked`.
pub(super) async fn accept(mut ask: NewConnector<'_>) -> Result<Accepted, BadConfiguration> {
    let (mut settings, given) = Settings::read(std::mem::take(&mut ask.data))?;
    let mut open = Vec::new();
    let mut note = |field: &'static str, known: Known| {
        if known == Known::NotSaid {
            open.push(field);
        }
    };
    if let Some(described) = settings.external.take() {
        let account = settings.account.clone();
        note("accountIdentifier", login::is_account(&ask, &account).await?);
        let accepted = external::accept(ask, described).await?;
        settings.external = Some(accepted.data);
        return Ok(Accepted { data: noted(settings.to_data(), &open), ..accepted });
    }
    let mut secrets = ConnectorSecrets::default();
    for (name, secret) in given {
        if let Some(secret) = secret {
            secrets.insert(name.to_owned(), secret);
        }
    }
    let by_key = settings.username.as_ref().filter(|_| !settings.by_workload);
    if let Some(username) = by_key {
        let pem = secrets.at(PRIVATE_KEY).ok_or_else(|| {
            bad("privateKeyPem", "is missing: the key of this user, or workloadIdentity instead")
        })?;
        note("privateKeyPem", login::is_taken(&ask, &settings.account, username, pem).await?);
    } else {
        note("accountIdentifier", login::is_account(&ask, &settings.account).await?);
    }
    if let Some(client_id) = &settings.client_id {
        let secret = secrets.at(CLIENT_SECRET).ok_or_else(|| bad("clientSecret", "is missing"))?;
        note("clientSecret", is_known(&ask, &settings.account, client_id, secret).await?);
    }
    let mut data = noted(settings.to_data(), &open);
    if settings.by_workload {
        let issuer = jwks_url(ask.callback_base, ask.connector);
        data.insert("federatedCredential".to_owned(), workload::credential(&issuer, ask.connector));
    }
    let base = ask.callback_base.trim_end_matches('/');
    // Snowflake names no issuer in its answers, so the address tells them apart (RFC 9700 §4.4.2).
    let redirect_uri = settings.client_id.is_some().then(|| format!("{base}/callback/{}", ask.connector));
    Ok(Accepted { data, secrets, redirect_uri })
}

/// With the names of what the account did not speak about.
fn noted(mut data: Map<String, Value>, open: &[&str]) -> Map<String, Value> {
    if !open.is_empty() {
        data.insert("notChecked".to_owned(), json!(open));
    }
    data
}

/// Whether the account, which is there, knows the client.
async fn is_known(
    ask: &NewConnector<'_>,
    account: &Account,
    client_id: &str,
    secret: &SecretString,
) -> Result<Known, BadConfiguration> {
    let url = ask.http.check(&format!("{}/oauth/token-request", account.origin()), Purpose::ProviderToken);
    let url = url.map_err(|refused| bad("accountIdentifier", &refused.to_string()))?;
    let client = Client {
        http: ask.http,
        env: ask.env,
        tenant: ask.tenant,
        id: client_id,
        proof: Proof::Basic(secret),
    };
    match probe::known(&client, &url, By::Code(ask.callback_base)).await {
        probe::Known::Yes => Ok(Known::Yes),
        probe::Known::No(vendor) => Err(bad(
            "clientSecret",
            &format!("Snowflake does not know this client and secret: {}", vendor.quoted()),
        )),
        probe::Known::Unasked(_) => Ok(Known::NotSaid),
    }
}

fn bad(field: &str, why: &str) -> BadConfiguration {
    BadConfiguration { field: field.to_owned(), why: why.to_owned() }
}

const CLIENT_SECRET: &str = "/clientSecret";
pub(super) const PRIVATE_KEY: &str = "/privateKeyPem";
