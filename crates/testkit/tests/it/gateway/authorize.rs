//! What anybody can write into a link: nobody is sent where the team did not say.

use carnet_engine::{GatewayRefused, Visitor};
use carnet_testkit::{Browser, Engine, Kit, Plan, on_both_engines};
use serde_json::json;
use url::Url;

use super::{HOME, World, param};

on_both_engines!(
    nobody_is_sent_to_an_address_that_is_not_registered,
    an_app_is_told_what_is_wrong_with_its_request,
    a_uid_is_a_teams_own,
);

async fn nobody_is_sent_to_an_address_that_is_not_registered(engine: Engine) {
    let world = World::start(engine).await;
    world.register(&[(HOME, "production"), ("http://localhost:3000/cb", "development")]).await.ok();
    let other = world.kit.another_tenant("other").await;
    let mut browser = Browser::default();
    let mut pages = Vec::new();
    let stray: Vec<Vec<(&str, Option<&str>)>> = vec![
        vec![("redirect_uri", Some("https://evil.example/callback?tab=2"))],
        vec![("redirect_uri", Some("https://app.example/callback"))],
        vec![("redirect_uri", Some("https://app.example/callback?tab=2&x=1"))],
        vec![("redirect_uri", Some("https://app.example/callback?tab=2#x"))],
        vec![("redirect_uri", Some("https://app.example/callback/../callback?tab=2"))],
        vec![("redirect_uri", Some("https://app.example:444/callback?tab=2"))],
        vec![("redirect_uri", Some("http://app.example/callback?tab=2"))],
        vec![("redirect_uri", Some("https://APP.example/callback?tab=2"))],
        vec![("redirect_uri", Some("https://app.example@evil.example/callback?tab=2"))],
        vec![("redirect_uri", Some("https://app.example.evil.example/callback?tab=2"))],
        vec![("redirect_uri", Some("http://localhost:3000\\@evil.example/cb"))],
        vec![("redirect_uri", Some("http://localhost:3000/cb/more"))],
        vec![("redirect_uri", Some("http://127.0.0.1:3000/cb"))],
        vec![("redirect_uri", Some("javascript:alert(1)"))],
        vec![("client_id", Some("scl_0000000000000000000000"))],
        vec![("client_id", Some("demo/nothing"))],
        vec![("client_id", Some("'"))],
        vec![("client_id", Some(world.kit.connector.as_str()))],
        vec![("teamId", Some(other.team.as_str()))],
        vec![("teamId", Some("nonsense"))],
    ];
    for changes in &stray {
        let answer = browser.get(&world.link(changes)).await;
        assert_eq!((answer.status, answer.header("location")), (400, None), "{changes:?}");
        pages.push(answer.text());
    }
    pages.dedup();
    assert_eq!(pages.len(), 1, "nothing shows whether a connector exists");
    for changes in [vec![("redirect_uri", None)], vec![("client_id", None)]] {
        let answer = browser.get(&world.link(&changes)).await;
        assert_eq!((answer.status, answer.header("location")), (400, None), "{changes:?}");
    }
    let twice = format!("{}&redirect_uri=https%3A%2F%2Fevil.example", world.link(&[]));
    assert_eq!(browser.get(&twice).await.status, 400);
    assert!(world.kit.events_of("authorization.start").await.is_empty());
    // Any port of the person's own machine.
    for port in ["1", "49152"] {
        let there = format!("http://localhost:{port}/cb");
        world.page(&mut browser, &[("redirect_uri", Some(there.as_str()))]).await;
    }
}

async fn an_app_is_told_what_is_wrong_with_its_request(engine: Engine) {
    let world = World::start(engine).await;
    let mut browser = Browser::default();
    let long = "x".repeat(2049);
    for (changes, error) in [
        (vec![("response_type", Some("token"))], "unsupported_response_type"),
        (vec![("response_type", None)], "unsupported_response_type"),
        (vec![("response_mode", Some("fragment"))], "invalid_request"),
        (vec![("code_challenge", None)], "invalid_request"),
        (vec![("code_challenge_method", Some("plain"))], "invalid_request"),
        (vec![("code_challenge_method", None)], "invalid_request"),
        (vec![("code_challenge", Some("short"))], "invalid_request"),
        (vec![("scope", Some("openid \"quoted\""))], "invalid_scope"),
        (vec![("prompt", Some("none"))], "interaction_required"),
        (vec![("prompt", Some("create"))], "invalid_request"),
        (vec![("request", Some("eyJ"))], "request_not_supported"),
        (vec![("request_uri", Some("https://evil.example/r"))], "request_uri_not_supported"),
        (vec![("nonce", Some(long.as_str()))], "invalid_request"),
    ] {
        let answer = browser.get(&world.link(&changes)).await;
        assert_eq!(answer.status, 303, "{changes:?} {}", answer.text());
        let to = Url::parse(answer.header("location").unwrap()).unwrap();
        assert!(to.as_str().starts_with(HOME), "{to}");
        assert_eq!(param(&to, "error").as_deref(), Some(error), "{changes:?}");
        assert_eq!(param(&to, "state").as_deref(), Some("a state & more"));
    }
    // What is asked of the provider beyond who it is.
    let page = world.page(&mut browser, &[("max_age", Some("0"))]).await;
    let provider = Url::parse(&browser.leave(&page).await).unwrap();
    assert_eq!(param(&provider, "prompt").as_deref(), Some("login"));
    // A connector for which people paste a key proves nobody's account.
    let data = json!({"subjectType": "user"});
    let connector = world.kit.keep_keys("pasted", &data).await;
    let world = World { connector, ..world };
    world.register(&[(HOME, "production")]).await.ok();
    let answer = browser.get(&world.link(&[])).await;
    let to = Url::parse(answer.header("location").unwrap()).unwrap();
    assert_eq!(param(&to, "error").as_deref(), Some("unauthorized_client"));
}

async fn a_uid_is_a_teams_own(engine: Engine) {
    let world = World::start(engine).await;
    let by_uid = |team: Option<&str>| {
        let mut changes = vec![("client_id", Some("demo/signs-in"))];
        if let Some(team) = team {
            changes.push(("teamId", Some(team)));
        }
        world.link(&changes)
    };
    let mut browser = Browser::default();
    assert_eq!(browser.get(&by_uid(None)).await.status, 303, "there is one team only");
    world.kit.another_tenant("other").await;
    assert_eq!(browser.get(&by_uid(None)).await.status, 400);
    assert_eq!(browser.get(&by_uid(Some(&world.kit.tenant.team))).await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_network_has_six_thousand_a_minute_for_a_connector() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    kit.clock.hold();
    let broker = kit.node.broker();
    let params = [("client_id", kit.connector.as_str()), ("redirect_uri", HOME)];
    let params: Vec<_> =
        params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let from = |address: &str| Visitor { address: Some(address.parse().unwrap()), browser: String::new() };
    let (one, other) = (from("203.0.113.7"), from("203.0.113.8"));
    let ask = async |visitor: &Visitor| match broker
        .begin_gateway_sign_in(&params, visitor, broker.request_id())
        .await
    {
        Err(GatewayRefused::Page(fault)) => fault.code.status(),
        _ => panic!("the address is not registered"),
    };
    for _ in 0..6000 {
        assert_eq!(ask(&one).await, 400);
    }
    assert_eq!((ask(&one).await, ask(&one).await, ask(&other).await), (429, 429, 400));
    assert_eq!(kit.events_of("limit.reach").await.len(), 1, "told once");
}
