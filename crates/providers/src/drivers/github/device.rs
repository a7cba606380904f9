//! People who decide on GitHub's own page, by a code: for a server to which no browser can come back ("Using the device
//! flow to generate a user access token").
//!
//! The app's settings must allow it ("Enable Device Flow"), which is asked when the connector is made or changed. GitHub
//! wants no secret here: whoever has the code is waited for.

use carnet_egress::{Egress, Purpose};
use carnet_model::{Env, Id, kind};

use super::api;
use super::settings::Settings;
use super::user::{self, TOKEN};
use crate::driver::At;
use crate::driver::consent::{ConsentAsk, DeviceCode, Kept, Step};
use crate::driver::failure::DriverError;
use crate::oauth::client::{Client, Form, Received};
use crate::oauth::client_auth::Proof;
use crate::oauth::device::GRANT_TYPE;
use crate::oauth::failure::Phase;

/// Asks for a code, with which the person goes to GitHub.
pub(super) async fn begin(
    at: &At<'_>,
    settings: &Settings,
    ask: &ConsentAsk<'_>,
) -> Result<Step, DriverError> {
    user::check(settings, ask)?;
    let device = code(&client(at.http, at.env, at.connector.team, &settings.client_id)).await?;
    Ok(Step::Device { kept: Kept { device: Some(device), ..Kept::default() } })
}

/// A code for GitHub's page.
pub(super) async fn code(client: &Client<'_>) -> Result<DeviceCode, DriverError> {
    let http = client.http;
    // A person is shown no address that this server would not call.
    let read = |text: &str| http.check(text, Purpose::ProviderToken).ok().map(|url| http.reroute(&url));
    client.device_code(&api::web("login/device/code")?, Form::new(), read).await.map_err(meant)
}

/// Tokens, once the person has decided.
pub(super) async fn redeem(
    at: &At<'_>,
    settings: &Settings,
    device: &DeviceCode,
) -> Result<Received, DriverError> {
    let mut form = Form::of(GRANT_TYPE);
    form.push_secret("device_code", &device.code);
    let client = client(at.http, at.env, at.connector.team, &settings.client_id);
    client.token(&api::web(TOKEN)?, form, Phase::Device).await.map_err(meant)
}

/// The app, by its name alone.
pub(super) const fn client<'a>(
    http: &'a Egress,
    env: &'a Env,
    tenant: Id<kind::Team>,
    id: &'a str,
) -> Client<'a> {
    Client { http, env, tenant, id, proof: Proof::Name }
}

fn meant(error: DriverError) -> DriverError {
    match error {
        DriverError::Refused { vendor } if vendor.error == "device_flow_disabled" => {
            DriverError::Misconfigured("deviceFlow".to_owned(), DISABLED.to_owned())
        }
        error => error,
    }
}

const DISABLED: &str = "is true, and the app does not allow it: switch on \u{201c}Enable Device Flow\u{201d} in the app's settings at \
                        GitHub, or set deviceFlow to false";
