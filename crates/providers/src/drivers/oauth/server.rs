//! Which server a connector speaks to: found by the issuer, or by the address of an API that a server protects; read
//! again later, to see whether it still is what it was.

use carnet_egress::Egress;
use carnet_model::{Id, Scopes, kind};
use serde_json::{Map, Value};
use url::Url;

use super::settings::{Options, Settings};
use crate::driver::failure::BadConfiguration;
use crate::driver::{At, Inspection};
use crate::oauth::discovery::{Search, discover, discover_again, is_same_issuer, search, search_published};
use crate::oauth::metadata::Document;
use crate::oauth::resource::{self, Look, Resource};

/// Who asks, and what was said about the server.
pub(super) struct Whereabouts<'a> {
    pub http: &'a Egress,
    pub tenant: Id<kind::Team>,
    pub service: &'a str,
    pub address: Option<&'a str>,
}

/// The metadata of a server that the configuration names. What the resource says goes into `options`, where nothing else
/// is said.
///
/// A `serverUrl` is an issuer, unless nothing of an issuer is there: then it may be a resource. The address of a service
/// is the other way round: it is what people know, and an API with a server of its own has both.
pub(super) async fn find(at: Whereabouts<'_>, options: &mut Options) -> Result<Document, BadConfiguration> {
    let Whereabouts { http, tenant, service, address } = at;
    if let Some(issuer) = &options.discovery_server_url {
        return discover(http, tenant, "discoveryServerUrl", issuer).await;
    }
    if let Some(url) = options.server_url.clone() {
        let absent = match search(http, tenant, SERVER_URL, &url).await? {
            Search::Found(document) => return Ok(*document),
            Search::Absent(bad) => bad,
        };
        // What is not an issuer's is looked at as a resource; if it says nothing either, the first reason stands.
        return match resource::find(http, tenant, SERVER_URL, &url).await? {
            Look::Resource(resource) => server_of(http, tenant, resource, options).await,
            Look::Guarded => at_the_root(http, tenant, &url).await?.ok_or(absent),
            Look::Nothing => Err(absent),
        };
    }
    let address = match address {
        Some(address) => address.to_owned(),
        // A service that is named by its host needs no second address.
        None if service.contains('.') => format!("https://{service}"),
        None => {
            return Err(BadConfiguration {
                field: SERVER_URL.to_owned(),
                why: "is missing: give the server's issuer or the address of an API, or describe the server in \
                      serverConfig"
                    .to_owned(),
            });
        }
    };
    options.server_url = Some(address.clone());
    let guarded = match resource::find(http, tenant, SERVER_URL, &address).await? {
        Look::Resource(resource) => return server_of(http, tenant, resource, options).await,
        other => other == Look::Guarded,
    };
    match search(http, tenant, SERVER_URL, &address).await? {
        Search::Found(document) => Ok(*document),
        Search::Absent(absent) if guarded => at_the_root(http, tenant, &address).await?.ok_or(absent),
        Search::Absent(absent) => Err(absent),
    }
}

/// The server at the root of the host of something that lets nobody in without a token and does not say whose: so it was
/// with the Model Context Protocol before RFC 9728 (revision 2025-03-26). An address that asks for no token is rather a
/// wrong issuer, and the root of its host another one.
async fn at_the_root(
    http: &Egress,
    tenant: Id<kind::Team>,
    address: &str,
) -> Result<Option<Document>, BadConfiguration> {
    let Some(url) = Url::parse(address).ok().filter(|url| url.path() != "/") else { return Ok(None) };
    let root = url.origin().ascii_serialization();
    match search_published(http, tenant, SERVER_URL, &root).await? {
        Search::Found(document) => Ok(Some(*document)),
        Search::Absent(_) => Ok(None),
    }
}

/// The first of a resource's servers that can be found.
async fn server_of(
    http: &Egress,
    tenant: Id<kind::Team>,
    resource: Resource,
    options: &mut Options,
) -> Result<Document, BadConfiguration> {
    let document = first_of(http, tenant, &resource, options.client_id.is_empty()).await?;
    if options.user.enabled != Some(false) && options.user.scopes.is_empty() {
        options.user.scopes = scopes(&resource, &document, options.refresh);
        // OpenID Connect Core §11: a server may ignore `offline_access` unless the person is asked.
        let params = &mut options.authorization_params;
        if options.user.scopes.contains(OFFLINE) && !params.iter().any(|(name, _)| name == "prompt") {
            params.push(("prompt".to_owned(), "consent".to_owned()));
        }
    }
    // What the owner says that tokens are for is not overruled. The address of another resource is what is left of that
    // one, where this one took its place.
    let own = options.resource.is_some() && found_at(options).is_none_or(|(field, _)| field == SERVER_URL);
    if !own {
        options.resource = Some(resource.identifier);
    }
    Ok(document)
}

async fn first_of(
    http: &Egress,
    tenant: Id<kind::Team>,
    resource: &Resource,
    wants_client: bool,
) -> Result<Document, BadConfiguration> {
    // Where nobody brings a client, a server that gives one comes before a server that does not.
    let mut barren = None;
    let mut why = BadConfiguration {
        field: SERVER_URL.to_owned(),
        why: "none of the authorization servers that the resource names may be called".to_owned(),
    };
    for issuer in &resource.issuers {
        match search_published(http, tenant, SERVER_URL, issuer).await {
            Ok(Search::Found(document)) if !wants_client || document.gives_clients() => return Ok(*document),
            Ok(Search::Found(document)) => barren = barren.or(Some(*document)),
            Ok(Search::Absent(bad)) | Err(bad) => {
                why = BadConfiguration {
                    why: format!("the authorization server of this resource cannot be used: {}", bad.why),
                    ..bad
                };
            }
        }
    }
    barren.ok_or(why)
}

/// What the resource asks for, and to be let in while the person is away, where the server knows that as a scope.
fn scopes(resource: &Resource, document: &Document, refresh: bool) -> Scopes {
    let asked = resource.scopes.clone().unwrap_or_default();
    let offers = document.scopes.as_ref().is_some_and(|known| known.iter().any(|scope| scope == OFFLINE));
    match Scopes::parse([OFFLINE]) {
        Ok(offline) if refresh && offers => asked.union(&offline),
        _ => asked,
    }
}

/// The server's metadata now, beside what is pinned.
pub(super) async fn inspect(at: &At<'_>) -> Result<Inspection, BadConfiguration> {
    let settings = Settings::of(at.connector)?;
    let pinned = &settings.server.document;
    let (http, tenant) = (at.http, at.connector.team);
    let look = match found_at(&settings.options) {
        Some((field, address)) => resource::find(http, tenant, field, address).await?,
        None => Look::Nothing,
    };
    let issuer = settings.server.issuer();
    let names = |resource: &Resource| {
        let is_named = |issuer: &str| resource.issuers.iter().any(|named| is_same_issuer(named, issuer));
        issuer.is_some_and(is_named)
    };
    let present = match (&look, issuer) {
        // The resource has moved to another server.
        (Look::Resource(resource), _) if !names(resource) => first_of(http, tenant, resource, false).await?,
        (_, Some(issuer)) => discover_again(http, tenant, "serverConfig.issuer", issuer, pinned).await?,
        (_, None) => {
            return Err(BadConfiguration {
                field: "serverConfig.issuer".to_owned(),
                why: "is missing: without the server's name there is nothing to ask".to_owned(),
            });
        }
    };
    let mut change = Map::from_iter([("serverConfig".to_owned(), Value::Object(present.to_json()))]);
    if present.issuer != pinned.issuer && settings.options.registration.is_some() {
        // What is registered at one server is worth nothing at another, and is not shown to it.
        change.extend(
            ["clientId", "clientSecret", "clientRegistration"].map(|name| (name.to_owned(), Value::Null)),
        );
    }
    Ok(Inspection { pinned: pinned.to_json(), present: present.to_json(), change })
}

/// Where the resource is asked, if there is one: where it was found, or by its own name, if that is an address.
fn found_at(options: &Options) -> Option<(&'static str, &str)> {
    let resource = options.resource.as_deref()?;
    let is_below = |url: &&str| Url::parse(url).is_ok_and(|url| resource::speaks_for(resource, &url));
    match options.server_url.as_deref().filter(is_below) {
        Some(url) => Some((SERVER_URL, url)),
        None => resource.starts_with("http").then_some(("resource", resource)),
    }
}

const SERVER_URL: &str = "serverUrl";
/// The scope by which a person lets somebody in while being away (OpenID Connect Core §11).
pub(super) const OFFLINE: &str = "offline_access";
