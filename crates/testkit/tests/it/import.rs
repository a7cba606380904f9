//! Importing tokens that were obtained elsewhere.

use std::time::Duration;

use carnet_model::Clock as _;
use carnet_testkit::{
    Answer, Browser, Engine, Fault, Gate, Kit, Plan, eventually, id_token, on_both_engines,
};
use serde_json::{Value, json};

use crate::{anew, of};

on_both_engines!(
    an_imported_refresh_token_is_refreshed_like_any_other,
    each_token_is_judged_for_itself,
    an_import_takes_the_place_of_a_grant_only_if_it_may,
    what_was_imported_before_is_left_as_it_is,
    a_refresh_under_way_does_not_land_on_an_import,
    what_an_import_was_given_for_is_kept_and_asked_for_again,
    what_an_import_cannot_keep_is_refused_by_name,
);

async fn import(kit: &Kit, body: &Value) -> Answer {
    kit.manage("POST", &format!("/v1/connect/token/{}/import", kit.connector), Some(body)).await
}

/// A token as somebody else's table has it.
fn token(kit: &Kit, user: &str, more: Value) -> Value {
    let end = kit.clock.now().plus(Duration::from_hours(1));
    let mut token = json!({
        "accessToken": format!("old-access-of-{user}"), "expiresAt": end,
        "subject": {"type": "user", "id": user}, "environment": "production",
    });
    token.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    token
}

/// Tokens that the provider really gave to this client, for a user whose grant is then taken away here without telling
/// anybody: as if another broker had them.
async fn real_tokens(kit: &Kit, user: &str) -> (String, String) {
    kit.consent(user).await;
    let secrets = kit.provider.secrets();
    let newest = |kind: &str| secrets.iter().rfind(|(name, _)| *name == kind).unwrap().1.clone();
    let pair = (newest("access_token"), newest("refresh_token"));
    let raw = kit.raw().await;
    raw.run(&format!("delete from grants where subject = 'user:{user}'")).await;
    pair
}

async fn an_imported_refresh_token_is_refreshed_like_any_other(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let (access, refresh) = real_tokens(&kit, "alice").await;
    let scopes = json!(["profile:read", "messages:read", "offline_access"]);
    let body = json!({"tokens": [token(&kit, "alice", json!({
        "accessToken": access, "refreshToken": refresh, "scopes": scopes, "name": "Ada L.", "externalSubject": "ada",
        "data": {"plan": "pro"},
    }))]});
    let answer = import(&kit, &body).await;
    let done = answer.ok();
    assert_eq!((&done["accepted"], &done["imported"]), (&json!(1), &json!(1)), "{done}");
    let one = &done["tokens"][0];
    assert_eq!((&one["succeeded"], &one["environment"]), (&json!(true), &json!("production")));
    assert_eq!(one["subject"]["id"], "alice");
    let left = one["expiresIn"].as_u64().unwrap();
    assert!((3_590_000..=3_600_000).contains(&left), "{left}");
    for secret in [&access, &refresh] {
        assert!(!answer.text().contains(secret.as_str()));
    }
    let issued = kit.user_token("alice").await.ok();
    assert_eq!(
        (&issued["token"], &issued["externalSubject"], &issued["name"], &issued["metadata"]["plan"]),
        (&json!(access), &json!("ada"), &json!("Ada L."), &json!("pro"))
    );
    // The normal engine: a refresh, a rotation, another refresh.
    let second = kit.ask(&anew("alice")).await.token();
    assert_ne!(second, access);
    assert!(kit.provider.me(&second).await.is_some());
    kit.clock.pass(Duration::from_hours(2));
    let third = kit.user_token("alice").await.token();
    assert_ne!(third, second);
    assert!(kit.provider.me(&third).await.is_some());
    assert_eq!(kit.user_token("alice").await.ok()["externalSubject"], "ada");
    // Elsewhere it does not exist.
    let preview = kit.node.token(&kit.workload("preview"), &kit.connector, &of("alice")).await;
    assert_eq!(preview.refusal(), (422, "user_authorization_required".to_owned()));
    let events = kit.events_of("connect-import-tokens").await;
    assert_eq!((events.len(), &events[0]["outcome"]), (1, &json!("success")));
    let shown = events[0].to_string();
    assert!(!shown.contains(&access) && !shown.contains(&refresh) && shown.contains("user:alice"), "{shown}");
    // It is revoked like any other, at the provider too.
    let path = format!("/v1/connect/connectors/{}/tokens", kit.connector);
    let revoked = kit.manage("DELETE", &path, Some(&json!({}))).await.ok();
    assert_eq!((&revoked["tokensFound"], &revoked["providerRevoked"]), (&json!(1), &json!(1)));
    assert!(kit.provider.me(&third).await.is_none());
}

async fn each_token_is_judged_for_itself(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let past = kit.clock.now().minus(Duration::from_secs(1));
    let other = kit.another_tenant("other").await;
    let link = format!("/v1/connect/connectors/{}/projects/{}", kit.connector, kit.tenant.project);
    kit.manage("POST", &link, Some(&json!({"environments": ["production"]}))).await.ok();
    let cases = [
        ("fine", json!({}), None),
        ("the application", json!({"subject": {"type": "app"}}), Some("invalid_request")),
        ("no such subject", json!({"subject": {"type": "martian"}}), Some("invalid_request")),
        ("no environment", json!({"environment": "moon"}), Some("invalid_request")),
        ("not linked there", json!({"environment": "preview"}), Some("environment_not_linked")),
        ("foreign environment", json!({"environment": "env_0000000000000000000000"}), Some("not_found")),
        ("foreign project", json!({"projectId": other.project}), Some("not_found")),
        ("over", json!({"expiresAt": past}), Some("invalid_request")),
        (
            "renewal over",
            json!({"refreshToken": "r", "refreshTokenExpiresAt": past}),
            Some("invalid_request"),
        ),
        (
            "renewable",
            json!({"subject": {"type": "user", "id": "late"}, "expiresAt": past, "refreshToken": "r"}),
            None,
        ),
        ("without end", json!({"expiresAt": null}), Some("invalid_request")),
        ("empty", json!({"accessToken": ""}), Some("invalid_request")),
        ("two lines", json!({"accessToken": "a\nb"}), Some("invalid_request")),
        ("a spaced renewal", json!({"refreshToken": "a b"}), Some("invalid_request")),
        ("odd scope", json!({"scopes": ["a b"]}), Some("invalid_request")),
        ("no resource", json!({"resources": ["api"]}), Some("invalid_request")),
        ("no audience", json!({"audience": ["a b"]}), Some("invalid_request")),
        ("nowhere", json!({"installationId": "I1"}), Some("not_found")),
        ("foreign tenant", json!({"tenant": {"id": "T1"}}), Some("invalid_request")),
        ("odd name", json!({"name": "a\u{0}b"}), Some("invalid_request")),
        ("the first once more", json!({}), None),
        ("another account's", json!({"accessToken": "old-access-too"}), Some("conflict")),
        (
            "fine too",
            json!({"subject": {"type": "user", "id": "bob", "issuer": "https://idp.example"}}),
            None,
        ),
    ];
    let tokens: Vec<Value> = cases.iter().map(|(_, more, _)| token(&kit, "alice", more.clone())).collect();
    let done = import(&kit, &json!({"tokens": tokens})).await.ok();
    assert_eq!((&done["accepted"], &done["imported"]), (&json!(cases.len()), &json!(4)), "{done}");
    for ((name, _, code), told) in cases.iter().zip(done["tokens"].as_array().unwrap()) {
        assert_eq!(told["succeeded"], code.is_none(), "{name}: {told}");
        assert_eq!(told["error"]["code"].as_str(), *code, "{name}: {told}");
        assert!(!told.to_string().contains("old-access"), "{name}");
    }
    assert_eq!(kit.events_of("connect-import-tokens").await.len(), cases.len(), "one each");
    assert_eq!(kit.grants().await.len(), 3);
    // What cannot be read at all is refused as a whole, before anything is done.
    for body in [
        json!({}),
        json!({"tokens": []}),
        json!({"tokens": vec![token(&kit, "x", json!({})); 101]}),
        json!({"tokens": [token(&kit, "x", json!({})), {"accessToken": "x"}]}),
        json!({"tokens": [token(&kit, "x", json!({"surprise": 1}))]}),
        json!({"tokens": [token(&kit, "x", json!({"expiresAt": -1}))]}),
        json!({"tokens": [token(&kit, "x", json!({"data": {"x": "y".repeat(5000)}}))]}),
        json!({"tokens": [token(&kit, "x", json!({"installationId": "a", "installation": {"id": "b"}}))]}),
    ] {
        assert_eq!(import(&kit, &body).await.refusal(), (400, "invalid_request".to_owned()));
    }
    assert_eq!(kit.grants().await.len(), 3);
    // Only people of the team import.
    let path = format!("/v1/connect/token/{}/import", kit.connector);
    let body = json!({"tokens": [token(&kit, "x", json!({}))]});
    let workload = kit.node.call("POST", &path, Some(&kit.workload("production")), Some(&body)).await;
    assert_eq!(workload.refusal(), (403, "forbidden".to_owned()));
    let stranger = kit.node.call("POST", &path, Some(&other.token), Some(&body)).await;
    assert_eq!(stranger.refusal(), (404, "not_found".to_owned()));
    // Linked to two projects, it must say for which.
    let project = kit.manage("POST", "/v9/projects", Some(&json!({"name": "second"}))).await.ok();
    let second = project["id"].as_str().unwrap();
    let link = format!("/v1/connect/connectors/{}/projects/{second}", kit.connector);
    kit.manage("POST", &link, Some(&json!({}))).await.ok();
    let tokens = [token(&kit, "carol", json!({})), token(&kit, "carol", json!({"projectId": "second"}))];
    let done = import(&kit, &json!({"tokens": tokens})).await.ok();
    assert_eq!(done["tokens"][0]["error"]["field"], "projectId");
    assert_eq!(done["tokens"][1]["succeeded"], true);
}

async fn an_import_takes_the_place_of_a_grant_only_if_it_may(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let issuer = kit.provider.issuer();
    kit.provider.next([Fault::rewritten(move |answer| {
        answer.insert("id_token".to_owned(), id_token(&issuer, Kit::CLIENT, "ada").into());
    })]);
    kit.consent("alice").await;
    let given = kit.user_token("alice").await.token();
    let one = async |more: Value, replace: bool| {
        let body = json!({"tokens": [token(&kit, "alice", more)], "replace": replace});
        import(&kit, &body).await.ok()["tokens"][0].clone()
    };
    for more in [json!({}), json!({"externalSubject": "grace"})] {
        assert_eq!(one(more, false).await["error"]["code"], "conflict");
    }
    assert_eq!(kit.user_token("alice").await.token(), given);
    // The same account takes its place without a word, and what it had is not revoked: many providers would end both.
    let same = one(json!({"externalSubject": "ada", "accessToken": "of-ada"}), false).await;
    assert_eq!(same["succeeded"], true, "{same}");
    assert_eq!(kit.user_token("alice").await.token(), "of-ada");
    assert!(kit.provider.me(&given).await.is_some());
    let other = one(json!({"externalSubject": "grace", "accessToken": "of-grace"}), true).await;
    assert_eq!(other["succeeded"], true, "{other}");
    assert_eq!(kit.user_token("alice").await.ok()["externalSubject"], "grace");
    // A grant that needs consent again is in nobody's way.
    kit.clock.pass(Duration::from_hours(2));
    assert_eq!(kit.user_token("alice").await.status, 422);
    let mended = one(json!({"accessToken": "mended", "externalSubject": "someone"}), false).await;
    assert_eq!(mended["succeeded"], true, "{mended}");
    assert_eq!(kit.user_token("alice").await.token(), "mended");
    assert_eq!(kit.grants().await.len(), 1);
}

/// The file is imported again, as an import that stopped half-way says; its refresh token is spent by then.
async fn what_was_imported_before_is_left_as_it_is(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let (access, refresh) = real_tokens(&kit, "alice").await;
    for more in [json!({"externalSubject": "ada"}), json!({})] {
        let mut one = token(&kit, "alice", more);
        one["accessToken"] = access.clone().into();
        one["refreshToken"] = refresh.clone().into();
        let again = async |replace: bool| {
            let body = json!({"tokens": [one], "replace": replace});
            import(&kit, &body).await.ok()["tokens"][0].clone()
        };
        let first = again(false).await;
        let renewed = kit.ask(&anew("alice")).await.token();
        let second = again(false).await;
        assert_eq!((&second["succeeded"], &second["unchanged"]), (&json!(true), &json!(true)), "{second}");
        assert_eq!(second["grantId"], first["grantId"]);
        assert_eq!(kit.user_token("alice").await.token(), renewed, "and not the old ones again");
    }
    let body = json!({"tokens": [token(&kit, "alice", json!({"accessToken": "another"}))]});
    assert_eq!(import(&kit, &body).await.ok()["tokens"][0]["error"]["code"], "conflict");
    let mut one = token(&kit, "alice", json!({"name": "Ada"}));
    one["refreshToken"] = refresh.into();
    let forced = import(&kit, &json!({"tokens": [one], "replace": true})).await.ok()["tokens"][0].clone();
    assert_eq!((&forced["succeeded"], forced.get("unchanged")), (&json!(true), None), "{forced}");
}

/// The old grant is being refreshed at the very moment; what that brings does not take the place of what was imported.
async fn a_refresh_under_way_does_not_land_on_an_import(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    let gate = Gate::closed();
    kit.provider.next([Fault::none().after_its_work().behind(&gate)]);
    let asking = kit.asking(&anew("alice"));
    eventually("the provider is asked", async || (kit.provider.requests("refresh_token") == 1).then_some(()))
        .await;
    let body = json!({"tokens": [token(&kit, "alice", json!({"accessToken": "imported"}))], "replace": true});
    assert_eq!(import(&kit, &body).await.ok()["imported"], 1);
    gate.open();
    let _ = asking.await;
    assert_eq!(kit.user_token("alice").await.token(), "imported");
    eventually("nothing is left open", async || {
        let raw = kit.raw().await;
        let open = raw.number("select count(*) from refresh_orphans").await;
        (open == 0).then_some(())
    })
    .await;
    assert_eq!(kit.user_token("alice").await.token(), "imported");
}

/// A token request for what the imported token was given for is served with it, then with a renewal for the same. Others
/// are held against what the person consented to.
async fn what_an_import_was_given_for_is_kept_and_asked_for_again(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let (access, refresh) = real_tokens(&kit, "alice").await;
    let (one, two) = ("https://one.example/mcp", "https://two.example/mcp");
    let body = json!({"tokens": [token(&kit, "alice", json!({
        "accessToken": access, "refreshToken": refresh, "resources": [two, one], "audience": ["acme"],
    }))]});
    let told = import(&kit, &body).await.ok()["tokens"][0].clone();
    assert_eq!((&told["succeeded"], &told["resources"]), (&json!(true), &json!([two, one])), "{told}");
    let ask = |more: Value| {
        let mut body = of("alice");
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let same = json!({"resources": [one, two], "audience": ["acme"]});
    assert_eq!(kit.ask(&ask(same.clone())).await.token(), access);
    assert_eq!(kit.user_token("alice").await.token(), access);
    assert_eq!(kit.provider.requests("refresh_token"), 0);
    // The renewal is for the same, and serves the same.
    let renewed = kit.ask(&anew("alice")).await.token();
    assert_ne!(renewed, access);
    assert_eq!(kit.provider.last("refresh_token", "resource"), [two, one]);
    assert_eq!(kit.provider.last("refresh_token", "audience"), ["acme"]);
    assert_eq!(kit.ask(&ask(same.clone())).await.token(), renewed);
    assert_eq!(kit.provider.requests("refresh_token"), 1);
    // Less than all of it is another token, which the provider makes.
    let part = kit.ask(&ask(json!({"resources": [one], "audience": ["acme"]}))).await.token();
    assert_ne!(part, renewed);
    assert_eq!(kit.provider.last("refresh_token", "resource"), [one]);
    // With less power, and for the same.
    let less = kit.ask(&ask(json!({"scopes": ["profile:read"]}))).await.token();
    assert_ne!(less, renewed);
    assert_eq!(kit.provider.last("refresh_token", "resource"), [two, one]);
    // What nobody consented to is not asked of the provider.
    let refreshes = kit.provider.requests("refresh_token");
    let foreign = kit.ask(&ask(json!({"resources": ["https://evil.example"]}))).await;
    assert_eq!(foreign.refusal(), (422, "user_authorization_required".to_owned()));
    assert_eq!(foreign.json()["error"]["reason"], "resource_not_consented");
    assert_eq!(kit.provider.requests("refresh_token"), refreshes);
    let events = kit.events_of("connect-import-tokens").await;
    assert_eq!(events[0]["detail"]["resources"], json!([two, one]), "{}", events[0]);

    // Without anything to renew it with, the token is good for just what it was given for.
    let body = json!({"tokens": [token(&kit, "bob", same.clone())]});
    import(&kit, &body).await.ok();
    let mut bobs = ask(same);
    bobs["subject"]["id"] = json!("bob");
    assert_eq!(kit.ask(&bobs).await.token(), "old-access-of-bob");
    bobs["audience"] = json!(["another"]);
    assert_eq!(kit.ask(&bobs).await.refusal(), (422, "user_authorization_required".to_owned()));
    bobs.as_object_mut().unwrap().remove("audience");
    assert_eq!(kit.ask(&bobs).await.refusal(), (422, "invalid_scope".to_owned()));
}

/// A connector that is for one resource, knows no audiences or no such detail says so, by the name of the field.
async fn what_an_import_cannot_keep_is_refused_by_name(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let keys = kit.keep_keys("mine", &json!({"subjectType": "user"})).await;
    let issuer = kit.provider.issuer();
    let own = json!({"resource": "https://own.example/mcp", "serverConfig": {
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"), "authorization_details_types_supported": ["account"],
    }});
    let single = kit.connect("single", own).await;
    let cases = [
        (&single, json!({"resources": ["https://own.example/mcp/"]}), None),
        (&single, json!({"resources": ["https://other.example/mcp"]}), Some("resources")),
        (&single, json!({"resources": ["https://own.example/mcp#part"]}), Some("resources")),
        (&single, json!({"audience": vec!["a"; 21]}), Some("audience")),
        (&single, json!({"authorizationDetails": [{"type": "payment"}]}), Some("authorizationDetails")),
        (&single, json!({"authorizationDetails": [{"actions": ["read"]}]}), Some("authorizationDetails")),
        (&keys, json!({"resources": ["https://api.example"]}), Some("resources")),
        (&keys, json!({"audience": ["acme"]}), Some("audience")),
        (&keys, json!({"authorizationDetails": [{"type": "account"}]}), Some("authorizationDetails")),
    ];
    for (connector, more, field) in cases {
        let path = format!("/v1/connect/token/{connector}/import");
        let body = json!({"tokens": [token(&kit, "alice", more.clone())]});
        let told = kit.manage("POST", &path, Some(&body)).await.ok()["tokens"][0].clone();
        assert_eq!(told["succeeded"], field.is_none(), "{more}: {told}");
        assert_eq!(told["error"]["field"].as_str(), field, "{more}: {told}");
        assert_eq!(told["error"]["code"].as_str(), field.map(|_| "invalid_request"), "{more}: {told}");
    }
    // A detail that it knows is kept, and the token that was given with it serves it.
    let detail = json!([{"type": "account", "actions": ["read"]}]);
    let path = format!("/v1/connect/token/{single}/import");
    let body = json!({"tokens": [token(&kit, "bob", json!({"authorizationDetails": detail}))]});
    assert_eq!(kit.manage("POST", &path, Some(&body)).await.ok()["imported"], 1);
    let ask = json!({"subject": {"type": "user", "id": "bob"}, "authorizationDetails": detail});
    assert_eq!(kit.node.token(&kit.workload("production"), &single, &ask).await.token(), "old-access-of-bob");
    let body = json!({"tokens": [token(&kit, "bob", json!({"authorizationDetails": ["account"]}))]});
    assert_eq!(kit.manage("POST", &path, Some(&body)).await.refusal(), (400, "invalid_request".to_owned()));
}

/// Keys that people pasted elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_of_people_are_imported_too() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let connector = kit.keep_keys("mine", &json!({"subjectType": "user"})).await;
    let end = kit.clock.now().plus(Duration::from_hours(1));
    let key = |user: &str, more: Value| {
        let mut key = json!({"accessToken": format!("key-of-{user}"), "subject": {"type": "user", "id": user}, "environment": "production"});
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    };
    let tokens = [
        key("alice", json!({})),
        key("bob", json!({"expiresAt": end})),
        key("carol", json!({"refreshToken": "r"})),
        key("dan", json!({"scopes": ["read"]})),
        key("eve", json!({"accessToken": "two words"})),
        key("far", json!({"expiresAt": 9_007_199_254_740_991_i64})),
    ];
    let path = format!("/v1/connect/token/{connector}/import");
    let done = kit.manage("POST", &path, Some(&json!({"tokens": tokens}))).await.ok();
    let succeeded: Vec<bool> =
        done["tokens"].as_array().unwrap().iter().map(|one| one["succeeded"] == true).collect();
    assert_eq!(succeeded, [true, true, false, false, false, true], "{done}");
    let ask = async |user: &str| kit.node.token(&kit.workload("production"), &connector, &of(user)).await;
    assert_eq!(ask("alice").await.token(), "key-of-alice");
    assert_eq!(ask("bob").await.ok()["expiresAt"], json!(end));
    assert_eq!(ask("far").await.ok()["expiresAt"], 253_402_300_799_999_i64);
    kit.clock.pass(Duration::from_hours(2));
    assert_eq!(ask("alice").await.token(), "key-of-alice");
    assert_eq!(ask("bob").await.refusal(), (422, "user_authorization_required".to_owned()));
    // A person consents anew in its place.
    let path = format!("/v1/connect/authorize/{connector}");
    let started =
        kit.node.call("POST", &path, Some(&kit.workload("production")), Some(&of("bob"))).await.ok();
    Browser::default().paste(started["url"].as_str().unwrap(), "fresh-key").await;
    assert_eq!(ask("bob").await.token(), "fresh-key");
}
