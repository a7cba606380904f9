//! As whom AWS is asked: fixed credentials, or those that the platform gives out and renews.
//!
//! AWS SDKs and Tools Reference Guide, "Container credential provider" and "IMDS credential provider" (the second
//! version, with a session token); [`sts`] for a web identity. What was given out is used until five minutes before it
//! ends.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use carnet_egress::Origin;
use carnet_model::{SecretString, Time};
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use url::Url;

use super::sts;
use crate::service::{
    ConfigError, Service, ServiceError, get, origin, put, read, secret_header, unusable, url,
};

/// Where credentials come from.
#[derive(Clone)]
pub enum AwsCredentials {
    /// Fixed.
    Fixed {
        /// The access key's id.
        key_id: String,
        /// The secret access key.
        secret: Arc<SecretString>,
        /// For temporary ones.
        session_token: Option<Arc<SecretString>>,
    },
    /// From the platform of a container: ECS, EKS Pod Identity.
    Container {
        /// `AWS_CONTAINER_CREDENTIALS_FULL_URI`, or the relative one behind `http://169.254.170.2`.
        url: Url,
        /// `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`, read anew each time.
        token_file: Option<PathBuf>,
    },
    /// From the security token service, in exchange for the identity in a file: EKS roles for service accounts, or any
    /// OpenID provider that the account knows.
    WebIdentity {
        /// `AWS_ROLE_ARN`
        role: String,
        /// `AWS_ROLE_SESSION_NAME`: by what the calls are told apart in the account's own log.
        session_name: String,
        /// `AWS_WEB_IDENTITY_TOKEN_FILE`, read anew each time.
        token_file: PathBuf,
        /// Another address than `https://sts.REGION.amazonaws.com`.
        endpoint: Option<Url>,
    },
    /// From the instance's metadata service.
    Instance {
        /// `http://169.254.169.254` unless said otherwise.
        url: Url,
    },
}

impl AwsCredentials {
    /// The metadata service of an instance, where it usually is.
    pub fn instance() -> Result<Self, ConfigError> {
        Ok(Self::Instance { url: url("aws_kms.credentials", "http://169.254.169.254/")? })
    }

    pub(super) fn origin(&self, region: &str) -> Result<Option<Origin>, ConfigError> {
        match self {
            Self::Fixed { .. } => Ok(None),
            Self::WebIdentity { role, session_name, endpoint, .. } => {
                sts::check(role, session_name)?;
                let url = sts::endpoint(endpoint.as_ref(), region)?;
                origin("AWS_ENDPOINT_URL_STS", &url).map(Some)
            }
            Self::Container { url, .. } | Self::Instance { url } => {
                origin("aws_kms.credentials", url).map(Some)
            }
        }
    }
}

impl std::fmt::Debug for AwsCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fixed { .. } => "Fixed",
            Self::Container { .. } => "Container",
            Self::WebIdentity { .. } => "WebIdentity",
            Self::Instance { .. } => "Instance",
        })
    }
}

/// Credentials as they are used.
pub(super) struct Session {
    pub(super) key_id: String,
    pub(super) secret: SecretString,
    pub(super) token: Option<SecretString>,
    pub(super) ends: Time,
}

pub(super) struct Credentials {
    source: AwsCredentials,
    region: String,
    known: Mutex<Option<Arc<Session>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    access_key_id: String,
    secret_access_key: SecretString,
    token: Option<SecretString>,
    expiration: Option<String>,
}

impl Credentials {
    pub(super) fn new(source: AwsCredentials, region: &str) -> Self {
        Self { source, region: region.to_owned(), known: Mutex::new(None) }
    }

    /// The service no longer takes them.
    pub(super) fn forget(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) async fn now(&self, service: &Service) -> Result<Arc<Session>, ServiceError> {
        let now = service.env.now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known.filter(|known| now.plus(MARGIN) < known.ends) {
            return Ok(known);
        }
        let session = Arc::new(match &self.source {
            AwsCredentials::Fixed { key_id, secret, session_token } => Session {
                key_id: key_id.clone(),
                secret: secret.duplicate(),
                token: session_token.as_ref().map(|token| token.duplicate()),
                ends: Time::FAR_FUTURE,
            },
            AwsCredentials::Container { url, token_file } => {
                let mut call = get(url.clone());
                if let Some(path) = token_file {
                    let token = read_token(path)?;
                    call = call.header(http::header::AUTHORIZATION, secret_header(token.expose())?);
                }
                given(url, &service.ask(call).await?)?
            }
            AwsCredentials::WebIdentity { role, session_name, token_file, endpoint } => {
                let url = sts::endpoint(endpoint.as_ref(), &self.region)
                    .map_err(|error| ServiceError::Credentials(error.to_string()))?;
                sts::assume(service, &url, role, session_name, &read_token(token_file)?).await?
            }
            AwsCredentials::Instance { url } => instance(service, url).await?,
        });
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.clone());
        Ok(session)
    }
}

fn read_token(path: &Path) -> Result<SecretString, ServiceError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ServiceError::Credentials(format!("{}: {error}", path.display())))?;
    let text = SecretString::new(text);
    Ok(SecretString::new(text.expose().trim().to_owned()))
}

async fn instance(service: &Service, base: &Url) -> Result<Session, ServiceError> {
    let at = |path: &str| {
        base.join(path)
            .map_err(|_| ServiceError::Credentials("the metadata service has no such path".to_owned()))
    };
    let url = at("/latest/api/token")?;
    let life = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
    let answer = service.ask(put(url.clone()).header(life, HeaderValue::from_static("60"))).await?;
    let token = str::from_utf8(&answer.body).ok().filter(|_| answer.status.is_success());
    let token = token.ok_or_else(|| unusable(&url, &answer, "no session token"))?;
    let header = HeaderName::from_static("x-aws-ec2-metadata-token");
    let url = at("/latest/meta-data/iam/security-credentials/")?;
    let answer = service.ask(get(url.clone()).header(header.clone(), secret_header(token)?)).await?;
    let role = str::from_utf8(&answer.body).ok().filter(|_| answer.status.is_success());
    let role = role.and_then(|text| text.lines().next()).map(str::trim).filter(|role| !role.is_empty());
    let role = role.ok_or_else(|| unusable(&url, &answer, "no role is attached to the instance"))?;
    let url = at(&format!("/latest/meta-data/iam/security-credentials/{role}"))?;
    let answer = service.ask(get(url.clone()).header(header, secret_header(token)?)).await?;
    given(&url, &answer)
}

fn given(url: &Url, answer: &carnet_egress::Answer) -> Result<Session, ServiceError> {
    if !answer.status.is_success() {
        return Err(unusable(url, answer, "no credentials"));
    }
    let given: Given = read(url, answer)?;
    let ends = given.expiration.map(|text| text.parse::<jiff::Timestamp>()).transpose();
    let ends = ends.map_err(|_| unusable(url, answer, "credentials with an unreadable end"))?;
    Ok(Session {
        key_id: given.access_key_id,
        secret: given.secret_access_key,
        token: given.token,
        ends: ends.map_or(Time::FAR_FUTURE, |at| Time::from_millis(at.as_millisecond())),
    })
}

const MARGIN: Duration = Duration::from_mins(5);
