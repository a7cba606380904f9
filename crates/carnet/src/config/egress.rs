//! `[egress]`: what may be connected to besides the public Internet.

use std::path::PathBuf;

use carnet_egress::{Allowance, Egress as Out, Network, Policy, Purpose};
use serde::{Deserialize, Serialize};

use super::{ConfigFile, wrong};
use crate::cli::failure::Failure;

/// What may be connected to besides the public Internet.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Egress {
    /// Private networks: `10.2.0.0/16`, or `provider_token 10.2.0.0/16` for one purpose.
    pub(crate) allow: Vec<String>,
    /// Public networks that must not be connected to.
    pub(crate) deny: Vec<String>,
    /// Ports besides 443.
    pub(crate) ports: Vec<u16>,
    /// A PEM file with further certificate authorities.
    pub(crate) roots_file: Option<PathBuf>,
}

/// The rules of the way out, if every one of them can be used.
pub(super) fn policy(file: &ConfigFile) -> Result<Policy, Failure> {
    let egress = &file.egress;
    let network =
        |text: &str| text.parse::<Network>().map_err(|error| wrong(format!("egress: {text:?}: {error}.")));
    let mut policy = Policy { ports: egress.ports.clone(), ..Policy::default() };
    for (at, text) in egress.allow.iter().enumerate() {
        let allowed = allowance(text, network);
        policy.allow.push(file.at(&format!("egress.allow.{at}"), allowed)?);
    }
    for (at, text) in egress.deny.iter().enumerate() {
        policy.deny.push(file.at(&format!("egress.deny.{at}"), network(text))?);
    }
    if let Some(path) = &egress.roots_file {
        let pem = std::fs::read(path)
            .map_err(|error| wrong(format!("Cannot read egress.roots_file {}: {error}.", path.display())));
        let pem = file.at("egress.roots_file", pem)?;
        let alone = Policy { extra_roots_pem: Some(pem.clone()), ..Policy::default() };
        file.at("egress.roots_file", usable(alone))?;
        policy.extra_roots_pem = Some(pem);
    }
    Ok(policy)
}

/// A private network that may be connected to, for one purpose or for all.
fn allowance(text: &str, network: impl Fn(&str) -> Result<Network, Failure>) -> Result<Allowance, Failure> {
    let (purpose, range) = match text.split_once(' ') {
        Some((purpose, range)) => {
            let purpose = purpose.parse::<Purpose>();
            let purpose = purpose.map_err(|error| wrong(format!("egress.allow: {text:?}: {error}.")))?;
            (Some(purpose), range.trim())
        }
        None => (None, text),
    };
    let allowance = Allowance { purpose, network: network(range)? };
    usable(Policy { allow: vec![allowance], ..Policy::default() })?;
    Ok(allowance)
}

/// Whether the way out can be opened by these rules.
fn usable(policy: Policy) -> Result<(), Failure> {
    Out::new(policy).map(drop).map_err(|error| wrong(format!("egress: {error}.")))
}
