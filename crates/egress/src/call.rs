//! One request on its way out, and what came back.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use carnet_model::{Id, SecretString, kind};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;

use crate::policy::Purpose;

/// A request, with whom it is for and why.
///
/// Headers that describe the connection or the body's framing (`Host`, `Content-Length`, `Transfer-Encoding`,
/// `Connection`, …) are not the caller's to set and are dropped.
#[derive(Clone)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// Where to. Judged again when the call is made.
    pub url: Url,
    /// The caller's headers.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
    /// Why the call is made.
    pub purpose: Purpose,
    /// For whom. Connections are never shared between two of them.
    pub tenant: Id<kind::Team>,
    /// How long and how much.
    pub limits: Limits,
}

/// How long a call may take and how much it may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the beginning to the last byte of the body.
    pub total: Duration,
    /// Until there is a connection: name, TCP and TLS together.
    pub connect: Duration,
    /// Bytes of body.
    pub body: usize,
}

/// What came back: any status, redirects included, and the raw body.
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it was sent, whatever its content coding.
    pub body: Bytes,
}

impl Call {
    /// A call without headers and body.
    pub fn new(method: Method, url: Url, purpose: Purpose, tenant: Id<kind::Team>) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            purpose,
            tenant,
            limits: Limits::default(),
        }
    }

    /// A GET that asks for JSON.
    pub fn get(url: Url, purpose: Purpose, tenant: Id<kind::Team>) -> Self {
        Self::new(Method::GET, url, purpose, tenant).header(ACCEPT, HeaderValue::from_static(JSON))
    }

    /// A POST of an encoded form that asks for JSON. The form is wiped when it is no longer needed here.
    pub fn post_form(url: Url, form: SecretString, purpose: Purpose, tenant: Id<kind::Team>) -> Self {
        let body = Bytes::from_owner(Wiped(form));
        Self { body, ..Self::new(Method::POST, url, purpose, tenant) }
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
            .header(ACCEPT, HeaderValue::from_static(JSON))
    }

    /// A POST of JSON that asks for JSON.
    pub fn post_json(url: Url, json: impl Into<Bytes>, purpose: Purpose, tenant: Id<kind::Team>) -> Self {
        Self { body: json.into(), ..Self::new(Method::POST, url, purpose, tenant) }
            .header(CONTENT_TYPE, HeaderValue::from_static(JSON))
            .header(ACCEPT, HeaderValue::from_static(JSON))
    }

    /// The same with secrets in it.
    pub fn post_secret_json(url: Url, json: SecretString, purpose: Purpose, tenant: Id<kind::Team>) -> Self {
        Self::post_json(url, Bytes::from_owner(Wiped(json)), purpose, tenant)
    }

    /// With this header, in the place of any other of the name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// With these limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

impl Default for Limits {
    /// What a token endpoint or a metadata document needs.
    fn default() -> Self {
        Self { total: Duration::from_secs(10), connect: Duration::from_secs(3), body: 256 * 1024 }
    }
}

impl fmt::Debug for Call {
    /// Without query, headers and body: they hold codes, tokens and secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("method", &self.method)
            .field("host", &self.url.host_str())
            .field("purpose", &self.purpose)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Answer {
    /// Without headers and body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Secret text that lends itself as bytes, and is wiped when the last borrower is done.
struct Wiped(SecretString);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

const JSON: &str = "application/json";
