//! Who a token acts as.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::secret::{Secret, SecretString};
use crate::unread;

/// The subject of a token request, as parsed from the wire.
#[derive(Debug)]
pub enum Subject {
    /// The application itself.
    App,
    /// One named end user of the caller's application.
    User {
        /// The caller's own identifier of that user.
        id: String,
        /// Separates identifier spaces, when the caller has several.
        issuer: Option<String>,
    },
    /// An identity that the caller asserts (RFC 7523).
    JwtBearer {
        /// The `sub` of the assertion.
        sub: String,
        /// Its `iss`; the client identifier when absent.
        iss: Option<String>,
        /// Its `aud`; the token endpoint when absent.
        aud: Option<String>,
        /// Claims besides the registered ones.
        additional_claims: Map<String, Value>,
    },
    /// The holder of a credential that the caller already has (RFC 8693).
    Token {
        /// That credential.
        token: SecretString,
    },
}

/// The four kinds of subject, by their wire names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubjectKind {
    /// `app`
    App,
    /// `user`
    User,
    /// `jwt-bearer`
    JwtBearer,
    /// `token`
    Token,
}

/// Why a JSON value is not a subject.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidSubject {
    /// `type` is none of the four.
    #[error("subject.type is app, user, jwt-bearer or token")]
    Type,
    /// A field is missing, superfluous or of the wrong type.
    #[error("subject does not have the fields of its type: {0}")]
    Fields(String),
    /// An identifier is empty, longer than 256 bytes or has a control character.
    #[error("subject.{0} has 1 to 256 characters and no control character")]
    Text(&'static str),
    /// A claim that says who the assertion is about, for whom it is, how long it lives or what it may do.
    #[error("subject.additionalClaims cannot have the claim {0}, which has a place of its own")]
    ReservedClaim(&'static str),
    /// Claims that are too many, too long or nested too deeply.
    #[error(
        "subject.additionalClaims has at most 32 members with names of 1 to 128 characters, 4 levels and 4 KiB of JSON"
    )]
    Claims,
    /// A token that cannot be one (RFC 6749, appendix A).
    #[error("subject.token has 1 to 16384 printable ASCII characters without spaces")]
    Token,
}

impl SubjectKind {
    /// The wire name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::User => "user",
            Self::JwtBearer => "jwt-bearer",
            Self::Token => "token",
        }
    }

    /// Reads the wire name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::App, Self::User, Self::JwtBearer, Self::Token].into_iter().find(|kind| kind.as_str() == text)
    }
}

impl Subject {
    /// The kind of this subject.
    pub const fn kind(&self) -> SubjectKind {
        match self {
            Self::App => SubjectKind::App,
            Self::User { .. } => SubjectKind::User,
            Self::JwtBearer { .. } => SubjectKind::JwtBearer,
            Self::Token { .. } => SubjectKind::Token,
        }
    }

    /// Reads the wire form. A user without `id` is read with `default_user`, the caller's own, if it has one.
    pub fn parse(value: &Value, default_user: Option<&str>) -> Result<Self, InvalidSubject> {
        let kind = value
            .get("type")
            .and_then(Value::as_str)
            .and_then(SubjectKind::parse)
            .ok_or(InvalidSubject::Type)?;
        match kind {
            SubjectKind::App => read::<AppFields>(value).map(|_| Self::App),
            SubjectKind::User => {
                let fields: UserFields = read(value)?;
                let id = fields.id.or_else(|| default_user.map(str::to_owned));
                let id = id.ok_or_else(|| InvalidSubject::Fields("id is missing".to_owned()))?;
                if let Some(issuer) = &fields.issuer {
                    check("issuer", issuer)?;
                }
                check("id", &id)?;
                Ok(Self::User { id, issuer: fields.issuer })
            }
            SubjectKind::JwtBearer => {
                let fields: JwtBearerFields = read(value)?;
                check("sub", &fields.sub)?;
                for (name, text) in [("iss", &fields.iss), ("aud", &fields.aud)] {
                    text.as_ref().map_or(Ok(()), |text| check(name, text))?;
                }
                let additional_claims = fields.additional_claims.unwrap_or_default();
                check_claims(&additional_claims)?;
                Ok(Self::JwtBearer { sub: fields.sub, iss: fields.iss, aud: fields.aud, additional_claims })
            }
            SubjectKind::Token => {
                let fields: TokenFields = read(value)?;
                if !is_token(fields.token.expose()) {
                    return Err(InvalidSubject::Token);
                }
                Ok(Self::Token { token: fields.token })
            }
        }
    }

    /// One text for one subject that a grant can be kept for: what grants are keyed and sealed by.
    /// `None` for subjects for which nothing is kept.
    pub fn key(&self) -> Option<String> {
        match self {
            Self::App => Some("app".to_owned()),
            Self::User { id, issuer: None } => Some(format!("user:{id}")),
            // The length keeps `a` + `b:c` apart from `a:b` + `c`.
            Self::User { id, issuer: Some(issuer) } => Some(format!("user@{}:{issuer}:{id}", issuer.len())),
            Self::JwtBearer { .. } | Self::Token { .. } => None,
        }
    }
}

impl Subject {
    /// The wire form of a subject for which something is kept, from its [`Subject::key`].
    pub fn wire_of_key(key: &str) -> Option<Value> {
        if key == "app" {
            return Some(json!({"type": "app"}));
        }
        if let Some(id) = key.strip_prefix("user:") {
            return Some(json!({"type": "user", "id": id}));
        }
        let (length, rest) = key.strip_prefix("user@")?.split_once(':')?;
        let (issuer, id) = rest.split_at_checked(length.parse().ok()?)?;
        Some(json!({"type": "user", "id": id.strip_prefix(':')?, "issuer": issuer}))
    }
}

fn check(name: &'static str, text: &str) -> Result<(), InvalidSubject> {
    let sound = (1..=256).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if sound { Ok(()) } else { Err(InvalidSubject::Text(name)) }
}

fn check_claims(claims: &Map<String, Value>) -> Result<(), InvalidSubject> {
    if let Some(name) = RESERVED_CLAIMS.iter().find(|name| claims.contains_key(**name)) {
        return Err(InvalidSubject::ReservedClaim(name));
    }
    let sound = |name: &String| !name.is_empty() && name.len() <= 128 && !name.chars().any(char::is_control);
    let small =
        claims.len() <= 32 && claims.keys().all(sound) && claims.values().all(|value| is_shallow(value, 3));
    let short = || serde_json::to_vec(claims).is_ok_and(|json| json.len() <= 4096);
    if small && short() { Ok(()) } else { Err(InvalidSubject::Claims) }
}

/// Whether a value has at most so many levels in it.
fn is_shallow(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| is_shallow(item, levels - 1)),
        Value::Object(members) => levels > 0 && members.values().all(|member| is_shallow(member, levels - 1)),
        _ => true,
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= 16 * 1024 && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The registered claims (RFC 7519 §4.1), and those by which servers decide for whom and for what a token is: RFC 8693
/// §4, RFC 8705 §3.1, RFC 9068 §2.2, RFC 9396 §9, OpenID Connect Core §2.
const RESERVED_CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "act",
    "may_act",
    "cnf",
    "scope",
    "scp",
    "client_id",
    "azp",
    "authorization_details",
];

fn read<'de, T: Deserialize<'de>>(value: &'de Value) -> Result<T, InvalidSubject> {
    T::deserialize(value).map_err(|error| InvalidSubject::Fields(unread::why(&error)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppFields {
    #[serde(rename = "type")]
    _type: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserFields {
    #[serde(rename = "type")]
    _type: String,
    id: Option<String>,
    issuer: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct JwtBearerFields {
    #[serde(rename = "type")]
    _type: String,
    sub: String,
    iss: Option<String>,
    aud: Option<String>,
    additional_claims: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenFields {
    #[serde(rename = "type")]
    _type: String,
    token: Secret<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: &Value) -> Option<String> {
        Subject::parse(value, Some("usr_me")).ok()?.key()
    }

    #[test]
    fn subjects_of_the_wire_are_read() {
        assert_eq!(key(&json!({"type":"app"})).as_deref(), Some("app"));
        assert_eq!(key(&json!({"type":"user","id":"u1"})).as_deref(), Some("user:u1"));
        assert_eq!(key(&json!({"type":"user"})).as_deref(), Some("user:usr_me"));
        let jwt = json!({"type":"jwt-bearer","sub":"a@b","additionalClaims":{"x":1}});
        assert!(matches!(Subject::parse(&jwt, None), Ok(Subject::JwtBearer { .. })));
        assert!(matches!(
            Subject::parse(&json!({"type":"token","token":"t"}), None),
            Ok(Subject::Token { .. })
        ));
    }

    #[test]
    fn a_key_reads_back_as_the_wire_form() {
        for value in [
            json!({"type": "app"}),
            json!({"type": "user", "id": "a:b@c"}),
            json!({"type": "user", "id": "u:1", "issuer": "https://idp:443/x"}),
            json!({"type": "user", "id": "é", "issuer": "ü:"}),
        ] {
            assert_eq!(Subject::wire_of_key(&key(&value).unwrap()), Some(value));
        }
        for odd in ["", "user", "user@", "user@9:a:b", "user@x:a:b", "user@1:ab"] {
            assert_eq!(Subject::wire_of_key(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_caller_asserts_no_claim_that_has_a_place_of_its_own() {
        let with = |claims: Value| {
            Subject::parse(&json!({"type": "jwt-bearer", "sub": "a", "additionalClaims": claims}), None)
        };
        for name in RESERVED_CLAIMS {
            let mut claims = json!({"x": 1});
            claims[*name] = "y".into();
            assert_eq!(with(claims).unwrap_err(), InvalidSubject::ReservedClaim(name));
        }
        with(json!({"x": [[["deep"]]], "email": "a@b"})).unwrap();
        let many = |count: usize| Value::Object((0..count).map(|n| (n.to_string(), 1.into())).collect());
        with(many(32)).unwrap();
        assert_eq!(with(many(33)).unwrap_err(), InvalidSubject::Claims);
    }

    #[test]
    fn two_users_never_share_a_key() {
        let a = key(&json!({"type":"user","id":"c","issuer":"a:b"}));
        let b = key(&json!({"type":"user","id":"b:c","issuer":"a"}));
        let c = key(&json!({"type":"user","id":"@1:a:b:c"}));
        assert!(a != b && b != c && a != c);
    }

    #[test]
    fn what_is_not_a_subject_is_refused() {
        for value in [
            json!({"type":"martian"}),
            json!({}),
            json!(null),
            json!("app"),
            json!({"type":"token","token":"t","x":1}),
            json!({"type":"token","token":""}),
            json!({"type":"token"}),
            json!({"type":"user","id":7}),
            json!({"type":"user","id":""}),
            json!({"type":"user","id":"a\nb"}),
            json!({"type":"user","id":"x".repeat(257)}),
            json!({"type":"jwt-bearer"}),
            json!({"type":"jwt-bearer","sub":"a","iss":""}),
            json!({"type":"jwt-bearer","sub":"a","aud":"x\u{0}"}),
            json!({"type":"jwt-bearer","sub":"a","aud":["x"]}),
            json!({"type":"jwt-bearer","sub":"a","additionalClaims":[]}),
            json!({"type":"jwt-bearer","sub":"a","additionalClaims":{"":1}}),
            json!({"type":"jwt-bearer","sub":"a","additionalClaims":{"x":[[[[1]]]]}}),
            json!({"type":"jwt-bearer","sub":"a","additionalClaims":{"x":"y".repeat(4096)}}),
            json!({"type":"token","token":"a b"}),
            json!({"type":"token","token":"x".repeat(16 * 1024 + 1)}),
            json!({"type":"app","id":"x"}),
        ] {
            assert!(Subject::parse(&value, None).is_err(), "{value}");
        }
        assert!(Subject::parse(&json!({"type":"user"}), None).is_err());
    }
}
