//! What the engine and the API promise, tried from outside: over HTTP, through the pages, against a real provider.

#![cfg(test)]

mod access;
mod audit;
mod catalog;
mod certificates;
mod connector_keys;
mod consent;
mod device_login;
mod explain;
mod gateway;
mod health;
mod identities;
mod import;
mod installations;
mod isolation;
mod keys;
mod lists;
mod managed;
mod metrics;
mod people;
mod readiness;
mod refresh;
mod registrations;
mod revoke;
mod scopes;
mod secrets_export;
mod servers;
mod sign_in;
mod sign_in_elsewhere;
mod subjects;
mod tamper;
mod triggers;
mod usage;
mod whole_log;
mod wrong_members;

use serde_json::{Value, json};

/// A request for a user's token.
fn of(user: &str) -> Value {
    json!({"subject": {"type": "user", "id": user}})
}

/// A request for a token that must be made anew: no token lives as much longer as this wants.
fn anew(user: &str) -> Value {
    json!({"subject": {"type": "user", "id": user}, "validityBufferMs": 86_400_000})
}
