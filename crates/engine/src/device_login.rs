//! Signing in a command line: the device authorization grant (RFC 8628), for a program that cannot show a page.
//!
//! The program asks and shows eight letters; a person who is signed in, and has proved it a moment ago, enters them,
//! sees which program asks from where, and says yes or no; the program fetches an access token of that person in that
//! team, with a refresh token. Access tokens live for eight hours, and the sign-in for thirty days after its last use.
//!
//! A refresh token is good once. The one that follows it is a keyed hash of it, so that two processes that refresh at
//! the same moment come to the same one and neither is lost; only its digest is kept. One that was replaced longer ago
//! was stolen or copied, and its use ends the sign-in (RFC 9700 §4.14.2).
//!
//! Not promised: that a sign-in which is not used for a day survives a new pepper.

use std::net::IpAddr;
use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::{Caller, Login, Member, Principal};
use carnet_model::rights::Access;
use carnet_model::{AccessToken, Fault, Id, SecretString, Time, kind};
use carnet_store::command_lines::{self, CommandLineRow};
use carnet_store::device_logins::{self, Decided, DeviceLoginRow};
use carnet_store::{DbError, Step, Write, access_tokens, people};
use carnet_vault::Purpose;

use crate::access_tokens::still_good;
use crate::broker::Broker;
use crate::cache::sha256;
use crate::consent::{DeviceCode, hex};
use crate::faults;
use crate::sessions::{Session, Visitor, called};

/// A program that asked to be signed in.
#[derive(Debug)]
pub struct DeviceLoginStarted {
    /// With which it asks what came of it.
    pub device_code: SecretString,
    /// What it shows to the person.
    pub user_code: String,
    /// The page on which that is entered.
    pub page: String,
    /// The same page with the code filled in.
    pub page_with_code: String,
    /// How long somebody may take.
    pub expires_in: Duration,
    /// How long it waits between two questions.
    pub interval: Duration,
}

/// What a program gets.
#[derive(Debug)]
pub struct CommandLineTokens {
    /// The access token.
    pub access: AccessToken,
    /// How long it lives.
    pub expires_in: Duration,
    /// The refresh token.
    pub refresh: SecretString,
}

/// Why a program gets nothing: the error codes of RFC 6749 §5.2 and RFC 8628 §3.5.
#[derive(Debug)]
pub enum OauthRefused {
    /// `invalid_client`: no such program.
    InvalidClient,
    /// `invalid_grant`: the code or the refresh token is not good, or not this program's.
    InvalidGrant,
    /// `authorization_pending`: nobody has decided yet.
    Pending,
    /// `slow_down`: it asks too often.
    SlowDown,
    /// `access_denied`: somebody said no.
    Denied,
    /// `expired_token`: nobody decided in time.
    Expired,
    /// Too many of them ask; how long to wait.
    Busy(Duration),
    /// Something failed.
    Fault(Fault),
}

/// Who asks, for the person who decides.
#[derive(Debug)]
pub struct DeviceLogin {
    /// The program's name.
    pub program: &'static str,
    /// From where it asked, and what it calls itself.
    pub asked_from: String,
    /// How long ago.
    pub age: Duration,
    /// The letters, to be compared.
    pub code: String,
    /// The teams in which it could act.
    pub teams: Vec<(Id<kind::Team>, String)>,
    id: Id<kind::CommandLine>,
}

/// Why a code does not lead on.
#[derive(Debug)]
pub enum DeviceCodeRefused {
    /// It is not known, was used or is over: which of these is not said.
    Unknown,
    /// Too many wrong ones were tried.
    Wait(Duration),
    /// The person must first prove again who it is.
    NotFresh,
    /// Something failed.
    Fault(Fault),
}

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

impl From<DbError> for OauthRefused {
    fn from(error: DbError) -> Self {
        Self::Fault(faults::store(error))
    }
}

impl From<Fault> for OauthRefused {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<DbError> for DeviceCodeRefused {
    fn from(error: DbError) -> Self {
        Self::Fault(faults::store(error))
    }
}

impl From<Fault> for DeviceCodeRefused {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Broker {
    /// A program asks to be signed in.
    pub async fn start_device_login(
        &self,
        client: &str,
        visitor: &Visitor,
    ) -> Result<DeviceLoginStarted, OauthRefused> {
        let inner = &self.inner;
        self.is_open()?;
        inner.fresh_keys().await?;
        program(client).ok_or(OauthRefused::InvalidClient)?;
        let now = inner.env.now();
        // Whoever asks is nobody yet: this is all that keeps strangers from filling the table.
        let asker = sha256(format!("{:?}", visitor.address).as_bytes());
        if let Some(wait) = inner.device_asks.wait(asker, visitor.address, now) {
            return Err(OauthRefused::Busy(wait));
        }
        inner.device_asks.count(asker, visitor.address, now);
        if device_logins::waiting(&inner.db, now).await? >= MANY {
            return Err(OauthRefused::Busy(LIFE));
        }
        let address = visitor.address.map_or_else(|| "an unknown address".to_owned(), |ip| ip.to_string());
        let row = DeviceLoginRow {
            id: inner.env.id(),
            client: client.to_owned(),
            asked_from: format!("{address}, {}", called(&visitor.browser)),
            created_at: now,
            expires_at: now.plus(LIFE),
            polled_at: Time::from_millis(0),
            decision: Decided::Open,
        };
        let device_code = SecretString::new(hex(&inner.env.bytes::<32>()));
        let code = DeviceCode::generate(&inner.env);
        let steps = device_logins::insert(
            &row,
            sha256(device_code.expose().as_bytes()),
            self.digest_of_code(&code),
            now.minus(LIFE),
        );
        inner.db.write(Write::new().steps(steps)).await?;
        let page = format!("{}/login/device", inner.settings.base());
        Ok(DeviceLoginStarted {
            device_code,
            page_with_code: format!("{page}?code={code}"),
            user_code: code.to_string(),
            page,
            expires_in: LIFE,
            interval: INTERVAL,
        })
    }

    /// What came of it: the tokens, once.
    pub async fn device_login_tokens(
        &self,
        client: &str,
        device_code: &SecretString,
    ) -> Result<CommandLineTokens, OauthRefused> {
        let inner = &self.inner;
        self.is_open()?;
        inner.fresh_keys().await?;
        program(client).ok_or(OauthRefused::InvalidClient)?;
        let now = inner.env.now();
        let found = device_logins::by_device(&inner.db, sha256(device_code.expose().as_bytes())).await?;
        let row = found.filter(|row| row.client == client).ok_or(OauthRefused::InvalidGrant)?;
        if row.expires_at <= now {
            return Err(OauthRefused::Expired);
        }
        let (user, team) = match row.decision {
            Decided::Allowed { user, team } => (user, team),
            Decided::Denied => return Err(OauthRefused::Denied),
            Decided::Open => {
                let too_soon = now < row.polled_at.plus(INTERVAL / 2);
                inner.db.write(Write::new().step(device_logins::polled(row.id, now))).await?;
                return Err(if too_soon { OauthRefused::SlowDown } else { OauthRefused::Pending });
            }
        };
        let refresh = fresh_refresh_token(&inner.env);
        let line = CommandLineRow {
            id: row.id,
            team,
            user,
            client: row.client,
            asked_from: row.asked_from,
            digest: self.refresh_digest(&refresh),
            turned_at: now,
            created_at: now,
            expires_at: now.plus(UNUSED),
        };
        let steps = vec![device_logins::take(line.id, now), command_lines::insert(&line)];
        let access = self.give(&line, steps, Action::CommandLineStart).await?;
        Ok(CommandLineTokens { access, expires_in: ACCESS, refresh })
    }

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

    /// Who asks with this code, for the person who is to decide.
    pub async fn device_login(
        &self,
        session: &Session,
        typed: &str,
        address: Option<IpAddr>,
    ) -> Result<DeviceLogin, DeviceCodeRefused> {
        let inner = &self.inner;
        let now = inner.env.now();
        if !session.login().is_fresh(now) {
            return Err(DeviceCodeRefused::NotFresh);
        }
        if let Some(wait) = inner.codes.wait(address, now) {
            return Err(DeviceCodeRefused::Wait(wait));
        }
        inner.codes.count(address, now);
        let code = DeviceCode::parse(typed).ok_or(DeviceCodeRefused::Unknown)?;
        let found = device_logins::by_code(&inner.db, self.digest_of_code(&code), now).await?;
        let row = found.ok_or(DeviceCodeRefused::Unknown)?;
        inner.codes.take_back(address);
        let teams = self.teams_of(session.user.id).await?;
        Ok(DeviceLogin {
            program: program(&row.client).unwrap_or("An unknown program"),
            asked_from: row.asked_from,
            age: row.created_at.until(now),
            code: code.to_string(),
            teams: teams.into_iter().map(|found| (found.team.id, found.team.name)).collect(),
            id: row.id,
        })
    }

    /// The person's decision: the team in which the program may act, or no.
    pub async fn decide_device_login(
        &self,
        session: &Session,
        login: &DeviceLogin,
        team: Option<&str>,
    ) -> Result<(), DeviceCodeRefused> {
        let inner = &self.inner;
        let now = inner.env.now();
        let result = if let Some(team) = team {
            let caller = self.caller_of(session, Some(team)).await?;
            let Caller::Member(member) = &caller else { return Err(DeviceCodeRefused::Unknown) };
            if !member.login.is_fresh(now) {
                return Err(DeviceCodeRefused::NotFresh);
            }
            let event = AuditEvent::of(&caller, now, Action::CommandLineAllow, None)
                .on(login.id)
                .with("program", login.program)
                .with("askedFrom", login.asked_from.clone());
            let write = Write::new()
                .step(still_good(member, now))
                .step(device_logins::allow(login.id, member.user, member.team, now))
                .event(&inner.env, &event);
            inner.db.write(write).await.map(drop)
        } else {
            let write = Write::new().step(device_logins::deny(login.id, now));
            let (user, id) = (session.user.id, login.id.to_string());
            self.write_of(user, write, Action::CommandLineDeny, &id, None).await
        };
        match result {
            Err(DbError::Unmet(_)) => Err(DeviceCodeRefused::Unknown),
            other => Ok(other?),
        }
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
    async fn give(
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
        let login = Login::AccessToken(row.id);
        let caller = Caller::Member(Member {
            team: line.team,
            user: line.user,
            role: found.role,
            strict: found.team.strict_connectors,
            access: Access::FULL,
            login,
        });
        let event = |action| AuditEvent::of(&caller, now, action, None);
        let write = Write::new()
            .steps(steps)
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
        let event = AuditEvent { actor: by, ..AuditEvent::of_system(now, Action::CommandLineEnd) }
            .in_team(line.team)
            .on(line.id)
            .with(
                "why",
                if matches!(by, Principal::System) {
                    "a replaced refresh token was used"
                } else {
                    "signed out"
                },
            );
        let write = Write::new().steps(command_lines::end(line.id, now)).event(&inner.env, &event).revises();
        match inner.db.write(write).await {
            Ok(_) | Err(DbError::Unmet(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
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

    fn refresh_digest(&self, refresh: &SecretString) -> [u8; 32] {
        self.inner.keyring.hash(Purpose::TokenPepper, &refresh_label(refresh)).digest
    }

    fn next_refresh_token(&self, refresh: &SecretString) -> SecretString {
        let label = [b"refresh-next/1".as_slice(), refresh.expose().as_bytes()].concat();
        format!("{PREFIX}{}", hex(&self.inner.keyring.hash(Purpose::TokenPepper, &label).digest)).into()
    }

    /// Keyed, so that a stolen copy of the store does not give away codes that still hold.
    fn digest_of_code(&self, code: &DeviceCode) -> [u8; 32] {
        let label = [b"device-login/1".as_slice(), code.letters()].concat();
        sha256(&self.inner.keyring.hash(Purpose::State, &label).digest)
    }
}

fn fresh_refresh_token(env: &carnet_model::Env) -> SecretString {
    format!("{PREFIX}{}", hex(&env.bytes::<32>())).into()
}

fn refresh_label(refresh: &SecretString) -> Vec<u8> {
    [b"refresh/1".as_slice(), refresh.expose().as_bytes()].concat()
}

/// The programs that are known, by client identifier: our own, and the official command line with the one that it has.
fn program(client: &str) -> Option<&'static str> {
    PROGRAMS.iter().find(|(known, _)| *known == client).map(|(_, name)| *name)
}

const PROGRAMS: [(&str, &str); 2] =
    [("carnet-cli", "Carnet command line"), ("cl_HYyOPBNtFMfHhaUn9L4QPfTZz6TP47bp", "Vercel command line")];
const PREFIX: &str = "crr_";
/// How long somebody may take to decide.
const LIFE: Duration = Duration::from_mins(10);
const INTERVAL: Duration = Duration::from_secs(2);
/// How long an access token of a command line lives.
const ACCESS: Duration = Duration::from_hours(8);
/// After how long without use a sign-in is over.
const UNUSED: Duration = Duration::from_hours(24 * 30);
/// Within this time two processes may use the same refresh token.
const AT_ONCE: Duration = Duration::from_mins(1);
/// How many may wait for somebody at once.
const MANY: i64 = 10_000;
