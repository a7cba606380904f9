//! The name by which people call a connector: `service/name`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{Id, kind};
use crate::shown::{is_hidden, is_joiner};

/// A connector's UID, unique in its team: `slack/acme`, `mcp.linear.app/triage`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Uid(String);

/// Why a text is not a UID.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidUid {
    /// Nothing, or more than [`Uid::MAX_LEN`] characters.
    #[error("a UID has 1 to {} characters", Uid::MAX_LEN)]
    Length,
    /// A character that would not survive a URL path or a shell.
    #[error("a UID has no whitespace, control character, `%`, `#`, `?` or `\\`")]
    Character,
    /// A character that nobody sees, or that turns the direction of writing round.
    #[error("a UID has no invisible character")]
    Hidden,
    /// Looks like an identifier, or like a word of the API's own paths.
    #[error("this UID is reserved")]
    Reserved,
    /// No `/`, an empty part, or `.` and `..` as a part.
    #[error("a UID has the form service/name")]
    Form,
}

impl Uid {
    /// Longest UID in characters.
    pub const MAX_LEN: usize = 200;

    /// Reads a UID. The rules are those of the official clients, and no part may be `.` or `..`.
    pub fn parse(text: &str) -> Result<Self, InvalidUid> {
        if !(1..=Self::MAX_LEN).contains(&text.chars().count()) {
            return Err(InvalidUid::Length);
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '%' | '#' | '?' | '\\')) {
            return Err(InvalidUid::Character);
        }
        let reserved_prefix = ["scl_", "sca_", "store_", "ir_", "vc/"].iter().any(|p| text.starts_with(p));
        let vercel_owned = text
            .split_once('/')
            .is_some_and(|(service, _)| service.ends_with(".vercel.com") && service != "mcp.vercel.com");
        if reserved_prefix || vercel_owned || text == "managed" {
            return Err(InvalidUid::Reserved);
        }
        if !text.contains('/') || text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(InvalidUid::Form);
        }
        Ok(Self(text.to_owned()))
    }

    /// Reads a UID that somebody chooses for a new connector: what can be seen, and reserved in no spelling.
    pub fn chosen(text: &str) -> Result<Self, InvalidUid> {
        if text.chars().any(|c| is_hidden(c) || is_joiner(c)) {
            return Err(InvalidUid::Hidden);
        }
        match Self::parse(&text.to_lowercase()) {
            Err(InvalidUid::Reserved) => Err(InvalidUid::Reserved),
            _ => Self::parse(text),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Uid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// How a caller names a connector: by identifier or by UID. One resolver serves every path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ConnectorRef {
    /// `scl_…`
    Id(Id<kind::Connector>),
    /// `service/name`
    Uid(Uid),
}

impl ConnectorRef {
    /// Reads either form. `None` if it can be neither, so that no store needs to be asked.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(id) = Id::parse(text) {
            return Some(Self::Id(id));
        }
        Uid::parse(text).ok().map(Self::Uid)
    }
}

impl fmt::Display for ConnectorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Uid(uid) => uid.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_of_the_field_are_accepted() {
        for text in ["slack/my-bot", "mcp.linear.app/acme", "mcp.vercel.com/x", "a/b/c", "demo/hello"] {
            assert_eq!(Uid::parse(text).map(|u| u.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_would_not_survive_a_path_is_refused() {
        for (text, why) in [
            ("", InvalidUid::Length),
            ("a b/c", InvalidUid::Character),
            ("a/b%2f", InvalidUid::Character),
            ("a/b#", InvalidUid::Character),
            ("a/\u{0}", InvalidUid::Character),
            ("scl_x/y", InvalidUid::Reserved),
            ("vc/x", InvalidUid::Reserved),
            ("api.vercel.com/x", InvalidUid::Reserved),
            ("managed", InvalidUid::Reserved),
            ("slack", InvalidUid::Form),
            ("slack/", InvalidUid::Form),
            ("slack/..", InvalidUid::Form),
            ("./x", InvalidUid::Form),
            ("/x", InvalidUid::Form),
        ] {
            assert_eq!(Uid::parse(text), Err(why), "{text:?}");
        }
        assert_eq!(Uid::parse(&format!("a/{}", "x".repeat(200))), Err(InvalidUid::Length));
        assert!(Uid::parse(&format!("a/{}", "é".repeat(198))).is_ok());
    }

    #[test]
    fn what_is_chosen_can_be_seen_and_is_reserved_in_no_spelling() {
        for (text, why) in [
            ("a/\u{202e}x", InvalidUid::Hidden),
            ("a/x\u{200d}", InvalidUid::Hidden),
            ("a\u{feff}/x", InvalidUid::Hidden),
            ("VC/x", InvalidUid::Reserved),
            ("Foo.Vercel.Com/x", InvalidUid::Reserved),
            ("Managed", InvalidUid::Reserved),
            ("slack", InvalidUid::Form),
        ] {
            assert_eq!(Uid::chosen(text), Err(why), "{text:?}");
        }
        assert_eq!(Uid::chosen("Slack/Büro").map(|uid| uid.to_string()), Ok("Slack/Büro".to_owned()));
    }

    #[test]
    fn an_identifier_is_not_taken_for_a_uid() {
        assert!(matches!(ConnectorRef::parse("scl_0000000000000000000000"), Some(ConnectorRef::Id(_))));
        assert!(matches!(ConnectorRef::parse("slack/x"), Some(ConnectorRef::Uid(_))));
        assert_eq!(ConnectorRef::parse("nope"), None);
    }
}
