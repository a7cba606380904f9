//! People: who is asking, and which teams they have.

use carnet_model::access::Denied;
use carnet_model::caller::{Caller, Member, Role};
use carnet_model::{Fault, Id, kind};
use carnet_store::people::{self, Membership, Team, User};

use crate::broker::Broker;
use crate::faults;

impl Broker {
    /// The person behind the caller; workloads have none here.
    pub(crate) fn member_of<'a>(&self, caller: &'a Caller) -> Result<&'a Member, Fault> {
        match caller {
            Caller::Member(member) => Ok(member),
            Caller::Workload(_) => Err(faults::denied(Denied::WorkloadCannotManage, "", caller)),
        }
    }

    /// The person's role must be at least this.
    pub(crate) fn needs(&self, member: &Member, role: Role) -> Result<(), Fault> {
        // Owner comes first in the order of roles.
        if member.role <= role {
            Ok(())
        } else {
            Err(faults::denied(Denied::RoleTooLow(member.role), "", &Caller::Member(member.clone())))
        }
    }

    /// The caller's own account.
    pub async fn me(&self, caller: &Caller) -> Result<(User, Team), Fault> {
        let member = self.member_of(caller)?;
        let user = people::user(&self.inner.db, member.user).await.map_err(faults::store)?;
        let team = self.team(member.team).await?;
        Ok((user.ok_or_else(|| faults::not_found("person", &member.user.to_string()))?, team))
    }

    /// The teams that the caller's credential is good for.
    pub async fn my_teams(&self, caller: &Caller) -> Result<Vec<Membership>, Fault> {
        let member = self.member_of(caller)?;
        let teams = people::teams_of(&self.inner.db, member.user).await.map_err(faults::store)?;
        Ok(teams.into_iter().filter(|membership| membership.team.id == member.team).collect())
    }

    /// The caller's team, if that is what it is called.
    pub async fn my_team(&self, caller: &Caller, name: &str) -> Result<Team, Fault> {
        let team = self.team(caller.team()).await?;
        if team.id.to_string() == name || team.slug.as_str() == name {
            Ok(team)
        } else {
            Err(faults::not_found("team", name))
        }
    }

    pub(crate) async fn team(&self, id: Id<kind::Team>) -> Result<Team, Fault> {
        let team = people::team(&self.inner.db, id).await.map_err(faults::store)?;
        team.ok_or_else(|| faults::not_found("team", &id.to_string()))
    }
}
