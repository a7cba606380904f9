//! The session of a browser: its cookie, who is signed in, and the way to the page where one does.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use carnet_engine::{Broker, Session, Visitor};
use carnet_model::SecretString;
use url::form_urlencoded::byte_serialize;

use super::browser::cookie;
use super::consent::{failure, fault_page};
use crate::head::SeeOther;

/// What the cookie of a session holds, if there is one.
pub(super) struct Cookie(pub(super) Option<SecretString>);

impl FromRequestParts<Broker> for Cookie {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, broker: &Broker) -> Result<Self, Infallible> {
        Ok(Self(cookie(&parts.headers, name(broker)).map(SecretString::new)))
    }
}

/// Whoever is signed in; everybody else is led to the page to sign in, and back from there.
pub(super) struct SignedIn(pub(super) Session);

impl FromRequestParts<Broker> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, broker: &Broker) -> Result<Self, Response> {
        // A form cannot be posted again from where one comes back to.
        let back = if parts.method == axum::http::Method::GET {
            parts.uri.path_and_query().map_or("/account", axum::http::uri::PathAndQuery::as_str)
        } else {
            "/account"
        };
        match signed_in(broker, &parts.headers).await? {
            Some(session) => Ok(Self(session)),
            None => Err(to_sign_in(broker, "/login", back)),
        }
    }
}

/// Whoever is signed in, if somebody is.
pub(super) async fn signed_in(broker: &Broker, headers: &HeaderMap) -> Result<Option<Session>, Response> {
    let Some(secret) = cookie(headers, name(broker)) else { return Ok(None) };
    broker.session(&secret.into()).await.map_err(|fault| fault_page(broker, fault))
}

/// To the page to sign in, and back afterwards.
pub(super) fn to_sign_in(broker: &Broker, page: &str, back: &str) -> Response {
    let to: String = byte_serialize(back.as_bytes()).collect();
    match SeeOther::ours(&format!("{page}?to={to}")) {
        Some(there) => there.into_response(),
        None => failure(broker, StatusCode::BAD_REQUEST),
    }
}

/// A path of ours to go to after signing in; the own account, if what was given is none.
pub(super) fn after(text: &str) -> &str {
    let ours = text.starts_with('/')
        && !text.starts_with("//")
        && text.len() <= LONGEST
        && text.bytes().all(|byte| matches!(byte, b'!'..=b'~') && byte != b'\\');
    if ours { text } else { "/account" }
}

/// What is known of the browser besides its cookies.
pub(super) struct Visiting(pub(super) Visitor);

impl FromRequestParts<Broker> for Visiting {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Broker) -> Result<Self, Infallible> {
        let peer: Option<IpAddr> =
            parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let browser = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self(Visitor {
            address: Visitor::seen_by(&parts.headers, peer),
            browser: browser.unwrap_or_default().to_owned(),
        }))
    }
}

/// Gives the browser the cookie of its session. It goes with the browser; how long it is worth something is decided
/// here. `Lax`, because people come by links.
pub(super) fn keep(response: Response, broker: &Broker, secret: &SecretString) -> Response {
    set(response, broker, secret.expose(), "")
}

/// What this browser got when somebody signed in with a passphrase, by which it is known to that account.
pub(super) struct KnownBrowser(pub(super) Option<SecretString>);

impl FromRequestParts<Broker> for KnownBrowser {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, broker: &Broker) -> Result<Self, Infallible> {
        let name = if is_secure(broker) { KNOWN_SECURE } else { KNOWN };
        Ok(Self(cookie(&parts.headers, name).map(SecretString::new)))
    }
}

/// Makes the browser known to the account of this e-mail address, for as long as it keeps the cookie: it opens nothing.
/// `Strict`, because it is needed by our own form alone.
pub(super) fn make_known(mut response: Response, broker: &Broker, email: &str) -> Response {
    let (name, secure) = if is_secure(broker) { (KNOWN_SECURE, "; Secure") } else { (KNOWN, "") };
    let value = broker.known_browser(email);
    let text = format!(
        "{name}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={HALF_A_YEAR}{secure}",
        value.expose()
    );
    append(&mut response, &text);
    response
}

/// Takes the cookie away.
pub(super) fn drop_cookie(response: Response, broker: &Broker) -> Response {
    set(response, broker, "", "; Max-Age=0")
}

fn set(mut response: Response, broker: &Broker, value: &str, more: &str) -> Response {
    let name = name(broker);
    let secure = if name == SECURE { "; Secure" } else { "" };
    append(&mut response, &format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{more}{secure}"));
    response
}

fn append(response: &mut Response, cookie: &str) {
    if let Ok(mut value) = HeaderValue::from_str(cookie) {
        value.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// As for the cookie that binds a consent: by https the name that only this very host can set.
fn name(broker: &Broker) -> &'static str {
    if is_secure(broker) { SECURE } else { PLAIN }
}

fn is_secure(broker: &Broker) -> bool {
    broker.settings().url.scheme() == "https"
}

const SECURE: &str = "__Host-carnet-session";
const PLAIN: &str = "carnet-session";
const KNOWN_SECURE: &str = "__Host-carnet-known";
const KNOWN: &str = "carnet-known";
const HALF_A_YEAR: u32 = 180 * 24 * 60 * 60;
/// As long a path as browsers send without trouble.
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_signing_in_one_stays_here() {
        for ours in ["/", "/account", "/api/v1/connect/authorize/slack%2Fbot?teamId=team_1&scopes=*"] {
            assert_eq!(after(ours), ours);
        }
        let long = format!("/{}", "a".repeat(5000));
        for other in [
            "",
            "account",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a b",
            "/a\nb",
            "/é",
            &long,
        ] {
            assert_eq!(after(other), "/account", "{other}");
        }
    }
}
