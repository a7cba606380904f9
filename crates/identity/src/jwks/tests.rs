use serde_json::{Map, Value, json};

use super::*;
use crate::encoding;

const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const RSA: &str = r#"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#;
const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

fn set(keys: &[Value]) -> Result<KeySet, JwksError> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
}

fn jwk(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn with(text: &str, member: &str, value: impl Into<Value>) -> Value {
    let mut jwk: Map<String, Value> = serde_json::from_str(text).unwrap();
    jwk.insert(member.to_owned(), value.into());
    Value::Object(jwk)
}

#[test]
fn the_examples_of_the_rfcs_verify() {
    // RFC 7515 §A.2 and §A.3 sign the same payload.
    let payload =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    for (jwk_text, algorithm, signed, signature) in [
        (
            RSA,
            Algorithm::Rs256,
            format!("eyJhbGciOiJSUzI1NiJ9.{payload}"),
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        (
            P256,
            Algorithm::Es256,
            format!("eyJhbGciOiJFUzI1NiJ9.{payload}"),
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            // RFC 8037 §A.4
            ED25519,
            Algorithm::EdDsa,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".to_owned(),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ] {
        let keys = set(&[jwk(jwk_text)]).unwrap();
        let key = keys.find(None, algorithm).expect("the key is usable");
        let signature = encoding::decode(signature).unwrap();
        assert!(key.verifies(signed.as_bytes(), &signature), "{algorithm}");
        assert!(!key.verifies(format!("{signed}A").as_bytes(), &signature), "{algorithm}");
    }
}

#[test]
fn a_key_that_must_not_verify_is_skipped() {
    let short = |bytes: usize| encoding::encode(&[&vec![0xff; bytes - 1][..], &[0xfd]].concat());
    let even = encoding::encode(&[0xfe; 256]);
    let padded = encoding::encode(&[&[0][..], &[0xff; 256]].concat());
    let low = encoding::encode(&[&[0x7f][..], &[0xff; 255]].concat());
    for (why, jwk) in [
        ("for encryption", with(P256, "use", "enc")),
        ("use of the wrong type", with(P256, "use", 1)),
        ("use in other case", with(P256, "use", "SIG")),
        ("for signing only", with(P256, "key_ops", json!(["sign"]))),
        ("no operation", with(P256, "key_ops", json!([]))),
        ("operations of the wrong type", with(P256, "key_ops", "verify")),
        ("operations of mixed types", with(P256, "key_ops", json!(["verify", 1]))),
        ("for another algorithm", with(P256, "alg", "ES384")),
        ("for another algorithm", with(RSA, "alg", "RS512")),
        ("for another algorithm", with(RSA, "alg", "RSA-OAEP")),
        ("for another algorithm", with(RSA, "alg", "HS256")),
        ("alg of the wrong type", with(RSA, "alg", 1)),
        ("private", with(P256, "d", "AAAA")),
        ("private", with(RSA, "d", "AAAA")),
        ("private", with(RSA, "p", "AAAA")),
        ("shared", with(RSA, "k", "AAAA")),
        ("shared", json!({"kty": "oct", "k": "AAAA"})),
        ("odd kid", with(P256, "kid", "../../etc/passwd\0")),
        ("empty kid", with(P256, "kid", "")),
        ("long kid", with(P256, "kid", "k".repeat(129))),
        ("kid of the wrong type", with(P256, "kid", 1)),
        ("small RSA", with(RSA, "n", short(128))),
        ("almost large enough RSA", with(RSA, "n", low)),
        ("huge RSA", with(RSA, "n", short(1025))),
        ("even RSA", with(RSA, "n", even)),
        ("RSA with a leading zero", with(RSA, "n", padded)),
        ("empty RSA", with(RSA, "n", "")),
        ("e = 1", with(RSA, "e", "AQ")),
        ("e = 3", with(RSA, "e", "Aw")),
        ("e = 65537 with a leading zero", with(RSA, "e", "AAEAAQ")),
        ("e = 0", with(RSA, "e", "AA")),
        ("e padded", with(RSA, "e", "AQAB=")),
        ("RSA with a curve", with(RSA, "crv", "P-256")),
        ("not on the curve", with(P256, "y", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1")),
        ("not on the curve", with(P256, "y", encoding::encode(&[7; 32]))),
        (
            "infinity",
            with(&with(P256, "x", encoding::encode(&[0; 32])).to_string(), "y", encoding::encode(&[0; 32])),
        ),
        ("coordinate too short", with(P256, "x", encoding::encode(&[1; 31]))),
        ("coordinate too long", with(P256, "x", encoding::encode(&[0; 33]))),
        ("point of another curve", with(P256, "crv", "P-384")),
        ("a curve we do not use", with(P256, "crv", "secp256k1")),
        ("a curve we do not use", with(ED25519, "crv", "X25519")),
        ("a curve we do not use", with(ED25519, "crv", "Ed448")),
        ("a type we do not use", with(P256, "kty", "ec")),
        ("no type", json!({"crv": "P-256"})),
        ("short Ed25519", with(ED25519, "x", encoding::encode(&[9; 31]))),
    ] {
        let keys = set(std::slice::from_ref(&jwk)).unwrap();
        assert!(keys.is_empty(), "{why}: {jwk}");
    }
    for text in [RSA, P256, ED25519] {
        assert!(!set(&[jwk(text)]).unwrap().is_empty());
        let decorated = with(text, "use", "sig").to_string();
        let decorated = with(&decorated, "key_ops", json!(["verify"])).to_string();
        assert!(!set(&[with(&decorated, "x5c", json!(["AAAA"]))]).unwrap().is_empty());
    }
}

#[test]
fn a_key_of_small_order_is_skipped_in_every_encoding() {
    // The eight points of small order and the encodings beyond the prime that decode to some of them.
    let order_eight =
        ["JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU", "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o"];
    let order_eight = order_eight.map(|x| <[u8; 32]>::try_from(encoding::decode(x).unwrap()).unwrap());
    let mut points = vec![[0; 32], order_eight[0], order_eight[1]];
    for lowest in [1, 0xec_u8, 0xed, 0xee] {
        let mut point = if lowest == 1 { [0; 32] } else { [0xff; 32] };
        point[0] = lowest;
        point[31] &= 0x7f;
        points.push(point);
    }
    for mut point in points {
        for sign in [0, 0x80] {
            point[31] = point[31] & 0x7f | sign;
            let keys = set(&[with(ED25519, "x", encoding::encode(&point))]).unwrap();
            assert!(keys.is_empty(), "{point:02x?}");
        }
    }
}

#[test]
fn a_set_that_is_too_much_or_ambiguous_is_refused() {
    let named = |text: &str, kid: &str| with(text, "kid", kid);
    let other = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let err = |keys: &[Value]| set(keys).err();
    assert_eq!(err(&vec![json!({}); 101]), Some(JwksError::TooMany));
    assert_eq!(err(&vec![json!({}); 100]), None);
    assert_eq!(err(&[json!(1)]), Some(JwksError::Shape));
    assert_eq!(
        err(&[named(RSA, "k"), with(&named(RSA, "k").to_string(), "n", other)]),
        Some(JwksError::Ambiguous)
    );
    assert_eq!(err(&[jwk(RSA), with(RSA, "n", other)]), Some(JwksError::Ambiguous));
    assert_eq!(err(&[named(RSA, "k"), named(RSA, "k")]), None, "the same key twice is no ambiguity");
    assert_eq!(err(&[named(RSA, "k"), named(P256, "k")]), None, "RFC 7517 §4.5 allows one kid for two types");
    for (bytes, why) in [
        (b"{}".to_vec(), JwksError::Shape),
        (br#"{"keys":{}}"#.to_vec(), JwksError::Shape),
        (br#"{"keys":[],"keys":[]}"#.to_vec(), JwksError::Json(JsonError::Duplicate)),
        (br#"{"keys":[{"kty":"RSA","kty":"EC"}]}"#.to_vec(), JwksError::Json(JsonError::Duplicate)),
        (b"<html>".to_vec(), JwksError::Json(JsonError::Syntax)),
        (vec![b' '; 64 * 1024 + 1], JwksError::TooLong),
        ([&br#"{"keys":[{"a":"#[..], &[b'['; 100]].concat(), JwksError::Json(JsonError::Depth)),
    ] {
        assert_eq!(KeySet::parse(&bytes).err(), Some(why));
    }
}

#[test]
fn a_key_is_found_by_name_and_algorithm_only() {
    let keys = set(&[with(RSA, "kid", "r"), with(P256, "kid", "e"), jwk(ED25519)]).unwrap();
    let found = |kid, algorithm| keys.find(kid, algorithm).is_some();
    for (kid, algorithm, want) in [
        (Some("r"), Algorithm::Rs256, true),
        (Some("r"), Algorithm::Ps256, true),
        (Some("r"), Algorithm::Es256, false),
        (Some("e"), Algorithm::Es256, true),
        (Some("e"), Algorithm::Rs256, false),
        (Some("x"), Algorithm::Rs256, false),
        (Some("x"), Algorithm::EdDsa, false),
        (None, Algorithm::Rs256, true),
        (None, Algorithm::EdDsa, true),
        (None, Algorithm::Es384, false),
    ] {
        assert_eq!(found(kid, algorithm), want, "{kid:?} {algorithm}");
    }
    assert!(keys.has("r") && keys.has("e") && !keys.has("x"));
    let two = set(&[with(P256, "kid", "a"), with(P256, "kid", "b")]).unwrap();
    assert!(two.find(None, Algorithm::Es256).is_none(), "without a name there must be no choice");
}

#[test]
fn the_fingerprint_is_of_the_usable_keys_alone() {
    let a = set(&[with(RSA, "kid", "r"), with(P256, "kid", "e")]).unwrap();
    let reordered = set(&[with(P256, "kid", "e"), json!({"kty": "oct"}), with(RSA, "kid", "r")]).unwrap();
    let fewer = set(&[with(RSA, "kid", "r")]).unwrap();
    let renamed = set(&[with(RSA, "kid", "r2"), with(P256, "kid", "e")]).unwrap();
    assert_eq!(a.fingerprint(), reordered.fingerprint());
    assert_ne!(a.fingerprint(), fewer.fingerprint());
    assert_ne!(a.fingerprint(), renamed.fingerprint());
}
