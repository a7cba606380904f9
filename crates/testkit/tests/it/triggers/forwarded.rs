//! What arrives at a destination, and what does not.

use std::time::Duration;

use carnet_identity::{Algorithm, Expectation, KeySet, Presented};
use carnet_model::Clock as _;
use carnet_testkit::{Engine, Kit, Plan, Received, Receiver, eventually, on_both_engines};
use serde_json::{Value, json};

use super::*;

on_both_engines!(
    an_event_arrives_with_its_bytes_and_a_token_for_its_destination,
    what_is_not_the_providers_leaves_no_trace_but_a_count,
    two_processes_forward_each_event_once,
    made_up_addresses_keep_nobodys_events_out,
);

/// The claims of a token that must be good for this address and body now.
async fn claims(kit: &Kit, audience: &str, told: &Received) -> (String, Value) {
    let bearer = told.headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned();
    let jwks = kit.node.call("GET", "/.well-known/jwks", None, None).await;
    let keys = KeySet::parse(&jwks.body).unwrap();
    let (audiences, types) = ([audience.to_owned()], ["JWT".to_owned()]);
    let issuer = kit.audience(&kit.tenant);
    let expect = Expectation {
        issuer: &issuer,
        audiences: &audiences,
        algorithms: &[Algorithm::Rs256],
        types: &types,
        max_life: Duration::from_mins(5),
        max_age: None,
        skew: Duration::ZERO,
    };
    let verified = Presented::parse(&bearer).unwrap().verify(&keys, &expect, kit.clock.now()).unwrap();
    let names = [
        "sub",
        "owner",
        "owner_id",
        "project_id",
        "environment",
        "client_id",
        "trigger",
        "jti",
        "body_sha256",
    ];
    let claims =
        names.iter().map(|name| ((*name).to_owned(), verified.claim(name).cloned().unwrap_or_default()));
    (bearer.clone(), Value::Object(claims.collect()))
}

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

async fn an_event_arrives_with_its_bytes_and_a_token_for_its_destination(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    let connector = connector(&kit, "bot", Value::Null).await;
    let qa = format!("/v9/projects/{}/custom-environments", kit.tenant.project);
    let qa = kit.manage("POST", &qa, Some(&json!({"slug": "qa"}))).await.ok()["id"].clone();
    let at = |path: &str| receiver.url(path);
    reached_at(&kit, &[("production", at("/prod")), ("preview", at("/of/{branch}/")), ("qa", at("/qa"))])
        .await;
    let project = &kit.tenant.project;
    let set = destinations(
        &kit,
        &connector,
        json!([
            {"projectId": project, "path": "/hook?x=1"},
            {"projectId": project, "branch": "Fix/the Bot"},
            {"projectId": project, "customEnvironmentId": qa, "path": "in"},
        ]),
    )
    .await
    .ok();
    assert_eq!(set["triggerDestinations"].as_array().unwrap().len(), 3, "{set}");
    // Registering enabled the one environment that was not.
    let link = format!("/v1/connect/connectors/{connector}/projects/{project}");
    let link = kit.manage("GET", &link, None).await.ok();
    assert_eq!(link["environments"], json!(["production", "preview", "development", qa]));

    // Not only text, and not as anybody else would write it.
    let body = format!("{{ \"pad\":\"\u{e9}\",{}", &event("Ev1")[1..]);
    sent(&kit, &connector, &body).await;
    for (path, environment) in
        [("/prod/hook?x=1", "production"), ("/of/fix-the-bot/slack", "preview"), ("/qa/in", "qa")]
    {
        let told = receiver.at(path).await;
        assert_eq!(told.raw, body.as_bytes());
        let (bearer, claims) = claims(&kit, &receiver.url(path), &told).await;
        let delivery = told.headers["webhook-id"].to_str().unwrap();
        let slug = &kit.tenant.slug;
        assert_eq!(
            claims,
            json!({
                "sub": format!("owner:{slug}:project:{slug}-app:environment:{environment}"),
                "owner": slug, "owner_id": kit.tenant.team, "project_id": project, "environment": environment,
                "client_id": "api-connex",
                "trigger": {"id": connector, "uid": "slack/bot", "type": "oauth", "service": "slack"},
                "jti": format!("{delivery}.1"),
                "body_sha256": sha256(body.as_bytes()),
            })
        );
        // It says where an event came from; it opens nothing here.
        let refused = kit.node.token(&bearer, &kit.connector, &json!({"subject": {"type": "app"}})).await;
        assert_eq!(refused.refusal(), (401, "unauthorized".to_owned()));
        for name in ["x-slack-signature", "x-slack-request-timestamp", "webhook-timestamp"] {
            assert!(told.headers.contains_key(name), "{name}: {:?}", told.headers);
        }
        assert_eq!(told.headers["content-type"], "application/json");
        assert_eq!(told.headers["x-trigger-uid"], "slack/bot");
        for name in ["cookie", "x-forwarded-for"] {
            assert!(!told.headers.contains_key(name), "{name}");
        }
    }

    // The provider did not hear the answer, and sends it again; then it says something new.
    sent(&kit, &connector, &body).await;
    sent(&kit, &connector, &event("Ev2")).await;
    let all = receiver.count_at("/prod/hook?x=1", 2).await;
    assert_eq!((all.len(), all[1].body["event_id"].clone()), (2, json!("Ev2")));
    assert_eq!(deliveries(&kit, &connector, "").await.len(), 6);
    let taken = eventually("all are taken", async || {
        Some(deliveries(&kit, &connector, "?state=taken").await).filter(|all| all.len() == 6)
    })
    .await;
    assert_eq!(
        (&taken[0]["event"]["name"], &taken[0]["event"]["tenant"]),
        (&json!("app_mention"), &json!("T1"))
    );
    assert!(!taken[0].to_string().contains("text"), "what was said is not shown: {}", taken[0]);

    // One for each destination, and one where there is none.
    destinations(&kit, &connector, json!([])).await.ok();
    sent(&kit, &connector, &event("Ev3")).await;
    let usage = kit.manage("GET", "/v1/usage?by=project", None).await.ok()["triggers"].clone();
    assert_eq!(usage["forwarded"], 7);
    assert_eq!(
        usage["shares"],
        json!([{"id": project, "name": "acme-app", "forwarded": 6}, {"id": null, "name": null, "forwarded": 1}])
    );
    let received = kit.events_of("trigger.receive").await;
    assert_eq!(received.len(), 3, "{received:?}");
    let delivered = eventually("deliveries are on the record", async || {
        Some(kit.events_of("trigger.deliver").await).filter(|all| all.len() == 6)
    })
    .await;
    assert!(delivered.iter().all(|event| event["outcome"] == "success"));
    for event in kit.events().await {
        assert!(!event.to_string().contains(SECRET) && !event.to_string().contains("\"hi\""), "{event}");
    }
}

async fn what_is_not_the_providers_leaves_no_trace_but_a_count(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    let connector = one_destination(&kit, &receiver, "/hook").await;
    let body = event("Ev1");
    let forged = send(&kit, &kit.node, &connector, "not-the-secret", &body).await;
    let refused = forged.refusal();
    assert_eq!(refused, (401, "unauthorized".to_owned()));
    let told = |answer: &carnet_testkit::Answer| answer.json()["error"]["message"].clone();
    // What is not there, what receives nothing, and what is signed wrong look alike.
    for other in ["scl_0000000000000000000000", "nothing", &kit.connector] {
        let answer = send(&kit, &kit.node, other, SECRET, &body).await;
        assert_eq!((answer.refusal(), told(&answer)), (refused.clone(), told(&forged)), "{other}");
    }
    // Signed, and too long ago.
    let url = format!("{}/connect/trigger/{connector}", kit.url());
    let at = kit.clock.now().secs() - 301;
    let (at, signed) = (at.to_string(), signature(SECRET, at, body.as_bytes()));
    let old = [("x-slack-request-timestamp", at.as_str()), ("x-slack-signature", signed.as_str())];
    assert_eq!(kit.http.send("POST", &url, &old, body.clone()).await.refusal(), refused);
    assert_eq!(kit.http.send("GET", &url, &[], "").await.refusal(), refused);
    let huge = kit.http.send("POST", &url, &old, "x".repeat(1024 * 1024 + 1)).await;
    assert_eq!(huge.refusal(), (413, "payload_too_large".to_owned()));

    // A question of the provider is answered, and goes nowhere.
    let asked = json!({"type": "url_verification", "challenge": "abc"}).to_string();
    let answer = send(&kit, &kit.node, &connector, SECRET, &asked).await;
    assert_eq!((answer.status, answer.text()), (200, "abc".to_owned()));

    // An event that nobody wants is taken and not kept; so is none once they are turned off.
    let triggers = format!("/v1/connect/connectors/{connector}/triggers");
    kit.manage("PATCH", &triggers, Some(&json!({"events": ["message.im"]}))).await.ok();
    sent(&kit, &connector, &body).await;
    kit.manage("PATCH", &triggers, Some(&json!({"events": [], "enabled": false}))).await.ok();
    assert_eq!(send(&kit, &kit.node, &connector, SECRET, &body).await.refusal(), refused);
    assert!(deliveries(&kit, &connector, "").await.is_empty());
    assert_eq!(receiver.count(), 0);
    let raw = kit.raw().await;
    assert_eq!(raw.number("select count(*) from trigger_events").await, 0);

    let rejected = kit.events_of("trigger.reject").await;
    let whys: Vec<_> = rejected.iter().map(|event| event["detail"]["why"].clone()).collect();
    assert!(whys.contains(&json!("unproven")) && whys.contains(&json!("stale")), "{whys:?}");
    for _ in 0..5 {
        send(&kit, &kit.node, &connector, "again", &body).await;
    }
    assert_eq!(kit.events_of("trigger.reject").await.len(), rejected.len(), "once a minute is enough");
}

async fn two_processes_forward_each_event_once(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    if !kit.is_shared() {
        return;
    }
    let receiver = Receiver::start().await;
    let connector = one_destination(&kit, &receiver, "/hook").await;
    let mut second = kit.second_node().await;
    for number in 0..12 {
        let node = if number % 2 == 0 { &kit.node } else { &second };
        // Sent to both: a provider that tries again may come to the other one.
        for node in [node, &kit.node] {
            let answer = send(&kit, node, &connector, SECRET, &event(&format!("Ev{number}"))).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
    receiver.count_at("/hook", 12).await;
    eventually("all are taken", async || {
        Some(deliveries(&kit, &connector, "?state=taken").await).filter(|all| all.len() == 12)
    })
    .await;
    let all = receiver.all_at("/hook");
    let ids: std::collections::BTreeSet<_> =
        all.iter().map(|one| one.headers["webhook-id"].to_str().unwrap().to_owned()).collect();
    assert_eq!((all.len(), ids.len()), (12, 12));
    second.stop().await;
}

/// A process that was started a moment ago knows no connector yet.
async fn made_up_addresses_keep_nobodys_events_out(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    let connector = one_destination(&kit, &receiver, "/hook").await;
    kit.restart(async |_| ()).await;
    for made_up in ["made-up", "scl_0000000000000000000000"] {
        let mut flood = 0;
        while let Ok(()) = kit.node.broker().trigger_pace(made_up).await {
            flood += 1;
            assert!(flood < 100_000, "there is no end to {made_up}");
        }
    }
    sent(&kit, &connector, &event("Ev1")).await;
    receiver.at("/hook").await;
}
