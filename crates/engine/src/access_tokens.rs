//! Access tokens of Carnet's own API, made and withdrawn by the person they act for.

use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::{Caller, Login, Member};
use carnet_model::{AccessToken, Code, Fault, Id, Time, kind};
use carnet_store::access_tokens::{self, AccessTokenRow};
use carnet_store::{DbError, Step, Write, sessions};
use carnet_vault::Purpose;

use crate::broker::Broker;
use crate::faults;
use crate::sessions::IDLE;
use crate::setup::YEAR;

/// What a new access token is asked to be.
#[derive(Clone, Debug, Default)]
pub struct NewToken {
    /// What people call it.
    pub name: String,
    /// How long it lives; 90 days if left out, a year at most.
    pub life: Option<Duration>,
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
    /// The caller's own access tokens.
    pub async fn access_tokens(&self, caller: &Caller) -> Result<Vec<AccessTokenRow>, Fault> {
        let member = self.member_of(caller)?;
        access_tokens::of_user(&self.inner.db, member.team, member.user).await.map_err(faults::store)
    }

    /// Makes one.
    pub async fn create_access_token(
        &self,
        caller: &Caller,
        ask: &NewToken,
        request: Id<kind::Request>,
    ) -> Result<CreatedToken, Fault> {
        let member = self.member_of(caller)?;
        let inner = &self.inner;
        let now = inner.env.now();
        let name = ask.name.trim();
        if name.is_empty() || name.len() > 100 || name.chars().any(char::is_control) {
            return Err(Fault::new(
                Code::InvalidRequest,
                "name has 1 to 100 characters and no control character.",
            )
            .with("field", "name"));
        }
        let life = ask.life.unwrap_or(YEAR / 4);
        if life < Duration::from_mins(1) || life > YEAR {
            return Err(Fault::new(
                Code::InvalidRequest,
                "An access token lives between a minute and a year.",
            )
            .with("field", "expiresInMs"));
        }
        let (token, row) = self.new_token(member.team, member.user, name, now.plus(life), now);
        let hash = inner.keyring.hash(Purpose::TokenPepper, token.expose().as_bytes());
        let event = AuditEvent::of(caller, now, Action::AccessTokenCreate, Some(request))
            .on(row.id)
            .with("name", name)
            .with("expiresAt", row.expires_at.millis());
        let write = Write::new()
            .step(still_good(member, now))
            .step(access_tokens::insert(&row, hash.digest, hash.version))
            .event(&inner.env, &event);
        match inner.db.write(write).await {
            Ok(_) => Ok(CreatedToken { token, row }),
            Err(DbError::Unmet(0)) => Err(withdrawn()),
            Err(error) => Err(faults::store(error)),
        }
    }

    /// Withdraws one of the caller's own. It is refused from then on.
    pub async fn revoke_access_token(
        &self,
        caller: &Caller,
        id: &str,
        request: Id<kind::Request>,
    ) -> Result<(), Fault> {
        let member = self.member_of(caller)?;
        let missing = || faults::not_found("access token", id);
        let parsed = Id::parse(id).map_err(|_| missing())?;
        let now = self.inner.env.now();
        let event = AuditEvent::of(caller, now, Action::AccessTokenRevoke, Some(request)).on(parsed);
        let write = Write::new()
            .step(access_tokens::revoke(member.team, member.user, parsed, now))
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
        };
        (token, row)
    }
}

/// Goes through only while what the person proved itself with is good: for what outlives it.
pub(crate) fn still_good(member: &Member, now: Time) -> Step {
    match member.login {
        Login::AccessToken(id) => access_tokens::still_good(id, now),
        Login::Session { id, .. } => sessions::still_good(id, now, now.minus(IDLE)),
    }
}

/// What the caller came with was withdrawn after the caller was recognised: nothing may outlive it.
pub(crate) fn withdrawn() -> Fault {
    Fault::new(Code::Unauthorized, "The access token has expired or was revoked.")
}
