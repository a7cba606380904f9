//! What the file says, written down as a person would have, with what they brought laid over it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use toml::Spanned;

use super::{Unfit, page, unfit};
use crate::entry::{Entry, Method, Oauth, Pkce, RefreshClass, Target};
use crate::template::Template;

pub(super) type Filled<'a> = dyn Fn(&Spanned<Template>) -> Result<String, Unfit> + 'a;

pub(super) fn oauth_data(
    entry: &Entry,
    method: &Method,
    oauth: &Oauth,
    target: Option<&Target>,
    address: &Filled<'_>,
) -> Result<(Map<String, Value>, Option<String>), Unfit> {
    if let Some(beyond) = &oauth.beyond {
        return Err(Unfit {
            page: Some((page(method, entry), "about it".to_owned())),
            ..unfit(
                "connectionMethod",
                format!("{} of {} cannot be connected yet: {beyond}.", method.method, entry.name),
            )
        });
    }
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
    let server = oauth.server.as_ref().map(address).transpose()?;
    if server.is_none() {
        if oauth.token.is_none() {
            return Err(unfit(
                "data.serverConfig",
                format!(
                    "The catalog does not know where {} gives out tokens. Describe its server in serverConfig, without \
                     connectionMethod.",
                    entry.name
                ),
            ));
        }
        let mut config = Map::new();
        for (name, template) in oauth.addresses() {
            let member = if name == "issuer" {
                name.to_owned()
            } else {
                format!("{}_endpoint", if name == "device" { "device_authorization" } else { name })
            };
            let mut text = address(template)?;
            // An issuer is compared byte for byte, and a name without a path is written without one.
            if name == "issuer" && !template.get_ref().as_str().ends_with('/') {
                text.truncate(text.trim_end_matches('/').len());
            }
            config.insert(member, text.into());
        }
        if matches!(oauth.pkce, Pkce::Yes | Pkce::Required) {
            config.insert("code_challenge_methods_supported".to_owned(), json!(["S256"]));
        }
        put("serverConfig", config.into());
        let people = oauth.authorization.is_some();
        let scopes =
            target.map(|target| &target.scopes).filter(|scopes| !scopes.is_empty()).unwrap_or(&oauth.scopes);
        put("userAuthorization", json!({"enabled": people, "scopes": scopes}));
    } else {
        let scopes =
            target.map(|target| &target.scopes).filter(|scopes| !scopes.is_empty()).unwrap_or(&oauth.scopes);
        if !scopes.is_empty() {
            put("userAuthorization", json!({"enabled": true, "scopes": scopes}));
        }
    }
    if oauth.pkce == Pkce::No {
        put("pkceRequired", false.into());
    }
    if let Some(app) = &oauth.app {
        put("clientCredentials", json!({"enabled": true, "scopes": app.scopes}));
    }
    if let Some(auth) = oauth.client_auth {
        put("tokenEndpointAuthMethod", auth.as_str().into());
    }
    if !oauth.authorization_params.is_empty() {
        put("authorizationUrlParams", json!(oauth.authorization_params));
    }
    if let Some(separator) = &oauth.separator {
        put("scopeSeparator", separator.clone().into());
    }
    if let Some(life) = oauth.life {
        put("defaultTokenExpiresIn", life.into());
    }
    if let Some(days) = oauth.refresh.idle_days {
        put("refreshTokens", json!({"enabled": true, "idleDays": days}));
    }
    match oauth.refresh.class {
        RefreshClass::None => put("rotation", json!({"class": "none"})),
        RefreshClass::Grace => put("rotation", json!({"class": "grace", "seconds": oauth.refresh.seconds})),
        RefreshClass::Strict | RefreshClass::Unknown => put("rotation", json!({"class": "strict"})),
        RefreshClass::Absent => None,
    };
    Ok((data, server))
}

pub(super) fn key_data(
    method: &Method,
    brought: &Map<String, Value>,
    address: &Filled<'_>,
) -> Result<Map<String, Value>, Unfit> {
    let mut data = Map::new();
    let urls = method.api.iter().map(address).collect::<Result<Vec<_>, _>>()?;
    if !urls.is_empty() {
        data.insert("serviceUrls".to_owned(), urls.into());
    }
    // What a person reads before pasting a key.
    if brought.get("subjectType").and_then(Value::as_str) == Some("user") {
        let page = method.console.as_ref().map(|page| format!("Make a key at {page}\n"));
        let words = method.instructions.as_ref().map(ToString::to_string);
        let text = page.into_iter().chain(words).collect::<Vec<_>>().join("\n");
        if !text.is_empty() {
            data.insert("instructions".to_owned(), text.into());
        }
    }
    Ok(data)
}

/// What was brought, over what the file says. Members of an object of parameters are laid over one by one.
pub(super) fn laid_over(mut data: Map<String, Value>, brought: &Map<String, Value>) -> Map<String, Value> {
    for (name, value) in brought {
        match (data.get_mut(name), value) {
            (Some(Value::Object(under)), Value::Object(over))
                if matches!(
                    name.as_str(),
                    "authorizationUrlParams" | "userAuthorization" | "clientCredentials" | "installation"
                ) =>
            {
                under.extend(over.clone());
            }
            _ => {
                data.insert(name.clone(), value.clone());
            }
        }
    }
    data
}

/// A value of the file, with what was filled in.
pub(super) fn filled(value: &toml::Value, values: &BTreeMap<&str, String>) -> Value {
    match value {
        toml::Value::String(text) => {
            let fill =
                |text: String, (name, value): (&&str, &String)| text.replace(&format!("{{{name}}}"), value);
            values.iter().fold(text.clone(), fill).into()
        }
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => json!(number),
        toml::Value::Boolean(flag) => (*flag).into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.iter().map(|item| filled(item, values)).collect(),
        toml::Value::Table(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), filled(value, values)));
            Value::Object(members.collect())
        }
    }
}
