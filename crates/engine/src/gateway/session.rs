//! What an app has of a session: the refresh token, and the end of it all.
//!
//! A refresh token names its session and is good once. The one that follows it is a keyed hash of it, so that two
//! processes of the app that renew at the same moment come to the same one; only digests are kept. One that was replaced
//! longer ago was stolen or copied, and its use ends the session (RFC 9700 §4.14.2). Whoever tries one must be the client
//! itself, so nobody else can end a session by guessing.
//!
//! Not promised: that a session which is not renewed for a day survives a new pepper.

use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::caller::Caller;
use carnet_model::{Fault, Id, SecretString, Time, kind};
use carnet_store::gateway::{self, Session};
use carnet_store::{DbError, Write};
use carnet_vault::Purpose;

use super::client::Client;
use crate::broker::Broker;
use crate::consent::hex;
use crate::faults;

/// How a refresh token stands to its session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is the present one; its digest as it is stored.
    Present([u8; 32]),
    /// Another process of the app turned it a moment ago.
    JustNow,
    /// It was replaced before, or never was one.
    Old,
}

impl Broker {
    /// A first refresh token.
    pub(crate) fn fresh_gateway_refresh(&self, session: Id<kind::GatewaySession>) -> SecretString {
        written(session, &hex(&self.inner.env.bytes::<32>()))
    }

    /// The one that follows this one.
    pub(crate) fn next_gateway_refresh(
        &self,
        session: Id<kind::GatewaySession>,
        refresh: &SecretString,
    ) -> SecretString {
        let label = [b"gateway-refresh-next/1".as_slice(), refresh.expose().as_bytes()].concat();
        written(session, &hex(&self.inner.keyring.hash(Purpose::TokenPepper, &label).digest))
    }

    pub(crate) fn gateway_refresh_digest(&self, refresh: &SecretString) -> [u8; 32] {
        self.inner.keyring.hash(Purpose::TokenPepper, &label(refresh)).digest
    }

    /// Where this refresh token stands.
    pub(crate) fn turn_of(&self, session: &Session, refresh: &SecretString, now: Time) -> Turn {
        let versions = self.inner.keyring.hashes(Purpose::TokenPepper, &label(refresh));
        let is = |kept: Option<[u8; 32]>| {
            kept.filter(|kept| versions.iter().any(|hash| carnet_vault::equal(&hash.digest, kept)))
        };
        if let Some(digest) = is(session.digest) {
            return Turn::Present(digest);
        }
        let fresh = session.turned_at.is_some_and(|at| at.plus(AT_ONCE) > now);
        if fresh && is(session.digest_before).is_some() { Turn::JustNow } else { Turn::Old }
    }

    /// The app has no more use for it (RFC 7009): of an access or a refresh token, the session ends with all of its
    /// tokens. That there is none, or that it is another app's, is no failure and changes nothing (§2.2). What the
    /// person granted stays: to end that is the person's and the team's.
    pub async fn revoke_gateway_token(
        &self,
        connector: &str,
        secret: &SecretString,
        token: &SecretString,
        request: Id<kind::Request>,
    ) -> Result<(), Fault> {
        let client = self.gateway_client(connector, secret, request).await?;
        let named = session_in(token);
        let id = named.or_else(|| self.verified_access_token(token).map(|verified| verified.session));
        let Some(id) = id else { return Ok(()) };
        let found = gateway::find(&self.inner.db, client.caller.team(), id).await.map_err(faults::store)?;
        let Some(session) = found.filter(|session| client.has(session)) else { return Ok(()) };
        if named.is_some() && self.turn_of(&session, token, self.inner.env.now()) == Turn::Old {
            return Ok(());
        }
        self.end_gateway_session(&client, &session, "revoked", request).await
    }

    /// Ends a session, once, and says why on the record.
    pub(crate) async fn end_gateway_session(
        &self,
        client: &Client,
        session: &Session,
        why: &str,
        request: Id<kind::Request>,
    ) -> Result<(), Fault> {
        let inner = &self.inner;
        let now = inner.env.now();
        let outcome = if why == "revoked" { Outcome::Success } else { Outcome::Denied };
        let event =
            about(&client.caller, session, Action::GatewayEnd, now, request).ended(outcome).with("why", why);
        let write = Write::new().step(gateway::end(session.team, session.id, now)).event(&inner.env, &event);
        match inner.db.write(write).await {
            // It was ended before.
            Ok(_) | Err(DbError::Unmet(_)) => Ok(()),
            Err(error) => Err(faults::store(error)),
        }
    }
}

/// An event about a session.
pub(crate) fn about(
    caller: &Caller,
    session: &Session,
    action: Action,
    now: Time,
    request: Id<kind::Request>,
) -> AuditEvent {
    AuditEvent::of(caller, now, action, Some(request))
        .on(session.id)
        .with("connector", session.connector.to_string())
        .with("person", session.person.to_string())
        .with("environment", session.environment.to_string())
}

/// The session that a refresh token names.
pub(crate) fn session_in(refresh: &SecretString) -> Option<Id<kind::GatewaySession>> {
    let rest = refresh.expose().strip_prefix(PREFIX)?;
    let (id, secret) = rest.split_at_checked(22)?;
    let sound = secret.len() == 64 && secret.bytes().all(|b| b.is_ascii_hexdigit());
    Id::parse(&format!("gws_{id}")).ok().filter(|_| sound)
}

fn written(session: Id<kind::GatewaySession>, secret: &str) -> SecretString {
    let id = session.to_string();
    format!("{PREFIX}{}{secret}", id.trim_start_matches("gws_")).into()
}

fn label(refresh: &SecretString) -> Vec<u8> {
    [b"gateway-refresh/1".as_slice(), refresh.expose().as_bytes()].concat()
}

const PREFIX: &str = "cgr_";
/// Within this time two processes of an app may use the same refresh token.
const AT_ONCE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_token_names_its_session() {
        for bytes in [[0; 16], [7; 16], [255; 16]] {
            let id = Id::from_bytes(bytes);
            assert_eq!(session_in(&written(id, &"a".repeat(64))), Some(id));
        }
        for text in
            ["", "cgr_", "crr_x", &format!("cgr_{}", "0".repeat(85)), &format!("cgr_{}g", "0".repeat(85))]
        {
            assert_eq!(session_in(&text.to_owned().into()), None, "{text}");
        }
    }
}
