//! Invitations: a link that lets one person join a team, once and for a while.
//!
//! What stands in the link is drawn at random and kept as a keyed hash. Whoever has an account accepts with it, on the
//! page of the link or as a caller; a stranger makes one there, which belongs to the team from its beginning. The one who
//! invited must still be allowed to when it is used, so that who was removed leaves no door open.

mod page;

use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::{Caller, Role};
use carnet_model::rights::Right;
use carnet_model::{AccessToken, Code, Fault, Id, SecretString, Time, kind};
use carnet_store::access_tokens::AccessTokenRow;
use carnet_store::invitations::{self, Invitation};
use carnet_store::people::{self, Team, User};
use carnet_store::{DbError, Write, access_tokens};
use carnet_vault::Purpose;

use crate::access_tokens::{refused, standing, still_good};
use crate::broker::Broker;
use crate::faults;
use crate::setup::{USUAL, check_email};
pub use page::NewAccount;

/// What a new invitation is asked to be.
#[derive(Clone, Debug)]
pub struct NewInvitation {
    /// As what the person joins.
    pub role: Role,
    /// The e-mail address of the only account that may use it; whoever has the link, if left out.
    pub email: Option<String>,
    /// How long it can be used; a week if left out, thirty days at most.
    pub life: Option<Duration>,
}

/// A new invitation.
#[derive(Debug)]
pub struct Invited {
    /// What has to be shown to use it. Told once.
    pub secret: SecretString,
    /// What is kept of it.
    pub invitation: Invitation,
}

/// What somebody who has the link may know before using it.
#[derive(Clone, Debug)]
pub struct InvitationView {
    /// The team to join.
    pub team: Team,
    /// As what.
    pub role: Role,
    /// The e-mail address of the only account that may use it.
    pub email: Option<String>,
    /// When it ends by itself.
    pub expires_at: Time,
    /// Who invites.
    pub by: User,
}

/// A person who joined a team, with an access token for it.
#[derive(Debug)]
pub struct Joined {
    /// The team.
    pub team: Team,
    /// As what.
    pub role: Role,
    /// The token. Shown once.
    pub token: AccessToken,
    /// What is kept of it.
    pub row: AccessTokenRow,
}

impl Broker {
    /// The invitations of the caller's team that can be used, if that is what it is called.
    pub async fn invitations(&self, caller: &Caller, team: &str) -> Result<Vec<Invitation>, Fault> {
        let member = self.may(caller, Right::MemberRead)?;
        let team = self.named_team(member, team).await?;
        invitations::open(&self.inner.db, team.id, self.inner.env.now()).await.map_err(faults::store)
    }

    /// Makes an invitation.
    pub async fn invite(
        &self,
        caller: &Caller,
        team: &str,
        ask: &NewInvitation,
        request: Id<kind::Request>,
    ) -> Result<Invited, Fault> {
        let member = self.may(caller, Right::MemberInvite)?;
        let team = self.named_team(member, team).await?;
        let email = ask.email.as_deref().map(str::trim);
        if let Some(email) = email {
            check_email(email)?;
            let members = people::members(&self.inner.db, team.id).await.map_err(faults::store)?;
            if members.iter().any(|one| one.user.email.eq_ignore_ascii_case(email)) {
                return Err(Fault::new(Code::Conflict, format!("{email} is in the team already."))
                    .with("field", "email"));
            }
        }
        let life = ask.life.unwrap_or(WEEK);
        if life < Duration::from_mins(1) || life > LONGEST {
            return Err(Fault::new(
                Code::InvalidRequest,
                "An invitation can be used for a minute to thirty days.",
            )
            .with("field", "expiresInMs"));
        }
        let inner = &self.inner;
        let now = inner.env.now();
        let secret = AccessToken::generate(&inner.env).expose().replacen("crn_", "", 1);
        let invitation = Invitation {
            id: inner.env.id(),
            team: team.id,
            role: ask.role,
            email: email.map(str::to_owned),
            by: member.user,
            created_at: now,
            expires_at: now.plus(life),
            ended_at: None,
        };
        let hash = inner.keyring.hash(Purpose::TokenPepper, secret.as_bytes());
        let mut event = AuditEvent::of(caller, now, Action::InvitationCreate, Some(request))
            .on(invitation.id)
            .with("role", ask.role.as_str())
            .with("expiresAt", invitation.expires_at.millis());
        if let Some(email) = email {
            event = event.with("email", email);
        }
        let write = Write::new()
            .steps(standing(member, now))
            .step(invitations::insert(&invitation, hash.digest, hash.version))
            .event(&inner.env, &event);
        inner.db.write(write).await.map_err(refused)?;
        Ok(Invited { secret: secret.into(), invitation })
    }

    /// Withdraws an invitation. It cannot be used from then on.
    pub async fn withdraw_invitation(
        &self,
        caller: &Caller,
        team: &str,
        id: &str,
        request: Id<kind::Request>,
    ) -> Result<(), Fault> {
        let member = self.may(caller, Right::MemberInvite)?;
        let team = self.named_team(member, team).await?;
        let missing = || faults::not_found("invitation", id);
        let parsed = Id::parse(id).map_err(|_| missing())?;
        let now = self.inner.env.now();
        let event = AuditEvent::of(caller, now, Action::InvitationWithdraw, Some(request)).on(parsed);
        let write = Write::new().step(invitations::end(team.id, parsed, now)).event(&self.inner.env, &event);
        match self.inner.db.write(write).await {
            Ok(_) => Ok(()),
            Err(DbError::Unmet(_)) => Err(missing()),
            Err(error) => Err(faults::store(error)),
        }
    }

    /// What an invitation is for, for a person who has it and could accept it.
    pub async fn invitation(&self, caller: &Caller, secret: &str) -> Result<InvitationView, Fault> {
        self.may(caller, Right::InvitationAccept)?;
        self.invitation_shown(secret).await
    }

    /// Joins the team of an invitation, as the caller's person.
    pub async fn accept_invitation(
        &self,
        caller: &Caller,
        secret: &str,
        request: Id<kind::Request>,
    ) -> Result<Joined, Fault> {
        let member = self.may(caller, Right::InvitationAccept)?;
        let inner = &self.inner;
        let user = people::user(&inner.db, member.user).await.map_err(faults::store)?;
        let user = user.ok_or_else(|| faults::not_found("person", &member.user.to_string()))?;
        let (found, team) = self.joinable(secret, &user).await?;
        let now = inner.env.now();
        let ends = now.plus(USUAL);
        let (token, row) = self.new_token(team.id, user.id, "joined", member.access.clone(), ends, now);
        let hash = inner.keyring.hash(Purpose::TokenPepper, token.expose().as_bytes());
        let event = |action| AuditEvent::of(caller, now, action, Some(request)).in_team(team.id);
        let write = Write::new()
            .step(still_good(member, now))
            .step(people::hold(team.id))
            .step(invitations::end(team.id, found.id, now))
            .step(people::insert_member(team.id, user.id, found.role, now))
            .step(access_tokens::insert(&row, hash.digest, hash.version))
            .event(
                &inner.env,
                &event(Action::InvitationAccept).on(found.id).with("role", found.role.as_str()),
            )
            .event(&inner.env, &event(Action::AccessTokenCreate).on(row.id))
            .revises();
        match inner.db.write(write).await {
            Ok(_) => Ok(Joined { team, role: found.role, token, row }),
            Err(DbError::Conflict) => Err(already(&user, &team)),
            Err(DbError::Unmet(2)) => Err(ended()),
            Err(error) => Err(refused(error)),
        }
    }

    /// The invitation and its team, if it can be used now, by this person.
    async fn joinable(&self, secret: &str, user: &User) -> Result<(Invitation, Team), Fault> {
        let (found, _) = self.usable(secret).await?;
        if found.email.as_ref().is_some_and(|email| !email.eq_ignore_ascii_case(&user.email)) {
            return Err(Fault::new(
                Code::Forbidden,
                "The invitation is for another account's e-mail address.",
            )
            .next("carnet whoami", "to see as whom you ask"));
        }
        let team = self.team(found.team).await?;
        if people::member(&self.inner.db, team.id, user.id).await.map_err(faults::store)?.is_some() {
            return Err(already(user, &team));
        }
        Ok((found, team))
    }

    /// The invitation and who made it, if it can be used now.
    async fn usable(&self, secret: &str) -> Result<(Invitation, User), Fault> {
        let inner = &self.inner;
        let now = inner.env.now();
        for hash in inner.keyring.hashes(Purpose::TokenPepper, secret.as_bytes()) {
            let Some(found) = invitations::by_digest(&inner.db, hash.digest).await.map_err(faults::store)?
            else {
                continue;
            };
            let by = people::member(&inner.db, found.team, found.by).await.map_err(faults::store)?;
            let by = by.filter(|by| by.user.disabled_at.is_none());
            let team = self.team(found.team).await?;
            let by = by.filter(|by| Right::MemberInvite.held_by(by.role, team.strict_connectors));
            let open = found.ended_at.is_none() && found.expires_at > now;
            return by.filter(|_| open).map(|by| (found, by.user)).ok_or_else(ended);
        }
        Err(ended())
    }
}

fn already(user: &User, team: &Team) -> Fault {
    Fault::new(Code::Conflict, format!("{} is in the team {} already.", user.email, team.slug))
}

/// The same words for an invitation that never was, so that nobody learns which were.
fn ended() -> Fault {
    Fault::new(Code::Gone, "The invitation has expired, was used or withdrawn, or is not known here.")
        .next("carnet members invite", "an owner of the team makes a new one")
}

const WEEK: Duration = Duration::from_hours(7 * 24);
const LONGEST: Duration = Duration::from_hours(30 * 24);
