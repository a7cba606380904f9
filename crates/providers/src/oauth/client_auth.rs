//! How a client proves itself at a token endpoint (RFC 6749 §2.3, OpenID Connect Core §9).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use carnet_model::SecretString;
use http::HeaderValue;
use url::form_urlencoded;

use super::client::Form;

/// The method, by its registered name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    /// `none`: a public client. It names itself and sends no secret, not even an empty one.
    None,
    /// `client_secret_basic`: in the `Authorization` header.
    Basic,
    /// `client_secret_post`: in the form.
    Post,
}

impl ClientAuth {
    /// The methods.
    pub(crate) const ALL: [Self; 3] = [Self::None, Self::Basic, Self::Post];

    /// The registered name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
        }
    }

    /// The method of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }

    /// Puts the proof into `form`, or gives the header that holds it.
    pub(crate) fn apply(
        self,
        id: &str,
        secret: Option<&SecretString>,
        form: &mut Form,
    ) -> Option<HeaderValue> {
        match (self, secret) {
            (Self::Basic, Some(secret)) => {
                form.remember(secret);
                return Some(basic(id, secret));
            }
            (Self::Post, Some(secret)) => {
                form.push("client_id", id);
                form.push_secret("client_secret", secret);
            }
            (Self::None, _) | (Self::Basic | Self::Post, None) => form.push("client_id", id),
        }
        None
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
