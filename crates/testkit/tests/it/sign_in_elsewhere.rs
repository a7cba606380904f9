//! Signing in with an account elsewhere, against an issuer that says whatever a test tells it to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use carnet_engine::{Newcomers, SignInIssuer};
use carnet_identity::Algorithm;
use carnet_model::caller::Role;
use carnet_model::{Clock as _, SecretString, Slug};
use carnet_testkit::{Answer, Authority, Browser, Engine, Issuer, Kit, Plan, on_both_engines};
use serde_json::{Map, Value, json};
use url::Url;

use crate::sign_in::{EMAIL, PASSPHRASE, account, set_passphrase, try_sign_in};

on_both_engines!(
    an_account_is_linked_by_its_person_and_signs_that_person_in,
    an_address_joins_nobody_to_anybody,
    a_session_at_the_issuer_proves_no_more_than_the_issuer_says,
    a_disabled_account_begins_no_session_that_is_good_later,
    an_answer_that_is_not_for_this_browser_or_not_sound_signs_nobody_in,
);

const CLIENT: &str = "carnet at acme";
const SECRET: &str = "a secret: of the client";

struct Scene {
    kit: Kit,
    issuer: Issuer,
    authority: Authority,
}

async fn scene(engine: Engine, newcomers: Option<Role>) -> Scene {
    scene_with(engine, newcomers, Algorithm::Es256, "").await
}

async fn scene_with(
    engine: Engine,
    newcomers: Option<Role>,
    algorithm: Algorithm,
    ending: &'static str,
) -> Scene {
    let authority = Authority::start().await;
    let endpoint = format!("{}/token", authority.url());
    let issuer = Issuer::start_for_people(&endpoint, algorithm, ending).await;
    let sign_in = SignInIssuer {
        name: Slug::parse("acme").unwrap(),
        label: "Acme accounts".to_owned(),
        issuer: issuer.url(),
        client_id: CLIENT.to_owned(),
        client_secret: Some(Arc::new(SecretString::new(SECRET.to_owned()))),
        other_audiences: vec!["https://api.acme.example".to_owned()],
        newcomers: newcomers.map(|role| Newcomers { team: Slug::parse("acme").unwrap(), role }),
    };
    let kit = Kit::start(engine, Plan { sign_in: vec![sign_in], ..Plan::default() }).await;
    set_passphrase(&kit, &kit.tenant.user).await;
    Scene { kit, issuer, authority }
}

/// What the browser was sent with.
type Sent = BTreeMap<String, String>;

impl Scene {
    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.kit.url())
    }

    /// Presses a button that leads there.
    async fn leave(&self, browser: &mut Browser, page: &str, button: &str) -> Sent {
        let shown = browser.get(&self.at(page)).await;
        let fields = [("form_token", shown.hidden("form_token")), ("to", "/account".to_owned())];
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let left = browser.post(&self.at(button), &fields).await;
        assert_eq!(left.status, 200, "{}", left.text());
        let there = Url::parse(&left.link()).unwrap();
        assert_eq!(there.origin(), Url::parse(&self.issuer.url()).unwrap().origin());
        there.query_pairs().into_owned().collect()
    }

    fn claims(&self, sent: &Sent, subject: &str) -> Map<String, Value> {
        let now = self.kit.clock.now();
        let claims = json!({
            "iss": self.issuer.url(), "aud": CLIENT, "sub": subject, "nonce": sent["nonce"],
            "iat": now.secs(), "exp": now.plus(Duration::from_mins(10)).secs(),
            "email": format!("{subject}@acme.example"), "email_verified": true, "name": subject,
        });
        claims.as_object().unwrap().clone()
    }

    /// Comes back; the issuer gives these claims for the code.
    async fn back(&self, browser: &mut Browser, sent: &Sent, claims: &Map<String, Value>) -> Answer {
        self.authority.next(
            200,
            json!({"token_type": "Bearer", "access_token": "x", "id_token": self.issuer.sign(claims)}),
        );
        self.callback(browser, &format!("code=the-code&state={}", sent["state"])).await
    }

    async fn callback(&self, browser: &mut Browser, query: &str) -> Answer {
        browser.get(&self.at(&format!("/login/with/acme/callback?{query}"))).await
    }

    async fn signed_in(&self) -> Browser {
        let mut browser = Browser::default();
        assert_eq!(try_sign_in(&self.kit, &mut browser, EMAIL, PASSPHRASE).await.status, 303);
        browser
    }

    /// Whether the browser has a session.
    async fn is_in(&self, browser: &mut Browser) -> bool {
        account(&self.kit, browser).await.status == 200
    }
}

async fn an_account_is_linked_by_its_person_and_signs_that_person_in(engine: Engine) {
    let scene = scene(engine, None).await;
    let mut stranger = Browser::default();
    let sent = scene.leave(&mut stranger, "/login", "/login/with/acme").await;
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("scope", "openid email profile"),
        ("code_challenge_method", "S256"),
        ("redirect_uri", &scene.at("/login/with/acme/callback")),
    ] {
        assert_eq!(sent[name], value, "{name}");
    }
    let refused = scene.back(&mut stranger, &sent, &scene.claims(&sent, "ada")).await;
    assert!(refused.status == 403 && refused.text().contains("Nobody here has linked"), "{}", refused.text());
    let asked = scene.authority.asked();
    let form: BTreeMap<_, _> = asked[0].form.iter().cloned().collect();
    assert_eq!(form["code"], "the-code");
    // Both halves as in a form: RFC 6749 §2.3.1.
    assert_eq!(
        asked[0].authorization.as_deref(),
        Some("Basic Y2FybmV0K2F0K2FjbWU6YStzZWNyZXQlM0Erb2YrdGhlK2NsaWVudA==")
    );

    let mut ada = scene.signed_in().await;
    let sent = scene.leave(&mut ada, "/account", "/account/links/add/acme").await;
    let linked = scene.back(&mut ada, &sent, &scene.claims(&sent, "ada")).await;
    assert_eq!((linked.status, linked.header("location")), (303, Some("/account")), "{}", linked.text());
    assert!(account(&scene.kit, &mut ada).await.text().contains("ada@acme.example"));

    let sent = scene.leave(&mut stranger, "/login", "/login/with/acme").await;
    let entered = scene.back(&mut stranger, &sent, &scene.claims(&sent, "ada")).await;
    assert_eq!(entered.status, 303, "{}", entered.text());
    assert!(account(&scene.kit, &mut stranger).await.text().contains(EMAIL), "the same person");

    // Proving it again: the issuer must have asked, just now, and it must be the same account.
    let sent = scene.leave(&mut stranger, "/login/again", "/login/again/with/acme").await;
    assert_eq!((sent["prompt"].as_str(), sent["max_age"].as_str()), ("login", "0"));
    let before = stranger.clone();
    let stale = scene.back(&mut stranger, &sent, &scene.claims(&sent, "ada")).await;
    assert!(stale.text().contains("did not ask you again"), "{}", stale.text());
    let sent = scene.leave(&mut stranger, "/login/again", "/login/again/with/acme").await;
    let mut claims = scene.claims(&sent, "mallory");
    claims.insert("auth_time".to_owned(), scene.kit.clock.now().secs().into());
    assert_eq!(scene.back(&mut stranger, &sent, &claims).await.status, 403, "another account");
    let sent = scene.leave(&mut stranger, "/login/again", "/login/again/with/acme").await;
    let mut claims = scene.claims(&sent, "ada");
    claims.insert("auth_time".to_owned(), scene.kit.clock.now().secs().into());
    assert_eq!(scene.back(&mut stranger, &sent, &claims).await.status, 303);
    assert!(scene.is_in(&mut stranger).await);
    assert!(!scene.is_in(&mut before.clone()).await, "the cookie is another");

    // The link goes, and with it the way in.
    let page = account(&scene.kit, &mut ada).await;
    let token = page.hidden("form_token");
    let (issuer, subject) = (page.hidden("issuer"), page.hidden("subject"));
    let fields = [("form_token", token.as_str()), ("issuer", &issuer), ("subject", &subject)];
    assert_eq!(ada.post(&scene.at("/account/links/remove"), &fields).await.status, 303);
    let mut again = Browser::default();
    let sent = scene.leave(&mut again, "/login", "/login/with/acme").await;
    assert_eq!(scene.back(&mut again, &sent, &scene.claims(&sent, "ada")).await.status, 403);
    for action in ["sign-in.link", "sign-in.unlink"] {
        assert_eq!(scene.kit.events_of(action).await.len(), 1, "{action}");
    }
}

/// The issuer is what stands in its tokens, byte for byte: some end in a slash.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn issuers_of_every_algorithm_and_with_a_slash_at_the_end_sign_people_in() {
    for (algorithm, ending) in Algorithm::ALL.into_iter().zip(["/", "", "/", "/", ""]) {
        let scene = scene_with(Engine::Sqlite, Some(Role::Member), algorithm, ending).await;
        let mut bob = Browser::default();
        let sent = scene.leave(&mut bob, "/login", "/login/with/acme").await;
        let mut claims = scene.claims(&sent, "bob");
        let issuer = scene.issuer.url();
        let other = issuer.strip_suffix('/').map_or_else(|| format!("{issuer}/"), str::to_owned);
        claims.insert("iss".to_owned(), other.into());
        assert_eq!(scene.back(&mut bob, &sent, &claims).await.status, 403, "{algorithm:?}");
        let sent = scene.leave(&mut bob, "/login", "/login/with/acme").await;
        let done = scene.back(&mut bob, &sent, &scene.claims(&sent, "bob")).await;
        assert_eq!(done.status, 303, "{algorithm:?} {ending:?}: {}", done.text());
        assert!(scene.is_in(&mut bob).await);
    }
}

/// OpenID Connect Core §3.1.3.7: with other audiences that the operator knows, if it says that it is for this client.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_identity_token_names_other_audiences_that_the_operator_knows() {
    let scene = scene(Engine::Sqlite, Some(Role::Member)).await;
    let api = "https://api.acme.example";
    for (audience, party, enters) in [
        (json!([CLIENT, api]), json!(CLIENT), true),
        (json!([api, CLIENT]), json!(CLIENT), true),
        (json!([CLIENT]), Value::Null, true),
        (json!([CLIENT, api]), Value::Null, false),
        (json!([CLIENT, api]), json!(api), false),
        (json!([CLIENT, "https://elsewhere.example"]), json!(CLIENT), false),
        (json!([api]), json!(CLIENT), false),
        (json!([]), json!(CLIENT), false),
    ] {
        let mut bob = Browser::default();
        let sent = scene.leave(&mut bob, "/login", "/login/with/acme").await;
        let mut claims = scene.claims(&sent, "bob");
        claims.insert("aud".to_owned(), audience.clone());
        if !party.is_null() {
            claims.insert("azp".to_owned(), party.clone());
        }
        let done = scene.back(&mut bob, &sent, &claims).await;
        assert_eq!(done.status == 303, enters, "{audience} {party}: {} {}", done.status, done.text());
    }
}

async fn an_address_joins_nobody_to_anybody(engine: Engine) {
    let scene = scene(engine, Some(Role::Member)).await;
    // The owner's own address, from an issuer that has verified it.
    let mut mallory = Browser::default();
    let sent = scene.leave(&mut mallory, "/login", "/login/with/acme").await;
    let mut claims = scene.claims(&sent, "mallory");
    claims.insert("email".to_owned(), EMAIL.into());
    let refused = scene.back(&mut mallory, &sent, &claims).await;
    assert!(refused.status == 409 && refused.text().contains("already"), "{}", refused.text());
    assert!(!scene.is_in(&mut mallory).await);

    let mut bob = Browser::default();
    let sent = scene.leave(&mut bob, "/login", "/login/with/acme").await;
    assert_eq!(scene.back(&mut bob, &sent, &scene.claims(&sent, "bob")).await.status, 303);
    let page = account(&scene.kit, &mut bob).await.text();
    assert!(page.contains("bob@acme.example") && page.contains("member"), "{page}");
    assert_eq!(scene.kit.events_of("user.create").await.len(), 2, "the owner and bob");
    // The same account under another address is the same person.
    let mut later = Browser::default();
    let sent = scene.leave(&mut later, "/login", "/login/with/acme").await;
    let mut claims = scene.claims(&sent, "bob");
    claims.insert("email".to_owned(), "robert@acme.example".into());
    assert_eq!(scene.back(&mut later, &sent, &claims).await.status, 303);
    assert!(account(&scene.kit, &mut later).await.text().contains("bob@acme.example"));
    assert_eq!(scene.kit.events_of("user.create").await.len(), 2);
    // Whoever has nothing but this account cannot take it off.
    let page = account(&scene.kit, &mut bob).await;
    let token = page.hidden("form_token");
    let (issuer, subject) = (page.hidden("issuer"), page.hidden("subject"));
    let fields = [("form_token", token.as_str()), ("issuer", &issuer), ("subject", &subject)];
    assert_eq!(bob.post(&scene.at("/account/links/remove"), &fields).await.status, 409);
}

/// Whoever sits down at a browser in which somebody is signed in at the issuer proves nothing by a click.
async fn a_session_at_the_issuer_proves_no_more_than_the_issuer_says(engine: Engine) {
    let scene = scene(engine, Some(Role::Member)).await;
    let mut bob = Browser::default();
    let enter = async |bob: &mut Browser, asked_ago: Option<i64>| {
        let sent = scene.leave(bob, "/login", "/login/with/acme").await;
        let mut claims = scene.claims(&sent, "bob");
        if let Some(ago) = asked_ago {
            claims.insert("auth_time".to_owned(), (scene.kit.clock.now().secs() - ago).into());
        }
        assert_eq!(scene.back(bob, &sent, &claims).await.status, 303);
    };
    let may_add = async |bob: &mut Browser| {
        let page = account(&scene.kit, bob).await;
        let fields = [("form_token", page.hidden("form_token"))];
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = bob.post(&scene.at("/account/links/add/acme"), &fields).await;
        answer.header("location").is_none_or(|there| !there.starts_with("/login/again"))
    };
    enter(&mut bob, None).await;
    assert!(may_add(&mut bob).await, "an issuer that does not say is believed to have asked");
    let mut bob = Browser::default();
    enter(&mut bob, Some(60)).await;
    assert!(may_add(&mut bob).await);
    let mut bob = Browser::default();
    enter(&mut bob, Some(3600)).await;
    assert!(!may_add(&mut bob).await, "what was proved an hour ago is not proved now");

    // Proving it again means being asked since one left for it.
    for (ago, status) in [(300, 403), (0, 303)] {
        let sent = scene.leave(&mut bob, "/login/again", "/login/again/with/acme").await;
        let mut claims = scene.claims(&sent, "bob");
        claims.insert("auth_time".to_owned(), (scene.kit.clock.now().secs() - ago).into());
        assert_eq!(scene.back(&mut bob, &sent, &claims).await.status, status, "asked {ago} s ago");
    }
    assert!(may_add(&mut bob).await);

    // Whoever signs in anew, on a page that was still open, leaves no session behind.
    let mut browser = Browser::default();
    let open = browser.get(&scene.at("/login")).await.hidden("form_token");
    assert_eq!(try_sign_in(&scene.kit, &mut browser, EMAIL, PASSPHRASE).await.status, 303);
    let before = browser.clone();
    let left =
        browser.post(&scene.at("/login/with/acme"), &[("form_token", &open), ("to", "/account")]).await;
    let sent: Sent = Url::parse(&left.link()).unwrap().query_pairs().into_owned().collect();
    assert_eq!(scene.back(&mut browser, &sent, &scene.claims(&sent, "bob")).await.status, 303);
    assert!(account(&scene.kit, &mut browser).await.text().contains("bob@acme.example"));
    assert!(!scene.is_in(&mut before.clone()).await);
}

async fn a_disabled_account_begins_no_session_that_is_good_later(engine: Engine) {
    let scene = scene(engine, Some(Role::Member)).await;
    let kit = &scene.kit;
    let enter = async |browser: &mut Browser| {
        let sent = scene.leave(browser, "/login", "/login/with/acme").await;
        scene.back(browser, &sent, &scene.claims(&sent, "bob")).await.status
    };
    assert_eq!(enter(&mut Browser::default()).await, 303);
    let all = kit.manage("GET", "/v1/accounts", None).await.ok();
    let bob =
        all["accounts"].as_array().unwrap().iter().find(|one| one["email"] == "bob@acme.example").unwrap();
    let path = format!("/v1/accounts/{}", bob["userId"].as_str().unwrap());
    let disable =
        async |disabled: bool| kit.manage("PATCH", &path, Some(&json!({"disabled": disabled}))).await.ok();
    disable(true).await;
    let mut early = Browser::default();
    assert_eq!(enter(&mut early).await, 403);
    disable(false).await;
    assert!(!scene.is_in(&mut early).await);
    assert_eq!(enter(&mut early).await, 303);
    assert!(scene.is_in(&mut early).await);
}

async fn an_answer_that_is_not_for_this_browser_or_not_sound_signs_nobody_in(engine: Engine) {
    let scene = scene(engine, Some(Role::Member)).await;
    let now = scene.kit.clock.now().secs();
    let changes: [(&str, &str, Value); 10] = [
        ("another issuer", "iss", "https://evil.example".into()),
        ("another client", "aud", "another".into()),
        ("two audiences", "aud", json!([CLIENT, "another"])),
        ("another nonce", "nonce", "0".into()),
        ("no nonce", "nonce", Value::Null),
        ("another party", "azp", "another".into()),
        ("over", "exp", (now - 3600).into()),
        ("of tomorrow", "iat", (now + 86_400).into()),
        ("old", "iat", (now - 3600).into()),
        ("nobody", "sub", "".into()),
    ];
    for (what, claim, value) in changes {
        let mut browser = Browser::default();
        let sent = scene.leave(&mut browser, "/login", "/login/with/acme").await;
        let mut claims = scene.claims(&sent, "eve");
        claims.insert(claim.to_owned(), value);
        let answer = scene.back(&mut browser, &sent, &claims).await;
        assert_eq!(answer.status, 403, "{what}: {}", answer.text());
        assert!(!scene.is_in(&mut browser).await, "{what}");
    }
    let mut browser = Browser::default();
    let sent = scene.leave(&mut browser, "/login", "/login/with/acme").await;
    let claims = Value::Object(scene.claims(&sent, "eve")).to_string();
    let none = scene.issuer.raw(Algorithm::Es256, br#"{"alg":"none","typ":"JWT"}"#, claims.as_bytes());
    scene.authority.next(200, json!({"id_token": none}));
    let query = format!("code=c&state={}", sent["state"]);
    assert_eq!(scene.callback(&mut browser, &query).await.status, 403, "without an algorithm");
    assert_eq!(scene.callback(&mut browser, &query).await.status, 403, "the state is used");

    // Answers of the issuer's, and of somebody in its place.
    for (status, body) in [
        (400, json!({"error": "invalid_grant"})),
        (200, json!({"access_token": "x"})),
        (200, json!({"id_token": 7})),
        (500, json!({})),
    ] {
        let sent = scene.leave(&mut browser, "/login", "/login/with/acme").await;
        scene.authority.next(status, body.clone());
        let answer = scene.callback(&mut browser, &format!("code=c&state={}", sent["state"])).await;
        assert_eq!(answer.status, 403, "{body}");
    }
    let sent = scene.leave(&mut browser, "/login", "/login/with/acme").await;
    let (state, good) = (&sent["state"], scene.claims(&sent, "eve"));
    let elsewhere = format!("code=c&state={state}&iss=https%3A%2F%2Fevil.example");
    assert_eq!(scene.callback(&mut browser, &elsewhere).await.status, 403, "mix-up");
    // What one browser began, another one does not end.
    let sent2 = scene.leave(&mut browser, "/login", "/login/with/acme").await;
    let mut victim = Browser::default();
    victim.get(&scene.at("/login")).await;
    assert_eq!(scene.back(&mut victim, &sent2, &scene.claims(&sent2, "eve")).await.status, 403);
    assert!(!scene.is_in(&mut victim).await);
    for query in
        ["", "code=c", "state=0", "code=c&state=0", &format!("error=access_denied&state={}", sent2["state"])]
    {
        assert_eq!(scene.callback(&mut browser, query).await.status, 403, "{query}");
    }
    let late = scene.leave(&mut browser, "/login", "/login/with/acme").await;
    scene.kit.clock.pass(Duration::from_mins(11));
    assert_eq!(scene.back(&mut browser, &late, &good).await.status, 403, "too late");
    assert!(!scene.is_in(&mut browser).await);
    assert_eq!(scene.kit.events_of("user.create").await.len(), 1, "nobody came in");
    // A form that is not of the page leads nowhere.
    let fields = [("form_token", "0"), ("to", "/account")];
    assert_eq!(browser.post(&scene.at("/login/with/acme"), &fields).await.status, 403);
}
