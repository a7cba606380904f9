//! Whose the tokens are that a server gave, and at which of its tenants, where no ID token says so: members of the token
//! endpoint's answer, or of an answer that the service gives to whoever brings the token.
//!
//! A service that cannot be asked makes no grant: without the account, a consent by somebody else would go unnoticed. One
//! that answers and does not say, because the scopes do not reach so far, leaves it open.

use std::time::Duration;

use carnet_egress::{Call, Purpose};
use carnet_model::SecretString;
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderValue};
use serde_json::{Map, Value, json};
use url::Url;

use crate::driver::At;
use crate::driver::failure::{BadConfiguration, DriverError, Vendor};
use crate::fields::Fields;
use crate::oauth::client::Received;
use crate::oauth::token_answer::is_limited;
use crate::oauth::{failure, json as strict};

/// Where the account stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// Who is asked; the token endpoint has said it where nobody is named.
    pub endpoint: Option<Url>,
    /// What is asked there by GraphQL.
    query: Option<String>,
    /// Where the account's identifier and name, and those of its tenant, stand in the answer: JSON pointers (RFC 6901).
    places: [Option<String>; 4],
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub subject: Option<String>,
    pub name: Option<String>,
    pub tenant: Option<String>,
    pub tenant_name: Option<String>,
}

impl Account {
    /// Reads `account`.
    pub(super) fn read(fields: &mut Fields) -> Result<Option<Self>, BadConfiguration> {
        let Some(mut inner) = fields.object("account")? else { return Ok(None) };
        let endpoint = match inner.text("endpoint")? {
            None => None,
            Some(text) => Some(Url::parse(&text).map_err(|_| inner.bad("endpoint", "is not a URL"))?),
        };
        let query = inner.text("query")?;
        if query.is_some() && endpoint.is_none() {
            return Err(inner.bad("query", "needs an endpoint that is asked"));
        }
        let mut places = PLACES.map(|_| None);
        for (name, place) in PLACES.into_iter().zip(&mut places) {
            *place = inner.text(name)?;
            let sound = |text: &String| text.starts_with('/') && text.len() <= 200;
            if !place.as_ref().is_none_or(sound) {
                return Err(inner.bad(name, "must be a JSON pointer, such as /user/id"));
            }
        }
        if places.iter().all(Option::is_none) {
            return Err(inner.bad("subject", "is missing: it says where the account stands"));
        }
        inner.finish()?;
        Ok(Some(Self { endpoint, query, places }))
    }

    /// As stored and shown.
    pub(super) fn to_json(&self) -> Value {
        let members = PLACES.into_iter().zip(&self.places).chain([("query", &self.query)]);
        let mut out: Map<_, _> =
            members.filter_map(|(name, text)| Some((name.to_owned(), text.clone()?.into()))).collect();
        if let Some(endpoint) = &self.endpoint {
            out.insert("endpoint".to_owned(), endpoint.as_str().into());
        }
        out.into()
    }

    /// Whether it says where the tenant stands.
    pub(super) const fn has_tenant(&self) -> bool {
        let [_, _, tenant, _] = &self.places;
        tenant.is_some()
    }

    /// Looks there.
    pub(super) async fn find(&self, at: &At<'_>, received: &Received) -> Result<Found, DriverError> {
        let token = &received.issued.access;
        let Some(endpoint) = &self.endpoint else {
            return Ok(self.found(&received.issued.more.0, token));
        };
        let bearer = SecretString::new(format!("Bearer {}", token.expose()));
        let mut header = HeaderValue::from_str(bearer.expose())
            .map_err(|_| DriverError::garbage(true, "its access_token cannot stand in a header"))?;
        header.set_sensitive(true);
        let (url, team) = (endpoint.clone(), at.connector.team);
        let mut call = match &self.query {
            None => Call::get(url, Purpose::ProviderApi, team),
            Some(query) => {
                Call::post_json(url, json!({ "query": query }).to_string(), Purpose::ProviderApi, team)
            }
        };
        call.limits.total = TIME_TO_TELL;
        let answer = at.http.send(call.header(AUTHORIZATION, header)).await;
        let answer = answer.map_err(|error| failure::of_transport(error, "account.endpoint"))?;
        let retry_after = failure::retry_after(&answer.headers, at.env.now());
        let said = strict::object(&answer.body);
        if said.as_ref().is_some_and(is_limited) {
            return Err(DriverError::Later { retry_after, in_doubt: false });
        }
        match answer.status {
            StatusCode::OK => Ok(self.found(
                &said.ok_or(DriverError::garbage(
                    false,
                    "what the account endpoint says is not a JSON object",
                ))?,
                token,
            )),
            // What was granted does not reach so far.
            StatusCode::FORBIDDEN => Ok(Found::default()),
            // It is about the person's new token; the client has proved itself at the token endpoint.
            StatusCode::UNAUTHORIZED => {
                Err(DriverError::Refused { vendor: Vendor::new(answer.status.as_u16(), "", None, &[]) })
            }
            status => Err(failure::of_nothing(status, retry_after, failure::UNREADABLE)),
        }
    }

    fn found(&self, said: &Map<String, Value>, token: &SecretString) -> Found {
        let [subject, name, tenant, tenant_name] =
            self.places.each_ref().map(|place| text_at(said, place.as_deref()?, token));
        Found { subject, name, tenant, tenant_name }
    }
}

/// The text or whole number at a pointer, fit to be stored and shown. One that repeats the token is nothing.
pub(crate) fn text_at(said: &Map<String, Value>, pointer: &str, secret: &SecretString) -> Option<String> {
    let mut steps = pointer.trim_start_matches('/').split('/');
    let value = said.get(steps.next()?)?;
    let value = steps.try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        Value::Object(members) => members.get(step),
        _ => None,
    })?;
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_u64() || number.is_i64() => number.to_string(),
        _ => return None,
    };
    let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    Some(text).filter(|text| !text.trim().is_empty() && !text.contains(secret.expose().as_str()))
}

const PLACES: [&str; 4] = ["subject", "name", "tenant", "tenantName"];
/// A person waits.
const TIME_TO_TELL: Duration = Duration::from_secs(6);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_at_a_pointer_is_a_short_text_and_never_the_token() {
        let said =
            json!({"user": {"id": 7, "name": "A\u{7}lice", "echo": "x-s3cr3t-x", "none": "", "list": ["a"]}});
        let token = SecretString::new("s3cr3t".to_owned());
        for (pointer, text) in [
            ("/user/id", Some("7")),
            ("/user/name", Some("Alice")),
            ("/user/list/0", Some("a")),
            ("/user/list/1", None),
            ("/user/echo", None),
            ("/user/none", None),
            ("/user", None),
            ("/user/id/x", None),
            ("/nobody", None),
        ] {
            let found = text_at(said.as_object().unwrap(), pointer, &token);
            assert_eq!(found.as_deref(), text, "{pointer}");
        }
    }
}
