//! The way in: once, again, as somebody else, and with another connector.

use carnet_identity::{Algorithm, Expectation, KeySet, Presented};
use carnet_testkit::{Browser, Engine, Fault, id_token_of, on_both_engines};
use serde_json::{Value, json};
use std::time::Duration;

use super::{HOME, World, claims, param, redemption, text};

on_both_engines!(
    a_person_signs_in_and_the_app_gets_tokens_of_ours,
    a_person_is_the_same_at_a_connector_and_another_at_every_other,
    an_app_that_gave_a_nonce_is_told_who_it_is_at_once,
    whoever_has_signed_in_can_be_acted_for,
    a_no_and_a_provider_that_does_not_say_who_it_is_sign_nobody_in,
);

async fn a_person_signs_in_and_the_app_gets_tokens_of_ours(engine: Engine) {
    let world = World::start(engine).await;
    let mut browser = Browser::default();
    let page = world.page(&mut browser, &[]).await;
    let shown = browser.get(&page).await.text();
    for said in ["You sign in to", "acme-app", "app.example"] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    let back = browser.consent(&page, "ada").await;
    let to = url::Url::parse(back.header("location").unwrap()).unwrap();
    assert_eq!((to.host_str(), to.path()), (Some("app.example"), "/callback"));
    assert_eq!(param(&to, "tab").as_deref(), Some("2"), "the app's own parameters stay");
    assert_eq!(param(&to, "state").as_deref(), Some("a state & more"));
    for absent in ["iss", "error", "request", "status"] {
        assert_eq!(param(&to, absent), None);
    }
    let code = param(&to, "code").unwrap();
    let answer = world.redeem(&code).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let given = answer.ok();
    assert_eq!(given["token_type"], "Bearer");
    assert_eq!(given["scope"], "email offline_access openid profile");
    assert!(given.get("id_token").is_none(), "no nonce, no ID token");

    let access = claims(&given["access_token"]);
    let kit = &world.kit;
    let tenant = &kit.tenant;
    assert_eq!(access["iss"], kit.url());
    assert_eq!(access["typ"], "at");
    assert_eq!(access["aud"], format!("{}:{}:production", tenant.team, tenant.project));
    assert_eq!(access["clientId"], world.connector);
    assert_eq!(access["clientUid"], "demo/signs-in");
    assert!(text(&access, "sub").starts_with("gws_"));
    assert_eq!(access["exp"].as_i64().unwrap() - access["iat"].as_i64().unwrap(), 900);
    assert_eq!(given["expires_in"], 900);
    assert!(access.get("tenantId").is_none() && access.get("installationId").is_none());

    for method in ["GET", "POST"] {
        let token = given["access_token"].as_str();
        let told = kit.node.call(method, "/oauth/userinfo", token, None).await.ok();
        assert!(text(&told, "sub").starts_with("per_"));
        assert_eq!(told["name"], "Ada");
    }
    // What it is for the app's services is for nothing of ours.
    let token = given["access_token"].as_str();
    let body = json!({"subject": {"type": "app"}});
    let path = format!("/v1/connect/token/{}", world.connector);
    assert_eq!(kit.node.call("POST", &path, token, Some(&body)).await.refusal().0, 401);

    let events = kit.events().await;
    let of = |action: &str| events.iter().filter(|event| event["action"] == action).collect::<Vec<_>>();
    let began = of("authorization.start");
    assert_eq!((began.len(), &began[0]["detail"]["signIn"]), (1, &json!(true)), "{began:?}");
    assert_eq!(began[0]["detail"]["returnsTo"], HOME);
    let came = of("gateway.sign-in");
    assert_eq!(came.len(), 1);
    assert_eq!((&came[0]["outcome"], &came[0]["target"]), (&json!("success"), &access["sub"]));
    assert_eq!(of("authorization.complete").len(), 1);
    let refresh = text(&given, "refresh_token");
    for (place, bytes) in kit.raw().await.everything().await {
        for secret in [code.as_str(), refresh, text(&given, "access_token")] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "a secret stands in {place}");
        }
    }
}

async fn a_person_is_the_same_at_a_connector_and_another_at_every_other(engine: Engine) {
    let world = World::start(engine).await;
    let sub = async |world: &World, person: &str| {
        let given = world.signed_in(person).await;
        world.userinfo(&given["access_token"]).await.ok()["sub"].as_str().unwrap().to_owned()
    };
    let first = sub(&world, "ada").await;
    world.kit.clock.pass(Duration::from_hours(48));
    assert_eq!(sub(&world, "ada").await, first);
    let other = sub(&world, "grace").await;
    assert_ne!(other, first);
    assert_eq!(
        world.kit.manage("GET", &grants(&world.connector), None).await.ok()["grants"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let connector = World::connect(&world.kit, "elsewhere").await;
    let world = World { connector, ..world };
    world.register(&[(HOME, "production")]).await.ok();
    assert_ne!(sub(&world, "ada").await, first, "two connectors cannot compare their people");
}

fn grants(connector: &str) -> String {
    format!("/v1/connect/connectors/{connector}/grants")
}

async fn an_app_that_gave_a_nonce_is_told_who_it_is_at_once(engine: Engine) {
    let world = World::start(engine).await;
    let kit = &world.kit;
    let issuer = kit.provider.issuer();
    let said = json!({
        "iss": issuer, "aud": carnet_testkit::Kit::CLIENT, "sub": "ada", "exp": 9_999_999_999_i64, "iat": 1,
        "name": "Ada King", "email": "ada@example.com", "email_verified": true, "picture": "https://img.example/ada.png",
        "phone_number": "+1", "secret": "not for apps",
    });
    kit.provider.next([Fault::rewritten(move |answer| {
        answer.insert("id_token".to_owned(), id_token_of(&said).into());
    })]);
    // By the UID, which is what the ID token is for then.
    let uid = "demo/signs-in";
    let to = world.walk("ada", &[("nonce", Some("n-1")), ("client_id", Some(uid))]).await;
    let code = param(&to, "code").unwrap();
    let given = world.ask_as(uid, &kit.workload("production"), "token", &redemption(&code)).await.ok();
    let keys = kit.node.call("GET", "/.well-known/jwks", None, None).await;
    let keys = KeySet::parse(&keys.body).unwrap();
    let expect = Expectation {
        issuer: kit.url(),
        audiences: &[uid.to_owned()],
        algorithms: &[Algorithm::Rs256],
        types: &["JWT".to_owned()],
        max_life: Duration::from_mins(15),
        max_age: None,
        skew: Duration::ZERO,
    };
    let presented = Presented::parse(text(&given, "id_token")).unwrap();
    let verified = presented.verify(&keys, &expect, kit.clock.env().now()).unwrap();
    let info = world.userinfo(&given["access_token"]).await.ok();
    assert_eq!(Some(verified.subject()), info["sub"].as_str());
    let id = claims(&given["id_token"]);
    for (name, value) in [
        ("nonce", json!("n-1")),
        ("azp", json!(uid)),
        ("name", json!("Ada King")),
        ("email", json!("ada@example.com")),
        ("email_verified", json!(true)),
        ("picture", json!("https://img.example/ada.png")),
    ] {
        assert_eq!(id[name], value, "{name}");
        if !matches!(name, "nonce" | "azp") {
            assert_eq!(info[name], value, "{name}");
        }
    }
    assert!(id["auth_time"].is_i64() && text(&id, "at_hash").len() == 22);
    for absent in ["phone_number", "secret"] {
        assert!(id.get(absent).is_none() && info.get(absent).is_none(), "{absent}");
    }
    // Fewer scopes show less.
    let fewer = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&given, "refresh_token")),
        ("scope", "openid"),
    ];
    let given = world.ask("token", &fewer).await.ok();
    assert_eq!(world.userinfo(&given["access_token"]).await.ok(), json!({"sub": info["sub"]}));
}

async fn whoever_has_signed_in_can_be_acted_for(engine: Engine) {
    let world = World::start(engine).await;
    let kit = &world.kit;
    let to = world.walk("ada", &[("scope", Some("openid profile:read messages:read"))]).await;
    assert_eq!(kit.provider.requests("authorization_code"), 1);
    let given = world.redeem(&param(&to, "code").unwrap()).await.ok();
    assert_eq!(given["scope"], "messages:read offline_access openid profile:read");
    let sub = world.userinfo(&given["access_token"]).await.ok()["sub"].clone();
    let ask = json!({"subject": {"type": "user", "id": sub}, "scopes": ["messages:read", "profile:read"]});
    let token = kit.node.token(&kit.workload("production"), &world.connector, &ask).await.token();
    assert_eq!(kit.provider.me(&token).await.unwrap()["sub"], "ada");
    // In this environment and no other.
    let elsewhere = kit.node.token(&kit.workload("preview"), &world.connector, &ask).await;
    assert_eq!(elsewhere.refusal(), (422, "user_authorization_required".to_owned()));
}

async fn a_no_and_a_provider_that_does_not_say_who_it_is_sign_nobody_in(engine: Engine) {
    let world = World::start(engine).await;
    let page = world.page(&mut Browser::default(), &[]).await;
    let denied = Browser::default().decide(&page, "deny").await;
    let to = url::Url::parse(&denied.link()).unwrap();
    assert_eq!((param(&to, "error").as_deref(), param(&to, "code")), (Some("access_denied"), None));
    let mut browser = Browser::default();
    let page = world.page(&mut browser, &[]).await;
    let provider = browser.leave(&page).await;
    let callback = browser.at_provider(&provider, "deny", "ada").await;
    let back = browser.get(&callback).await;
    let to = url::Url::parse(back.header("location").unwrap()).unwrap();
    assert_eq!(param(&to, "error").as_deref(), Some("access_denied"));
    assert_eq!(param(&to, "state").as_deref(), Some("a state & more"));
    // The first connector of the kit has no account in its configuration.
    let world = World { connector: world.kit.connector.clone(), ..world };
    world.register(&[(HOME, "production")]).await.ok();
    let to = world.walk("ada", &[]).await;
    assert_eq!((param(&to, "error").as_deref(), param(&to, "code")), (Some("server_error"), None));
    let kept = world.kit.grants().await;
    assert!(kept.is_empty(), "{kept:?}");
    let none: Vec<Value> = world.kit.events_of("gateway.sign-in").await;
    assert!(none.is_empty());
}
