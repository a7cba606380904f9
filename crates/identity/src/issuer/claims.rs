//! The claims of Carnet's own identity tokens, in both directions.

use std::time::Duration;

use carnet_model::{Environment, Id, Slug, Time, kind};
use serde_json::{Map, Value};

use crate::jwt::VerifiedClaims;

/// All claims that an identity token can have.
pub(super) const NAMES: &[&str] = &[
    "iss",
    "aud",
    "sub",
    "owner",
    "owner_id",
    "project",
    "project_id",
    "environment",
    "custom_environment_id",
    "user_id",
    "iat",
    "nbf",
    "exp",
    "jti",
];

/// What an identity token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityClaims {
    /// `iss`
    pub issuer: String,
    /// `aud`
    pub audience: String,
    /// Whose project it is.
    pub team: TeamName,
    /// Which project.
    pub project: ProjectName,
    /// Where it runs.
    pub runtime: Runtime,
    /// `iat` and `nbf`
    pub issued_at: Time,
    /// `exp` is this long after `iat`.
    pub life: Duration,
    /// `jti`
    pub token_id: String,
}

/// A team with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamName {
    /// `owner_id`
    pub id: Id<kind::Team>,
    /// `owner`
    pub slug: Slug,
}

/// A project with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectName {
    /// `project_id`
    pub id: Id<kind::Project>,
    /// `project`
    pub name: Slug,
}

/// An environment with what the token says about it besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// `production`
    Production,
    /// `preview`
    Preview,
    /// `development`, at the machine of this person.
    Development {
        /// `user_id`
        user: Option<Id<kind::User>>,
    },
    /// One that the team made; see [`Runtime::custom`].
    Custom(CustomRuntime),
}

/// A custom environment with its name, which is not the name of a built-in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomRuntime {
    id: Id<kind::CustomEnvironment>,
    slug: Slug,
}

/// A custom environment has the name of a built-in one. Verifiers that look at `environment` alone would take its
/// tokens for that one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("production, preview and development are names of built-in environments")]
pub struct ReservedName;

/// Verified claims that are not those of an identity token of ours for a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// The token belongs to a forwarded webhook.
    #[error("the token is the proof of a forwarded webhook, not of a workload")]
    Forwarded,
    /// A claim is missing or malformed.
    #[error("claim {0} is missing or malformed")]
    Claim(&'static str),
    /// `sub` says something other than the claims beside it.
    #[error("sub does not agree with the other claims")]
    Subject,
}

impl Runtime {
    /// A custom environment by its name.
    pub fn custom(id: Id<kind::CustomEnvironment>, slug: Slug) -> Result<Self, ReservedName> {
        let reserved = Environment::BUILT_IN.iter().any(|built_in| built_in.to_string() == slug.as_str());
        if reserved { Err(ReservedName) } else { Ok(Self::Custom(CustomRuntime { id, slug })) }
    }

    /// The environment, for deciding.
    pub const fn environment(&self) -> Environment {
        match self {
            Self::Production => Environment::Production,
            Self::Preview => Environment::Preview,
            Self::Development { .. } => Environment::Development,
            Self::Custom(custom) => Environment::Custom(custom.id),
        }
    }

    /// The person, for a development token.
    pub const fn user(&self) -> Option<Id<kind::User>> {
        match self {
            Self::Development { user } => *user,
            _ => None,
        }
    }

    /// The name in the token.
    pub fn name(&self) -> &str {
        match self {
            Self::Production => "production",
            Self::Preview => "preview",
            Self::Development { .. } => "development",
            Self::Custom(custom) => custom.slug.as_str(),
        }
    }
}

impl IdentityClaims {
    /// `sub`
    pub fn subject(&self) -> String {
        let (team, project) = (&self.team.slug, &self.project.name);
        format!("owner:{team}:project:{project}:environment:{}", self.runtime.name())
    }

    /// The claims. A forwarded webhook adds its own to them.
    pub fn to_map(&self) -> Map<String, Value> {
        let mut claims = Map::new();
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("iss", self.issuer.clone().into());
        put("aud", self.audience.clone().into());
        put("sub", self.subject().into());
        put("owner", self.team.slug.as_str().into());
        put("owner_id", self.team.id.to_string().into());
        put("project", self.project.name.as_str().into());
        put("project_id", self.project.id.to_string().into());
        put("environment", self.runtime.name().into());
        if let Runtime::Custom(custom) = &self.runtime {
            put("custom_environment_id", custom.id.to_string().into());
        }
        if let Some(user) = self.runtime.user() {
            put("user_id", user.to_string().into());
        }
        put("iat", self.issued_at.secs().into());
        put("nbf", self.issued_at.secs().into());
        put("exp", self.issued_at.plus(self.life).secs().into());
        put("jti", self.token_id.clone().into());
        claims
    }

    /// Reads the claims of a workload back from a token of ours. Tokens for forwarded webhooks have the same claims
    /// and more; they prove where a webhook came from, not who calls, and are refused.
    pub fn read(claims: &VerifiedClaims) -> Result<Self, NotOurs> {
        if ["trigger", "client_id", "body_sha256"].iter().any(|name| claims.claim(name).is_some()) {
            return Err(NotOurs::Forwarded);
        }
        let read = Self {
            issuer: claims.issuer().to_owned(),
            audience: claims.audience().to_owned(),
            team: TeamName {
                id: parsed(claims, "owner_id", Id::parse)?,
                slug: parsed(claims, "owner", Slug::parse)?,
            },
            project: ProjectName {
                id: parsed(claims, "project_id", Id::parse)?,
                name: parsed(claims, "project", Slug::parse)?,
            },
            runtime: runtime(claims)?,
            issued_at: claims.issued_at(),
            life: claims.issued_at().until(claims.expires_at()),
            token_id: parsed(claims, "jti", |text| Ok::<_, NotOurs>(text.to_owned()))?,
        };
        if read.subject() == claims.subject() { Ok(read) } else { Err(NotOurs::Subject) }
    }
}

fn runtime(claims: &VerifiedClaims) -> Result<Runtime, NotOurs> {
    let user = optional(claims, "user_id", Id::parse)?;
    let custom = optional(claims, "custom_environment_id", Id::parse)?;
    let runtime = match (parsed(claims, "environment", Slug::parse)?, custom) {
        (slug, Some(id)) => {
            Runtime::custom(id, slug).map_err(|ReservedName| NotOurs::Claim("environment"))?
        }
        (slug, None) => match slug.as_str() {
            "production" => Runtime::Production,
            "preview" => Runtime::Preview,
            "development" => Runtime::Development { user },
            _ => return Err(NotOurs::Claim("custom_environment_id")),
        },
    };
    if runtime.user() == user { Ok(runtime) } else { Err(NotOurs::Claim("user_id")) }
}

fn optional<T, E>(
    claims: &VerifiedClaims,
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, NotOurs> {
    let Some(value) = claims.claim(name) else { return Ok(None) };
    let text = value.as_str().ok_or(NotOurs::Claim(name))?;
    parse(text).map(Some).map_err(|_| NotOurs::Claim(name))
}

fn parsed<T, E>(
    claims: &VerifiedClaims,
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, NotOurs> {
    optional(claims, name, parse)?.ok_or(NotOurs::Claim(name))
}
