//! Signing in a command line: the device authorization grant (RFC 8628), for a program that cannot show a page.
//!
//! The program asks and shows eight letters; a person who is signed in, and has proved it a moment ago, enters them,
//! sees which program asks from where, and says yes or no ([`decide`]); the program fetches an access token of that
//! person in that team, with a refresh token. What becomes of those is told by [`command_line`].

mod asks;
mod command_line;
mod decide;

use std::time::Duration;

use carnet_model::audit::Action;
use carnet_model::{AccessToken, Fault, SecretString, Time};
use carnet_store::command_lines::{self, CommandLineRow};
use carnet_store::device_logins::{self, Decided, DeviceLoginRow};
use carnet_store::{DbError, Write};
use carnet_vault::Purpose;

use crate::broker::Broker;
use crate::cache::sha256;
use crate::consent::{DeviceCode, hex};
use crate::faults;
use crate::sessions::{Visitor, called};

pub(crate) use asks::Asks;
pub use command_line::{CommandLine, Introspected};
pub use decide::{DeviceCodeRefused, DeviceLogin};

use command_line::{ACCESS, UNUSED, fresh_refresh_token};

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

impl Broker {
    /// Whether this is the client identifier of a command line, and of no connector.
    pub fn is_command_line(&self, client: &str) -> bool {
        program(client).is_some()
    }

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
        inner.device_asks.count(visitor.address, now).map_err(OauthRefused::Busy)?;
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

    /// Keyed, so that a stolen copy of the store does not give away codes that still hold.
    fn digest_of_code(&self, code: &DeviceCode) -> [u8; 32] {
        let label = [b"device-login/1".as_slice(), code.letters()].concat();
        sha256(&self.inner.keyring.hash(Purpose::State, &label).digest)
    }
}

/// The programs that are known, by client identifier: our own, and the official command line with the one that it has.
fn program(client: &str) -> Option<&'static str> {
    PROGRAMS.iter().find(|(known, _)| *known == client).map(|(_, name)| *name)
}

const PROGRAMS: [(&str, &str); 2] =
    [("carnet-cli", "Carnet command line"), ("cl_HYyOPBNtFMfHhaUn9L4QPfTZz6TP47bp", "Vercel command line")];
/// How long somebody may take to decide.
const LIFE: Duration = Duration::from_mins(10);
const INTERVAL: Duration = Duration::from_secs(2);
/// How many may wait for somebody at once.
const MANY: i64 = 10_000;
