//! Who calls: from a bearer credential to a [`Caller`]. Nothing else makes one.

mod several;
mod workload;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use carnet_identity::{BearerKey, Freshness};
use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::{Caller, Login, Member};
use carnet_model::rights::Access;
use carnet_model::{AccessToken, Code, Fault, Id, SecretString, Time, kind};
use carnet_store::{Write, access_tokens, people, rules_of};
use carnet_vault::Purpose;
use serde_json::Map;

use crate::broker::Broker;
use crate::faults;
use crate::rejections::{Rejection, Whose};

/// Which team the request names, besides the credential: `?teamId=` and `?slug=`.
#[derive(Clone, Debug, Default)]
pub struct TeamHint {
    /// `team_…`
    pub id: Option<String>,
    /// The team's name.
    pub slug: Option<String>,
}

/// What a caller proves itself with, and which team the request names besides.
#[derive(Debug)]
pub struct Credential {
    bearer: SecretString,
    hint: TeamHint,
    key: BearerKey,
}

impl Credential {
    /// Of a request with this bearer credential. Refused if there is none, or if the team is named twice.
    pub fn of(bearer: Option<&str>, hint: TeamHint) -> Result<Self, Fault> {
        let Some(bearer) = bearer else {
            return Err(unauthorized("This request has no credential.")
                .next("carnet env pull", "to get a workload identity for development"));
        };
        let context = match (&hint.id, &hint.slug) {
            (Some(_), Some(_)) => {
                return Err(Fault::new(
                    Code::InvalidRequest,
                    "Name the team by teamId or by slug, not by both.",
                )
                .with("field", "slug"));
            }
            (id, slug) => {
                format!("{}\n{}", id.as_deref().unwrap_or_default(), slug.as_deref().unwrap_or_default())
            }
        };
        Ok(Self { bearer: bearer.to_owned().into(), key: BearerKey::of(context.as_bytes(), bearer), hint })
    }
}

/// A caller as it is remembered.
pub(crate) struct Known {
    caller: Arc<Caller>,
    issuer: Option<Id<kind::TrustedIssuer>>,
    /// For an access token: when its use was last noted, in milliseconds since 1970.
    noted: AtomicI64,
}

/// A caller with what is needed to know how long it may be remembered.
struct Recognised {
    caller: Caller,
    issuer: Option<Id<kind::TrustedIssuer>>,
    expires_at: Time,
    /// For an access token: when its use was last noted.
    used: Option<Time>,
}

impl Broker {
    /// Recognises the caller by the bearer credential: an access token or a workload identity.
    pub async fn recognise(&self, credential: &Credential) -> Result<Arc<Caller>, Fault> {
        let Credential { bearer, hint, key } = credential;
        let bearer = bearer.expose();
        let inner = &self.inner;
        self.is_open()?;
        inner.fresh_keys().await.map_err(|error| self.keys_unread(error))?;
        let now = inner.env.now();
        if let Some(known) = inner.callers.recall(key, now, |known| self.freshness(known.issuer)) {
            self.note_use(&known, now);
            return Ok(known.caller.clone());
        }
        // Taken before anything is read: a change in between makes the memory stale instead of wrong.
        let revision = inner.db.revision();
        let recognised = match AccessToken::parse(bearer) {
            Ok(token) => self.member(&token, hint, now).await?,
            Err(_) if bearer.starts_with("crn_") => {
                return Err(unauthorized("The access token is mistyped or cut short."));
            }
            Err(_) => self.workload(bearer, hint, now).await?,
        };
        self.same_team(&recognised.caller, hint).await?;
        let seen =
            Freshness { revision: rules_of(revision).unsigned_abs(), ..self.freshness(recognised.issuer) };
        let known = Arc::new(Known {
            caller: Arc::new(recognised.caller),
            issuer: recognised.issuer,
            noted: AtomicI64::new(recognised.used.map_or(i64::MIN, Time::millis)),
        });
        inner.callers.remember(key, known.clone(), seen, recognised.expires_at, now);
        self.note_use(&known, now);
        Ok(known.caller.clone())
    }

    /// Notes that an access token was used: at most once a minute, and beside the request, which does not wait for it.
    fn note_use(&self, known: &Known, now: Time) {
        let Caller::Member(member) = &*known.caller else { return };
        let Some(token) = member.login.token() else { return };
        let noted = known.noted.load(Ordering::Relaxed);
        if noted > now.minus(USE_NOTED).millis()
            || known
                .noted
                .compare_exchange(noted, now.millis(), Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        let step = access_tokens::used(token, now, now.minus(USE_NOTED));
        let broker = self.clone();
        self.track(async move {
            // It is a convenience for people: what is missed now is noted with a later use.
            if let Err(error) = broker.inner.db.write(Write::new().step(step)).await {
                tracing::debug!(%error, "the use of an access token is not noted");
            }
        });
    }

    fn freshness(&self, issuer: Option<Id<kind::TrustedIssuer>>) -> Freshness {
        let generation = if let Some(id) = issuer {
            self.inner.keys.generation(id)
        } else {
            // Whoever is remembered from before a new pepper is looked up again, so that the digest moves to it.
            let pepper = self.inner.keyring.hashing_version(Purpose::TokenPepper);
            self.inner.issuer.generation() + pepper.unsigned_abs()
        };
        Freshness { revision: rules_of(self.inner.db.revision()).unsigned_abs(), generation }
    }

    async fn member(&self, token: &AccessToken, hint: &TeamHint, now: Time) -> Result<Recognised, Fault> {
        let hashes = self.inner.keyring.hashes(Purpose::TokenPepper, token.expose().as_bytes());
        // Between two looks a request beside this one may move the token to the newest pepper: so that is looked for
        // once more in the end.
        let newest = hashes.first().filter(|_| hashes.len() > 1);
        for hash in hashes.iter().chain(newest) {
            let Some(bearer) =
                access_tokens::by_digest(&self.inner.db, hash.digest).await.map_err(faults::store)?
            else {
                continue;
            };
            let row = bearer.token;
            let why = match bearer.role {
                _ if row.revoked_at.is_some() || row.expires_at <= now => {
                    Err(("revoked_or_expired", "The access token has expired or was revoked."))
                }
                None => Err(("left_team", "The access token's person has left the team.")),
                _ if bearer.disabled => {
                    Err(("disabled", "The account of the access token's person is disabled."))
                }
                Some(role) => Ok(role),
            };
            let role = match why {
                Ok(role) => role,
                // Whose it was is known, so the refusal is on that team's record.
                Err((why, sentence)) => {
                    let event = AuditEvent::of_system(now, Action::CallerReject)
                        .in_team(row.team)
                        .on(row.id)
                        .with("user", row.user.to_string());
                    self.reject_known(event, Whose::AccessToken(row.id), rejection("access-token", why))
                        .await?;
                    return Err(unauthorized(sentence).recorded());
                }
            };
            self.rehash(token, row.id, hash);
            let member = Member {
                team: row.team,
                user: row.user,
                role,
                strict: bearer.strict,
                access: row.access,
                login: match bearer.signed_in_at {
                    Some(signed_in_at) => Login::CommandLine { token: row.id, signed_in_at },
                    None => Login::AccessToken(row.id),
                },
            };
            let reaches = bearer.signed_in_at.is_some() && member.access == Access::FULL;
            let member = if reaches { self.in_named_team(member, hint).await? } else { member };
            return Ok(Recognised {
                caller: Caller::Member(member),
                issuer: None,
                expires_at: row.expires_at,
                used: row.last_used_at,
            });
        }
        Err(unauthorized("The access token is not known here."))
    }

    /// Whoever signed in a command line acts with it in every team that has them, as what they are there: where the
    /// request names one of these, in that; else in the one that was chosen. Whether they are in it is looked up and not
    /// believed, and who is not in it is told the same as where there is none.
    async fn in_named_team(&self, member: Member, hint: &TeamHint) -> Result<Member, Fault> {
        let named = |found: &people::Membership| match (&hint.id, &hint.slug) {
            (Some(id), _) => found.team.id.to_string() == *id,
            (None, Some(slug)) => found.team.slug.as_str() == slug,
            (None, None) => found.team.id == member.team,
        };
        let teams = people::teams_of(&self.inner.db, member.user).await.map_err(faults::store)?;
        Ok(match teams.iter().find(|found| named(found)) {
            Some(found) => Member {
                team: found.team.id,
                role: found.role,
                strict: found.team.strict_connectors,
                ..member
            },
            None => member,
        })
    }

    /// A credential is for one team, unless it is a command line's. Naming another is not a way into it.
    async fn same_team(&self, caller: &Caller, hint: &TeamHint) -> Result<(), Fault> {
        let same = match (&hint.id, &hint.slug) {
            (Some(id), _) => *id == caller.team().to_string(),
            (None, Some(slug)) => {
                let team = people::team(&self.inner.db, caller.team()).await.map_err(faults::store)?;
                team.is_some_and(|team| team.slug.as_str() == slug)
            }
            (None, None) => true,
        };
        if same {
            return Ok(());
        }
        let token = match caller {
            Caller::Member(member) => member.login.token(),
            Caller::Workload(_) => None,
        };
        let whose = token.map_or(Whose::Team(caller.team()), Whose::AccessToken);
        // In the log of the credential's own team; what the other one is called is the caller's text.
        let mut event = AuditEvent::of(caller, self.inner.env.now(), Action::CallerReject, None);
        if let Whose::AccessToken(token) = whose {
            event = event.on(token);
        }
        self.reject_known(event, whose, rejection("same-team", "another_team")).await?;
        Err(Fault::new(Code::Forbidden, "The credential is not for the team that the request names.")
            .recorded()
            .next("carnet whoami", "to see which team it is for"))
    }
}

fn rejection(rule: &'static str, why: &str) -> Rejection {
    Rejection { rule, why: why.to_owned(), detail: Map::new() }
}

fn unauthorized(sentence: &str) -> Fault {
    Fault::new(Code::Unauthorized, sentence)
}

/// How often the use of an access token is noted.
const USE_NOTED: Duration = Duration::from_mins(1);
