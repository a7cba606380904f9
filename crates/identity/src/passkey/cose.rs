//! The public key of a passkey, in the two forms that are accepted (RFC 9052 §7, RFC 9053 §7.1, WebAuthn §6.5.1.1).
//!
//! The reader takes a map of small whole numbers to whole numbers and byte strings, in the canonical form that CTAP2
//! demands, and nothing else of CBOR.

/// The algorithm of a passkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasskeyAlgorithm {
    /// ECDSA on P-256 with SHA-256; COSE calls it -7.
    Es256,
    /// Ed25519; COSE calls it -8.
    EdDsa,
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasskeyKey {
    algorithm: PasskeyAlgorithm,
    /// A point in uncompressed form, or the 32 bytes of an Ed25519 key.
    bytes: Vec<u8>,
}

impl PasskeyAlgorithm {
    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl PasskeyKey {
    /// From its stored parts.
    pub fn stored(algorithm: &str, bytes: Vec<u8>) -> Option<Self> {
        let (algorithm, length) = match algorithm {
            "ES256" => (PasskeyAlgorithm::Es256, 65),
            "EdDSA" => (PasskeyAlgorithm::EdDsa, 32),
            _ => return None,
        };
        (bytes.len() == length).then_some(Self { algorithm, bytes })
    }

    /// Its algorithm.
    pub const fn algorithm(&self) -> PasskeyAlgorithm {
        self.algorithm
    }

    /// Its bytes: a point in uncompressed form, or the 32 bytes of an Ed25519 key.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads a COSE key, and gives back what follows it.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (members, mut rest) = head(bytes, MAP)?;
        if members > MOST {
            return None;
        }
        let (mut kind, mut algorithm, mut curve) = (None, None, None);
        let (mut x, mut y) = (None, None);
        for _ in 0..members {
            let (label, after) = integer(rest)?;
            let slot = match label {
                1 => &mut kind,
                3 => &mut algorithm,
                -1 => &mut curve,
                -2 | -3 => {
                    let (length, after) = head(after, BYTES)?;
                    let (value, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
                    let slot = if label == -2 { &mut x } else { &mut y };
                    if slot.replace(value).is_some() {
                        return None;
                    }
                    rest = after;
                    continue;
                }
                _ => return None,
            };
            let (value, after) = integer(after)?;
            if slot.replace(value).is_some() {
                return None;
            }
            rest = after;
        }
        let key = match (kind?, algorithm?, curve?, x?, y) {
            (2, -7, 1, x, Some(y)) if x.len() == 32 && y.len() == 32 => {
                Self { algorithm: PasskeyAlgorithm::Es256, bytes: [&[4], x, y].concat() }
            }
            (1, -8, 6, x, None) if x.len() == 32 => {
                Self { algorithm: PasskeyAlgorithm::EdDsa, bytes: x.to_vec() }
            }
            _ => return None,
        };
        Some((key, rest))
    }
}

/// The number in the head of an item of this kind (RFC 8949 §3.1), in its shortest form.
fn head(bytes: &[u8], kind: u8) -> Option<(u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if first >> 5 != kind {
        return None;
    }
    match first & 0x1f {
        small @ 0..24 => Some((u64::from(small), rest)),
        24 => {
            let (value, rest) = rest.split_first()?;
            (*value >= 24).then_some((u64::from(*value), rest))
        }
        25 => {
            let (value, rest) = rest.split_first_chunk::<2>()?;
            let value = u16::from_be_bytes(*value);
            (value > 0xff).then_some((u64::from(value), rest))
        }
        _ => None,
    }
}

fn integer(bytes: &[u8]) -> Option<(i64, &[u8])> {
    if let Some((value, rest)) = head(bytes, UNSIGNED) {
        return Some((i64::try_from(value).ok()?, rest));
    }
    let (value, rest) = head(bytes, NEGATIVE)?;
    Some((-1 - i64::try_from(value).ok()?, rest))
}

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const MAP: u8 = 5;
const MOST: u64 = 5;
