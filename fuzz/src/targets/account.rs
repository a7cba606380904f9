//! The name of a Snowflake account, which becomes a host.
//!
//! Whatever is taken leads to a host of Snowflake's, and to the one that stands in the text.

use ::url::Url;
use carnet_providers::fuzzing;

/// Pieces of names.
pub const WORDS: &[&str] = &[
    "acme-prod",
    "ab12345",
    ".eu-central-1",
    ".cn-north-1",
    ".aws",
    ".azure",
    ".privatelink",
    "_",
    "-",
    ".",
    "@",
    ":",
    "/",
    "#",
    "?",
    "%2e",
    "https://",
    ".snowflakecomputing.com",
    "evil.example",
    "\u{ad}",
    "\u{3002}",
];

/// Reads the input as a name; whether it is taken.
pub fn run(data: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(data) else { return false };
    let Some(origin) = fuzzing::snowflake_origin(text) else { return false };
    let url = Url::parse(&origin).expect("an origin is a URL");
    let host = url.host_str().unwrap_or_default();
    assert_eq!(origin, format!("https://{host}"), "{text}");
    let name =
        host.strip_suffix(".snowflakecomputing.com").or_else(|| host.strip_suffix(".snowflakecomputing.cn"));
    assert_eq!(name, Some(text.to_ascii_lowercase().replace('_', "-").as_str()), "{text}");
    true
}
