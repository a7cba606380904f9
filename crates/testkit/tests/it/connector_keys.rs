//! Signing keys of connectors: published, turned, bound to their place, and never at another server's service.

use std::time::Duration;

use carnet_identity::{Algorithm, SigningKey};
use carnet_model::Clock as _;
use carnet_testkit::{Answer, Authority, Engine, Kit, Plan, on_both_engines};
use serde_json::{Value, json};

on_both_engines!(
    a_connector_that_signs_proves_itself_with_a_key_that_everybody_can_read,
    a_new_key_is_published_before_it_signs_and_the_old_one_after,
    a_key_that_was_moved_or_put_here_by_hand_is_neither_published_nor_used,
    a_connector_that_is_pointed_at_another_server_gets_another_key,
    keys_are_for_the_team_to_see_and_to_turn,
);

/// A connector that proves itself by its key.
async fn connect(kit: &Kit, authority: &Authority, changes: Value) -> String {
    let mut data = json!({
        "serverUrl": null, "clientSecret": null, "rotation": null,
        "serverConfig": authority.config(),
        "tokenEndpointAuthMethod": "private_key_jwt",
        "signingAlgorithm": "ES256",
        "userAuthorization": {"enabled": false},
    });
    data.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    kit.connect("signing", data).await
}

async fn jwks(kit: &Kit, connector: &str) -> Answer {
    kit.node.call("GET", &format!("/connect/jwks/{connector}"), None, None).await
}

async fn published(kit: &Kit, connector: &str) -> Vec<String> {
    let keys = jwks(kit, connector).await.ok();
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// A token made anew, and the name of the key by which the connector proved itself for it.
async fn signed_by(kit: &Kit, authority: &Authority, connector: &str) -> String {
    let body = json!({"subject": {"type": "app"}, "validityBufferMs": 86_400_000});
    kit.node.token(&kit.workload("production"), connector, &body).await.token();
    let all = jwks(kit, connector).await.ok();
    let (asked, now) = (authority.last(), kit.clock.now());
    let matching = all["keys"].as_array().unwrap().iter().find(|key| {
        let one = json!({"keys": [key]});
        asked.assertion("client_assertion", &one, Kit::CLIENT, &authority.url(), now).is_ok()
    });
    matching.expect("the assertion verifies with a published key")["kid"].as_str().unwrap().to_owned()
}

async fn turn(kit: &Kit, connector: &str) -> Answer {
    kit.manage("POST", &format!("/v1/connect/connectors/{connector}/keys"), Some(&json!({}))).await
}

async fn a_connector_that_signs_proves_itself_with_a_key_that_everybody_can_read(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let authority = Authority::start().await;
    for algorithm in ["RS256", "ES256", "PS256", "ES384", "EdDSA"] {
        let changes = json!({
            "signingAlgorithm": algorithm, "clientAssertion": {"ttl": 120, "claims": {"tenant": "t"}},
        });
        let body = json!({
            "service": "authority", "name": algorithm, "type": "oauth", "projectId": kit.tenant.project,
            "data": {"clientId": Kit::CLIENT, "serverConfig": authority.config(), "clientCredentials": {},
                "tokenEndpointAuthMethod": "private_key_jwt", "signingAlgorithm": algorithm,
                "clientAssertion": changes["clientAssertion"]},
        });
        let made = kit.manage("POST", "/v1/connect/connectors", Some(&body)).await.ok();
        let connector = made["id"].as_str().unwrap();
        let answer = jwks(&kit, connector).await;
        assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
        let keys = answer.ok();
        assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
        assert_eq!(keys["keys"][0]["alg"], algorithm);
        for private in ["d", "p", "q", "dp", "dq", "qi"] {
            assert_eq!(keys["keys"][0][private], Value::Null, "{private}");
        }
        let body = json!({"subject": {"type": "app"}});
        let token = kit.node.token(&kit.workload("production"), connector, &body).await.token();
        assert!(token.starts_with("authority-token-"), "{token}");
        let asked = authority.last();
        assert_eq!(asked.authorization, None);
        assert_eq!(asked.field("client_id"), Some(Kit::CLIENT));
        assert_eq!(asked.field("client_secret"), None);
        let now = kit.clock.now();
        let claims = asked
            .assertion("client_assertion", &keys, Kit::CLIENT, &authority.url(), now)
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(claims.subject(), Kit::CLIENT);
        assert_eq!(claims.claim("tenant"), Some(&json!("t")));
        // Two minutes in all, of which ten seconds lie behind.
        assert!(claims.expires_at() > now.plus(Duration::from_secs(100)));
        assert!(claims.expires_at() <= now.plus(Duration::from_secs(110)));
        let jti = claims.claim("jti").unwrap().clone();

        let body = json!({"subject": {"type": "app"}, "validityBufferMs": 86_400_000});
        kit.node.token(&kit.workload("production"), connector, &body).await.token();
        let again = authority.last();
        let again = again.assertion("client_assertion", &keys, Kit::CLIENT, &authority.url(), now);
        assert_ne!(again.ok().unwrap().claim("jti"), Some(&jti), "never the same assertion twice");
        kit.manage("DELETE", &format!("/v1/connect/connectors/{connector}"), None).await.ok();
        assert_eq!(jwks(&kit, connector).await.status, 404, "gone with its connector");
    }
    let nothing = jwks(&kit, "scl_0000000000000000000000").await;
    for other in [kit.connector.as_str(), "demo%2Fhello", "x", "..%2f"] {
        let answer = jwks(&kit, other).await;
        assert_eq!((answer.status, answer.text()), (404, nothing.text()), "{other}");
    }
}

async fn a_new_key_is_published_before_it_signs_and_the_old_one_after(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    let authority = Authority::start().await;
    let connector = connect(&kit, &authority, json!({})).await;
    let old = signed_by(&kit, &authority, &connector).await;
    let answer = turn(&kit, &connector).await;
    assert_eq!(answer.status, 201);
    let turned = answer.json();
    let states = |view: &Value| {
        view["keys"].as_array().unwrap().iter().map(|key| key["state"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(states(&turned), ["active", "pending"]);
    let new = turned["keys"][1]["kid"].as_str().unwrap().to_owned();
    let activates_at = turned["keys"][1]["activatesAt"].as_i64().unwrap();
    assert!(
        activates_at - kit.clock.now().millis() >= 2 * 300_000 - 5_000,
        "twice the life of a cached key set"
    );
    assert_eq!(published(&kit, &connector).await, [old.clone(), new.clone()]);
    assert_eq!(signed_by(&kit, &authority, &connector).await, old);
    assert_eq!(turn(&kit, &connector).await.refusal(), (409, "conflict".to_owned()), "one at a time");

    kit.clock.pass(Duration::from_millis(u64::try_from(activates_at - kit.clock.now().millis()).unwrap()));
    assert_eq!(signed_by(&kit, &authority, &connector).await, new);
    assert_eq!(published(&kit, &connector).await, [old, new.clone()], "what it signed may still be valid");
    kit.clock.pass(Duration::from_mins(90));
    assert_eq!(published(&kit, &connector).await, [new.as_str()]);
    kit.restart(async |_| {}).await;
    assert_eq!(published(&kit, &connector).await, [new.as_str()]);
    assert_eq!(signed_by(&kit, &authority, &connector).await, new);

    let events = kit.events_of("connector-key.rotate").await;
    assert_eq!((events.len(), &events[0]["detail"]["kid"]), (1, &json!(new)));
    assert_eq!(kit.events_of("connector-key.create").await.len(), 1);
}

async fn a_key_that_was_moved_or_put_here_by_hand_is_neither_published_nor_used(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    let authority = Authority::start().await;
    let mine = connect(&kit, &authority, json!({})).await;
    let data = json!({"clientId": Kit::CLIENT, "serverConfig": authority.config(), "clientCredentials": {},
        "tokenEndpointAuthMethod": "private_key_jwt", "signingAlgorithm": "ES256"});
    let body =
        json!({"service": "authority", "name": "other", "data": data, "projectId": kit.tenant.project});
    let made = kit.manage("POST", "/v1/connect/connectors", Some(&body)).await.ok();
    let other = made["id"].as_str().unwrap().to_owned();
    let kid = published(&kit, &mine).await.remove(0);
    let foreign = SigningKey::generate(Algorithm::Es256).unwrap();
    let of_mine = format!("kid = '{kid}'");
    let (stranger, untouched) = (foreign.kid().to_owned(), format!("kid <> '{kid}'"));
    for (change, back) in [
        // The name of a key that somebody else holds.
        (
            format!("update connector_keys set kid = '{stranger}' where {of_mine}"),
            format!("update connector_keys set kid = '{kid}' where kid = '{stranger}'"),
        ),
        (
            format!("update connector_keys set version = 7 where {of_mine}"),
            format!("update connector_keys set version = 1 where {of_mine}"),
        ),
        (
            format!("update connector_keys set algorithm = 'RS256' where {of_mine}"),
            format!("update connector_keys set algorithm = 'ES256' where {of_mine}"),
        ),
        (
            format!(
                "update connector_keys set version = 2, connector = \
                 (select connector from connector_keys where {untouched}) where {of_mine}"
            ),
            format!(
                "update connector_keys set version = 1, connector = \
                 (select id from connectors where uid = 'demo/signing') where {of_mine}"
            ),
        ),
    ] {
        kit.restart(async |kit| assert_eq!(kit.raw().await.run(&change).await, 1, "{change}")).await;
        assert_eq!(jwks(&kit, &mine).await.status, 404, "{change}");
        assert_eq!(published(&kit, &other).await.len(), 1, "{change}");
        let body = json!({"subject": {"type": "app"}, "validityBufferMs": 86_400_000});
        let before = authority.asked().len();
        let answer = kit.node.token(&kit.workload("production"), &mine, &body).await;
        assert_eq!(answer.refusal(), (422, "invalid_connector".to_owned()), "{change}");
        assert_eq!(authority.asked().len(), before, "{change}");
        kit.restart(async |kit| assert_eq!(kit.raw().await.run(&back).await, 1, "{back}")).await;
        assert_eq!(signed_by(&kit, &authority, &mine).await, kid, "{back}");
    }
    // Where no key opens, turning makes one that signs at once.
    kit.restart(async |kit| {
        assert_eq!(kit.raw().await.run(&format!("delete from connector_keys where {of_mine}")).await, 1);
    })
    .await;
    let turned = turn(&kit, &mine).await.ok();
    assert_eq!(signed_by(&kit, &authority, &mine).await, turned["keys"][0]["kid"].as_str().unwrap());
}

async fn a_connector_that_is_pointed_at_another_server_gets_another_key(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let (authority, elsewhere) = (Authority::start().await, Authority::start().await);
    let connector = connect(&kit, &authority, json!({})).await;
    let first = signed_by(&kit, &authority, &connector).await;
    let path = format!("/v1/connect/connectors/{connector}");
    let change = |data: Value| json!({"data": data});

    // What does not change the recipients leaves the key alone.
    kit.manage("PATCH", &path, Some(&change(json!({"clientAssertion": {"ttl": 30}})))).await.ok();
    assert_eq!(published(&kit, &connector).await, [first.as_str()]);

    kit.manage("PATCH", &path, Some(&change(json!({"serverConfig": elsewhere.config()})))).await.ok();
    let second = signed_by(&kit, &elsewhere, &connector).await;
    assert_ne!(second, first, "the new server could show the old one what the old key signed");
    assert_eq!(published(&kit, &connector).await, [second.as_str()]);

    // Another algorithm comes as gently as another key.
    kit.manage("PATCH", &path, Some(&change(json!({"signingAlgorithm": "RS256"})))).await.ok();
    assert_eq!(signed_by(&kit, &elsewhere, &connector).await, second);
    assert_eq!(published(&kit, &connector).await.len(), 2);
    kit.clock.pass(Duration::from_hours(3));
    assert_ne!(signed_by(&kit, &elsewhere, &connector).await, second);
}

async fn keys_are_for_the_team_to_see_and_to_turn(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let authority = Authority::start().await;
    let connector = connect(&kit, &authority, json!({})).await;
    let path = format!("/v1/connect/connectors/{connector}/keys");
    let seen = kit.manage("GET", &path, None).await.ok();
    assert_eq!(seen["jwksUri"], format!("{}/connect/jwks/{connector}", kit.url()));
    assert_eq!(seen["keys"][0]["publicJwk"], jwks(&kit, &connector).await.json()["keys"][0]);
    let stranger = kit.another_tenant("other").await;
    for method in ["GET", "POST"] {
        let body = (method == "POST").then(|| json!({}));
        let workload = kit.node.call(method, &path, Some(&kit.workload("production")), body.as_ref()).await;
        assert_eq!(workload.refusal(), (403, "forbidden".to_owned()));
        let foreign = kit.node.call(method, &path, Some(&stranger.token), body.as_ref()).await;
        assert_eq!(foreign.refusal(), (404, "not_found".to_owned()));
        let nobody = kit.node.call(method, &path, None, body.as_ref()).await;
        assert_eq!(nobody.refusal(), (401, "unauthorized".to_owned()));
        let other = format!("/v1/connect/connectors/{}/keys", kit.connector);
        let none = kit.manage(method, &other, body.as_ref()).await;
        assert_eq!(none.refusal(), (422, "invalid_connector".to_owned()), "it signs nothing");
    }
    assert_eq!(published(&kit, &connector).await.len(), 1);
}
