//! Who a person is, for apps that sign people in: not told to whoever asks for tokens.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

/// A person, as the provider tells of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// The tenant of the provider that the account is in, where accounts are not unique without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// `name`, `email`, `email_verified` and `picture` (OpenID Connect Core §5.1), those that the provider gave.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub claims: Map<String, Value>,
}

impl Profile {
    /// Nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What stands in the claims of an ID token, in the form that OpenID Connect gives it. What has another form is left out.
    pub(crate) fn of_claims(claims: &Map<String, Value>) -> Self {
        let mut known = Map::new();
        for name in ["name", "email"] {
            if let Some(text) = claims.get(name).and_then(Value::as_str).filter(|text| is_line(text)) {
                known.insert(name.to_owned(), text.into());
            }
        }
        // Some providers write it as text, which is what a program that looks for `true` would take for it.
        let verified = claims.get("email_verified").and_then(|value| match value {
            Value::Bool(verified) => Some(*verified),
            Value::String(text) => text.parse().ok(),
            _ => None,
        });
        if let (Some(verified), true) = (verified, known.contains_key("email")) {
            known.insert("email_verified".to_owned(), verified.into());
        }
        let picture = claims.get("picture").and_then(Value::as_str).filter(|text| text.len() <= 2048);
        if let Some(url) =
            picture.and_then(|text| Url::parse(text).ok()).filter(|url| url.scheme() == "https")
        {
            known.insert("picture".to_owned(), url.as_str().into());
        }
        Self { tenant: None, claims: known }
    }
}

fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= 320 && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_has_the_form_of_the_standard_is_told_on() {
        for (claims, told) in [
            (
                json!({"sub": "1", "name": "Ada", "email": "ada@example.com", "email_verified": true, "picture": "https://a.example/p"}),
                json!({"name": "Ada", "email": "ada@example.com", "email_verified": true, "picture": "https://a.example/p"}),
            ),
            (
                json!({"email": "a@b", "email_verified": "true"}),
                json!({"email": "a@b", "email_verified": true}),
            ),
            (json!({"email": "a@b", "email_verified": "yes"}), json!({"email": "a@b"})),
            (json!({"email_verified": true}), json!({})),
            (json!({"name": "A\u{7}", "email": ["a@b"], "picture": "javascript:alert(1)"}), json!({})),
            (json!({"name": " ", "picture": "http://a.example/p"}), json!({})),
        ] {
            let profile = Profile::of_claims(claims.as_object().unwrap());
            assert_eq!(Value::from(profile.claims), told, "{claims}");
        }
    }
}
