//! Asking a server about a token it has just given, where its answer did not say when the token ends (RFC 7662).

use std::time::Duration;

use carnet_model::{Scopes, SecretString};
use http::StatusCode;
use serde_json::{Map, Value};
use url::Url;

use super::client::{Client, Form};
use super::{failure, json};

/// What a server says about a token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Introspected {
    /// It can be used.
    Active {
        /// In how many seconds it ends, if that is said.
        expires_in: Option<u64>,
        /// What it may do, if that is said.
        scopes: Option<Scopes>,
    },
    /// The server does not say: it refuses, fails, answers with something else, or says that a token is not active which it
    /// has just given. That is what it says to whoever may not ask (RFC 7662 §2.2).
    Unsaid,
}

impl Client<'_> {
    /// Asks once, and does not wait longer than `patience`. That a server does not say is no failure: nothing was known
    /// before either.
    pub(crate) async fn introspect(
        &self,
        endpoint: &Url,
        token: &SecretString,
        patience: Duration,
    ) -> Introspected {
        let mut form = Form::new();
        form.push_secret("token", token);
        form.push("token_type_hint", "access_token");
        let asked = self.send_within(patience, endpoint, &mut form, "serverConfig.introspection_endpoint");
        let Ok(answer) = asked.await else {
            return Introspected::Unsaid;
        };
        if answer.status != StatusCode::OK {
            return Introspected::Unsaid;
        }
        // The end is a time of the server's clock, which may be another one than ours.
        let there = failure::date(&answer.headers).unwrap_or_else(|| self.env.now());
        json::object(&answer.body).map_or(Introspected::Unsaid, |said| read(&said, there.secs()))
    }
}

fn read(said: &Map<String, Value>, now: i64) -> Introspected {
    match said.get("active") {
        Some(Value::Bool(true)) => {}
        _ => return Introspected::Unsaid,
    }
    // The token was made this moment. An end that is past, or that no token has, is a clock or a unit that is wrong.
    let ends = said.get("exp").and_then(Value::as_i64);
    let life = ends.and_then(|end| u64::try_from(end.saturating_sub(now)).ok());
    let life = life.filter(|life| (1..=LONGEST).contains(life));
    let scopes = said.get("scope").and_then(Value::as_str);
    Introspected::Active {
        expires_in: life,
        scopes: scopes.and_then(|text| Scopes::parse_joined(text).ok()).filter(|scopes| !scopes.is_empty()),
    }
}

/// In seconds: two years. Servers that write times in milliseconds say some ten thousand.
const LONGEST: u64 = 2 * 365 * 24 * 3600;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_said_is_taken_and_nothing_is_made_up() {
        let active = |expires_in, scopes: Option<&str>| Introspected::Active {
            expires_in,
            scopes: scopes.map(|text| Scopes::parse_joined(text).unwrap()),
        };
        for (said, meant) in [
            (json!({"active": true, "exp": 1060, "scope": "a b"}), active(Some(60), Some("a b"))),
            (json!({"active": true}), active(None, None)),
            (json!({"active": true, "exp": "1060", "scope": 7}), active(None, None)),
            (json!({"active": true, "exp": 1000, "scope": "a"}), active(None, Some("a"))),
            (json!({"active": true, "exp": i64::MIN}), active(None, None)),
            (json!({"active": true, "exp": i64::MAX}), active(None, None)),
            (json!({"active": true, "exp": 1_060_000_000_000_i64}), active(None, None)),
            (json!({"active": true, "exp": 1000 + 365 * 24 * 3600}), active(Some(365 * 24 * 3600), None)),
            (json!({"active": false, "exp": 1060}), Introspected::Unsaid),
            (json!({"active": false}), Introspected::Unsaid),
            (json!({"active": "true"}), Introspected::Unsaid),
            (json!({"exp": 1060}), Introspected::Unsaid),
        ] {
            assert_eq!(read(said.as_object().unwrap(), 1000), meant, "{said}");
        }
    }
}
