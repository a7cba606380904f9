//! Connectors, and what belongs to them.

use carnet_model::Code;

use super::{CONNECTOR, PROVIDER};
use crate::route::Callers::{Both, Person, Workload};
use crate::route::{Content, Route, delete, get, patch, post, put};
use crate::{
    connector_keys, connectors, connectors_v2, consent_rules, contacts, explain, grants, health_webhook,
    import, installations, links, pictures, provisioning, redirect_uris, servers, services, token,
    trigger_destinations, triggers,
};

pub(super) fn all() -> Vec<Route> {
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
        get(TRIGGERS, Person, "Shows what a connector does with its provider's events.", triggers::show)
            .gives(200, triggers::shape()),
        patch(
            TRIGGERS,
            Person,
            "Changes what a connector does with its provider's events.",
            triggers::change,
        )
        .gives(200, triggers::shape())
        .refuses(&[Code::InvalidConnector]),
        get(
            "/v1/connect/connectors/{connector}/deliveries",
            Person,
            "Lists what was forwarded of a connector's events.",
            triggers::deliveries,
        )
        .gives(200, triggers::deliveries_shape()),
        get(
            "/v1/connect/connectors/{connector}/deliveries/{delivery}",
            Person,
            "Shows one event on its way, attempt by attempt.",
            triggers::delivery,
        )
        .gives(200, triggers::delivery_shape()),
        post(
            "/v1/connect/connectors/{connector}/deliveries/{delivery}/replay",
            Person,
            "Forwards an event once more.",
            triggers::replay,
        )
        .gives(200, triggers::delivery_shape()),
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
        delete(
            "/v1/connect/connectors/{connector}/projects/{project}/environments/{environment}",
            Person,
            "Keeps a project from asking a connector in one environment.",
            links::cut,
        )
        .gives(204, Content::None),
        get(
            REDIRECT_URIS,
            Person,
            "Lists where a project's people are sent back to who sign in with a connector.",
            redirect_uris::show,
        )
        .gives(200, redirect_uris::shape()),
        put(
            REDIRECT_URIS,
            Person,
            "Says where a project's people are sent back to who sign in with a connector.",
            redirect_uris::set,
        )
        .gives(200, redirect_uris::shape()),
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
        get(
            "/v1/connect/standing",
            Person,
            "Counts how everything that is granted stands, and names what waits for a person.",
            grants::standing,
        )
        .gives(200, grants::standing_shape())
        .refuses(&[Code::NotFound]),
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

// Paths with several methods.
const CONNECTORS: &str = "/v1/connect/connectors";
const CONNECTOR_KEYS: &str = "/v1/connect/connectors/{connector}/keys";
const CONSENT_RULES: &str = "/v1/connect/connectors/{connector}/consent-rules";
const INSTALLATIONS: &str = "/v1/connect/connectors/{connector}/installations";
const LINK: &str = "/v1/connect/connectors/{connector}/projects/{project}";
const REDIRECT_URIS: &str = "/v1/connect/connectors/{connector}/projects/{project}/redirect-uris";
const SERVER: &str = "/v1/connect/connectors/{connector}/server";
const TRIGGERS: &str = "/v1/connect/connectors/{connector}/triggers";
