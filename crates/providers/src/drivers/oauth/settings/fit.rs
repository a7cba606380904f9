//! Whether a configuration can work at its server: what is asked of it is on, is offered there, and has what it needs.

use carnet_model::SecretString;

use super::super::account::Account;
use super::super::{client_assertion, exchange, jwt_bearer};
use super::{Options, Read, Settings};
use crate::driver::failure::BadConfiguration;
use crate::oauth::client_auth::ClientAuth;
use crate::oauth::device;
use crate::oauth::metadata::Server;

impl Settings {
    /// Refuses what cannot work at this server with any client. `discovered` says that the server spoke for itself.
    pub(in super::super) fn fit(
        options: &mut Options,
        server: &Server,
        discovered: bool,
    ) -> Result<(), BadConfiguration> {
        let bad =
            |field: &str, why: &str| Err(BadConfiguration { field: field.to_owned(), why: why.to_owned() });
        let entrance = if options.device { &server.device } else { &server.authorization };
        let unsaid = entrance.is_some() && options.installation.is_none();
        let user = options.user.enabled.get_or_insert(unsaid);
        let app = options.app.enabled.get_or_insert(false);
        let (user, app) = (*user, *app);
        let (asserted, exchanged) = (options.jwt_bearer.enabled, options.exchange.enabled);
        let installs = options.installation.is_some();
        if !user && !app && !asserted && !exchanged && !installs {
            return bad(
                "userAuthorization",
                "enable userAuthorization, installation, clientCredentials, jwtBearer or tokenExchange, or no token can \
                 be had",
            );
        }
        if installs && app {
            return bad(
                "clientCredentials.enabled",
                "an application that is installed has the token of its installation",
            );
        }
        if installs && !options.account.as_ref().is_some_and(Account::has_tenant) {
            return bad("account.tenant", "is missing: it says where the application was installed");
        }
        if installs && server.authorization.is_none() {
            return bad("serverConfig.authorization_endpoint", "is missing: installation needs it");
        }
        for (on, field, grant) in [
            (asserted, "jwtBearer.enabled", jwt_bearer::GRANT_TYPE),
            (exchanged, "tokenExchange.enabled", exchange::GRANT_TYPE),
        ] {
            if on && server.lacks_grant_type(grant) {
                return bad(field, &format!("the server does not offer the grant type {grant}"));
            }
        }
        if user && options.device && entrance.is_none() {
            return bad(
                "serverConfig.device_authorization_endpoint",
                "is missing: deviceAuthorization needs it",
            );
        }
        if user && options.device && server.lacks_grant_type(device::GRANT_TYPE) {
            return bad(
                "deviceAuthorization.enabled",
                "the server does not offer the grant type device_code",
            );
        }
        if user && entrance.is_none() {
            return bad("serverConfig.authorization_endpoint", "is missing: userAuthorization needs it");
        }
        if user && !options.device && server.lacks_grant_type("authorization_code") {
            return bad(
                "userAuthorization.enabled",
                "the server does not offer the grant type authorization_code",
            );
        }
        if app && server.lacks_grant_type("client_credentials") {
            return bad(
                "clientCredentials.enabled",
                "the server does not offer the grant type client_credentials",
            );
        }
        let challenges = server.document.challenge_methods.as_deref();
        if user && options.pkce_required && challenges.is_some_and(|known| !known.iter().any(|m| m == "S256"))
        {
            return bad(
                "pkceRequired",
                "the server does not offer PKCE by S256, which protects the authorization code; set this to false \
                 only if it has another protection",
            );
        }
        // The Model Context Protocol (revision 2026-07-28) and RFC 9700 §2.1.1: silence means no PKCE.
        if user
            && !options.device
            && options.pkce_required
            && discovered
            && options.resource.is_some()
            && challenges.is_none()
        {
            return bad(
                "pkceRequired",
                "the server of this resource does not say that it knows PKCE, so the authorization code would be \
                 unprotected; set this to false only if it has another protection",
            );
        }
        if !options.forwarded_claims.is_empty() && server.issuer().is_none() {
            return bad("serverConfig.issuer", "is missing: claims are forwarded only from a known issuer");
        }
        Ok(())
    }

    /// Completes a new configuration, once it [fits](Self::fit) and there is a client. `discovered` says that the server
    /// spoke for itself.
    pub(in super::super) fn complete(
        read: Read,
        server: Server,
        discovered: bool,
    ) -> Result<(Self, Option<SecretString>), BadConfiguration> {
        let Read { mut options, auth, secret, installation_token, .. } = read;
        let app = options.app.is_on();
        let bad =
            |field: &str, why: &str| Err(BadConfiguration { field: field.to_owned(), why: why.to_owned() });
        let auth = match auth {
            Some(auth) => auth,
            None => choose_auth(secret.is_some(), &server, discovered)?,
        };
        if auth == ClientAuth::PrivateKeyJwt {
            options.signing = client_assertion::signing_for(options.signing, &server)?;
        }
        if options.installation.as_ref().is_some_and(|one| one.own_token) && installation_token.is_none() {
            return bad(
                "installation.token",
                "is missing: it is the token that the application has everywhere",
            );
        }
        if options.disconnection.is_some() && secret.is_none() {
            return bad("clientSecret", "is missing: disconnection needs it");
        }
        match (auth, secret.is_some()) {
            (ClientAuth::None, true) => bad(
                "clientSecret",
                "a client of method none has no secret; remove it or choose another method",
            ),
            (ClientAuth::PrivateKeyJwt, true) => bad(
                "clientSecret",
                "a client of method private_key_jwt has no secret; remove it or choose another method",
            ),
            (ClientAuth::Basic | ClientAuth::Post, false) => {
                bad("clientSecret", "is missing: the method needs it")
            }
            (ClientAuth::None, false) if app => {
                bad("clientCredentials.enabled", "a public client cannot act for itself (RFC 6749 §4.4)")
            }
            _ => Ok((Self { options, server, auth }, secret)),
        }
    }
}

/// The method where none is configured: of those that the server lists the first that takes a secret and is known here, as
/// servers put the one first that they prefer. A server that speaks for itself and lists none means Basic (RFC 8414 §2); one
/// that was described by hand gets what most servers take, and what the wire contract has as its default.
fn choose_auth(has_secret: bool, server: &Server, discovered: bool) -> Result<ClientAuth, BadConfiguration> {
    if !has_secret {
        return Ok(ClientAuth::None);
    }
    let Some(known) = &server.document.client_auth_methods else {
        return Ok(if discovered { ClientAuth::Basic } else { ClientAuth::Post });
    };
    known
        .iter()
        .filter_map(|name| ClientAuth::parse(name))
        .find(|method| matches!(method, ClientAuth::Basic | ClientAuth::Post))
        .ok_or_else(|| BadConfiguration {
            field: "tokenEndpointAuthMethod".to_owned(),
            why: "the server lists no method that takes a client secret and is supported here".to_owned(),
        })
}
