//! Microsoft Entra: people and the application of one directory, without a secret. The client proves itself by a federated
//! credential: a JWT that the connector's own key signs, for an issuer of the connector's own that Entra is told to trust.
//!
//! The protocol is [`Oauth`]'s, at the addresses of one directory. The directory is named by its identifier: `common` and
//! `organizations` would take people, and refresh tokens, of any. Facts are from learn.microsoft.com ("Microsoft identity
//! platform and the OAuth 2.0 client credentials flow", "Important considerations … for workload identity federation").

use std::collections::BTreeSet;
use std::time::Duration;

use carnet_egress::{Call, Purpose};
use carnet_model::connector::Connector;
use carnet_model::grant::Cause;
use carnet_model::{Scopes, SecretString};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::oauth::Oauth;
use crate::driver::ability::{Abilities, Resources};
use crate::driver::consent::{Callback, ConsentAsk, Granted, Kept, Step, Way};
use crate::driver::failure::{BadConfiguration, DriverError, Vendor};
use crate::driver::held::Held;
use crate::driver::import::Import;
use crate::driver::mint::{MintAsk, Minted, Revocation};
use crate::driver::secrets::ConnectorSecrets;
use crate::driver::signer::jwks_url;
use crate::driver::{Accepted, At, Boxed, Driver, NewConnector};
use crate::fields::Fields;
use crate::oauth::client::{Client, Form};
use crate::oauth::client_auth::Proof;
use crate::oauth::failure::Phase;
use crate::oauth::json;
use crate::oauth::probe::{self, By, Known};

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
            tokens.resources = Resources::Unknown;
            tokens.audience = false;
        }
        abilities
    }

    fn idle(&self, connector: &Connector) -> Option<Duration> {
        let (settings, _) = Settings::read(connector.data.clone()).ok()?;
        Oauth.idle(&settings.as_oauth(connector))
    }

    fn recipients(&self, _connector: &Connector) -> BTreeSet<String> {
        [LOGIN.to_owned()].into()
    }

    /// A code is redeemed for a token of one resource.
    fn asks_together(&self, scopes: &Scopes) -> bool {
        let resources: BTreeSet<&str> = scopes.iter().filter_map(resource).collect();
        resources.len() < 2 && Oauth.asks_together(scopes)
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
            let mut granted = finished.map_err(meant)?;
            granted.metadata.extend(told(at));
            Ok(granted)
        })
    }

    fn import(&self, at: &At<'_>, import: Import) -> Result<Granted, DriverError> {
        let mut granted = Oauth.import(&At { connector: &inner(at)?, ..*at }, import)?;
        granted.metadata.extend(told(at));
        Ok(granted)
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
            let mut minted = minted.map_err(meant)?;
            minted.metadata.extend(told(at));
            Ok(minted)
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
    fn read(data: Map<String, Value>) -> Result<(Self, Option<SecretString>), BadConfiguration> {
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
            // "By default 90 days", counted from when it was last used.
            "refreshTokens": {"enabled": true, "idleDays": 90},
            // By `oid` and `tid` the rest of Microsoft's APIs know a person; `sub` is for this application alone.
            "forwardedClaims": {"idToken": ["oid", "tid", "preferred_username"]},
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
    if let Some(secret) = &secret {
        is_taken(&ask, &settings, secret).await?;
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

/// Whether Entra takes the secret: by a token of the application where it has any, else by a code that is none.
async fn is_taken(
    ask: &NewConnector<'_>,
    settings: &Settings,
    secret: &SecretString,
) -> Result<(), BadConfiguration> {
    let bad = |field: &str, why: String| BadConfiguration { field: field.to_owned(), why };
    let unasked =
        |why: String| bad("clientId", format!("Entra could not be asked about the application: {why}"));
    let url = format!("{LOGIN}/{}/oauth2/v2.0/token", settings.tenant);
    let url = ask.http.check(&url, Purpose::ProviderToken).map_err(|refused| unasked(refused.to_string()))?;
    let client = Client {
        http: ask.http,
        env: ask.env,
        tenant: ask.tenant,
        id: &settings.client_id,
        proof: Proof::Post(secret),
    };
    let refused = |vendor: &Vendor| {
        // AADSTS700016: no such application in the directory. AADSTS7000215, AADSTS7000222: a wrong or old secret.
        let is_id = vendor.error == "unauthorized_client" || code_of(vendor) == Some(700_016);
        let field = if is_id { "clientId" } else { "clientSecret" };
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

/// What a failure means by its number ("Microsoft Entra authentication and authorization error codes").
///
/// A federated credential is known everywhere only minutes after it was made; until then Entra says AADSTS70021 or
/// AADSTS700211, and asking again is all there is to do. AADSTS70008 and AADSTS700082 are refresh tokens that ended by
/// themselves.
fn meant(error: DriverError) -> DriverError {
    match error {
        DriverError::ClientRejected { vendor } | DriverError::Refused { vendor }
            if matches!(code_of(&vendor), Some(70_021 | 700_211 | 700_212 | 700_213)) =>
        {
            DriverError::Later { retry_after: Some(60), in_doubt: false }
        }
        DriverError::Gone { vendor: Some(vendor), .. }
            if matches!(code_of(&vendor), Some(70_008 | 700_082)) =>
        {
            DriverError::Gone { cause: Cause::Expired, vendor: Some(vendor) }
        }
        error => error,
    }
}

/// The number in "AADSTS70021: …".
fn code_of(vendor: &Vendor) -> Option<u32> {
    let rest = vendor.description.as_deref()?.strip_prefix("AADSTS")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// In which directory a token is good.
fn told(at: &At<'_>) -> Option<(String, Value)> {
    let (settings, _) = Settings::read(at.connector.data.clone()).ok()?;
    Some(("tenantId".to_owned(), settings.tenant.into()))
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

/// Whose scope it is: Graph's, where it says no other. The standard ones are nobody's.
fn resource(scope: &str) -> Option<&str> {
    let of_graph = GRAPH.rsplit_once('/')?.0;
    match scope.rsplit_once('/') {
        Some((resource, _)) if resource.contains(':') => Some(resource),
        _ if ["openid", "profile", "email", "offline_access"].contains(&scope) => None,
        _ => Some(of_graph),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_one_resource_are_asked_for_together() {
        for (scopes, together) in [
            ("Mail.Read User.Read openid offline_access", true),
            ("Mail.Read https://graph.microsoft.com/User.Read", true),
            ("Mail.Read api://orders/Orders.Read", false),
            ("api://orders/Orders.Read api://orders/Orders.Write email", true),
            ("https://graph.microsoft.com/.default offline_access", true),
            ("https://graph.microsoft.com/.default Mail.Read", false),
        ] {
            let scopes = Scopes::parse_joined(scopes).unwrap();
            assert_eq!(Entra.asks_together(&scopes), together, "{scopes}");
        }
        let roles = |names: &str| Oauth.asks_together(&Scopes::parse_joined(names).unwrap());
        assert!(
            roles("session:role:ANALYST refresh_token") && !roles("session:role:ANALYST session:role:PUBLIC")
        );
    }
}
