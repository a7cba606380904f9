//! Every route, asked by every role: who is refused, and by which right.
//!
//! The table here is written down from the side of the routes, and compared with nothing but what the server does. What
//! it names does not exist where an allowed call would change something, so that an allowed call ends otherwise.

use carnet_api::Callers;
use carnet_model::rights::Right;
use carnet_testkit::{Engine, Kit, Plan, on_both_engines};
use serde_json::{Value, json};

use super::join;

on_both_engines!(
    each_role_may_do_what_is_written_down_for_it,
    a_narrow_token_may_do_what_is_written_down_for_it
);

struct Route {
    right: &'static str,
    /// Letters of the roles that may: Owner, Member, Connector manager, Viewer; `m` for members unless the team is strict.
    who: &'static str,
    method: &'static str,
    path: String,
    body: Value,
}

fn routes(kit: &Kit) -> Vec<Route> {
    let route =
        |right, who, method, path: &str, body| Route { right, who, method, path: path.to_owned(), body };
    let none = Value::Null;
    let team = format!("/v1/teams/{}", kit.tenant.team);
    let c = format!("/v1/connect/connectors/{}", kit.connector);
    let gone = "/v1/connect/connectors/scl_0000000000000000000000";
    let p = &kit.tenant.project;
    let nowhere = "/v9/projects/prj_0000000000000000000000";
    let app = json!({"subject": {"type": "app"}});
    let own = json!({"subject": {"type": "user"}});
    let import = json!({"tokens": [{"accessToken": "a", "expiresAt": 9_000_000_000_000_i64, "environment": "production",
        "subject": {"type": "user", "id": "alice"}}]});
    let new = json!({"service": "x.example", "name": "", "data": {}});
    vec![
        route("team.read", "OMCV", "GET", "/v1/teams", none.clone()),
        route("team.read", "OMCV", "GET", "/v2/teams", none.clone()),
        route("team.read", "OMCV", "GET", &team, none.clone()),
        route("team.read", "OMCV", "GET", &format!("/teams/{}", kit.tenant.slug), none.clone()),
        route("team.update", "O", "PATCH", &team, json!({})),
        route("team.create", "O", "POST", "/v1/teams", json!({"name": ""})),
        route("member.read", "OMCV", "GET", &format!("{team}/members"), none.clone()),
        route(
            "member.update",
            "O",
            "PATCH",
            &format!("{team}/members/usr_0000000000000000000000"),
            json!({"role": "viewer"}),
        ),
        route(
            "member.remove",
            "O",
            "DELETE",
            &format!("{team}/members/usr_0000000000000000000000"),
            none.clone(),
        ),
        route("member.read", "OMCV", "GET", &format!("{team}/invitations"), none.clone()),
        route(
            "member.invite",
            "O",
            "POST",
            &format!("{team}/invitations"),
            json!({"role": "viewer", "expiresInMs": 1}),
        ),
        route(
            "member.invite",
            "O",
            "DELETE",
            &format!("{team}/invitations/inv_0000000000000000000000"),
            none.clone(),
        ),
        route(
            "member.reset-passphrase",
            "O",
            "POST",
            &format!("{team}/members/usr_0000000000000000000000/passphrase-reset"),
            none.clone(),
        ),
        route("invitation.accept", "OMCV", "POST", "/v1/invitations/accept", json!({"invitation": "x"})),
        route("invitation.accept", "OMCV", "POST", "/v1/invitations/show", json!({"invitation": "x"})),
        route("account.read", "O", "GET", "/v1/accounts", none.clone()),
        route(
            "account.disable",
            "O",
            "PATCH",
            "/v1/accounts/usr_0000000000000000000000",
            json!({"disabled": true}),
        ),
        route("managed-app.read", "O", "GET", "/v1/managed-apps", none.clone()),
        route("managed-app.read", "O", "GET", "/v1/managed-apps/nothing", none.clone()),
        route("managed-app.update", "O", "POST", "/v1/managed-apps", json!({"service": "", "data": {}})),
        route("managed-app.update", "O", "PATCH", "/v1/managed-apps/nothing", json!({})),
        route("managed-app.update", "O", "DELETE", "/v1/managed-apps/nothing", none.clone()),
        route("connector.read", "OMCV", "GET", "/v1/connect/connectors", none.clone()),
        route("connector.read", "OMCV", "GET", "/v2/connect/connectors", none.clone()),
        route("connector.read", "OMCV", "GET", &c, none.clone()),
        route("connector.read", "OMCV", "GET", &format!("{c}/projects"), none.clone()),
        route("connector.read", "OMCV", "GET", &format!("{c}/projects/{p}"), none.clone()),
        route("connector.read", "OMCV", "GET", &format!("{c}/installations"), none.clone()),
        route("connector.read", "OMCV", "GET", &format!("{c}/consent-rules"), none.clone()),
        route("connector.read", "OMCV", "GET", &format!("{c}/keys"), none.clone()),
        route(
            "connector.read",
            "OMCV",
            "GET",
            &format!("/v2/connect/connectors/{}/projects", kit.connector),
            none.clone(),
        ),
        route("connector.read", "OMCV", "GET", "/v1/connect/services/slack", none.clone()),
        route("connector.read", "OMCV", "GET", "/v1/connect/services", none.clone()),
        route("connector.create", "OmC", "POST", "/v1/connect/connectors", new.clone()),
        route("connector.create", "OmC", "POST", "/v1/connect/connectors/managed", new),
        route("connector.update", "OmC", "PATCH", gone, json!({})),
        route("connector.update", "OmC", "POST", &format!("{gone}/server"), json!({"digest": "0"})),
        route(
            "connector.update",
            "OmC",
            "PATCH",
            "/v2/connect/connectors/scl_0000000000000000000000",
            json!({}),
        ),
        route("connector.update", "OmC", "POST", &format!("{gone}/managed/eject"), json!({})),
        route(
            "connector.update",
            "OmC",
            "POST",
            &format!("{gone}/contacts"),
            json!({"phoneNumber": "+12025551234"}),
        ),
        route("connector.update", "OmC", "POST", "/v2/files", json!({})),
        route(
            "trigger.update",
            "OMC",
            "PATCH",
            &format!("{gone}/trigger-destinations"),
            json!({"destinations": []}),
        ),
        route("trigger.read", "OMCV", "GET", &format!("{c}/triggers"), none.clone()),
        route("trigger.read", "OMCV", "GET", &format!("{c}/deliveries"), none.clone()),
        route(
            "trigger.read",
            "OMCV",
            "GET",
            &format!("{c}/deliveries/dlv_0000000000000000000000"),
            none.clone(),
        ),
        route(
            "trigger.replay",
            "OMC",
            "POST",
            &format!("{gone}/deliveries/dlv_0000000000000000000000/replay"),
            none.clone(),
        ),
        route("connector.update", "OmC", "PATCH", &format!("{gone}/triggers"), json!({})),
        route("connector.delete", "OmC", "DELETE", gone, none.clone()),
        route("connector.check", "OMC", "GET", &format!("{gone}/server"), none.clone()),
        route("connector.check", "OMC", "POST", &format!("{gone}/check"), none.clone()),
        route("connector-key.rotate", "OmC", "POST", &format!("{gone}/keys"), json!({})),
        route("consent-rules.update", "OmC", "PATCH", &format!("{gone}/consent-rules"), json!({})),
        route("link.update", "OMC", "POST", &format!("{gone}/projects/{p}"), json!({})),
        route("link.update", "OMC", "DELETE", &format!("{gone}/projects/{p}"), none.clone()),
        route(
            "link.update",
            "OMC",
            "DELETE",
            &format!("{gone}/projects/{p}/environments/production"),
            none.clone(),
        ),
        route(
            "link.update",
            "OMC",
            "PUT",
            &format!("{gone}/projects/{p}/redirect-uris"),
            json!({"redirectUris": []}),
        ),
        route("connector.read", "OMCV", "GET", &format!("{c}/projects/{p}/redirect-uris"), none.clone()),
        route("installation.update", "OmC", "POST", &format!("{gone}/installations"), json!({})),
        route(
            "installation.update",
            "OmC",
            "DELETE",
            &format!("{gone}/installations/sci_0000000000000000000000"),
            none.clone(),
        ),
        route(
            "installation.update",
            "OmC",
            "POST",
            &format!("/v1/connect/install/{}", kit.connector),
            json!({}),
        ),
        route("grant.read", "OMCV", "GET", &format!("{c}/grants"), none.clone()),
        route("grant.import", "OmC", "POST", "/v1/connect/token/scl_0000000000000000000000/import", import),
        route("token.app", "OMC", "POST", &format!("/v1/connect/token/{}", kit.connector), app.clone()),
        route("token.own", "OMC", "POST", &format!("/v1/connect/token/{}", kit.connector), own.clone()),
        route("token.own", "OMC", "POST", &format!("/v1/connect/authorize/{}", kit.connector), own.clone()),
        route("token.revoke-own", "OMCV", "DELETE", &format!("{c}/tokens"), own),
        route("token.revoke-all", "OMC", "DELETE", &format!("{c}/tokens"), app),
        route("token.revoke-all", "OMC", "DELETE", &format!("{c}/tokens"), json!({})),
        route(
            "token.revoke-all",
            "OMC",
            "DELETE",
            &format!("{c}/tokens"),
            json!({"subject": {"type": "user", "id": "somebody"}}),
        ),
        route("project.read", "OMCV", "GET", "/v9/projects", none.clone()),
        route("project.read", "OMCV", "GET", &format!("/v2/connect/projects/{p}/connectors"), none.clone()),
        route("project.read", "OMCV", "GET", &format!("/v1/projects/{p}/provisioning"), none.clone()),
        route("project.read", "OMCV", "GET", &format!("/v1/projects/{p}/health-webhook"), none.clone()),
        route(
            "health-webhook.update",
            "OMC",
            "PUT",
            &format!("/v1/projects/{p}/health-webhook"),
            json!({"url": "nowhere"}),
        ),
        route(
            "health-webhook.update",
            "OMC",
            "DELETE",
            &format!("/v1/projects/{p}/health-webhook"),
            none.clone(),
        ),
        route("project.read", "OMCV", "GET", &format!("/v1/projects/{p}/urls"), none.clone()),
        route(
            "project-urls.update",
            "OMC",
            "PUT",
            &format!("/v1/projects/{p}/urls"),
            json!({"urls": [{"environment": "nowhere", "url": "https://app.example"}]}),
        ),
        route(
            "provisioning.update",
            "OmC",
            "PUT",
            &format!("/v1/projects/{p}/provisioning"),
            json!({"environments": ["nowhere"]}),
        ),
        route("project.read", "OMCV", "GET", &format!("/v9/projects/{p}"), none.clone()),
        route("project.read", "OMCV", "GET", &format!("/v9/projects/{p}/custom-environments"), none.clone()),
        route("project.read", "OMCV", "GET", &format!("/projects/{p}/custom-environments"), none.clone()),
        route("project.read", "OMCV", "GET", &format!("/v1/projects/{p}/return-origins"), none.clone()),
        route("project.create", "OMC", "POST", "/v9/projects", json!({"name": "Not A Slug"})),
        route("project.create", "OMC", "POST", "/v1/projects", json!({"name": "Not A Slug"})),
        route("project.delete", "OMC", "DELETE", nowhere, none.clone()),
        route(
            "environment.update",
            "OMC",
            "POST",
            &format!("{nowhere}/custom-environments"),
            json!({"slug": "x"}),
        ),
        route(
            "environment.update",
            "OMC",
            "POST",
            &format!("/projects/{p}/custom-environments"),
            json!({"slug": "Not A Slug"}),
        ),
        route(
            "environment.update",
            "OMC",
            "DELETE",
            &format!("/projects/{p}/custom-environments/x"),
            none.clone(),
        ),
        route(
            "environment.update",
            "OMC",
            "DELETE",
            &format!("/v9/projects/{p}/custom-environments/x"),
            none.clone(),
        ),
        route(
            "return-origins.update",
            "OMC",
            "PUT",
            &format!("/v1/projects/{p}/return-origins"),
            json!({"origins": ["not an origin"]}),
        ),
        route("identity.issue", "OMC", "POST", &format!("/v1/projects/{p}/token"), json!({})),
        route("identity.issue", "OMC", "POST", &format!("/projects/{p}/token"), json!({})),
        route("identity.issue", "OMC", "GET", &format!("/v3/env/pull/{p}/development"), none.clone()),
        route("trusted-issuer.read", "OMCV", "GET", "/v1/trusted-issuers", none.clone()),
        route("trusted-issuer.read", "OMCV", "GET", "/v1/trusted-issuers/families", none.clone()),
        route(
            "trusted-issuer.read",
            "OMCV",
            "GET",
            "/v1/trusted-issuers/iss_0000000000000000000000",
            none.clone(),
        ),
        route("trusted-issuer.update", "O", "POST", "/v1/trusted-issuers", json!({})),
        route(
            "trusted-issuer.update",
            "O",
            "POST",
            "/v1/trusted-issuers/check",
            json!({"trustedIssuer": {}}),
        ),
        route(
            "trusted-issuer.update",
            "O",
            "DELETE",
            "/v1/trusted-issuers/iss_0000000000000000000000",
            none.clone(),
        ),
        route("access-token.read", "OMCV", "GET", "/v2/user", none.clone()),
        route("access-token.read", "OMCV", "GET", "/v1/access-tokens", none.clone()),
        route("access-token.read-all", "O", "GET", "/v1/access-tokens?everybody=true", none.clone()),
        route("access-token.create", "OMCV", "POST", "/v1/access-tokens", json!({"name": ""})),
        route(
            "access-token.revoke",
            "OMCV",
            "DELETE",
            "/v1/access-tokens/atk_0000000000000000000000",
            none.clone(),
        ),
        route("audit.read", "OMCV", "GET", "/v1/audit", none.clone()),
        route("audit.read", "OMCV", "GET", "/v1/audit/verify", none.clone()),
        route("grant.read", "OMCV", "GET", "/v1/connect/standing", none.clone()),
        route("grant.read", "OMCV", "GET", "/v1/connect/grants/grt_0000000000000000000000", none.clone()),
        route(
            "token.revoke-all",
            "OMC",
            "DELETE",
            "/v1/connect/grants/grt_0000000000000000000000",
            none.clone(),
        ),
        route("connector.read", "OMCV", "GET", &format!("{c}/explain?subject=app"), none.clone()),
        route("usage.read", "OMCV", "GET", "/v1/usage", none.clone()),
        route("budget.update", "O", "PUT", "/v1/usage/budget", json!({"requests": 0})),
        route("budget.update", "O", "DELETE", "/v1/usage/budget", none.clone()),
        // No recovery key is named here, which is found out after the right.
        route("secrets.export", "O", "POST", "/v1/export/secrets", json!({"recoveryKey": "age1x"})),
        route("key.read", "O", "GET", "/v1/keys", none.clone()),
        // There is no next provider to begin with.
        route("key.rotate", "O", "POST", "/v1/keys/rotate", json!({"kind": "kek", "step": "begin"})),
        route("key.verify", "O", "POST", "/v1/keys/verify", json!({})),
    ]
}

/// Asks, and says whether it was allowed; a refusal must name the right.
async fn asked(kit: &Kit, who: &str, bearer: &str, route: &Route) -> bool {
    let Route { right, method, path, body, .. } = route;
    let body = Some(body).filter(|body| !body.is_null());
    let answer = kit.node.call(method, path, Some(bearer), body).await;
    assert_ne!(answer.status, 401, "{who}: {method} {path}");
    if answer.status != 403 {
        return true;
    }
    let told = answer.json();
    assert_eq!(told["error"]["right"], *right, "{who}: {method} {path}: {told}");
    false
}

async fn each_role_may_do_what_is_written_down_for_it(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let member = join(&kit, "one", "member").await.token;
    let manager = join(&kit, "two", "connector-manager").await.token;
    let viewer = join(&kit, "three", "viewer").await.token;
    let people = [('O', &kit.tenant.token), ('M', &member), ('C', &manager), ('V', &viewer)];
    let team = format!("/v1/teams/{}", kit.tenant.team);
    for strict in [false, true] {
        let set = kit.manage("PATCH", &team, Some(&json!({"strictConnectors": strict}))).await.ok();
        assert_eq!(set["strictConnectors"], strict);
        for route in routes(&kit) {
            for (letter, bearer) in people {
                let may = route.who.contains(letter) || (letter == 'M' && !strict && route.who.contains('m'));
                let who = format!("{letter}, strict: {strict}");
                assert_eq!(
                    asked(&kit, &who, bearer, &route).await,
                    may,
                    "{who}: {} {}",
                    route.method,
                    route.path
                );
            }
        }
    }
    // Each refusal is on the record.
    let refused = kit.events_of("management.reject").await;
    assert!(
        refused.iter().any(|event| {
            event["detail"]["operation"] == "PATCH /v1/teams/{team}"
                && event["target"] == kit.tenant.team
                && event["detail"]["right"].is_string()
        }),
        "{refused:?}"
    );
}

async fn a_narrow_token_may_do_what_is_written_down_for_it(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let made = async |body: Value| {
        let made = kit.manage("POST", "/v1/access-tokens", Some(&body)).await.ok();
        made["token"].as_str().unwrap().to_owned()
    };
    let reads = made(json!({"name": "reads", "access": "read"})).await;
    let one = made(json!({"name": "one", "projectId": kit.tenant.project, "access": "full"})).await;
    // Where nobody says, it is what is not dangerous.
    let usual = made(json!({"name": "usual"})).await;
    let few = made(json!({"name": "few", "access": ["audit.read", "link.update"]})).await;
    let of_a_project = [
        "team.read",
        "connector.read",
        "token.app",
        "token.own",
        "token.revoke-own",
        "project.read",
        "environment.update",
        "return-origins.update",
        "health-webhook.update",
        "project-urls.update",
        "identity.issue",
        "access-token.read",
        "access-token.create",
        "access-token.revoke",
    ];
    for route in routes(&kit) {
        let looks = route.method == "GET" && !["connector.check", "identity.issue"].contains(&route.right);
        for (who, bearer, may) in [
            ("reads", &reads, looks),
            ("one project", &one, of_a_project.contains(&route.right)),
            ("few", &few, ["audit.read", "link.update"].contains(&route.right)),
            ("usual", &usual, !Right::parse(route.right).unwrap().is_dangerous()),
        ] {
            assert_eq!(asked(&kit, who, bearer, &route).await, may, "{who}: {} {}", route.method, route.path);
        }
    }
}

/// A new route does not slip by.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_table_has_every_route_for_people() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let served = carnet_api::routes().into_iter().filter(|route| matches!(route.callers, Callers::Person));
    let table = routes(&kit);
    let is = |pattern: &str, path: &str| {
        let (pattern, path) = (pattern.split('/'), path.split('?').next().unwrap().split('/'));
        pattern.clone().count() == path.clone().count()
            && pattern.zip(path).all(|(want, have)| want.starts_with('{') || want == have)
    };
    for route in served {
        let known = table.iter().any(|row| row.method == route.method.as_str() && is(route.path, &row.path));
        assert!(known, "{} {} is not in the table", route.method, route.path);
    }
}
