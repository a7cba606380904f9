//! The values of an `api-key` connector.

use serde::Deserialize;

use crate::secret::SecretString;
use crate::time::Time;

/// One stored key. `label` is matched against a requested scope, so that one connector can hold a read and a write key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ApiKeyValue {
    /// The key.
    pub value: SecretString,
    /// What a caller asks for to get this value; on the wire `scope`.
    #[serde(rename = "scope", default)]
    pub label: Option<String>,
    /// When the provider stops accepting it, if it ever does.
    #[serde(default)]
    pub expires_at: Option<Time>,
}

/// A label that could not be asked for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the label of an api-key value is a scope name, and no two values have the same one")]
pub struct InvalidLabel;
