//! Google Cloud KMS: `encrypt` and `decrypt` of a symmetric key, with additional authenticated data.
//!
//! Cloud KMS API reference (v1), `projects.locations.keyRings.cryptoKeys.encrypt` and `.decrypt`, and "Verifying
//! end-to-end data integrity" for the checksums. Decrypting names the key and not the version, so a key that is rotated
//! at Google still opens what its older versions wrapped.

mod token;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carnet_egress::Answer;
use carnet_model::{Env, Secret};
use carnet_vault::{Boxed, KeyBytes, RootKey, RootKeyError, RootVersion};
use http::header::AUTHORIZATION;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::bound;
use crate::crc32c::crc32c;
use crate::service::{ConfigError, Service, origin, post, read, secret_header, unusable, url, word};
pub use token::GcpCredentials;
use token::Tokens;

/// Which key, and as whom.
#[derive(Clone, Debug)]
pub struct GcpKmsConfig {
    /// `projects/P/locations/L/keyRings/R/cryptoKeys/K`
    pub key: String,
    /// Another address than `https://cloudkms.googleapis.com`.
    pub endpoint: Option<Url>,
    /// As whom.
    pub credentials: GcpCredentials,
    /// Certificate authorities besides the machine's, in PEM.
    pub roots_pem: Option<Vec<u8>>,
}

/// A key of Google Cloud KMS.
pub struct GcpKms {
    service: Service,
    encrypt: Url,
    decrypt: Url,
    tokens: Tokens,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Encrypted {
    ciphertext: String,
    ciphertext_crc32c: Option<String>,
    #[serde(default)]
    verified_plaintext_crc32c: bool,
    #[serde(default)]
    verified_additional_authenticated_data_crc32c: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Decrypted {
    plaintext: Secret<String>,
    plaintext_crc32c: Option<String>,
}

impl GcpKms {
    /// What stands in `wrapped_by`.
    pub const LABEL: &'static str = "kek:gcp-kms";

    /// Ready to be asked; nothing is sent yet.
    pub fn new(config: GcpKmsConfig, env: Env) -> Result<Self, ConfigError> {
        let parts: Vec<&str> = config.key.split('/').collect();
        let plain = |part: &&str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c))
        };
        let named = |at: usize| parts.get(at).copied();
        let whole = parts.len() == 8
            && parts.iter().all(plain)
            && [(0, "projects"), (2, "locations"), (4, "keyRings"), (6, "cryptoKeys")]
                .iter()
                .all(|(at, name)| named(*at) == Some(name));
        if !whole {
            return Err(ConfigError::Field {
                field: "gcp_kms.key",
                why: "projects/P/locations/L/keyRings/R/cryptoKeys/K, without a version".to_owned(),
            });
        }
        let endpoint = match config.endpoint {
            Some(endpoint) => endpoint,
            None => url("gcp_kms.endpoint", "https://cloudkms.googleapis.com/")?,
        };
        let base = endpoint.as_str().trim_end_matches('/').to_owned();
        let encrypt = url("gcp_kms.endpoint", &format!("{base}/v1/{}:encrypt", config.key))?;
        let decrypt = url("gcp_kms.endpoint", &format!("{base}/v1/{}:decrypt", config.key))?;
        let tokens = Tokens::new(config.credentials)?;
        let origins = vec![origin("gcp_kms.endpoint", &endpoint)?, tokens.origin()?];
        let service = Service::new(env, origins, config.roots_pem)?;
        Ok(Self { service, encrypt, decrypt, tokens })
    }

    async fn ask(&self, url: &Url, body: &Value) -> Result<Answer, RootKeyError> {
        let token = self.tokens.now(&self.service).await?;
        let bearer = secret_header(&format!("Bearer {}", token.expose()))?;
        let answer = self.service.ask(post(url.clone(), body).header(AUTHORIZATION, bearer)).await?;
        if answer.status.as_u16() == 401 {
            self.tokens.forget();
        }
        if answer.status.is_success() { Ok(answer) } else { Err(meant(url, &answer)) }
    }
}

impl RootKey for GcpKms {
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
            let bound_to = bound::bytes(&of);
            let body = json!({
                "plaintext": STANDARD.encode(key.expose()),
                "plaintextCrc32c": crc32c(key.expose()).to_string(),
                "additionalAuthenticatedData": STANDARD.encode(&bound_to),
                "additionalAuthenticatedDataCrc32c": crc32c(&bound_to).to_string(),
            });
            let answer = self.ask(&self.encrypt, &body).await?;
            let encrypted: Encrypted = read(&self.encrypt, &answer)?;
            let blob = STANDARD
                .decode(&encrypted.ciphertext)
                .map_err(|_| unusable(&self.encrypt, &answer, "no ciphertext"))?;
            let arrived = encrypted.verified_plaintext_crc32c
                && encrypted.verified_additional_authenticated_data_crc32c
                && whole(encrypted.ciphertext_crc32c.as_deref(), &blob);
            if !arrived {
                return Err(unusable(&self.encrypt, &answer, "damaged on the way").into());
            }
            Ok(bound::framed(&of, key, &blob))
        })
    }

    fn unwrap<'a>(&'a self, of: RootVersion, wrapped: &'a [u8]) -> Boxed<'a, Result<KeyBytes, RootKeyError>> {
        Box::pin(async move {
            let (committed, blob) = bound::unframed(wrapped)?;
            let bound_to = bound::bytes(&of);
            let body = json!({
                "ciphertext": STANDARD.encode(blob),
                "ciphertextCrc32c": crc32c(blob).to_string(),
                "additionalAuthenticatedData": STANDARD.encode(&bound_to),
                "additionalAuthenticatedDataCrc32c": crc32c(&bound_to).to_string(),
            });
            let answer = self.ask(&self.decrypt, &body).await?;
            let decrypted: Decrypted = read(&self.decrypt, &answer)?;
            let bytes = Secret::new(
                STANDARD
                    .decode(decrypted.plaintext.expose())
                    .map_err(|_| unusable(&self.decrypt, &answer, "no plaintext"))?,
            );
            if !whole(decrypted.plaintext_crc32c.as_deref(), bytes.expose()) {
                return Err(unusable(&self.decrypt, &answer, "damaged on the way").into());
            }
            bound::proved(&of, committed, bytes.expose())
        })
    }
}

/// 64-bit numbers are strings in the JSON of Google's APIs.
fn whole(told: Option<&str>, bytes: &[u8]) -> bool {
    told.and_then(|text| text.parse::<u32>().ok()) == Some(crc32c(bytes))
}

/// `google.rpc.Code`, as the error object names it.
fn meant(url: &Url, answer: &Answer) -> RootKeyError {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let status = body.pointer("/error/status").and_then(Value::as_str).unwrap_or_default();
    match status {
        // The second: the key, or the version that wrapped, is disabled or destroyed.
        "PERMISSION_DENIED" | "FAILED_PRECONDITION" | "NOT_FOUND" => RootKeyError::Denied(word(status)),
        // What was altered, what another key wrapped, and what is asked for with other data.
        "INVALID_ARGUMENT" => RootKeyError::Damaged,
        _ => unusable(url, answer, status).into(),
    }
}
