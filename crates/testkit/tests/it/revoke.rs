//! Revoking: gone here at once, told to the provider, and counted.

use std::time::Duration;

use carnet_testkit::{Browser, Engine, Fault, Kit, Plan, eventually, on_both_engines};
use serde_json::{Value, json};

use crate::of;

on_both_engines!(
    how_grants_stand_is_counted_in_one_answer,
    what_is_revoked_is_counted_by_what_became_of_it,
    a_provider_that_cannot_be_told_does_not_keep_a_grant_alive,
    a_grant_withdrawn_by_a_process_that_died_is_brought_to_its_end,
);

fn counts(found: u64, revoked: u64, skipped: u64, failed: u64) -> Value {
    json!({"tokensFound": found, "deleted": found, "providerRevoked": revoked,
        "providerSkipped": skipped, "providerFailed": failed})
}

async fn revoke(kit: &Kit, bearer: &str, body: Value) -> Value {
    let path = format!("/v1/connect/connectors/{}/tokens", kit.connector);
    kit.node.call("DELETE", &path, Some(bearer), Some(&body)).await.ok()
}

async fn what_is_revoked_is_counted_by_what_became_of_it(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let owner = kit.tenant.token.clone();
    for user in ["alice", "bob", "carol"] {
        kit.consent(user).await;
    }
    let own = of(&kit.tenant.user);
    let path = format!("/v1/connect/authorize/{}", kit.connector);
    let started = kit.manage("POST", &path, Some(&own)).await.ok();
    Browser::default().consent(started["url"].as_str().unwrap(), "grace").await;
    let mine = kit.node.token(&owner, Kit::UID, &own).await.token();
    let alice = kit.user_token("alice").await.token();
    let app = json!({"subject": {"type": "app"}});
    let app_token = kit.ask(&app).await.token();

    let elsewhere = kit.workload("preview");
    assert_eq!(
        revoke(&kit, &elsewhere, of("alice")).await,
        counts(0, 0, 0, 0),
        "another environment's is not reached"
    );
    assert_eq!(revoke(&kit, &kit.workload("production"), of("alice")).await, counts(1, 1, 0, 0));
    assert!(kit.provider.me(&alice).await.is_none(), "the provider has ended it");
    assert_eq!(kit.user_token("alice").await.refusal(), (422, "user_authorization_required".to_owned()));
    assert_eq!(revoke(&kit, &kit.workload("production"), of("alice")).await, counts(0, 0, 0, 0));

    assert_eq!(revoke(&kit, &owner, own.clone()).await, counts(1, 1, 0, 0), "one's own");
    assert!(kit.provider.me(&mine).await.is_none());
    kit.user_token("bob").await.token();
    let path = format!("/v1/connect/connectors/{}/tokens", kit.connector);
    assert_eq!(revoke(&kit, &owner, of("bob")).await, counts(1, 1, 0, 0), "an owner cuts off another person");
    assert_eq!(kit.user_token("bob").await.refusal(), (422, "user_authorization_required".to_owned()));

    assert_eq!(revoke(&kit, &owner, app.clone()).await, counts(1, 1, 0, 0), "the application's");
    assert!(kit.provider.me(&app_token).await.is_none());
    assert_ne!(kit.ask(&app).await.token(), app_token);
    assert_eq!(
        revoke(&kit, &owner, json!({})).await,
        counts(2, 2, 0, 0),
        "everybody's: Carol, the application"
    );
    assert!(kit.grants().await.is_empty());
    let events = kit.events_of("token.revoke").await;
    let subjects: Vec<&Value> = events.iter().map(|event| &event["detail"]["subject"]).collect();
    assert!(subjects.contains(&&json!("*")) && subjects.contains(&&json!("user:alice")), "{subjects:?}");

    let unknown = json!({"all": true, "installationId": "T9"});
    assert_eq!(kit.manage("DELETE", &path, Some(&unknown)).await.refusal(), (404, "not_found".to_owned()));
}

async fn how_grants_stand_is_counted_in_one_answer(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    for user in ["alice", "bob", "carol"] {
        kit.consent(user).await;
    }
    let stuck = "update grants set state = 'needs_consent', cause = 'expired', state_since = 7 where subject = 'user:bob'";
    assert_eq!(kit.raw().await.run(stuck).await, 1);
    for path in
        ["/v1/connect/standing".to_owned(), format!("/v1/connect/standing?connector={}", kit.connector)]
    {
        let told = kit.manage("GET", &path, None).await.ok();
        assert_eq!((&told["connectors"], &told["grants"]), (&json!(1), &json!(3)), "{told}");
        let states = json!([{"state": "active", "grants": 2}, {"state": "needs_consent", "cause": "expired", "grants": 1}]);
        assert_eq!(told["states"], states);
        let [waiting] = &told["needConsent"].as_array().unwrap()[..] else { panic!("{told}") };
        assert_eq!((&waiting["uid"], &waiting["grant"]["subject"]["id"]), (&json!(Kit::UID), &json!("bob")));
    }
    let other = kit.another_tenant("other").await;
    let told = kit.node.call("GET", "/v1/connect/standing", Some(&other.token), None).await.ok();
    assert_eq!(told, json!({"connectors": 0, "grants": 0, "states": [], "needConsent": []}));
    let path = format!("/v1/connect/standing?connector={}", kit.connector);
    let foreign = kit.node.call("GET", &path, Some(&other.token), None).await;
    assert_eq!(foreign.refusal(), (404, "not_found".to_owned()));
}

/// A subject has nothing where the connector is not installed; and what an installation left is not one project's to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_not_there_is_counted_as_nothing_and_what_is_shared_is_not_taken_in_silence() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    kit.consent("alice").await;
    let mut body = of("alice");
    body["installationId"] = json!("T9");
    for bearer in [kit.workload("production"), kit.tenant.token.clone()] {
        assert_eq!(revoke(&kit, &bearer, body.clone()).await, counts(0, 0, 0, 0));
    }
    kit.user_token("alice").await.token();

    let bot = json!({"clientCredentials": null, "account": {"subject": "/bot_id", "tenant": "/workspace_id"},
        "installation": {"enabled": true, "scopes": ["messages:write"]}});
    let bot = kit.connect("bot", bot).await;
    let path = format!("/v1/connect/connectors/{bot}/tokens");
    let app = json!({"subject": {"type": "app"}});
    let refused = kit.node.call("DELETE", &path, Some(&kit.workload("production")), Some(&app)).await;
    assert_eq!(refused.refusal(), (403, "forbidden".to_owned()));
    assert_eq!(refused.json()["error"]["reason"], "shared_by_installation");
    assert_eq!(kit.manage("DELETE", &path, Some(&app)).await.ok(), counts(0, 0, 0, 0));

    // What everybody's would be is known before: the grants, and what hangs on none.
    kit.ask(&app).await.token();
    let listed = format!("/v1/connect/connectors/{}/grants", kit.connector);
    let listed = kit.manage("GET", &listed, None).await.ok();
    assert_eq!(
        (listed["grants"].as_array().unwrap().len(), &listed["madeTokens"]),
        (1, &json!([{"tokens": 1}]))
    );
    let owner = kit.tenant.token.clone();
    assert_eq!(revoke(&kit, &owner, json!({})).await, counts(2, 2, 0, 0));
}

/// A member that somebody forgot to fill in, or a body that got lost on the way, takes nothing from anybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everybody_is_meant_only_where_that_is_said() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    kit.consent("alice").await;
    let path = format!("/v1/connect/connectors/{}/tokens", kit.connector);
    for (body, field) in [
        (None, Value::Null),
        (Some(json!({"subject": null})), json!("subject")),
        (Some(json!({"installationId": "T1"})), json!("subject")),
        (Some(json!({"installationId": null})), json!("subject")),
        (Some(json!({"all": false})), json!("subject")),
        (Some(json!({"all": true, "subject": {"type": "app"}})), json!("all")),
    ] {
        let refused = kit.manage("DELETE", &path, body.as_ref()).await;
        let told = refused.json();
        assert_eq!((refused.status, &told["error"]["code"]), (400, &json!("invalid_request")), "{body:?}");
        assert_eq!(told["error"]["field"], field, "{body:?}: {told}");
    }
    kit.user_token("alice").await.token();
    let of_one = json!({"all": true, "installationId": "T9"});
    assert_eq!(kit.manage("DELETE", &path, Some(&of_one)).await.refusal(), (404, "not_found".to_owned()));
    assert_eq!(kit.manage("DELETE", &path, Some(&json!({"all": true}))).await.ok(), counts(1, 1, 0, 0));
}

async fn a_provider_that_cannot_be_told_does_not_keep_a_grant_alive(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let owner = kit.tenant.token.clone();
    for fault in [|| Fault::status(503), Fault::lost, Fault::html, || Fault::error(401, "invalid_client")] {
        kit.consent("alice").await;
        kit.user_token("alice").await.token();
        kit.provider.always_at_revocation(fault);
        let told = revoke(&kit, &owner, json!({})).await;
        kit.provider.heal();
        // A page with a 200 is taken for a yes: RFC 7009 §2.2 says that the status is the answer.
        assert_eq!(
            told["providerFailed"].as_u64().unwrap() + told["providerRevoked"].as_u64().unwrap(),
            1,
            "{told}"
        );
        assert_eq!(told["deleted"], 1);
        assert_eq!(kit.user_token("alice").await.refusal(), (422, "user_authorization_required".to_owned()));
    }
    kit.consent("alice").await;
    kit.user_token("alice").await.token();
    kit.provider.go_down();
    assert_eq!(revoke(&kit, &owner, json!({})).await, counts(1, 0, 0, 1));
    assert_eq!(kit.user_token("alice").await.refusal(), (422, "user_authorization_required".to_owned()));
    assert!(kit.grants().await.is_empty());
}

async fn a_grant_withdrawn_by_a_process_that_died_is_brought_to_its_end(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    let token = kit.user_token("alice").await.token();
    kit.restart(async |kit| {
        let withdrawn =
            "update grants set state = 'withdrawn', state_since = 1, place = id, refresh_due = null";
        assert_eq!(kit.raw().await.run(withdrawn).await, 1);
    })
    .await;
    eventually("the provider is told", async || kit.provider.me(&token).await.is_none().then_some(())).await;
    let raw = kit.raw().await;
    eventually("the grant is removed", async || {
        (raw.number("select count(*) from grants").await == 0).then_some(())
    })
    .await;
    let event = kit.events_of("token.revoke").await.pop().unwrap();
    assert_eq!(
        (&event["actor"]["type"], &event["detail"]["provider"]),
        (&json!("system"), &json!("revoked"))
    );
    kit.consent("alice").await;
}

/// A server without a revocation endpoint has nothing to be told.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn where_nothing_can_be_told_it_is_counted_as_skipped() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let issuer = kit.provider.issuer();
    let changes = json!({
        "serverUrl": null,
        "serverConfig": {"token_endpoint": format!("{issuer}/token")},
        "userAuthorization": {"enabled": false},
    });
    let connector = kit.connect("silent", changes).await;
    let app = json!({"subject": {"type": "app"}});
    kit.node.token(&kit.workload("production"), &connector, &app).await.token();
    let path = format!("/v1/connect/connectors/{connector}/tokens");
    assert_eq!(kit.manage("DELETE", &path, Some(&json!({}))).await.ok(), counts(1, 0, 1, 0));
}

/// Whatever takes a grant away takes it away at the provider too.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn removing_connector_or_project_ends_what_hangs_on_it() {
    for what in ["connector", "project"] {
        let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
        kit.consent("alice").await;
        let token = kit.user_token("alice").await.token();
        let path = match what {
            "connector" => format!("/v1/connect/connectors/{}", kit.connector),
            _ => format!("/v9/projects/{}", kit.tenant.project),
        };
        assert_eq!(kit.manage("DELETE", &path, None).await.status, 204, "{what}");
        eventually(what, async || kit.provider.me(&token).await.is_none().then_some(())).await;
        let raw = kit.raw().await;
        eventually(what, async || (raw.number("select count(*) from grants").await == 0).then_some(())).await;
    }
}

/// Telling a provider of many takes longer than the silence after which recovery takes up what somebody else left.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_revocation_that_takes_long_is_not_made_twice() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    for n in 0..24 {
        kit.consent(&format!("user-{n}")).await;
    }
    kit.provider.always_at_revocation(|| Fault::none().delayed(Duration::from_millis(1_500)));
    let owner = kit.tenant.token.clone();
    let meanwhile = async {
        kit.provider.until_requests("revoke", 1).await;
        // By the clock, longer than anybody waits for somebody who says nothing.
        for _ in 0..2 {
            kit.clock.pass(Duration::from_secs(13));
            tokio::time::sleep(Duration::from_millis(5_300)).await;
        }
        assert_eq!(kit.user_token("user-0").await.refusal(), (422, "user_authorization_required".to_owned()));
    };
    let (revoked, ()) = tokio::join!(revoke(&kit, &owner, json!({})), meanwhile);
    assert_eq!(revoked, counts(24, 24, 0, 0));
    assert_eq!(kit.provider.requests("revoke"), 48, "the two tokens of each, once");
}
