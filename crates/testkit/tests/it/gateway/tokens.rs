//! Codes and refresh tokens: whose they are, how often they are good.

use std::time::Duration;

use carnet_testkit::{Engine, on_both_engines};

use super::{HOME, VERIFIER, World, param, redemption, text};

type Fields<'a> = Vec<(&'a str, &'a str)>;

on_both_engines!(
    a_code_is_good_once_for_whom_it_was_made,
    a_code_that_is_used_twice_ends_what_it_began,
    only_a_workload_that_may_ask_the_connector_is_an_app,
    a_refresh_token_is_good_once_and_for_two_at_the_same_moment,
    what_is_odd_is_refused_in_the_envelope,
);

async fn a_code_is_good_once_for_whom_it_was_made(engine: Engine) {
    let world = World::start(engine).await;
    let kit = &world.kit;
    kit.clock.hold();
    let code = world.code("ada").await;
    let with = |name: &'static str, value: &'static str| {
        let mut fields = redemption(&code).to_vec();
        fields.iter_mut().filter(|(known, _)| *known == name).for_each(|(_, old)| *old = value);
        fields
    };
    let bad = (400, "invalid_grant".to_owned());
    for fields in [
        with("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXX"),
        with("redirect_uri", "https://app.example/callback"),
        with("code", "0000000000000000000000000000000000000000000000000000000000000000"),
    ] {
        assert_eq!(world.ask("token", &fields).await.refusal(), bad, "{fields:?}");
    }
    // Another environment, another project, another connector of the same team.
    let preview = kit.workload("preview");
    let wrong = world.ask_as(&world.connector, &preview, "token", &redemption(&code)).await;
    assert_eq!(wrong.refusal(), bad);
    let elsewhere = World::connect(kit, "elsewhere").await;
    let wrong = world.ask_as(&elsewhere, &kit.workload("production"), "token", &redemption(&code)).await;
    assert_eq!(wrong.refusal(), bad);
    // None of that has spent it, and it is good for a minute.
    kit.clock.pass(Duration::from_secs(59));
    world.redeem(&code).await.ok();
    let late = world.code("ada").await;
    kit.clock.pass(Duration::from_secs(61));
    assert_eq!(world.redeem(&late).await.refusal(), bad);
    let denied: Vec<_> = kit.events_of("gateway.sign-in").await;
    let rules: Vec<_> = denied
        .iter()
        .filter(|event| event["outcome"] == "denied")
        .map(|event| event["detail"]["rule"].clone())
        .collect();
    assert_eq!(rules, ["code-verifier", "code-redirect-uri", "code-expired"]);
}

async fn a_code_that_is_used_twice_ends_what_it_began(engine: Engine) {
    let world = World::start(engine).await;
    let code = world.code("ada").await;
    let given = world.redeem(&code).await.ok();
    world.userinfo(&given["access_token"]).await.ok();
    assert_eq!(world.redeem(&code).await.refusal(), (400, "invalid_grant".to_owned()));
    assert_eq!(world.userinfo(&given["access_token"]).await.refusal(), (401, "unauthorized".to_owned()));
    assert_eq!(world.renew(text(&given, "refresh_token")).await.refusal().1, "invalid_grant");
    let ends = world.kit.events_of("gateway.end").await;
    assert_eq!((ends.len(), &ends[0]["detail"]["why"]), (1, &"a code was used twice".into()));
    // At the same moment at most one gets tokens, and the other's try ends them.
    let code = world.code("ada").await;
    let both = tokio::join!(world.redeem(&code), world.redeem(&code));
    let good = [&both.0, &both.1].iter().filter(|answer| answer.status == 200).count();
    assert!(good <= 1, "{} {}", both.0.text(), both.1.text());
    for answer in [&both.0, &both.1].iter().filter(|answer| answer.status == 200) {
        assert_eq!(world.userinfo(&answer.json()["access_token"]).await.status, 401);
    }
}

async fn only_a_workload_that_may_ask_the_connector_is_an_app(engine: Engine) {
    let world = World::start(engine).await;
    let kit = &world.kit;
    let other = kit.another_tenant("other").await;
    let code = world.code("ada").await;
    let link = format!("/v1/connect/connectors/{}/projects/{}", world.connector, kit.tenant.project);
    let narrow = serde_json::json!({"environments": ["production"]});
    kit.manage("POST", &link, Some(&narrow)).await.ok();
    let mut forged = kit.workload("production");
    forged.replace_range(forged.len() - 4.., "AAAA");
    let claims = kit.issuer.claims(
        kit.clock.env().now(),
        "https://another.example",
        &kit.tenant.project,
        "production",
    );
    for (what, jwt) in [
        ("another team's", kit.workload_of(&other, "production")),
        ("an environment without a link", kit.workload("preview")),
        ("another audience", kit.issuer.sign(&claims)),
        ("a forged one", forged),
        ("no JWT", "secret".to_owned()),
        ("a person's access token", kit.tenant.token.clone()),
    ] {
        for path in ["token", "revoke"] {
            let fields = [&redemption(&code)[..], &[("token", "cgr_x")]].concat();
            let answer = world.ask_as(&world.connector, &jwt, path, &fields).await;
            assert_eq!(answer.refusal(), (401, "invalid_client".to_owned()), "{what} at {path}");
            assert!(answer.header("www-authenticate").unwrap().starts_with("Basic "), "{what}");
        }
        // Who is none is told so before anything that is missing.
        let answer = world.ask_as(&world.connector, &jwt, "token", &[("code", code.as_str())]).await;
        assert_eq!(answer.refusal(), (401, "invalid_client".to_owned()), "{what} without the rest");
    }
    world.redeem(&code).await.ok();
}

async fn a_refresh_token_is_good_once_and_for_two_at_the_same_moment(engine: Engine) {
    let world = World::start(engine).await;
    let kit = &world.kit;
    kit.clock.hold();
    let first = world.signed_in("ada").await;
    let (one, two) =
        tokio::join!(world.renew(text(&first, "refresh_token")), world.renew(text(&first, "refresh_token")));
    let (one, two) = (one.ok(), two.ok());
    assert_eq!(one["refresh_token"], two["refresh_token"], "neither is lost");
    assert_ne!(one["refresh_token"], first["refresh_token"]);
    kit.clock.pass(Duration::from_mins(2));
    let third = world.renew(text(&one, "refresh_token")).await.ok();
    // Another app of the same team has no use for it, and cannot end it either.
    let preview = kit.workload("preview");
    let form = [("grant_type", "refresh_token"), ("refresh_token", text(&first, "refresh_token"))];
    let stolen = world.ask_as(&world.connector, &preview, "token", &form).await;
    assert_eq!(stolen.refusal(), (400, "invalid_grant".to_owned()));
    world.userinfo(&third["access_token"]).await.ok();
    let more = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&third, "refresh_token")),
        ("scope", "openid messages:write"),
    ];
    assert_eq!(world.ask("token", &more).await.refusal().1, "invalid_scope");
    // The first one, two turns ago: a copy.
    assert_eq!(world.renew(text(&first, "refresh_token")).await.refusal().1, "invalid_grant");
    assert_eq!(world.renew(text(&third, "refresh_token")).await.refusal().1, "invalid_grant");
    assert_eq!(world.userinfo(&third["access_token"]).await.refusal().0, 401);
    let ends = kit.events_of("gateway.end").await;
    assert_eq!(ends[0]["detail"]["why"], "a replaced refresh token was used");
    // A month without being renewed.
    let unused = world.signed_in("ada").await;
    kit.clock.pass(Duration::from_hours(24 * 30 + 1));
    assert_eq!(world.renew(text(&unused, "refresh_token")).await.refusal().1, "invalid_grant");
}

async fn what_is_odd_is_refused_in_the_envelope(engine: Engine) {
    let world = World::start(engine).await;
    let code = world.code("ada").await;
    let cases: Vec<(Fields<'_>, u16, &str)> = vec![
        (vec![("grant_type", "password")], 400, "unsupported_grant_type"),
        (vec![], 400, "invalid_request"),
        (
            vec![("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", HOME)],
            400,
            "invalid_request",
        ),
        (
            vec![("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER)],
            400,
            "invalid_request",
        ),
        (vec![("grant_type", "refresh_token")], 400, "invalid_request"),
        ([&redemption(&code)[..], &[("code", "twice")]].concat(), 400, "invalid_request"),
        ([&redemption(&code)[..], &[("client_id", "another/one")]].concat(), 400, "invalid_request"),
    ];
    for (fields, status, error) in cases {
        let answer = world.ask("token", &fields).await;
        assert_eq!(answer.refusal(), (status, error.to_owned()), "{fields:?}");
    }
    let url = format!("{}/oauth/token", world.kit.url());
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let nobody = world.kit.http.send("POST", &url, &form, "grant_type=authorization_code").await;
    assert_eq!(nobody.refusal(), (401, "invalid_client".to_owned()));
    assert_eq!(world.kit.node.call("GET", "/oauth/userinfo", None, None).await.refusal().0, 401);
    let told = world.kit.node.call("GET", "/oauth/userinfo", Some("eyJ"), None).await;
    assert_eq!(told.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    // device_id, which an official adapter sends, changes nothing.
    let to = world.walk("ada", &[]).await;
    let code = param(&to, "code").unwrap();
    world.ask("token", &[&redemption(&code)[..], &[("device_id", "x")]].concat()).await.ok();
}
