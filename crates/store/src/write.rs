//! Changes: statements with what each must find, and the events that record them.

use aws_lc_rs::digest;
use carnet_model::Env;
use carnet_model::audit::AuditEvent;

use crate::row::{Sql, Value, json};
use crate::usage::Tally;

/// Counts changes of the rules (connectors, links, issuers, tokens, grants withdrawn), and between two of them the grants
/// that were renewed before their time: the first in its upper bits, the second in the 20 lower ones. It only grows.
pub type Revision = i64;

/// The bits of a revision that count renewals. A million of them with no change of the rules in between count as one.
const RENEWALS: u32 = 20;

/// Whether the rules are the same at both, whatever was renewed in between.
#[must_use]
pub const fn same_rules(one: Revision, other: Revision) -> bool {
    rules_of(one) == rules_of(other)
}

/// What counts changes of the rules alone.
#[must_use]
pub const fn rules_of(revision: Revision) -> i64 {
    revision >> RENEWALS
}

/// What a step must find; otherwise the whole write is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Any number of rows.
    Any,
    /// Exactly this many.
    Rows(u64),
}

/// One statement of a write.
#[derive(Debug)]
pub struct Step {
    pub(crate) sql: Sql,
    pub(crate) args: Vec<Value>,
    pub(crate) expect: Expect,
}

impl Step {
    /// A statement that may touch any number of rows.
    pub fn any(sql: impl Into<Sql>, args: Vec<Value>) -> Self {
        Self { sql: sql.into(), args, expect: Expect::Any }
    }

    /// A statement that must touch exactly one row: the compare-and-swap of this store.
    pub fn one(sql: impl Into<Sql>, args: Vec<Value>) -> Self {
        Self { sql: sql.into(), args, expect: Expect::Rows(1) }
    }

    /// A statement that must touch no row.
    pub fn none(sql: impl Into<Sql>, args: Vec<Value>) -> Self {
        Self { sql: sql.into(), args, expect: Expect::Rows(0) }
    }
}

/// A change: all of it or nothing.
#[derive(Debug, Default)]
pub struct Write {
    pub(crate) steps: Vec<Step>,
    pub(crate) events: Vec<EventRow>,
    pub(crate) revises: bool,
    pub(crate) renews: bool,
    pub(crate) only_at: Option<At>,
    pub(crate) tally: Option<Tally>,
}

impl Write {
    /// A write without steps and events.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a statement.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Adds statements.
    #[must_use]
    pub fn steps(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.steps.extend(steps);
        self
    }

    /// Adds the statements and events of another one behind its own.
    #[must_use]
    pub fn also(mut self, other: Self) -> Self {
        self.steps.extend(other.steps);
        self.events.extend(other.events);
        self.revises |= other.revises;
        self.renews |= other.renews;
        self
    }

    /// Adds an audit event.
    #[must_use]
    pub fn event(mut self, env: &Env, event: &AuditEvent) -> Self {
        self.events.push(EventRow::new(env, event));
        self
    }

    /// Says that this changes the rules by which callers are recognised and requests decided.
    #[must_use]
    pub fn revises(mut self) -> Self {
        self.revises = true;
        self
    }

    /// Says that a grant was renewed before its time: what is served of it from memory may be dead. The rules stay as they
    /// are.
    #[must_use]
    pub fn renews(mut self) -> Self {
        self.renews = true;
        self
    }

    /// Counts a token request, if this is committed. Refused with [`crate::DbError::Spent`] if the team may have no more.
    #[must_use]
    pub fn count(mut self, tally: Tally) -> Self {
        self.tally = Some(tally);
        self
    }

    /// Commits only if the rules are still those of `revision`; otherwise fails with [`crate::DbError::Stale`].
    #[must_use]
    pub fn only_at(mut self, revision: Revision) -> Self {
        self.only_at = Some(At { revision, just: false });
        self
    }

    /// The same, and only if no grant was renewed before its time since.
    #[must_use]
    pub fn only_just_at(mut self, revision: Revision) -> Self {
        self.only_at = Some(At { revision, just: true });
        self
    }

    /// Whether it was made for another revision than the present one.
    pub(crate) fn is_stale(&self, present: Revision) -> bool {
        self.only_at.is_some_and(|at| {
            if at.just { at.revision != present } else { !same_rules(at.revision, present) }
        })
    }

    /// The revision after it.
    pub(crate) const fn moved(&self, present: Revision) -> Revision {
        if self.revises {
            (rules_of(present) + 1) << RENEWALS
        } else if self.renews {
            present + 1
        } else {
            present
        }
    }
}

/// For which revision a write was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    revision: Revision,
    /// Whether a renewal makes it too old as well.
    just: bool,
}

/// What a committed write tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The revision after it.
    pub revision: Revision,
    /// The sequence number of its first event, if it had any.
    pub first_seq: Option<i64>,
}

/// An event ready for its table: the parameters of [`INSERT_EVENT`]. Made by the caller, so that the writer only gives
/// it its place. The payload can be erased later; what is committed to stays.
#[derive(Debug)]
pub(crate) struct EventRow(Vec<Value>);

impl EventRow {
    fn new(env: &Env, event: &AuditEvent) -> Self {
        let salt = env.bytes::<32>();
        let payload = json(&event.detail);
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(&salt);
        hash.update(payload.as_bytes());
        let commitment = hash.finish().as_ref().to_vec();
        Self(crate::row::args![
            UNPLACED,
            event.at,
            event.team,
            json(&event.actor),
            event.action.as_str(),
            event.target.clone(),
            event.outcome.as_str(),
            event.request,
            commitment,
            salt,
            payload,
        ])
    }

    /// The parameters at this place in the log.
    pub(crate) fn at(&mut self, seq: i64) -> &[Value] {
        if let Some(place) = self.0.first_mut() {
            *place = Value::Int(seq);
        }
        &self.0
    }

    /// The parameters, at the place given last.
    pub(crate) fn args(&self) -> &[Value] {
        &self.0
    }
}

/// No event has this number; the log begins with 1.
const UNPLACED: i64 = 0;

pub(crate) const INSERT_EVENT: &str = "insert into audit_events \
    (seq, at, team, actor, action, target, outcome, request, commitment, salt, payload) \
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

/// Locks the head of the log. Always the last lock a write takes, so that two writes cannot wait for each other.
pub(crate) const HEAD: Sql = Sql {
    lite: "select next_seq, revision from audit_head where one = 1",
    pg: "select next_seq, revision from audit_head where one = 1 for update",
};

pub(crate) const MOVE_HEAD: &str = "update audit_head set next_seq = $1, revision = $2 where one = 1";
