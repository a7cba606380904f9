//! HTTP for programs: the contract of the official Vercel Connect clients, and Carnet's own management surface.
//!
//! One file per resource. A handler extracts, calls one verb of the engine and answers; it decides nothing. Every
//! answer has the request's identifier in `x-request-id`, is never stored by anybody on the way, and says what went
//! wrong in the envelope `{"error":{"code","message",…}}`.
//!
//! [`routes`] is the list of all routes, each with who may call it, what it reads and what it answers. The server is made
//! of it, and so is the description at `/openapi.json`.
//!
//! [`serve`] is the listener: it closes connections that do not finish their headers, bounds how many there are, and
//! stops gracefully.

mod access_tokens;
mod accounts;
mod audit;
mod authorize;
mod body;
mod call;
mod connector_keys;
mod connectors;
mod connectors_v2;
mod consent_rules;
mod contacts;
mod device_login;
mod explain;
mod export;
mod gateway;
mod grants;
mod health;
mod health_webhook;
mod import;
mod installations;
mod intake;
mod invitations;
mod issuers;
mod keys;
mod links;
mod listener;
mod managed_apps;
mod members;
mod metrics;
mod openapi;
mod path;
mod pictures;
mod platform;
mod problem;
mod project_urls;
mod projects;
mod provisioning;
mod query;
mod redirect_uris;
mod refusals;
mod request_id;
mod route;
mod router;
mod servers;
mod services;
mod shape;
mod teams;
mod tls;
mod token;
mod trigger_destinations;
mod trigger_wishes;
mod triggers;
mod usage;
mod well_known;

pub use listener::{Limits, Listening, serve};
pub use metrics::Metrics;
pub use openapi::document as openapi;
pub use problem::Problem;
pub use request_id::RequestId;
pub use route::{Callers, Route};
pub use router::{frame, router, routes};
pub use tls::Tls;
