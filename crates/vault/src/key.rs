//! A key and its name.

use std::fmt;

use carnet_model::{Env, Secret};
use zeroize::Zeroizing;

/// The 32 bytes of a key.
pub type KeyBytes = Secret<[u8; 32]>;

/// The name of a key: 16 random bytes, in every envelope it sealed. Not secret. In text, 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 16]);

/// Text that is not a [`KeyId`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a key id is 32 lower-case hex digits")]
pub struct InvalidKeyId;

impl KeyId {
    /// From the 16 bytes of a column.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes of a column.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads 32 lower-case hex digits.
    pub fn parse(text: &str) -> Result<Self, InvalidKeyId> {
        let canonical = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 32 || !text.bytes().all(canonical) {
            return Err(InvalidKeyId);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| InvalidKeyId)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key with its name. Cannot be cloned, compared or printed; wiped when dropped.
#[derive(Debug)]
pub struct Key {
    id: KeyId,
    bytes: KeyBytes,
}

impl Key {
    /// A key that was unwrapped or read.
    pub const fn new(id: KeyId, bytes: KeyBytes) -> Self {
        Self { id, bytes }
    }

    /// A fresh key under a fresh name.
    pub fn generate(env: &Env) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        env.fill(&mut *bytes);
        Self { id: KeyId(env.bytes()), bytes: Secret::new(*bytes) }
    }

    /// Its name.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &KeyBytes {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_id_reads_back_and_only_in_one_spelling() {
        let id = KeyId::from_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
        assert_eq!(id.to_string(), "000102030405060708090a0b0c0d0eff");
        assert_eq!(KeyId::parse(&id.to_string()), Ok(id));
        for text in ["", "000102030405060708090A0B0C0D0EFF", "+00102030405060708090a0b0c0d0eff", "00"] {
            assert_eq!(KeyId::parse(text), Err(InvalidKeyId), "{text}");
        }
    }

    #[test]
    fn a_key_prints_its_name_alone() {
        let key = Key::new(KeyId::from_bytes([7; 16]), Secret::new([0xAB; 32]));
        let printed = format!("{key:?}");
        assert!(printed.contains("0707"), "{printed}");
        assert!(!printed.contains("171") && !printed.to_lowercase().contains("abab"), "{printed}");
    }
}
