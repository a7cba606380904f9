//! The verbs: what Carnet does, without a word of HTTP or SQL.
//!
//! [`Broker`] holds what a running deployment needs, and each verb is a method in a file of its own. A verb takes a
//! [`carnet_model::caller::Caller`], which only [`Broker::recognise`] makes, and ends in a value or a
//! [`carnet_model::Fault`]. The rules of every verb:
//!
//! - the team comes from the caller and from nowhere else;
//! - the decision is [`carnet_model::access::decide`]'s or [`carnet_model::rights::decide`]'s, made against the present
//!   rules, and recorded before the answer;
//! - no secret is answered before its audit event is durable;
//! - what a provider returned is durable before it is used;
//! - what must finish runs as a tracked task, so that a caller who hangs up cannot stop it.

mod access_tokens;
mod accounts;
mod ahead;
mod audit;
mod backup;
mod brake;
mod breaker;
mod broker;
mod cache;
mod callers;
mod certificates;
mod clocks;
mod connector_keys;
mod connectors;
mod consent;
mod device_login;
mod directory;
mod explain;
mod export;
mod faults;
mod gateway;
mod grants;
mod health;
mod import;
mod installations;
mod invitations;
mod issue;
mod issuers;
mod keks;
mod keys;
mod links;
mod managed;
mod members;
mod own_issuer;
mod pace;
mod passphrase_resets;
mod people;
mod pictures;
mod project_urls;
mod projects;
mod pulse;
mod rates;
mod recover;
mod refresh;
mod registrations;
mod rejections;
mod revoke;
mod sealed;
mod sealing;
mod seat;
mod services;
mod sessions;
mod setup;
mod sign_in;
mod spill;
mod start;
mod teams;
mod tries;
mod triggers;
mod usage;

pub use access_tokens::{CreatedToken, NewToken, Whose};
pub use audit::{AuditChecked, AuditPage, AuditQuery, Manageable, ManagementRefused};
pub use backup::{Held, LookError, sha256_of};
pub use broker::{Broker, Readiness, Settings};
pub use callers::{Credential, TeamHint};
pub use certificates::{Acme, CertificateState, validity};
pub use connector_keys::{ConnectorKeyView, ConnectorKeysView};
pub use connectors::{
    ConnectorChange, ConnectorUpdated, ConnectorView, Difference, LinkedProjects, ListQuery, NewConnectorAsk,
    ServerCheck, ServiceSync, Sort, TriggerAsk,
};
pub use consent::{
    AccountQuestion, After, AuthorizationStarted, AuthorizeAsk, CodeRefused, ConsentEnd, ConsentPage,
    ConsentRulesChange, Decision, Elsewhere, Ending, EndingKind, InstallAsk, LinkAsk, NotYet, PageKind,
    Progress, ScopeLine,
};
pub use device_login::{
    CommandLine, CommandLineTokens, DeviceCodeRefused, DeviceLogin, DeviceLoginStarted, Introspected,
    OauthRefused,
};
pub use explain::{ExplainAsk, Explained, IdentityTold, RuleTold, Ruling, rule_in_words};
pub use export::ExportedSecrets;
pub use gateway::{
    CodeAsk, GatewayGrant, GatewayPerson, GatewayRefused, GatewayTokens, NewRedirectUri, RegisteredUri,
};
pub use grants::{GrantView, Standing};
pub use health::{CheckedApplication, CheckedGrant, CheckedInstallation, Health, Verdict};
pub use import::{Imported, ImportedToken, TokenToImport};
pub use installations::NewInstallation;
pub use invitations::{InvitationView, Invited, Joined, NewAccount, NewInvitation};
pub use issue::{Issued, TokenAsk};
pub use issuers::{IssuerCheck, SignatureFound, TokenCheck};
pub use keks::Root;
pub use keys::{
    Examined, ExaminedColumn, KekStep, KeyKind, KeyView, KeysStatus, NodeView, ProviderState, RotateAsk,
    Rotated, RunbookEntry, RunbookStep, SigningView, UnseenToken, WrapView,
};
pub use managed::{
    ManagedAppChange, ManagedAppHistory, ManagedAppSource, ManagedAppView, ManagedService, NewManagedApp,
    OfferedTo, UnfitApp,
};
pub use own_issuer::IdentityToken;
pub use passphrase_resets::ResetLink;
pub use pictures::ShownOn;
pub use rates::Pace;
pub use refresh::STOPS_WITHIN;
pub use registrations::{ProviderForm, RegistrationChoice, RegistrationPage, RegistrationWay};
pub use revoke::Revoked;
pub use sealing::whose;
pub use services::ServicesQuery;
pub use sessions::{Session, Visitor};
pub use setup::{FirstOwner, SetUp};
pub use sign_in::{
    CallbackQuery, CameBack, Newcomers, PasskeyFor, PasskeyMade, PasskeyUse, SignInFor, SignInIssuer,
    SignInRefused,
};
pub use start::StartError;
pub use teams::{CreatedTeam, OWN_PATHS, TeamChange};
pub use triggers::{
    DeliveriesQuery, DeliveryView, Intake, NewDestination, Posted, SigningSecret, TriggerChange, TriggerView,
    Triggers,
};
pub use usage::{BadPlans, NewBudget, NewWebhook, Plan, Plans, Price, Usage, UsageQuery};

pub use carnet_catalog::{Catalog, Unreadable as UnreadableCatalog};
pub use carnet_identity::{ClaimMap, Comparison, Family, TrustedIssuerConfig};
pub use carnet_model::Month;
pub use carnet_providers::Bound;
pub use carnet_store::access_tokens::AccessTokenRow;
pub use carnet_store::consent_rules::ConsentRules;
pub use carnet_store::copy;
pub use carnet_store::deliveries::{Attempt, TriggerDelivery};
pub use carnet_store::destinations::Destination;
pub use carnet_store::health::HealthWebhook;
pub use carnet_store::installations::Installation;
pub use carnet_store::invitations::Invitation;
pub use carnet_store::issuers::IssuerRow;
pub use carnet_store::links::{Link, LinkedProject};
pub use carnet_store::passkeys::PasskeyRow;
pub use carnet_store::people::{Membership, Team, TeamMember, User};
pub use carnet_store::pictures::Picture;
pub use carnet_store::project_urls::ProjectUrl;
pub use carnet_store::projects::{CustomEnvironment, Project};
pub use carnet_store::sessions::SessionRow;
pub use carnet_store::sign_in_links::SignInLink;
pub use carnet_store::usage::{Budget, By, Share};
pub use carnet_store::{Location, OpenError, Shared};
pub use carnet_vault::{InvalidRecipient, Recipient, UnlockError, equal};
