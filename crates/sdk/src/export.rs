//! A team's secrets, encrypted to the operator's recovery key.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::Client;
use crate::error::Error;
use crate::transport::Call;

/// The secrets of a team.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ExportedSecrets {
    /// The recovery key that opens them.
    pub recovery_key: String,
    /// An age file, armored.
    pub file: String,
    /// Connectors in it.
    pub connectors: u64,
    /// Grants in it.
    pub grants: u64,
}

impl Client {
    /// The secrets of the team, encrypted to the recovery key that the operator of the server has named: this must be it.
    pub async fn export_secrets(&self, recovery_key: &str) -> Result<ExportedSecrets, Error> {
        let call = Call::post(&["v1", "export", "secrets"]);
        self.fetch(call.json(&json!({ "recoveryKey": recovery_key }))).await
    }
}
