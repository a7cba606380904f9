//! Calls to a service, and what its answers mean for a root key.

use std::time::Duration;

use carnet_egress::{Answer, Call, Egress, EgressError, Limits, Origin, Policy, Purpose, SetupError};
use carnet_model::{Env, Id, kind};
use carnet_vault::RootKeyError;
use http::HeaderValue;
use serde::de::DeserializeOwned;
use url::Url;

/// Why a provider cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A part of the configuration cannot be.
    #[error("{field}: {why}")]
    Field {
        /// Which.
        field: &'static str,
        /// Why not.
        why: String,
    },
    /// The client cannot be made.
    #[error(transparent)]
    Client(#[from] SetupError),
}

/// Why a service gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// It was not reached, or broke off.
    #[error("{host} was not reached: {source}")]
    Unreached {
        /// Which.
        host: String,
        /// Why not.
        source: EgressError,
    },
    /// It answered something else than its reference says.
    #[error("{host} answered with status {status} and nothing that can be used ({what})")]
    Answer {
        /// Which.
        host: String,
        /// The status.
        status: u16,
        /// What kind of failure the service names, or what was looked for.
        what: String,
    },
    /// There are no credentials for it.
    #[error("there are no credentials for the key service: {0}")]
    Credentials(String),
}

impl From<ServiceError> for RootKeyError {
    fn from(error: ServiceError) -> Self {
        tracing::warn!(%error, "the key service gave no usable answer");
        Self::Unavailable(Box::new(error))
    }
}

/// A client that goes to the given origins and nowhere else.
#[derive(Clone)]
pub(crate) struct Service {
    egress: Egress,
    pub(crate) env: Env,
}

impl Service {
    pub(crate) fn new(
        env: Env,
        origins: Vec<Origin>,
        roots_pem: Option<Vec<u8>>,
    ) -> Result<Self, ConfigError> {
        let policy = Policy { key_services: origins, extra_roots_pem: roots_pem, ..Policy::default() };
        Ok(Self { egress: Egress::new(policy)?, env })
    }

    /// Asks once, and once more if nothing came back: wrapping and unwrapping change nothing at the service.
    pub(crate) async fn ask(&self, call: Call) -> Result<Answer, ServiceError> {
        let host = call.url.host_str().unwrap_or_default().to_owned();
        let call = call.limits(LIMITS);
        let again = call.clone();
        let first = self.egress.send(call).await;
        let answer = match first {
            Ok(answer) if answer.status.is_server_error() => {
                tokio::time::sleep(PAUSE).await;
                self.egress.send(again).await
            }
            Err(error) if !matches!(error, EgressError::Refused(_)) => {
                tokio::time::sleep(PAUSE).await;
                self.egress.send(again).await
            }
            other => other,
        };
        answer.map_err(|source| ServiceError::Unreached { host, source })
    }
}

/// A call of a key service. It belongs to no team.
pub(crate) fn post(url: Url, json: &serde_json::Value) -> Call {
    let body = serde_json::to_vec(json).unwrap_or_default();
    Call::post_json(url, body, Purpose::KeyService, NOBODY)
}

pub(crate) fn get(url: Url) -> Call {
    Call::get(url, Purpose::KeyService, NOBODY)
}

pub(crate) fn put(url: Url) -> Call {
    Call::new(http::Method::PUT, url, Purpose::KeyService, NOBODY)
}

pub(crate) fn form(url: Url, form: String) -> Call {
    Call::post_form(url, form.into(), Purpose::KeyService, NOBODY)
}

/// The answer as what the reference says it is.
pub(crate) fn read<T: DeserializeOwned>(url: &Url, answer: &Answer) -> Result<T, ServiceError> {
    serde_json::from_slice(&answer.body).map_err(|_| unusable(url, answer, "not the JSON of its reference"))
}

pub(crate) fn unusable(url: &Url, answer: &Answer, what: &str) -> ServiceError {
    ServiceError::Answer {
        host: url.host_str().unwrap_or_default().to_owned(),
        status: answer.status.as_u16(),
        what: word(what),
    }
}

/// A secret as a header.
pub(crate) fn secret_header(text: &str) -> Result<HeaderValue, ServiceError> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| ServiceError::Credentials("they hold a character that no header can".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A service's word for a failure, cut and cleaned.
pub(crate) fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(120).collect()
}

/// The origin of a URL that the operator wrote down.
pub(crate) fn origin(field: &'static str, url: &Url) -> Result<Origin, ConfigError> {
    let origin = url.origin().ascii_serialization();
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    match origin.parse() {
        Ok(origin) if plain && url.fragment().is_none() => Ok(origin),
        _ => Err(ConfigError::Field {
            field,
            why: format!("{url} is not an http or https address without query"),
        }),
    }
}

pub(crate) fn url(field: &'static str, text: &str) -> Result<Url, ConfigError> {
    Url::parse(text).map_err(|error| ConfigError::Field { field, why: format!("{text:?}: {error}") })
}

/// Below what a start, or a look while running, may take.
const LIMITS: Limits =
    Limits { total: Duration::from_secs(5), connect: Duration::from_secs(3), body: 64 * 1024 };
const PAUSE: Duration = Duration::from_millis(200);
/// No team's connections are shared with these.
const NOBODY: Id<kind::Team> = Id::from_bytes([0; 16]);
