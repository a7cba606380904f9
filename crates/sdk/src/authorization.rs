//! Authorizations: asking a person for consent, and seeing how it went.

use carnet_model::{SecretString, Time};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::Error;
use crate::tokens::TokenRequest;
use crate::transport::Call;

/// What consent is asked for.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizationRequest {
    /// The token that shall be possible afterwards.
    #[serde(flatten)]
    pub token: TokenRequest,
    /// Where the person's browser goes when it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
    /// Which server is told when it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// How long the person may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_ms: Option<u64>,
}

/// A page that is waiting for a person.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Authorization {
    /// The page to open; check that it is http or https before a browser sees it.
    pub url: String,
    /// `car_…`
    pub request: String,
    /// Proves to the server who may see the outcome. Stays with the caller.
    pub verifier: SecretString,
    /// When the page stops waiting.
    pub expires_at: Option<Time>,
}

/// How an authorization stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthorizationResult {
    /// The person has not decided yet.
    Pending,
    /// Something is done and something still to come.
    Partial {
        /// What the server is at.
        progress: Option<String>,
    },
    /// The person consented, and the grant is kept.
    Success {
        /// The installation that came of it.
        installation_id: Option<String>,
    },
    /// It failed.
    Failed {
        /// The stable code.
        code: String,
        /// What happened.
        message: String,
    },
    /// The person said no.
    Canceled,
}

impl Client {
    /// Makes a page on which a person can consent. The app shows its [`url`](Authorization::url) to that person, and
    /// to nobody else.
    pub async fn start_authorization(
        &self,
        connector: &str,
        ask: &AuthorizationRequest,
    ) -> Result<Authorization, Error> {
        self.fetch(Call::post(&["v1", "connect", "authorize", connector]).json(ask)).await
    }

    /// Makes a page on which somebody can install the application at the provider, so that it has tokens of its own
    /// there. How it stands is asked as for a consent.
    pub async fn start_installation(
        &self,
        connector: &str,
        ask: &AuthorizationRequest,
    ) -> Result<Authorization, Error> {
        self.fetch(Call::post(&["v1", "connect", "install", connector]).json(ask)).await
    }

    /// How the authorization with this verifier stands.
    pub async fn result(&self, verifier: &SecretString) -> Result<AuthorizationResult, Error> {
        let wire: Wire =
            self.fetch(Call::get(&["v1", "connect", "result", verifier.expose().as_str()])).await?;
        Ok(wire.into())
    }
}

impl Client {
    /// The connector that came of the registration, or the create, with this verifier; its identifier.
    pub async fn result_connector(&self, verifier: &SecretString) -> Result<Option<String>, Error> {
        let wire: Wire =
            self.fetch(Call::get(&["v1", "connect", "result", verifier.expose().as_str()])).await?;
        Ok(wire.data.and_then(|data| data.client_id).filter(|_| wire.status == "success"))
    }
}

#[derive(Deserialize)]
struct Wire {
    status: String,
    progress: Option<String>,
    data: Option<WireData>,
    error: Option<WireError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireData {
    installation_id: Option<String>,
    client_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireError {
    code: String,
    message: String,
}

impl From<Wire> for AuthorizationResult {
    fn from(wire: Wire) -> Self {
        match wire.status.as_str() {
            "success" => Self::Success { installation_id: wire.data.and_then(|data| data.installation_id) },
            "partial" => Self::Partial { progress: wire.progress },
            "canceled" => Self::Canceled,
            "error" => {
                let error = wire.error.unwrap_or_default();
                Self::Failed { code: error.code, message: error.message }
            }
            // A word that a later server may say before the end.
            _ => Self::Pending,
        }
    }
}
