//! Passkeys: what an authenticator says when it is made (WebAuthn Level 3 §7.1) and when it is used (§7.2).
//!
//! Narrow on purpose. Two algorithms: ES256 and EdDSA. The person must have been verified by the authenticator, and the
//! page must be of exactly our origin, in no frame of another's. No attestation is asked for and none is read: which make
//! an authenticator is, decides nothing here. Extensions are not asked for either, and what an authenticator adds of its
//! own accord is only skipped over.
//!
//! A challenge is the caller's to draw, and to accept once.

mod cose;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use serde::Deserialize;

use crate::encoding;
use crate::json;

pub use cose::{PasskeyAlgorithm, PasskeyKey};

/// Where a passkey must have been asked, and with what.
#[derive(Clone, Copy, Debug)]
pub struct Ceremony<'a> {
    /// Our origin, as browsers write it.
    pub origin: &'a str,
    /// The host for which the passkey is.
    pub host: &'a str,
    /// What the page asked with.
    pub challenge: &'a [u8],
}

/// A new passkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPasskey {
    /// Its identifier, as the authenticator chose it.
    pub credential: Vec<u8>,
    /// Its public key.
    pub key: PasskeyKey,
    /// How often it says that it was used.
    pub count: u32,
    /// Whether it is kept in more places than one.
    pub synced: bool,
}

/// A passkey that was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedPasskey {
    /// How often it says that it was used.
    pub count: u32,
}

/// Why a passkey is not accepted. The words are stable and hold nothing of what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasskeyError {
    /// What the browser says of the ceremony cannot be read.
    #[error("the browser's account of the ceremony cannot be read")]
    ClientData,
    /// It was for making where it must be for using, or the other way round.
    #[error("it is for the other ceremony")]
    Kind,
    /// The challenge is another.
    #[error("the challenge is another")]
    Challenge,
    /// The page was of another origin, or in a frame of one.
    #[error("the page was of another origin")]
    Origin,
    /// What the authenticator says cannot be read.
    #[error("the authenticator's data cannot be read")]
    AuthenticatorData,
    /// The passkey is for another host.
    #[error("the passkey is for another host")]
    Host,
    /// The authenticator did not verify the person.
    #[error("the authenticator did not verify the person")]
    NotVerified,
    /// The key is of no accepted algorithm, or no key.
    #[error("the key is not an ES256 or EdDSA key")]
    Key,
    /// The signature is not the key's.
    #[error("the signature is wrong")]
    Signature,
    /// The count of uses went back: there is a copy of the authenticator.
    #[error("the count of uses went back, as that of a copy would")]
    Copy,
}

/// The members of `CollectedClientData` that are looked at (§5.8.1).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    #[serde(default)]
    top_origin: Option<String>,
}

/// What stands in the authenticator data (§6.1).
struct AuthenticatorData<'a> {
    flags: u8,
    count: u32,
    rest: &'a [u8],
}

/// Reads a new passkey.
pub fn register(
    ceremony: &Ceremony<'_>,
    client_data: &[u8],
    authenticator_data: &[u8],
) -> Result<NewPasskey, PasskeyError> {
    check_client_data(ceremony, client_data, "webauthn.create")?;
    let data = read_authenticator_data(ceremony, authenticator_data)?;
    if data.flags & ATTESTED == 0 {
        return Err(PasskeyError::AuthenticatorData);
    }
    let wrong = PasskeyError::AuthenticatorData;
    let (_model, rest) = data.rest.split_first_chunk::<16>().ok_or(wrong)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(wrong)?;
    let length = usize::from(u16::from_be_bytes(*length));
    // §7.1 step 25: longer ones are to be refused.
    if length == 0 || length > LONGEST_CREDENTIAL {
        return Err(wrong);
    }
    let (credential, rest) = rest.split_at_checked(length).ok_or(wrong)?;
    let (key, rest) = PasskeyKey::read(rest).ok_or(PasskeyError::Key)?;
    if data.flags & EXTENSIONS == 0 && !rest.is_empty() {
        return Err(wrong);
    }
    Ok(NewPasskey {
        credential: credential.to_vec(),
        key,
        count: data.count,
        synced: data.flags & BACKED_UP != 0,
    })
}

/// Verifies that a passkey was used. `count` is what it said the last time.
pub fn assert(
    ceremony: &Ceremony<'_>,
    key: &PasskeyKey,
    count: u32,
    client_data: &[u8],
    authenticator_data: &[u8],
    signature: &[u8],
) -> Result<UsedPasskey, PasskeyError> {
    check_client_data(ceremony, client_data, "webauthn.get")?;
    let data = read_authenticator_data(ceremony, authenticator_data)?;
    if data.flags & ATTESTED != 0 || (data.flags & EXTENSIONS == 0 && !data.rest.is_empty()) {
        return Err(PasskeyError::AuthenticatorData);
    }
    let signed = [authenticator_data, digest(&SHA256, client_data).as_ref()].concat();
    let verified = match key.algorithm() {
        PasskeyAlgorithm::Es256 => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.bytes()).verify(&signed, signature)
        }
        PasskeyAlgorithm::EdDsa => UnparsedPublicKey::new(&ED25519, key.bytes()).verify(&signed, signature),
    };
    verified.map_err(|_| PasskeyError::Signature)?;
    // §7.2 step 22. One that does not count says zero for ever.
    if (data.count != 0 || count != 0) && data.count <= count {
        return Err(PasskeyError::Copy);
    }
    Ok(UsedPasskey { count: data.count })
}

fn check_client_data(ceremony: &Ceremony<'_>, text: &[u8], kind: &str) -> Result<(), PasskeyError> {
    let wrong = PasskeyError::ClientData;
    if text.len() > LONGEST_CLIENT_DATA {
        return Err(wrong);
    }
    // Strictly first: a member that stands there twice is read in two ways by two readers.
    let members = json::read_object(text, json::Limits { depth: 4, members: 64 }).map_err(|_| wrong)?;
    let data: ClientData = serde_json::from_value(members.into()).map_err(|_| wrong)?;
    if data.r#type != kind {
        return Err(PasskeyError::Kind);
    }
    let challenge = encoding::decode(&data.challenge).ok_or(PasskeyError::Challenge)?;
    if aws_lc_rs::constant_time::verify_slices_are_equal(&challenge, ceremony.challenge).is_err() {
        return Err(PasskeyError::Challenge);
    }
    if data.origin != ceremony.origin || data.cross_origin || data.top_origin.is_some() {
        return Err(PasskeyError::Origin);
    }
    Ok(())
}

fn read_authenticator_data<'a>(
    ceremony: &Ceremony<'_>,
    bytes: &'a [u8],
) -> Result<AuthenticatorData<'a>, PasskeyError> {
    let wrong = PasskeyError::AuthenticatorData;
    if bytes.len() > LONGEST_AUTHENTICATOR_DATA {
        return Err(wrong);
    }
    let (host, rest) = bytes.split_first_chunk::<32>().ok_or(wrong)?;
    let (flags, rest) = rest.split_first_chunk::<1>().ok_or(wrong)?;
    let (count, rest) = rest.split_first_chunk::<4>().ok_or(wrong)?;
    if host.as_slice() != digest(&SHA256, ceremony.host.as_bytes()).as_ref() {
        return Err(PasskeyError::Host);
    }
    let [flags] = *flags;
    if flags & (PRESENT | VERIFIED) != PRESENT | VERIFIED {
        return Err(PasskeyError::NotVerified);
    }
    // §6.1.3: what cannot be backed up is not backed up.
    if flags & BACKED_UP != 0 && flags & CAN_BE_BACKED_UP == 0 {
        return Err(wrong);
    }
    Ok(AuthenticatorData { flags, count: u32::from_be_bytes(*count), rest })
}

const PRESENT: u8 = 1;
const VERIFIED: u8 = 1 << 2;
const CAN_BE_BACKED_UP: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const ATTESTED: u8 = 1 << 6;
const EXTENSIONS: u8 = 1 << 7;
const LONGEST_CREDENTIAL: usize = 1023;
const LONGEST_CLIENT_DATA: usize = 4096;
const LONGEST_AUTHENTICATOR_DATA: usize = 8192;

#[cfg(test)]
mod tests;
