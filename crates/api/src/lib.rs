//! HTTP for programs: the contract of the official Vercel Connect clients, and Carnet's own management surface.
//!
//! One file per resource. A handler extracts, calls one verb of the engine and answers; it decides nothing. Every
//! answer has the request's identifier in `x-request-id`, is never stored by anybody on the way, and says what went
//! wrong in the envelope `{"error":{"code","message",…}}`.
//!
//! [`serve`] is the listener: it closes connections that do not finish their headers, bounds how many there are, and
//! stops gracefully.

mod access_tokens;
mod audit;
mod authorize;
mod body;
mod call;
mod connector_keys;
mod connectors;
mod connectors_v2;
mod consent_rules;
mod contacts;
mod explain;
mod grants;
mod health;
mod import;
mod installations;
mod issuers;
mod keys;
mod links;
mod listener;
mod pictures;
mod platform;
mod problem;
mod projects;
mod provisioning;
mod query;
mod refusals;
mod request_id;
mod router;
mod servers;
mod services;
mod token;
mod trigger_destinations;
mod well_known;

pub use listener::{Limits, serve};
pub use problem::Problem;
pub use request_id::RequestId;
pub use router::{frame, router};
