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

/// First segments of this server's own paths. The issuer of a team is at `/{slug}`, so none of them is a team's. The
/// crates that have the paths compare them with this.
pub const OWN_PATHS: &[&str] = &[
    "account",
    "api",
    "applications",
    "assets",
    "authorize",
    "callback",
    "clients",
    "connect",
    "device",
    "install",
    "invitation",
    "livez",
    "login",
    "logout",
    "mend",
    "metrics",
    "oauth",
    "openapi.json",
    "pictures",
    "projects",
    "readyz",
    "register",
    "reset",
    "setup",
    "teams",
    "v1",
    "v2",
    "v3",
    "v9",
];

/// How identifiers of teams begin: clients take whatever begins so for one.
const IDENTIFIER: &str = "team_";

fn is_taken(slug: &Slug) -> bool {
    OWN_PATHS.contains(&slug.as_str()) || slug.as_str().starts_with(IDENTIFIER)
}

/// The short name that somebody wants for a team.
fn told_slug(text: &str) -> Result<Slug, Fault> {
    let refused = |why: String| Fault::new(Code::InvalidRequest, why).with("field", "slug");
    let slug = Slug::parse(text).map_err(|error| refused(format!("{error}.")))?;
    if is_taken(&slug) {
        return Err(refused(format!(
            "{slug} cannot be the short name of a team: paths of this server and identifiers of teams begin so."
        )));
    }
    Ok(slug)
}

/// The short name nearest to a team's name.
pub(crate) fn slug_near(name: &str) -> Slug {
    let near = Slug::near(name, "team");
    if is_taken(&near) { Slug::near(&format!("the-{near}"), "team") } else { near }
}

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
            Some(slug) => told_slug(slug)?,
            None => slug_near(name),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_team_is_not_called_like_a_path_or_an_identifier() {
        for taken in OWN_PATHS.iter().copied().chain(["team_x"]) {
            assert!(told_slug(taken).is_err(), "{taken}");
            assert_eq!(slug_near(taken).as_str(), format!("the-{taken}"));
        }
        assert!(told_slug("team_").is_err());
        for free in ["team", "team-x", "client", "v10", "dev"] {
            assert_eq!(told_slug(free).unwrap(), slug_near(free), "{free}");
        }
    }
}
