//! `clientAssertion`: how a client of the method `private_key_jwt` writes its assertions.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::driver::failure::BadConfiguration;
use crate::driver::signer::SigningAlgorithm;
use crate::fields::Fields;
use crate::oauth::assertion::is_registered;
use crate::oauth::client_auth::ASSERTION_TYPE;
use crate::oauth::metadata::Server;

/// How the assertions of the client are written.
#[derive(Debug)]
pub(super) struct ClientAssertion {
    pub life: Duration,
    /// `None` for what the standards say: the issuer, or the token endpoint of a server whose issuer is not known.
    pub audience: Option<String>,
    /// By whom and about whom, if not by the client about itself: a federated credential.
    pub issuer: Option<String>,
    pub subject: Option<String>,
    pub claims: Map<String, Value>,
}

impl ClientAssertion {
    /// Reads it, if it is there.
    pub(super) fn read(fields: &mut Fields) -> Result<Self, BadConfiguration> {
        let mut read = Self { life: LIFE, audience: None, issuer: None, subject: None, claims: Map::new() };
        let Some(mut inner) = fields.object("clientAssertion")? else { return Ok(read) };
        if inner.text("type")?.is_some_and(|kind| kind != ASSERTION_TYPE) {
            return Err(inner.bad("type", format!("must be {ASSERTION_TYPE}")));
        }
        read.life = life(&mut inner)?.unwrap_or(LIFE);
        if let Some(mut claims) = inner.object("claims")? {
            // Some servers take nothing but the address of their token endpoint.
            read.audience = claims.text("aud")?;
            read.claims = further_claims(claims)?;
        }
        if let Some(mut federated) = inner.object("federated")? {
            read.issuer = federated.text("issuer")?;
            read.subject = federated.text("subject")?;
            federated.finish()?;
        }
        inner.finish()?;
        Ok(read)
    }

    /// As stored and shown; `None` if it says nothing.
    pub(super) fn to_json(&self) -> Option<Value> {
        let mut claims = self.claims.clone();
        if let Some(audience) = &self.audience {
            claims.insert("aud".to_owned(), audience.clone().into());
        }
        let mut out = Map::new();
        if self.life != LIFE {
            out.insert("ttl".to_owned(), self.life.as_secs().into());
        }
        if !claims.is_empty() {
            out.insert("claims".to_owned(), claims.into());
        }
        if self.issuer.is_some() || self.subject.is_some() {
            let federated = json!({"issuer": self.issuer, "subject": self.subject});
            out.insert("federated".to_owned(), federated);
        }
        (!out.is_empty()).then(|| json!(out))
    }
}

/// How long an assertion lives: 10 seconds to 10 minutes.
pub(super) fn life(fields: &mut Fields) -> Result<Option<Duration>, BadConfiguration> {
    match fields.number("ttl")? {
        None => Ok(None),
        Some(seconds @ 10..=600) => Ok(Some(Duration::from_secs(seconds))),
        Some(_) => Err(fields.bad("ttl", "must be 10 to 600 seconds")),
    }
}

/// Claims that an assertion has besides those of every assertion.
pub(super) fn further_claims(fields: Fields) -> Result<Map<String, Value>, BadConfiguration> {
    if let Some(name) = fields.names().find(|name| is_registered(name)) {
        return Err(fields.bad(name, "is set by the protocol itself"));
    }
    Ok(fields.rest())
}

/// With what a client signs that proves itself with a key: what was chosen, or what the server takes, if it says.
pub(super) fn signing_for(
    chosen: Option<SigningAlgorithm>,
    server: &Server,
) -> Result<Option<SigningAlgorithm>, BadConfiguration> {
    let Some(known) = &server.document.signing_algorithms else { return Ok(chosen) };
    let takes = |algorithm: &SigningAlgorithm| known.iter().any(|name| name == algorithm.as_str());
    let fits = match chosen {
        Some(chosen) => Some(chosen).filter(takes),
        None => SigningAlgorithm::ALL.into_iter().find(takes),
    };
    match (fits, chosen) {
        (Some(SigningAlgorithm::Rs256), None) => Ok(None),
        (Some(fits), _) => Ok(Some(fits)),
        (None, _) => Err(BadConfiguration {
            field: "signingAlgorithm".to_owned(),
            why: format!(
                "the server takes proofs of a client that are signed with {}, and connectors sign with RS256, ES256, \
                 PS256, ES384 or EdDSA; choose one that it takes, or another tokenEndpointAuthMethod",
                if known.is_empty() { "nothing".to_owned() } else { known.join(" or ") }
            ),
        }),
    }
}

/// Servers that keep the identifiers of used assertions refuse longer lives: Keycloak takes 60 seconds at most.
const LIFE: Duration = Duration::from_mins(1);
