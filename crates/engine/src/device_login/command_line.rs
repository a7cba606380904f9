//! A command line that is signed in: access tokens for eight hours, and the sign-in for thirty days after its last use.
//!
//! A refresh token is good once. The one that follows it is a keyed hash of it, so that two processes that refresh at
//! the same moment come to the same one and neither is lost; only its digest is kept. One that was replaced longer ago
//! was stolen or copied, and its use ends the sign-in (RFC 9700 §4.14.2).
//!
//! Not promised: that a sign-in which is not used for a day survives a new pepper.

use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::{Caller, Login, Member, Principal};
use carnet_model::rights::Access;
use carnet_model::{AccessToken, Env, Fault, Id, SecretString, Time, kind};
use carnet_store::command_lines::{self, CommandLineRow};
use carnet_store::{DbError, Step, Write, access_tokens, people};
use carnet_vault::Purpose;

use super::{CommandLineTokens, OauthRefused, program};
use crate::broker::Broker;
use crate::consent::hex;
use crate::faults;
use crate::sessions::Session;

/// A command line that is signed in.
#[derive(Debug)]
pub struct CommandLine {
    /// What is kept of it.
    pub row: CommandLineRow,
    /// The program's name.
    pub program: &'static str,
}

/// What a token is (RFC 7662), for whoever holds it.
#[derive(Debug)]
pub struct Introspected {
    /// Whose command line it is.
    pub row: CommandLineRow,
    /// When the token ends.
    pub expires_at: Time,
}

impl Broker {
    /// Another access token and another refresh token in the place of this one.
    pub async fn renew_command_line(
        &self,
        client: &str,
        refresh: &SecretString,
    ) -> Result<CommandLineTokens, OauthRefused> {
        let inner = &self.inner;
        self.is_open()?;
        inner.fresh_keys().await?;
        program(client).ok_or(OauthRefused::InvalidClient)?;
        let now = inner.env.now();
        let line = self.command_line(refresh).await?.filter(|line| line.client == client);
        let line = line.ok_or(OauthRefused::InvalidGrant)?;
        let versions = inner.keyring.hashes(Purpose::TokenPepper, &refresh_label(refresh));
        let is_present = versions.iter().any(|hash| hash.digest == line.digest);
        if !is_present && line.turned_at.plus(AT_ONCE) <= now {
            self.end(&line, Principal::System).await?;
            return Err(OauthRefused::InvalidGrant);
        }
        let next = self.next_refresh_token(refresh);
        let mut steps = Vec::new();
        if is_present {
            let digest = self.refresh_digest(&next);
            steps.push(command_lines::turn(line.id, line.digest, digest, now, now.plus(UNUSED)));
        } else if self.refresh_digest(&next) != line.digest {
            // A pepper was turned in the same minute.
            return Err(OauthRefused::InvalidGrant);
        }
        match self.give(&line, steps, Action::CommandLineRenew).await {
            Ok(access) => Ok(CommandLineTokens { access, expires_in: ACCESS, refresh: next }),
            // Another process was faster by a moment, and came to the same refresh token.
            Err(OauthRefused::InvalidGrant) if is_present => {
                let access = self.give(&line, Vec::new(), Action::CommandLineRenew).await?;
                Ok(CommandLineTokens { access, expires_in: ACCESS, refresh: next })
            }
            Err(refused) => Err(refused),
        }
    }

    /// Ends the sign-in whose access or refresh token this is. That there is none is no failure (RFC 7009 §2.2).
    pub async fn revoke_command_line(&self, client: &str, token: &SecretString) -> Result<(), OauthRefused> {
        program(client).ok_or(OauthRefused::InvalidClient)?;
        self.inner.fresh_keys().await?;
        let line = match self.access_of(token).await? {
            Some((line, _)) => Some(line),
            None => self.command_line(token).await?,
        };
        match line.filter(|line| line.client == client) {
            Some(line) => self.end(&line, Principal::User { id: line.user }).await,
            None => Ok(()),
        }
    }

    /// What an access token of a command line is; `None` if it is not good.
    pub async fn introspect(&self, token: &SecretString) -> Result<Option<Introspected>, OauthRefused> {
        self.inner.fresh_keys().await?;
        let found = self.access_of(token).await?;
        Ok(found.map(|(row, expires_at)| Introspected { row, expires_at }))
    }

    /// The command lines that are signed in for this person.
    pub async fn command_lines(&self, session: &Session) -> Result<Vec<CommandLine>, Fault> {
        let rows = command_lines::of_user(&self.inner.db, session.user.id, self.inner.env.now()).await;
        let named = |row: CommandLineRow| CommandLine {
            program: program(&row.client).unwrap_or("An unknown program"),
            row,
        };
        Ok(rows.map_err(faults::store)?.into_iter().map(named).collect())
    }

    /// Ends one of them, and its access tokens.
    pub async fn end_command_line(&self, session: &Session, id: &str) -> Result<(), Fault> {
        let lines = self.command_lines(session).await?;
        let found = lines.iter().find(|line| line.row.id.to_string() == id);
        let line = found.ok_or_else(|| faults::not_found("command line", id))?;
        match self.end(&line.row, Principal::User { id: session.user.id }).await {
            Err(OauthRefused::Fault(fault)) => Err(fault),
            _ => Ok(()),
        }
    }

    /// An access token for a command line, with the steps that go with it.
    pub(super) async fn give(
        &self,
        line: &CommandLineRow,
        steps: Vec<Step>,
        action: Action,
    ) -> Result<AccessToken, OauthRefused> {
        let inner = &self.inner;
        let now = inner.env.now();
        let teams = people::teams_of(&inner.db, line.user).await?;
        let Some(found) = teams.into_iter().find(|found| found.team.id == line.team) else {
            return Err(OauthRefused::InvalidGrant);
        };
        if people::user(&inner.db, line.user).await?.is_none_or(|user| user.disabled_at.is_some()) {
            return Err(OauthRefused::InvalidGrant);
        }
        let name = program(&line.client).unwrap_or("Command line");
        let (token, row) = self.new_token(line.team, line.user, name, Access::FULL, now.plus(ACCESS), now);
        let hash = inner.keyring.hash(Purpose::TokenPepper, token.expose().as_bytes());
        let login = Login::CommandLine { token: row.id, signed_in_at: line.created_at };
        let caller = Caller::Member(Member {
            team: line.team,
            user: line.user,
            role: found.role,
            strict: found.team.strict_connectors,
            access: Access::FULL,
            login,
        });
        let event = |action| AuditEvent::of(&caller, now, action, None);
        // An account that is disabled, or a sign-in that is ended, at this moment is given nothing that outlives that.
        // In the order in which disabling goes, so that neither waits for the other.
        let write = Write::new()
            .step(people::still_enabled(line.user))
            .steps(steps)
            .step(command_lines::still_there(line.id))
            .step(access_tokens::insert(&row, hash.digest, hash.version))
            .step(command_lines::has(line.id, row.id))
            .event(&inner.env, &event(action).on(line.id).with("program", name))
            .event(&inner.env, &event(Action::AccessTokenCreate).on(row.id).with("name", name));
        match inner.db.write(write).await {
            Ok(_) => Ok(token),
            Err(DbError::Unmet(_)) => Err(OauthRefused::InvalidGrant),
            Err(error) => Err(error.into()),
        }
    }

    async fn end(&self, line: &CommandLineRow, by: Principal) -> Result<(), OauthRefused> {
        let inner = &self.inner;
        let now = inner.env.now();
        let why = match by {
            Principal::System => "a replaced refresh token was used",
            _ => "signed out",
        };
        let event = ended(line, by, now, why);
        let write = Write::new().steps(command_lines::end(line.id, now)).event(&inner.env, &event).revises();
        match inner.db.write(write).await {
            Ok(_) | Err(DbError::Unmet(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What ends the command lines of a person, in one team or everywhere, and the events that say so.
    pub(crate) async fn ending_of_command_lines(
        &self,
        user: Id<kind::User>,
        team: Option<Id<kind::Team>>,
        by: Principal,
        why: &str,
    ) -> Result<(Vec<Step>, Vec<AuditEvent>), Fault> {
        let now = self.inner.env.now();
        let lines = command_lines::of_user(&self.inner.db, user, now).await.map_err(faults::store)?;
        let lines = lines.iter().filter(|line| team.is_none_or(|team| line.team == team));
        let events = lines.map(|line| ended(line, by, now, why)).collect();
        Ok((command_lines::end_of_person(user, team), events))
    }

    /// The command line whose refresh token this is or was.
    async fn command_line(&self, refresh: &SecretString) -> Result<Option<CommandLineRow>, DbError> {
        let inner = &self.inner;
        for hash in inner.keyring.hashes(Purpose::TokenPepper, &refresh_label(refresh)) {
            let found = command_lines::by_digest(&inner.db, hash.digest, inner.env.now()).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The command line of an access token that is good, and when that ends.
    async fn access_of(&self, token: &SecretString) -> Result<Option<(CommandLineRow, Time)>, DbError> {
        let inner = &self.inner;
        let Ok(token) = AccessToken::parse(token.expose()) else { return Ok(None) };
        for hash in inner.keyring.hashes(Purpose::TokenPepper, token.expose().as_bytes()) {
            let Some(bearer) = access_tokens::by_digest(&inner.db, hash.digest).await? else { continue };
            let row = bearer.token;
            if row.revoked_at.is_some() || row.expires_at <= inner.env.now() {
                return Ok(None);
            }
            let line = command_lines::by_token(&inner.db, row.id).await?;
            return Ok(line.map(|line| (line, row.expires_at)));
        }
        Ok(None)
    }

    pub(super) fn refresh_digest(&self, refresh: &SecretString) -> [u8; 32] {
        self.inner.keyring.hash(Purpose::TokenPepper, &refresh_label(refresh)).digest
    }

    fn next_refresh_token(&self, refresh: &SecretString) -> SecretString {
        let label = [b"refresh-next/1".as_slice(), refresh.expose().as_bytes()].concat();
        format!("{PREFIX}{}", hex(&self.inner.keyring.hash(Purpose::TokenPepper, &label).digest)).into()
    }
}

fn ended(line: &CommandLineRow, by: Principal, now: Time, why: &str) -> AuditEvent {
    AuditEvent { actor: by, ..AuditEvent::of_system(now, Action::CommandLineEnd) }
        .in_team(line.team)
        .on(line.id)
        .with("why", why)
}

pub(super) fn fresh_refresh_token(env: &Env) -> SecretString {
    format!("{PREFIX}{}", hex(&env.bytes::<32>())).into()
}

fn refresh_label(refresh: &SecretString) -> Vec<u8> {
    [b"refresh/1".as_slice(), refresh.expose().as_bytes()].concat()
}

const PREFIX: &str = "crr_";
/// How long an access token of a command line lives.
pub(super) const ACCESS: Duration = Duration::from_hours(8);
/// After how long without use a sign-in is over.
pub(super) const UNUSED: Duration = Duration::from_hours(24 * 30);
/// Within this time two processes may use the same refresh token.
const AT_ONCE: Duration = Duration::from_mins(1);
