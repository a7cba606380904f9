//! The form of Carnet's own access tokens: `crn_`, 30 random base62 characters (178 bits), 6 checksum characters.
//!
//! Every character is matched by `\w`, because an official client refuses others. The checksum lets a mistyped or
//! truncated token be refused before the store is asked, and lets secret scanners avoid false alarms
//! (the idea is GitHub's: github.blog, "Behind GitHub's new authentication token formats").

use crate::env::Env;
use crate::secret::{Secret, SecretString};

/// An access token whose form and checksum were checked. That it was ever issued is for the store to say.
#[derive(Debug)]
pub struct AccessToken(SecretString);

/// Text that was never an access token.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an access token: crn_, 36 letters or digits, the last six a checksum")]
pub struct InvalidAccessToken;

const PREFIX: &str = "crn_";
const RANDOM: usize = 30;
const CHECK: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl AccessToken {
    /// For secret scanners.
    pub const PATTERN: &'static str = r"\bcrn_[0-9A-Za-z]{36}\b";

    /// A fresh token.
    pub fn generate(env: &Env) -> Self {
        let mut body = String::with_capacity(PREFIX.len() + RANDOM + CHECK);
        body.push_str(PREFIX);
        while body.len() < PREFIX.len() + RANDOM {
            // Bytes of 248 and above are thrown away: 248 = 4 × 62, so the rest fall evenly.
            for byte in env.bytes::<32>() {
                if byte < 248 && body.len() < PREFIX.len() + RANDOM {
                    body.push(digit(u32::from(byte)));
                }
            }
        }
        let check = checksum(body.as_bytes());
        body.push_str(&check);
        Self(Secret::new(body))
    }

    /// Reads a token; wrong form or checksum is refused here.
    pub fn parse(text: &str) -> Result<Self, InvalidAccessToken> {
        let rest = text.strip_prefix(PREFIX).ok_or(InvalidAccessToken)?;
        if rest.len() != RANDOM + CHECK || !rest.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(InvalidAccessToken);
        }
        let (body, check) = text.split_at(PREFIX.len() + RANDOM);
        // Not a secret comparison: the checksum follows from what stands before it.
        if checksum(body.as_bytes()) != check {
            return Err(InvalidAccessToken);
        }
        Ok(Self(Secret::new(text.to_owned())))
    }

    /// The token, to be hashed or shown once.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The last four characters, by which people tell tokens apart.
    pub fn last4(&self) -> &str {
        let text = self.expose();
        text.get(text.len().saturating_sub(4)..).unwrap_or_default()
    }
}

fn digit(value: u32) -> char {
    let index = usize::try_from(value % 62).unwrap_or(0);
    DIGITS.get(index).map_or('0', |b| char::from(*b))
}

/// CRC-32 (ISO-HDLC, the one of zip and PNG) in six base62 digits.
fn checksum(bytes: &[u8]) -> String {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc = (crc >> 1) ^ (0xedb8_8320 * carry);
        }
    }
    crc = !crc;
    let mut out = ['0'; CHECK];
    for slot in out.iter_mut().rev() {
        *slot = digit(crc % 62);
        crc /= 62;
    }
    out.iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_token_reads_back_and_has_the_published_form() {
        let env = Env::system();
        for _ in 0..200 {
            let token = AccessToken::generate(&env);
            assert_eq!(token.expose().len(), 40);
            assert!(token.expose().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
            assert!(AccessToken::parse(token.expose()).is_ok());
        }
    }

    #[test]
    fn one_changed_character_is_noticed() {
        let token = AccessToken::generate(&Env::system());
        for at in 4..40 {
            let mut bytes = token.expose().as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            assert!(AccessToken::parse(&String::from_utf8(bytes).unwrap()).is_err(), "at {at}");
        }
        for text in ["", "crn_", "ghp_000000000000000000000000000000000000", &token.expose()[..39]] {
            assert!(AccessToken::parse(text).is_err());
        }
    }

    #[test]
    fn the_checksum_is_the_well_known_crc() {
        // The check value of CRC-32/ISO-HDLC for "123456789" is 0xcbf43926.
        let mut value = 0xcbf4_3926_u32;
        let mut want = Vec::new();
        for _ in 0..6 {
            want.push(digit(value % 62));
            value /= 62;
        }
        want.reverse();
        assert_eq!(checksum(b"123456789"), want.into_iter().collect::<String>());
    }
}
