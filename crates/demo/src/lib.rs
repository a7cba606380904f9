//! The demo provider: a real OAuth 2.0 authorization server behind the connector `demo/hello`.
//!
//! `carnet dev` runs it inside its own process, so that a first token needs no account and no network. It is not a
//! mock: it keeps to the protocol as a serious provider does, so that what works here works elsewhere.
//!
//! Promised: authorization code with PKCE S256 and a page on which a person says yes or no; client credentials;
//! refresh with rotation and reuse detection (RFC 9700 §4.14.2), or a grace period, or none; revocation (RFC 7009);
//! metadata (RFC 8414); the issuer in every authorization response (RFC 9207); a small API that takes the tokens.
//! Only digests of codes, tokens and client secrets are kept. What it keeps is bounded.
//!
//! Not promised: identity. There are two made-up people, anybody may be either of them, and there is no ID token.
//! It must never be reachable from outside a development machine.
//!
//! `Demo::allow` makes a grant as a yes on the page does, for whoever runs the provider.
//!
//! Who takes part: [`Options`] says how it behaves; `authorize`, `token`, `revoke`, `api` and `metadata` are its
//! endpoints; `ledger` decides what a code or token is still good for; [`Event`] tells what it saw.
//!
//! How to mount it, for the issuer `http://127.0.0.1:7070/demo`:
//!
//! ```
//! # fn mount(demo: &carnet_demo::Demo) -> axum::Router {
//! axum::Router::new().nest("/demo", demo.router()).merge(demo.well_known_router())
//! # }
//! ```

mod allow;
mod answer;
mod api;
mod authorize;
mod client;
mod event;
mod form;
mod ledger;
mod metadata;
mod opaque;
mod options;
mod person;
mod revoke;
mod scope;
mod token;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use carnet_model::Env;

pub use allow::{Allowed, NotAllowed};
pub use event::{Event, GrantType, Outcome, What};
pub use ledger::StateError;
pub use options::{ClientRegistration, OpenError, Options};

use authorize::Seal;
use client::Clients;
use event::Events;
use ledger::{Book, Terms};
use options::Issuer;

/// The demo provider. Clones are the same server.
#[derive(Clone)]
pub struct Demo(Arc<Server>);

/// What every endpoint works with.
struct Server {
    env: Env,
    issuer: Issuer,
    clients: Clients,
    terms: Terms,
    book: Arc<Book>,
    seal: Seal,
    events: Events,
}

impl Demo {
    /// Checks the options and takes up the state file where the last run left it.
    pub fn new(options: Options, env: Env) -> Result<Self, OpenError> {
        let issuer = Issuer::new(&options.issuer)?;
        let clients = Clients::new(options.clients)?;
        let terms = Terms::new(options.access_life, options.refresh_life, options.rotation)?;
        let book = Arc::new(Book::open(options.state, env.now())?);
        let seal = Seal::new(&env);
        Ok(Self(Arc::new(Server { env, issuer, clients, terms, book, seal, events: Events::default() })))
    }

    /// The endpoints below the issuer's path. Nest it there; merge it if the issuer has no path.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/.well-known/openid-configuration", get(metadata::show))
            .route("/authorize", get(authorize::ask).post(authorize::decide))
            .route("/token", post(token::token))
            .route("/revoke", post(revoke::revoke))
            .route("/api/me", get(api::me))
            .route("/api/messages", get(api::messages).post(api::write))
            .route("/style.css", get(authorize::style))
            .route("/icon.svg", get(authorize::icon))
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .with_state(Arc::clone(&self.0))
    }

    /// The metadata at the root of the origin, where RFC 8414 §3.1 puts it: the well-known name first, then the
    /// issuer's path. Merge it into the outermost router.
    pub fn well_known_router(&self) -> Router {
        let path = self.0.issuer.path();
        let router = Router::new()
            .route(&format!("/.well-known/oauth-authorization-server{path}"), get(metadata::show));
        let router = if path.is_empty() {
            router
        } else {
            // RFC 8414 §5: the older name, in the same place. Without a path, `router` has it already.
            router.route(&format!("/.well-known/openid-configuration{path}"), get(metadata::show))
        };
        router.with_state(Arc::clone(&self.0))
    }

    /// What it saw, oldest first; the newest 2,000. Holds no secret.
    pub fn events(&self) -> Vec<Event> {
        self.0.events.all()
    }
}

/// A token request is a few hundred bytes, a message at most two thousand.
const BODY_LIMIT: usize = 16 * 1024;
