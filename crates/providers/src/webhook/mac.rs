//! HMAC-SHA256, and secrets that are compared.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use carnet_model::SecretString;

use super::Refusal;

/// A signature: the 32 bytes of HMAC-SHA256.
pub(super) type Tag = [u8; 32];

/// Whether one of `keys` made one of `tags` over `parts`, one after the other. All are tried, whatever the first says.
pub(super) fn proves<'a>(
    keys: impl Iterator<Item = &'a [u8]>,
    parts: &[&[u8]],
    tags: &[Tag],
) -> Result<(), Refusal> {
    let (mut tried, mut proven) = (false, false);
    for key in keys.filter(|key| !key.is_empty()) {
        tried = true;
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
        for part in parts {
            context.update(part);
        }
        let ours = context.sign();
        for tag in tags {
            proven |= verify_slices_are_equal(ours.as_ref(), tag).is_ok();
        }
    }
    match (tried, proven) {
        (false, _) => Err(Refusal::NoSecret),
        (true, false) => Err(Refusal::Unproven),
        (true, true) => Ok(()),
    }
}

/// The secrets as they are written, as keys.
pub(super) fn keys(secrets: &[SecretString]) -> impl Iterator<Item = &[u8]> {
    secrets.iter().map(|secret| secret.expose().as_bytes())
}

/// Whether `shown` is one of the secrets. Digests are compared, so that not even a length is told by the time it takes.
pub(super) fn is_one_of(shown: &str, secrets: &[SecretString]) -> Result<(), Refusal> {
    let shown = digest(&SHA256, shown.as_bytes());
    let (mut tried, mut proven) = (false, false);
    for key in keys(secrets).filter(|key| !key.is_empty()) {
        tried = true;
        proven |= verify_slices_are_equal(shown.as_ref(), digest(&SHA256, key).as_ref()).is_ok();
    }
    match (tried, proven) {
        (false, _) => Err(Refusal::NoSecret),
        (true, false) => Err(Refusal::Unproven),
        (true, true) => Ok(()),
    }
}

/// Bytes from lower-case hexadecimal, as every provider writes it.
pub(super) fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}
