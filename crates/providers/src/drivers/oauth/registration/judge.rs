//! What came of a wish to be registered: whether it will do, and what is said where it does not.

use carnet_model::Time;

use super::method::takes_secret;
use crate::driver::failure::{BadConfiguration, NotAccepted};
use crate::oauth::client_auth::ClientAuth;
use crate::oauth::metadata::Server;
use crate::oauth::registration::{Ends, Registered, RegistrationError, Wish};

/// What the server made of the wish: what is needed must be there, and nothing else may lead people elsewhere.
/// `has_secret` says that the client has one from before.
pub(in crate::drivers::oauth) fn judge(
    registered: &Registered,
    wish: &Wish,
    auth: ClientAuth,
    has_secret: bool,
    now: Time,
) -> Result<ClientAuth, BadConfiguration> {
    let bad = |field: &str, why: String| BadConfiguration { field: field.to_owned(), why };
    let foreign = registered.redirect_uris.as_ref().filter(|uris| wish.redirect_uri.iter().ne(uris.iter()));
    if wish.redirect_uri.is_some() && foreign.is_some() {
        return Err(bad(
            "clientId",
            "the server registered other redirect URIs than the one that was asked for".to_owned(),
        ));
    }
    let missing = registered.grant_types.as_ref().and_then(|given| {
        let needed = wish.grant_types.iter().filter(|name| **name != "refresh_token");
        needed.into_iter().find(|name| !given.iter().any(|given| given == *name))
    });
    if let Some(missing) = missing {
        let field = if *missing == "client_credentials" {
            "clientCredentials.enabled"
        } else {
            "userAuthorization.enabled"
        };
        return Err(bad(
            field,
            format!(
                "the server registers clients only without the grant type {missing}; register one by hand, or do without"
            ),
        ));
    }
    let auth = match registered.auth.as_deref() {
        // A key is published only where it was meant to be used.
        Some("private_key_jwt") if auth != ClientAuth::PrivateKeyJwt => {
            return Err(bad(
                "tokenEndpointAuthMethod",
                "the server wants private_key_jwt; choose it, and try again".to_owned(),
            ));
        }
        None => auth,
        Some(name) => ClientAuth::parse(name).ok_or_else(|| {
            bad(
                "tokenEndpointAuthMethod",
                "the server registered a method that is not supported here".to_owned(),
            )
        })?,
    };
    if takes_secret(auth) && registered.secret.is_none() && !has_secret {
        return Err(bad(
            "clientSecret",
            "the server registered a client that needs a secret, and gave none".to_owned(),
        ));
    }
    if let Ends::At(end) = registered.secret_ends
        && takes_secret(auth)
        && end <= now
    {
        let end = end.secs();
        return Err(bad(
            "clientSecret",
            format!(
                "the secret that the server gave the client is over already (client_secret_expires_at is {end}); \
                 register one by hand and give clientId and clientSecret"
            ),
        ));
    }
    Ok(auth)
}

pub(super) fn nothing_to_register(server: &Server, redirect_uri: Option<&str>) -> BadConfiguration {
    if let Some(elsewhere) = &server.document.registration_elsewhere {
        return BadConfiguration {
            field: "clientId".to_owned(),
            why: format!(
                "is missing, and the server registers clients at {}, which is neither the issuer's host nor below it, so \
                 nobody is registered there by itself: register a client by hand and give its clientId and clientSecret, \
                 or, if that address is right, write issuer, authorization_endpoint, token_endpoint and \
                 registration_endpoint into serverConfig yourself",
                elsewhere.chars().filter(char::is_ascii_graphic).take(200).collect::<String>()
            ),
        };
    }
    let issuer = server.issuer().map(|issuer| format!(" at {issuer}")).unwrap_or_default();
    let uri = redirect_uri.map(|uri| format!(", with the redirect URI {uri}")).unwrap_or_default();
    BadConfiguration {
        field: "clientId".to_owned(),
        why: format!(
            "is missing, and the server registers no clients by itself: register one{issuer}{uri}, and give its clientId \
             and clientSecret"
        ),
    }
}

pub(super) fn not_registered(error: &RegistrationError) -> NotAccepted {
    if let RegistrationError::Later(_, retry_after) = error {
        return NotAccepted::Later { why: error.to_string(), retry_after: *retry_after };
    }
    let wants_token =
        matches!(error, RegistrationError::Refused(vendor) if matches!(vendor.status, 401 | 403));
    let (field, remedy) = if wants_token {
        ("initialAccessToken", "it asks for an initial access token that it takes")
    } else {
        ("clientId", "register a client by hand and give clientId and clientSecret, or try again later")
    };
    BadConfiguration { field: field.to_owned(), why: format!("{error}; {remedy}") }.into()
}
