//! One request to a token or revocation endpoint, and what its answer means.
//!
//! It is sent once; where a proof in it is signed for a time and the server's clock is another one than ours, once more by
//! that. What the server says is read by [`token_answer`]; what a refusal means for
//! grant, client and caller is said by [`failure`].

use std::time::Duration;

use carnet_egress::{Answer, Call, Egress, Limits, Purpose};
use carnet_model::{Env, Id, SecretString, Time, kind};
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use url::{Url, form_urlencoded};

use super::client_auth::Proof;
use super::failure::{self, Phase};
use super::token_answer::{self, Issued, Spoken};
use crate::driver::failure::DriverError;
use crate::driver::mint::Revocation;

/// A client of one server.
pub(crate) struct Client<'a> {
    pub http: &'a Egress,
    pub env: &'a Env,
    pub tenant: Id<kind::Team>,
    pub id: &'a str,
    pub proof: Proof<'a>,
}

/// Tokens, with the time at which they arrived: their lives count from there, not from when the server made them.
pub(crate) struct Received {
    pub issued: Issued,
    pub at: Time,
    /// What time it was at the server, by its own word.
    pub there: Time,
    /// How long the server took.
    pub took: Duration,
}

impl Client<'_> {
    /// Asks the token endpoint.
    pub(crate) async fn token(
        &self,
        endpoint: &Url,
        form: Form,
        phase: Phase,
    ) -> Result<Received, DriverError> {
        if matches!(self.proof, Proof::Assertion(_)) {
            return self.token_by_clock(endpoint, phase, |_| Ok(form.duplicate())).await;
        }
        self.token_at(endpoint, form, phase, self.env.now()).await.map_err(|failure| failure.error)
    }

    /// Asks with something that is signed for a time, which `form` puts in. Where the server refuses it and its clock is
    /// another one than ours, it is asked once more by the server's: nothing came of the first.
    pub(crate) async fn token_by_clock(
        &self,
        endpoint: &Url,
        phase: Phase,
        form: impl Fn(Time) -> Result<Form, DriverError>,
    ) -> Result<Received, DriverError> {
        let now = self.env.now();
        match self.token_at(endpoint, form(now)?, phase, now).await {
            Err(NoToken { there: Some(there), .. }) => {
                let again = self.token_at(endpoint, form(there)?, phase, there).await;
                again.map_err(|failure| failure.error)
            }
            other => other.map_err(|failure| failure.error),
        }
    }

    async fn token_at(
        &self,
        endpoint: &Url,
        mut form: Form,
        phase: Phase,
        now: Time,
    ) -> Result<Received, NoToken> {
        let begun = self.env.now();
        let sent = self.send_at(phase.patience(), endpoint, &mut form, "serverConfig.token_endpoint", now);
        let answer = sent.await.map_err(NoToken::of)?;
        let at = self.env.now();
        let there = failure::date(&answer.headers).unwrap_or(at);
        let wait = failure::retry_after(&answer.headers, at);
        match spoken(&answer) {
            Spoken::Issued(mut issued) => {
                if phase != Phase::Exchange && issued.is_other {
                    issued.flaw.get_or_insert("it is said to be no access token");
                }
                // Only of a grant that is there already is there anything to be kept.
                let keeps = phase == Phase::Refresh && issued.refresh.is_some();
                if let (Some(flaw), false) = (issued.flaw, keeps) {
                    return Err(NoToken::of(failure::of_nothing(answer.status, wait, flaw)));
                }
                Ok(Received { issued, at, there, took: begun.until(at) })
            }
            Spoken::Refusal(refusal) => {
                let error = failure::of_refusal(phase, answer.status, &refusal, wait, &form.secrets);
                let refused = matches!(
                    error,
                    DriverError::ClientRejected { .. }
                        | DriverError::Refused { .. }
                        | DriverError::Gone { .. }
                );
                Err(NoToken { there: Some(there).filter(|there| refused && are_apart(now, *there)), error })
            }
            Spoken::Nothing(what) => Err(NoToken::of(failure::of_nothing(answer.status, wait, what))),
        }
    }

    /// Asks the revocation endpoint to forget one token (RFC 7009), by a form that is empty yet. A server that does not
    /// know the token says that it is done.
    pub(crate) async fn revoke(
        &self,
        mut form: Form,
        endpoint: &Url,
        token: &SecretString,
        hint: &str,
    ) -> Result<Revocation, DriverError> {
        form.push_secret("token", token);
        form.push("token_type_hint", hint);
        let answer = self.send(endpoint, &mut form, "serverConfig.revocation_endpoint").await?;
        if answer.status.is_success() {
            return Ok(Revocation::Revoked);
        }
        let wait = failure::retry_after(&answer.headers, self.env.now());
        match spoken(&answer) {
            // RFC 7009 §2.2.1
            Spoken::Refusal(refusal) if refusal.error == "unsupported_token_type" => {
                Ok(Revocation::NotSupported)
            }
            // RFC 7009 §2.2 wants silence about a token that is not known. Google says so, also of an access token that
            // ended with the refresh token before it.
            Spoken::Refusal(refusal)
                if answer.status == StatusCode::BAD_REQUEST && refusal.error == "invalid_token" =>
            {
                Ok(Revocation::Revoked)
            }
            Spoken::Refusal(refusal) => {
                Err(failure::of_refusal(Phase::Revocation, answer.status, &refusal, wait, &form.secrets))
            }
            Spoken::Issued(_) | Spoken::Nothing(_) => {
                Err(failure::of_nothing(answer.status, wait, failure::UNREADABLE))
            }
        }
    }

    /// Puts `client_id` into a form whatever proves the client; the methods that put it there themselves do so later.
    pub(crate) fn names_itself_in(&self, form: &mut Form) {
        if matches!(self.proof, Proof::Basic(_)) {
            form.push("client_id", self.id);
        }
    }

    /// Sends a form with the client's proof in it. `field` is where the address comes from.
    pub(crate) async fn send(
        &self,
        endpoint: &Url,
        form: &mut Form,
        field: &str,
    ) -> Result<Answer, DriverError> {
        self.send_within(Limits::default().total, endpoint, form, field).await
    }

    /// The same, for as long as `patience` lasts. Where an assertion is refused and the server's clock is another one than
    /// ours, it is signed once more by the server's.
    pub(crate) async fn send_within(
        &self,
        patience: Duration,
        endpoint: &Url,
        form: &mut Form,
        field: &str,
    ) -> Result<Answer, DriverError> {
        let begun = self.env.now();
        if !matches!(self.proof, Proof::Assertion(_)) {
            return self.send_at(patience, endpoint, form, field, begun).await;
        }
        let unproved = form.duplicate();
        let answer = self.send_at(patience, endpoint, form, field, begun).await?;
        let refused = [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
        let there = failure::date(&answer.headers).filter(|there| are_apart(begun, *there));
        let left = patience.saturating_sub(begun.until(self.env.now()));
        match there.filter(|_| refused.contains(&answer.status) && !left.is_zero()) {
            None => Ok(answer),
            Some(there) => {
                *form = unproved;
                self.send_at(left, endpoint, form, field, there).await
            }
        }
    }

    /// The same, where it is `now` at the server.
    async fn send_at(
        &self,
        patience: Duration,
        endpoint: &Url,
        form: &mut Form,
        field: &str,
        now: Time,
    ) -> Result<Answer, DriverError> {
        let header = self.proof.apply(self.id, self.env, now, form)?;
        let mut call = form.call(endpoint.clone(), Purpose::ProviderToken, self.tenant);
        call.limits.total = patience;
        if let Some(header) = header {
            call = call.header(AUTHORIZATION, header);
        }
        self.http.send(call).await.map_err(|error| failure::of_transport(error, field))
    }
}

/// Why there is no token, and what time it is at the server if that may be the reason.
struct NoToken {
    error: DriverError,
    there: Option<Time>,
}

impl NoToken {
    const fn of(error: DriverError) -> Self {
        Self { error, there: None }
    }
}

/// Whether two clocks are so far apart that what is signed by one is refused by the other. A day apart is a clock that was
/// never set, and nothing is signed by it.
fn are_apart(here: Time, there: Time) -> bool {
    (60..24 * 3600).contains(&here.secs().abs_diff(there.secs()))
}

impl Received {
    /// When a life of this many seconds ends. A life of more than ten years is taken for ten years.
    pub(crate) fn end_of(&self, seconds: u64) -> Time {
        const TEN_YEARS: u64 = 10 * 365 * 24 * 3600;
        self.at.plus(Duration::from_secs(seconds.min(TEN_YEARS)))
    }
}

/// What an answer says.
pub(crate) fn spoken(answer: &Answer) -> Spoken {
    let content_type = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    token_answer::read(answer.status, content_type, &answer.body)
}

/// A form on its way out. What is secret in it is remembered, so that it can be taken out of what a server says back.
pub(crate) struct Form {
    body: String,
    secrets: Vec<SecretString>,
    format: Format,
}

/// How a form is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// As RFC 6749 says.
    #[default]
    Form,
    /// As an object of texts, which is what some servers take instead (Notion, "Create a token").
    Json,
}

impl Format {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Form, Self::Json];

    /// Its name in a connector's `data`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Json => "json",
        }
    }

    /// The format of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }
}

impl Form {
    /// An empty form.
    pub(crate) fn new() -> Self {
        // Room for the longest usual tokens: text that grows leaves copies behind.
        Self { body: String::with_capacity(16 * 1024), secrets: Vec::new(), format: Format::Form }
    }

    /// To be written in this format.
    pub(crate) fn written_as(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// A form for a grant type.
    pub(crate) fn of(grant_type: &str) -> Self {
        let mut form = Self::new();
        form.push("grant_type", grant_type);
        form
    }

    /// The same once more, for another try.
    pub(crate) fn duplicate(&self) -> Self {
        let mut body = String::with_capacity(16 * 1024);
        body.push_str(&self.body);
        Self {
            body,
            secrets: self.secrets.iter().map(SecretString::duplicate).collect(),
            format: self.format,
        }
    }

    /// Adds a field.
    pub(crate) fn push(&mut self, name: &str, value: &str) {
        if !self.body.is_empty() {
            self.body.push('&');
        }
        self.body.extend(form_urlencoded::byte_serialize(name.as_bytes()));
        self.body.push('=');
        self.body.extend(form_urlencoded::byte_serialize(value.as_bytes()));
    }

    /// Adds a secret field.
    pub(crate) fn push_secret(&mut self, name: &str, value: &SecretString) {
        self.push(name, value.expose());
        self.remember(value);
    }

    /// Remembers a secret that goes out beside the form.
    pub(crate) fn remember(&mut self, secret: &SecretString) {
        self.secrets.push(secret.duplicate());
    }

    /// What is secret in it.
    pub(crate) fn secrets(&self) -> &[SecretString] {
        &self.secrets
    }

    /// The call that carries it.
    pub(crate) fn call(&mut self, endpoint: Url, purpose: Purpose, tenant: Id<kind::Team>) -> Call {
        let body = SecretString::new(std::mem::take(&mut self.body));
        match self.format {
            Format::Form => Call::post_form(endpoint, body, purpose, tenant),
            Format::Json => Call::post_secret_json(endpoint, as_json(&body), purpose, tenant),
        }
    }
}

/// The fields of a form as members of an object.
fn as_json(body: &SecretString) -> SecretString {
    // Room for what JSON escapes: text that grows leaves copies behind.
    let mut out = Vec::with_capacity(body.expose().len() * 2 + 1024);
    let texts = form_urlencoded::parse(body.expose().as_bytes());
    for (place, (name, value)) in texts.enumerate() {
        out.push(if place == 0 { b'{' } else { b',' });
        let value = SecretString::new(value.into_owned());
        // Writing text into memory has no way to fail.
        serde_json::to_writer(&mut out, &*name).unwrap_or_default();
        out.push(b':');
        serde_json::to_writer(&mut out, value.expose()).unwrap_or_default();
    }
    if out.is_empty() {
        out.push(b'{');
    }
    out.push(b'}');
    SecretString::new(String::from_utf8(out).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_reads_the_same_as_an_object() {
        let written = |form: &Form| as_json(&SecretString::new(form.body.clone())).expose().clone();
        assert_eq!(written(&Form::new()), "{}");
        let mut form = Form::of("refresh_token");
        form.push_secret("refresh_token", &SecretString::new("a+b/=\"é ".to_owned()));
        let object: serde_json::Value = serde_json::from_str(&written(&form)).unwrap();
        assert_eq!(object, serde_json::json!({"grant_type": "refresh_token", "refresh_token": "a+b/=\"é "}));
    }
}
