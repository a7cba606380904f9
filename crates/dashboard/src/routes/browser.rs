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

impl FromRequestParts<Broker> for Browser {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, broker: &Broker) -> Result<Self, Infallible> {
        Ok(Self(cookie(&parts.headers, name(broker)).map(SecretString::new)))
    }
}

/// Which name is read and written: the one that only this very host can set, wherever it is reached by https. The other
/// could be planted there by a neighbour under the same domain, who would then know what binds the browser.
fn name(broker: &Broker) -> &'static str {
    if broker.settings().url.scheme() == "https" { SECURE } else { PLAIN }
}

pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let sound = |value: &str| value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit());
    pairs.find(|(found, value)| *found == name && sound(value)).map(|(_, value)| value.to_owned())
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
    let name = name(broker);
    let rest = if name == SECURE { "; Secure" } else { "" };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_of_another_name_does_not_say_which_browser_it_is() {
        let (planted, own) = ("a".repeat(64), "b".repeat(64));
        let mut headers = HeaderMap::new();
        let text = format!("{PLAIN}={planted}; other=1; {SECURE}={own}");
        headers.insert(header::COOKIE, HeaderValue::from_str(&text).unwrap());
        assert_eq!(cookie(&headers, SECURE), Some(own));
        headers.insert(header::COOKIE, HeaderValue::from_str(&format!("{PLAIN}={planted}")).unwrap());
        assert_eq!(cookie(&headers, SECURE), None);
        assert_eq!(cookie(&headers, PLAIN), Some(planted));
        headers.insert(header::COOKIE, HeaderValue::from_static("carnet-browser=short"));
        assert_eq!(cookie(&headers, PLAIN), None);
    }
}
