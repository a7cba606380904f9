//! Carnet's signing keys.
//!
//! RS256 by default, because the verifiers that exist pin it; ES256 where the receiving side agrees, at a fraction of
//! the cost. A key's name is its RFC 7638 thumbprint, so one key has one name everywhere.

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use carnet_model::{Secret, SecretBytes};
use serde_json::{Map, Value, json};

use super::der;
use crate::algorithm::Algorithm;
use crate::encoding;

/// A private key that signs identity tokens.
pub struct SigningKey {
    pair: Pair,
    kid: String,
    public: Map<String, Value>,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
}

/// A private key that cannot be made or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// We sign with RS256 and ES256 only.
    #[error("identity tokens are signed with RS256 or ES256")]
    Algorithm,
    /// The crypto library could not make a key.
    #[error("a key could not be generated")]
    Generate,
    /// The bytes are not a PKCS#8 key of a kind we sign with.
    #[error("not an RSA key of 2048 bits or more, nor a P-256 key, in PKCS#8")]
    Encoding,
}

/// The crypto library could not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token could not be signed")]
pub struct SigningFailed;

impl SigningKey {
    /// A new key: RSA of 2048 bits, or P-256. Its randomness is the crypto library's own.
    pub fn generate(algorithm: Algorithm) -> Result<Self, InvalidKey> {
        match algorithm {
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| InvalidKey::Generate)?;
                Self::new(Pair::Rsa(Box::new(pair)))
            }
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
                Self::new(Pair::P256(Box::new(pair.map_err(|_| InvalidKey::Generate)?)))
            }
            Algorithm::Ps256 | Algorithm::Es384 | Algorithm::EdDsa => Err(InvalidKey::Algorithm),
        }
    }

    /// Reads a key back.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, InvalidKey> {
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes) {
            return Self::new(Pair::P256(Box::new(pair)));
        }
        let pair = RsaKeyPair::from_pkcs8(bytes).map_err(|_| InvalidKey::Encoding)?;
        Self::new(Pair::Rsa(Box::new(pair)))
    }

    /// The private key, to be sealed.
    pub fn pkcs8(&self) -> Result<SecretBytes, InvalidKey> {
        match &self.pair {
            Pair::Rsa(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(pair.as_ref())
                .map(|der| Secret::new(der.as_ref().to_vec()))
                .map_err(|_| InvalidKey::Encoding),
            Pair::P256(pair) => pair
                .to_pkcs8v1()
                .map(|document| Secret::new(document.as_ref().to_vec()))
                .map_err(|_| InvalidKey::Encoding),
        }
    }

    /// The algorithm it signs with.
    pub const fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Rsa(_) => Algorithm::Rs256,
            Pair::P256(_) => Algorithm::Es256,
        }
    }

    /// Its name: the RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public key for the key set.
    pub fn public_jwk(&self) -> Value {
        let mut jwk = self.public.clone();
        jwk.insert("kid".to_owned(), self.kid.clone().into());
        jwk.insert("use".to_owned(), "sig".into());
        jwk.insert("alg".to_owned(), self.algorithm().as_str().into());
        Value::Object(jwk)
    }

    /// A JWT of `claims` with header `typ`.
    pub fn sign(&self, typ: &str, claims: &Map<String, Value>) -> Result<String, SigningFailed> {
        let header = json!({"alg": self.algorithm(), "kid": self.kid, "typ": typ});
        let payload = serde_json::to_vec(claims).map_err(|_| SigningFailed)?;
        let mut token = encoding::encode(header.to_string().as_bytes());
        token.push('.');
        token.push_str(&encoding::encode(&payload));
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        token.push_str(&encoding::encode(&signature));
        Ok(token)
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut out).map_err(|_| SigningFailed)?;
                Ok(out)
            }
            Pair::P256(pair) => {
                let signature = pair.sign(&random, message).map_err(|_| SigningFailed)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }

    fn new(pair: Pair) -> Result<Self, InvalidKey> {
        let public = match &pair {
            Pair::Rsa(pair) => {
                let (n, e) = der::rsa_numbers(pair.public_key().as_ref()).ok_or(InvalidKey::Encoding)?;
                members(&[("e", &encoding::encode(e)), ("kty", "RSA"), ("n", &encoding::encode(n))])
            }
            Pair::P256(pair) => {
                // SEC 1 §2.3.3: 4, then the two coordinates.
                let point = pair.public_key().as_ref().strip_prefix(&[4]).ok_or(InvalidKey::Encoding)?;
                let (x, y) = point.split_at_checked(32).ok_or(InvalidKey::Encoding)?;
                let (x, y) = (encoding::encode(x), encoding::encode(y));
                members(&[("crv", "P-256"), ("kty", "EC"), ("x", &x), ("y", &y)])
            }
        };
        let kid = thumbprint(&public);
        Ok(Self { pair, kid, public })
    }
}

fn members(pairs: &[(&str, &str)]) -> Map<String, Value> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect()
}

/// RFC 7638 §3: the hash of the required members alone, in the order of their names, without white space.
fn thumbprint(required: &Map<String, Value>) -> String {
    let mut pairs: Vec<_> = required.iter().collect();
    pairs.sort_by_key(|(name, _)| *name);
    let written: Vec<_> = pairs.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    let hash = digest::digest(&digest::SHA256, format!("{{{}}}", written.join(",")).as_bytes());
    encoding::encode(hash.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_the_one_of_the_rfcs() {
        // RFC 7638 §3.1
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3\
                 oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA\
                 ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-\
                 kEgU8awapJzKnqDKgw";
        let rsa = members(&[("n", n), ("kty", "RSA"), ("e", "AQAB")]);
        assert_eq!(thumbprint(&rsa), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        // RFC 8037 §A.3
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let okp = members(&[("kty", "OKP"), ("crv", "Ed25519"), ("x", x)]);
        assert_eq!(thumbprint(&okp), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
