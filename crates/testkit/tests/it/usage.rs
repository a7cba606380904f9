//! Token requests are counted exactly: what was answered, nothing else, across processes and to the last allowed one.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use carnet_engine::{Plan as Terms, Plans};
use carnet_model::{Clock as _, Month};
use carnet_testkit::{Engine, Kit, Plan, Receiver, eventually, on_both_engines};
use serde_json::{Value, json};

use crate::{anew, of};

on_both_engines!(
    what_is_answered_is_counted_and_what_is_refused_is_not,
    a_plan_that_stops_gives_its_last_request_and_not_one_more,
    a_budget_that_is_reached_is_told_of_once_and_signed,
    who_asks_too_fast_waits_and_nobody_else_does,
);

fn with_plan(terms: Terms) -> Plan {
    let own = BTreeMap::from([("ours".to_owned(), terms)]);
    Plan { plans: Plans::new(own, Some("ours".to_owned()), &BTreeMap::new()).unwrap(), ..Plan::default() }
}

/// Not so near to its end that the test would see the next one begin.
pub(crate) fn well_within_a_month(kit: &Kit) {
    let now = kit.clock.now();
    if now.until(Month::of(now).next().begins()) < Duration::from_hours(1) {
        kit.clock.pass(Duration::from_hours(2));
    }
}

async fn usage(kit: &Kit, query: &str) -> Value {
    kit.manage("GET", &format!("/v1/usage{query}"), None).await.ok()
}

fn app() -> Value {
    json!({"subject": {"type": "app"}})
}

async fn what_is_answered_is_counted_and_what_is_refused_is_not(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    well_within_a_month(&kit);
    let second = kit.connect("second", Value::Null).await;
    kit.consent("alice").await;
    assert_eq!(usage(&kit, "").await["month"]["requests"], 0);
    // From the provider, from memory, made anew; by a workload and by a person.
    for body in [of("alice"), of("alice"), anew("alice"), app()] {
        kit.ask(&body).await.token();
    }
    kit.node.token(&kit.workload("preview"), &second, &app()).await.token();
    kit.node.token(&kit.tenant.token, &second, &app()).await.token();
    // Nobody consented; there is no such connector; it cannot be read.
    for (connector, body) in [
        (kit.connector.as_str(), of("nobody")),
        ("demo/none", app()),
        (kit.connector.as_str(), json!({"x": 1})),
    ] {
        let refused = kit.node.token(&kit.workload("production"), connector, &body).await;
        assert!(refused.status >= 400, "{}", refused.text());
    }
    let other = kit.another_tenant("other").await;
    let of_other = kit.node.call("GET", "/v1/usage", Some(&other.token), None).await.ok();
    assert_eq!((&of_other["month"]["requests"], &of_other["shares"]), (&json!(0), &json!([])));

    let told = usage(&kit, "").await;
    let month = Month::of(kit.clock.now());
    assert_eq!(
        told["month"],
        json!({"month": month.to_string(), "requests": 6, "estimatedCents": 0, "resetsAt": month.next().begins().millis()})
    );
    assert_eq!(told["plan"]["name"], "unlimited");
    assert_eq!(
        told["shares"],
        json!([
            {"id": kit.connector, "name": Kit::UID, "requests": 4},
            {"id": second, "name": "demo/second", "requests": 2},
        ])
    );
    assert_eq!(
        usage(&kit, "?by=project").await["shares"],
        json!([{"id": kit.tenant.project, "name": "acme-app", "requests": 5}, {"id": null, "name": null, "requests": 1}])
    );
    assert_eq!(
        usage(&kit, "?by=user").await["shares"],
        json!([
            {"id": null, "name": null, "requests": 5},
            {"id": kit.tenant.user, "name": "owner@acme.example", "requests": 1},
        ])
    );
    // What is removed stays counted, without its name.
    kit.manage("DELETE", &format!("/v1/connect/connectors/{second}"), None).await;
    assert_eq!(usage(&kit, "").await["shares"][1], json!({"id": second, "name": null, "requests": 2}));
    // A month later it is another month.
    kit.clock.pass(Duration::from_hours(24 * 31));
    assert_eq!(usage(&kit, "").await["month"]["requests"], 0);
    let since = usage(&kit, &format!("?since={month}")).await;
    assert_eq!(since["months"], json!([{"month": month.to_string(), "requests": 6, "estimatedCents": 0}]));
    let workload = kit.workload("production");
    let refused = kit.node.call("GET", "/v1/usage", Some(&workload), None).await;
    assert_eq!(refused.refusal(), (403, "forbidden".to_owned()));
    for query in ["?since=2026", "?since=2026-13", "?by=week"] {
        let refused = kit.manage("GET", &format!("/v1/usage{query}"), None).await;
        assert_eq!(refused.refusal(), (400, "invalid_request".to_owned()), "{query}");
    }
}

async fn a_plan_that_stops_gives_its_last_request_and_not_one_more(engine: Engine) {
    let terms = Terms { included: Some(20), stops: true, ..Terms::default() };
    let kit = Kit::start(engine, with_plan(terms)).await;
    well_within_a_month(&kit);
    let second = if kit.is_shared() { Some(kit.second_node().await) } else { None };
    // Many at once, on every node: the store decides which are the last.
    let asking: Vec<_> = (0..30)
        .map(|number| {
            let url = match second.as_ref().filter(|_| number % 2 == 0) {
                Some(second) => format!("http://{}", second.address),
                None => kit.url().to_owned(),
            };
            let path = format!("{url}/v1/connect/token/{}", kit.connector);
            let (http, bearer) = (kit.http.clone(), kit.workload("production"));
            let work = async move { http.json("POST", &path, Some(&bearer), Some(&app())).await };
            kit.node.broker().spawn(work)
        })
        .collect();
    let mut refused = Vec::new();
    let mut had = 0;
    for asked in asking {
        let answer = asked.await.unwrap();
        if answer.status == 200 { had += 1 } else { refused.push(answer) }
    }
    assert_eq!((had, refused.len()), (20, 10));
    let month = Month::of(kit.clock.now());
    for answer in &refused {
        assert_eq!(answer.refusal(), (429, "quota_exceeded".to_owned()));
        let error = &answer.json()["error"];
        assert_eq!(
            (&error["limit"], &error["resetsAt"]),
            (&json!(20), &json!(month.next().begins().millis()))
        );
        assert_eq!(answer.header("retry-after"), None, "a client that sleeps for weeks helps nobody");
    }
    let told = usage(&kit, "").await;
    assert_eq!((&told["month"]["requests"], &told["plan"]["stops"]), (&json!(20), &json!(true)));
    let events = kit.events_of("token.issue").await;
    let by = |outcome: &str| events.iter().filter(|event| event["outcome"] == outcome).count();
    assert_eq!((by("success"), by("denied")), (20, 10));
    let denied = events.iter().find(|event| event["outcome"] == "denied").unwrap();
    assert_eq!(denied["detail"]["rule"], "quota");
    // The next month begins anew.
    kit.clock.pass(Duration::from_millis(
        kit.clock.now().until(month.next().begins()).as_millis().try_into().unwrap(),
    ));
    kit.ask(&app()).await.token();
}

async fn a_budget_that_is_reached_is_told_of_once_and_signed(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    well_within_a_month(&kit);
    let receiver = Receiver::start().await;
    let budget =
        json!({"requests": 3, "webhook": {"url": receiver.url("/budget"), "projectId": kit.tenant.project}});
    let set = kit.manage("PUT", "/v1/usage/budget", Some(&budget)).await.ok();
    assert_eq!((&set["requests"], &set["webhook"]["environment"]), (&json!(3), &json!("production")));
    receiver.next([500]);
    for _ in 0..2 {
        kit.ask(&app()).await.token();
    }
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(receiver.count(), 0, "not yet");
    kit.ask(&app()).await.token();
    // The first attempt is not taken, and the process ends: the next one goes on.
    receiver.at("/budget").await;
    kit.restart(async |_| {}).await;
    let all = eventually("the alert is sent again", async || {
        kit.clock.pass(Duration::from_secs(2));
        Some(receiver.all_at("/budget")).filter(|all| all.len() >= 2)
    })
    .await;
    let month = Month::of(kit.clock.now()).to_string();
    assert_eq!(
        all[1].body,
        json!({"type": "budget.reached", "team": kit.tenant.team, "month": month, "budget": 3, "requests": 3})
    );
    assert_eq!((&all[0].raw, &all[0].headers["webhook-id"]), (&all[1].raw, &all[1].headers["webhook-id"]));
    crate::consent::verified(&kit, &receiver.url("/budget"), &all[1]).await;
    let delivered =
        eventually("it is on the record", async || kit.events_of("budget.deliver").await.into_iter().next())
            .await;
    assert_eq!((&delivered["outcome"], &delivered["detail"]["attempts"]), (&json!("success"), &json!(2)));
    kit.ask(&app()).await.token();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let reached = kit.events_of("budget.reach").await;
    assert_eq!(reached.len(), 1, "once a month");
    assert_eq!(reached[0]["detail"]["requests"], 3);
    assert_eq!(usage(&kit, "").await["budget"]["reachedIn"], month);
    assert_eq!(kit.manage("DELETE", "/v1/usage/budget", None).await.status, 204);
    assert_eq!(kit.manage("DELETE", "/v1/usage/budget", None).await.refusal(), (404, "not_found".to_owned()));
    for wrong in [
        json!({"requests": 0}),
        json!({"requests": 1, "webhook": {"url": format!("{}/v1/usage", kit.url()), "projectId": kit.tenant.project}}),
        json!({"requests": 1, "webhook": {"url": "not an address", "projectId": kit.tenant.project}}),
    ] {
        let refused = kit.manage("PUT", "/v1/usage/budget", Some(&wrong)).await;
        assert_eq!(refused.refusal(), (400, "invalid_request".to_owned()), "{wrong}");
    }
}

async fn who_asks_too_fast_waits_and_nobody_else_does(engine: Engine) {
    // Room for what the set-up itself does, and six seconds from one to the next.
    let per_minute = NonZeroU32::new(10).unwrap();
    let terms = Terms { reads: Some(per_minute), writes: Some(per_minute), ..Terms::default() };
    let kit = Kit::start(engine, with_plan(terms)).await;
    let other = kit.another_tenant("other").await;
    let refused = loop {
        let answer = kit.manage("GET", "/v2/user", None).await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!(refused.refusal(), (429, "rate_limited".to_owned()));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=6).contains(&wait), "{wait}");
    // Tokens are reads; writes go on, and so does another team.
    let refused = loop {
        let answer = kit.ask(&app()).await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!(refused.refusal(), (429, "rate_limited".to_owned()));
    kit.manage("POST", "/v9/projects", Some(&json!({"name": "more"}))).await.ok();
    kit.node.call("GET", "/v2/user", Some(&other.token), None).await.ok();
    kit.clock.pass(Duration::from_mins(1));
    kit.ask(&app()).await.token();
    let reached = kit.events_of("limit.reach").await;
    assert_eq!(reached.len(), 1, "the first refusal in a minute is on the record");
    assert_eq!((&reached[0]["detail"]["kind"], &reached[0]["outcome"]), (&json!("reads"), &json!("denied")));
}
