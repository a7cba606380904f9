//! How the server is to behave, checked once at the start.

use std::path::PathBuf;
use std::time::Duration;

use carnet_model::SecretString;
use carnet_model::grant::Rotation;
use url::{Position, Url};

use crate::ledger::StateError;

/// How the demo provider is to behave.
#[derive(Debug)]
pub struct Options {
    /// Its issuer: where [`crate::Demo::router`] is mounted, as the outside sees it; no slash at the end.
    pub issuer: Url,
    /// Who may ask.
    pub clients: Vec<ClientRegistration>,
    /// The file that lets grants survive a restart; without it they live in memory only.
    pub state: Option<PathBuf>,
    /// How long an access token is good for.
    pub access_life: Duration,
    /// How long a refresh token is good for, counted from when it was issued.
    pub refresh_life: Duration,
    /// What becomes of a refresh token that was used.
    pub rotation: Rotation,
}

/// One client, as registered. It is confidential and authenticates with its secret.
#[derive(Debug)]
pub struct ClientRegistration {
    /// Its identifier; the consent page shows it.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
    /// Where a browser may be sent back to, compared character by character.
    pub redirect_uris: Vec<String>,
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The issuer is not one by RFC 8414 §2.
    #[error("the issuer must be an http or https address without query, fragment, user or slash at the end")]
    Issuer,
    /// A client that nobody could use, or that cannot be told from another.
    #[error("client {number}: {why}")]
    Client {
        /// Which one, counted from 1.
        number: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A lifetime that makes no sense.
    #[error("{which} must be at least one second and at most ten years")]
    Life {
        /// The option.
        which: &'static str,
    },
    /// The state file cannot be taken up.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Options {
    /// The usual behaviour, without clients and in memory: access for an hour, refresh tokens for thirty days, each
    /// good for one use.
    pub const fn new(issuer: Url) -> Self {
        Self {
            issuer,
            clients: Vec::new(),
            state: None,
            access_life: Duration::from_hours(1),
            refresh_life: Duration::from_hours(30 * 24),
            rotation: Rotation::Strict,
        }
    }
}

/// An issuer that was checked.
pub(crate) struct Issuer {
    text: String,
    origin: String,
    path: String,
    secure: bool,
}

impl Issuer {
    pub(crate) fn new(url: &Url) -> Result<Self, OpenError> {
        let plain = url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let web = matches!(url.scheme(), "http" | "https") && url.has_host();
        // `Url` writes the empty path as a slash; any other slash at the end is the caller's.
        let path = if url.path() == "/" { "" } else { url.path() };
        if !plain || !web || path.ends_with('/') {
            return Err(OpenError::Issuer);
        }
        let origin = url[..Position::BeforePath].to_owned();
        Ok(Self {
            text: format!("{origin}{path}"),
            origin,
            path: path.to_owned(),
            secure: url.scheme() == "https",
        })
    }

    /// As it stands in the metadata and in `iss`.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The path, empty at the root.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Whether it is reached over TLS.
    pub(crate) const fn secure(&self) -> bool {
        self.secure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_an_address_and_nothing_more() {
        for (text, path) in [
            ("http://127.0.0.1:7070/demo", Some("/demo")),
            ("https://demo.example", Some("")),
            ("https://demo.example/a/b", Some("/a/b")),
            ("http://127.0.0.1:7070/demo/", None),
            ("http://127.0.0.1:7070/demo?x=1", None),
            ("http://127.0.0.1:7070/demo#x", None),
            ("http://ada@127.0.0.1:7070/demo", None),
            ("ftp://127.0.0.1/demo", None),
        ] {
            let issuer = Issuer::new(&Url::parse(text).unwrap());
            assert_eq!(issuer.as_ref().ok().map(Issuer::path), path, "{text}");
            if let Ok(issuer) = issuer {
                assert_eq!(issuer.as_str(), text);
            }
        }
    }
}
