//! What serde says of a value that does not fit, without the value: serde quotes what it found, which may be a secret
//! that was put in the wrong place. What it expected is ours, and is what helps.

use std::fmt::Display;

/// In one clause, to stand after the name of the thing: `expected a sequence`, ``the field `sub` is missing``.
///
/// ```
/// let error = serde_json::from_str::<Vec<String>>("\"hunter2\"").unwrap_err();
/// assert_eq!(carnet_model::unread::why(&error), "expected a sequence");
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
        Some((_, expected)) => format!("expected {expected}"),
        None => "missing, superfluous, of the wrong type or out of range".to_owned(),
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

    use super::why;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read only to see how it fails")]
    struct Asked {
        audience: Vec<String>,
        kind: Option<Kind>,
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
            (r#"{"audience": "hunter2, expected hunter3"}"#, "expected a sequence"),
            (r#"{"audience": [{"hunter2": 1}]}"#, "expected a string"),
            (r#"{"kind": "app"}"#, "the field `audience` is missing"),
            (r#"{"audience": [], "kind": "hunter2"}"#, "expected `app` or `user`"),
            (r#"{"hunter2": 1}"#, "no such field; expected `audience` or `kind`"),
            (r#"{"kind": null, "kind": null}"#, "the field `kind` is there twice"),
        ] {
            assert_eq!(why(&serde_json::from_str::<Asked>(text).unwrap_err()), said, "{text}");
        }
        // Read from a value, which has no place, and where what was found speaks of one.
        let found = serde_json::json!({"audience": "x, expected hunter2 at line up"});
        assert_eq!(why(&Asked::deserialize(&found).unwrap_err()), "expected a sequence");
    }
}
