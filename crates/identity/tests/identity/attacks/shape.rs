//! Tokens written in another way than the one way.

use carnet_identity::{Algorithm, JsonError, JwtError};
use serde_json::{Value, json};

use super::Attack;
use crate::forge::{b64, claims, header, raw, sign, sound, token, with};

const RS: Algorithm = Algorithm::Rs256;
const ES: Algorithm = Algorithm::Es256;

/// Readable to some, read differently by others.
pub(super) fn json() -> Vec<Attack> {
    let mut attacks = Vec::new();
    duplicates(&mut attacks);
    let payload = |text: &[u8]| raw(ES, header(ES).to_string(), text);
    let head = |text: &[u8]| raw(ES, text, claims().to_string());
    let sound_claims = claims().to_string();
    let inner = sound_claims.trim_start_matches('{').trim_end_matches('}');
    for (name, text, why) in [
        ("empty text", String::new(), None),
        ("a list", format!("[{sound_claims}]"), Some(JsonError::NotAnObject)),
        ("text", "\"claims\"".to_owned(), Some(JsonError::NotAnObject)),
        ("a number", "1".to_owned(), Some(JsonError::NotAnObject)),
        ("null", "null".to_owned(), Some(JsonError::NotAnObject)),
        ("true", "true".to_owned(), Some(JsonError::NotAnObject)),
        ("two objects", format!("{sound_claims}{sound_claims}"), Some(JsonError::Syntax)),
        ("something after it", format!("{sound_claims}x"), Some(JsonError::Syntax)),
        ("a NUL after it", format!("{sound_claims}\0"), Some(JsonError::Syntax)),
        ("a byte order mark", format!("\u{feff}{sound_claims}"), Some(JsonError::Syntax)),
        ("a comma too many", format!("{{{inner},}}"), Some(JsonError::Syntax)),
        ("a comment", format!("{{/**/{inner}}}"), Some(JsonError::Syntax)),
        ("a line comment", format!("{{//\n{inner}}}"), Some(JsonError::Syntax)),
        ("single quotes", sound_claims.replace('"', "'"), Some(JsonError::Syntax)),
        ("an unquoted name", format!("{{x:1,{inner}}}"), Some(JsonError::Syntax)),
        ("cut off", sound_claims.trim_end_matches('}').to_owned(), Some(JsonError::Syntax)),
        ("a lone surrogate", format!("{{\"x\":\"\\ud800\",{inner}}}"), Some(JsonError::Syntax)),
        ("a lone surrogate as name", format!("{{\"\\udc00\":1,{inner}}}"), Some(JsonError::Syntax)),
        ("a bad escape", format!("{{\"x\":\"\\x41\",{inner}}}"), Some(JsonError::Syntax)),
        ("a raw line break", format!("{{\"x\":\"\n\",{inner}}}"), Some(JsonError::Syntax)),
        ("NaN", format!("{{\"x\":NaN,{inner}}}"), Some(JsonError::Syntax)),
        ("Infinity", format!("{{\"x\":Infinity,{inner}}}"), Some(JsonError::Syntax)),
        ("a number out of range", format!("{{\"x\":1e400,{inner}}}"), Some(JsonError::Syntax)),
        ("hexadecimal", format!("{{\"x\":0x10,{inner}}}"), Some(JsonError::Syntax)),
        ("a leading zero", format!("{{\"x\":010,{inner}}}"), Some(JsonError::Syntax)),
        ("depth 9", format!("{{\"x\":{}{},{inner}}}", "[".repeat(8), "]".repeat(8)), Some(JsonError::Depth)),
        (
            "depth 100",
            format!("{{\"x\":{}{},{inner}}}", "[".repeat(99), "]".repeat(99)),
            Some(JsonError::Depth),
        ),
        ("depth 1000, never closed", "{\"x\":".repeat(1000), Some(JsonError::Depth)),
        ("201 members", many_members(201 - 8, inner), Some(JsonError::Members)),
        ("400 members", many_members(400, inner), Some(JsonError::Members)),
    ] {
        let payload_error = why.map_or(JwtError::Parts, JwtError::Payload);
        attacks.push(Attack::new(format!("payload: {name}"), payload(text.as_bytes()), payload_error));
        let header_error = why.map_or(JwtError::Parts, JwtError::Header);
        attacks.push(Attack::new(format!("header: {name}"), head(text.as_bytes()), header_error));
    }
    let latin = [&b"{\"x\":\"\xe9\","[..], inner.as_bytes(), b"}"].concat();
    let utf16: Vec<u8> = sound_claims.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let overlong = [&b"{\"x\":\"\xc0\xaf\","[..], inner.as_bytes(), b"}"].concat();
    for (name, bytes) in [("Latin-1", latin), ("UTF-16", utf16), ("overlong UTF-8", overlong)] {
        let case = format!("payload in {name}");
        attacks.push(Attack::new(case, payload(&bytes), JwtError::Payload(JsonError::Syntax)));
    }
    attacks
}

fn many_members(count: usize, inner: &str) -> String {
    let extra: Vec<_> = (0..count).map(|n| format!("\"x{n}\":1")).collect();
    format!("{{{},{inner}}}", extra.join(","))
}

/// A member given twice: the good value first or last, plain or escaped, at several depths.
fn duplicates(attacks: &mut Vec<Attack>) {
    let sound_claims = claims();
    for name in ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "repository_id"] {
        let inner = sound_claims.to_string();
        let inner = inner.trim_start_matches('{').trim_end_matches('}');
        let escaped: Vec<_> = name.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
        for (spelling, member) in [("plain", name.to_owned()), ("escaped", escaped.concat())] {
            for (order, text) in [
                ("evil first", format!("{{\"{member}\":\"evil\",{inner}}}")),
                ("evil last", format!("{{{inner},\"{member}\":\"evil\"}}")),
            ] {
                let case = format!("{name} twice, {spelling}, {order}");
                let token = raw(ES, header(ES).to_string(), text);
                attacks.push(Attack::new(case, token, JwtError::Payload(JsonError::Duplicate)));
            }
        }
    }
    for (depth, nested) in [
        (2, r#"{"uid":"a","uid":"b"}"#),
        (3, r#"{"serviceaccount":{"uid":"a","uid":"b"}}"#),
        (4, r#"{"a":[{"uid":"a","\u0075id":"b"}]}"#),
    ] {
        let inner = sound_claims.to_string();
        let text = format!("{{\"kubernetes.io\":{nested},{}", inner.trim_start_matches('{'));
        let token = raw(ES, header(ES).to_string(), text);
        let case = format!("a member twice at depth {depth}");
        attacks.push(Attack::new(case, token, JwtError::Payload(JsonError::Duplicate)));
    }
    for (name, text) in [
        ("alg twice, none first", r#"{"alg":"none","alg":"ES256","kid":"es256","typ":"JWT"}"#),
        ("alg twice, none last", r#"{"alg":"ES256","kid":"es256","typ":"JWT","alg":"none"}"#),
        ("alg twice, the same", r#"{"alg":"ES256","alg":"ES256","kid":"es256","typ":"JWT"}"#),
        ("alg twice, escaped", r#"{"alg":"ES256","\u0061lg":"none","kid":"es256","typ":"JWT"}"#),
        ("kid twice", r#"{"alg":"ES256","kid":"es256","kid":"rs256","typ":"JWT"}"#),
        ("typ twice", r#"{"alg":"ES256","kid":"es256","typ":"JWT","typ":"logout+jwt"}"#),
    ] {
        let token = raw(ES, text, sound_claims.to_string());
        attacks.push(Attack::new(name, token, JwtError::Header(JsonError::Duplicate)));
    }
}

/// Not three canonical parts.
pub(super) fn shape() -> Vec<Attack> {
    let mut attacks = Vec::new();
    let good = sound(RS);
    let parts: Vec<&str> = good.split('.').collect();
    let (head, payload, signature) = (parts[0], parts[1], parts[2]);
    let mut push = |name: &str, token: String, why| attacks.push(Attack::new(name, token, why));
    for (name, token) in [
        ("nothing", String::new()),
        ("a dot", ".".to_owned()),
        ("two dots", "..".to_owned()),
        ("three dots", "...".to_owned()),
        ("one part", head.to_owned()),
        ("two parts", format!("{head}.{payload}")),
        ("no signature", format!("{head}.{payload}.")),
        ("no header", format!(".{payload}.{signature}")),
        ("detached payload", format!("{head}..{signature}")),
        ("four parts", format!("{good}.{signature}")),
        ("five parts, as an encrypted token", format!("{head}.{payload}.{payload}.{payload}.{signature}")),
        ("a dot in front", format!(".{good}")),
        ("a dot behind", format!("{good}.")),
    ] {
        push(name, token, JwtError::Parts);
    }
    let flattened = json!({"payload": payload, "protected": head, "signature": signature});
    let general = json!({"payload": payload, "signatures": [{"protected": head, "signature": signature}]});
    push("flattened JSON serialisation", flattened.to_string(), JwtError::Parts);
    push("general JSON serialisation", general.to_string(), JwtError::Parts);
    push("opaque", "crn_0123456789".to_owned(), JwtError::Parts);
    for (name, token) in [
        ("a space in front", format!(" {good}")),
        ("a space behind", format!("{good} ")),
        ("a line break behind", format!("{good}\n")),
        ("a carriage return behind", format!("{good}\r\n")),
        ("a tab inside", format!("{head}.\t{payload}.{signature}")),
        ("a NUL behind", format!("{good}\0")),
        ("the scheme in front", format!("Bearer {good}")),
        ("quotes around it", format!("\"{good}\"")),
        ("percent-encoded", format!("%65{}", good.get(1..).unwrap_or_default())),
        ("a soft hyphen", format!("{head}.{payload}.\u{ad}{signature}")),
        ("full-width letters", format!("ｅ{}", good.get(1..).unwrap_or_default())),
    ] {
        push(name, token, JwtError::Encoding);
    }
    for (at, part) in ["header", "payload", "signature"].iter().enumerate() {
        for (name, change) in [
            ("=", &(|text: &str| format!("{text}=")) as &dyn Fn(&str) -> String),
            ("==", &|text| format!("{text}==")),
            ("a star", &|text| format!("{text}*")),
            ("a plus and a slash", &|text| format!("+/+/{text}")),
            ("a percent", &|text| format!("{text}%3D")),
            ("a lone character", &|text| format!("{}A", text.repeat(4))),
        ] {
            let mut parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
            parts[at] = change(&parts[at]);
            push(&format!("{name} in the {part}"), parts.join("."), JwtError::Encoding);
        }
    }
    for algorithm in [RS, ES, Algorithm::EdDsa, Algorithm::Ps256] {
        let token = sound(algorithm);
        let (front, last) = token.split_at(token.len() - 1);
        for other in respelled(last) {
            push(
                &format!("{algorithm} ending in {other:?} for {last:?}"),
                format!("{front}{other}"),
                JwtError::Encoding,
            );
        }
    }
    let nested = raw(RS, header(RS).to_string(), good.as_bytes());
    push("a token in the token", nested, JwtError::Payload(JsonError::Syntax));
    let quoted = raw(RS, header(RS).to_string(), Value::from(good.as_str()).to_string());
    push("a quoted token in the token", quoted, JwtError::Payload(JsonError::NotAnObject));
    for (name, length) in [("just over 8 KiB", 6_200), ("1 MiB", 1 << 20)] {
        let big = with(&claims(), &[("x", "x".repeat(length).into())]);
        push(name, token(RS, &header(RS), &big), JwtError::TooLong);
    }
    push("1 MiB of dots", ".".repeat(1 << 20), JwtError::TooLong);
    push("1 MiB of header", format!("{}.{payload}.{signature}", "A".repeat(1 << 20)), JwtError::TooLong);
    let unencoded =
        format!("{head}.{}.{}", claims(), b64(sign(RS, format!("{head}.{}", claims()).as_bytes())));
    push("a payload that is not encoded", unencoded, JwtError::Parts);
    attacks
}

/// All characters that stand for the same bytes as `last` at the end of a text of 2 modulo 4, and are not canonical.
fn respelled(last: &str) -> Vec<String> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let value = ALPHABET.find(last).unwrap();
    assert_eq!(value % 16, 0, "a canonical ending has four zero bits");
    (value + 1..value + 16).map(|n| ALPHABET[n..=n].to_owned()).collect()
}
