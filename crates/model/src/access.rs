//! Who may ask a connector for what: one pure function, the only place where it is decided.
//!
//! The decision is made anew for every request against the present rules. It says nothing about whether the provider
//! will agree, or whether a user has consented: those come after.

use crate::caller::{Caller, Role};
use crate::environment::Environment;
use crate::id::{Id, kind};
use crate::rights::{self, Right};
use crate::subject::{Subject, SubjectKind};

mod order;

pub use order::rules;

/// What a caller wants of a connector.
#[derive(Clone, Copy, Debug)]
pub enum Ask<'a> {
    /// A token, or the consent that leads to one, for this subject.
    Token(&'a Subject),
    /// The installation that tokens of the application need.
    Install,
    /// The connector's public description.
    Metadata,
    /// To delete what is kept: for this subject, or (`None`) for everybody.
    Revoke(Option<&'a Subject>),
    /// To look at it or manage it otherwise, by this right.
    Manage(Right),
}

/// The rules that bear on one connector.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The team that owns the connector.
    pub team: Id<kind::Team>,
    /// The environments in which the project that the caller is kept to may ask, if a link exists.
    pub linked: Option<&'a [Environment]>,
}

/// The rule that denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The connector belongs to another team: to this caller it does not exist.
    OtherTeam,
    /// No link between project and connector.
    NotLinked,
    /// The link does not name the caller's environment.
    EnvironmentNotLinked,
    /// The trust rule by which the caller was recognised does not allow this kind of subject.
    SubjectKindNotTrusted(SubjectKind),
    /// An access token may act for its own user only.
    ForeignUser,
    /// An access token may not ask for this kind of subject.
    SubjectKindNotForPeople(SubjectKind),
    /// A workload may not manage, nor delete what is kept for everybody; a person would need this right.
    WorkloadCannotManage(Right),
    /// The person's role does not have the right.
    RoleTooLow(Role, Right),
    /// The person's role would have the right if the team did not keep connectors to those who manage them.
    ConnectorsAreStrict(Right),
    /// The person has the right, and the access token does not carry it.
    TokenTooNarrow(Right),
    /// The access token is limited to one project, and the right is about the whole team.
    TokenOfOneProject(Right),
    /// The access token is limited to one project, and the connector is not linked to it: to this token it does not exist.
    OtherProject,
}

impl Denied {
    /// The stable name of the rule, for the audit log and `explain`.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::OtherTeam => "same-team",
            Self::NotLinked => "project-link",
            Self::EnvironmentNotLinked => "link-environment",
            Self::SubjectKindNotTrusted(_) => "trust-rule-subjects",
            Self::ForeignUser => "own-user-only",
            Self::SubjectKindNotForPeople(_) => "subject-for-workloads",
            Self::WorkloadCannotManage(_) => "people-manage",
            Self::RoleTooLow(..) => "role",
            Self::ConnectorsAreStrict(_) => "strict-connectors",
            Self::TokenTooNarrow(_) => "access-token-rights",
            Self::TokenOfOneProject(_) => "access-token-reach",
            Self::OtherProject => "access-token-project",
        }
    }
}

/// Decides. The order is fixed and is the order in which `explain` tells the rules, by [`rules`]:
/// team, link, environment, subject.
pub fn decide(caller: &Caller, rules: Rules<'_>, ask: Ask<'_>) -> Result<(), Denied> {
    if caller.team() != rules.team {
        return Err(Denied::OtherTeam);
    }
    match caller {
        Caller::Workload(workload) => {
            let linked = rules.linked.ok_or(Denied::NotLinked)?;
            if !linked.contains(&workload.environment) {
                return Err(Denied::EnvironmentNotLinked);
            }
            match ask {
                Ask::Metadata => Ok(()),
                Ask::Install => subject_trusted(&workload.subjects, SubjectKind::App),
                Ask::Token(subject) | Ask::Revoke(Some(subject)) => {
                    subject_trusted(&workload.subjects, subject.kind())
                }
                Ask::Revoke(None) => Err(Denied::WorkloadCannotManage(Right::TokenRevokeAll)),
                Ask::Manage(right) => Err(Denied::WorkloadCannotManage(right)),
            }
        }
        Caller::Member(member) => {
            if member.access.project.is_some() && rules.linked.is_none() {
                return Err(Denied::OtherProject);
            }
            rights::decide(member, right(member.user, ask)?)
        }
    }
}

/// The right that a person needs for what is asked, or why no person may ask for it.
fn right(user: Id<kind::User>, ask: Ask<'_>) -> Result<Right, Denied> {
    let (subject, revokes) = match ask {
        Ask::Manage(right) => return Ok(right),
        Ask::Metadata => return Ok(Right::ConnectorRead),
        Ask::Install => return Ok(Right::InstallationUpdate),
        Ask::Revoke(None) => return Ok(Right::TokenRevokeAll),
        Ask::Revoke(Some(subject)) => (subject, true),
        Ask::Token(subject) => (subject, false),
    };
    match subject {
        // The application's tokens are everybody's.
        Subject::App => Ok(if revokes { Right::TokenRevokeAll } else { Right::TokenApp }),
        Subject::User { id, issuer: None } if *id == user.to_string() => {
            Ok(if revokes { Right::TokenRevokeOwn } else { Right::TokenOwn })
        }
        // Whoever may cut everybody off may cut one off.
        Subject::User { .. } if revokes => Ok(Right::TokenRevokeAll),
        Subject::User { .. } => Err(Denied::ForeignUser),
        Subject::JwtBearer { .. } | Subject::Token { .. } => {
            Err(Denied::SubjectKindNotForPeople(subject.kind()))
        }
    }
}

fn subject_trusted(trusted: &[SubjectKind], kind: SubjectKind) -> Result<(), Denied> {
    if trusted.contains(&kind) { Ok(()) } else { Err(Denied::SubjectKindNotTrusted(kind)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::{Login, Member, Proof, Workload};
    use crate::rights::{Access, Breadth};

    const TEAM: Id<kind::Team> = Id::from_bytes([1; 16]);
    const USER: Id<kind::User> = Id::from_bytes([3; 16]);

    fn workload(environment: Environment, subjects: &[SubjectKind]) -> Caller {
        let proof = Proof {
            issuer: String::new(),
            subject: String::new(),
            trusted_issuer: None,
            claims: serde_json::Map::new(),
        };
        let project = Id::from_bytes([2; 16]);
        Caller::Workload(Workload {
            team: TEAM,
            project,
            environment,
            subjects: subjects.to_vec(),
            user: None,
            proof,
        })
    }

    fn member() -> Caller {
        person(Role::Owner, Access::FULL)
    }

    fn person(role: Role, access: Access) -> Caller {
        let login = Login::AccessToken(Id::from_bytes([4; 16]));
        Caller::Member(Member { team: TEAM, user: USER, role, strict: false, access, login })
    }

    fn user(id: &str) -> Subject {
        Subject::User { id: id.to_owned(), issuer: None }
    }

    #[test]
    fn each_rule_denies_on_its_own() {
        use Environment::{Development, Preview, Production};
        use SubjectKind::{App, User};
        let jwt = Subject::JwtBearer {
            sub: "a".into(),
            iss: None,
            aud: None,
            additional_claims: serde_json::Map::default(),
        };
        let both: &[SubjectKind] = &[App, User];
        let alice = user("alice");
        let own = user(&USER.to_string());
        let own_elsewhere = Subject::User { id: USER.to_string(), issuer: Some("https://idp".into()) };
        let production = [Production];
        for (caller, team, linked, ask, want) in [
            (workload(Production, both), TEAM, Some(&production[..]), Ask::Token(&Subject::App), Ok(())),
            (workload(Production, both), TEAM, Some(&production[..]), Ask::Token(&alice), Ok(())),
            (
                workload(Production, both),
                Id::from_bytes([9; 16]),
                Some(&production[..]),
                Ask::Metadata,
                Err(Denied::OtherTeam),
            ),
            (workload(Production, both), TEAM, None, Ask::Metadata, Err(Denied::NotLinked)),
            (
                workload(Preview, both),
                TEAM,
                Some(&production[..]),
                Ask::Metadata,
                Err(Denied::EnvironmentNotLinked),
            ),
            (
                workload(Development, both),
                TEAM,
                Some(&[][..]),
                Ask::Token(&Subject::App),
                Err(Denied::EnvironmentNotLinked),
            ),
            (
                workload(Production, &[App]),
                TEAM,
                Some(&production[..]),
                Ask::Token(&alice),
                Err(Denied::SubjectKindNotTrusted(User)),
            ),
            (
                workload(Production, &[App]),
                TEAM,
                Some(&production[..]),
                Ask::Revoke(Some(&alice)),
                Err(Denied::SubjectKindNotTrusted(User)),
            ),
            (
                workload(Production, both),
                TEAM,
                Some(&production[..]),
                Ask::Revoke(None),
                Err(Denied::WorkloadCannotManage(Right::TokenRevokeAll)),
            ),
            (
                workload(Production, both),
                TEAM,
                Some(&production[..]),
                Ask::Manage(Right::ConnectorRead),
                Err(Denied::WorkloadCannotManage(Right::ConnectorRead)),
            ),
            (member(), TEAM, None, Ask::Token(&Subject::App), Ok(())),
            (member(), TEAM, None, Ask::Token(&own), Ok(())),
            (member(), TEAM, None, Ask::Token(&alice), Err(Denied::ForeignUser)),
            (member(), TEAM, None, Ask::Token(&own_elsewhere), Err(Denied::ForeignUser)),
            (
                member(),
                TEAM,
                None,
                Ask::Token(&jwt),
                Err(Denied::SubjectKindNotForPeople(SubjectKind::JwtBearer)),
            ),
            (member(), TEAM, None, Ask::Revoke(None), Ok(())),
            (member(), TEAM, None, Ask::Revoke(Some(&alice)), Ok(())),
            (
                member(),
                Id::from_bytes([9; 16]),
                None,
                Ask::Manage(Right::ConnectorRead),
                Err(Denied::OtherTeam),
            ),
        ] {
            assert_eq!(decide(&caller, Rules { team, linked }, ask), want, "{caller:?} {ask:?}");
            if let Err(denied) = want {
                assert!(rules(&caller, &ask).contains(&denied.rule()), "{denied:?} is not told of");
            }
        }
    }

    #[test]
    fn a_person_needs_the_right_that_belongs_to_the_request() {
        let own = user(&USER.to_string());
        let viewer = || person(Role::Viewer, Access::FULL);
        let reads = || person(Role::Owner, Access { breadth: Breadth::Read, project: None });
        let one =
            || person(Role::Owner, Access { breadth: Breadth::Full, project: Some(Id::from_bytes([2; 16])) });
        let linked = [Environment::Production];
        for (caller, linked, ask, want) in [
            (viewer(), None, Ask::Metadata, Ok(())),
            (
                viewer(),
                None,
                Ask::Token(&Subject::App),
                Err(Denied::RoleTooLow(Role::Viewer, Right::TokenApp)),
            ),
            (viewer(), None, Ask::Token(&own), Err(Denied::RoleTooLow(Role::Viewer, Right::TokenOwn))),
            (viewer(), None, Ask::Revoke(Some(&own)), Ok(())),
            (
                viewer(),
                None,
                Ask::Revoke(Some(&Subject::App)),
                Err(Denied::RoleTooLow(Role::Viewer, Right::TokenRevokeAll)),
            ),
            (viewer(), None, Ask::Revoke(None), Err(Denied::RoleTooLow(Role::Viewer, Right::TokenRevokeAll))),
            (
                viewer(),
                None,
                Ask::Revoke(Some(&user("alice"))),
                Err(Denied::RoleTooLow(Role::Viewer, Right::TokenRevokeAll)),
            ),
            (viewer(), None, Ask::Install, Err(Denied::RoleTooLow(Role::Viewer, Right::InstallationUpdate))),
            (reads(), None, Ask::Metadata, Ok(())),
            (reads(), None, Ask::Token(&Subject::App), Err(Denied::TokenTooNarrow(Right::TokenApp))),
            (one(), None, Ask::Metadata, Err(Denied::OtherProject)),
            (one(), Some(&linked[..]), Ask::Metadata, Ok(())),
            (one(), Some(&linked[..]), Ask::Token(&Subject::App), Ok(())),
            (
                one(),
                Some(&linked[..]),
                Ask::Revoke(None),
                Err(Denied::TokenOfOneProject(Right::TokenRevokeAll)),
            ),
        ] {
            assert_eq!(decide(&caller, Rules { team: TEAM, linked }, ask), want, "{caller:?} {ask:?}");
            if let Err(denied) = want {
                assert!(rules(&caller, &ask).contains(&denied.rule()), "{denied:?} is not told of");
            }
        }
    }
}
