//! The root-key provider that is a passphrase, stretched with Argon2id (RFC 9106).
//!
//! The wrapped root key carries what is needed to stretch the passphrase again, and a checksum, so that a damaged row
//! is not taken for a mistyped passphrase; past the checksum, the key commitment of the envelope says which it is:
//!
//! ```text
//! offset  length  field
//! 0       1       version      01
//! 1       1       p            length of the parameters
//! 2       p       parameters   $argon2id$v=19$m=262144,t=3,p=1$<salt in base64>
//! 2+p     e       envelope
//! 2+p+e   8       checksum     the first bytes of SHA-256 of all before it; against accidents, not against attackers
//! ```
//!
//! Stretching takes about a second and 256 MiB on purpose: call [`PassphraseKey::create`] and [`PassphraseKey::open`]
//! from a thread that may block.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use carnet_model::{Env, Secret, SecretString};
use zeroize::Zeroizing;

use super::{Boxed, PROVIDER_KEY, RootKey, RootKeyError, RootVersion, unwrap_with, wrap_with};
use crate::hash::equal;
use crate::key::{Key, KeyBytes};

/// A passphrase, stretched.
#[derive(Debug)]
pub struct PassphraseKey {
    parameters: String,
    key: Key,
}

/// What stretching a passphrase costs. Never below the floor, so that nobody who can write to the database makes the
/// next wrap cheap to guess; never above the ceiling, so that nobody makes a start use up the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// A [`Cost`] that is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "Argon2id needs 64 MiB to 4 GiB of memory, 3 to 64 passes and 1 to 16 lanes; the default is 256 MiB, 3 and 1"
)]
pub struct CostError;

/// Why a passphrase makes no key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PassphraseError {
    /// Too easy to guess from a stolen database.
    #[error(
        "a passphrase has at least {MIN_CHARS} characters; six words drawn at random are easy to keep in mind"
    )]
    TooShort,
    /// The parameters are not what [`PassphraseKey::parameters`] gives.
    #[error("these are not the parameters of a passphrase")]
    Parameters,
    /// The parameters ask for too little or too much.
    #[error("the parameters of the passphrase are out of bounds")]
    Cost(#[from] CostError),
    /// The machine has no room for it.
    #[error("not enough memory to stretch the passphrase: it needs {0} MiB")]
    Memory(u32),
}

impl Cost {
    /// 256 MiB, 3 passes, 1 lane: about a second.
    pub const DEFAULT: Self = Self { memory_kib: 256 * 1024, passes: 3, lanes: 1 };

    /// The least: 64 MiB, 3 passes, 1 lane, a quarter of a second.
    pub const FLOOR: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };

    /// With a memory in KiB, a number of passes over it, and a number of lanes, within the bounds.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, CostError> {
        let within = (64 * 1024..=4 * 1024 * 1024).contains(&memory_kib)
            && (3..=64).contains(&passes)
            && (1..=16).contains(&lanes);
        within.then_some(Self { memory_kib, passes, lanes }).ok_or(CostError)
    }
}

impl PassphraseKey {
    /// What stands in `wrapped_by`.
    pub const LABEL: &'static str = "kek:passphrase";

    /// How many characters a new passphrase has at least.
    pub const MIN_CHARS: usize = MIN_CHARS;

    /// Stretches a new passphrase, with a fresh salt. Its bytes are taken as they are.
    pub fn create(env: &Env, passphrase: &SecretString, cost: Cost) -> Result<Self, PassphraseError> {
        // NIST SP 800-63B-4 §3.1.1.2: 15 characters where the password is the only factor.
        if passphrase.expose().chars().count() < MIN_CHARS {
            return Err(PassphraseError::TooShort);
        }
        Self::stretch(passphrase, cost, env.bytes())
    }

    /// Stretches a passphrase again, with the parameters of a wrapped root key. A wrong passphrase makes a key too;
    /// it is found out by [`RootKeyError::WrongKey`] when the root key is unwrapped.
    pub fn open(parameters: &str, passphrase: &SecretString) -> Result<Self, PassphraseError> {
        let (cost, salt) = read_parameters(parameters)?;
        Self::stretch(passphrase, cost, salt)
    }

    /// The parameters that it was stretched with.
    pub fn made_with(&self) -> &str {
        &self.parameters
    }

    /// What the passphrase was stretched to.
    pub(crate) const fn stretched(&self) -> &[u8; 32] {
        self.key.bytes().expose()
    }

    /// The parameters of a passphrase of this cost and salt.
    pub(crate) fn parameters_of(cost: Cost, salt: &Salt) -> String {
        write_parameters(cost, salt)
    }

    /// The parameters that a wrapped root key carries.
    pub fn parameters(wrapped: &[u8]) -> Result<&str, RootKeyError> {
        Frame::read(wrapped).map(|frame| frame.parameters).ok_or(RootKeyError::Damaged)
    }

    fn stretch(passphrase: &SecretString, cost: Cost, salt: Salt) -> Result<Self, PassphraseError> {
        let Cost { memory_kib, passes, lanes } = cost;
        let argon2 = Params::new(memory_kib, passes, lanes, Some(32))
            .map(|params| Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
            .map_err(|_| CostError)?;
        // Memory of our own, because the library frees its own without wiping it, and the key can be computed from
        // the last block.
        let mut memory = Vec::new();
        let blocks = argon2.params().block_count();
        memory.try_reserve_exact(blocks).map_err(|_| PassphraseError::Memory(memory_kib.div_ceil(1024)))?;
        memory.resize(blocks, Block::new());
        let mut memory = Zeroizing::new(memory.into_boxed_slice());
        let mut key = Zeroizing::new([0; 32]);
        argon2
            .hash_password_into_with_memory(passphrase.expose().as_bytes(), &salt, &mut *key, memory.as_mut())
            .map_err(|_| PassphraseError::Parameters)?;
        Ok(Self { parameters: write_parameters(cost, &salt), key: Key::new(PROVIDER_KEY, Secret::new(*key)) })
    }
}

impl RootKey for PassphraseKey {
    fn label(&self) -> &str {
        Self::LABEL
    }

    fn wrap<'a>(
        &'a self,
        env: &'a Env,
        of: RootVersion,
        key: &'a KeyBytes,
    ) -> Boxed<'a, Result<Vec<u8>, RootKeyError>> {
        Box::pin(async move {
            let envelope = wrap_with(env, &self.key, Self::LABEL, of, key)?;
            Frame { parameters: &self.parameters, envelope: &envelope }
                .write()
                .ok_or(RootKeyError::Seal(crate::envelope::SealError::TooLong))
        })
    }

    fn unwrap<'a>(&'a self, of: RootVersion, wrapped: &'a [u8]) -> Boxed<'a, Result<KeyBytes, RootKeyError>> {
        Box::pin(async move {
            let frame = Frame::read(wrapped).ok_or(RootKeyError::Damaged)?;
            unwrap_with(&self.key, Self::LABEL, of, frame.envelope)
        })
    }
}

/// A wrapped root key of this provider.
struct Frame<'a> {
    parameters: &'a str,
    envelope: &'a [u8],
}

impl<'a> Frame<'a> {
    fn read(wrapped: &'a [u8]) -> Option<Self> {
        let (content, checksum) = wrapped.split_last_chunk::<CHECKSUM>()?;
        if !equal(&checksum_of(content)?, checksum) {
            return None;
        }
        let ([version, len], rest) = content.split_first_chunk::<2>()?;
        let (parameters, envelope) = rest.split_at_checked(usize::from(*len))?;
        let parameters = str::from_utf8(parameters).ok()?;
        (*version == FRAME_VERSION).then_some(Self { parameters, envelope })
    }

    fn write(&self) -> Option<Vec<u8>> {
        let len = u8::try_from(self.parameters.len()).ok()?;
        let mut out = vec![FRAME_VERSION, len];
        out.extend_from_slice(self.parameters.as_bytes());
        out.extend_from_slice(self.envelope);
        let checksum = checksum_of(&out)?;
        out.extend_from_slice(&checksum);
        Some(out)
    }
}

fn checksum_of(bytes: &[u8]) -> Option<[u8; CHECKSUM]> {
    digest(&SHA256, bytes).as_ref().first_chunk().copied()
}

type Salt = [u8; 16];

/// In the spelling of the PHC string format, which has the base64 of RFC 4648 §4 without padding.
fn write_parameters(cost: Cost, salt: &Salt) -> String {
    let Cost { memory_kib, passes, lanes } = cost;
    format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${}", STANDARD_NO_PAD.encode(salt))
}

fn read_parameters(text: &str) -> Result<(Cost, Salt), PassphraseError> {
    let parts = || {
        let (cost, salt) = text.strip_prefix("$argon2id$v=19$m=")?.split_once('$')?;
        let (memory_kib, cost) = cost.split_once(",t=")?;
        let (passes, lanes) = cost.split_once(",p=")?;
        let salt = Salt::try_from(STANDARD_NO_PAD.decode(salt).ok()?).ok()?;
        Some((memory_kib.parse().ok()?, passes.parse().ok()?, lanes.parse().ok()?, salt))
    };
    let (memory_kib, passes, lanes, salt) = parts().ok_or(PassphraseError::Parameters)?;
    let cost = Cost::new(memory_kib, passes, lanes)?;
    // One spelling only: `t=03` or `t=+3` is nothing we wrote.
    if write_parameters(cost, &salt) != text {
        return Err(PassphraseError::Parameters);
    }
    Ok((cost, salt))
}

const MIN_CHARS: usize = 15;
const FRAME_VERSION: u8 = 1;
const CHECKSUM: usize = 8;
