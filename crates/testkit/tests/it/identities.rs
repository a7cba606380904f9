//! Workloads that prove themselves with identities from elsewhere: over HTTP, against issuers that listen.

mod check;
mod forged;
mod twice;

use std::time::Duration;

use carnet_identity::Algorithm;
use carnet_model::{Clock as _, Time};
use carnet_testkit::{Answer, Engine, Issuer, Kit, Plan, on_both_engines};
use futures_util::future::join_all;
use serde_json::{Map, Value, json};

on_both_engines!(an_issuer_that_is_trusted_no_more_is_refused_at_once_everywhere);

fn app() -> Value {
    json!({"subject": {"type": "app"}})
}

/// Claims of a production workload of the kit's project at `issuer`, with these put in or replaced.
fn claims(kit: &Kit, issuer: &Issuer, changes: &[(&str, Value)]) -> Map<String, Value> {
    let mut claims =
        issuer.claims(kit.clock.now(), &kit.audience(&kit.tenant), &kit.tenant.project, "production");
    claims.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    claims
}

/// A rule for production workloads of the kit's project.
fn rule(kit: &Kit) -> Value {
    json!([{"project": kit.tenant.project, "environment": "production",
        "claims": {"workload_project": kit.tenant.project, "environment": "production"}}])
}

/// Trusts `issuer`, with these members changed.
async fn trust(kit: &Kit, issuer: &Issuer, changes: &[(&str, Value)]) -> String {
    let mut config = issuer.trusted_for(&kit.audience(&kit.tenant), &rule(kit));
    for (name, value) in changes {
        config[name] = value.clone();
    }
    let made = kit.manage("POST", "/v1/trusted-issuers", Some(&config)).await.ok();
    made["id"].as_str().unwrap().to_owned()
}

fn message(answer: &Answer) -> String {
    assert_eq!(answer.refusal(), (401, "unauthorized".to_owned()), "{}", answer.text());
    answer.json()["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_algorithm_is_verified_with_keys_that_an_issuer_serves() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let open = Issuer::start_with(&Algorithm::ALL).await;
    trust(&kit, &open, &[("algorithms", json!(Algorithm::ALL))]).await;
    for algorithm in Algorithm::ALL {
        let token = open.sign_as(algorithm, &claims(&kit, &open, &[]));
        kit.node.token(&token, Kit::UID, &app()).await.token();
    }
    assert_eq!(open.fetched(), 1, "one key set for all");
    // The same keys, and one algorithm alone.
    for only in Algorithm::ALL {
        let issuer = Issuer::start_with(&Algorithm::ALL).await;
        trust(&kit, &issuer, &[("algorithms", json!([only]))]).await;
        for algorithm in Algorithm::ALL {
            let token = issuer.sign_as(algorithm, &claims(&kit, &issuer, &[]));
            let answer = kit.node.token(&token, Kit::UID, &app()).await;
            if algorithm == only {
                answer.token();
            } else {
                let said = message(&answer);
                assert!(said.contains("algorithm is not configured"), "{only} {algorithm}: {said}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_clock_that_is_off_by_an_hour_is_told_by_how_much() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let hour = Duration::from_hours(1);
    let life =
        |from: Time| [("iat", json!(from.secs())), ("exp", json!(from.plus(Duration::from_mins(5)).secs()))];
    let now = kit.clock.now();
    let slow = kit.issuer.sign(&claims(&kit, &kit.issuer, &life(now.minus(hour))));
    let fast = kit.issuer.sign(&claims(&kit, &kit.issuer, &life(now.plus(hour))));
    let early: Vec<_> = [&life(now)[..], &[("nbf", json!(now.plus(hour).secs()))]].concat();
    let early = kit.issuer.sign(&claims(&kit, &kit.issuer, &early));
    let long = [("iat", json!(now.minus(hour).secs() + 60)), ("exp", json!(now.secs() + 30))];
    let old = kit.issuer.sign(&claims(&kit, &kit.issuer, &long));
    for (name, token, says, by) in [
        ("a slow issuer", slow, "expired. By this server's clock it ended", 3300),
        ("a fast issuer", fast, "issued in the future. By this server's clock it is issued", 3600),
        ("a late beginning", early, "not valid yet. By this server's clock it begins", 3600),
        ("a greatest age", old, "issued too long ago. By this server's clock it was issued", 3540),
    ] {
        let answer = kit.node.token(&token, Kit::UID, &app()).await;
        let said = message(&answer);
        assert!(said.contains(says), "{name}: {said}");
        let off = answer.json()["error"]["offBySeconds"].as_u64().unwrap();
        assert!(off.abs_diff(by) < 60 && said.contains(&format!(" {off} seconds")), "{name}: {off} {said}");
    }
    // The same token under this server's clock, put right.
    let soon = claims(&kit, &kit.issuer, &life(now.plus(hour)));
    let token = kit.issuer.sign(&soon);
    assert_eq!(kit.node.token(&token, Kit::UID, &app()).await.status, 401);
    kit.clock.pass(hour);
    kit.node.token(&token, Kit::UID, &app()).await.token();
    // A forged token is told nothing about times: they are nobody's.
    let forged = format!("{}A", &token[..token.len() - 20]);
    let answer = kit.node.token(&forged, Kit::UID, &app()).await;
    assert!(answer.json()["error"].get("offBySeconds").is_none(), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flood_of_unknown_key_names_costs_one_fetch_a_minute_and_no_caller_anything() {
    let count: usize = if is_long() { 10_000 } else { 1_000 };
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let issuer = Issuer::start().await;
    trust(&kit, &issuer, &[]).await;
    let honest = async || {
        let token = issuer.sign(&claims(&kit, &issuer, &[]));
        kit.node.token(&token, Kit::UID, &app()).await.token()
    };
    honest().await;
    assert_eq!(issuer.fetched(), 1);
    kit.clock.pass(Duration::from_secs(61));
    let begun = kit.clock.now();
    let text = serde_json::to_vec(&claims(&kit, &issuer, &[])).unwrap();
    let kids: Vec<usize> = (0..count).collect();
    for some in kids.chunks(50) {
        let refused = some.iter().map(|n| {
            let head = json!({"alg": "ES256", "typ": "JWT", "kid": format!("unknown-{n}")}).to_string();
            let token = issuer.raw(Algorithm::Es256, head.as_bytes(), &text);
            let kit = &kit;
            async move { kit.node.token(&token, Kit::UID, &app()).await }
        });
        for answer in join_all(refused).await {
            assert!(message(&answer).contains("no key of the issuer fits"));
        }
        honest().await;
    }
    // A machine that takes minutes for this may fetch in each of them.
    let minutes = usize::try_from(begun.until(kit.clock.now()).as_secs() / 60).unwrap();
    let fetched = issuer.fetched();
    assert!(
        (2..=2 + minutes).contains(&fetched),
        "{count} unknown names: {fetched} fetches, {minutes} minutes"
    );
    kit.clock.pass(Duration::from_secs(61));
    let head = json!({"alg": "ES256", "typ": "JWT", "kid": "unknown"}).to_string();
    message(&kit.node.token(&issuer.raw(Algorithm::Es256, head.as_bytes(), &text), Kit::UID, &app()).await);
    assert_eq!(issuer.fetched(), fetched + 1, "and another in the next minute");
    // The log has the flood as one line and a figure.
    let rejected = kit.events_of("caller.reject").await;
    let unknown = |event: &&Value| event["detail"]["why"] == "no key of the issuer fits";
    let unknown: Vec<_> = rejected.iter().filter(unknown).collect();
    let lines = unknown.len();
    let counted: u64 = unknown.iter().filter_map(|event| event["detail"]["unrecorded"].as_u64()).sum();
    assert!((2..=2 + minutes).contains(&lines), "{lines} lines");
    assert_eq!(counted + u64::try_from(lines).unwrap(), u64::try_from(count + 1).unwrap());
}

#[expect(clippy::disallowed_methods, reason = "how long a test takes is no configuration of the product")]
fn is_long() -> bool {
    std::env::var("CARNET_TEST_LONG").is_ok_and(|value| value == "1")
}

async fn an_issuer_that_is_trusted_no_more_is_refused_at_once_everywhere(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let second = if kit.is_shared() { Some(kit.second_node().await) } else { None };
    let nodes: Vec<_> = [Some(&kit.node), second.as_ref()].into_iter().flatten().collect();
    for round in 0..3 {
        let issuer = Issuer::start().await;
        let id = trust(&kit, &issuer, &[]).await;
        let token = issuer.sign(&claims(&kit, &issuer, &[]));
        for node in &nodes {
            // Twice, so that the second time it is in memory.
            node.token(&token, Kit::UID, &app()).await.token();
            node.token(&token, Kit::UID, &app()).await.token();
        }
        assert_eq!(kit.manage("DELETE", &format!("/v1/trusted-issuers/{id}"), None).await.status, 204);
        // The other node first: nothing has told it.
        for node in nodes.iter().rev() {
            let said = message(&node.token(&token, Kit::UID, &app()).await);
            assert!(said.contains("No team here trusts the issuer"), "round {round}: {said}");
        }
    }
}

/// Many clusters have the same `iss`. Each is an entry of its own, with its keys, and stands for its own project.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_clusters_of_one_name_stand_for_two_environments() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let name = "https://kubernetes.default.svc.cluster.local";
    let clusters = [("production", Issuer::start().await), ("preview", Issuer::start().await)];
    for (environment, cluster) in &clusters {
        let rules = json!([{"project": kit.tenant.project, "environment": environment,
            "claims": {"kubernetes.io.serviceaccount.uid": "11-22"}}]);
        let config = json!({"issuer": name, "jwks": cluster.jwks(), "rules": rules,
            "audiences": [kit.audience(&kit.tenant)]});
        kit.manage("POST", "/v1/trusted-issuers", Some(&config)).await.ok();
    }
    let link = format!("/v1/connect/connectors/{}/projects/{}", kit.connector, kit.tenant.project);
    kit.manage("POST", &link, Some(&json!({"environments": ["production"]}))).await.ok();
    let pod = json!({"namespace": "shop", "pod": {"name": "agent-1", "uid": "p"},
        "serviceaccount": {"name": "agent", "uid": "11-22"}});
    for (environment, cluster) in &clusters {
        let own = [
            ("iss", json!(name)),
            ("sub", json!("system:serviceaccount:shop:agent")),
            ("aud", json!([kit.audience(&kit.tenant)])),
            ("kubernetes.io", pod.clone()),
        ];
        let answer = kit.node.token(&cluster.sign(&claims(&kit, cluster, &own)), Kit::UID, &app()).await;
        let want = if *environment == "production" { 200 } else { 403 };
        assert_eq!(answer.status, want, "{environment}: {}", answer.text());
        assert_eq!(cluster.fetched(), 0, "the keys are pinned");
    }
    let issued = kit.events_of("token.issue").await;
    let detail = &issued.iter().find(|event| event["outcome"] == "success").unwrap()["detail"];
    assert_eq!(
        (&detail["issuer"], &detail["sub"]),
        (&json!(name), &json!("system:serviceaccount:shop:agent"))
    );
    assert!(detail["trustedIssuer"].as_str().unwrap().starts_with("iss_"), "{detail}");
    assert_eq!(
        detail["claims"],
        json!({"kubernetes.io.namespace": "shop", "kubernetes.io.serviceaccount.name": "agent",
            "kubernetes.io.serviceaccount.uid": "11-22", "kubernetes.io.pod.name": "agent-1",
            "kubernetes.io.pod.uid": "p"})
    );
}

/// JWT-SVID §3: no `iss`. The trust domain's bundle has the keys, from an endpoint or pinned.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_jwt_svid_proves_its_workload_by_the_bundle_of_its_trust_domain() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let spire = Issuer::start_with(&[Algorithm::Es256, Algorithm::Rs256]).await;
    let rules = json!([{"project": kit.tenant.project, "environment": "production",
        "claims": {"sub": {"oneBelow": "spiffe://example.org/ns/shop/sa"}}}]);
    let config = json!({"family": "spiffe", "account": "example.org", "jwksUri": format!("{}/jwks", spire.url()),
        "audiences": [kit.audience(&kit.tenant)], "rules": rules});
    let made = kit.manage("POST", "/v1/trusted-issuers", Some(&config)).await.ok();
    assert_eq!((&made["issuer"], &made["family"]), (&json!("spiffe://example.org"), &json!("spiffe")));
    for (subject, status) in [
        ("spiffe://example.org/ns/shop/sa/agent", 200),
        ("spiffe://example.org/ns/shop/sa/other", 200),
        ("spiffe://example.org/ns/shop/sa/a/b", 401),
        ("spiffe://example.org/ns/shop/sa", 401),
        ("spiffe://other.example/ns/shop/sa/agent", 401),
    ] {
        let mut svid = claims(&kit, &spire, &[("sub", json!(subject))]);
        svid.remove("iss");
        let answer = kit.node.token(&spire.sign(&svid), Kit::UID, &app()).await;
        assert_eq!(answer.status, status, "{subject}: {}", answer.text());
    }
    assert_eq!(spire.fetched(), 1);
}

/// A genuine token that no rule knows is in the log of the team, with what says whose run it was; a stranger who sends a
/// thousand fills no log.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_genuine_stranger_is_logged_once_a_minute() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let other = kit.another_tenant("other").await;
    let issuer = Issuer::start().await;
    let config = json!({"issuer": issuer.url(), "family": "github-actions", "audiences": [kit.audience(&kit.tenant)],
        "rules": [{"project": kit.tenant.project, "environment": "production", "claims": {
            "repository_id": "1", "repository_owner_id": "2", "environment": "production"}}]});
    kit.manage("POST", "/v1/trusted-issuers", Some(&config)).await.ok();
    let stranger =
        [("repository_id", json!("666")), ("repository", json!("evil/app")), ("actor", json!("mallory"))];
    let token = issuer.sign(&claims(&kit, &issuer, &stranger));
    for _ in 0..20 {
        let said = message(&kit.node.token(&token, Kit::UID, &app()).await);
        assert!(said.contains("The token is genuine") && said.contains("repository_id"), "{said}");
    }
    kit.clock.pass(Duration::from_secs(61));
    message(&kit.node.token(&token, Kit::UID, &app()).await);
    let rejected = kit.events_of("caller.reject").await;
    assert_eq!(rejected.len(), 2, "{rejected:?}");
    let detail = &rejected[0]["detail"];
    assert_eq!(
        (&detail["rule"], &detail["missed"]),
        (&json!("trust-rule"), &json!(["repository_id", "repository_owner_id"]))
    );
    assert_eq!(
        detail["claims"],
        json!({"repository": "evil/app", "repository_id": "666", "environment": "production", "actor": "mallory"})
    );
    assert_eq!(rejected[1]["detail"]["unrecorded"], 19);
    let theirs = kit.node.call("GET", "/v1/audit?action=caller.reject", Some(&other.token), None).await.ok();
    assert_eq!(theirs["events"], json!([]), "nothing of it is in another team's log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rule_may_call_its_project_by_name() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let issuer = Issuer::start().await;
    let path = format!("/v9/projects/{}", kit.tenant.project);
    let name = kit.manage("GET", &path, None).await.ok()["name"].clone();
    let mut config = issuer.trusted_for(&kit.audience(&kit.tenant), &rule(&kit));
    config["jwks"] = issuer.jwks();
    config["rules"][0]["project"] = name;
    let made = kit.manage("POST", "/v1/trusted-issuers", Some(&config)).await.ok();
    assert_eq!(made["rules"][0]["project"], kit.tenant.project.as_str());
    kit.node.token(&issuer.sign(&claims(&kit, &issuer, &[])), Kit::UID, &app()).await.token();

    let second = config["rules"][0].clone();
    config["rules"].as_array_mut().unwrap().push(second);
    for project in ["nobody", "No name"] {
        config["rules"][1]["project"] = project.into();
        let asked = json!({"trustedIssuer": config});
        for (path, body) in [("/v1/trusted-issuers", &config), ("/v1/trusted-issuers/check", &asked)] {
            let refused = kit.manage("POST", path, Some(body)).await;
            assert_eq!(refused.refusal(), (404, "not_found".to_owned()), "{project}");
            let error = refused.json()["error"].clone();
            assert_eq!(error["field"], "rules.1.project", "{error}");
            assert!(error["message"].as_str().unwrap().starts_with("Rule 2: There is no project"), "{error}");
        }
    }
}

/// Its identities are recognised already, and a rule about them would never be asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_server_itself_is_not_trusted_as_an_issuer() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    for path in ["/acme", "/globex"] {
        let mut config = kit.issuer.trusted_for(&kit.audience(&kit.tenant), &rule(&kit));
        config["issuer"] = format!("{}{path}", kit.url()).into();
        let refused = kit.manage("POST", "/v1/trusted-issuers", Some(&config)).await;
        assert_eq!(refused.refusal(), (400, "invalid_request".to_owned()));
        assert_eq!(refused.json()["error"]["field"], "issuer", "{}", refused.text());
    }
}
