//! Destinations that do not take an event, not yet or not at all.

use carnet_testkit::{Engine, Kit, Plan, Receiver, eventually, on_both_engines};
use serde_json::{Value, json};

use super::*;

on_both_engines!(
    a_destination_that_is_away_is_tried_again_and_one_that_says_no_is_not,
    what_was_acknowledged_is_forwarded_by_the_next_process,
    what_was_cut_off_gets_nothing_more,
);

async fn a_destination_that_is_away_is_tried_again_and_one_that_says_no_is_not(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    let connector = one_destination(&kit, &receiver, "/hook").await;
    receiver.next([503, 503]);
    sent(&kit, &connector, &event("Ev1")).await;
    let taken = ends(&kit, &connector, "taken").await;
    assert_eq!(statuses(&taken), [Some(503), Some(503), Some(204)], "{taken}");
    let all = receiver.all_at("/hook");
    assert_eq!(all.len(), 3);
    for again in &all[1..] {
        assert_eq!((&again.raw, &again.headers["webhook-id"]), (&all[0].raw, &all[0].headers["webhook-id"]));
        assert_ne!(again.headers["authorization"], all[0].headers["authorization"], "a token of its own");
    }

    // A no is a no; somebody may mend the app, and have it forwarded again under the same name.
    receiver.next([400]);
    sent(&kit, &connector, &event("Ev2")).await;
    let dead = ends(&kit, &connector, "dead").await;
    assert_eq!((statuses(&dead), &dead["error"]), (vec![Some(400)], &json!("status 400")));
    let replay =
        format!("/v1/connect/connectors/{connector}/deliveries/{}/replay", dead["id"].as_str().unwrap());
    receiver.next([503]);
    assert_eq!(kit.manage("POST", &replay, None).await.ok()["state"], "waiting");
    let again = eventually("it is taken", async || {
        Some(go_on(&kit, &connector, &dead["id"]).await).filter(|one| one["state"] == "taken")
    })
    .await;
    assert_eq!(statuses(&again), [Some(400), Some(503), Some(204)]);
    let replayed = kit.events_of("trigger.replay").await;
    assert_eq!(replayed[0]["detail"]["delivery"], dead["id"]);

    // Gone for good: the destination is taken out, and says so where somebody looks.
    receiver.next([410]);
    sent(&kit, &connector, &event("Ev3")).await;
    ends(&kit, &connector, "dead").await;
    let seen = receiver.count();
    sent(&kit, &connector, &event("Ev4")).await;
    let shown = kit.manage("GET", &format!("/v1/connect/connectors/{connector}"), None).await.ok();
    assert_eq!(shown["triggerDestinations"][0]["disabled"], true);
    assert_eq!(kit.events_of("trigger.disable").await.len(), 1);
    // Set once more, it is taken up again.
    let one = json!([{"projectId": kit.tenant.project, "path": "/hook"}]);
    destinations(&kit, &connector, one).await.ok();
    sent(&kit, &connector, &event("Ev5")).await;
    receiver.count_at("/hook", seen + 1).await;
    let failed = kit.events_of("trigger.deliver").await;
    assert!(
        failed.iter().any(|event| event["outcome"] == "failed" && event["detail"]["why"] == "status 410")
    );
}

async fn what_was_acknowledged_is_forwarded_by_the_next_process(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    let connector = one_destination(&kit, &receiver, "/hook").await;
    receiver.next([503]);
    sent(&kit, &connector, &event("Ev1")).await;
    let first = receiver.at("/hook").await;
    kit.restart(async |_| {}).await;
    let taken = ends(&kit, &connector, "taken").await;
    assert_eq!(taken["attemptCount"], 2, "{taken}");
    let all = receiver.all_at("/hook");
    assert_eq!((all.len(), &all[1].raw), (2, &first.raw));
}

async fn what_was_cut_off_gets_nothing_more(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    let connector = connector(&kit, "bot", Value::Null).await;
    let project = kit.tenant.project.clone();
    let one = |path: &str| json!([{"projectId": project, "path": path}]);
    // Nobody has said yet where production is: it waits, and says for what.
    destinations(&kit, &connector, one("/hook")).await.ok();
    sent(&kit, &connector, &event("Ev1")).await;
    let waits = eventually("an attempt was made", async || {
        deliveries(&kit, &connector, "?state=waiting").await.into_iter().find(|one| one["error"].is_string())
    })
    .await;
    assert!(waits["error"].as_str().unwrap().contains("no address"), "{waits}");
    // What waits goes where the destination is by then.
    destinations(&kit, &connector, one("/other")).await.ok();
    reached_at(&kit, &[("production", receiver.url(""))]).await;
    ends(&kit, &connector, "taken").await;
    assert_eq!((receiver.all_at("/other").len(), receiver.count()), (1, 1));

    // Detached while an event waits.
    receiver.next([503]);
    sent(&kit, &connector, &event("Ev2")).await;
    receiver.count_at("/other", 2).await;
    let link = format!("/v1/connect/connectors/{connector}/projects/{project}");
    assert_eq!(kit.manage("DELETE", &link, None).await.status, 204);
    let dead = ends(&kit, &connector, "dead").await;
    assert_eq!(dead["error"], "the destination was removed");
    let shown = kit.manage("GET", &format!("/v1/connect/connectors/{connector}"), None).await.ok();
    assert_eq!(shown.get("triggerDestinations"), None::<&Value>, "{shown}");
    let replay =
        format!("/v1/connect/connectors/{connector}/deliveries/{}/replay", dead["id"].as_str().unwrap());
    assert_eq!(kit.manage("POST", &replay, None).await.refusal(), (409, "conflict".to_owned()));

    // Taken out of production, but not out of previews.
    destinations(&kit, &connector, one("/other")).await.ok();
    kit.manage("POST", &link, Some(&json!({"environments": ["preview"]}))).await.ok();
    sent(&kit, &connector, &event("Ev3")).await;
    assert_eq!(deliveries(&kit, &connector, "?state=waiting").await, Vec::<Value>::new());
    assert_eq!(receiver.count(), 2);
    // With the connector everything goes.
    let path = format!("/v1/connect/connectors/{connector}");
    assert_eq!(kit.manage("DELETE", &path, None).await.status, 204);
    let raw = kit.raw().await;
    for table in ["events", "deliveries", "attempts", "destinations", "settings"] {
        assert_eq!(raw.number(&format!("select count(*) from trigger_{table}")).await, 0, "{table}");
    }
}
