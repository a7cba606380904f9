//! Encryption to somebody who is not here: a file in the format of age, for one X25519 recipient (age-encryption.org/v1).
//!
//! For the operator's recovery key, whose private half the server never sees. What is written here is read by `age`,
//! `rage` and every other implementation of the format; nothing here reads it. The format's cryptography is that of this
//! crate's one library: X25519, HKDF and HMAC with SHA-256, ChaCha20-Poly1305.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{hkdf, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use carnet_model::{Env, Secret};

/// Who can read: the public half of an age identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    text: String,
    key: [u8; 32],
}

/// A text that names no recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a recovery key is the public half of an age identity: age1 and 58 more characters")]
pub struct InvalidRecipient;

/// The recipient's key is no point that can be agreed with, or the library failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing can be encrypted to this recovery key")]
pub struct CannotEncrypt;

impl From<Unspecified> for CannotEncrypt {
    fn from(_: Unspecified) -> Self {
        Self
    }
}

impl Recipient {
    /// Reads `age1…`: Bech32 (BIP 173) of 32 bytes, in lower case.
    pub fn parse(text: &str) -> Result<Self, InvalidRecipient> {
        let data = text.strip_prefix("age1").ok_or(InvalidRecipient)?;
        let value =
            |byte: u8| ALPHABET.iter().position(|known| *known == byte).and_then(|at| u8::try_from(at).ok());
        let values: Vec<u8> = data.bytes().map(value).collect::<Option<_>>().ok_or(InvalidRecipient)?;
        // The prefix "age", expanded: high bits, a zero, low bits.
        let prefix = [3, 3, 3, 0, 1, 7, 5];
        if polymod(prefix.into_iter().chain(values.iter().copied())) != 1 {
            return Err(InvalidRecipient);
        }
        let words =
            values.len().checked_sub(CHECKSUM).and_then(|end| values.get(..end)).ok_or(InvalidRecipient)?;
        let key = eight_bits(words).and_then(|bytes| bytes.try_into().ok()).ok_or(InvalidRecipient)?;
        Ok(Self { text: text.to_owned(), key })
    }

    /// `age1…`
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The plaintext for nobody but the recipient, armored: text that can stand in a JSON document.
    pub fn encrypt(&self, env: &Env, plaintext: &[u8]) -> Result<String, CannotEncrypt> {
        let file_key = Secret::new(env.bytes::<16>());
        let mut file = self.header(env, &file_key)?;
        let salt = env.bytes::<16>();
        file.extend_from_slice(&salt);
        let key = derive(&salt, file_key.expose(), b"payload")?;
        let cipher = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key.expose())?);
        let mut chunks = plaintext.chunks(CHUNK).peekable();
        let mut counter: u64 = 0;
        loop {
            // Nothing at all is one empty chunk.
            let mut chunk = chunks.next().unwrap_or_default().to_vec();
            let last = chunks.peek().is_none();
            // Eleven bytes count, the twelfth says which chunk is the last.
            let mut nonce = [0; 12];
            nonce.iter_mut().skip(3).zip(counter.to_be_bytes()).for_each(|(to, from)| *to = from);
            nonce.iter_mut().last().into_iter().for_each(|flag| *flag = u8::from(last));
            cipher.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut chunk)?;
            file.extend_from_slice(&chunk);
            counter += 1;
            if last {
                return Ok(armor(&file));
            }
        }
    }

    /// The stanza that holds the file key for the recipient, and the MAC over it.
    fn header(&self, env: &Env, file_key: &Secret<[u8; 16]>) -> Result<Vec<u8>, CannotEncrypt> {
        let ephemeral = Secret::new(env.bytes::<32>());
        let ephemeral =
            PrivateKey::from_private_key(&X25519, ephemeral.expose()).map_err(|_| CannotEncrypt)?;
        let share = ephemeral.compute_public_key()?;
        let salt = [share.as_ref(), &self.key].concat();
        let peer = UnparsedPublicKey::new(&X25519, self.key);
        let wrapping = agree(&ephemeral, peer, CannotEncrypt, |shared| {
            derive(&salt, shared, b"age-encryption.org/v1/X25519")
        })?;
        let mut wrapped = file_key.expose().to_vec();
        // The key is good for this one message, so its nonce is fixed.
        LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, wrapping.expose())?).seal_in_place_append_tag(
            Nonce::assume_unique_for_key([0; 12]),
            Aad::empty(),
            &mut wrapped,
        )?;
        let header = format!(
            "age-encryption.org/v1\n-> X25519 {}\n{}\n---",
            STANDARD_NO_PAD.encode(share.as_ref()),
            STANDARD_NO_PAD.encode(&wrapped)
        );
        let key = derive(&[], file_key.expose(), b"header")?;
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()), header.as_bytes());
        Ok(format!("{header} {}\n", STANDARD_NO_PAD.encode(mac.as_ref())).into_bytes())
    }
}

/// HKDF with SHA-256, 32 bytes.
fn derive(salt: &[u8], input: &[u8], info: &[u8]) -> Result<Secret<[u8; 32]>, CannotEncrypt> {
    let mut key = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(input)
        .expand(&[info], hkdf::HKDF_SHA256)?
        .fill(&mut key)?;
    Ok(Secret::new(key))
}

/// PEM-like lines of 64 characters.
fn armor(file: &[u8]) -> String {
    let text = STANDARD.encode(file);
    let mut out = String::with_capacity(text.len() + text.len() / 64 + 80);
    out.push_str("-----BEGIN AGE ENCRYPTED FILE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out.push_str("-----END AGE ENCRYPTED FILE-----\n");
    out
}

/// The checksum of BIP 173; 1 for a text that is whole.
fn polymod(values: impl Iterator<Item = u8>) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    values.fold(1, |sum, value| {
        let top = sum >> 25;
        let shifted = ((sum & 0x01ff_ffff) << 5) ^ u32::from(value);
        let taken = GENERATOR.iter().enumerate().filter(|(bit, _)| (top >> bit) & 1 == 1);
        taken.fold(shifted, |sum, (_, generator)| sum ^ generator)
    })
}

/// Groups of five bits as bytes; what is left over is at most four bits, all zero.
fn eight_bits(words: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(words.len() * 5 / 8);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for word in words {
        held = (held << 5) | u32::from(*word);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xff).ok()?);
            held &= (1 << bits) - 1;
        }
    }
    (bits < 5 && held == 0).then_some(bytes)
}

const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/// Characters of the checksum.
const CHECKSUM: usize = 6;
/// A chunk of the payload.
const CHUNK: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use aws_lc_rs::constant_time::verify_slices_are_equal;

    use super::*;

    /// An identity made for this test: the private half as 32 bytes, the public half as text is computed.
    fn identity() -> (PrivateKey, String) {
        let private = PrivateKey::from_private_key(&X25519, &[7; 32]).unwrap();
        let public = private.compute_public_key().unwrap();
        (private, encode(public.as_ref()))
    }

    /// Bech32, the other way round.
    fn encode(bytes: &[u8]) -> String {
        let mut words = Vec::new();
        let (mut held, mut bits) = (0_u32, 0_u32);
        for byte in bytes {
            held = (held << 8) | u32::from(*byte);
            bits += 8;
            while bits >= 5 {
                bits -= 5;
                words.push(u8::try_from((held >> bits) & 31).unwrap());
            }
        }
        if bits > 0 {
            words.push(u8::try_from((held << (5 - bits)) & 31).unwrap());
        }
        let prefix = [3, 3, 3, 0, 1, 7, 5];
        let sum = polymod(prefix.into_iter().chain(words.iter().copied()).chain([0; 6])) ^ 1;
        words.extend((0..6).map(|at| u8::try_from((sum >> (5 * (5 - at))) & 31).unwrap()));
        let text: String = words.iter().map(|word| char::from(ALPHABET[usize::from(*word)])).collect();
        format!("age1{text}")
    }

    /// Reads the format by its description, for the test alone.
    fn decrypt(private: &PrivateKey, armored: &str) -> Vec<u8> {
        let lines: Vec<&str> = armored.lines().collect();
        assert!(lines.iter().all(|line| line.len() <= 64));
        let file = STANDARD.decode(lines[1..lines.len() - 1].concat()).unwrap();
        let end = file.windows(4).position(|four| four == b"\n---").unwrap() + 1;
        let head = String::from_utf8(file[..end].to_vec()).unwrap();
        let mut stanza = head.lines().skip(1);
        let share = stanza.next().unwrap().strip_prefix("-> X25519 ").unwrap();
        let share = STANDARD_NO_PAD.decode(share).unwrap();
        let mut wrapped = STANDARD_NO_PAD.decode(stanza.next().unwrap()).unwrap();
        let public = private.compute_public_key().unwrap();
        let salt = [&share[..], public.as_ref()].concat();
        let peer = UnparsedPublicKey::new(&X25519, share);
        let wrapping = agree(private, peer, CannotEncrypt, |shared| {
            derive(&salt, shared, b"age-encryption.org/v1/X25519")
        })
        .unwrap();
        let open = |key: &[u8], nonce: [u8; 12], bytes: &mut Vec<u8>| {
            let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).unwrap());
            key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), bytes).unwrap().to_vec()
        };
        let file_key = open(wrapping.expose(), [0; 12], &mut wrapped);
        let mac_line = file[end..].iter().position(|byte| *byte == b'\n').unwrap() + end;
        let mac = STANDARD_NO_PAD.decode(&file[end + 4..mac_line]).unwrap();
        let mac_key = derive(&[], &file_key, b"header").unwrap();
        let wanted = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, mac_key.expose()), &file[..end + 3]);
        verify_slices_are_equal(&mac, wanted.as_ref()).unwrap();
        let body = &file[mac_line + 1..];
        let payload = derive(&body[..16], &file_key, b"payload").unwrap();
        let chunks: Vec<_> = body[16..].chunks(CHUNK + 16).collect();
        let mut plain = Vec::new();
        for (at, chunk) in chunks.iter().enumerate() {
            let mut nonce = [0; 12];
            nonce[3..11].copy_from_slice(&(at as u64).to_be_bytes());
            nonce[11] = u8::from(at + 1 == chunks.len());
            plain.extend(open(payload.expose(), nonce, &mut chunk.to_vec()));
        }
        plain
    }

    #[test]
    fn what_is_encrypted_is_read_by_its_recipient() {
        let (private, public) = identity();
        let recipient = Recipient::parse(&public).unwrap();
        let env = Env::system();
        for length in [0, 1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let plain: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let file = recipient.encrypt(&env, &plain).unwrap();
            assert_eq!(decrypt(&private, &file), plain, "{length}");
        }
        assert_ne!(recipient.encrypt(&env, b"x").unwrap(), recipient.encrypt(&env, b"x").unwrap());
    }

    #[test]
    fn a_recipient_is_read_only_if_it_is_whole() {
        // The example of the format's own documentation (age-encryption.org, README).
        let known = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
        let recipient = Recipient::parse(known).unwrap();
        assert_eq!(encode(&recipient.key), known);
        let mut other = known.to_owned();
        other.replace_range(20..21, if &known[20..21] == "q" { "p" } else { "q" });
        for text in [
            "",
            "age1",
            &known[..known.len() - 1],
            &other,
            &known.to_uppercase(),
            &format!(" {known}"),
            "AGE-SECRET-KEY-1QQPQQ",
            "age1b",
        ] {
            assert_eq!(Recipient::parse(text), Err(InvalidRecipient), "{text}");
        }
        // A point of small order is nobody's key: whatever is agreed with it is zero.
        let nobody = Recipient { text: String::new(), key: [0; 32] };
        assert_eq!(nobody.encrypt(&Env::system(), b"x"), Err(CannotEncrypt));
    }
}
