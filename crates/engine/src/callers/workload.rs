//! A workload, by an identity that we issued for development or that an issuer issued which a team trusts.

use std::time::Duration;

use carnet_identity::{
    Algorithm, Expectation, IdentityClaims, JwtError, Presented, TrustedIssuer, VerifiedClaims,
};
use carnet_model::caller::{Caller, Proof, Workload};
use carnet_model::rights::Right;
use carnet_model::{Environment, Fault, Id, Slug, SubjectKind, Time, kind};
use carnet_store::{issuers, people, projects};
use serde_json::{Map, Value};

use super::several::agree;
use super::{Recognised, TeamHint, unauthorized};
use crate::broker::Broker;
use crate::clocks::{Off, Times};
use crate::faults;
use crate::issuers::trusted_issuer;
use crate::rejections::Rejection;

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
    /// The workload whose identity this is.
    pub(super) async fn workload(
        &self,
        bearer: &str,
        hint: &TeamHint,
        now: Time,
    ) -> Result<Recognised, Fault> {
        let presented = match Presented::parse(bearer) {
            Ok(presented) => presented,
            Err(error) => {
                self.reject(None, Rejection::of_token(error)).await?;
                return Err(refused(error, None, now));
            }
        };
        match self.inner.settings.own_team(presented.issuer()) {
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
        let audiences = [self.inner.settings.audience_of(slug)];
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
        if found.is_empty() {
            // That one team recognises a token is no news for the others who trust the same issuer; that nobody does is.
            for (by, rejection) in rejections {
                self.reject(Some(by), rejection).await?;
            }
            return Err(failure);
        }
        let first = found.remove(0);
        agree(first, &found)
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
            .map_err(|error| faults::no_keys("the token's issuer", error, now))?;
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

/// What the bearer of a token is told: where it is a matter of time, by how much.
fn refused(error: JwtError, times: Option<Times>, now: Time) -> Fault {
    if error == JwtError::Parts {
        return unauthorized(
            "The bearer is neither an access token, which begins with crn_, nor a workload identity, which has three \
             parts with dots between them.",
        )
        .next("carnet whoami", "to see what this shell sends, and where it comes from");
    }
    let Some(Off { seconds, sentence }) = times.and_then(|times| times.off(error, now)) else {
        return unauthorized(&format!("The workload identity is not accepted: {error}."));
    };
    let fault = unauthorized(&format!("The workload identity is not accepted: {error}. {sentence}"))
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
/// Development tokens live twelve hours.
const LONGEST_OWN_LIFE: Duration = Duration::from_hours(12);
