//! By what a token is remembered: who asked, which connector, for whom, and what else was asked, in one canonical form.
//!
//! The order of scopes, resources and audiences does not matter, and neither does naming one twice; `["*"]` is the same
//! as naming none. How long the token must still live is no part of it. Credentials and subjects are digested, so that
//! no secret lies about in a table.

use aws_lc_rs::digest::{Context, SHA256};
use carnet_model::SecretString;
use serde_json::{Map, Value};

use crate::tokens::{AskedSubject, TokenRequest};

/// SHA-256.
type Digest = [u8; 32];

/// What a token was asked with.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct AskKey {
    caller: Digest,
    /// As it was named: identifier or UID.
    pub(crate) connector: String,
    /// Digested; `None` where the server chose.
    pub(crate) subject: Option<Digest>,
    pub(crate) installation: Option<String>,
    rest: Digest,
}

impl AskKey {
    /// The key of this request by this caller.
    pub(crate) fn new(caller: Option<&SecretString>, connector: &str, ask: &TokenRequest) -> Self {
        let scopes = ask.scopes.as_deref().filter(|scopes| !matches!(scopes, [only] if only == "*"));
        let mut details: Vec<Digest> = ask
            .authorization_details
            .iter()
            .flatten()
            .map(|detail| Parts::new("detail").value(detail).finish())
            .collect();
        details.sort_unstable();
        let rest = Parts::new("rest")
            // To ask for no scopes is something else than to ask for the usual ones.
            .flag(scopes.is_some())
            .names(scopes)
            .names(ask.resources.as_deref())
            .names(ask.audience.as_deref());
        Self {
            caller: Parts::new("caller").maybe(caller.map(|secret| secret.expose().as_str())).finish(),
            connector: connector.to_owned(),
            subject: ask.subject.as_ref().map(subject),
            installation: ask.installation_id.clone(),
            rest: details.iter().fold(rest, |rest, detail| rest.add(detail)).finish(),
        }
    }
}

/// A subject, digested.
pub(crate) fn subject(subject: &AskedSubject) -> Digest {
    match subject {
        AskedSubject::App => Parts::new("app"),
        AskedSubject::User { id, issuer } => Parts::new("user").maybe(id.as_deref()).maybe(issuer.as_deref()),
        AskedSubject::JwtBearer { sub, iss, aud, additional_claims } => Parts::new("jwt-bearer")
            .add(sub.as_bytes())
            .maybe(iss.as_deref())
            .maybe(aud.as_deref())
            .object(additional_claims),
        AskedSubject::Token { token } => Parts::new("token").add(token.expose().as_bytes()),
    }
    .finish()
}

/// Digests parts so that no two lists of parts meet: each has its length before it.
struct Parts(Context);

impl Parts {
    fn new(label: &str) -> Self {
        Self(Context::new(&SHA256)).add(label.as_bytes())
    }

    fn add(mut self, part: &[u8]) -> Self {
        self.0.update(&(part.len() as u64).to_be_bytes());
        self.0.update(part);
        self
    }

    fn flag(self, set: bool) -> Self {
        self.add(&[u8::from(set)])
    }

    fn maybe(self, part: Option<&str>) -> Self {
        let parts = self.flag(part.is_some());
        part.into_iter().fold(parts, |parts, part| parts.add(part.as_bytes()))
    }

    /// Names whose order and repetition mean nothing.
    fn names(self, names: Option<&[String]>) -> Self {
        let mut names: Vec<&str> = names.unwrap_or_default().iter().map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let counted = self.add(&(names.len() as u64).to_be_bytes());
        names.into_iter().fold(counted, |parts, name| parts.add(name.as_bytes()))
    }

    /// Any JSON. The members of an object have no order; an array has.
    fn value(self, value: &Value) -> Self {
        match value {
            Value::Object(members) => self.object(members),
            Value::Array(items) => {
                items.iter().fold(self.add(b"[").add(&(items.len() as u64).to_be_bytes()), Self::value)
            }
            plain => self.add(b"=").add(plain.to_string().as_bytes()),
        }
    }

    fn object(self, members: &Map<String, Value>) -> Self {
        // A dependent can switch on `preserve_order` of serde_json for all of us.
        let mut sorted: Vec<_> = members.iter().collect();
        sorted.sort_unstable_by_key(|(name, _)| *name);
        let counted = self.add(b"{").add(&(sorted.len() as u64).to_be_bytes());
        sorted.into_iter().fold(counted, |parts, (name, value)| parts.add(name.as_bytes()).value(value))
    }

    fn finish(self) -> Digest {
        let mut out = Digest::default();
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(change: impl FnOnce(&mut TokenRequest)) -> AskKey {
        let mut ask = TokenRequest::of(AskedSubject::user("alice"));
        change(&mut ask);
        AskKey::new(Some(&"crn_x".to_owned().into()), "slack/bot", &ask)
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn what_means_the_same_has_one_key() {
        let usual = key(|_| ());
        let two = key(|ask| ask.scopes = Some(names(&["a", "b"])));
        let detail = |text: &str| Some(vec![serde_json::from_str(text).unwrap(), json!({"type": "z"})]);
        let details = key(|ask| ask.authorization_details = detail(r#"{"type": "x", "a": 1}"#));
        for (one, same) in [
            (&usual, key(|ask| ask.scopes = Some(names(&["*"])))),
            (&usual, key(|ask| ask.validity_buffer_ms = Some(600_000))),
            (&usual, key(|ask| ask.resources = Some(names(&[])))),
            (&two, key(|ask| ask.scopes = Some(names(&["b", "a"])))),
            (&two, key(|ask| ask.scopes = Some(names(&["b", "a", "b"])))),
            (&details, key(|ask| ask.authorization_details = detail(r#"{"a": 1, "type": "x"}"#))),
            (
                &details,
                key(|ask| {
                    ask.authorization_details =
                        Some(vec![json!({"type": "z"}), json!({"type": "x", "a": 1})]);
                }),
            ),
        ] {
            assert!(*one == same);
        }
    }

    #[test]
    fn what_means_something_else_has_another_key() {
        let keys = [
            key(|_| ()),
            key(|ask| ask.scopes = Some(names(&[]))),
            key(|ask| ask.scopes = Some(names(&["a"]))),
            key(|ask| ask.scopes = Some(names(&["a b"]))),
            key(|ask| ask.scopes = Some(names(&["a", "b"]))),
            key(|ask| ask.resources = Some(names(&["a"]))),
            key(|ask| ask.audience = Some(names(&["a"]))),
            key(|ask| ask.installation_id = Some("*".to_owned())),
            key(|ask| ask.authorization_details = Some(vec![json!({"type": "a"})])),
            key(|ask| ask.authorization_details = Some(vec![json!({"type": "a", "b": [1, 2]})])),
            key(|ask| ask.authorization_details = Some(vec![json!({"type": "a", "b": [2, 1]})])),
            key(|ask| ask.subject = None),
            key(|ask| ask.subject = Some(AskedSubject::App)),
            key(|ask| ask.subject = Some(AskedSubject::user("bob"))),
            key(|ask| {
                ask.subject = Some(AskedSubject::User {
                    id: Some("alice".to_owned()),
                    issuer: Some("https://idp.example".to_owned()),
                });
            }),
            key(|ask| ask.subject = Some(AskedSubject::Token { token: "alice".to_owned().into() })),
            AskKey::new(
                Some(&"crn_y".to_owned().into()),
                "slack/bot",
                &TokenRequest::of(AskedSubject::user("alice")),
            ),
            AskKey::new(None, "slack/bot", &TokenRequest::of(AskedSubject::user("alice"))),
            AskKey::new(
                Some(&"crn_x".to_owned().into()),
                "slack/b",
                &TokenRequest::of(AskedSubject::user("alice")),
            ),
        ];
        for (place, one) in keys.iter().enumerate() {
            assert!(keys.iter().skip(place + 1).all(|other| other != one), "{place}");
        }
    }
}
