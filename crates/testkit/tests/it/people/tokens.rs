//! What access tokens carry, and what is seen of them.

use std::time::Duration;

use carnet_testkit::{Engine, Kit, Plan, eventually, on_both_engines};
use serde_json::{Value, json};

use super::join;

on_both_engines!(
    no_token_makes_a_broader_one,
    a_token_of_one_project_sees_that_project_alone,
    an_owner_sees_and_ends_the_tokens_of_others,
    the_last_use_of_a_token_is_noted_once_a_minute,
);

async fn create(kit: &Kit, bearer: &str, body: Value) -> carnet_testkit::Answer {
    kit.node.call("POST", "/v1/access-tokens", Some(bearer), Some(&body)).await
}

async fn made(kit: &Kit, bearer: &str, body: Value) -> (String, String) {
    let made = create(kit, bearer, body).await.ok();
    (made["token"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap().to_owned())
}

async fn no_token_makes_a_broader_one(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let project = json!(kit.tenant.project);
    let second = kit.manage("POST", "/v9/projects", Some(&json!({"name": "second"}))).await.ok();
    let owner = kit.tenant.token.as_str();
    let makes = json!(["access-token.create", "audit.read", "project.read"]);
    let (some, _) = made(&kit, owner, json!({"name": "some", "access": makes})).await;
    let whole = json!({"name": "limited", "projectId": project, "access": "full"});
    let (limited, _) = made(&kit, owner, whole).await;
    let (usual, _) = made(&kit, owner, json!({"name": "usual"})).await;
    let viewer = join(&kit, "ada", "viewer").await.token;
    for (who, bearer, body, status) in [
        ("full from some", &some, json!({"name": "x", "access": "full"}), 403),
        ("read from some", &some, json!({"name": "x", "access": "read"}), 403),
        ("other rights from some", &some, json!({"name": "x", "access": ["link.update"]}), 403),
        ("fewer from some", &some, json!({"name": "x", "access": ["audit.read"]}), 201),
        ("the same, unsaid", &some, json!({"name": "x"}), 201),
        ("unlimited from limited is limited", &limited, json!({"name": "x", "access": "full"}), 201),
        ("another project from limited", &limited, json!({"name": "x", "projectId": second["id"]}), 404),
        ("a right of the team from limited", &limited, json!({"name": "x", "access": ["audit.read"]}), 403),
        ("a right that the role has not", &viewer, json!({"name": "x", "access": ["token.app"]}), 403),
        ("full of a viewer is a viewer's", &viewer, json!({"name": "x", "access": "full"}), 201),
        ("any from usual, which makes none", &usual, json!({"name": "x", "access": "read"}), 403),
        ("an unknown right", &some, json!({"name": "x", "access": ["everything"]}), 400),
        ("an unknown word", &some, json!({"name": "x", "access": "write"}), 400),
        ("no rights", &some, json!({"name": "x", "access": []}), 400),
    ] {
        let answer = create(&kit, bearer, body).await;
        assert_eq!(answer.status, status, "{who}: {}", answer.text());
        if status == 201 && who.contains("limited") {
            assert_eq!(answer.json()["projectId"], project, "{who}");
        }
    }
    let wrong = json!({"name": "x", "access": ["audit.read"], "projectId": project});
    assert_eq!(create(&kit, owner, wrong).await.refusal(), (400, "invalid_request".to_owned()));
    // Said nothing, it carries what it was made with, but never what is dangerous by accident.
    for (body, access) in [
        (json!({"name": "x"}), "usual"),
        (json!({"name": "x", "access": "full"}), "full"),
        (json!({"name": "x", "access": "usual", "projectId": project}), "usual"),
    ] {
        assert_eq!(create(&kit, owner, body.clone()).await.json()["access"], access, "{body}");
    }
    // It manages connectors, as the official command line does, and who may act here is nothing to it.
    let as_usual = async |method: &str, path: &str, body: Value| {
        kit.node.call(method, path, Some(&usual), Some(&body)).await
    };
    let connector = format!("/v1/connect/connectors/{}", kit.connector);
    assert_eq!(as_usual("PATCH", &connector, json!({"name": "renamed"})).await.status, 200);
    let everybody = json!({"all": true});
    assert_eq!(as_usual("DELETE", &format!("{connector}/tokens"), everybody).await.status, 200);
    let team = format!("/v1/teams/{}", kit.tenant.team);
    let refused = as_usual("PATCH", &team, json!({"name": "taken"})).await;
    assert_eq!(refused.refusal(), (403, "forbidden".to_owned()));
    assert_eq!(refused.json()["error"]["right"], "team.update");
    let (copy, _) = made(&kit, &some, json!({"name": "copy"})).await;
    let seen = kit.node.call("GET", "/v1/audit", Some(&copy), None).await;
    assert_eq!(seen.status, 200);
    assert_eq!(kit.node.call("GET", "/v1/connect/connectors", Some(&copy), None).await.status, 403);
}

async fn a_token_of_one_project_sees_that_project_alone(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let second = kit.manage("POST", "/v9/projects", Some(&json!({"name": "second"}))).await.ok();
    let id = second["id"].as_str().unwrap().to_owned();
    let other = kit.connect("other", Value::Null).await;
    // Both connectors are linked to the first project; the second has the other one alone.
    let link = format!("/v1/connect/connectors/{other}/projects");
    kit.manage("POST", &format!("{link}/{id}"), None).await.ok();
    let (token, _) = made(&kit, &kit.tenant.token, json!({"name": "second's", "projectId": "second"})).await;
    let bearer = Some(token.as_str());
    let get = async |path: &str| kit.node.call("GET", path, bearer, None).await;
    let listed = get("/v9/projects").await.ok();
    assert_eq!(listed["projects"].as_array().unwrap().len(), 1);
    assert_eq!(get(&format!("/v9/projects/{}", kit.tenant.project)).await.status, 404);
    let listed = get("/v1/connect/connectors?include=projects").await;
    assert!(!listed.text().contains(&kit.connector) && listed.text().contains(&other), "{}", listed.text());
    assert!(!listed.text().contains(&kit.tenant.project), "{}", listed.text());
    let links = get(&link).await;
    assert!(links.text().contains(&id) && !links.text().contains(&kit.tenant.project), "{}", links.text());
    assert_eq!(get(&format!("/v1/connect/connectors/{}", kit.connector)).await.status, 404);
    let app = json!({"subject": {"type": "app"}});
    assert_eq!(kit.node.token(&token, &kit.connector, &app).await.status, 404);
    kit.node.token(&token, &other, &app).await.token();
    // It ends with its project.
    assert_eq!(kit.manage("DELETE", "/v9/projects/second", None).await.status, 204);
    assert_eq!(get("/v9/projects").await.status, 401);
}

async fn an_owner_sees_and_ends_the_tokens_of_others(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let (ada, bob) = (join(&kit, "ada", "member").await, join(&kit, "bob", "member").await);
    let (hers, id) = made(&kit, &ada.token, json!({"name": "laptop", "access": "read"})).await;
    let list = async |bearer: &str, query: &str| {
        kit.node.call("GET", &format!("/v1/access-tokens{query}"), Some(bearer), None).await
    };
    let all = list(&kit.tenant.token, "?everybody=true").await.ok();
    let found =
        all["tokens"].as_array().unwrap().iter().find(|token| token["id"] == json!(id)).unwrap().clone();
    assert_eq!(
        (&found["userId"], &found["access"], &found["name"], &found["token"]),
        (&json!(ada.user), &json!("read"), &json!("laptop"), &Value::Null)
    );
    assert!(!list(&kit.tenant.token, "").await.text().contains(&id), "not the owner's own");
    let path = format!("/v1/access-tokens/{id}");
    let end = async |bearer: &str| kit.node.call("DELETE", &path, Some(bearer), None).await;
    assert_eq!(end(&bob.token).await.refusal(), (403, "forbidden".to_owned()));
    assert_eq!(end(&ada.home.token).await.refusal(), (404, "not_found".to_owned()), "another team's owner");
    assert_eq!(list(&hers, "").await.status, 200);
    assert_eq!(end(&kit.tenant.token).await.status, 204);
    assert_eq!(list(&hers, "").await.status, 401);
    // A token that may do nothing but read ends itself.
    let (found, id) = made(&kit, &ada.token, json!({"name": "lost", "access": ["audit.read"]})).await;
    let path = format!("/v1/access-tokens/{id}");
    assert_eq!(kit.node.call("DELETE", &path, Some(&found), None).await.status, 204);
    assert_eq!(kit.node.call("GET", "/v1/audit", Some(&found), None).await.status, 401);
}

async fn the_last_use_of_a_token_is_noted_once_a_minute(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let (token, id) = made(&kit, &kit.tenant.token, json!({"name": "used"})).await;
    let last = async || {
        let all = kit.manage("GET", "/v1/access-tokens", None).await.ok();
        let found =
            all["tokens"].as_array().unwrap().iter().find(|token| token["id"] == json!(id)).unwrap().clone();
        found["lastUsedAt"].as_i64()
    };
    let ask = async || kit.node.call("GET", "/v2/user", Some(&token), None).await.status;
    assert_eq!(last().await, None, "it was never used");
    assert_eq!(ask().await, 200);
    let first = eventually("its use is noted", async || last().await).await;
    kit.clock.pass(Duration::from_secs(30));
    // Remembered, and looked up anew after the rules have changed.
    assert_eq!(ask().await, 200);
    kit.manage("PATCH", &format!("/v1/teams/{}", kit.tenant.team), Some(&json!({"name": "x"}))).await.ok();
    assert_eq!(ask().await, 200);
    kit.clock.pass(Duration::from_secs(31));
    assert_eq!(last().await, Some(first), "not within the minute");
    assert_eq!(ask().await, 200);
    let next = eventually("its next use is noted", async || last().await.filter(|at| *at != first)).await;
    assert!(next - first >= 60_000, "{first} {next}");
}
