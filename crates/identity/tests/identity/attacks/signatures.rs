//! Signatures that are not the issuer's over this very text.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RsaPssSaltLength, RsaSignatureEncoding,
};
use carnet_identity::{Algorithm, JwtError, SigningKey};

use super::Attack;
use crate::forge::{KEYS, b64, claims, header, rsa_signature, sign, sound, unb64, with};

static PSS_NO_SALT: RsaSignatureEncoding = RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(0));
static PSS_LONG_SALT: RsaSignatureEncoding =
    RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(64));

pub(super) fn all() -> Vec<Attack> {
    let mut attacks = Vec::new();
    for algorithm in Algorithm::ALL {
        of_any_algorithm(algorithm, &mut attacks);
    }
    psychic(&mut attacks);
    other_hashes_and_paddings(&mut attacks);
    attacks
}

fn input(algorithm: Algorithm) -> String {
    format!("{}.{}", b64(header(algorithm).to_string()), b64(claims().to_string()))
}

fn push(attacks: &mut Vec<Attack>, algorithm: Algorithm, name: &str, signature: &[u8]) {
    let token = format!("{}.{}", input(algorithm), b64(signature));
    attacks.push(Attack::new(format!("{algorithm}, signature {name}"), token, JwtError::Signature));
}

fn of_any_algorithm(algorithm: Algorithm, attacks: &mut Vec<Attack>) {
    let text = input(algorithm);
    let (head, payload) = text.split_once('.').unwrap();
    let good = sign(algorithm, text.as_bytes());
    let half = good.len() / 2;
    let mut first_flipped = good.clone();
    first_flipped[0] ^= 0x80;
    let mut last_flipped = good.clone();
    last_flipped[good.len() - 1] ^= 1;
    for (name, signature) in [
        ("of zeros", vec![0; good.len()]),
        ("of ones", vec![0xff; good.len()]),
        ("that is the number one", [vec![0; good.len() - 1], vec![1]].concat()),
        ("of one byte", vec![1]),
        ("cut by a byte", good[..good.len() - 1].to_vec()),
        ("cut in front", good[1..].to_vec()),
        ("cut in half", good[..half].to_vec()),
        ("with a zero behind", [&good[..], &[0]].concat()),
        ("with a zero in front", [&[0], &good[..]].concat()),
        ("twice", [&good[..], &good[..]].concat()),
        ("with halves exchanged", [&good[half..], &good[..half]].concat()),
        ("backwards", good.iter().rev().copied().collect()),
        ("with its first bit flipped", first_flipped),
        ("with its last bit flipped", last_flipped),
        ("over the payload alone", sign(algorithm, payload.as_bytes())),
        ("over the header alone", sign(algorithm, head.as_bytes())),
        ("over nothing", sign(algorithm, b"")),
        ("over the decoded text", sign(algorithm, claims().to_string().as_bytes())),
        ("over a space more", sign(algorithm, format!("{text} ").as_bytes())),
    ] {
        push(attacks, algorithm, name, &signature);
    }
    // Header or payload exchanged under a good signature.
    let signature = b64(&good);
    let evil = b64(with(&claims(), &[("repository_id", "1".into())]).to_string());
    attacks.push(Attack::new(
        format!("{algorithm}, other claims under the signature"),
        format!("{head}.{evil}.{signature}"),
        JwtError::Signature,
    ));
    let other_head = b64(with(&header(algorithm), &[("typ", "jwt".into())]).to_string());
    attacks.push(Attack::new(
        format!("{algorithm}, other header over the signature"),
        format!("{other_head}.{payload}.{signature}"),
        JwtError::Signature,
    ));
    let mut stranger = sound(algorithm);
    let of_other_claims = sign(algorithm, format!("{head}.{evil}").as_bytes());
    stranger.truncate(text.len() + 1);
    attacks.push(Attack::new(
        format!("{algorithm}, signature of another token"),
        format!("{stranger}{}", b64(of_other_claims)),
        JwtError::Signature,
    ));
}

/// ECDSA with r or s out of range: a verifier that forgets the range accepts r = s = 0 for anything (CVE-2022-21449).
fn psychic(attacks: &mut Vec<Attack>) {
    let orders = [
        (Algorithm::Es256, hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")),
        (
            Algorithm::Es384,
            hex(
                "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
            ),
        ),
    ];
    for (algorithm, order) in orders {
        let size = order.len();
        let one = [vec![0; size - 1], vec![1]].concat();
        let zero = vec![0; size];
        let good = sign(algorithm, input(algorithm).as_bytes());
        let (r, s) = good.split_at(size);
        for (name, first, second) in [
            ("r = s = 0", &zero[..], &zero[..]),
            ("r = 0", &zero, s),
            ("s = 0", r, &zero),
            ("r = s = 1", &one, &one),
            ("r = s = n", &order, &order),
            ("r = n", &order, s),
            ("s = n", r, &order),
            ("r = 0, s = 1", &zero, &one),
            ("r = 1, s = 0", &one, &zero),
            ("r = n, s = 0", &order, &zero),
        ] {
            push(attacks, algorithm, &format!("with {name}"), &[first, second].concat());
        }
    }
}

fn other_hashes_and_paddings(attacks: &mut Vec<Attack>) {
    let rs = input(Algorithm::Rs256);
    let ps = input(Algorithm::Ps256);
    let es = input(Algorithm::Es256);
    let random = SystemRandom::new();
    push(
        attacks,
        Algorithm::Rs256,
        "with SHA-384",
        &rsa_signature(&KEYS.rs256, &RSA_PKCS1_SHA384, rs.as_bytes()),
    );
    push(
        attacks,
        Algorithm::Rs256,
        "with SHA-512",
        &rsa_signature(&KEYS.rs256, &RSA_PKCS1_SHA512, rs.as_bytes()),
    );
    push(
        attacks,
        Algorithm::Ps256,
        "with SHA-384",
        &rsa_signature(&KEYS.ps256, &RSA_PSS_SHA384, ps.as_bytes()),
    );
    push(attacks, Algorithm::Ps256, "without salt", &rsa_signature(&KEYS.ps256, &PSS_NO_SALT, ps.as_bytes()));
    push(
        attacks,
        Algorithm::Ps256,
        "with long salt",
        &rsa_signature(&KEYS.ps256, &PSS_LONG_SALT, ps.as_bytes()),
    );
    let document = KEYS.es256.to_pkcs8v1().unwrap();
    let asn1 = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref()).unwrap();
    push(attacks, Algorithm::Es256, "in DER", asn1.sign(&random, es.as_bytes()).unwrap().as_ref());
    // The right algorithm and the right name, and somebody else's key.
    let stranger = SigningKey::generate(Algorithm::Rs256).unwrap();
    let stranger = RsaKeyPair::from_pkcs8(stranger.pkcs8().unwrap().expose()).unwrap();
    let forged = rsa_signature(&stranger, &aws_lc_rs::signature::RSA_PKCS1_SHA256, rs.as_bytes());
    push(attacks, Algorithm::Rs256, "by another key of the same name", &forged);
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let signed = stranger.sign("JWT", claims().as_object().unwrap()).unwrap();
    let (_, forged) = signed.rsplit_once('.').unwrap();
    push(attacks, Algorithm::Es256, "by another key of the same name", &unb64(forged));
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
