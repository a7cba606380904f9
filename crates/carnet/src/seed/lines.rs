//! The text of a file of a seed, so that what is wrong in it is told with its line: in JSON if it begins with a brace, else
//! in TOML.

use std::path::Path;

use super::read::Document;
use super::wrong;
use crate::cli::failure::Failure;
use crate::config::written::{Written, line_at};

/// A file that was read.
pub(super) struct Text {
    path: String,
    whole: String,
    toml: Option<Written>,
}

impl Text {
    pub(super) fn new(path: &Path, text: String) -> Self {
        let is_json = text.trim_start().starts_with('{');
        let toml = (!is_json).then(|| Written::new(path, text.clone()));
        Self { path: path.display().to_string(), whole: text, toml }
    }

    /// What it says.
    pub(super) fn read(&self) -> Result<Document, Failure> {
        let told = |line: usize, why: &str| {
            let why = why.lines().next().unwrap_or_default().trim_end_matches('.');
            wrong(format!("{} line {line}: {why}.", self.path))
        };
        if self.toml.is_some() {
            return toml::from_str(&self.whole).map_err(|error| {
                told(line_at(&self.whole, error.span().map_or(0, |span| span.start)), error.message())
            });
        }
        serde_json::from_str(&self.whole).map_err(|error| {
            // It says its place a second time.
            let why = error.to_string();
            told(error.line(), why.rsplit_once(" at line ").map_or(why.as_str(), |(why, _)| why))
        })
    }

    /// Puts file and line before a failure that is about this member: `connectors.2.links.0`.
    pub(super) fn told(&self, member: &str, mut failure: Failure) -> Failure {
        let line = match &self.toml {
            Some(written) => written.line_of(member),
            None => json_line(&self.whole, member),
        };
        failure.message = match line {
            Some(line) => format!("{} line {line}: {}", self.path, failure.message),
            None => format!("{}: {}", self.path, failure.message),
        };
        failure
    }
}

/// On which line of a JSON text, which was read before, a member stands; or what it would belong to.
fn json_line(text: &str, member: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = white(bytes, 0);
    let mut found = at;
    for part in member.split('.') {
        let Some((start, value)) = below(bytes, at, part) else { break };
        (found, at) = (start, value);
    }
    (found < bytes.len()).then(|| line_at(text, found))
}

/// Where the member of the object, or the item of the list, begins that begins at `at`, and where its value does.
fn below(bytes: &[u8], at: usize, part: &str) -> Option<(usize, usize)> {
    let is_list = match bytes.get(at)? {
        b'{' => false,
        b'[' => true,
        _ => return None,
    };
    let mut number = 0;
    let mut next = white(bytes, at + 1);
    while !matches!(bytes.get(next)?, b'}' | b']') {
        let start = next;
        let (value, is_it) = if is_list {
            (start, part.parse() == Ok(number))
        } else {
            let end = past(bytes, start)?;
            // Past the colon.
            (white(bytes, white(bytes, end) + 1), bytes.get(start + 1..end - 1)? == part.as_bytes())
        };
        if is_it {
            return Some((start, value));
        }
        number += 1_usize;
        next = white(bytes, past(bytes, value)?);
        if bytes.get(next) == Some(&b',') {
            next = white(bytes, next + 1);
        }
    }
    None
}

/// The end of the value that begins at `at`.
fn past(bytes: &[u8], at: usize) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (offset, byte) in bytes.get(at..)?.iter().enumerate() {
        let end = at + offset;
        let ends = match byte {
            _ if escaped => {
                escaped = false;
                None
            }
            b'\\' if quoted => {
                escaped = true;
                None
            }
            b'"' => {
                quoted = !quoted;
                (!quoted && depth == 0).then_some(end + 1)
            }
            _ if quoted => None,
            b'{' | b'[' => {
                depth += 1;
                None
            }
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                (depth == 0).then_some(end + 1)
            }
            // What ends a number or a word.
            b'}' | b']' | b',' | b' ' | b'\t' | b'\r' | b'\n' => (depth == 0).then_some(end),
            _ => None,
        };
        if ends.is_some() {
            return ends;
        }
    }
    Some(bytes.len())
}

fn white(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_of_a_json_text_is_found_where_it_stands() {
        let text = "{\n \"a\": {\"}\": \"]\\\"\"},\n \"projects\" :\n [ ],\n \"connectors\": [\n  {\"uid\": \"x/y\"},\n  {\n   \"uid\": \"x/z\",\n   \
                    \"data\": {\"n\": [1, 2]},\n   \"links\": [\n    {\"project\": \"p\"},\n    {\"project\": \"q\"}\n   ]\n  }\n ]\n}\n";
        serde_json::from_str::<serde_json::Value>(text).unwrap();
        for (member, line) in [
            ("a", 2),
            ("projects", 3),
            ("projects.0", 3),
            ("connectors", 5),
            ("connectors.0", 6),
            ("connectors.0.uid", 6),
            ("connectors.1", 7),
            ("connectors.1.uid", 8),
            ("connectors.1.data.n.1", 9),
            ("connectors.1.links.0", 11),
            ("connectors.1.links.1.project", 12),
            ("connectors.1.grants.0", 7),
            ("nothing", 1),
        ] {
            assert_eq!(json_line(text, member), Some(line), "{member}");
        }
    }

    #[test]
    fn a_word_that_is_misspelt_is_told_with_its_line_in_both_forms() {
        let toml = "[[projects]]\nname = \"a\"\n\n[[connectors]]\nuid = \"x/y\"\nlnks = []\n";
        let json =
            "{\"projects\": [{\"name\": \"a\"}],\n\"connectors\": [{\"uid\": \"x/y\",\n\n\n\n\"lnks\": []}]}";
        for text in [toml, json] {
            let failure = Text::new(Path::new("a.seed"), text.to_owned()).read().err().unwrap();
            assert!(
                failure.message.starts_with("a.seed line 6: unknown field `lnks`"),
                "{}",
                failure.message
            );
        }
    }
}
