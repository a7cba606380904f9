//! The directory of keys, against an issuer that answers over a real socket and counts.

mod issuer;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use carnet_egress::{Egress, Policy};
use carnet_identity::{FetchFailed, KeyDirectory, KeySet, KeySource, KeysUnavailable};
use carnet_model::{Clock, Env, Id, OsRandom, Time, kind};
use serde_json::json;
use tokio::task::JoinSet;
use url::Url;

use crate::forge::{NOW, jwk, jwks, with};
use issuer::{Issuer, Reply};

const DISCOVERY: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/keys";
const ID: Id<kind::TrustedIssuer> = Id::from_bytes([1; 16]);
const OTHER: Id<kind::TrustedIssuer> = Id::from_bytes([2; 16]);
const TEAM: Id<kind::Team> = Id::from_bytes([3; 16]);

struct MovableClock(AtomicI64);

impl Clock for MovableClock {
    fn now(&self) -> Time {
        Time::from_millis(self.0.load(Ordering::SeqCst))
    }
}

struct Setup {
    directory: Arc<KeyDirectory>,
    clock: Arc<MovableClock>,
    issuer: Issuer,
}

impl Setup {
    /// An issuer that serves discovery and keys, and a directory that may call it.
    async fn new() -> Self {
        let issuer = Issuer::start().await;
        issuer.serve(
            DISCOVERY,
            Reply::json(&json!({"issuer": issuer.url(), "jwks_uri": format!("{}{KEYS}", issuer.url())})),
        );
        issuer.serve(KEYS, Reply::json(&jwks()));
        let clock = Arc::new(MovableClock(AtomicI64::new(NOW.millis())));
        let egress = Egress::new(Policy { loopback: true, ..Policy::default() }).unwrap();
        let env = Env::new(Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(OsRandom));
        Self { directory: Arc::new(KeyDirectory::new(egress, env)), clock, issuer }
    }

    async fn ask(&self, kid: &str) -> Result<Arc<KeySet>, KeysUnavailable> {
        self.directory.keys_for(ID, TEAM, self.issuer.url(), &KeySource::Discovery, Some(kid)).await
    }

    async fn why(&self, source: &KeySource) -> String {
        let outcome = self.directory.keys_for(ID, TEAM, self.issuer.url(), source, None).await;
        outcome.err().expect("no keys").why.to_string()
    }

    fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    fn fetches(&self) -> usize {
        self.issuer.count(KEYS)
    }
}

#[tokio::test]
async fn keys_are_fetched_once_and_kept() {
    let setup = Setup::new().await;
    assert_eq!(setup.directory.generation(ID), 0);
    for kid in ["rs256", "es256", "eddsa"] {
        assert!(setup.ask(kid).await.unwrap().has(kid));
    }
    assert_eq!((setup.issuer.count(DISCOVERY), setup.fetches()), (1, 1));
}

#[tokio::test]
async fn a_flood_of_unknown_names_costs_one_fetch_again_a_minute() {
    let setup = Setup::new().await;
    for minute in 1..=4 {
        let mut flood = JoinSet::new();
        for n in 0..2_500 {
            let directory = Arc::clone(&setup.directory);
            let url = setup.issuer.url().to_owned();
            flood.spawn(async move {
                let kid = format!("unknown-{n}");
                directory
                    .keys_for(ID, TEAM, &url, &KeySource::Discovery, Some(&kid))
                    .await
                    .map(|keys| keys.has(&kid))
            });
        }
        while let Some(outcome) = flood.join_next().await {
            assert!(!outcome.unwrap().unwrap(), "the honest keys come back, without the unknown one");
        }
        assert!(setup.ask("rs256").await.unwrap().has("rs256"));
        // The first one, and one again in each minute.
        assert_eq!((setup.fetches(), setup.issuer.count(DISCOVERY)), (minute + 1, minute + 1));
        setup.pass(59);
        assert!(setup.ask("unknown").await.is_ok());
        assert_eq!(setup.fetches(), minute + 1, "not before the minute is over");
        setup.pass(1);
    }
}

#[tokio::test]
async fn the_first_token_with_an_unknown_name_costs_one_fetch_and_leaves_the_minutes_other() {
    let setup = Setup::new().await;
    setup.issuer.serve(KEYS, Reply::json(&json!({"keys": [jwk(carnet_identity::Algorithm::Rs256)]})));
    assert!(!setup.ask("es256").await.unwrap().has("es256"));
    assert_eq!(setup.fetches(), 1);
    setup.issuer.serve(KEYS, Reply::json(&jwks()));
    assert!(setup.ask("es256").await.unwrap().has("es256"));
    assert_eq!(setup.fetches(), 2);
}

#[tokio::test]
async fn a_first_fetch_that_fails_is_tried_again_soon_and_ever_later() {
    let setup = Setup::new().await;
    setup.issuer.serve(KEYS, Reply::status(500));
    for (attempt, pause) in (1..).zip([5, 10, 20, 40, 60, 60]) {
        let refused = setup.ask("rs256").await.err().unwrap();
        let now = Time::from_millis(setup.clock.0.load(Ordering::SeqCst));
        assert_eq!(refused.retry_at, now.plus(Duration::from_secs(pause)));
        setup.pass(i64::try_from(pause).unwrap() - 1);
        assert!(setup.ask("rs256").await.is_err());
        assert_eq!(setup.fetches(), attempt, "not before the time that is told");
        setup.pass(1);
    }
    setup.issuer.serve(KEYS, Reply::json(&jwks()));
    assert!(setup.ask("rs256").await.is_ok());
}

#[tokio::test]
async fn a_rotation_is_picked_up_and_changes_the_generation() {
    let setup = Setup::new().await;
    let old = json!({"keys": [jwk(carnet_identity::Algorithm::Rs256)]});
    setup.issuer.serve(KEYS, Reply::json(&old));
    assert!(setup.ask("rs256").await.unwrap().has("rs256"));
    let before = setup.directory.generation(ID);
    // At the next moment, and not only a minute after the keys came.
    setup.issuer.serve(KEYS, Reply::json(&jwks()));
    assert!(setup.ask("es256").await.unwrap().has("es256"));
    assert_eq!(setup.fetches(), 2);
    let after = setup.directory.generation(ID);
    assert_ne!(before, after);
    // The same keys in another order are the same keys.
    let mut reversed = jwks();
    reversed["keys"].as_array_mut().unwrap().reverse();
    setup.issuer.serve(KEYS, Reply::json(&reversed));
    setup.pass(3600);
    assert!(setup.ask("es256").await.is_ok());
    assert_eq!((setup.fetches(), setup.directory.generation(ID)), (3, after));
    // A key that was withdrawn is gone at the next refresh.
    setup.issuer.serve(KEYS, Reply::json(&json!({"keys": []})));
    setup.pass(3600);
    assert!(!setup.ask("rs256").await.unwrap().has("rs256"));
    assert_ne!(setup.directory.generation(ID), after);
}

#[tokio::test]
async fn keys_that_cannot_be_refreshed_are_used_for_a_day_and_no_longer() {
    let setup = Setup::new().await;
    assert!(setup.ask("rs256").await.is_ok());
    let generation = setup.directory.generation(ID);
    for reply in [
        Reply::status(500),
        Reply::text("<html>"),
        Reply::json(&json!({"keys": 1})),
        Reply::text(&format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(70_000))),
        Reply::Drop,
        Reply::redirect("/elsewhere"),
    ] {
        setup.issuer.serve(KEYS, reply);
        setup.pass(3600);
        assert!(setup.ask("rs256").await.unwrap().has("rs256"));
    }
    assert_eq!(setup.fetches(), 7, "each was tried once");
    assert_eq!(setup.issuer.count("/elsewhere"), 0, "no redirect is followed");
    assert_eq!(setup.directory.generation(ID), generation, "the keys are the same");
    setup.pass(18 * 3600);
    assert!(setup.ask("rs256").await.is_ok(), "24 hours after they were seen");
    setup.pass(60);
    let unavailable = setup.ask("rs256").await.err().expect("more than 24 hours");
    assert_eq!(
        unavailable.retry_at,
        Time::from_millis(setup.clock.0.load(Ordering::SeqCst)).plus(Duration::from_mins(1))
    );
    setup.issuer.serve(KEYS, Reply::json(&jwks()));
    assert!(setup.ask("rs256").await.is_err(), "and one attempt a minute even then");
    setup.pass(60);
    assert!(setup.ask("rs256").await.is_ok());
}

#[tokio::test]
async fn a_key_set_that_is_not_one_is_refused() {
    let big = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(64 * 1024));
    let many = json!({"keys": vec![json!({}); 101]});
    for (reply, want) in [
        (Reply::text(&big), "the key set cannot be fetched"),
        (Reply::json(&many), "the key set has more than 100 keys"),
        (Reply::text("{\"keys\":[],\"keys\":[]}"), "the key set cannot be read: a member is given twice"),
        (Reply::text("null"), "the key set cannot be read: not an object"),
        (Reply::status(404), "the key set was answered with status 404 Not Found"),
        (Reply::redirect("/other"), "the key set was answered with status 302 Found"),
        (Reply::Drop, "the key set cannot be fetched"),
    ] {
        let setup = Setup::new().await;
        setup.issuer.serve(KEYS, reply);
        assert_eq!(setup.why(&KeySource::Discovery).await, want);
    }
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_is_refused() {
    let setup = Setup::new().await;
    let own = setup.issuer.url().to_owned();
    let keys = format!("{own}{KEYS}");
    for (document, want) in [
        (
            json!({"issuer": format!("{own}/"), "jwks_uri": keys}),
            "the discovery document names another issuer",
        ),
        (
            json!({"issuer": own.to_uppercase(), "jwks_uri": keys}),
            "the discovery document names another issuer",
        ),
        (
            json!({"issuer": "https://issuer.example", "jwks_uri": keys}),
            "the discovery document names another issuer",
        ),
        (json!({"issuer": [own], "jwks_uri": keys}), "the discovery document names another issuer"),
        (json!({"jwks_uri": keys}), "the discovery document names another issuer"),
        (json!({"issuer": own}), "the discovery document has no jwks_uri"),
        (json!({"issuer": own, "jwks_uri": 1}), "the discovery document has no jwks_uri"),
        (json!({"issuer": own, "jwks_uri": "file:///etc/passwd"}), "the address of the key set is refused"),
        (json!({"issuer": own, "jwks_uri": "http://10.0.0.1/keys"}), "the address of the key set is refused"),
        (
            json!({"issuer": own, "jwks_uri": "http://169.254.169.254/"}),
            "the address of the key set is refused",
        ),
        (json!({"issuer": own, "jwks_uri": "/keys"}), "the address of the key set is refused"),
        (json!([]), "the discovery document cannot be read: not an object"),
    ] {
        setup.issuer.serve(DISCOVERY, Reply::json(&document));
        setup.pass(60);
        assert_eq!(setup.why(&KeySource::Discovery).await, want, "{document}");
    }
    assert_eq!(setup.fetches(), 0, "no keys were asked for");
}

#[tokio::test]
async fn a_given_address_or_pinned_keys_need_no_discovery() {
    let setup = Setup::new().await;
    let uri = KeySource::JwksUri(Url::parse(&format!("{}{KEYS}", setup.issuer.url())).unwrap());
    let keys = setup.directory.keys_for(ID, TEAM, "any name", &uri, Some("rs256")).await;
    assert!(keys.unwrap().has("rs256"));
    let pinned = KeySource::Pinned(jwks().to_string());
    for kid in ["es256", "unknown"] {
        let keys = setup.directory.keys_for(OTHER, TEAM, "kubernetes", &pinned, Some(kid)).await.unwrap();
        assert_eq!(keys.has(kid), kid == "es256");
    }
    assert_eq!((setup.fetches(), setup.issuer.count(DISCOVERY)), (1, 0));
}

#[tokio::test]
async fn a_changed_configuration_takes_effect_at_once() {
    let setup = Setup::new().await;
    assert!(setup.ask("rs256").await.is_ok());
    let before = setup.directory.generation(ID);
    let renamed = with(&jwk(carnet_identity::Algorithm::Es256), &[("kid", "pinned".into())]);
    let pinned = KeySource::Pinned(json!({"keys": [renamed]}).to_string());
    let keys = setup.directory.keys_for(ID, TEAM, setup.issuer.url(), &pinned, None).await.unwrap();
    assert!(keys.has("pinned") && !keys.has("rs256"));
    assert_ne!(setup.directory.generation(ID), before);
    setup.directory.forget(ID);
    assert_eq!(setup.directory.generation(ID), 0);
}

#[tokio::test]
async fn many_callers_share_one_flight() {
    let setup = Setup::new().await;
    let gate = setup.issuer.hold(KEYS);
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let (directory, url) = (Arc::clone(&setup.directory), setup.issuer.url().to_owned());
        callers.spawn(async move {
            directory.keys_for(ID, TEAM, &url, &KeySource::Discovery, Some("rs256")).await.is_ok()
        });
    }
    setup.issuer.until_asked(KEYS, 0).await;
    gate.open();
    while let Some(outcome) = callers.join_next().await {
        assert!(outcome.unwrap());
    }
    assert_eq!(setup.fetches(), 1);
}

#[tokio::test]
async fn a_caller_who_goes_away_wedges_nobody_and_costs_no_second_fetch() {
    let setup = Setup::new().await;
    let gate = setup.issuer.hold(KEYS);
    for _ in 0..3 {
        // Each of them begins or takes over the flight and is dropped in the middle of it.
        let left = tokio::time::timeout(Duration::from_millis(150), setup.ask("rs256")).await;
        assert!(left.is_err(), "the issuer has not answered yet");
    }
    setup.issuer.until_asked(KEYS, 0).await;
    gate.open();
    let next = tokio::time::timeout(Duration::from_secs(30), setup.ask("rs256")).await.expect("not wedged");
    assert!(next.unwrap().has("rs256"));
    assert_eq!(setup.fetches(), 1);
}

#[tokio::test]
async fn callers_with_a_known_key_do_not_wait_for_a_refresh() {
    let setup = Setup::new().await;
    assert!(setup.ask("rs256").await.is_ok());
    let gate = setup.issuer.hold(KEYS);
    setup.pass(3600);
    let mut refresher = JoinSet::new();
    let (directory, url) = (Arc::clone(&setup.directory), setup.issuer.url().to_owned());
    refresher.spawn(async move {
        directory.keys_for(ID, TEAM, &url, &KeySource::Discovery, Some("rs256")).await.is_ok()
    });
    setup.issuer.until_asked(KEYS, 1).await;
    // The gate is closed until it has answered.
    let quick = tokio::time::timeout(Duration::from_secs(30), setup.ask("es256")).await;
    assert!(quick.expect("does not wait").is_ok());
    gate.open();
    assert!(refresher.join_next().await.unwrap().unwrap());
}

#[tokio::test]
async fn production_does_not_fetch_from_loopback_or_over_plain_http() {
    let setup = Setup::new().await;
    let directory = KeyDirectory::new(Egress::new(Policy::default()).unwrap(), Env::system());
    for source in [KeySource::Discovery, KeySource::JwksUri(Url::parse(setup.issuer.url()).unwrap())] {
        let outcome = directory.keys_for(ID, TEAM, setup.issuer.url(), &source, None).await;
        assert!(matches!(*outcome.err().unwrap().why, FetchFailed::Url(..)));
    }
    assert_eq!((setup.fetches(), setup.issuer.count(DISCOVERY)), (0, 0));
}

#[tokio::test]
async fn a_clock_set_back_does_not_lock_anybody_out() {
    let setup = Setup::new().await;
    setup.issuer.serve(KEYS, Reply::status(503));
    assert!(setup.ask("rs256").await.is_err());
    setup.issuer.serve(KEYS, Reply::json(&jwks()));
    setup.pass(-3600);
    assert!(setup.ask("rs256").await.is_ok());
}
