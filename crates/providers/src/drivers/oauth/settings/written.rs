//! A configuration as it is written down: what [`Read`](super::Read) reads again, without the secrets.

use carnet_model::Scopes;
use serde_json::{Map, Value, json};

use super::{GrantType, Settings};
use crate::oauth::client::Format;

impl Settings {
    /// As stored and shown: without the secret.
    pub(in super::super) fn to_data(&self) -> Map<String, Value> {
        let options = &self.options;
        let mut data = Map::new();
        let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
        put("clientId", options.client_id.clone().into());
        if let Some(url) = &options.server_url {
            put("serverUrl", url.clone().into());
        }
        if let Some(url) = &options.discovery_server_url {
            put("discoveryServerUrl", url.clone().into());
        }
        put("serverConfig", self.server.document.to_json().into());
        put("tokenEndpointAuthMethod", self.auth.as_str().into());
        put("pkceRequired", options.pkce_required.into());
        put("userAuthorization", options.user.to_json());
        put("clientCredentials", options.app.to_json());
        put(
            "refreshTokens",
            match options.idle_days {
                None => json!({"enabled": options.refresh}),
                Some(days) => json!({"enabled": options.refresh, "idleDays": days}),
            },
        );
        let forwarded =
            [("idToken", &options.forwarded_claims), ("tokenResponse", &options.forwarded_members)];
        let forwarded: Map<_, _> = forwarded
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(from, names)| (from.to_owned(), names.clone().into()))
            .collect();
        if !forwarded.is_empty() {
            put("forwardedClaims", forwarded.into());
        }
        if let Some(audience) = &options.default_audience {
            put("defaultAudience", audience.clone().into());
        }
        if let Some(life) = options.default_life {
            put("defaultTokenExpiresIn", life.as_secs().into());
        }
        if !options.authorization_params.is_empty() {
            put("authorizationUrlParams", options.authorization_params.iter().cloned().collect());
        }
        if !options.token_params.is_empty() {
            put("tokenRequestParams", options.token_params.iter().cloned().collect());
        }
        if let Some(separator) = &options.separator {
            put("scopeSeparator", separator.clone().into());
        }
        if let Some(algorithm) = options.signing {
            put("signingAlgorithm", algorithm.as_str().into());
        }
        if let Some(assertion) = options.client_assertion.to_json() {
            put("clientAssertion", assertion);
        }
        if let Some(asserted) = options.jwt_bearer.to_json() {
            put("jwtBearer", asserted);
        }
        if let Some(exchanged) = options.exchange.to_json() {
            put("tokenExchange", exchanged);
        }
        put("rotation", serde_json::to_value(options.rotation).unwrap_or_default());
        if let Some(name) = &options.client_name {
            put("clientName", name.clone().into());
        }
        if let Some(resource) = &options.resource {
            put("resource", resource.clone().into());
        }
        if options.device {
            put("deviceAuthorization", json!({"enabled": true}));
        }
        if let Some(registration) = &options.registration {
            put("clientRegistration", registration.to_json());
        }
        if options.format != Format::default() {
            put("tokenRequestFormat", options.format.as_str().into());
        }
        if let Some(account) = &options.account {
            put("account", account.to_json());
        }
        if let Some(installation) = &options.installation {
            put("installation", installation.to_json());
        }
        if let Some(disconnection) = &options.disconnection {
            put("disconnection", disconnection.to_json());
        }
        if options.revocation_ends_all {
            put("revocationEndsAll", true.into());
        }
        data
    }
}

impl GrantType {
    fn to_json(&self) -> Value {
        json!({"enabled": self.is_on(), "scopes": self.scopes})
    }
}

/// What the ways to a token that need no consent say of themselves alike: whether they are on, their scopes, and lists
/// where there is something in them.
pub(in super::super) fn way<const N: usize>(
    enabled: bool,
    scopes: &Scopes,
    lists: [(&str, &[String]); N],
) -> Map<String, Value> {
    let said = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let mut out: Map<_, _> = said.map(|(name, list)| (name.to_owned(), list.into())).collect();
    out.insert("enabled".to_owned(), enabled.into());
    out.insert("scopes".to_owned(), json!(scopes));
    out
}
