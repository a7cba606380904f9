//! Signing in without a page of one's own (RFC 8628): the person enters a code in a browser.

use std::time::Duration;

use carnet_model::{SecretString, Time};
use serde::Deserialize;

use crate::client::Client;
use crate::error::Error;
use crate::transport::{Answer, Call};

/// A sign-in that waits for a person.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct DeviceLogin {
    device_code: SecretString,
    /// What the person enters.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same page with the code filled in.
    pub verification_uri_complete: String,
    expires_in: u64,
    interval: u64,
}

impl DeviceLogin {
    /// How long the person may take.
    pub fn expires_in(&self) -> Duration {
        Duration::from_secs(self.expires_in)
    }

    /// How long to wait between two questions.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(self.interval)
    }
}

/// What came of it so far.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoginProgress {
    /// Nobody has decided yet.
    Pending,
    /// The same, and the questions come too fast.
    SlowDown,
    /// Somebody said no.
    Denied,
    /// Nobody decided in time.
    Expired,
    /// Signed in.
    Done(LoginTokens),
}

/// What one is signed in with.
#[derive(Debug)]
#[non_exhaustive]
pub struct LoginTokens {
    /// The access token.
    pub access: SecretString,
    /// With which another one is had, once.
    pub refresh: SecretString,
    /// When the access token ends.
    pub expires_at: Time,
}

#[derive(Deserialize)]
struct Given {
    access_token: SecretString,
    refresh_token: SecretString,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl Client {
    /// Begins a sign-in of this program.
    pub async fn start_device_login(&self) -> Result<DeviceLogin, Error> {
        let form = [("client_id", CLIENT), ("scope", "openid offline_access")];
        self.fetch(Call::post(&["login", "oauth", "device"]).form(&form)).await
    }

    /// Asks once what came of it.
    pub async fn poll_device_login(&self, login: &DeviceLogin) -> Result<LoginProgress, Error> {
        let form = [
            ("client_id", CLIENT),
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", login.device_code.expose()),
        ];
        let call = Call::post(&["login", "oauth", "token"]).form(&form);
        let (status, answer) = self.exchange(call).await?;
        if status == 200 {
            return self.tokens(&answer).map(LoginProgress::Done);
        }
        let refused = answer.json::<Refused>().map(|refused| refused.error).unwrap_or_default();
        Ok(match refused.as_str() {
            "authorization_pending" => LoginProgress::Pending,
            "slow_down" => LoginProgress::SlowDown,
            "access_denied" => LoginProgress::Denied,
            "expired_token" | "invalid_grant" => LoginProgress::Expired,
            _ => return Err(answer.refused(status)),
        })
    }

    /// Another access token; `None` if the sign-in is over. The refresh token is worth nothing afterwards.
    pub async fn renew_login(&self, refresh: &SecretString) -> Result<Option<LoginTokens>, Error> {
        let form =
            [("client_id", CLIENT), ("grant_type", "refresh_token"), ("refresh_token", refresh.expose())];
        let (status, answer) = self.exchange(Call::post(&["login", "oauth", "token"]).form(&form)).await?;
        if status == 200 {
            return self.tokens(&answer).map(Some);
        }
        match answer.json::<Refused>() {
            Ok(refused) if refused.error == "invalid_grant" => Ok(None),
            _ => Err(answer.refused(status)),
        }
    }

    /// Ends the sign-in whose access or refresh token this is.
    pub async fn revoke_login(&self, token: &SecretString) -> Result<(), Error> {
        let form = [("client_id", CLIENT), ("token", token.expose().as_str())];
        self.send(Call::post(&["login", "oauth", "revoke"]).form(&form)).await.map(drop)
    }

    fn tokens(&self, answer: &Answer) -> Result<LoginTokens, Error> {
        let Given { access_token, refresh_token, expires_in } = answer.json()?;
        let expires_at = self.env.now().plus(Duration::from_secs(expires_in));
        Ok(LoginTokens { access: access_token, refresh: refresh_token, expires_at })
    }
}

/// A form as text.
pub(crate) fn encode(fields: &[(&str, &str)]) -> Vec<u8> {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes()
}

/// The client identifier of this program.
const CLIENT: &str = "carnet-cli";
