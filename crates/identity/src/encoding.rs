//! Base64url as JOSE wants it: no padding, no white space, and only the canonical spelling (RFC 7515 §2).
//!
//! A decoder that ignores the unused bits of the last character lets one signature be written in several ways.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The bytes that `text` is the one spelling of.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    // The engine refuses padding and set trailing bits; a test below holds it to that.
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The spelling of `bytes`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_decodes_has_no_second_spelling(text in "[A-Za-z0-9_=+/. -]{0,24}") {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }

    #[test]
    fn only_the_canonical_spelling_is_read() {
        assert_eq!(decode("AQAB"), Some(vec![1, 0, 1]));
        assert_eq!(decode(""), Some(vec![]));
        assert_eq!(decode("AA"), Some(vec![0]));
        for text in ["A", "AB", "AP", "AA=", "AA==", "AA\n", " AA", "A+", "A/", "AAB", "AAAAA", "A\u{0}", "Ä"]
        {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }
}
