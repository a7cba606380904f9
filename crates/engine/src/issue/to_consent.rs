//! What a token is to be for beside its scopes, held against what was consented to: resources (RFC 8707), audiences,
//! authorization details (RFC 9396).
//!
//! The provider is not asked about what nobody consented to: some spend the refresh token to say no.

use carnet_model::{Code, Fault, Subject};
use carnet_providers::{Resources, TokenAbilities, is_same_resource};
use serde_json::Value;

use super::Wanted;
use crate::directory::Entry;
use crate::sealing::Facts;

/// What a grant must be for. The connector's own resource and audience are nobody's to consent to.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToConsent {
    resources: Vec<String>,
    audience: Vec<String>,
    details: Vec<Value>,
}

/// One of them that nobody consented to.
pub(crate) enum Unasked<'a> {
    Resource(&'a str),
    Audience(&'a str),
    Detail(&'a Value),
}

impl ToConsent {
    /// Of what is asked of this connector.
    pub(crate) fn of(
        entry: &Entry,
        abilities: &TokenAbilities,
        resources: &[String],
        audience: &[String],
        details: &[Value],
    ) -> Self {
        let own = entry.row.connector.data.get("defaultAudience").and_then(Value::as_str);
        Self {
            resources: if abilities.resources == Resources::Any { resources.to_vec() } else { Vec::new() },
            audience: audience.iter().filter(|text| own != Some(text.as_str())).cloned().collect(),
            details: details.to_vec(),
        }
    }

    /// The first that was not consented to.
    pub(crate) fn beyond(&self, facts: &Facts) -> Option<Unasked<'_>> {
        let resource = self
            .resources
            .iter()
            .find(|asked| !facts.resources.iter().any(|consented| is_same_resource(consented, asked)))
            .map(|text| Unasked::Resource(text));
        let audience = || {
            let unasked = self.audience.iter().find(|asked| !facts.audience.contains(asked));
            unasked.map(|text| Unasked::Audience(text))
        };
        let detail = || {
            let is_consented =
                |asked: &&Value| facts.details.iter().any(|consented| is_within(asked, consented));
            self.details.iter().find(|asked| !is_consented(asked)).map(Unasked::Detail)
        };
        resource.or_else(audience).or_else(detail)
    }
}

impl Unasked<'_> {
    /// The grant is for others than this one.
    pub(crate) fn fault(&self, entry: &Entry, wanted: &Wanted) -> Fault {
        let (code, who) = if matches!(wanted.subject, Subject::App) {
            (Code::InstallationRequired, "Installation required: the application".to_owned())
        } else {
            (
                Code::UserAuthorizationRequired,
                format!("User authorization required: {}", wanted.place.subject),
            )
        };
        let short = |text: &str| text.chars().take(200).collect::<String>();
        let (what, member, reason, name, value) = match self {
            Self::Resource(text) => {
                ("the resource", "resources", "resource_not_consented", "resource", short(text))
            }
            Self::Audience(text) => {
                ("the audience", "audience", "audience_not_consented", "audience", short(text))
            }
            // What it says may be nobody else's business; its type is a name.
            Self::Detail(detail) => {
                let kind = detail.get("type").and_then(Value::as_str).unwrap_or_default();
                let reason = "authorization_details_not_consented";
                (
                    "this authorization detail of type",
                    "authorizationDetails",
                    reason,
                    "detailType",
                    short(kind),
                )
            }
        };
        let message = format!(
            "{who} has consent at {}, and not for {what} {value:?}. Ask for consent with the same {member}.",
            entry.row.connector.uid
        );
        Fault::new(code, message).with("reason", reason).with(name, value)
    }
}

/// Whether a detail is no more than the one that was consented to: the same members, each the same, or fewer of a list. An
/// empty list may mean all there is, so it is within an empty one alone.
fn is_within(asked: &Value, consented: &Value) -> bool {
    match (asked, consented) {
        (Value::Object(asked), Value::Object(consented)) => {
            asked.len() == consented.len()
                && asked.iter().all(|(name, asked)| {
                    consented.get(name).is_some_and(|consented| is_within(asked, consented))
                })
        }
        (Value::Array(asked), Value::Array(consented)) if !asked.is_empty() => {
            asked.iter().all(|asked| consented.iter().any(|consented| is_within(asked, consented)))
        }
        _ => asked == consented,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_detail_is_consented_to_if_it_is_the_same_or_less_of_a_list() {
        let consented =
            json!({"type": "account", "actions": ["read", "list"], "at": {"banks": ["a", "b"]}, "limit": 5});
        let with = |name: &str, value: Value| {
            let mut detail = consented.clone();
            detail[name] = value;
            detail
        };
        for (asked, want) in [
            (consented.clone(), true),
            (with("actions", json!(["list", "read"])), true),
            (with("actions", json!(["read"])), true),
            (with("at", json!({"banks": ["b"]})), true),
            (with("actions", json!(["read", "write"])), false),
            (with("actions", json!([])), false),
            (with("actions", json!("read")), false),
            (with("at", json!({"banks": ["c"]})), false),
            (with("at", json!({})), false),
            (with("limit", json!(4)), false),
            (with("type", json!("payment")), false),
            (with("more", json!(true)), false),
            (json!({"type": "account"}), false),
        ] {
            assert_eq!(is_within(&asked, &consented), want, "{asked}");
        }
        let open = json!({"type": "account", "accounts": []});
        assert!(is_within(&open, &open));
        assert!(!is_within(&json!({"type": "account", "accounts": ["1"]}), &open));
    }
}
