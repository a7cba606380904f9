//! Hostile headers.

use aws_lc_rs::hmac;
use carnet_identity::{Algorithm, JwtError, SigningKey};
use serde_json::{Value, json};

use super::Attack;
use crate::forge::{b64, claims, header, jwk, raw, sign, token, unb64, with, without};

/// Algorithms that we do not accept, each with several things in the place of the signature.
pub(super) fn algorithms() -> Vec<Attack> {
    let mut attacks = Vec::new();
    for name in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "none ",
        " none",
        "none\u{0}",
        "",
        "HS256",
        "HS384",
        "HS512",
        "hs256",
        "RS384",
        "RS512",
        "PS384",
        "PS512",
        "ES512",
        "ES256K",
        "rs256",
        "Rs256",
        "RS256 ",
        "RS256\n",
        "es256",
        "EDDSA",
        "eddsa",
        "Ed448",
        "RS1",
        "RSA",
        "dir",
        "RSA1_5",
        "RSA-OAEP",
        "A128KW",
        "ECDH-ES",
        "SHA256",
        "null",
        "RS256,none",
        "*",
    ] {
        let head = with(&header(Algorithm::Rs256), &[("alg", name.into())]);
        let input = format!("{}.{}", b64(head.to_string()), b64(claims().to_string()));
        let public = jwk(Algorithm::Rs256);
        let modulus = unb64(public["n"].as_str().unwrap());
        for (what, signature) in [
            ("the issuer's signature", sign(Algorithm::Rs256, input.as_bytes())),
            ("an HMAC with the modulus as secret", mac(&modulus, &input)),
            ("an HMAC with the JWK as secret", mac(public.to_string().as_bytes(), &input)),
            ("a zero", vec![0]),
        ] {
            let name = format!("alg {name:?} with {what}");
            attacks.push(Attack::new(name, format!("{input}.{}", b64(signature)), JwtError::Algorithm));
        }
        attacks.push(Attack::new(
            format!("alg {name:?} without signature"),
            format!("{input}."),
            JwtError::Parts,
        ));
    }
    for value in [json!(null), json!(0), json!(true), json!(["RS256"]), json!({"RS256": 1})] {
        let head = with(&header(Algorithm::Rs256), &[("alg", value.clone())]);
        let token = token(Algorithm::Rs256, &head, &claims());
        attacks.push(Attack::new(format!("alg is {value}"), token, JwtError::HeaderType));
    }
    let head = without(&header(Algorithm::Rs256), "alg");
    attacks.push(Attack::new("no alg", token(Algorithm::Rs256, &head, &claims()), JwtError::Algorithm));
    attacks
}

fn mac(secret: &[u8], input: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input.as_bytes()).as_ref().to_vec()
}

/// Members that bring keys, addresses, certificates, extensions or compression along, or look as if.
pub(super) fn members() -> Vec<Attack> {
    let own = SigningKey::generate(Algorithm::Es256).unwrap();
    let members: Vec<(&str, Value)> = vec![
        ("crit", json!([])),
        ("crit", json!(["exp"])),
        ("crit", json!(["b64"])),
        ("crit", json!(["http://example.invalid/UNDEFINED"])),
        ("crit", json!(null)),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("zip", json!("")),
        ("jku", json!("https://attacker.example/jwks")),
        ("jku", json!("http://127.0.0.1:1/jwks")),
        ("jku", json!("file:///etc/passwd")),
        ("jwk", own.public_jwk()),
        ("jwk", jwk(Algorithm::Rs256)),
        ("jwk", json!({})),
        ("x5u", json!("https://attacker.example/cert")),
        ("x5c", json!(["MIIB"])),
        ("x5c", json!([])),
        ("cty", json!("JWT")),
        ("cty", json!("application/json")),
        ("enc", json!("A128GCM")),
        ("epk", json!({})),
        ("apu", json!("AA")),
        ("p2c", json!(2_147_483_647)),
        ("p2s", json!("AA")),
        ("iv", json!("AA")),
        ("tag", json!("AA")),
        ("nonce", json!("AA")),
        ("url", json!("https://attacker.example")),
        ("ppt", json!("shaken")),
        ("svt", json!("AA")),
        ("iss", json!("https://issuer.example")),
        ("aud", json!("x")),
        ("ALG", json!("none")),
        ("Alg", json!("none")),
        ("alg ", json!("none")),
        ("alg\u{0}", json!("none")),
        ("KID", json!("x")),
        ("x5t#s256", json!("AA")),
        ("x5t#S512", json!("AA")),
        ("__proto__", json!({"alg": "none"})),
        ("constructor", json!({})),
        ("", json!("")),
    ];
    let mut attacks = Vec::new();
    for algorithm in [Algorithm::Rs256, Algorithm::Es256] {
        for (name, value) in &members {
            let head = with(&header(algorithm), &[(name, value.clone())]);
            let case = format!("{algorithm} with {name:?}: {value}");
            attacks.push(Attack::new(case, token(algorithm, &head, &claims()), JwtError::HeaderMember));
        }
    }
    // The token signs itself: key and signature agree, only nobody trusts the key.
    for place in ["jwk", "jku"] {
        let head = json!({"alg": "ES256", "kid": own.kid(), "typ": "JWT", place: own.public_jwk()});
        let signed = own.sign("JWT", claims().as_object().unwrap()).unwrap();
        let (_, rest) = signed.split_once('.').unwrap();
        let case = format!("a key of the attacker's own in {place}");
        attacks.push(Attack::new(case, format!("{}.{rest}", b64(head.to_string())), JwtError::HeaderMember));
    }
    let unknown = own.sign("JWT", claims().as_object().unwrap()).unwrap();
    attacks.push(Attack::new("signed with the attacker's own key", unknown, JwtError::UnknownKey));
    attacks
}

/// Names that would do harm if a key name were a path, a query or a command.
pub(super) fn kids() -> Vec<Attack> {
    let mut attacks = Vec::new();
    let long = "k".repeat(129);
    let longer = "k".repeat(4096);
    for (kid, why) in [
        ("../../../../dev/null", JwtError::UnknownKey),
        ("/dev/null", JwtError::UnknownKey),
        ("..", JwtError::UnknownKey),
        ("/", JwtError::UnknownKey),
        ("file:///proc/self/environ", JwtError::UnknownKey),
        ("https://attacker.example/key", JwtError::UnknownKey),
        ("RS256", JwtError::UnknownKey),
        ("rs25", JwtError::UnknownKey),
        ("rs2566", JwtError::UnknownKey),
        ("0", JwtError::UnknownKey),
        ("null", JwtError::UnknownKey),
        ("-", JwtError::UnknownKey),
        ("..\\..\\windows", JwtError::Kid),
        ("", JwtError::Kid),
        (" ", JwtError::Kid),
        ("rs256 ", JwtError::Kid),
        (" rs256", JwtError::Kid),
        ("rs256\u{0}", JwtError::Kid),
        ("rs256\u{0}.pem", JwtError::Kid),
        ("rs256\n", JwtError::Kid),
        ("rs256\r\nX-Injected: 1", JwtError::Kid),
        ("' OR '1'='1", JwtError::Kid),
        ("x' UNION SELECT 'key", JwtError::Kid),
        ("1;DROP TABLE keys", JwtError::Kid),
        ("$(id)", JwtError::Kid),
        ("`id`", JwtError::Kid),
        ("|id", JwtError::Kid),
        ("%2e%2e%2f", JwtError::Kid),
        ("{{7*7}}", JwtError::Kid),
        ("${jndi:ldap://x}", JwtError::Kid),
        ("*", JwtError::Kid),
        ("rs256?", JwtError::Kid),
        ("rs256#", JwtError::Kid),
        ("<script>", JwtError::Kid),
        ("rs２56", JwtError::Kid),
        ("\u{202e}652sr", JwtError::Kid),
        (&long, JwtError::Kid),
        (&longer, JwtError::Kid),
    ] {
        let head = with(&header(Algorithm::Rs256), &[("kid", kid.into())]);
        attacks.push(Attack::new(format!("kid {kid:?}"), token(Algorithm::Rs256, &head, &claims()), why));
    }
    for value in [json!(null), json!(0), json!(["rs256"]), json!({"$ne": ""}), json!(true)] {
        let head = with(&header(Algorithm::Rs256), &[("kid", value.clone())]);
        let case = format!("kid is {value}");
        attacks.push(Attack::new(case, token(Algorithm::Rs256, &head, &claims()), JwtError::HeaderType));
    }
    let two = json!({"keys": [jwk(Algorithm::Es256), with(&SigningKey::generate(Algorithm::Es256).unwrap().public_jwk(), &[])]});
    let head = without(&header(Algorithm::Es256), "kid");
    let nameless = token(Algorithm::Es256, &head, &claims());
    attacks.push(
        Attack::new("no kid, and two keys to choose from", nameless, JwtError::UnknownKey).against(two),
    );
    attacks
}

/// Types that an issuer gives to tokens of other meaning.
pub(super) fn types() -> Vec<Attack> {
    let mut attacks = Vec::new();
    for typ in [
        "logout+jwt",
        "at+jwt",
        "application/at+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "JOSE",
        "JOSE+JSON",
        "JWS",
        "JWE",
        "jwt+x",
        "xJWT",
        "JWT ",
        " JWT",
        "",
        "application/",
        "application/json",
        "text/JWT",
        "application/application/jwt",
        "*",
        "JWT\u{0}",
    ] {
        let head = with(&header(Algorithm::Es256), &[("typ", typ.into())]);
        attacks.push(Attack::new(
            format!("typ {typ:?}"),
            token(Algorithm::Es256, &head, &claims()),
            JwtError::Type,
        ));
    }
    for value in [json!(null), json!(1), json!(["JWT"])] {
        let head = with(&header(Algorithm::Es256), &[("typ", value.clone())]);
        let case = format!("typ is {value}");
        attacks.push(Attack::new(case, token(Algorithm::Es256, &head, &claims()), JwtError::HeaderType));
    }
    let head = without(&header(Algorithm::Es256), "typ").to_string();
    attacks.push(Attack::new("no typ", raw(Algorithm::Es256, head, claims().to_string()), JwtError::Type));
    attacks
}
