//! A connector's key in a test: it signs as the engine's would, and tells what it signed.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as BASE64};
use carnet_model::SecretString;
use carnet_providers::{CannotSign, Signer, SigningAlgorithm};
use serde_json::{Map, Value, json};

/// A private RSA key as a provider gives it, and what its public half says of a JWT.
pub(crate) struct Pem {
    pair: RsaKeyPair,
    pub text: String,
}

/// The one of all tests: making one takes a while.
pub(crate) static PEM: LazyLock<Pem> = LazyLock::new(|| {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let body = BASE64_STANDARD.encode(der.as_ref());
    let text = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    Pem { pair, text }
});

impl Pem {
    /// Header and claims of a JWT that this key signed with RS256.
    #[track_caller]
    pub(crate) fn read(&self, jwt: &str) -> (Value, Value) {
        self.read_by(&RSA_PKCS1_2048_8192_SHA256, jwt)
    }

    /// The same with PS256.
    #[track_caller]
    pub(crate) fn read_pss(&self, jwt: &str) -> (Value, Value) {
        self.read_by(&RSA_PSS_2048_8192_SHA256, jwt)
    }

    #[track_caller]
    fn read_by(&self, algorithm: &'static RsaParameters, jwt: &str) -> (Value, Value) {
        let (signed, signature) = jwt.rsplit_once('.').unwrap();
        UnparsedPublicKey::new(algorithm, self.pair.public_key().as_ref())
            .verify(signed.as_bytes(), &BASE64.decode(signature).unwrap())
            .expect("this key signed it");
        let (head, payload) = signed.split_once('.').unwrap();
        let part = |text: &str| serde_json::from_slice(&BASE64.decode(text).unwrap()).unwrap();
        (part(head), part(payload))
    }

    /// A certificate of this key, by itself: as text, and by what it is named in a JWT.
    pub(crate) fn certificate(&self) -> (String, String) {
        let key = rcgen::KeyPair::from_pem(&self.text).unwrap();
        let made = rcgen::CertificateParams::new(["broker.acme.example".to_owned()]).unwrap();
        let made = made.self_signed(&key).unwrap();
        (made.pem(), BASE64.encode(digest(&SHA256, made.der())))
    }

    /// The public half in DER.
    pub(crate) fn public_der(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = self.pair.public_key().as_der().unwrap();
        der.as_ref().to_vec()
    }
}

pub(crate) struct Key(EcdsaKeyPair);

impl Key {
    pub(crate) fn generate() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    /// The claims of a JWT that this key signed.
    #[track_caller]
    pub(crate) fn claims(&self, jwt: &str) -> Value {
        let (signed, signature) = jwt.rsplit_once('.').unwrap();
        let (head, payload) = signed.split_once('.').unwrap();
        let head: Value = serde_json::from_slice(&BASE64.decode(head).unwrap()).unwrap();
        assert_eq!(head, json!({"alg": "ES256", "kid": "key-1", "typ": "JWT"}));
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.0.public_key().as_ref())
            .verify(signed.as_bytes(), &BASE64.decode(signature).unwrap())
            .expect("the connector's own key signed it");
        serde_json::from_slice(&BASE64.decode(payload).unwrap()).unwrap()
    }
}

impl Signer for Key {
    fn kid(&self) -> &'static str {
        "key-1"
    }

    fn algorithm(&self) -> SigningAlgorithm {
        SigningAlgorithm::Es256
    }

    fn sign(&self, typ: &str, claims: &Map<String, Value>) -> Result<SecretString, CannotSign> {
        let head = json!({"alg": "ES256", "kid": "key-1", "typ": typ});
        let part = |value: String| BASE64.encode(value);
        let signed =
            format!("{}.{}", part(head.to_string()), part(Value::Object(claims.clone()).to_string()));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).map_err(|_| CannotSign)?;
        Ok(SecretString::new(format!("{signed}.{}", BASE64.encode(signature.as_ref()))))
    }
}
