//! What is read from an answer of the token endpoint, before anything of it is used: whose it is, when it ends, and what
//! callers are told of it.

use std::time::Duration;

use carnet_egress::Egress;
use carnet_model::grant::Rotation;
use carnet_model::{SecretString, Time};
use serde_json::{Map, Value};

use super::settings::Settings;
use crate::driver::failure::DriverError;
use crate::oauth::client::{Client, Received};
use crate::oauth::failure::Phase;
use crate::oauth::id_token::{self, Expected, Person};
use crate::oauth::introspection::Introspected;
use crate::oauth::target::Target;

/// The person in the ID token. Without a known issuer there is nothing to hold the token against, and it is not read.
pub(super) fn person(
    settings: &Settings,
    http: &Egress,
    received: &mut Received,
    nonce: Option<&SecretString>,
    is_first: bool,
) -> Result<Option<Person>, DriverError> {
    let Some(issuer) = settings.server.issuer() else { return Ok(None) };
    let Some(token) = received.issued.id_token.take() else { return Ok(None) };
    let now = is_first.then_some(received.there);
    let client = settings.options.client_id.as_str();
    let read = |issuer: &str| id_token::read(&token, &Expected { issuer, client, nonce, now });
    // A server that stands in for another one, in development, calls itself by its own address.
    let person =
        read(issuer).or_else(|unfit| http.name_elsewhere(issuer).map_or(Err(unfit), |name| read(&name)));
    person
        .map(Some)
        .map_err(|_| DriverError::garbage(true, "its id_token is not of this issuer for this client"))
}

/// What has to be known about new tokens before they are used: when they end, where the server did not say and can be
/// asked; and whether they are what was asked for. The answer is why they are not.
pub(super) async fn settle(
    settings: &Settings,
    client: &Client<'_>,
    target: &Target<'_>,
    received: &mut Received,
) -> Option<String> {
    let issued = &mut received.issued;
    let patience = time_for_both(settings.options.rotation, issued.refresh.is_some())
        .saturating_sub(received.took)
        .min(TIME_TO_TELL);
    let silent = issued.expires_in.is_none() && issued.flaw.is_none() && !patience.is_zero();
    if let Some(endpoint) = settings.server.introspection.as_ref().filter(|_| silent) {
        match client.introspect(endpoint, &issued.access, patience).await {
            Introspected::Active { expires_in, scopes } => {
                issued.expires_in = expires_in;
                issued.scopes = issued.scopes.take().or(scopes);
            }
            Introspected::Unsaid => {}
        }
    }
    target.stray(issued)
}

pub(super) fn facts(settings: &Settings, person: Option<Person>) -> (Option<String>, Map<String, Value>) {
    let Some(person) = person else { return (None, Map::new()) };
    let claims = person.only(&settings.options.forwarded_claims);
    (Some(person.subject), claims)
}

/// What callers are told of the server's answer besides: texts, numbers and flags that the connector names, and no token
/// under another name.
pub(super) fn told(settings: &Settings, received: &mut Received) -> Map<String, Value> {
    let issued = &mut received.issued;
    let names = settings.options.forwarded_members.iter();
    let said = &mut issued.more.0;
    let each: Vec<_> = names.filter_map(|name| Some((name.clone(), said.remove(name)?))).collect();
    let holds_token = |text: &str| {
        let tokens = [Some(&issued.access), issued.refresh.as_ref(), issued.id_token.as_ref()];
        tokens.into_iter().flatten().any(|token| text.contains(token.expose().as_str()))
    };
    each.into_iter()
        .filter(|(_, value)| match value {
            Value::String(text) => {
                text.len() <= 2048 && !text.chars().any(char::is_control) && !holds_token(text)
            }
            Value::Number(_) | Value::Bool(_) => true,
            _ => false,
        })
        .collect()
}

/// When an access token ends: as the server says, else as configured. If nobody says, a token that can be had anew is
/// taken to end soon: served for ever, it would be served dead. One that cannot be had anew is kept without an end.
pub(super) fn end_of_access(settings: &Settings, received: &Received, renewable: bool) -> Option<Time> {
    let default = settings.options.default_life.map(|life| life.as_secs());
    let life = received.issued.expires_in.or(default).or(renewable.then_some(UNSAID_LIFE));
    life.map(|life| received.end_of(life))
}

/// In seconds. The shortest session that a large provider without `expires_in` can be set to (Salesforce, session
/// settings: 15 minutes).
const UNSAID_LIFE: u64 = 15 * 60;

/// For the answer and a question about it: what it brought must not be lost to the question. The engine gives a call eight
/// seconds, and more to one that renews what is taken once: as long as [`Phase::patience`], and four seconds besides.
fn time_for_both(rotation: Rotation, brings_refresh: bool) -> Duration {
    match rotation {
        Rotation::Strict if brings_refresh => Phase::Refresh.patience() + TIME_TO_TELL,
        _ => Duration::from_secs(6),
    }
}

const TIME_TO_TELL: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_server_whose_refresh_tokens_are_taken_once_is_asked_when_the_token_ends() {
        let slow = Duration::from_secs(27);
        let left = |rotation, brings| time_for_both(rotation, brings).saturating_sub(slow).min(TIME_TO_TELL);
        assert_eq!(left(Rotation::Strict, true), TIME_TO_TELL);
        // Where the engine has hung up by then.
        assert!(left(Rotation::Strict, false).is_zero() && left(Rotation::None, true).is_zero());
    }
}
