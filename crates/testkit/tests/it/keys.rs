//! Keys that are turned while everything runs: no request fails, nothing becomes unreadable, nothing goes that is needed.

mod compromised;
mod many;
mod nodes;
mod places;
mod provider;
mod shut;
mod takeover;
mod turning;

use std::time::Duration;

use carnet_testkit::{Authority, Browser, Fault, Gate, Kit, Pebble, Plan, Raw, eventually};
use serde_json::{Value, json};

use crate::triggers;

/// Longer than from the commit of a version to the first sealing anew.
const IN_USE: Duration = Duration::from_mins(1);

async fn status(kit: &Kit) -> Value {
    kit.manage("GET", "/v1/keys", None).await.ok()
}

async fn rotate(kit: &Kit, kind: &str) -> Value {
    kit.manage("POST", "/v1/keys/rotate", Some(&json!({"kind": kind}))).await.ok()
}

/// Versions and states of a role, oldest first.
fn versions(status: &Value, role: &str) -> Vec<(i64, String)> {
    let mut found: Vec<_> = status["keys"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|key| key["role"] == role)
        .map(|key| (key["version"].as_i64().unwrap(), key["state"].as_str().unwrap().to_owned()))
        .collect();
    found.sort();
    found
}

fn state(version: i64, state: &str) -> (i64, String) {
    (version, state.to_owned())
}

/// Waits until this version of the role is in this state.
async fn until(kit: &Kit, role: &str, version: i64, wanted: &str) {
    eventually(&format!("{role} {version} is {wanted}"), async || {
        versions(&status(kit).await, role).contains(&state(version, wanted)).then_some(())
    })
    .await;
}

/// Everything that is sealed opens; how much that is.
async fn everything_opens(kit: &Kit) -> u64 {
    let found = kit.manage("POST", "/v1/keys/verify", None).await.ok();
    let columns = found["columns"].as_array().unwrap();
    for column in columns {
        assert_eq!(column["refused"], 0, "{found}");
    }
    assert_eq!(found["events"], found["lastEvent"]);
    columns.iter().map(|column| column["opened"].as_u64().unwrap()).sum()
}

/// With an authority that gives the deployment its certificate, if the machine has one.
async fn with_authority() -> Plan {
    Plan { authority: Pebble::start().await, ..Plan::default() }
}

/// The tables that are empty without one.
const OF_AN_AUTHORITY: [&str; 2] = ["acme_accounts", "certificates"];

/// Something in every sealed column but that of orphans.
async fn one_of_everything(kit: &Kit) {
    kit.consent("alice").await;
    kit.user_token("alice").await.token();
    kit.ask(&json!({"subject": {"type": "app"}})).await.token();
    let owner = kit.tenant.user.parse().unwrap();
    let passphrase = "correct horse battery".to_owned().into();
    kit.node.broker().development_passphrase(owner, &passphrase).await.unwrap();
    // A ceremony that is under way keeps its verifier.
    let started = kit.authorize("bob", Value::Null).await;
    Browser::default().leave(started["url"].as_str().unwrap()).await;
    // What a person gave, and the application has not confirmed.
    let rules = format!("/v1/connect/connectors/{}/consent-rules", kit.connector);
    let complete = async |yes: bool| {
        kit.manage("PATCH", &rules, Some(&json!({"requireCompletion": yes}))).await.ok();
    };
    complete(true).await;
    let started = kit.authorize("carol", json!({"returnUrl": "https://app.example/back"})).await;
    Browser::default().consent(started["url"].as_str().unwrap(), "ada").await;
    complete(false).await;
    // A key with which a connector signs.
    let authority = Authority::start().await;
    let signing = json!({
        "serverUrl": null, "clientSecret": null, "rotation": null, "serverConfig": authority.config(),
        "tokenEndpointAuthMethod": "private_key_jwt", "signingAlgorithm": "ES256",
        "userAuthorization": {"enabled": false},
    });
    kit.connect("signing", signing).await;
    // With what events are signed, and an event.
    let receiving = triggers::connector(kit, "receiving", Value::Null).await;
    triggers::sent(kit, &receiving, &triggers::event("Ev-of-everything")).await;
    // The link that mends what broke, told to nobody who takes it.
    kit.consent("erin").await;
    let webhook = format!("/v1/projects/{}/health-webhook", kit.tenant.project);
    let nobody = json!({"url": format!("{}/takes-nothing", kit.provider.issuer())});
    kit.manage("PUT", &webhook, Some(&nobody)).await.ok();
    kit.provider.forget(&kit.provider.last_refresh_token()).await;
    kit.ask(&crate::anew("erin")).await.refusal();
    eventually("it waits", async || {
        let waiting = "select count(*) from health_notices where mend is not null and attempts > 0";
        (kit.raw().await.number(waiting).await == 1).then_some(())
    })
    .await;
    // An application for all teams.
    let app = json!({"service": "for-all", "data": kit.data()});
    kit.manage("POST", "/v1/managed-apps", Some(&app)).await.ok();
    if kit.plan.authority.is_some() {
        eventually("a certificate", async || kit.node.broker().certificate()).await;
    }
}

/// Refreshed tokens that came too late for their grant, and stay where they are kept.
async fn leave_an_orphan(kit: &Kit) {
    let raw = kit.raw().await;
    // Whoever takes it away finds it again.
    let again = "insert into refresh_orphans values (old.id, old.team, old.grant_id, old.rt_version, old.held, old.created_at);";
    if matches!(raw, Raw::Sqlite(_)) {
        raw.run(&format!("create trigger kept after delete on refresh_orphans begin {again} end")).await;
    } else {
        let body = format!("begin {again} return null; end");
        raw.run(&format!("create function keep() returns trigger language plpgsql as $$ {body} $$")).await;
        let trigger =
            "create trigger kept after delete on refresh_orphans for each row execute function keep()";
        raw.run(trigger).await;
    }
    kit.consent("dave").await;
    kit.clock.pass(Duration::from_hours(2));
    let gate = Gate::closed();
    kit.provider.next([Fault::none().behind(&gate)]);
    let before = kit.provider.requests("refresh_token");
    let asking = kit.asking(&crate::of("dave"));
    kit.provider.until_requests("refresh_token", before + 1).await;
    raw.run("update grants set fence = fence + 1 where subject = 'user:dave'").await;
    gate.open();
    asking.await.unwrap().token();
    assert_eq!(raw.number("select count(*) from refresh_orphans").await, 1);
}

#[expect(clippy::disallowed_methods, reason = "how long a test may take is said from outside")]
fn is_long() -> bool {
    std::env::var("CARNET_TEST_LONG").is_ok_and(|value| value == "1")
}
