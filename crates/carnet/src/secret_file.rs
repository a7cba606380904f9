//! Reading the files of the configuration that hold secrets, by the rules of the key file.

use std::path::Path;

use carnet_model::SecretString;
use carnet_vault::{Location, SecretFileError, read_secret_file};

use crate::cli::failure::Failure;
use crate::config::wrong;

/// The text of the file that this member of the configuration names.
pub(crate) fn read(member: &str, path: &Path) -> Result<SecretString, Failure> {
    read_secret_file(path, Location::Anywhere)
        .map_err(|error| unfit(&format!("Cannot read {member}: "), &error))
}

/// Why such a file is not used, with the command that mends it where there is one.
pub(crate) fn unfit(before: &str, error: &SecretFileError) -> Failure {
    let failure = wrong(format!("{before}{error}."));
    match error {
        SecretFileError::Exposed { path, .. } => {
            failure.next(format!("chmod 600 {path}"), "to keep it to its owner")
        }
        _ => failure,
    }
}
