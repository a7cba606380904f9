//! Opaque tokens: what is handed out is random text, what is kept is its digest.
//!
//! A plain SHA-256 is enough, and looking one up in a map tells nothing by its timing: 256 random bits cannot be
//! searched for. Client secrets may be weaker, so they are compared in constant time besides.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_model::{Env, Secret, SecretString};
use serde::{Deserialize, Serialize};

/// The SHA-256 of a secret text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn of(text: &str) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Self(out)
    }

    /// Compares in constant time.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }

    /// As an S256 code challenge is written (RFC 7636 §4.2): base64url without padding, 43 characters.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

/// Fresh random text behind `prefix`, which says what it is to people and to secret scanners.
pub(crate) fn mint(env: &Env, prefix: &str) -> SecretString {
    Secret::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(env.bytes::<32>())))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a SHA-256 digest in base64url"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_verifier_is_its_challenge() {
        // RFC 7636, appendix B.
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        let digest = Digest::of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(digest.to_string(), challenge);
        assert!(Digest::parse(challenge).is_some_and(|parsed| parsed.equals(&digest)));
        for bad in ["", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=", "E9Mel", "not+base64/url"] {
            assert!(Digest::parse(bad).is_none(), "{bad}");
        }
    }
}
