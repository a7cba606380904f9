//! The configuration of a `microsoft-entra` connector: an application of one directory, and what proves it there.

use std::time::Duration;

use carnet_egress::{Call, Purpose};
use carnet_model::connector::Connector;
use carnet_model::{Scopes, SecretString};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{Proven, code_of};
use crate::certificate::Certificate;
use crate::driver::failure::{BadConfiguration, DriverError, Vendor};
use crate::driver::secrets::ConnectorSecrets;
use crate::driver::signer::jwks_url;
use crate::driver::{Accepted, NewConnector};
use crate::fields::Fields;
use crate::oauth::client::{Client, Form};
use crate::oauth::client_auth::{ClientAssertion, Proof};
use crate::oauth::failure::Phase;
use crate::oauth::json;
use crate::oauth::probe::{self, By, Known};
use crate::private_key::PrivateKey;

/// What is known, without the secret.
pub(super) struct Settings {
    pub tenant: String,
    client_id: String,
    app_scopes: Scopes,
    user_scopes: Scopes,
    /// Whether the client has a secret, instead of the federated credential.
    has_secret: bool,
    /// By which the client proves itself with its key, instead of either.
    pub certificate: Option<Certificate>,
    /// Who signs for it, which the federated credential at Entra names.
    issuer: Option<String>,
}

/// What is to be sealed.
struct Secrets {
    client_secret: Option<SecretString>,
    key: Option<SecretString>,
}

impl Settings {
    /// The configuration of a stored connector.
    pub(super) fn of(connector: &Connector) -> Result<Self, BadConfiguration> {
        Self::read(connector.data.clone()).map(|(settings, _)| settings)
    }

    fn read(data: Map<String, Value>) -> Result<(Self, Secrets), BadConfiguration> {
        let mut fields = Fields::new(data);
        let Some(tenant) = fields.text("tenantId")? else {
            return Err(fields.bad("tenantId", "is missing: the identifier of the directory"));
        };
        let tenant = tenant.to_ascii_lowercase();
        if !is_guid(&tenant) {
            return Err(fields.bad(
                "tenantId",
                "must be the identifier of one directory, a GUID, and not common or a domain",
            ));
        }
        let Some(client_id) = fields.text("clientId")?.filter(|id| is_guid(&id.to_ascii_lowercase())) else {
            return Err(fields.bad("clientId", "must be the application's identifier, a GUID"));
        };
        let secret = fields.secret("clientSecret")?;
        let key = fields.pem("privateKeyPem")?;
        let certificate = fields.pem("certificatePem")?.map(|pem| Certificate::parse(&pem)).transpose();
        let certificate = certificate.map_err(|why| fields.bad("certificatePem", why.to_string()))?;
        if certificate.is_some() && secret.is_some() {
            let why = "and clientSecret are two ways to prove one application; set the other one to null";
            return Err(fields.bad("certificatePem", why));
        }
        if certificate.is_none() && key.is_some() {
            let why = "is missing: the certificate of privateKeyPem that the application has at Entra; to go without \
                       either, set privateKeyPem to null";
            return Err(fields.bad("certificatePem", why));
        }
        // What the connector says of itself, so that it can be told to Entra.
        let federated = fields.object("federatedCredential")?;
        let issuer = match federated {
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
            app_scopes: fields.scopes("appScopes")?.unwrap_or_else(|| one(GRAPH)),
            user_scopes: fields.scopes("userScopes")?.unwrap_or_default(),
            has_secret: secret.is_some()
                || (issuer.is_none() && certificate.is_none() && fields.flag("hasSecret")?.unwrap_or(false)),
            certificate,
            tenant,
            client_id,
            issuer,
        };
        fields.skip(|name| name == "hasSecret");
        // What an administrator is told, written anew each time.
        fields.text("adminConsentUrl")?;
        let wrong = settings.app_scopes.iter().find(|scope| !scope.ends_with("/.default"));
        if settings.app_scopes.len() > 1 || wrong.is_some() {
            return Err(fields.bad(
                "appScopes",
                format!("holds one resource's /.default, like {GRAPH}: each token is for one resource"),
            ));
        }
        if settings.app_scopes.is_empty() && settings.user_scopes.is_empty() {
            return Err(fields.bad("userScopes", "is empty, and appScopes too: no token can be had"));
        }
        fields.finish()?;
        Ok((settings, Secrets { client_secret: secret, key }))
    }

    /// The connector as the driver of plain OAuth reads it.
    pub(super) fn as_oauth(&self, connector: &Connector) -> Connector {
        let base = format!("{LOGIN}/{}", self.tenant);
        let issuer = self.issuer.as_deref().unwrap_or_default();
        let mut data = json!({
            "clientId": self.client_id,
            "serverConfig": {
                "issuer": format!("{base}/v2.0"),
                "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
                "token_endpoint": format!("{base}/oauth2/v2.0/token"),
            },
            "tokenEndpointAuthMethod": "client_secret_post",
            "pkceRequired": true,
            "userAuthorization": {"enabled": !self.user_scopes.is_empty(), "scopes": self.user_scopes},
            "clientCredentials": {"enabled": !self.app_scopes.is_empty(), "scopes": self.app_scopes},
            // A used refresh token is replaced and not revoked ("Refresh tokens in the Microsoft identity platform").
            "rotation": {"class": "none"},
            // "By default 90 days", counted from when it was last used.
            "refreshTokens": {"enabled": true, "idleDays": 90},
            // By `oid` and `tid` the rest of Microsoft's APIs know a person; `sub` is for this application alone.
            "forwardedClaims": {"idToken": ["oid", "tid", "preferred_username"]},
        });
        if let (false, Some(data)) = (self.has_secret, data.as_object_mut()) {
            data.insert("tokenEndpointAuthMethod".to_owned(), "private_key_jwt".into());
            let assertion = if self.certificate.is_some() {
                json!({"ttl": LIFE.as_secs(), "claims": {"aud": format!("{base}/oauth2/v2.0/token")}})
            } else {
                let federated = json!({"issuer": issuer, "subject": subject(connector)});
                json!({"ttl": LIFE.as_secs(), "claims": {"aud": AUDIENCE}, "federated": federated})
            };
            data.insert("clientAssertion".to_owned(), assertion);
        }
        Connector { data: data.as_object().cloned().unwrap_or_default(), ..connector.clone() }
    }
}

/// Reads the configuration, asks Entra whether the directory is one, and has what proves the application tried.
pub(super) async fn accept(mut ask: NewConnector<'_>) -> Result<Accepted, BadConfiguration> {
    let (settings, Secrets { client_secret, key }) = Settings::read(std::mem::take(&mut ask.data))?;
    let proven = proven(&settings, key.as_ref())?;
    is_there(&ask, &settings.tenant).await?;
    if let Some(secret) = &client_secret {
        is_taken(&ask, &settings, Proof::Post(secret), "clientSecret").await?;
    } else if let Some(signer) = &proven {
        let audience = format!("{LOGIN}/{}/oauth2/v2.0/token", settings.tenant);
        let proof = Proof::Assertion(ClientAssertion {
            signer,
            audience: &audience,
            issuer: None,
            subject: None,
            life: LIFE,
            claims: &Map::new(),
        });
        is_taken(&ask, &settings, proof, "certificatePem").await?;
    }
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
    let consent = format!("{LOGIN}/{}/adminconsent?client_id={}", settings.tenant, settings.client_id);
    put("adminConsentUrl", consent.into());
    put("tenantId", settings.tenant.into());
    put("clientId", settings.client_id.into());
    put("appScopes", json!(settings.app_scopes));
    put("userScopes", json!(settings.user_scopes));
    let mut secrets = ConnectorSecrets::default();
    if let Some(secret) = client_secret {
        put("hasSecret", true.into());
        secrets.insert("/clientSecret".to_owned(), secret);
    } else if let (Some(proven), Some(key)) = (proven, key) {
        put("certificatePem", proven.certificate.to_pem().into());
        secrets.insert(PRIVATE_KEY.to_owned(), key);
    } else {
        let issuer = jwks_url(ask.callback_base, ask.connector);
        let subject = format!("connector:{}", ask.connector);
        put("federatedCredential", json!({"issuer": issuer, "subject": subject, "audience": AUDIENCE}));
    }
    let base = ask.callback_base.trim_end_matches('/');
    let redirect_uri =
        (!settings.user_scopes.is_empty()).then(|| format!("{base}/callback/{}", ask.connector));
    Ok(Accepted { data, secrets, redirect_uri })
}

/// The key and its certificate, where the application has one.
fn proven(settings: &Settings, pem: Option<&SecretString>) -> Result<Option<Proven>, BadConfiguration> {
    let bad = |field: &str, why: String| BadConfiguration { field: field.to_owned(), why };
    let Some(certificate) = &settings.certificate else { return Ok(None) };
    let pem = pem.ok_or_else(|| bad("privateKeyPem", "is missing: the key of the certificate".to_owned()))?;
    let key = PrivateKey::parse(pem).map_err(|why| bad("privateKeyPem", why.to_string()))?;
    if certificate.is_of(&key) {
        Ok(Some(Proven { key, certificate: certificate.clone() }))
    } else {
        Err(bad("certificatePem", "is another key's, and not that of privateKeyPem".to_owned()))
    }
}

/// Whether there is such a directory: it publishes how to sign in there.
async fn is_there(ask: &NewConnector<'_>, tenant: &str) -> Result<(), BadConfiguration> {
    let bad = |why: String| BadConfiguration { field: "tenantId".to_owned(), why };
    let unasked = |why: String| bad(format!("Entra could not be asked about the directory: {why}"));
    let url = format!("{LOGIN}/{tenant}/v2.0/.well-known/openid-configuration");
    let url = ask.http.check(&url, Purpose::Discovery).map_err(|refused| unasked(refused.to_string()))?;
    let answer = ask.http.send(Call::get(url, Purpose::Discovery, ask.tenant)).await;
    let answer = answer.map_err(|error| unasked(error.to_string()))?;
    let said = json::object(&answer.body).unwrap_or_default();
    match answer.status {
        StatusCode::OK if said.get("token_endpoint").is_some_and(Value::is_string) => Ok(()),
        status if status.is_server_error() => Err(unasked(format!("status {}", status.as_u16()))),
        // AADSTS90002
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => {
            Err(bad("is no directory that Entra knows".to_owned()))
        }
        status => Err(unasked(format!("status {} and no metadata", status.as_u16()))),
    }
}

/// Whether Entra takes the proof, which `field` holds: by a token of the application where it has any, else by a code that is none.
async fn is_taken(
    ask: &NewConnector<'_>,
    settings: &Settings,
    proof: Proof<'_>,
    field: &str,
) -> Result<(), BadConfiguration> {
    let bad = |field: &str, why: String| BadConfiguration { field: field.to_owned(), why };
    let unasked =
        |why: String| bad("clientId", format!("Entra could not be asked about the application: {why}"));
    let url = format!("{LOGIN}/{}/oauth2/v2.0/token", settings.tenant);
    let url = ask.http.check(&url, Purpose::ProviderToken).map_err(|refused| unasked(refused.to_string()))?;
    let client = Client { http: ask.http, env: ask.env, tenant: ask.tenant, id: &settings.client_id, proof };
    let refused = |vendor: &Vendor| {
        // AADSTS700016: no such application in the directory. AADSTS7000215, AADSTS7000222: a wrong or old secret.
        // AADSTS700027: a certificate that the application does not have.
        let is_id = vendor.error == "unauthorized_client" || code_of(vendor) == Some(700_016);
        let field = if is_id { "clientId" } else { field };
        bad(field, format!("is not what Entra knows: {}", vendor.quoted()))
    };
    if settings.app_scopes.is_empty() {
        let redirect = ask.callback_base.trim_end_matches('/');
        return match probe::known(&client, &url, By::Code(redirect)).await {
            Known::Yes => Ok(()),
            Known::No(vendor) => Err(refused(&vendor)),
            Known::Unasked(why) => Err(unasked(why)),
        };
    }
    let mut form = Form::of("client_credentials");
    form.push("scope", &settings.app_scopes.joined(" "));
    match client.token(&url, form, Phase::App).await {
        Ok(_) => Ok(()),
        Err(DriverError::ClientRejected { vendor }) => Err(refused(&vendor)),
        // AADSTS500011, AADSTS70011: no such resource.
        Err(DriverError::Refused { vendor }) => {
            Err(bad("appScopes", format!("Entra gives no token for them: {}", vendor.quoted())))
        }
        Err(error) => Err(unasked(error.to_string())),
    }
}

/// As whom the connector signs.
fn subject(connector: &Connector) -> String {
    format!("connector:{}", connector.id)
}

fn one(scope: &str) -> Scopes {
    Scopes::parse([scope]).unwrap_or_default()
}

fn is_guid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == lengths.len()
        && parts
            .iter()
            .zip(lengths)
            .all(|(part, length)| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

pub(super) const LOGIN: &str = "https://login.microsoftonline.com";
pub(super) const GRAPH: &str = "https://graph.microsoft.com/.default";
pub(super) const PRIVATE_KEY: &str = "/privateKeyPem";
/// How long a proof is good ("exp": no longer than five to ten minutes).
const LIFE: Duration = Duration::from_mins(5);
/// What Entra wants in `aud` of every federated credential.
const AUDIENCE: &str = "api://AzureADTokenExchange";
