//! Whether what a server gave is what was asked, beyond scopes: the target of the token.
//!
//! Two things can be seen. The authorization details in the answer (RFC 9396 §7) may be fewer, or enriched by what the
//! person chose, and never wider than asked. And a token that happens to be a readable JWT names its audience
//! (RFC 9068 §3), which must be what was asked for. Its signature is not checked: what is looked for is a server's
//! mistake, or that it ignored the parameter, and a token that says nothing is not refused.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use carnet_model::SecretString;
use serde_json::{Map, Value};

use super::json;
use super::token_answer::Issued;
use crate::driver::ability::is_same_resource;

/// What was asked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked<'a> {
    pub resources: &'a [String],
    pub audience: &'a [&'a str],
    /// Whether the audience is the caller's own word, and not the connector's.
    pub names_audience: bool,
    pub details: &'a [Value],
}

/// What is wrong with what was issued, if anything is.
pub(crate) fn stray(asked: Asked<'_>, issued: &Issued) -> Option<String> {
    if let Some(flaw) = issued.flaw {
        return Some(flaw.to_owned());
    }
    if issued.repeats {
        return Some("the provider says a token again where it would be shown to people".to_owned());
    }
    let wider = |given: &Value| !asked.details.iter().any(|asked| covers(asked, given));
    if issued.details.as_ref().is_some_and(|given| given.iter().any(wider)) {
        return Some("its authorization details go beyond what was asked".to_owned());
    }
    if asked.resources.is_empty() && !asked.names_audience {
        return None;
    }
    let audience = audience(&issued.access)?;
    if asked.names_audience && !audience.iter().any(|given| asked.audience.contains(&given.as_str())) {
        return Some("it is not a token for the audience that was asked for".to_owned());
    }
    if asked.resources.is_empty() {
        return None;
    }
    let fits = |given: &String| {
        asked.resources.iter().any(|asked| is_same_resource(asked, given))
            || asked.audience.contains(&given.as_str())
    };
    (!audience.iter().any(fits)).then(|| "it is a token for another audience".to_owned())
}

/// Whether `given` is no wider than `asked`. What was asked must come back: less in a list, the same elsewhere. Lists
/// that were asked empty are for the person to fill (RFC 9396 §7.1), and so are members that were not asked.
fn covers(asked: &Value, given: &Value) -> bool {
    match (asked, given) {
        (Value::Object(asked), Value::Object(given)) => {
            let same =
                |(name, asked): (&String, &Value)| given.get(name).is_some_and(|given| covers(asked, given));
            asked.iter().all(same)
        }
        (Value::Array(asked), Value::Array(given)) => {
            asked.is_empty() || given.iter().all(|given| asked.iter().any(|asked| covers(asked, given)))
        }
        _ => asked == given,
    }
}

/// The audiences of a token that is a readable JWT and names any.
fn audience(token: &SecretString) -> Option<Vec<String>> {
    let mut parts = token.expose().split('.');
    let (head, body) = (parts.next()?, parts.next()?);
    if parts.next().is_none()
        || parts.next().is_some()
        || !decode(head)?.get("alg").is_some_and(Value::is_string)
    {
        return None;
    }
    match decode(body)?.remove("aud")? {
        Value::String(one) => Some(vec![one]),
        Value::Array(all) => {
            Some(all.into_iter().filter_map(|one| one.as_str().map(str::to_owned)).collect())
        }
        // An audience that cannot be read is not the one that was asked.
        _ => Some(Vec::new()),
    }
}

fn decode(part: &str) -> Option<Map<String, Value>> {
    json::object(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn issued(token: &str, details: Option<Value>) -> Issued {
        Issued {
            access: SecretString::new(token.to_owned()),
            expires_in: None,
            refresh: None,
            refresh_expires_in: None,
            scopes: None,
            id_token: None,
            kind: None,
            is_other: false,
            details: details.and_then(|details| details.as_array().cloned()),
            repeats: false,
            flaw: None,
            more: crate::oauth::token_answer::More::default(),
        }
    }

    fn jwt(claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(&json!({"alg": "RS256"})), part(claims))
    }

    #[test]
    fn a_jwt_for_another_audience_is_told() {
        let resources = ["https://mcp.example/mcp".to_owned()];
        let audience = ["api"];
        let asked = Asked { resources: &resources, audience: &audience, ..Asked::default() };
        for (token, fits) in [
            (jwt(&json!({"aud": "https://mcp.example/mcp"})), true),
            (jwt(&json!({"aud": "https://mcp.example/mcp/"})), true),
            (jwt(&json!({"aud": ["https://mcp.example/mcp", "https://idp.example/userinfo"]})), true),
            (jwt(&json!({"aud": ["api"]})), true),
            (jwt(&json!({"sub": "alice"})), true),
            (jwt(&json!({"aud": "https://mcp.example"})), false),
            (jwt(&json!({"aud": "https://other.example/mcp"})), false),
            (jwt(&json!({"aud": []})), false),
            (jwt(&json!({"aud": 7})), false),
            ("opaque".to_owned(), true),
            ("a.b.c".to_owned(), true),
            (format!("{}.x", jwt(&json!({"aud": "other"}))), true),
        ] {
            assert_eq!(stray(asked, &issued(&token, None)).is_none(), fits, "{token}");
        }
        // An audience that the caller names is not left out.
        let named = Asked { names_audience: true, ..asked };
        for (token, fits) in [
            (jwt(&json!({"aud": ["api", "https://mcp.example/mcp"]})), true),
            (jwt(&json!({"aud": "https://mcp.example/mcp"})), false),
            ("opaque".to_owned(), true),
        ] {
            assert_eq!(stray(named, &issued(&token, None)).is_none(), fits, "{token}");
        }
        let nothing_asked = Asked::default();
        assert!(stray(nothing_asked, &issued(&jwt(&json!({"aud": "anything"})), None)).is_none());
    }

    #[test]
    fn details_may_be_fewer_or_filled_in_and_never_wider() {
        let asked = [
            json!({"type": "account", "actions": ["read", "list"], "locations": ["https://a"]}),
            json!({"type": "choice", "access": {"accounts": []}}),
        ];
        for (given, fits) in [
            (json!([]), true),
            (json!([asked[0]]), true),
            (json!([{"type": "account", "actions": ["read"], "locations": ["https://a"]}]), true),
            (json!([{"type": "account", "actions": ["read"], "locations": ["https://a"], "id": 7}]), true),
            (json!([{"type": "choice", "access": {"accounts": ["DE1", "DE2"]}}]), true),
            (json!([{"type": "account", "actions": ["read", "write"], "locations": ["https://a"]}]), false),
            (json!([{"type": "account", "locations": ["https://a"]}]), false),
            (json!([{"type": "account", "actions": "read", "locations": ["https://a"]}]), false),
            (json!([{"type": "admin"}]), false),
            (json!([asked[0], {"type": "admin"}]), false),
            (json!(["account"]), false),
            (json!([{}]), false),
        ] {
            let asked = Asked { details: &asked, ..Asked::default() };
            assert_eq!(stray(asked, &issued("opaque", Some(given.clone()))).is_none(), fits, "{given}");
        }
        assert!(stray(Asked::default(), &issued("opaque", Some(json!([{"type": "a"}])))).is_some());
        assert!(stray(Asked::default(), &issued("opaque", Some(json!([])))).is_none());
    }
}
