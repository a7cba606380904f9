//! What an app gets: an access token for its own services, and an ID token. Both are Carnet's own, signed by the key with
//! which it signs identities.
//!
//! The access token is what the official verifier looks for: `typ` is a claim in it, `aud` has team, project and
//! environment, `clientId` and `clientUid` the connector, `sub` the session. Its header says `at+jwt` (RFC 9068 §2.1), so
//! that nothing that expects an identity takes it for one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_identity::{Algorithm, Expectation, Presented};
use carnet_model::{Fault, Id, Scopes, SecretString, Time, kind};
use carnet_store::gateway::{Person, Session};
use serde_json::{Map, Value, json};
use std::time::Duration;

use super::ACCESS;
use super::person::Standing;
use crate::broker::Broker;
use crate::cache::sha256;
use crate::directory::Entry;

/// An access token that was verified.
pub(crate) struct Verified {
    pub(crate) session: Id<kind::GatewaySession>,
    pub(crate) audience: String,
    pub(crate) scope: Scopes,
}

/// For whom an access token is.
pub(crate) fn audience(session: &Session) -> String {
    format!("{}:{}:{}", session.team, session.project, session.environment)
}

impl Broker {
    pub(crate) fn access_token(
        &self,
        session: &Session,
        person: &Person,
        entry: &Entry,
        scope: &Scopes,
        now: Time,
    ) -> Result<SecretString, Fault> {
        let connector = &entry.row.connector;
        let mut claims = object(json!({
            "iss": self.inner.settings.base(),
            "sub": session.id.to_string(),
            "aud": audience(session),
            "iat": now.secs(),
            "nbf": now.secs(),
            "exp": now.plus(ACCESS).secs(),
            "jti": self.inner.env.id::<kind::Token>().to_string(),
            "typ": "at",
            "clientId": connector.id.to_string(),
            "clientUid": connector.uid.as_str(),
            "scope": scope.to_string(),
        }));
        let installed = session.installation.and_then(|id| entry.installed(id));
        let tenant = installed.and_then(|installed| installed.tenant_id.clone());
        let tenant = tenant.or_else(|| Some(person.tenant.clone()).filter(|tenant| !tenant.is_empty()));
        if let Some(tenant) = tenant {
            claims.insert("tenantId".to_owned(), tenant.into());
        }
        if let Some(installation) = session.installation {
            claims.insert("installationId".to_owned(), installation.to_string().into());
        }
        self.sign_claims("at+jwt", &claims, now)
    }

    /// OpenID Connect Core §2. Who it is, to this connector; what else is known, by scope.
    pub(crate) fn id_token(
        &self,
        session: &Session,
        standing: &Standing,
        access: &SecretString,
        scope: &Scopes,
        now: Time,
    ) -> Result<SecretString, Fault> {
        let digest = sha256(access.expose().as_bytes());
        let half = digest.first_chunk::<16>().map(|half| URL_SAFE_NO_PAD.encode(half)).unwrap_or_default();
        let mut claims = object(json!({
            "iss": self.inner.settings.base(),
            "sub": standing.person.id.to_string(),
            "aud": session.client,
            "azp": session.client,
            "iat": now.secs(),
            "exp": now.plus(ACCESS).secs(),
            "auth_time": session.signed_in_at.secs(),
            "at_hash": half,
        }));
        if let Some(nonce) = &session.nonce {
            claims.insert("nonce".to_owned(), nonce.as_str().into());
        }
        claims.extend(standing.claims(scope));
        self.sign_claims("JWT", &claims, now)
    }

    /// What an access token says, if it is one of ours and lives.
    pub(crate) fn verified_access_token(&self, token: &SecretString) -> Option<Verified> {
        let presented = Presented::parse(token.expose()).ok()?;
        let audiences = [presented.audience().to_owned()];
        let expect = Expectation {
            issuer: self.inner.settings.base(),
            audiences: &audiences,
            algorithms: &[Algorithm::Rs256, Algorithm::Es256],
            types: &["at+jwt".to_owned()],
            max_life: ACCESS,
            max_age: None,
            skew: Duration::ZERO,
        };
        let keys = self.inner.issuer.keys()?;
        let verified = presented.verify(&keys, &expect, self.inner.env.now()).ok()?;
        if verified.claim("typ").and_then(Value::as_str) != Some("at") {
            return None;
        }
        let scope = verified.claim("scope").and_then(Value::as_str)?;
        Some(Verified {
            session: Id::parse(verified.subject()).ok()?,
            audience: verified.audience().to_owned(),
            scope: Scopes::parse_joined(scope).ok()?,
        })
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
