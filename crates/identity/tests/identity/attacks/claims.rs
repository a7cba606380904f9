//! Hostile claims, truly signed: a sound issuer does not write them, or wrote them for somebody else.

use carnet_identity::{Algorithm, JwtError};
use serde_json::{Value, json};

use super::Attack;
use crate::forge::{AUDIENCE, ISSUER, NOW, claims, header, raw, token, with, without};

const ES: Algorithm = Algorithm::Es256;

pub(super) fn all() -> Vec<Attack> {
    let mut attacks = Vec::new();
    names(&mut attacks);
    time_forms(&mut attacks);
    time_values(&mut attacks);
    attacks
}

fn signed(members: &[(&str, Value)]) -> String {
    token(ES, &header(ES), &with(&claims(), members))
}

fn names(attacks: &mut Vec<Attack>) {
    use JwtError::{Audience, AudienceForm, Issuer, IssuerForm, SubjectForm};
    let evil = "https://evil.example";
    let upper = ISSUER.to_uppercase();
    let mut push = |claim: &str, value: Value, why| {
        attacks.push(Attack::new(format!("{claim} is {value}"), signed(&[(claim, value)]), why));
    };
    for claim in ["iss", "sub", "aud"] {
        let why = if claim == "iss" {
            IssuerForm
        } else if claim == "sub" {
            SubjectForm
        } else {
            AudienceForm
        };
        for value in [
            json!(null),
            json!(1),
            json!(true),
            json!(""),
            json!({}),
            json!("a\nb"),
            json!("\u{0}"),
            json!("\u{7f}x"),
        ] {
            push(claim, value, why);
        }
    }
    for value in [json!([ISSUER]), json!([evil, ISSUER]), json!([ISSUER, evil]), json!({"iss": ISSUER})] {
        push("iss", value, IssuerForm);
    }
    for value in [
        evil.to_owned(),
        format!("{ISSUER}/"),
        format!(" {ISSUER}"),
        format!("{ISSUER} "),
        format!("{ISSUER}.evil.example"),
        format!("{ISSUER}@evil.example"),
        format!("{ISSUER}#"),
        format!("{ISSUER}:443"),
        upper,
        "http://issuer.example".to_owned(),
        "https://issuer.exampl\u{435}".to_owned(),
        "issuer.example".to_owned(),
        "*".to_owned(),
    ] {
        push("iss", value.into(), Issuer);
    }
    for value in [
        json!([]),
        json!([AUDIENCE, evil]),
        json!([evil, AUDIENCE]),
        json!([AUDIENCE, AUDIENCE]),
        json!([[AUDIENCE]]),
        json!([null]),
        json!([1]),
        json!([""]),
        json!({"aud": AUDIENCE}),
    ] {
        push("aud", value, AudienceForm);
    }
    for value in [
        json!(evil),
        json!([evil]),
        json!(format!("{AUDIENCE}/")),
        json!(format!("{AUDIENCE}2")),
        json!(format!(" {AUDIENCE}")),
        json!(AUDIENCE.to_uppercase()),
        json!("https://carnet.example"),
        json!("https://carnet.example/*"),
        json!("*"),
        json!(format!("{AUDIENCE} {evil}")),
        json!(format!("{AUDIENCE},{evil}")),
    ] {
        push("aud", value, Audience);
    }
    push("sub", json!(["workload:1"]), SubjectForm);
    for value in [json!(null), json!(1), json!(["t1"]), json!({})] {
        push("jti", value, JwtError::TokenIdForm);
    }
    for value in [json!("spiffe://example.org"), json!("spiffe://example.org/a")] {
        push("iss", value, JwtError::TrustDomain);
    }
    for (claim, why) in [
        ("iss", IssuerForm),
        ("sub", SubjectForm),
        ("aud", AudienceForm),
        ("exp", JwtError::ExpiryForm),
        ("iat", JwtError::IssuedForm),
    ] {
        let token = token(ES, &header(ES), &without(&claims(), claim));
        attacks.push(Attack::new(format!("no {claim}"), token, why));
    }
    let empty = token(ES, &header(ES), &json!({}));
    attacks.push(Attack::new("no claims", empty, IssuerForm));
}

/// Times that are not whole seconds since 1970, in the spelling that a lenient reader takes for some.
fn time_forms(attacks: &mut Vec<Attack>) {
    let now = NOW.secs();
    let spellings = [
        format!("\"{now}\""),
        format!("{now}.0"),
        format!("{now}.5"),
        "18e8".to_owned(),
        "1.8e9".to_owned(),
        "1e30".to_owned(),
        "1e308".to_owned(),
        "-1".to_owned(),
        format!("-{now}"),
        "-0".to_owned(),
        i64::MAX.to_string(),
        i64::MIN.to_string(),
        u64::MAX.to_string(),
        "9223372036854775808".to_owned(),
        "99999999999999999999999999".to_owned(),
        "253402300800".to_owned(),
        format!("{now}000"),
        "null".to_owned(),
        "true".to_owned(),
        "\"\"".to_owned(),
        "\"2027-01-15T08:00:00Z\"".to_owned(),
        format!("[{now}]"),
        format!("{{\"$date\":{now}}}"),
    ];
    for (claim, why) in
        [("exp", JwtError::ExpiryForm), ("iat", JwtError::IssuedForm), ("nbf", JwtError::NotBeforeForm)]
    {
        for spelling in &spellings {
            let rest = without(&claims(), claim).to_string();
            let text = format!("{{\"{claim}\":{spelling},{}", rest.trim_start_matches('{'));
            let token = raw(ES, header(ES).to_string(), text);
            attacks.push(Attack::new(format!("{claim} is written {spelling}"), token, why));
        }
    }
}

fn time_values(attacks: &mut Vec<Attack>) {
    let at = |offset: i64| json!(NOW.secs() + offset);
    let year = 365 * 24 * 3600;
    for (name, members, why) in [
        ("expired this moment, with tolerance", vec![("exp", at(-30)), ("iat", at(-40))], JwtError::Expired),
        ("expired a day ago", vec![("exp", at(-86_400)), ("iat", at(-86_410))], JwtError::Expired),
        ("expired in 1970", vec![("exp", json!(0))], JwtError::Expired),
        ("valid in 31 seconds", vec![("nbf", at(31))], JwtError::NotYet),
        ("valid in a year", vec![("nbf", at(year))], JwtError::NotYet),
        ("valid in year 9999", vec![("nbf", json!(253_402_300_799_i64))], JwtError::NotYet),
        ("issued in 31 seconds", vec![("iat", at(31)), ("exp", at(300))], JwtError::IssuedInFuture),
        ("issued in a year", vec![("iat", at(year)), ("exp", at(year + 10))], JwtError::IssuedInFuture),
        ("expires in year 9999", vec![("exp", json!(253_402_300_799_i64))], JwtError::Life),
        ("expires in a year", vec![("exp", at(year))], JwtError::Life),
        ("lives a second too long", vec![("iat", at(0)), ("exp", at(3601))], JwtError::Life),
        ("expires when issued", vec![("iat", at(5)), ("exp", at(5))], JwtError::Life),
        ("expires before issued", vec![("iat", at(20)), ("exp", at(10))], JwtError::Life),
        ("issued in 1970", vec![("iat", json!(0))], JwtError::Life),
        ("a second too old", vec![("iat", at(-931)), ("exp", at(300))], JwtError::TooOld),
        ("almost an hour old", vec![("iat", at(-3_500)), ("exp", at(60))], JwtError::TooOld),
    ] {
        attacks.push(Attack::new(name, signed(&members), why));
    }
}
