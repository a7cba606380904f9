//! What a workload identity says about itself, for a person to read. Nothing is verified here and nothing is decided
//! by it: that is the server's to do.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_model::Time;
use serde::{Deserialize, Serialize};

/// A few claims.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Claims {
    /// Who says so.
    #[serde(rename = "iss", skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<String>,
    /// Of whom.
    #[serde(rename = "sub", skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    /// The team's short name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    /// The project's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<String>,
    /// The environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) environment: Option<String>,
    /// When it ends, in seconds.
    #[serde(rename = "exp", skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<i64>,
}

impl Claims {
    /// Reads them. `None` if this is not the form of a JWT.
    pub(crate) fn peek(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (Some(_), Some(payload), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }

    /// When it ends.
    pub(crate) fn expires_at(&self) -> Option<Time> {
        self.expires.map(Time::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_are_read_and_nonsense_is_not() {
        let payload =
            json!({"sub": "owner:dev:project:my-app:environment:development", "project": "my-app", "exp": 7});
        let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload.to_string()));
        let claims = Claims::peek(&token).unwrap();
        assert_eq!(claims.project.as_deref(), Some("my-app"));
        assert_eq!(claims.expires_at(), Some(Time::from_millis(7000)));
        for text in ["", "crn_x", "a.b", "a.!.c", "a.b.c.d"] {
            assert_eq!(Claims::peek(text), None, "{text}");
        }
    }
}
