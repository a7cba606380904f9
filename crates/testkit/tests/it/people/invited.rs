//! The page of an invitation: a stranger makes an account, somebody signed in joins, and who has no business there.

use std::time::Duration;

use carnet_testkit::{Answer, Browser, Engine, Kit, on_both_engines};
use serde_json::{Value, json};

use crate::sign_in::{EMAIL, PASSPHRASE, account, kit, set_passphrase, signed_in, try_sign_in};

on_both_engines!(
    a_stranger_makes_an_account_and_is_in_the_team,
    somebody_signed_in_joins,
    an_invitation_is_good_for_nothing_else,
    of_two_strangers_one_gets_in_and_no_half_account_is_left,
);

const NEW: &str = "four words nobody guesses";

async fn invite(kit: &Kit, body: Value) -> String {
    let path = format!("/v1/teams/{}/invitations", kit.tenant.team);
    let made = kit.manage("POST", &path, Some(&body)).await.ok();
    let (url, secret) = (made["url"].as_str().unwrap(), made["invitation"].as_str().unwrap());
    assert_eq!(url, format!("{}/invitation/{secret}", kit.url()));
    url.to_owned()
}

/// Fills in the page as a stranger.
async fn make(browser: &mut Browser, url: &str, email: Option<&str>, passphrase: &str) -> Answer {
    let page = browser.get(url).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let token = page.hidden("form_token");
    let mut fields =
        vec![("form_token", token.as_str()), ("name", "Grace Hopper"), ("passphrase", passphrase)];
    fields.extend(email.map(|email| ("email", email)));
    browser.post(url, &fields).await
}

async fn join(browser: &mut Browser, url: &str) -> Answer {
    let page = browser.get(url).await;
    let token = page.hidden("form_token");
    browser.post(&format!("{url}/join"), &[("form_token", &token)]).await
}

async fn members(kit: &Kit) -> Vec<(String, String)> {
    let path = format!("/v1/teams/{}/members", kit.tenant.team);
    let told = kit.manage("GET", &path, None).await.ok();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    told["members"].as_array().unwrap().iter().map(|one| (text(&one["email"]), text(&one["role"]))).collect()
}

async fn a_stranger_makes_an_account_and_is_in_the_team(engine: Engine) {
    let kit = kit(engine).await;
    let url = invite(&kit, json!({"role": "connector-manager"})).await;
    let mut grace = Browser::default();
    let page = grace.get(&url).await.text();
    for said in ["Join <bdi>acme", "Owner of acme", EMAIL, "as a connector manager", "ends in 6 days"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    for (email, passphrase, said) in [
        ("grace", NEW, "not an e-mail address"),
        ("grace@acme.example", "short", "at least 15 characters"),
        ("grace@acme.example", "GRACE@acme.example", "first thing that somebody else would try"),
        (" OWNER@acme.Example", NEW, "Somebody here has an account with this address"),
    ] {
        let wrong = make(&mut grace, &url, Some(email), passphrase).await;
        assert!(wrong.status == 422 && wrong.text().contains(said), "{said}: {}", wrong.text());
        assert!(wrong.text().contains("Grace Hopper") && !wrong.text().contains(passphrase), "{said}");
    }
    let done = make(&mut grace, &url, Some(" Grace@Acme.example"), NEW).await;
    assert!(done.status == 200 && done.text().contains("You are in <bdi>acme"), "{}", done.text());
    let own = account(&kit, &mut grace).await.text();
    for said in ["Grace Hopper", "grace@acme.example", "connector-manager", "this browser"] {
        assert!(own.contains(said), "{said}: {own}");
    }
    let roles = members(&kit).await;
    assert!(roles.contains(&("grace@acme.example".to_owned(), "connector-manager".to_owned())), "{roles:?}");
    assert_eq!(try_sign_in(&kit, &mut Browser::default(), "grace@acme.example", NEW).await.status, 303);
    // Once.
    for mut browser in [Browser::default(), grace] {
        let used = browser.get(&url).await;
        assert!(used.status == 410 && used.text().contains("cannot be used"), "{}", used.text());
    }
    let accepted = kit.events_of("invitation.accept").await;
    let made = kit.events_of("user.create").await;
    assert_eq!((accepted.len(), accepted[0]["detail"]["role"].as_str()), (1, Some("connector-manager")));
    assert_eq!(made.last().unwrap()["target"], accepted[0]["actor"]["id"]);
    assert_eq!(kit.events_of("passphrase.set").await.len(), 2);
    let events = kit.events().await;
    let secret = url.rsplit('/').next().unwrap();
    assert!(
        !events.iter().any(|event| event.to_string().contains(NEW) || event.to_string().contains(secret))
    );
}

async fn somebody_signed_in_joins(engine: Engine) {
    let kit = kit(engine).await;
    let other = kit.another_tenant("other").await;
    set_passphrase(&kit, &other.user).await;
    let url = invite(&kit, json!({"role": "viewer", "email": "OWNER@other.example"})).await;

    // Who comes without a session is led through signing in, and back.
    let mut grace = Browser::default();
    let page = grace.get(&url).await.text();
    assert!(page.contains("for the account of <bdi>OWNER@other.example"), "{page}");
    let path = url.strip_prefix(kit.url()).unwrap();
    assert!(page.contains(&format!("/login?to={}", path.replace('/', "%2F"))), "{page}");
    assert_eq!(try_sign_in(&kit, &mut grace, "owner@other.example", PASSPHRASE).await.status, 303);
    let page = grace.get(&url).await.text();
    assert!(page.contains("You are signed in as <bdi>owner@other.example"), "{page}");

    // For whom it is not.
    let mut ada = signed_in(&kit).await;
    let already = ada.get(&url).await;
    assert!(
        already.status == 409 && already.text().contains("is in this team already"),
        "{}",
        already.text()
    );
    let third = kit.another_tenant("third").await;
    set_passphrase(&kit, &third.user).await;
    let mut eve = Browser::default();
    assert_eq!(try_sign_in(&kit, &mut eve, "owner@third.example", PASSPHRASE).await.status, 303);
    let another = eve.get(&url).await;
    assert!(another.status == 403 && another.text().contains("for whom it is not"), "{}", another.text());
    // Nor with the form of a page that somebody else has, or the other way round.
    let hers = grace.get(&url).await.hidden("form_token");
    let own = account(&kit, &mut eve).await.hidden("form_token");
    for (token, status) in [(&hers, 403), (&own, 403)] {
        assert_eq!(eve.post(&format!("{url}/join"), &[("form_token", token)]).await.status, status);
    }
    assert_eq!(Browser::default().post(&format!("{url}/join"), &[("form_token", &hers)]).await.status, 303);
    grace.headers.push(("sec-fetch-site", "cross-site"));
    assert_eq!(grace.post(&format!("{url}/join"), &[("form_token", &hers)]).await.status, 403);
    grace.headers.clear();
    assert_eq!(members(&kit).await.len(), 1);

    // A browser that was left open is not enough.
    kit.clock.pass(Duration::from_mins(11));
    let late = join(&mut grace, &url).await;
    let again = format!("/login/again?to={}", path.replace('/', "%2F"));
    assert_eq!((late.status, late.header("location")), (303, Some(again.as_str())));
    let form = grace.get(&format!("{}{again}", kit.url())).await;
    let (token, to) = (form.hidden("form_token"), form.hidden("to"));
    let fields = [("form_token", token.as_str()), ("to", &to), ("passphrase", PASSPHRASE)];
    let proved = grace.post(&format!("{}/login/again", kit.url()), &fields).await;
    assert_eq!(proved.header("location"), Some(path));
    let done = join(&mut grace, &url).await;
    assert!(done.status == 200 && done.text().contains("You are in <bdi>acme"), "{}", done.text());
    assert!(members(&kit).await.contains(&("owner@other.example".to_owned(), "viewer".to_owned())));
    assert_eq!(grace.get(&url).await.status, 410);
    let accepted = kit.events_of("invitation.accept").await;
    assert_eq!((accepted.len(), &accepted[0]["actor"]["id"]), (1, &json!(other.user)));
}

async fn an_invitation_is_good_for_nothing_else(engine: Engine) {
    let kit = kit(engine).await;
    let url = invite(&kit, json!({"role": "member", "email": "grace@acme.example"})).await;
    // Another address than its own cannot be had by it: what is typed is not read.
    let mut eve = Browser::default();
    let page = eve.get(&url).await;
    assert!(!page.text().contains("name=\"email\""), "{}", page.text());
    // A form without the browser that it was shown to, and one from elsewhere.
    let token = page.hidden("form_token");
    let fields =
        [("form_token", token.as_str()), ("name", "Eve"), ("email", "eve@evil.example"), ("passphrase", NEW)];
    let mut other = Browser::default();
    assert_eq!(other.post(&url, &fields).await.status, 403);
    other.get(&url).await;
    assert_eq!(other.post(&url, &fields).await.status, 403);
    eve.headers.push(("origin", "https://evil.example"));
    assert_eq!(eve.post(&url, &fields).await.status, 403);
    eve.headers.clear();
    // Guessed, cut short, of another kind.
    let (base, secret) = url.rsplit_once('/').unwrap();
    for guess in ["x", &secret[1..], &secret.to_lowercase(), &kit.tenant.token, "%00", "..%2F..%2Faccount"] {
        let url = format!("{base}/{guess}");
        let told = eve.get(&url).await;
        assert_eq!(told.status, 410, "{guess}: {}", told.text());
        assert_eq!(eve.post(&url, &fields).await.status, 410, "{guess}");
    }
    let made = eve.post(&url, &fields).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let emails: Vec<String> = members(&kit).await.into_iter().map(|(email, _)| email).collect();
    assert_eq!(emails, ["grace@acme.example", EMAIL]);

    // Expired, withdrawn, of somebody who may not invite any more.
    let short = invite(&kit, json!({"role": "member", "expiresInMs": 60_000})).await;
    let mut late = Browser::default();
    let token = late.get(&short).await.hidden("form_token");
    kit.clock.pass(Duration::from_secs(61));
    let fields =
        [("form_token", token.as_str()), ("name", "L"), ("email", "l@a.example"), ("passphrase", NEW)];
    assert_eq!(late.post(&short, &fields).await.status, 410);
    let eve = super::join(&kit, "eve", "owner").await;
    let path = format!("/v1/teams/{}/invitations", kit.tenant.team);
    let hers = kit.node.call("POST", &path, Some(&eve.token), Some(&json!({"role": "owner"}))).await.ok();
    let url = hers["url"].as_str().unwrap();
    assert_eq!(Browser::default().get(url).await.status, 200);
    kit.manage("DELETE", &format!("/v1/teams/{}/members/{}", kit.tenant.team, eve.user), None).await;
    assert_eq!(Browser::default().get(url).await.status, 410);

    // Whoever holds one and asks for address after address learns of few.
    let url = invite(&kit, json!({"role": "member"})).await;
    let mut probing = Browser::default();
    let mut told = Vec::new();
    for _ in 0..32 {
        told.push(make(&mut probing, &url, Some(EMAIL), NEW).await.status);
    }
    assert!(told.contains(&422) && told.contains(&429), "{told:?}");
    let stored = kit.raw().await.number("select count(*) from users where email = 'l@a.example'").await;
    assert_eq!(stored, 0);
}

async fn of_two_strangers_one_gets_in_and_no_half_account_is_left(engine: Engine) {
    let kit = kit(engine).await;
    let url = invite(&kit, json!({"role": "member"})).await;
    let (mut one, mut two) = (Browser::default(), Browser::default());
    let (a, b) = tokio::join!(
        make(&mut one, &url, Some("one@acme.example"), NEW),
        make(&mut two, &url, Some("two@acme.example"), NEW)
    );
    let mut told = [a.status, b.status];
    told.sort_unstable();
    assert_eq!(told, [200, 410], "{} {}", a.text(), b.text());
    assert_eq!(members(&kit).await.len(), 2);
    assert_eq!(kit.raw().await.number("select count(*) from users").await, 2, "nothing is kept of the other");
}
