//! Tokens in exchange for one that the caller has.
//!
//! The inbound token is known here by a keyed digest alone: in memory, in the log, to whoever waits for the same. It goes
//! to the connector's token endpoint and nowhere else. What comes back is kept in memory, never longer than the inbound
//! token says that it lives, and not in the store: whoever has the one can have the other again. Unless the connector says
//! that it takes each token once: then the token's identifier is spent in the same write as the event.

use std::sync::Arc;
use std::time::Duration;

use carnet_identity::{Algorithm, Expectation, JwtError, KeySource, Presented, claimed_expiry};
use carnet_model::{Code, Fault, Id, SecretString, Subject, Time, kind};
use carnet_providers::{Inbound, MintAsk};
use carnet_store::{Revision, Step, spent_inbound};
use serde_json::Value;

use super::{Found, Source, Wanted};
use crate::broker::Broker;
use crate::cache::Parts;
use crate::clocks::{Off, Times};
use crate::directory::Entry;
use crate::faults;

impl Broker {
    pub(crate) async fn exchanged_token(
        &self,
        entry: &Arc<Entry>,
        wanted: &Wanted,
        inbound: &SecretString,
        revision: Revision,
        made_at: Option<Revision>,
    ) -> Result<Found, Fault> {
        let ends = wanted.inbound_end();
        let now = self.inner.env.now();
        let over = ends.is_some_and(|end| end <= now);
        let once = if entry.abilities.inbound.is_empty() {
            None
        } else {
            self.verify_inbound(entry, inbound, now).await?
        };
        if over {
            // Whose clock is off by less than is tolerated is told the same: the provider would refuse it.
            return Err(match Presented::parse(inbound.expose()) {
                Ok(presented) => unsound(JwtError::Expired, Some(Times::of(&presented)), now),
                Err(_) => not_taken("it has expired"),
            });
        }
        let (team, connector) = (entry.row.connector.team, entry.row.connector.id);
        let changes: Vec<Step> = once
            .iter()
            .map(|once| spent_inbound::spend(team, connector, once.digest, once.ends_at))
            .collect();
        let turn = self.turn(&wanted.key).lock_owned().await;
        if let Some(Once { digest, .. }) = once {
            let spent = spent_inbound::is_spent(&self.inner.db, team, connector, digest).await;
            if spent.map_err(faults::store)? {
                return Err(used_before());
            }
            // What this very request has had made, and could not record because the rules changed.
            let own = made_at.and_then(|at| self.inner.recall(&wanted.key, at, now.plus(wanted.buffer)));
            if let Some(own) = own {
                return Ok(Found { changes, turn: Some(turn), ..Found::kept(own.made, Source::Provider) });
            }
        }
        // Somebody else's exchange of the same token may have ended while this one waited for its turn.
        let kept = self.inner.recall(&wanted.key, revision, now.plus(wanted.buffer));
        if let Some(recalled) = kept.filter(|_| once.is_none()) {
            return Ok(Found::kept(recalled.made, Source::Memory));
        }
        let minted = self
            .call_driver(
                entry,
                None,
                MintAsk::Exchanged {
                    token: inbound.duplicate(),
                    scopes: wanted.sent_scopes(),
                    resources: wanted.resources.clone(),
                    audience: wanted.audience.clone(),
                    details: wanted.details.clone(),
                },
            )
            .await
            .map_err(|error| faults::driver(&error, entry.row.connector.uid.as_str()))?;
        self.check_scopes(entry, wanted, minted.scopes.as_ref())?;
        let (made, _) = self.keep_made(wanted, minted, None)?;
        Ok(Found { changes, turn: Some(turn), until: ends, ..Found::kept(made, Source::Provider) })
    }

    /// Holds an inbound token against the issuers that the connector takes tokens of. What comes back is what has to be
    /// spent, where each is taken once.
    async fn verify_inbound(
        &self,
        entry: &Entry,
        token: &SecretString,
        now: Time,
    ) -> Result<Option<Once>, Fault> {
        let connector = &entry.row.connector;
        let presented = Presented::parse(token.expose()).map_err(|error| unsound(error, None, now))?;
        let known = entry.abilities.inbound.iter().find(|known| known.issuer == presented.issuer());
        let known = known
            .ok_or_else(|| not_taken(&format!("{} takes tokens of other issuers only", connector.uid)))?;
        let source = known.jwks_uri.clone().map_or(KeySource::Discovery, KeySource::JwksUri);
        let id = inbound_id(connector.id, known);
        let keys = self
            .inner
            .keys
            .keys_for(id, connector.team, &known.issuer, &source, presented.kid())
            .await
            .map_err(|error| faults::no_keys("the issuer of subject.token", error, now))?;
        let expectation = Expectation {
            issuer: &known.issuer,
            audiences: &known.audiences,
            algorithms: &Algorithm::ALL,
            types: &TYPES.map(str::to_owned),
            max_life: LONGEST_INBOUND,
            max_age: None,
            skew: SKEW,
        };
        let times = Times::of(&presented);
        let claims =
            presented.verify(&keys, &expectation, now).map_err(|error| unsound(error, Some(times), now))?;
        if !known.once {
            return Ok(None);
        }
        let jti = claims.claim("jti").and_then(Value::as_str).filter(|jti| !jti.is_empty());
        let jti = jti.ok_or_else(|| {
            not_taken("it has no jti, and tokens of its issuer are taken once each, by that identifier")
        })?;
        let digest = Parts::new("inbound-jti/1").add(known.issuer.as_bytes()).add(jti.as_bytes()).finish();
        Ok(Some(Once { digest, ends_at: claims.expires_at().plus(SKEW * 2) }))
    }
}

impl Wanted {
    /// When the inbound token says that it ends, if there is one that does. Nothing that hangs on it is kept for longer.
    pub(crate) fn inbound_end(&self) -> Option<Time> {
        match &self.subject {
            Subject::Token { token } => claimed_expiry(token.expose()),
            _ => None,
        }
    }
}

/// What is spent with a token that is taken once.
struct Once {
    digest: [u8; 32],
    /// From when its end alone keeps it from being taken.
    ends_at: Time,
}

/// Whether tokens in exchange are had anew each time, because the connector takes some tokens once.
pub(super) fn is_never_served_again(entry: &Entry, subject: &Subject) -> bool {
    matches!(subject, Subject::Token { .. }) && entry.abilities.inbound.iter().any(|known| known.once)
}

/// It was presented before, or by somebody else at the same moment.
pub(super) fn used_before() -> Fault {
    not_taken(
        "it was used before, and tokens of its issuer are taken once each; get another one from the issuer",
    )
}

/// Keys are kept by the issuer's identifier; one that is named by a connector gets its own from both.
fn inbound_id(connector: Id<kind::Connector>, known: &Inbound) -> Id<kind::TrustedIssuer> {
    let digest = Parts::new("inbound-issuer/1").add(connector.bytes()).add(known.issuer.as_bytes()).finish();
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(digest) {
        *to = from;
    }
    Id::from_bytes(id)
}

/// Where it is a matter of time, by how much.
fn unsound(error: JwtError, times: Option<Times>, now: Time) -> Fault {
    match times.and_then(|times| times.off(error, now)) {
        Some(Off { seconds, sentence }) => {
            let why = format!("{error}. {}", sentence.trim_end_matches('.'));
            not_taken(&why).with("offBySeconds", seconds)
        }
        None => not_taken(&error.to_string()),
    }
}

/// RFC 8693 §2.2.2: a subject token that is not acceptable makes the request an invalid one.
fn not_taken(why: &str) -> Fault {
    Fault::new(Code::InvalidRequest, format!("The token in subject.token is not taken in exchange: {why}."))
        .with("field", "subject.token")
}

/// Identity tokens, access tokens (RFC 9068 §2.1), and those of servers that write no type.
const TYPES: [&str; 4] = ["JWT", "at+jwt", "application/at+jwt", ""];
/// Sessions of a day are exchanged; what lives longer is no token of a session.
const LONGEST_INBOUND: Duration = Duration::from_hours(24);
const SKEW: Duration = Duration::from_mins(1);
