//! The drivers, one file each, and the one place that knows them all.

mod api_key;
mod github;
mod oauth;
mod slack;

use carnet_model::connector::ConnectorType;

use crate::driver::Driver;

/// The driver for connectors of this type.
pub fn driver(r#type: ConnectorType) -> &'static dyn Driver {
    match r#type {
        ConnectorType::Oauth => &oauth::Oauth,
        ConnectorType::ApiKey => &api_key::ApiKey,
        ConnectorType::Github => &github::Github,
        ConnectorType::Slack => &slack::Slack,
    }
}
