//! The person's part: who asks, and yes or no.

use std::net::IpAddr;
use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::{Fault, Id, kind};
use carnet_store::{DbError, Write, device_logins};

use super::program;
use crate::access_tokens::still_good;
use crate::broker::Broker;
use crate::consent::DeviceCode;
use crate::faults;
use crate::sessions::Session;
use crate::tries::NoTry;

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

impl From<NoTry> for DeviceCodeRefused {
    fn from(why: NoTry) -> Self {
        match why {
            NoTry::Wait(wait) => Self::Wait(wait),
            NoTry::Store(error) => error.into(),
        }
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
        let counted = self.count_code(address).await?;
        let code = DeviceCode::parse(typed).ok_or(DeviceCodeRefused::Unknown)?;
        let found = device_logins::by_code(&inner.db, self.digest_of_code(&code), now).await?;
        let row = found.ok_or(DeviceCodeRefused::Unknown)?;
        self.uncount(&counted).await?;
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
}
