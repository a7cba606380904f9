//! One request and its answer. The rest of the crate says only which path and what body.

use std::sync::Arc;

use carnet_model::{Secret, SecretString};
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::client::{Client, TeamRef};
use crate::error::{Error, Refusal};

/// A request on its way: method, path segments (each percent-encoded as one), query and body.
pub(crate) struct Call<'a> {
    method: Method,
    path: Vec<&'a str>,
    query: Vec<(&'static str, String)>,
    body: Option<Result<Vec<u8>, serde_json::Error>>,
    media: &'static str,
}

/// An answer with a status below 300.
pub(crate) struct Answer {
    what: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Secret<Vec<u8>>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(method: Method, path: &[&'a str]) -> Self {
        Self { method, path: path.to_vec(), query: Vec::new(), body: None, media: "application/json" }
    }

    pub(crate) fn get(path: &[&'a str]) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post(path: &[&'a str]) -> Self {
        Self::new(Method::POST, path)
    }

    pub(crate) fn delete(path: &[&'a str]) -> Self {
        Self::new(Method::DELETE, path)
    }

    pub(crate) fn query(mut self, name: &'static str, value: &impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    pub(crate) fn query_if(self, name: &'static str, value: Option<&impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    pub(crate) fn json(mut self, body: &impl Serialize) -> Self {
        self.body = Some(serde_json::to_vec(body));
        self
    }

    /// With a form in place of JSON, as OAuth endpoints read.
    pub(crate) fn form(mut self, fields: &[(&str, &str)]) -> Self {
        self.body = Some(Ok(crate::login::encode(fields)));
        self.media = FORM;
        self
    }

    /// With a body that is neither.
    pub(crate) fn bytes(mut self, body: Vec<u8>) -> Self {
        self.body = Some(Ok(body));
        self.media = "application/octet-stream";
        self
    }

    /// For messages: the route, without what the caller filled in.
    fn what(&self) -> String {
        let route: Vec<_> =
            self.path.iter().map(|part| if is_route_word(part) { part } else { "…" }).collect();
        format!("{} /{}", self.method, route.join("/"))
    }
}

impl Client {
    /// Sends a call and reads the answer's JSON.
    pub(crate) async fn fetch<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, Error> {
        self.send(call).await?.json()
    }

    /// Sends a call; a status of 300 or above is an error.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<Answer, Error> {
        let (status, answer) = self.exchange(call).await?;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        Err(answer.refused(status))
    }

    /// Sends a call and returns whatever was answered, with its status.
    pub(crate) async fn exchange(&self, call: Call<'_>) -> Result<(u16, Answer), Error> {
        let what = call.what();
        let url = self.address(&call)?;
        // A form signs somebody in: its answer is a credential, if it does not hold one itself.
        if self.credential.is_some() || call.media == FORM {
            self.may_send_secrets()?;
        }
        let mut request = self.http.request(call.method, url).header(ACCEPT, "application/json");
        if let Some(credential) = &self.credential {
            request = request.header(AUTHORIZATION, bearer(&*credential.present()?)?);
        }
        if let Some(body) = call.body {
            let body = body.map_err(|_| Error::InvalidArgument("the request cannot be written as JSON"))?;
            request = request.header(CONTENT_TYPE, call.media).body(body);
        }
        let mut response = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(error))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(Error::UnexpectedAnswer { what, why: "it does not end".to_owned() });
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, Answer { what, headers, body: Secret::new(body) }))
    }

    fn address(&self, call: &Call<'_>) -> Result<Url, Error> {
        // `Url` would drop such a segment, and the request would mean something else.
        if call.path.iter().any(|part| matches!(*part, "" | "." | "..")) {
            return Err(Error::InvalidArgument("a name is not empty, `.` or `..`"));
        }
        let mut url = self.base.clone();
        url.set_query(None);
        url.set_fragment(None);
        url.path_segments_mut()
            .map_err(|()| Error::InvalidArgument("the server's address has no path"))?
            .pop_if_empty()
            .extend(&call.path);
        let team = match &self.team {
            Some(TeamRef::Id(id)) if self.is_member() => Some(("teamId", id)),
            Some(TeamRef::Slug(slug)) if self.is_member() => Some(("slug", slug)),
            _ => None,
        };
        if team.is_some() || !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query).extend_pairs(team);
        }
        Ok(url)
    }

    fn unreachable(&self, error: reqwest::Error) -> Error {
        let what = if error.is_timeout() {
            "does not answer in time"
        } else if error.is_connect() {
            "cannot be reached"
        } else {
            "broke off its answer"
        };
        // The URL of a poll holds its verifier.
        Error::Unreachable {
            origin: self.base.origin().ascii_serialization(),
            what,
            source: Arc::new(error.without_url()),
        }
    }
}

impl Answer {
    /// What a status of 300 or above says.
    pub(crate) fn refused(&self, status: u16) -> Error {
        let header =
            |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let retry_after = header(RETRY_AFTER.as_str()).and_then(|value| value.parse().ok());
        let refusal = Refusal::read(status, self.body.expose(), retry_after, header("x-request-id"));
        Error::Refused(Box::new(refusal))
    }

    /// The body, read as JSON. A failure says where and of what kind, and never quotes the body.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(self.body.expose()).map_err(|error| {
            use serde_json::error::Category;
            let kind = match error.classify() {
                Category::Data => "a member is missing or of the wrong type",
                Category::Syntax => "it is not JSON",
                Category::Eof | Category::Io => "it ends too early",
            };
            let why = format!("{kind} (line {}, column {})", error.line(), error.column());
            Error::UnexpectedAnswer { what: self.what.clone(), why }
        })
    }
}

fn bearer(secret: &SecretString) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", secret.expose()))
        .map_err(|_| Error::InvalidArgument("the credential holds a character that no header can carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_route_word(part: &str) -> bool {
    const WORDS: [&str; 54] = [
        "login",
        "oauth",
        "device",
        "revoke",
        "v1",
        "v2",
        "v3",
        "v9",
        "connect",
        "connectors",
        "managed",
        "managed-apps",
        "services",
        "token",
        "tokens",
        "authorize",
        "result",
        "projects",
        "custom-environments",
        "environments",
        "env",
        "pull",
        "user",
        "teams",
        "trusted-issuers",
        "check",
        "families",
        "access-tokens",
        "members",
        "passphrase-reset",
        "invitations",
        "show",
        "accept",
        "audit",
        "grants",
        "explain",
        "keys",
        "verify",
        "export",
        "secrets",
        "consent-rules",
        "return-origins",
        "redirect-uris",
        "files",
        "installations",
        "livez",
        "readyz",
        "provisioning",
        "usage",
        "budget",
        "pictures",
        "triggers",
        "urls",
        "health-webhook",
    ];
    WORDS.contains(&part)
}

const FORM: &str = "application/x-www-form-urlencoded";

/// Far above any answer of Carnet; what is larger comes from something else.
const MAX_ANSWER: usize = 16 << 20;
