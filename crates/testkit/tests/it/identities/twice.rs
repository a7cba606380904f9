//! The same tokens, trusted twice: no workload is locked out, and none gets more than each entry allows.

use carnet_testkit::{Engine, Issuer, Kit, Plan, on_both_engines};
use serde_json::{Value, json};

use super::{app, claims, rule, trust};

on_both_engines!(
    what_is_trusted_already_is_a_conflict_that_names_it,
    what_several_trust_at_the_same_moment_is_trusted_once,
);

async fn what_is_trusted_already_is_a_conflict_that_names_it(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let issuer = Issuer::start().await;
    let id = trust(&kit, &issuer, &[]).await;
    let token = issuer.sign(&claims(&kit, &issuer, &[]));
    let same = issuer.trusted_for(&kit.audience(&kit.tenant), &rule(&kit));
    let mut preview = same.clone();
    preview["rules"][0]["environment"] = json!("preview");
    let mut narrower = same.clone();
    narrower["rules"][0]["claims"]["tier"] = json!(1);
    let mut users = same.clone();
    users["rules"][0]["subjects"] = json!(["user"]);
    for config in [&same, &preview, &narrower, &users] {
        let refused = kit.manage("POST", "/v1/trusted-issuers", Some(config)).await;
        assert_eq!(refused.refusal(), (409, "conflict".to_owned()), "{}", refused.text());
        let error = refused.json()["error"].clone();
        assert_eq!(error["trustedIssuer"], id.as_str());
        assert!(refused.text().contains(&format!("carnet projects trust remove {id}")), "{error}");
    }
    kit.node.token(&token, Kit::UID, &app()).await.token();
    // It is the team's own affair: another team trusts the same platform.
    let other = kit.another_tenant("other").await;
    let theirs = issuer.trusted_for(&kit.audience(&other), &json!([{"project": other.project,
        "environment": "production", "claims": {"workload_project": other.project, "environment": "production"}}]));
    kit.node.call("POST", "/v1/trusted-issuers", Some(&other.token), Some(&theirs)).await.ok();
    // What was removed is in nobody's way.
    assert_eq!(kit.manage("DELETE", &format!("/v1/trusted-issuers/{id}"), None).await.status, 204);
    kit.manage("POST", "/v1/trusted-issuers", Some(&same)).await.ok();
    kit.node.token(&token, Kit::UID, &app()).await.token();
}

/// The same entry, and one that would recognise the same tokens, asked for at once and on every node.
async fn what_several_trust_at_the_same_moment_is_trusted_once(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let mut beside = if kit.is_shared() { Some(kit.second_node().await) } else { None };
    let issuer = Issuer::start().await;
    let same = issuer.trusted_for(&kit.audience(&kit.tenant), &rule(&kit));
    let mut preview = same.clone();
    preview["rules"][0]["environment"] = json!("preview");
    let path = "/v1/trusted-issuers";
    let ask = async |config: &Value, elsewhere: bool| {
        let node = beside.as_ref().filter(|_| elsewhere).unwrap_or(&kit.node);
        node.call("POST", path, Some(&kit.tenant.token), Some(config)).await
    };
    let (a, b, c, d) =
        tokio::join!(ask(&same, false), ask(&same, true), ask(&preview, true), ask(&preview, false));
    let answers = [a, b, c, d];
    let made: Vec<_> = answers.iter().filter(|answer| answer.status < 300).collect();
    let texts: Vec<_> = answers.iter().map(|answer| (answer.status, answer.text())).collect();
    assert_eq!(made.len(), 1, "{texts:?}");
    let id = made[0].json()["id"].as_str().unwrap().to_owned();
    for refused in answers.iter().filter(|answer| answer.status >= 300) {
        assert_eq!(refused.refusal(), (409, "conflict".to_owned()), "{texts:?}");
        assert_eq!(refused.json()["error"]["trustedIssuer"], id.as_str(), "{texts:?}");
    }
    let events = kit.events_of("trusted-issuer.create").await;
    let about = events.iter().filter(|event| event["detail"]["issuer"] == issuer.url());
    assert_eq!(about.count(), 1, "{events:?}");
    if let Some(node) = &mut beside {
        node.stop().await;
    }
}

/// Rules about different claims can both know a token, which nobody sees from the rules.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn entries_that_agree_allow_what_each_allows_and_those_that_do_not_are_named() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let ask = async |issuer: &Issuer, subject: Value| {
        let own = [("azp", json!("agent-1")), ("sub", json!("agent"))];
        let token = issuer.sign(&claims(&kit, issuer, &own));
        kit.node.token(&token, Kit::UID, &json!({"subject": subject})).await
    };
    let entry = |environment: &str, subjects: Value, claims: Value| {
        json!([{"project": kit.tenant.project, "environment": environment, "subjects": subjects,
            "claims": claims}])
    };
    let issuer = Issuer::start().await;
    let by_sub = entry("production", json!(["app"]), json!({"sub": "agent"}));
    trust(&kit, &issuer, &[("rules", by_sub)]).await;
    ask(&issuer, json!({"type": "app"})).await.token();
    let by_azp = entry("production", json!(["app", "user"]), json!({"azp": "agent-1"}));
    trust(&kit, &issuer, &[("rules", by_azp)]).await;
    ask(&issuer, json!({"type": "app"})).await.token();
    let user = ask(&issuer, json!({"type": "user", "id": "bob"})).await;
    assert_eq!(user.status, 403, "only one of them allows users: {}", user.text());

    let issuer = Issuer::start().await;
    let by_sub = entry("production", json!(["app"]), json!({"sub": "agent"}));
    let one = trust(&kit, &issuer, &[("rules", by_sub)]).await;
    let by_azp = entry("preview", json!(["app"]), json!({"azp": "agent-1"}));
    let other = trust(&kit, &issuer, &[("rules", by_azp)]).await;
    let refused = ask(&issuer, json!({"type": "app"})).await;
    assert_eq!(refused.refusal(), (400, "invalid_request".to_owned()));
    for name in [one, other] {
        assert!(refused.text().contains(&format!("carnet projects trust show {name}")), "{}", refused.text());
    }
}

/// What an issuer that is no known platform signs with a common library: no `typ`, nothing but registered claims.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_issuer_of_registered_claims_alone_is_trusted_by_its_subject() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let issuer = Issuer::start().await;
    let mut body = claims(&kit, &issuer, &[("sub", json!("agent"))]);
    body.retain(|name, _| ["iss", "sub", "aud", "exp", "iat"].contains(&name.as_str()));
    let rules = json!([{"project": kit.tenant.project, "environment": "production", "claims": {}}]);
    let config = json!({"issuer": issuer.url(), "audiences": [kit.audience(&kit.tenant)], "rules": rules});
    let algorithm = carnet_identity::Algorithm::Es256;
    let sign = |typ: Option<&str>| {
        let mut head = json!({"alg": algorithm, "kid": "es256"}).as_object().unwrap().clone();
        head.extend(typ.map(|typ| ("typ".to_owned(), json!(typ))));
        issuer.raw(algorithm, &serde_json::to_vec(&head).unwrap(), &serde_json::to_vec(&body).unwrap())
    };
    // The rule is made from an example.
    let example = json!({"trustedIssuer": config, "token": sign(None)});
    let found = kit.manage("POST", "/v1/trusted-issuers/check", Some(&example)).await.ok();
    assert_eq!(found["safeRules"], json!([{"sub": "agent"}]), "{found}");
    let mut config = config;
    config["rules"][0]["claims"] = found["safeRules"][0].clone();
    let made = kit.manage("POST", "/v1/trusted-issuers", Some(&config)).await.ok();
    assert_eq!(made["types"], json!(["JWT", "", "at+jwt"]));
    for typ in [None, Some("JWT"), Some("at+jwt")] {
        kit.node.token(&sign(typ), Kit::UID, &app()).await.token();
    }
    for typ in ["logout+jwt", "secevent+jwt", "dpop+jwt"] {
        let refused = kit.node.token(&sign(Some(typ)), Kit::UID, &app()).await;
        assert_eq!(refused.status, 401, "{typ}");
    }
    // An address that could never be asked for keys is refused where it is written.
    for (change, says) in [
        (json!({"issuer": "https://10.1.2.3"}), "not public"),
        (json!({"issuer": "https://idp.example", "jwksUri": "https://169.254.169.254/keys"}), "not public"),
        (json!({"issuer": "idp.example/no-url"}), "not a URL"),
    ] {
        let mut config = config.clone();
        config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = kit.manage("POST", "/v1/trusted-issuers", Some(&config)).await;
        assert_eq!(refused.refusal(), (400, "invalid_request".to_owned()), "{}", refused.text());
        assert!(refused.text().contains(says), "{}", refused.text());
    }
}
