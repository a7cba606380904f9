//! Public keys of issuers.
//!
//! A set is read or refused as a whole, and always the same way. A token that one key signed verifies under no set in
//! which that key does not stand.

use carnet_identity::KeySet;

use super::jwt;

/// Pieces of key sets.
pub const WORDS: &[&str] = &[
    "{\"keys\":[",
    "\"kty\":\"OKP\"",
    "\"kty\":\"RSA\"",
    "\"kty\":\"oct\"",
    "\"kty\":\"EC\"",
    "\"crv\":\"P-256\"",
    "\"crv\":\"Ed25519\"",
    "\"use\":\"enc\"",
    "\"key_ops\":[\"sign\"]",
    "\"alg\":\"RS256\"",
    "\"e\":\"AQAB\"",
    "\"e\":\"AQ\"",
    "\"d\":\"AA\"",
    "\"kid\":\"k1\"",
    "},{",
    "null",
    "[[[[[[[[[[",
];

/// Reads the input as a key set; whether it has usable keys.
pub fn run(data: &[u8]) -> bool {
    let Ok(set) = KeySet::parse(data) else { return false };
    let again = KeySet::parse(data).expect("what was read once is read again");
    assert_eq!(set.is_empty(), again.is_empty());
    assert_eq!(set.has("k1"), again.has("k1"));
    if set.is_empty() {
        assert!(!set.has("k1"));
    }
    if jwt::verify(jwt::sound(), &set).is_some() {
        // Escapes in the text would hide the key from this look; a reader of JSON sees through them.
        let text = serde_json::from_slice::<serde_json::Value>(data).expect("JSON").to_string();
        assert!(text.contains(&jwt::public_key()), "verified by a key that does not stand there");
    }
    !set.is_empty()
}

/// The issuer's own set.
pub fn made() -> Vec<Vec<u8>> {
    vec![jwt::jwks().into_bytes()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuers_own_set_verifies() {
        let set = KeySet::parse(jwt::jwks().as_bytes()).unwrap();
        assert!(jwt::verify(jwt::sound(), &set).is_some());
    }
}
