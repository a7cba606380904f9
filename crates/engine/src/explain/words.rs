//! Rules in words, and the commands that change how they come out.

use carnet_model::caller::Caller;
use carnet_model::{Environment, Next};

use crate::faults::attach;

/// What a rule asks, in words. Rules without words of their own here are told by their names.
pub fn rule_in_words(rule: &str) -> &str {
    match rule {
        "identity" => "an issuer that the team trusts proves this project and environment",
        "same-team" => "the connector belongs to the caller's team",
        "project-link" => "the connector is attached to the project",
        "link-environment" => "it is attached in this environment",
        "trust-rule-subjects" => "the trust rule lets the workload ask for this kind of subject",
        "subject-for-workloads" => "this kind of subject may be asked for with an access token",
        "own-user-only" => "an access token acts for its own user only",
        "role" => "the person's role has the right to it",
        "strict-connectors" => "the team does not keep it to those who manage connectors",
        "access-token-project" => {
            "the connector is attached to the project that the access token is limited to"
        }
        "access-token-rights" => "the access token carries the right to it",
        "access-token-reach" => {
            "it is nothing about the whole team, which an access token of one project has no right to"
        }
        "managed-app" => "the operator offers the team the application behind it",
        "subject-kind" => "the connector makes tokens for this kind of subject",
        "connector-scopes" => "the scopes are among those of the connector",
        "installation" => "the connector is installed where the token is wanted",
        "team-pace" => "the team has not used up its requests of this minute",
        "quota" => "the team's plan has requests left in this month",
        "refresh-in-doubt" => {
            "no answer about its refresh token was lost, or it may be presented again without harm"
        }
        "provider-breaker" => {
            "the provider may be asked now, or need not be: it has not just failed or asked to wait"
        }
        "provider-brake" => "the provider does not call many grants of this connector dead at once",
        "provider-pace" => "a refresh, where one is needed, has its turn at the provider in time",
        "grant-given" => "the user has consented, or the application is installed, in this environment",
        "grant-active" => "the consent still holds at the provider",
        "grant-resources" => {
            "what was consented to is for the resources, audiences and details that are asked for"
        }
        "grant-scopes" => "what was granted covers what is asked for",
        "grant-lives" => "what was granted has not ended, or can be renewed",
        other => other,
    }
}

/// The command that changes how a rule comes out.
pub(super) fn change(
    rule: &str,
    connector: &str,
    caller: &Caller,
    linked: &[Environment],
    subject: &str,
) -> Vec<Next> {
    let consent = consent(connector, caller.project().is_some(), subject);
    let (command, when) = match rule {
        "identity" => (
            match caller {
                Caller::Workload(w) => {
                    format!("carnet projects trust {} -e {} --token-file FILE", w.project, w.environment)
                }
                Caller::Member(_) => "carnet projects trust families".to_owned(),
            },
            "to trust whoever issued a token, by a rule that is made from it",
        ),
        "project-link" | "link-environment" => (
            match caller {
                Caller::Workload(w) => attach(connector, w.project, linked, w.environment),
                Caller::Member(_) => format!("carnet attach {connector}"),
            },
            "to say where the project may ask",
        ),
        "trust-rule-subjects" => (
            "carnet projects trust list".to_owned(),
            "to see the rules, and the kinds of subject that each lets ask for",
        ),
        "own-user-only" | "subject-for-workloads" => {
            ("carnet env pull".to_owned(), "to ask as a workload, which may ask for any user of its project")
        }
        "role" => ("carnet members list".to_owned(), "to see who can change the role"),
        "access-token-rights" | "access-token-project" => {
            ("carnet tokens create NAME".to_owned(), "to make an access token that carries it")
        }
        "subject-kind" | "connector-scopes" => {
            (format!("carnet update {connector} --help"), "to see how what the connector gives is changed")
        }
        "installation" => {
            (format!("carnet installations list {connector}"), "to see where it is installed, and how it is")
        }
        "team-pace" | "quota" => ("carnet usage".to_owned(), "to see what asks, and by which plan"),
        "provider-breaker" | "provider-brake" | "provider-pace" => {
            (format!("carnet show {connector}"), "to see its latest failures")
        }
        "refresh-in-doubt" => {
            (consent.0, "to consent anew, if it cannot wait until the token that still lives has ended")
        }
        "grant-given" | "grant-active" | "grant-resources" | "grant-scopes" | "grant-lives" => consent,
        _ => ("carnet whoami".to_owned(), "to see as whom you ask"),
    };
    vec![Next { command, when: when.to_owned() }]
}

/// The command by which what is behind a subject is consented to, and what it is for. The person whom a workload asks for
/// is not whoever reads this, and so is named.
pub(crate) fn consent(connector: &str, of_workload: bool, subject: &str) -> (String, &'static str) {
    if subject == "app" {
        return (format!("carnet token {connector} --subject app --yes"), "to install it, in a browser");
    }
    if !of_workload {
        return (
            format!("carnet token {connector} --subject user --yes"),
            "to consent yourself, in a browser",
        );
    }
    // What a shell would read otherwise is left to be filled in.
    let id = subject.strip_prefix("user:").filter(|id| id.bytes().all(is_plain)).unwrap_or("ID");
    (
        format!("carnet token {connector} --subject user --user {id} --yes"),
        "to have this person consent in a browser, with the identity of the workload (CARNET_OIDC_TOKEN); an app starts \
         a consent request for the person",
    )
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'+' | b'@' | b'=')
}

#[cfg(test)]
mod tests {
    use carnet_model::SubjectKind;
    use carnet_model::access::Denied;
    use carnet_model::rights::Right;

    use super::super::provider::{BRAKE, BREAKER, DOUBT, ROW, TEAM_PACE};
    use super::*;
    use crate::issue::{GRANT_RULES, QUOTA};

    #[test]
    fn every_rule_of_access_has_words() {
        for denied in [
            Denied::OtherTeam,
            Denied::NotLinked,
            Denied::EnvironmentNotLinked,
            Denied::SubjectKindNotTrusted(SubjectKind::App),
            Denied::ForeignUser,
            Denied::SubjectKindNotForPeople(SubjectKind::Token),
            Denied::RoleTooLow(carnet_model::caller::Role::parse("viewer").unwrap(), Right::TokenApp),
            Denied::ConnectorsAreStrict(Right::ConnectorUpdate),
            Denied::TokenTooNarrow(Right::TokenApp),
            Denied::TokenOfOneProject(Right::TokenRevokeAll),
            Denied::OtherProject,
        ] {
            assert_ne!(rule_in_words(denied.rule()), denied.rule());
        }
        let others = [QUOTA, TEAM_PACE, DOUBT, BREAKER, BRAKE, ROW, "grant-lives"];
        for rule in GRANT_RULES.into_iter().chain(others) {
            assert_ne!(rule_in_words(rule), rule);
        }
    }
}
