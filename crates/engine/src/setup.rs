//! The first owner: by a link that works once and for a while. There is no default password.

use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::{Principal, Role};
use carnet_model::rights::Access;
use carnet_model::shown::is_name;
use carnet_model::{AccessToken, Code, Fault, Id, SecretString, Slug, kind};
use carnet_store::people::{self, Team, User};
use carnet_store::projects::{self, Project};
use carnet_store::{Write, access_tokens, keys, setup};
use carnet_vault::Purpose;

use crate::broker::Broker;
use crate::cache::sha256;
use crate::faults;
use crate::sessions::Visitor;
use crate::sign_in::PASSPHRASE;
use crate::teams::slug_near;

/// Who sets up a deployment.
#[derive(Clone, Debug)]
pub struct FirstOwner {
    /// The team's name for people.
    pub team: String,
    /// The owner's name.
    pub name: String,
    /// The owner's e-mail address.
    pub email: String,
}

/// A deployment that was set up.
#[derive(Debug)]
pub struct SetUp {
    /// The team.
    pub team: Team,
    /// Its owner.
    pub user: User,
    /// The owner's first access token. Shown once.
    pub token: AccessToken,
}

impl Broker {
    /// Whether nobody has been set up yet.
    pub async fn needs_setup(&self) -> Result<bool, Fault> {
        Ok(!people::any_team(&self.inner.db).await.map_err(faults::store)?)
    }

    /// A fresh set-up secret, good once and for 15 minutes; earlier ones are withdrawn.
    pub async fn new_setup_secret(&self) -> Result<SecretString, Fault> {
        let inner = &self.inner;
        let secret = AccessToken::generate(&inner.env).expose().replacen("crn_", "", 1);
        let now = inner.env.now();
        let event = AuditEvent::of_system(now, Action::SetupLinkCreate);
        let write = Write::new()
            .steps(setup::insert(sha256(secret.as_bytes()), now, now.plus(SETUP_LIFE)))
            .event(&inner.env, &event);
        inner.db.write(write).await.map_err(faults::store)?;
        Ok(secret.into())
    }

    /// Whether a set-up secret could be used now.
    pub async fn setup_is_open(&self, secret: &str) -> Result<bool, Fault> {
        if !self.needs_setup().await? {
            return Ok(false);
        }
        setup::is_open(&self.inner.db, sha256(secret.as_bytes()), self.inner.env.now())
            .await
            .map_err(faults::store)
    }

    /// Makes the first team and its owner, who signs in with this passphrase from now on, and is signed in: the second
    /// is what goes into the cookie of the session.
    pub async fn set_up(
        &self,
        secret: &str,
        owner: &FirstOwner,
        passphrase: &SecretString,
        visitor: &Visitor,
    ) -> Result<(SetUp, SecretString), Fault> {
        if !self.setup_is_open(secret).await? {
            return Err(Fault::new(Code::Gone, "The set-up link has expired or was used.")
                .next("carnet serve", "a restart prints a new link while nobody has been set up"));
        }
        let now = self.inner.env.now();
        let take = vec![setup::take(sha256(secret.as_bytes()), now)];
        let done = self.found_team(owner, take, Some(passphrase), USUAL).await?;
        let cookie = self.begin_session(done.user.id, PASSPHRASE, visitor, Vec::new()).await?;
        Ok((done, cookie))
    }

    /// Makes a team, its owner, its key and an access token. For set-up and for development.
    pub async fn first_team(
        &self,
        owner: &FirstOwner,
        before: Vec<carnet_store::Step>,
        token_life: Duration,
    ) -> Result<SetUp, Fault> {
        self.found_team(owner, before, None, token_life).await
    }

    async fn found_team(
        &self,
        owner: &FirstOwner,
        before: Vec<carnet_store::Step>,
        passphrase: Option<&SecretString>,
        token_life: Duration,
    ) -> Result<SetUp, Fault> {
        let inner = &self.inner;
        let now = inner.env.now();
        check("team", &owner.team)?;
        check("name", &owner.name)?;
        check_email(&owner.email)?;
        let team = Team {
            id: inner.env.id(),
            slug: slug_near(&owner.team),
            name: owner.team.trim().to_owned(),
            created_at: now,
            strict_connectors: false,
        };
        let user = User {
            id: inner.env.id(),
            email: owner.email.trim().to_owned(),
            name: owner.name.trim().to_owned(),
            created_at: now,
            disabled_at: None,
        };
        let passphrase = match passphrase {
            Some(passphrase) => {
                self.new_passphrase(user.id, &[&user.email, &user.name, &team.name], passphrase).await?
            }
            None => Vec::new(),
        };
        let key = self.team_key(team.id).map_err(faults::internal)?;
        let (token, row) = self.new_token(team.id, user.id, "first", Access::FULL, now.plus(token_life), now);
        let hash = inner.keyring.hash(Purpose::TokenPepper, token.expose().as_bytes());
        let by = Principal::User { id: user.id };
        let event = |action| AuditEvent { actor: by, ..AuditEvent::of_system(now, action).in_team(team.id) };
        let mut write = Write::new();
        if !passphrase.is_empty() {
            write = write.event(&inner.env, &event(Action::PassphraseSet).on(user.id));
        }
        let write = write
            .steps(before)
            .step(people::insert_team(&team))
            .step(people::insert_user(&user))
            .step(people::insert_member(team.id, user.id, Role::Owner, now))
            .steps(passphrase)
            .step(keys::insert(&crate::start::stored(&key)))
            .step(access_tokens::insert(&row, hash.digest, hash.version))
            .event(&inner.env, &event(Action::TeamCreate).on(team.id).with("slug", team.slug.as_str()))
            .event(&inner.env, &event(Action::UserCreate).on(user.id))
            .event(&inner.env, &event(Action::AccessTokenCreate).on(row.id))
            .event(&inner.env, &event(Action::SetupComplete).on(team.id))
            .revises();
        inner.db.write(write).await.map_err(faults::store)?;
        inner.keyring.admit(&key).map_err(faults::internal)?;
        Ok(SetUp { team, user, token })
    }

    /// The team of this name with an owner, for development.
    pub async fn development_team(&self, slug: &Slug, email: &str) -> Result<Option<(Team, User)>, Fault> {
        let db = &self.inner.db;
        let team = people::team_by_slug(db, slug).await.map_err(faults::store)?;
        let user = people::user_by_email(db, email).await.map_err(faults::store)?;
        Ok(team.zip(user))
    }

    /// An access token for a person, made without one. For development.
    pub async fn development_access_token(
        &self,
        team: Id<kind::Team>,
        user: Id<kind::User>,
        life: Duration,
    ) -> Result<AccessToken, Fault> {
        let inner = &self.inner;
        let now = inner.env.now();
        let (token, row) = self.new_token(team, user, "carnet dev", Access::FULL, now.plus(life), now);
        let hash = inner.keyring.hash(Purpose::TokenPepper, token.expose().as_bytes());
        let event = AuditEvent::of_system(now, Action::AccessTokenCreate).in_team(team).on(row.id);
        let write = Write::new()
            .step(access_tokens::insert(&row, hash.digest, hash.version))
            .event(&inner.env, &event);
        inner.db.write(write).await.map_err(faults::store)?;
        Ok(token)
    }

    /// A project of this name, made if it is missing. For development.
    pub async fn ensure_project(
        &self,
        team: Id<kind::Team>,
        by: Principal,
        name: &Slug,
    ) -> Result<Project, Fault> {
        let inner = &self.inner;
        if let Some(found) = projects::by_name(&inner.db, team, name).await.map_err(faults::store)? {
            return Ok(found);
        }
        let now = inner.env.now();
        let project =
            Project { id: inner.env.id(), team, name: name.clone(), created_at: now, updated_at: now };
        let event =
            AuditEvent { actor: by, ..AuditEvent::of_system(now, Action::ProjectCreate).in_team(team) }
                .on(project.id)
                .with("name", name.as_str());
        let write = Write::new().step(projects::insert(&project)).event(&inner.env, &event);
        inner.db.write(write).await.map_err(faults::store)?;
        Ok(project)
    }
}

pub(crate) fn check(field: &'static str, text: &str) -> Result<(), Fault> {
    let text = text.trim();
    if !is_name(text, 200) {
        return Err(Fault::new(
            Code::InvalidRequest,
            format!("{field} has 1 to 200 characters, none of them a control character or invisible."),
        )
        .with("field", field));
    }
    Ok(())
}

/// That it could be an e-mail address. Whose it is nobody asks: no message is ever sent to it.
pub(crate) fn check_email(text: &str) -> Result<(), Fault> {
    check("email", text)?;
    if !text.contains('@') {
        return Err(
            Fault::new(Code::InvalidRequest, "email is not an e-mail address.").with("field", "email")
        );
    }
    Ok(())
}

/// How long a set-up link works.
const SETUP_LIFE: Duration = Duration::from_mins(15);
pub(crate) const YEAR: Duration = Duration::from_hours(8760);
/// How long an access token lives where nothing else is said.
pub(crate) const USUAL: Duration = Duration::from_hours(90 * 24);
