//! Private keys that sign JWTs: Carnet's own, and those of connectors.
//!
//! RS256 by default, because the verifiers that exist pin it; others where the receiving side agrees. Which algorithm a
//! key is for is kept beside it: the same RSA key could sign two ways, and is published for one. A key's name is its RFC
//! 7638 thumbprint, so one key has one name everywhere.

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaSignatureEncoding,
};
use carnet_model::{Secret, SecretBytes};
use serde_json::{Map, Value, json};

use super::der;
use crate::algorithm::Algorithm;
use crate::encoding;

/// A private key that signs with one algorithm.
pub struct SigningKey {
    algorithm: Algorithm,
    pair: Pair,
    kid: String,
    public: Map<String, Value>,
}

enum Pair {
    Rsa(Box<RsaKeyPair>, &'static RsaSignatureEncoding),
    Ec(Box<EcdsaKeyPair>, Curve),
    Ed25519(Box<Ed25519KeyPair>),
}

/// A curve: its name in a JWK, the length of a coordinate in bytes, and how it signs.
#[derive(Clone, Copy)]
struct Curve {
    name: &'static str,
    width: usize,
    signs: &'static EcdsaSigningAlgorithm,
}

const P256: Curve = Curve { name: "P-256", width: 32, signs: &ECDSA_P256_SHA256_FIXED_SIGNING };
const P384: Curve = Curve { name: "P-384", width: 48, signs: &ECDSA_P384_SHA384_FIXED_SIGNING };

/// A private key that cannot be made or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// The crypto library could not make a key.
    #[error("a key could not be generated")]
    Generate,
    /// The bytes are not a PKCS#8 key of the kind that the algorithm needs.
    #[error("not a key of this algorithm in PKCS#8")]
    Encoding,
}

/// The crypto library could not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token could not be signed")]
pub struct SigningFailed;

impl SigningKey {
    /// A new key: RSA of 2048 bits, or on the algorithm's curve. Its randomness is the crypto library's own.
    pub fn generate(algorithm: Algorithm) -> Result<Self, InvalidKey> {
        let pair = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| InvalidKey::Generate)?;
                Pair::Rsa(Box::new(pair), encoding_of(algorithm))
            }
            Algorithm::Es256 => Self::generate_on(P256)?,
            Algorithm::Es384 => Self::generate_on(P384)?,
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::generate().map_err(|_| InvalidKey::Generate)?;
                Pair::Ed25519(Box::new(pair))
            }
        };
        Self::new(algorithm, pair)
    }

    fn generate_on(curve: Curve) -> Result<Pair, InvalidKey> {
        let pair = EcdsaKeyPair::generate(curve.signs).map_err(|_| InvalidKey::Generate)?;
        Ok(Pair::Ec(Box::new(pair), curve))
    }

    /// Reads back a key that was made for this algorithm.
    pub fn from_pkcs8(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, InvalidKey> {
        let on = |curve: Curve| {
            EcdsaKeyPair::from_pkcs8(curve.signs, bytes)
                .map(|pair| Pair::Ec(Box::new(pair), curve))
                .map_err(|_| InvalidKey::Encoding)
        };
        let pair = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => {
                let pair = RsaKeyPair::from_pkcs8(bytes).map_err(|_| InvalidKey::Encoding)?;
                Pair::Rsa(Box::new(pair), encoding_of(algorithm))
            }
            Algorithm::Es256 => on(P256)?,
            Algorithm::Es384 => on(P384)?,
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(bytes).map_err(|_| InvalidKey::Encoding)?;
                Pair::Ed25519(Box::new(pair))
            }
        };
        Self::new(algorithm, pair)
    }

    /// The private key, to be sealed.
    pub fn pkcs8(&self) -> Result<SecretBytes, InvalidKey> {
        let document = match &self.pair {
            Pair::Rsa(pair, _) => {
                return AsDer::<Pkcs8V1Der<'_>>::as_der(pair.as_ref())
                    .map(|der| Secret::new(der.as_ref().to_vec()))
                    .map_err(|_| InvalidKey::Encoding);
            }
            Pair::Ec(pair, _) => pair.to_pkcs8v1(),
            Pair::Ed25519(pair) => pair.to_pkcs8(),
        };
        let document = document.map_err(|_| InvalidKey::Encoding)?;
        Ok(Secret::new(document.as_ref().to_vec()))
    }

    /// The algorithm it signs with.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
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
        let signature = match &self.pair {
            Pair::Rsa(pair, encoding) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut out).map_err(|_| SigningFailed)?;
                return Ok(out);
            }
            Pair::Ec(pair, _) => pair.sign(&random, message),
            Pair::Ed25519(pair) => pair.try_sign(message),
        };
        signature.map(|signature| signature.as_ref().to_vec()).map_err(|_| SigningFailed)
    }

    fn new(algorithm: Algorithm, pair: Pair) -> Result<Self, InvalidKey> {
        let public = match &pair {
            Pair::Rsa(pair, _) => {
                let (n, e) = der::rsa_numbers(pair.public_key().as_ref()).ok_or(InvalidKey::Encoding)?;
                members(&[("e", &encoding::encode(e)), ("kty", "RSA"), ("n", &encoding::encode(n))])
            }
            Pair::Ec(pair, curve) => {
                // SEC 1 §2.3.3: 4, then the two coordinates.
                let point = pair.public_key().as_ref().strip_prefix(&[4]).ok_or(InvalidKey::Encoding)?;
                let (x, y) = point.split_at_checked(curve.width).ok_or(InvalidKey::Encoding)?;
                let (x, y) = (encoding::encode(x), encoding::encode(y));
                members(&[("crv", curve.name), ("kty", "EC"), ("x", &x), ("y", &y)])
            }
            // RFC 8037 §2
            Pair::Ed25519(pair) => {
                let x = encoding::encode(pair.public_key().as_ref());
                members(&[("crv", "Ed25519"), ("kty", "OKP"), ("x", &x)])
            }
        };
        let kid = thumbprint(&public);
        Ok(Self { algorithm, pair, kid, public })
    }
}

/// How an RSA key signs. The salt of a PSS signature is as long as its hash (RFC 7518 §3.5).
const fn encoding_of(algorithm: Algorithm) -> &'static RsaSignatureEncoding {
    if matches!(algorithm, Algorithm::Ps256) { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 }
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
