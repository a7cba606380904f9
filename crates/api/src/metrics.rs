//! `/metrics`: how many requests there were, how they ended and how long they took, as Prometheus reads it (text format
//! 0.0.4).
//!
//! Who may read them is decided so that no proxy can open them by mistake. With a token, whoever has it, from anywhere, and
//! nobody else. Without one, a program on this machine, and that only where a connection from this machine means one: at a
//! listener of their own, or where the server's public address is on this machine itself. A server that the outside
//! reaches has a proxy before it, on this machine perhaps, whose requests may look like anybody's here: there is nothing
//! then. A request that carries what proxies write, or names another host than this machine, is never one from here.
//!
//! A label is one of few: a route by its pattern, a method that is known, a status, the code of a refusal. Nothing that
//! a caller writes becomes one, so nothing secret does, and nobody can make the list grow.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};
use axum::{Extension, Router};
use carnet_engine::{Broker, Readiness, equal};
use carnet_model::{Code, Fault, SecretString, Time};
use http::{HeaderMap, Method, header};
use url::{Host, Url};

use crate::problem::Problem;
use crate::router::nothing_here;

/// The figures of a server, and what they are read with.
#[derive(Clone, Default)]
pub struct Metrics {
    meter: Meter,
    token: Option<Arc<SecretString>>,
}

/// What was counted since the start.
#[derive(Clone, Default)]
pub(crate) struct Meter(Arc<Mutex<Counts>>);

/// Where they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Where everybody comes.
    Door,
    /// At a listener of their own.
    OwnListener,
}

#[derive(Default)]
struct Counts {
    routes: BTreeMap<String, OfRoute>,
    /// By code.
    refusals: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
struct OfRoute {
    /// By method and status.
    answers: BTreeMap<(&'static str, u16), u64>,
    took: Duration,
}

impl Metrics {
    /// Figures that are read with this token from wherever it is; without one, from this machine alone.
    pub fn new(token: Option<SecretString>) -> Self {
        Self { meter: Meter::default(), token: token.map(Arc::new) }
    }

    /// What a listener of their own serves: them, and nothing else.
    pub fn router(&self, broker: Broker) -> Router {
        Router::new().route(PATH, self.route(broker, At::OwnListener)).fallback(async || nothing_here())
    }

    pub(crate) fn meter(&self) -> Meter {
        self.meter.clone()
    }

    /// The route where everybody comes.
    pub(crate) fn at_the_door(&self, broker: Broker) -> MethodRouter {
        self.route(broker, At::Door)
    }

    fn route(&self, broker: Broker, at: At) -> MethodRouter {
        let metrics = self.clone();
        get(move |peer: Peer, request: Request| async move {
            let peer = peer.map(|Extension(ConnectInfo(peer))| peer);
            match metrics.admit(&broker, at, peer, &request) {
                Ok(()) => {
                    let text = metrics.meter.text(&broker.readiness().await);
                    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
                }
                Err(problem) => problem.into_response(),
            }
        })
    }

    fn admit(
        &self,
        broker: &Broker,
        at: At,
        peer: Option<SocketAddr>,
        request: &Request,
    ) -> Result<(), Problem> {
        if let Some(token) = &self.token {
            let given = bearer(request.headers()).unwrap_or_default();
            return if equal(token.expose().as_bytes(), given.as_bytes()) {
                Ok(())
            } else {
                let why =
                    "The figures are read with the token of metrics.token_file: Authorization: Bearer ….";
                Err(Problem(Fault::new(Code::Unauthorized, why)))
            };
        }
        let means_this_machine = at == At::OwnListener || is_here(&broker.settings().url);
        let from_here = peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
            && !came_by_a_proxy(request.headers())
            && names_this_machine(request);
        if means_this_machine && from_here { Ok(()) } else { Err(nothing_here()) }
    }
}

impl Meter {
    /// Counts an answer.
    pub(crate) fn count(
        &self,
        route: &str,
        method: &Method,
        status: u16,
        refused: Option<&'static str>,
        took: Duration,
    ) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !counts.routes.contains_key(route) {
            counts.routes.insert(route.to_owned(), OfRoute::default());
        }
        if let Some(of_route) = counts.routes.get_mut(route) {
            *of_route.answers.entry((known(method), status)).or_default() += 1;
            of_route.took += took;
        }
        if let Some(code) = refused {
            *counts.refusals.entry(code).or_default() += 1;
        }
    }

    fn text(&self, readiness: &Readiness) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        let mut line = |text: std::fmt::Arguments<'_>| {
            // Writing to a text does not fail.
            let _ = writeln!(out, "{text}");
        };
        line(format_args!(
            "# HELP carnet_ready Whether requests should come here.\n# TYPE carnet_ready gauge"
        ));
        line(format_args!("carnet_ready {}", u8::from(readiness.is_ready())));
        if let Some(certificate) = &readiness.certificate {
            line(format_args!(
                "# HELP carnet_certificate_expiry_seconds Until when the certificate of the listener holds, in seconds since 1970; \
                 0 if there is none.\n# TYPE carnet_certificate_expiry_seconds gauge"
            ));
            let ends = certificate.ends.map_or(0, Time::secs);
            line(format_args!("carnet_certificate_expiry_seconds {ends}"));
            line(format_args!(
                "# HELP carnet_certificate_failures Tries for a newer certificate that failed since the last that did not.\n\
                 # TYPE carnet_certificate_failures gauge"
            ));
            line(format_args!("carnet_certificate_failures {}", certificate.failures));
        }
        line(format_args!(
            "# HELP carnet_requests_total Requests that were answered.\n# TYPE carnet_requests_total counter"
        ));
        for (route, of_route) in &counts.routes {
            for ((method, status), count) in &of_route.answers {
                line(format_args!(
                    "carnet_requests_total{{route=\"{route}\",method=\"{method}\",status=\"{status}\"}} {count}"
                ));
            }
        }
        line(format_args!(
            "# HELP carnet_request_seconds How long answers took.\n# TYPE carnet_request_seconds summary"
        ));
        for (route, of_route) in &counts.routes {
            let (seconds, count) = (of_route.took.as_secs_f64(), of_route.answers.values().sum::<u64>());
            line(format_args!("carnet_request_seconds_sum{{route=\"{route}\"}} {seconds:.6}"));
            line(format_args!("carnet_request_seconds_count{{route=\"{route}\"}} {count}"));
        }
        line(format_args!(
            "# HELP carnet_refusals_total Requests that were refused.\n# TYPE carnet_refusals_total counter"
        ));
        for (code, count) in &counts.refusals {
            line(format_args!("carnet_refusals_total{{code=\"{code}\"}} {count}"));
        }
        out
    }
}

type Peer = Option<Extension<ConnectInfo<SocketAddr>>>;

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether anything here is what a proxy writes. A client of this machine that writes it itself is not answered either.
fn came_by_a_proxy(headers: &HeaderMap) -> bool {
    let of_proxies = |name: &str| {
        PROXY_HEADERS.contains(&name) || PROXY_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    headers.keys().any(|name| of_proxies(name.as_str()))
}

/// Whether the request is for this machine by name: what a browser was led to by a name of somebody else's is not.
fn names_this_machine(request: &Request) -> bool {
    let named = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    let Some(host) = named.or_else(|| request.uri().authority().map(http::uri::Authority::as_str)) else {
        return false;
    };
    Url::parse(&format!("http://{host}")).is_ok_and(|url| is_here(&url))
}

/// Whether an address is of this machine alone.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

fn known(method: &Method) -> &'static str {
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS]
        .iter()
        .zip(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
        .find(|(known, _)| *known == method)
        .map_or("other", |(_, name)| name)
}

pub(crate) const PATH: &str = "/metrics";
/// What proxies, balancers and networks before a server write into requests.
const PROXY_HEADERS: [&str; 10] = [
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "x-proxyuser-ip",
    "x-request-start",
];
const PROXY_PREFIXES: [&str; 6] =
    ["x-forwarded", "x-envoy-", "x-amzn-", "x-original-", "x-appengine-", "cf-"];

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: &str, headers: &[(&'static str, &str)]) -> Request {
        let mut request = Request::new(axum::body::Body::empty());
        request.headers_mut().insert(header::HOST, host.parse().unwrap());
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        request
    }

    #[test]
    fn a_request_for_another_name_is_not_one_for_this_machine() {
        for (host, here) in [
            ("127.0.0.1:7070", true),
            ("127.9.9.9", true),
            ("localhost:7070", true),
            ("[::1]:7070", true),
            ("connect.example.com", false),
            ("localhost.example.com", false),
            ("127.0.0.1.example.com", false),
            ("user@10.0.0.1", false),
            ("", false),
        ] {
            assert_eq!(names_this_machine(&request(host, &[])), here, "{host:?}");
        }
    }

    #[test]
    fn what_any_proxy_writes_is_noticed() {
        for name in [
            "forwarded",
            "via",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "x-real-ip",
            "cf-connecting-ip",
            "x-envoy-external-address",
            "x-amzn-trace-id",
        ] {
            assert!(came_by_a_proxy(request("localhost", &[(name, "1")]).headers()), "{name}");
        }
        let usual = request("localhost", &[("user-agent", "Prometheus/3"), ("accept", "text/plain")]);
        assert!(!came_by_a_proxy(usual.headers()));
    }
}
