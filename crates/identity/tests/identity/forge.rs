//! Makes tokens, sound and hostile, and verifies them as the engine would.

use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_identity::{Algorithm, Expectation, JwtError, KeySet, Presented, SigningKey, VerifiedClaims};
use carnet_model::Time;
use serde_json::{Map, Value, json};

pub(crate) const NOW: Time = Time::from_secs(1_800_000_000);
pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const AUDIENCE: &str = "https://carnet.example/acme";

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn unb64(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// The private keys of the issuer, one per algorithm; `kid` is the name of the algorithm in lower case.
pub(crate) struct Keys {
    pub(crate) rs256: RsaKeyPair,
    pub(crate) ps256: RsaKeyPair,
    pub(crate) es256: EcdsaKeyPair,
    pub(crate) es384: EcdsaKeyPair,
    pub(crate) eddsa: Ed25519KeyPair,
    jwks: Vec<Value>,
}

pub(crate) static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let rsa = || {
        let key = SigningKey::generate(Algorithm::Rs256).unwrap();
        let pair = RsaKeyPair::from_pkcs8(key.pkcs8().unwrap().expose()).unwrap();
        (pair, key.public_jwk())
    };
    let (rs256, rs256_jwk) = rsa();
    let (ps256, ps256_jwk) = rsa();
    let es256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let es384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let eddsa = Ed25519KeyPair::generate().unwrap();
    let jwks = vec![
        with(&rs256_jwk, &[("kid", "rs256".into()), ("alg", "RS256".into())]),
        with(&ps256_jwk, &[("kid", "ps256".into()), ("alg", "PS256".into())]),
        with(&ec_jwk("P-256", es256.public_key().as_ref()), &[("kid", "es256".into())]),
        with(&ec_jwk("P-384", es384.public_key().as_ref()), &[("kid", "es384".into())]),
        json!({"kty": "OKP", "crv": "Ed25519", "x": b64(eddsa.public_key().as_ref()), "kid": "eddsa"}),
    ];
    Keys { rs256, ps256, es256, es384, eddsa, jwks }
});

fn ec_jwk(crv: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({"kty": "EC", "crv": crv, "x": b64(x), "y": b64(y)})
}

/// The issuer's public keys.
pub(crate) fn jwks() -> Value {
    json!({ "keys": KEYS.jwks })
}

/// The public key of one algorithm.
pub(crate) fn jwk(algorithm: Algorithm) -> Value {
    KEYS.jwks.iter().find(|jwk| jwk["kid"] == kid(algorithm)).unwrap().clone()
}

pub(crate) fn key_set(jwks: &Value) -> KeySet {
    KeySet::parse(jwks.to_string().as_bytes()).unwrap()
}

pub(crate) fn kid(algorithm: Algorithm) -> String {
    algorithm.as_str().to_lowercase()
}

/// `value` with these members put in or replaced.
pub(crate) fn with(value: &Value, members: &[(&str, Value)]) -> Value {
    let mut out = value.as_object().unwrap().clone();
    for (name, value) in members {
        out.insert((*name).to_owned(), value.clone());
    }
    Value::Object(out)
}

pub(crate) fn without(value: &Value, member: &str) -> Value {
    let mut out: Map<String, Value> = value.as_object().unwrap().clone();
    out.remove(member);
    Value::Object(out)
}

pub(crate) fn header(algorithm: Algorithm) -> Value {
    json!({"alg": algorithm.as_str(), "kid": kid(algorithm), "typ": "JWT"})
}

pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "workload:1", "aud": AUDIENCE, "iat": NOW.secs() - 10, "nbf": NOW.secs() - 10,
        "exp": NOW.secs() + 290, "jti": "t1", "repository_id": "42",
    })
}

pub(crate) fn rsa_signature(pair: &RsaKeyPair, encoding: &'static dyn RsaEncoding, input: &[u8]) -> Vec<u8> {
    let mut out = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), input, &mut out).unwrap();
    out
}

/// The issuer's signature.
pub(crate) fn sign(algorithm: Algorithm, input: &[u8]) -> Vec<u8> {
    let random = SystemRandom::new();
    match algorithm {
        Algorithm::Rs256 => rsa_signature(&KEYS.rs256, &RSA_PKCS1_SHA256, input),
        Algorithm::Ps256 => rsa_signature(&KEYS.ps256, &RSA_PSS_SHA256, input),
        Algorithm::Es256 => KEYS.es256.sign(&random, input).unwrap().as_ref().to_vec(),
        Algorithm::Es384 => KEYS.es384.sign(&random, input).unwrap().as_ref().to_vec(),
        Algorithm::EdDsa => KEYS.eddsa.sign(input).as_ref().to_vec(),
    }
}

/// A token of these very texts, truly signed.
pub(crate) fn raw(algorithm: Algorithm, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    let input = format!("{}.{}", b64(header), b64(payload));
    let signature = sign(algorithm, input.as_bytes());
    format!("{input}.{}", b64(signature))
}

/// A truly signed token.
pub(crate) fn token(algorithm: Algorithm, header: &Value, claims: &Value) -> String {
    raw(algorithm, header.to_string(), claims.to_string())
}

/// The token that everything hostile is made from.
pub(crate) fn sound(algorithm: Algorithm) -> String {
    token(algorithm, &header(algorithm), &claims())
}

/// What the tests expect unless they say otherwise. All algorithms are allowed, so that none is refused for that.
pub(crate) struct Policy {
    pub(crate) issuer: String,
    pub(crate) audiences: Vec<String>,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) types: Vec<String>,
    pub(crate) max_age: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            issuer: ISSUER.to_owned(),
            audiences: vec![AUDIENCE.to_owned(), "https://carnet.example/second".to_owned()],
            algorithms: Algorithm::ALL.to_vec(),
            types: vec!["JWT".to_owned()],
            max_age: Duration::from_mins(15),
        }
    }
}

impl Policy {
    pub(crate) fn verify(&self, token: &str, keys: &KeySet) -> Result<VerifiedClaims, JwtError> {
        let expect = Expectation {
            issuer: &self.issuer,
            audiences: &self.audiences,
            algorithms: &self.algorithms,
            types: &self.types,
            max_life: Duration::from_hours(1),
            max_age: Some(self.max_age),
            skew: Duration::from_secs(30),
        };
        Presented::parse(token)?.verify(keys, &expect, NOW)
    }
}

static KEY_SET: LazyLock<KeySet> = LazyLock::new(|| key_set(&jwks()));

pub(crate) fn verify(token: &str) -> Result<VerifiedClaims, JwtError> {
    Policy::default().verify(token, &KEY_SET)
}
