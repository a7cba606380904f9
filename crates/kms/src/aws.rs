//! AWS KMS: `Encrypt` and `Decrypt` with an encryption context.
//!
//! AWS Key Management Service API Reference (2014-11-01), "Encrypt", "Decrypt", "Common Errors"; requests are JSON 1.1
//! with `X-Amz-Target`, signed with Signature Version 4. The key may be rotated at AWS: what was encrypted before still
//! decrypts, because the ciphertext names its material.

mod credentials;
mod sigv4;
mod sts;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carnet_egress::Answer;
use carnet_model::{Env, Secret};
use carnet_vault::{Boxed, KeyBytes, RootKey, RootKeyError, RootVersion};
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use crate::bound;
use crate::service::{ConfigError, Service, ServiceError, origin, post, read, secret_header, unusable, word};
pub use credentials::AwsCredentials;
use credentials::Credentials;

/// Which key, where, and as whom.
#[derive(Clone, Debug)]
pub struct AwsKmsConfig {
    /// The key: its id, ARN or alias. An ARN is safest.
    pub key: String,
    /// The region, which is part of the signature.
    pub region: String,
    /// Another address than `https://kms.REGION.amazonaws.com`: a VPC endpoint.
    pub endpoint: Option<Url>,
    /// As whom.
    pub credentials: AwsCredentials,
    /// Certificate authorities besides the machine's, in PEM.
    pub roots_pem: Option<Vec<u8>>,
}

/// A key of AWS KMS.
pub struct AwsKms {
    service: Service,
    key: String,
    region: String,
    endpoint: Url,
    credentials: Credentials,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypted {
    ciphertext_blob: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Decrypted {
    plaintext: Secret<String>,
}

impl AwsKms {
    /// What stands in `wrapped_by`.
    pub const LABEL: &'static str = "kek:aws-kms";

    /// Ready to be asked; nothing is sent yet.
    pub fn new(config: AwsKmsConfig, env: Env) -> Result<Self, ConfigError> {
        let field = |field, why: &str| ConfigError::Field { field, why: why.to_owned() };
        if config.key.is_empty() || config.key.len() > 2048 {
            return Err(field("aws_kms.key", "a key id, ARN or alias"));
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if config.region.is_empty() || !config.region.chars().all(plain) {
            return Err(field("aws_kms.region", "the name of a region, as eu-central-1"));
        }
        let endpoint = match config.endpoint {
            Some(endpoint) => endpoint,
            None => crate::service::url(
                "aws_kms.region",
                &format!("https://kms.{}.amazonaws.com/", config.region),
            )?,
        };
        let mut origins = vec![origin("aws_kms.endpoint", &endpoint)?];
        origins.extend(config.credentials.origin(&config.region)?);
        let service = Service::new(env, origins, config.roots_pem)?;
        let credentials = Credentials::new(config.credentials, &config.region);
        Ok(Self { service, key: config.key, region: config.region, endpoint, credentials })
    }

    async fn ask(&self, target: &'static str, body: &Value) -> Result<Answer, ServiceError> {
        let session = self.credentials.now(&self.service).await?;
        let call = post(self.endpoint.clone(), body);
        let content_type = "application/x-amz-json-1.1";
        let date = sigv4::Stamp::at(self.service.env.now());
        let host = match (self.endpoint.host_str().unwrap_or_default(), self.endpoint.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        let target = format!("TrentService.{target}");
        let mut headers = vec![
            ("content-type", content_type.to_owned()),
            ("host", host),
            ("x-amz-date", date.long.clone()),
            ("x-amz-target", target.clone()),
        ];
        if let Some(token) = &session.token {
            headers.insert(3, ("x-amz-security-token", token.expose().clone()));
        }
        let request = sigv4::Request {
            method: "POST",
            path: self.endpoint.path(),
            query: "",
            headers: &headers,
            body: &call.body,
        };
        let scope = sigv4::Scope { region: &self.region, service: "kms", date: &date };
        let authorization = sigv4::authorization(&request, &scope, &session.key_id, session.secret.expose());
        let plain = |text: &str| {
            HeaderValue::from_str(text)
                .map_err(|_| ServiceError::Credentials("they hold a character that no header can".to_owned()))
        };
        let mut call = call
            .header(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type))
            .header(HeaderName::from_static("x-amz-date"), plain(&date.long)?)
            .header(HeaderName::from_static("x-amz-target"), plain(&target)?)
            .header(http::header::AUTHORIZATION, secret_header(&authorization)?);
        if let Some(token) = &session.token {
            call =
                call.header(HeaderName::from_static("x-amz-security-token"), secret_header(token.expose())?);
        }
        let answer = self.service.ask(call).await?;
        if matches!(answer.status.as_u16(), 400 | 401 | 403) && stale(&failure(&answer)) {
            self.credentials.forget();
        }
        Ok(answer)
    }
}

impl RootKey for AwsKms {
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
                "KeyId": self.key,
                "Plaintext": STANDARD.encode(key.expose()),
                "EncryptionContext": context(&of),
            });
            let answer = self.ask("Encrypt", &body).await?;
            if !answer.status.is_success() {
                return Err(meant(&self.endpoint, &answer));
            }
            let encrypted: Encrypted = read(&self.endpoint, &answer)?;
            let blob = STANDARD
                .decode(&encrypted.ciphertext_blob)
                .map_err(|_| unusable(&self.endpoint, &answer, "no ciphertext"))?;
            Ok(bound::framed(&of, key, &blob))
        })
    }

    fn unwrap<'a>(&'a self, of: RootVersion, wrapped: &'a [u8]) -> Boxed<'a, Result<KeyBytes, RootKeyError>> {
        Box::pin(async move {
            let (committed, blob) = bound::unframed(wrapped)?;
            let body = json!({
                "KeyId": self.key,
                "CiphertextBlob": STANDARD.encode(blob),
                "EncryptionContext": context(&of),
            });
            let answer = self.ask("Decrypt", &body).await?;
            if !answer.status.is_success() {
                return Err(meant(&self.endpoint, &answer));
            }
            let decrypted: Decrypted = read(&self.endpoint, &answer)?;
            let bytes = Secret::new(
                STANDARD
                    .decode(decrypted.plaintext.expose())
                    .map_err(|_| unusable(&self.endpoint, &answer, "no plaintext"))?,
            );
            bound::proved(&of, committed, bytes.expose())
        })
    }
}

fn context(of: &RootVersion) -> Map<String, Value> {
    bound::context(of).into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// The kind of failure, without the namespace that some of the services of AWS put before it.
fn failure(answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let kind = body.get("__type").and_then(Value::as_str).unwrap_or_default();
    word(kind.rsplit('#').next().unwrap_or_default())
}

/// "Decrypt" and "Encrypt", sections "Errors", and "Common Errors".
fn meant(url: &Url, answer: &Answer) -> RootKeyError {
    let kind = failure(answer);
    match kind.as_str() {
        "AccessDeniedException"
        | "DisabledException"
        | "KMSInvalidStateException"
        | "NotFoundException"
        | "InvalidKeyUsageException" => RootKeyError::Denied(kind),
        "IncorrectKeyException" => RootKeyError::WrongKey,
        // What was altered, and what is asked for with another context.
        "InvalidCiphertextException" => RootKeyError::Damaged,
        _ => unusable(url, answer, &kind).into(),
    }
}

/// Credentials that have ended say nothing about the key.
fn stale(kind: &str) -> bool {
    matches!(
        kind,
        "ExpiredTokenException"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "MissingAuthenticationTokenException"
    )
}
