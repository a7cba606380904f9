//! Microsoft Entra: people and the application of one directory, without a secret. The client proves itself by a federated
//! credential: a JWT that the connector's own key signs, for an issuer of the connector's own that Entra is told to trust.
//!
//! The protocol is [`Oauth`]'s, at the addresses of one directory. The directory is named by its identifier: `common` and
//! `organizations` would take people, and refresh tokens, of any. Facts are from learn.microsoft.com ("Microsoft identity
//! platform and the OAuth 2.0 client credentials flow", "Important considerations … for workload identity federation").

use std::collections::BTreeSet;

use carnet_egress::{Call, Purpose};
use carnet_model::Scopes;
use carnet_model::connector::Connector;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::oauth::Oauth;
use crate::driver::ability::Abilities;
use crate::driver::consent::{Callback, ConsentAsk, Granted, Kept, Step, Way};
use crate::driver::failure::{BadConfiguration, DriverError};
use crate::driver::held::Held;
use crate::driver::import::Import;
use crate::driver::mint::{MintAsk, Minted, Revocation};
use crate::driver::secrets::ConnectorSecrets;
use crate::driver::signer::jwks_url;
use crate::driver::{Accepted, At, Boxed, Driver, NewConnector};
use crate::fields::Fields;
use crate::oauth::json;

/// The driver of `microsoft-entra` connectors.
pub(super) struct Entra;

impl Driver for Entra {
    fn accept<'a>(&'a self, ask: NewConnector<'a>) -> Boxed<'a, Result<Accepted, BadConfiguration>> {
        Box::pin(accept(ask))
    }

    fn abilities(&self, connector: &Connector) -> Abilities {
        let Ok((settings, _)) = Settings::read(connector.data.clone()) else { return Abilities::NONE };
        let mut abilities = Oauth.abilities(&settings.as_oauth(connector));
        for tokens in [&mut abilities.app, &mut abilities.user].into_iter().flatten() {
            tokens.resources = false;
        }
        abilities
    }

    fn recipients(&self, _connector: &Connector) -> BTreeSet<String> {
        [LOGIN.to_owned()].into()
    }

    fn way(&self, at: &At<'_>, ask: &ConsentAsk<'_>) -> Result<Way, DriverError> {
        refuse_targets(&ask.resources, &ask.audience, &ask.details)?;
        Oauth.way(&At { connector: &inner(at)?, ..*at }, ask)
    }

    fn begin<'a>(&'a self, at: &'a At<'_>, ask: &'a ConsentAsk<'_>) -> Boxed<'a, Result<Step, DriverError>> {
        Box::pin(async move {
            refuse_targets(&ask.resources, &ask.audience, &ask.details)?;
            Oauth.begin(&At { connector: &inner(at)?, ..*at }, ask).await
        })
    }

    fn finish<'a>(
        &'a self,
        at: &'a At<'_>,
        back: &'a Callback,
        kept: &'a Kept,
    ) -> Boxed<'a, Result<Granted, DriverError>> {
        Box::pin(async move {
            let finished = Oauth.finish(&At { connector: &inner(at)?, ..*at }, back, kept).await;
            finished.map_err(patiently)
        })
    }

    fn import(&self, at: &At<'_>, import: Import) -> Result<Granted, DriverError> {
        Oauth.import(&At { connector: &inner(at)?, ..*at }, import)
    }

    fn mint<'a>(
        &'a self,
        at: &'a At<'_>,
        held: Option<&'a Held>,
        ask: &'a MintAsk,
    ) -> Boxed<'a, Result<Minted, DriverError>> {
        Box::pin(async move {
            let (MintAsk::Refresh { resources, audience, details, .. }
            | MintAsk::App { resources, audience, details, .. }) = ask
            else {
                return Err(DriverError::Unsupported(
                    "this connector has tokens of the application and of people".to_owned(),
                ));
            };
            refuse_targets(resources, audience, details)?;
            let minted = Oauth.mint(&At { connector: &inner(at)?, ..*at }, held, ask).await;
            minted.map_err(patiently)
        })
    }

    /// Entra has no address to end a token at.
    fn revoke<'a>(&'a self, _at: &'a At<'_>, _held: &'a Held) -> Boxed<'a, Result<Revocation, DriverError>> {
        Box::pin(std::future::ready(Ok(Revocation::NotSupported)))
    }
}

/// What is known, without the secret.
struct Settings {
    tenant: String,
    client_id: String,
    app_scopes: Scopes,
    user_scopes: Scopes,
    /// Whether the client has a secret, instead of the federated credential.
    has_secret: bool,
    /// Who signs for it, which the federated credential at Entra names.
    issuer: Option<String>,
}

impl Settings {
    fn read(
        data: Map<String, Value>,
    ) -> Result<(Self, Option<carnet_model::SecretString>), BadConfiguration> {
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
            has_secret: secret.is_some() || (issuer.is_none() && fields.flag("hasSecret")?.unwrap_or(false)),
            tenant,
            client_id,
            issuer,
        };
        fields.skip(|name| name == "hasSecret");
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
        Ok((settings, secret))
    }

    /// The connector as the driver of plain OAuth reads it.
    fn as_oauth(&self, connector: &Connector) -> Connector {
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
        });
        if let (false, Some(data)) = (self.has_secret, data.as_object_mut()) {
            data.insert("tokenEndpointAuthMethod".to_owned(), "private_key_jwt".into());
            let federated = json!({"issuer": issuer, "subject": subject(connector)});
            let assertion = json!({"ttl": 300, "claims": {"aud": AUDIENCE}, "federated": federated});
            data.insert("clientAssertion".to_owned(), assertion);
        }
        Connector { data: data.as_object().cloned().unwrap_or_default(), ..connector.clone() }
    }
}

async fn accept(mut ask: NewConnector<'_>) -> Result<Accepted, BadConfiguration> {
    let (settings, secret) = Settings::read(std::mem::take(&mut ask.data))?;
    is_there(&ask, &settings.tenant).await?;
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
    put("tenantId", settings.tenant.into());
    put("clientId", settings.client_id.into());
    put("appScopes", json!(settings.app_scopes));
    put("userScopes", json!(settings.user_scopes));
    let mut secrets = ConnectorSecrets::default();
    if let Some(secret) = secret {
        put("hasSecret", true.into());
        secrets.insert("/clientSecret".to_owned(), secret);
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

/// A federated credential is known everywhere only minutes after it was made; until then Entra says AADSTS70021 or
/// AADSTS700211, and asking again is all there is to do.
fn patiently(error: DriverError) -> DriverError {
    match error {
        DriverError::ClientRejected { vendor } | DriverError::Refused { vendor }
            if vendor.description.as_deref().is_some_and(|words| words.starts_with("AADSTS70021")) =>
        {
            DriverError::Later { retry_after: Some(60), in_doubt: false }
        }
        error => error,
    }
}

fn inner(at: &At<'_>) -> Result<Connector, DriverError> {
    let (settings, _) = Settings::read(at.connector.data.clone())?;
    Ok(settings.as_oauth(at.connector))
}

/// As whom the connector signs.
fn subject(connector: &Connector) -> String {
    format!("connector:{}", connector.id)
}

fn refuse_targets(resources: &[String], audience: &[String], details: &[Value]) -> Result<(), DriverError> {
    if resources.is_empty() && audience.is_empty() && details.is_empty() {
        return Ok(());
    }
    Err(DriverError::Unsupported(
        "at Entra the resource is said by the scopes, RESOURCE/.default or RESOURCE/SCOPE; resources, audiences and \
         authorization details are not known there"
            .to_owned(),
    ))
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

const LOGIN: &str = "https://login.microsoftonline.com";
const GRAPH: &str = "https://graph.microsoft.com/.default";
/// What Entra wants in `aud` of every federated credential.
const AUDIENCE: &str = "api://AzureADTokenExchange";
