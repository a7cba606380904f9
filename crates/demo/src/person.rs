//! The two made-up people of the demo provider.

use serde::{Deserialize, Serialize};

/// Somebody who can sign in by saying so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Person {
    Ada,
    Grace,
}

impl Person {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Ada, Self::Grace];

    /// The stable identifier: `sub` of the profile.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Ada => "ada",
            Self::Grace => "grace",
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ada => "Ada",
            Self::Grace => "Grace",
        }
    }

    /// An address under a name that is reserved and reaches nobody (RFC 6761 §6.2).
    pub(crate) const fn email(self) -> &'static str {
        match self {
            Self::Ada => "ada@hello.test",
            Self::Grace => "grace@hello.test",
        }
    }

    /// Reads an identifier or an address, as a `login_hint` may be either.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|person| {
            text.eq_ignore_ascii_case(person.id()) || text.eq_ignore_ascii_case(person.email())
        })
    }
}
