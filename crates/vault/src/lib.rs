//! Keys, the record envelope, keyed hashes, root-key providers.
//!
//! Everything secret that Carnet stores passes through here: refresh tokens, client secrets, private keys, PKCE
//! verifiers. What is promised: who has the database, or a backup of it, and not the root-key provider, has no secret;
//! who can write to the database cannot make a secret appear under another team, project, environment, connector,
//! subject, row or row version than the one it was sealed for. What is not: anything against who runs code in this
//! process, or holds both the database and the provider's key. Keys and plaintext are wiped when they are dropped, but
//! are neither locked into memory nor kept out of a core dump here; the process sees to that. An older envelope put
//! back together with its older row version opens; the audit log is what tells that.
//!
//! # Key hierarchy
//!
//! ```text
//! root-key provider            a key file, a passphrase, later a cloud KMS; never in the database   RootKey
//!   └─ root key                32 random bytes, versioned; seals what belongs to no team
//!        ├─ team keys          32 random bytes per team, versioned; seal that team's records
//!        └─ purpose keys       32 random bytes per purpose, versioned; keyed hashes only            Purpose
//! ```
//!
//! Each key below the provider is one row of the table `keys` ([`WrappedKey`]). Purpose keys are drawn, not derived, so
//! that replacing the root key changes no hash of a token. A [`Keyring`] holds the opened keys of one deployment: it
//! seals and hashes with the newest version whose time has come, opens and looks up with every version it knows.
//!
//! # Record envelope, version 1
//!
//! All integers are big-endian. `key` is the 32-byte key named by `key id`; `||` joins bytes.
//!
//! ```text
//! offset  length  field
//!  0       2      magic        43 42, "CB"
//!  2       1      version      01
//!  3       1      suite        01 AES-256-GCM, 02 ChaCha20-Poly1305 (RFC 8439)
//!  4      16      key id
//! 20      32      salt         random, drawn for every envelope
//! 52      32      commitment
//! 84       n      ciphertext   n is a multiple of 64, and at least 64
//! 84+n    16      tag
//! ```
//!
//! ```text
//! PRK        = HKDF-Extract with SHA-512 (salt, key)                                       RFC 5869 §2.2
//! record key = HKDF-Expand (PRK, "cb/rec/1/key"    || suite || key id, 32)                 RFC 5869 §2.3
//! commitment = HKDF-Expand (PRK, "cb/rec/1/commit" || suite || key id, 32)
//! nonce      = 12 zero bytes
//! plaintext  = secret || 80 || zero bytes up to the next multiple of 64                    ISO/IEC 7816-4
//! bound      = bytes 0..84 of the envelope
//!              || LP("cb-aad/1") || LP(deployment) || LP(team) || LP(table) || LP(column) || LP(row)
//!              || LP(project) || LP(environment) || LP(connector) || LP(subject) || U64(row version)
//! LP(x)      = U32(length of x) || x;  absent = FF FF FF FF alone
//! ```
//!
//! `bound` is the additional data of the cipher. Deployment, team, project and connector are the 16 bytes of their
//! identifiers; environment is its wire text (`production`, `preview`, `development`, `env_…`); table, column and
//! subject are UTF-8; row is whatever bytes the table is keyed by.
//!
//! A reader checks in this order, and stops at the first failure: length (at least 164, and 100 more than a multiple
//! of 64), magic, version, suite ([`OpenError::Malformed`]); key id ([`OpenError::WrongKey`]); commitment, in constant
//! time; tag; padding, at most 63 zero bytes before the last `80` ([`OpenError::Refused`]).
//!
//! Why so:
//! - The record key is derived from a fresh 256-bit salt and seals exactly once, so a fixed nonce is right and there
//!   is no count of messages to watch. It is also why suite 2 needs no longer nonce: XChaCha20 exists to make random
//!   nonces safe under one key, and buys nothing where every key seals once. Nor is it in aws-lc.
//! - Neither cipher binds a ciphertext to one key; the commitment does, which matters under a passphrase.
//! - Project, environment, connector and subject are bound, not only the row: they decide who gets the secret.
//! - Padding hides the length of a secret to within 64 bytes.
//!
//! `tests/vectors/envelope-v1.json` holds envelopes that must open and envelopes that must not;
//! `examples/envelope-vectors.rs` makes it.
//!
//! # Wrapped keys
//!
//! A wrapped key is such an envelope around 32 bytes, with table `keys`, column `wrapped`, the key's id as row, the
//! key's version as row version, the team for a team key, and as subject the role (`team:team_…`, `purpose:csrf`), or
//! for the root key the provider's label (`kek:file`). Team and purpose keys are sealed by a root key. The root key is
//! sealed by the provider's key, whose id is 16 zero bytes because it has no row; a passphrase adds a frame around it
//! ([`PassphraseKey`]), and a cloud KMS stores what its service answered.

mod age;
mod envelope;
mod hash;
mod key;
mod keyring;
mod passphrase;
mod root_key;
mod secret_file;
mod wrapped;

pub use age::{CannotEncrypt, InvalidRecipient, Recipient};
pub use envelope::{Aad, OpenError, SealError, Suite, open, seal, sealed_by};
pub use hash::{KeyedHash, equal};
pub use key::{InvalidKeyId, Key, KeyBytes, KeyId};
pub use keyring::{AdmitError, CreateError, Keyring, NewRoot, ResealError, RewrapError, UnlockError};
pub use passphrase::StretchedPassphrase;
pub use root_key::{
    Boxed, Cost, CostError, FileKey, FileKeyError, PassphraseError, PassphraseKey, RootKey, RootKeyError,
    RootVersion,
};
pub use secret_file::{Location, SecretFileError, read_secret_file};
pub use wrapped::{InvalidRole, KeyRole, Purpose, WrappedKey};
