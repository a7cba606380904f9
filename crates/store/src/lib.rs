//! Where everything is kept: SQLite inside the process, or PostgreSQL.
//!
//! [`Db`] is the adapter. It runs one SQL text on both engines; a statement carries two texts only where the dialects
//! differ ([`Sql`]). Columns are `bigint`, `text`, `bytea` and null. Reads are single statements. Every change is a
//! [`Write`]: a list of statements with what each must find, and the audit events that belong to them. A write is
//! committed as a whole or not at all, and is durable when it is acknowledged. There are no open transactions to hold
//! while something else happens, so none can be held across a network call.
//!
//! On SQLite one thread writes, and commits whatever has queued up with one flush. On PostgreSQL writes that only
//! record events are grouped in the same way, and others run in transactions of their own.
//!
//! Every write takes its place in the audit log under one row lock, which makes the log dense and gives every change
//! of the rules a [`Revision`]. A decision can be recorded on condition that the revision it was made against is still
//! the present one ([`Write::only_at`]); so a decision from a cache is never acted upon after the rules have changed,
//! on any number of nodes.
//!
//! One file per noun holds its SQL: reads that take the team they are about, and steps for writes.
//! Nothing here knows what is inside a sealed column.

mod db;
mod failing;
mod lite;
mod migrate;
mod pg;
mod place;
mod row;
mod write;

pub mod access_tokens;
pub mod audit;
pub mod awaited;
pub mod certificates;
pub mod command_lines;
pub mod completions;
pub mod connector_keys;
pub mod connectors;
pub mod consent_rules;
pub mod consents;
pub mod copy;
pub mod creations;
pub mod deliveries;
pub mod deployment;
pub mod destinations;
pub mod device_logins;
pub mod gateway;
pub mod grants;
pub mod health;
pub mod installations;
pub mod invitations;
pub mod issuers;
pub mod keys;
pub mod links;
pub mod managed_apps;
pub mod minted;
pub mod nodes;
pub mod passkeys;
pub mod passphrase_resets;
pub mod passphrases;
pub mod people;
pub mod pictures;
pub mod project_urls;
pub mod projects;
pub mod provisioning;
pub mod pulse;
pub mod redirect_uris;
pub mod refreshes;
pub mod registrations;
pub mod return_origins;
pub mod sealed;
pub mod sessions;
pub mod setup;
pub mod sign_in_links;
pub mod sign_in_tries;
pub mod spent_inbound;
pub mod trigger_events;
pub mod triggers;
pub mod usage;

pub use db::{Db, DbError, Location, OpenError, Shared};
pub use failing::pass;
pub use row::{FromRow, Row, Sql, Value};
pub use write::{Expect, Revision, Step, Write, Written, rules_of, same_rules};
