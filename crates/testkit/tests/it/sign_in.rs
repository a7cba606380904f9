//! Signing in: a person with a browser, and somebody who is not that person.

use std::time::Duration;

use carnet_model::Clock as _;
use carnet_testkit::{Answer, Browser, Engine, Kit, Plan, on_both_engines};
use serde_json::Value;

on_both_engines!(
    a_person_signs_in_and_out,
    whoever_guesses_learns_nothing_and_waits,
    wrong_tries_are_counted_by_all_processes_and_keep_nobody_out_for_ever,
    a_session_ends_when_it_is_unused_and_at_the_end_of_the_day,
    a_form_from_elsewhere_is_refused,
    another_passphrase_ends_every_other_session,
);

pub(crate) const EMAIL: &str = "owner@acme.example";
pub(crate) const PASSPHRASE: &str = "correct horse battery";

/// A deployment whose owner has a passphrase.
pub(crate) async fn kit(engine: Engine) -> Kit {
    let kit = Kit::start(engine, Plan::default()).await;
    set_passphrase(&kit, &kit.tenant.user).await;
    kit
}

pub(crate) async fn set_passphrase(kit: &Kit, user: &str) {
    let passphrase = PASSPHRASE.to_owned().into();
    kit.node.broker().development_passphrase(user.parse().unwrap(), &passphrase).await.unwrap();
}

/// Fills in the page to sign in.
pub(crate) async fn try_sign_in(kit: &Kit, browser: &mut Browser, email: &str, passphrase: &str) -> Answer {
    try_sign_in_at(kit.url(), browser, email, passphrase).await
}

/// The same at a node.
async fn try_sign_in_at(node: &str, browser: &mut Browser, email: &str, passphrase: &str) -> Answer {
    let page = browser.get(&format!("{node}/login?to=/account")).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let (token, to) = (page.hidden("form_token"), page.hidden("to"));
    let fields = [("form_token", token.as_str()), ("to", &to), ("email", email), ("passphrase", passphrase)];
    browser.post(&format!("{node}/login"), &fields).await
}

pub(crate) async fn signed_in(kit: &Kit) -> Browser {
    let mut browser = Browser::default();
    let done = try_sign_in(kit, &mut browser, EMAIL, PASSPHRASE).await;
    assert_eq!((done.status, done.header("location")), (303, Some("/account")), "{}", done.text());
    browser
}

pub(crate) async fn account(kit: &Kit, browser: &mut Browser) -> Answer {
    browser.get(&format!("{}/account", kit.url())).await
}

/// The forms of a page that lead to this path, by their tokens.
async fn post(kit: &Kit, browser: &mut Browser, path: &str, fields: &[(&str, &str)]) -> Answer {
    let token = account(kit, browser).await.hidden("form_token");
    let mut all = vec![("form_token", token.as_str())];
    all.extend_from_slice(fields);
    browser.post(&format!("{}{path}", kit.url()), &all).await
}

async fn a_person_signs_in_and_out(engine: Engine) {
    let kit = kit(engine).await;
    let mut stranger = Browser::default();
    let sent = account(&kit, &mut stranger).await;
    assert_eq!((sent.status, sent.header("location")), (303, Some("/login?to=%2Faccount")));

    let mut ada = signed_in(&kit).await;
    let page = account(&kit, &mut ada).await;
    for said in [EMAIL, "acme", "owner", "this browser"] {
        assert!(page.status == 200 && page.text().contains(said), "{said}: {}", page.text());
    }
    let again = ada.get(&format!("{}/login?to=/logout", kit.url())).await;
    assert_eq!((again.status, again.header("location")), (303, Some("/logout")), "signed in already");

    let kept = ada.clone();
    let left = post(&kit, &mut ada, "/logout", &[]).await;
    assert_eq!((left.status, left.header("location")), (303, Some("/login")));
    for mut browser in [ada, kept] {
        assert_eq!(account(&kit, &mut browser).await.status, 303, "the cookie is worth nothing any more");
    }
    let begun = kit.events_of("session.start").await;
    assert_eq!(begun.len(), 1, "{begun:?}");
    assert_eq!(begun[0]["detail"]["means"], "passphrase");
    assert_eq!(begun[0]["detail"]["address"], "127.0.0.1");
    assert_eq!(begun[0]["actor"]["id"], kit.tenant.user.as_str());
    assert_eq!(kit.events_of("session.end").await.len(), 1);
}

async fn whoever_guesses_learns_nothing_and_waits(engine: Engine) {
    let kit = kit(engine).await;
    kit.clock.hold();
    let other = kit.another_tenant("other").await;
    let mut browser = Browser::default();
    let said = |answer: &Answer, email: &str| (answer.status, answer.text().replace(email, "EMAIL"));
    let wrong = try_sign_in(&kit, &mut browser, EMAIL, "wrong horse battery").await;
    for email in ["nobody@acme.example", "owner@other.example"] {
        let nobody = try_sign_in(&kit, &mut browser, email, PASSPHRASE).await;
        let told = (said(&wrong, EMAIL), said(&nobody, email));
        // Each page has the same form token: it is the same browser.
        assert_eq!(told.0, told.1, "{email}");
        assert_eq!(nobody.status, 422);
    }
    assert!(browser.cookies.keys().all(|name| !name.contains("session")), "{:?}", browser.cookies);
    for n in 1..10 {
        let wrong = try_sign_in(&kit, &mut browser, EMAIL, "wrong horse battery").await;
        assert_eq!(wrong.status, 422, "{n}");
    }
    let right = try_sign_in(&kit, &mut Browser::default(), " Owner@Acme.example ", PASSPHRASE).await;
    assert_eq!(right.status, 429, "{}", right.text());
    assert!(right.text().contains("too many wrong tries"), "{}", right.text());
    kit.clock.pass(Duration::from_mins(16));
    let right = try_sign_in(&kit, &mut Browser::default(), " Owner@Acme.example ", PASSPHRASE).await;
    assert_eq!(right.status, 303, "{}", right.text());
    // Recorded behind the answers.
    let rejected = carnet_testkit::eventually("the wrong tries are in the log", async || {
        Some(kit.events_of("sign-in.reject").await).filter(|found| found.len() == 10)
    })
    .await;
    assert_eq!(rejected[0]["target"], kit.tenant.user.as_str());
    assert_eq!(rejected[0]["outcome"], "denied");
    let theirs = kit.node.call("GET", "/v1/audit?action=sign-in.reject", Some(&other.token), None).await.ok();
    assert_eq!(theirs["events"].as_array().unwrap().len(), 1, "of their own person alone");
}

const WRONG: &str = "wrong horse battery";

async fn wrong_tries_are_counted_by_all_processes_and_keep_nobody_out_for_ever(engine: Engine) {
    let mut kit = kit(engine).await;
    let other = kit.another_tenant("other").await;
    set_passphrase(&kit, &other.user).await;
    let ada = signed_in(&kit).await;
    let mut grace = Browser::default();
    assert_eq!(try_sign_in(&kit, &mut grace, "owner@other.example", PASSPHRASE).await.status, 303);
    let second = if kit.is_shared() { Some(kit.second_node().await) } else { None };
    let nodes = second.iter().map(|node| format!("http://{}", node.address)).chain([kit.url().to_owned()]);
    let nodes: Vec<String> = nodes.collect();
    for n in 0..10 {
        let node = &nodes[n % nodes.len()];
        let wrong = try_sign_in_at(node, &mut Browser::default(), EMAIL, WRONG).await;
        assert_eq!(wrong.status, 422, "{n}");
    }
    for node in &nodes {
        let right = try_sign_in_at(node, &mut Browser::default(), EMAIL, PASSPHRASE).await;
        assert_eq!(right.status, 429, "{node}: {}", right.text());
    }
    drop(second);
    kit.restart(async |_| {}).await;
    let right = try_sign_in(&kit, &mut Browser::default(), EMAIL, PASSPHRASE).await;
    assert_eq!(right.status, 429, "it was not forgotten: {}", right.text());

    // Strangers have used up what strangers have: not what a browser has in which the person signed in before, nor what
    // somebody has who is signed in.
    let mut known = Browser::default();
    known.cookies.extend(
        ada.cookies.iter().find(|(name, _)| name.contains("known")).map(|(n, v)| (n.clone(), v.clone())),
    );
    assert_eq!(known.cookies.len(), 1, "{:?}", ada.cookies);
    let mut own = known.clone();
    let right = try_sign_in(&kit, &mut own, " Owner@Acme.example ", PASSPHRASE).await;
    assert_eq!(right.status, 303, "{}", right.text());
    let again = own.get(&format!("{}/login/again", kit.url())).await;
    let fields = [("form_token", again.hidden("form_token")), ("passphrase", PASSPHRASE.to_owned())];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(own.post(&format!("{}/login/again", kit.url()), &fields).await.status, 303);
    // Known to one account is not known to another, and nothing that is made up is known.
    grace.cookies.retain(|name, _| name.contains("known"));
    let (name, value) = known.cookies.first_key_value().unwrap();
    let mut forged = Browser::default();
    forged.cookies.insert(name.clone(), format!("{}{}", "0".repeat(32), &value[32..]));
    let mut shouted = Browser::default();
    shouted.cookies.insert(name.clone(), value.to_uppercase());
    for mut stranger in [grace, forged] {
        let right = try_sign_in(&kit, &mut stranger, EMAIL, PASSPHRASE).await;
        assert_eq!(right.status, 429, "{}", right.text());
    }
    // And such a browser has no more tries than anybody, however its cookie is written.
    for n in 0..10 {
        let wrong = try_sign_in(&kit, &mut known.clone(), EMAIL, WRONG).await;
        assert_eq!(wrong.status, 422, "{n}");
    }
    for mut spent in [known.clone(), shouted] {
        let right = try_sign_in(&kit, &mut spent, EMAIL, PASSPHRASE).await;
        assert_eq!(right.status, 429, "{}", right.text());
    }
    let kept = kit.raw().await.number("select count(*) from sign_in_tries").await;
    assert!((3..=6).contains(&kept), "an account, a browser, a session, a network or two: {kept}");
    kit.clock.pass(Duration::from_mins(16));
    for mut browser in [Browser::default(), known] {
        assert_eq!(try_sign_in(&kit, &mut browser, EMAIL, PASSPHRASE).await.status, 303);
    }
}

async fn a_session_ends_when_it_is_unused_and_at_the_end_of_the_day(engine: Engine) {
    let kit = kit(engine).await;
    kit.clock.hold();
    let mut used = signed_in(&kit).await;
    let mut unused = signed_in(&kit).await;
    for minutes in (0..12 * 60).step_by(25) {
        kit.clock.pass(Duration::from_mins(if minutes == 0 { 0 } else { 25 }));
        assert_eq!(account(&kit, &mut used).await.status, 200, "{minutes}");
        // Its use is noted behind the answer.
        noted(&kit, &mut used).await;
    }
    assert_eq!(account(&kit, &mut unused).await.status, 303);
    kit.clock.pass(Duration::from_mins(24));
    assert_eq!(account(&kit, &mut used).await.status, 303, "twelve hours are over");
}

/// Waits until the store knows that the session was used just now.
async fn noted(kit: &Kit, browser: &mut Browser) {
    carnet_testkit::eventually("the use is noted", async || {
        let raw = kit.raw().await;
        (raw.number("select max(seen_at) from sessions").await == kit.clock.now().millis()).then_some(())
    })
    .await;
    assert!(!browser.cookies.is_empty());
}

async fn a_form_from_elsewhere_is_refused(engine: Engine) {
    let kit = kit(engine).await;
    let mut ada = signed_in(&kit).await;
    let token = account(&kit, &mut ada).await.hidden("form_token");
    let logout = format!("{}/logout", kit.url());
    let own = kit.url().to_owned();
    let own: &'static str = Box::leak(own.into_boxed_str());
    for headers in [
        vec![("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site"), ("origin", own)],
        vec![("origin", "https://evil.example")],
        vec![("origin", "null")],
    ] {
        ada.headers.clone_from(&headers);
        let refused = ada.post(&logout, &[("form_token", &token)]).await;
        assert_eq!(refused.status, 403, "{headers:?}");
    }
    ada.headers.clear();
    let mut grace = signed_in(&kit).await;
    let hers = account(&kit, &mut grace).await.hidden("form_token");
    assert_ne!(token, hers);
    for wrong in ["", "0", hers.as_str()] {
        let refused = ada.post(&logout, &[("form_token", wrong)]).await;
        assert_eq!(refused.status, 403, "{wrong}");
    }
    assert_eq!(account(&kit, &mut ada).await.status, 200, "still signed in");
    // A page to sign in that another browser was shown signs nobody in here.
    let page = Browser::default().get(&format!("{}/login", kit.url())).await;
    let token = page.hidden("form_token");
    let mut victim = Browser::default();
    victim.get(&format!("{}/login", kit.url())).await;
    let fields = [("form_token", token.as_str()), ("email", EMAIL), ("passphrase", PASSPHRASE)];
    assert_eq!(victim.post(&format!("{}/login", kit.url()), &fields).await.status, 403);
    ada.headers.push(("sec-fetch-site", "same-origin"));
    assert_eq!(post(&kit, &mut ada, "/logout", &[]).await.status, 303);
}

async fn another_passphrase_ends_every_other_session(engine: Engine) {
    let kit = kit(engine).await;
    let other = kit.another_tenant("other").await;
    set_passphrase(&kit, &other.user).await;
    let (mut ada, mut phone) = (signed_in(&kit).await, signed_in(&kit).await);
    let mut grace = Browser::default();
    assert_eq!(try_sign_in(&kit, &mut grace, "owner@other.example", PASSPHRASE).await.status, 303);

    // Somebody else's session is none of hers.
    let theirs = account(&kit, &mut phone).await.text();
    let at = theirs.find("/account/sessions/ses_").unwrap();
    let end = &theirs[at..at + "/account/sessions/ses_".len() + 22 + "/end".len()];
    assert_eq!(post(&kit, &mut grace, end, &[]).await.status, 404);
    assert_eq!(account(&kit, &mut ada).await.status, 200);

    let change = "/account/passphrase";
    for (present, new, said) in [
        ("wrong horse battery", "five words that nobody knows", "not your passphrase"),
        (PASSPHRASE, "short", "at least 15 characters"),
        (PASSPHRASE, EMAIL, "first thing that somebody else would try"),
    ] {
        let answer = post(&kit, &mut ada, change, &[("present", present), ("passphrase", new)]).await;
        assert!(answer.status == 422 && answer.text().contains(said), "{said}: {}", answer.text());
        assert_eq!(account(&kit, &mut phone).await.status, 200, "{said}");
    }
    let before = ada.clone();
    let new = "five words that nobody knows";
    let done = post(&kit, &mut ada, change, &[("present", PASSPHRASE), ("passphrase", new)]).await;
    assert!(done.status == 200 && done.text().contains("Your passphrase is changed"), "{}", done.text());
    assert_eq!(account(&kit, &mut ada).await.status, 200);
    for mut gone in [phone, before] {
        assert_eq!(account(&kit, &mut gone).await.status, 303);
    }
    assert_eq!(account(&kit, &mut grace).await.status, 200, "another person stays");
    let old = try_sign_in(&kit, &mut Browser::default(), EMAIL, PASSPHRASE).await;
    assert_eq!(old.status, 422);
    assert_eq!(try_sign_in(&kit, &mut Browser::default(), EMAIL, new).await.status, 303);

    // Proving it again: another cookie for the same session.
    let kept = ada.clone();
    let page = ada.get(&format!("{}/login/again?to=/account", kit.url())).await;
    let token = page.hidden("form_token");
    let again = format!("{}/login/again", kit.url());
    let wrong = ada.post(&again, &[("form_token", token.as_str()), ("passphrase", PASSPHRASE)]).await;
    assert!(wrong.status == 422 && wrong.text().contains("not your passphrase"), "{}", wrong.text());
    let fields = [("form_token", token.as_str()), ("passphrase", new), ("to", "//evil.example")];
    let proved = ada.post(&again, &fields).await;
    assert_eq!((proved.status, proved.header("location")), (303, Some("/account")), "{}", proved.text());
    assert_eq!(account(&kit, &mut ada).await.status, 200);
    assert_eq!(account(&kit, &mut kept.clone()).await.status, 303);
    assert_eq!(kit.events_of("passphrase.set").await.len(), 2);
    let events: Vec<Value> = kit.events().await;
    assert!(!events.iter().any(|event| event.to_string().contains("words that nobody")), "not in the log");
}
