//! Finding the authorization server of a protected resource, an MCP server say, by the resource's own address
//! (RFC 9728).
//!
//! The resource is asked without a token. If its refusal names a metadata document at the resource's own origin, that one
//! counts. One elsewhere is not read: whoever can point elsewhere could send people to a server of theirs. Then, and where
//! none is named, the two well-known addresses are tried, the one for the path first. A document counts only if it speaks
//! for the address that was given, or for a parent of it at the same origin, which is the rule of the official MCP clients.
//!
//! Together with the metadata of the authorization server this is three documents at most, and no redirect.

use std::time::Duration;

use carnet_egress::{Answer, Call, Egress, EgressError, Purpose};
use carnet_model::{Id, Scopes, kind};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, StatusCode};
use url::{Host, Url};

use super::challenge::Challenge;
use super::json;
use crate::driver::failure::BadConfiguration;
use crate::fields::Fields;

/// What a resource says about itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// Its identifier, as it says it: what `resource` (RFC 8707) is set to, which servers compare byte for byte.
    pub identifier: String,
    /// Its authorization servers, the first few.
    pub issuers: Vec<String>,
    /// The scopes that a first request should ask for: as the refusal says, else all that it lists.
    pub scopes: Option<Scopes>,
}

/// What was found at an address.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// A resource that says who guards it.
    Resource(Resource),
    /// It lets nobody in without a token, and does not say whose.
    Guarded,
    /// Nothing of a resource.
    Nothing,
}

/// Finds out about the resource at `address`. `field` is where the address was configured.
pub(crate) async fn find(
    http: &Egress,
    tenant: Id<kind::Team>,
    field: &str,
    address: &str,
) -> Result<Look, BadConfiguration> {
    let bad = |why: String| BadConfiguration { field: field.to_owned(), why };
    let url = http.check(address, Purpose::Discovery).map_err(|refused| bad(refused.to_string()))?;
    let get = |url: Url| {
        let mut call = Call::get(url, Purpose::Discovery, tenant);
        call.limits.total = PATIENCE;
        http.send(call)
    };
    let (challenge, silent) = match get(url.clone()).await {
        Ok(answer) if answer.status == StatusCode::UNAUTHORIZED => {
            (challenge(&answer.headers), Look::Guarded)
        }
        // An open stream, or a large page: an address that needs no token, or does not say so.
        Ok(_) | Err(EgressError::TooLarge | EgressError::Timeout { sent: true }) => {
            (Challenge::default(), Look::Nothing)
        }
        Err(error) => return Err(bad(format!("it cannot be asked: {error}"))),
    };
    // What ends TLS before a resource often leaves it writing http.
    let mut strange = None;
    let places = match challenge.resource_metadata.as_deref().map(|told| http.check(told, Purpose::Discovery))
    {
        Some(Ok(place)) if place.origin() == url.origin() => vec![place],
        Some(Ok(_)) => {
            strange = Some(
                "it points its metadata to another origin, which can be right for nobody but an attacker, and has none at \
                 its own"
                    .to_owned(),
            );
            well_known(&url)
        }
        Some(Err(refused)) => {
            strange = Some(format!(
                "the address of its metadata cannot be used, and there is none at the well-known ones: {refused}"
            ));
            well_known(&url)
        }
        None => well_known(&url),
    };
    for place in places {
        let answer = get(place).await.map_err(|error| bad(format!("its metadata cannot be had: {error}")))?;
        let Some(document) = read(&answer) else { continue };
        if !speaks_for(&document.identifier, &url) {
            strange = Some("its metadata is about another resource (RFC 9728 §3.3)".to_owned());
            continue;
        }
        if document.issuers.is_empty() {
            strange = Some("its metadata names no authorization server".to_owned());
            continue;
        }
        let issuers = document.issuers.into_iter().filter(|issuer| is_as_near(issuer, &url)).take(MOST);
        let scopes = challenge.scope.as_deref().and_then(|text| Scopes::parse_joined(text).ok());
        return Ok(Look::Resource(Resource {
            identifier: document.identifier,
            issuers: issuers.collect(),
            scopes: scopes.filter(|scopes| !scopes.is_empty()).or(document.scopes),
        }));
    }
    match strange {
        Some(why) => Err(bad(why)),
        None if challenge.resource_metadata.is_some() => {
            Err(bad("where it says that its metadata is, there is no document of RFC 9728".to_owned()))
        }
        None => Ok(silent),
    }
}

/// What a refusal says, of whatever scheme.
fn challenge(headers: &HeaderMap) -> Challenge {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    texts.fold(Challenge::default(), |found, text| found.or(Challenge::read(text)))
}

/// RFC 9728 §3.1: the one for the path, then the one for the whole host.
fn well_known(url: &Url) -> Vec<Url> {
    let path = url.path().trim_end_matches('/');
    let at = |path: &str| {
        let mut place = url.clone();
        place.set_query(None);
        place.set_path(&format!("/.well-known/oauth-protected-resource{path}"));
        place
    };
    if path.is_empty() { vec![at("")] } else { vec![at(path), at("")] }
}

fn read(answer: &Answer) -> Option<Resource> {
    if answer.status != StatusCode::OK {
        return None;
    }
    let mut fields = Fields::new(json::object(&answer.body)?);
    let scopes = fields.texts("scopes_supported").ok()?;
    Some(Resource {
        identifier: fields.text("resource").ok()??,
        issuers: fields.texts("authorization_servers").ok()?.unwrap_or_default(),
        scopes: scopes.and_then(|names| Scopes::parse(names).ok()).filter(|scopes| !scopes.is_empty()),
    })
}

/// Whether the resource `identifier` is what stands at `url`, or a parent of it.
pub(crate) fn speaks_for(identifier: &str, url: &Url) -> bool {
    let Ok(resource) = Url::parse(identifier) else { return false };
    if resource.origin() != url.origin() || resource.query().is_some() || resource.fragment().is_some() {
        return false;
    }
    let (parent, path) = (resource.path().trim_end_matches('/'), url.path().trim_end_matches('/'));
    path.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A resource elsewhere does not send us to this machine, not even in development.
fn is_as_near(issuer: &str, url: &Url) -> bool {
    Url::parse(issuer).is_ok_and(|issuer| !is_here(&issuer) || is_here(url))
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// For each document. A resource that streams does not hold us up for longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// More servers than this nobody has yet; each costs up to three requests.
const MOST: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_for_the_path_comes_first() {
        let paths = |text: &str| {
            let places = well_known(&Url::parse(text).unwrap());
            places.into_iter().map(|place| place.to_string()).collect::<Vec<_>>()
        };
        let root = "https://a.example/.well-known/oauth-protected-resource";
        assert_eq!(paths("https://a.example"), [root]);
        assert_eq!(paths("https://a.example/?x=1"), [root]);
        assert_eq!(paths("https://a.example/mcp/v1/"), [&format!("{root}/mcp/v1"), root]);
    }

    #[test]
    fn a_document_speaks_for_its_address_and_what_is_below_it() {
        for (identifier, address, speaks) in [
            ("https://a.example/mcp", "https://a.example/mcp", true),
            ("https://a.example/mcp/", "https://a.example/mcp", true),
            ("https://a.example", "https://a.example/mcp", true),
            ("https://a.example/", "https://a.example", true),
            ("https://a.example/mcp/deeper", "https://a.example/mcp", false),
            ("https://a.example/mc", "https://a.example/mcp", false),
            ("https://b.example/mcp", "https://a.example/mcp", false),
            ("https://a.example:8443/mcp", "https://a.example/mcp", false),
            ("http://a.example/mcp", "https://a.example/mcp", false),
            ("https://a.example/mcp?x", "https://a.example/mcp", false),
            ("mcp", "https://a.example/mcp", false),
        ] {
            assert_eq!(
                speaks_for(identifier, &Url::parse(address).unwrap()),
                speaks,
                "{identifier} {address}"
            );
        }
    }

    #[test]
    fn only_a_resource_on_this_machine_has_its_server_here() {
        let (here, there) = ("http://127.0.0.1:9/mcp", "https://mcp.example/mcp");
        for (issuer, address, near) in [
            ("https://login.example", there, true),
            ("http://127.0.0.1:9", there, false),
            ("http://localhost:9", there, false),
            ("http://[::1]:9", there, false),
            ("http://127.0.0.1:9", here, true),
            ("nonsense", here, false),
        ] {
            assert_eq!(is_as_near(issuer, &Url::parse(address).unwrap()), near, "{issuer} {address}");
        }
    }
}
