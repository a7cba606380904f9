//! Lists: how long their pages are, and that all of them read it in one way.

use carnet_testkit::{Engine, Kit, Plan, on_both_engines};
use serde_json::{Value, json};

on_both_engines!(installations_are_listed_page_by_page);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_list_reads_limit_alike() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let document = kit.node.call("GET", "/openapi.json", None, None).await.json();
    let mut lists = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let mut asks = operation["parameters"].as_array().into_iter().flatten();
            if let Some(limit) = asks.find(|one| one["in"] == "query" && one["name"] == "limit") {
                assert_eq!(limit["schema"]["minimum"], 1, "{method} {path}");
                let most = limit["schema"]["maximum"].as_u64().unwrap();
                lists.push((method.to_uppercase(), path.clone(), most));
            }
        }
    }
    for list in [
        "/v1/access-tokens",
        "/v1/connect/connectors/{connector}/grants",
        "/v1/connect/connectors/{connector}/installations",
        "/v1/connect/services",
        "/v1/trusted-issuers",
        "/v1/teams/{team}/invitations",
        "/v1/teams/{team}/members",
    ] {
        assert!(lists.iter().any(|(_, path, _)| path == list), "{list} is not among {lists:?}");
    }
    for (method, path, most) in lists {
        let path = path
            .replace("{connector}", "demo%2Fhello")
            .replace("{project}", &kit.tenant.project)
            .replace("{team}", &kit.tenant.team);
        let beyond = (most + 1).to_string();
        for limit in
            [&beyond, "0", "-1", "100000", "4294967297", "18446744073709551617", "many", "1.5", "%2B5", ""]
        {
            let answer = kit.manage(&method, &format!("{path}?limit={limit}"), None).await;
            assert_eq!(answer.refusal(), (400, "invalid_request".to_owned()), "{method} {path}, {limit}");
            assert_eq!(answer.json()["error"]["field"], "limit", "{method} {path}, {limit}");
        }
        let answer = kit.manage(&method, &format!("{path}?limit={most}"), None).await;
        // A connector that signs nothing has no list of keys.
        let has_none = path.ends_with("/keys") && answer.status == 422;
        assert!(answer.status == 200 || has_none, "{method} {path}: {}", answer.text());
    }
}

async fn installations_are_listed_page_by_page(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let path = format!("/v1/connect/connectors/{}/installations", kit.connector);
    for number in 0..5 {
        let body = json!({"externalId": format!("T{number}")});
        kit.manage("POST", &path, Some(&body)).await.ok();
    }
    let ids = |page: &Value| {
        let all = page["installations"].as_array().unwrap().iter();
        all.map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let whole = kit.manage("GET", &path, None).await.ok();
    assert_eq!((ids(&whole).len(), &whole["pagination"]["next"]), (5, &Value::Null));
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for want in [2, 2, 1] {
        let page = kit.manage("GET", &format!("{path}?limit=2{cursor}"), None).await.ok();
        assert_eq!(ids(&page).len(), want, "{page}");
        seen.extend(ids(&page));
        let next = page["pagination"]["next"].as_str();
        assert_eq!(next.is_some(), seen.len() < 5, "{page}");
        cursor = next.map(|next| format!("&cursor={next}")).unwrap_or_default();
    }
    assert_eq!(seen, ids(&whole));
    let bad = kit.manage("GET", &format!("{path}?cursor=usr_1"), None).await;
    assert_eq!(bad.refusal(), (400, "invalid_request".to_owned()));
}
