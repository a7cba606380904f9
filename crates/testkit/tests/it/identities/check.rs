//! Trying a trusted issuer before it is trusted.

use carnet_testkit::{Engine, Issuer, Kit, Plan};
use serde_json::{Value, json};

use super::{app, claims, rule};

const CHECK: &str = "/v1/trusted-issuers/check";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_example_token_is_held_against_the_rule_claim_by_claim() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let issuer = Issuer::start().await;
    let config = issuer.trusted_for(&kit.audience(&kit.tenant), &rule(&kit));
    let ask = async |token: &str| {
        let body = json!({"trustedIssuer": config, "token": token});
        let answer = kit.manage("POST", CHECK, Some(&body)).await;
        assert!(!answer.text().contains(token.rsplit_once('.').unwrap().1), "the token is not said back");
        answer.ok()
    };
    let good = issuer.sign(&claims(&kit, &issuer, &[]));
    let found = ask(&good).await;
    assert_eq!(found["weaknesses"], json!([]));
    let token = &found["token"];
    assert_eq!(
        (&token["signature"], &token["matched"], &token["refusal"]),
        (&json!("good"), &json!(1), &Value::Null)
    );
    assert_eq!(token["claims"]["workload_project"], json!(kit.tenant.project));
    let lines = |token: &Value| -> Vec<(String, bool)> {
        let all = token["compared"].as_array().unwrap().iter().chain(token["rules"][0].as_array().unwrap());
        all.map(|line| (line["what"].as_str().unwrap().to_owned(), line["fits"].as_bool().unwrap())).collect()
    };
    assert!(lines(token).iter().all(|(_, fits)| *fits), "{token}");
    let names: Vec<_> = lines(token).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["iss", "aud", "alg", "typ", "life", "age", "environment", "workload_project"]);

    let staging = issuer.sign(&claims(&kit, &issuer, &[("environment", json!("staging"))]));
    let found = ask(&staging).await;
    let wrong: Vec<_> = lines(&found["token"]).into_iter().filter(|(_, fits)| !fits).collect();
    assert_eq!(wrong, [("environment".to_owned(), false)]);
    assert_eq!((&found["token"]["signature"], &found["token"]["matched"]), (&json!("good"), &Value::Null));
    assert!(found["token"]["refusal"].as_str().unwrap().contains("environment"), "{found}");

    // Told apart: a forged token, one of a key that is not there, and keys that cannot be had.
    let at = good.len() - 40;
    let other = if &good[at..=at] == "A" { "B" } else { "A" };
    let forged = format!("{}{other}{}", &good[..at], &good[at + 1..]);
    assert_eq!(ask(&forged).await["token"]["signature"], "wrong");
    let other = Issuer::start_with(&[carnet_identity::Algorithm::Rs256]).await;
    let unknown = other.sign(&claims(&kit, &issuer, &[]));
    let body = json!({"trustedIssuer": {"issuer": issuer.url(), "audiences": config["audiences"], "rules": config["rules"]},
        "token": unknown});
    let found = kit.manage("POST", CHECK, Some(&body)).await.ok();
    assert_eq!(found["token"]["signature"], "no-key", "{found}");
    let mut unreachable = body.clone();
    unreachable["trustedIssuer"]["jwksUri"] = json!("http://127.0.0.1:1/jwks");
    let found = kit.manage("POST", CHECK, Some(&unreachable)).await.ok();
    assert_eq!(found["token"]["signature"], "unchecked");
    assert!(found["token"]["unchecked"].as_str().unwrap().contains("key set"), "{found}");

    // Nothing came of all this.
    let trusted = kit.manage("GET", "/v1/trusted-issuers", None).await.ok();
    assert_eq!(trusted["trustedIssuers"].as_array().unwrap().len(), 1, "the kit's own");
    assert_eq!(kit.node.token(&good, Kit::UID, &app()).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rule_that_trusts_strangers_is_refused_with_the_one_that_does_not() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let issuer = Issuer::start().await;
    let with = |claims: Value| {
        json!({"issuer": issuer.url(), "family": "github-actions", "audiences": [kit.audience(&kit.tenant)],
            "rules": [{"project": kit.tenant.project, "environment": "production", "claims": claims}]})
    };
    let weak = with(json!({"repository": "octo/app", "environment": "production"}));
    let refused = kit.manage("POST", "/v1/trusted-issuers", Some(&weak)).await;
    assert_eq!(refused.refusal(), (400, "invalid_request".to_owned()));
    let error = refused.json()["error"].clone();
    assert!(error["weaknesses"][0].as_str().unwrap().contains("repository_id"), "{error}");
    assert_eq!(
        error["safeRules"],
        json!([{"repository": "octo/app", "environment": "production", "repository_id": "<repository_id>",
            "repository_owner_id": "<repository_owner_id>"}])
    );
    // With an example token the gaps are filled, and the rule can be trusted.
    let own = [("repository_id", json!("7")), ("repository_owner_id", json!("8"))];
    let token = issuer.sign(&claims(&kit, &issuer, &own));
    let body = json!({"trustedIssuer": with(json!({})), "token": token});
    let found = kit.manage("POST", CHECK, Some(&body)).await.ok();
    assert!(found["weaknesses"][0].as_str().unwrap().contains("no claims"), "{found}");
    let safe = found["safeRules"][0].clone();
    assert_eq!(safe, json!({"repository_id": "7", "repository_owner_id": "8", "environment": "production"}));
    kit.manage("POST", "/v1/trusted-issuers", Some(&with(safe))).await.ok();
    kit.node.token(&token, Kit::UID, &app()).await.token();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_platform_stands_in_place_of_its_issuer() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let tenant = "11111111-2222-3333-4444-555555555555";
    let rules = json!([{"project": kit.tenant.project, "environment": "production",
        "claims": {"tid": tenant, "oid": "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb"}}]);
    let config = json!({"family": "azure", "account": tenant, "audiences": ["api://carnet"], "rules": rules});
    let made = kit.manage("POST", "/v1/trusted-issuers", Some(&config)).await.ok();
    assert_eq!(made["issuer"], format!("https://login.microsoftonline.com/{tenant}/v2.0"));
    assert_eq!((&made["maxLifeSeconds"], &made["family"]), (&json!(90_000), &json!("azure")));
    for (change, says) in [
        (json!({"account": "common"}), "the tenant's id as account"),
        (json!({"account": null}), "the tenant's id as account"),
        (json!({"issuer": "https://idp.example"}), "issuer or account"),
        (json!({"family": "kubernetes", "account": null}), "give its issuer"),
        (json!({"family": "nope"}), "a family is github-actions"),
        (json!({"family": null, "account": null}), "give issuer"),
    ] {
        let mut config = config.clone();
        for (name, value) in change.as_object().unwrap() {
            config[name] = value.clone();
        }
        let refused = kit.manage("POST", "/v1/trusted-issuers", Some(&config)).await;
        assert_eq!(refused.refusal(), (400, "invalid_request".to_owned()));
        assert!(refused.text().contains(says), "{change}: {}", refused.text());
    }
    let families = kit.manage("GET", "/v1/trusted-issuers/families", None).await.ok();
    let families = families["families"].as_array().unwrap();
    assert_eq!(families.len(), 12);
    let github = families.iter().find(|family| family["family"] == "github-actions").unwrap();
    assert_eq!(github["claims"], json!(["repository_id", "repository_owner_id"]));
}
