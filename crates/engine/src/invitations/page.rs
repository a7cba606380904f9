//! The page behind the link of an invitation: what it shows to whoever has the link, and the two ways in.
//!
//! No message is ever sent to an address, so nobody proves that an address is theirs: it is the name by which a person
//! signs in. What a stranger may learn here besides is whether somebody has that name already; trying that is counted as
//! a wrong try of the network to sign in.

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Principal;
use carnet_model::{Code, Fault, Id, SecretString, kind};
use carnet_store::people::{self, Team, User};
use carnet_store::{DbError, Write, invitations, sessions};

use super::{InvitationView, already, ended};
use crate::broker::Broker;
use crate::faults;
use crate::sessions::{IDLE, Session, Visitor};
use crate::setup::{check, check_email};
use crate::sign_in::{By, PASSPHRASE, SignInRefused, check_passphrase};

/// What a stranger says of an account that is to be made.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The person's name.
    pub name: String,
    /// By which the person signs in. What the invitation says instead, if it is for one address alone.
    pub email: String,
}

impl Broker {
    /// What an invitation is for, for whoever has its link.
    pub async fn invitation_shown(&self, secret: &str) -> Result<InvitationView, Fault> {
        self.inner.fresh_keys().await.map_err(faults::store)?;
        let (found, by) = self.usable(secret).await?;
        let team = self.team(found.team).await?;
        Ok(InvitationView { team, role: found.role, email: found.email, expires_at: found.expires_at, by })
    }

    /// The person of a session joins the team of an invitation. The session must be fresh.
    pub async fn join_with_session(
        &self,
        session: &Session,
        secret: &str,
        request: Id<kind::Request>,
    ) -> Result<Team, Fault> {
        let (inner, user) = (&self.inner, &session.user);
        let now = inner.env.now();
        if !session.login().is_fresh(now) {
            return Err(Fault::new(
                Code::Forbidden,
                "Sign in again to join a team: it is a while since you did.",
            )
            .with("signInAgain", true));
        }
        let (found, team) = self.joinable(secret, user).await?;
        let by = Principal::User { id: user.id };
        let event = AuditEvent {
            actor: by,
            request: Some(request),
            ..AuditEvent::of_system(now, Action::InvitationAccept)
        };
        let event = event.in_team(team.id).on(found.id).with("role", found.role.as_str());
        let write = Write::new()
            .step(sessions::still_good(session.row.id, now, now.minus(IDLE)))
            .step(people::hold(team.id))
            .step(invitations::end(team.id, found.id, now))
            .step(people::insert_member(team.id, user.id, found.role, now))
            .event(&inner.env, &event)
            .revises();
        match inner.db.write(write).await {
            Ok(_) => Ok(team),
            Err(DbError::Conflict) => Err(already(user, &team)),
            Err(DbError::Unmet(2)) => Err(ended()),
            Err(error) => Err(crate::access_tokens::refused(error)),
        }
    }

    /// A stranger makes an account and is in the team of the invitation by it; what is answered goes into the cookie of
    /// the session. Nothing is kept of a try that fails.
    pub async fn join_with_new_account(
        &self,
        secret: &str,
        who: &NewAccount,
        passphrase: &SecretString,
        visitor: &Visitor,
        request: Id<kind::Request>,
    ) -> Result<SecretString, SignInRefused> {
        let inner = &self.inner;
        inner.fresh_keys().await.map_err(faults::store)?;
        let (found, _) = self.usable(secret).await?;
        let email = found.email.as_deref().unwrap_or(&who.email).trim().to_lowercase();
        check("name", &who.name)?;
        check_email(&email)?;
        check_passphrase(passphrase, &[&email, &who.name])?;
        let counted = self.count_try(By::Nothing, visitor).await?;
        if people::has_email(&inner.db, &email).await.map_err(faults::store)? {
            return Err(has_account().into());
        }
        let team = self.team(found.team).await?;
        let now = inner.env.now();
        let name = who.name.trim().to_owned();
        let user = User { id: inner.env.id(), email, name, created_at: now, disabled_at: None };
        let names = [user.email.as_str(), &user.name, &team.name];
        let steps = self.new_passphrase(user.id, &names, passphrase).await?;
        let event = |action| AuditEvent {
            actor: Principal::User { id: user.id },
            request: Some(request),
            ..AuditEvent::of_system(now, action).in_team(team.id)
        };
        let write = Write::new()
            .step(people::hold(team.id))
            .step(invitations::end(team.id, found.id, now))
            .step(people::insert_user(&user))
            .step(people::insert_member(team.id, user.id, found.role, now))
            .steps(steps)
            .steps(counted.taken_back())
            .event(
                &inner.env,
                &event(Action::UserCreate).on(user.id).with("invitation", found.id.to_string()),
            )
            .event(&inner.env, &event(Action::PassphraseSet).on(user.id))
            .event(
                &inner.env,
                &event(Action::InvitationAccept).on(found.id).with("role", found.role.as_str()),
            )
            .revises();
        match inner.db.write(write).await {
            Ok(_) => {}
            Err(DbError::Conflict) => return Err(has_account().into()),
            Err(DbError::Unmet(1)) => return Err(ended().into()),
            Err(error) => return Err(faults::store(error).into()),
        }
        Ok(self.begin_session(user.id, PASSPHRASE, visitor, Vec::new()).await?)
    }
}

fn has_account() -> Fault {
    let message =
        "Somebody here has an account with this address. If that is you, sign in with it and join then.";
    Fault::new(Code::Conflict, message).with("field", "email")
}
