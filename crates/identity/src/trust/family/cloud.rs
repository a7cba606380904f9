//! Where workloads run.

use super::{Audience, Form, HOUR, IssuerForm, LONGEST, Platform, QUARTER, Requirement};

/// kubernetes.io "Managing Service Accounts" and KEP-1205, read 2026-11-29: a projected token lives an hour unless the pod
/// asks for another time, is renewed after 80 % of it, and has no `typ`. Tokens of the old kind have neither `exp` nor
/// `aud`, and are refused for that.
pub(super) const KUBERNETES: Platform = Platform {
    slug: "kubernetes",
    name: "Kubernetes",
    issuer: IssuerForm::Own,
    types: &["JWT", ""],
    max_life: HOUR,
    max_age: HOUR,
    requirement: Some(Requirement {
        identifiers: &[("kubernetes.io.serviceaccount.uid", Form::Text)],
        flags: &[],
        vouched: &[],
        one_of: &[],
        remedy: "add the claim kubernetes.io.serviceaccount.uid: a service account that is deleted and made anew has the \
                 same name and another uid",
    }),
    foreign_audiences: &[],
    recorded: &[
        "kubernetes.io.namespace",
        "kubernetes.io.serviceaccount.name",
        "kubernetes.io.serviceaccount.uid",
        "kubernetes.io.pod.name",
        "kubernetes.io.pod.uid",
    ],
};

/// vercel.com "OIDC Federation Reference" of 2025-10-27 and "Connect to your own API", read 2026-11-29: team and global
/// issuer; the audience is `https://vercel.com/TEAM` unless exchanged; in functions a token is handed out ahead of use and
/// lives an hour. That audience is accepted, because the official clients send no other; whoever asks for one of their
/// own keeps the token from other services.
pub(super) const VERCEL: Platform = Platform {
    slug: "vercel",
    name: "Vercel",
    issuer: IssuerForm::Named {
        before: "https://oidc.vercel.com/",
        after: "",
        account: "the team's slug",
        form: Form::Text,
    },
    types: &["JWT"],
    max_life: HOUR,
    max_age: HOUR,
    requirement: Some(Requirement {
        identifiers: &[("owner_id", Form::Text), ("project_id", Form::Text), ("environment", Form::Text)],
        flags: &[],
        vouched: &[],
        one_of: &[],
        remedy: "add the claims owner_id, project_id and environment: the issuer signs for every team, and a preview \
                 deployment has the same project",
    }),
    foreign_audiences: &[Audience::Exactly("https://vercel.com")],
    recorded: &["owner_id", "project_id", "project", "environment", "user_id"],
};

/// fly.io "OpenID Connect" (commit 258801d of superfly/docs), read 2026-11-29: ten minutes; the audience is
/// `https://fly.io/ORG` unless asked for. `typ` is not on the page: a token without one is accepted.
pub(super) const FLY: Platform = Platform {
    slug: "fly",
    name: "Fly.io",
    issuer: IssuerForm::Named {
        before: "https://oidc.fly.io/",
        after: "",
        account: "the organization's slug",
        form: Form::Text,
    },
    types: &["JWT", ""],
    max_life: HOUR,
    max_age: QUARTER,
    requirement: Some(Requirement {
        identifiers: &[("org_id", Form::Text), ("app_id", Form::Text)],
        flags: &[],
        vouched: &[],
        one_of: &[],
        remedy: "add the claims org_id and app_id: the names in sub can be taken over",
    }),
    foreign_audiences: &[Audience::Below("https://fly.io/")],
    recorded: &["org_name", "app_name", "app_id", "machine_id", "machine_version", "image_digest", "region"],
};

/// cloud.google.com "Verify VM identity" and "Get an ID token", read 2026-11-29: one hour, RS256, the audience is what the
/// caller asks for. The metadata server hands a token out again until shortly before its end, hence the age. `sub` is
/// the service account's unique id, which is never given to another; an address is, once its account is deleted.
pub(super) const GOOGLE: Platform = Platform {
    slug: "google",
    name: "Google Cloud",
    issuer: IssuerForm::Fixed("https://accounts.google.com"),
    types: &["JWT"],
    max_life: HOUR,
    max_age: HOUR,
    requirement: Some(Requirement {
        identifiers: &[("sub", Form::Number)],
        flags: &[],
        vouched: &[("email", "email_verified")],
        one_of: &[],
        remedy: "add the claim sub with the unique id of the service account (digits; gcloud iam service-accounts describe \
                 ADDRESS --format='value(uniqueId)'), and email_verified with true if email is compared: an address is given to another \
                 once its account is deleted, and the issuer signs for everybody at Google",
    }),
    foreign_audiences: &[
        Audience::Ending(".googleapis.com"),
        Audience::Ending(".apps.googleusercontent.com"),
    ],
    recorded: &[
        "email",
        "azp",
        "google.compute_engine.project_id",
        "google.compute_engine.zone",
        "google.compute_engine.instance_id",
    ],
};

/// learn.microsoft.com "Access token claims reference", read 2026-11-29: `oid` and `tid` are never given to another; `appid`
/// in tokens of version 1, `azp` in those of version 2; which of the two is the API's choice, and with it the issuer.
/// A managed identity's token lives 24 hours and 5 minutes and is handed out again all that time
/// (Azure/azure-sdk-for-net issue 27019; not in the reference).
pub(super) const AZURE: Platform = Platform {
    slug: "azure",
    name: "Microsoft Entra",
    issuer: IssuerForm::Named {
        before: "https://login.microsoftonline.com/",
        after: "/v2.0",
        account: "the tenant's id",
        form: Form::Uuid,
    },
    types: &["JWT"],
    max_life: LONGEST,
    max_age: LONGEST,
    requirement: Some(Requirement {
        identifiers: &[("tid", Form::Uuid), ("oid", Form::Uuid)],
        flags: &[],
        vouched: &[],
        one_of: &[],
        remedy: "add the claims tid with the tenant's id and oid with the object id of the managed identity, both in lower case: \
                 any application of the tenant can get a token for the same API, and application ids exist in many tenants",
    }),
    foreign_audiences: &[
        // The resources of Microsoft's own that every identity can get tokens for, by address and by application id.
        Audience::Exactly("https://management.azure.com"),
        Audience::Exactly("https://management.core.windows.net"),
        Audience::Exactly("https://graph.microsoft.com"),
        Audience::Exactly("https://graph.windows.net"),
        Audience::Exactly("https://storage.azure.com"),
        Audience::Exactly("https://database.windows.net"),
        Audience::Exactly("https://servicebus.azure.net"),
        Audience::Ending("vault.azure.net"),
        Audience::Ending(".core.windows.net"),
        Audience::Exactly("00000003-0000-0000-c000-000000000000"),
        Audience::Exactly("00000002-0000-0000-c000-000000000000"),
        Audience::Exactly("797f4846-ba00-4fd7-ba43-dac1f8f63013"),
        Audience::Exactly("fb60f99c-7a34-4190-8149-302f77469936"),
    ],
    recorded: &["tid", "oid", "azp", "appid", "xms_mirid", "idtyp"],
};

/// github.com/spiffe/spiffe JWT-SVID §2 to §3 and "SPIFFE Trust Domain and Bundle" §4, read 2026-11-29: no `iss` is asked
/// for, `typ` may be missing, `JWT` or `JOSE`; keys for JWTs have the use `jwt-svid`. `iat` is not asked for either; here it is, and
/// SPIRE writes it.
pub(super) const SPIFFE: Platform = Platform {
    slug: "spiffe",
    name: "SPIFFE",
    issuer: IssuerForm::Named {
        before: "spiffe://",
        after: "",
        account: "the trust domain",
        form: Form::Text,
    },
    types: &["JWT", "JOSE", ""],
    max_life: HOUR,
    max_age: HOUR,
    requirement: Some(Requirement {
        identifiers: &[("sub", Form::SpiffeId)],
        flags: &[],
        vouched: &[],
        one_of: &[],
        remedy: "add the claim sub with the whole SPIFFE ID of the workload, or {\"oneBelow\": \"spiffe://…\"} for every \
                 workload exactly one segment below: the trust domain signs for all of its workloads",
    }),
    foreign_audiences: &[],
    recorded: &[],
};

/// Hosts of Microsoft Entra: the global one and the national clouds, for both versions of the token.
pub(super) fn is_entra(host: &str) -> bool {
    const HOSTS: &[&str] = &[
        "login.microsoftonline.com",
        "login.microsoftonline.us",
        "login.partner.microsoftonline.cn",
        "sts.windows.net",
        "sts.chinacloudapi.cn",
    ];
    HOSTS.contains(&host)
}

pub(super) fn is_cluster(host: &str, path: &str) -> bool {
    let host_name = host.split_once(':').map_or(host, |(name, _)| name);
    let amazon = host_name.starts_with("oidc.eks.") || host_name.starts_with("oidc-eks.");
    let google = host_name == "container.googleapis.com" && path.contains("/clusters/");
    let azure = host_name.ends_with(".oic.prod-aks.azure.com") || host_name.ends_with(".azmk8s.io");
    host_name.starts_with("kubernetes.default") || amazon || google || azure
}
