//! `version`.

use serde_json::json;

use super::failure::Failure;
use super::talk::Talk;

/// Prints it.
pub(crate) fn print(talk: &mut Talk) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if talk.wants_json() {
        return talk.document(&json!({ "name": "carnet", "version": version }));
    }
    talk.answer(&format!("carnet {version}"))
}
