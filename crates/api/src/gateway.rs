//! The sign-in gateway for programs: `/oauth/token`, `/oauth/userinfo` and `/oauth/revoke` (RFC 6749, RFC 7009, OpenID
//! Connect Core). `/oauth/authorize` is a page.
//!
//! An app proves itself by HTTP Basic: the connector, and the identity of its workload, each percent-encoded as RFC 6749
//! §2.3.1 has it. What goes wrong is told in the envelope, because the official adapters read that one and no other. A
//! command line has no secret and names itself in the form; as one server has one token endpoint, it is served here too,
//! in the form that it reads.

use axum::Json as Answer;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carnet_engine::{Broker, CodeAsk, GatewayGrant, GatewayTokens};
use carnet_model::{Code, Fault, Id, SecretString, kind};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::device_login::{self, Form, Refused};
use crate::problem::Problem;
use crate::request_id::RequestId;
use crate::route::{Parameter, Told};
use crate::shape::{Shape, count, flag, id, object_of, text};

/// Tokens for a code, or for a refresh token.
pub(crate) async fn token(State(broker): State<Broker>, posted: Posted) -> Result<Response, Refused> {
    if posted.is_command_lines(&broker) {
        return device_login::token(State(broker), posted.form).await;
    }
    let (connector, secret) = posted.client()?;
    let grant = match posted.grant() {
        Ok(grant) => grant,
        Err(problem) => {
            // Who is no client is told so first, and nothing about what it asks.
            broker.knows_gateway_client(connector, secret, posted.request).await.map_err(Problem)?;
            return Err(problem.into());
        }
    };
    let given = broker.gateway_tokens(connector, secret, &grant, posted.request).await;
    let GatewayTokens { access, expires_in, refresh, id_token, scope } = given.map_err(Problem)?;
    let mut told = json!({
        "access_token": access.expose(),
        "token_type": "Bearer",
        "expires_in": expires_in.as_secs(),
        "refresh_token": refresh.expose(),
        "scope": scope,
    });
    if let (Some(id_token), Some(members)) = (id_token, told.as_object_mut()) {
        members.insert("id_token".to_owned(), id_token.expose().as_str().into());
    }
    Ok(Answer(told).into_response())
}

/// Who has signed in.
pub(crate) async fn userinfo(State(broker): State<Broker>, shown: Shown) -> Result<Answer<Value>, Unknown> {
    let person = broker.gateway_person(&shown.0?).await.map_err(Problem)?;
    let mut members = Map::from_iter([("sub".to_owned(), Value::from(person.id.to_string()))]);
    members.extend(person.claims);
    Ok(Answer(members.into()))
}

/// The app has no more use for a token.
pub(crate) async fn revoke(State(broker): State<Broker>, posted: Posted) -> Result<Response, Refused> {
    if posted.is_command_lines(&broker) {
        return device_login::revoke(State(broker), posted.form).await;
    }
    let (connector, secret) = posted.client()?;
    let token = posted.need("token")?;
    broker.revoke_gateway_token(connector, secret, token, posted.request).await.map_err(Problem)?;
    Ok(Answer(json!({})).into_response())
}

pub(crate) fn tokens_shape() -> Shape {
    object_of([
        ("access_token", text()),
        ("token_type", text()),
        ("expires_in", count()),
        ("refresh_token", text()),
        ("id_token?", text()),
        ("scope", text()),
    ])
}

pub(crate) fn userinfo_shape() -> Shape {
    object_of([
        ("sub", id("per")),
        ("name?", text()),
        ("email?", text()),
        ("email_verified?", flag()),
        ("picture?", text()),
    ])
}

/// A form, and who says that it is theirs.
pub(crate) struct Posted {
    form: Form,
    basic: Option<(String, SecretString)>,
    request: Id<kind::Request>,
}

impl Parameter for Posted {
    fn tell(told: &mut Told) {
        Form::tell(told);
    }
}

impl FromRequest<Broker> for Posted {
    type Rejection = Refused;

    async fn from_request(request: Request, broker: &Broker) -> Result<Self, Refused> {
        let basic = basic(request.headers())?;
        let id = request.extensions().get::<RequestId>().map_or_else(|| broker.request_id(), |id| id.0);
        let form = match Form::from_request(request, broker).await {
            Ok(form) => form,
            Err(Refused::Oauth { why, .. }) if basic.is_some() => return Err(Problem::invalid(why).into()),
            Err(refused) => return Err(refused),
        };
        Ok(Self { form, basic, request: id })
    }
}

impl Posted {
    /// Whether a command line asks, which has no secret.
    fn is_command_lines(&self, broker: &Broker) -> bool {
        let named = self.form.find("client_id");
        self.basic.is_none() && named.is_some_and(|client| broker.is_command_line(client.expose()))
    }

    fn client(&self) -> Result<(&str, &SecretString), Problem> {
        let missing = || {
            Problem(Fault::new(
                Code::InvalidClient,
                "An app proves itself by Authorization: Basic, with the connector as the name and the identity of its \
                 workload as the password, both percent-encoded.",
            ))
        };
        let (connector, secret) = self.basic.as_ref().ok_or_else(missing)?;
        // RFC 6749 §2.3: a client that says who it is in two ways says it once.
        if self.form.find("client_id").is_some_and(|named| named.expose() != connector) {
            return Err(Problem::invalid("client_id is another one than that of Authorization."));
        }
        Ok((connector, secret))
    }

    /// What is asked for tokens.
    fn grant(&self) -> Result<GatewayGrant, Problem> {
        match self.need("grant_type")?.expose().as_str() {
            "authorization_code" => Ok(GatewayGrant::Code(CodeAsk {
                code: self.need("code")?.duplicate(),
                redirect_uri: self.need("redirect_uri")?.expose().clone(),
                verifier: self.need("code_verifier")?.duplicate(),
            })),
            "refresh_token" => Ok(GatewayGrant::Refresh {
                token: self.need("refresh_token")?.duplicate(),
                scope: self.form.find("scope").map(|scope| scope.expose().clone()),
            }),
            _ => Err(Problem(Fault::new(
                Code::UnsupportedGrantType,
                "An app gets tokens for grant_type authorization_code and refresh_token.",
            ))),
        }
    }

    fn need(&self, name: &str) -> Result<&SecretString, Problem> {
        self.form.find(name).ok_or_else(|| {
            let Problem(fault) = Problem::invalid(format!("The field {name} is missing."));
            Problem(fault.with("field", name))
        })
    }
}

/// Name and password of `Authorization: Basic`; none if there is no such header.
fn basic(headers: &HeaderMap) -> Result<Option<(String, SecretString)>, Problem> {
    let odd = || {
        Problem(Fault::new(
            Code::InvalidClient,
            "The Authorization header is read as: Basic, and base64 of CONNECTOR:IDENTITY, both percent-encoded.",
        ))
    };
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(odd());
    }
    let (scheme, coded) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(odd)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(odd());
    }
    let pair = STANDARD.decode(coded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = SecretString::new(pair.ok_or_else(odd)?);
    let (name, secret) = pair.expose().split_once(':').ok_or_else(odd)?;
    let (name, secret) = (decoded(name).ok_or_else(odd)?, decoded(secret).ok_or_else(odd)?);
    if name.is_empty() || secret.is_empty() {
        return Err(odd());
    }
    Ok(Some((name, secret.into())))
}

/// `application/x-www-form-urlencoded` of a single value (RFC 6749 §2.3.1).
pub(crate) fn decoded(text: &str) -> Option<String> {
    if text.contains(['&', '=']) {
        return None;
    }
    let mut pairs = form_urlencoded::parse(text.as_bytes());
    match (pairs.next(), pairs.next()) {
        (Some((value, _)), None) if !value.contains('\u{fffd}') => Some(value.into_owned()),
        (None, _) => Some(String::new()),
        _ => None,
    }
}

/// The access token that is shown, or why there is none.
pub(crate) struct Shown(Result<SecretString, Problem>);

impl Parameter for Shown {}

impl<S: Send + Sync> FromRequestParts<S> for Shown {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, std::convert::Infallible> {
        let bearer = crate::call::bearer(parts).and_then(|found| {
            found.map(|text| SecretString::new(text.to_owned())).ok_or_else(|| {
                Problem(Fault::new(Code::Unauthorized, "Show the access token: Authorization: Bearer TOKEN."))
            })
        });
        Ok(Self(bearer))
    }
}

/// Nobody is told who it is (RFC 6750 §3.1).
pub(crate) struct Unknown(Problem);

impl From<Problem> for Unknown {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Unknown {
    fn into_response(self) -> Response {
        let is_unauthorized = self.0.0.code == Code::Unauthorized;
        let mut response = self.0.into_response();
        if is_unauthorized {
            let told = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, told);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(text).unwrap())])
    }

    #[test]
    fn both_halves_are_percent_decoded_after_the_colon_was_found() {
        for (name, secret, want) in [
            ("demo%2Fhello", "a.b-c_d", ("demo/hello", "a.b-c_d")),
            ("scl_x", "with%3Acolon", ("scl_x", "with:colon")),
            ("demo/hello", "a.b", ("demo/hello", "a.b")),
            ("a%20b", "c+d", ("a b", "c d")),
        ] {
            let headers = header(&format!("Basic {}", STANDARD.encode(format!("{name}:{secret}"))));
            let (found, given) = basic(&headers).unwrap().unwrap();
            assert_eq!((found.as_str(), given.expose().as_str()), want);
        }
    }

    #[test]
    fn what_is_no_pair_is_no_client() {
        let coded = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for text in [
            coded("no-colon"),
            coded(":secret"),
            coded("name:"),
            coded("a&b:c"),
            coded("a=b:c"),
            coded("%ff:c"),
            "Basic !!!".to_owned(),
            "Basic".to_owned(),
            "Bearer x".to_owned(),
        ] {
            assert_eq!(basic(&header(&text)).unwrap_err().0.code, Code::InvalidClient, "{text}");
        }
        assert!(basic(&HeaderMap::new()).unwrap().is_none());
    }
}
