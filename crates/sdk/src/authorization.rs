//! Authorizations: asking a person for consent, or for an installation, and seeing how it went.

use std::collections::BTreeMap;

use carnet_model::{SecretString, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// Whether the person decides elsewhere than in the browser that the app sees: the page then asks for the
    /// [`device_code`](Authorization::device_code) that the app shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_code: Option<bool>,
    /// How long the person may take, in milliseconds: 1 to 3600000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_ms: Option<u64>,
    /// What the provider shall ask the person (OpenID Connect Core, section 3.1.2.1): `consent`, `login`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Further parameters of the request to the provider.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub additional_params: BTreeMap<String, String>,
}

/// Where an application shall be installed, and what it shall be able to do there. It is nobody's token that is asked
/// for, so there is no subject.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallationRequest {
    /// The tenant at the provider, by the provider's name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The installation that is to be renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installation_id: Option<String>,
    /// The scopes; the connector's own where they are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// For whom its tokens are meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<Vec<String>>,
    /// RFC 8707 resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<String>>,
    /// RFC 9396 details.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_details: Option<Vec<Value>>,
    /// Where the browser goes when it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
    /// Which server is told when it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// As for a consent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_code: Option<bool>,
    /// As for a consent.
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
    /// What the person enters on the page, where that was asked for.
    pub device_code: Option<String>,
    /// The connector that it is for.
    pub connector: Option<AuthorizedConnector>,
}

/// The connector of an authorization, in what a person reads.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AuthorizedConnector {
    /// `scl_…`
    pub id: String,
    /// service/name
    pub uid: String,
    /// Its driver.
    pub r#type: String,
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// Its service.
    #[serde(default)]
    pub service: String,
    /// What people call the service.
    pub service_name: Option<String>,
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
        ask: &InstallationRequest,
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
