//! A lost passphrase: the link of an owner, the link of the operator, and what neither does.

use std::time::Duration;

use carnet_testkit::{Answer, Browser, Engine, Kit, on_both_engines};
use serde_json::{Value, json};

use crate::sign_in::{EMAIL, PASSPHRASE, account, kit, set_passphrase, signed_in, try_sign_in};

on_both_engines!(
    an_owner_lets_a_member_choose_another_passphrase,
    an_owner_has_no_hand_on_who_is_more_than_the_teams_own,
    the_operator_lets_anybody_choose_another_passphrase,
);

const NEW: &str = "four words nobody guesses";

/// Somebody who is in the first team and in no other, by an invitation; the user's identifier.
async fn member(kit: &Kit, email: &str) -> (String, Browser) {
    let team = format!("/v1/teams/{}", kit.tenant.team);
    let body = json!({"role": "member", "email": email});
    let made = kit.manage("POST", &format!("{team}/invitations"), Some(&body)).await.ok();
    let url = made["url"].as_str().unwrap();
    let mut browser = Browser::default();
    let token = browser.get(url).await.hidden("form_token");
    let fields = [("form_token", token.as_str()), ("name", "Grace"), ("passphrase", PASSPHRASE)];
    assert_eq!(browser.post(url, &fields).await.status, 200);
    let all = kit.manage("GET", &format!("{team}/members"), None).await.ok();
    let found = all["members"].as_array().unwrap().iter().find(|one| one["email"] == email).unwrap();
    (found["userId"].as_str().unwrap().to_owned(), browser)
}

async fn link_by(kit: &Kit, bearer: &str, user: &str) -> Answer {
    let path = format!("/v1/teams/{}/members/{user}/passphrase-reset", kit.tenant.team);
    kit.node.call("POST", &path, Some(bearer), None).await
}

async fn link(kit: &Kit, user: &str) -> String {
    let made = link_by(kit, &kit.tenant.token, user).await.ok();
    made["url"].as_str().unwrap().to_owned()
}

async fn choose(browser: &mut Browser, url: &str, passphrase: &str) -> Answer {
    let page = browser.get(url).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let token = page.hidden("form_token");
    browser.post(url, &[("form_token", &token), ("passphrase", passphrase)]).await
}

async fn an_owner_lets_a_member_choose_another_passphrase(engine: Engine) {
    let kit = kit(engine).await;
    let (user, mut grace) = member(&kit, "grace@acme.example").await;
    // Ten wrong tries keep her waiting.
    for _ in 0..10 {
        let mut stranger = Browser::default();
        assert_eq!(try_sign_in(&kit, &mut stranger, "grace@acme.example", NEW).await.status, 422);
    }
    let replaced = link(&kit, "grace@acme.example").await;
    let url = link(&kit, &user).await;
    assert!(url.starts_with(&format!("{}/reset/", kit.url())), "{url}");
    let old = Browser::default().get(&replaced).await;
    assert!(old.status == 410 && old.text().contains("replaced by a newer one"), "{}", old.text());

    let mut hers = Browser::default();
    let page = hers.get(&url).await.text();
    assert!(page.contains("For the account of <bdi>grace@acme.example"), "{page}");
    let weak = choose(&mut hers, &url, "short").await;
    assert!(weak.status == 422 && weak.text().contains("at least 15 characters"), "{}", weak.text());
    let own = choose(&mut hers, &url, "Grace@acme.example").await;
    assert!(own.status == 422 && own.text().contains("somebody else would try"), "{}", own.text());
    assert_eq!(account(&kit, &mut grace).await.status, 200, "nothing has happened yet");
    // A form from elsewhere, and one without the secret.
    let secret = url.rsplit('/').next().unwrap();
    assert_eq!(hers.post(&url, &[("form_token", "x"), ("passphrase", NEW)]).await.status, 403);
    hers.headers.push(("sec-fetch-site", "cross-site"));
    assert_eq!(hers.post(&url, &[("form_token", secret), ("passphrase", NEW)]).await.status, 403);
    hers.headers.clear();

    let done = choose(&mut hers, &url, NEW).await;
    assert!(done.status == 200 && done.text().contains("Your passphrase is changed"), "{}", done.text());
    assert!(hers.cookies.keys().all(|name| !name.contains("session")), "nobody is signed in by it");
    assert_eq!(account(&kit, &mut grace).await.status, 303, "her sessions have ended");
    let mut again = Browser::default();
    assert_eq!(try_sign_in(&kit, &mut again, "grace@acme.example", PASSPHRASE).await.status, 422);
    assert_eq!(
        try_sign_in(&kit, &mut again, "grace@acme.example", NEW).await.status,
        303,
        "and she need not wait"
    );
    assert_eq!(hers.get(&url).await.status, 410, "once");
    assert_eq!(hers.post(&url, &[("form_token", secret), ("passphrase", PASSPHRASE)]).await.status, 410);

    let made = kit.events_of("passphrase-reset.create").await;
    assert_eq!(
        (made.len(), &made[1]["target"], &made[1]["actor"]["id"]),
        (2, &json!(user), &json!(kit.tenant.user))
    );
    let set = kit.events_of("passphrase.set").await;
    assert_eq!(set.last().unwrap()["detail"]["means"], "reset-link");
    let events = kit.events().await;
    assert!(
        !events.iter().any(|event| event.to_string().contains(secret) || event.to_string().contains(NEW))
    );

    // Not for ever.
    let url = link(&kit, &user).await;
    kit.clock.pass(Duration::from_mins(50));
    assert_eq!(Browser::default().get(&url).await.status, 200);
    kit.clock.pass(Duration::from_mins(11));
    assert_eq!(Browser::default().get(&url).await.status, 410);
    for guess in ["x", "%00", secret] {
        assert_eq!(
            Browser::default().get(&format!("{}/reset/{guess}", kit.url())).await.status,
            410,
            "{guess}"
        );
    }
}

async fn an_owner_has_no_hand_on_who_is_more_than_the_teams_own(engine: Engine) {
    let kit = kit(engine).await;
    // Somebody with a team of their own.
    let bob = super::join(&kit, "bob", "member").await;
    let refused = link_by(&kit, &kit.tenant.token, &bob.user).await;
    assert_eq!(refused.refusal(), (403, "forbidden".to_owned()));
    assert!(refused.text().contains("carnet admin reset-password owner@bob.example"), "{}", refused.text());
    // Oneself, somebody of another team, nobody; and a member asks in vain.
    let own = link_by(&kit, &kit.tenant.token, &kit.tenant.user).await;
    assert_eq!(own.refusal(), (409, "conflict".to_owned()));
    let other = kit.another_tenant("other").await;
    for nobody in [other.user.as_str(), "nobody@acme.example", "usr_0000000000000000000000"] {
        assert_eq!(link_by(&kit, &kit.tenant.token, nobody).await.refusal(), (404, "not_found".to_owned()));
    }
    let (user, _) = member(&kit, "grace@acme.example").await;
    assert_eq!(link_by(&kit, &bob.token, &user).await.refusal(), (403, "forbidden".to_owned()));
    assert_eq!(link_by(&kit, &other.token, &user).await.refusal(), (404, "not_found".to_owned()));

    // A link ends when its person joins another team, and when its owner may make none any more.
    let url = link(&kit, &user).await;
    let path = format!("/v1/teams/{}/invitations", other.team);
    let invited =
        kit.node.call("POST", &path, Some(&other.token), Some(&json!({"role": "viewer"}))).await.ok();
    let mut grace = Browser::default();
    assert_eq!(try_sign_in(&kit, &mut grace, "grace@acme.example", PASSPHRASE).await.status, 303);
    let there = invited["url"].as_str().unwrap();
    let token = grace.get(there).await.hidden("form_token");
    assert_eq!(grace.post(&format!("{there}/join"), &[("form_token", &token)]).await.status, 200);
    assert_eq!(Browser::default().get(&url).await.status, 410);

    let (user, _) = member(&kit, "heidi@acme.example").await;
    let eve = super::join(&kit, "eve", "owner").await;
    let made = link_by(&kit, &eve.token, &user).await.ok();
    let url = made["url"].as_str().unwrap();
    assert_eq!(Browser::default().get(url).await.status, 200);
    let role = format!("/v1/teams/{}/members/{}", kit.tenant.team, eve.user);
    kit.manage("PATCH", &role, Some(&json!({"role": "member"}))).await.ok();
    assert_eq!(Browser::default().get(url).await.status, 410);
    // Nobody signs in to an account that is disabled, with whatever link.
    let url = link(&kit, &user).await;
    let account = format!("/v1/accounts/{user}");
    kit.manage("PATCH", &account, Some(&json!({"disabled": true}))).await.ok();
    assert_eq!(Browser::default().get(&url).await.status, 410);
    assert_eq!(link_by(&kit, &kit.tenant.token, &user).await.refusal(), (409, "conflict".to_owned()));
}

async fn the_operator_lets_anybody_choose_another_passphrase(engine: Engine) {
    let kit = kit(engine).await;
    let bob = super::join(&kit, "bob", "owner").await;
    set_passphrase(&kit, &bob.user).await;
    let mut ada = signed_in(&kit).await;
    let broker = kit.node.broker();
    for (account, who) in [(" Owner@ACME.example", EMAIL), (bob.user.as_str(), "owner@bob.example")] {
        let made = broker.reset_passphrase_as_operator(account).await.unwrap();
        assert_eq!(made.user.email, who);
        let url = made.at(kit.url());
        let done = choose(&mut Browser::default(), &url, NEW).await;
        assert_eq!(done.status, 200, "{}", done.text());
        assert_eq!(try_sign_in(&kit, &mut Browser::default(), who, NEW).await.status, 303);
    }
    assert_eq!(account(&kit, &mut ada).await.status, 303);
    assert!(broker.reset_passphrase_as_operator("nobody@acme.example").await.is_err());
    // Of both of Bob's teams.
    let here = kit.events_of("passphrase-reset.create").await;
    assert_eq!(here.len(), 2, "{here:?}");
    assert_eq!(
        (&here[0]["actor"], &here[0]["detail"]["by"]),
        (&json!({"type": "system"}), &json!("operator"))
    );
    let path = "/v1/audit?action=passphrase-reset.create";
    let there: Value = kit.node.call("GET", path, Some(&bob.home.token), None).await.ok();
    assert_eq!(there["events"].as_array().unwrap().len(), 1);
}
