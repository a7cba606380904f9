//! How a client that is registered, or is the address of a document of ours, proves itself.

use super::super::settings::Read;
use crate::driver::NewConnector;
use crate::oauth::client_auth::ClientAuth;
use crate::oauth::metadata::Server;
use crate::oauth::registration::RegistrationError;

/// A method that both know, and what is tried where the server does not take it: some have public clients alone, and say
/// nothing of that or list more. Of the methods that take a secret the server's first is taken, as servers put the one
/// first that they prefer. A server that lists none takes a secret in the header (RFC 8414 §2). A key comes last, because
/// the server has to be able to fetch its public half from here.
pub(super) fn choose(server: &Server, public_will_do: bool) -> Option<(ClientAuth, Option<ClientAuth>)> {
    let listed = server.document.client_auth_methods.as_deref();
    let mut order: Vec<ClientAuth> = match listed {
        None => vec![ClientAuth::Basic],
        Some(known) => known
            .iter()
            .filter_map(|name| ClientAuth::parse(name))
            .filter(|auth| takes_secret(*auth))
            .collect(),
    };
    if public_will_do && (listed.is_none() || knows(server, ClientAuth::None)) {
        order.push(ClientAuth::None);
    }
    if knows(server, ClientAuth::PrivateKeyJwt) {
        order.push(ClientAuth::PrivateKeyJwt);
    }
    let first = *order.first()?;
    let others = || order.iter().copied().filter(|auth| *auth != first);
    let other = others().find(|auth| *auth == ClientAuth::None).or_else(|| others().next());
    Some((first, other))
}

pub(super) fn knows(server: &Server, auth: ClientAuth) -> bool {
    match &server.document.client_auth_methods {
        Some(known) => known.iter().any(|name| name == auth.as_str()),
        None => auth == ClientAuth::Basic,
    }
}

/// How a client proves itself that is the address of a document of ours, if it can be one. There is no secret in the
/// document.
pub(super) fn by_document(ask: &NewConnector<'_>, read: &Read, server: &Server) -> Option<ClientAuth> {
    if !server.reads_client_documents() || !ask.client_document.starts_with("https://") {
        return None;
    }
    let app = read.options.app.is_on();
    // A server that lists no method means one that takes a secret (RFC 8414 §2), and has to register whoever gets one.
    let unsaid = server.document.client_auth_methods.is_none() && server.registration.is_none();
    let public = !app && (knows(server, ClientAuth::None) || unsaid);
    let by_key = knows(server, ClientAuth::PrivateKeyJwt);
    match read.auth {
        None | Some(ClientAuth::None) if public => Some(ClientAuth::None),
        // What acts for itself is rather registered, where it can be: servers give more to whom they know.
        None if by_key && (!app || server.registration.is_none()) => Some(ClientAuth::PrivateKeyJwt),
        Some(ClientAuth::PrivateKeyJwt) if by_key || unsaid => Some(ClientAuth::PrivateKeyJwt),
        _ => None,
    }
}

/// Whether a refusal may be about how the client was to prove itself: RFC 7591 §3.2.2 has one name for whatever is wrong
/// with the metadata, and another for redirect URIs.
pub(super) fn is_about_the_method(error: &RegistrationError) -> bool {
    let RegistrationError::Refused(vendor) = error else { return false };
    vendor.status == 400 && matches!(vendor.error.as_str(), "invalid_client_metadata" | "invalid_request")
}

/// Whether a client proves itself with a secret.
pub(in crate::drivers::oauth) fn takes_secret(auth: ClientAuth) -> bool {
    matches!(auth, ClientAuth::Basic | ClientAuth::Post)
}
