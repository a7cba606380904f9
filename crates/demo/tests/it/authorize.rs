use carnet_demo::{Outcome, What};

use crate::world::{CALLBACK, CALLBACK_WITH_QUERY, CHALLENGE, FORM, World, form};

const ALLOW: [(&str, &str); 2] = [("decision", "allow"), ("person", "grace")];

#[tokio::test]
async fn a_person_allows_and_the_browser_goes_back_with_code_state_and_issuer() {
    let world = World::new().await;
    let answer = world.decide(&world.authorize_url(&[]), &ALLOW).await;
    assert_eq!(answer.status, 303);
    assert!(answer.header("location").unwrap().starts_with(&format!("{CALLBACK}?code=demo_code_")));
    assert_eq!(answer.returned("state").as_deref(), Some("st&te"));
    assert_eq!(answer.returned("iss").as_deref(), Some(world.issuer.as_str()));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    let tokens = world.redeem(&answer.returned("code").unwrap()).await.json();
    let me = world.api("GET", "me", tokens["access_token"].as_str().unwrap(), "").await.json();
    assert_eq!((&me["sub"], &me["name"]), (&"grace".into(), &"Grace".into()));
}

#[tokio::test]
async fn a_person_denies_and_the_client_learns_it() {
    let world = World::new().await;
    let answer = world.decide(&world.authorize_url(&[]), &[("decision", "deny"), ("person", "ada")]).await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.returned("error").as_deref(), Some("access_denied"));
    assert_eq!(answer.returned("state").as_deref(), Some("st&te"));
    assert_eq!(answer.returned("iss").as_deref(), Some(world.issuer.as_str()));
    let last = world.demo.events().pop().unwrap();
    assert_eq!((last.what, last.outcome), (What::Decision, Outcome::Refused("access_denied")));
    assert_eq!(last.client.as_deref(), Some("app"));
}

#[tokio::test]
async fn the_page_is_closed_to_scripts_frames_and_caches() {
    let world = World::new().await;
    let page = world.get(&world.authorize_url(&[])).await;
    let policy = page.header("content-security-policy").unwrap();
    for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("script-src") && !page.body.contains("<script"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    let cookie = page.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Path=/demo/"));
}

#[tokio::test]
async fn the_page_says_what_is_asked_and_what_is_not() {
    let world = World::new().await;
    let page = world.get(&world.authorize_url(&[("scope", "profile:read")])).await.body;
    let (can, cannot) = page.split_once("will not be able to").unwrap();
    assert!(can.contains("Read your demo profile") && !can.contains("Write messages"));
    assert!(cannot.contains("Write messages") && cannot.contains("Delete anything"));
    assert!(cannot.contains("cannot be renewed without you") && cannot.contains("127.0.0.1:9"));
    let page = world.get(&world.authorize_url(&[])).await.body;
    assert!(page.contains("Keep this access while you are away") && page.contains("30 days"));
}

#[tokio::test]
async fn whoever_was_named_beforehand_is_chosen() {
    let world = World::new().await;
    for (changes, chosen) in [
        (&[][..], Some("ada")),
        (&[("login_hint", "grace")], Some("grace")),
        (&[("login_hint", "Grace@hello.test")], Some("grace")),
        (&[("login_hint", "somebody")], Some("ada")),
        (&[("prompt", "consent login")], Some("ada")),
        (&[("prompt", "select_account")], None),
        (&[("prompt", "select_account"), ("login_hint", "grace")], Some("grace")),
    ] {
        let page = world.get(&world.authorize_url(changes)).await.body;
        let found = ["ada", "grace"]
            .into_iter()
            .find(|person| page.contains(&format!("value=\"{person}\" required checked")));
        assert_eq!(found, chosen, "{changes:?}");
    }
    let url = world.authorize_url(&[("prompt", "select_account")]);
    let answer = world.decide(&url, &[("decision", "allow")]).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("Please choose who you are."));
}

#[tokio::test]
async fn a_bad_request_goes_back_to_the_client_with_its_error() {
    let world = World::new().await;
    for (changes, error) in [
        (&[("code_challenge", "")][..], "invalid_request"),
        (&[("code_challenge", "short")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("response_type", "token")], "unsupported_response_type"),
        (&[("response_type", "")], "invalid_request"),
        (&[("response_mode", "fragment")], "invalid_request"),
        (&[("scope", "profile:read admin")], "invalid_scope"),
        (&[("prompt", "none")], "login_required"),
        (&[("prompt", "none login")], "invalid_request"),
        (&[("prompt", "create")], "invalid_request"),
        (&[("scope", "profile:read"), ("scope", "messages:read")], "invalid_request"),
    ] {
        let answer = world.get(&world.authorize_url(changes)).await;
        assert_eq!(answer.status, 303, "{changes:?}");
        assert_eq!(answer.returned("error").as_deref(), Some(error), "{changes:?}");
        assert_eq!(answer.returned("iss").as_deref(), Some(world.issuer.as_str()));
        assert_eq!(answer.returned("state").as_deref(), Some("st&te"));
        assert!(answer.returned("error_description").unwrap().is_ascii());
    }
    let answer = world.get(&world.authorize_url(&[("state", "a"), ("state", "b")])).await;
    assert_eq!(answer.returned("error").as_deref(), Some("invalid_request"));
    assert_eq!(answer.returned("state"), None, "it is not known which one is meant");
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_is_not_registered() {
    let world = World::new().await;
    for changes in [
        &[("client_id", "nobody")][..],
        &[("client_id", "")],
        &[("client_id", "app"), ("client_id", "other")],
        &[("redirect_uri", "")],
        &[("redirect_uri", "http://127.0.0.1:9/callback/")],
        &[("redirect_uri", "http://127.0.0.1:9/Callback")],
        &[("redirect_uri", "https://evil.example/")],
        &[("redirect_uri", CALLBACK), ("redirect_uri", CALLBACK)],
    ] {
        let answer = world.get(&world.authorize_url(changes)).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (400, None), "{changes:?}");
        assert!(answer.body.contains("This request cannot be answered"));
        assert!(!answer.body.contains("evil.example"), "the page repeats nothing of the caller");
    }
    let long = format!("{}&x={}", world.authorize_url(&[]), "x".repeat(9_000));
    assert_eq!(world.get(&long).await.status, 400);
    assert_eq!(world.get(&format!("{}&x=%zz", world.authorize_url(&[]))).await.status, 400);
}

#[tokio::test]
async fn the_query_of_a_redirect_uri_stays() {
    let world = World::new().await;
    let url = world.authorize_url(&[("redirect_uri", CALLBACK_WITH_QUERY)]);
    let answer = world.decide(&url, &ALLOW).await;
    assert_eq!(answer.returned("tenant").as_deref(), Some("a"));
    assert!(answer.returned("code").is_some());
}

#[tokio::test]
async fn a_decision_counts_only_from_our_own_page_in_the_same_browser() {
    let world = World::new().await;
    let url = world.authorize_url(&[]);
    let other_request = world.authorize_url(&[("scope", "profile:read")]);
    let page = world.get(&url).await;
    let (seal, cookie) = (page.seal(), page.cookie());
    let foreign = world.get(&url).await.cookie();
    let own = &[("cookie", cookie.as_str())][..];
    for (why, url, headers, seal) in [
        ("no seal", &url, own, ""),
        ("a made-up seal", &url, own, "1900000000000.AAAA"),
        ("no cookie", &url, &[][..], &seal),
        ("another browser", &url, &[("cookie", foreign.as_str())], &seal),
        ("another request", &other_request, own, &seal),
        ("another site", &url, &[("cookie", cookie.as_str()), ("sec-fetch-site", "cross-site")], &seal),
        ("another port", &url, &[("cookie", cookie.as_str()), ("sec-fetch-site", "same-site")], &seal),
        ("another origin", &url, &[("cookie", cookie.as_str()), ("origin", "http://127.0.0.1:3000")], &seal),
    ] {
        let headers = [headers, &[("content-type", FORM)]].concat();
        let answer =
            world.send("POST", url, &headers, &form(&[&ALLOW[..], &[("seal", seal)]].concat())).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (403, None), "{why}");
        assert!(answer.body.contains("nothing was decided"), "{why}");
        assert!(!answer.body.contains("required checked"), "nobody is chosen for the person: {why}");
    }
    let headers = [
        ("cookie", cookie.as_str()),
        ("content-type", FORM),
        ("sec-fetch-site", "same-origin"),
        ("origin", "null"),
    ];
    let body = form(&[&ALLOW[..], &[("seal", seal.as_str())]].concat());
    assert_eq!(world.send("POST", &url, &headers, &body).await.status, 303);
    world.pass(std::time::Duration::from_mins(16));
    assert_eq!(world.send("POST", &url, &headers, &body).await.status, 403, "a page does not last for ever");
}

#[tokio::test]
async fn text_of_the_request_is_escaped_on_the_page() {
    let world = World::new().await;
    // The page repeats the address in its form, and an apostrophe may stand in an address as it is.
    let page = world.get(&format!("{}&x='autofocus", world.authorize_url(&[]))).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("autofocus") && !page.body.contains("'autofocus"));
}

#[tokio::test]
async fn nothing_is_kept_until_a_person_says_yes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("demo.json");
    let world = World::with(|options| options.state = Some(file.clone())).await;
    let url = world.authorize_url(&[("code_challenge", CHALLENGE)]);
    world.decide(&url, &[("decision", "deny")]).await;
    assert!(!file.exists());
    world.decide(&url, &ALLOW).await;
    assert!(file.exists());
}
