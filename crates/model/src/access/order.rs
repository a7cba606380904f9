//! The rules of [`decide`](super::decide) by name, in the order in which it tries them: what is told to whoever wants to
//! know why. A test drives `decide` through every refusal and holds its rule against this order.

use super::Ask;
use crate::caller::Caller;

/// The rules that bear on what this caller asks, in the order in which they are tried: those before the one that denies
/// were passed, those after it were not reached.
pub const fn rules(caller: &Caller, ask: &Ask<'_>) -> &'static [&'static str] {
    match (caller, ask) {
        (Caller::Workload(_), Ask::Metadata) => &["same-team", "project-link", "link-environment"],
        (Caller::Workload(_), Ask::Token(_) | Ask::Install | Ask::Revoke(Some(_))) => {
            &["same-team", "project-link", "link-environment", "trust-rule-subjects"]
        }
        (Caller::Workload(_), Ask::Revoke(None) | Ask::Manage) => {
            &["same-team", "project-link", "link-environment", "people-manage"]
        }
        (Caller::Member(_), Ask::Token(_) | Ask::Revoke(Some(_))) => {
            &["same-team", "subject-for-workloads", "own-user-only"]
        }
        (Caller::Member(_), Ask::Metadata | Ask::Install | Ask::Manage | Ask::Revoke(None)) => &["same-team"],
    }
}
