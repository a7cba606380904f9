//! What is known about the tokens of well-known platforms: which claims prove who a workload is, and which anybody
//! can have.
//!
//! Sources: docs.github.com "OpenID Connect reference"; docs.gitlab.com "ID token authentication";
//! kubernetes.io "Managing Service Accounts" and KEP-1205; vercel.com "OpenID Connect reference"; fly.io "OpenID
//! Connect"; the SPIFFE JWT-SVID specification.

use std::time::Duration;

/// The platform behind an issuer, by the issuer's name. A rule may still be about another one: SPIFFE has no names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    GitHub,
    GitLab,
    Kubernetes,
    Vercel,
    Fly,
    Other,
}

/// What a rule about tokens of a family must have.
pub(super) struct Requirement {
    /// Identifiers that the platform never gives to another; each must be fixed by the rule.
    pub(super) identifiers: &'static [&'static str],
    /// Whether those are numbers.
    pub(super) numeric: bool,
    /// Claims that must be fixed to `true`.
    pub(super) flags: &'static [&'static str],
    /// Of these groups one must be fixed whole. No groups: nothing more is needed.
    pub(super) one_of: &'static [&'static [&'static str]],
    /// What to add and why, in a sentence.
    pub(super) remedy: &'static str,
}

impl Family {
    pub(super) fn of(issuer: &str) -> Self {
        let rest = issuer.strip_prefix("https://").unwrap_or(issuer);
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        if host == "token.actions.githubusercontent.com" || path.ends_with("_services/token") {
            Self::GitHub
        } else if host == "gitlab.com" || host.starts_with("gitlab.") {
            Self::GitLab
        } else if is_cluster(host, path) {
            Self::Kubernetes
        } else if host == "oidc.vercel.com" {
            Self::Vercel
        } else if host == "oidc.fly.io" {
            Self::Fly
        } else {
            Self::Other
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::GitHub => "GitHub Actions",
            Self::GitLab => "GitLab",
            Self::Kubernetes => "Kubernetes",
            Self::Vercel => "Vercel",
            Self::Fly => "Fly.io",
            Self::Other => "this issuer",
        }
    }

    /// The `typ` that is expected when the configuration does not say. Kubernetes writes none.
    pub(super) const fn types(self) -> &'static [&'static str] {
        match self {
            Self::Kubernetes => &["JWT", ""],
            _ => &["JWT"],
        }
    }

    /// Most platforms mint a token when it is asked for; clusters and Vercel put one in place for an hour.
    pub(super) const fn max_age(self) -> Duration {
        match self {
            Self::Kubernetes | Self::Vercel => Duration::from_hours(1),
            _ => Duration::from_mins(15),
        }
    }

    pub(super) const fn requirement(self) -> Option<&'static Requirement> {
        match self {
            Self::GitHub => Some(&GITHUB),
            Self::GitLab => Some(&GITLAB),
            Self::Kubernetes => Some(&KUBERNETES),
            Self::Vercel => Some(&VERCEL),
            Self::Fly => Some(&FLY),
            Self::Other => None,
        }
    }
}

fn is_cluster(host: &str, path: &str) -> bool {
    let host_name = host.split_once(':').map_or(host, |(name, _)| name);
    let amazon = host_name.starts_with("oidc.eks.") || host_name.starts_with("oidc-eks.");
    let google = host_name == "container.googleapis.com" && path.contains("/clusters/");
    let azure = host_name.ends_with(".oic.prod-aks.azure.com") || host_name.ends_with(".azmk8s.io");
    host_name.starts_with("kubernetes.default") || amazon || google || azure
}

const GITHUB: Requirement = Requirement {
    identifiers: &["repository_id", "repository_owner_id"],
    numeric: true,
    flags: &[],
    one_of: &[&["environment"], &["ref", "ref_protected"], &["job_workflow_ref"]],
    remedy: "add the claims repository_id and repository_owner_id with their numbers, and one of environment, ref \
             with ref_protected, or job_workflow_ref: names of repositories and owners can be taken over, and without \
             the last any branch of the repository is trusted",
};

const GITLAB: Requirement = Requirement {
    identifiers: &["project_id", "namespace_id"],
    numeric: true,
    flags: &["ref_protected"],
    one_of: &[],
    remedy: "add the claims project_id and namespace_id with their numbers, and ref_protected with true: paths can be \
             taken over, and on an unprotected branch everybody who can push is trusted",
};

const KUBERNETES: Requirement = Requirement {
    identifiers: &["kubernetes.io.serviceaccount.uid"],
    numeric: false,
    flags: &[],
    one_of: &[],
    remedy: "add the claim kubernetes.io.serviceaccount.uid: a service account that is deleted and made anew has the \
             same name and another uid",
};

const VERCEL: Requirement = Requirement {
    identifiers: &["owner_id", "project_id", "environment"],
    numeric: false,
    flags: &[],
    one_of: &[],
    remedy: "add the claims owner_id, project_id and environment: the issuer signs for every team, and a preview \
             deployment has the same project",
};

const FLY: Requirement = Requirement {
    identifiers: &["org_id", "app_id"],
    numeric: false,
    flags: &[],
    one_of: &[],
    remedy: "add the claims org_id and app_id: the names in sub can be taken over",
};

/// Claims that say something about a run and nothing about whose it is. A rule of these alone trusts everybody who
/// can get a token from the issuer.
pub(super) const NOT_IDENTIFYING: &[&str] = &[
    "iss",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "sub",
    "environment",
    "ref",
    "ref_type",
    "ref_protected",
    "branch",
    "event_name",
    "runner_environment",
    "repository_visibility",
    "email_verified",
    "region",
    "typ",
    "amr",
    "acr",
];

/// Whether an audience names the API server of a cluster. A token for it is not meant for us, and every pod has one.
pub(super) fn is_api_server(audience: &str) -> bool {
    let bare = audience.strip_prefix("https://").unwrap_or(audience);
    bare.starts_with("kubernetes.default") || ["kubernetes", "api", "k3s", "rke2"].contains(&bare)
}

/// Audiences that other services ask for, by their beginning. A token made for one of them must not work here.
pub(super) const OTHER_SERVICES: &[&str] = &[
    "https://github.com/",
    "https://gitlab.com",
    "sts.amazonaws.com",
    "sigstore",
    "api://AzureADTokenExchange",
    "https://iam.googleapis.com/",
    "//iam.googleapis.com/",
];
