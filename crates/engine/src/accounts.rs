//! Accounts of people, across teams: in the hands of the owners of the team that set the deployment up.

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Code, Fault, Id, kind};
use carnet_store::people::{self, User};
use carnet_store::{DbError, Write, access_tokens, passphrase_resets, sessions};

use crate::access_tokens::{refused, standing};
use crate::broker::Broker;
use crate::faults;

impl Broker {
    /// Everybody who has an account, by e-mail address, from the one after `after`.
    pub async fn accounts(
        &self,
        caller: &Caller,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<User>, Fault> {
        self.operator(caller, Right::AccountRead).await?;
        let limit = i64::from(limit.clamp(1, 100));
        people::users(&self.inner.db, after.unwrap_or_default(), limit).await.map_err(faults::store)
    }

    /// Lets nobody act as a person, in any team, until it is undone. The person's access tokens and command lines end for
    /// good.
    pub async fn set_account_disabled(
        &self,
        caller: &Caller,
        user: &str,
        disabled: bool,
        request: Id<kind::Request>,
    ) -> Result<User, Fault> {
        let member = self.operator(caller, Right::AccountDisable).await?;
        let inner = &self.inner;
        let missing = || Fault::new(Code::NotFound, "There is no such account.");
        let id = Id::parse(user).map_err(|_| missing())?;
        let found = people::user(&inner.db, id).await.map_err(faults::store)?.ok_or_else(missing)?;
        if id == member.user {
            return Err(Fault::new(
                Code::Conflict,
                "Nobody disables their own account: another owner of the first team does.",
            ));
        }
        if found.disabled_at.is_some() == disabled {
            return Ok(found);
        }
        let now = inner.env.now();
        let action = if disabled { Action::AccountDisable } else { Action::AccountEnable };
        let event = AuditEvent::of(caller, now, action, Some(request)).on(id);
        let mut write = Write::new().steps(standing(member, now)).event(&inner.env, &event);
        // The log of every team that the person is in says it.
        for membership in people::teams_of(&inner.db, id).await.map_err(faults::store)? {
            if membership.team.id != member.team {
                write = write.event(&inner.env, &event.clone().in_team(membership.team.id));
            }
        }
        let write = if disabled {
            let why = "the account was disabled";
            let (lines, events) = self.ending_of_command_lines(id, None, caller.principal(), why).await?;
            events
                .iter()
                .fold(write, |write, event| write.event(&inner.env, event))
                .step(people::disable(id, now))
                .step(access_tokens::revoke_of_person(id, now))
                .step(sessions::end_others(id, None))
                .step(passphrase_resets::withdraw(id))
                .steps(lines)
        } else {
            write.step(people::enable(id))
        };
        match inner.db.write(write.revises()).await {
            Ok(_) => Ok(User { disabled_at: disabled.then_some(now), ..found }),
            Err(error @ DbError::Unmet(2)) => Err(faults::store(error)),
            Err(error) => Err(refused(error)),
        }
    }
}
