//! Teams: making another one, its name, its settings.

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::{Caller, Role};
use carnet_model::rights::Right;
use carnet_model::{AccessToken, Code, Fault, Id, Slug, kind};
use carnet_store::access_tokens::{self, AccessTokenRow};
use carnet_store::people::{self, Team};
use carnet_store::{DbError, Write, keys};
use carnet_vault::Purpose;

use crate::access_tokens::standing;
use crate::broker::Broker;
use crate::faults;
use crate::setup::{USUAL, check};

/// A change of a team: what is left out stays.
#[derive(Clone, Debug, Default)]
pub struct TeamChange {
    /// Its name for people. The short name in addresses and identities never changes.
    pub name: Option<String>,
    /// Whether connectors are kept to owners and connector managers.
    pub strict_connectors: Option<bool>,
}

/// A team that was made, with an access token of its owner for it.
#[derive(Debug)]
pub struct CreatedTeam {
    /// The team.
    pub team: Team,
    /// The token. Shown once.
    pub token: AccessToken,
    /// What is kept of it.
    pub row: AccessTokenRow,
}

impl Broker {
    /// Makes another team, whose owner the caller is. Only owners of the deployment's first team may.
    pub async fn create_team(
        &self,
        caller: &Caller,
        name: &str,
        slug: Option<&str>,
        request: Id<kind::Request>,
    ) -> Result<CreatedTeam, Fault> {
        let member = self.operator(caller, Right::TeamCreate).await?;
        check("name", name)?;
        let slug = match slug {
            Some(slug) => Slug::parse(slug).map_err(|error| {
                Fault::new(Code::InvalidRequest, format!("{error}.")).with("field", "slug")
            })?,
            None => Slug::near(name, "team"),
        };
        let inner = &self.inner;
        let now = inner.env.now();
        let team = Team {
            id: inner.env.id(),
            slug,
            name: name.trim().to_owned(),
            created_at: now,
            strict_connectors: false,
        };
        let key = self.team_key(team.id).map_err(faults::internal)?;
        let ends = now.plus(USUAL);
        let (token, row) = self.new_token(team.id, member.user, "first", member.access.clone(), ends, now);
        let hash = inner.keyring.hash(Purpose::TokenPepper, token.expose().as_bytes());
        let event = |action| AuditEvent::of(caller, now, action, Some(request)).in_team(team.id).on(team.id);
        let write = Write::new()
            .steps(standing(member, now))
            .step(people::insert_team(&team))
            .step(people::insert_member(team.id, member.user, Role::Owner, now))
            .step(keys::insert(&crate::start::stored(&key)))
            .step(access_tokens::insert(&row, hash.digest, hash.version))
            .event(&inner.env, &AuditEvent::of(caller, now, Action::TeamCreate, Some(request)).on(team.id))
            .event(&inner.env, &event(Action::TeamCreate).with("slug", team.slug.as_str()))
            .event(&inner.env, &event(Action::AccessTokenCreate).on(row.id))
            .revises();
        match inner.db.write(write).await {
            Ok(_) => {}
            Err(DbError::Conflict) => {
                return Err(Fault::new(
                    Code::Conflict,
                    format!("There is a team with the short name {} already.", team.slug),
                )
                .with("field", "slug"));
            }
            Err(error) => return Err(crate::access_tokens::refused(error)),
        }
        inner.keyring.admit(&key).map_err(faults::internal)?;
        Ok(CreatedTeam { team, token, row })
    }

    /// Changes the caller's team, if that is what it is called.
    pub async fn update_team(
        &self,
        caller: &Caller,
        name: &str,
        change: &TeamChange,
        request: Id<kind::Request>,
    ) -> Result<Team, Fault> {
        let member = self.may(caller, Right::TeamUpdate)?;
        let mut team = self.named_team(member, name).await?;
        let now = self.inner.env.now();
        let mut event = AuditEvent::of(caller, now, Action::TeamUpdate, Some(request)).on(team.id);
        if let Some(name) = &change.name {
            check("name", name)?;
            name.trim().clone_into(&mut team.name);
            event = event.with("name", team.name.clone());
        }
        if let Some(strict) = change.strict_connectors {
            team.strict_connectors = strict;
            event = event.with("strictConnectors", strict);
        }
        let write = Write::new()
            .steps(standing(member, now))
            .step(people::update_team(&team))
            .event(&self.inner.env, &event)
            .revises();
        self.inner.db.write(write).await.map_err(crate::access_tokens::refused)?;
        Ok(team)
    }
}
