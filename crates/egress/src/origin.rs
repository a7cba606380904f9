//! An origin: scheme, host and port, without a path.

use std::fmt;
use std::str::FromStr;

use url::{Position, Url};

/// Scheme, host and port of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(Url);

/// Text that is not an origin.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an origin: write it as https://example.com or http://127.0.0.1:9411, without a path")]
pub struct InvalidOrigin;

impl Origin {
    /// Whether `url` is one of this origin's.
    pub fn is_of(&self, url: &Url) -> bool {
        self.0.origin() == url.origin()
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let url = Url::parse(text).map_err(|_| InvalidOrigin)?;
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        if matches!(url.scheme(), "https" | "http") && bare { Ok(Self(url)) } else { Err(InvalidOrigin) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0[..Position::BeforePath])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_reads_back() {
        for (text, shown) in [
            ("https://slack.com", "https://slack.com"),
            ("https://slack.com/", "https://slack.com"),
            ("https://slack.com:443", "https://slack.com"),
            ("http://127.0.0.1:9411", "http://127.0.0.1:9411"),
            ("http://[::1]:9411", "http://[::1]:9411"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            "slack.com",
            "https://slack.com/api",
            "https://a@slack.com",
            "https://slack.com?x",
            "ftp://a",
        ] {
            assert_eq!(text.parse::<Origin>(), Err(InvalidOrigin), "{text}");
        }
    }

    #[test]
    fn another_scheme_host_or_port_is_another_origin() {
        let origin: Origin = "https://slack.com".parse().unwrap();
        for (text, same) in [
            ("https://slack.com/x", true),
            ("https://slack.com:443/x", true),
            ("https://slack.com:444/x", false),
            ("http://slack.com/x", false),
            ("https://api.slack.com/x", false),
            ("https://slack.com.evil.example/x", false),
        ] {
            assert_eq!(origin.is_of(&Url::parse(text).unwrap()), same, "{text}");
        }
    }
}
