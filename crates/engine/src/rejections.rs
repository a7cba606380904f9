//! Rejected workload identities, and rejected access tokens that are known, in the audit log, folded.
//!
//! Whoever reaches this server can send tokens, and the whole world can get genuine ones from a public CI service. If each
//! refusal were an event, a stranger could fill the log. So for each trusted issuer, or access token, and reason one event a
//! minute is recorded; it says how many were not since the one before.
//!
//! Not promised: that the count of the last minutes is recorded before another refusal comes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::{Fault, Id, Time, kind};
use serde_json::{Map, Value};

use crate::broker::Broker;

/// Why a token got nobody recognised, as far as the log may know: nothing in it is the token's own text, but for the
/// claims of one that is genuine.
pub(crate) struct Rejection {
    /// What said no: `token` or `trust-rule`.
    pub(crate) rule: &'static str,
    /// The reason: words of ours.
    pub(crate) why: String,
    /// Particulars.
    pub(crate) detail: Map<String, Value>,
}

/// What was recorded when.
#[derive(Default)]
pub(crate) struct Rejections(Mutex<HashMap<Key, Folded>>);

/// Who was refused, and the reason. There are as many reasons as sentences of ours, and as many of whom as rows in the
/// store.
type Key = (Whose, String);

/// What stands behind a credential that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Whose {
    /// Nothing that is known here.
    Stranger,
    /// An issuer that a team trusts.
    Issuer(Id<kind::TrustedIssuer>),
    /// A connector, to which something came that is no event of its provider.
    Connector(Id<kind::Connector>),
    /// An access token of a team.
    AccessToken(Id<kind::AccessToken>),
    /// Anything else of this team.
    Team(Id<kind::Team>),
}

struct Folded {
    recorded_at: Time,
    unrecorded: u64,
}

impl Rejections {
    /// Whether this one is to be recorded, and how many were not since the last.
    fn fold(&self, key: Key, now: Time) -> Option<u64> {
        let mut folded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match folded.get_mut(&key) {
            // A clock that was set back silences nobody.
            Some(last) if now >= last.recorded_at && last.recorded_at.until(now) < PAUSE => {
                last.unrecorded += 1;
                None
            }
            Some(last) => {
                last.recorded_at = now;
                Some(std::mem::take(&mut last.unrecorded))
            }
            None => {
                folded.insert(key, Folded { recorded_at: now, unrecorded: 0 });
                Some(0)
            }
        }
    }

    /// The same for what arrives at a connector and is no event of its provider.
    pub(crate) fn fold_trigger(
        &self,
        connector: Id<kind::Connector>,
        why: &'static str,
        now: Time,
    ) -> Option<u64> {
        self.fold((Whose::Connector(connector), why.to_owned()), now)
    }

    /// Drops what is known of an issuer that is trusted no more.
    pub(crate) fn forget(&self, issuer: Id<kind::TrustedIssuer>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(whose, _), _| *whose != Whose::Issuer(issuer));
    }
}

impl Broker {
    /// Records a rejection in the log of the team whose issuer it was, or in the deployment's own. When this returns `Ok`
    /// it is durable, or counted.
    pub(crate) async fn reject(
        &self,
        by: Option<(Id<kind::Team>, Id<kind::TrustedIssuer>)>,
        rejection: Rejection,
    ) -> Result<(), Fault> {
        let now = self.inner.env.now();
        let mut event = AuditEvent::of_system(now, Action::CallerReject);
        let mut whose = Whose::Stranger;
        if let Some((team, issuer)) = by {
            event = event.in_team(team).on(issuer);
            whose = Whose::Issuer(issuer);
        }
        self.reject_known(event, whose, rejection).await
    }

    /// The same of somebody who is known: `event` says in which team, and who.
    pub(crate) async fn reject_known(
        &self,
        event: AuditEvent,
        whose: Whose,
        rejection: Rejection,
    ) -> Result<(), Fault> {
        let key = (whose, rejection.why.clone());
        let Some(unrecorded) = self.inner.rejections.fold(key, event.at) else { return Ok(()) };
        let mut event = event.ended(Outcome::Denied).with("rule", rejection.rule).with("why", rejection.why);
        if unrecorded > 0 {
            event = event.with("unrecorded", unrecorded);
        }
        for (name, value) in rejection.detail {
            event = event.with(&name, value);
        }
        self.record(event).await
    }
}

/// One event a minute, for each issuer and reason.
const PAUSE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rejection_a_minute_is_recorded_and_the_rest_counted() {
        let rejections = Rejections::default();
        let issuer = Id::<kind::TrustedIssuer>::from_bytes([1; 16]);
        let at = |seconds: i64| Time::from_secs(1_800_000_000 + seconds);
        let fold =
            |why: &str, seconds: i64| rejections.fold((Whose::Issuer(issuer), why.to_owned()), at(seconds));
        assert_eq!(fold("expired", 0), Some(0));
        for second in 0..60 {
            assert_eq!(fold("expired", second), None);
        }
        assert_eq!(fold("audience", 30), Some(0), "another reason is another event");
        assert_eq!(fold("expired", 60), Some(60));
        assert_eq!(fold("expired", 120), Some(0));
        assert_eq!(fold("expired", 10), Some(0), "a clock set back");
        rejections.forget(issuer);
        assert_eq!(rejections.fold((Whose::Issuer(issuer), "expired".to_owned()), at(11)), Some(0));
    }
}
