//! A whole broker in a test: a scripted authorization server, an issuer of workload identities, a browser, a clock that
//! can be moved, and one or several nodes on SQLite or PostgreSQL. Everything speaks real HTTP over loopback.
//!
//! [`Kit::start`] makes a team with its owner, a project, a connector to the scripted [`Provider`], linked in the three
//! environments, and an [`Issuer`] whose tokens prove the project. What a test does goes through the API and the pages,
//! as for anybody outside; [`Raw`] looks at the store from behind, for what only a crash or a thief would see.
//!
//! Nothing here is part of the product. What goes wrong here ends the test by panicking.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "whatever goes wrong in here is the end of the test"
)]

mod authority;
mod browser;
mod clock;
mod described;
mod engine;
mod forms;
mod http;
mod issuer;
mod key_service;
mod kit;
mod listener;
mod logs;
mod pebble;
mod ports;
mod provider;
mod raw;
mod receiver;
mod vault;

pub use authority::{Asked, Authority};
pub use browser::{Browser, unescaped};
pub use clock::Clock;
pub use described::template_of;
pub use engine::Engine;
pub use forms::written_forms;
pub use http::{Answer, Http};
pub use issuer::Issuer;
pub use key_service::{Answers, KeyService};
pub use kit::{Kit, Node, Plan, Tenant, eventually};
pub use listener::Listener;
pub use logs::Logs;
pub use pebble::Pebble;
pub use ports::free_port;
pub use provider::{Behaviour, Fault, Gate, Provider, id_token, id_token_of};
pub use raw::{Held, Raw};
pub use receiver::{Received, Receiver};
pub use vault::VaultServer;
