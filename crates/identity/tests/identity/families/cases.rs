//! One token of every platform, in the form of its documentation.

use carnet_identity::Family;
use serde_json::{Value, json};

use super::{OBJECT, PIPELINE, TENANT};
use crate::forge::{AUDIENCE, NOW};

/// A platform as somebody would configure it, and the claims of one of its tokens besides audience and times.
pub(super) struct Case {
    pub(super) family: Family,
    pub(super) config: Value,
    pub(super) rule: Value,
    pub(super) claims: Value,
    /// Whether its tokens have a `typ`.
    pub(super) typed: bool,
}

/// Claims in the form of the platforms' documentation; names and numbers are made up.
pub(super) fn cases() -> Vec<Case> {
    let case = |family: Family, config: Value, rule: Value, typed: bool, claims: Value| Case {
        family,
        config,
        rule,
        claims,
        typed,
    };
    vec![
        case(
            Family::GitHubActions,
            json!({"family": "github-actions"}),
            json!({"repository_id": "1296269", "repository_owner_id": "583231", "environment": "production"}),
            true,
            json!({"iss": "https://token.actions.githubusercontent.com", "jti": "j", "repository": "octo/app",
                "sub": "repo:octo@583231/app@1296269:environment:production", "ref": "refs/heads/main",
                "repository_id": "1296269", "repository_owner_id": "583231", "environment": "production",
                "ref_protected": "true", "run_attempt": "1", "run_id": "9", "actor": "octocat"}),
        ),
        case(
            Family::GitHubActions,
            json!({"issuer": "https://github.corp.example/_services/token"}),
            json!({"repository_id": "7", "repository_owner_id": "8", "job_workflow_ref": "o/w/.github/workflows/d.yml@refs/heads/main"}),
            true,
            json!({"iss": "https://github.corp.example/_services/token", "sub": "repo:o/r:ref:refs/heads/x",
                "repository_id": "7", "repository_owner_id": "8",
                "job_workflow_ref": "o/w/.github/workflows/d.yml@refs/heads/main"}),
        ),
        case(
            Family::GitLab,
            json!({"family": "gitlab"}),
            json!({"project_id": "22", "namespace_id": "72", "ref_protected": "true"}),
            true,
            json!({"iss": "https://gitlab.com", "sub": "project_path:group/app:ref_type:branch:ref:main",
                "project_id": "22", "namespace_id": "72", "ref_protected": "true", "groups_direct": ["group"],
                "user_identities": [{"provider": "x", "extern_uid": "y"}], "project_path": "group/app"}),
        ),
        case(
            Family::GitLab,
            json!({"issuer": "https://code.corp.example", "family": "gitlab"}),
            json!({"project_id": "1", "namespace_id": "2", "ref_protected": "true"}),
            true,
            json!({"iss": "https://code.corp.example", "sub": "project_path:g/p:ref_type:tag:ref:v1",
                "project_id": "1", "namespace_id": "2", "ref_protected": "true"}),
        ),
        case(
            Family::Kubernetes,
            json!({"issuer": "https://kubernetes.default.svc.cluster.local", "family": "kubernetes"}),
            json!({"kubernetes.io.serviceaccount.uid": "3-4", "kubernetes.io.namespace": "shop"}),
            false,
            json!({"iss": "https://kubernetes.default.svc.cluster.local", "aud": [AUDIENCE],
                "sub": "system:serviceaccount:shop:agent", "kubernetes.io": {"namespace": "shop",
                "node": {"name": "n1", "uid": "1"}, "pod": {"name": "p", "uid": "2"},
                "serviceaccount": {"name": "agent", "uid": "3-4"}, "warnafter": NOW.secs() + 3000}}),
        ),
        case(
            Family::Vercel,
            json!({"family": "vercel", "account": "acme"}),
            json!({"owner_id": "team_1", "project_id": "prj_1", "environment": "production"}),
            true,
            json!({"iss": "https://oidc.vercel.com/acme", "sub": "owner:acme:project:my-app:environment:production",
                "owner": "acme", "owner_id": "team_1", "project": "my-app", "project_id": "prj_1",
                "environment": "production"}),
        ),
        case(
            Family::Vercel,
            json!({"issuer": "https://oidc.vercel.com"}),
            json!({"owner_id": "team_1", "project_id": "prj_1", "environment": "production"}),
            true,
            json!({"iss": "https://oidc.vercel.com", "sub": "owner:acme:project:my-app:environment:production",
                "owner_id": "team_1", "project_id": "prj_1", "environment": "production"}),
        ),
        case(
            Family::Fly,
            json!({"family": "fly", "account": "acme"}),
            json!({"org_id": "9", "app_id": "7"}),
            false,
            json!({"iss": "https://oidc.fly.io/acme", "sub": "acme:web:machine", "app_id": "7", "org_id": "9",
                "app_name": "web", "machine_id": "m", "region": "ams"}),
        ),
        case(
            Family::Google,
            json!({"family": "google"}),
            json!({"sub": "113774264463038321964", "email": "agent@p.iam.gserviceaccount.com", "email_verified": true}),
            true,
            json!({"iss": "https://accounts.google.com", "sub": "113774264463038321964",
                "azp": "113774264463038321964", "email": "agent@p.iam.gserviceaccount.com",
                "email_verified": true, "google": {"compute_engine": {"project_id": "p",
                "project_number": 739_419_398_126_u64, "zone": "us-west1-a", "instance_id": "152986662232938449"}}}),
        ),
        case(
            Family::Azure,
            json!({"family": "azure", "account": TENANT}),
            json!({"tid": TENANT, "oid": OBJECT}),
            true,
            json!({"iss": format!("https://login.microsoftonline.com/{TENANT}/v2.0"), "sub": OBJECT, "oid": OBJECT,
                "tid": TENANT, "azp": OBJECT, "azpacr": "2", "ver": "2.0", "uti": "x", "rh": "y"}),
        ),
        case(
            Family::Azure,
            json!({"issuer": format!("https://sts.windows.net/{TENANT}/")}),
            json!({"tid": TENANT, "oid": OBJECT, "appid": OBJECT}),
            true,
            json!({"iss": format!("https://sts.windows.net/{TENANT}/"), "sub": OBJECT, "oid": OBJECT, "tid": TENANT,
                "appid": OBJECT, "appidacr": "2", "idtyp": "app", "ver": "1.0",
                "xms_mirid": "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/a"}),
        ),
        case(
            Family::Spiffe,
            json!({"family": "spiffe", "account": "example.org"}),
            json!({"sub": "spiffe://example.org/ns/shop/sa/agent"}),
            true,
            // JWT-SVID §3: no iss.
            json!({"aud": [AUDIENCE], "sub": "spiffe://example.org/ns/shop/sa/agent"}),
        ),
        case(
            Family::Spiffe,
            json!({"issuer": "spiffe://example.org"}),
            json!({"sub": {"oneBelow": "spiffe://example.org/ns/shop/sa"}}),
            false,
            json!({"aud": [AUDIENCE], "sub": "spiffe://example.org/ns/shop/sa/anything"}),
        ),
        case(
            Family::Spiffe,
            json!({"issuer": "https://oidc-discovery.example.org", "family": "spiffe"}),
            json!({"sub": "spiffe://example.org/ns/shop/sa/agent"}),
            true,
            json!({"iss": "https://oidc-discovery.example.org", "sub": "spiffe://example.org/ns/shop/sa/agent"}),
        ),
        case(
            Family::Terraform,
            json!({"family": "terraform"}),
            json!({"terraform_organization_id": "org-1", "terraform_workspace_id": "ws-1", "terraform_run_phase": "apply"}),
            true,
            json!({"iss": "https://app.terraform.io", "jti": "j",
                "sub": "organization:acme:project:Default Project:workspace:prod:run_phase:apply",
                "terraform_organization_id": "org-1", "terraform_organization_name": "acme",
                "terraform_workspace_id": "ws-1", "terraform_workspace_name": "prod",
                "terraform_full_workspace": "organization:acme:project:Default Project:workspace:prod",
                "terraform_run_id": "run-1", "terraform_run_phase": "apply"}),
        ),
        case(
            Family::CircleCi,
            json!({"family": "circleci", "account": TENANT}),
            json!({"oidc.circleci.com/project-id": OBJECT, "oidc.circleci.com/vcs-origin": "github.com/acme/app",
                "oidc.circleci.com/vcs-ref": "refs/heads/main"}),
            false,
            json!({"iss": format!("https://oidc.circleci.com/org/{TENANT}"),
                "sub": format!("org/{TENANT}/project/{OBJECT}/user/{PIPELINE}"),
                "oidc.circleci.com/project-id": OBJECT, "oidc.circleci.com/vcs-origin": "github.com/acme/app",
                "oidc.circleci.com/vcs-ref": "refs/heads/main", "oidc.circleci.com/ssh-rerun": false,
                "oidc.circleci.com/context-ids": [PIPELINE]}),
        ),
        case(
            Family::Buildkite,
            json!({"family": "buildkite"}),
            json!({"organization_id": TENANT, "pipeline_id": PIPELINE, "build_branch": "main"}),
            false,
            json!({"iss": "https://agent.buildkite.com", "jti": "j",
                "sub": "organization:acme:pipeline:app:ref:refs/heads/main:commit:9f31:step:build",
                "organization_slug": "acme", "pipeline_slug": "app", "organization_id": TENANT,
                "pipeline_id": PIPELINE, "build_number": 1, "build_branch": "main", "build_tag": null,
                "step_key": null, "runner_environment": "buildkite-hosted"}),
        ),
        case(
            Family::Generic,
            json!({"issuer": "https://idp.example"}),
            json!({"client_id": "agent-1"}),
            true,
            json!({"iss": "https://idp.example", "sub": "agent", "client_id": "agent-1"}),
        ),
    ]
}
