//! Ending what an account granted at a server that ends no token but the whole connection to the account, at an address
//! of its own and for the client's secret as a bearer (Stripe, "OAuth reference", `/oauth/deauthorize`).

use carnet_egress::Purpose;
use carnet_model::SecretString;
use http::header::{AUTHORIZATION, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use super::settings::Settings;
use crate::driver::At;
use crate::driver::failure::{BadConfiguration, DriverError};
use crate::driver::held::Held;
use crate::driver::mint::Revocation;
use crate::fields::Fields;
use crate::oauth::client::{self, Form};
use crate::oauth::failure::{self, Phase};
use crate::oauth::token_answer::Spoken;

/// Where the connection to an account is ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Disconnection {
    pub endpoint: Url,
    /// The parameter that names the account.
    account_param: String,
}

impl Disconnection {
    /// Reads `disconnection`.
    pub(super) fn read(fields: &mut Fields) -> Result<Option<Self>, BadConfiguration> {
        let Some(mut inner) = fields.object("disconnection")? else { return Ok(None) };
        let endpoint = inner.text("endpoint")?.ok_or_else(|| inner.bad("endpoint", "is missing"))?;
        let endpoint = Url::parse(&endpoint).map_err(|_| inner.bad("endpoint", "is not a URL"))?;
        let account_param =
            inner.text("accountParam")?.ok_or_else(|| inner.bad("accountParam", "is missing"))?;
        inner.finish()?;
        Ok(Some(Self { endpoint, account_param }))
    }

    /// As stored and shown.
    pub(super) fn to_json(&self) -> Value {
        json!({"endpoint": self.endpoint.as_str(), "accountParam": self.account_param})
    }

    /// Ends it. What is held must say whose it is.
    pub(super) async fn end(
        &self,
        at: &At<'_>,
        settings: &Settings,
        secret: Option<&SecretString>,
        held: &Held,
    ) -> Result<Revocation, DriverError> {
        let (Some(account), Some(secret)) = (held.external_subject(), secret) else {
            return Ok(Revocation::NotSupported);
        };
        let bearer = SecretString::new(format!("Bearer {}", secret.expose()));
        let mut header = HeaderValue::from_str(bearer.expose())
            .map_err(|_| DriverError::Misconfigured("clientSecret".to_owned(), "is no bearer".to_owned()))?;
        header.set_sensitive(true);
        let mut form = Form::new();
        form.push("client_id", &settings.options.client_id);
        form.push(&self.account_param, account);
        form.remember(secret);
        let call = form.call(self.endpoint.clone(), Purpose::ProviderToken, at.connector.team);
        let answer = at.http.send(call.header(AUTHORIZATION, header)).await;
        let answer = answer.map_err(|error| failure::of_transport(error, "disconnection.endpoint"))?;
        if answer.status.is_success() {
            return Ok(Revocation::Revoked);
        }
        let wait = failure::retry_after(&answer.headers, at.env.now());
        Err(match client::spoken(&answer) {
            Spoken::Refusal(refusal) => {
                failure::of_refusal(Phase::Revocation, answer.status, &refusal, wait, form.secrets())
            }
            Spoken::Issued(_) | Spoken::Nothing(_) => {
                failure::of_nothing(answer.status, wait, failure::UNREADABLE)
            }
        })
    }
}
