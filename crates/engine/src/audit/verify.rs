//! Whether the audit log is whole, part by part.
//!
//! Found is what was taken out (the numbers are without gaps, and the head says which comes next) and where the particulars
//! were changed (a salted digest commits to them). Not looked at is everything else of an event: when, whose, who, what,
//! to what, how it ended, for which request. Whoever can write to the database can change that, or particulars
//! together with their digest, or write the log anew from some point on.

use carnet_model::Fault;
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_store::audit::{self, Proved};

use crate::broker::Broker;
use crate::faults;

/// What was found in one part of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditChecked {
    /// How many events were looked at.
    pub checked: u64,
    /// The number of the last of them.
    pub last: i64,
    /// Whether all events of the deployment were looked at; otherwise the team's own, whose numbers have gaps.
    pub whole: bool,
    /// Numbers that are missing, from and to.
    pub gaps: Vec<(i64, i64)>,
    /// Numbers of events whose particulars are not what they were.
    pub altered: Vec<i64>,
    /// How many particulars were erased.
    pub erased: u64,
    /// Where to go on.
    pub next: Option<i64>,
}

impl Broker {
    /// Looks at the events after `after`. Owners of the deployment's first team have the whole log looked at; others
    /// their own team's events.
    pub async fn verify_audit(&self, caller: &Caller, after: i64) -> Result<AuditChecked, Fault> {
        let member = self.may(caller, Right::AuditRead)?;
        let whole = self.operator(caller, Right::KeyVerify).await.is_ok();
        let team = (!whole).then_some(member.team);
        let db = &self.inner.db;
        // Before the events: one that is added meanwhile is not missing.
        let next = audit::next_seq(db).await.map_err(faults::store)?;
        // What is said to have been looked at already cannot be more than there is.
        let after = after.clamp(0, next.saturating_sub(1).max(0));
        let proofs = audit::proofs(db, team, after, BATCH).await.map_err(faults::store)?;
        let full = proofs.len() >= usize::try_from(BATCH).unwrap_or(usize::MAX);
        let mut found = AuditChecked { last: after, whole, ..AuditChecked::default() };
        for proof in &proofs {
            found.missing(proof.seq);
            found.last = proof.seq;
            found.checked += 1;
            match proof.check() {
                Proved::Kept => {}
                Proved::Erased => found.erased += 1,
                Proved::Altered => found.altered.push(proof.seq),
            }
        }
        if full {
            found.next = Some(found.last);
        } else {
            found.missing(next.max(found.last + 1));
        }
        Ok(found)
    }
}

impl AuditChecked {
    /// The numbers between the last event and this one.
    fn missing(&mut self, seq: i64) {
        if self.whole && seq > self.last + 1 {
            self.gaps.push((self.last + 1, seq - 1));
        }
    }
}

/// Events of one part: a few megabytes.
const BATCH: i64 = 10_000;
