//! What a test needs around a driver: a scripted server, guarded HTTP, a clock that stands still, a connector.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use carnet_egress::{Egress, Policy};
use carnet_model::caller::Principal;
use carnet_model::connector::{Branding, Connector, ConnectorType};
use carnet_model::{Clock, Env, Id, OsRandom, Scopes, SecretString, Time, Uid, kind};
use carnet_providers::{
    Accepted, At, BadConfiguration, Callback, ConnectorSecrets, ConsentAsk, Driver, DriverError, Granted,
    Held, Kept, MintAsk, Minted, NewConnector, NotAccepted, Step, driver,
};
use serde_json::{Map, Value, json};
use url::Url;

use crate::key::Key;
use crate::server::{Reply, Server};

/// 2027-01-15T08:00:00Z, and it stays so.
pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const CONNECTOR: Id<kind::Connector> = Id::from_bytes([7; 16]);
pub(crate) const BASE: &str = "https://carnet.example";
/// Its picture.
pub(crate) const ICON: &str = "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12";
pub(crate) const DOCUMENT: &str = "https://carnet.example/clients/team/connector";
pub(crate) const STATE: &str = "state-of-the-engine";

struct StandingClock(i64);

impl Clock for StandingClock {
    fn now(&self) -> Time {
        Time::from_secs(self.0)
    }
}

/// A clock that stands at this second.
pub(crate) fn standing_at(seconds: i64) -> Env {
    Env::new(Arc::new(StandingClock(seconds)), Arc::new(OsRandom))
}

pub(crate) struct Bench {
    /// Whether a test wants to see how the client of an `oauth` connector is tried; the others are about something else.
    pub sees_trials: bool,
    pub server: Server,
    pub http: Egress,
    pub env: Env,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            sees_trials: false,
            server: Server::start(),
            http: Egress::new(Policy { loopback: true, ..Policy::default() }).unwrap(),
            env: standing_at(NOW),
        }
    }

    /// The same server in the place of these origins.
    pub(crate) fn instead_of(origins: &[&str]) -> Self {
        let bench = Self::new();
        let here: carnet_egress::Place = bench.server.origin.parse().unwrap();
        let origins = origins.iter().map(|origin| (origin.parse().unwrap(), here.clone())).collect();
        let http = Egress::new(Policy { loopback: true, origins, ..Policy::default() }).unwrap();
        Self { http, ..bench }
    }

    pub(crate) async fn accept(
        &self,
        kind: ConnectorType,
        data: Value,
    ) -> Result<Accepted, BadConfiguration> {
        self.accept_for("acme", kind, data).await
    }

    pub(crate) async fn accept_for(
        &self,
        service: &str,
        kind: ConnectorType,
        data: Value,
    ) -> Result<Accepted, BadConfiguration> {
        let Value::Object(data) = data else { panic!("data is an object") };
        let accepted = driver(kind)
            .accept(NewConnector {
                service: service.split_once("://").map_or(service, |(_, rest)| rest),
                address: service.contains("://").then_some(service),
                name: "Acme",
                data,
                http: &self.http,
                env: &self.env,
                tenant: Id::from_bytes([1; 16]),
                callback_base: BASE,
                connector: CONNECTOR,
                icon: Some(ICON),
                client_document: DOCUMENT,
                events: None,
                known: None,
            })
            .await;
        if kind == ConnectorType::Oauth && !self.sees_trials {
            self.server.forget_trials();
        }
        accepted.map_err(|refused| match refused {
            NotAccepted::Bad(bad) => bad,
            // No field is at fault.
            NotAccepted::Later { why, retry_after } => {
                BadConfiguration { field: format!("later: {retry_after:?}"), why }
            }
        })
    }

    /// A connector of this configuration, as the engine would store it and read it back.
    pub(crate) async fn connector(&self, kind: ConnectorType, data: Value) -> Made<'_> {
        let accepted = self.accept(kind, data).await.unwrap();
        Made::new(self, kind, accepted)
    }

    /// An `oauth` connector to a server described by hand.
    pub(crate) async fn oauth(&self, more: Value) -> Made<'_> {
        // What is scripted is for what the connector does, and not for whether its client is known.
        let script = self.server.hold();
        let made = self.connector(ConnectorType::Oauth, self.oauth_data(more)).await;
        self.server.release(script);
        made
    }

    /// The `data` of such a connector; `more` goes on top of it, member by member, and into `serverConfig`.
    pub(crate) fn oauth_data(&self, more: Value) -> Value {
        let origin = &self.server.origin;
        let mut data = json!({
            "clientId": "client",
            "clientSecret": "s3cret",
            "serverConfig": {
                "issuer": origin,
                "authorization_endpoint": format!("{origin}/authorize"),
                "token_endpoint": format!("{origin}/token"),
                "revocation_endpoint": format!("{origin}/revoke"),
            },
            "userAuthorization": {"enabled": true, "scopes": ["read"]},
            "clientCredentials": {"enabled": true, "scopes": ["read"]},
        });
        let Value::Object(more) = more else { panic!("more is an object") };
        for (name, value) in more {
            match (name.as_str(), value) {
                ("serverConfig", Value::Object(inner)) => {
                    data["serverConfig"].as_object_mut().unwrap().extend(inner);
                }
                (_, value) => data[name] = value,
            }
        }
        data
    }
}

/// A connector with its secrets.
pub(crate) struct Made<'b> {
    pub bench: &'b Bench,
    pub driver: &'static dyn Driver,
    pub connector: Connector,
    pub secrets: ConnectorSecrets,
    pub redirect_uri: String,
    pub key: Key,
}

impl<'b> Made<'b> {
    pub(crate) fn new(bench: &'b Bench, kind: ConnectorType, accepted: Accepted) -> Self {
        let by = Principal::System;
        let now = bench.env.now();
        let connector = Connector {
            id: CONNECTOR,
            team: Id::from_bytes([1; 16]),
            uid: Uid::parse("acme/x").unwrap(),
            service: "acme".to_owned(),
            r#type: kind,
            name: "Acme".to_owned(),
            data: accepted.data,
            branding: Branding { icon: Some(ICON.to_owned()), ..Branding::default() },
            default_installation: None,
            redirect_uri: accepted.redirect_uri.clone(),
            created_at: now,
            updated_at: now,
            created_by: by,
            updated_by: by,
            version: 1,
            managed: false,
        };
        let secrets = ConnectorSecrets::from_json(accepted.secrets.to_json().expose()).unwrap();
        let redirect_uri = accepted.redirect_uri.unwrap_or_default();
        Self { bench, driver: driver(kind), connector, secrets, redirect_uri, key: Key::generate() }
    }

    pub(crate) fn at(&self) -> At<'_> {
        At {
            connector: &self.connector,
            secrets: &self.secrets,
            redirect_uri: &self.redirect_uri,
            http: &self.bench.http,
            env: &self.bench.env,
            signer: Some(&self.key),
        }
    }

    pub(crate) async fn begin(
        &self,
        change: impl FnOnce(&mut ConsentAsk<'_>),
    ) -> Result<(Url, Kept), DriverError> {
        let state = SecretString::new(STATE.to_owned());
        let mut ask = ConsentAsk::new(&state);
        change(&mut ask);
        match self.driver.begin(&self.at(), &ask).await? {
            Step::Redirect { url, kept } => Ok((url, Kept::from_json(kept.to_json().expose()).unwrap())),
            step => panic!("not what was asked for: {step:?}"),
        }
    }

    pub(crate) async fn finish(&self, query: &str, kept: &Kept) -> Result<Granted, DriverError> {
        let params = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        self.driver.finish(&self.at(), &Callback::Redirected { params }, kept).await
    }

    pub(crate) async fn refresh(&self, held: &Held, scopes: &str) -> Result<Minted, DriverError> {
        let (resources, audience, details) = Default::default();
        let ask = MintAsk::Refresh { scopes: scopes_of(scopes), resources, audience, details };
        self.driver.mint(&self.at(), Some(held), &ask).await
    }

    pub(crate) async fn app(&self, scopes: &str) -> Result<Minted, DriverError> {
        let (resources, audience, details) = Default::default();
        let ask =
            MintAsk::App { scopes: scopes_of(scopes), resources, audience, details, installation: None };
        self.driver.mint(&self.at(), None, &ask).await
    }

    /// A grant with an access token `at0` and a refresh token `rt0`, for the scopes `read write`.
    pub(crate) async fn granted(&self) -> Held {
        let token = json!({"access_token": "at0", "token_type": "Bearer", "expires_in": 3600,
            "refresh_token": "rt0", "scope": "read write"});
        self.bench.server.on("/token", Reply::json(200, token));
        let (_, kept) = self.begin(|ask| ask.scopes = scopes_of("read write")).await.unwrap();
        let held = self.finish("code=c", &kept).await.unwrap().held;
        self.bench.server.forget("/token");
        self.bench.server.seen();
        Held::from_json(held.to_json().expose()).unwrap()
    }
}

pub(crate) fn scopes_of(text: &str) -> Option<Scopes> {
    (!text.is_empty()).then(|| Scopes::parse_joined(text).unwrap())
}

/// A sound metadata document of an issuer.
pub(crate) fn metadata(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "code_challenge_methods_supported": ["S256"],
    })
}

/// An ID token that nobody signed.
pub(crate) fn id_token(claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(&json!({"alg": "RS256", "kid": "k"})), part(claims))
}

/// The query of a URL, in order.
pub(crate) fn query(url: &Url) -> Vec<(String, String)> {
    url.query_pairs().into_owned().collect()
}

/// One member of it.
pub(crate) fn param(url: &Url, name: &str) -> Option<String> {
    query(url).into_iter().find(|(found, _)| found == name).map(|(_, value)| value)
}

/// An outcome in a line, for tables.
pub(crate) fn outcome<T>(result: &Result<T, DriverError>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(DriverError::Gone { cause, .. }) => format!("gone {}", cause.as_str()),
        Err(DriverError::ClientRejected { vendor }) => {
            format!("client rejected {}", vendor.error).trim_end().to_owned()
        }
        Err(DriverError::Later { retry_after, in_doubt }) => {
            let wait = retry_after.map(|seconds| format!(" {seconds}s")).unwrap_or_default();
            format!("later{wait}{}", if *in_doubt { " in doubt" } else { "" })
        }
        Err(DriverError::Lost) => "later in doubt".to_owned(),
        Err(DriverError::Garbage { in_doubt, .. }) => {
            format!("garbage{}", if *in_doubt { " in doubt" } else { "" })
        }
        Err(DriverError::Refused { vendor }) => format!("refused {}", vendor.error),
        Err(DriverError::Denied) => "denied".to_owned(),
        Err(DriverError::Pending { slower }) => format!("pending{}", if *slower { " slower" } else { "" }),
        Err(DriverError::Stray(why)) => format!("stray {why}"),
        Err(DriverError::SecretEnded { .. }) => "secret ended".to_owned(),
        Err(DriverError::NotInstalled { .. }) => "not installed".to_owned(),
        Err(DriverError::Callback(fault)) => {
            format!("callback {fault:?}").split(" {").next().unwrap().to_owned()
        }
        Err(DriverError::Unsupported(_)) => "unsupported".to_owned(),
        Err(DriverError::Forbidden(_)) => "forbidden".to_owned(),
        Err(DriverError::Misconfigured(field, _)) => format!("misconfigured {field}"),
    }
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    let Value::Object(members) = value else { panic!("not an object") };
    members
}
