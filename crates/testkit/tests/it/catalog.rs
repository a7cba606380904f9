//! Connectors to services of the catalog, over HTTP.

use carnet_testkit::{Browser, Engine, Kit, Plan, on_both_engines};
use serde_json::{Value, json};

on_both_engines!(a_service_of_the_catalog_needs_no_more_than_what_only_the_service_gives);

async fn create(kit: &Kit, body: Value) -> (u16, Value) {
    let answer = kit.manage("POST", "/v1/connect/connectors", Some(&body)).await;
    (answer.status, answer.json())
}

async fn a_service_of_the_catalog_needs_no_more_than_what_only_the_service_gives(engine: Engine) {
    // No key of a test is tried at its service.
    let origins = [
        "https://acme.zendesk.com",
        "https://oauth2.googleapis.com",
        "https://api.linear.app",
        "https://discord.com",
        "https://tools.example",
    ];
    let origins = origins.map(|origin| (origin, "http://127.0.0.1:9".to_owned())).to_vec();
    let kit = Kit::start(engine, Plan { origins, ..Plan::default() }).await;
    let client = json!({"clientId": "id", "clientSecret": "s3cret"});
    let (status, made) = create(
        &kit,
        json!({"service": "zendesk", "name": "Help", "connectionMethod": "oauth", "params": {"subdomain": "Acme"},
            "data": client}),
    )
    .await;
    assert_eq!(status, 201, "{made}");
    assert_eq!((&made["connectionMethod"], &made["service"]), (&json!("oauth"), &json!("zendesk")));
    assert_eq!(made["data"]["serverConfig"]["token_endpoint"], "https://acme.zendesk.com/oauth/tokens");
    assert_eq!(made["data"]["userAuthorization"]["scopes"], json!(["read", "tickets:write"]));
    assert!(!made.to_string().contains("s3cret"));

    let (status, made) = create(
        &kit,
        json!({"service": "google", "name": "Mail", "connectionMethod": "oauth", "target": "gmail", "data": client}),
    )
    .await;
    assert_eq!((status, &made["target"]), (201, &json!("gmail")), "{made}");
    let (status, made) =
        create(&kit, json!({"service": "openai", "name": "Models", "data": {"values": [{"value": "sk-1"}]}}))
            .await;
    assert_eq!(
        (status, &made["type"], &made["connectionMethod"]),
        (201, &json!("api-key"), &json!("api-key"))
    );
    assert_eq!(made["data"]["serviceUrls"], json!(["https://api.openai.com/v1"]));
    assert!(!made.to_string().contains("sk-1"));
    let id = made["id"].as_str().unwrap();
    let shown = kit.manage("GET", &format!("/v1/connect/connectors/{id}"), None).await.ok();
    assert_eq!(shown["tokenVariable"], "OPENAI_API_KEY");

    // The words of the official clients for a type: services, whose driver is meant, and what is none of them.
    for word in ["linear", "discord"] {
        let (status, made) =
            create(&kit, json!({"type": word, "name": format!("{word} of an app"), "data": client})).await;
        assert_eq!(
            (status, &made["service"], &made["driver"]),
            (201, &json!(word), &json!("oauth")),
            "{made}"
        );
    }
    let odd = json!({"type": "custom", "service": "x.example", "name": "C", "data": {"clientId": "id", "martian": 1}});
    assert_ne!(create(&kit, odd).await.1["error"]["field"], "type");
    let (status, refused) = create(&kit, json!({"type": "martian", "name": "M", "data": client})).await;
    assert_eq!((status, &refused["error"]["field"]), (400, &json!("type")), "{refused}");
    // A type of another service makes nothing that works at this one; what describes any server does.
    for (service, word, known) in [
        ("slack", "linear", "type of slack is one of: slack, oauth, api-key."),
        ("slack", "photon", "type of slack is one of: slack, oauth, api-key."),
        ("slack", "github", "type of slack is one of: slack, oauth, api-key."),
        ("linear", "discord", "type of linear is one of: oauth, api-key."),
    ] {
        let (status, refused) =
            create(&kit, json!({"service": service, "type": word, "name": "N", "data": client})).await;
        assert_eq!((status, &refused["error"]["message"]), (400, &json!(known)), "{refused}");
        assert_eq!(refused["error"]["field"], "type");
    }
    for (service, word) in [("slack", "oauth"), ("slack", "custom"), ("tools.example", "linear")] {
        let described = json!({"clientId": "id", "clientSecret": "secret", "serverConfig": {
            "authorization_endpoint": "https://tools.example/a", "token_endpoint": "https://tools.example/t"}});
        let name = format!("{word} at hand");
        let body = json!({"service": service, "type": word, "name": name, "data": described});
        let (status, made) = create(&kit, body).await;
        assert_eq!((status, &made["driver"]), (201, &json!("oauth")), "{service} {word}: {made}");
    }
    let brought = json!({"clientId": "id", "clientSecret": "secret", "botToken": "hush"});
    let (_, refused) = create(&kit, json!({"service": "discord", "name": "Bot", "data": brought})).await;
    let error = &refused["error"];
    assert!(error["message"].as_str().unwrap().ends_with("bot it is data.installation.token."), "{refused}");
    let step = "carnet create discord --connection-method bot --data @FILE";
    assert!(error["next"].as_array().unwrap().iter().any(|next| next["command"] == step), "{refused}");
    assert!(error["field"] == "data.botToken" && !refused.to_string().contains("hush"), "{refused}");

    for (body, code, field) in [
        (
            json!({"service": "zendesk", "connectionMethod": "oauth", "data": client}),
            "invalid_request",
            "params.subdomain",
        ),
        (
            json!({"service": "zendesk", "connectionMethod": "oauth", "params": {"subdomain": "a.evil.example/"}, "data": client}),
            "invalid_request",
            "params.subdomain",
        ),
        (
            json!({"service": "zendesk", "connectionMethod": "oauth", "params": {"subdomain": 7}, "data": client}),
            "invalid_request",
            "params",
        ),
        (
            json!({"service": "linear", "connectionMethod": "oauth",
                "data": {"clientId": "id", "clientSecret": "s", "serverConfig": {"token_endpoint": "https://evil.example"}}}),
            "invalid_connector",
            "data.serverConfig",
        ),
        (
            json!({"service": "linear", "connectionMethod": "smoke", "data": client}),
            "invalid_request",
            "connectionMethod",
        ),
        (
            json!({"service": "google", "connectionMethod": "oauth", "target": "x", "data": client}),
            "invalid_request",
            "target",
        ),
        (json!({"service": "linear", "connectionMethod": "oauth"}), "invalid_connector", "data.clientId"),
        (json!({"service": "openai"}), "invalid_connector", "data.values"),
        (
            json!({"service": "unknown.example", "connectionMethod": "oauth"}),
            "invalid_request",
            "connectionMethod",
        ),
        (json!({"service": "unknown.example", "params": {"a": "b"}}), "invalid_request", "params"),
    ] {
        let mut body = body;
        body["name"] = "Refused".into();
        let (_, refused) = create(&kit, body.clone()).await;
        assert_eq!(
            (&refused["error"]["code"], &refused["error"]["field"]),
            (&json!(code), &json!(field)),
            "{body}"
        );
    }
    let (_, refused) =
        create(&kit, json!({"service": "linear", "name": "L", "connectionMethod": "oauth"})).await;
    let page = &refused["error"]["next"][0]["command"];
    assert_eq!(page, "https://linear.app/settings/api/applications/new", "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("/callback"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn services_are_found_and_described() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let get = async |path: &str| kit.manage("GET", path, None).await.ok();
    let all = get("/v1/connect/services").await;
    let all = all["services"].as_array().unwrap();
    assert!(all.len() >= 20, "{}", all.len());
    assert!(all.iter().all(|one| (one["badge"] == "Unverified") == (one["verified"] == "unverified")));
    let found = get("/v1/connect/services?search=slack&limit=1").await;
    assert_eq!(found["services"][0]["id"], "slack");
    let ai = get("/v1/connect/services?category=ai").await;
    let ai = ai["services"].as_array().unwrap();
    assert!(ai.iter().any(|one| one["id"] == "openai") && ai.iter().all(|one| one["id"] != "slack"));
    for bad in ["limit=0", "limit=501", "limit=x", &format!("search={}", "x".repeat(101))] {
        let answer = kit.manage("GET", &format!("/v1/connect/services?{bad}"), None).await;
        assert_eq!(answer.refusal(), (400, "invalid_request".to_owned()), "{bad}");
    }

    let okta = get("/v1/connect/services/Okta?schemas=true").await;
    assert_eq!((&okta["id"], &okta["types"][0]["type"]), (&json!("okta"), &json!("oauth")));
    let custom = okta["connectionMethods"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["connectionMethod"] == "custom-server");
    let custom = custom.unwrap();
    assert_eq!(custom["templateFields"][0]["key"], "domain");
    assert_eq!(custom["templateFields"][0]["placeholder"], "acme.okta.com");
    assert_eq!(custom["templateFields"][1]["default"], "default");
    assert_eq!(
        custom["type"]["encryptedFields"],
        json!(["clientSecret", "initialAccessToken", "installation.token", "webhookSecret"])
    );
    assert_eq!(custom["type"]["createInputSchema"]["required"], json!(["clientId", "clientSecret"]));
    assert_eq!(custom["create"], json!({"managed": false, "manual": true}));
    let plain = get("/v1/connect/services/okta").await;
    assert!(plain["connectionMethods"][0]["type"].get("createInputSchema").is_none());
    // Where nobody consents, nothing is said of refresh tokens.
    for (service, said) in [
        ("salesforce", [("oauth", true), ("jwt", false), ("client-credentials", false)]),
        ("snowflake", [("oauth", true), ("key-pair", false), ("workload-identity", false)]),
    ] {
        let known = get(&format!("/v1/connect/services/{service}")).await;
        for (name, is_said) in said {
            let methods = known["connectionMethods"].as_array().unwrap();
            let method = methods.iter().find(|method| method["connectionMethod"] == name).unwrap();
            assert_eq!(method.get("refresh").is_some(), is_said, "{service} {name}");
        }
    }
    let linear = get("/v1/connect/services/linear").await;
    // Which way is meant where nobody names one: official clients that cannot ask take no other.
    for (service, id, meant) in [
        ("openai", "openai", json!("api-key")),
        ("slack", "slack", json!("app")),
        ("github", "github", json!("app")),
        ("linear", "linear", Value::Null),
        ("mcp.linear.app", "linear", json!("mcp")),
        ("mcp.linear.app%2Fmcp", "linear", json!("mcp")),
        ("https:%2F%2Fmcp.notion.com%2Fmcp%2F", "notion", json!("mcp")),
    ] {
        let known = get(&format!("/v1/connect/services/{service}")).await;
        assert_eq!((&known["id"], &known["resolvedConnectionMethod"]), (&json!(id), &meant), "{service}");
    }
    let mcp = linear["connectionMethods"].as_array().unwrap().iter().find(|m| m["connectionMethod"] == "mcp");
    assert_eq!(mcp.unwrap()["create"]["managed"], true);
    assert!(linear["scopes"].as_array().unwrap().iter().any(|one| one["scope"] == "admin"));
    let unknown = kit.manage("GET", "/v1/connect/services/nobody", None).await;
    assert_eq!(unknown.refusal(), (404, "not_found".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn words_of_a_service_are_not_lent_to_another_server() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let data = json!({"serverUrl": kit.provider.issuer(), "clientId": "id", "clientSecret": "s"});
    let body = json!({"service": "github", "name": "Not GitHub", "type": "oauth", "data": data,
        "projectId": kit.tenant.project});
    let made = kit.manage("POST", "/v1/connect/connectors", Some(&body)).await.ok();
    let asked = kit
        .http
        .json(
            "POST",
            &format!("{}/v1/connect/authorize/{}", kit.url(), made["id"].as_str().unwrap()),
            Some(&kit.workload("production")),
            Some(&json!({"subject": {"type": "user", "id": "alice"}, "scopes": ["repo"]})),
        )
        .await
        .ok();
    assert_eq!(asked["connector"]["serviceName"], "Not GitHub");
    let mut browser = Browser::default();
    let page = browser.get(asked["url"].as_str().unwrap()).await;
    let text = page.text();
    assert!(text.contains("repo") && !text.contains("in your repositories"), "{text}");
}
