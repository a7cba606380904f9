//! Keys used for what they are not.

use aws_lc_rs::{digest, hmac};
use carnet_identity::{Algorithm, JwtError};
use serde_json::{Value, json};

use super::Attack;
use crate::forge::{b64, claims, header, jwk, kid, sound, token, unb64, with};

/// Header of one algorithm, key and signature of another.
pub(super) fn confusion() -> Vec<Attack> {
    let mut attacks = Vec::new();
    for said in Algorithm::ALL {
        for used in Algorithm::ALL.into_iter().filter(|used| *used != said) {
            let theirs = with(&header(said), &[("kid", kid(used).into())]);
            let case = format!("{said} with key and signature of {used}");
            attacks.push(Attack::new(case, token(used, &theirs, &claims()), JwtError::UnknownKey));
            let case = format!("{said} with the right kid and a signature of {used}");
            attacks.push(Attack::new(case, token(used, &header(said), &claims()), JwtError::Signature));
        }
    }
    // One RSA key without `alg` is good for two algorithms; a signature is good for the one it was made for.
    for (said, used) in [(Algorithm::Ps256, Algorithm::Rs256), (Algorithm::Rs256, Algorithm::Ps256)] {
        let mut open = jwk(used);
        open.as_object_mut().unwrap().remove("alg");
        let head = with(&header(said), &[("kid", kid(used).into())]);
        let case = format!("{said} with the right key and padding of {used}");
        let attack = Attack::new(case, token(used, &head, &claims()), JwtError::Signature);
        attacks.push(attack.against(json!({"keys": [open]})));
    }
    attacks
}

/// The signature is right, the key must not be used.
pub(super) fn unsuitable() -> Vec<Attack> {
    let mut attacks = Vec::new();
    let mut push = |name: String, token: String, jwk: Value| {
        attacks.push(Attack::new(name, token, JwtError::UnknownKey).against(json!({"keys": [jwk]})));
    };
    for algorithm in Algorithm::ALL {
        let other = if algorithm == Algorithm::Rs256 { "PS256" } else { "RS256" };
        for (member, value) in [
            ("use", json!("enc")),
            ("use", json!("sign")),
            ("key_ops", json!(["sign"])),
            ("key_ops", json!(["encrypt", "wrapKey"])),
            ("key_ops", json!([])),
            ("alg", json!(other)),
            ("alg", json!("HS256")),
            ("alg", json!("none")),
            ("d", json!("AAAA")),
            ("kid", json!("another")),
            ("kid", json!(null)),
        ] {
            let name = format!("{algorithm} by a key with {member}: {value}");
            push(name, sound(algorithm), with(&jwk(algorithm), &[(member, value)]));
        }
    }
    push("RSA of 1024 bits".to_owned(), SMALL.1.to_owned(), weak(SMALL.0, "AQAB"));
    push("RSA with e = 3".to_owned(), CUBE.1.to_owned(), weak(CUBE.0, "Aw"));
    let (forged, modulus) = forged_for_exponent_one();
    push("RSA with e = 1".to_owned(), forged, weak(&modulus, "AQ"));
    push(
        "a shared secret in the key set".to_owned(),
        shared_secret(),
        json!({"kty": "oct", "k": b64("s"), "kid": "rs256"}),
    );
    push("P-384 point said to be P-256".to_owned(), sound(Algorithm::Es256), {
        with(&jwk(Algorithm::Es384), &[("crv", "P-256".into()), ("kid", "es256".into())])
    });
    push("P-256 point said to be P-384".to_owned(), sound(Algorithm::Es384), {
        with(&jwk(Algorithm::Es256), &[("crv", "P-384".into()), ("kid", "es384".into())])
    });
    push("P-256 point said to be of K-256".to_owned(), sound(Algorithm::Es256), {
        with(&jwk(Algorithm::Es256), &[("crv", "secp256k1".into())])
    });
    push("a point off the curve".to_owned(), sound(Algorithm::Es256), {
        with(&jwk(Algorithm::Es256), &[("y", b64([1; 32]).into())])
    });
    // With a public key of order one, S = 0 and R = identity verify any message.
    let identity = [&[1][..], &[0; 31]].concat();
    let head = header(Algorithm::EdDsa);
    let input = format!("{}.{}", b64(head.to_string()), b64(claims().to_string()));
    let nobody = format!("{input}.{}", b64([&identity[..], &[0; 32]].concat()));
    push(
        "Ed25519 of small order".to_owned(),
        nobody,
        with(&jwk(Algorithm::EdDsa), &[("x", b64(identity).into())]),
    );
    attacks.push(
        Attack::new("an empty key set", sound(Algorithm::Rs256), JwtError::UnknownKey)
            .against(json!({"keys": []})),
    );
    attacks
}

fn weak(n: &str, e: &str) -> Value {
    json!({"kty": "RSA", "n": n, "e": e, "kid": "weak"})
}

/// With exponent one the signature is the padded digest itself (RFC 8017 §9.2); anyone can write it.
fn forged_for_exponent_one() -> (String, String) {
    let modulus = jwk(Algorithm::Rs256)["n"].as_str().unwrap().to_owned();
    let head = with(&header(Algorithm::Rs256), &[("kid", "weak".into())]);
    let input = format!("{}.{}", b64(head.to_string()), b64(claims().to_string()));
    let info = unb64("MDEwDQYJYIZIAWUDBAIBBQAEIA");
    let hash = digest::digest(&digest::SHA256, input.as_bytes());
    let fill = vec![0xff; unb64(&modulus).len() - 3 - info.len() - 32];
    let padded = [&[0, 1][..], &fill, &[0], &info, hash.as_ref()].concat();
    (format!("{input}.{}", b64(padded)), modulus)
}

fn shared_secret() -> String {
    let head = header(Algorithm::Rs256);
    let input = format!("{}.{}", b64(head.to_string()), b64(claims().to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"s"), input.as_bytes());
    format!("{input}.{}", b64(tag.as_ref()))
}

/// Modulus and a token truly signed by an RSA key of 1024 bits.
const SMALL: (&str, &str) = (
    "1LYzD1zPrhFmAjUHdHykh0MLjosbzNYjm0upxChpKiN21VCyhYj85Oaaq3uf5ekYdyyIL49RX6kz0qCfSYyUAw1gniR3Syymj_lWdx7dQL3LVIlpWBeDzsdTtxRhO7cgrEwC8XUxPh1qYlNmPFm8Fb0bEr3QONInZgmEuSjjLl8",
    "eyJhbGciOiJSUzI1NiIsImtpZCI6IndlYWsiLCJ0eXAiOiJKV1QifQ.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoid29ya2xvYWQ6MSIsImF1ZCI6Imh0dHBzOi8vY2FybmV0LmV4YW1wbGUvYWNtZSIsImlhdCI6MTc5OTk5OTk5MCwiZXhwIjoxODAwMDAwMjkwfQ.aEz3jNZDjxITIfN7o0L3N55EQ_dWwuFthX0TpNzrucpIDdXY9H8nM50vbXaOuypUmoFjXLhobyUxcMmzubUSwmIM43rlp_ctIjo5ypQL0FrmJ-0pha1Br-PlCXaTmeLfA0rgPQuFfg2QjuF72Z6COU7ndm6-ZqfeBBeDpzsqQjM",
);

/// Modulus and a token truly signed by an RSA key of 2048 bits with e = 3.
const CUBE: (&str, &str) = (
    "pb4eVZ1kbxC0AbouhzwZo0Q47DCU56OrJVuX5hazGYo7g29sTBvr6HK0ApVUG2gwe5L7zwvfvRui9iW8xk5SVDD5Modte7jvt5CpUG2FHgTMwcMGWdz9tNhEn02-chy9rkUtUp6aezYNhV51TfXqopO7UVXlLJ6FTrHgTaMVs2U_1Jm9MM6X83pGtFs4MPG7UizdLa4UNzTpKLHaftfuXMQrpIao2PTUm7d2lNqd6wbm7FM1gJZoi1WNPGjGmOHC4SDLRNww3szhnuU3dpgTMAP4LWap8HaY_ISniQyVv2VNDsXE93x2zvjh3Fnx_zL9RNX2zYGiM7QlmGypyBeTcQ",
    "eyJhbGciOiJSUzI1NiIsImtpZCI6IndlYWsiLCJ0eXAiOiJKV1QifQ.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoid29ya2xvYWQ6MSIsImF1ZCI6Imh0dHBzOi8vY2FybmV0LmV4YW1wbGUvYWNtZSIsImlhdCI6MTc5OTk5OTk5MCwiZXhwIjoxODAwMDAwMjkwfQ.Bb24FN2Mewz3CFKKJ5CVyDSHyIYv_pz3cGVeJvxPkt3sCyYpo2Tj750Uj7CykbnXnIWuCaDpm6HX8lgziFJC3KpUNeBuAH4nrvVy5n84FHvJWA-I4BIfmSPdQ61JS9Y108BEx1_zQpyK9TdKZj37LVDLiYf946rTBAQDohzfkzc6P6Ts5aMRmRh_G--Xih7x-wwKyYvDf5d5sBspdW9yFL2cJNt8Ja2nxlOYqiVN4PA9ZNtMN1lchPkGrmbGzm9gDQpUWIfXc5QJqxScgkFBHvmcMl2j5dKjzYOZ9eb_qUmoKSVumlEwMy_RlLfFfxb4JiLVASW4kMItCERgoIMwvQ",
);
