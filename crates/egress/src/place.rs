//! A place on a server: an origin, and perhaps the beginning of a path.

use std::fmt;
use std::str::FromStr;

use url::{Position, Url};

use crate::origin::Origin;

/// An origin with or without a path, as in `--provider-origin https://slack.com=http://127.0.0.1:9411` or
/// `--provider-origin https://oauth2.googleapis.com/token=http://127.0.0.1:9412/oauth2/token`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    origin: Origin,
    /// Whole segments, without a `/` at the end; empty for all of the origin.
    path: String,
}

/// Text that is not a place.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "not an address: write it as https://example.com, http://127.0.0.1:9411 or https://example.com/path, without a query"
)]
pub struct InvalidPlace;

impl Place {
    /// What stands behind this place in `url`, from a `/` or nothing on; `None` for another place.
    fn rest<'a>(&self, url: &'a Url) -> Option<&'a str> {
        let rest = url.path().strip_prefix(self.path.as_str()).filter(|_| self.origin.is_of(url))?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }

    /// How much of an address it says.
    pub(crate) fn length(&self) -> usize {
        self.path.len()
    }

    /// Whether `url` is in this place.
    pub(crate) fn holds(&self, url: &Url) -> bool {
        self.rest(url).is_some()
    }

    /// `url` with `to` in the place of this.
    pub(crate) fn replace(&self, url: &Url, to: &Self) -> Option<Url> {
        Url::parse(&format!("{to}{}{}", self.rest(url)?, &url[Position::AfterPath..])).ok()
    }
}

impl FromStr for Place {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        let mut url = Url::parse(text).map_err(|_| InvalidPlace)?;
        let bare = url.query().is_none() && url.fragment().is_none();
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path("");
        let origin = url.as_str().parse().map_err(|_| InvalidPlace)?;
        if bare { Ok(Self { origin, path }) } else { Err(InvalidPlace) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back() {
        for (text, shown) in [
            ("https://slack.com", "https://slack.com"),
            ("https://slack.com/", "https://slack.com"),
            ("https://slack.com:443/api/", "https://slack.com/api"),
            ("http://127.0.0.1:9412/oauth2/token", "http://127.0.0.1:9412/oauth2/token"),
        ] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), shown);
        }
        for text in
            ["", "slack.com", "https://a@slack.com/x", "https://slack.com/?x", "https://a/#b", "ftp://a"]
        {
            assert_eq!(text.parse::<Place>(), Err(InvalidPlace), "{text}");
        }
    }

    #[test]
    fn what_begins_with_a_place_is_put_elsewhere_and_nothing_else_is() {
        for (from, to, url, there) in [
            (
                "https://slack.com",
                "http://127.0.0.1:1",
                "https://slack.com/api/oauth.v2.access?a=b%20c#d",
                Some("http://127.0.0.1:1/api/oauth.v2.access?a=b%20c#d"),
            ),
            (
                "https://a.example/token",
                "http://b/oauth2/token",
                "https://a.example/token?x",
                Some("http://b/oauth2/token?x"),
            ),
            (
                "https://a.example/token",
                "http://b/oauth2/token",
                "https://a.example/token/y",
                Some("http://b/oauth2/token/y"),
            ),
            ("https://a.example/token", "http://b/oauth2/token", "https://a.example/tokens", None),
            ("https://a.example/token", "http://b/oauth2/token", "https://a.example/", None),
            ("https://a.example/token", "http://b", "https://a.example.evil/token", None),
            ("https://a.example/tenant", "http://b", "https://a.example/tenant", Some("http://b/")),
            (
                "https://a.example/tenant",
                "http://b",
                "https://a.example/tenant/v2?x=1",
                Some("http://b/v2?x=1"),
            ),
        ] {
            let (from, to): (Place, Place) = (from.parse().unwrap(), to.parse().unwrap());
            let url = Url::parse(url).unwrap();
            assert_eq!(from.replace(&url, &to).map(String::from).as_deref(), there, "{from} {to} {url}");
            assert_eq!(from.holds(&url), there.is_some());
        }
    }
}
