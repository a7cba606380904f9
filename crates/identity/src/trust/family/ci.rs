//! Services that run jobs.

use std::time::Duration;

use super::{Audience, Form, HOUR, IssuerForm, Platform, QUARTER, Requirement};

/// docs.github.com "OpenID Connect reference", read 2026-11-29: the workflow chooses `aud` freely, the URL of the owner
/// is the default; `typ` is `JWT`; `sub` comes as `repo:o/r:…` and as `repo:o@1/r@2:…`. Tokens live about five minutes
/// (seen in issues, not on the page).
pub(super) const GITHUB_ACTIONS: Platform = Platform {
    slug: "github-actions",
    name: "GitHub Actions",
    issuer: IssuerForm::Fixed("https://token.actions.githubusercontent.com"),
    types: &["JWT"],
    max_life: HOUR,
    max_age: QUARTER,
    requirement: Some(Requirement {
        identifiers: &[("repository_id", Form::Number), ("repository_owner_id", Form::Number)],
        flags: &[],
        vouched: &[],
        one_of: &[&["environment"], &["ref", "ref_protected"], &["job_workflow_ref"]],
        remedy: "add the claims repository_id and repository_owner_id with their numbers, and one of environment, ref \
                 with ref_protected, or job_workflow_ref: names of repositories and owners can be taken over, and without \
                 the last any branch of the repository is trusted",
    }),
    foreign_audiences: &[Audience::Below("https://github.com/")],
    recorded: &[
        "repository",
        "repository_id",
        "ref",
        "sha",
        "environment",
        "workflow_ref",
        "actor",
        "actor_id",
        "run_id",
        "run_attempt",
    ],
};

/// docs.gitlab.com "OpenID Connect (OIDC) Authentication Using ID Tokens", read 2026-11-29: `aud` is what the job says
/// and has no default; `ref_protected` is text. In a pipeline of a merge request from a fork `project_id` is the fork's
/// (gitlab-org/gitlab, work item 563038).
pub(super) const GITLAB: Platform = Platform {
    slug: "gitlab",
    name: "GitLab",
    issuer: IssuerForm::Fixed("https://gitlab.com"),
    types: &["JWT"],
    max_life: HOUR,
    // The token is made when the job begins.
    max_age: HOUR,
    requirement: Some(Requirement {
        identifiers: &[("project_id", Form::Number), ("namespace_id", Form::Number)],
        flags: &["ref_protected"],
        vouched: &[],
        one_of: &[],
        remedy: "add the claims project_id and namespace_id with their numbers, and ref_protected with true: paths can be \
                 taken over, and on an unprotected branch everybody who can push is trusted",
    }),
    foreign_audiences: &[],
    recorded: &[
        "project_path",
        "project_id",
        "ref",
        "ref_type",
        "environment",
        "pipeline_id",
        "job_id",
        "user_login",
    ],
};

/// developer.hashicorp.com "Workload identity" (HCP Terraform), read 2026-11-29: `typ` is `JWT`; a token ends with the
/// time-out of its plan or apply; it is made when the phase begins. Everybody who may open a pull request can cause a plan, hence the
/// phase. Claims of stacks as in HashiCorp's own examples; read there, not in a reference.
pub(super) const TERRAFORM: Platform = Platform {
    slug: "terraform",
    name: "HCP Terraform",
    issuer: IssuerForm::Fixed("https://app.terraform.io"),
    types: &["JWT"],
    max_life: super::LONGEST,
    max_age: Duration::from_hours(2),
    requirement: Some(Requirement {
        identifiers: &[("terraform_organization_id", Form::Text)],
        flags: &[],
        vouched: &[],
        one_of: &[
            &["terraform_workspace_id", "terraform_run_phase"],
            &["terraform_stack_id", "terraform_stack_deployment_name", "terraform_operation"],
        ],
        remedy: "add the claims terraform_organization_id, terraform_workspace_id and terraform_run_phase (or, for a stack, \
                 terraform_stack_id, terraform_stack_deployment_name and terraform_operation): the issuer signs for every \
                 organization, names can be taken over, and whoever opens a pull request can cause a plan",
    }),
    foreign_audiences: &[Audience::Ending(".workload.identity"), Audience::Exactly("terraform")],
    recorded: &[
        "terraform_full_workspace",
        "terraform_workspace_id",
        "terraform_run_id",
        "terraform_run_phase",
    ],
};

/// circleci.com "Using OpenID Connect tokens in jobs", read 2026-11-29 (commit 019b699 of circleci-docs): the audience is
/// the organization's id unless asked for with `circleci run oidc get --claims`; one hour; made before the job begins;
/// with forks allowed, `vcs-origin` must be checked. `typ` is not on the page: a token without one is accepted.
pub(super) const CIRCLECI: Platform = Platform {
    slug: "circleci",
    name: "CircleCI",
    issuer: IssuerForm::Named {
        before: "https://oidc.circleci.com/org/",
        after: "",
        account: "the organization's id",
        form: Form::Uuid,
    },
    types: &["JWT", ""],
    max_life: HOUR,
    max_age: HOUR,
    requirement: Some(Requirement {
        identifiers: &[("oidc.circleci.com/project-id", Form::Uuid)],
        flags: &[],
        vouched: &[],
        one_of: &[&["oidc.circleci.com/vcs-origin", "oidc.circleci.com/vcs-ref"]],
        remedy: "add the claims oidc.circleci.com/project-id, oidc.circleci.com/vcs-origin and oidc.circleci.com/vcs-ref: \
                 without the last two a build of a fork or of any branch is trusted",
    }),
    foreign_audiences: &[Audience::AnyUuid],
    recorded: &[
        "oidc.circleci.com/project-id",
        "oidc.circleci.com/vcs-origin",
        "oidc.circleci.com/vcs-ref",
        "oidc.circleci.com/ssh-rerun",
    ],
};

/// buildkite.com "buildkite-agent oidc" and "Working with Buildkite agents", read 2026-11-29: one issuer for every
/// organization; `organization_id` and `pipeline_id` are written if asked for with `--claim`; five minutes unless
/// `--lifetime` says more. The header has no `typ` (rubygems.org issue 5412 shows one).
pub(super) const BUILDKITE: Platform = Platform {
    slug: "buildkite",
    name: "Buildkite",
    issuer: IssuerForm::Fixed("https://agent.buildkite.com"),
    types: &["JWT", ""],
    max_life: HOUR,
    max_age: QUARTER,
    requirement: Some(Requirement {
        identifiers: &[("organization_id", Form::Uuid), ("pipeline_id", Form::Uuid)],
        flags: &[],
        vouched: &[],
        one_of: &[&["build_branch"], &["build_tag"]],
        remedy: "add the claims organization_id and pipeline_id with their UUIDs, and build_branch or build_tag: the issuer \
                 signs for every organization, slugs can be taken over, and without the last any branch is trusted \
                 (the job asks with --claim organization_id --claim pipeline_id)",
    }),
    foreign_audiences: &[Audience::Below("https://buildkite.com/")],
    recorded: &[
        "organization_slug",
        "pipeline_slug",
        "build_number",
        "build_branch",
        "build_commit",
        "job_id",
    ],
};
