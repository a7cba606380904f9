//! Whether a server knows a client, asked before anybody relies on it.
//!
//! A server looks at the client before it looks at the grant (RFC 6749 §3.2.1), so a grant that cannot be one tells what
//! it thinks of the client. Some look at the grant first; then nothing is learned and nothing is refused.

use url::Url;

use super::client::{Client, Form, Format};
use super::failure::Phase;
use crate::driver::failure::{CallbackFault, DriverError, Vendor};

/// What a server says about a client.
pub(crate) enum Known {
    /// It looked at the grant.
    Yes,
    /// It does not know the client, or not by this proof.
    No(Vendor),
    /// It could not be asked, and why.
    Unasked(String),
}

/// By which grant the client is tried.
#[derive(Clone, Copy)]
pub(crate) enum By<'a> {
    /// An authorization code, for this redirect URI.
    Code(&'a str),
    /// An authorization code without a redirect URI, where none has to be said.
    CodeAlone,
    /// A refresh token: where a redirect URI that nobody has registered yet would be refused first.
    Refresh,
}

/// Tries a grant that is none.
pub(crate) async fn known(client: &Client<'_>, endpoint: &Url, by: By<'_>) -> Known {
    known_in(client, endpoint, by, Format::Form).await
}

/// The same, written as the server takes it.
pub(crate) async fn known_in(client: &Client<'_>, endpoint: &Url, by: By<'_>, format: Format) -> Known {
    let (form, phase) = match by {
        By::Code(redirect_uri) => {
            let mut form = Form::of("authorization_code");
            form.push("code", NONE);
            form.push("redirect_uri", redirect_uri);
            (form, Phase::Code)
        }
        By::CodeAlone => {
            let mut form = Form::of("authorization_code");
            form.push("code", NONE);
            (form, Phase::Code)
        }
        By::Refresh => {
            let mut form = Form::of("refresh_token");
            form.push("refresh_token", NONE);
            (form, Phase::Refresh)
        }
    };
    match client.token(endpoint, form.written_as(format), phase).await {
        // The grant was looked at, or the address before it.
        Err(
            DriverError::Callback(CallbackFault::CodeRefused { .. })
            | DriverError::Refused { .. }
            | DriverError::Gone { .. },
        ) => Known::Yes,
        Err(DriverError::ClientRejected { vendor }) => Known::No(vendor),
        Ok(_) => Known::Unasked("it took a grant that was none".to_owned()),
        Err(error) => Known::Unasked(error.to_string()),
    }
}

const NONE: &str = "is-this-client-known";
