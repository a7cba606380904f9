//! One public key of a set, bound to the one algorithm it verifies with.

use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RsaParameters,
    RsaPublicKeyComponents,
};
use serde_json::{Map, Value};

use super::is_kid;
use crate::algorithm::Algorithm;
use crate::encoding;

/// A key and the algorithm that it may verify with. A key fit for two algorithms appears as two of these.
pub(crate) struct PublicKey {
    pub(super) kid: Option<String>,
    pub(super) algorithm: Algorithm,
    key: ParsedPublicKey,
}

impl PublicKey {
    /// Every use that we have for a JWK; none, if there is anything about it that we do not accept.
    pub(super) fn read(jwk: &Map<String, Value>) -> Vec<Self> {
        let kid = match jwk.get("kid") {
            None => None,
            Some(Value::String(kid)) if is_kid(kid) => Some(kid.clone()),
            Some(_) => return Vec::new(),
        };
        if !is_for_verifying(jwk) || PRIVATE_MEMBERS.iter().any(|name| jwk.contains_key(*name)) {
            return Vec::new();
        }
        candidates(jwk)
            .iter()
            .filter(|algorithm| jwk.get("alg").is_none_or(|name| is_named(**algorithm, name)))
            .filter_map(|algorithm| {
                let key = prepare(jwk, *algorithm)?;
                Some(Self { kid: kid.clone(), algorithm: *algorithm, key })
            })
            .collect()
    }

    /// Whether `signature` is this key's over `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }

    /// The key itself, to tell keys apart.
    pub(super) fn material(&self) -> &[u8] {
        self.key.as_ref()
    }
}

/// Members that only a private or shared key has (RFC 7518 §6). A "public" key with one of them is known to others
/// than its owner.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

fn is_for_verifying(jwk: &Map<String, Value>) -> bool {
    // SPIFFE Trust Domain and Bundle §4.2.2: the keys for JWTs have a use of their own, those for X.509 another.
    let by_use = jwk.get("use").is_none_or(|usage| usage == "sig" || usage == "jwt-svid");
    let by_operations = jwk.get("key_ops").is_none_or(|operations| {
        operations.as_array().is_some_and(|names| {
            names.iter().all(Value::is_string) && names.iter().any(|name| name == "verify")
        })
    });
    by_use && by_operations
}

fn is_named(algorithm: Algorithm, name: &Value) -> bool {
    name.as_str().is_some_and(|name| Algorithm::parse(name) == Ok(algorithm))
}

fn candidates(jwk: &Map<String, Value>) -> &'static [Algorithm] {
    let member = |name: &str| jwk.get(name).and_then(Value::as_str);
    match (member("kty"), member("crv")) {
        (Some("RSA"), None) => &[Algorithm::Rs256, Algorithm::Ps256],
        (Some("EC"), Some("P-256")) => &[Algorithm::Es256],
        (Some("EC"), Some("P-384")) => &[Algorithm::Es384],
        (Some("OKP"), Some("Ed25519")) => &[Algorithm::EdDsa],
        _ => &[],
    }
}

fn prepare(jwk: &Map<String, Value>, algorithm: Algorithm) -> Option<ParsedPublicKey> {
    let bytes = |name: &str| jwk.get(name).and_then(Value::as_str).and_then(encoding::decode);
    match algorithm {
        Algorithm::Rs256 => rsa(&bytes("n")?, &bytes("e")?, &signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Ps256 => rsa(&bytes("n")?, &bytes("e")?, &signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Es256 => {
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point::<32>(&bytes("x")?, &bytes("y")?)?).ok()
        }
        Algorithm::Es384 => {
            ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point::<48>(&bytes("x")?, &bytes("y")?)?).ok()
        }
        Algorithm::EdDsa => {
            let point = <[u8; 32]>::try_from(bytes("x")?).ok()?;
            if has_small_order(point) { None } else { ParsedPublicKey::new(&ED25519, point).ok() }
        }
    }
}

/// 2048 to 8192 bits, odd, and the one exponent that everybody uses: with `e` = 1 anyone can sign, and 3 is a trap
/// for careless padding checks.
fn rsa(n: &[u8], e: &[u8], parameters: &'static RsaParameters) -> Option<ParsedPublicKey> {
    let first = n.first().filter(|first| **first != 0)?;
    let bits = n.len() * 8 - usize::try_from(first.leading_zeros()).ok()?;
    let odd = n.last().is_some_and(|last| last & 1 == 1);
    if e != [1, 0, 1] || !odd || !(2048..=8192).contains(&bits) {
        return None;
    }
    RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters).ok()
}

/// The uncompressed form of a point (SEC 1 §2.3.3). That it lies on the curve is checked when it is parsed.
fn point<const SIZE: usize>(x: &[u8], y: &[u8]) -> Option<Vec<u8>> {
    (x.len() == SIZE && y.len() == SIZE).then(|| [&[4], x, y].concat())
}

/// A key of small order verifies signatures that nobody made. These are all the encodings of the eight such points,
/// without the sign bit (Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs", ePrint 2020/1244).
fn has_small_order(mut point: [u8; 32]) -> bool {
    if let Some(last) = point.last_mut() {
        *last &= 0x7f;
    }
    SMALL_ORDER.contains(&point)
}

const SMALL_ORDER: [[u8; 32]; 7] = [
    low(0),
    low(1),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    high(0xec),
    high(0xed),
    high(0xee),
];

/// The number `n`, little-endian.
const fn low(n: u8) -> [u8; 32] {
    let [_, rest @ ..] = [0; 32];
    prepend(n, rest)
}

/// A number next to the field's prime 2^255 − 19, little-endian, by its lowest byte.
const fn high(n: u8) -> [u8; 32] {
    let [_, mut rest @ ..] = [0xff; 32];
    let [.., last] = &mut rest;
    *last = 0x7f;
    prepend(n, rest)
}

const fn prepend(first: u8, rest: [u8; 31]) -> [u8; 32] {
    let mut out = [0; 32];
    let [head, tail @ ..] = &mut out;
    *head = first;
    *tail = rest;
    out
}
