//! When a grant is refreshed without being asked for: ahead of the end of its access token, so that callers seldom wait;
//! and, where the provider forgets refresh tokens that nobody uses, ahead of that, so that nobody is asked to consent
//! again for having been away.

use std::time::Duration;

use carnet_model::grant::Grant;
use carnet_model::{Id, Time, kind};

/// When it is due, if ever. `idle` is how long its provider remembers a refresh token that is not used.
pub(crate) fn due(grant: &Grant, idle: Option<Duration>) -> Option<Time> {
    if !grant.refreshable {
        return None;
    }
    let ahead = ahead_of_time(grant.id, grant.updated_at, grant.access_expires_at);
    let kept = forgotten_after(grant, idle).map(|after| keep_alive(grant, after));
    ahead.into_iter().chain(kept).min()
}

/// How long after its last refresh a grant is over: when its provider forgets what is not used, or when what it is renewed
/// with ends, of which each refresh brings another. Short ends are left to whoever uses the grant, and where each refresh
/// brings nothing but the same end, the tries become rare before it.
pub(crate) fn forgotten_after(grant: &Grant, idle: Option<Duration>) -> Option<Duration> {
    let life = grant.refresh_expires_at.map(|end| grant.updated_at.until(end));
    idle.into_iter().chain(life.filter(|life| *life >= SHORTEST)).min()
}

/// Before its last minute or tenth, and spread out by the grant's identifier so that grants made together are not
/// renewed together. Tokens that live shorter than two minutes are renewed when they are asked for.
pub(crate) fn ahead_of_time(
    grant: Id<kind::Grant>,
    now: Time,
    access_expires_at: Option<Time>,
) -> Option<Time> {
    let end = access_expires_at?;
    let life = now.until(end);
    if life < Duration::from_mins(2) {
        return None;
    }
    let margin = (life / 10).max(Duration::from_mins(1)).min(life / 2);
    let jitter = (life / 5).mul_f64(spread(grant));
    Some(end.minus(margin + jitter).max(now.plus(life / 4)))
}

/// Between half and three quarters of the time that the provider allows: what is left is for a provider, or a server of
/// ours, that is away for days.
pub(crate) fn keep_alive(grant: &Grant, idle: Duration) -> Time {
    grant.updated_at.plus(idle / 2 + (idle / 4).mul_f64(spread(grant.id)))
}

/// Lives of refresh tokens that are kept up without anybody using them.
const SHORTEST: Duration = Duration::from_hours(2 * 24);

/// From 0 to 1, always the same for the same grant.
fn spread(grant: Id<kind::Grant>) -> f64 {
    let last = grant.bytes().last_chunk().map_or(0, |last| u32::from_be_bytes(*last));
    f64::from(last) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use carnet_model::Environment;
    use carnet_model::grant::{GrantState, Place};

    use super::*;

    fn grant(n: u8, since: Time, access_expires_at: Option<Time>, refreshable: bool) -> Grant {
        let place = Place {
            team: Id::from_bytes([0; 16]),
            connector: Id::from_bytes([0; 16]),
            project: None,
            environment: Environment::Preview,
            subject: "user:u".to_owned(),
            installation: None,
        };
        Grant {
            id: Id::from_bytes([n; 16]),
            place,
            state: GrantState::Active,
            scopes: None,
            external_subject: None,
            access_expires_at,
            refresh_expires_at: None,
            refreshable,
            version: 1,
            rt_version: 1,
            created_at: since,
            updated_at: since,
        }
    }

    #[test]
    fn grants_made_together_are_not_renewed_together() {
        let now = Time::from_secs(1_000_000);
        let end = now.plus(Duration::from_hours(1));
        let due: Vec<i64> = (0..=255_u8)
            .filter_map(|n| ahead_of_time(Id::from_bytes([n; 16]), now, Some(end)))
            .map(Time::secs)
            .collect();
        assert_eq!(due.len(), 256);
        // Between 28 % and 10 % of the life before its end.
        assert!(due.iter().all(|at| (end.secs() - 1080..=end.secs() - 360).contains(at)));
        let distinct: std::collections::BTreeSet<_> = due.iter().collect();
        assert!(distinct.len() > 200);
        assert_eq!(
            ahead_of_time(Id::from_bytes([1; 16]), now, Some(now.plus(Duration::from_secs(119)))),
            None
        );
        assert_eq!(ahead_of_time(Id::from_bytes([1; 16]), now, None), None);
    }

    #[test]
    fn a_grant_is_kept_alive_well_before_its_provider_forgets_it() {
        let now = Time::from_secs(1_000_000);
        let (day, idle) = (Duration::from_hours(24), Duration::from_hours(24 * 30));
        let (early, late) = (now.plus(day * 15), now.plus(day * 23));
        let short = Some(now.plus(Duration::from_mins(1)));
        let hour = Some(now.plus(Duration::from_hours(1)));
        for n in [0, 1, 128, 255] {
            for access in [None, short] {
                let due = due(&grant(n, now, access, true), Some(idle)).unwrap();
                assert!(early <= due && due < late, "{n}: {due:?}");
            }
            let due_with = |idle| due(&grant(n, now, hour, true), idle);
            assert_eq!(due_with(Some(idle)), due_with(None), "the end of the token comes first");
            assert_eq!(
                due(&grant(n, now, hour, false), Some(idle)),
                None,
                "there is nothing to refresh with"
            );
        }
    }
}
