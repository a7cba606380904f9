//! A grant of every driver, while its provider struggles: nothing that may be over in a minute is taken for its end, and
//! what may have been carried out is said to be in doubt.

use std::time::{Duration, Instant};

use carnet_providers::usual_rotation;
use serde_json::json;

use crate::bench::outcome;
use crate::rigs::{Rig, brought, rigs};
use crate::server::Reply;

#[tokio::test]
async fn what_is_told_of_a_drivers_refresh_tokens_is_how_they_are_renewed() {
    let mut compared = 0;
    for rig in rigs() {
        let says_itself = ["rotation", "singleUseRefreshTokens", "externalOauth"]
            .iter()
            .any(|name| rig.data.get(*name).is_some());
        let (Some(usual), Some(_), false) = (usual_rotation(rig.kind), &rig.renewal, says_itself) else {
            continue;
        };
        let bench = rig.bench();
        let made = bench.connector(rig.kind, rig.data.clone()).await;
        assert_eq!(made.driver.abilities(&made.connector).rotation, usual, "{}", rig.name);
        compared += 1;
    }
    assert!(compared >= 6, "{compared}");
}

#[tokio::test]
async fn a_refresh_of_every_driver_is_read_alike_when_its_provider_struggles() {
    let empty = |status| Reply::text(status, "text/plain", "");
    let rows = [
        ("the answer is lost", Reply::HangUp, "later in doubt"),
        ("half of an answer", Reply::Truncated, "later in doubt"),
        ("429", empty(429), "later"),
        ("429 with a time", empty(429).with("retry-after", "7"), "later 7s"),
        (
            "429 and words that would end a grant",
            Reply::json(429, json!({"error": "invalid_grant"})).with("retry-after", "7"),
            "later 7s",
        ),
        ("500", empty(500), "later in doubt"),
        ("502 with a page", Reply::text(502, "text/html", "<html>"), "later in doubt"),
        ("503 with a time", empty(503).with("retry-after", "3"), "later 3s in doubt"),
        (
            "500 and words that would end a grant",
            Reply::json(500, json!({"error": "invalid_grant"})),
            "later in doubt",
        ),
        ("a page", Reply::text(200, "text/html", "<!doctype html>"), "garbage in doubt"),
        ("half of a JSON", Reply::json(200, "{\"access_token\":"), "garbage in doubt"),
        ("nothing", empty(200), "garbage in doubt"),
        (
            "far too much",
            Reply::json(200, format!("{{\"access_token\":\"{}\"}}", "x".repeat(300_000))),
            "garbage in doubt",
        ),
        ("a redirect", empty(307).with("location", "https://evil.example/"), "garbage"),
    ];
    let mut taken = 0;
    for rig in rigs() {
        let Some(renewal) = &rig.renewal else { continue };
        let bench = rig.bench();
        let made = bench.connector(rig.kind, rig.data.clone()).await;
        let abilities = made.driver.abilities(&made.connector);
        assert_eq!(abilities.rotation, renewal.rotation, "{}", rig.name);
        let idle = renewal.idle.map(|days| Duration::from_hours(24 * days));
        assert_eq!(made.driver.idle(&made.connector), idle, "{}", rig.name);
        let held = brought(&made);
        for (what, reply, want) in &rows {
            bench.server.forget(&renewal.path);
            bench.server.seen();
            bench.server.on(&renewal.path, reply.clone());
            let got = made.refresh(&held, "").await;
            assert_eq!(outcome(&got), *want, "{}: {what}: {got:?}", rig.name);
            assert_eq!(
                bench.server.only().line(),
                format!("POST {}", renewal.path),
                "{}: {what}: sent once",
                rig.name
            );
        }
        // Revoked in between.
        bench.server.forget(&renewal.path);
        bench.server.on(&renewal.path, renewal.dead.clone());
        assert_eq!(outcome(&made.refresh(&held, "").await), "gone revoked_at_provider", "{}", rig.name);
        // The app's own fault is nobody's grant's.
        bench.server.forget(&renewal.path);
        bench.server.on(&renewal.path, client_refused(&rig));
        let got = outcome(&made.refresh(&held, "").await);
        assert!(got.starts_with("client rejected"), "{}: {got}", rig.name);
        // And when it is over, it works, and what came is what is kept.
        bench.server.forget(&renewal.path);
        bench.server.on(&renewal.path, Reply::json(200, &renewal.fine));
        let minted = made.refresh(&held, "").await.unwrap_or_else(|e| panic!("{}: {e:?}", rig.name));
        assert_eq!((minted.token.expose().as_str(), minted.stray), ("at1", None), "{}", rig.name);
        let new = minted.held.unwrap();
        let turned = renewal.fine["refresh_token"].as_str().unwrap_or("rt0");
        assert_eq!(new.refresh().map(|rt| rt.expose().as_str()), Some(turned), "{}", rig.name);
        taken += 1;
    }
    assert_eq!(taken, 12);
}

fn client_refused(rig: &Rig) -> Reply {
    match rig.name {
        "slack" => Reply::json(200, json!({"ok": false, "error": "bad_client_secret"})),
        "github" => Reply::json(200, json!({"error": "incorrect_client_credentials"})),
        _ => Reply::json(401, json!({"error": "invalid_client"})),
    }
}

/// All at once: each is given up in its own time.
#[tokio::test]
async fn a_refresh_of_every_driver_is_given_up_when_its_provider_trickles() {
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for rig in rigs().into_iter().filter(|rig| rig.renewal.is_some()) {
        tasks.spawn(async move {
            let path = rig.renewal.as_ref().map(|renewal| renewal.path.clone()).unwrap();
            let bench = rig.bench();
            let made = bench.connector(rig.kind, rig.data.clone()).await;
            bench.server.forget(&path);
            bench.server.on(&path, Reply::Trickle);
            (rig.name, outcome(&made.refresh(&brought(&made), "").await))
        });
    }
    for (name, got) in tasks.join_all().await {
        assert_eq!(got, "later in doubt", "{name}");
    }
    assert!(begun.elapsed() >= Duration::from_secs(2), "it was waited for");
}
