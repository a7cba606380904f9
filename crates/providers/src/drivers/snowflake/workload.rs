//! The application without a secret: a token of the connector's own issuer, which a service user at Snowflake trusts.
//!
//! "Workload identity federation" (docs.snowflake.com, read 2026-11-30): a user of `TYPE = SERVICE` has a workload identity
//! of `TYPE = OIDC` with issuer, subject and audience; where no `OIDC_AUDIENCE_LIST` is set, the audience is
//! `snowflakecomputing.com`. The drivers take such a token with the authenticator `WORKLOAD_IDENTITY` and the provider
//! `OIDC`; the SQL API does not take it. Which user it is follows from the subject alone.

use std::time::Duration;

use carnet_model::{Id, kind};
use serde_json::{Map, Value, json};

use super::settings::Settings;
use crate::driver::At;
use crate::driver::failure::DriverError;
use crate::driver::mint::Minted;
use crate::oauth::assertion::Assertion;

/// What the user at Snowflake has to be told.
pub(super) fn credential(issuer: &str, connector: Id<kind::Connector>) -> Value {
    json!({"issuer": issuer, "subject": subject(connector), "audience": AUDIENCE})
}

/// A token of the application.
pub(super) fn mint(at: &At<'_>, settings: &Settings) -> Result<Minted, DriverError> {
    let misconfigured = |field: &str, why: &str| DriverError::Misconfigured(field.to_owned(), why.to_owned());
    let issuer = settings.issuer.as_deref();
    let issuer = issuer.ok_or_else(|| misconfigured("federatedCredential", "is missing"))?;
    let signer = at.signer.ok_or_else(|| {
        misconfigured(
            "workloadIdentity",
            "the connector has no signing key that can be used; turn its keys to make one",
        )
    })?;
    let subject = subject(at.connector.id);
    let assertion =
        Assertion { issuer, subject: &subject, audience: AUDIENCE, life: LIFE, claims: Map::new() };
    let now = at.env.now();
    let (_, ends) = assertion.times(now);
    let token = assertion.sign(signer, at.env, now)?;
    let mut metadata = settings.told("WORKLOAD_IDENTITY");
    metadata.insert("workloadIdentityProvider".to_owned(), "OIDC".into());
    if let Some(username) = &settings.username {
        metadata.insert("username".to_owned(), username.clone().into());
    }
    Ok(Minted {
        token,
        expires_at: Some(ends),
        scopes: None,
        held: None,
        refresh_expires_at: None,
        metadata,
        claims: Map::new(),
        external_subject: settings.username.clone(),
        stray: None,
        flawed: false,
    })
}

/// As whom the connector signs. At Snowflake a subject has 255 characters at most.
fn subject(connector: Id<kind::Connector>) -> String {
    format!("connector:{connector}")
}

/// What Snowflake expects where a user names no other.
const AUDIENCE: &str = "snowflakecomputing.com";
/// A session is opened with it and lives on by itself. No assertion of a connector lives longer: its keys are turned by
/// that.
const LIFE: Duration = Duration::from_mins(10);
