//! How many token requests a team has had, what they cost, and the budget that somebody is told of.
//!
//! Counted is what was answered: a token that went out, in the write that records it. A refusal is not counted, nor what
//! a client has from its own cache. Where the plan says that there is an end to a month's requests, the store refuses the
//! one too many, in the same transaction; so it holds across processes, and exactly.

mod alert;
mod plans;

use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Code, Environment, Fault, Id, Month, Time, kind};
use carnet_store::Write;
use carnet_store::usage::{self, Budget, By, Share, Tally, Webhook};

use crate::broker::Broker;
use crate::faults;

pub use plans::{BadPlans, Plan, Plans, Price};

/// What to tell of a team's usage.
#[derive(Clone, Copy, Debug)]
pub struct UsageQuery {
    /// From which month on; the present one if left out.
    pub since: Option<Month>,
    /// By what it is told apart.
    pub by: By,
}

/// The usage of a team.
#[derive(Clone, Debug)]
pub struct Usage {
    /// The name of its plan.
    pub plan: String,
    /// What the plan says.
    pub terms: Plan,
    /// The present month.
    pub month: Month,
    /// Its requests so far.
    pub used: i64,
    /// From which month on the rest is told.
    pub since: Month,
    /// The months that had requests, the oldest first.
    pub months: Vec<(Month, i64)>,
    /// Who had them, the most first.
    pub shares: Vec<Share>,
    /// Provider events that were forwarded in the present month: one for each destination, and one for an event that had
    /// none.
    pub triggers: i64,
    /// To whom, from `since` on, the most first.
    pub trigger_shares: Vec<Share>,
    /// The budget, if one is set.
    pub budget: Option<Budget>,
}

/// A budget, as it is asked for.
#[derive(Clone, Debug)]
pub struct NewBudget {
    /// At how many token requests of a month somebody is told.
    pub requests: u32,
    /// Where to say so besides the audit log.
    pub webhook: Option<NewWebhook>,
}

/// Where an alert is to be sent, and for whom it is signed.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// The address.
    pub url: String,
    /// The project, by identifier or name.
    pub project: String,
    /// Its environment; production if left out.
    pub environment: Option<String>,
}

impl Broker {
    /// The caller's team's usage.
    pub async fn usage(&self, caller: &Caller, query: UsageQuery) -> Result<Usage, Fault> {
        let team = self.may(caller, Right::UsageRead)?.team;
        let db = &self.inner.db;
        let (plan, terms) = self.inner.settings.plans.of(team);
        let month = Month::of(self.inner.env.now());
        let since = query.since.unwrap_or(month);
        let months = usage::months(db, team, since).await.map_err(faults::store)?;
        Ok(Usage {
            plan: plan.to_owned(),
            terms,
            month,
            used: usage::of_month(db, team, month).await.map_err(faults::store)?,
            since,
            months: months.into_iter().map(|sum| (sum.month, sum.requests)).collect(),
            shares: usage::shares(db, team, since, query.by).await.map_err(faults::store)?,
            triggers: usage::triggers_between(db, team, month.first_day(), month.next().first_day())
                .await
                .map_err(faults::store)?,
            trigger_shares: usage::trigger_shares(db, team, since, query.by).await.map_err(faults::store)?,
            budget: usage::budget(db, team).await.map_err(faults::store)?,
        })
    }

    /// Sets the budget of the caller's team. Of the month that is under way it is told too, if it is reached already.
    pub async fn set_budget(
        &self,
        caller: &Caller,
        ask: NewBudget,
        request: Id<kind::Request>,
    ) -> Result<Budget, Fault> {
        let member = self.may(caller, Right::BudgetUpdate)?;
        if ask.requests == 0 {
            return Err(Fault::new(Code::InvalidRequest, "requests is at least 1.").with("field", "requests"));
        }
        let webhook = match ask.webhook {
            Some(webhook) => Some(self.budget_webhook(caller, webhook).await?),
            None => None,
        };
        let budget = Budget { team: member.team, requests: i64::from(ask.requests), webhook, alerted: None };
        let now = self.inner.env.now();
        let mut event = AuditEvent::of(caller, now, Action::BudgetSet, Some(request))
            .on(member.team)
            .with("requests", budget.requests);
        if let Some(webhook) = &budget.webhook {
            event = event.with("webhook", webhook.url.clone()).with("project", webhook.project.to_string());
        }
        let write = Write::new().step(usage::set_budget(&budget, now)).event(&self.inner.env, &event);
        self.inner.db.write(write).await.map_err(faults::store)?;
        Ok(budget)
    }

    /// Forgets the budget of the caller's team.
    pub async fn remove_budget(&self, caller: &Caller, request: Id<kind::Request>) -> Result<(), Fault> {
        let member = self.may(caller, Right::BudgetUpdate)?;
        let missing = || Fault::new(Code::NotFound, "The team has no budget.");
        let found = usage::budget(&self.inner.db, member.team).await.map_err(faults::store)?;
        found.ok_or_else(missing)?;
        let now = self.inner.env.now();
        let event = AuditEvent::of(caller, now, Action::BudgetRemove, Some(request)).on(member.team);
        let write = Write::new().step(usage::remove_budget(member.team)).event(&self.inner.env, &event);
        self.inner.db.write(write).await.map_err(faults::store)?;
        Ok(())
    }

    async fn budget_webhook(&self, caller: &Caller, ask: NewWebhook) -> Result<Webhook, Fault> {
        let url = self.receiver(&ask.url)?;
        let project = self.project(caller, &ask.project).await?;
        let environment = match ask.environment {
            Some(name) => self.known_environment(caller, &project, &name).await?,
            None => Environment::Production,
        };
        Ok(Webhook { url: url.into(), project: project.id, environment })
    }

    /// What a token for this caller counts as.
    pub(crate) fn tally(&self, caller: &Caller, connector: Id<kind::Connector>, at: Time) -> Tally {
        let (_, plan) = self.inner.settings.plans.of(caller.team());
        Tally {
            team: caller.team(),
            connector,
            project: caller.project(),
            user: caller.user(),
            at,
            most: plan.most(),
        }
    }

    /// Refuses early, before a provider is troubled, where the month is used up already.
    pub(crate) async fn has_requests_left(&self, tally: &Tally) -> Result<Result<(), Fault>, Fault> {
        let Some(most) = tally.most else { return Ok(Ok(())) };
        let used = usage::of_month(&self.inner.db, tally.team, Month::of(tally.at)).await;
        let used = used.map_err(faults::store)?;
        Ok(if used < most { Ok(()) } else { Err(self.used_up(tally)) })
    }

    /// The refusal of the one too many.
    pub(crate) fn used_up(&self, tally: &Tally) -> Fault {
        let (plan, _) = self.inner.settings.plans.of(tally.team);
        let next = Month::of(tally.at).next();
        let most = tally.most.unwrap_or_default();
        // Not as Retry-After: clients that sleep for as long as that says would sleep for weeks.
        Fault::new(
            Code::QuotaExceeded,
            format!(
                "The team's plan {plan:?} has {most} token requests a month, and they are used up until {next}-01 (UTC)."
            ),
        )
        .with("limit", most)
        .with("resetsAt", next.begins().millis())
        .next("carnet usage", "to see what used them")
    }
}

/// An event of a budget that is reached.
fn reached(budget: &Budget, month: Month, used: i64, now: Time) -> AuditEvent {
    AuditEvent::of_system(now, Action::BudgetReach)
        .in_team(budget.team)
        .on(budget.team)
        .ended(Outcome::Success)
        .with("month", month.to_string())
        .with("budget", budget.requests)
        .with("requests", used)
}
