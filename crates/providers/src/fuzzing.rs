//! The readers of what strangers send as plain functions, for the fuzz targets alone.

use http::StatusCode;
use url::Url;

use crate::oauth::callback as callbacks;
use crate::oauth::discovery;
use crate::oauth::metadata::Server;
use crate::oauth::token_answer::{self, Spoken};

/// What a token endpoint said.
pub enum Answer {
    /// Access, refresh and ID token, as far as they are there.
    Issued {
        /// The tokens.
        tokens: Vec<String>,
        /// How long the access token lives.
        expires_in: Option<u64>,
        /// What `{:?}` makes of it.
        printed: String,
    },
    /// An error, in the server's words.
    Refused(String),
    /// Nothing that can be understood.
    Nothing,
}

/// Reads an answer of a token endpoint.
pub fn token_answer(status: u16, content_type: Option<&str>, body: &[u8]) -> Answer {
    let Ok(status) = StatusCode::from_u16(status) else { return Answer::Nothing };
    match token_answer::read(status, content_type, body) {
        Spoken::Issued(issued) => {
            let printed = format!("{issued:?}");
            let others = [issued.refresh.as_ref(), issued.id_token.as_ref()];
            // Without an access token there is something to renew with.
            let access = Some(&issued.access).filter(|access| !access.expose().is_empty());
            assert!(access.is_some() || (issued.flaw.is_some() && issued.refresh.is_some()));
            let tokens = [access].into_iter().chain(others).flatten();
            Answer::Issued {
                tokens: tokens.map(|token| token.expose().clone()).collect(),
                expires_in: issued.expires_in,
                printed,
            }
        }
        Spoken::Refusal(refusal) => Answer::Refused(refusal.error),
        Spoken::Nothing(_) => Answer::Nothing,
    }
}

/// The code of a callback, if it is taken.
pub fn callback(params: &[(String, String)], issuer: Option<&str>, names_itself: bool) -> Option<String> {
    callbacks::code(params, issuer, names_itself).ok().map(|code| code.expose().clone())
}

/// The endpoints of a metadata document that was found under the address of `issuer`, if it is taken.
pub fn metadata(issuer: &str, body: &[u8], check: impl Fn(&str) -> Result<Url, String>) -> Option<Vec<Url>> {
    let home = Url::parse(issuer).ok()?;
    let document = discovery::read(StatusCode::OK, body).ok()?;
    let sound = document.issuer.as_deref() == Some(issuer)
        && document.endpoints().all(|(_, endpoint)| discovery::is_at_home(&home, endpoint));
    if !sound {
        return None;
    }
    let server = Server::new(document, check).ok()?;
    let others = [server.authorization, server.revocation];
    Some([Some(server.token)].into_iter().chain(others).flatten().collect())
}

/// Whether what GitHub says of a token is what was asked: `contents:read` at the repository `api`.
pub fn github_reach(body: &[u8]) -> bool {
    crate::drivers::github_reach(body)
}

/// The origin that a name of a Snowflake account leads to, if it is one.
pub fn snowflake_origin(text: &str) -> Option<String> {
    crate::drivers::snowflake_origin(text)
}
