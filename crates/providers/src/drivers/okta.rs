//! Okta: people and the application, by the authorization server of an organization or by a custom one of it.
//!
//! Facts are from developer.okta.com ("Authorization servers", "Refresh access tokens and rotate refresh tokens", "Client
//! authentication methods", "Implement OAuth for Okta with a service app"; read 2026-11-30):
//! - The two kinds differ in issuer and in what they give: tokens for Okta's own API (`okta.…`) come from the
//!   organization's server alone, and to the application only if it proves itself by a key. The connector has one of its
//!   own; Okta reads it where `jwksUri` says.
//! - Whether a refresh token turns is set per application, and so said in `rotation`: one that turns may be sent again for
//!   up to a minute (half of one if nothing is set); after that, sending it again ends all tokens of the grant. Where
//!   nothing is said, a refresh token is sent once.
//! - A refresh token that nobody uses for seven days ends, unless the server's access policy says otherwise (`idleDays`).
//! - A spent budget is answered by 429, with the time at which it is filled again and without `Retry-After`.
//! - An application whose token has a scope but which has no administrator's role gets empty lists from the API, and not a
//!   refusal.

use carnet_egress::{Call, Purpose};
use carnet_model::connector::Connector;
use carnet_model::{Scopes, SecretString};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::dialect::{Dialect, ReadSecret, callback, client_is_known, kept, taken};
use crate::driver::consent::Granted;
use crate::driver::failure::{BadConfiguration, DriverError};
use crate::driver::held::Held;
use crate::driver::mint::Minted;
use crate::driver::secrets::ConnectorSecrets;
use crate::driver::signer::jwks_url;
use crate::driver::{Accepted, At, Boxed, NewConnector};
use crate::fields::Fields;
use crate::oauth::client_auth::Proof;
use crate::oauth::json;
use crate::oauth::probe::By;

/// Okta.
pub(super) struct Okta;

/// What is known about a client.
pub(super) struct Facts {
    domain: String,
    /// The custom server, by its identifier; `None` for the organization's own.
    server: Option<String>,
    client_id: String,
    user_scopes: Scopes,
    app_scopes: Scopes,
    /// Where Okta finds the connector's key; `None` where there is a secret.
    jwks_uri: Option<String>,
    rotation: Option<Value>,
    idle_days: u64,
    /// With what event hooks prove themselves. Only new data has it.
    webhook_secret: Option<SecretString>,
}

impl Dialect for Okta {
    const NAME: &'static str = "Okta";
    type Facts = Facts;

    fn read<S>(mut fields: Fields, secret: ReadSecret<'_, S>) -> Result<(Facts, S), BadConfiguration> {
        let domain =
            fields.text("domain")?.ok_or_else(|| fields.bad("domain", "is missing: acme.okta.com"))?;
        let domain = domain.to_ascii_lowercase();
        if !is_host(&domain) {
            return Err(fields.bad("domain", "must be the organization's host alone, like acme.okta.com"));
        }
        let is_console = |host: &str| host.split('.').next().is_some_and(|label| label.ends_with("-admin"));
        if OKTAS.iter().any(|okta| domain.ends_with(okta)) && is_console(&domain) {
            return Err(fields.bad("domain", "is the address of the admin console: leave -admin out"));
        }
        let server = fields.text("authorizationServer")?;
        let is_id = |id: &String| {
            id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        if server.as_ref().is_some_and(|id| !is_id(id) || id == "v1") {
            return Err(fields.bad(
                "authorizationServer",
                "must be the identifier of a custom authorization server, like default; left out, it is the organization's own",
            ));
        }
        let client_id = fields.text("clientId")?.ok_or_else(|| fields.bad("clientId", "is missing"))?;
        let secret = secret(&mut fields)?;
        let user_scopes = fields.scopes("userScopes")?.unwrap_or_default();
        let app_scopes = fields.scopes("appScopes")?.unwrap_or_default();
        if user_scopes.is_empty() && app_scopes.is_empty() {
            return Err(fields.bad("userScopes", "is empty, and appScopes too: no token can be had"));
        }
        for (field, scopes) in [("userScopes", &user_scopes), ("appScopes", &app_scopes)] {
            if scopes.joined(" ").len() > LONGEST_SCOPE {
                return Err(fields.bad(
                    field,
                    format!("is longer than the {LONGEST_SCOPE} characters that Okta takes; name fewer"),
                ));
            }
        }
        let ceremonial = ["openid", "profile", "email", "address", "phone", "offline_access", "groups"];
        if let Some(name) = app_scopes.iter().find(|name| ceremonial.contains(name)) {
            return Err(fields.bad("appScopes", format!("cannot hold {name}, which is about a person")));
        }
        match &server {
            None => {
                if let Some(other) = app_scopes.iter().find(|name| !name.starts_with("okta.")) {
                    return Err(fields.bad(
                        "appScopes",
                        format!("cannot hold {other}: the organization's own server gives okta.… alone; name an authorizationServer"),
                    ));
                }
            }
            Some(_) => {
                for (field, scopes) in [("appScopes", &app_scopes), ("userScopes", &user_scopes)] {
                    if let Some(own) = scopes.iter().find(|name| name.starts_with("okta.")) {
                        return Err(fields.bad(
                            field,
                            format!("cannot hold {own}: the organization's own server alone gives it; leave authorizationServer out"),
                        ));
                    }
                }
            }
        }
        let idle_days = match fields.number("idleDays")? {
            None => IDLE_DAYS,
            Some(days @ 1..=3650) => days,
            Some(_) => return Err(fields.bad("idleDays", "must be 1 to 3650 days")),
        };
        let rotation = match fields.object("rotation")? {
            None => None,
            Some(mut inner) => {
                let class = inner.text("class")?;
                let seconds = inner.number("seconds")?;
                inner.finish()?;
                Some(match (class.as_deref(), seconds) {
                    (Some("none"), None) => json!({"class": "none"}),
                    (Some("strict"), None) | (Some("grace"), Some(0)) => json!({"class": "strict"}),
                    (Some("grace"), seconds @ (None | Some(1..=60))) => {
                        json!({"class": "grace", "seconds": seconds.unwrap_or(GRACE)})
                    }
                    _ => {
                        let forms = r#"must be {"class":"none"} for persistent tokens, {"class":"grace","seconds":…} of 0 to 60 or {"class":"strict"} for rotating ones"#;
                        return Err(fields.bad("rotation", forms));
                    }
                })
            }
        };
        let jwks_uri = fields.text("jwksUri")?;
        let webhook_secret = fields.secret("webhookSecret")?;
        fields.finish()?;
        let facts = Facts {
            domain,
            server,
            client_id,
            user_scopes,
            app_scopes,
            jwks_uri,
            rotation,
            idle_days,
            webhook_secret,
        };
        Ok((facts, secret))
    }

    fn accept<'a>(&'a self, mut ask: NewConnector<'a>) -> Boxed<'a, Result<Accepted, BadConfiguration>> {
        Box::pin(async move {
            let (mut facts, secret) = taken::<Self>(&mut ask)?;
            if facts.server.is_none() && !facts.app_scopes.is_empty() && secret.is_some() {
                return Err(bad(
                    "clientSecret",
                    "gives the application no tokens at the organization's own server: leave it out, and give the \
                     application the key at jwksUri",
                ));
            }
            is_there(&ask, &facts).await?;
            facts.jwks_uri = secret.is_none().then(|| jwks_url(ask.callback_base, ask.connector));
            let redirect_uri = callback(&ask);
            if let Some(secret) = &secret {
                let endpoint = facts.at("token");
                let by = By::Code(&redirect_uri);
                client_is_known(&ask, &endpoint, &facts.client_id, Proof::Basic(secret), by, |vendor| {
                    // "Invalid value for 'client_id' parameter."; "The client secret supplied for a confidential client
                    // is invalid."
                    let words = vendor.description.as_deref().unwrap_or_default();
                    if words.contains("client_id") { "clientId" } else { "clientSecret" }
                })
                .await?;
            }
            let mut secrets = secret.map_or_else(ConnectorSecrets::default, kept);
            if let Some(secret) = facts.webhook_secret.take() {
                secrets.insert("/webhookSecret".to_owned(), secret);
            }
            Ok(Accepted {
                data: facts.to_data(),
                secrets,
                redirect_uri: (!facts.user_scopes.is_empty()).then_some(redirect_uri),
            })
        })
    }

    fn plain(&self, facts: &Facts, _connector: &Connector) -> Map<String, Value> {
        let mut data = json!({
            "clientId": facts.client_id,
            "serverConfig": {
                "issuer": facts.issuer(),
                "authorization_endpoint": facts.at("authorize"),
                "token_endpoint": facts.at("token"),
                "revocation_endpoint": facts.at("revoke"),
                "code_challenge_methods_supported": ["S256"],
            },
            "tokenEndpointAuthMethod": "client_secret_basic",
            "userAuthorization": {"enabled": !facts.user_scopes.is_empty(), "scopes": facts.user_scopes},
            "clientCredentials": {"enabled": !facts.app_scopes.is_empty(), "scopes": facts.app_scopes},
            "rotation": facts.rotation.clone().unwrap_or_else(|| json!({"class": "strict"})),
            "refreshTokens": {"enabled": true, "idleDays": facts.idle_days},
        });
        if let (Some(_), Some(data)) = (&facts.jwks_uri, data.as_object_mut()) {
            data.insert("tokenEndpointAuthMethod".to_owned(), "private_key_jwt".into());
            // "aud": the full URL of the endpoint, and not the issuer ("Client authentication methods").
            data.insert("clientAssertion".to_owned(), json!({"claims": {"aud": facts.at("token")}}));
        }
        data.as_object().cloned().unwrap_or_default()
    }

    /// A refresh may ask for less than was granted ("Request a refresh token": `scope`).
    fn narrows(&self) -> bool {
        true
    }

    fn granted<'a>(
        &'a self,
        _at: &'a At<'_>,
        facts: &'a Facts,
        mut granted: Granted,
    ) -> Boxed<'a, Result<Granted, (Granted, DriverError)>> {
        granted.metadata.extend(facts.told());
        Box::pin(std::future::ready(Ok(granted)))
    }

    fn imported(&self, facts: &Facts, mut granted: Granted) -> Granted {
        granted.metadata.extend(facts.told());
        granted
    }

    fn minted<'a>(
        &'a self,
        _at: &'a At<'_>,
        facts: &'a Facts,
        _held: Option<&'a Held>,
        mut minted: Minted,
    ) -> Boxed<'a, Minted> {
        minted.metadata.extend(facts.told());
        Box::pin(std::future::ready(minted))
    }
}

impl Facts {
    fn issuer(&self) -> String {
        match &self.server {
            None => format!("https://{}", self.domain),
            Some(server) => format!("https://{}/oauth2/{server}", self.domain),
        }
    }

    fn at(&self, endpoint: &str) -> String {
        match &self.server {
            None => format!("https://{}/oauth2/v1/{endpoint}", self.domain),
            Some(server) => format!("https://{}/oauth2/{server}/v1/{endpoint}", self.domain),
        }
    }

    /// Where a token is good.
    fn told(&self) -> [(String, Value); 2] {
        [("domain".to_owned(), self.domain.clone().into()), ("issuer".to_owned(), self.issuer().into())]
    }

    fn to_data(&self) -> Map<String, Value> {
        let mut data = Map::new();
        let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
        put("domain", self.domain.clone().into());
        put("clientId", self.client_id.clone().into());
        put("userScopes", json!(self.user_scopes));
        put("appScopes", json!(self.app_scopes));
        put("idleDays", self.idle_days.into());
        if let Some(server) = &self.server {
            put("authorizationServer", server.clone().into());
        }
        if let Some(rotation) = &self.rotation {
            put("rotation", rotation.clone());
        }
        if let Some(uri) = &self.jwks_uri {
            put("jwksUri", uri.clone().into());
        }
        data
    }
}

/// Whether there is such a server, and whether it calls itself so: it publishes how to sign in there.
async fn is_there(ask: &NewConnector<'_>, facts: &Facts) -> Result<(), BadConfiguration> {
    let issuer = facts.issuer();
    match issuer_at(ask, &issuer).await? {
        Some(said) if said == issuer || ask.http.name_elsewhere(&issuer).is_some_and(|name| name == said) => {
            Ok(())
        }
        Some(said) => {
            let shown: String = said.chars().filter(|c| !c.is_control()).take(200).collect();
            Err(bad("domain", &format!("belongs to a server that calls itself {shown}; use the host in it")))
        }
        None if facts.server.is_none() => Err(bad("domain", "is no organization that Okta knows")),
        None => match issuer_at(ask, &format!("https://{}", facts.domain)).await? {
            Some(_) => Err(bad("authorizationServer", "is no authorization server of this organization")),
            None => Err(bad("domain", "is no organization that Okta knows")),
        },
    }
}

/// What a server says that it is; `None` where there is none.
async fn issuer_at(ask: &NewConnector<'_>, issuer: &str) -> Result<Option<String>, BadConfiguration> {
    let unasked = |why: &str| bad("domain", &format!("could not be asked: {why}"));
    let url = format!("{issuer}/.well-known/openid-configuration");
    let url = ask.http.check(&url, Purpose::Discovery).map_err(|refused| unasked(&refused.to_string()))?;
    let answer = ask.http.send(Call::get(url, Purpose::Discovery, ask.tenant)).await;
    let answer = answer.map_err(|error| unasked(&error.to_string()))?;
    let said = json::object(&answer.body).and_then(|said| said.get("issuer")?.as_str().map(str::to_owned));
    match answer.status {
        StatusCode::OK if said.is_some() => Ok(said),
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(None),
        status if status.is_success() => Ok(None),
        status => Err(unasked(&format!("status {}", status.as_u16()))),
    }
}

fn is_host(text: &str) -> bool {
    let sound = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').count() >= 2 && text.split('.').all(sound)
        // An address of four numbers is no name.
        && !text.split('.').next_back().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()))
}

fn bad(field: &str, why: &str) -> BadConfiguration {
    BadConfiguration { field: field.to_owned(), why: why.to_owned() }
}

const OKTAS: [&str; 4] = [".okta.com", ".oktapreview.com", ".okta-emea.com", ".okta-gov.com"];
/// In days; what an access policy says where nobody changed it.
const IDLE_DAYS: u64 = 7;
/// Of `scope`, in characters ("Refresh access tokens and rotate refresh tokens").
const LONGEST_SCOPE: usize = 1024;
/// In seconds; what an application's grace period is where nobody changed it.
const GRACE: u64 = 30;
