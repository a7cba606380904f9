//! Importing tokens that were obtained elsewhere.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::error::Error;
use crate::transport::Call;

/// What became of an import.
#[derive(Debug, Deserialize)]
pub struct ImportAnswer {
    /// Tokens that were read.
    pub accepted: u64,
    /// Of these, kept from now on.
    pub imported: u64,
    /// Each, in the order in which they were sent, without its secrets.
    pub tokens: Vec<ImportedToken>,
}

/// What became of one token.
#[derive(Debug, Deserialize)]
pub struct ImportedToken {
    /// Whether it is kept.
    pub succeeded: bool,
    /// Why not.
    pub error: Option<ImportError>,
    /// What was sent and may be shown, `grantId`, and `unchanged` where the same token was imported before.
    #[serde(flatten)]
    pub shown: Map<String, Value>,
}

/// Why a token was not kept.
#[derive(Debug, Deserialize)]
pub struct ImportError {
    /// The stable code.
    pub code: String,
    /// A sentence.
    pub message: String,
}

impl Client {
    /// Imports tokens for a connector, at most a hundred at once. With `replace` they may take the place of other
    /// accounts' grants that work.
    pub async fn import_tokens(
        &self,
        connector: &str,
        tokens: &[Value],
        replace: bool,
    ) -> Result<ImportAnswer, Error> {
        let body = json!({"tokens": tokens, "replace": replace});
        let path = ["v1", "connect", "token", connector, "import"];
        self.fetch(Call::post(&path).json(&body)).await
    }
}
