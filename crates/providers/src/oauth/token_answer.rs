//! What a token endpoint says (RFC 6749 §5), read strictly.
//!
//! Tolerated, each because servers in use do it: an error with status 200 (GitHub, Slack); `expires_in` as text, with a
//! fraction of a second, or not there at all, which 0 means too (Salesforce, Notion); a form instead of JSON, when the content type says so
//! (GitHub); `null` or empty text for a member that is not there; `token_type` missing; scopes as a list (Linear, Twitch);
//! that it is asked too often as an error of GraphQL (Linear). Anything else is [`Spoken::Nothing`]: no token is made up
//! from half an answer.
//!
//! Two things are less strict, because the refresh token in the answer may be the only one that still works. What is
//! optional and says nothing but for how long (RFC 6749 §5.1), or is no refresh token at all, counts as unsaid where it
//! cannot be read. And where anything else cannot be read, or the access token itself is missing, beside a refresh token,
//! the answer has a flaw: nothing of it is handed out, and what renews the grant is kept.

use std::fmt;

use carnet_model::{Scopes, SecretString};
use http::StatusCode;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::json;
use crate::fields::is_credential;

/// What a server said.
#[derive(Debug)]
pub(crate) enum Spoken {
    /// Tokens.
    Issued(Issued),
    /// An error, in the server's words.
    Refusal(Refusal),
    /// Nothing that can be understood, and why: a member and its kind, never its value.
    Nothing(&'static str),
}

/// Tokens as issued.
#[derive(Debug)]
pub(crate) struct Issued {
    /// Empty where there is none, which is a flaw.
    pub access: SecretString,
    pub expires_in: Option<u64>,
    pub refresh: Option<SecretString>,
    pub refresh_expires_in: Option<u64>,
    pub scopes: Option<Scopes>,
    pub id_token: Option<SecretString>,
    /// What kind of token an exchange gave (RFC 8693 §2.2.1).
    pub kind: Option<String>,
    /// Whether it is said to be no access token: `token_type` is `N_A`. Only an exchange gives such a thing.
    pub is_other: bool,
    /// What was granted of RFC 9396, if the server says.
    pub details: Option<Vec<Value>>,
    /// Whether a token was said again in a member that is shown to people. Scopes, kind and details are not here then.
    pub repeats: bool,
    /// Why nothing of this may be handed out, beside a refresh token that is to be kept.
    pub flaw: Option<&'static str>,
    /// What else was said.
    pub more: More,
}

/// Members that nobody has read. A server may repeat a token among them, so they are not printed.
#[derive(Default)]
pub(crate) struct More(pub Map<String, Value>);

impl fmt::Debug for More {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} members", self.0.len())
    }
}

/// An error in a server's words, which are not fit to be shown as they are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub error: String,
    pub description: Option<String>,
    /// What Microsoft's servers add to `invalid_grant`, or Google's as `error_subtype`.
    pub suberror: Option<String>,
}

/// Reads an answer of a token endpoint.
pub(crate) fn read(status: StatusCode, content_type: Option<&str>, body: &[u8]) -> Spoken {
    let Some(mut members) = members(content_type, body) else {
        return Spoken::Nothing("it is not a JSON object, or names a member twice");
    };
    match (members.remove("error"), status.is_success()) {
        (None | Some(Value::Null), _) if is_limited(&members) => {
            Spoken::Refusal(Refusal { error: LIMITED.to_owned(), description: None, suberror: None })
        }
        (None | Some(Value::Null), true) => issued(members).map_or_else(Spoken::Nothing, Spoken::Issued),
        (None | Some(Value::Null), false) => Spoken::Nothing("its status is an error, and it has no error"),
        (Some(Value::String(error)), _) if !error.is_empty() => refusal(error, members)
            .map_or(Spoken::Nothing("it is an error and has an access_token"), Spoken::Refusal),
        (Some(_), _) => Spoken::Nothing("its error is empty or not text"),
    }
}

/// Whether GraphQL says in its way that it is asked too often (Linear, "Rate limiting"), and nothing besides.
pub(crate) fn is_limited(members: &Map<String, Value>) -> bool {
    let errors = members.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_it = |error: &Value| {
        let code = error.pointer("/extensions/code").and_then(Value::as_str);
        code.is_some_and(|code| code.eq_ignore_ascii_case(LIMITED))
    };
    !members.contains_key("access_token") && errors.iter().any(is_it)
}

/// Linear's word, in whichever form it says it.
const LIMITED: &str = "RATELIMITED";

fn members(content_type: Option<&str>, body: &[u8]) -> Option<Map<String, Value>> {
    let essence = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return json::object(body);
    }
    let mut members = Map::new();
    for (name, value) in form_urlencoded::parse(body) {
        if members.insert(name.into_owned(), Value::String(value.into_owned())).is_some() {
            return None;
        }
    }
    Some(members)
}

fn refusal(error: String, mut members: Map<String, Value>) -> Option<Refusal> {
    // An answer that is an error and a token at once is neither.
    if members.contains_key("access_token") {
        return None;
    }
    let mut text = |name: &str| match members.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let description = text("error_description");
    let suberror = text("suberror").or_else(|| text("error_subtype"));
    Some(Refusal { error, description, suberror })
}

fn issued(mut members: Map<String, Value>) -> Result<Issued, &'static str> {
    let mut flaw: Option<&'static str> = None;
    let access = token(members.remove("access_token"));
    // What is no refresh token is none: the one before stays in use (RFC 6749 §6).
    let refresh = token(members.remove("refresh_token")).unwrap_or_default();
    // Read, or a flaw: what is needed to know what the access token is good for.
    let mut read = |readable: bool, why: &'static str| {
        if !readable {
            flaw.get_or_insert(why);
        }
    };
    read(access.is_some(), "its access_token is not text that can be a token");
    read(matches!(access, Some(Some(_))), "its access_token is missing or empty");
    let kind = text(members.remove("token_type"));
    let is = |name: &str| kind.iter().flatten().any(|kind| kind.expose().eq_ignore_ascii_case(name));
    let is_other = is("n_a");
    read(matches!(kind, Some(None)) || is("bearer") || is_other, "its token_type is not Bearer");
    let issued_kind = match members.remove("issued_token_type") {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(name)) => Some(Some(name)),
        Some(_) => None,
    };
    read(issued_kind.is_some(), "its issued_token_type cannot be read");
    let id_token = token(members.remove("id_token"));
    read(id_token.is_some(), "its id_token cannot be read");
    let scopes = scopes(members.remove("scope"));
    read(scopes.is_some(), "its scope cannot be read");
    let details = match members.remove("authorization_details") {
        None | Some(Value::Null) => Some(None),
        Some(Value::Array(details)) => Some(Some(details)),
        Some(_) => None,
    };
    read(details.is_some(), "its authorization_details cannot be read");
    if let (Some(flaw), None) = (flaw, &refresh) {
        return Err(flaw);
    }
    // Nobody gives a token that has ended: 0 stands for no end (Keycloak), or for what the server does not know.
    let lived = |value: Option<&Value>| seconds(value).filter(|seconds| *seconds > 0);
    let expires_in = lived(members.remove("expires_in").as_ref());
    // GitHub says the one, Keycloak the other.
    let (own, keycloaks) = (members.remove("refresh_token_expires_in"), members.remove("refresh_expires_in"));
    let refresh_expires_in = match own {
        None | Some(Value::Null) => lived(keycloaks.as_ref()),
        Some(value) => lived(Some(&value)),
    };
    let mut issued = Issued {
        access: access.flatten().unwrap_or_else(|| SecretString::new(String::new())),
        expires_in,
        refresh,
        refresh_expires_in,
        scopes: scopes.flatten(),
        id_token: id_token.flatten(),
        kind: issued_kind.flatten(),
        is_other,
        details: details.flatten(),
        repeats: false,
        flaw,
        more: More(members),
    };
    // Not the whole answer is refused: the refresh token in it may be the only one that still works.
    if issued.shows_a_token() {
        (issued.scopes, issued.kind, issued.details) = (None, None, None);
        issued.repeats = true;
    }
    Ok(issued)
}

impl Issued {
    /// Whether what is shown to people says a token again.
    fn shows_a_token(&self) -> bool {
        let tokens = [Some(&self.access), self.refresh.as_ref(), self.id_token.as_ref()];
        let long = |token: &&SecretString| token.expose().len() >= SHORTEST_SECRET;
        let tokens: Vec<_> = tokens.into_iter().flatten().filter(long).collect();
        let shown = [self.scopes.as_ref().map(Scopes::to_string), self.kind.clone()];
        let details = self.details.iter().flatten().map(Value::to_string);
        shown
            .into_iter()
            .flatten()
            .chain(details)
            .any(|text| tokens.iter().any(|token| text.contains(token.expose().as_str())))
    }
}

/// A text; nothing for what is absent, `null` or empty. `None` for anything else.
#[expect(
    clippy::option_option,
    reason = "the outer says whether it could be read, the inner whether it was there"
)]
fn text(value: Option<Value>) -> Option<Option<SecretString>> {
    match value {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) => Some(Some(text).filter(|text| !text.is_empty()).map(SecretString::new)),
        Some(_) => None,
    }
}

/// A text that can be a token.
#[expect(
    clippy::option_option,
    reason = "the outer says whether it could be read, the inner whether it was there"
)]
fn token(value: Option<Value>) -> Option<Option<SecretString>> {
    text(value).filter(|token| token.as_ref().is_none_or(|token| is_credential(token.expose())))
}

/// Scopes as one text or as a list.
#[expect(
    clippy::option_option,
    reason = "the outer says whether it could be read, the inner whether it was there"
)]
fn scopes(value: Option<Value>) -> Option<Option<Scopes>> {
    match value {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(joined)) => Scopes::parse_joined(&joined).ok().map(Some),
        Some(Value::Array(names)) => {
            let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
            Scopes::parse(names?).ok().map(Some)
        }
        Some(_) => None,
    }
}

/// A number of seconds, as number or as text of digits, up to 10¹⁸. Of a fraction the whole seconds count: a life is over
/// rather too early than too late. Whatever else there is says nothing.
pub(crate) fn seconds(value: Option<&Value>) -> Option<u64> {
    let most = |seconds: &u64| *seconds <= MOST_SECONDS;
    match value? {
        Value::String(text) => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text.as_str(), "0"));
            let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            if digits(whole) && digits(fraction) { whole.parse().ok().filter(most) } else { None }
        }
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (Some(whole), _) => Some(whole).filter(most),
            // JSON has one kind of number: 3600.0 is 3600 (RFC 8259 §6).
            (None, Some(float)) if (0.0..1e18).contains(&float) => {
                format!("{:.0}", float.floor()).parse().ok()
            }
            _ => None,
        },
        _ => None,
    }
}

/// Nobody means a life of more seconds than that.
const MOST_SECONDS: u64 = 1_000_000_000_000_000_000;
/// RFC 6749 §10.10 asks for far more; what is shorter is no secret, and may be a word that stands elsewhere too.
const SHORTEST_SECRET: usize = 8;

#[cfg(test)]
mod tests;
