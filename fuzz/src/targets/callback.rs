//! What a browser brings back from a provider.
//!
//! A code is taken only if it is the one code of the query, there is no error, and the issuer is the right one wherever
//! it is known and named, or promised to be named.

use carnet_providers::fuzzing;
use url::form_urlencoded;

/// Pieces of queries.
pub const WORDS: &[&str] = &[
    "code=c",
    "&code=",
    "&iss=https://idp.example",
    "&iss=https%3A%2F%2Fidp.example",
    "&iss=https://evil.example",
    "&error=access_denied",
    "&error=",
    "&state=s",
    "&error_description=x",
    "%00",
    "%0d%0a",
    "+",
    ";",
    "&&",
    "=",
];

const ISSUER: &str = "https://idp.example";

/// Reads the input as the query of a callback, for servers whose issuer is unknown, known, and always named; whether its code is
/// taken by any.
pub fn run(data: &[u8]) -> bool {
    let mut taken = false;
    let params: Vec<(String, String)> = form_urlencoded::parse(data).into_owned().collect();
    let values = |name: &str| {
        let found = params.iter().filter(|(found, value)| found == name && !value.is_empty());
        found.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    };
    for (issuer, names_itself) in [(None, false), (Some(ISSUER), false), (Some(ISSUER), true)] {
        let Some(code) = fuzzing::callback(&params, issuer, names_itself) else { continue };
        assert_eq!(values("code"), [code.as_str()], "one code, and this");
        assert!(code.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{code:?}");
        assert!(values("error").is_empty(), "an error and a code");
        match (issuer, &values("iss")[..]) {
            (None, _) => {}
            (Some(_), []) => assert!(!names_itself, "the issuer promised to name itself"),
            (Some(issuer), named) => assert_eq!(named, [issuer]),
        }
        taken = true;
    }
    taken
}
