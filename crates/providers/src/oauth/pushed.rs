//! Telling the server first, without the browser, what a person will be asked (RFC 9126).
//!
//! What the server gives back is good for one visit and a short time. So it is asked for when the person has said yes
//! here, and again if the person says yes again; it is never kept.

use http::StatusCode;
use serde_json::Value;
use url::Url;

use super::authorization::Request;
use super::client::{Client, Form};
use super::failure::{self, Phase};
use super::json;
use super::token_answer::Spoken;
use crate::driver::failure::DriverError;

impl Client<'_> {
    /// Pushes `request`, and gives the name under which the server knows it now; nothing where nobody takes it.
    pub(crate) async fn push(
        &self,
        endpoint: &Url,
        request: &Request<'_>,
    ) -> Result<Option<String>, DriverError> {
        let mut form = Form::new();
        request.each(|name, value| {
            if name != "client_id" {
                form.push(name, value);
            }
        });
        // RFC 9126 §2: it is a parameter of the request, and in the body even if the header says it too.
        self.names_itself_in(&mut form);
        form.remember(request.state);
        let answer = self.send(endpoint, &mut form, FIELD).await?;
        let wait = failure::retry_after(&answer.headers, self.env.now());
        if answer.status == StatusCode::CREATED {
            let name = json::object(&answer.body).and_then(|members| request_uri(&members));
            return name.map(Some).ok_or(NOT_PUSHED);
        }
        // Promised in the metadata and not there: some servers list what a plan or a build of theirs does not have.
        if [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_IMPLEMENTED]
            .contains(&answer.status)
        {
            return Ok(None);
        }
        match super::client::spoken(&answer) {
            Spoken::Refusal(refusal) => {
                Err(failure::of_refusal(Phase::Front, answer.status, &refusal, wait, form.secrets()))
            }
            // Any other success is not one of this protocol: nobody is sent on with half a request.
            _ if answer.status.is_success() => Err(NOT_PUSHED),
            Spoken::Issued(_) | Spoken::Nothing(_) => {
                Err(failure::of_nothing(answer.status, wait, failure::UNREADABLE))
            }
        }
    }
}

/// RFC 9126 §2.2. A request that is over before anybody can use it is none.
fn request_uri(members: &serde_json::Map<String, Value>) -> Option<String> {
    let lives = members.get("expires_in").and_then(Value::as_u64).is_some_and(|seconds| seconds > 0);
    let uri = members.get("request_uri").and_then(Value::as_str)?;
    let sound = !uri.is_empty() && uri.len() <= 2048 && uri.bytes().all(|b| b.is_ascii_graphic());
    (lives && sound).then(|| uri.to_owned())
}

/// Nothing was spent, so nothing is in doubt.
const NOT_PUSHED: DriverError = DriverError::garbage(false, "it has no request_uri that could be used");
const FIELD: &str = "serverConfig.pushed_authorization_request_endpoint";
