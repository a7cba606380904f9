//! What a wrapped root key is bound to, and the frame in which it is stored.

use aws_lc_rs::hmac;
use carnet_model::Secret;
use carnet_vault::{KeyBytes, RootKeyError, RootVersion, equal};

/// The names and values that a service binds, in this order.
pub(crate) fn context(of: &RootVersion) -> [(&'static str, String); 3] {
    [
        ("carnet:deployment", of.deployment.to_string()),
        ("carnet:root-key", of.id.to_string()),
        ("carnet:root-version", of.version.to_string()),
    ]
}

/// The same as bytes, for services that bind bytes. No value holds a line end, so no two contexts are the same bytes.
pub(crate) fn bytes(of: &RootVersion) -> Vec<u8> {
    let mut out = LABEL.to_owned();
    for (name, value) in context(of) {
        out.push('\n');
        out.push_str(name);
        out.push('=');
        out.push_str(&value);
    }
    out.into_bytes()
}

/// What is stored for a service's answer.
pub(crate) fn framed(of: &RootVersion, key: &KeyBytes, answered: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + COMMITMENT + answered.len());
    out.push(VERSION);
    out.extend_from_slice(commitment(of, key).as_ref());
    out.extend_from_slice(answered);
    out
}

/// The commitment and the service's part of what is stored.
pub(crate) fn unframed(wrapped: &[u8]) -> Result<(&[u8; COMMITMENT], &[u8]), RootKeyError> {
    let rest = wrapped.strip_prefix(&[VERSION]).ok_or(RootKeyError::Damaged)?;
    match rest.split_first_chunk::<COMMITMENT>() {
        Some((commitment, answered)) if !answered.is_empty() => Ok((commitment, answered)),
        _ => Err(RootKeyError::Damaged),
    }
}

/// The key that a service gave back, if it is the one that was committed to.
pub(crate) fn proved(
    of: &RootVersion,
    committed: &[u8; COMMITMENT],
    bytes: &[u8],
) -> Result<KeyBytes, RootKeyError> {
    let key = Secret::new(<[u8; 32]>::try_from(bytes).map_err(|_| RootKeyError::Damaged)?);
    if equal(commitment(of, &key).as_ref(), committed) { Ok(key) } else { Err(RootKeyError::Damaged) }
}

fn commitment(of: &RootVersion, key: &KeyBytes) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()), &bytes(of))
}

const VERSION: u8 = 1;
const COMMITMENT: usize = 32;
const LABEL: &str = "carnet-root/1";
