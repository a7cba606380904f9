//! Where workloads run, how they prove it, and the people.

use carnet_model::Code;

use super::PROVIDER;
use crate::route::Callers::Person;
use crate::route::{Content, Route, delete, get, patch, post, put};
use crate::{
    access_tokens, accounts, consent_rules, health_webhook, invitations, issuers, managed_apps, members,
    platform, project_urls, projects, provisioning, teams,
};

pub(super) fn all() -> Vec<Route> {
    vec![
        get("/v2/user", Person, "Says who calls.", platform::user).gives(200, platform::user_shape()),
        get("/v1/teams", Person, "Lists the teams of the caller.", platform::teams)
            .gives(200, platform::teams_shape()),
        get("/v2/teams", Person, "Lists the teams of the caller.", platform::teams)
            .gives(200, platform::teams_shape()),
        get("/teams/{team}", Person, "Shows a team of the caller.", platform::team)
            .gives(200, platform::team_shape()),
        get("/v9/projects", Person, "Lists the projects of the team.", projects::list)
            .gives(200, projects::all_shape()),
        post("/v1/teams", Person, "Makes a team, whose owner the caller is.", teams::create)
            .gives(201, teams::made_shape()),
        get(TEAM, Person, "Shows a team of the caller.", platform::team).gives(200, platform::team_shape()),
        patch(TEAM, Person, "Changes the name or the settings of a team.", teams::update)
            .gives(200, platform::team_shape()),
        get("/v1/teams/{team}/members", Person, "Lists the people in a team.", members::list)
            .gives(200, members::all_shape()),
        patch(MEMBER, Person, "Gives a member another role.", members::update).gives(200, members::shape()),
        delete(MEMBER, Person, "Takes a member out of a team.", members::remove).gives(204, Content::None),
        post(
            "/v1/teams/{team}/members/{user}/passphrase-reset",
            Person,
            "Makes a link by which a member chooses another passphrase.",
            members::reset_passphrase,
        )
        .gives(201, members::reset_shape()),
        get(INVITATIONS, Person, "Lists the invitations that can be used.", invitations::list)
            .gives(200, invitations::all_shape()),
        post(INVITATIONS, Person, "Invites somebody; what to show is told once.", invitations::create)
            .gives(201, invitations::made_shape()),
        delete(
            "/v1/teams/{team}/invitations/{invitation}",
            Person,
            "Withdraws an invitation.",
            invitations::withdraw,
        )
        .gives(204, Content::None),
        post("/v1/invitations/show", Person, "Says what an invitation is for.", invitations::show)
            .gives(200, invitations::shown_shape())
            .refuses(&[Code::Gone]),
        post("/v1/invitations/accept", Person, "Joins the team of an invitation.", invitations::accept)
            .gives(201, invitations::joined_shape())
            .refuses(&[Code::Gone]),
        get("/v1/accounts", Person, "Lists everybody who has an account.", accounts::list)
            .gives(200, accounts::all_shape()),
        get(PROJECT_URLS, Person, "Says where a project's environments are reached.", project_urls::show)
            .gives(200, project_urls::shape()),
        put(PROJECT_URLS, Person, "Sets where a project's environments are reached.", project_urls::set)
            .gives(200, project_urls::shape()),
        patch("/v1/accounts/{user}", Person, "Disables an account, or enables it again.", accounts::update)
            .gives(200, accounts::shape()),
        get(
            "/v1/managed-apps",
            Person,
            "Lists the applications that connectors of all teams are made from.",
            managed_apps::list,
        )
        .gives(200, managed_apps::all_shape()),
        post("/v1/managed-apps", Person, "Registers an application for all teams.", managed_apps::create)
            .gives(201, managed_apps::shape())
            .refuses(PROVIDER),
        get(MANAGED_APP, Person, "Shows one, without secrets.", managed_apps::show)
            .gives(200, managed_apps::shape()),
        patch(MANAGED_APP, Person, "Changes one, for all teams at once.", managed_apps::update)
            .gives(200, managed_apps::shape())
            .refuses(PROVIDER),
        delete(
            MANAGED_APP,
            Person,
            "Removes one; with `force` even if connectors are made from it.",
            managed_apps::remove,
        )
        .gives(200, managed_apps::removed_shape()),
        post("/v9/projects", Person, "Makes a project.", projects::create).gives(200, projects::shape()),
        post(
            "/v1/projects",
            Person,
            "Makes a project, as the official CLI does for a folder: what else it says is not read.",
            projects::create_for_folder,
        )
        .gives(200, projects::shape()),
        get("/v9/projects/{project}", Person, "Shows a project.", projects::show)
            .gives(200, projects::shape()),
        delete("/v9/projects/{project}", Person, "Removes a project.", projects::remove)
            .gives(204, Content::None),
        get(
            PROVISIONING,
            Person,
            "Says where a project's workloads may make connectors for themselves.",
            provisioning::show,
        )
        .gives(200, provisioning::shape()),
        put(
            PROVISIONING,
            Person,
            "Sets where a project's workloads may make connectors for themselves.",
            provisioning::set,
        )
        .gives(200, provisioning::shape()),
        get(
            HEALTH_WEBHOOK,
            Person,
            "Says where a project is told that what it was granted breaks.",
            health_webhook::show,
        )
        .gives(200, health_webhook::shape()),
        put(
            HEALTH_WEBHOOK,
            Person,
            "Sets where a project is told that what it was granted breaks.",
            health_webhook::set,
        )
        .gives(200, health_webhook::webhook_shape()),
        delete(
            HEALTH_WEBHOOK,
            Person,
            "Keeps a project from being told that what it was granted breaks.",
            health_webhook::remove,
        )
        .gives(204, Content::None),
        get(ORIGINS, Person, "Lists where a project's people may be sent back to.", consent_rules::origins)
            .gives(200, consent_rules::origins_shape()),
        put(
            ORIGINS,
            Person,
            "Says where a project's people may be sent back to.",
            consent_rules::set_origins,
        )
        .gives(200, consent_rules::origins_shape()),
        get(ENVIRONMENTS, Person, "Lists the custom environments of a project.", projects::environments)
            .gives(200, projects::environments_shape()),
        post(ENVIRONMENTS, Person, "Makes a custom environment.", projects::create_environment)
            .gives(200, projects::environment_shape()),
        delete(
            "/projects/{project}/custom-environments/{environment}",
            Person,
            "Removes a custom environment.",
            projects::remove_environment,
        )
        .gives(204, Content::None),
        get(ENVIRONMENTS_V9, Person, "Lists the custom environments of a project.", projects::environments)
            .gives(200, projects::environments_shape()),
        post(ENVIRONMENTS_V9, Person, "Makes a custom environment.", projects::create_environment)
            .gives(200, projects::environment_shape()),
        delete(
            "/v9/projects/{project}/custom-environments/{environment}",
            Person,
            "Removes a custom environment.",
            projects::remove_environment,
        )
        .gives(204, Content::None),
        post(
            "/projects/{project}/token",
            Person,
            "Gives an identity token for development.",
            platform::development_token,
        )
        .gives(200, platform::token_shape())
        .reads(),
        post(
            "/v1/projects/{project}/token",
            Person,
            "Gives an identity token for development.",
            platform::development_token,
        )
        .gives(200, platform::token_shape())
        .reads(),
        get(
            "/v3/env/pull/{project}/{target}",
            Person,
            "Gives the variables that a program needs in development.",
            platform::env_pull,
        )
        .gives(200, platform::env_shape()),
        get(ISSUERS, Person, "Lists the trusted issuers of the team.", issuers::list)
            .gives(200, issuers::all_shape()),
        post(ISSUERS, Person, "Trusts an issuer of workload identities.", issuers::create)
            .gives(201, issuers::shape()),
        post(
            "/v1/trusted-issuers/check",
            Person,
            "Says what would come of trusting an issuer, and changes nothing.",
            issuers::check,
        )
        .gives(200, issuers::report_shape()),
        get(
            "/v1/trusted-issuers/families",
            Person,
            "Lists the platforms that are known as issuers.",
            issuers::families,
        )
        .gives(200, issuers::families_shape()),
        get("/v1/trusted-issuers/{issuer}", Person, "Shows a trusted issuer.", issuers::show)
            .gives(200, issuers::shape()),
        delete("/v1/trusted-issuers/{issuer}", Person, "Stops trusting an issuer.", issuers::remove)
            .gives(204, Content::None),
        get(
            "/v1/access-tokens",
            Person,
            "Lists the caller's access tokens, or everybody's in the team.",
            access_tokens::list,
        )
        .gives(200, access_tokens::all_shape()),
        post("/v1/access-tokens", Person, "Makes an access token, shown once.", access_tokens::create)
            .gives(201, access_tokens::made_shape()),
        delete("/v1/access-tokens/{token}", Person, "Revokes an access token.", access_tokens::revoke)
            .gives(204, Content::None),
    ]
}

// Paths with several methods.
const ENVIRONMENTS: &str = "/projects/{project}/custom-environments";
const ENVIRONMENTS_V9: &str = "/v9/projects/{project}/custom-environments";
const HEALTH_WEBHOOK: &str = "/v1/projects/{project}/health-webhook";
const INVITATIONS: &str = "/v1/teams/{team}/invitations";
const ISSUERS: &str = "/v1/trusted-issuers";
const MANAGED_APP: &str = "/v1/managed-apps/{app}";
const MEMBER: &str = "/v1/teams/{team}/members/{user}";
const ORIGINS: &str = "/v1/projects/{project}/return-origins";
const PROVISIONING: &str = "/v1/projects/{project}/provisioning";
const TEAM: &str = "/v1/teams/{team}";
const PROJECT_URLS: &str = "/v1/projects/{project}/urls";
