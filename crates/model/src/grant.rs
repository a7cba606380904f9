//! Grants: what the broker keeps for a subject so that tokens can be made. Never leaves the broker.

use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::id::{Id, kind};
use crate::scope::Scopes;
use crate::time::Time;

/// A grant as stored, without its secrets.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Its identifier.
    pub id: Id<kind::Grant>,
    /// Its place: everything that decides who may use it. Bound into the envelope of its secrets.
    pub place: Place,
    /// Whether tokens can be had.
    pub state: GrantState,
    /// The scopes that the provider gave; `None` if it never says.
    pub scopes: Option<Scopes>,
    /// The account at the provider.
    pub external_subject: Option<String>,
    /// When the stored access token ends; `None` if the provider does not say or it does not end.
    pub access_expires_at: Option<Time>,
    /// When the stored refresh token ends, if the provider says.
    pub refresh_expires_at: Option<Time>,
    /// Whether there is something to refresh with.
    pub refreshable: bool,
    /// Counts every change of the row; part of the associated data.
    pub version: i64,
    /// Counts changes of the refresh token: what a refresh is fenced by.
    pub rt_version: i64,
    /// When consent was given.
    pub created_at: Time,
    /// When the row last changed. Of tokens that were found later than they came: when they came.
    pub updated_at: Time,
}

impl Grant {
    /// Whether the access token has half of its life before it, or no end.
    pub fn is_fresh(&self, now: Time) -> bool {
        self.access_expires_at.is_none_or(|end| now.until(end) > self.updated_at.until(end) / 2)
    }
}

/// Where a grant stands. No two grants have the same place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The team.
    pub team: Id<kind::Team>,
    /// The connector.
    pub connector: Id<kind::Connector>,
    /// The project to which consent was given; `None` for a person's own, at a terminal.
    pub project: Option<Id<kind::Project>>,
    /// The environment in which consent was asked for. There is no fallback between environments.
    pub environment: Environment,
    /// [`crate::Subject::key`]
    pub subject: String,
    /// The installation, where the connector has several.
    pub installation: Option<Id<kind::Installation>>,
}

/// Whether tokens can be had from a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantState {
    /// Yes.
    Active,
    /// No: a person must consent again.
    NeedsConsent {
        /// Since when.
        since: Time,
        /// Why.
        cause: Cause,
    },
    /// No: it was revoked here, and the provider is being told.
    Withdrawn {
        /// Since when.
        since: Time,
    },
}

/// Why a grant needs consent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The provider says that the grant is no longer valid.
    RevokedAtProvider,
    /// Carnet stopped between the provider's answer and its record, and the provider does not take the old token twice.
    CrashDuringRefresh,
    /// The provider's answer to a refresh was lost on the way, and it does not take the old token twice.
    AnswerLost,
    /// The access token ended and there is nothing to refresh it with.
    Expired,
    /// The provider now wants the person to do something.
    InteractionRequired,
    /// The connector speaks to the provider as another client by now, and what was given was given to the one before.
    ClientChanged,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::RevokedAtProvider,
        Self::CrashDuringRefresh,
        Self::AnswerLost,
        Self::Expired,
        Self::InteractionRequired,
        Self::ClientChanged,
    ];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RevokedAtProvider => "revoked_at_provider",
            Self::CrashDuringRefresh => "crash_during_refresh",
            Self::AnswerLost => "refresh_answer_lost",
            Self::Expired => "expired",
            Self::InteractionRequired => "interaction_required",
            Self::ClientChanged => "client_changed",
        }
    }

    /// A sentence for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::RevokedAtProvider => "the provider no longer accepts the grant",
            Self::CrashDuringRefresh => {
                "the server stopped during a refresh, and the provider accepts a refresh token only once"
            }
            Self::AnswerLost => {
                "the provider's answer to a refresh was lost, and it accepts a refresh token only once"
            }
            Self::Expired => "the access has ended and there is nothing to renew it with",
            Self::InteractionRequired => "the provider asks the person to confirm again",
            Self::ClientChanged => {
                "the connector is another client at the provider by now, and access was given to the one before"
            }
        }
    }

    /// Reads the stable name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == text)
    }
}

/// What a provider does with a refresh token once it was used, and so what to do when an answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "class")]
pub enum Rotation {
    /// The refresh token stays valid: trying again is always safe.
    None,
    /// A new one each time; the old one is accepted for a while longer.
    Grace {
        /// For how long.
        seconds: u32,
    },
    /// A new one each time; the old one is dead at once, and presenting it may kill the new one too.
    Strict,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_token_is_fresh_for_half_of_its_life() {
        let came = Time::from_secs(1_000);
        let grant = |access_expires_at| Grant {
            id: Id::from_bytes([1; 16]),
            place: Place {
                team: Id::from_bytes([0; 16]),
                connector: Id::from_bytes([0; 16]),
                project: None,
                environment: Environment::Preview,
                subject: "user:u".to_owned(),
                installation: None,
            },
            state: GrantState::Active,
            scopes: None,
            external_subject: None,
            access_expires_at,
            refresh_expires_at: None,
            refreshable: true,
            version: 1,
            rt_version: 1,
            created_at: came,
            updated_at: came,
        };
        let hour = grant(Some(came.plus(Duration::from_hours(1))));
        assert!(hour.is_fresh(came));
        assert!(hour.is_fresh(came.plus(Duration::from_mins(29))));
        assert!(!hour.is_fresh(came.plus(Duration::from_mins(30))));
        assert!(!hour.is_fresh(came.plus(Duration::from_hours(2))));
        assert!(grant(None).is_fresh(came.plus(Duration::from_hours(2))));
    }
}
