//! The only way out.
//!
//! Everything Carnet sends to another host goes through [`Egress::send`]: discovery documents, keys, token requests,
//! provider APIs, completion webhooks, forwarded triggers. One function, so that one rule holds for all of them.
//!
//! Promised:
//! - No URL that came from a user opens a socket to an address that is not public, unless the operator allowed that
//!   network. The URL is judged as text ([`Egress::check`]), and again where it counts: in the connector, on the
//!   address, immediately before `connect()`, with every address the name resolved to. A resolver that filters is
//!   not enough, because an address written into a URL never reaches a resolver.
//! - Redirects are answers, never followed. No proxy is taken from the environment. Nothing is tried twice.
//! - Every call ends: a connect deadline, a total deadline, caps on headers and body that hold while reading.
//! - A connection is never shared between teams, nor between purposes (an allowance holds for one purpose).
//! - [`EgressError::maybe_received`] does not lie: `false` means that no byte of the request left for the peer.
//!
//! Not promised: that a public address is a friendly one, and that an answer means what it says. Bodies are raw bytes,
//! never decompressed and never parsed here.
//!
//! Who takes part: `identity` (discovery, keys), `providers` (tokens, APIs), `engine` (completions, forwards).
//! `carnet` builds the [`Policy`] from the configuration, once.

mod address;
mod call;
mod connect;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod network;
mod origin;
mod place;
mod policy;
mod resolve;
mod send;
mod tls;
mod url_rule;
mod wire;

pub use call::{Answer, Call, Limits};
pub use error::{EgressError, SetupError};
pub use network::{InvalidNetwork, Network};
pub use origin::{InvalidOrigin, Origin};
pub use place::{InvalidPlace, Place};
pub use policy::{Allowance, InvalidPurpose, Policy, Purpose};
pub use resolve::{Resolve, Resolved, SystemResolver};
pub use send::Egress;
pub use url_rule::{UrlRefused, as_written};
pub use wire::{Dialling, Duplex, Transport};
