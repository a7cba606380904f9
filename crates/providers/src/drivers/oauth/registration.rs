//! The client of a connector whose owner brings none: an address of ours that the server reads, or a registration that
//! is made there, in this order, which is that of the Model Context Protocol (revision 2026-07-28). Behind an address of
//! ours is a public client with PKCE, which is what every such server takes; where a server does without those, or the
//! connector is to prove itself by its key, the document says where the key is.
//!
//! A client is registered once, at one issuer and for one redirect URI, and belongs to them. What was registered is
//! remembered in `data`, so that a change of the connector can be told to the server; the secrets of it are secrets of
//! the connector.

mod judge;
mod method;

use std::time::Duration;

use carnet_model::{Id, SecretString, Time, kind};
use serde_json::{Map, Value, json};
use url::Url;

use super::client_assertion::signing_for;
use super::settings::{Options, Read};
use crate::driver::failure::{BadConfiguration, NotAccepted};
use crate::driver::signer::jwks_url;
use crate::driver::{NewConnector, Renewal};
use crate::fields::Fields;
use crate::oauth::client_auth::ClientAuth;
use crate::oauth::discovery::is_at_home;
use crate::oauth::metadata::Server;
use crate::oauth::registration::{Registered, Registrar, Wish};
use judge::{not_registered, nothing_to_register};
use method::{by_document, choose, is_about_the_method, knows};

pub(super) use judge::judge;
pub(super) use method::takes_secret;

/// What is remembered about a client that was not brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Registration {
    /// The client it is about: one that is set by hand later makes it void.
    pub client_id: String,
    pub way: Way,
    /// When the secret ends, if it does.
    pub secret_ends: Option<Time>,
    /// When the server gave that secret or moved its end last, as far as it was noted.
    pub secret_given: Option<Time>,
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
        let mut time = |name: &str| {
            let millis = inner.number(name)?.and_then(|millis| i64::try_from(millis).ok());
            Ok(millis.map(Time::from_millis))
        };
        let (secret_ends, secret_given) = (time("secretExpiresAt")?, time("secretGivenAt")?);
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
        Ok((Some(Self { client_id: about, way, secret_ends, secret_given }), token))
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
            if let Some(given) = self.secret_given {
                put("secretGivenAt", given.millis().into());
            }
        }
        out
    }

    /// When another secret is to be had in the place of one that ends: a week before, or in the last third of its life.
    pub(super) fn renewal(&self) -> Option<Renewal> {
        let end = self.secret_ends?;
        let life = self.secret_given.map_or(Duration::MAX, |given| given.until(end));
        Some(Renewal { at: end.minus(AHEAD.min(life / 3)), end })
    }
}

/// How long before its end a secret that lives long is renewed: what is left is for a server, or one of ours, that is away
/// for days, and for a person where nothing else helps.
const AHEAD: Duration = Duration::from_hours(7 * 24);

/// Gets a client for a configuration that names none.
pub(super) async fn obtain(
    ask: &NewConnector<'_>,
    read: &mut Read,
    server: &Server,
    redirect_uri: Option<&str>,
) -> Result<(), NotAccepted> {
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
            secret_given: None,
        });
        return Ok(());
    }
    let Some(endpoint) = &server.registration else {
        return Err(nothing_to_register(server, redirect_uri).into());
    };
    let (mut auth, other) = match read.auth {
        Some(auth) => (auth, None),
        None => choose(server, !read.options.app.is_on()).ok_or_else(|| BadConfiguration {
            field: "tokenEndpointAuthMethod".to_owned(),
            why: "the server lists no method of client authentication that is supported here".to_owned(),
        })?,
    };
    let registrar = Registrar { http: ask.http, env: ask.env, tenant: ask.tenant };
    let now = ask.env.now();
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
    let judged = judge(&registered, &wish, auth, false, now).or_else(|bad| {
        // Some servers say no more than the identifier of what they registered. One that has public clients and gives
        // no secret has made one.
        let is_public =
            bad.field == "clientSecret" && registered.auth.is_none() && registered.secret.is_none();
        let will_do = read.auth.is_none() && !read.options.app.is_on() && knows(server, ClientAuth::None);
        if is_public && will_do { Ok(ClientAuth::None) } else { Err(bad) }
    });
    match judged {
        Ok(auth) => {
            keep(read, registered, &wish, auth, server, now);
            Ok(())
        }
        Err(bad) => {
            // Nobody will use it. If it cannot be taken back, the server has one client more.
            if let (Some(uri), Some(token)) = (home(server, registered.uri.as_deref()), &registered.token) {
                let _ = registrar.remove(&uri, token).await;
            }
            Err(bad.into())
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

fn keep(read: &mut Read, registered: Registered, wish: &Wish, auth: ClientAuth, server: &Server, now: Time) {
    let uri = home(server, registered.uri.as_deref()).map(String::from);
    read.options.client_id.clone_from(&registered.client_id);
    read.auth = Some(auth);
    // A client that proves itself without a secret sends none, even if the server gave it one.
    read.secret = registered.secret.filter(|_| takes_secret(auth));
    read.registration_token = registered.token.filter(|_| uri.is_some());
    read.options.registration = Some(Registration {
        client_id: registered.client_id,
        way: Way::Dynamic { uri, sent: wish.to_json(), given: registered.given },
        secret_ends: registered.secret_ends.time().filter(|_| read.secret.is_some()),
        secret_given: Some(now),
    });
}

/// Where a registration is looked after: only ever at the server's own host and port, because the token goes there.
pub(super) fn home(server: &Server, uri: Option<&str>) -> Option<Url> {
    let endpoint = server.registration.as_ref()?;
    let uri = uri.filter(|uri| is_at_home(endpoint, uri))?;
    Url::parse(uri).ok().filter(|url| {
        url.scheme() == endpoint.scheme()
            && url.port_or_known_default() == endpoint.port_or_known_default()
            && url.fragment().is_none()
    })
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
