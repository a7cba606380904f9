//! Which hosts a service has.

use std::fmt;

use serde::Deserialize;

/// A host, the names below one, or any: `api.github.com`, `*.zendesk.com`, `*`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum HostPattern {
    /// Exactly this name.
    Exact(String),
    /// Every name below this one, at any depth; it begins with a dot.
    Below(String),
    /// Any name: a service that people run themselves.
    Any,
}

impl HostPattern {
    /// Whether a host is meant.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Below(end) => host.strip_suffix(end.as_str()).is_some_and(|rest| !rest.is_empty()),
            Self::Any => is_name(host),
        }
    }

    /// Whether everything that `other` means is meant here too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (_, Self::Any) | (Self::Exact(_), Self::Below(_)) => false,
            (_, Self::Exact(name)) => self.matches(name),
            (Self::Below(end), Self::Below(other)) => other.ends_with(end.as_str()),
        }
    }
}

impl TryFrom<String> for HostPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let sound = text.strip_prefix("*.").unwrap_or(&text);
        if !is_name(sound) || sound != sound.to_ascii_lowercase() {
            return Err(format!("{text:?} must be a host in lower case, *. and a domain, or *"));
        }
        Ok(if sound.len() == text.len() { Self::Exact(text) } else { Self::Below(format!(".{sound}")) })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Below(end) => write!(f, "*{end}"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// One label of a host name (RFC 1123 §2.1). An underscore is let through inside: some services have them.
pub(crate) fn is_label(text: &str) -> bool {
    let sound = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let ends = |c: char| c.is_ascii_alphanumeric();
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(sound)
        && text.starts_with(ends)
        && text.ends_with(ends)
        && !text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"))
}

/// A name of at least two labels whose last is not a number: no address, no `localhost`.
pub(crate) fn is_name(text: &str) -> bool {
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253
        && text.contains('.')
        && text.split('.').all(is_label)
        && last.bytes().all(|b| b.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> HostPattern {
        HostPattern::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_pattern_means_its_hosts_and_no_other() {
        for (text, meant, not_meant) in [
            ("api.x.com", vec!["api.x.com"], vec!["x.com", "a.api.x.com", "api.x.com.evil.example"]),
            (
                "*.x.com",
                vec!["a.x.com", "a.b.x.com"],
                vec!["x.com", ".x.com", "evilx.com", "a.x.com.evil.example"],
            ),
            ("*", vec!["a.example"], vec!["localhost", "127.0.0.1", "[::1]", "a", ""]),
        ] {
            assert!(meant.iter().all(|host| pattern(text).matches(host)), "{text}");
            assert!(!not_meant.iter().any(|host| pattern(text).matches(host)), "{text}");
        }
        for text in
            ["", "x", "*x.com", "*.com", "*.*.com", "https://x.com", "X.com", "x.com:8080", "10.0.0.1"]
        {
            assert!(HostPattern::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pattern_covers_what_it_means_entirely() {
        for (one, other, covered) in [
            ("*", "*.x.com", true),
            ("*.x.com", "a.x.com", true),
            ("*.x.com", "*.b.x.com", true),
            ("*.b.x.com", "*.x.com", false),
            ("*.x.com", "*.evilx.com", false),
            ("a.x.com", "*.x.com", false),
            ("*.x.com", "*", false),
        ] {
            assert_eq!(pattern(one).covers(&pattern(other)), covered, "{one} {other}");
        }
    }
}
