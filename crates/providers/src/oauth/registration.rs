//! Registering a client at a server (RFC 7591), and looking after the registration (RFC 7592).
//!
//! Each request is sent once and no redirect is followed: it carries a secret, or brings one back. What a server
//! answers is read here and judged by the driver: it may have changed what was asked (RFC 7591 §3.2.1).

use carnet_egress::{Answer, Call, Egress, EgressError, Purpose};
use carnet_model::{Env, Id, SecretString, Time, kind};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};
use url::Url;

use super::{failure, json};
use crate::driver::failure::Vendor;
use crate::driver::signer::SigningAlgorithm;
use crate::fields::is_credential;

/// The client that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub name: String,
    /// `None` if nobody is ever sent back.
    pub redirect_uri: Option<String>,
    pub grant_types: Vec<&'static str>,
    pub auth: &'static str,
    /// With what it signs its assertions, if that is said.
    pub signing: Option<SigningAlgorithm>,
    /// The types of authorization detail that it will ask for (RFC 9396 §10).
    pub detail_types: Vec<String>,
    /// Where its public keys are, if it proves itself with one of them.
    pub jwks_uri: Option<String>,
    /// Where its picture is, for the page on which the server asks people.
    pub logo_uri: Option<String>,
}

/// A client as the server registered it.
#[derive(Debug)]
pub(crate) struct Registered {
    pub client_id: String,
    pub secret: Option<SecretString>,
    pub secret_ends: Ends,
    pub auth: Option<String>,
    pub grant_types: Option<Vec<String>>,
    pub redirect_uris: Option<Vec<String>>,
    /// With what the registration is looked after, and where.
    pub token: Option<SecretString>,
    pub uri: Option<String>,
    /// What it registered that nobody asked for.
    pub given: Map<String, Value>,
}

/// What an answer says about the end of a client's secret (RFC 7591 §3.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Nothing that can be understood.
    Unsaid,
    /// It does not end.
    Never,
    /// It ends then.
    At(Time),
}

impl Ends {
    /// When it ends, of a secret of which nothing was known before.
    pub(crate) const fn time(self) -> Option<Time> {
        match self {
            Self::Unsaid | Self::Never => None,
            Self::At(time) => Some(time),
        }
    }
}

/// Why there is no registration, or no change of one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistrationError {
    /// No answer came.
    #[error("the registration endpoint gives no answer: {0}")]
    Transport(EgressError),
    /// The server said no.
    #[error("the server refuses the registration (HTTP {}, {})", .0.status, said(.0))]
    Refused(Vendor),
    /// The server asks to wait, or fails inside; in so many seconds trying again makes sense, if it said.
    #[error("the registration endpoint fails or asks to wait (HTTP {0})")]
    Later(u16, Option<u64>),
    /// The server said something else.
    #[error("the registration endpoint answers with something that is not a registration (HTTP {0})")]
    Garbage(u16),
}

/// Who speaks to the registration endpoint.
#[derive(Clone, Copy)]
pub(crate) struct Registrar<'a> {
    pub http: &'a Egress,
    pub env: &'a Env,
    pub tenant: Id<kind::Team>,
}

impl Wish {
    /// The metadata, by the names of RFC 7591 §2.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let mut metadata = Map::new();
        let mut put = |name: &str, value: Value| metadata.insert(name.to_owned(), value);
        put("client_name", self.name.clone().into());
        put("grant_types", json!(self.grant_types));
        put("token_endpoint_auth_method", self.auth.into());
        if let Some(algorithm) = self.signing {
            // OpenID Connect Registration §2
            put("token_endpoint_auth_signing_alg", algorithm.as_str().into());
        }
        if let Some(uri) = &self.redirect_uri {
            put("redirect_uris", json!([uri]));
            // OpenID Connect Registration §2: plain http is for native clients, on the own machine.
            put("application_type", if uri.starts_with("http://") { "native" } else { "web" }.into());
        } else {
            put("redirect_uris", json!([]));
        }
        put("response_types", if self.redirect_uri.is_some() { json!(["code"]) } else { json!([]) });
        if !self.detail_types.is_empty() {
            put("authorization_details_types", json!(self.detail_types));
        }
        for (name, uri) in [("jwks_uri", &self.jwks_uri), ("logo_uri", &self.logo_uri)] {
            if let Some(uri) = uri {
                put(name, uri.clone().into());
            }
        }
        metadata
    }
}

impl Registrar<'_> {
    /// Registers a client; `initial` is what some servers ask for first (RFC 7591 §3).
    pub(crate) async fn register(
        self,
        endpoint: &Url,
        wish: &Wish,
        initial: Option<&SecretString>,
    ) -> Result<Registered, RegistrationError> {
        let call = Call::new(Method::POST, endpoint.clone(), Purpose::ProviderToken, self.tenant);
        let answer = self.send(with_json(call, &wish.to_json()), initial).await?;
        // 201 by the standard; 200 by servers that were only tried with clients that take any success.
        self.read(&answer, &[StatusCode::CREATED, StatusCode::OK], initial)
    }

    /// Replaces what is registered (RFC 7592 §2.2).
    pub(crate) async fn update(
        self,
        uri: &Url,
        token: &SecretString,
        client: &str,
        wish: &Wish,
        given: &Map<String, Value>,
    ) -> Result<Registered, RegistrationError> {
        // RFC 7592 §2.2: all that the server registered, because what is left out may be deleted or set anew.
        let mut metadata = given.clone();
        metadata.extend(wish.to_json());
        metadata.insert("client_id".to_owned(), client.into());
        let call = Call::new(Method::PUT, uri.clone(), Purpose::ProviderToken, self.tenant);
        let answer = self.send(with_json(call, &metadata), Some(token)).await?;
        let registered = self.read(&answer, &[StatusCode::OK], Some(token))?;
        if registered.client_id == client {
            Ok(registered)
        } else {
            Err(RegistrationError::Garbage(answer.status.as_u16()))
        }
    }

    /// Ends a registration (RFC 7592 §2.3).
    pub(crate) async fn remove(self, uri: &Url, token: &SecretString) -> Result<(), RegistrationError> {
        let call = Call::new(Method::DELETE, uri.clone(), Purpose::ProviderToken, self.tenant);
        let answer = self.send(call, Some(token)).await?;
        if answer.status.is_success() { Ok(()) } else { Err(self.refusal(&answer, Some(token))) }
    }

    async fn send(self, mut call: Call, bearer: Option<&SecretString>) -> Result<Answer, RegistrationError> {
        call = call.header(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(bearer) = bearer {
            let text = SecretString::new(format!("Bearer {}", bearer.expose()));
            // A credential is printable ASCII, which a header takes.
            if let Ok(mut value) = HeaderValue::from_str(text.expose()) {
                value.set_sensitive(true);
                call = call.header(AUTHORIZATION, value);
            }
        }
        self.http.send(call).await.map_err(RegistrationError::Transport)
    }

    fn read(
        self,
        answer: &Answer,
        good: &[StatusCode],
        sent: Option<&SecretString>,
    ) -> Result<Registered, RegistrationError> {
        if !good.contains(&answer.status) {
            return Err(self.refusal(answer, sent));
        }
        json::object(&answer.body)
            .and_then(registered)
            .ok_or(RegistrationError::Garbage(answer.status.as_u16()))
    }

    fn refusal(self, answer: &Answer, sent: Option<&SecretString>) -> RegistrationError {
        let status = answer.status.as_u16();
        if failure::asks_to_wait(answer.status) || answer.status.is_server_error() {
            return RegistrationError::Later(status, failure::retry_after(&answer.headers, self.env.now()));
        }
        let said = json::object(&answer.body).unwrap_or_default();
        let text = |name: &str| said.get(name).and_then(Value::as_str);
        let sent: Vec<SecretString> = sent.map(SecretString::duplicate).into_iter().collect();
        match text("error") {
            Some(error) if !answer.status.is_success() => {
                RegistrationError::Refused(Vendor::new(status, error, text("error_description"), &sent))
            }
            _ if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                RegistrationError::Refused(Vendor::new(status, "", None, &sent))
            }
            _ => RegistrationError::Garbage(status),
        }
    }
}

fn with_json(call: Call, metadata: &Map<String, Value>) -> Call {
    let body = serde_json::to_vec(metadata).unwrap_or_default();
    Call { body: body.into(), ..call }.header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
}

/// The client, and what of the rest can be understood: what is odd is as good as unsaid. Nothing but the identifier makes
/// an answer none, because a client that is not known here is never taken back.
fn registered(mut members: Map<String, Value>) -> Option<Registered> {
    let client_id = match members.remove("client_id") {
        Some(Value::String(id)) if is_credential(&id) && id.len() <= 2048 => id,
        _ => return None,
    };
    let mut secret_in = |name: &str| credential(members.remove(name)?);
    let (secret, token) = (secret_in("client_secret"), secret_in("registration_access_token"));
    let secret_ends = match members.remove("client_secret_expires_at").as_ref().and_then(Value::as_i64) {
        // RFC 7591 §3.2.1: 0 if it does not end.
        Some(0) => Ends::Never,
        Some(seconds) if seconds > 0 => Ends::At(Time::from_secs(seconds.min(MOST_SECONDS))),
        _ => Ends::Unsaid,
    };
    let mut texts = |name: &str| match members.remove(name)? {
        Value::String(text) => Some(vec![text]),
        Value::Array(items) if items.len() <= 100 => {
            let text = |item| if let Value::String(text) = item { Some(text) } else { None };
            items.into_iter().map(text).collect()
        }
        _ => None,
    };
    let (grant_types, redirect_uris) = (texts("grant_types"), texts("redirect_uris"));
    let mut text = |name: &str| match members.remove(name)? {
        Value::String(text) => Some(text).filter(|text| !text.is_empty()),
        _ => None,
    };
    let (auth, uri) = (text("token_endpoint_auth_method"), text("registration_client_uri"));
    let given = given(members);
    Some(Registered { client_id, secret, secret_ends, auth, grant_types, redirect_uris, token, uri, given })
}

/// What is left of an answer that is a client's metadata, and not ours to say: whatever might be a secret is none of it.
fn given(members: Map<String, Value>) -> Map<String, Value> {
    let is_confidential =
        |name: &str| ["secret", "password", "access_token"].iter().any(|part| name.contains(part));
    let kept: Map<String, Value> = members
        .into_iter()
        .filter(|(name, value)| !value.is_null() && !OURS.contains(&name.as_str()) && !is_confidential(name))
        .collect();
    let size: usize = kept.iter().map(|(name, value)| name.len() + value.to_string().len()).sum();
    if size <= MOST_GIVEN { kept } else { Map::new() }
}

/// What the connector says itself, and what is about the registration rather than the client.
const OURS: [&str; 9] = [
    "application_type",
    "authorization_details_types",
    "client_id_issued_at",
    "client_name",
    "jwks",
    "jwks_uri",
    "logo_uri",
    "response_types",
    "software_statement",
];

/// More than any server says about a client, and little beside a connector.
const MOST_GIVEN: usize = 8 * 1024;

fn credential(value: Value) -> Option<SecretString> {
    let Value::String(text) = value else { return None };
    let text = SecretString::new(text);
    (!text.expose().is_empty() && is_credential(text.expose())).then_some(text)
}

/// A server's words in ours: its code, which is a word of a standard.
fn said(vendor: &Vendor) -> &str {
    if vendor.error.is_empty() { "without a reason" } else { &vendor.error }
}

/// The year 9999.
const MOST_SECONDS: i64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(redirect_uri: Option<&str>) -> Wish {
        Wish {
            name: "Acme".to_owned(),
            redirect_uri: redirect_uri.map(str::to_owned),
            grant_types: vec!["authorization_code"],
            auth: "none",
            signing: None,
            detail_types: Vec::new(),
            jwks_uri: None,
            logo_uri: None,
        }
    }

    #[test]
    fn the_kind_of_application_follows_from_the_redirect_uri() {
        for (uri, kind) in [
            (Some("https://carnet.example/callback"), json!("web")),
            (Some("http://127.0.0.1:7070/callback"), json!("native")),
            (None, Value::Null),
        ] {
            let metadata = Value::Object(wish(uri).to_json());
            assert_eq!(metadata["application_type"], kind, "{uri:?}");
        }
    }

    #[test]
    fn an_answer_is_read_strictly() {
        let read = |value: Value| registered(value.as_object().unwrap().clone());
        let full = read(json!({"client_id": "c", "client_secret": "s", "client_secret_expires_at": 7,
            "registration_access_token": "t", "registration_client_uri": "https://a/c", "unknown": [1]}));
        let full = full.unwrap();
        assert_eq!(
            (full.secret_ends, full.uri.as_deref()),
            (Ends::At(Time::from_secs(7)), Some("https://a/c"))
        );
        assert_eq!(Value::Object(full.given), json!({"unknown": [1]}));
        let more = json!({"client_id": "c", "client_id_issued_at": 1, "scope": "a b", "policy_uri": null,
            "registration_secret": "s", "client_name": "x", "jwks": {"keys": []}, "contacts": ["a"]});
        assert_eq!(Value::Object(read(more).unwrap().given), json!({"scope": "a b", "contacts": ["a"]}));
        let much = json!({"client_id": "c", "scope": "x".repeat(9000)});
        assert!(read(much).unwrap().given.is_empty());
        for bad in
            [json!({}), json!({"client_id": ""}), json!({"client_id": 7}), json!({"client_id": "a\nb"})]
        {
            assert!(read(bad.clone()).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_is_odd_beside_the_identifier_is_unsaid() {
        let read = |name: &str, value: Value| {
            registered(Map::from_iter([("client_id".to_owned(), json!("c")), (name.to_owned(), value)]))
                .unwrap()
        };
        for (value, ends) in [
            (json!(0), Ends::Never),
            (json!(i64::MAX), Ends::At(Time::from_secs(MOST_SECONDS))),
            (json!(-1), Ends::Unsaid),
            (json!("soon"), Ends::Unsaid),
            (json!(7.5), Ends::Unsaid),
            (Value::Null, Ends::Unsaid),
        ] {
            assert_eq!(read("client_secret_expires_at", value.clone()).secret_ends, ends, "{value}");
        }
        for odd in [json!(7), json!({}), json!(""), json!("é"), Value::Null] {
            assert!(read("client_secret", odd.clone()).secret.is_none(), "{odd}");
            assert!(read("registration_access_token", odd.clone()).token.is_none(), "{odd}");
        }
        for odd in [json!(7), json!([7]), json!({}), Value::Null] {
            assert_eq!(read("redirect_uris", odd.clone()).redirect_uris, None, "{odd}");
            assert_eq!(read("grant_types", odd.clone()).grant_types, None, "{odd}");
            assert_eq!(read("registration_client_uri", odd.clone()).uri, None, "{odd}");
            assert_eq!(read("token_endpoint_auth_method", odd.clone()).auth, None, "{odd}");
        }
        let one = read("redirect_uris", json!("https://a")).redirect_uris;
        assert_eq!(one, Some(vec!["https://a".to_owned()]), "one that stands for a list of one");
    }
}
