//! Carnet as an issuer of identity tokens: its signing keys, their rotation, and the tokens.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use carnet_identity::rotation::{self, KeyState, Schedule, ScheduledKey, Step as Rotate};
use carnet_identity::{
    Algorithm, IdentityClaims, KeySet, ProjectName, Runtime, SigningKey, TeamName, discovery_document,
};
use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Code, Environment, Fault, Id, SecretString, Slug, Time, kind};
use carnet_store::keys::{self, SigningKeyRow};
use carnet_store::people::Team;
use carnet_store::projects::Project;
use carnet_store::{DbError, Write, projects};
use serde_json::{Map, Value, json};

use crate::broker::{Broker, Inner, Settings};
use crate::cache::sha256;
use crate::consent::hex;
use crate::faults;

/// The signing keys as they are now.
pub(crate) struct OwnIssuer {
    keys: RwLock<Arc<Published>>,
    generation: AtomicU64,
}

struct Published {
    signing: Vec<(ScheduledKey, Arc<SigningKey>)>,
    set: Option<Arc<KeySet>>,
    jwks: Value,
}

/// A fresh identity token.
#[derive(Debug)]
pub struct IdentityToken {
    /// The JWT. A bearer credential, for the one who asked.
    pub token: SecretString,
    /// When it ends.
    pub expires_at: Time,
}

/// The signing keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the signing keys cannot be used: {0}")]
pub(crate) struct BadKeys(&'static str);

impl OwnIssuer {
    pub(crate) fn empty() -> Self {
        let nothing = Published { signing: Vec::new(), set: None, jwks: json!({"keys": []}) };
        Self { keys: RwLock::new(Arc::new(nothing)), generation: AtomicU64::new(0) }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The keys to verify our own tokens with; none before they were loaded.
    pub(crate) fn keys(&self) -> Option<Arc<KeySet>> {
        self.now().set.clone()
    }

    fn now(&self) -> Arc<Published> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Settings {
    /// What the issuers of all teams begin with, without a final `/`.
    pub(crate) fn issuers(&self) -> &str {
        self.issuer.as_ref().unwrap_or(&self.url).as_str().trim_end_matches('/')
    }

    /// The team of whose development identities this is the issuer, if it is one of ours.
    pub(crate) fn own_team(&self, issuer: &str) -> Option<Slug> {
        let slug = issuer.strip_prefix(self.issuers())?.strip_prefix('/')?;
        Slug::parse(slug).ok()
    }

    /// The issuer of a team's identity tokens.
    pub(crate) fn issuer_of(&self, team: &Slug) -> String {
        format!("{}/{team}", self.issuers())
    }

    /// Their audience unless asked otherwise.
    pub(crate) fn audience_of(&self, team: &Slug) -> String {
        format!("{}/{team}", self.base())
    }
}

impl Inner {
    /// Does what the rotation schedule asks for, and loads the keys. Run at start and every minute; nodes agree,
    /// because the schedule follows from what is stored.
    pub(crate) async fn turn_signing_keys(&self) -> Result<(), Fault> {
        let now = self.env.now();
        let schedule = Schedule::default();
        let rows = keys::signing(&self.db, now).await.map_err(faults::store)?;
        let scheduled: Vec<_> = rows.iter().map(scheduled).collect();
        let mut changed = false;
        for step in rotation::next_states(&scheduled, now, &schedule) {
            let write = match step {
                Rotate::Create { activates_at } => self.new_signing_key(now, activates_at).await?,
                Rotate::Retire { kid, gone_at } => {
                    let event =
                        AuditEvent::of_system(now, Action::SigningKeyRotate).on(&kid).with("to", "retiring");
                    Write::new().step(keys::retire_signing(&kid, now, gone_at)).event(&self.env, &event)
                }
                // Both follow from the stored times.
                Rotate::Activate { .. } | Rotate::Remove { .. } => continue,
            };
            match self.db.write(write).await {
                // Done, or done by another node that was faster.
                Ok(_) | Err(DbError::Unmet(_) | DbError::Conflict) => changed = true,
                Err(error) => return Err(faults::store(error)),
            }
        }
        let rows = if changed { keys::signing(&self.db, now).await.map_err(faults::store)? } else { rows };
        self.publish(&rows)
    }

    async fn new_signing_key(&self, now: Time, activates_at: Time) -> Result<Write, Fault> {
        let row = self.new_signing_row(now, activates_at).await?;
        let event = AuditEvent::of_system(now, Action::SigningKeyRotate).on(&row.kid).with("to", "pending");
        Ok(Write::new().step(keys::insert_signing(&row)).event(&self.env, &event))
    }

    /// A new signing key as it is to be stored.
    pub(crate) async fn new_signing_row(
        &self,
        now: Time,
        activates_at: Time,
    ) -> Result<SigningKeyRow, Fault> {
        // RSA generation takes up to a second: not on a thread that serves requests.
        let key = tokio::task::spawn_blocking(|| SigningKey::generate(Algorithm::Rs256))
            .await
            .map_err(faults::internal)?
            .map_err(faults::internal)?;
        let kid = key.kid().to_owned();
        let pkcs8 = key.pkcs8().map_err(faults::internal)?;
        Ok(SigningKeyRow {
            algorithm: key.algorithm().as_str().to_owned(),
            public_jwk: key.public_jwk().to_string(),
            sealed: self.seal_signing_key(&kid, pkcs8).map_err(faults::internal)?,
            created_at: now,
            activates_at,
            retires_at: None,
            gone_at: None,
            kid,
        })
    }

    fn publish(&self, rows: &[SigningKeyRow]) -> Result<(), Fault> {
        let present = self.issuer.now();
        let same = present.signing.len() == rows.len()
            && present.signing.iter().zip(rows).all(|((known, _), row)| *known == scheduled(row));
        if same {
            return Ok(());
        }
        let mut signing = Vec::new();
        for row in rows {
            let pkcs8 = self.open_signing_key(&row.kid, &row.sealed).map_err(faults::internal)?;
            let algorithm = Algorithm::parse(&row.algorithm).map_err(faults::internal)?;
            let key = SigningKey::from_pkcs8(algorithm, pkcs8.expose()).map_err(faults::internal)?;
            signing.push((scheduled(row), Arc::new(key)));
        }
        let jwks = json!({"keys": signing.iter().map(|(_, key)| key.public_jwk()).collect::<Vec<_>>()});
        let set = KeySet::parse(jwks.to_string().as_bytes()).map_err(faults::internal)?;
        let next = Published { signing, set: Some(Arc::new(set)), jwks };
        *self.issuer.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        self.issuer.generation.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}

pub(crate) fn scheduled(row: &SigningKeyRow) -> ScheduledKey {
    let state = match row.gone_at {
        Some(gone_at) => KeyState::Retiring { gone_at },
        None => KeyState::Pending { activates_at: row.activates_at },
    };
    ScheduledKey { kid: row.kid.clone(), state }
}

impl Broker {
    /// The public keys, as served at `/.well-known/jwks`.
    pub fn jwks(&self) -> Value {
        self.inner.issuer.now().jwks.clone()
    }

    /// The discovery document of a team's issuer, or of the deployment.
    pub fn discovery(&self, team: Option<&Slug>) -> Value {
        let settings = &self.inner.settings;
        let issuer = team.map_or_else(|| settings.base().to_owned(), |slug| settings.issuer_of(slug));
        let jwks_uri = format!("{}/.well-known/jwks", settings.base());
        let mut document = discovery_document(&issuer, &jwks_uri, &[Algorithm::Rs256]);
        if let (None, Some(members)) = (team, document.as_object_mut()) {
            // The deployment has two roles beside that of an issuer of workloads, and one description of all: it signs
            // command lines in, ours and the official one, and people in apps.
            for (name, path) in [
                ("authorization_endpoint", "oauth/authorize"),
                ("token_endpoint", "oauth/token"),
                ("userinfo_endpoint", "oauth/userinfo"),
                ("revocation_endpoint", "oauth/revoke"),
                ("device_authorization_endpoint", "login/oauth/device"),
                ("introspection_endpoint", "login/oauth/introspect"),
            ] {
                members.insert(name.to_owned(), format!("{}/{path}", settings.base()).into());
            }
            members.extend(crate::gateway::described());
        }
        document
    }

    /// Whether there is a team of this name: its issuer exists then, too.
    pub async fn team_exists(&self, slug: &Slug) -> Result<bool, Fault> {
        let team = carnet_store::people::team_by_slug(&self.inner.db, slug).await.map_err(faults::store)?;
        Ok(team.is_some())
    }

    /// The project for whose development the caller may be given an identity.
    pub async fn project_to_develop(&self, caller: &Caller, name: &str) -> Result<Project, Fault> {
        self.may(caller, Right::IdentityIssue)?;
        self.find_project(caller, name).await
    }

    /// An identity token for a project in development, for the person who asks.
    pub async fn development_token(
        &self,
        caller: &Caller,
        project: &str,
        audience: Option<&str>,
        request: Id<kind::Request>,
    ) -> Result<IdentityToken, Fault> {
        let member = self.may(caller, Right::IdentityIssue)?;
        let project = self.find_project(caller, project).await?;
        let runtime = Runtime::Development { user: Some(member.user) };
        self.identity_token(caller, &project, runtime, audience, request).await
    }

    async fn identity_token(
        &self,
        caller: &Caller,
        project: &Project,
        runtime: Runtime,
        audience: Option<&str>,
        request: Id<kind::Request>,
    ) -> Result<IdentityToken, Fault> {
        let team = self.team(caller.team()).await?;
        if audience
            .is_some_and(|text| text.is_empty() || text.len() > 512 || text.chars().any(char::is_control))
        {
            return Err(Fault::new(
                Code::InvalidRequest,
                "audience has 1 to 512 characters and no control character.",
            )
            .with("field", "audience"));
        }
        let audience = audience.map_or_else(|| self.inner.settings.audience_of(&team.slug), str::to_owned);
        let event = AuditEvent::of(caller, self.inner.env.now(), Action::IdentityIssue, Some(request))
            .on(project.id)
            .with("environment", runtime.environment().to_string())
            .with("audience", audience.clone());
        self.record(event).await?;
        self.sign_identity(&team, project, runtime, &audience, LIFE)
    }

    /// Signs an identity token. Whoever calls this has recorded why.
    pub(crate) fn sign_identity(
        &self,
        team: &Team,
        project: &Project,
        runtime: Runtime,
        audience: &str,
        life: Duration,
    ) -> Result<IdentityToken, Fault> {
        let token_id = self.inner.env.id::<kind::Token>().to_string();
        self.sign(&self.claims(team, project, runtime, audience, life, token_id), Map::new())
    }

    /// Signs the proof of something that we send to a project: it opens nothing here
    /// ([`carnet_identity::NotOurs::Forwarded`]), and holds for this body only.
    pub(crate) fn sign_delivery(
        &self,
        team: &Team,
        project: &Project,
        runtime: Runtime,
        audience: &str,
        delivery: Id<kind::Delivery>,
        body: &[u8],
    ) -> Result<IdentityToken, Fault> {
        let claims = self.claims(team, project, runtime, audience, DELIVERY, delivery.to_string());
        let digest = hex(&sha256(body));
        self.sign(&claims, Map::from_iter([("body_sha256".to_owned(), digest.into())]))
    }

    /// The same for a provider's event: with the connector that it came from, so that a receiver tells it from the token
    /// that its own deployment has.
    #[expect(clippy::too_many_arguments, reason = "each is a claim of its own")]
    pub(crate) fn sign_trigger(
        &self,
        team: &Team,
        project: &Project,
        runtime: Runtime,
        audience: &str,
        token_id: String,
        body: &[u8],
        trigger: Value,
    ) -> Result<IdentityToken, Fault> {
        let claims = self.claims(team, project, runtime, audience, DELIVERY, token_id);
        let further = Map::from_iter([
            // As the official service names it, for which receivers look.
            ("client_id".to_owned(), "api-connex".into()),
            ("trigger".to_owned(), trigger),
            ("body_sha256".to_owned(), hex(&sha256(body)).into()),
        ]);
        self.sign(&claims, further)
    }

    fn claims(
        &self,
        team: &Team,
        project: &Project,
        runtime: Runtime,
        audience: &str,
        life: Duration,
        token_id: String,
    ) -> IdentityClaims {
        IdentityClaims {
            issuer: self.inner.settings.issuer_of(&team.slug),
            audience: audience.to_owned(),
            team: TeamName { id: team.id, slug: team.slug.clone() },
            project: ProjectName { id: project.id, name: project.name.clone() },
            runtime,
            issued_at: self.inner.env.now(),
            life,
            token_id,
        }
    }

    fn sign(&self, claims: &IdentityClaims, further: Map<String, Value>) -> Result<IdentityToken, Fault> {
        let mut map = claims.to_map();
        map.extend(further);
        let token = self.sign_claims("JWT", &map, claims.issued_at)?;
        Ok(IdentityToken { token, expires_at: claims.issued_at.plus(claims.life) })
    }

    /// A JWT of these claims with this `typ`, by the key that signs now.
    pub(crate) fn sign_claims(
        &self,
        typ: &str,
        claims: &Map<String, Value>,
        now: Time,
    ) -> Result<SecretString, Fault> {
        let published = self.inner.issuer.now();
        let schedule: Vec<_> = published.signing.iter().map(|(key, _)| key.clone()).collect();
        let kid = rotation::signing(&schedule, now).map(|key| key.kid.clone());
        let key = published.signing.iter().find(|(key, _)| Some(&key.kid) == kid.as_ref());
        let (_, key) = key.ok_or_else(|| faults::internal(BadKeys("none is active")))?;
        key.sign(typ, claims).map(SecretString::new).map_err(faults::internal)
    }

    /// An environment as identity tokens name it.
    pub(crate) async fn runtime_of(
        &self,
        team: Id<kind::Team>,
        environment: Environment,
    ) -> Result<Runtime, Fault> {
        Ok(match environment {
            Environment::Production => Runtime::Production,
            Environment::Preview => Runtime::Preview,
            Environment::Development => Runtime::Development { user: None },
            Environment::Custom(id) => {
                let found = projects::environment(&self.inner.db, team, id).await.map_err(faults::store)?;
                let found = found.ok_or_else(|| faults::not_found("environment", &id.to_string()))?;
                Runtime::custom(id, found.slug).map_err(faults::internal)?
            }
        })
    }

    /// What the caller's project is called and where it runs, for `env pull`.
    pub async fn known_environment(
        &self,
        caller: &Caller,
        project: &Project,
        name: &str,
    ) -> Result<Environment, Fault> {
        if let Ok(environment) = Environment::parse(name) {
            return Ok(environment);
        }
        let custom =
            projects::environments(&self.inner.db, caller.team(), project.id).await.map_err(faults::store)?;
        let found = custom.into_iter().find(|environment| environment.slug.as_str() == name);
        found
            .map(|environment| Environment::Custom(environment.id))
            .ok_or_else(|| faults::not_found("environment", name))
    }
}

/// How long the receiver of a delivery may take to look at its proof.
const DELIVERY: Duration = Duration::from_mins(5);
/// How long a development token lives.
const LIFE: Duration = Duration::from_hours(12);
