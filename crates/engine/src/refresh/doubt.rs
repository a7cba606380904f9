//! What to do about an attempt whose end is not known: the provider may have seen the refresh token or not.

use std::time::Duration;

use carnet_model::Time;
use carnet_model::grant::{Cause, Rotation};
use carnet_providers::Abilities;
use carnet_store::grants::GrantRow;
use carnet_store::refreshes::OpenRefresh;

/// What may be done with a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// No attempt is open, or presenting the token twice is safe.
    None,
    /// The token may be presented once more. If the provider refuses it, this is why.
    OnceMore(Cause),
    /// Presenting it again can only hurt the access token that still lives, or a server that is in trouble.
    Wait,
}

impl Doubt {
    /// Judges by the newest open attempt with the present refresh token.
    pub(crate) fn judge(open: &[OpenRefresh], row: &GrantRow, abilities: &Abilities, now: Time) -> Self {
        let mine = || open.iter().filter(|open| open.rt_version == row.grant.rt_version);
        let Some(last) = mine().next_back() else { return Self::None };
        let cause = if last.lost { Cause::AnswerLost } else { Cause::CrashDuringRefresh };
        match abilities.rotation {
            Rotation::None => Self::None,
            Rotation::Grace { seconds } => {
                let grace = Duration::from_secs(u64::from(seconds)).saturating_sub(MARGIN);
                let is_over = now >= last.sent_at.plus(grace);
                if is_over && lives(row, abilities, now) { Self::Wait } else { Self::OnceMore(cause) }
            }
            // A server that fails, talks nonsense or is silent leaves the attempt open without ending the grant.
            Rotation::Strict
                if lives(row, abilities, now) || now < last.sent_at.plus(pause(mine().count())) =>
            {
                Self::Wait
            }
            Rotation::Strict => Self::OnceMore(cause),
        }
    }

    /// For how long it is [`Doubt::Wait`], if nothing changes meanwhile.
    pub(crate) fn wait(open: &[OpenRefresh], row: &GrantRow, abilities: &Abilities, now: Time) -> Duration {
        let mine = || open.iter().filter(|open| open.rt_version == row.grant.rt_version);
        let Some(last) = mine().next_back() else { return Duration::ZERO };
        let living = row.grant.access_expires_at.filter(|_| lives(row, abilities, now));
        let spared = living.map_or(Duration::ZERO, |end| now.until(end));
        match abilities.rotation {
            Rotation::None => Duration::ZERO,
            Rotation::Grace { seconds } => {
                let grace = Duration::from_secs(u64::from(seconds)).saturating_sub(MARGIN);
                if now >= last.sent_at.plus(grace) { spared } else { Duration::ZERO }
            }
            Rotation::Strict => spared.max(now.until(last.sent_at.plus(pause(mine().count())))),
        }
    }

    /// Why the grant is dead, if the provider now refuses the token.
    pub(crate) const fn cause(self) -> Option<Cause> {
        match self {
            Self::OnceMore(cause) => Some(cause),
            Self::None | Self::Wait => None,
        }
    }
}

/// As long as the access token lives there is something to lose: a provider that detects reuse kills it too. Once it
/// has ended there is nothing left to lose, and if the request never left, the token still works.
fn lives(row: &GrantRow, abilities: &Abilities, now: Time) -> bool {
    row.grant.access_expires_at.is_some_and(|end| end > now) && !abilities.old_access_dies
}

/// How long a token that was presented this often is left alone. Once more is at once; a server that keeps failing is asked
/// less and less, but found well within half a minute.
fn pause(tries: usize) -> Duration {
    match tries {
        0 | 1 => Duration::ZERO,
        2 => Duration::from_secs(5),
        3 => Duration::from_secs(10),
        4 => Duration::from_secs(20),
        _ => Duration::from_secs(30),
    }
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
            (Rotation::Strict, false, None, Some(attempt(3, 1, true)), lost),
        ] {
            let abilities = Abilities { rotation, old_access_dies: dies, ..Abilities::NONE };
            let open: Vec<_> = open.into_iter().collect();
            assert_eq!(Doubt::judge(&open, &row(access), &abilities, now), want, "{rotation:?} {open:?}");
        }
        // How long it is waited is how long it is to be waited.
        for (rotation, access, ago, want) in [
            (Rotation::Strict, Some(Time::from_secs(1007)), 1, 7),
            (Rotation::Strict, ended, 1, 0),
            (grace, Some(Time::from_secs(1007)), 25, 7),
            (grace, Some(Time::from_secs(1007)), 24, 0),
            (Rotation::None, alive, 1, 0),
        ] {
            let abilities = Abilities { rotation, ..Abilities::NONE };
            let wait = Doubt::wait(&[attempt(3, ago, true)], &row(access), &abilities, now);
            assert_eq!(wait.as_secs(), want, "{rotation:?} {access:?} {ago}");
        }
        // A server that keeps failing is asked less and less.
        let abilities = Abilities { rotation: Rotation::Strict, ..Abilities::NONE };
        for (tries, ago, want) in [
            (1, 0, lost),
            (2, 4, Doubt::Wait),
            (2, 5, lost),
            (3, 9, Doubt::Wait),
            (3, 10, lost),
            (4, 19, Doubt::Wait),
            (9, 29, Doubt::Wait),
            (9, 30, lost),
        ] {
            let open: Vec<_> = (0..tries).map(|_| attempt(3, ago, true)).collect();
            assert_eq!(Doubt::judge(&open, &row(ended), &abilities, now), want, "{tries} tries, {ago} s ago");
            let wait = Doubt::wait(&open, &row(ended), &abilities, now);
            assert_eq!(wait.is_zero(), want != Doubt::Wait, "{tries} tries, {ago} s ago: {wait:?}");
        }
    }
}
