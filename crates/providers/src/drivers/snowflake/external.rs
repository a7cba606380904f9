//! Tokens that another authorization server gives for Snowflake ("External OAuth"): the account only verifies them.
//!
//! Which server, which client, for whom and with which audience is described as for an `oauth` connector, in
//! `externalOauth`; everything is [`Oauth`]'s. What a token may do at Snowflake is in its scopes, `session:role:NAME` or
//! `session:role-any`; whose it is, the security integration finds in its claims.

use carnet_model::connector::Connector;
use serde_json::{Map, Value};

use super::super::oauth::Oauth;
use super::settings::Settings;
use crate::driver::failure::{BadConfiguration, NotAccepted};
use crate::driver::secrets::ConnectorSecrets;
use crate::driver::{Accepted, At, Driver as _, NewConnector};

/// The connector as the driver of plain OAuth reads it.
pub(super) struct View {
    pub connector: Connector,
    secrets: ConnectorSecrets,
}

impl View {
    /// `None` where the account itself gives the tokens.
    pub(super) fn of(settings: &Settings, connector: &Connector, secrets: &ConnectorSecrets) -> Option<Self> {
        let data = settings.external.clone()?;
        let mut own = ConnectorSecrets::default();
        if let Some(secret) = secrets.at(SECRET) {
            own.insert("/clientSecret".to_owned(), secret.duplicate());
        }
        Some(Self { connector: Connector { data, ..connector.clone() }, secrets: own })
    }

    pub(super) fn at<'a>(&'a self, at: &At<'a>) -> At<'a> {
        At { connector: &self.connector, secrets: &self.secrets, ..*at }
    }
}

/// Reads the description of the other server and its client.
pub(super) async fn accept(
    ask: NewConnector<'_>,
    described: Map<String, Value>,
) -> Result<Accepted, BadConfiguration> {
    let bad = |field: &str, why: &str| BadConfiguration {
        field: format!("externalOauth.{field}"),
        why: why.to_owned(),
    };
    if described.get("clientId").is_none_or(Value::is_null) {
        return Err(bad("clientId", "is missing: the client that is registered at the authorization server"));
    }
    let is_said = |name: &str| described.get(name).is_some_and(|value| !value.is_null());
    if !is_said("serverUrl") && !is_said("serverConfig") {
        return Err(bad("serverUrl", "is missing: the issuer whose tokens the security integration takes"));
    }
    if is_said("webhookSecret") {
        return Err(bad("webhookSecret", "is of no use: Snowflake sends no webhooks"));
    }
    let ask = NewConnector { data: described, service: "snowflake", address: None, ..ask };
    let accepted = Oauth.accept(ask).await;
    let accepted = accepted.map_err(|refused| match refused {
        NotAccepted::Bad(refused) => bad(&refused.field, &refused.why),
        // Only where a client is registered, and one that is brought is not.
        NotAccepted::Later { why, .. } => bad("clientId", &why),
    })?;
    let mut secrets = ConnectorSecrets::default();
    if let Some(secret) = accepted.secrets.at("/clientSecret") {
        secrets.insert(SECRET.to_owned(), secret.duplicate());
    }
    Ok(Accepted { secrets, ..accepted })
}

const SECRET: &str = "/externalOauth/clientSecret";
