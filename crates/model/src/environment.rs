//! Where a workload runs, and the short names of teams, projects and custom environments.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{Id, kind};

/// An environment of a project. On the wire: `production`, `preview`, `development` or `env_…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Environment {
    /// What serves real users.
    Production,
    /// A branch under review.
    Preview,
    /// A developer's machine.
    Development,
    /// One that the team made itself.
    Custom(Id<kind::CustomEnvironment>),
}

/// Text that names no environment.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an environment is production, preview, development or env_ and 22 letters or digits")]
pub struct InvalidEnvironment;

impl Environment {
    /// The three that every project has.
    pub const BUILT_IN: [Self; 3] = [Self::Production, Self::Preview, Self::Development];

    /// Reads the wire form.
    pub fn parse(text: &str) -> Result<Self, InvalidEnvironment> {
        match text {
            "production" => Ok(Self::Production),
            "preview" => Ok(Self::Preview),
            "development" => Ok(Self::Development),
            other => Id::parse(other).map(Self::Custom).map_err(|_| InvalidEnvironment),
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Production => f.write_str("production"),
            Self::Preview => f.write_str("preview"),
            Self::Development => f.write_str("development"),
            Self::Custom(id) => id.fmt(f),
        }
    }
}

impl Serialize for Environment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Environment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A short name that appears in URLs and token claims: lower-case letters, digits, `-`, `_`, `.`; 1 to 100 of them,
/// the first a letter or digit. Never `:`, which separates the parts of a subject claim.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Slug(String);

/// Text that is not a [`Slug`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a name has 1 to 100 lower-case letters, digits, `-`, `_` or `.`, and begins with a letter or digit")]
pub struct InvalidSlug;

impl Slug {
    /// Reads a slug; nothing is changed or guessed.
    pub fn parse(text: &str) -> Result<Self, InvalidSlug> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
        let first = text.bytes().next().ok_or(InvalidSlug)?;
        if text.len() > 100
            || !text.bytes().all(allowed)
            || !(first.is_ascii_lowercase() || first.is_ascii_digit())
        {
            return Err(InvalidSlug);
        }
        Ok(Self(text.to_owned()))
    }

    /// The nearest slug to any text, for names taken from a folder or a person; `fallback` if nothing is left.
    pub fn near(text: &str, fallback: &'static str) -> Self {
        let mut out = String::new();
        for c in text.chars().flat_map(char::to_lowercase) {
            match c {
                'a'..='z' | '0'..='9' | '.' | '_' => out.push(c),
                _ if !out.is_empty() && !out.ends_with('-') => out.push('-'),
                _ => {}
            }
        }
        let trimmed = out.trim_matches(['-', '.', '_']);
        let cut: String = trimmed.chars().take(100).collect();
        Self(if cut.is_empty() { fallback.to_owned() } else { cut })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Slug {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_reads_back() {
        for text in ["production", "preview", "development", "env_0000000000000000000001"] {
            assert_eq!(Environment::parse(text).map(|e| e.to_string()), Ok(text.to_owned()));
        }
        for text in ["Production", "qa", "env_", "", "*"] {
            assert!(Environment::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_folder_name_becomes_a_slug() {
        for (from, to) in
            [("My App", "my-app"), ("  ", "my-app"), ("Ünïcode Ω", "n-code"), ("a - b", "a-b"), ("_x_", "x")]
        {
            assert_eq!(Slug::near(from, "my-app").as_str(), to);
            assert!(Slug::parse(to).is_ok());
        }
    }
}
