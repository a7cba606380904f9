//! The certificate by which a provider knows a private key: which one it is, and whether it is that key's.
//!
//! Who signed it and until when it holds are the provider's to judge.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use carnet_model::SecretString;

use crate::private_key::{BadKey, PrivateKey, open};

/// A certificate (RFC 5280 §4.1).
#[derive(Clone)]
pub(crate) struct Certificate(Vec<u8>);

/// Text that is no certificate to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadCertificate {
    /// It would be shown to everybody who may see the connector.
    #[error("holds a private key, and is shown; give the certificate here and the key as privateKeyPem")]
    HoldsKey,
    /// It is something else.
    #[error("is not a certificate in PEM, whole, with its first and last line: -----BEGIN CERTIFICATE-----")]
    Unreadable,
}

impl Certificate {
    /// Reads the first of a text; the ones behind it are those that signed it.
    pub(crate) fn parse(pem: &SecretString) -> Result<Self, BadCertificate> {
        if pem.expose().contains("PRIVATE KEY") {
            return Err(BadCertificate::HoldsKey);
        }
        match open(pem.expose()) {
            Ok(("CERTIFICATE", der)) if is_sequence(der.expose()) => Ok(Self(der.expose().clone())),
            Ok(_) | Err(BadKey::Encrypted | BadKey::Public | BadKey::Unreadable) => {
                Err(BadCertificate::Unreadable)
            }
        }
    }

    /// As text, and nothing besides.
    pub(crate) fn to_pem(&self) -> String {
        let text = BASE64_STANDARD.encode(&self.0);
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        for (n, c) in text.chars().enumerate() {
            if n > 0 && n % 64 == 0 {
                pem.push('\n');
            }
            pem.push(c);
        }
        pem + "\n-----END CERTIFICATE-----"
    }

    /// By what a JWT names it: `x5t#S256` (RFC 7515 §4.1.8).
    pub(crate) fn thumbprint(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &self.0))
    }

    /// Whether it is this key's: its `SubjectPublicKeyInfo` is in it, byte for byte, for DER has one way to write it.
    pub(crate) fn is_of(&self, key: &PrivateKey) -> bool {
        key.public_der().is_ok_and(|public| self.0.windows(public.len()).any(|part| part == public))
    }
}

/// Whether this is one sequence of just this length (X.690 §8.1).
fn is_sequence(der: &[u8]) -> bool {
    match der {
        [0x30, 0x82, high, low, rest @ ..] => rest.len() == usize::from(*high) << 8 | usize::from(*low),
        [0x30, 0x81, length, rest @ ..] => rest.len() == usize::from(*length),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};

    use super::*;

    fn text(pem: &str) -> SecretString {
        SecretString::new(pem.to_owned())
    }

    #[test]
    fn a_certificate_is_known_and_its_key_told_from_others() {
        let made = || {
            let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
            let certificate =
                CertificateParams::new(["a.example".to_owned()]).unwrap().self_signed(&key).unwrap();
            (key.serialize_pem(), certificate)
        };
        let ((key, mine), (other, others)) = (made(), made());
        // As tools write it: with a name before it, and the one that signed it behind it.
        let chain = format!("subject=CN = a\n{}{}", mine.pem(), others.pem());
        let certificate = Certificate::parse(&text(&chain)).unwrap_or_else(|bad| panic!("{bad}"));
        let parsed = |pem: &str| PrivateKey::parse(&text(pem)).unwrap_or_else(|bad| panic!("{bad}"));
        assert!(certificate.is_of(&parsed(&key)));
        assert!(!certificate.is_of(&parsed(&other)));
        let digest = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, mine.der()));
        assert_eq!(certificate.thumbprint(), digest);
        assert_eq!(
            Certificate::parse(&text(&certificate.to_pem())).ok().map(|same| same.0),
            Some(certificate.0)
        );
        let whole = mine.pem();
        for (pem, bad) in [
            (format!("{whole}{key}"), BadCertificate::HoldsKey),
            (key, BadCertificate::HoldsKey),
            (whole.replace("CERTIFICATE", "PUBLIC KEY"), BadCertificate::Unreadable),
            (whole.lines().take(3).collect(), BadCertificate::Unreadable),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----".to_owned(),
                BadCertificate::Unreadable,
            ),
            (String::new(), BadCertificate::Unreadable),
        ] {
            assert_eq!(Certificate::parse(&text(&pem)).err(), Some(bad), "{pem}");
        }
    }
}
