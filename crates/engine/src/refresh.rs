//! Refreshing a grant: one flight at a time, in this process and across processes, and nothing lost on the way.
//!
//! 1. A lease on the grant's row, with a fence that grows, and the intent to present the refresh token: one durable
//!    write. If the store cannot take it, the token is not presented.
//! 2. The provider is called, and the lease held for as long as that takes. The request is never repeated by the client.
//! 3. What it answered is committed, if the fence and the version are still those of the lease, before anybody gets the
//!    token. If not, the new tokens are kept as an orphan, because they may be the only valid ones.
//!
//! A provider that does not answer, answers with nonsense or asks to wait never marks a grant dead. Whether a token may
//! be presented again after an answer was lost follows from the provider's rotation class ([`doubt`]).
//!
//! The work runs as a tracked task: a caller who hangs up does not stop it, and shutdown waits for it.

mod disbelief;
mod doubt;
mod due;
mod outcome;

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::failpoint::Point;
use carnet_model::grant::{GrantState, Rotation};
use carnet_model::{Id, Time, kind};
use carnet_providers::{DriverError, MintAsk, Minted};
use carnet_store::grants::{self, GrantRow};
use carnet_store::refreshes::{self, OpenRefresh};
use carnet_store::{DbError, Write, pass};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::directory::Entry;
use crate::pace::{Place, TooLong};
use crate::rates::TooFast;

pub(crate) use doubt::Doubt;
pub(crate) use due::{ahead_of_time, due, forgotten_after, keep_alive};
pub(crate) use outcome::RenewFailure;

/// What is under way in this process.
#[derive(Default)]
pub(crate) struct Flights {
    renewals: Mutex<HashMap<Id<kind::Grant>, Arc<Flight>>>,
    turns: Mutex<HashMap<Id<kind::Grant>, Arc<tokio::sync::Mutex<()>>>>,
    /// Those whose new tokens are in hand, and which the store does not take.
    unrecorded: Mutex<HashSet<Id<kind::Grant>>>,
    /// One has come to these. Those who wait are told in the order in which they came.
    one_came: Notify,
}

/// A renewal, and what came of it. Those who wait for it are told in the order in which they came.
#[derive(Default)]
struct Flight {
    over: CancellationToken,
    result: OnceLock<Result<GrantRow, RenewFailure>>,
}

/// The end of a renewal, however it comes.
struct Landing {
    broker: Broker,
    grant: Id<kind::Grant>,
    flight: Arc<Flight>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let renewals = &self.broker.inner.flights.renewals;
        renewals.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.grant);
        self.flight.over.cancel();
    }
}

/// What a refresh brought: the grant as it is now, and the token if one was made by this very refresh.
pub(crate) struct Refreshed {
    pub(crate) row: GrantRow,
    pub(crate) minted: Option<Minted>,
}

impl Flights {
    /// Whether a renewal of this grant is under way in this process.
    pub(crate) fn is_under_way(&self, grant: Id<kind::Grant>) -> bool {
        self.renewals.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&grant)
    }

    /// Whoever waits for this grant is told that the store does not answer: nothing is handed out before it is recorded.
    fn not_recorded(&self, grant: Id<kind::Grant>) {
        self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).insert(grant);
        self.one_came.notify_waiters();
    }

    fn is_unrecorded(&self, grant: Id<kind::Grant>) -> bool {
        self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).contains(&grant)
    }

    /// The work on this grant is over, however it ended.
    fn over(&self, grant: Id<kind::Grant>) {
        self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).remove(&grant);
    }

    /// What comes of `work` on this grant, unless its end waits for the store.
    async fn recorded<T>(
        &self,
        grant: Id<kind::Grant>,
        work: impl Future<Output = Result<T, RenewFailure>>,
    ) -> Result<T, RenewFailure> {
        let mut work = pin!(work);
        loop {
            let mut one_came = pin!(self.one_came.notified());
            // Counted from here on, so that none that comes after the look is missed.
            one_came.as_mut().enable();
            if self.is_unrecorded(grant) {
                return Err(no_store());
            }
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = one_came => {}
            }
        }
    }

    fn turn(&self, grant: Id<kind::Grant>) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() > 1024 {
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        turns.entry(grant).or_default().clone()
    }
}

impl Broker {
    /// The grant with an access token that lives beyond `until`, or the newest there can be. All who ask at the same
    /// time wait for the same refresh.
    pub(crate) async fn renew(
        &self,
        entry: Arc<Entry>,
        row: &GrantRow,
        until: Time,
        urgency: Urgency,
    ) -> Result<GrantRow, RenewFailure> {
        let id = row.grant.id;
        let (flight, begins) = {
            let mut renewals = self.inner.flights.renewals.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(under_way) = renewals.get(&id) {
                (under_way.clone(), false)
            } else if let Err(TooFast { wait, .. }) = self.may_begin(id, &urgency) {
                return Err(RenewFailure::Row { wait });
            } else {
                (renewals.entry(id).or_default().clone(), true)
            }
        };
        if begins {
            let (broker, row) = (self.clone(), row.clone());
            let landing = Landing { broker: self.clone(), grant: id, flight: flight.clone() };
            self.track(async move {
                let result = broker.refresh_grant(&entry, &row, Goal::Token { until }, urgency).await;
                broker.inner.flights.over(id);
                let _ = landing.flight.result.set(result.map(|refreshed| refreshed.row));
            });
        }
        let told = async {
            flight.over.cancelled().await;
            flight.result.get().cloned().unwrap_or(Err(RenewFailure::Busy))
        };
        self.inner.flights.recorded(id, told).await
    }

    /// Whether a renewal may begin now that nobody needs: a caller that wants a longer life than the provider gives would
    /// have one made with every request.
    pub(crate) fn may_begin(&self, grant: Id<kind::Grant>, urgency: &Urgency) -> Result<(), TooFast> {
        match urgency {
            Urgency::Wish => self.inner.wishes.take(grant, WISHES, self.inner.env.now()),
            Urgency::Now | Urgency::Ahead(_) => Ok(()),
        }
    }

    /// A token with less power than the grant, made by refreshing it.
    pub(crate) async fn narrow(
        &self,
        entry: Arc<Entry>,
        row: &GrantRow,
        ask: MintAsk,
    ) -> Result<Minted, RenewFailure> {
        let broker = self.clone();
        let (entry_of_work, row_of_work) = (entry.clone(), row.clone());
        let id = row.grant.id;
        // Each would stand in the row for a refresh of its own.
        if self.inner.flights.is_unrecorded(id) {
            return Err(no_store());
        }
        let work = self.track(async move {
            let result =
                broker.refresh_grant(&entry_of_work, &row_of_work, Goal::Narrowed(ask), Urgency::Now).await;
            broker.inner.flights.over(id);
            result
        });
        let told = async { work.await.unwrap_or(Err(RenewFailure::Busy)) };
        let error = match self.inner.flights.recorded(id, told).await {
            Ok(refreshed) => return refreshed.minted.ok_or(RenewFailure::Busy),
            Err(RenewFailure::Provider(error)) => error,
            Err(failure) => return Err(failure),
        };
        let DriverError::Gone { vendor: Some(vendor), .. } = &*error else {
            return Err(RenewFailure::Provider(error));
        };
        // Some providers answer with the end of the grant when only this target or these scopes cannot be had. Whether
        // the grant is dead is asked by a refresh that wants nothing in particular.
        let refused = DriverError::Refused { vendor: vendor.clone() };
        match self.renew(entry, row, Time::FAR_FUTURE, Urgency::Now).await {
            Err(dead @ RenewFailure::Consent(_)) => Err(dead),
            _ => Err(RenewFailure::Provider(Arc::new(refused))),
        }
    }

    async fn refresh_grant(
        &self,
        entry: &Entry,
        seen: &GrantRow,
        goal: Goal,
        urgency: Urgency,
    ) -> Result<Refreshed, RenewFailure> {
        let (team, id) = (seen.grant.place.team, seen.grant.id);
        let turn = self.inner.flights.turn(id);
        let _mine = turn.lock().await;
        let mut deadline = Instant::now() + DEADLINE;
        let mut pause = POLL_FIRST;
        let pace = self.inner.paces.of(entry.line());
        // Whether the place was called from already.
        let mut called = false;
        let mut place = match urgency {
            Urgency::Now | Urgency::Wish => None,
            Urgency::Ahead(place) => Some(place),
        };
        loop {
            let row = grants::find(&self.inner.db, team, id).await?.ok_or(RenewFailure::Consent(None))?;
            match row.grant.state {
                GrantState::Active => {}
                GrantState::NeedsConsent { cause, .. } => return Err(RenewFailure::Consent(Some(cause))),
                GrantState::Withdrawn { .. } => return Err(RenewFailure::Consent(None)),
            }
            if let Goal::Token { until } = &goal {
                let lives = row.grant.access_expires_at.is_none_or(|end| end > *until);
                // Somebody else has refreshed since this was asked for; with tokens that live shorter than the caller
                // would like, one more refresh would not help. With one that came too late and is old, it does.
                let refreshed =
                    row.grant.rt_version > seen.grant.rt_version && row.grant.is_fresh(self.inner.env.now());
                if refreshed || (lives && row.grant.version > seen.grant.version) {
                    return Ok(Refreshed { row, minted: None });
                }
            }
            if Instant::now() >= deadline {
                return Err(RenewFailure::Busy);
            }
            // Whoever holds the lease, perhaps only because it died with it, brings nothing newer than what is there.
            if self.adopt_for(&row).await? {
                continue;
            }
            let now = self.inner.db.clock(&self.inner.env).await?;
            if row.is_leased(now) {
                place = None;
                tokio::time::sleep(pause + self.inner.env.jitter(pause)).await;
                pause = (pause * 2).min(POLL_LAST);
                continue;
            }
            let open = refreshes::open_of(&self.inner.db, team, id).await?;
            if open.iter().any(|attempt| attempt.fence > row.fence) {
                // Begun by somebody else since the row was read: it is under way, not lost.
                continue;
            }
            let doubt = match Doubt::judge(&open, &row, &entry.abilities, now) {
                Doubt::Wait => {
                    let wait = Doubt::wait(&open, &row, &entry.abilities, now);
                    return Err(RenewFailure::InDoubt { wait });
                }
                doubt => doubt,
            };
            if let Some(error) = self.inner.breakers.refusal(entry.line(), self.inner.env.now()) {
                return Err(RenewFailure::Provider(Arc::new(error)));
            }
            if let Some(wait) = self.inner.brakes.wait(entry.line(), id, self.inner.env.now()) {
                return Err(RenewFailure::ManyRefused { wait });
            }
            if place.is_none() {
                (place, called) = (pace.place_now(), false);
            }
            if place.is_none() {
                // Waiting for a place takes as long as others' calls. A lease, and a judgement, from before the wait
                // would be over before they begin, so everything is looked at again.
                let next = pace.place(deadline).await;
                place = Some(next.map_err(|TooLong(wait)| RenewFailure::Row { wait })?);
                continue;
            }
            if std::mem::take(&mut called) {
                pace.once_more().await;
                continue;
            }
            let Some(operation) = self.intend(&row, now).await? else {
                // Whoever was faster is at it now, and takes the time of a call.
                tokio::time::sleep(pause + self.inner.env.jitter(pause)).await;
                continue;
            };
            match self.present(entry, &row, &operation, &goal, doubt).await? {
                Presented::Done(refreshed) => return Ok(*refreshed),
                // A call may take longer than the whole wait for one; what it left to be done has time of its own.
                Presented::Again => (called, deadline) = (true, Instant::now() + DEADLINE),
            }
        }
    }

    /// Takes the lease and records the intent. `None` if somebody was faster.
    async fn intend(&self, row: &GrantRow, now: Time) -> Result<Option<OpenRefresh>, RenewFailure> {
        let inner = &self.inner;
        let operation = OpenRefresh {
            id: inner.env.id(),
            team: row.grant.place.team,
            grant: row.grant.id,
            fence: row.fence + 1,
            rt_version: row.grant.rt_version,
            sent_at: now,
            lost: false,
        };
        let event = AuditEvent::of_system(inner.env.now(), Action::GrantRefreshStart)
            .in_team(operation.team)
            .on(operation.grant)
            .with("operation", operation.id.to_string());
        pass(&inner.env, Point::RefreshIntend).await?;
        let write = Write::new()
            .step(grants::lease(row, inner.seat.node, now, now.plus(LEASE)))
            .step(refreshes::intend(&operation))
            .event(&inner.env, &event);
        match inner.db.write(write).await {
            Ok(_) => Ok(Some(operation)),
            Err(DbError::Unmet(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Holds on to the lease while the provider takes its time, for as long as nobody else has taken it.
    async fn hold_on(&self, operation: &OpenRefresh) -> Infallible {
        let inner = &self.inner;
        loop {
            tokio::time::sleep(LEASE / 3).await;
            let held = async {
                let until = inner.db.clock(&inner.env).await?.plus(LEASE);
                let hold = grants::hold(operation.team, operation.grant, operation.fence, until);
                inner.db.write(Write::new().step(hold)).await.map(drop)
            };
            match held.await {
                Ok(()) => {}
                Err(DbError::Unmet(_)) => return std::future::pending().await,
                // It is tried again before the lease ends; if it does end, the fence decides.
                Err(error) => tracing::debug!(grant = %operation.grant, %error, "a lease could not be held"),
            }
        }
    }

    /// Presents the refresh token and records what came of it.
    async fn present(
        &self,
        entry: &Entry,
        row: &GrantRow,
        operation: &OpenRefresh,
        goal: &Goal,
        doubt: Doubt,
    ) -> Result<Presented, RenewFailure> {
        if let Err(error) = pass(&self.inner.env, Point::RefreshIntended).await {
            self.strike_out(row, operation).await;
            return Err(error.into());
        }
        let secret = match self.inner.open_grant(&row.grant, &row.held) {
            Ok(secret) => secret,
            Err(error) => {
                self.strike_out(row, operation).await;
                return Err(RenewFailure::Store(Arc::new(DbError::Refused(Box::new(error)))));
            }
        };
        let whole = MintAsk::Refresh {
            scopes: None,
            resources: Vec::new(),
            audience: Vec::new(),
            details: Vec::new(),
        };
        let ask = match goal {
            Goal::Token { .. } => &whole,
            Goal::Narrowed(ask) => ask,
        };
        let lost = || DriverError::Lost;
        let call = tokio::time::timeout(
            patience(entry.abilities.rotation),
            self.mint(entry, Some(&secret.held), ask),
        );
        let mut answer = tokio::select! {
            biased;
            answer = call => answer.unwrap_or_else(|_| Err(lost())),
            never = self.hold_on(operation) => match never {},
        };
        if answer.is_ok() && pass(&self.inner.env, Point::RefreshAnswered).await.is_err() {
            answer = Err(lost());
        }
        match answer {
            Ok(minted) => {
                let flawed = minted.flawed;
                match self.renewed(entry, row, operation, secret, minted, goal).await? {
                    // What the grant is renewed with is kept, and whoever waits hears that the answer was none.
                    Presented::Done(_) if flawed => {
                        let what =
                            "beside a refresh token, which is kept, it has no token that could be used";
                        let none = DriverError::Garbage { in_doubt: false, what };
                        Err(RenewFailure::Provider(Arc::new(none)))
                    }
                    presented => Ok(presented),
                }
            }
            Err(error) => self.not_renewed(entry, row, operation, error, doubt, goal).await,
        }
    }
}

fn no_store() -> RenewFailure {
    let why = "refreshed tokens could not be recorded yet".to_owned();
    RenewFailure::Store(Arc::new(DbError::Unavailable(why)))
}

/// Who waits for a refresh.
pub(crate) enum Urgency {
    /// Somebody does: it takes its place in the row.
    Now,
    /// The same, of somebody who would have a token that still lives otherwise.
    Wish,
    /// Nobody does; it has a place that nobody else wanted.
    Ahead(Place),
}

/// What a refresh is for.
enum Goal {
    /// An access token that lives beyond this time.
    Token { until: Time },
    /// One with less power, which is not kept with the grant.
    Narrowed(MintAsk),
}

enum Presented {
    Done(Box<Refreshed>),
    /// Somebody changed the grant meanwhile, or the same token may be presented once more.
    Again,
}

/// How long a lease lasts that nobody holds on to: several tries to hold it, and shorter than the smallest grace of a
/// provider with a sweep on top.
pub(crate) const LEASE: Duration = Duration::from_secs(15);
/// How often in a minute a grant is renewed because somebody would like a token that lives longer than the one there is.
/// Whoever has good reason to, after a refusal of the API, needs one or two.
const WISHES: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);
/// How long the provider has to answer a refresh. Whoever hangs up on one that takes a refresh token once loses what it was
/// about to give; within a grace there must be time to present it again, several times. Callers are told earlier.
fn patience(rotation: Rotation) -> Duration {
    match rotation {
        Rotation::None => CALL,
        Rotation::Grace { seconds } => Duration::from_secs(u64::from(seconds) / 6).clamp(CALL, LONG_CALL),
        Rotation::Strict => LONG_CALL,
    }
}

const CALL: Duration = Duration::from_secs(8);
/// With what drivers ask besides.
const LONG_CALL: Duration = Duration::from_secs(32);
/// How long a stop waits for what is under way: for the longest call there is, and what is recorded of it. Whoever is ended
/// sooner, with a refresh token on its way that is taken once, may have lost what came for it.
pub const STOPS_WITHIN: Duration = LONG_CALL.saturating_add(Duration::from_secs(4));
/// How long a flight waits for others before it gives up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
const POLL_FIRST: Duration = Duration::from_millis(25);
const POLL_LAST: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_waits_for_the_longest_refresh_there_is() {
        for rotation in [Rotation::None, Rotation::Grace { seconds: u32::MAX }, Rotation::Strict] {
            assert!(patience(rotation) < STOPS_WITHIN, "{rotation:?}");
        }
    }
}
