//! An issuer's public keys (RFC 7517), read once and prepared, so that verifying costs a signature and no more.
//!
//! A key that cannot verify under our rules is skipped, not an error: issuers publish keys for other purposes in the
//! same set. What is ambiguous is refused as a whole: two keys of one name for one algorithm.

mod key;

use aws_lc_rs::digest;
use serde_json::Value;

use crate::algorithm::Algorithm;
use crate::json::{self, JsonError, Limits};

pub(crate) use key::PublicKey;

const MAX_BYTES: usize = 64 * 1024;
const MAX_KEYS: usize = 100;
const LIMITS: Limits = Limits { depth: 8, members: 2_000 };

/// The usable keys of one issuer.
pub struct KeySet {
    keys: Vec<PublicKey>,
    fingerprint: [u8; 32],
}

/// Why a key set is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// More than 64 KiB.
    #[error("the key set is longer than 64 KiB")]
    TooLong,
    /// Not readable.
    #[error("the key set cannot be read: {0}")]
    Json(JsonError),
    /// `keys` is missing or not a list of objects.
    #[error("the key set has no list of keys")]
    Shape,
    /// More than 100 keys.
    #[error("the key set has more than 100 keys")]
    TooMany,
    /// Two keys for one algorithm have the same `kid`, or neither has one.
    #[error("two keys of the set have the same kid")]
    Ambiguous,
}

impl KeySet {
    /// Reads a key set. It may come out empty; see [`KeySet::is_empty`].
    pub fn parse(bytes: &[u8]) -> Result<Self, JwksError> {
        if bytes.len() > MAX_BYTES {
            return Err(JwksError::TooLong);
        }
        let set = json::read_object(bytes, LIMITS).map_err(JwksError::Json)?;
        let Some(Value::Array(entries)) = set.get("keys") else { return Err(JwksError::Shape) };
        if entries.len() > MAX_KEYS {
            return Err(JwksError::TooMany);
        }
        let mut keys: Vec<PublicKey> = Vec::new();
        for entry in entries {
            let Value::Object(members) = entry else { return Err(JwksError::Shape) };
            for key in PublicKey::read(members) {
                match keys.iter().find(|other| other.kid == key.kid && other.algorithm == key.algorithm) {
                    None => keys.push(key),
                    Some(other) if other.material() == key.material() => {}
                    Some(_) => return Err(JwksError::Ambiguous),
                }
            }
        }
        keys.sort_by(|a, b| (&a.kid, a.algorithm).cmp(&(&b.kid, b.algorithm)));
        let fingerprint = fingerprint(&keys);
        Ok(Self { keys, fingerprint })
    }

    /// Whether no key is usable.
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether some usable key has this name.
    pub fn has(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// The key for a token with this `kid` and algorithm. A token without `kid` is given a key only if there is no
    /// choice.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&PublicKey> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| key.algorithm == algorithm && (kid.is_none() || key.kid.as_deref() == kid));
        let first = fitting.next()?;
        fitting.next().is_none().then_some(first)
    }

    /// Equal for sets with the same usable keys, whatever their order or decoration.
    pub(crate) const fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }
}

/// `kid` is nothing but a name to look up: 1 to 128 plain characters.
pub(crate) fn is_kid(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._~:+/=-".contains(&b);
    (1..=128).contains(&text.len()) && text.bytes().all(plain)
}

fn fingerprint(keys: &[PublicKey]) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    for key in keys {
        let parts =
            [key.kid.as_deref().unwrap_or("").as_bytes(), key.algorithm.as_str().as_bytes(), key.material()];
        for part in parts {
            hash.update(&part.len().to_be_bytes());
            hash.update(part);
        }
    }
    let mut out = [0; 32];
    out.copy_from_slice(hash.finish().as_ref());
    out
}

#[cfg(test)]
mod tests;
