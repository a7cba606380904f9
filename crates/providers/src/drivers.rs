//! The drivers, one file each, and the one place that knows them all.

mod api_key;
mod atlassian;
mod dialect;
mod github;
mod google;
mod google_service_account;
mod microsoft_entra;
mod oauth;
mod okta;
mod probe;
mod salesforce;
mod slack;
mod snowflake;

use carnet_model::connector::ConnectorType;
use carnet_model::grant::Rotation;

use crate::driver::Driver;

#[cfg(feature = "fuzzing")]
pub(crate) use github::reach as github_reach;
#[cfg(feature = "fuzzing")]
pub(crate) use snowflake::origin as snowflake_origin;

/// The driver for connectors of this type.
pub fn driver(r#type: ConnectorType) -> &'static dyn Driver {
    match r#type {
        ConnectorType::Oauth => &oauth::Oauth,
        ConnectorType::ApiKey => &api_key::ApiKey,
        ConnectorType::Github => &github::Github,
        ConnectorType::Slack => &slack::Slack,
        ConnectorType::Salesforce => &salesforce::Salesforce,
        ConnectorType::Snowflake => &snowflake::Snowflake,
        ConnectorType::GoogleServiceAccount => &google_service_account::Google,
        ConnectorType::MicrosoftEntra => &microsoft_entra::Entra,
        ConnectorType::Google => &dialect::Speaks(google::Google),
        ConnectorType::Okta => &dialect::Speaks(okta::Okta),
        ConnectorType::Atlassian => &dialect::Speaks(atlassian::Atlassian),
    }
}

/// What becomes of a used refresh token of connectors of this type where their `data` says nothing else; `None` where it
/// depends on the server, or there are no refresh tokens.
pub const fn usual_rotation(r#type: ConnectorType) -> Option<Rotation> {
    match r#type {
        ConnectorType::Oauth | ConnectorType::ApiKey | ConnectorType::GoogleServiceAccount => None,
        ConnectorType::Github | ConnectorType::Slack | ConnectorType::Salesforce | ConnectorType::Okta => {
            Some(Rotation::Strict)
        }
        ConnectorType::Snowflake | ConnectorType::MicrosoftEntra | ConnectorType::Google => {
            Some(Rotation::None)
        }
        ConnectorType::Atlassian => Some(Rotation::Grace { seconds: 600 }),
    }
}
