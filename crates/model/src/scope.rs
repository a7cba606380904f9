//! Scopes: what a token may do, as the provider names it.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A set of scope names, in order, without repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Scopes(BTreeSet<String>);

/// Text that is not a scope name, or too many of them.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidScope {
    /// A name outside RFC 6749 §3.3, or longer than 256 bytes.
    #[error("a scope has 1 to 256 printable ASCII characters, without space, comma, `\"` and `\\`")]
    Name,
    /// More than [`Scopes::MAX`] names.
    #[error("at most {} scopes", Scopes::MAX)]
    TooMany,
    /// `*` beside other names.
    #[error("`*` stands for the connector's default scopes and stands alone")]
    StarNotAlone,
}

impl Scopes {
    /// The most names in one set.
    pub const MAX: usize = 200;

    /// Nothing.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Checks each name against RFC 6749 §3.3. A comma separates scopes at some providers, so no name may hold one.
    pub fn parse<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, InvalidScope> {
        let mut set = BTreeSet::new();
        for name in names {
            let name = name.as_ref();
            let sound = |b: u8| matches!(b, 0x21 | 0x23..=0x2b | 0x2d..=0x5b | 0x5d..=0x7e);
            if name.is_empty() || name.len() > 256 || !name.bytes().all(sound) {
                return Err(InvalidScope::Name);
            }
            set.insert(name.to_owned());
        }
        if set.len() > Self::MAX { Err(InvalidScope::TooMany) } else { Ok(Self(set)) }
    }

    /// Reads a provider's `scope` value. Providers separate by space or comma; empty names are skipped.
    pub fn parse_joined(text: &str) -> Result<Self, InvalidScope> {
        Self::parse(text.split([' ', ',']).filter(|name| !name.is_empty()))
    }

    /// The names joined by a provider's separator.
    pub fn joined(&self, separator: &str) -> String {
        self.0.iter().map(String::as_str).collect::<Vec<_>>().join(separator)
    }

    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether `name` is one of them.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Whether every name is also in `other`.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// The names that `other` lacks.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).cloned().collect())
    }

    /// The names that `other` has too.
    #[must_use]
    pub fn both(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// The names of either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.joined(" "))
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(Vec::<String>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What a token request says about scopes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ScopeRequest {
    /// `["*"]`, or no field at all: the connector's defaults for the subject.
    Defaults,
    /// `[]`: no scope parameter towards the provider.
    Unscoped,
    /// Exactly these.
    Exactly(Scopes),
}

impl ScopeRequest {
    /// Reads the wire form. An omitted field and `["*"]` mean the same: one official client sends the one, one the other.
    pub fn parse(names: Option<&[String]>) -> Result<Self, InvalidScope> {
        match names {
            None => Ok(Self::Defaults),
            Some([]) => Ok(Self::Unscoped),
            Some([one]) if one == "*" => Ok(Self::Defaults),
            Some(names) if names.iter().any(|name| name == "*") => Err(InvalidScope::StarNotAlone),
            Some(names) => Scopes::parse(names).map(Self::Exactly),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scopes(text: &str) -> Scopes {
        Scopes::parse_joined(text).unwrap()
    }

    proptest! {
        #[test]
        fn order_and_repeats_do_not_matter(mut names in prop::collection::vec("[a-z:._/]{1,12}", 0..20)) {
            let one = Scopes::parse(&names).unwrap();
            names.reverse();
            names.extend(names.clone());
            prop_assert_eq!(&Scopes::parse(&names).unwrap(), &one);
            prop_assert_eq!(scopes(&one.joined(" ")), one.clone());
            prop_assert_eq!(scopes(&one.joined(",")), one);
        }

        #[test]
        fn sets_behave_as_sets(a in prop::collection::vec("[a-e]", 0..5), b in prop::collection::vec("[a-e]", 0..5)) {
            let (a, b) = (Scopes::parse(&a).unwrap(), Scopes::parse(&b).unwrap());
            prop_assert!(a.both(&b).is_within(&a) && a.both(&b).is_within(&b));
            prop_assert!(a.is_within(&a.union(&b)));
            prop_assert_eq!(a.without(&b).union(&a.both(&b)), a.clone());
            prop_assert_eq!(a.is_within(&b), a.without(&b).is_empty());
        }
    }

    #[test]
    fn the_star_means_defaults_and_stands_alone() {
        let ask = |names: &[&str]| {
            ScopeRequest::parse(Some(&names.iter().map(ToString::to_string).collect::<Vec<_>>()))
        };
        assert_eq!(ScopeRequest::parse(None), Ok(ScopeRequest::Defaults));
        assert_eq!(ask(&["*"]), Ok(ScopeRequest::Defaults));
        assert_eq!(ask(&[]), Ok(ScopeRequest::Unscoped));
        assert_eq!(ask(&["*", "read"]), Err(InvalidScope::StarNotAlone));
        assert_eq!(ask(&["read", "read"]), Ok(ScopeRequest::Exactly(scopes("read"))));
        assert_eq!(ask(&["a b"]), Err(InvalidScope::Name));
        assert_eq!(ask(&[""]), Err(InvalidScope::Name));
        assert_eq!(ask(&["a,b"]), Err(InvalidScope::Name));
        assert_eq!(ask(&["é"]), Err(InvalidScope::Name));
    }
}
