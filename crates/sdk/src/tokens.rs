//! Tokens: what is asked for, what is answered, and the two requests.

use carnet_model::{Id, Secret, SecretString, Time, kind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::client::Client;
use crate::error::Error;
use crate::transport::Call;

/// What is asked for. Everything left out is the server's choice.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRequest {
    /// Who the token acts as; the caller's own user if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<AskedSubject>,
    /// The installation, where the connector has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installation_id: Option<String>,
    /// The scopes; `["*"]` for the connector's defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// For whom the token is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<Vec<String>>,
    /// RFC 8707 resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<String>>,
    /// RFC 9396 details.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_details: Option<Vec<Value>>,
    /// The token must be good for at least this many milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validity_buffer_ms: Option<u64>,
}

/// Who a token shall act as.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum AskedSubject {
    /// The application itself.
    App,
    /// A user.
    User {
        /// The caller's own identifier of that user; the calling person if left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// Separates identifier spaces, when the caller has several.
        #[serde(skip_serializing_if = "Option::is_none")]
        issuer: Option<String>,
    },
    /// An identity that the caller asserts (RFC 7523).
    #[serde(rename_all = "camelCase")]
    JwtBearer {
        /// The `sub` of the assertion.
        sub: String,
        /// Its `iss`.
        #[serde(skip_serializing_if = "Option::is_none")]
        iss: Option<String>,
        /// Its `aud`.
        #[serde(skip_serializing_if = "Option::is_none")]
        aud: Option<String>,
        /// Claims besides the registered ones.
        #[serde(skip_serializing_if = "Map::is_empty")]
        additional_claims: Map<String, Value>,
    },
    /// The holder of a credential that the caller already has (RFC 8693).
    Token {
        /// That credential.
        #[serde(serialize_with = "exposed")]
        token: SecretString,
    },
}

/// A token, and what the server says about it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Token {
    /// The token itself.
    pub token: SecretString,
    /// By which the audit log knows this issuance.
    pub token_id: Option<Id<kind::Token>>,
    /// When the provider stops accepting it.
    pub expires_at: Time,
    /// The connector it came from.
    pub connector: ConnectorName,
    /// What the provider calls the account.
    pub name: Option<String>,
    /// The installation.
    pub installation_id: Option<String>,
    /// The provider's tenant.
    pub tenant_id: Option<String>,
    /// The account at the provider.
    pub external_subject: Option<String>,
    /// What the provider says besides.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// Claims of the provider's ID token that the connector forwards.
    #[serde(default)]
    pub claims: Map<String, Value>,
    #[serde(skip)]
    body: Option<SecretString>,
}

/// A connector in few words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ConnectorName {
    /// `scl_…`
    pub id: Id<kind::Connector>,
    /// `service/name`
    pub uid: String,
    /// The driver.
    pub r#type: String,
}

/// Which tokens to revoke.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RevokeRequest {
    /// Of this subject only; of everybody if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<AskedSubject>,
    /// Of this installation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installation_id: Option<String>,
}

/// What a revocation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Revocation {
    /// What was there.
    pub tokens_found: u64,
    /// What Carnet no longer has.
    pub deleted: u64,
    /// What the provider confirmed to have revoked.
    pub provider_revoked: u64,
    /// What the provider offers no revocation for.
    pub provider_skipped: u64,
    /// Where the provider did not confirm; such a token may work until it expires.
    pub provider_failed: u64,
}

impl TokenRequest {
    /// For this subject, with everything else left to the connector.
    pub fn of(subject: AskedSubject) -> Self {
        Self { subject: Some(subject), ..Self::default() }
    }

    /// The same request once more.
    pub(crate) fn duplicate(&self) -> Self {
        Self {
            subject: self.subject.as_ref().map(AskedSubject::duplicate),
            installation_id: self.installation_id.clone(),
            scopes: self.scopes.clone(),
            audience: self.audience.clone(),
            resources: self.resources.clone(),
            authorization_details: self.authorization_details.clone(),
            validity_buffer_ms: self.validity_buffer_ms,
        }
    }
}

impl AskedSubject {
    /// A user, by the caller's own identifier.
    pub fn user(id: impl Into<String>) -> Self {
        Self::User { id: Some(id.into()), issuer: None }
    }

    fn duplicate(&self) -> Self {
        match self {
            Self::App => Self::App,
            Self::User { id, issuer } => Self::User { id: id.clone(), issuer: issuer.clone() },
            Self::JwtBearer { sub, iss, aud, additional_claims } => Self::JwtBearer {
                sub: sub.clone(),
                iss: iss.clone(),
                aud: aud.clone(),
                additional_claims: additional_claims.clone(),
            },
            Self::Token { token } => Self::Token { token: token.duplicate() },
        }
    }
}

impl Client {
    /// Asks the server for a token.
    pub(crate) async fn ask(&self, connector: &str, ask: &TokenRequest) -> Result<Token, Error> {
        let answer = self.send(Call::post(&["v1", "connect", "token", connector]).json(ask)).await?;
        let mut token: Token = answer.json()?;
        token.body = str::from_utf8(answer.body.expose()).ok().map(|body| Secret::new(body.to_owned()));
        Ok(token)
    }

    /// Has the server revoke tokens.
    pub(crate) async fn withdraw(&self, connector: &str, which: &RevokeRequest) -> Result<Revocation, Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            #[serde(flatten)]
            which: &'a RevokeRequest,
            /// Everybody's of one installation is said outright: a server takes no forgotten subject for it.
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            all: bool,
        }
        let all = which.subject.is_none() && which.installation_id.is_some();
        let call = Call::delete(&["v1", "connect", "connectors", connector, "tokens"]);
        self.fetch(call.json(&Body { which, all })).await
    }
}

impl Token {
    /// The whole answer as the server wrote it, the token included.
    pub fn body(&self) -> &str {
        self.body.as_ref().map_or("", |body| body.expose())
    }
}

fn exposed<S: serde::Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}
