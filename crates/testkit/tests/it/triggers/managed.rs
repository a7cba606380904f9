//! Who sets up what, and what is refused.

use std::time::Duration;

use carnet_testkit::{Engine, Kit, Plan, Receiver, on_both_engines};
use serde_json::{Value, json};

use super::*;

on_both_engines!(
    a_secret_takes_the_place_of_another_and_the_one_before_holds_for_a_while,
    a_secret_of_the_configuration_is_replaced_without_a_gap,
    what_cannot_be_forwarded_is_refused_with_the_reason,
    what_is_received_is_forwarded_to_production_of_the_project_if_nothing_else_is_said,
    a_destination_elsewhere_is_for_whoever_may_link_and_forward,
);

/// A first destination enables its project: whoever may only make connectors opens no project to one.
async fn a_destination_elsewhere_is_for_whoever_may_link_and_forward(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let project = &kit.tenant.project;
    let mut body = json!({"service": "slack", "name": "elsewhere", "type": "oauth", "data": kit.data(),
        "triggers": {"enabled": true, "signingSecret": SECRET}, "triggerDestination": {"projectId": project}});
    let create = async |bearer: &str, body: &Value| {
        kit.node.call("POST", "/v1/connect/connectors", Some(bearer), Some(body)).await
    };
    let mut rights = vec!["connector.create", "project.read"];
    for more in ["link.update", "trigger.update"] {
        let asked = json!({"name": more, "access": rights});
        let token = kit.manage("POST", "/v1/access-tokens", Some(&asked)).await.ok();
        let refused = create(token["token"].as_str().unwrap(), &body).await;
        assert_eq!(refused.refusal(), (403, "forbidden".to_owned()), "{rights:?}");
        rights.push(more);
    }
    // Where the connector's own link goes, events may go with it.
    let asked = json!({"name": "both", "access": &rights[..3]});
    let token = kit.manage("POST", "/v1/access-tokens", Some(&asked)).await.ok();
    body["projectId"] = json!(project);
    assert_eq!(create(token["token"].as_str().unwrap(), &body).await.status, 201);
}

async fn what_is_received_is_forwarded_to_production_of_the_project_if_nothing_else_is_said(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let made = async |name: &str, more: Value| {
        let mut body = json!({"service": "slack", "name": name, "type": "oauth", "data": kit.data(),
            "triggers": {"enabled": true, "signingSecret": SECRET}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = kit.manage("POST", "/v1/connect/connectors", Some(&body)).await.ok();
        made["triggerDestinations"].as_array().cloned().unwrap_or_default()
    };
    let project = &kit.tenant.project;
    let said = made("said", json!({"projectId": project, "triggerDestination": {}})).await;
    let unsaid = made("unsaid", json!({"projectId": project})).await;
    assert_eq!((unsaid.len(), &unsaid[0]["projectId"]), (1, &json!(project)));
    assert_eq!(said[0]["projectId"], unsaid[0]["projectId"]);
    assert_eq!(unsaid[0].get("customEnvironmentId"), None);
    // Nothing is enabled that was left out, and without a project there is no place.
    assert!(
        made("development", json!({"projectId": project, "environments": ["development"]})).await.is_empty()
    );
    assert!(made("nowhere", json!({})).await.is_empty());
}

async fn a_secret_takes_the_place_of_another_and_the_one_before_holds_for_a_while(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    let connector = one_destination(&kit, &receiver, "/hook").await;
    let path = format!("/v1/connect/connectors/{connector}/triggers");
    let shown = kit.manage("GET", &path, None).await.ok();
    assert_eq!(shown["signingSecrets"].as_array().unwrap().len(), 1, "{shown}");
    let new = "another-secret-0123456789";
    let change = json!({"signingSecret": new, "keepPreviousMs": 60_000});
    let changed = kit.manage("PATCH", &path, Some(&change)).await;
    assert!(!changed.text().contains(new) && !changed.text().contains(SECRET));
    let changed = changed.ok();
    let secrets = changed["signingSecrets"].as_array().unwrap();
    assert_eq!((secrets.len(), &secrets[0]["until"]), (2, &Value::Null), "{changed}");
    for (number, secret) in [SECRET, new].iter().enumerate() {
        let answer = send(&kit, &kit.node, &connector, secret, &event(&format!("Ev{number}"))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    kit.clock.pass(Duration::from_mins(2));
    let refused = send(&kit, &kit.node, &connector, SECRET, &event("Ev3")).await;
    assert_eq!(refused.refusal(), (401, "unauthorized".to_owned()));
    assert_eq!(send(&kit, &kit.node, &connector, new, &event("Ev4")).await.status, 200);
    receiver.count_at("/hook", 3).await;
}

async fn a_secret_of_the_configuration_is_replaced_without_a_gap(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let mut data = kit.data();
    data.insert("webhookSecret".to_owned(), json!("the-first-secret-0123456789"));
    let body = json!({
        "service": "linear", "name": "own", "type": "oauth", "data": data, "projectId": kit.tenant.project,
        "triggers": true,
    });
    let made = kit.manage("POST", "/v1/connect/connectors", Some(&body)).await.ok();
    let connector = made["id"].as_str().unwrap();
    let path = format!("/v1/connect/connectors/{connector}");
    let turned = async |secret: &str| {
        let change = json!({"data": {"webhookSecret": secret}});
        kit.manage("PATCH", &path, Some(&change)).await.ok();
    };
    let number = std::cell::Cell::new(0);
    let taken = async |secret: &str| {
        number.set(number.get() + 1);
        let at = kit.clock.now().millis();
        let body =
            json!({"type": "Issue", "action": "create", "webhookTimestamp": at, "organizationId": "o"});
        let body = body.to_string();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body.as_bytes());
        let tag = tag.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let delivery = format!("delivery-{}", number.get());
        let headers = [
            ("content-type", "application/json"),
            ("linear-signature", tag.as_str()),
            ("linear-delivery", delivery.as_str()),
        ];
        let url = format!("{}/connect/trigger/{connector}", kit.url());
        Http::default().send("POST", &url, &headers, body).await.status
    };
    let shown = async || {
        let shown = kit.manage("GET", &format!("{path}/triggers"), None).await.ok();
        let secrets = shown["signingSecrets"].as_array().unwrap().iter();
        secrets
            .map(|one| (one["from"].as_str().unwrap().to_owned(), one["until"].is_null()))
            .collect::<Vec<_>>()
    };
    turned("the-second-secret-0123456789").await;
    assert_eq!(shown().await, [("data".to_owned(), true), ("data".to_owned(), false)]);
    kit.clock.pass(Duration::from_hours(23));
    for secret in ["the-first-secret-0123456789", "the-second-secret-0123456789"] {
        assert_eq!(taken(secret).await, 200, "{secret}");
    }
    // The same again is no other secret, and keeps nothing longer.
    turned("the-second-secret-0123456789").await;
    kit.clock.pass(Duration::from_hours(2));
    assert_eq!(taken("the-first-secret-0123456789").await, 401);
    assert_eq!(taken("the-second-secret-0123456789").await, 200);
    // One that is set beside the configuration counts alone; what the configuration says then is nothing.
    let beside = json!({"signingSecret": "the-third-secret-0123456789", "keepPreviousMs": 0});
    kit.manage("PATCH", &format!("{path}/triggers"), Some(&beside)).await.ok();
    turned("the-fourth-secret-0123456789").await;
    assert_eq!(taken("the-third-secret-0123456789").await, 200);
    for secret in ["the-second-secret-0123456789", "the-fourth-secret-0123456789"] {
        assert_eq!(taken(secret).await, 401, "{secret}");
    }
}

async fn what_cannot_be_forwarded_is_refused_with_the_reason(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let connector = connector(&kit, "bot", Value::Null).await;
    let project = kit.tenant.project.clone();
    let field = |answer: &carnet_testkit::Answer| answer.json()["error"]["field"].clone();

    // No secret, no events; and none of a service that signs in no way that is known.
    let body = |service: &str, triggers: Value| json!({"service": service, "name": "no", "type": "oauth", "data": kit.data(), "triggers": triggers});
    let made = kit.manage("POST", "/v1/connect/connectors", Some(&body("slack", json!(true)))).await;
    assert_eq!(
        (made.refusal(), field(&made)),
        ((422, "invalid_connector".to_owned()), json!("data.signingSecret"))
    );
    let made =
        kit.manage("POST", "/v1/connect/connectors", Some(&body("demo", json!({"enabled": true})))).await;
    assert_eq!((made.refusal(), field(&made)), ((400, "invalid_request".to_owned()), json!("triggers")));
    let one = json!({"projectId": project});
    let custom = json!({"projectId": project, "customEnvironmentId": "env_0000000000000000000000"});
    for (connector, wrong, status) in [
        (kit.connector.as_str(), json!([one]), 400),
        (&connector, json!([one, one]), 400),
        (&connector, json!([{"projectId": project, "path": "x".repeat(2049)}]), 400),
        (
            &connector,
            json!([{"projectId": project, "branch": "a", "customEnvironmentId": "production"}]),
            400,
        ),
        (&connector, json!([{"projectId": project, "customEnvironmentId": "production"}]), 400),
        (&connector, json!([custom]), 404),
        (&connector, json!([{"projectId": "prj_0000000000000000000000"}]), 404),
    ] {
        let answer = destinations(&kit, connector, wrong.clone()).await;
        assert_eq!(answer.status, status, "{wrong}: {}", answer.text());
    }
    let four: Vec<Value> = (0..4).map(|n| json!({"projectId": project, "path": format!("/{n}")})).collect();
    assert_eq!(destinations(&kit, &connector, json!(four)).await.status, 400);

    // Addresses that nothing is sent to.
    let urls = format!("/v1/projects/{project}/urls");
    let own = format!("{}/hook", kit.url());
    for (environment, url) in [
        ("production", "http://10.0.0.1"),
        ("production", "https://169.254.169.254"),
        ("production", "ftp://a.example"),
        ("production", own.as_str()),
        ("production", "https://{branch}.example.com"),
        ("production", "https://a.example/?q=1"),
        ("preview", "https://user@{branch}.example.com"),
        ("nowhere", "https://a.example"),
    ] {
        let body = json!({"urls": [{"environment": environment, "url": url}]});
        let refused = kit.manage("PUT", &urls, Some(&body)).await;
        assert_eq!(refused.refusal(), (400, "invalid_request".to_owned()), "{url}");
    }
    let twice = json!({"urls": [
        {"environment": "preview", "url": "https://{branch}.example.com"},
        {"environment": "preview", "url": "https://preview.example.com/app/"},
    ]});
    assert_eq!(kit.manage("PUT", &urls, Some(&twice)).await.status, 400);
    let set = json!({"urls": [{"environment": "preview", "url": "https://{branch}.example.com/"}]});
    kit.manage("PUT", &urls, Some(&set)).await.ok();
    let shown = kit.manage("GET", &urls, None).await.ok();
    assert_eq!(shown["urls"][0]["url"], "https://{branch}.example.com");

    // Asked for together, it is there together.
    let mut whole = body("slack", json!({"enabled": true, "signingSecret": SECRET}));
    whole["events"] = json!(["app_mention"]);
    whole["projectId"] = json!(project);
    whole["environments"] = json!(["development"]);
    whole["triggerDestination"] = json!({"path": "/hook", "branch": "main"});
    let made = kit.manage("POST", "/v1/connect/connectors", Some(&whole)).await.ok();
    assert_eq!(made["events"], json!(["app_mention"]));
    assert_eq!(
        made["triggerDestinations"],
        json!([{"projectId": project, "path": "/hook", "branch": "main"}])
    );
    let link = format!("/v1/connect/connectors/{}/projects/{project}", made["id"].as_str().unwrap());
    assert_eq!(kit.manage("GET", &link, None).await.ok()["environments"], json!(["development", "preview"]));
    // The later shape turns it off and on, and says what there is.
    let later = format!("/v2/connect/connectors/{}", made["id"].as_str().unwrap());
    let off = kit.manage("PATCH", &later, Some(&json!({"triggers": false}))).await.ok();
    assert_eq!(off["connector"].get("triggers"), None);
    let on = kit.manage("PATCH", &later, Some(&json!({"triggers": true, "events": []}))).await.ok();
    assert_eq!(
        (&on["connector"]["triggers"]["enabled"], on["connector"].get("events")),
        (&json!(true), None)
    );
    // A team's list shows the same.
    let listed = kit.manage("GET", "/v2/connect/connectors", None).await.ok();
    let listed = listed["connectors"].as_array().unwrap().iter().find(|one| one["id"] == made["id"]).cloned();
    assert_eq!(listed.unwrap()["triggerDestinations"], made["triggerDestinations"]);
}
