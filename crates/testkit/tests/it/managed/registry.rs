//! The operator registers, changes and removes applications while the server runs. The operator is an owner of the first
//! team, and of no other.

use carnet_testkit::{Engine, Kit, Plan, Raw, Tenant, eventually, on_both_engines};
use serde_json::{Value, json};

use super::{asks, create, made, offer};
use crate::of;

on_both_engines!(
    an_application_is_registered_turned_and_removed_without_a_restart,
    where_a_secret_goes_is_not_changed_around_it,
    what_the_configuration_names_is_shown_and_changed_there,
    the_operator_says_for_whom_and_whether_it_goes_along,
    the_operator_says_at_which_server_the_application_is,
);

const APPS: &str = "/v1/managed-apps";
const DEMO: &str = "/v1/managed-apps/demo";

/// A token of the application that is made anew.
fn of_the_app() -> Value {
    json!({"subject": {"type": "app"}, "validityBufferMs": 86_400_000})
}

async fn register(kit: &Kit, more: Value) -> Value {
    let mut body = json!({"service": "demo", "data": kit.data()});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = kit.manage("POST", APPS, Some(&body)).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert!(!made.text().contains(&kit.plan.client_secret), "{}", made.text());
    made.ok()
}

async fn events_of(kit: &Kit, tenant: &Tenant, action: &str) -> Vec<Value> {
    let all = kit.node.call("GET", "/v1/audit?limit=1000", Some(&tenant.token), None).await.ok();
    let all = all["events"].as_array().unwrap().clone();
    all.into_iter().filter(|event| event["action"] == action).collect()
}

async fn an_application_is_registered_turned_and_removed_without_a_restart(engine: Engine) {
    let is_shared = matches!(engine, Engine::Postgres(_));
    let kit = Kit::start(engine, Plan::default()).await;
    let ours = kit.tenant.clone();
    let theirs = kit.another_tenant("globex").await;
    assert_eq!(create(&kit, &theirs, "early").await.refusal(), (422, "invalid_connector".to_owned()));
    let registered = register(&kit, json!({})).await;
    assert_eq!(
        (&registered["source"], &registered["type"], &registered["teams"], &registered["connectors"]),
        (&json!("server"), &json!("oauth"), &Value::Null, &json!(0))
    );
    assert_eq!(registered["encryptedFields"], json!(["clientSecret"]));
    assert_eq!(registered["data"]["clientId"], Kit::CLIENT);
    assert_eq!(registered["redirectUri"], format!("{}/callback/demo", kit.url()));
    let again = kit.manage("POST", APPS, Some(&json!({"service": "demo", "data": kit.data()}))).await;
    assert_eq!(again.refusal(), (409, "conflict".to_owned()));

    // Two teams use it, and neither has its secret.
    let (a, b) = (made(&kit, &ours, "shared").await, made(&kit, &theirs, "shared").await);
    asks(&kit, &ours, &a, &of_the_app()).await.token();
    asks(&kit, &theirs, &b, &of_the_app()).await.token();
    for path in [APPS, DEMO, "/v1/connect/connectors"] {
        let shown = kit.manage("GET", path, None).await;
        assert!(!shown.text().contains(&kit.plan.client_secret), "{}", shown.text());
        shown.ok();
    }
    assert_eq!(kit.manage("GET", DEMO, None).await.ok()["connectors"], 2);
    let refused = [
        ("GET", APPS, None),
        ("GET", DEMO, None),
        ("POST", APPS, Some(json!({"service": "x", "data": kit.data()}))),
        ("PATCH", DEMO, Some(json!({"goesAlong": true}))),
        ("DELETE", DEMO, None),
    ];
    for (method, path, body) in refused {
        let answer = kit.node.call(method, path, Some(&theirs.token), body.as_ref()).await;
        assert_eq!(answer.refusal(), (403, "forbidden".to_owned()), "{method} {path}");
    }

    // Another secret is another secret for everybody at once, on every node, and a wrong one is not held against the
    // right one after it.
    let second = if is_shared { Some(kit.second_node().await) } else { None };
    // Nothing is handed out there by what was taken away here. What was put right is noticed within a second.
    let elsewhere = async |wanted: bool| {
        let Some(node) = &second else { return };
        let identity = kit.workload_of(&theirs, "production");
        let asked = async || node.token(&identity, &b, &of_the_app()).await;
        if wanted {
            eventually("the other node has it", async || (asked().await.status == 200).then_some(())).await;
        } else {
            let answer = asked().await;
            assert_ne!(answer.status, 200, "{}", answer.text());
        }
    };
    elsewhere(true).await;
    let turn = async |secret: &str| {
        kit.manage("PATCH", DEMO, Some(&json!({"data": {"clientSecret": secret}}))).await.ok()
    };
    turn("not-the-secret").await;
    for _ in 0..6 {
        let refused = asks(&kit, &ours, &a, &of_the_app()).await;
        assert_eq!(refused.json()["error"]["code"], "connector_credentials_rejected", "{}", refused.text());
    }
    elsewhere(false).await;
    turn(&kit.plan.client_secret).await;
    asks(&kit, &ours, &a, &of_the_app()).await.token();
    asks(&kit, &theirs, &b, &of_the_app()).await.token();
    elsewhere(true).await;

    // Nobody removes it from under its connectors without a word about how many there are.
    let refused = kit.manage("DELETE", DEMO, None).await;
    assert_eq!(refused.refusal(), (409, "conflict".to_owned()));
    assert_eq!(refused.json()["error"]["connectors"], 2);
    asks(&kit, &theirs, &b, &of_the_app()).await.token();
    let removed = kit.manage("DELETE", &format!("{DEMO}?force=true"), None).await.ok();
    assert_eq!(removed, json!({"service": "demo", "connectors": 2}));
    for (tenant, connector) in [(&ours, &a), (&theirs, &b)] {
        let refused = asks(&kit, tenant, connector, &of_the_app()).await;
        assert_eq!(refused.refusal(), (403, "forbidden".to_owned()));
        assert_eq!(refused.json()["error"]["reason"], "managed_app_withdrawn");
        // Whoever looks after it is told the same, and not that something broke inside.
        for (method, path) in [("GET", "server"), ("POST", "check")] {
            let path = format!("/v1/connect/connectors/{connector}/{path}");
            let refused = kit.node.call(method, &path, Some(&tenant.token), None).await;
            assert_eq!(refused.refusal(), (403, "forbidden".to_owned()), "{path}");
            assert_eq!(refused.json()["error"]["reason"], "managed_app_withdrawn", "{path}");
        }
    }
    elsewhere(false).await;
    assert_eq!(kit.manage("GET", DEMO, None).await.refusal(), (404, "not_found".to_owned()));
    assert_eq!(create(&kit, &ours, "late").await.refusal(), (422, "invalid_connector".to_owned()));
    register(&kit, json!({})).await;
    asks(&kit, &theirs, &b, &of_the_app()).await.token();

    // It is in the log of the operator and, as far as it is about them, of the teams that use it.
    for (action, here, there) in
        [("managed-app.create", 2, 0), ("managed-app.update", 2, 2), ("managed-app.delete", 1, 1)]
    {
        let mine = events_of(&kit, &ours, action).await;
        let told = events_of(&kit, &theirs, action).await;
        assert_eq!((mine.len(), told.len()), (here, there), "{action}");
        assert!(mine.iter().all(|event| event["target"] == "demo"), "{mine:?}");
        assert!(told.iter().all(|event| event["detail"].get("connectors").is_none()), "{told:?}");
        for event in mine.iter().chain(&told) {
            let said = event.to_string();
            assert!(!said.contains(&kit.plan.client_secret) && !said.contains("not-the-secret"), "{said}");
        }
    }
    let raw = kit.raw().await;
    let number = "select count(*) from managed_apps where data like '%provider-client-secret%'";
    assert_eq!(raw.number(number).await, 0);
    if let Raw::Sqlite(_) = raw {
        let everywhere = "select count(*) from connectors where data like '%provider-client-secret%'";
        assert_eq!(raw.number(everywhere).await, 0);
    }
}

async fn where_a_secret_goes_is_not_changed_around_it(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let secret = kit.plan.client_secret.clone();
    let elsewhere = json!({"serverConfig": {
        "issuer": "https://evil.example", "token_endpoint": "https://evil.example/token"}, "serverUrl": null});
    let refused_with = async |method: &str, path: &str, body: Value, status: u16, field: &str| {
        let answer = kit.manage(method, path, Some(&body)).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(!answer.text().contains(&secret), "{}", answer.text());
        assert_eq!(answer.json()["error"]["field"], field, "{}", answer.text());
    };
    let with = |data: Value, more: Value| {
        let mut whole = kit.data();
        whole.extend(data.as_object().unwrap().clone());
        let mut body = json!({"service": "demo", "data": whole});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (body, status, field) in [
        (with(json!({"client_secret": secret}), json!({})), 422, "data.client_secret"),
        (with(json!({"clientId": null}), json!({})), 422, "data.clientId"),
        (with(json!({"initialAccessToken": "x"}), json!({})), 422, "data.initialAccessToken"),
        (with(json!({"serverUrl": "http://10.0.0.1/"}), json!({})), 422, "data.serverUrl"),
        (with(json!({}), json!({"teams": ["nobody-knows"]})), 400, "teams"),
        (with(json!({}), json!({"type": "fax"})), 400, "type"),
        (with(json!({}), json!({"service": "Demo/x"})), 400, "service"),
        (with(json!({}), json!({"connectionMethod": "smoke"})), 400, "connectionMethod"),
    ] {
        refused_with("POST", APPS, body, status, field).await;
    }
    register(&kit, json!({})).await;
    let ours = kit.tenant.clone();
    let connector = made(&kit, &ours, "shared").await;

    // Not to another server with the secret that is kept here.
    refused_with("PATCH", DEMO, json!({"data": elsewhere}), 422, "data.clientSecret").await;
    refused_with("PATCH", DEMO, json!({"data": {"client_secret": "x"}}), 422, "data.client_secret").await;
    asks(&kit, &ours, &connector, &of_the_app()).await.token();
    // Another client in its place is another application.
    let other = json!({"data": {"clientId": "another", "clientSecret": "another-secret"}});
    let refused = kit.manage("PATCH", DEMO, Some(&other)).await;
    assert_eq!(
        (refused.refusal(), &refused.json()["error"]["connectors"]),
        ((409, "conflict".to_owned()), &json!(1))
    );
    let mut forced = other;
    forced["force"] = true.into();
    kit.manage("PATCH", DEMO, Some(&forced)).await.ok();
    let refused = asks(&kit, &ours, &connector, &of_the_app()).await;
    assert_eq!(refused.json()["error"]["reason"], "managed_app_withdrawn");
    let missing = kit.manage("PATCH", &format!("{APPS}/nothing"), Some(&json!({"goesAlong": true}))).await;
    assert_eq!(missing.refusal(), (404, "not_found".to_owned()));
}

async fn what_the_configuration_names_is_shown_and_changed_there(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    register(&kit, json!({})).await;
    offer(&mut kit, |app| app.data.insert("clientSecret".to_owned(), "of-the-file".into()).map_or((), drop))
        .await;
    let listed = kit.manage("GET", APPS, None).await;
    assert!(!listed.text().contains("of-the-file") && !listed.text().contains(&kit.plan.client_secret));
    let listed = listed.ok()["managedApps"].as_array().unwrap().clone();
    let told: Vec<_> = listed.iter().map(|app| (&app["source"], app.get("overridden"))).collect();
    assert_eq!(told, [(&json!("configuration"), None), (&json!("server"), Some(&json!(true)))]);
    let shown = kit.manage("GET", DEMO, None).await.ok();
    assert_eq!(
        (&shown["source"], &shown["encryptedFields"]),
        (&json!("configuration"), &json!(["clientSecret"]))
    );
    let again = kit.manage("POST", APPS, Some(&json!({"service": "demo", "data": kit.data()}))).await;
    assert_eq!(again.refusal(), (409, "conflict".to_owned()));
    // The other one goes without a word, because nothing is made from it; then there is nothing to change here.
    let ours = kit.tenant.clone();
    let connector = made(&kit, &ours, "of-the-file").await;
    let removed = kit.manage("DELETE", DEMO, None).await.ok();
    assert_eq!(removed["connectors"], 1);
    for (method, body) in [("PATCH", Some(json!({"goesAlong": true}))), ("DELETE", None)] {
        let refused = kit.manage(method, DEMO, body.as_ref()).await;
        assert_eq!(refused.refusal(), (409, "conflict".to_owned()), "{method}");
        assert!(refused.text().contains("[[managed]]"), "{}", refused.text());
    }
    let refused = asks(&kit, &ours, &connector, &of_the_app()).await;
    assert_eq!(refused.json()["error"]["code"], "connector_credentials_rejected", "{}", refused.text());
}

async fn the_operator_says_for_whom_and_whether_it_goes_along(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let ours = kit.tenant.clone();
    let theirs = kit.another_tenant("globex").await;
    register(&kit, json!({"teams": [theirs.slug]})).await;
    let shown = kit.manage("GET", DEMO, None).await.ok();
    assert_eq!(shown["teams"], json!([theirs.team]), "a short name is read once");
    assert_eq!(create(&kit, &ours, "shared").await.refusal(), (422, "invalid_connector".to_owned()));
    let connector = made(&kit, &theirs, "shared").await;
    asks(&kit, &theirs, &connector, &of_the_app()).await.token();
    let patch = async |body: Value| kit.manage("PATCH", DEMO, Some(&body)).await.ok();
    patch(json!({"teams": [ours.team]})).await;
    let refused = asks(&kit, &theirs, &connector, &of_the_app()).await;
    assert_eq!(refused.json()["error"]["reason"], "managed_app_withdrawn");
    patch(json!({"teams": null})).await;
    asks(&kit, &theirs, &connector, &of_the_app()).await.token();

    // It stays the operator's until the operator lets go of it, and then outlives the application here.
    let eject = format!("/v1/connect/connectors/{connector}/managed/eject");
    let ejects = async || kit.node.call("POST", &eject, Some(&theirs.token), Some(&json!({}))).await;
    assert_eq!(ejects().await.refusal(), (422, "invalid_connector".to_owned()));
    patch(json!({"goesAlong": true})).await;
    let ejected = ejects().await;
    assert!(!ejected.text().contains(&kit.plan.client_secret), "{}", ejected.text());
    assert_eq!(ejected.ok()["creationMode"], "manual");
    assert_eq!(kit.manage("DELETE", DEMO, None).await.ok()["connectors"], 0);
    asks(&kit, &theirs, &connector, &of_the_app()).await.token();
}

async fn the_operator_says_at_which_server_the_application_is(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let path = format!("{APPS}/gitlab");
    let secret = json!({"clientId": "of-the-operator", "clientSecret": "operator-s3cret"});
    let with = |params: Value| json!({"service": "gitlab", "connectionMethod": "oauth", "data": secret, "params": params});
    for params in [json!({"subdomain": "acme"}), json!({"host": "evil.example/x"}), json!({"host": ""})] {
        let refused = kit.manage("POST", APPS, Some(&with(params.clone()))).await;
        assert_eq!(refused.refusal(), (400, "invalid_request".to_owned()), "{params}");
        assert_eq!(refused.json()["error"]["field"], "params", "{params}");
    }
    let made = kit.manage("POST", APPS, Some(&with(json!({"host": "git.acme.example"})))).await.ok();
    assert_eq!(made["params"], json!({"host": "git.acme.example"}));

    let create = async |name: &str, params: Value| {
        let body =
            json!({"service": "gitlab", "name": name, "projectId": kit.tenant.project, "params": params});
        kit.manage("POST", super::MANAGED, Some(&body)).await
    };
    let refused = create("theirs", json!({"host": "evil.example"})).await;
    assert_eq!(refused.json()["error"]["field"], "params.host", "{}", refused.text());
    let connector = create("ours", json!({})).await.ok();
    assert_eq!(connector["data"]["serverConfig"]["token_endpoint"], "https://git.acme.example/oauth/token");
    let connector = connector["id"].as_str().unwrap();
    let reason =
        async || asks(&kit, &kit.tenant, connector, &of("alice")).await.json()["error"]["reason"].clone();
    assert_eq!(reason().await, Value::Null);

    // The secret goes elsewhere only together with itself, and then it is another application.
    let moved = json!({"params": {"host": "git.globex.example"}});
    let refused = kit.manage("PATCH", &path, Some(&moved)).await;
    assert_eq!(refused.json()["error"]["field"], "data.clientSecret", "{}", refused.text());
    let mut moved = moved;
    moved["data"] = json!({"clientSecret": "another-s3cret"});
    assert_eq!(kit.manage("PATCH", &path, Some(&moved)).await.refusal(), (409, "conflict".to_owned()));
    moved["force"] = true.into();
    let changed = kit.manage("PATCH", &path, Some(&moved)).await.ok();
    assert_eq!(changed["params"], json!({"host": "git.globex.example"}));
    assert_eq!(reason().await, "managed_app_withdrawn");
    let event = kit.events_of("managed-app.update").await;
    assert_eq!(event[0]["detail"]["fields"], json!(["params", "data.clientSecret"]), "{event:?}");
    moved["params"] = json!({"host": "git.acme.example"});
    kit.manage("PATCH", &path, Some(&moved)).await.ok();
    assert_eq!(reason().await, Value::Null);
}
