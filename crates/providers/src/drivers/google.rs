//! Google, for people: Gmail, Calendar, Drive and whatever else they consent to. The application itself is a matter of
//! `google_service_account`.
//!
//! Facts are from "Using OAuth 2.0 for Web Server Applications", "Using OAuth 2.0 to Access Google APIs" and "OpenID
//! Connect" (developers.google.com, read 2026-11-30):
//! - A refresh token comes only with `access_type=offline`, and again only with `prompt=consent`.
//! - With `include_granted_scopes` a token may do what the same person gave the project at any time before, for whatever
//!   purpose. It is never sent, and nobody may send it: a token would be wider than what was asked.
//! - `email` and `profile` come back under their long names. A connector knows them by the short ones alone.
//! - A refresh token lives on when it was used. It ends after six months without use; after seven days, while the project
//!   is in the state "Testing"; when the person gives a hundred and first to the same client, without a word; and, if it
//!   may do something with mail, when the person changes the password.
//! - Ending any token of a person ends everything that the person gave the project: what the same person gave through the
//!   same client in another environment too.

use std::time::Duration;

use carnet_model::connector::Connector;
use carnet_model::{Scopes, Time};
use serde_json::{Map, Value, json};

use super::dialect::{Dialect, ReadSecret, callback, client_is_known, kept, named, taken_with_secret};
use crate::driver::consent::{ConsentAsk, Granted};
use crate::driver::failure::{BadConfiguration, DriverError};
use crate::driver::held::Held;
use crate::driver::mint::Minted;
use crate::driver::{Accepted, At, Boxed, NewConnector};
use crate::fields::Fields;
use crate::oauth::client_auth::Proof;
use crate::oauth::probe::By;

/// Google, for people.
pub(super) struct Google;

/// What is known about a client.
pub(super) struct Facts {
    client_id: String,
    user_scopes: Scopes,
    /// Whose accounts alone are taken: those of one Workspace domain.
    hosted_domain: Option<String>,
    /// Whether the project is in the state "Testing".
    testing: bool,
}

impl Dialect for Google {
    const NAME: &'static str = "Google";
    type Facts = Facts;

    fn read<S>(mut fields: Fields, secret: ReadSecret<'_, S>) -> Result<(Facts, S), BadConfiguration> {
        let client_id = fields.text("clientId")?.filter(|id| id.ends_with(CLIENTS));
        let client_id = client_id
            .ok_or_else(|| fields.bad("clientId", format!("must be the client's: NUMBER-NAME{CLIENTS}")))?;
        let secret = secret(&mut fields)?;
        let user_scopes =
            named(fields.scopes("userScopes")?).map(|scopes| short(&scopes)).ok_or_else(|| {
                fields.bad("userScopes", "is empty: name what people are asked for, like openid and email")
            })?;
        let hosted_domain = fields.text("hostedDomain")?.map(|domain| domain.to_ascii_lowercase());
        let is_domain = |domain: &String| {
            domain.contains('.')
                && domain.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
        };
        if hosted_domain.as_ref().is_some_and(|domain| !is_domain(domain)) {
            return Err(fields.bad("hostedDomain", "must be the domain of a Google Workspace: acme.example"));
        }
        let testing = fields.flag("testing")?.unwrap_or(false);
        fields.finish()?;
        Ok((Facts { client_id, user_scopes, hosted_domain, testing }, secret))
    }

    fn accept<'a>(&'a self, mut ask: NewConnector<'a>) -> Boxed<'a, Result<Accepted, BadConfiguration>> {
        Box::pin(async move {
            let (facts, secret) = taken_with_secret::<Self>(&mut ask)?;
            // A code would be refused for its redirect URI, which cannot be registered before there is a connector.
            let proof = Proof::Post(&secret);
            client_is_known(&ask, TOKEN, &facts.client_id, proof, By::Refresh, |vendor| {
                // "The OAuth client was not found.", "deleted_client"; "The provided client secret is invalid."
                let words = vendor.description.as_deref().unwrap_or_default();
                let is_id = words.contains("client was") || words.contains("client_id");
                if is_id || vendor.error == "deleted_client" { "clientId" } else { "clientSecret" }
            })
            .await?;
            Ok(Accepted { data: facts.to_data(), secrets: kept(secret), redirect_uri: Some(callback(&ask)) })
        })
    }

    fn plain(&self, facts: &Facts, _connector: &Connector) -> Map<String, Value> {
        let hosted = facts.hosted_domain.as_deref();
        let params: Map<String, Value> =
            [("access_type", Some("offline")), ("prompt", Some("consent")), ("hd", hosted)]
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
                .collect();
        let data = json!({
            "clientId": facts.client_id,
            "serverConfig": {
                "issuer": ISSUER,
                "authorization_endpoint": format!("{ISSUER}/o/oauth2/v2/auth"),
                "token_endpoint": TOKEN,
                "revocation_endpoint": "https://oauth2.googleapis.com/revoke",
                "code_challenge_methods_supported": ["S256"],
            },
            "tokenEndpointAuthMethod": "client_secret_post",
            "userAuthorization": {"enabled": true, "scopes": facts.user_scopes},
            "authorizationUrlParams": params,
            "rotation": {"class": "none"},
            "refreshTokens": {"enabled": true, "idleDays": 180},
            "forwardedClaims": {"idToken": ["email", "email_verified", "hd"]},
        });
        data.as_object().cloned().unwrap_or_default()
    }

    fn asked<'a>(&self, facts: &Facts, ask: &ConsentAsk<'a>) -> Result<ConsentAsk<'a>, DriverError> {
        let unsupported = |why: &str| Err(DriverError::Unsupported(why.to_owned()));
        let fixed = ["access_type", "include_granted_scopes", "hd", "enable_granular_consent"];
        if let Some(name) = fixed.iter().find(|name| ask.additional_params.contains_key(**name)) {
            return unsupported(&format!("the parameter {name} is set by the connector, or never sent"));
        }
        if let Some((long, short)) =
            LONG.iter().find(|(long, _)| ask.scopes.as_ref().is_some_and(|scopes| scopes.contains(long)))
        {
            return unsupported(&format!("the scope {long} is called {short} here"));
        }
        let mut ask = ask.clone();
        // Only who is asked for consent leaves a refresh token.
        ask.prompt = match ask.prompt.as_deref() {
            None | Some("consent") => None,
            Some("select_account" | "consent select_account" | "select_account consent") => {
                Some("select_account consent".to_owned())
            }
            Some(_) => {
                return unsupported(
                    "prompt at Google is consent or select_account: without consent no refresh token comes",
                );
            }
        };
        // Without it Google does not say whose domain it is.
        if facts.hosted_domain.is_some()
            && let Some(scopes) = ask.scopes.as_mut().filter(|scopes| !scopes.contains("openid"))
        {
            let names = scopes.iter().chain(["openid"]).map(str::to_owned).collect::<Vec<_>>();
            *scopes = Scopes::parse(names).unwrap_or_default();
        }
        Ok(ask)
    }

    fn granted<'a>(
        &'a self,
        at: &'a At<'_>,
        facts: &'a Facts,
        mut granted: Granted,
    ) -> Boxed<'a, Result<Granted, (Granted, DriverError)>> {
        let ends = facts.testing.then(|| at.env.now().plus(TESTING));
        rename(&mut granted.held, ends);
        granted.scopes = granted.scopes.map(|scopes| short(&scopes));
        granted.refresh_expires_at = earlier(granted.refresh_expires_at, ends);
        let claims = granted.held.claims();
        let is_theirs = facts.hosted_domain.as_deref().is_none_or(|domain| {
            claims.get("hd").and_then(Value::as_str).is_some_and(|hd| hd.eq_ignore_ascii_case(domain))
        });
        let judged = if is_theirs {
            Ok(granted)
        } else {
            Err((
                granted,
                DriverError::Stray("the account is not one of the connector's hostedDomain".to_owned()),
            ))
        };
        Box::pin(std::future::ready(judged))
    }

    fn imported(&self, _facts: &Facts, mut granted: Granted) -> Granted {
        rename(&mut granted.held, None);
        granted.scopes = granted.scopes.map(|scopes| short(&scopes));
        granted
    }

    fn minted<'a>(
        &'a self,
        _at: &'a At<'_>,
        _facts: &'a Facts,
        _held: Option<&'a Held>,
        mut minted: Minted,
    ) -> Boxed<'a, Minted> {
        minted.scopes = minted.scopes.map(|scopes| short(&scopes));
        if let Some(held) = &mut minted.held {
            rename(held, None);
        }
        Box::pin(std::future::ready(minted))
    }
}

impl Facts {
    fn to_data(&self) -> Map<String, Value> {
        let mut data = Map::new();
        data.insert("clientId".to_owned(), self.client_id.clone().into());
        data.insert("userScopes".to_owned(), json!(self.user_scopes));
        data.insert("testing".to_owned(), self.testing.into());
        if let Some(domain) = &self.hosted_domain {
            data.insert("hostedDomain".to_owned(), domain.clone().into());
        }
        data
    }
}

/// Puts the short names in what is held, and the end of its refresh token if it is sooner.
fn rename(held: &mut Held, ends: Option<Time>) {
    let Some(tokens) = held.tokens_mut() else { return };
    tokens.scopes = tokens.scopes.take().map(|scopes| short(&scopes));
    if let Some(access) = &mut tokens.access {
        access.scopes = access.scopes.take().map(|scopes| short(&scopes));
    }
    tokens.refresh_expires_at = earlier(tokens.refresh_expires_at, ends);
}

fn earlier(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn short(scopes: &Scopes) -> Scopes {
    let of =
        |name: &str| LONG.iter().find(|(long, _)| *long == name).map_or(name, |(_, short)| *short).to_owned();
    Scopes::parse(scopes.iter().map(of).collect::<Vec<_>>()).unwrap_or_default()
}

const ISSUER: &str = "https://accounts.google.com";
const TOKEN: &str = "https://oauth2.googleapis.com/token";
const CLIENTS: &str = ".apps.googleusercontent.com";
const LONG: [(&str, &str); 2] = [
    ("https://www.googleapis.com/auth/userinfo.email", "email"),
    ("https://www.googleapis.com/auth/userinfo.profile", "profile"),
];
/// "A Google Cloud Platform project with an OAuth consent screen configured for an external user type and a publishing
/// status of Testing is issued a refresh token expiring in 7 days."
const TESTING: Duration = Duration::from_hours(24 * 7);
