//! Whether `sub` alone says who a workload is: where an issuer chooses it, yes; where a platform builds it of names that
//! others can register anew, no.

use serde_json::Value;

use crate::spiffe::{SCHEME, SpiffeId};
use crate::trust::Match;

/// The platform that builds such subjects of names, or nothing if they identify.
pub(super) fn named_by(wanted: &Match) -> Option<&'static str> {
    // The parent was read as a whole SPIFFE ID.
    if matches!(wanted, Match::OneBelow(_)) {
        return None;
    }
    wanted.values().iter().find_map(|value| match value {
        Value::String(text) => platform_of(text),
        _ => Some("this issuer"),
    })
}

fn platform_of(subject: &str) -> Option<&'static str> {
    // A whole SPIFFE ID identifies a workload in its trust domain (SPIFFE-ID §2); without a path it names the domain.
    if subject.starts_with(SCHEME) {
        return SpiffeId::of_workload(subject).is_none().then_some("SPIFFE");
    }
    BUILT_OF_NAMES.iter().find(|(start, _)| subject.starts_with(start)).map(|(_, platform)| *platform)
}

/// How the subjects of platforms begin that are made of the names of repositories, projects and accounts.
const BUILT_OF_NAMES: [(&str, &str); 7] = [
    ("repo:", "GitHub Actions"),
    ("project_path:", "GitLab"),
    ("system:serviceaccount:", "Kubernetes"),
    ("organization:", "Terraform and Buildkite"),
    ("org/", "CircleCI"),
    ("owner:", "Vercel"),
    ("repository:", "GitHub Actions"),
];
