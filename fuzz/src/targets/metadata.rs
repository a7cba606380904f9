//! What an authorization server says about itself.
//!
//! A document is taken only for the issuer under whose address it was found, and none of its endpoints leads to
//! somebody else's host, or to one that may not be called.

use carnet_egress::{Policy, Purpose, fuzzing as egress};
use carnet_providers::fuzzing;
use url::Url;

/// Pieces of metadata.
pub const WORDS: &[&str] = &[
    "\"issuer\":\"https://idp.example\"",
    "\"token_endpoint\":\"",
    "https://idp.example",
    "https://api.idp.example/",
    "https://idp.example.evil.example/",
    "https://idp.example@evil.example/",
    "https://evil.example/",
    "https://127.0.0.1/",
    "http://idp.example/",
    "\\u002f",
    "\"authorization_response_iss_parameter_supported\":true",
    "\"scopes_supported\":[",
    "null",
    "?state=1",
];

const ISSUER: &str = "https://idp.example";

/// Reads the input as the metadata of one issuer; whether it is taken.
pub fn run(data: &[u8]) -> bool {
    let check = |text: &str| {
        egress::judge(Policy::default(), text, Purpose::ProviderToken).map_err(|refused| refused.to_string())
    };
    let Some(endpoints) = fuzzing::metadata(ISSUER, data, check) else { return false };
    assert!(!endpoints.is_empty(), "a server without a token endpoint");
    for endpoint in endpoints {
        assert_eq!(endpoint.scheme(), "https", "{endpoint}");
        let host = endpoint.host_str().unwrap_or_default();
        assert!(host == "idp.example" || host.ends_with(".idp.example"), "{endpoint}");
        assert!(endpoint.username().is_empty() && endpoint.password().is_none(), "{endpoint}");
        assert_eq!(Url::parse(endpoint.as_str()).as_ref(), Ok(&endpoint));
    }
    true
}
