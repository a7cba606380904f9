//! Signing keys of every algorithm that is accepted, made anew for each test.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_identity::{Algorithm, SigningKey};
use serde_json::{Value, json};

/// A key; its name is its algorithm's, in lower case.
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>, Value),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Key {
    pub(super) fn generate(algorithm: Algorithm) -> Self {
        let pair = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => {
                let key = SigningKey::generate(Algorithm::Rs256).unwrap();
                let pair = RsaKeyPair::from_pkcs8(key.pkcs8().unwrap().expose()).unwrap();
                Pair::Rsa(Box::new(pair), key.public_jwk())
            }
            Algorithm::Es256 => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            Algorithm::Es384 => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()),
            Algorithm::EdDsa => Pair::Ed(Ed25519KeyPair::generate().unwrap()),
        };
        Self { algorithm, pair }
    }

    pub(super) fn kid(&self) -> String {
        self.algorithm.as_str().to_lowercase()
    }

    pub(super) fn public_jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(_, jwk) => jwk.clone(),
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = point[1..].split_at(point.len() / 2);
                let curve = if self.algorithm == Algorithm::Es256 { "P-256" } else { "P-384" };
                json!({"kty": "EC", "crv": curve, "x": b64(x), "y": b64(y)})
            }
            Pair::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key().as_ref())})
            }
        };
        jwk["kid"] = self.kid().into();
        jwk["alg"] = self.algorithm.as_str().into();
        jwk["use"] = "sig".into();
        jwk
    }

    pub(super) fn sign(&self, input: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair, _) => {
                let mut out = vec![0; pair.public_modulus_len()];
                let sign = |encoding, out: &mut [u8]| pair.sign(encoding, &random, input, out).unwrap();
                match self.algorithm {
                    Algorithm::Ps256 => sign(&RSA_PSS_SHA256, &mut out),
                    _ => sign(&RSA_PKCS1_SHA256, &mut out),
                }
                out
            }
            Pair::Ec(pair) => pair.sign(&random, input).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(input).as_ref().to_vec(),
        }
    }
}

pub(super) fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
