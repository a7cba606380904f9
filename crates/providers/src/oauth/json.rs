//! JSON objects of strangers: no name twice at the top, nothing nested deeper than sixteen levels.

use std::fmt;

use serde::Deserialize;
use serde::de::{Error, MapAccess, Visitor};
use serde_json::{Map, Value};

/// Why there is no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoObject {
    /// Nested deeper than is read.
    Deep,
    /// A name stands in it twice.
    Twice,
    /// Another value than an object.
    Other,
    /// No JSON.
    Syntax,
}

/// The object in `bytes`; `None` if there is anything else. A byte order mark before it is passed over (RFC 8259 §8.1).
pub(crate) fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    object_or(bytes).ok()
}

/// The same, or what is there in its place.
pub(crate) fn object_or(bytes: &[u8]) -> Result<Map<String, Value>, NoObject> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // A page for people may have as many brackets as it likes.
    let begins = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if !is_shallow(bytes) {
        return Err(if begins == Some(&b'{') { NoObject::Deep } else { NoObject::Syntax });
    }
    match serde_json::from_slice(bytes) {
        Ok(Distinct(members)) => Ok(members),
        Err(error) if !error.is_data() => Err(NoObject::Syntax),
        Err(error) if error.to_string().starts_with(TWICE) => Err(NoObject::Twice),
        Err(_) => Err(NoObject::Other),
    }
}

const TWICE: &str = "a name appears twice";

const DEPTH: usize = 16;

/// Brackets are counted wherever they stand outside of texts; whether they match is for the parser to say.
fn is_shallow(bytes: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH {
            return false;
        }
    }
    true
}

/// An object whose names are distinct. Of two members of one name, readers take different ones.
struct Distinct(Map<String, Value>);

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DistinctVisitor)
    }
}

struct DistinctVisitor;

impl<'de> Visitor<'de> for DistinctVisitor {
    type Value = Distinct;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Distinct, A::Error> {
        let mut members = Map::new();
        while let Some((name, value)) = access.next_entry::<String, Value>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom(TWICE));
            }
        }
        Ok(Distinct(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_and_nothing_else() {
        assert_eq!(object(br#" {"a": "]}[{", "b": {"c": [1]}} "#).map(|o| o.len()), Some(2));
        for text in ["", "[]", "1", "null", "{", r#"{"a":1,"a":2}"#, r#"{"a":1} x"#, "{\"a\":\"\u{1}\"}"] {
            assert!(object(text.as_bytes()).is_none(), "{text}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_none());
        assert!(object(b"\xef\xbb\xbf{\"a\":1}").is_some());
        assert!(object(b"\xef\xbb{\"a\":1}").is_none());
    }

    #[test]
    fn what_is_there_in_place_of_an_object_is_told() {
        let deep = format!("{{\"a\":{}", "[".repeat(17));
        for (text, want) in [
            (r#"{"a":1,"a":2}"#, NoObject::Twice),
            (deep.as_str(), NoObject::Deep),
            ("[]", NoObject::Other),
            ("1", NoObject::Other),
            ("<html>", NoObject::Syntax),
            ("<script>{{{{{{{{{{{{{{{{{{{{", NoObject::Syntax),
            ("", NoObject::Syntax),
            (r#"{"a":1"#, NoObject::Syntax),
            (r#"{"a":1} x"#, NoObject::Syntax),
        ] {
            assert_eq!(object_or(text.as_bytes()).err(), Some(want), "{text}");
        }
    }

    #[test]
    fn sixteen_levels_are_read_and_seventeen_are_not() {
        let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(object(nested(16).as_bytes()).is_some());
        assert!(object(nested(17).as_bytes()).is_none());
        assert!(object("[".repeat(200_000).as_bytes()).is_none());
    }
}
