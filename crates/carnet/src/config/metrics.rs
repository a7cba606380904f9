//! `[metrics]`: who may read `/metrics`, and where.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use carnet_model::SecretString;
use serde::{Deserialize, Serialize};

use super::{ConfigFile, wrong};
use crate::cli::failure::Failure;
use crate::secret_file;

/// Who may read `/metrics`, and where.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MetricsTable {
    /// A file whose first line is the token with which the figures are read.
    pub(crate) token_file: Option<PathBuf>,
    /// A listener of their own: `127.0.0.1:9090`.
    pub(crate) listen: Option<String>,
}

/// The same, found sound.
pub(crate) struct MetricsConfig {
    pub(crate) token: Option<SecretString>,
    pub(crate) listen: Option<SocketAddr>,
}

pub(super) fn read(file: &ConfigFile, door: SocketAddr) -> Result<MetricsConfig, Failure> {
    let token = match &file.metrics.token_file {
        Some(path) => Some(file.at("metrics.token_file", token(path))?),
        None => None,
    };
    let listen = match &file.metrics.listen {
        Some(text) => Some(file.at("metrics.listen", address(text, door, token.is_some()))?),
        None => None,
    };
    Ok(MetricsConfig { token, listen })
}

fn token(path: &Path) -> Result<SecretString, Failure> {
    let text = secret_file::read("metrics.token_file", path)?;
    let line = text.expose().lines().next().unwrap_or_default().trim();
    if line.len() < SHORTEST || !line.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong(format!(
            "metrics.token_file {} does not begin with a line of {SHORTEST} or more letters and digits.",
            path.display()
        ))
        .next(format!("(umask 077; openssl rand -hex 32 > {})", path.display()), "to make a token"));
    }
    Ok(SecretString::new(line.to_owned()))
}

fn address(text: &str, door: SocketAddr, has_token: bool) -> Result<SocketAddr, Failure> {
    let address: SocketAddr =
        text.parse().map_err(|_| wrong(format!("metrics.listen {text:?} is not ADDRESS:PORT.")))?;
    if address == door {
        return Err(wrong(format!("metrics.listen {text} is where the server itself listens.")));
    }
    if !address.ip().is_loopback() && !has_token {
        return Err(wrong(format!(
            "metrics.listen {text} would show the figures to the network. Listen on loopback, or require a token."
        ))
        .next("token_file = \"metrics.token\"", "in [metrics], with a file of 64 random letters"));
    }
    Ok(address)
}

/// Nobody guesses it.
const SHORTEST: usize = 16;
