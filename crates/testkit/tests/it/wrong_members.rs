//! Every member of every body that is described, of a wrong type: refused, and by its name.

use std::collections::BTreeSet;

use carnet_testkit::{Engine, Kit, Plan};
use serde_json::{Value, json};

use crate::isolation::operations;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_member_of_the_wrong_type_is_refused_by_its_name() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let (mut tried, mut unnamed) = (0, Vec::new());
    for operation in operations() {
        let body = &operation.told["requestBody"]["content"]["application/json"]["schema"];
        let Some(members) = resolved(body)["properties"].as_object() else { continue };
        let path = operation
            .path
            .replace("{connector}", &kit.connector)
            .replace("{project}", &kit.tenant.project)
            .replace("{team}", &kit.tenant.team);
        let path = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
        let path = path.collect::<Vec<_>>().join("/");
        for (name, schema) in members {
            let mut kinds = BTreeSet::new();
            if !kinds_of(schema, &mut kinds) {
                continue;
            }
            let wrong = if kinds.contains("boolean") { json!(["odd"]) } else { json!(true) };
            let body = json!({name: wrong});
            let answer = if operation.told["security"].to_string().contains("person") {
                kit.manage(&operation.method, &path, Some(&body)).await
            } else {
                let bearer = kit.workload("production");
                kit.node.call(&operation.method, &path, Some(&bearer), Some(&body)).await
            };
            let told = format!("{} {body}: {}", operation.name(), answer.text());
            // What is not there, or not theirs, may be said first.
            assert!((400..500).contains(&answer.status), "{told}");
            if answer.status == 400 {
                let field = answer.json()["error"]["field"].clone();
                if !field.as_str().is_some_and(|field| field.starts_with(name.as_str())) {
                    unnamed.push(told);
                }
                tried += 1;
            }
        }
    }
    assert!(unnamed.is_empty(), "{unnamed:#?}");
    assert!(tried > 150, "only {tried} members were tried");
}

/// Names are counted in characters, and have none that nobody sees.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_name_is_what_people_see_of_it() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let connector = |name: &str, uid: &str| json!({"service": "keys", "type": "api-key", "name": name, "uid": uid, "data": {"values": [{"value": "k"}]}});
    let token = |name: &str| json!({"name": name});
    let (connectors, tokens) = ("/v1/connect/connectors", "/v1/access-tokens");
    let far = "日".repeat(100);
    for (path, body) in
        [(connectors, connector(&far, "keys/far")), (tokens, token(&far)), ("/v1/teams", token(&far))]
    {
        assert!(kit.manage("POST", path, Some(&body)).await.status < 300, "{body}");
    }
    for (path, body, field) in [
        (connectors, connector("a\u{202e}b", "keys/a"), "name"),
        (connectors, connector("a", "keys/\u{202e}a"), "uid"),
        (connectors, connector("a", "VC/a"), "uid"),
        (tokens, token("pay\u{200b}pal"), "name"),
        ("/v1/teams", token("a\u{2066}b"), "name"),
        (tokens, token(&format!("{far}x")), "name"),
    ] {
        let refused = kit.manage("POST", path, Some(&body)).await;
        assert_eq!(refused.refusal(), (400, "invalid_request".to_owned()), "{body}");
        assert_eq!(refused.json()["error"]["field"], field, "{body}");
    }
}

/// What a reference in the description stands for.
fn resolved(schema: &Value) -> &Value {
    match schema["$ref"].as_str() {
        Some(place) => carnet_api::openapi().pointer(place.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// Gathers the types that a member may have, and says whether they are all told.
fn kinds_of(schema: &Value, kinds: &mut BTreeSet<String>) -> bool {
    let schema = resolved(schema);
    let several = ["anyOf", "oneOf", "allOf"].into_iter().find_map(|way| schema[way].as_array());
    match (&schema["type"], several) {
        (Value::String(kind), _) => {
            kinds.insert(kind.clone());
            true
        }
        (Value::Array(all), _) => {
            kinds.extend(all.iter().filter_map(Value::as_str).map(str::to_owned));
            true
        }
        (_, Some(all)) => {
            let told: Vec<bool> = all.iter().map(|one| kinds_of(one, kinds)).collect();
            !told.contains(&false)
        }
        _ => {
            kinds.insert("string".to_owned());
            schema["enum"].is_array()
        }
    }
}
