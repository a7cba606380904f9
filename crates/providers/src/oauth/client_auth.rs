//! How a client proves itself at a token endpoint (RFC 6749 §2.3, OpenID Connect Core §9).

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use carnet_model::{Env, SecretString, Time};
use http::HeaderValue;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::assertion::Assertion;
use super::client::Form;
use crate::driver::failure::DriverError;
use crate::driver::signer::Signer;

/// The method, by its registered name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    /// `none`: a public client. It names itself and sends no secret, not even an empty one.
    None,
    /// `client_secret_basic`: in the `Authorization` header.
    Basic,
    /// `client_secret_post`: in the form.
    Post,
    /// `private_key_jwt`: an assertion in the form, signed by the connector's own key (RFC 7523 §2.2).
    PrivateKeyJwt,
}

impl ClientAuth {
    /// The methods.
    pub(crate) const ALL: [Self; 4] = [Self::None, Self::Basic, Self::Post, Self::PrivateKeyJwt];

    /// The registered name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// The method of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }
}

/// What a client proves itself with.
pub(crate) enum Proof<'a> {
    /// Nothing is said about who asks.
    Unsaid,
    /// A public client: its name alone.
    Name,
    /// A secret in the `Authorization` header.
    Basic(&'a SecretString),
    /// A secret in the form.
    Post(&'a SecretString),
    /// An assertion, signed anew for every request.
    Assertion(ClientAssertion<'a>),
}

/// How a client's assertion is made.
pub(crate) struct ClientAssertion<'a> {
    pub signer: &'a dyn Signer,
    pub audience: &'a str,
    /// By whom and about whom, if not by the client about itself.
    pub issuer: Option<&'a str>,
    pub subject: Option<&'a str>,
    pub life: Duration,
    pub claims: &'a Map<String, Value>,
}

impl Proof<'_> {
    /// Puts the proof into `form`, or gives the header that holds it. `now` is the time at the server.
    pub(crate) fn apply(
        &self,
        id: &str,
        env: &Env,
        now: Time,
        form: &mut Form,
    ) -> Result<Option<HeaderValue>, DriverError> {
        match self {
            Self::Unsaid => {}
            Self::Name => form.push("client_id", id),
            Self::Basic(secret) => {
                form.remember(secret);
                return Ok(Some(basic(id, secret)));
            }
            Self::Post(secret) => {
                form.push("client_id", id);
                form.push_secret("client_secret", secret);
            }
            Self::Assertion(ClientAssertion { signer, audience, issuer, subject, life, claims }) => {
                // RFC 7523 §3: the client is issuer and subject of what it says about itself.
                let assertion = Assertion {
                    issuer: issuer.unwrap_or(id),
                    subject: subject.unwrap_or(id),
                    audience,
                    life: *life,
                    claims: (*claims).clone(),
                };
                form.push("client_id", id);
                form.push("client_assertion_type", ASSERTION_TYPE);
                form.push_secret("client_assertion", &assertion.sign(*signer, env, now)?);
            }
        }
        Ok(None)
    }
}

/// RFC 6749 §2.3.1: identifier and secret are form-encoded each before they are joined.
fn basic(id: &str, secret: &SecretString) -> HeaderValue {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = SecretString::new(format!("{}:{}", encoded(id), encoded(secret.expose())));
    let text = SecretString::new(format!("Basic {}", BASE64_STANDARD.encode(pair.expose())));
    // Base64 is always a header value.
    let mut value =
        HeaderValue::from_str(text.expose()).unwrap_or_else(|_| HeaderValue::from_static("Basic"));
    value.set_sensitive(true);
    value
}

/// RFC 7523 §2.2
pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifier_and_secret_are_form_encoded_in_the_header() {
        let header = basic("s6 B:h", &SecretString::new("7F+j%é".to_owned()));
        let text = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(BASE64_STANDARD.decode(text).unwrap(), b"s6+B%3Ah:7F%2Bj%25%C3%A9");
        assert!(header.is_sensitive());
    }
}
