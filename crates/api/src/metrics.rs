//! `/metrics`: how many requests there were, how they ended and how long they took, as Prometheus reads it (text format
//! 0.0.4). Answered to this machine alone, as far as can be told; to everybody else there is nothing here.
//!
//! A label is one of few: a route by its pattern, a method that is known, a status, the code of a refusal. Nothing that
//! a caller writes becomes one, so nothing secret does, and nobody can make the list grow.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::extract::ConnectInfo;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use carnet_engine::{Broker, Visitor};
use http::{HeaderMap, Method, header};

use crate::router::nothing_here;

/// What was counted since the start.
#[derive(Clone, Default)]
pub(crate) struct Meter(Arc<Mutex<Counts>>);

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

impl Meter {
    /// The route at which it is read.
    pub(crate) fn route(&self, broker: Broker) -> MethodRouter {
        let meter = self.clone();
        get(move |peer: Peer, headers: HeaderMap| show(broker.clone(), meter.clone(), peer, headers))
    }

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

    fn text(&self, is_ready: bool) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        let mut line = |text: std::fmt::Arguments<'_>| {
            // Writing to a text does not fail.
            let _ = writeln!(out, "{text}");
        };
        line(format_args!(
            "# HELP carnet_ready Whether requests should come here.\n# TYPE carnet_ready gauge"
        ));
        line(format_args!("carnet_ready {}", u8::from(is_ready)));
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

/// The figures, for a program on this machine.
async fn show(broker: Broker, meter: Meter, peer: Peer, headers: HeaderMap) -> Response {
    let peer = peer.map(|Extension(ConnectInfo(peer))| peer.ip());
    let is_here = |address: Option<IpAddr>| address.is_some_and(|address| address.is_loopback());
    // A proxy on this machine says for whom it asks.
    if !is_here(peer) || !is_here(Visitor::seen_by(&headers, peer)) {
        return nothing_here().into_response();
    }
    let text = meter.text(broker.readiness().await.is_ready());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

fn known(method: &Method) -> &'static str {
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS]
        .iter()
        .zip(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
        .find(|(known, _)| *known == method)
        .map_or("other", |(_, name)| name)
}
