//! `explain`: what it says is what a token request is answered with, and nobody learns from it what they may not know.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use carnet_engine::{Plan as Terms, Plans};
use carnet_testkit::{Answer, Engine, Fault, Kit, Plan, on_both_engines};
use serde_json::{Value, json};

use crate::of;
use crate::usage::well_within_a_month;

on_both_engines!(
    what_is_explained_is_what_a_request_is_answered_with,
    a_person_sees_why_a_workload_is_refused,
    one_grant_is_shown_and_revoked_by_its_identifier,
    what_the_team_or_the_provider_has_no_room_for_is_named_in_its_order,
    a_refresh_in_doubt_is_named_with_what_ends_the_doubt,
);

async fn explain(kit: &Kit, bearer: &str, connector: &str, query: &str) -> Answer {
    let connector = connector.replace('/', "%2F");
    let path = format!("/v1/connect/connectors/{connector}/explain{query}");
    kit.node.call("GET", &path, Some(bearer), None).await
}

fn outcomes(told: &Value) -> Vec<(String, String)> {
    let text = |rule: &Value, name: &str| rule[name].as_str().unwrap().to_owned();
    let rules = told["rules"].as_array().unwrap();
    rules.iter().map(|rule| (text(rule, "rule"), text(rule, "outcome"))).collect()
}

async fn what_is_explained_is_what_a_request_is_answered_with(engine: Engine) {
    let kit = Kit::start(engine, Plan { access_life: Duration::from_mins(10), ..Plan::default() }).await;
    let link = format!("/v1/connect/connectors/{}/projects/{}", kit.connector, kit.tenant.project);
    kit.manage("POST", &link, Some(&json!({"environments": ["production", "development"]}))).await.ok();
    kit.consent("alice").await;
    kit.consent("bob").await;
    kit.provider.forget(&kit.provider.last_refresh_token()).await;
    let app = json!({"subject": {"type": "app"}});
    let alice = of("alice");
    let with = |scopes: Value| json!({"subject": {"type": "user", "id": "alice"}, "scopes": scopes});
    for (bearer, body, query, decided) in [
        (kit.workload("production"), app.clone(), "?subject=app".to_owned(), Value::Null),
        (kit.workload("preview"), app.clone(), "?subject=app".to_owned(), json!("link-environment")),
        (kit.workload("production"), alice.clone(), "?user=alice".to_owned(), Value::Null),
        (kit.workload("production"), of("nobody"), "?user=nobody".to_owned(), json!("grant-given")),
        (kit.workload("development"), alice.clone(), "?user=alice".to_owned(), json!("grant-given")),
        (
            kit.workload("production"),
            with(json!(["messages:write"])),
            "?user=alice&scopes=messages%3Awrite".to_owned(),
            json!("grant-scopes"),
        ),
        (
            kit.workload("production"),
            json!({"subject": {"type": "app"}, "installationId": "T9"}),
            "?subject=app&installationId=T9".to_owned(),
            json!("installation"),
        ),
        (kit.tenant.token.clone(), app.clone(), "?subject=app".to_owned(), Value::Null),
        (kit.tenant.token.clone(), alice.clone(), "?user=alice".to_owned(), json!("own-user-only")),
        (kit.tenant.token.clone(), json!({}), String::new(), json!("grant-given")),
    ] {
        let told = explain(&kit, &bearer, Kit::UID, &query).await.ok();
        let answer = kit.node.token(&bearer, Kit::UID, &body).await;
        assert_eq!(told["decidedBy"], decided, "{query}: {told}");
        assert_eq!(told["allowed"], answer.status == 200, "{query}: {}", answer.text());
        if told["allowed"] == true {
            assert!(outcomes(&told).iter().all(|(_, outcome)| outcome == "passed"), "{told}");
            assert_eq!(told["refusal"], Value::Null);
        } else {
            let error = answer.json()["error"].clone();
            assert_eq!(
                (&told["refusal"]["code"], &told["refusal"]["message"]),
                (&error["code"], &error["message"])
            );
            let outcomes: Vec<_> = outcomes(&told).into_iter().map(|(_, outcome)| outcome).collect();
            let denied = outcomes.iter().position(|outcome| outcome == "denied").unwrap();
            assert!(outcomes.iter().take(denied).all(|outcome| outcome == "passed"), "{told}");
            assert!(outcomes.iter().skip(denied + 1).all(|outcome| outcome == "not-reached"), "{told}");
        }
        for rule in told["rules"].as_array().unwrap() {
            assert!(rule["next"][0]["command"].as_str().unwrap().starts_with("carnet "), "{rule}");
            assert_ne!(rule["asks"], rule["rule"], "{rule}");
        }
    }
    // A grant that its provider no longer honours is known as such once a refresh has failed.
    let bob = of("bob");
    let anew = json!({"subject": bob["subject"], "validityBufferMs": 86_400_000});
    kit.clock.pass(Duration::from_mins(11));
    assert_eq!(kit.ask(&anew).await.refusal().1, "user_authorization_required");
    let told = explain(&kit, &kit.workload("production"), Kit::UID, "?user=bob").await.ok();
    assert_eq!(
        (&told["decidedBy"], &told["refusal"]["cause"]),
        (&json!("grant-active"), &json!("revoked_at_provider"))
    );
}

async fn a_person_sees_why_a_workload_is_refused(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let other = kit.another_tenant("other").await;
    let link = format!("/v1/connect/connectors/{}/projects/{}", kit.connector, kit.tenant.project);
    kit.manage("POST", &link, Some(&json!({"environments": ["production"]}))).await.ok();
    kit.consent("alice").await;
    let (owner, project) = (kit.tenant.token.clone(), kit.tenant.project.clone());
    let about = |environment: &str| format!("?project={project}&environment={environment}&subject=app");

    let told = explain(&kit, &owner, Kit::UID, &about("production")).await.ok();
    assert_eq!(told["allowed"], true, "{told}");
    assert_eq!(told["caller"], json!({"type": "project", "id": project, "environment": "production"}));
    assert_eq!(told["identities"].as_array().unwrap().len(), 1, "the platform's rule for production");
    assert_eq!(told["identities"][0]["claims"]["environment"], "production");

    let told = explain(&kit, &owner, Kit::UID, &about("preview")).await.ok();
    assert_eq!(told["decidedBy"], "link-environment");
    let fix = told["rules"].as_array().unwrap().iter().find(|rule| rule["outcome"] == "denied").unwrap();
    // What is attached already is named too: the list is replaced.
    let attach = format!("carnet attach {} -p {project} -e production,preview", Kit::UID);
    assert_eq!(fix["next"][0]["command"], attach);

    // In development Carnet's own identities are known besides.
    let told = explain(&kit, &owner, Kit::UID, &about("development")).await.ok();
    assert_eq!(told["identities"].as_array().unwrap().len(), 2, "{told}");

    // A project that nobody vouches for.
    let made = kit.manage("POST", "/v9/projects", Some(&json!({"name": "second"}))).await.ok();
    let second = made["id"].as_str().unwrap();
    let query = format!("?project={second}&environment=production");
    let told = explain(&kit, &owner, Kit::UID, &query).await.ok();
    assert_eq!((&told["decidedBy"], &told["refusal"]["code"]), (&json!("identity"), &json!("unauthorized")));
    assert!(outcomes(&told).iter().skip(1).all(|(_, outcome)| outcome == "not-reached"), "{told}");

    // Nothing of it is for others: another team knows no such connector, and a workload asks about itself alone.
    let foreign = explain(&kit, &other.token, &kit.connector, &about("production")).await;
    assert_eq!(foreign.refusal(), (404, "not_found".to_owned()));
    let foreign_project = format!("?project={}&environment=production", other.project);
    let answer = explain(&kit, &owner, Kit::UID, &foreign_project).await;
    assert_eq!(answer.refusal(), (404, "not_found".to_owned()));
    let workload = explain(&kit, &kit.workload("production"), Kit::UID, &about("production")).await;
    assert_eq!(workload.refusal(), (403, "forbidden".to_owned()));
    for query in ["?project=x", "?environment=production", "?subject=martian", "?subject=app&user=alice"] {
        assert_eq!(explain(&kit, &owner, Kit::UID, query).await.refusal().0, 400, "{query}");
    }
    // Explaining is no request for a token.
    assert!(kit.events_of("token.issue").await.is_empty());
    let refused =
        kit.node.token(&kit.workload("preview"), Kit::UID, &json!({"subject": {"type": "app"}})).await;
    assert_eq!(refused.json()["error"]["next"][0]["command"], attach, "{}", refused.text());
}

async fn one_grant_is_shown_and_revoked_by_its_identifier(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let other = kit.another_tenant("other").await;
    kit.consent("alice").await;
    kit.consent("bob").await;
    let token = kit.user_token("alice").await.token();
    let grants = kit.grants().await;
    let of_alice = grants.iter().find(|grant| grant["subject"]["id"] == "alice").unwrap();
    let path = format!("/v1/connect/grants/{}", of_alice["id"].as_str().unwrap());

    assert_eq!(kit.manage("GET", &path, None).await.ok(), *of_alice);
    for (bearer, status) in [(&other.token, 404), (&kit.workload("production"), 403)] {
        for method in ["GET", "DELETE"] {
            assert_eq!(kit.node.call(method, &path, Some(bearer), None).await.status, status, "{method}");
        }
    }
    let done = kit.manage("DELETE", &path, None).await.ok();
    assert_eq!((&done["deleted"], &done["providerRevoked"]), (&json!(1), &json!(1)));
    assert!(kit.provider.me(&token).await.is_none(), "the provider has ended it");
    assert_eq!(kit.user_token("alice").await.refusal().1, "user_authorization_required");
    kit.user_token("bob").await.token();
    assert_eq!(kit.manage("GET", &path, None).await.refusal(), (404, "not_found".to_owned()));
    assert_eq!(kit.manage("DELETE", &path, None).await.refusal(), (404, "not_found".to_owned()));
    let events = kit.events_of("token.revoke").await;
    assert_eq!(events[0]["detail"]["grant"], of_alice["id"]);
}

/// What is explained for a workload of production, and what a request is answered with, must be the same.
async fn decided(kit: &Kit, query: &str, body: &Value) -> Value {
    let workload = kit.workload("production");
    let told = explain(kit, &workload, Kit::UID, query).await.ok();
    let answer = kit.node.token(&workload, Kit::UID, body).await;
    assert_eq!(told["allowed"], answer.status == 200, "{told}: {}", answer.text());
    if answer.status != 200 {
        assert_eq!(told["refusal"]["code"], answer.json()["error"]["code"], "{told}: {}", answer.text());
    }
    told["decidedBy"].clone()
}

async fn what_the_team_or_the_provider_has_no_room_for_is_named_in_its_order(engine: Engine) {
    let terms = Terms { included: Some(3), stops: true, reads: NonZeroU32::new(60), ..Terms::default() };
    let own = BTreeMap::from([("ours".to_owned(), terms)]);
    let plans = Plans::new(own, Some("ours".to_owned()), &BTreeMap::new()).unwrap();
    let access_life = Duration::from_mins(10);
    let kit = Kit::start(engine, Plan { plans, access_life, ..Plan::default() }).await;
    well_within_a_month(&kit);
    kit.consent("alice").await;
    let app = json!({"subject": {"type": "app"}});
    let nobody = of("nobody");
    assert_eq!(decided(&kit, "?user=alice", &of("alice")).await, Value::Null);

    // A provider that asks to wait keeps nobody from a token that lives, and is named where one has to be made.
    kit.provider.next([Fault::status(429).retry_after(30)]);
    assert_eq!(kit.ask(&app).await.refusal().1, "provider_unavailable");
    assert_eq!(decided(&kit, "?subject=app", &app).await, "provider-breaker");
    assert_eq!(decided(&kit, "?user=alice", &of("alice")).await, Value::Null);
    kit.clock.pass(access_life + Duration::from_mins(1));
    kit.provider.next([Fault::status(429).retry_after(30)]);
    assert_eq!(kit.ask(&of("alice")).await.refusal().1, "provider_unavailable");
    assert_eq!(decided(&kit, "?user=alice", &of("alice")).await, "provider-breaker");
    // What somebody never gave comes before what the provider could not give now.
    assert_eq!(decided(&kit, "?user=nobody", &nobody).await, "grant-given");
    kit.clock.pass(Duration::from_mins(1));

    // The third is the last of the month, and its end comes before whether anybody consented.
    assert_eq!(decided(&kit, "?subject=app", &app).await, Value::Null);
    assert_eq!(decided(&kit, "?subject=app", &app).await, "quota");
    assert_eq!(decided(&kit, "?user=nobody", &nobody).await, "quota");

    // And before all that comes how fast the team asks, of which explaining is a part.
    let workload = kit.workload("production");
    let mut last = Value::Null;
    for _ in 0..120 {
        let answer = explain(&kit, &workload, Kit::UID, "?subject=app").await;
        if answer.status == 429 {
            break;
        }
        last = answer.ok();
    }
    assert_eq!((&last["decidedBy"], &last["refusal"]["code"]), (&json!("team-pace"), &json!("rate_limited")));
    assert_eq!(
        outcomes(&last)[..2],
        [("identity".to_owned(), "passed".to_owned()), ("team-pace".to_owned(), "denied".to_owned())]
    );
    assert_eq!(kit.node.token(&workload, Kit::UID, &app).await.refusal().1, "rate_limited");
}

async fn a_refresh_in_doubt_is_named_with_what_ends_the_doubt(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    let (all, less) = (of("alice"), json!({"subject": of("alice")["subject"], "scopes": ["profile:read"]}));
    let narrowed = "?user=alice&scopes=profile%3Aread";
    // A narrower token takes a refresh, whose answer is lost: a strict provider may have spent the token, or not.
    kit.provider.next([Fault::lost().after_its_work()]);
    assert_eq!(kit.ask(&less).await.refusal().1, "provider_unavailable");
    kit.clock.pass(Duration::from_secs(61));
    assert_eq!(decided(&kit, narrowed, &less).await, "refresh-in-doubt");
    assert_eq!(decided(&kit, "?user=alice", &all).await, Value::Null, "the token that lives is given out");
    let told = explain(&kit, &kit.workload("production"), Kit::UID, narrowed).await.ok();
    let rule = told["rules"].as_array().unwrap().iter().find(|rule| rule["outcome"] == "denied").unwrap();
    let consent = format!("carnet token {} --subject user --user alice --yes", Kit::UID);
    assert_eq!(
        rule["next"][0]["command"], consent,
        "the person whom the workload asks for, and not whoever reads it"
    );
    let asked = kit.provider.requests("refresh_token");

    kit.consent("alice").await;
    assert_eq!(decided(&kit, narrowed, &less).await, Value::Null);
    assert_eq!(kit.provider.requests("refresh_token"), asked + 1, "explaining asks nobody");
}

/// What only the provider knows is not promised.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_scope_that_only_the_provider_knows_is_said_to_be_its_to_decide() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let told = async |query: &str| explain(&kit, &kit.workload("production"), Kit::UID, query).await.ok();
    let unlisted = told("?subject=app&scopes=profile%3Aread%20nonsense").await;
    assert_eq!((&unlisted["allowed"], &unlisted["providerDecides"]), (&json!(true), &json!(["nonsense"])));
    let body = json!({"subject": {"type": "app"}, "scopes": ["profile:read", "nonsense"]});
    assert_eq!(kit.ask(&body).await.refusal(), (422, "invalid_scope".to_owned()));
    for query in ["?subject=app&scopes=profile%3Aread", "?subject=app", "?user=alice&scopes=nonsense"] {
        assert_eq!(told(query).await["providerDecides"], json!([]), "{query}");
    }
}
