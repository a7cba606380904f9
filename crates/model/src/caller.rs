//! Who calls.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::environment::Environment;
use crate::id::{Id, kind};
use crate::rights::Access;
use crate::subject::SubjectKind;
use crate::time::Time;

/// A caller whose credential was verified. The team in it is the only source of tenancy for everything that follows.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A workload that proved project and environment.
    Workload(Workload),
    /// A person, by an access token or a session.
    Member(Member),
}

/// A workload: one project in one environment.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Its team.
    pub team: Id<kind::Team>,
    /// Its project.
    pub project: Id<kind::Project>,
    /// Where it runs.
    pub environment: Environment,
    /// The kinds of subject that its trust rule lets it ask for.
    pub subjects: Vec<SubjectKind>,
    /// For development tokens: the person at whose machine it runs.
    pub user: Option<Id<kind::User>>,
    /// The `iss` and `sub` it proved, for the record.
    pub proof: Proof,
}

/// What a workload presented, for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// `iss`
    pub issuer: String,
    /// `sub`
    pub subject: String,
    /// The trusted issuer that vouched for it; none if it was Carnet itself. Many clusters have the same `iss`, and this
    /// tells them apart.
    pub trusted_issuer: Option<Id<kind::TrustedIssuer>>,
    /// Claims that say which run it was, as the issuer's family has them.
    pub claims: Map<String, Value>,
}

/// A person, calling with an access token or from a browser in which the person has signed in.
#[derive(Clone, Debug)]
pub struct Member {
    /// The team that this call is about.
    pub team: Id<kind::Team>,
    /// The person.
    pub user: Id<kind::User>,
    /// As what the person is in the team. [`crate::rights`] says what that allows.
    pub role: Role,
    /// Whether the team keeps connectors to those who manage them (`strictConnectors`).
    pub strict: bool,
    /// How much of that the access token carries.
    pub access: Access,
    /// How the person proved who they are.
    pub login: Login,
}

/// How a person proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// By an access token of Carnet's own API, that was made for a purpose.
    AccessToken(Id<kind::AccessToken>),
    /// By the access token of a command line that the person has signed in.
    CommandLine {
        /// Which token.
        token: Id<kind::AccessToken>,
        /// When the person said yes to it, with a fresh proof.
        signed_in_at: Time,
    },
    /// By the session of a browser.
    Session {
        /// Which.
        id: Id<kind::Session>,
        /// When the person last proved it: by signing in, or by doing so again.
        proved_at: Time,
    },
}

impl Login {
    /// For this long after a proof a browser, or a command line, may do what asks for a fresh one.
    pub const FRESH_FOR: Duration = Duration::from_mins(10);

    /// Whether the proof is of the last minutes. A browser may have been left open, and what a command line keeps may have
    /// been taken, so their person must have proved a moment ago who it is to do some things; an access token was made for
    /// a purpose, and what it may do was decided then.
    pub fn is_fresh(&self, now: Time) -> bool {
        match self {
            Self::AccessToken(_) => true,
            Self::CommandLine { signed_in_at: at, .. } | Self::Session { proved_at: at, .. } => {
                now < at.plus(Self::FRESH_FOR)
            }
        }
    }

    /// The access token that was shown, if one was.
    pub const fn token(&self) -> Option<Id<kind::AccessToken>> {
        match self {
            Self::AccessToken(token) | Self::CommandLine { token, .. } => Some(*token),
            Self::Session { .. } => None,
        }
    }
}

/// As what a person is in a team. What each may do is said in one place: [`crate::rights`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything.
    Owner,
    /// Projects, links and, unless the team is strict, connectors; not people, issuers or keys.
    Member,
    /// A member who manages connectors in a strict team too.
    ConnectorManager,
    /// Looks, and changes nothing.
    Viewer,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Member, Self::ConnectorManager, Self::Viewer];

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
            Self::ConnectorManager => "connector-manager",
            Self::Viewer => "viewer",
        }
    }

    /// Reads the stored name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Its name within a sentence, and a sentence of what it means, for somebody who has never seen Carnet.
    pub const fn in_words(self) -> (&'static str, &'static str) {
        match self {
            Self::Owner => ("an owner", "Owners may do everything in the team, with people and keys too."),
            Self::Member => ("a member", "Members work with projects, connectors and tokens."),
            Self::ConnectorManager => (
                "a connector manager",
                "Connector managers are members who look after the team's connectors.",
            ),
            Self::Viewer => ("a viewer", "Viewers look, and change nothing but what is their own."),
        }
    }
}

impl Caller {
    /// The caller's team.
    pub const fn team(&self) -> Id<kind::Team> {
        match self {
            Self::Workload(workload) => workload.team,
            Self::Member(member) => member.team,
        }
    }

    /// The project, for workloads.
    pub const fn project(&self) -> Option<Id<kind::Project>> {
        match self {
            Self::Workload(workload) => Some(workload.project),
            Self::Member(_) => None,
        }
    }

    /// The one project that this caller is kept to: a workload's own, or that of an access token limited to one.
    pub const fn kept_to(&self) -> Option<Id<kind::Project>> {
        match self {
            Self::Workload(workload) => Some(workload.project),
            Self::Member(member) => member.access.project,
        }
    }

    /// The environment in which this caller acts. A person at a terminal acts in `development`: what is kept for
    /// that person is never handed to a production workload, nor the other way round.
    pub const fn environment(&self) -> Environment {
        match self {
            Self::Workload(workload) => workload.environment,
            Self::Member(_) => Environment::Development,
        }
    }

    /// The person behind this caller, where there is one.
    pub const fn user(&self) -> Option<Id<kind::User>> {
        match self {
            Self::Workload(workload) => workload.user,
            Self::Member(member) => Some(member.user),
        }
    }

    /// On the wire and in the log.
    pub const fn principal(&self) -> Principal {
        match self {
            Self::Workload(w) => Principal::Project { id: w.project, environment: w.environment },
            Self::Member(m) => Principal::User { id: m.user },
        }
    }
}

/// Who made or changed a thing, in the form of `createdBy` and `updatedBy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Principal {
    /// A person.
    User {
        /// Who.
        id: Id<kind::User>,
    },
    /// A workload.
    Project {
        /// Which project.
        id: Id<kind::Project>,
        /// In which environment.
        environment: Environment,
    },
    /// Carnet itself: set-up, housekeeping, ahead-of-time refresh.
    System,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_and_a_command_line_are_fresh_for_ten_minutes_and_a_token_always() {
        let now = Time::from_secs(1_000_000);
        let session = Login::Session { id: Id::from_bytes([1; 16]), proved_at: now };
        let token = Login::AccessToken(Id::from_bytes([1; 16]));
        let line = Login::CommandLine { token: Id::from_bytes([1; 16]), signed_in_at: now };
        for (seconds, fresh) in [(0, true), (599, true), (600, false), (86_400, false)] {
            let at = now.plus(Duration::from_secs(seconds));
            assert_eq!((session.is_fresh(at), line.is_fresh(at)), (fresh, fresh), "{seconds}");
            assert!(token.is_fresh(at), "{seconds}");
        }
    }
}
