//! What a caller is told when something does not go through.
//!
//! A fault names the thing, the cause and the remedy. Its [`Code`] is stable; programs decide by it, never by the
//! status or the sentence. `docs/errors/` has one page per code, and a test compares the two. A provider's own words
//! are data (`vendor`), never the message, and no fault ever holds a secret.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

/// A refusal or failure on its way to the caller.
#[derive(Debug)]
pub struct Fault {
    /// The stable code.
    pub code: Code,
    /// One or two sentences: the thing and the cause.
    pub message: String,
    /// What mends it, in order of likelihood.
    pub next: Vec<Next>,
    /// Seconds after which trying again makes sense; becomes `Retry-After`.
    pub retry_after: Option<u64>,
    /// Further members of the error object: `vendor`, `authorizationUrl`, `cause`, `registerUrl`.
    pub extra: Map<String, Value>,
    /// Whether the audit log has it already.
    pub recorded: bool,
    /// What happened inside, for the log only.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// One step that mends a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Next {
    /// The command to run or the page to open.
    pub command: String,
    /// When this is the right step.
    pub when: String,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $status:literal;)*) => {
        /// The stable codes, each with its HTTP status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[doc = $doc])+ $name,)* }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// The HTTP status it is answered with.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status),* }
            }

            /// What it means, in a sentence or two.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+)),* }
            }
        }
    };
}

codes! {
    /// The request cannot be read: a field is missing, superfluous, of the wrong type or out of range.
    InvalidRequest = "invalid_request", 400;
    /// The configuration of a connector cannot work; the message names the field.
    InvalidConnector = "invalid_connector", 422;
    /// No credential, or one that does not verify.
    Unauthorized = "unauthorized", 401;
    /// An app that signs people in with a connector did not prove which project it is, or may not use the connector.
    InvalidClient = "invalid_client", 401;
    /// The code or the refresh token of a sign-in is not good, not any more, or not this app's.
    InvalidGrant = "invalid_grant", 400;
    /// The token endpoint does not give tokens for this `grant_type`.
    UnsupportedGrantType = "unsupported_grant_type", 400;
    /// The credential is good, and a rule says no.
    Forbidden = "forbidden", 403;
    /// The connector is linked to the project, but not for the environment in which the caller runs.
    EnvironmentNotLinked = "environment_not_linked", 403;
    /// There is no such thing, or not for this caller.
    NotFound = "not_found", 404;
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", 405;
    /// The thing exists already, or was changed since it was read.
    Conflict = "conflict", 409;
    /// The request for consent has expired or was used.
    Gone = "gone", 410;
    /// The body or the headers are larger than allowed.
    TooLarge = "payload_too_large", 413;
    /// The body is not JSON by its content type.
    UnsupportedMediaType = "unsupported_media_type", 415;
    /// A grant exists, and nothing usable can be issued from it.
    NoToken = "no_token", 422;
    /// The connector cannot issue tokens for this kind of subject.
    UnresolvedToken = "unresolved_token", 422;
    /// The user has not consented yet, or must consent again; `cause` says why.
    UserAuthorizationRequired = "user_authorization_required", 422;
    /// The connector is not installed where the token is wanted.
    InstallationRequired = "client_installation_required", 422;
    /// An application has to be registered at the provider first, on the page that `registerUrl` names.
    RegistrationRequired = "registration_required", 422;
    /// The scopes asked for cannot be had, or the provider would have given more or less than asked.
    InvalidScope = "invalid_scope", 422;
    /// The resource, audience or detail asked for cannot be had.
    InvalidTarget = "invalid_target", 422;
    /// The provider refuses the connector's own credentials. The users' grants are untouched.
    ConnectorCredentialsRejected = "connector_credentials_rejected", 422;
    /// The provider refused the request and says why in `vendor`.
    ProviderRefused = "provider_refused", 422;
    /// Too many requests; wait as `Retry-After` says.
    RateLimited = "rate_limited", 429;
    /// The plan's token requests of this month are used up.
    QuotaExceeded = "quota_exceeded", 429;
    /// Something inside went wrong; the log has it under the request's identifier.
    Internal = "internal", 500;
    /// The provider answered with something that is not an answer. No grant was harmed.
    ProviderAnswerInvalid = "provider_answer_invalid", 502;
    /// The provider does not answer, or asks to wait. No grant was harmed, unless `reason` says `refresh_answer_lost`.
    ProviderUnavailable = "provider_unavailable", 503;
    /// The store does not take the record that must come before the answer.
    StoreUnavailable = "store_unavailable", 503;
    /// The server is stopping or has no room; try again.
    Unavailable = "unavailable", 503;
}

impl Fault {
    /// A fault with its sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            next: Vec::new(),
            retry_after: None,
            extra: Map::new(),
            recorded: false,
            source: None,
        }
    }

    /// Adds a step that mends it.
    #[must_use]
    pub fn next(mut self, command: impl Into<String>, when: impl Into<String>) -> Self {
        self.next.push(Next { command: command.into(), when: when.into() });
        self
    }

    /// Adds a member to the error object.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// Says when trying again makes sense.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Says that the audit log has it.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.recorded = true;
        self
    }

    /// Keeps what happened inside for the log.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The error object of the wire: `{"error":{"code","message",…}}`.
    pub fn body(&self) -> Value {
        let mut error = self.extra.clone();
        error.insert("code".to_owned(), self.code.as_str().into());
        error.insert("message".to_owned(), self.message.clone().into());
        if !self.next.is_empty() {
            error.insert("next".to_owned(), serde_json::to_value(&self.next).unwrap_or_default());
        }
        if let Some(seconds) = self.retry_after {
            error.insert("retryAfter".to_owned(), seconds.into());
        }
        Value::Object(Map::from_iter([("error".to_owned(), Value::Object(error))]))
    }
}

impl Code {
    /// The code of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.code.as_str())
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_read_back() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{} twice", code.as_str());
            assert_eq!(Code::parse(code.as_str()), Some(*code));
            assert!((400..600).contains(&code.status()));
        }
    }

    #[test]
    fn the_body_has_the_envelope_of_the_wire() {
        let fault =
            Fault::new(Code::Forbidden, "No.").next("carnet attach a/b", "to allow it").with("vendor", 1);
        assert_eq!(
            fault.body(),
            serde_json::json!({"error": {"code": "forbidden", "message": "No.", "vendor": 1,
                "next": [{"command": "carnet attach a/b", "when": "to allow it"}]}})
        );
    }
}
