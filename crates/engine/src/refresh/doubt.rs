//! What to do about an attempt whose end is not known: the provider may have seen the refresh token or not.

use std::time::Duration;

use carnet_model::Time;
use carnet_model::grant::{Cause, Rotation};
use carnet_providers::Abilities;
use carnet_store::grants::GrantRow;
use carnet_store::refreshes::OpenRefresh;

/// What may be done with a grant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// No attempt is open, or presenting the token twice is safe.
    None,
    /// The token may be presented once more. If the provider refuses it, this is why.
    OnceMore(Cause),
    /// Presenting it again can only hurt the access token that still lives.
    Wait,
}

impl Doubt {
    /// Judges by the newest open attempt with the present refresh token.
    pub(crate) fn judge(open: &[OpenRefresh], row: &GrantRow, abilities: &Abilities, now: Time) -> Self {
        let Some(last) = open.iter().rfind(|open| open.rt_version == row.grant.rt_version) else {
            return Self::None;
        };
        let cause = if last.lost { Cause::AnswerLost } else { Cause::CrashDuringRefresh };
        match abilities.rotation {
            Rotation::None => Self::None,
            Rotation::Grace { seconds } => {
                let grace = Duration::from_secs(u64::from(seconds)).saturating_sub(MARGIN);
                if now < last.sent_at.plus(grace) {
                    Self::OnceMore(cause)
                } else {
                    strict(row, abilities, now, cause)
                }
            }
            Rotation::Strict => strict(row, abilities, now, cause),
        }
    }

    /// Why the grant is dead, if the provider now refuses the token.
    pub(crate) const fn cause(&self) -> Option<Cause> {
        match self {
            Self::OnceMore(cause) => Some(*cause),
            Self::None | Self::Wait => None,
        }
    }
}

/// As long as the access token lives there is something to lose: a provider that detects reuse kills it too. Once it
/// has ended there is nothing left to lose, and if the request never left, the token still works.
fn strict(row: &GrantRow, abilities: &Abilities, now: Time, cause: Cause) -> Doubt {
    let lives = row.grant.access_expires_at.is_some_and(|end| end > now);
    if lives && !abilities.old_access_dies { Doubt::Wait } else { Doubt::OnceMore(cause) }
}

/// The provider's clock and the way to it may take this much of the grace.
const MARGIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use carnet_model::grant::{Grant, GrantState, Place};
    use carnet_model::{Environment, Id};

    use super::*;

    fn row(access_expires_at: Option<Time>) -> GrantRow {
        let place = Place {
            team: Id::from_bytes([0; 16]),
            connector: Id::from_bytes([0; 16]),
            project: None,
            environment: Environment::Preview,
            subject: "user:u".to_owned(),
            installation: None,
        };
        let grant = Grant {
            id: Id::from_bytes([0; 16]),
            place,
            state: GrantState::Active,
            scopes: None,
            external_subject: None,
            access_expires_at,
            refresh_expires_at: None,
            refreshable: true,
            version: 3,
            rt_version: 3,
            created_at: Time::default(),
            updated_at: Time::default(),
        };
        GrantRow {
            grant,
            held: Vec::new(),
            fence: 0,
            lease_until: Time::default(),
            last_used_at: Time::default(),
            leaked: false,
        }
    }

    #[test]
    fn what_may_be_done_follows_from_the_rotation_class() {
        let now = Time::from_secs(1000);
        let (alive, ended) = (Some(Time::from_secs(1001)), Some(Time::from_secs(999)));
        let attempt = |rt_version, ago: i64, lost| OpenRefresh {
            id: Id::from_bytes([0; 16]),
            team: Id::from_bytes([0; 16]),
            grant: Id::from_bytes([0; 16]),
            fence: 1,
            rt_version,
            sent_at: Time::from_secs(1000 - ago),
            lost,
        };
        let grace = Rotation::Grace { seconds: 30 };
        let crash = Doubt::OnceMore(Cause::CrashDuringRefresh);
        let lost = Doubt::OnceMore(Cause::AnswerLost);
        for (rotation, dies, access, open, want) in [
            (Rotation::Strict, false, alive, None, Doubt::None),
            (Rotation::Strict, false, alive, Some(attempt(2, 1, false)), Doubt::None),
            (Rotation::None, false, alive, Some(attempt(3, 1, false)), Doubt::None),
            (grace, false, alive, Some(attempt(3, 24, false)), Doubt::OnceMore(Cause::CrashDuringRefresh)),
            (grace, false, alive, Some(attempt(3, 25, false)), Doubt::Wait),
            (grace, false, ended, Some(attempt(3, 25, true)), Doubt::OnceMore(Cause::AnswerLost)),
            (Rotation::Strict, false, alive, Some(attempt(3, 1, false)), Doubt::Wait),
            (Rotation::Strict, true, alive, Some(attempt(3, 1, false)), crash),
            (Rotation::Strict, false, ended, Some(attempt(3, 1, true)), lost),
            (Rotation::Strict, false, None, Some(attempt(3, 1, true)), Doubt::OnceMore(Cause::AnswerLost)),
        ] {
            let abilities = Abilities { rotation, old_access_dies: dies, ..Abilities::NONE };
            let open: Vec<_> = open.into_iter().collect();
            assert_eq!(Doubt::judge(&open, &row(access), &abilities, now), want, "{rotation:?} {open:?}");
        }
    }
}
