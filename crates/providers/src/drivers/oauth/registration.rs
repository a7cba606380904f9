//! The client of a connector whose owner brings none: an address of ours that the server reads, or a registration that
//! is made there, in this order, which is that of the Model Context Protocol (revision 2026-07-28). Behind an address of
//! ours is a public client with PKCE, which is what every such server takes; where a server does without those, or the
//! connector is to prove itself by its key, the document says where the key is.
//!
//! A client is registered once, at one issuer and for one redirect URI, and belongs to them. What was registered is
//! remembered in `data`, so that a change of the connector can be told to the server; the secrets of it are secrets of
//! the connector.

use carnet_model::{Id, SecretString, Time, kind};
use serde_json::{Map, Value, json};
use url::Url;

use super::client_assertion::signing_for;
use super::settings::{Options, Read};
use crate::driver::NewConnector;
use crate::driver::failure::BadConfiguration;
use crate::driver::signer::jwks_url;
use crate::fields::Fields;
use crate::oauth::client_auth::ClientAuth;
use crate::oauth::discovery::is_at_home;
use crate::oauth::metadata::Server;
use crate::oauth::registration::{Registered, Registrar, RegistrationError, Wish};

/// What is remembered about a client that was not brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Registration {
    /// The client it is about: one that is set by hand later makes it void.
    pub client_id: String,
    pub way: Way,
    /// When the secret ends, if it does.
    pub secret_ends: Option<Time>,
}

/// How the client came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It is the address of a document of ours.
    Document,
    /// It was registered.
    Dynamic {
        /// Where the registration is looked after (RFC 7592), if the server offers that.
        uri: Option<String>,
        /// The metadata as it was last sent.
        sent: Map<String, Value>,
        /// What the server registered besides: it is said again with every change (RFC 7592 §2.2).
        given: Map<String, Value>,
    },
}

impl Registration {
    /// Reads `clientRegistration`, and the token in it if it is there.
    pub(super) fn read(
        fields: &mut Fields,
        client_id: &str,
    ) -> Result<(Option<Self>, Option<SecretString>), BadConfiguration> {
        let Some(mut inner) = fields.object("clientRegistration")? else { return Ok((None, None)) };
        let token = inner.secret("accessToken")?;
        let about = inner.text("clientId")?.ok_or_else(|| inner.bad("clientId", "is missing"))?;
        let ends = inner.number("secretExpiresAt")?.and_then(|millis| i64::try_from(millis).ok());
        let uri = inner.text("uri")?;
        let mut object = |name: &str| match inner.any(name) {
            None => Ok(Map::new()),
            Some(Value::Object(members)) => Ok(members),
            Some(_) => Err(inner.bad(name, "must be an object")),
        };
        let (sent, given) = (object("metadata")?, object("registered")?);
        let way = match inner.text("method")?.as_deref() {
            Some("document") => Way::Document,
            Some("dynamic") => Way::Dynamic { uri, sent, given },
            _ => return Err(inner.bad("method", "must be dynamic or document")),
        };
        inner.finish()?;
        if about != client_id {
            return Ok((None, None));
        }
        Ok((Some(Self { client_id: about, way, secret_ends: ends.map(Time::from_millis) }), token))
    }

    /// As stored and shown.
    pub(super) fn to_json(&self) -> Value {
        let mut out = json!({"clientId": self.client_id});
        let Some(object) = out.as_object_mut() else { return out };
        let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
        match &self.way {
            Way::Document => put("method", "document".into()),
            Way::Dynamic { uri, sent, given } => {
                if let Some(uri) = uri {
                    put("uri", uri.clone().into());
                }
                if !given.is_empty() {
                    put("registered", given.clone().into());
                }
                put("metadata", sent.clone().into());
                put("method", "dynamic".into())
            }
        };
        if let Some(ends) = self.secret_ends {
            put("secretExpiresAt", ends.millis().into());
        }
        out
    }
}

/// Gets a client for a configuration that names none.
pub(super) async fn obtain(
    ask: &NewConnector<'_>,
    read: &mut Read,
    server: &Server,
    redirect_uri: Option<&str>,
) -> Result<(), BadConfiguration> {
    if let Some(auth) = by_document(ask, read, server) {
        if auth == ClientAuth::PrivateKeyJwt {
            read.options.signing = signing_for(read.options.signing, server)?;
        }
        ask.client_document.clone_into(&mut read.options.client_id);
        read.auth = Some(auth);
        read.options.registration = Some(Registration {
            client_id: ask.client_document.to_owned(),
            way: Way::Document,
            secret_ends: None,
        });
        return Ok(());
    }
    let Some(endpoint) = &server.registration else { return Err(nothing_to_register(server, redirect_uri)) };
    let (mut auth, other) = match read.auth {
        Some(auth) => (auth, None),
        None => choose(server, !read.options.app.is_on()).ok_or_else(|| BadConfiguration {
            field: "tokenEndpointAuthMethod".to_owned(),
            why: "the server lists no method of client authentication that is supported here".to_owned(),
        })?,
    };
    let registrar = Registrar { http: ask.http, tenant: ask.tenant };
    let mut wish = wish_for(ask, read, server, redirect_uri, auth)?;
    let mut answer = registrar.register(endpoint, &wish, read.initial.as_ref()).await;
    if let (Err(refused), Some(other)) = (&answer, other)
        && is_about_the_method(refused)
        && let Ok(instead) = wish_for(ask, read, server, redirect_uri, other)
        && let Ok(registered) = registrar.register(endpoint, &instead, read.initial.as_ref()).await
    {
        // What is not taken either is refused for the first reason.
        (auth, wish, answer) = (other, instead, Ok(registered));
    }
    let registered = answer.map_err(|error| not_registered(&error))?;
    let judged = judge(&registered, &wish, auth, false).or_else(|bad| {
        // Some servers say no more than the identifier of what they registered. One that has public clients and gives
        // no secret has made one.
        let is_public = bad.field == "clientSecret" && registered.auth.is_none();
        let will_do = read.auth.is_none() && !read.options.app.is_on() && knows(server, ClientAuth::None);
        if is_public && will_do { Ok(ClientAuth::None) } else { Err(bad) }
    });
    match judged {
        Ok(auth) => {
            keep(read, registered, &wish, auth, server);
            Ok(())
        }
        Err(bad) => {
            // Nobody will use it. If it cannot be taken back, the server has one client more.
            if let (Some(uri), Some(token)) = (home(server, registered.uri.as_deref()), &registered.token) {
                let _ = registrar.remove(&uri, token).await;
            }
            Err(bad)
        }
    }
}

/// The client that is asked for, if it is to prove itself this way.
fn wish_for(
    ask: &NewConnector<'_>,
    read: &mut Read,
    server: &Server,
    redirect_uri: Option<&str>,
    auth: ClientAuth,
) -> Result<Wish, BadConfiguration> {
    let by_key = auth == ClientAuth::PrivateKeyJwt;
    if by_key {
        // Before there is a client that nobody could prove.
        read.options.signing = signing_for(read.options.signing, server)?;
    }
    let mut wish = wish(ask.name, &read.options, server, redirect_uri, auth);
    wish.logo_uri = ask.icon.zip(redirect_uri).and_then(|(icon, ours)| logo(ours, ask.connector, icon));
    wish.jwks_uri = by_key.then(|| jwks_url(ask.callback_base, ask.connector));
    Ok(wish)
}

/// Whether a refusal may be about how the client was to prove itself: RFC 7591 §3.2.2 has one name for whatever is wrong
/// with the metadata, and another for redirect URIs.
fn is_about_the_method(error: &RegistrationError) -> bool {
    let RegistrationError::Refused(vendor) = error else { return false };
    vendor.status == 400 && matches!(vendor.error.as_str(), "invalid_client_metadata" | "invalid_request")
}

/// How a client proves itself that is the address of a document of ours, if it can be one. There is no secret in the
/// document.
fn by_document(ask: &NewConnector<'_>, read: &Read, server: &Server) -> Option<ClientAuth> {
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

fn keep(read: &mut Read, registered: Registered, wish: &Wish, auth: ClientAuth, server: &Server) {
    let uri = home(server, registered.uri.as_deref()).map(String::from);
    read.options.client_id.clone_from(&registered.client_id);
    read.auth = Some(auth);
    // A client that proves itself without a secret sends none, even if the server gave it one.
    read.secret = registered.secret.filter(|_| takes_secret(auth));
    read.registration_token = registered.token.filter(|_| uri.is_some());
    read.options.registration = Some(Registration {
        client_id: registered.client_id,
        way: Way::Dynamic { uri, sent: wish.to_json(), given: registered.given },
        secret_ends: registered.secret_ends.filter(|_| read.secret.is_some()),
    });
}

/// Where a registration is looked after: only ever at the server's own host, because the token goes there.
pub(super) fn home(server: &Server, uri: Option<&str>) -> Option<Url> {
    let endpoint = server.registration.as_ref()?;
    let uri = uri.filter(|uri| is_at_home(endpoint, uri))?;
    Url::parse(uri).ok().filter(|url| url.scheme() == endpoint.scheme() && url.fragment().is_none())
}

/// What the server made of the wish: what is needed must be there, and nothing else may lead people elsewhere.
/// `has_secret` says that the client has one from before.
pub(super) fn judge(
    registered: &Registered,
    wish: &Wish,
    auth: ClientAuth,
    has_secret: bool,
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
    Ok(auth)
}

/// Whether a client proves itself with a secret.
pub(super) fn takes_secret(auth: ClientAuth) -> bool {
    matches!(auth, ClientAuth::Basic | ClientAuth::Post)
}

/// The client as the connector needs it. `name` is the connector's.
pub(super) fn wish(
    name: &str,
    options: &Options,
    server: &Server,
    redirect_uri: Option<&str>,
    auth: ClientAuth,
) -> Wish {
    let mut grant_types = Vec::new();
    if options.user.is_on() {
        grant_types.push(if options.device {
            crate::oauth::device::GRANT_TYPE
        } else {
            "authorization_code"
        });
        if options.refresh && !server.lacks_grant_type("refresh_token") {
            grant_types.push("refresh_token");
        }
    }
    if options.app.is_on() {
        grant_types.push("client_credentials");
    }
    Wish {
        name: options.client_name.as_deref().unwrap_or(name).to_owned(),
        redirect_uri: redirect_uri.map(str::to_owned),
        grant_types,
        auth: auth.as_str(),
        signing: options.signing.filter(|_| auth == ClientAuth::PrivateKeyJwt),
        detail_types: server.document.detail_types.clone().unwrap_or_default(),
        jwks_uri: None,
        logo_uri: None,
    }
}

/// Where the picture of a connector is, beside another address of ours. Servers show it to people on pages that are
/// https, and some refuse a client whose picture is not.
pub(super) fn logo(address: &str, connector: Id<kind::Connector>, icon: &str) -> Option<String> {
    let ours = Url::parse(address).ok().filter(|url| url.scheme() == "https")?;
    ours.join(&format!("/pictures/{connector}/{icon}")).ok().map(String::from)
}

/// Where the keys of a connector are, beside another address of ours.
pub(super) fn keys(address: &str, connector: Id<kind::Connector>) -> Option<String> {
    let ours = Url::parse(address).ok()?;
    Some(jwks_url(&ours.origin().ascii_serialization(), connector))
}

/// A method that both know, and what is tried where the server does not take it: some have public clients alone, and say
/// nothing of that or list more. Of the methods that take a secret the server's first is taken, as servers put the one
/// first that they prefer. A server that lists none takes a secret in the header (RFC 8414 §2). A key comes last, because
/// the server has to be able to fetch its public half from here.
fn choose(server: &Server, public_will_do: bool) -> Option<(ClientAuth, Option<ClientAuth>)> {
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

fn knows(server: &Server, auth: ClientAuth) -> bool {
    match &server.document.client_auth_methods {
        Some(known) => known.iter().any(|name| name == auth.as_str()),
        None => auth == ClientAuth::Basic,
    }
}

fn nothing_to_register(server: &Server, redirect_uri: Option<&str>) -> BadConfiguration {
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

fn not_registered(error: &RegistrationError) -> BadConfiguration {
    let wants_token =
        matches!(error, RegistrationError::Refused(vendor) if matches!(vendor.status, 401 | 403));
    let (field, remedy) = if wants_token {
        ("initialAccessToken", "it asks for an initial access token that it takes")
    } else {
        ("clientId", "register a client by hand and give clientId and clientSecret, or try again later")
    };
    BadConfiguration { field: field.to_owned(), why: format!("{error}; {remedy}") }
}
