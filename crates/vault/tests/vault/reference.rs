//! A second implementation of the envelope, for tests.
//!
//! It follows the crate's page and nothing else: HKDF is written out from RFC 5869, and every part of an envelope can
//! be set wrong on purpose.

use aws_lc_rs::aead::{self, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};

pub(crate) type Made<T> = Result<T, Unspecified>;

/// The place, as the file spells it: identifiers and row in hex, the version in decimal, null where absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) deployment: String,
    pub(crate) team: Option<String>,
    pub(crate) table: String,
    pub(crate) column: String,
    pub(crate) row: String,
    pub(crate) project: Option<String>,
    pub(crate) environment: Option<String>,
    pub(crate) connector: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) version: String,
}

/// Everything that goes into an envelope, each part to be set wrong.
#[derive(Clone)]
pub(crate) struct Recipe {
    pub(crate) magic: [u8; 2],
    pub(crate) version: u8,
    pub(crate) suite: u8,
    pub(crate) cipher: u8,
    pub(crate) key_id: [u8; 16],
    pub(crate) key: [u8; 32],
    pub(crate) salt: [u8; 32],
    pub(crate) key_label: &'static str,
    pub(crate) commit_label: &'static str,
    pub(crate) commitment: Option<[u8; 32]>,
    pub(crate) nonce: u128,
    pub(crate) padded: Vec<u8>,
    pub(crate) place: Place,
    pub(crate) bound_label: &'static str,
    pub(crate) bind_header: bool,
    pub(crate) absent: u32,
}

pub(crate) struct Sealed {
    pub(crate) envelope: Vec<u8>,
    pub(crate) record_key: [u8; 32],
    pub(crate) bound: Vec<u8>,
}

impl Recipe {
    pub(crate) fn by_the_rules(
        suite: u8,
        secret: &[u8],
        key_id: [u8; 16],
        key: [u8; 32],
        salt: [u8; 32],
    ) -> Self {
        let mut padded = [secret, &[0x80]].concat();
        padded.resize(padded.len().next_multiple_of(64), 0);
        Self {
            magic: *b"CB",
            version: 1,
            suite,
            cipher: suite,
            key_id,
            key,
            salt,
            key_label: "cb/rec/1/key",
            commit_label: "cb/rec/1/commit",
            commitment: None,
            nonce: 0,
            padded,
            place: Place {
                deployment: id(0xD0),
                team: Some(id(0x70)),
                table: text_of("grants"),
                column: text_of("refresh_token"),
                row: id(0x00),
                project: Some(id(0x90)),
                environment: Some(text_of("production")),
                connector: Some(id(0xC0)),
                subject: Some(text_of("user:alice")),
                version: text_of("7"),
            },
            bound_label: "cb-aad/1",
            bind_header: true,
            absent: u32::MAX,
        }
    }

    pub(crate) fn seal(&self) -> Made<Sealed> {
        let commitment = match self.commitment {
            Some(wrong) => wrong,
            None => self.derived(self.commit_label)?,
        };
        let mut envelope = [self.magic.as_slice(), &[self.version, self.suite], &self.key_id].concat();
        envelope.extend_from_slice(&self.salt);
        envelope.extend_from_slice(&commitment);
        let bound = self.bound(if self.bind_header { &envelope } else { &[] })?;
        let record_key = self.derived(self.key_label)?;
        let algorithm = if self.cipher == 2 { &aead::CHACHA20_POLY1305 } else { &aead::AES_256_GCM };
        let cipher = LessSafeKey::new(UnboundKey::new(algorithm, &record_key)?);
        let nonce = self.nonce.to_be_bytes();
        let nonce = Nonce::try_assume_unique_for_key(nonce.last_chunk::<12>().ok_or(Unspecified)?)?;
        let mut body = self.padded.clone();
        cipher.seal_in_place_append_tag(nonce, aead::Aad::from(&bound), &mut body)?;
        envelope.extend_from_slice(&body);
        Ok(Sealed { envelope, record_key, bound })
    }

    /// HKDF-SHA-512 for 32 bytes, which is one round: T(1) = HMAC(PRK, info || 01).
    fn derived(&self, label: &str) -> Made<[u8; 32]> {
        let prk = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, &self.salt), &self.key);
        let info = [label.as_bytes(), &[self.suite], &self.key_id, &[1]].concat();
        let okm = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, prk.as_ref()), &info);
        okm.as_ref().first_chunk().copied().ok_or(Unspecified)
    }

    fn bound(&self, header: &[u8]) -> Made<Vec<u8>> {
        let place = &self.place;
        let unhex_option = |text: &Option<String>| text.as_deref().map(unhex).transpose();
        let parts = [
            Some(self.bound_label.as_bytes().to_vec()),
            Some(unhex(&place.deployment)?),
            unhex_option(&place.team)?,
            Some(place.table.clone().into_bytes()),
            Some(place.column.clone().into_bytes()),
            Some(unhex(&place.row)?),
            unhex_option(&place.project)?,
            place.environment.clone().map(String::into_bytes),
            unhex_option(&place.connector)?,
            place.subject.clone().map(String::into_bytes),
        ];
        let mut bound = header.to_vec();
        for part in parts {
            let len = match &part {
                Some(part) => u32::try_from(part.len()).map_err(|_| Unspecified)?,
                None => self.absent,
            };
            bound.extend_from_slice(&len.to_be_bytes());
            bound.extend_from_slice(&part.unwrap_or_default());
        }
        let version: u64 = place.version.parse().map_err(|_| Unspecified)?;
        bound.extend_from_slice(&version.to_be_bytes());
        Ok(bound)
    }
}

/// 16 bytes that count up from one.
pub(crate) fn id(first: u8) -> String {
    hex(&(0..16).map(|i| first.wrapping_add(i)).collect::<Vec<u8>>())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('?');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

pub(crate) fn unhex(text: &str) -> Result<Vec<u8>, Unspecified> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect::<Option<_>>()
        .ok_or(Unspecified)
}

pub(crate) fn text_of(text: &str) -> String {
    text.to_owned()
}
