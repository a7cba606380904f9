//! Which browser it is: a random secret in a cookie, by which a request for consent is bound to the one that began it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use carnet_engine::Broker;
use carnet_model::SecretString;
use std::convert::Infallible;

/// The binding secret of this browser, if it has one.
pub(super) struct Browser(pub(super) Option<SecretString>);

impl<S: Sync> FromRequestParts<S> for Browser {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(cookie(&parts.headers).map(SecretString::new)))
    }
}

/// Either name is read; which one is written depends on whether this server is reached by https.
fn cookie(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let sound = |value: &str| value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit());
    pairs
        .find(|(name, value)| (*name == SECURE || *name == PLAIN) && sound(value))
        .map(|(_, value)| value.to_owned())
}

/// A fresh secret: 256 bits.
pub(super) fn fresh(broker: &Broker) -> SecretString {
    let bytes = broker.env().bytes::<32>();
    let hex = bytes.iter().fold(String::new(), |mut out, byte| {
        use std::fmt::Write as _;
        let _ = write!(out, "{byte:02x}");
        out
    });
    hex.into()
}

/// Gives the browser its secret. `Lax`, because the provider sends the person back by a link.
pub(super) fn remember(mut response: Response, broker: &Broker, secret: &SecretString) -> Response {
    let secure = broker.settings().url.scheme() == "https";
    let (name, rest) = if secure { (SECURE, "; Secure") } else { (PLAIN, "") };
    let text = format!("{name}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600{rest}", secret.expose());
    if let Ok(mut value) = HeaderValue::from_str(&text) {
        value.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// Whether a form was posted from a page of ours. A browser says so itself; one that says nothing is held to the form
/// token alone.
pub(super) fn from_our_page(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        None => true,
        Some(site) => matches!(site, b"same-origin" | b"none"),
    }
}

const SECURE: &str = "__Host-carnet-browser";
const PLAIN: &str = "carnet-browser";
