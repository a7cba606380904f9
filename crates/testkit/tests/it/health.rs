//! What breaks is told once, signed, with what mends it; who asks is told how things stand.

mod secrets;

use std::time::Duration;

use carnet_model::Clock as _;
use carnet_testkit::{Browser, Engine, Fault, Kit, Plan, Received, Receiver, eventually, on_both_engines};
use serde_json::{Value, json};

use crate::consent::verified;
use crate::servers::peer::Peer;
use crate::{anew, of};

on_both_engines!(
    a_grant_that_breaks_is_told_once_with_the_link_that_mends_it,
    a_health_webhook_that_was_not_taken_is_sent_again_by_the_next_process,
    a_grant_that_will_end_is_told_of_before_it_does,
    an_end_that_renewals_do_not_move_is_told_of_in_use,
    who_asks_is_told_what_holds_and_what_does_not,
    a_link_that_mends_asks_for_what_was_asked_for_and_not_for_what_was_given,
    credentials_that_the_provider_refuses_pass_no_check,
);

const HOOK: &str = "/health";

async fn told_at(kit: &Kit, receiver: &Receiver) {
    let path = format!("/v1/projects/{}/health-webhook", kit.tenant.project);
    assert_eq!(kit.manage("GET", &path, None).await.ok(), json!({"webhook": null}));
    let set = kit.manage("PUT", &path, Some(&json!({"url": receiver.url(HOOK)}))).await.ok();
    assert_eq!((&set["url"], &set["projectId"]), (&json!(receiver.url(HOOK)), &json!(kit.tenant.project)));
}

/// Ends Alice's grant at the provider, and lets it be noticed.
async fn break_it(kit: &Kit) {
    kit.provider.forget(&kit.provider.last_refresh_token()).await;
    kit.clock.pass(Duration::from_hours(2));
    let refused = kit.ask(&of("alice")).await;
    assert_eq!(refused.refusal(), (422, "user_authorization_required".to_owned()));
}

async fn a_grant_that_breaks_is_told_once_with_the_link_that_mends_it(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    told_at(&kit, &receiver).await;
    kit.consent("alice").await;
    break_it(&kit).await;
    let told = receiver.at(HOOK).await;
    verified(&kit, &receiver.url(HOOK), &told).await;
    let body = &told.body;
    assert_eq!((&body["type"], &body["cause"]), (&json!("grant.broken"), &json!("revoked_at_provider")));
    assert_eq!(body["connector"], json!({"id": kit.connector, "uid": Kit::UID}));
    assert_eq!(body["environment"], "production");
    let grant = kit.grants().await[0]["id"].clone();
    assert_eq!(body["grant"], json!({"id": grant, "subject": {"type": "user", "id": "alice"}}));
    let text = String::from_utf8(told.raw.clone()).unwrap();
    for (what, secret) in kit.provider.secrets() {
        assert!(!text.contains(&secret), "{what}");
    }

    // The same break is told of no more, however often it is met.
    for _ in 0..3 {
        kit.ask(&of("alice")).await.refusal();
    }

    // The link makes a request for consent, the same one for whoever looks twice, and mends.
    let link = body["mend"]["url"].as_str().unwrap();
    let mut browser = Browser::default();
    let page = browser.get(link).await.header("location").unwrap().to_owned();
    assert_eq!(browser.get(link).await.header("location"), Some(page.as_str()));
    let page = format!("{}{page}", kit.url());
    assert!(browser.get(&page).await.text().contains("acme-app"));
    browser.consent(&page, "ada").await;
    kit.ask(&of("alice")).await.token();
    kit.clock.pass(Duration::from_mins(2));
    let over = browser.get(link).await;
    assert_eq!(over.header("location"), None, "what is mended is not mended again");
    let started = kit.events_of("authorization.start").await;
    let mended: Vec<&Value> = started.iter().filter(|event| event["detail"]["mends"] == grant).collect();
    assert_eq!((mended.len(), &mended[0]["actor"]["type"]), (1, &json!("system")));
    for other in ["/mend/x", &format!("{}x", link.replacen(kit.url(), "", 1))] {
        assert_eq!(browser.get(&format!("{}{other}", kit.url())).await.header("location"), None, "{other}");
    }

    // Another break is another notice.
    break_it(&kit).await;
    let all = receiver.count_at(HOOK, 2).await;
    assert_ne!(all[0].headers["webhook-id"], all[1].headers["webhook-id"]);
    assert_ne!(all[0].body["mend"], all[1].body["mend"]);
    let delivered = eventually("both are on the record", async || {
        Some(kit.events_of("health.deliver").await).filter(|all| all.len() >= 2)
    })
    .await;
    assert!(delivered.iter().all(|event| event["outcome"] == "success"), "{delivered:?}");
    assert!(
        !kit.events().await.iter().any(|event| event.to_string().contains("/mend/")),
        "the link is no record"
    );

    // Nobody is told any more.
    let path = format!("/v1/projects/{}/health-webhook", kit.tenant.project);
    let removed = kit.manage("DELETE", &path, None).await;
    assert_eq!(removed.status, 204);
    assert_eq!(kit.manage("DELETE", &path, None).await.refusal(), (404, "not_found".to_owned()));
    let other = format!("{}/hook", kit.url());
    for bad in ["http://10.0.0.1/x", "ftp://a.example/x", "nowhere", other.as_str()] {
        let refused = kit.manage("PUT", &path, Some(&json!({"url": bad}))).await;
        assert_eq!(refused.refusal(), (400, "invalid_request".to_owned()), "{bad}");
        assert_eq!(refused.json()["error"]["field"], "url");
    }
}

async fn a_health_webhook_that_was_not_taken_is_sent_again_by_the_next_process(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    told_at(&kit, &receiver).await;
    kit.consent("alice").await;
    receiver.next([503, 500]);
    break_it(&kit).await;
    let first = receiver.at(HOOK).await;
    // Whoever reads the table has no link of it.
    let secret = first.body["mend"]["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let raw = kit.raw().await;
    let clear =
        format!("select count(*) from health_notices where body like '%/mend/%' or body like '%{secret}%'");
    assert_eq!(raw.number(&clear).await, 0);
    assert_eq!(raw.number("select count(*) from health_notices where mend is not null").await, 1);
    kit.restart(async |_| {}).await;
    let all = arrive_in_time(&kit, &receiver, 3).await;
    for again in &all {
        assert_eq!((&again.raw, &again.headers["webhook-id"]), (&first.raw, &first.headers["webhook-id"]));
    }
    verified(&kit, &receiver.url(HOOK), &all[2]).await;
    eventually("nothing of it is kept once it was taken", async || {
        let kept = "select count(*) from health_notices where mend is not null or body <> ''";
        (raw.number(kept).await == 0).then_some(())
    })
    .await;
}

/// This many webhooks, while time goes by.
async fn arrive_in_time(kit: &Kit, receiver: &Receiver, count: usize) -> Vec<Received> {
    eventually("the webhook is sent again", async || {
        kit.clock.pass(Duration::from_secs(5));
        Some(receiver.all_at(HOOK)).filter(|all| all.len() >= count)
    })
    .await
}

async fn a_grant_that_will_end_is_told_of_before_it_does(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    told_at(&kit, &receiver).await;
    kit.provider.always(|| {
        Fault::rewritten(|answer| {
            answer.insert("refresh_token_expires_in".to_owned(), json!(30 * 24 * 3600));
        })
    });
    kit.consent("alice").await;
    // Its refresh token lives thirty days, and nobody asks for tokens. It is kept up all the same.
    kit.clock.pass(Duration::from_hours(24 * 23));
    // Recorded, and not only asked for: what the provider is in the middle of is lost when it goes.
    eventually("the grant is renewed", async || {
        (!kit.events_of("grant.refresh").await.is_empty()).then_some(())
    })
    .await;
    assert_eq!(receiver.count(), 0);
    // With a provider that is away it cannot be.
    kit.provider.go_down();
    let now = kit.clock.now();
    kit.clock.pass(Duration::from_hours(24 * 24));
    let told = receiver.at(HOOK).await;
    verified(&kit, &receiver.url(HOOK), &told).await;
    let body = &told.body;
    assert_eq!((&body["type"], &body["cause"]), (&json!("grant.ending"), &json!("expires")));
    let ends = body["endsAt"].as_i64().unwrap();
    let left = (ends - now.millis()) / (24 * 3_600_000);
    assert!((29..=30).contains(&left), "{left} days");
    assert!(body["mend"]["url"].as_str().unwrap().contains("/mend/"), "{body}");
    kit.clock.pass(Duration::from_hours(24));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(receiver.count(), 1, "once");
}

/// Seven days from the consent, however often it is renewed: Google's clients that are being tested.
async fn an_end_that_renewals_do_not_move_is_told_of_in_use(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    told_at(&kit, &receiver).await;
    let clock = kit.clock.clone();
    let end = clock.now().plus(Duration::from_hours(7 * 24));
    kit.provider.always(move || {
        let left = clock.now().until(end).as_secs();
        Fault::rewritten(move |answer| {
            answer.insert("refresh_token_expires_in".to_owned(), json!(left));
        })
    });
    kit.consent("alice").await;
    let in_use_for = async |days: usize| {
        for _ in 0..days * 4 {
            kit.clock.pass(Duration::from_hours(6));
            kit.ask(&of("alice")).await.token();
        }
    };
    in_use_for(5).await;
    assert!(kit.provider.requests("refresh_token") >= 20);
    tokio::time::sleep(Duration::from_millis(5500)).await;
    assert_eq!(receiver.count(), 0, "two of seven days are more than a quarter");
    in_use_for(1).await;
    let told = receiver.at(HOOK).await;
    assert_eq!(told.body["type"], "grant.ending");
    let ends = told.body["endsAt"].as_i64().unwrap();
    assert!((ends - end.millis()).abs() < 60_000, "{ends} is not {end:?}");
}

async fn who_asks_is_told_what_holds_and_what_does_not(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let path = format!("/v1/connect/connectors/{}/check", kit.connector);
    let check = async |query: &str| kit.manage("POST", &format!("{path}{query}"), None).await.ok();
    let empty = check("").await;
    assert_eq!(empty["connector"], json!({"id": kit.connector, "uid": Kit::UID}));
    assert_eq!((&empty["holds"], &empty["grants"]), (&json!(true), &json!([])));

    for user in ["alice", "bob", "carol"] {
        kit.consent(user).await;
    }
    let asked = kit.provider.requests("refresh_token");
    let all = check("").await;
    let standings = |told: &Value| -> Vec<String> {
        let all = told["grants"].as_array().unwrap();
        all.iter().map(|one| one["standing"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((standings(&all), &all["holds"]), (vec!["holds".to_owned(); 3], &json!(true)));
    assert_eq!(kit.provider.requests("refresh_token") - asked, 3, "the provider was asked about each");
    // What was renewed to be asked about works on.
    kit.ask(&of("alice")).await.token();

    // One is ended at the provider, and nobody has noticed yet.
    kit.ask(&anew("bob")).await.token();
    kit.provider.forget(&kit.provider.last_refresh_token()).await;
    let first = check("?limit=2").await;
    let second = check(&format!("?limit=2&cursor={}", first["cursor"].as_str().unwrap())).await;
    assert_eq!(second.get("cursor"), None);
    let pages: Vec<Value> =
        [&first, &second].into_iter().flat_map(|page| page["grants"].as_array().unwrap().clone()).collect();
    assert_eq!(pages.len(), 3);
    for one in &pages {
        let bob = one["subject"]["id"] == "bob";
        let (standing, state) = if bob { ("needs_consent", "needs_consent") } else { ("holds", "active") };
        assert_eq!((&one["standing"], &one["state"]), (&json!(standing), &json!(state)), "{one}");
        assert_eq!(one.get("cause"), bob.then(|| json!("revoked_at_provider")).as_ref());
    }
    assert_eq!(kit.ask(&of("bob")).await.refusal(), (422, "user_authorization_required".to_owned()));

    // A provider that is away ends nothing.
    kit.provider.go_down();
    let away = check("").await;
    assert_eq!(standings(&away).iter().filter(|one| *one == "unreachable").count(), 2, "{away}");
    assert_eq!(kit.grants().await.iter().filter(|grant| grant["state"] == "active").count(), 2);
    let checked = kit.events_of("connector.check").await;
    let broken: i64 = checked.iter().map(|event| event["detail"]["broken"].as_i64().unwrap()).sum();
    assert_eq!((checked.len(), broken), (5, 2), "as found by one page, and by the last look");
}

async fn credentials_that_the_provider_refuses_pass_no_check(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let check = async |connector: &str| {
        let path = format!("/v1/connect/connectors/{connector}/check");
        kit.manage("POST", &path, None).await.ok()
    };
    let asked = kit.provider.requests("client_credentials");
    let found = check(&kit.connector).await;
    assert_eq!((&found["application"], &found["holds"]), (&json!({"standing": "holds"}), &json!(true)));
    assert_eq!(kit.provider.requests("client_credentials"), asked + 1, "the provider was asked");
    kit.provider.always(|| Fault::error(401, "invalid_client"));
    let found = check(&kit.connector).await;
    assert_eq!(
        (&found["application"]["standing"], &found["holds"]),
        (&json!("client_rejected"), &json!(false))
    );
    let message = found["application"]["message"].as_str().unwrap();
    assert!(message.contains("refuses the client credentials"), "{message}");
    kit.provider.heal();

    // A stored key is tried where the service can be asked about keys, and so is one that a person gave.
    let service = Peer::start();
    service.now("/me", 200, json!({"id": 7}));
    let probe = json!({"url": format!("{}/me", service.url), "header": "X-Key"});
    let stored = kit.keep_keys("stored", &json!({"values": [{"value": "key-1"}], "probe": probe})).await;
    let pasted = kit.keep_keys("pasted", &json!({"subjectType": "user", "probe": probe})).await;
    let tokens = json!({"tokens": [{"accessToken": "key-of-ada", "expiresAt": 4_000_000_000_000_i64,
        "subject": {"type": "user", "id": "ada"}, "environment": "production"}]});
    let path = format!("/v1/connect/token/{pasted}/import");
    kit.manage("POST", &path, Some(&tokens)).await.ok();
    assert_eq!(check(&stored).await["application"]["standing"], "holds");
    assert_eq!(check(&pasted).await["grants"][0]["standing"], "holds");
    service.now("/me", 503, json!({}));
    assert_eq!(check(&stored).await["application"]["standing"], "unreachable");
    assert_eq!(check(&pasted).await["grants"][0]["standing"], "unreachable");
    service.now("/me", 401, json!({}));
    let found = check(&stored).await;
    assert_eq!(
        (&found["application"]["standing"], &found["holds"]),
        (&json!("client_rejected"), &json!(false))
    );
    assert!(!found.to_string().contains("key-1"));
    let found = check(&pasted).await["grants"][0].clone();
    assert_eq!(
        (&found["standing"], &found["cause"]),
        (&json!("needs_consent"), &json!("revoked_at_provider"))
    );
}

async fn a_link_that_mends_asks_for_what_was_asked_for_and_not_for_what_was_given(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let receiver = Receiver::start().await;
    told_at(&kit, &receiver).await;
    let started = kit.authorize("alice", json!({"scopes": ["profile:read", "offline_access"]})).await;
    let mut browser = Browser::default();
    let there = browser.leave(started["url"].as_str().unwrap()).await;
    let callback = browser.at_provider(&there, "allow", "ada").await;
    kit.provider.next([Fault::rewritten(|answer| {
        answer.insert("scope".to_owned(), "profile:read offline_access messages:write".into());
    })]);
    browser.come_back(&callback).await;
    break_it(&kit).await;
    let told = receiver.at(HOOK).await;
    let page =
        browser.get(told.body["mend"]["url"].as_str().unwrap()).await.header("location").unwrap().to_owned();
    let there = browser.leave(&format!("{}{page}", kit.url())).await;
    let asked = url::Url::parse(&there).unwrap();
    let scope = asked.query_pairs().find(|(name, _)| name == "scope").unwrap().1.into_owned();
    assert_eq!(scope, "offline_access profile:read");
}
