//! What is held for a subject so that tokens can be made.

use carnet_model::{Scopes, SecretBytes, SecretString, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ability::is_same_resource;

/// What is held for one subject: what a provider gave, or the key that a person pasted. Sealed by the engine, opened
/// only to be handed to a driver or to serve the access token in it.
#[derive(Debug)]
pub struct Held(Content);

#[derive(Debug)]
enum Content {
    Tokens(Box<Tokens>),
    Key(SecretString),
}

/// The tokens of a provider and what is known about them.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    pub access: Option<Access>,
    pub refresh: Option<SecretString>,
    pub refresh_expires_at: Option<Time>,
    /// What the person granted, which a narrowed token does not change.
    pub scopes: Option<Scopes>,
    pub external_subject: Option<String>,
    pub claims: Map<String, Value>,
    /// The tenant at the provider, where a renewal could be for another one.
    pub tenant: Option<String>,
    /// What the access token is for, and its renewals, if it was made for something in particular.
    pub bound: Bound,
    /// An access token that is not served, because its provider has not said yet what it is good for.
    pub aside: Option<Access>,
}

/// What a token is for: resources (RFC 8707), audiences, authorization details (RFC 9396). Nothing in particular, if all
/// are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// Resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Audiences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<String>,
    /// Authorization details.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Value>,
}

impl Bound {
    /// Whether it is for nothing in particular.
    pub const fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.audience.is_empty() && self.details.is_empty()
    }

    /// Whether it is for just these, in whatever order.
    fn is_just(&self, resources: &[String], audience: &[String], details: &[Value]) -> bool {
        same(&self.resources, resources, |one, other| is_same_resource(one, other))
            && same(&self.audience, audience, PartialEq::eq)
            && same(&self.details, details, PartialEq::eq)
    }
}

fn same<T>(ours: &[T], theirs: &[T], is: impl Fn(&T, &T) -> bool) -> bool {
    ours.iter().all(|one| theirs.iter().any(|other| is(one, other)))
        && theirs.iter().all(|other| ours.iter().any(|one| is(one, other)))
}

/// An access token that can be served as long as it lives.
#[derive(Debug)]
pub struct Access {
    /// The token.
    pub token: SecretString,
    /// When it ends; `None` if the provider does not say.
    pub expires_at: Option<Time>,
    /// What it may do; `None` if the provider never says.
    pub scopes: Option<Scopes>,
}

/// Bytes that are not a stored [`Held`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("what is stored for a grant cannot be read")]
pub struct InvalidHeld;

impl Held {
    /// The access token, if one is held.
    pub fn access(&self) -> Option<&Access> {
        self.tokens()?.access.as_ref()
    }

    /// Whether there is an access token that is not served yet: what it is good for could not be told when it came.
    pub fn is_aside(&self) -> bool {
        self.tokens().is_some_and(|tokens| tokens.aside.is_some())
    }

    /// The refresh token, if there is one.
    pub fn refresh(&self) -> Option<&SecretString> {
        self.tokens()?.refresh.as_ref()
    }

    /// When the refresh token ends, if the provider says.
    pub fn refresh_expires_at(&self) -> Option<Time> {
        self.tokens()?.refresh_expires_at
    }

    /// The pasted key, if that is what is held.
    pub fn key(&self) -> Option<&SecretString> {
        match &self.0 {
            Content::Key(key) => Some(key),
            Content::Tokens(_) => None,
        }
    }

    /// What was granted, as far as it is known.
    pub fn scopes(&self) -> Option<&Scopes> {
        self.tokens()?.scopes.as_ref()
    }

    /// The account at the provider, as far as it is known.
    pub fn external_subject(&self) -> Option<&str> {
        self.tokens()?.external_subject.as_deref()
    }

    /// The claims about the person that the connector forwards.
    pub fn claims(&self) -> Map<String, Value> {
        self.tokens().map(|tokens| tokens.claims.clone()).unwrap_or_default()
    }

    /// Whether the access token that is held was made for just these. One that is for nothing in particular is not.
    pub fn is_for(&self, resources: &[String], audience: &[String], details: &[Value]) -> bool {
        self.tokens().is_some_and(|tokens| {
            !tokens.bound.is_empty() && tokens.bound.is_just(resources, audience, details)
        })
    }

    /// Nothing: what an installation leaves where tokens are made by a key.
    pub fn nothing() -> Self {
        Self(Content::Tokens(Box::default()))
    }

    /// Whether there is nothing that a token could come of.
    pub fn is_nothing(&self) -> bool {
        self.key().is_none() && self.access().is_none() && self.refresh().is_none()
    }

    /// An access token alone: an application's own, to be revoked.
    pub fn of_access(token: SecretString) -> Self {
        let access = Access { token, expires_at: None, scopes: None };
        Self::of_tokens(Tokens { access: Some(access), ..Tokens::default() })
    }

    pub(crate) const fn of_key(key: SecretString) -> Self {
        Self(Content::Key(key))
    }

    pub(crate) fn of_tokens(tokens: Tokens) -> Self {
        Self(Content::Tokens(Box::new(tokens)))
    }

    pub(crate) fn tokens(&self) -> Option<&Tokens> {
        match &self.0 {
            Content::Tokens(tokens) => Some(tokens.as_ref()),
            Content::Key(_) => None,
        }
    }

    pub(crate) fn tokens_mut(&mut self) -> Option<&mut Tokens> {
        match &mut self.0 {
            Content::Tokens(tokens) => Some(tokens.as_mut()),
            Content::Key(_) => None,
        }
    }

    /// To be sealed.
    pub fn to_json(&self) -> SecretBytes {
        let stored = match &self.0 {
            Content::Key(key) => Stored::Key { key: key.expose() },
            Content::Tokens(tokens) => Stored::Tokens {
                access_token: tokens.access.as_ref().map(|access| access.token.expose().as_str()),
                access_expires_at: tokens.access.as_ref().and_then(|access| access.expires_at),
                access_scopes: tokens.access.as_ref().and_then(|access| access.scopes.as_ref()),
                refresh_token: tokens.refresh.as_ref().map(|refresh| refresh.expose().as_str()),
                refresh_expires_at: tokens.refresh_expires_at,
                scopes: tokens.scopes.as_ref(),
                external_subject: tokens.external_subject.as_deref(),
                claims: &tokens.claims,
                tenant: tokens.tenant.as_deref(),
                bound: &tokens.bound,
                aside_token: tokens.aside.as_ref().map(|aside| aside.token.expose().as_str()),
                aside_expires_at: tokens.aside.as_ref().and_then(|aside| aside.expires_at),
            },
        };
        let aside = self.tokens().and_then(|tokens| tokens.aside.as_ref()).map(|aside| &aside.token);
        let secrets = [self.key(), self.refresh(), self.access().map(|access| &access.token), aside];
        let room: usize = secrets.iter().flatten().map(|secret| secret.expose().len() * 2).sum();
        write_json(&stored, room + 1024)
    }

    /// From what was sealed.
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidHeld> {
        let read: Read = serde_json::from_slice(json).map_err(|_| InvalidHeld)?;
        Ok(match read {
            Read::Key { key } => Self::of_key(key),
            Read::Tokens {
                access_token,
                access_expires_at,
                access_scopes,
                refresh_token,
                refresh_expires_at,
                scopes,
                external_subject,
                claims,
                tenant,
                bound,
                aside_token,
                aside_expires_at,
            } => Self::of_tokens(Tokens {
                aside: aside_token.map(|token| Access {
                    token,
                    expires_at: aside_expires_at,
                    scopes: scopes.clone(),
                }),
                access: access_token.map(|token| Access {
                    token,
                    expires_at: access_expires_at,
                    scopes: access_scopes,
                }),
                refresh: refresh_token,
                refresh_expires_at,
                scopes,
                external_subject,
                claims,
                tenant,
                bound,
            }),
        })
    }
}

impl Access {
    pub(crate) fn duplicate(&self) -> Self {
        Self { token: self.token.duplicate(), expires_at: self.expires_at, scopes: self.scopes.clone() }
    }
}

/// JSON that holds secrets, written into memory that does not grow on the way: growing leaves copies behind.
pub(crate) fn write_json(value: &impl Serialize, room: usize) -> SecretBytes {
    let mut out = Vec::with_capacity(room);
    // Writing plain structs of text and numbers into memory has no way to fail.
    serde_json::to_writer(&mut out, value).unwrap_or_default();
    SecretBytes::new(out)
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Stored<'a> {
    Key {
        key: &'a str,
    },
    Tokens {
        #[serde(skip_serializing_if = "Option::is_none")]
        access_token: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        access_expires_at: Option<Time>,
        #[serde(skip_serializing_if = "Option::is_none")]
        access_scopes: Option<&'a Scopes>,
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh_token: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh_expires_at: Option<Time>,
        #[serde(skip_serializing_if = "Option::is_none")]
        scopes: Option<&'a Scopes>,
        #[serde(skip_serializing_if = "Option::is_none")]
        external_subject: Option<&'a str>,
        #[serde(skip_serializing_if = "Map::is_empty")]
        claims: &'a Map<String, Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tenant: Option<&'a str>,
        #[serde(skip_serializing_if = "Bound::is_empty")]
        bound: &'a Bound,
        #[serde(skip_serializing_if = "Option::is_none")]
        aside_token: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        aside_expires_at: Option<Time>,
    },
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart as soon as it is read")]
enum Read {
    Key {
        key: SecretString,
    },
    Tokens {
        access_token: Option<SecretString>,
        access_expires_at: Option<Time>,
        access_scopes: Option<Scopes>,
        refresh_token: Option<SecretString>,
        refresh_expires_at: Option<Time>,
        scopes: Option<Scopes>,
        external_subject: Option<String>,
        #[serde(default)]
        claims: Map<String, Value>,
        tenant: Option<String>,
        #[serde(default)]
        bound: Bound,
        aside_token: Option<SecretString>,
        aside_expires_at: Option<Time>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_reads_back() {
        let scopes = Scopes::parse(["read", "write"]).ok();
        let held = Held::of_tokens(Tokens {
            access: Some(Access {
                token: "at".to_owned().into(),
                expires_at: Some(Time::from_secs(7)),
                scopes: scopes.clone(),
            }),
            refresh: Some("rt".to_owned().into()),
            refresh_expires_at: None,
            scopes: scopes.clone(),
            external_subject: Some("alice".to_owned()),
            claims: Map::from_iter([("email".to_owned(), "a@b".into())]),
            tenant: Some("T1".to_owned()),
            bound: Bound {
                resources: vec!["https://api.example".to_owned()],
                audience: vec!["one".to_owned(), "two".to_owned()],
                details: vec![serde_json::json!({"type": "payment"})],
            },
            aside: Some(Access {
                token: "not-yet".to_owned().into(),
                expires_at: Some(Time::from_secs(8)),
                scopes: scopes.clone(),
            }),
        });
        let again = Held::from_json(held.to_json().expose()).unwrap();
        assert_eq!(again.access().map(|a| a.token.expose().as_str()), Some("at"));
        assert_eq!(again.access().and_then(|a| a.scopes.clone()), scopes);
        assert_eq!(again.refresh().map(|r| r.expose().as_str()), Some("rt"));
        assert_eq!((again.external_subject(), again.claims().len()), (Some("alice"), 1));
        assert_eq!(again.to_json().expose(), held.to_json().expose());
        assert!(again.is_aside() && !Held::of_access("at".to_owned().into()).is_aside());
        // What it is for is told apart whatever the order, and a final slash makes no other resource.
        let bound = |resources: &[&str], audience: &[&str], details: Value| {
            let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
            let details = details.as_array().cloned().unwrap_or_default();
            again.is_for(&texts(resources), &texts(audience), &details)
        };
        let payment = serde_json::json!([{"type": "payment"}]);
        assert!(bound(&["https://api.example/"], &["two", "one"], payment.clone()));
        assert!(!bound(&["https://api.example/"], &["one"], payment.clone()));
        assert!(!bound(&[], &["one", "two"], payment));
        assert!(!bound(&["https://api.example"], &["one", "two"], Value::Null));
        assert!(!Held::of_access("at".to_owned().into()).is_for(&[], &[], &[]));

        let key = Held::from_json(Held::of_key("k".to_owned().into()).to_json().expose()).unwrap();
        assert_eq!(key.key().map(|k| k.expose().as_str()), Some("k"));
        assert!(key.access().is_none() && key.refresh().is_none());
    }

    #[test]
    fn what_is_not_held_is_refused() {
        for json in
            ["", "{}", r#"{"kind":"key"}"#, r#"{"kind":"key","key":"k","x":1}"#, r#"{"kind":"other"}"#]
        {
            assert_eq!(Held::from_json(json.as_bytes()).unwrap_err(), InvalidHeld, "{json}");
        }
    }

    #[test]
    fn nothing_that_is_held_shows_in_debug() {
        let held = Held::of_key("top-secret".to_owned().into());
        assert!(!format!("{held:?}").contains("top-secret"));
    }
}
