//! Finding a server's metadata by its issuer.
//!
//! The addresses are those of RFC 8414 §3.1 and OpenID Connect Discovery §4, in the order in which the Model Context
//! Protocol (revision 2026-07-28) asks for them. A document counts only if its `issuer` is, byte for byte, the
//! identifier that was used to find it (RFC 8414 §3.3), which a person writes as the server does. An identifier that
//! nobody wrote may differ by the final slash of a bare origin: programs that publish addresses add one or take it away.
//! Where both kinds of document are there, the OpenID one fills gaps, if they agree on issuer and token endpoint.
//!
//! A document cannot point credentials at somebody else's host: every endpoint must be on the issuer's own host or on
//! a host below it; one that the server can do without is left out if it is elsewhere. That is narrower than "the same
//! registrable domain", and needs no list of public suffixes. Servers that spread over several domains, as Google's
//! does, have to be described by the owner in `serverConfig`.

use carnet_egress::{Call, Egress, Purpose};
use carnet_model::{Id, kind};
use http::StatusCode;
use url::{Host, Url};

use super::json::{self, NoObject};
use super::metadata::Document;
use crate::driver::failure::BadConfiguration;
use crate::fields::Fields;

/// What a search for metadata ended with.
pub(crate) enum Search {
    /// The server's.
    Found(Box<Document>),
    /// The addresses answer, and none has a document of this issuer. Why that will not do.
    Absent(BadConfiguration),
}

/// Finds the metadata of the server whose issuer is `identifier`. `field` is where that was configured.
pub(crate) async fn discover(
    http: &Egress,
    tenant: Id<kind::Team>,
    field: &str,
    identifier: &str,
) -> Result<Document, BadConfiguration> {
    match search(http, tenant, field, identifier).await? {
        Search::Found(document) => Ok(*document),
        Search::Absent(bad) => Err(bad),
    }
}

/// The metadata of a server that is `pinned` as now. Its owner may have said that it is at other hosts too: what is there
/// is at home as well, because secrets go there already.
pub(crate) async fn discover_again(
    http: &Egress,
    tenant: Id<kind::Team>,
    field: &str,
    identifier: &str,
    pinned: &Document,
) -> Result<Document, BadConfiguration> {
    let is_same = |found: &str, identifier: &str| found == identifier;
    match search_by(http, tenant, field, identifier, is_same, Some(pinned)).await? {
        Search::Found(document) => Ok(*document),
        Search::Absent(bad) => Err(bad),
    }
}

/// The same, where something else can be tried if there is none.
pub(crate) async fn search(
    http: &Egress,
    tenant: Id<kind::Team>,
    field: &str,
    identifier: &str,
) -> Result<Search, BadConfiguration> {
    search_by(http, tenant, field, identifier, |found, identifier| found == identifier, None).await
}

/// The same for an identifier that a program wrote. What the document says is the server's name.
pub(crate) async fn search_published(
    http: &Egress,
    tenant: Id<kind::Team>,
    field: &str,
    identifier: &str,
) -> Result<Search, BadConfiguration> {
    search_by(http, tenant, field, identifier, is_same_issuer, None).await
}

async fn search_by(
    http: &Egress,
    tenant: Id<kind::Team>,
    field: &str,
    identifier: &str,
    is_same: impl Fn(&str, &str) -> bool,
    pinned: Option<&Document>,
) -> Result<Search, BadConfiguration> {
    let bad = |why: String| BadConfiguration { field: field.to_owned(), why };
    let issuer = http.check(identifier, Purpose::Discovery).map_err(|refused| bad(refused.to_string()))?;
    if issuer.query().is_some() {
        return Err(bad("an issuer has no query (RFC 8414 §2)".to_owned()));
    }
    if issuer.path().contains("/.well-known/") {
        return Err(bad("give the issuer itself, not the address of its metadata document".to_owned()));
    }

    let mut found: Option<Document> = None;
    let mut missed = Missed::default();
    for place in places(&issuer) {
        let answer = http
            .send(Call::get(place.url, Purpose::Discovery, tenant))
            .await
            .map_err(|error| bad(format!("its metadata cannot be had: {error}")))?;
        let document = match read(answer.status, &answer.body) {
            Ok(document) => document,
            Err(why) => {
                missed.absent += 1;
                missed.note(why);
                continue;
            }
        };
        let first = found.as_ref().and_then(|first| first.issuer.as_deref());
        let fits = |issuer: &str| first.map_or_else(|| is_same(issuer, identifier), |first| first == issuer);
        if !document.issuer.as_deref().is_some_and(fits) {
            missed.other_issuer = Some(only_the_slash_differs(document.issuer.as_deref(), identifier));
            continue;
        }
        let Some(first) = found.take() else {
            found = Some(document);
            if place.is_openid {
                break;
            }
            continue;
        };
        found = Some(if first.token_endpoint == document.token_endpoint {
            first.filled_from(document)
        } else {
            first
        });
        break;
    }
    let Some(mut document) = found else { return Ok(Search::Absent(bad(missed.why(identifier)))) };
    let is_known = |endpoint: &str| {
        let is_beside = |(_, known): (_, &str)| is_same_host(known, endpoint);
        is_at_home(&issuer, endpoint) || pinned.is_some_and(|pinned| pinned.endpoints().any(is_beside))
    };
    document.drop_strays(is_known);
    let stray = document.endpoints().find(|(_, endpoint)| !is_known(endpoint));
    match stray.map(|(name, endpoint)| elsewhere(name, endpoint)) {
        None => Ok(Search::Found(Box::new(document))),
        Some(bad) => Err(bad),
    }
}

/// Legal, and whether the other host is the server's too is for a person to say, who has to know which it is.
fn elsewhere(name: &str, endpoint: &str) -> BadConfiguration {
    let is_web = Url::parse(endpoint).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
    let endpoint: String = endpoint.chars().filter(char::is_ascii_graphic).take(200).collect();
    if !is_web {
        return BadConfiguration {
            field: format!("serverConfig.{name}"),
            why: format!("the server's metadata puts it at {endpoint}, which is no address of the web"),
        };
    }
    BadConfiguration {
        field: format!("serverConfig.{name}"),
        why: format!(
            "the server's metadata puts it at {endpoint}, which is neither the issuer's host nor below it, and a client's \
             secrets would go there; if that address is the provider's, as at those that spread over several domains, \
             write issuer, authorization_endpoint and token_endpoint into serverConfig yourself"
        ),
    }
}

/// One address at which metadata may be.
struct Place {
    url: Url,
    is_openid: bool,
}

fn places(issuer: &Url) -> Vec<Place> {
    // RFC 8414 §3.1: a terminating "/" is removed before anything is inserted or appended.
    let path = issuer.path().trim_end_matches('/');
    let at = |path: String, is_openid: bool| {
        let mut url = issuer.clone();
        url.set_path(&path);
        Place { url, is_openid }
    };
    let mut places = vec![
        at(format!("/.well-known/oauth-authorization-server{path}"), false),
        at(format!("/.well-known/openid-configuration{path}"), true),
    ];
    if !path.is_empty() {
        places.push(at(format!("{path}/.well-known/openid-configuration"), true));
    }
    places
}

/// Why an address has no metadata.
pub(crate) enum NoDocument {
    /// Nothing is there.
    Absent,
    /// Something is, and it is no object that is read.
    NoObject(NoObject),
    /// One member of it is not what it must be.
    Member(BadConfiguration),
}

/// The document; or, where one is there that cannot be used, what is wrong with it.
pub(crate) fn read(status: StatusCode, body: &[u8]) -> Result<Document, NoDocument> {
    if status != StatusCode::OK {
        return Err(NoDocument::Absent);
    }
    let members = json::object_or(body).map_err(NoDocument::NoObject)?;
    Document::read(&mut Fields::new(members)).map_err(NoDocument::Member)
}

/// What was found in the place of metadata.
#[derive(Default)]
struct Missed {
    absent: usize,
    /// What is wrong with the first document that could not be used.
    unfit: Option<String>,
    /// What the first address had that answered with no document at all.
    strange: Option<&'static str>,
    /// A document of another issuer; whether only a final slash made the difference.
    other_issuer: Option<bool>,
}

impl Missed {
    fn note(&mut self, why: NoDocument) {
        let (unfit, strange) = match why {
            NoDocument::Absent => (None, None),
            NoDocument::Member(BadConfiguration { field, why }) => (Some(format!("{field} {why}")), None),
            NoDocument::NoObject(NoObject::Twice) => (
                Some("one name stands in it twice, and which of the two is meant nobody knows".to_owned()),
                None,
            ),
            NoDocument::NoObject(NoObject::Deep) => {
                (Some("it is nested deeper than sixteen levels".to_owned()), None)
            }
            NoDocument::NoObject(NoObject::Other) => (None, Some("JSON that is no object")),
            NoDocument::NoObject(NoObject::Syntax) => {
                (None, Some("something that is not JSON, as a page for people"))
            }
        };
        self.unfit = self.unfit.take().or(unfit);
        self.strange = self.strange.or(strange);
    }

    fn why(&self, identifier: &str) -> String {
        match self.other_issuer {
            Some(true) if identifier.ends_with('/') => {
                "the server spells its issuer without the final slash; write it the same way".to_owned()
            }
            Some(true) => "the server spells its issuer with a final slash; write it the same way".to_owned(),
            Some(false) => {
                "the metadata found there names another issuer; write the issuer exactly as the server \
                            spells it"
                    .to_owned()
            }
            None if let Some(why) = &self.unfit => {
                format!("the metadata found there cannot be used: {why}")
            }
            None => format!(
                "no metadata was found there: {} well-known addresses had no document of RFC 8414 or OpenID Connect \
                 Discovery{}; correct the issuer, or describe the server in serverConfig",
                self.absent,
                self.strange.map(|had| format!(" (one had {had})")).unwrap_or_default()
            ),
        }
    }
}

fn only_the_slash_differs(found: Option<&str>, identifier: &str) -> bool {
    found.is_some_and(|found| found.trim_end_matches('/') == identifier.trim_end_matches('/'))
}

/// Whether two texts name the same issuer, though one has the final slash of a bare origin and the other has not.
pub(crate) fn is_same_issuer(one: &str, other: &str) -> bool {
    let bare = |text: &str| text.strip_suffix('/').unwrap_or(text).to_owned();
    let is_origin = |text: &str| Url::parse(text).is_ok_and(|url| url.path() == "/" && url.query().is_none());
    one == other || (bare(one) == bare(other) && is_origin(one) && is_origin(other))
}

fn is_same_host(one: &str, other: &str) -> bool {
    let (Ok(one), Ok(other)) = (Url::parse(one), Url::parse(other)) else { return false };
    one.host().is_some() && one.host() == other.host()
}

/// Whether `endpoint` is on the host of `issuer` or, if that is a name, below it.
pub(crate) fn is_at_home(issuer: &Url, endpoint: &str) -> bool {
    let Ok(endpoint) = Url::parse(endpoint) else { return false };
    match (issuer.host(), endpoint.host()) {
        (Some(Host::Domain(home)), Some(Host::Domain(host))) => {
            host == home || host.strip_suffix(home).is_some_and(|rest| rest.ends_with('.'))
        }
        (Some(home), Some(host)) => home == host,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_and_their_order_are_those_of_the_standards() {
        let paths = |issuer: &str| {
            places(&Url::parse(issuer).unwrap())
                .into_iter()
                .map(|p| p.url.path().to_owned())
                .collect::<Vec<_>>()
        };
        let root = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];
        assert_eq!(paths("https://a.example"), root);
        assert_eq!(paths("https://a.example/"), root);
        let below = [
            "/.well-known/oauth-authorization-server/api/oidc",
            "/.well-known/openid-configuration/api/oidc",
            "/api/oidc/.well-known/openid-configuration",
        ];
        assert_eq!(paths("https://a.example/api/oidc"), below);
        assert_eq!(paths("https://a.example/api/oidc/"), below);
    }

    #[test]
    fn the_final_slash_of_a_bare_origin_makes_no_other_issuer() {
        for (one, other, same) in [
            ("https://a.example", "https://a.example", true),
            ("https://a.example/", "https://a.example", true),
            ("https://a.example:8443", "https://a.example:8443/", true),
            ("https://a.example//", "https://a.example/", false),
            ("https://a.example/x/", "https://a.example/x", false),
            ("https://a.example?x/", "https://a.example?x", false),
            ("https://A.example/", "https://a.example", false),
            ("http://a.example/", "https://a.example", false),
            ("nonsense/", "nonsense", false),
        ] {
            assert_eq!(is_same_issuer(one, other), same, "{one} {other}");
            assert_eq!(is_same_issuer(other, one), same, "{other} {one}");
        }
    }

    #[test]
    fn what_is_no_address_is_not_said_to_be_elsewhere() {
        for (endpoint, is_web) in [
            ("https://other.example/authorize", true),
            ("javascript:alert(1)", false),
            ("/authorize", false),
            ("", false),
        ] {
            let bad = elsewhere("authorization_endpoint", endpoint);
            assert_eq!(bad.field, "serverConfig.authorization_endpoint");
            assert_eq!(bad.why.contains("if that address is the provider's"), is_web, "{}", bad.why);
        }
    }

    #[test]
    fn an_endpoint_is_at_home_on_the_issuers_host_or_below_it() {
        for (issuer, endpoint, home) in [
            ("https://a.example", "https://a.example/t", true),
            ("https://a.example", "https://a.example:8443/t", true),
            ("https://a.example", "https://api.a.example/t", true),
            ("https://a.example", "https://nota.example/t", false),
            ("https://a.example", "https://example/t", false),
            ("https://login.a.example", "https://api.a.example/t", false),
            ("https://a.example", "https://a.example.evil.example/t", false),
            ("http://127.0.0.1:1", "http://127.0.0.1:2/t", true),
            ("http://127.0.0.1:1", "http://127.0.0.2:1/t", false),
            ("https://a.example", "nonsense", false),
        ] {
            assert_eq!(is_at_home(&Url::parse(issuer).unwrap(), endpoint), home, "{issuer} {endpoint}");
        }
    }
}
