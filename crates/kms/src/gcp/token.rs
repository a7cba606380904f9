//! Access tokens of Google Cloud: from the metadata server, or for a service account's key.
//!
//! Compute Engine documentation, "Authenticate workloads using service accounts" (metadata server), and "Using OAuth 2.0
//! for Server to Server Applications" (RFC 7523). A token is used until five minutes before it ends.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use carnet_egress::Origin;
use carnet_model::{Secret, SecretString, Time};
use carnet_vault::{Location, read_secret_file};
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::service::{ConfigError, Service, ServiceError, form, get, origin, read, unusable, url};

/// As whom Google is asked.
#[derive(Clone, Debug)]
pub enum GcpCredentials {
    /// As the machine's service account, by its metadata server.
    Metadata {
        /// `http://metadata.google.internal` unless said otherwise.
        url: Url,
    },
    /// As the service account of a key file.
    KeyFile(PathBuf),
}

impl GcpCredentials {
    /// The metadata server, where it usually is.
    pub fn metadata() -> Result<Self, ConfigError> {
        Ok(Self::Metadata { url: url("gcp_kms.credentials", "http://metadata.google.internal/")? })
    }
}

/// A key file, as the console gives it out.
#[derive(Deserialize)]
struct Account {
    client_email: String,
    private_key: SecretString,
    #[serde(default)]
    private_key_id: String,
    token_uri: String,
}

enum Source {
    Metadata(Url),
    Account { email: String, kid: String, token_uri: Url, key: KeyPair },
}

pub(super) struct Tokens {
    source: Source,
    known: Mutex<Option<(Arc<SecretString>, Time)>>,
}

#[derive(Deserialize)]
struct Given {
    access_token: SecretString,
    expires_in: u64,
}

impl Tokens {
    pub(super) fn new(credentials: GcpCredentials) -> Result<Self, ConfigError> {
        let source = match credentials {
            GcpCredentials::Metadata { url } => Source::Metadata(url),
            GcpCredentials::KeyFile(path) => {
                let shown = path.display().to_string();
                let wrong = |why: &str| ConfigError::Field {
                    field: "gcp_kms.credentials_file",
                    why: format!("{shown} {why}"),
                };
                let text = read_secret_file(&path, Location::Anywhere).map_err(|error| {
                    ConfigError::Field { field: "gcp_kms.credentials_file", why: error.to_string() }
                })?;
                let account: Account = serde_json::from_str(text.expose())
                    .map_err(|_| wrong("is not the key of a service account"))?;
                let der = pkcs8(account.private_key.expose())
                    .ok_or_else(|| wrong("holds no private key in PEM"))?;
                let key = KeyPair::from_pkcs8(der.expose())
                    .map_err(|_| wrong("holds a private key that is not RSA of 2048 to 8192 bits"))?;
                let (email, kid) = (account.client_email, account.private_key_id);
                let token_uri = url("gcp_kms.credentials_file", &account.token_uri)?;
                Source::Account { email, kid, token_uri, key }
            }
        };
        Ok(Self { source, known: Mutex::new(None) })
    }

    pub(super) fn origin(&self) -> Result<Origin, ConfigError> {
        match &self.source {
            Source::Metadata(url) => origin("gcp_kms.credentials", url),
            Source::Account { token_uri, .. } => origin("gcp_kms.credentials_file", token_uri),
        }
    }

    pub(super) fn forget(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) async fn now(&self, service: &Service) -> Result<Arc<SecretString>, ServiceError> {
        let now = service.env.now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((token, _)) = known.filter(|(_, ends)| now.plus(MARGIN) < *ends) {
            return Ok(token);
        }
        let (url, call) = match &self.source {
            Source::Metadata(base) => {
                let url = base.join("/computeMetadata/v1/instance/service-accounts/default/token").map_err(
                    |_| ServiceError::Credentials("the metadata server has no such path".to_owned()),
                )?;
                let flavor = HeaderName::from_static("metadata-flavor");
                (url.clone(), get(url).header(flavor, HeaderValue::from_static("Google")))
            }
            Source::Account { email, kid, token_uri, key } => {
                let assertion = assertion(email, kid, token_uri, key, now)?;
                let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
                let body = format!("grant_type={grant}&assertion={assertion}");
                (token_uri.clone(), form(token_uri.clone(), body))
            }
        };
        let answer = service.ask(call).await?;
        if !answer.status.is_success() {
            return Err(unusable(&url, &answer, "no access token"));
        }
        let given: Given = read(&url, &answer)?;
        let token = Arc::new(given.access_token);
        let ends = now.plus(Duration::from_secs(given.expires_in));
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((token.clone(), ends));
        Ok(token)
    }
}

fn assertion(
    email: &str,
    kid: &str,
    token_uri: &Url,
    key: &KeyPair,
    now: Time,
) -> Result<String, ServiceError> {
    let seconds = now.millis() / 1000;
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": kid});
    let claims = json!({
        "iss": email,
        "scope": "https://www.googleapis.com/auth/cloudkms",
        "aud": token_uri.as_str(),
        "iat": seconds,
        "exp": seconds + 3600,
    });
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| ServiceError::Credentials("the service account's key does not sign".to_owned()))?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The bytes of the first PKCS#8 key in PEM (RFC 7468 §10).
fn pkcs8(pem: &str) -> Option<Secret<Vec<u8>>> {
    let (_, rest) = pem.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (body, _) = rest.split_once("-----END PRIVATE KEY-----")?;
    let body = Secret::new(body.split_ascii_whitespace().collect::<String>());
    STANDARD.decode(body.expose()).ok().map(Secret::new)
}

const MARGIN: Duration = Duration::from_mins(5);
