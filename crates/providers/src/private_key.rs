//! A private RSA key that a provider gave, or knows the public half of; and what it signs (RFC 7518 §3.3, §3.5).
//!
//! It comes as PEM, in PKCS#1 as GitHub gives it or in PKCS#8 as most tools write it. It is read anew for every
//! signature: what is kept is the sealed text and nothing else.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use carnet_model::{SecretBytes, SecretString};
use serde_json::{Map, Value, json};

use crate::certificate::Certificate;
use crate::driver::signer::CannotSign;

/// A key that can sign.
pub(crate) struct PrivateKey(KeyPair);

/// Text that is no key to sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadKey {
    /// It has a passphrase.
    #[error("is encrypted; give the key without a passphrase")]
    Encrypted,
    /// It is the other half, or something about it.
    #[error("is a public key or a certificate; the private key is needed")]
    Public,
    /// It is something else.
    #[error("is not a private RSA key of 2048 bits or more in PEM, whole, with its first and last line")]
    Unreadable,
}

impl PrivateKey {
    /// Reads a key.
    pub(crate) fn parse(pem: &SecretString) -> Result<Self, BadKey> {
        let (label, der) = open(pem.expose())?;
        let pair = match label {
            "RSA PRIVATE KEY" => KeyPair::from_der(der.expose()),
            "PRIVATE KEY" => KeyPair::from_pkcs8(der.expose()),
            "ENCRYPTED PRIVATE KEY" => return Err(BadKey::Encrypted),
            "PUBLIC KEY" | "RSA PUBLIC KEY" | "CERTIFICATE" => return Err(BadKey::Public),
            _ => return Err(BadKey::Unreadable),
        };
        let pair = pair.map_err(|_| BadKey::Unreadable)?;
        // PKCS#1 of the older tools may hold less.
        if pair.public_modulus_len() < 256 { Err(BadKey::Unreadable) } else { Ok(Self(pair)) }
    }

    /// A JWT of `claims`, signed with RS256. `kid` is put into its header if the provider goes by one.
    pub(crate) fn jwt(
        &self,
        kid: Option<&str>,
        claims: &Map<String, Value>,
    ) -> Result<SecretString, CannotSign> {
        let mut head = json!({"alg": "RS256", "typ": "JWT"});
        if let (Some(kid), Some(head)) = (kid, head.as_object_mut()) {
            head.insert("kid".to_owned(), kid.into());
        }
        self.compact(&head, claims, &RSA_PKCS1_SHA256)
    }

    /// The same, signed with PS256, for a provider that goes by the certificate.
    pub(crate) fn jwt_of(
        &self,
        certificate: &Certificate,
        claims: &Map<String, Value>,
    ) -> Result<SecretString, CannotSign> {
        let head = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": certificate.thumbprint()});
        self.compact(&head, claims, &RSA_PSS_SHA256)
    }

    fn compact(
        &self,
        head: &Value,
        claims: &Map<String, Value>,
        encoding: &'static dyn RsaEncoding,
    ) -> Result<SecretString, CannotSign> {
        let payload = serde_json::to_vec(claims).map_err(|_| CannotSign)?;
        let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let signed = format!("{}.{}", part(head.to_string().as_bytes()), part(&payload));
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(encoding, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| CannotSign)?;
        Ok(SecretString::new(format!("{signed}.{}", part(&signature))))
    }

    /// The public half, as a `SubjectPublicKeyInfo` (RFC 5280 §4.1).
    pub(crate) fn public_der(&self) -> Result<Vec<u8>, CannotSign> {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().map_err(|_| CannotSign)?;
        Ok(der.as_ref().to_vec())
    }
}

/// The label and the bytes of the first block that is not a list of parameters (RFC 7468 §2).
pub(crate) fn open(pem: &str) -> Result<(&str, SecretBytes), BadKey> {
    let mut rest = pem;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let (label, after) = after.split_once("-----").ok_or(BadKey::Unreadable)?;
        let (body, after) = after.split_once(&format!("-----END {label}-----")).ok_or(BadKey::Unreadable)?;
        if label.ends_with("PARAMETERS") {
            rest = after;
            continue;
        }
        // Older tools say so in a header of the block (RFC 1421 §4.6.1.1).
        if body.contains("ENCRYPTED") {
            return Err(BadKey::Encrypted);
        }
        let text = SecretString::new(body.chars().filter(|c| !c.is_whitespace()).collect());
        let der = BASE64_STANDARD.decode(text.expose()).map_err(|_| BadKey::Unreadable)?;
        return Ok((label, SecretBytes::new(der)));
    }
    Err(BadKey::Unreadable)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    fn pem(label: &str, der: &[u8]) -> SecretString {
        let text = BASE64_STANDARD.encode(der);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        SecretString::new(format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")))
    }

    fn fresh() -> (KeyPair, Vec<u8>) {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap().as_ref().to_vec();
        (pair, der)
    }

    #[test]
    fn a_key_in_either_form_signs_what_its_public_half_verifies() {
        let (pair, pkcs8) = fresh();
        // In PKCS#8 the PKCS#1 key is the last octet string; its header here is 26 bytes long (RFC 5208 §5).
        for key in [pem("PRIVATE KEY", &pkcs8), pem("RSA PRIVATE KEY", &pkcs8[26..])] {
            let claims = Map::from_iter([("iss".to_owned(), "1".into())]);
            let jwt =
                PrivateKey::parse(&key).unwrap_or_else(|e| panic!("{e}")).jwt(Some("k"), &claims).unwrap();
            let (signed, signature) = jwt.expose().rsplit_once('.').unwrap();
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())
                .verify(signed.as_bytes(), &BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap())
                .unwrap();
            let head = signed.split('.').next().unwrap();
            let head: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap();
            assert_eq!(head, json!({"alg": "RS256", "typ": "JWT", "kid": "k"}));
        }
    }

    #[test]
    fn what_is_no_key_to_sign_with_is_refused_with_the_reason() {
        let (pair, pkcs8) = fresh();
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let key = |text: &str| SecretString::new(text.to_owned());
        let headed =
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----";
        for (key, why) in [
            (pem("ENCRYPTED PRIVATE KEY", &pkcs8), BadKey::Encrypted),
            (key(headed), BadKey::Encrypted),
            (pem("PUBLIC KEY", public.as_ref()), BadKey::Public),
            (pem("CERTIFICATE", b"x"), BadKey::Public),
            (pem("EC PRIVATE KEY", &pkcs8), BadKey::Unreadable),
            (pem("PRIVATE KEY", &pkcs8[..pkcs8.len() - 9]), BadKey::Unreadable),
            (pem("RSA PRIVATE KEY", &pkcs8), BadKey::Unreadable),
            (key("MIIEvQIBADANBg"), BadKey::Unreadable),
            (key("-----BEGIN PRIVATE KEY-----"), BadKey::Unreadable),
            (key("-----BEGIN PRIVATE KEY-----\nMIIE"), BadKey::Unreadable),
            (key("-----BEGIN PRIVATE KEY-----\n%%%\n-----END PRIVATE KEY-----"), BadKey::Unreadable),
            (key(""), BadKey::Unreadable),
        ] {
            assert_eq!(PrivateKey::parse(&key).err(), Some(why));
        }
    }
}
