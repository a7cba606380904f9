//! The Rust client of Carnet.
//!
//! One [`Client`] speaks to one server with one credential: a person's access token, or the workload identity of a
//! project in an environment.
//!
//! ```no_run
//! # async fn example() -> Result<(), carnet_sdk::Error> {
//! use carnet_sdk::{AskedSubject, Client, TokenRequest};
//!
//! // CARNET_URL, and CARNET_TOKEN, CARNET_OIDC_TOKEN or CARNET_OIDC_TOKEN_FILE
//! let client = Client::from_env()?;
//! let token = client.get_token("slack/my-bot", &TokenRequest::of(AskedSubject::App)).await?;
//! // token.expose() goes into the request to Slack
//! # Ok(()) }
//! ```
//!
//! Programs need five methods: [`Client::get_token`], [`Client::get_token_response`], [`Client::start_authorization`],
//! [`Client::revoke_token`], [`Client::connector_metadata`]; and [`Client::with_token`], which asks the provider itself
//! and sees to a token that it no longer takes. The other methods are those of the command line.
//!
//! What is promised: tokens are remembered in memory for the caller, connector, subject and parameters they were asked
//! with, and given out while they live; who asks for the same at the same time shares one request; a refusal is never
//! remembered. Every other method is one HTTP request, and nothing but [`Client::with_token`] does anything twice. A
//! connector's UID travels as one path segment whatever it holds. The credential goes to the given origin only (no
//! redirect is followed). Neither it nor a token is part of an error, or of what `{:?}` prints.
//!
//! What is not: that an answer has every member the server sent. What the types do not name is kept in `rest` where a
//! caller may want it. And that a token which was revoked elsewhere is forgotten here before it ends.
//!
//! [`Error::reason`] tells refusals apart by their stable code.

mod account;
mod ask_key;
mod audit;
mod authorization;
mod cache;
mod client;
mod connectors;
mod credential;
mod environment;
mod error;
mod explain;
mod export;
mod get_token;
mod grants;
mod import;
mod installations;
mod issuers;
mod keys;
mod links;
mod login;
mod managed_apps;
mod operation;
mod people;
mod projects;
mod reason;
mod rules;
mod services;
mod tokens;
mod transport;
mod triggers;
mod usage;
mod with_token;

pub use account::{AccessTokenInfo, AccessTokenRequest, AskedAccess, NewAccessToken, Team, User};
pub use audit::{AuditCheck, AuditFilter, AuditGap, AuditPage, AuditRecord};
pub use authorization::{
    Authorization, AuthorizationRequest, AuthorizationResult, AuthorizedConnector, InstallationRequest,
};
pub use carnet_model::{Code, SecretString, Time};
pub use client::{Builder, Client, TeamRef, is_loopback};
pub use connectors::{
    CheckedConnector, Connector, ConnectorChange, ConnectorFilter, ConnectorKey, ConnectorKeys,
    ConnectorPage, IncludedLink, IncludedProject, IncludedProjects, Includes, NewConnector, ServerCheck,
    ServerDifference,
};
pub use credential::{Credential, IdentityFile};
pub use error::{Error, NextStep, Refusal};
pub use explain::{ExplainRequest, ExplainedConnector, ExplainedRule, Explanation};
pub use export::ExportedSecrets;
pub use grants::{
    Alike, Checked, CheckedApplication, GrantInfo, GrantPage, Health, MadeTokens, Standing, Waiting,
};
pub use import::{ImportAnswer, ImportError, ImportedToken};
pub use installations::{InstallationInfo, NewInstallation};
pub use issuers::{
    Compared, IdentityFamily, NewTrustedIssuer, TokenCheck, TrustCheck, TrustRule, TrustedIssuer,
};
pub use keys::{
    Examined, ExaminedColumn, KeyVersion, KeysStatus, Process, RootWrap, Rotated, RunbookEntry, RunbookStep,
    SigningKey, UnseenToken,
};
pub use links::{Link, LinkedProject, RedirectUri};
pub use login::{DeviceLogin, LoginProgress, LoginTokens};
pub use managed_apps::{ManagedApp, ManagedAppChange, NewManagedApp, OfferedTo, RemovedApp};
pub use operation::{Liveness, Readiness};
pub use people::{InvitationInfo, InvitedTo, NewInvitation, PassphraseReset, TeamAndToken, TeamMember};
pub use projects::{CustomEnvironment, Project, ProjectPage};
pub use reason::Reason;
pub use rules::{ConsentRules, HealthWebhook};
pub use services::{
    ConnectionMethod, CreationModes, MethodType, ServiceDescription, ServiceOutline, ServiceScope,
    ServiceTarget, ServiceType, TemplateField,
};
pub use tokens::{AskedSubject, ConnectorName, Revocation, RevokeRequest, Token, TokenRequest};
pub use triggers::{
    DeliveredEvent, Delivery, DeliveryAttempt, DeliveryPage, NewTriggers, NextPage, ProjectUrl,
    TriggerChange, TriggerDestination, TriggerSettings,
};
pub use usage::{Usage, UsageBudget, UsageFilter, UsageMonth, UsagePlan, UsageShare};
pub use with_token::{Answered, CallError};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
