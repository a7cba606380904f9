//! Who calls: from a bearer credential to a [`Caller`]. Nothing else makes one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use carnet_identity::{
    Algorithm, BearerKey, Expectation, Freshness, IdentityClaims, JwtError, Presented, TrustedIssuer,
    VerifiedClaims,
};
use carnet_model::caller::{Caller, Login, Member, Proof, Workload};
use carnet_model::rights::Right;
use carnet_model::{AccessToken, Code, Environment, Fault, Id, SecretString, Slug, SubjectKind, Time, kind};
use carnet_store::{Write, access_tokens, issuers, people, projects};
use carnet_vault::Purpose;
use serde_json::{Map, Value};

use crate::broker::Broker;
use crate::faults;
use crate::issuers::trusted_issuer;
use crate::rejections::Rejection;

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
                ));
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

/// Why one team does not recognise a token: what the caller is told, and what the team's log is.
struct Unrecognised {
    fault: Fault,
    rejection: Option<Rejection>,
}

impl From<Fault> for Unrecognised {
    fn from(fault: Fault) -> Self {
        Self { fault, rejection: None }
    }
}

impl Broker {
    /// Recognises the caller by the bearer credential: an access token or a workload identity.
    pub async fn recognise(&self, credential: &Credential) -> Result<Arc<Caller>, Fault> {
        let Credential { bearer, hint, key } = credential;
        let bearer = bearer.expose();
        let inner = &self.inner;
        self.is_open()?;
        inner.fresh_keys().await.map_err(faults::store)?;
        let now = inner.env.now();
        if let Some(known) = inner.callers.recall(key, now, |known| self.freshness(known.issuer)) {
            self.note_use(&known, now);
            return Ok(known.caller.clone());
        }
        // Taken before anything is read: a change in between makes the memory stale instead of wrong.
        let revision = inner.db.revision();
        let recognised = match AccessToken::parse(bearer) {
            Ok(token) => self.member(&token, now).await?,
            Err(_) if bearer.starts_with("crn_") => {
                return Err(unauthorized("The access token is mistyped or cut short."));
            }
            Err(_) => self.workload(bearer, hint, now).await?,
        };
        self.same_team(&recognised.caller, hint).await?;
        let seen = Freshness { revision: revision.unsigned_abs(), ..self.freshness(recognised.issuer) };
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
        let Caller::Member(Member { login: Login::AccessToken(token), .. }) = &*known.caller else { return };
        let noted = known.noted.load(Ordering::Relaxed);
        if noted > now.minus(USE_NOTED).millis()
            || known
                .noted
                .compare_exchange(noted, now.millis(), Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        let step = access_tokens::used(*token, now, now.minus(USE_NOTED));
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
        Freshness { revision: self.inner.db.revision().unsigned_abs(), generation }
    }

    async fn member(&self, token: &AccessToken, now: Time) -> Result<Recognised, Fault> {
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
            if row.revoked_at.is_some() || row.expires_at <= now {
                return Err(unauthorized("The access token has expired or was revoked."));
            }
            let role =
                bearer.role.ok_or_else(|| unauthorized("The access token's person has left the team."))?;
            if bearer.disabled {
                return Err(unauthorized("The account of the access token's person is disabled."));
            }
            self.rehash(token, row.id, hash);
            let member = Member {
                team: row.team,
                user: row.user,
                role,
                strict: bearer.strict,
                access: row.access,
                login: Login::AccessToken(row.id),
            };
            return Ok(Recognised {
                caller: Caller::Member(member),
                issuer: None,
                expires_at: row.expires_at,
                used: row.last_used_at,
            });
        }
        Err(unauthorized("The access token is not known here."))
    }

    async fn workload(&self, bearer: &str, hint: &TeamHint, now: Time) -> Result<Recognised, Fault> {
        let presented = match Presented::parse(bearer) {
            Ok(presented) => presented,
            Err(error) => {
                self.reject(None, Rejection::of_token(error)).await?;
                return Err(refused(error, None, now));
            }
        };
        let base = self.inner.settings.base();
        let own = presented.issuer().strip_prefix(base).and_then(|rest| rest.strip_prefix('/'));
        match own.and_then(|slug| Slug::parse(slug).ok()) {
            Some(slug) => self.own_workload(presented, &slug, now).await,
            None => self.foreign_workload(presented, bearer, hint, now).await,
        }
    }

    /// A token that we issued ourselves.
    async fn own_workload(
        &self,
        presented: Presented<'_>,
        slug: &Slug,
        now: Time,
    ) -> Result<Recognised, Fault> {
        let issuer = self.inner.settings.issuer_of(slug);
        let audiences = [issuer.clone()];
        let types = ["JWT".to_owned()];
        let expect = Expectation {
            issuer: &issuer,
            audiences: &audiences,
            algorithms: &[Algorithm::Rs256, Algorithm::Es256],
            types: &types,
            max_life: LONGEST_OWN_LIFE,
            max_age: None,
            skew: Duration::ZERO,
        };
        let keys =
            self.inner.issuer.keys().ok_or_else(|| unauthorized("The server has no signing keys yet."))?;
        let times = Times::of(&presented);
        let verified =
            presented.verify(&keys, &expect, now).map_err(|error| refused(error, Some(times), now))?;
        let expires_at = verified.expires_at();
        let claims = IdentityClaims::read(&verified)
            .map_err(|error| unauthorized(&format!("The token is no workload identity: {error}.")))?;
        let team = people::team_by_slug(&self.inner.db, slug).await.map_err(faults::store)?;
        let team = team
            .filter(|team| team.id == claims.team.id)
            .ok_or_else(|| unauthorized("The token's team is gone."))?;
        let environment = claims.runtime.environment();
        self.exists(team.id, claims.project.id, environment).await?;
        if let Some(user) = claims.runtime.user() {
            self.may_still_develop(&team, user).await?;
        }
        let caller = Caller::Workload(Workload {
            team: team.id,
            project: claims.project.id,
            environment,
            subjects: vec![SubjectKind::App, SubjectKind::User, SubjectKind::JwtBearer, SubjectKind::Token],
            user: claims.runtime.user(),
            proof: Proof { issuer, subject: claims.subject(), trusted_issuer: None, claims: Map::new() },
        });
        Ok(Recognised { caller, issuer: None, expires_at, used: None })
    }

    /// A token of an issuer that a team trusts. Several teams may trust the same issuer with audiences of their own;
    /// if more than one recognises the token, the request must say which team is meant.
    async fn foreign_workload(
        &self,
        presented: Presented<'_>,
        bearer: &str,
        hint: &TeamHint,
        now: Time,
    ) -> Result<Recognised, Fault> {
        let rows = issuers::by_issuer(&self.inner.db, presented.issuer()).await.map_err(faults::store)?;
        let mut found: Vec<Recognised> = Vec::new();
        let mut rejections = Vec::new();
        let mut failure = unauthorized("No team here trusts the issuer of this token.")
            .next("carnet projects trust --help", "to trust it for one of your projects");
        for row in rows {
            if hint.id.as_deref().is_some_and(|id| id != row.team.to_string()) {
                continue;
            }
            let issuer = match trusted_issuer(&row) {
                Ok(issuer) => issuer,
                Err(error) => {
                    // One team's row that cannot be read is not in the way of another team's caller.
                    failure = faults::internal(error);
                    continue;
                }
            };
            match self.recognised_by(&issuer, bearer, now).await {
                Ok(recognised) => found.push(recognised),
                Err(Unrecognised { fault, rejection }) => {
                    failure = fault;
                    rejections.extend(rejection.map(|rejection| ((issuer.team, issuer.id), rejection)));
                }
            }
        }
        match found.len() {
            0 => {
                // That one team recognises a token is no news for the others who trust the same issuer; that nobody does is.
                for (by, rejection) in rejections {
                    self.reject(Some(by), rejection).await?;
                }
                Err(failure)
            }
            1 => found.pop().ok_or(failure),
            _ => Err(Fault::new(
                Code::InvalidRequest,
                "More than one trusted issuer recognises this token. Say which team is meant with teamId; within one \
                 team, let no two of its trusted issuers accept the same token.",
            )),
        }
    }

    async fn recognised_by(
        &self,
        issuer: &TrustedIssuer,
        bearer: &str,
        now: Time,
    ) -> Result<Recognised, Unrecognised> {
        let rejected = |error: JwtError, times: Option<Times>| Unrecognised {
            fault: refused(error, times, now),
            rejection: Some(Rejection::of_token(error)),
        };
        // Parsed anew for each team: verifying takes the parsed token.
        let presented = Presented::parse(bearer).map_err(|error| rejected(error, None))?;
        let keys = self
            .inner
            .keys
            .keys_for(issuer.id, issuer.team, &issuer.issuer, &issuer.source, presented.kid())
            .await
            .map_err(|error| {
                Fault::new(Code::Unavailable, "The keys of the token's issuer cannot be fetched.")
                    .retry_after(now.until(error.retry_at).as_secs().max(1))
                    .because(error)
            })?;
        let times = Times::of(&presented);
        let verified = presented
            .verify(&keys, &issuer.expectation(), now)
            .map_err(|error| rejected(error, Some(times)))?;
        let rule = issuer.recognise(&verified).map_err(|no_rule| {
            let mut detail = Map::new();
            detail.insert("missed".to_owned(), no_rule.missed.clone().into());
            detail.insert("claims".to_owned(), recorded(issuer, &verified).into());
            Unrecognised {
                fault: unauthorized(&format!("The token is genuine, and {no_rule}."))
                    .next("carnet projects trust --help", "to add a rule for it"),
                rejection: Some(Rejection { rule: "trust-rule", why: "no rule matches".to_owned(), detail }),
            }
        })?;
        self.exists(issuer.team, rule.project, rule.environment).await?;
        let caller = Caller::Workload(Workload {
            team: issuer.team,
            project: rule.project,
            environment: rule.environment,
            subjects: rule.subjects.clone(),
            user: None,
            proof: Proof {
                issuer: verified.issuer().to_owned(),
                subject: verified.subject().to_owned(),
                trusted_issuer: Some(issuer.id),
                claims: recorded(issuer, &verified),
            },
        });
        Ok(Recognised { caller, issuer: Some(issuer.id), expires_at: verified.expires_at(), used: None })
    }

    /// An identity for development was given to a person. It holds as long as it would be given again.
    async fn may_still_develop(&self, team: &people::Team, user: Id<kind::User>) -> Result<(), Fault> {
        let gone =
            || unauthorized("The person to whom the development token was given may no longer have it.");
        let found = people::member(&self.inner.db, team.id, user).await.map_err(faults::store)?;
        let member = found.filter(|member| member.user.disabled_at.is_none()).ok_or_else(gone)?;
        if Right::IdentityIssue.held_by(member.role, team.strict_connectors) { Ok(()) } else { Err(gone()) }
    }

    /// A credential may outlive the project or the environment it speaks for.
    async fn exists(
        &self,
        team: Id<kind::Team>,
        project: Id<kind::Project>,
        environment: Environment,
    ) -> Result<(), Fault> {
        let db = &self.inner.db;
        if projects::find(db, team, project).await.map_err(faults::store)?.is_none() {
            return Err(unauthorized("The token's project is gone."));
        }
        if let Environment::Custom(id) = environment {
            let found = projects::environment(db, team, id).await.map_err(faults::store)?;
            if found.is_none_or(|found| found.project != project) {
                return Err(unauthorized("The token's environment is gone."));
            }
        }
        Ok(())
    }

    /// A credential is for one team. Naming another is not a way into it.
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
            Ok(())
        } else {
            Err(Fault::new(Code::Forbidden, "The credential is not for the team that the request names.")
                .next("carnet whoami", "to see which team it is for"))
        }
    }
}

fn unauthorized(sentence: &str) -> Fault {
    Fault::new(Code::Unauthorized, sentence)
}

impl Rejection {
    fn of_token(error: JwtError) -> Self {
        Self { rule: "token", why: error.to_string(), detail: Map::new() }
    }
}

/// The claims of a genuine token that say which run it was, kept short.
fn recorded(issuer: &TrustedIssuer, verified: &VerifiedClaims) -> Map<String, Value> {
    let short = |value: &Value| match value {
        Value::String(text) => Some(Value::from(text.chars().take(LONGEST_CLAIM).collect::<String>())),
        Value::Number(_) | Value::Bool(_) => Some(value.clone()),
        _ => None,
    };
    let had = |path: &&str| Some(((*path).to_owned(), short(verified.claim(path)?)?));
    issuer.family.recorded().iter().filter_map(had).collect()
}

/// The times that a token claims. Told to its bearer only after its signature was found good.
#[derive(Clone, Copy)]
struct Times {
    issued: Time,
    expires: Time,
    not_before: Option<Time>,
}

impl Times {
    fn of(token: &Presented<'_>) -> Self {
        let (issued, expires) = token.times();
        Self { issued, expires, not_before: token.not_before() }
    }
}

/// What the bearer of a token is told. Where it is a matter of time, by how much: two clocks that differ look the same as a
/// token that is old, and only the figure tells.
fn refused(error: JwtError, times: Option<Times>, now: Time) -> Fault {
    let off = times.and_then(|times| match error {
        JwtError::Expired => Some(("it ended", times.expires.until(now), "ago")),
        JwtError::TooOld => Some(("it was issued", times.issued.until(now), "ago")),
        JwtError::NotYet => Some(("it begins", now.until(times.not_before?), "from now")),
        JwtError::IssuedInFuture => Some(("it is issued", now.until(times.issued), "in the future")),
        _ => None,
    });
    let Some((what, by, direction)) = off else {
        return unauthorized(&format!("The workload identity is not accepted: {error}."));
    };
    let seconds = by.as_secs();
    let fault = unauthorized(&format!(
        "The workload identity is not accepted: {error}. By this server's clock {what} {seconds} seconds {direction}; if \
         it is fresh, the issuer's clock and this server's are that far apart."
    ))
    .with("offBySeconds", seconds);
    match error {
        JwtError::Expired | JwtError::TooOld => {
            fault.next("carnet env pull", "to get a fresh one for development")
        }
        _ => fault,
    }
}

/// A claim in the audit log is cut to this many characters.
const LONGEST_CLAIM: usize = 200;
/// How often the use of an access token is noted.
const USE_NOTED: Duration = Duration::from_mins(1);
/// Development tokens live twelve hours.
const LONGEST_OWN_LIFE: Duration = Duration::from_hours(12);
