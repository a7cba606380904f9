//! What every page is sent with: the security headers.
//!
//! [`Page`] is the only thing the views render to, and it turns into a response with all of them set. A page may loosen
//! three things and no more: where its form may lead, whether the window that opened it is cut off, and whether a
//! script of ours runs; those that ask for passkeys need one.

use std::fmt;

use askama::Template;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use url::{Host, Url};

/// A rendered page, not yet sent.
pub struct Page {
    status: StatusCode,
    policy: HeaderValue,
    opener: HeaderValue,
    html: String,
}

/// An origin that a content security policy can name: scheme, host name or IPv4 address, port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

/// An answer that sends the browser elsewhere and leaves nothing behind: no referrer, nothing kept, method changed to
/// GET (RFC 9110 §15.4.4).
#[derive(Debug)]
pub struct SeeOther(HeaderValue);

impl Page {
    pub(crate) fn of(template: &impl Template) -> Self {
        let (status, html) = match template.render() {
            Ok(html) => (StatusCode::OK, html),
            Err(error) => {
                tracing::error!(%error, "a page could not be rendered");
                (StatusCode::INTERNAL_SERVER_ERROR, FALLBACK.to_owned())
            }
        };
        let policy = HeaderValue::from_static(POLICY);
        Self { status, policy, opener: HeaderValue::from_static("same-origin"), html }
    }

    /// Answered with this status, unless rendering failed.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        if self.status == StatusCode::OK {
            self.status = status;
        }
        self
    }

    /// With scripts of ours, and no others.
    pub(crate) fn with_script(mut self) -> Self {
        let wider = POLICY.replacen("style-src", "script-src 'self'; style-src", 1);
        if let Ok(wider) = HeaderValue::from_str(&wider) {
            self.policy = wider;
        }
        self
    }

    /// Opened by an app's window, and itself allowed to open the provider's.
    pub(crate) fn in_a_popup(mut self) -> Self {
        self.opener = HeaderValue::from_static("same-origin-allow-popups");
        self
    }

    /// Its form may lead to `origin` besides our own.
    pub(crate) fn form_may_lead_to(mut self, origin: Option<&Origin>) -> Self {
        if let Some(Origin(origin)) = origin {
            let wider = POLICY.replace("form-action 'self'", &format!("form-action 'self' {origin}"));
            // An origin is plain ASCII; were it not, the narrow policy would stay.
            if let Ok(wider) = HeaderValue::from_str(&wider) {
                self.policy = wider;
            }
        }
        self
    }
}

impl Origin {
    /// The origin of `url`, if a policy can name it. A host with a character outside letters, digits, `.`, `-` and `_`
    /// would end the directive or begin another policy; the grammar has no IPv6 addresses (CSP Level 3 §2.3.1).
    pub fn of(url: &Url) -> Option<Self> {
        let named = match url.host()? {
            Host::Domain(name) => {
                name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
            }
            Host::Ipv4(_) => true,
            Host::Ipv6(_) => false,
        };
        (named && matches!(url.scheme(), "http" | "https")).then(|| Self(url.origin().ascii_serialization()))
    }
}

impl SeeOther {
    /// To `url`, which must be https or http.
    pub fn to(url: &Url) -> Option<Self> {
        matches!(url.scheme(), "http" | "https").then_some(())?;
        HeaderValue::from_str(url.as_str()).ok().map(Self)
    }

    /// To a path of ours, which begins with one `/`.
    pub fn ours(path: &str) -> Option<Self> {
        (path.starts_with('/') && !path.starts_with("//") && !path.contains('\\')).then_some(())?;
        HeaderValue::from_str(path).ok().map(Self)
    }
}

impl From<Page> for http::Response<String> {
    fn from(page: Page) -> Self {
        let mut response = Self::new(page.html);
        *response.status_mut() = page.status;
        let headers = response.headers_mut();
        common(headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CONTENT_SECURITY_POLICY, page.policy);
        headers.insert("cross-origin-opener-policy", page.opener);
        headers.insert("permissions-policy", HeaderValue::from_static(PERMISSIONS));
        response
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        http::Response::from(self).map(Body::from)
    }
}

impl IntoResponse for SeeOther {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SEE_OTHER;
        let headers = response.headers_mut();
        common(headers);
        headers.insert(LOCATION, self.0);
        response
    }
}

impl fmt::Debug for Page {
    /// Without the text, which may hold a token that is shown once.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("status", &self.status).finish_non_exhaustive()
    }
}

fn common(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
}

const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const PERMISSIONS: &str = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()";

const FALLBACK: &str = "<!doctype html><html lang=\"en\"><title>Error</title><p>The page could not be made.";

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Option<String> {
        Origin::of(&Url::parse(url).unwrap()).map(|origin| origin.0)
    }

    #[test]
    fn an_origin_is_named_only_if_a_policy_can_name_it() {
        for (url, want) in [
            ("https://linear.app/oauth/authorize?x=1", Some("https://linear.app")),
            ("https://user:pass@Linear.APP:8443/x", Some("https://linear.app:8443")),
            ("http://127.0.0.1:7071/authorize", Some("http://127.0.0.1:7071")),
            ("https://bücher.example/", Some("https://xn--bcher-kva.example")),
            ("https://a;script-src/", None),
            ("https://a,b/", None),
            ("https://a'b/", None),
            ("https://*.example/", None),
            ("http://[::1]:7071/", None),
            ("ftp://example.org/", None),
            ("javascript:alert(1)", None),
            ("data:text/html,x", None),
        ] {
            assert_eq!(origin(url).as_deref(), want, "{url}");
        }
    }

    #[test]
    fn a_redirect_leaves_nothing_behind_and_stays_where_it_was_sent() {
        let response =
            SeeOther::to(&Url::parse("https://app.example/r?x=1").unwrap()).unwrap().into_response();
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(response.headers()[LOCATION], "https://app.example/r?x=1");
        assert_eq!(response.headers()[REFERRER_POLICY], "no-referrer");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");

        assert!(SeeOther::to(&Url::parse("javascript:alert(1)").unwrap()).is_none());
        assert!(SeeOther::ours("/authorize/car_1").is_some());
        for path in ["//evil.example", "/\\evil.example", "https://evil.example", "", "/a\r\nset-cookie: x"] {
            assert!(SeeOther::ours(path).is_none(), "{path}");
        }
    }
}
