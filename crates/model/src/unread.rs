//! What serde says of a value that does not fit, without the value: serde quotes what it found, which may be a secret
//! that was put in the wrong place. What it expected is ours, and is what helps.

use std::fmt::Display;

/// In one clause, to stand after the name of the thing: `expected a list`, ``the field `sub` is missing``.
///
/// ```
/// let error = serde_json::from_str::<Vec<String>>("\"hunter2\"").unwrap_err();
/// assert_eq!(carnet_model::unread::why(&error), "expected a list");
/// ```
#[must_use]
pub fn why(error: &impl Display) -> String {
    let text = error.to_string();
    let text = without_place(&text);
    if let Some(field) = text.strip_prefix("missing field ") {
        return format!("the field {field} is missing");
    }
    if let Some(field) = text.strip_prefix("duplicate field ") {
        return format!("the field {field} is there twice");
    }
    let unknown = text.starts_with("unknown field ");
    // The last one: what was found stands before it, and could hold these words itself.
    match text.rsplit_once(", expected ") {
        Some((_, fields)) if unknown => format!("no such field; expected {fields}"),
        _ if unknown => "no such field".to_owned(),
        Some((_, expected)) => format!("expected {}", in_plain_words(expected)),
        // What serde_json says of a word of a list that is no text.
        None if text == "expected value" => "expected a text".to_owned(),
        // What a form or a query says of its texts.
        None if text.ends_with("invalid digit found in string") => "expected a whole number".to_owned(),
        None if text.ends_with("was not `true` or `false`") => "expected true or false".to_owned(),
        None => "missing, superfluous, of the wrong type or out of range".to_owned(),
    }
}

/// The field that is missing, or there twice: where it should be is all that serde says of the place.
#[must_use]
pub fn field(error: &impl Display) -> Option<String> {
    let text = error.to_string();
    let named = text.strip_prefix("missing field `").or_else(|| text.strip_prefix("duplicate field `"))?;
    named.split_once('`').map(|(field, _)| field.to_owned())
}

/// What serde and Rust call a kind of value, as people call it.
fn in_plain_words(expected: &str) -> &str {
    match expected {
        "a sequence" => "a list",
        "a map" => "an object",
        "a boolean" => "true or false",
        "a string" | "a borrowed string" | "string or map" => "a text",
        "f32" | "f64" => "a number",
        "u32" => "a whole number from 0 to 4294967295",
        "u8" | "u16" | "u64" | "u128" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        named if named.starts_with("struct ") => "an object",
        named => named,
    }
}

/// Without where it was, which serde_json adds to what it reads from text, and not to what it reads from a value. What was
/// found could hold the same words, so they are taken off only where they are all that is left.
fn without_place(text: &str) -> &str {
    let number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    match text.rsplit_once(" at line ") {
        Some((before, place))
            if place.split_once(" column ").is_some_and(|(line, column)| number(line) && number(column)) =>
        {
            before
        }
        _ => text,
    }
}

/// Whether this can be told as the name of a field: a misspelt one is letters, and a key or token has more than that.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::{field, why};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read only to see how it fails")]
    struct Asked {
        audience: Vec<String>,
        kind: Option<Kind>,
        count: Option<u32>,
        length: Option<f64>,
        inner: Option<Box<Asked>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        App,
        User,
    }

    #[test]
    fn it_says_what_was_expected_and_never_what_was_found() {
        for (text, said) in [
            (r#"{"audience": "hunter2, expected hunter3"}"#, "expected a list"),
            (r#"{"audience": [{"hunter2": 1}]}"#, "expected a text"),
            (r#"{"audience": [], "count": -1}"#, "expected a whole number from 0 to 4294967295"),
            (r#"{"audience": [], "length": "x"}"#, "expected a number"),
            (r#"{"audience": [], "inner": 1}"#, "expected an object"),
            (r#"{"kind": "app"}"#, "the field `audience` is missing"),
            (r#"{"audience": [], "kind": "hunter2"}"#, "expected `app` or `user`"),
            (
                r#"{"hunter2": 1}"#,
                "no such field; expected one of `audience`, `kind`, `count`, `length`, `inner`",
            ),
            (r#"{"kind": null, "kind": null}"#, "the field `kind` is there twice"),
        ] {
            assert_eq!(why(&serde_json::from_str::<Asked>(text).unwrap_err()), said, "{text}");
        }
        let named = |text| field(&serde_json::from_str::<Asked>(text).unwrap_err());
        assert_eq!(named(r#"{"kind": "app"}"#).as_deref(), Some("audience"));
        assert_eq!(named(r#"{"kind": null, "kind": null}"#).as_deref(), Some("kind"));
        assert_eq!(named(r#"{"kind": "missing field `hunter2`"}"#), None);
        // Read from a value, which has no place, and where what was found speaks of one.
        let found = serde_json::json!({"audience": "x, expected hunter2 at line up"});
        assert_eq!(why(&Asked::deserialize(&found).unwrap_err()), "expected a list");
    }
}
