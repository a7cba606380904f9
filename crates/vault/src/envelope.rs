//! The record envelope, version 1: one secret, sealed for one place.
//!
//! Promised: [`open`] gives back what [`seal`] was given, or fails; it never gives anything for another key, another
//! [`Aad`], or bytes that [`seal`] did not make. The layout and the order of the checks are in the crate's page.
//! Who may ask for what is not decided here.

mod aad;

use aws_lc_rs::aead::{self, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf;
use carnet_model::{Env, Secret, SecretBytes};
use zeroize::Zeroizing;

pub use aad::Aad;

use crate::hash::equal;
use crate::key::{Key, KeyId};

/// The cipher of an envelope; the number stands in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// AES-256-GCM: the one in use.
    Aes256Gcm = 1,
    /// ChaCha20-Poly1305 (RFC 8439), for processors without AES instructions.
    ChaCha20Poly1305 = 2,
}

/// Why something could not be sealed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealError {
    /// There is no key for this team, or the place is in another deployment.
    #[error("no key of this team is loaded")]
    NoKey,
    /// The plaintext, or a part of its place, is longer than an envelope can carry.
    #[error("too long to be sealed")]
    TooLong,
    /// The cryptographic library failed.
    #[error("the cipher failed")]
    Cipher,
}

/// Why an envelope does not open.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum OpenError {
    /// Not an envelope of a version and suite that is known.
    #[error("not a sealed record of a known form")]
    Malformed,
    /// Sealed by a key that is not at hand, or is not the key of the place's team. A key made by another node since
    /// may only need to be read from the store.
    #[error("sealed by a key that is not loaded or belongs elsewhere")]
    WrongKey,
    /// Altered, or sealed for another place.
    #[error("a sealed record was altered or moved")]
    Refused,
}

/// As [`OpenError`], with the commitment apart from the rest. Where a key came from a passphrase, a commitment that
/// does not match says that the passphrase is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Malformed,
    KeyId,
    Commitment,
    Content,
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Malformed => Self::Malformed,
            Failure::KeyId => Self::WrongKey,
            Failure::Commitment | Failure::Content => Self::Refused,
        }
    }
}

/// Seals `plaintext` for the place `aad`.
pub fn seal(
    env: &Env,
    suite: Suite,
    key: &Key,
    aad: &Aad<'_>,
    plaintext: &[u8],
) -> Result<Vec<u8>, SealError> {
    let padded = padded_len(plaintext.len()).ok_or(SealError::TooLong)?;
    let salt: [u8; 32] = env.bytes();
    let keys = RecordKeys::derive(suite, key, &salt);
    let commitment = keys.commitment().map_err(|_| SealError::Cipher)?;

    // Room for all of it at once, because a vector that grows leaves a copy of the plaintext behind.
    let mut out = Zeroizing::new(Vec::with_capacity(HEADER + padded + TAG));
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, suite as u8]);
    out.extend_from_slice(key.id().bytes());
    out.extend_from_slice(&salt);
    out.extend_from_slice(&commitment);
    let bound = aad.bind(&out).ok_or(SealError::TooLong)?;

    out.extend_from_slice(plaintext);
    out.push(PADDING_START);
    out.resize(HEADER + padded, 0);
    let body = out.get_mut(HEADER..).ok_or(SealError::Cipher)?;
    let tag = keys
        .cipher()
        .and_then(|cipher| cipher.seal_in_place_separate_tag(nonce(), aead::Aad::from(&bound), body))
        .map_err(|_| SealError::Cipher)?;
    out.extend_from_slice(tag.as_ref());
    Ok(std::mem::take(&mut *out))
}

/// Opens what [`seal`] made with the same key for the same place.
pub fn open(key: &Key, aad: &Aad<'_>, sealed: &[u8]) -> Result<SecretBytes, OpenError> {
    open_or_tell(key, aad, sealed).map_err(OpenError::from)
}

/// The key that an envelope names, without a look at anything else. `None` if it is not an envelope.
pub fn sealed_by(sealed: &[u8]) -> Option<KeyId> {
    Envelope::read(sealed).map(|envelope| envelope.key)
}

/// As [`open`], telling a wrong key from altered content.
pub(crate) fn open_or_tell(key: &Key, aad: &Aad<'_>, sealed: &[u8]) -> Result<SecretBytes, Failure> {
    let envelope = Envelope::read(sealed).ok_or(Failure::Malformed)?;
    if envelope.key != key.id() {
        return Err(Failure::KeyId);
    }
    let keys = RecordKeys::derive(envelope.suite, key, envelope.salt);
    let commitment = keys.commitment().map_err(|_| Failure::Commitment)?;
    if !equal(&commitment, envelope.commitment) {
        return Err(Failure::Commitment);
    }
    let bound = aad.bind(envelope.header).ok_or(Failure::Content)?;
    let mut plaintext = Zeroizing::new(envelope.ciphertext.to_vec());
    keys.cipher()
        .and_then(|cipher| {
            cipher
                .open_in_place_separate_tag(
                    nonce(),
                    aead::Aad::from(&bound),
                    envelope.tag,
                    plaintext.as_mut_slice(),
                )
                .map(|_| ())
        })
        .map_err(|_| Failure::Content)?;
    let len = unpadded_len(&plaintext).ok_or(Failure::Content)?;
    plaintext.truncate(len);
    Ok(Secret::new(std::mem::take(&mut *plaintext)))
}

/// The parts of an envelope of a known version and suite, nothing of it verified.
struct Envelope<'a> {
    header: &'a [u8],
    suite: Suite,
    key: KeyId,
    salt: &'a [u8; 32],
    commitment: &'a [u8; 32],
    ciphertext: &'a [u8],
    tag: &'a [u8; TAG],
}

impl<'a> Envelope<'a> {
    fn read(sealed: &'a [u8]) -> Option<Self> {
        let (header, body) = sealed.split_at_checked(HEADER)?;
        let (ciphertext, tag) = body.split_last_chunk::<TAG>()?;
        if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(BLOCK) {
            return None;
        }
        let (magic, rest) = header.split_first_chunk::<2>()?;
        let ([version, suite], rest) = rest.split_first_chunk::<2>()?;
        let (key, rest) = rest.split_first_chunk::<16>()?;
        let (salt, rest) = rest.split_first_chunk::<32>()?;
        let commitment = rest.first_chunk::<32>()?;
        if *magic != MAGIC || *version != VERSION {
            return None;
        }
        let suite = Suite::from_number(*suite)?;
        Some(Self { header, suite, key: KeyId::from_bytes(*key), salt, commitment, ciphertext, tag })
    }
}

impl Suite {
    fn from_number(number: u8) -> Option<Self> {
        [Self::Aes256Gcm, Self::ChaCha20Poly1305].into_iter().find(|suite| *suite as u8 == number)
    }

    fn algorithm(self) -> &'static aead::Algorithm {
        match self {
            Self::Aes256Gcm => &aead::AES_256_GCM,
            Self::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        }
    }
}

/// What one envelope derives from its key: the record key and the commitment.
struct RecordKeys {
    prk: hkdf::Prk,
    suite: Suite,
    key: KeyId,
}

impl RecordKeys {
    fn derive(suite: Suite, key: &Key, salt: &[u8; 32]) -> Self {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA512, salt).extract(key.bytes().expose());
        Self { prk, suite, key: key.id() }
    }

    fn commitment(&self) -> Result<[u8; 32], Unspecified> {
        let mut commitment = [0; 32];
        self.expand(b"cb/rec/1/commit", &mut commitment)?;
        Ok(commitment)
    }

    fn cipher(&self) -> Result<LessSafeKey, Unspecified> {
        let mut record_key = Zeroizing::new([0; 32]);
        self.expand(b"cb/rec/1/key", &mut record_key)?;
        UnboundKey::new(self.suite.algorithm(), &*record_key).map(LessSafeKey::new)
    }

    fn expand(&self, label: &[u8], out: &mut [u8; 32]) -> Result<(), Unspecified> {
        let suite = [self.suite as u8];
        self.prk.expand(&[label, &suite, self.key.bytes()], Bytes32)?.fill(out)
    }
}

/// The length that [`hkdf`] is asked for.
struct Bytes32;

impl hkdf::KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

/// Zero, because a record key seals exactly one envelope.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; aead::NONCE_LEN])
}

fn padded_len(len: usize) -> Option<usize> {
    len.checked_add(1)?.checked_next_multiple_of(BLOCK)
}

/// Where the padding starts; `None` if there is none, or more than a block of it.
fn unpadded_len(padded: &[u8]) -> Option<usize> {
    let start = padded.iter().rposition(|byte| *byte != 0)?;
    let whole = padded.get(start) == Some(&PADDING_START) && padded.len() - start <= BLOCK;
    whole.then_some(start)
}

const MAGIC: [u8; 2] = *b"CB";
const VERSION: u8 = 1;
/// Magic, version, suite, key id, salt, commitment.
const HEADER: usize = 84;
const TAG: usize = 16;
const BLOCK: usize = 64;
const PADDING_START: u8 = 0x80;
