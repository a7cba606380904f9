//! Who is in a team, and as what.
//!
//! A team always has an owner whose account works: a change that would leave none is refused, also if two are made at
//! the same moment. Who is removed has nothing left in the team: access tokens and command lines end with the same commit, identities for
//! development are refused from then on, and what the person had consented to is withdrawn and revoked at the providers.

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::{Caller, Role};
use carnet_model::rights::Right;
use carnet_model::{Code, Fault, Id, Subject, kind};
use carnet_store::people::{self, TeamMember};
use carnet_store::{DbError, Write, access_tokens, grants};

use crate::access_tokens::{refused, standing};
use crate::broker::Broker;
use crate::faults;

impl Broker {
    /// The people in the caller's team, if that is what it is called.
    pub async fn members(&self, caller: &Caller, team: &str) -> Result<Vec<TeamMember>, Fault> {
        let member = self.may(caller, Right::MemberRead)?;
        let team = self.named_team(member, team).await?;
        people::members(&self.inner.db, team.id).await.map_err(faults::store)
    }

    /// Gives a member another role.
    pub async fn update_member(
        &self,
        caller: &Caller,
        team: &str,
        user: &str,
        role: Role,
        request: Id<kind::Request>,
    ) -> Result<TeamMember, Fault> {
        let member = self.may(caller, Right::MemberUpdate)?;
        let team = self.named_team(member, team).await?;
        let found = self.member_named(team.id, user).await?;
        if found.role == role {
            return Ok(found);
        }
        let now = self.inner.env.now();
        let event = AuditEvent::of(caller, now, Action::MemberUpdate, Some(request))
            .on(found.user.id)
            .with("from", found.role.as_str())
            .with("to", role.as_str());
        let write = Write::new()
            .step(people::hold(team.id))
            .steps(standing(member, now))
            .step(people::change_role(team.id, found.user.id, found.role, role))
            .step(people::has_owner(team.id))
            .event(&self.inner.env, &event)
            .revises();
        self.inner.db.write(write).await.map_err(|error| without_owner(error, &found))?;
        Ok(TeamMember { role, ..found })
    }

    /// Takes a person out of the team, with everything that the person has there.
    pub async fn remove_member(
        &self,
        caller: &Caller,
        team: &str,
        user: &str,
        request: Id<kind::Request>,
    ) -> Result<(), Fault> {
        let member = self.may(caller, Right::MemberRemove)?;
        let team = self.named_team(member, team).await?;
        let found = self.member_named(team.id, user).await?;
        let inner = &self.inner;
        let own = Subject::User { id: found.user.id.to_string(), issuer: None };
        let own = self.subject_key(&own);
        let given = grants::of_subject_everywhere(&inner.db, team.id, &own).await.map_err(faults::store)?;
        let now = inner.env.now();
        let event = AuditEvent::of(caller, now, Action::MemberRemove, Some(request))
            .on(found.user.id)
            .with("role", found.role.as_str())
            .with("grants", given.len());
        let why = "the person was removed from the team";
        let (lines, events) =
            self.ending_of_command_lines(found.user.id, Some(team.id), caller.principal(), why).await?;
        let write = Write::new()
            .step(people::hold(team.id))
            .steps(standing(member, now))
            .step(people::remove_member(team.id, found.user.id))
            .step(people::has_owner(team.id))
            .step(access_tokens::revoke_of_member(team.id, found.user.id, now))
            .steps(given.iter().map(|row| grants::withdraw(team.id, row.grant.id, now)))
            .steps(lines)
            .event(&inner.env, &event)
            .revises();
        let write = events.iter().fold(write, |write, event| write.event(&inner.env, event));
        inner.db.write(write).await.map_err(|error| without_owner(error, &found))?;
        self.tell_providers_later(given);
        Ok(())
    }

    /// A member by identifier or e-mail address.
    pub(crate) async fn member_named(&self, team: Id<kind::Team>, name: &str) -> Result<TeamMember, Fault> {
        let db = &self.inner.db;
        let missing =
            || faults::not_found("member", name).next("carnet members list", "to see who is in the team");
        let user = if let Ok(id) = Id::parse(name) {
            id
        } else {
            let found = people::user_by_email(db, name).await.map_err(faults::store)?;
            found.ok_or_else(missing)?.id
        };
        people::member(db, team, user).await.map_err(faults::store)?.ok_or_else(missing)
    }
}

/// What is told where [`people::has_owner`] stopped the write: it is the step after the change, which has its own answer.
fn without_owner(error: DbError, member: &TeamMember) -> Fault {
    match error {
        DbError::Unmet(step) if step == CHANGE + 1 => Fault::new(
            Code::Conflict,
            format!(
                "{} is the last owner: a team without one could not be managed by anybody.",
                member.user.email
            ),
        )
        .next("carnet members update EMAIL --role owner", "to make somebody else an owner first"),
        DbError::Unmet(step) if step == CHANGE => faults::store(DbError::Unmet(step)),
        error => refused(error),
    }
}

/// The place of the change in its write: after the hold and what [`standing`] adds.
const CHANGE: usize = 3;
