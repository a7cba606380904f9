//! The Rust client of Carnet.
//!
//! One [`Client`] speaks to one server with one credential: a person's access token, or the workload identity of a
//! project in an environment. Every method is one HTTP request; nothing is retried and nothing is remembered, so that
//! what the caller sees is what the server decided at that moment.
//!
//! ```no_run
//! # async fn example() -> Result<(), carnet_sdk::Error> {
//! use carnet_sdk::{AskedSubject, Client, Credential, TokenRequest};
//!
//! let url = "https://carnet.example".parse().expect("a URL");
//! let identity = Credential::Identity("eyJ…".to_owned().into());
//! let client = Client::builder(url).credential(identity).build()?;
//! let ask = TokenRequest { subject: Some(AskedSubject::App), ..TokenRequest::default() };
//! let issued = client.token("slack/my-bot", &ask).await?;
//! // issued.token.expose() goes into the request to Slack
//! # Ok(()) }
//! ```
//!
//! What is promised: a connector's UID travels as one path segment whatever it holds; the credential goes to the
//! given origin only (no redirect is followed) and is never part of an error. What is not: that an answer has every
//! member the server sent. What the types do not name is kept in `rest` where a caller may want it.

mod account;
mod audit;
mod authorization;
mod client;
mod connectors;
mod error;
mod import;
mod issuers;
mod links;
mod operation;
mod projects;
mod tokens;
mod transport;

pub use account::{AccessTokenInfo, NewAccessToken, Team, User};
pub use audit::{AuditFilter, AuditPage, AuditRecord};
pub use authorization::{Authorization, AuthorizationRequest, AuthorizationResult};
pub use client::{Builder, Client, Credential, TeamRef, is_loopback};
pub use connectors::{
    Connector, ConnectorFilter, ConnectorPage, GrantInfo, IncludedLink, IncludedProject, IncludedProjects,
    Includes, NewConnector, ServiceDescription, ServiceType,
};
pub use error::{Error, NextStep, Refusal};
pub use import::{ImportAnswer, ImportError, ImportedToken};
pub use issuers::{NewTrustedIssuer, TrustRule, TrustedIssuer};
pub use links::{Link, LinkedProject};
pub use operation::{Liveness, Readiness};
pub use projects::{CustomEnvironment, Project};
pub use tokens::{AskedSubject, ConnectorName, Revocation, RevokeRequest, Token, TokenRequest};
