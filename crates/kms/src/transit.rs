//! The transit engine of HashiCorp Vault and OpenBao, with associated data.
//!
//! Vault documentation, "Transit secrets engine (API)", `encrypt` and `decrypt`; "JWT/OIDC auth method (API)" and
//! "Kubernetes auth method (API)", `login`. OpenBao speaks the same. The key must be of a type that takes associated
//! data (`aes256-gcm96`, `chacha20-poly1305`). A rotated key decrypts what its older versions encrypted, unless its
//! `min_decryption_version` forbids it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carnet_egress::Answer;
use carnet_model::{Env, Secret, SecretString, Time};
use carnet_vault::{Boxed, KeyBytes, Location, RootKey, RootKeyError, RootVersion, read_secret_file};
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::bound;
use crate::service::{
    ConfigError, Service, ServiceError, origin, post, read, secret_header, unusable, url, word,
};

/// Which key, where, and as whom.
#[derive(Clone, Debug)]
pub struct TransitConfig {
    /// The server: `https://vault.internal:8200`.
    pub address: Url,
    /// Where the engine is mounted; `transit` usually.
    pub mount: String,
    /// The name of the key.
    pub key: String,
    /// The namespace, where there are some.
    pub namespace: Option<String>,
    /// As whom.
    pub auth: TransitAuth,
    /// Certificate authorities besides the machine's, in PEM.
    pub roots_pem: Option<Vec<u8>>,
}

/// As whom the server is asked.
#[derive(Clone, Debug)]
pub enum TransitAuth {
    /// With the token in a file, read anew each time: an agent renews it.
    TokenFile(PathBuf),
    /// With a workload identity, in exchange for a token: `kubernetes` or `jwt`.
    Login {
        /// Where the method is mounted.
        mount: String,
        /// The role.
        role: String,
        /// The file with the identity, read anew each time.
        jwt_file: PathBuf,
    },
}

/// A key of a transit engine.
pub struct Transit {
    service: Service,
    encrypt: Url,
    decrypt: Url,
    login: Option<Url>,
    namespace: Option<HeaderValue>,
    auth: TransitAuth,
    known: Mutex<Option<(Arc<SecretString>, Time)>>,
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct Encrypted {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Decrypted {
    plaintext: Secret<String>,
}

#[derive(Deserialize)]
struct LoggedIn {
    auth: Granted,
}

#[derive(Deserialize)]
struct Granted {
    client_token: SecretString,
    lease_duration: u64,
}

impl Transit {
    /// What stands in `wrapped_by`.
    pub const LABEL: &'static str = "kek:vault-transit";

    /// Ready to be asked; nothing is sent yet.
    pub fn new(config: TransitConfig, env: Env) -> Result<Self, ConfigError> {
        let base = config.address.as_str().trim_end_matches('/').to_owned();
        let mount = path("vault_transit.mount", &config.mount)?;
        let key = path("vault_transit.key", &config.key)?;
        let at = |rest: String| url("vault_transit.address", &format!("{base}/v1/{rest}"));
        let login = match &config.auth {
            TransitAuth::TokenFile(_) => None,
            TransitAuth::Login { mount, .. } => {
                Some(at(format!("auth/{}/login", path("vault_transit.auth_mount", mount)?))?)
            }
        };
        let namespace = config.namespace.as_deref().map(HeaderValue::from_str).transpose().map_err(|_| {
            ConfigError::Field { field: "vault_transit.namespace", why: "not a header value".to_owned() }
        })?;
        let origins = vec![origin("vault_transit.address", &config.address)?];
        Ok(Self {
            service: Service::new(env, origins, config.roots_pem)?,
            encrypt: at(format!("{mount}/encrypt/{key}"))?,
            decrypt: at(format!("{mount}/decrypt/{key}"))?,
            login,
            namespace,
            auth: config.auth,
            known: Mutex::new(None),
        })
    }

    async fn ask(&self, url: &Url, body: &Value) -> Result<Answer, RootKeyError> {
        let answer = self.ask_once(url, body).await?;
        // 403 for a token that has ended and for one that may not: a fresh one tells which.
        let answer = if answer.status.as_u16() == 403 && self.login.is_some() {
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.ask_once(url, body).await?
        } else {
            answer
        };
        if answer.status.is_success() { Ok(answer) } else { Err(meant(url, &answer)) }
    }

    async fn ask_once(&self, url: &Url, body: &Value) -> Result<Answer, ServiceError> {
        let token = self.token().await?;
        let header = HeaderName::from_static("x-vault-token");
        let call = self.in_namespace(post(url.clone(), body)).header(header, secret_header(token.expose())?);
        self.service.ask(call).await
    }

    fn in_namespace(&self, call: carnet_egress::Call) -> carnet_egress::Call {
        match &self.namespace {
            Some(namespace) => call.header(HeaderName::from_static("x-vault-namespace"), namespace.clone()),
            None => call,
        }
    }

    async fn token(&self) -> Result<Arc<SecretString>, ServiceError> {
        let (role, jwt_file) = match &self.auth {
            TransitAuth::TokenFile(path) => {
                let text = read_secret_file(path, Location::Anywhere)
                    .map_err(|error| ServiceError::Credentials(error.to_string()))?;
                return Ok(Arc::new(text.expose().trim().to_owned().into()));
            }
            TransitAuth::Login { role, jwt_file, .. } => (role, jwt_file),
        };
        let now = self.service.env.now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((token, _)) = known.filter(|(_, ends)| now.plus(MARGIN) < *ends) {
            return Ok(token);
        }
        let url = self
            .login
            .clone()
            .ok_or_else(|| ServiceError::Credentials("there is no way to log in".to_owned()))?;
        let body = json!({"role": role, "jwt": line(jwt_file)?.expose()});
        let answer = self.service.ask(self.in_namespace(post(url.clone(), &body))).await?;
        if !answer.status.is_success() {
            return Err(unusable(&url, &answer, "the workload identity was not accepted"));
        }
        let granted: LoggedIn = read(&url, &answer)?;
        let token = Arc::new(granted.auth.client_token);
        // Zero is a token without an end.
        let ends = match granted.auth.lease_duration {
            0 => Time::FAR_FUTURE,
            seconds => now.plus(Duration::from_secs(seconds)),
        };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((token.clone(), ends));
        Ok(token)
    }
}

impl RootKey for Transit {
    fn label(&self) -> &str {
        Self::LABEL
    }

    fn wrap<'a>(
        &'a self,
        _env: &'a Env,
        of: RootVersion,
        key: &'a KeyBytes,
    ) -> Boxed<'a, Result<Vec<u8>, RootKeyError>> {
        Box::pin(async move {
            let body = json!({
                "plaintext": STANDARD.encode(key.expose()),
                "associated_data": STANDARD.encode(bound::bytes(&of)),
            });
            let answer = self.ask(&self.encrypt, &body).await?;
            let encrypted: Data<Encrypted> = read(&self.encrypt, &answer)?;
            Ok(bound::framed(&of, key, encrypted.data.ciphertext.as_bytes()))
        })
    }

    fn unwrap<'a>(&'a self, of: RootVersion, wrapped: &'a [u8]) -> Boxed<'a, Result<KeyBytes, RootKeyError>> {
        Box::pin(async move {
            let (committed, ciphertext) = bound::unframed(wrapped)?;
            let ciphertext = str::from_utf8(ciphertext).map_err(|_| RootKeyError::Damaged)?;
            let body = json!({
                "ciphertext": ciphertext,
                "associated_data": STANDARD.encode(bound::bytes(&of)),
            });
            let answer = self.ask(&self.decrypt, &body).await?;
            let decrypted: Data<Decrypted> = read(&self.decrypt, &answer)?;
            let bytes = Secret::new(
                STANDARD
                    .decode(decrypted.data.plaintext.expose())
                    .map_err(|_| unusable(&self.decrypt, &answer, "no plaintext"))?,
            );
            bound::proved(&of, committed, bytes.expose())
        })
    }
}

/// "HTTP status codes" and the texts of the engine's errors.
fn meant(url: &Url, answer: &Answer) -> RootKeyError {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let said = body.pointer("/errors/0").and_then(Value::as_str).map(word).unwrap_or_default();
    match answer.status.as_u16() {
        403 => RootKeyError::Denied("permission denied".to_owned()),
        404 => RootKeyError::Denied("there is no such engine or key".to_owned()),
        400 if said.contains("key not found") || said.contains("disallowed by policy") => {
            RootKeyError::Denied(said)
        }
        400 if said.contains("authentication failed") || said.contains("invalid ciphertext") => {
            RootKeyError::Damaged
        }
        // Its words may quote what it was sent.
        _ => unusable(url, answer, "its own log says why").into(),
    }
}

fn line(path: &std::path::Path) -> Result<SecretString, ServiceError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ServiceError::Credentials(format!("{}: {error}", path.display())))?;
    let text = Secret::new(text);
    Ok(text.expose().trim().to_owned().into())
}

fn path(field: &'static str, text: &str) -> Result<String, ConfigError> {
    let text = text.trim_matches('/');
    let plain = |part: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !part.is_empty() && !matches!(part, "." | "..") && part.chars().all(known)
    };
    if text.split('/').all(plain) {
        return Ok(text.to_owned());
    }
    Err(ConfigError::Field { field, why: "letters, digits, - _ . and / between them".to_owned() })
}

const MARGIN: Duration = Duration::from_secs(30);
