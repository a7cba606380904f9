//! Registered clients, and how one proves to be itself.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use carnet_model::{Secret, SecretString};
use url::Url;

use crate::answer::Refused;
use crate::form::{Form, decode};
use crate::opaque::Digest;
use crate::options::{ClientRegistration, OpenError};

/// A client, with the digest of its secret.
pub(crate) struct Client {
    pub(crate) id: String,
    secret: Digest,
    redirect_uris: Vec<String>,
}

/// All of them.
pub(crate) struct Clients(Vec<Client>);

impl Clients {
    pub(crate) fn new(registrations: Vec<ClientRegistration>) -> Result<Self, OpenError> {
        let mut clients: Vec<Client> = Vec::with_capacity(registrations.len());
        for registration in registrations {
            let number = clients.len() + 1;
            let refuse = |why| Err(OpenError::Client { number, why });
            // RFC 6749, appendix A.1.
            let printable = registration.client_id.bytes().all(|byte| matches!(byte, 0x20..=0x7e));
            if registration.client_id.is_empty() || !printable {
                return refuse("the client id must be printable ASCII and not empty");
            }
            if clients.iter().any(|client| client.id == registration.client_id) {
                return refuse("the client id is taken");
            }
            if registration.client_secret.expose().is_empty() {
                return refuse("the secret must not be empty");
            }
            if !registration.redirect_uris.iter().all(|uri| is_redirect_uri(uri)) {
                return refuse("redirect URIs must be absolute and without fragment");
            }
            clients.push(Client {
                id: registration.client_id,
                secret: Digest::of(registration.client_secret.expose()),
                redirect_uris: registration.redirect_uris,
            });
        }
        Ok(Self(clients))
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Client> {
        self.0.iter().find(|client| client.id == id)
    }

    /// Whoever sent this request, by `client_secret_basic` or `client_secret_post` (RFC 6749 §2.3.1).
    pub(crate) fn authenticate(&self, headers: &HeaderMap, form: &Form) -> Result<&Client, Refused> {
        let (id, secret) = credentials(headers, form)?;
        let presented = Digest::of(secret.expose());
        let client = self.find(&id).ok_or(Refused::invalid_client())?;
        if client.secret.equals(&presented) { Ok(client) } else { Err(Refused::invalid_client()) }
    }
}

impl Client {
    /// Whether a browser may be sent there. Compared as text (RFC 9700 §2.1).
    pub(crate) fn may_return_to(&self, uri: &str) -> bool {
        self.redirect_uris.iter().any(|registered| registered == uri)
    }
}

/// The presented id and secret. There is one way to present them in one request, not two.
fn credentials(headers: &HeaderMap, form: &Form) -> Result<(String, SecretString), Refused> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let Some(line) = lines.next() else {
        let (Some(id), Some(secret)) = (form.get("client_id"), form.get("client_secret")) else {
            return Err(Refused::invalid_client());
        };
        return Ok((id.to_owned(), Secret::new(secret.to_owned())));
    };
    if lines.next().is_some() || form.get("client_secret").is_some() {
        return Err(Refused::invalid_request("The client must authenticate in one way, not in several."));
    }
    let (id, secret) = line.to_str().ok().and_then(parse_basic).ok_or(Refused::invalid_client())?;
    if form.get("client_id").is_some_and(|named| named != id) {
        return Err(Refused::invalid_request("The body names another client than the Authorization header."));
    }
    Ok((id, secret))
}

/// `Basic` with both halves form-encoded before they were joined (RFC 6749 §2.3.1).
fn parse_basic(line: &str) -> Option<(String, SecretString)> {
    let (scheme, rest) = line.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let joined = Secret::new(String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?);
    let (id, secret) = joined.expose().split_once(':')?;
    Some((decode(id)?, Secret::new(decode(secret)?)))
}

fn is_redirect_uri(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.fragment().is_none() && url.host_str().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(id: &str, secret: &str, uri: &str) -> ClientRegistration {
        ClientRegistration {
            client_id: id.to_owned(),
            client_secret: Secret::new(secret.to_owned()),
            redirect_uris: vec![uri.to_owned()],
        }
    }

    #[test]
    fn a_client_nobody_could_use_is_refused_at_the_start() {
        let good = || registration("a", "s", "http://127.0.0.1:1/cb");
        assert!(Clients::new(vec![good(), registration("b", "s", "https://app.example/cb?x=1")]).is_ok());
        for bad in [
            registration("", "s", "http://127.0.0.1:1/cb"),
            registration("ä", "s", "http://127.0.0.1:1/cb"),
            registration("b", "", "http://127.0.0.1:1/cb"),
            registration("b", "s", "/cb"),
            registration("b", "s", "http://127.0.0.1:1/cb#x"),
            good(),
        ] {
            assert!(matches!(Clients::new(vec![good(), bad]), Err(OpenError::Client { number: 2, .. })));
        }
    }
}
