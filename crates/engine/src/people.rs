//! People: who is asking, and which teams they have.

use carnet_model::access::Denied;
use carnet_model::caller::{Caller, Login, Member};
use carnet_model::rights::{self, Access, Right};
use carnet_model::{Code, Fault, Id, kind};
use carnet_store::people::{self, Membership, Team, User};

use crate::broker::Broker;
use crate::faults;

impl Broker {
    /// The person behind the caller, who may use this right. Every verb for people begins with it; a workload has no
    /// rights of this kind.
    pub(crate) fn may<'a>(&self, caller: &'a Caller, right: Right) -> Result<&'a Member, Fault> {
        let denied = |denied| faults::denied(denied, "", caller, &[]);
        match caller {
            Caller::Member(member) => {
                rights::decide(member, right).map_err(denied)?;
                // A browser may have been left open, and what a command line keeps may be in other hands.
                if right.takes(&member.login, member.login.is_fresh(self.inner.env.now())) {
                    return Ok(member);
                }
                let fault = Fault::new(
                    Code::Forbidden,
                    format!(
                        "Sign in again to use the right {}: it is a while since you did.",
                        right.as_str()
                    ),
                )
                .with("right", right.as_str())
                .with("signInAgain", true);
                Err(match member.login {
                    Login::CommandLine { .. } => {
                        fault.next("carnet login", "to sign in again, which is good for ten minutes")
                    }
                    Login::Session { .. } | Login::AccessToken(_) => fault,
                })
            }
            Caller::Workload(_) => Err(denied(Denied::WorkloadCannotManage(right))),
        }
    }

    /// The caller's own account.
    pub async fn me(&self, caller: &Caller) -> Result<(User, Team), Fault> {
        let member = self.may(caller, Right::AccessTokenRead)?;
        let user = people::user(&self.inner.db, member.user).await.map_err(faults::store)?;
        let team = self.team(member.team).await?;
        Ok((user.ok_or_else(|| faults::not_found("person", &member.user.to_string()))?, team))
    }

    /// The teams that the caller's credential is good for.
    pub async fn my_teams(&self, caller: &Caller) -> Result<Vec<Membership>, Fault> {
        let member = self.may(caller, Right::TeamRead)?;
        let all = Self::reaches_all_teams(member);
        let teams = people::teams_of(&self.inner.db, member.user).await.map_err(faults::store)?;
        Ok(teams.into_iter().filter(|membership| all || membership.team.id == member.team).collect())
    }

    /// Whether the person's command line asks, which acts in whichever of their teams is named.
    fn reaches_all_teams(member: &Member) -> bool {
        matches!(member.login, Login::CommandLine { .. }) && member.access == Access::FULL
    }

    /// A team that the caller's credential is good for, if that is what it is called.
    pub async fn my_team(&self, caller: &Caller, name: &str) -> Result<Team, Fault> {
        let teams = self.my_teams(caller).await?.into_iter().map(|membership| membership.team);
        let mut named = teams.filter(|team| team.id.to_string() == name || team.slug.as_str() == name);
        named.next().ok_or_else(|| faults::no_team(name))
    }

    /// The member's team, if `name` is its identifier or short name. There is no other to a caller.
    pub(crate) async fn named_team(&self, member: &Member, name: &str) -> Result<Team, Fault> {
        let team = self.team(member.team).await?;
        if team.id.to_string() == name || team.slug.as_str() == name {
            Ok(team)
        } else {
            Err(faults::no_team(name))
        }
    }

    pub(crate) async fn team(&self, id: Id<kind::Team>) -> Result<Team, Fault> {
        let team = people::team(&self.inner.db, id).await.map_err(faults::store)?;
        team.ok_or_else(|| faults::no_team(&id.to_string()))
    }
}
