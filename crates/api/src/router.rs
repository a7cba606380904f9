//! Every route of the API, and what frames them. `/openapi.json` is made of this list.
//!
//! What a route reads is taken from its handler; what it answers stands here, and the tests compare the two. A status
//! that does not follow from the form of a request (`422` of a provider's making) is named with `refuses`.

use axum::Router;
use axum::middleware;
use carnet_engine::Broker;
use carnet_model::{Code, Fault};

use crate::device_login;
use crate::metrics::Meter;
use crate::problem::Problem;
use crate::route::Callers::{Anybody, Both, Person, Workload};
use crate::route::{Content, Route, delete, get, patch, post, put};
use crate::{
    access_tokens, accounts, audit, authorize, connector_keys, connectors, connectors_v2, consent_rules,
    contacts, explain, export, grants, health, health_webhook, import, installations, invitations, issuers,
    keys, links, managed_apps, members, openapi, pictures, platform, projects, provisioning, refusals,
    request_id, servers, services, teams, token, trigger_destinations, usage, well_known,
};

/// The routes of the API. A connector is one segment: its identifier, or its UID percent-encoded.
pub fn router(broker: Broker) -> Router {
    let (plain, recorded) = all();
    let recorded =
        served(recorded).route_layer(middleware::from_fn_with_state(broker.clone(), refusals::record));
    served(plain).merge(recorded).with_state(broker)
}

/// All of them, described.
pub fn routes() -> Vec<Route> {
    let (plain, recorded) = all();
    plain.into_iter().chain(recorded).collect()
}

/// Those without, and those with a record of their refusals around them.
fn all() -> (Vec<Route>, Vec<Route>) {
    (plain(), [asking(), connecting(), looking(), projects_and_people()].into_iter().flatten().collect())
}

fn served(routes: Vec<Route>) -> Router<Broker> {
    routes.into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler))
}

/// What may be had: decided, and for the most part recorded, by the engine.
fn asking() -> Vec<Route> {
    vec![
        post("/v1/connect/authorize/{connector}", Both, "Starts a consent request.", authorize::start)
            .gives(200, authorize::started_shape())
            .refuses(PROVIDER),
        post(
            "/v1/connect/authorize/complete",
            Workload,
            "Redeems the completion code of a consent, where the connector requires it.",
            authorize::complete,
        )
        .gives(200, authorize::progress_shape())
        .refuses(PROVIDER),
        post("/v1/connect/install/{connector}", Both, "Starts an installation request.", authorize::install)
            .gives(200, authorize::started_shape())
            .refuses(PROVIDER),
        get("/v1/connect/result/{verifier}", Both, "Says how a consent request stands.", authorize::result)
            .gives(200, authorize::progress_shape())
            .refuses(&[Code::Gone]),
        get(CONNECTOR, Both, "Describes a connector, without secrets.", connectors::show)
            .gives(200, connectors::shape()),
        delete(
            "/v1/connect/connectors/{connector}/tokens",
            Both,
            "Revokes what is granted to a subject; with an empty object, to everybody.",
            token::revoke,
        )
        .gives(200, token::revoked_shape())
        .refuses(PROVIDER),
    ]
}

/// Tokens, whose every refusal the engine records by itself; and what has no caller.
fn plain() -> Vec<Route> {
    vec![
        post("/v1/connect/token/{connector}", Both, "Gives a token for a subject.", token::issue)
            .gives(200, token::shape())
            .reads()
            .refuses(PROVIDER),
        get(
            "/.well-known/openid-configuration",
            Anybody,
            "Describes this server as an issuer of identity tokens.",
            well_known::discovery,
        )
        .gives(200, well_known::discovery_shape()),
        get("/.well-known/jwks", Anybody, "Gives the keys of identity tokens.", well_known::jwks)
            .gives(200, well_known::jwks_shape()),
        get("/.well-known/jwks.json", Anybody, "Gives the keys of identity tokens.", well_known::jwks)
            .gives(200, well_known::jwks_shape()),
        get(
            "/{team}/.well-known/openid-configuration",
            Anybody,
            "Describes a team's issuer of identity tokens.",
            well_known::team_discovery,
        )
        .gives(200, well_known::discovery_shape()),
        get(
            "/{team}/.well-known/jwks",
            Anybody,
            "Gives the keys of a team's identity tokens.",
            well_known::jwks,
        )
        .gives(200, well_known::jwks_shape()),
        get(
            "/connect/jwks/{connector}",
            Anybody,
            "Gives the public keys of a connector, by its identifier.",
            well_known::connector_jwks,
        )
        .gives(200, well_known::jwks_shape()),
        get(
            "/connect/jwks/{connector}/.well-known/openid-configuration",
            Anybody,
            "Describes a connector as an issuer of its own.",
            well_known::connector_discovery,
        )
        .gives(200, well_known::discovery_shape()),
        get(
            "/clients/{team}/{connector}",
            Anybody,
            "Describes a connector's client to servers that read such documents.",
            servers::client_document,
        )
        .gives(200, servers::document_shape()),
        get(
            "/pictures/{connector}/{sha1}",
            Anybody,
            "Gives the picture that a connector shows.",
            pictures::show,
        )
        .gives(200, Content::Other("image/*")),
        post(
            "/login/oauth/device",
            Anybody,
            "Begins to sign in a command line (RFC 8628).",
            device_login::start,
        )
        .gives(200, device_login::started_shape())
        .or(400, device_login::error_shape())
        .or(401, device_login::error_shape())
        .or(429, device_login::error_shape()),
        post(
            "/login/oauth/token",
            Anybody,
            "Gives a command line that is signed in its tokens, or the next ones.",
            device_login::token,
        )
        .gives(200, device_login::tokens_shape())
        .or(400, device_login::error_shape())
        .or(401, device_login::error_shape()),
        post("/login/oauth/revoke", Anybody, "Signs a command line out (RFC 7009).", device_login::revoke)
            .gives(200, device_login::revoked_shape())
            .or(400, device_login::error_shape())
            .or(401, device_login::error_shape()),
        post(
            "/login/oauth/introspect",
            Anybody,
            "Says what a token of a command line is (RFC 7662), to whoever holds it.",
            device_login::introspect,
        )
        .gives(200, device_login::introspected_shape())
        .or(400, device_login::error_shape()),
        get("/openapi.json", Anybody, "Describes this API.", openapi::show).gives(200, openapi::shape()),
        get("/livez", Anybody, "Answers as long as the process does.", health::live)
            .gives(200, Content::Other("text/plain")),
        get("/readyz", Anybody, "Says whether the server can do its work.", health::ready)
            .gives(200, health::shape("ready"))
            .or(503, health::shape("not ready")),
    ]
}

/// Connectors, and what belongs to them.
fn connecting() -> Vec<Route> {
    vec![
        get(CONNECTORS, Person, "Lists the connectors of the team.", connectors::list_v1)
            .gives(200, connectors::list_v1_shape())
            .refuses(&[Code::NotFound]),
        post(CONNECTORS, Person, "Makes a connector.", connectors::create)
            .gives(201, connectors::shape())
            .refuses(PROVIDER),
        post(
            "/v1/connect/connectors/managed",
            Person,
            "Makes a connector to a service that this server manages.",
            connectors::create_managed,
        )
        .gives(201, connectors::shape())
        .refuses(PROVIDER),
        post(
            "/v1/connect/connectors/managed/oauth",
            Workload,
            "Makes a connector for the project and environment of the workload that asks.",
            provisioning::provision,
        )
        .gives(201, connectors::shape())
        .or(200, connectors::shape())
        .refuses(PROVIDER),
        post(
            "/v1/connect/connectors/{connector}/managed/eject",
            Person,
            "Changes a connector from the operator's client to the team's own.",
            connectors::eject,
        )
        .gives(200, connectors::changed_shape())
        .refuses(PROVIDER),
        post(
            "/v1/connect/connectors/{connector}/contacts",
            Person,
            "Adds a telephone number to a connector that has lines.",
            contacts::add,
        )
        .gives(200, Content::None)
        .refuses(&[Code::InvalidConnector]),
        patch(
            "/v1/connect/connectors/{connector}/trigger-destinations",
            Person,
            "Says where a connector's events are forwarded to.",
            trigger_destinations::replace,
        )
        .gives(200, connectors::shape()),
        patch(CONNECTOR, Person, "Changes a connector.", connectors::update)
            .gives(200, connectors::changed_shape())
            .refuses(PROVIDER),
        delete(
            CONNECTOR,
            Person,
            "Removes a connector with its links, installations and grants.",
            connectors::remove,
        )
        .gives(204, Content::None),
        get(
            "/v1/connect/connectors/{connector}/projects",
            Person,
            "Lists the projects that may ask a connector.",
            links::of_connector,
        )
        .gives(200, links::of_connector_shape()),
        get(LINK, Person, "Shows in which environments a project may ask a connector.", links::show)
            .gives(200, links::shape()),
        post(LINK, Person, "Says in which environments a project may ask a connector.", links::put)
            .gives(200, links::shape()),
        delete(LINK, Person, "Keeps a project from asking a connector.", links::remove)
            .gives(204, Content::None),
        get(INSTALLATIONS, Person, "Lists the installations of a connector.", installations::list)
            .gives(200, installations::all_shape()),
        post(INSTALLATIONS, Person, "Adds an installation to a connector.", installations::create)
            .gives(201, installations::shape())
            .refuses(&[Code::UnresolvedToken]),
        delete(
            "/v1/connect/connectors/{connector}/installations/{installation}",
            Person,
            "Removes an installation of a connector.",
            installations::remove,
        )
        .gives(204, Content::None),
        get(SERVER, Person, "Compares what a connector's server says with what is pinned.", servers::check)
            .gives(200, servers::check_shape())
            .refuses(PROVIDER),
        post(SERVER, Person, "Pins what a connector's server was shown to say.", servers::accept)
            .gives(200, connectors::changed_shape())
            .refuses(PROVIDER),
        post(
            "/v1/connect/connectors/{connector}/check",
            Person,
            "Asks the provider which installations and grants still hold.",
            health_webhook::check,
        )
        .gives(200, health_webhook::check_shape())
        .refuses(PROVIDER),
        get(
            "/v1/connect/connectors/{connector}/grants",
            Person,
            "Lists who has consented, and which grants need it again.",
            grants::list,
        )
        .gives(200, grants::all_shape()),
        get("/v1/connect/grants/{grant}", Person, "Shows one grant.", grants::show)
            .gives(200, grants::shape()),
        delete("/v1/connect/grants/{grant}", Person, "Revokes one grant.", grants::revoke)
            .gives(200, token::revoked_shape())
            .refuses(PROVIDER),
        get(
            "/v1/connect/connectors/{connector}/explain",
            Both,
            "Says why a token would be given or not.",
            explain::explain,
        )
        .gives(200, explain::shape())
        .refuses(PROVIDER),
        get(CONNECTOR_KEYS, Person, "Shows a connector's public signing keys.", connector_keys::list)
            .gives(200, connector_keys::shape())
            .refuses(&[Code::InvalidConnector]),
        post(CONNECTOR_KEYS, Person, "Gives a connector a new signing key.", connector_keys::turn)
            .gives(201, connector_keys::shape())
            .refuses(&[Code::InvalidConnector]),
        get(CONSENT_RULES, Person, "Shows how a connector asks for consent.", consent_rules::show)
            .gives(200, consent_rules::shape()),
        patch(CONSENT_RULES, Person, "Changes how a connector asks for consent.", consent_rules::change)
            .gives(200, consent_rules::shape()),
        post(
            "/v1/connect/token/{connector}/import",
            Person,
            "Takes over tokens that users gave somewhere else.",
            import::import,
        )
        .gives(200, import::shape())
        .refuses(PROVIDER),
        get("/v1/connect/services", Person, "Finds services of the catalog.", services::list)
            .gives(200, services::list_shape()),
        get("/v1/connect/services/{service}", Person, "Says how a service can be connected.", services::show)
            .gives(200, services::shape()),
        get("/v2/connect/connectors", Person, "Lists the connectors of the team.", connectors::list_v2)
            .gives(200, connectors::list_v2_shape())
            .refuses(&[Code::NotFound]),
        patch(
            "/v2/connect/connectors/{connector}",
            Person,
            "Changes a connector, and says what has to follow.",
            connectors_v2::update,
        )
        .gives(200, connectors_v2::shape())
        .refuses(PROVIDER),
        get(
            "/v2/connect/connectors/{connector}/projects",
            Person,
            "Lists the projects that may ask a connector.",
            links::of_connector,
        )
        .gives(200, links::of_connector_shape()),
        get(
            "/v2/connect/projects/{project}/connectors",
            Person,
            "Lists the connectors that a project may ask.",
            links::of_project,
        )
        .gives(200, links::of_project_shape()),
        post("/v2/files", Person, "Takes a picture for a connector.", pictures::upload)
            .gives(200, pictures::shape()),
    ]
}

/// The record, and the deployment.
fn looking() -> Vec<Route> {
    vec![
        get("/v1/audit", Person, "Reads the audit log of the team.", audit::list)
            .gives(200, audit::shape())
            .refuses(&[Code::NotFound]),
        get("/v1/audit/verify", Person, "Looks whether events are all there, as they were.", audit::verify)
            .gives(200, audit::verified_shape()),
        post(
            "/v1/export/secrets",
            Person,
            "Gives the secrets of the team, encrypted to the operator's recovery key.",
            export::secrets,
        )
        .gives(200, export::shape()),
        get("/v1/usage", Person, "Says how many token requests the team has had.", usage::show)
            .gives(200, usage::shape()),
        put(
            "/v1/usage/budget",
            Person,
            "Sets at how many token requests somebody is told.",
            usage::set_budget,
        )
        .gives(200, usage::budget_shape()),
        delete("/v1/usage/budget", Person, "Forgets the team's budget.", usage::remove_budget)
            .gives(204, Content::None),
        get("/v1/keys", Person, "Shows how the keys stand.", keys::status).gives(200, keys::status_shape()),
        post("/v1/keys/rotate", Person, "Turns a key.", keys::rotate).gives(200, keys::rotated_shape()),
        post("/v1/keys/verify", Person, "Opens everything that is sealed, and counts.", keys::verify)
            .gives(200, keys::examined_shape()),
    ]
}

/// Where workloads run, how they prove it, and the people.
fn projects_and_people() -> Vec<Route> {
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

/// What goes around all routes, those of other crates too: the request's identifier, figures about all of them, and
/// answers for what is not there.
pub fn frame(routes: Router, broker: Broker) -> Router {
    let meter = Meter::default();
    routes
        .route("/metrics", meter.route(broker.clone()))
        .fallback(async || nothing_here())
        .method_not_allowed_fallback(async || {
            Problem(Fault::new(Code::MethodNotAllowed, "This path does not take this method."))
        })
        .layer(middleware::from_fn_with_state((broker, meter), request_id::identify))
}

/// The answer where there is nothing.
pub(crate) fn nothing_here() -> Problem {
    Problem(Fault::new(
        Code::NotFound,
        "There is nothing at this path. The API is at the root of this address.",
    ))
}

// Paths with several methods.
const CONNECTOR: &str = "/v1/connect/connectors/{connector}";
const CONNECTORS: &str = "/v1/connect/connectors";
const CONNECTOR_KEYS: &str = "/v1/connect/connectors/{connector}/keys";
const CONSENT_RULES: &str = "/v1/connect/connectors/{connector}/consent-rules";
const ENVIRONMENTS: &str = "/projects/{project}/custom-environments";
const ENVIRONMENTS_V9: &str = "/v9/projects/{project}/custom-environments";
const HEALTH_WEBHOOK: &str = "/v1/projects/{project}/health-webhook";
const INVITATIONS: &str = "/v1/teams/{team}/invitations";
const INSTALLATIONS: &str = "/v1/connect/connectors/{connector}/installations";
const ISSUERS: &str = "/v1/trusted-issuers";
const LINK: &str = "/v1/connect/connectors/{connector}/projects/{project}";
const MANAGED_APP: &str = "/v1/managed-apps/{app}";
const MEMBER: &str = "/v1/teams/{team}/members/{user}";
const ORIGINS: &str = "/v1/projects/{project}/return-origins";
const PROVISIONING: &str = "/v1/projects/{project}/provisioning";
const TEAM: &str = "/v1/teams/{team}";
const SERVER: &str = "/v1/connect/connectors/{connector}/server";

/// What comes of asking a provider, or of what a connector is.
const PROVIDER: &[Code] = &[
    Code::NoToken,
    Code::Gone,
    Code::ProviderAnswerInvalid,
    Code::ProviderUnavailable,
    Code::StoreUnavailable,
];
