//! Access tokens of Carnet's own API, made and withdrawn by the person they act for.

use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::{Caller, Login, Member};
use carnet_model::rights::{Access, Breadth, Right};
use carnet_model::shown::is_name;
use carnet_model::{AccessToken, Code, Fault, Id, Time, kind};
use carnet_store::access_tokens::{self, AccessTokenRow};
use carnet_store::{DbError, Step, Write, people, sessions};
use carnet_vault::Purpose;

use crate::broker::Broker;
use crate::faults;
use crate::sessions::IDLE;
use crate::setup::{USUAL, YEAR};

/// What a new access token is asked to be.
#[derive(Clone, Debug, Default)]
pub struct NewToken {
    /// What people call it.
    pub name: String,
    /// How long it lives; 90 days if left out, a year at most.
    pub life: Option<Duration>,
    /// Which rights of the person it carries. If left out, those of the token that it is made with, but for what is
    /// dangerous where that carries everything.
    pub breadth: Option<Breadth>,
    /// The project that it is limited to, by identifier or name.
    pub project: Option<String>,
}

/// Whose access tokens to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The caller's own.
    Own,
    /// Those of everybody in the team.
    Everybodys,
}

/// A new access token.
#[derive(Debug)]
pub struct CreatedToken {
    /// The token. Shown once.
    pub token: AccessToken,
    /// What is kept of it.
    pub row: AccessTokenRow,
}

impl Broker {
    /// Access tokens of the caller's team that were not withdrawn.
    pub async fn access_tokens(&self, caller: &Caller, whose: Whose) -> Result<Vec<AccessTokenRow>, Fault> {
        let db = &self.inner.db;
        match whose {
            Whose::Own => {
                let member = self.may(caller, Right::AccessTokenRead)?;
                access_tokens::of_user(db, member.team, member.user).await
            }
            Whose::Everybodys => {
                let member = self.may(caller, Right::AccessTokenReadAll)?;
                access_tokens::of_team(db, member.team).await
            }
        }
        .map_err(faults::store)
    }

    /// Makes one for the caller. It can do nothing that the one it is made with cannot do.
    pub async fn create_access_token(
        &self,
        caller: &Caller,
        ask: &NewToken,
        request: Id<kind::Request>,
    ) -> Result<CreatedToken, Fault> {
        let member = self.may(caller, Right::AccessTokenCreate)?;
        let inner = &self.inner;
        let now = inner.env.now();
        let name = ask.name.trim();
        if !is_name(name, 100) {
            return Err(Fault::new(
                Code::InvalidRequest,
                "name has 1 to 100 characters, none of them a control character or invisible.",
            )
            .with("field", "name"));
        }
        let life = ask.life.unwrap_or(USUAL);
        if life < Duration::from_mins(1) || life > YEAR {
            return Err(Fault::new(
                Code::InvalidRequest,
                "An access token lives between a minute and a year.",
            )
            .with("field", "expiresInMs"));
        }
        let access = self.access_asked(caller, member, ask).await?;
        let (token, row) = self.new_token(member.team, member.user, name, access, now.plus(life), now);
        let hash = inner.keyring.hash(Purpose::TokenPepper, token.expose().as_bytes());
        let mut event = AuditEvent::of(caller, now, Action::AccessTokenCreate, Some(request))
            .on(row.id)
            .with("name", name)
            .with("access", row.access.breadth.to_text())
            .with("expiresAt", row.expires_at.millis());
        if let Some(project) = row.access.project {
            event = event.with("project", project.to_string());
        }
        let write = Write::new()
            .steps(standing(member, now))
            .step(access_tokens::insert(&row, hash.digest, hash.version))
            .event(&inner.env, &event);
        inner.db.write(write).await.map_err(refused)?;
        Ok(CreatedToken { token, row })
    }

    /// What a new token is to carry: within what the caller's own carries, and rights that the person has.
    async fn access_asked(&self, caller: &Caller, member: &Member, ask: &NewToken) -> Result<Access, Fault> {
        let project = match &ask.project {
            Some(project) => Some(self.find_project(caller, project).await?.id),
            None => member.access.project,
        };
        let breadth = ask.breadth.clone().unwrap_or_else(|| match &member.access.breadth {
            // What is dangerous is asked for in so many words.
            Breadth::Full => Breadth::Usual,
            breadth => breadth.clone(),
        });
        if let Breadth::Only(rights) = &breadth {
            for right in rights {
                self.may(caller, *right)?;
                if project.is_some() && !right.reaches_one_project() {
                    return Err(Fault::new(
                        Code::InvalidRequest,
                        format!(
                            "{} is about the whole team, and the token is to be limited to a project.",
                            right.as_str()
                        ),
                    )
                    .with("field", "access"));
                }
            }
        }
        let access = Access { breadth, project };
        if access.is_within(&member.access) {
            return Ok(access);
        }
        Err(Fault::new(
            Code::Forbidden,
            "An access token is made with no more rights than the one it is made with.",
        )
        .with("field", "access")
        .next("carnet whoami", "to see with what you ask"))
    }

    /// Withdraws one of the caller's own, or of somebody in the team. It is refused from then on.
    pub async fn revoke_access_token(
        &self,
        caller: &Caller,
        id: &str,
        request: Id<kind::Request>,
    ) -> Result<(), Fault> {
        let missing =
            || faults::not_found("access token", id).next("carnet tokens list", "to see those that work");
        let parsed = Id::parse(id);
        let itself = matches!((caller, &parsed), (Caller::Member(member), Ok(id)) if member.login.token() == Some(*id));
        // Whatever a token carries, it can end itself: who finds one can make it worthless.
        let member = match caller {
            Caller::Member(member) if itself => member,
            _ => self.may(caller, Right::AccessTokenRevoke)?,
        };
        let parsed = parsed.map_err(|_| missing())?;
        let found = access_tokens::find(&self.inner.db, member.team, parsed).await.map_err(faults::store)?;
        let found = found.ok_or_else(missing)?;
        if found.user != member.user {
            self.may(caller, Right::AccessTokenRevokeAll)?;
        }
        let now = self.inner.env.now();
        let event = AuditEvent::of(caller, now, Action::AccessTokenRevoke, Some(request))
            .on(parsed)
            .with("user", found.user.to_string());
        let write = Write::new()
            .step(access_tokens::revoke(member.team, found.user, parsed, now))
            .event(&self.inner.env, &event)
            .revises();
        match self.inner.db.write(write).await {
            Ok(_) => Ok(()),
            Err(DbError::Unmet(_)) => Err(missing()),
            Err(error) => Err(faults::store(error)),
        }
    }

    /// A token and the row that is kept of it.
    pub(crate) fn new_token(
        &self,
        team: Id<kind::Team>,
        user: Id<kind::User>,
        name: &str,
        access: Access,
        expires_at: Time,
        now: Time,
    ) -> (AccessToken, AccessTokenRow) {
        let token = AccessToken::generate(&self.inner.env);
        let row = AccessTokenRow {
            id: self.inner.env.id(),
            team,
            user,
            name: name.to_owned(),
            last4: token.last4().to_owned(),
            created_at: now,
            expires_at,
            revoked_at: None,
            access,
            last_used_at: None,
        };
        (token, row)
    }
}

/// Goes through only while what the person proved itself with is good: for what outlives it.
pub(crate) fn still_good(member: &Member, now: Time) -> Step {
    match member.login {
        Login::AccessToken(token) | Login::CommandLine { token, .. } => access_tokens::still_good(token, now),
        Login::Session { id, .. } => sessions::still_good(id, now, now.minus(IDLE)),
    }
}

/// What must still hold when something is committed that outlives what it is asked with: the proof, and the role. Two
/// steps; they come first, or after a hold ([`refused`] reads their numbers).
pub(crate) fn standing(member: &Member, now: Time) -> [Step; 2] {
    [still_good(member, now), people::still_is(member.team, member.user, member.role)]
}

/// What the caller came with was taken away after the caller was recognised, if one of the first steps of the write says
/// so: nothing may outlive it.
pub(crate) fn refused(error: DbError) -> Fault {
    match error {
        DbError::Unmet(0..=2) => withdrawn(),
        error => faults::store(error),
    }
}

/// Nothing may outlive what it is asked with.
pub(crate) fn withdrawn() -> Fault {
    Fault::new(
        Code::Unauthorized,
        "The access token or session has expired or was revoked, or its person's role has changed.",
    )
}
