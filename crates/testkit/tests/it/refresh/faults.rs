//! A provider that struggles: no grant dies of it, and who has a living token keeps it.

use std::time::Duration;

use carnet_model::Clock as _;
use carnet_model::grant::Rotation;
use carnet_testkit::{Engine, Fault, Kit, Plan, on_both_engines};
use serde_json::json;

use crate::{anew, of};

on_both_engines!(
    a_lost_answer_of_a_strict_provider_is_never_silent,
    within_the_grace_the_same_token_is_presented_again_at_once,
    a_request_that_never_arrived_costs_a_strict_grant_nothing,
);

/// A name, the fault, and what a caller without a living token is told.
type Case = (&'static str, fn() -> Fault, (u16, &'static str));

const UNAVAILABLE: (u16, &str) = (503, "provider_unavailable");
const INVALID: (u16, &str) = (502, "provider_answer_invalid");

const STRUGGLES: [Case; 14] = [
    ("429", || Fault::status(429), UNAVAILABLE),
    ("429 with a time", || Fault::status(429).retry_after(7), UNAVAILABLE),
    ("503", || Fault::status(503), UNAVAILABLE),
    ("503 with a time", || Fault::status(503).retry_after(3), UNAVAILABLE),
    ("500 after its work", || Fault::status(500).after_its_work(), UNAVAILABLE),
    ("temporarily_unavailable", || Fault::error(400, "temporarily_unavailable"), UNAVAILABLE),
    ("server_error with a 400", || Fault::error(400, "server_error"), UNAVAILABLE),
    ("a page", Fault::html, INVALID),
    ("a page after its work", || Fault::html().after_its_work(), INVALID),
    ("half of a JSON", Fault::bad_json, INVALID),
    ("half of an answer", Fault::truncated, UNAVAILABLE),
    ("far too much", Fault::huge, INVALID),
    ("no answer", || Fault::lost().after_its_work(), UNAVAILABLE),
    ("a redirect", Fault::redirect, INVALID),
];

/// Where presenting the token again is always safe, the next try simply works.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_struggling_provider_neither_kills_a_grant_nor_hides_a_living_token() {
    let plan = Plan { rotation: Rotation::None, access_life: Duration::from_mins(30), ..Plan::default() };
    let kit = Kit::start(Engine::Sqlite, plan).await;
    kit.consent("alice").await;
    for (name, fault, told) in STRUGGLES {
        let living = kit.user_token("alice").await.token();
        kit.provider.next([fault()]);
        let served = kit.ask(&anew("alice")).await;
        assert_eq!(served.status, 200, "{name}: {}", served.text());
        assert_eq!(served.token(), living, "{name}: the living token is served");
        // Whatever the provider asked for, a minute is over.
        kit.clock.pass(Duration::from_secs(61));
        let newer = kit.ask(&anew("alice")).await.token();
        assert_ne!(newer, living, "{name}: and the next try works");
        assert!(kit.provider.me(&newer).await.is_some(), "{name}");

        kit.provider.always(fault);
        kit.clock.pass(Duration::from_mins(40));
        let refused = kit.user_token("alice").await;
        assert_eq!(refused.refusal(), (told.0, told.1.to_owned()), "{name}");
        assert!(refused.header("retry-after").is_some(), "{name}");
        kit.provider.heal();
        let grants = kit.grants().await;
        assert_eq!(grants[0]["state"], "active", "{name}");
        kit.clock.pass(Duration::from_secs(61));
        assert!(kit.provider.me(&kit.user_token("alice").await.token()).await.is_some(), "{name}");
    }
    assert!(kit.events_of("grant.needs-consent").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_provider_that_is_down_is_told_and_comes_back() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    kit.consent("alice").await;
    let living = kit.user_token("alice").await.token();
    kit.provider.go_down();
    assert_eq!(kit.ask(&anew("alice")).await.token(), living);
    kit.clock.pass(Duration::from_hours(2));
    assert_eq!(kit.user_token("alice").await.refusal(), (503, "provider_unavailable".to_owned()));
    kit.provider.come_back().await;
    kit.clock.pass(Duration::from_secs(61));
    // Nobody was there to take the token, so it still works, even where it works only once.
    assert!(kit.provider.me(&kit.user_token("alice").await.token()).await.is_some());
}

/// The answer is cut off at the deadline, and the caller is told before it gives up itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_provider_that_trickles_is_given_up_in_time() {
    let plan = Plan { rotation: Rotation::None, ..Plan::default() };
    let kit = Kit::start(Engine::Sqlite, plan).await;
    kit.consent("alice").await;
    kit.clock.pass(Duration::from_hours(2));
    kit.provider.next([Fault::trickle().after_its_work()]);
    let begun = tokio::time::Instant::now();
    assert_eq!(kit.user_token("alice").await.refusal(), (503, "provider_unavailable".to_owned()));
    assert!(begun.elapsed() < Duration::from_secs(14), "{:?}", begun.elapsed());
    assert!(kit.provider.me(&kit.user_token("alice").await.token()).await.is_some());
}

/// Half an answer, with the new refresh token in it: the grant goes on with that, living tokens are served meanwhile, and
/// nobody gets what cannot be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn half_an_answer_costs_neither_the_refresh_token_in_it_nor_the_token_before() {
    let plan = Plan { rotation: Rotation::Strict, ..Plan::default() };
    let kit = Kit::start(Engine::Sqlite, plan).await;
    kit.consent("alice").await;
    let with = |name: &'static str, value: serde_json::Value| {
        Fault::rewritten(move |answer| {
            answer.insert(name.to_owned(), value.clone());
        })
    };
    // What is optional is left out, and the rest is used.
    for (name, value) in
        [("expires_in", json!(-1)), ("expires_in", json!({})), ("refresh_expires_in", json!("soon"))]
    {
        kit.clock.pass(Duration::from_hours(2));
        kit.provider.next([with(name, value)]);
        let token = kit.user_token("alice").await.token();
        assert!(kit.provider.me(&token).await.is_some(), "{name}");
    }
    for (name, value) in [("access_token", json!(7)), ("scope", json!(7)), ("token_type", json!("mac"))] {
        kit.clock.pass(Duration::from_hours(2));
        let living = kit.user_token("alice").await.token();
        kit.provider.next([with(name, value.clone())]);
        assert_eq!(kit.ask(&anew("alice")).await.token(), living, "{name}");
        kit.clock.pass(Duration::from_hours(2));
        kit.provider.next([with(name, value)]);
        assert_eq!(
            kit.user_token("alice").await.refusal(),
            (502, "provider_answer_invalid".to_owned()),
            "{name}"
        );
        // A strict provider takes no refresh token but the newest.
        let token = kit.user_token("alice").await.token();
        assert!(kit.provider.me(&token).await.is_some(), "{name}");
    }
    assert!(kit.events_of("grant.needs-consent").await.is_empty());
}

/// A provider that names a time is not asked again before it, by nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_provider_that_asks_to_wait_is_left_alone() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    kit.consent("alice").await;
    kit.consent("bob").await;
    kit.clock.pass(Duration::from_hours(2));
    // Whoever met it is told no longer than we wait, whatever the provider says.
    kit.provider.next([Fault::status(429).retry_after(99_999)]);
    let met = kit.user_token("alice").await;
    assert_eq!(met.header("retry-after"), Some("600"), "{}", met.text());
    kit.provider.next([Fault::status(429).retry_after(30)]);
    kit.clock.pass(Duration::from_secs(601));
    kit.user_token("alice").await.refusal();
    let asked = kit.provider.requests("refresh_token");
    for user in ["alice", "bob", "alice"] {
        let refused = kit.user_token(user).await;
        assert_eq!(refused.refusal(), (503, "provider_unavailable".to_owned()));
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=30).contains(&wait), "{wait}");
    }
    assert_eq!(kit.provider.requests("refresh_token"), asked);
    kit.clock.pass(Duration::from_secs(31));
    kit.user_token("bob").await.token();
    kit.user_token("alice").await.token();
}

/// What a strict provider did cannot be known; so the living token is kept, and when it has ended the person is asked.
async fn a_lost_answer_of_a_strict_provider_is_never_silent(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    for (user, fault) in [
        ("alice", Fault::lost().after_its_work()),
        ("bob", Fault::truncated()),
        ("carol", Fault::html().after_its_work()),
        ("dave", Fault::status(500).after_its_work()),
    ] {
        kit.consent(user).await;
        let body = serde_json::json!({"subject": {"type": "user", "id": user}, "validityBufferMs": 0});
        let living = kit.ask(&body).await.token();
        kit.provider.next([fault]);
        assert_eq!(kit.ask(&anew(user)).await.token(), living, "{user}");
        let asked = kit.provider.requests("refresh_token");
        assert_eq!(kit.ask(&anew(user)).await.token(), living, "{user}");
        assert_eq!(
            kit.provider.requests("refresh_token"),
            asked,
            "presenting it again could kill what lives"
        );
        end(&kit).await;
        let answer = kit.user_token(user).await;
        assert_eq!(answer.refusal(), (422, "user_authorization_required".to_owned()), "{user}");
        assert_eq!(answer.json()["error"]["cause"], "refresh_answer_lost", "{user}");
        assert_eq!(answer.json()["error"]["reason"], "reauthorization_required", "{user}");
    }
    let events = kit.events_of("grant.needs-consent").await;
    assert_eq!(events.len(), 4);
    // With no living token the caller is told at once, and not that all is well.
    kit.consent("erin").await;
    end(&kit).await;
    kit.provider.next([Fault::lost().after_its_work()]);
    let answer = kit.user_token("erin").await;
    assert_eq!(answer.refusal(), (503, "provider_unavailable".to_owned()));
    let error = &answer.json()["error"];
    assert_eq!(error["reason"], "refresh_answer_lost", "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("reauthorization is required") && !message.contains("harmed"), "{message}");
    assert!(events.iter().all(|event| event["detail"]["cause"] == "refresh_answer_lost"), "{events:?}");
    kit.consent("alice").await;
    kit.user_token("alice").await.token();
}

/// Lets every access token end: by the broker's clock, and by that of PostgreSQL, which nobody can move.
async fn end(kit: &Kit) {
    kit.raw().await.end_access().await;
    kit.clock.pass(Duration::from_hours(2));
}

async fn within_the_grace_the_same_token_is_presented_again_at_once(engine: Engine) {
    let plan = Plan { rotation: Rotation::Grace { seconds: 60 }, ..Plan::default() };
    let kit = Kit::start(engine, plan).await;
    kit.consent("alice").await;
    kit.clock.pass(Duration::from_hours(2));
    kit.provider.next([Fault::lost().after_its_work()]);
    let token = kit.user_token("alice").await.token();
    assert!(kit.provider.me(&token).await.is_some());
    assert_eq!(kit.provider.requests("refresh_token"), 2);
    assert!(kit.events_of("grant.needs-consent").await.is_empty());
}

async fn a_request_that_never_arrived_costs_a_strict_grant_nothing(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    // As far as the broker can tell, it may have arrived.
    kit.provider.next([Fault::lost()]);
    kit.ask(&anew("alice")).await.token();
    end(&kit).await;
    let token = kit.user_token("alice").await.token();
    assert!(kit.provider.me(&token).await.is_some());
    assert!(kit.events_of("grant.needs-consent").await.is_empty());
    assert_eq!(kit.ask(&of("alice")).await.status, 200);
}

/// The token is over and answers are lost, one after the other: nobody is asked to consent for it, the token is presented
/// less and less, and only the provider's refusal ends the grant.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_strict_refresh_token_is_not_presented_without_end() {
    let lost: fn() -> Fault = Fault::lost;
    let done: fn() -> Fault = || Fault::lost().after_its_work();
    let page: fn() -> Fault = Fault::html;
    let half: fn() -> Fault = Fault::bad_json;
    for (name, fault, is_spent) in [
        ("lost", lost, false),
        ("lost after its work", done, true),
        ("a page", page, false),
        ("half", half, false),
    ] {
        let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
        kit.consent("alice").await;
        kit.clock.pass(Duration::from_hours(2));
        kit.provider.always(fault);
        for presented in 1..=6 {
            let refused = kit.user_token("alice").await;
            assert_eq!(refused.refusal(), (503, "provider_unavailable".to_owned()), "{name}");
            assert_eq!(refused.json()["error"]["reason"], "refresh_answer_lost", "{name}");
            assert_eq!(kit.provider.requests("refresh_token"), presented, "{name}");
            let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
            kit.clock.pass(Duration::from_secs(wait));
        }
        assert_eq!(kit.grants().await[0]["state"], "active", "{name}");
        assert!(kit.events_of("grant.needs-consent").await.is_empty(), "{name}");
        kit.provider.heal();
        kit.clock.pass(Duration::from_secs(61));
        let answer = kit.user_token("alice").await;
        if is_spent {
            assert_eq!(answer.refusal(), (422, "user_authorization_required".to_owned()), "{name}");
            assert_eq!(answer.json()["error"]["cause"], "refresh_answer_lost", "{name}");
            kit.consent("alice").await;
            kit.user_token("alice").await.token();
        } else {
            assert!(kit.provider.me(&answer.token()).await.is_some(), "{name}");
        }
    }

    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    kit.consent("alice").await;
    kit.clock.pass(Duration::from_hours(2));
    kit.provider.always(|| Fault::status(502));
    let ask = async || assert_eq!(kit.user_token("alice").await.refusal().1, "provider_unavailable");
    for presented in [1, 2] {
        ask().await;
        assert_eq!(kit.provider.requests("refresh_token"), presented);
    }
    let begun = kit.clock.now();
    for _ in 0..5 {
        ask().await;
    }
    // On a machine that takes as long as the pause for this, there were some.
    if begun.until(kit.clock.now()) < Duration::from_secs(4) {
        assert_eq!(kit.provider.requests("refresh_token"), 2);
    }
    let before = kit.provider.requests("refresh_token");
    kit.clock.pass(Duration::from_secs(31));
    ask().await;
    assert_eq!(kit.provider.requests("refresh_token"), before + 1);
    assert_eq!(kit.grants().await[0]["state"], "active");
    kit.provider.heal();
    kit.clock.pass(Duration::from_secs(61));
    kit.user_token("alice").await.token();
    assert!(kit.events_of("grant.needs-consent").await.is_empty());
}

/// Whoever comes back when it was told to finds the provider being asked, however often it has failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refusal_names_the_time_at_which_the_grant_is_tried_again() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    kit.consent("alice").await;
    kit.clock.pass(Duration::from_hours(2));
    kit.provider.always(|| Fault::status(502));
    let mut waits: Vec<u64> = Vec::new();
    for presented in 1..=6 {
        let refused = kit.user_token("alice").await;
        assert_eq!(refused.refusal(), (503, "provider_unavailable".to_owned()));
        assert_eq!(kit.provider.requests("refresh_token"), presented, "{waits:?}");
        waits.push(refused.header("retry-after").unwrap().parse().unwrap());
        kit.clock.pass(Duration::from_secs(waits[presented - 1]));
    }
    // The first is tried again at once, and whoever came is not told to wait for longer than that.
    assert!(waits[0] == 1 && waits[1] <= 5, "{waits:?}");
    assert!(waits.last() >= Some(&30), "it is asked less and less: {waits:?}");
    assert_eq!(kit.grants().await[0]["state"], "active");
}
