//! What is given and does not hold yet: another account, which the person must want; a completion code, which the
//! application must bring. And what can be taken back at once.

use std::time::Duration;

use carnet_testkit::{Answer, Browser, Engine, Fault, Kit, Plan, id_token, on_both_engines};
use serde_json::{Value, json};
use url::Url;

use super::{HOME, begin, exchanges, nothing_was_granted, outcome, to_the_callback};

on_both_engines!(
    another_account_takes_the_place_of_the_first_only_if_it_is_meant,
    a_grant_that_must_be_completed_is_inert_until_the_application_does,
    what_was_just_given_can_be_taken_back,
);

/// The next token answer names this person.
fn named(kit: &Kit, person: &'static str) -> Fault {
    let issuer = kit.provider.issuer();
    Fault::rewritten(move |answer| {
        answer.insert("id_token".to_owned(), id_token(&issuer, Kit::CLIENT, person).into());
    })
}

/// Alice's consent as this person, up to what comes after the callback.
async fn walk(kit: &Kit, person: &'static str) -> (Browser, Answer, Value) {
    let (page, started) = begin(kit).await;
    kit.provider.next([named(kit, person)]);
    let mut browser = Browser::default();
    let end = browser.consent(&page, person).await;
    (browser, end, started)
}

async fn result(kit: &Kit, started: &Value) -> Value {
    let path = format!("/v1/connect/result/{}", started["verifier"].as_str().unwrap());
    kit.manage("GET", &path, None).await.ok()
}

/// The newest access token that the provider made.
fn newest(kit: &Kit) -> String {
    kit.provider.secrets().into_iter().rfind(|(name, _)| *name == "access_token").unwrap().1
}

async fn another_account_takes_the_place_of_the_first_only_if_it_is_meant(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    assert_eq!(outcome(&walk(&kit, "ada").await.1).0, "success");
    let first = kit.user_token("alice").await;
    assert_eq!(first.ok()["externalSubject"], "ada");

    // It is asked, and until it is answered nothing has changed; a restart does not change that.
    let (mut browser, question, started) = walk(&kit, "grace").await;
    assert_eq!(question.status, 200);
    for said in ["You signed in to another", "ada", "grace", "Nothing has changed yet"] {
        assert!(question.text().contains(said), "{said}: {}", question.text());
    }
    let waiting = json!({"status": "partial", "progress": "Confirming", "data": {"clientId": kit.connector}});
    assert_eq!(result(&kit, &started).await, waiting);
    kit.restart(async |_| {}).await;
    let page = started["url"].as_str().unwrap();
    assert_eq!(kit.user_token("alice").await.token(), first.token());
    assert_eq!(Browser::default().get(page).await.status, 403, "it is asked in no other browser");
    let forged = browser.post(page, &[("form_token", &"0".repeat(64)), ("decision", "allow")]).await;
    assert_eq!(forged.status, 403);
    let unwanted = newest(&kit);
    assert_eq!(
        outcome(&browser.decide(page, "deny").await),
        ("error".to_owned(), Some("account_changed".to_owned()))
    );
    assert_eq!(result(&kit, &started).await["error"]["code"], "account_changed");
    assert_eq!(kit.user_token("alice").await.token(), first.token(), "nothing has changed");
    assert!(kit.provider.me(&unwanted).await.is_none(), "what Grace gave was given back");
    assert!(kit.provider.me(&first.token()).await.is_some());

    // The same account may consent again without a question, and what it had works on.
    assert_eq!(outcome(&walk(&kit, "ada").await.1).0, "success");
    let first = kit.user_token("alice").await;

    // Who does not answer has not said yes.
    let (_, _, started) = walk(&kit, "grace").await;
    let unwanted = newest(&kit);
    kit.clock.pass(Duration::from_mins(11));
    carnet_testkit::eventually("what nobody confirmed is given back", async || {
        kit.provider.me(&unwanted).await.is_none().then_some(())
    })
    .await;
    assert_eq!(result(&kit, &started).await["error"]["code"], "expired_token");

    // A yes replaces the first, and its tokens are given back.
    let (mut browser, _, started) = walk(&kit, "grace").await;
    let page = started["url"].as_str().unwrap();
    assert_eq!(outcome(&browser.decide(page, "allow").await).0, "success");
    assert_eq!(browser.post(page, &[("form_token", "x"), ("decision", "deny")]).await.status, 410, "once");
    let second = kit.user_token("alice").await;
    assert_eq!(second.ok()["externalSubject"], "grace");
    assert!(kit.provider.me(&second.token()).await.is_some());
    carnet_testkit::eventually("the replaced account's token is given back", async || {
        kit.provider.me(&first.token()).await.is_none().then_some(())
    })
    .await;
    assert_eq!((kit.grants().await.len(), exchanges(&kit)), (1, 5));
}

async fn a_grant_that_must_be_completed_is_inert_until_the_application_does(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    let rules = format!("/v1/connect/connectors/{}/consent-rules", kit.connector);
    kit.manage("PATCH", &rules, Some(&json!({"requireCompletion": true}))).await.ok();
    let bearer = kit.workload("production");
    // Without an address there is no way to bring the code.
    let path = format!("/v1/connect/authorize/{}", kit.connector);
    let bare = kit.node.call("POST", &path, Some(&bearer), Some(&crate::of("alice"))).await;
    assert_eq!(bare.refusal(), (400, "invalid_request".to_owned()));

    let (page, started) = begin(&kit).await;
    let mut browser = Browser::default();
    let callback = to_the_callback(&mut browser, &page).await;
    let back = browser.get(&callback).await;
    let code = |answer: &Answer| {
        let to = Url::parse(answer.header("location").unwrap()).unwrap();
        let value = |name: &str| to.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
        assert_eq!(value("status"), "completing");
        value("completion_code")
    };
    let first = code(&back);
    assert_eq!(code(&browser.get(&callback).await), first, "a reload brings the same");
    nothing_was_granted(&kit).await;
    assert_eq!(result(&kit, &started).await["status"], "partial");
    kit.restart(async |_| {}).await;
    let complete = async |bearer: &str, code: &str| {
        let body = json!({"code": code});
        kit.node.call("POST", "/v1/connect/authorize/complete", Some(bearer), Some(&body)).await
    };
    // Only whoever asked completes: no other environment, no person, no other team, no guess.
    let other = kit.another_tenant("other").await;
    for (name, bearer, code) in [
        ("preview", kit.workload("preview"), first.as_str()),
        ("a person", kit.tenant.token.clone(), &first),
        ("another team", kit.workload_of(&other, "production"), &first),
        ("a guess", bearer.clone(), &"0".repeat(64)),
        ("nothing", bearer.clone(), ""),
    ] {
        assert_eq!(complete(&bearer, code).await.refusal(), (404, "not_found".to_owned()), "{name}");
    }
    nothing_was_granted(&kit).await;
    assert_eq!(complete(&bearer, &first).await.ok(), json!({"status": "success"}));
    assert_eq!(complete(&bearer, &first).await.status, 404, "once");
    kit.user_token("alice").await.token();
    assert_eq!(result(&kit, &started).await["status"], "success");

    // A link that was sent to somebody else is worth nothing to its sender: the code goes to the application.
    let (page, started) = begin(&kit).await;
    Browser::default().consent(&page, "ada").await;
    let unused = newest(&kit);
    kit.clock.pass(Duration::from_mins(11));
    carnet_testkit::eventually("what nobody completed is given back", async || {
        kit.provider.me(&unused).await.is_none().then_some(())
    })
    .await;
    assert_eq!(result(&kit, &started).await["error"]["code"], "expired_token");
}

async fn what_was_just_given_can_be_taken_back(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let given = async |user: &str| {
        let page = kit.authorize(user, Value::Null).await["url"].as_str().unwrap().to_owned();
        kit.provider.next([named(&kit, "ada")]);
        let mut browser = Browser::default();
        let end = browser.consent(&page, "ada").await;
        (browser, page, end)
    };
    let (mut browser, page, end) = given("alice").await;
    for said in ["is connected to", "“<bdi>ada", "Take it back"] {
        assert!(end.text().contains(said), "{said}: {}", end.text());
    }
    let token = kit.user_token("alice").await.token();
    let form_token = end.hidden("form_token");
    let undo = format!("{page}/undo");
    assert_eq!(Browser::default().post(&undo, &[("form_token", &form_token)]).await.status, 403);
    let mut stranger = Browser::default();
    stranger.get(kit.authorize("bob", Value::Null).await["url"].as_str().unwrap()).await;
    assert_eq!(stranger.post(&undo, &[("form_token", &form_token)]).await.status, 410);
    assert_eq!(browser.post(&undo, &[("form_token", "x")]).await.status, 403);
    assert_eq!(kit.user_token("alice").await.token(), token, "nobody else takes it back");
    let back = browser.post(&undo, &[("form_token", &form_token)]).await;
    assert_eq!(back.status, 200);
    assert!(back.text().contains("Taken back"), "{}", back.text());
    nothing_was_granted(&kit).await;
    carnet_testkit::eventually("the provider is told", async || {
        kit.provider.me(&token).await.is_none().then_some(())
    })
    .await;
    assert_eq!(browser.post(&undo, &[("form_token", &form_token)]).await.status, 410, "once");
    assert_eq!(kit.events_of("authorization.undo").await.len(), 1);

    // What was given since is another consent's to take back.
    let (mut older, page, end) = given("alice").await;
    let form_token = end.hidden("form_token");
    let (_, _, newer) = given("alice").await;
    assert!(newer.text().contains("Take it back"));
    assert_eq!(older.post(&format!("{page}/undo"), &[("form_token", &form_token)]).await.status, 410);
    kit.user_token("alice").await.token();
    assert!(!older.get(&page).await.text().contains("Take it back"));
}

/// A project that says where its people come back to has them sent nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn return_addresses_are_at_the_registered_origins() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let path = format!("/v1/projects/{}/return-origins", kit.tenant.project);
    assert_eq!(kit.manage("GET", &path, None).await.ok(), json!({"origins": []}));
    let put = async |origins: Value| kit.manage("PUT", &path, Some(&json!({"origins": origins}))).await;
    for odd in [
        json!(["https://app.example/path"]),
        json!(["http://app.example"]),
        json!(["app.example"]),
        json!(["https://*.example"]),
        json!(["javascript:x"]),
        json!("https://app.example"),
    ] {
        assert_eq!(put(odd.clone()).await.status, 400, "{odd}");
    }
    let set =
        put(json!(["https://APP.example/", "http://localhost:3000", "https://app.example:443"])).await.ok();
    assert_eq!(set, json!({"origins": ["http://localhost:3000", "https://app.example"]}));
    let ask = async |url: &str| {
        let body = json!({"subject": {"type": "user", "id": "alice"}, "returnUrl": url});
        let path = format!("/v1/connect/authorize/{}", kit.connector);
        kit.node.call("POST", &path, Some(&kit.workload("production")), Some(&body)).await
    };
    for good in [HOME, "http://localhost:3000/x", "https://app.example:443/"] {
        assert_eq!(ask(good).await.status, 200, "{good}");
    }
    for bad in [
        "https://evil.example/",
        "https://app.example.evil.example/",
        "https://app.example:8443/",
        "http://localhost:3001/",
        "http://127.0.0.1:3000/",
        "https://xapp.example/",
    ] {
        assert_eq!(ask(bad).await.refusal(), (400, "invalid_request".to_owned()), "{bad}");
    }
    put(json!([])).await.ok();
    assert_eq!(ask("https://evil.example/").await.status, 200, "a project that says nothing allows all");
    let other = kit.another_tenant("other").await;
    let foreign = kit.node.call("PUT", &path, Some(&other.token), Some(&json!({"origins": []}))).await;
    assert_eq!(foreign.status, 404);
}
