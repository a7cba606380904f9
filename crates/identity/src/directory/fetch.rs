//! How key sets are had: the discovery document if need be, then the set. Through egress, never elsewhere.

use std::time::Duration;

use carnet_egress::{Call, Egress, EgressError, Purpose, UrlRefused};
use carnet_model::{Id, kind};
use http::header::ACCEPT;
use http::{HeaderValue, StatusCode};
use url::Url;

use super::KeySource;
use crate::json::{self, JsonError, Limits};
use crate::jwks::{JwksError, KeySet};

const MAX_BYTES: usize = 64 * 1024;
const TOTAL: Duration = Duration::from_secs(5);
const DOCUMENT: Limits = Limits { depth: 8, members: 500 };

/// Why a key set was not had. Nothing that the other side wrote is in it.
#[derive(Debug, thiserror::Error)]
pub enum FetchFailed {
    /// The issuer is not an address that a discovery document can be found under.
    #[error("the issuer is not a URL without query and fragment")]
    IssuerUrl,
    /// We do not call that address.
    #[error("the address of the {0} is refused")]
    Url(Document, #[source] UrlRefused),
    /// It could not be reached.
    #[error("the {0} cannot be fetched")]
    Egress(Document, #[source] EgressError),
    /// Answered, not with 200.
    #[error("the {0} was answered with status {1}")]
    Status(Document, StatusCode),
    /// The discovery document cannot be read.
    #[error("the discovery document cannot be read: {0}")]
    Discovery(JsonError),
    /// The discovery document is another issuer's.
    #[error("the discovery document names another issuer")]
    OtherIssuer,
    /// The discovery document has no `jwks_uri`.
    #[error("the discovery document has no jwks_uri")]
    NoJwksUri,
    /// The key set is not accepted.
    #[error(transparent)]
    Jwks(#[from] JwksError),
    /// An attempt was begun and has not come to an end.
    #[error("the last attempt has not come to an end")]
    Pending,
}

/// Which of the two documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// `/.well-known/openid-configuration`
    Discovery,
    /// The JSON Web Key Set.
    KeySet,
}

impl FetchFailed {
    /// Whether the documents were had, and it is what stands in them that is no good.
    pub const fn is_of_content(&self) -> bool {
        matches!(self, Self::Discovery(_) | Self::OtherIssuer | Self::NoJwksUri | Self::Jwks(_))
    }
}

impl Document {
    const fn purpose(self) -> Purpose {
        match self {
            Self::Discovery => Purpose::Discovery,
            Self::KeySet => Purpose::Jwks,
        }
    }

    /// The API server of Kubernetes answers 406 to whoever asks for its keys as `application/json` only.
    const fn media_types(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Discovery => "application/json",
            Self::KeySet => "application/jwk-set+json, application/json",
        })
    }
}

impl std::fmt::Display for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Discovery => "discovery document",
            Self::KeySet => "key set",
        })
    }
}

/// Gets the keys from where the configuration says, this once: nothing is kept, and nothing holds a caller back who asks
/// again. For callers it is [`super::KeyDirectory`] that asks.
pub async fn keys(
    egress: Egress,
    tenant: Id<kind::Team>,
    issuer: String,
    source: KeySource,
) -> Result<KeySet, FetchFailed> {
    let uri = match source {
        KeySource::Pinned(text) => return Ok(KeySet::parse(text.as_bytes())?),
        KeySource::JwksUri(uri) => uri.to_string(),
        KeySource::Discovery => jwks_uri(&egress, tenant, &issuer).await?,
    };
    let body = get(&egress, tenant, &uri, Document::KeySet).await?;
    Ok(KeySet::parse(&body)?)
}

/// Refuses keys that could never be had: as far as text tells, nothing at their address may be called.
pub fn can_be_fetched(egress: &Egress, issuer: &str, source: &KeySource) -> Result<(), FetchFailed> {
    match source {
        KeySource::Pinned(_) => Ok(()),
        KeySource::JwksUri(uri) => judge(egress, uri.as_str(), Document::KeySet).map(|_| ()),
        KeySource::Discovery => judge(egress, &discovery_url(issuer)?, Document::Discovery).map(|_| ()),
    }
}

fn judge(egress: &Egress, url: &str, document: Document) -> Result<Url, FetchFailed> {
    egress.check(url, document.purpose()).map_err(|refused| FetchFailed::Url(document, refused))
}

async fn jwks_uri(egress: &Egress, tenant: Id<kind::Team>, issuer: &str) -> Result<String, FetchFailed> {
    let body = get(egress, tenant, &discovery_url(issuer)?, Document::Discovery).await?;
    let document = json::read_object(&body, DOCUMENT).map_err(FetchFailed::Discovery)?;
    let member = |name: &str| document.get(name).and_then(serde_json::Value::as_str);
    // OpenID Connect Discovery 1.0 §4.3: exactly the issuer that the document was asked for.
    if member("issuer") != Some(issuer) {
        return Err(FetchFailed::OtherIssuer);
    }
    member("jwks_uri").map(str::to_owned).ok_or(FetchFailed::NoJwksUri)
}

/// OpenID Connect Discovery 1.0 §4: a slash at the end is dropped before the path is appended.
fn discovery_url(issuer: &str) -> Result<String, FetchFailed> {
    let url = Url::parse(issuer).map_err(|_| FetchFailed::IssuerUrl)?;
    if url.query().is_some() || url.fragment().is_some() || url.cannot_be_a_base() {
        return Err(FetchFailed::IssuerUrl);
    }
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    Ok(format!("{base}/.well-known/openid-configuration"))
}

async fn get(
    egress: &Egress,
    tenant: Id<kind::Team>,
    url: &str,
    document: Document,
) -> Result<Vec<u8>, FetchFailed> {
    let url = judge(egress, url, document)?;
    let mut call = Call::get(url, document.purpose(), tenant).header(ACCEPT, document.media_types());
    call.limits.total = TOTAL;
    call.limits.body = MAX_BYTES;
    let answer = egress.send(call).await.map_err(|error| FetchFailed::Egress(document, error))?;
    if answer.status != StatusCode::OK {
        return Err(FetchFailed::Status(document, answer.status));
    }
    Ok(answer.body.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_discovery_document_is_found_under_the_issuer() {
        for (issuer, want) in [
            ("https://a.example", Some("https://a.example/.well-known/openid-configuration")),
            ("https://a.example/", Some("https://a.example/.well-known/openid-configuration")),
            ("https://a.example/team", Some("https://a.example/team/.well-known/openid-configuration")),
            ("https://a.example/team/", Some("https://a.example/team/.well-known/openid-configuration")),
            ("https://a.example?x", None),
            ("https://a.example#x", None),
            ("kubernetes/serviceaccount", None),
            ("mailto:a@b.example", None),
            ("", None),
        ] {
            assert_eq!(discovery_url(issuer).ok().as_deref(), want, "{issuer}");
        }
    }
}
