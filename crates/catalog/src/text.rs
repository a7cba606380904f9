//! Texts of a file that cannot be written down wrong. Each says what it must be, so that the reader can say it with the
//! line on which it is not.

use std::fmt;

use carnet_model::Scopes;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $check:path, $must:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// As written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                if $check(&text) { Ok(Self(text)) } else { Err(format!("{text:?} must be {}", $must)) }
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(
    /// The short name of a service, a method, a target or a category.
    Slug, is_slug, "1 to 64 of a-z, 0-9, . and -, and begin with a letter or digit"
);
text!(
    /// A name or a sentence on one line.
    Line, is_line, "one line of 1 to 300 characters"
);
text!(
    /// Several lines, read as Markdown.
    Prose, is_prose, "1 to 4000 characters without control characters"
);
text!(
    /// What a scope allows, as it follows "It will be able to".
    Words, is_words, "a sentence that begins with a capital letter and has no full stop, and does not say what is not allowed"
);
text!(
    /// The address of a page.
    Page, is_page, "an https address"
);
text!(
    /// A day: `2026-11-30`.
    Day, is_day, "a day, such as 2026-11-30"
);
text!(
    /// `#RRGGBB`
    Colour, is_colour, "#RRGGBB"
);
text!(
    /// The variable in which the service's own tools look for a token.
    Variable, is_variable, "the name of a variable that holds a secret: capitals, digits and _, with TOKEN, KEY, SECRET, PAT or PASSWORD at its end"
);
text!(
    /// A scope as the service names it.
    Scope, is_scope, "the name of a scope (RFC 6749, section 3.3), without a comma"
);
text!(
    /// The name of a template field.
    FieldName, is_field_name, "1 to 40 of a-z, 0-9 and _, and begin with a letter"
);
text!(
    /// The name of an HTTP header or of a parameter.
    ParamName, is_param_name, "1 to 64 letters, digits, - and _"
);

fn is_slug(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let sound = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
    begins && text.len() <= 64 && text.bytes().all(sound)
}

fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= 300 && !text.chars().any(char::is_control)
}

fn is_prose(text: &str) -> bool {
    let broken = |c: char| c.is_control() && c != '\n';
    !text.trim().is_empty() && text.chars().count() <= 4000 && !text.chars().any(broken)
}

/// The page for consent looks for "delete" and "manage" in these words: what is not allowed must not be said here.
fn is_words(text: &str) -> bool {
    let lower = text.to_lowercase();
    let denies =
        ["not ", "n't ", "cannot", "never ", "without ", "except "].iter().any(|word| lower.contains(word));
    is_line(text) && text.starts_with(char::is_uppercase) && !text.ends_with('.') && !denies
}

fn is_page(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let named = matches!(url.host(), Some(Host::Domain(name)) if name.contains('.'));
    url.scheme() == "https" && named && url.username().is_empty() && url.password().is_none()
}

fn is_day(text: &str) -> bool {
    let parts: Vec<Option<u32>> = text.split('-').map(|part| part.parse().ok()).collect();
    text.len() == 10 && matches!(parts[..], [Some(2020..=2100), Some(1..=12), Some(1..=31)])
}

fn is_colour(text: &str) -> bool {
    text.len() == 7 && text.starts_with('#') && text.bytes().skip(1).all(|b| b.is_ascii_hexdigit())
}

/// A child process is given a token under this name. Names that programs obey, such as `PATH`, cannot be written.
fn is_variable(text: &str) -> bool {
    let sound = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    let ends = ["TOKEN", "KEY", "SECRET", "PAT", "PASSWORD"];
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(sound)
        && ends.iter().any(|end| text.strip_suffix(end).is_some_and(|rest| rest.ends_with('_')))
}

fn is_scope(text: &str) -> bool {
    text != "*" && Scopes::parse([text]).is_ok()
}

fn is_field_name(text: &str) -> bool {
    let sound = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    text.len() <= 40 && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(sound)
}

fn is_param_name(text: &str) -> bool {
    let sound = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    !text.is_empty() && text.len() <= 64 && text.bytes().all(sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_text_must_be_is_held() {
        type Row = (fn(&str) -> bool, &'static [&'static str], &'static [&'static str]);
        let table: &[Row] = &[
            (is_slug, &["github", "api-key", "v0", "cal.com"], &["", "GitHub", "-x", "a/b", "a b", "é"]),
            (is_line, &["One"], &["", " ", "a\nb", "\u{7}"]),
            (
                is_words,
                &["Read your mail", "Read, change and delete files"],
                &["read", "Read.", "Read, but not delete", "Do everything except delete", ""],
            ),
            (
                is_page,
                &["https://a.example/x#y"],
                &["http://a.example", "https://u@a.example", "https://localhost", "https://127.0.0.1", "x"],
            ),
            (is_day, &["2026-11-30"], &["2026-13-01", "2026-1-1", "30.11.2026", "2026-11-300", ""]),
            (is_colour, &["#00aaFF"], &["00aaff", "#0af", "#00aafg"]),
            (
                is_variable,
                &["GITHUB_TOKEN", "OPENAI_API_KEY"],
                &["PATH", "LD_PRELOAD", "NODE_OPTIONS", "github_token", "TOKEN", "MONKEY", "X=_TOKEN"],
            ),
            (is_scope, &["repo", "https://www.googleapis.com/auth/drive"], &["", "*", "a b", "a,b"]),
            (is_field_name, &["auth_server_id"], &["", "A", "1a", "a-b"]),
        ];
        for (check, sound, unsound) in table {
            for text in *sound {
                assert!(check(text), "{text:?}");
            }
            for text in *unsound {
                assert!(!check(text), "{text:?}");
            }
        }
    }
}
