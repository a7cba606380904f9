//! Why a request did not go through. No error holds a credential, a token or an answer's body.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use carnet_model::Code;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Why a method did not return what it promises.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server answered, and the answer is no. Programs decide by [`Error::reason`].
    #[error("{}", .0.message)]
    Refused(Box<Refusal>),
    /// No answer came: no connection, no trust in the certificate, no end of the answer in time.
    #[error("{origin} {what}")]
    Unreachable {
        /// Where the request went.
        origin: String,
        /// What happened: "does not answer", "cannot be reached".
        what: &'static str,
        /// What happened below.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// The server answered yes, with something that this method does not understand.
    #[error("the server's answer to {what} is not one of Carnet: {why}")]
    UnexpectedAnswer {
        /// Method and route.
        what: String,
        /// What is wrong with it, without quoting it.
        why: String,
    },
    /// An argument cannot be sent.
    #[error("{0}")]
    InvalidArgument(&'static str),
    /// Nothing says which server to ask, or as whom.
    #[error("{0}")]
    NotConfigured(&'static str),
    /// The server is on another machine and is asked without TLS: others on the way would read the credential. Nothing was
    /// sent. [`Builder::allow_plain_http`](crate::Builder::allow_plain_http) sends it all the same.
    #[error(
        "{origin} is on another machine and has no TLS: others on the way would read the credential, so none is sent"
    )]
    PlainHttp {
        /// Where it would have gone.
        origin: String,
    },
    /// The file with the identity of the workload cannot be read, and never could.
    #[error("the identity file {} cannot be read", path.display())]
    IdentityFile {
        /// Where it should be.
        path: PathBuf,
        /// What is the matter.
        #[source]
        source: Arc<io::Error>,
    },
    /// The HTTP client cannot be set up on this machine.
    #[error("the HTTP client cannot be set up")]
    SetUp(#[source] Arc<reqwest::Error>),
}

/// A refusal, as the server gave it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The stable code; empty if the answer came from something that is not Carnet, a proxy say.
    pub code: String,
    /// The thing and the cause.
    pub message: String,
    /// What mends it, in order of likelihood.
    pub next: Vec<NextStep>,
    /// Seconds after which trying again makes sense.
    pub retry_after: Option<u64>,
    /// By which the server's log finds the request.
    pub request_id: Option<String>,
    /// Further members of the error object: `vendor`, `authorizationUrl`, `cause`, `registerUrl`.
    pub extra: Map<String, Value>,
}

/// One step that mends a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NextStep {
    /// The command to run or the page to open.
    pub command: String,
    /// When this is the right step.
    #[serde(default)]
    pub when: String,
}

impl Refusal {
    /// Reads the error object `{"error":{"code","message",…}}`. Anything else becomes a refusal without a code.
    pub(crate) fn read(
        status: u16,
        body: &[u8],
        retry_after: Option<u64>,
        request_id: Option<String>,
    ) -> Self {
        let mut extra = match serde_json::from_slice(body) {
            Ok(Value::Object(mut object)) => match object.remove("error") {
                Some(Value::Object(error)) => error,
                _ => Map::new(),
            },
            _ => Map::new(),
        };
        let mut text = |name| match extra.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let code = text("code").unwrap_or_default();
        let message = text("message")
            .unwrap_or_else(|| format!("the server answered {status} without saying why in Carnet's form"));
        let next =
            extra.remove("next").and_then(|next| serde_json::from_value(next).ok()).unwrap_or_default();
        let retry_after = extra.remove("retryAfter").and_then(|after| after.as_u64()).or(retry_after);
        Self { status, code, message, next, retry_after, request_id, extra }
    }

    /// The code, if this version knows it.
    pub fn known_code(&self) -> Option<Code> {
        Code::parse(&self.code)
    }

    /// A member of the error object that is text, such as `authorizationUrl`.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.extra.get(name).and_then(Value::as_str)
    }
}

impl Error {
    /// The refusal, if the server refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// The stable code, if the server refused.
    pub fn code(&self) -> Option<&str> {
        self.refusal().map(|refusal| refusal.code.as_str())
    }

    /// Whether the server refused with this code.
    pub fn is(&self, code: Code) -> bool {
        self.code() == Some(code.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(status: u16, body: &Value) -> Refusal {
        Refusal::read(status, body.to_string().as_bytes(), None, None)
    }

    #[test]
    fn the_error_object_is_read_whole() {
        let refusal = read(
            422,
            &json!({"error": {"code": "user_authorization_required", "message": "Consent first.",
                "next": [{"command": "carnet token a/b --yes", "when": "to consent"}],
                "retryAfter": 3, "authorizationUrl": "https://carnet.example/authorize/car_1"}}),
        );
        assert_eq!(refusal.known_code(), Some(Code::UserAuthorizationRequired));
        assert_eq!(refusal.next[0].command, "carnet token a/b --yes");
        assert_eq!(refusal.retry_after, Some(3));
        assert_eq!(refusal.text("authorizationUrl"), Some("https://carnet.example/authorize/car_1"));
        assert_eq!(refusal.extra.len(), 1);
    }

    #[test]
    fn what_a_proxy_says_is_a_refusal_without_a_code() {
        for body in [&b"<html>Bad Gateway</html>"[..], b"", b"[]", br#"{"error":"teapot"}"#, b"\xff\xfe"] {
            let refusal = Refusal::read(502, body, Some(7), None);
            assert_eq!((refusal.status, refusal.code.as_str(), refusal.retry_after), (502, "", Some(7)));
            assert!(!refusal.message.contains("html") && !refusal.message.contains("teapot"));
        }
    }
}
