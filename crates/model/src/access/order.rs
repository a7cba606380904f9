//! The rules of [`decide`](super::decide) by name, in the order in which it tries them: what is told to whoever wants to
//! know why. A test drives `decide` through every refusal and holds its rule against this order.

use super::Ask;
use crate::caller::Caller;
use crate::rights::{Access, Breadth};

/// The rules that bear on what this caller asks, in the order in which they are tried: those before the one that denies
/// were passed, those after it were not reached.
pub const fn rules(caller: &Caller, ask: &Ask<'_>) -> &'static [&'static str] {
    match (caller, ask) {
        (Caller::Workload(_), Ask::Metadata) => &["same-team", "project-link", "link-environment"],
        (Caller::Workload(_), Ask::Token(_) | Ask::Install | Ask::Revoke(Some(_))) => {
            &["same-team", "project-link", "link-environment", "trust-rule-subjects"]
        }
        (Caller::Workload(_), Ask::Revoke(None) | Ask::Manage(_)) => {
            &["same-team", "project-link", "link-environment", "people-manage"]
        }
        (Caller::Member(member), Ask::Token(_) | Ask::Revoke(Some(_))) => match member.access {
            Access { breadth: Breadth::Full, project: None } => {
                &["same-team", "subject-for-workloads", "own-user-only", "role"]
            }
            _ => &[
                "same-team",
                "access-token-project",
                "subject-for-workloads",
                "own-user-only",
                "role",
                "access-token-rights",
                "access-token-reach",
            ],
        },
        (Caller::Member(member), Ask::Metadata | Ask::Install | Ask::Manage(_) | Ask::Revoke(None)) => {
            match member.access {
                Access { breadth: Breadth::Full, project: None } => {
                    &["same-team", "role", "strict-connectors"]
                }
                _ => &[
                    "same-team",
                    "access-token-project",
                    "role",
                    "strict-connectors",
                    "access-token-rights",
                    "access-token-reach",
                ],
            }
        }
    }
}
