//! Connectors from an application that the operator registered: teams use it side by side, see nothing of each other
//! and nothing of its secrets, and the operator has the last word.

mod pages;
mod registry;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use carnet_engine::ManagedService;
use carnet_model::Id;
use carnet_model::connector::ConnectorType;
use carnet_testkit::{Answer, Browser, Engine, Kit, Plan, Tenant, on_both_engines};
use serde_json::{Map, Value, json};
use url::Url;

use crate::installations::pem;
use crate::servers::peer::Peer;
use crate::{anew, of};

on_both_engines!(
    two_teams_share_an_application_and_nothing_else,
    the_operator_says_who_may_use_an_application_and_with_which_secret,
    an_application_of_a_provider_has_one_callback_and_no_installation_by_number,
    no_team_says_where_the_secret_of_an_application_is_sent,
);

const MANAGED: &str = "/v1/connect/connectors/managed";

fn app(data: Map<String, Value>) -> ManagedService {
    ManagedService {
        r#type: ConnectorType::Oauth,
        method: None,
        params: BTreeMap::new(),
        data,
        teams: None,
        goes_along: false,
        one_callback: false,
    }
}

/// A broker whose operator has this application for `demo`.
async fn start(engine: Engine, change: impl FnOnce(&mut ManagedService)) -> Kit {
    let mut kit = Kit::start(engine, Plan::default()).await;
    offer(&mut kit, change).await;
    kit
}

async fn offer(kit: &mut Kit, change: impl FnOnce(&mut ManagedService)) {
    let mut app = app(kit.data());
    change(&mut app);
    kit.set_managed(BTreeMap::from([("demo".to_owned(), app)]));
    kit.restart(async |_| {}).await;
}

async fn create(kit: &Kit, tenant: &Tenant, name: &str) -> Answer {
    let body = json!({"service": "demo", "name": name, "projectId": tenant.project, "request_code": name});
    kit.node.call("POST", MANAGED, Some(&tenant.token), Some(&body)).await
}

async fn made(kit: &Kit, tenant: &Tenant, name: &str) -> String {
    let answer = create(kit, tenant, name).await;
    assert!(!answer.text().contains(&kit.plan.client_secret), "{}", answer.text());
    let made = answer.ok();
    assert_eq!((&made["creationMode"], &made["managed"]), (&json!("managed"), &json!({})));
    made["id"].as_str().unwrap().to_owned()
}

async fn consents(kit: &Kit, tenant: &Tenant, connector: &str, user: &str, person: &str) {
    let path = format!("/v1/connect/authorize/{connector}");
    let bearer = kit.workload_of(tenant, "production");
    let started = kit.node.call("POST", &path, Some(&bearer), Some(&of(user))).await.ok();
    Browser::default().consent(started["url"].as_str().unwrap(), person).await;
}

async fn asks(kit: &Kit, tenant: &Tenant, connector: &str, body: &Value) -> Answer {
    kit.node.token(&kit.workload_of(tenant, "production"), connector, body).await
}

async fn two_teams_share_an_application_and_nothing_else(engine: Engine) {
    let kit = start(engine, |_| {}).await;
    let ours = kit.tenant.clone();
    let theirs = kit.another_tenant("globex").await;
    let (a, b) = (made(&kit, &ours, "shared").await, made(&kit, &theirs, "shared").await);
    consents(&kit, &ours, &a, "alice", "ada").await;
    let first = asks(&kit, &ours, &a, &of("alice")).await.token();

    // The same user of the same application is nobody in the other team, and neither is its connector.
    assert_eq!(
        asks(&kit, &theirs, &b, &of("alice")).await.refusal(),
        (422, "user_authorization_required".to_owned())
    );
    for (method, path) in [
        ("GET", format!("/v1/connect/connectors/{a}")),
        ("GET", format!("/v1/connect/connectors/{a}/grants")),
        ("POST", format!("/v1/connect/connectors/{a}/check")),
        ("DELETE", format!("/v1/connect/connectors/{a}/tokens")),
    ] {
        let body = (method == "DELETE").then(|| json!({}));
        let refused = kit.node.call(method, &path, Some(&theirs.token), body.as_ref()).await;
        assert_eq!(refused.refusal(), (404, "not_found".to_owned()), "{method} {path}");
    }
    assert_eq!(asks(&kit, &theirs, &a, &of("alice")).await.refusal(), (404, "not_found".to_owned()));
    let grants = format!("/v1/connect/connectors/{b}/grants");
    let seen = kit.node.call("GET", &grants, Some(&theirs.token), None).await.ok();
    assert_eq!(seen["grants"], json!([]));
    consents(&kit, &theirs, &b, "alice", "grace").await;
    assert_ne!(asks(&kit, &theirs, &b, &of("alice")).await.token(), first);

    // Its configuration is the operator's: no part of it is a team's to change, or to point elsewhere.
    let path = format!("/v1/connect/connectors/{b}");
    for data in [
        json!({"serverUrl": "https://evil.example"}),
        json!({"clientSecret": "x"}),
        json!({"clientCredentials": {"enabled": true, "scopes": ["messages:write"]}}),
    ] {
        let refused = kit.node.call("PATCH", &path, Some(&theirs.token), Some(&json!({"data": data}))).await;
        assert_eq!(refused.refusal(), (422, "invalid_connector".to_owned()), "{data}");
    }
    let renamed =
        kit.node.call("PATCH", &path, Some(&theirs.token), Some(&json!({"name": "Ours"}))).await.ok();
    assert_eq!((&renamed["name"], &renamed["creationMode"]), (&json!("Ours"), &json!("managed")));
    asks(&kit, &theirs, &b, &anew("alice")).await.token();

    // One that goes its own way takes nothing of the operator's along, and the other notices nothing.
    let eject = format!("{path}/managed/eject");
    let refused = kit.node.call("POST", &eject, Some(&theirs.token), Some(&json!({}))).await;
    assert_eq!(refused.refusal(), (422, "invalid_connector".to_owned()), "{}", refused.text());
    let data = json!({"clientId": "globex-own", "clientSecret": "globex-own-secret"});
    let renewed = kit.provider.requests("refresh_token");
    let ejected = kit.node.call("POST", &eject, Some(&theirs.token), Some(&json!({"data": data}))).await.ok();
    // What was granted to the operator's client is not presented as this one, and whoever did it is told.
    assert_eq!(ejected["grantsEnded"], 1, "{ejected}");
    assert_eq!(ejected["serviceSync"]["status"], "required", "{ejected}");
    let told = ejected["serviceSync"]["errors"].to_string();
    assert!(told.contains("reauthorization is required"), "{told}");
    for body in [&of("alice"), &anew("alice")] {
        let refused = asks(&kit, &theirs, &b, body).await;
        assert_eq!(refused.refusal(), (422, "user_authorization_required".to_owned()), "{}", refused.text());
        assert_eq!(refused.json()["error"]["cause"], "client_changed");
    }
    assert_eq!(kit.provider.requests("refresh_token"), renewed, "the old refresh token goes nowhere");
    assert_eq!(
        (&ejected["creationMode"], &ejected["data"]["clientId"]),
        (&json!("manual"), &json!("globex-own"))
    );
    assert_eq!(ejected["data"]["serverUrl"], kit.provider.issuer());
    let app = json!({"subject": {"type": "app"}});
    let refused = asks(&kit, &theirs, &b, &app).await;
    assert_eq!(
        refused.json()["error"]["code"],
        "connector_credentials_rejected",
        "it is a client of its own now"
    );
    asks(&kit, &ours, &a, &anew("alice")).await.token();
    asks(&kit, &ours, &a, &app).await.token();
    let again = kit.node.call("POST", &eject, Some(&theirs.token), Some(&json!({}))).await;
    assert_eq!(again.refusal(), (409, "conflict".to_owned()));
    for event in kit.events().await {
        assert!(!event.to_string().contains(&kit.plan.client_secret), "{event}");
    }
}

async fn the_operator_says_who_may_use_an_application_and_with_which_secret(engine: Engine) {
    let mut kit = start(engine, |app| app.goes_along = true).await;
    let ours = kit.tenant.clone();
    let theirs = kit.another_tenant("globex").await;
    let (a, b) = (made(&kit, &ours, "shared").await, made(&kit, &theirs, "shared").await);
    let app = json!({"subject": {"type": "app"}});
    consents(&kit, &ours, &a, "alice", "ada").await;
    consents(&kit, &theirs, &b, "bob", "grace").await;
    let managed_for = async |kit: &Kit, tenant: &Tenant| {
        let told = kit.node.call("GET", "/v1/connect/services/demo", Some(&tenant.token), None).await.ok();
        let ways = told["connectionMethods"].as_array().unwrap().clone();
        ways.iter().any(|way| way["create"]["managed"] == true)
    };
    assert!(managed_for(&kit, &theirs).await);

    // Only one team from now on: the other has nothing by it any more, nor a new one, and its grants are kept.
    let only = Id::parse(&ours.team).unwrap();
    offer(&mut kit, |app| app.teams = Some(BTreeSet::from([only]))).await;
    asks(&kit, &ours, &a, &of("alice")).await.token();
    for body in [&of("bob"), &app] {
        let refused = asks(&kit, &theirs, &b, body).await;
        assert_eq!(refused.refusal(), (403, "forbidden".to_owned()));
        assert_eq!(refused.json()["error"]["reason"], "managed_app_withdrawn");
    }
    let explain = format!("/v1/connect/connectors/{b}/explain?subject=app");
    let told = kit.node.call("GET", &explain, Some(&kit.workload_of(&theirs, "production")), None).await.ok();
    assert_eq!((&told["allowed"], &told["decidedBy"]), (&json!(false), &json!("managed-app")), "{told}");
    assert!(managed_for(&kit, &ours).await && !managed_for(&kit, &theirs).await);
    assert_eq!(create(&kit, &theirs, "another").await.refusal(), (422, "invalid_connector".to_owned()));
    let eject = format!("/v1/connect/connectors/{b}/managed/eject");
    let refused = kit.node.call("POST", &eject, Some(&theirs.token), Some(&json!({}))).await;
    assert_eq!(refused.refusal(), (403, "forbidden".to_owned()), "it does not leave by the back door");

    // The secret is what the operator says now: there is no other copy.
    offer(&mut kit, |app| {
        app.data.insert("clientSecret".to_owned(), "not-the-secret".into());
    })
    .await;
    let refused = asks(&kit, &ours, &a, &app).await;
    assert_eq!(refused.json()["error"]["code"], "connector_credentials_rejected", "{}", refused.text());
    offer(&mut kit, |_| {}).await;
    asks(&kit, &ours, &a, &app).await.token();
    kit.clock.pass(Duration::from_hours(2));
    asks(&kit, &ours, &a, &of("alice")).await.token();
    asks(&kit, &theirs, &b, &of("bob")).await.token();

    // Another application in its place is not silently the one that people consented to.
    offer(&mut kit, |app| {
        app.data.insert("clientId".to_owned(), "another".into());
    })
    .await;
    let refused = asks(&kit, &ours, &a, &of("alice")).await;
    assert_eq!(refused.json()["error"]["reason"], "managed_app_withdrawn");

    // Where the operator lets go of it, a team takes it along, and what was granted works on.
    offer(&mut kit, |app| app.goes_along = true).await;
    let eject = format!("/v1/connect/connectors/{a}/managed/eject");
    let ejected = kit.manage("POST", &eject, Some(&json!({}))).await;
    assert!(!ejected.text().contains(&kit.plan.client_secret));
    assert_eq!(ejected.ok()["creationMode"], "manual");
    kit.set_managed(BTreeMap::new());
    kit.restart(async |_| {}).await;
    asks(&kit, &ours, &a, &anew("alice")).await.token();
}

async fn an_application_of_a_provider_has_one_callback_and_no_installation_by_number(engine: Engine) {
    let github = Peer::start();
    let origins = ["https://github.com", "https://api.github.com"].map(|origin| (origin, github.url.clone()));
    let data = json!({"appId": 4242, "privateKeyPem": pem(), "clientSecret": "client-s3cret"});
    let app = ManagedService {
        r#type: ConnectorType::Github,
        one_callback: true,
        ..app(data.as_object().unwrap().clone())
    };
    let managed = BTreeMap::from([("github".to_owned(), app)]);
    let kit = Kit::start(engine, Plan { origins: origins.to_vec(), managed, ..Plan::default() }).await;
    github.now(
        "/app",
        200,
        json!({"id": 4242, "slug": "broker", "client_id": "Iv1.broker", "name": "Broker"}),
    );
    github.now(
        "/login/oauth/access_token",
        200,
        json!({"access_token": "ghu_1", "token_type": "bearer", "scope": ""}),
    );
    github.now("/applications/Iv1.broker/token", 204, json!({}));
    let listed = json!({"total_count": 1, "installations": [{"id": 100, "app_id": 4242, "account": {"id": 7, "login": "acme"}}]});
    github.now("/user/installations", 200, listed);
    github.now("/app/installations/100", 200, json!({"id": 100, "account": {"id": 7, "login": "acme"}}));
    let body = json!({"service": "github", "name": "bot", "connectionMethod": "app", "projectId": kit.tenant.project});
    let answer = kit.manage("POST", MANAGED, Some(&body)).await;
    assert!(!answer.text().contains("s3cret") && !answer.text().contains("PRIVATE KEY"), "{}", answer.text());
    let made = answer.ok();
    let (id, callback) = (made["id"].as_str().unwrap(), format!("{}/callback/github", kit.url()));
    assert_eq!((&made["redirectUri"], &made["type"]), (&json!(callback), &json!("github")));

    // A number in a request proves nothing: the application knows the tenants of every team.
    let installations = format!("/v1/connect/connectors/{id}/installations");
    let refused = kit.manage("POST", &installations, Some(&json!({"externalId": "100"}))).await;
    assert_eq!(refused.refusal(), (403, "forbidden".to_owned()));

    let installed = async |to: &str| {
        let started = kit.manage("POST", &format!("/v1/connect/install/{id}"), Some(&json!({}))).await.ok();
        let mut browser = Browser::default();
        let away = Url::parse(&browser.leave(started["url"].as_str().unwrap()).await).unwrap();
        let state = away.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let back = format!("{}{to}?state={state}&code=c&installation_id=100&setup_action=install", kit.url());
        browser.come_back(&back).await.text().contains("is installed in")
    };
    for elsewhere in ["/callback", "/callback/slack", "/callback/scl_0000000000000000000000"] {
        assert!(!installed(elsewhere).await, "{elsewhere}");
    }
    // It was there before, and GitHub does not say that whoever came decides about it.
    assert!(!installed("/callback/github").await);
    let membership = json!({"role": "admin", "state": "active", "organization": {"id": 7, "login": "acme"}});
    github.now("/user/memberships/orgs/acme", 200, membership);
    assert!(installed("/callback/github").await);
    let listed = kit.manage("GET", &installations, None).await.ok();
    assert_eq!(listed["installations"][0]["externalId"], "100");

    // With an application of the team's own, that one has to be installed, and whoever ejects is told so.
    github.now("/app", 200, json!({"id": 4343, "slug": "own", "client_id": "Iv1.own", "name": "Own"}));
    let own = json!({"appId": 4343, "privateKeyPem": pem(), "clientSecret": "own-s3cret"});
    let eject = format!("/v1/connect/connectors/{id}/managed/eject");
    let ejected = kit.manage("POST", &eject, Some(&json!({"data": own}))).await.ok();
    assert_eq!((&ejected["reinstallNeeded"], &ejected["creationMode"]), (&json!(true), &json!("manual")));
    assert!(ejected["serviceSync"]["errors"].to_string().contains("--subject app --yes"), "{ejected}");
    for path in ["/app/installations/100", "/app/installations/100/access_tokens"] {
        github.now(path, 404, json!({"message": "Not Found"}));
    }
    // The installation is the operator's application's, and says so; nobody is asked about it as this one.
    github.seen("/app/installations/100/access_tokens");
    let listed = kit.manage("GET", &installations, None).await.ok();
    let ended = &listed["installations"][0];
    assert!(ended["externalId"] == "100" && ended["endedAt"].is_i64(), "{listed}");
    let shown = kit.manage("GET", &format!("/v1/connect/connectors/{id}"), None).await.ok();
    assert_eq!(shown.get("defaultInstallationId"), None, "{shown}");
    for more in [json!({}), json!({"installationId": "100"}), json!({"installationId": ended["id"]})] {
        let mut app = json!({"subject": {"type": "app"}});
        app.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let refused = kit.node.token(&kit.workload("production"), id, &app).await;
        assert_eq!(refused.refusal(), (422, "client_installation_required".to_owned()), "{app}");
        assert_eq!(refused.json()["error"]["cause"], "client_changed", "{}", refused.text());
    }
    assert!(github.seen("/app/installations/100/access_tokens").is_empty());
    let told = kit.events_of("connector.eject").await;
    assert_eq!(told[0]["detail"]["installationsEnded"], 1, "{told:?}");
    // Installed anew it is the same row again, and the default.
    github.now("/app/installations/100", 200, json!({"id": 100, "account": {"id": 7, "login": "acme"}}));
    let again = kit.manage("POST", &installations, Some(&json!({"externalId": "100"}))).await.ok();
    assert_eq!((&again["id"], again.get("endedAt")), (&ended["id"], None), "{again}");
    let shown = kit.manage("GET", &format!("/v1/connect/connectors/{id}"), None).await.ok();
    assert_eq!(shown["defaultInstallationId"], again["id"]);
}

async fn no_team_says_where_the_secret_of_an_application_is_sent(engine: Engine) {
    let data = json!({"clientId": "of-the-operator", "clientSecret": "operator-s3cret"});
    let data = data.as_object().unwrap().clone();
    let gitlab = ManagedService { method: Some("oauth".to_owned()), one_callback: true, ..app(data.clone()) };
    let own = BTreeMap::from([("subdomain".to_owned(), "acme".to_owned())]);
    let zendesk = ManagedService { params: own, ..gitlab.clone() };
    let managed = BTreeMap::from([("gitlab".to_owned(), gitlab), ("zendesk".to_owned(), zendesk)]);
    // No secret of a test is tried at its service.
    let origins = ["https://gitlab.com", "https://acme.zendesk.com"];
    let origins = origins.map(|origin| (origin, "http://127.0.0.1:9".to_owned())).to_vec();
    let kit = Kit::start(engine, Plan { managed, origins, ..Plan::default() }).await;
    let create = async |service: &str, name: &str, params: Value| {
        let body =
            json!({"service": service, "name": name, "projectId": kit.tenant.project, "params": params});
        kit.manage("POST", MANAGED, Some(&body)).await
    };
    // Anybody runs a GitLab: which one is meant is said by whoever registered the application there.
    let refused = create("gitlab", "theirs", json!({"host": "evil.example"})).await;
    assert_eq!(refused.refusal(), (422, "invalid_connector".to_owned()), "{}", refused.text());
    assert_eq!(refused.json()["error"]["field"], "params.host");
    let made = create("gitlab", "ours", json!({})).await.ok();
    let gitlab = made["id"].as_str().unwrap().to_owned();
    assert_eq!(made["data"]["serverConfig"]["token_endpoint"], "https://gitlab.com/oauth/token");
    // What the operator has filled in stays so, wherever else it could lead.
    let refused = create("zendesk", "theirs", json!({"subdomain": "evil"})).await;
    assert_eq!(refused.json()["error"]["field"], "params.subdomain", "{}", refused.text());
    let made = create("zendesk", "ours", json!({"subdomain": "acme"})).await.ok();
    let token = made["data"]["serverConfig"]["token_endpoint"].as_str().unwrap();
    assert!(token.starts_with("https://acme.zendesk.com/"), "{token}");
    for event in kit.events().await {
        assert!(!event.to_string().contains("operator-s3cret"), "{event}");
    }
    // The same name of a client at another server is another application: its secret does not go where the first one is.
    let zendesk = made["id"].as_str().unwrap().to_owned();
    let mut kit = kit;
    for (host, subdomain, reason) in
        [("git.acme.example", "globex", json!("managed_app_withdrawn")), ("gitlab.com", "acme", Value::Null)]
    {
        let at = |name: &str, value: &str| ManagedService {
            method: Some("oauth".to_owned()),
            one_callback: true,
            params: BTreeMap::from([(name.to_owned(), value.to_owned())]),
            ..app(data.clone())
        };
        kit.set_managed(BTreeMap::from([
            ("gitlab".to_owned(), at("host", host)),
            ("zendesk".to_owned(), at("subdomain", subdomain)),
        ]));
        kit.restart(async |_| {}).await;
        for connector in [&gitlab, &zendesk] {
            let answer = asks(&kit, &kit.tenant, connector, &of("alice")).await.json();
            assert_eq!(answer["error"]["reason"], reason, "{host}: {answer}");
        }
    }
}
