//! The certificate with which a deployment speaks TLS, from a real authority: asked for, proved, shared, renewed.

use std::sync::Arc;
use std::time::Duration;

use carnet_api::{Limits, Listening, Tls};
use carnet_testkit::{Engine, Kit, Pebble, Plan, eventually, on_both_engines};
use reqwest::tls::TlsInfo;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

on_both_engines!(
    a_certificate_is_got_and_renewed_when_two_thirds_of_its_life_are_over,
    an_authority_that_is_gone_leaves_what_is_there_and_is_asked_again,
);

/// Beyond two thirds of the life of a certificate, and the dice.
const DUE: Duration = Duration::from_hours(64 * 24);

async fn kit(engine: Engine, pebble: &Arc<Pebble>) -> Kit {
    Kit::start(engine, Plan { authority: Some(pebble.clone()), ..Plan::default() }).await
}

/// What `/readyz` says of the certificate.
async fn told(kit: &Kit) -> String {
    let answer = kit.http.json("GET", &format!("{}/readyz", kit.url()), None, None).await;
    answer.json()["checks"]["certificate"].as_str().unwrap().to_owned()
}

async fn until_told(kit: &Kit, part: &str) {
    eventually(&format!("/readyz says {part:?}"), async || told(kit).await.contains(part).then_some(()))
        .await;
}

/// The certificate that a client meets who trusts the authority, after a handshake of its own.
async fn met(pebble: &Pebble) -> Option<Vec<u8>> {
    let client = pebble.client().await;
    let answer = client.get(format!("https://{}/livez", Pebble::NAME)).send().await.ok()?;
    assert_eq!(answer.status(), 200);
    let info = answer.extensions().get::<TlsInfo>().unwrap();
    Some(info.peer_certificate().unwrap().to_vec())
}

async fn events(kit: &Kit, outcome: &str) -> i64 {
    let count = "select count(*) from audit_events where action = 'certificate.issue' and outcome = ";
    kit.raw().await.number(&format!("{count}'{outcome}'")).await
}

async fn a_certificate_is_got_and_renewed_when_two_thirds_of_its_life_are_over(engine: Engine) {
    let Some(pebble) = Pebble::start().await else { return };
    let kit = kit(engine, &pebble).await;
    let first = eventually("a first certificate", async || met(&pebble).await).await;
    until_told(&kit, "ok, for ").await;
    // Nothing of it is readable in the store.
    let raw = kit.raw().await;
    let readable = "select count(*) from certificates where cast(sealed as text) like '%PRIVATE%'";
    assert_eq!(raw.number(readable).await, 0);

    kit.clock.pass(Pebble::LIFE / 2);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(events(&kit, "success").await, 1, "it is not renewed before its time");
    kit.clock.pass(DUE.checked_sub(Pebble::LIFE / 2).unwrap());
    let second =
        eventually("a second certificate", async || met(&pebble).await.filter(|second| *second != first))
            .await;
    assert_ne!(first, second);
    // By this clock the new one would be due at once as well.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((events(&kit, "success").await, events(&kit, "failed").await), (2, 0));
    assert_eq!(raw.number("select count(*) from acme_accounts").await, 1);
    assert_eq!(raw.number("select count(*) from certificate_challenges").await, 0);
}

async fn an_authority_that_is_gone_leaves_what_is_there_and_is_asked_again(engine: Engine) {
    let Some(pebble) = Pebble::start().await else { return };
    let kit = kit(engine, &pebble).await;
    let first = eventually("a first certificate", async || met(&pebble).await).await;
    let trusting = pebble.client().await;
    pebble.stop();
    kit.clock.pass(DUE);
    until_told(&kit, "ok, for 25 days; no newer one: the authority cannot be reached").await;
    let answer = trusting.get(format!("https://{}/readyz", Pebble::NAME)).send().await.unwrap();
    assert_eq!(answer.status(), 200, "it is ready all the same");
    let metrics = kit.http.json("GET", &format!("{}/metrics", kit.url()), None, None).await;
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(metrics.contains("\ncarnet_certificate_failures 1\n"), "{metrics}");
    assert!(metrics.contains("\ncarnet_certificate_expiry_seconds 1"), "{metrics}");

    // It comes back, and knows nobody: the account is made anew.
    assert!(pebble.run().await);
    kit.clock.pass(Duration::from_mins(5));
    eventually("the account is unknown", async || (events(&kit, "failed").await == 2).then_some(())).await;
    kit.clock.pass(Duration::from_mins(10));
    let another = eventually("another certificate", async || met(&pebble).await).await;
    assert_ne!(first, another);
    until_told(&kit, "ok, for ").await;
    assert!(!told(&kit).await.contains("no newer one"));
    assert_eq!(events(&kit, "success").await, 2);
    let accounts = "select count(*) from audit_events where action = 'acme-account.create'";
    assert_eq!(kit.raw().await.number(accounts).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_name_that_is_not_proved_gets_no_certificate_and_the_cause_is_told() {
    let Some(pebble) = Pebble::start().await else { return };
    // Somebody else is at the port where the authority looks.
    let other = rcgen::generate_simple_self_signed([Pebble::NAME.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(other.signing_key.serialize_der()));
    let chain = vec![other.cert.der().clone()];
    let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).unwrap();
    let tls = Tls::with(Arc::new(SingleCertAndKey::from(key)), false).unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let listening = Listening::secured(pebble.door().unwrap(), tls);
    let serving =
        carnet_api::serve(listening, axum::Router::new(), Limits::default(), stop.clone().cancelled_owned());
    #[expect(clippy::disallowed_methods, reason = "it is waited for below")]
    let serving = tokio::spawn(serving);

    let kit = kit(Engine::Sqlite, &pebble).await;
    until_told(&kit, "none yet; no newer one: at port 443 of connect.example.test").await;
    let ready = kit.http.json("GET", &format!("{}/readyz", kit.url()), None, None).await;
    assert_eq!(ready.status, 503, "nobody can be served over TLS");
    assert_eq!((events(&kit, "success").await, events(&kit, "failed").await), (0, 1));
    stop.cancel();
    serving.await.unwrap();
    // Nobody is there.
    kit.clock.pass(Duration::from_mins(5));
    until_told(&kit, "at port 443 of connect.example.test").await;
    eventually("a second try", async || (events(&kit, "failed").await == 2).then_some(())).await;
    // It is not asked again at once: an authority would shut it out.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((events(&kit, "success").await, events(&kit, "failed").await), (0, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_share_one_certificate_and_one_of_them_renews_it() {
    let Some(engine) = Engine::postgres().await else { return };
    let Some(pebble) = Pebble::start().await else { return };
    let kit = kit(engine, &pebble).await;
    let second = kit.second_node().await;
    let nodes = [kit.node.broker(), second.broker()];
    let shared = async |but: Option<Vec<u8>>| {
        eventually("both nodes have the same certificate", async || {
            let [one, other] = nodes.map(|node| node.certificate().map(|key| key.cert[0].to_vec()));
            one.filter(|one| other.as_ref() == Some(one) && but.as_ref() != Some(one))
        })
        .await
    };
    let first = shared(None).await;
    kit.clock.pass(DUE);
    shared(Some(first)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((events(&kit, "success").await, events(&kit, "failed").await), (2, 0));
    assert_eq!(kit.raw().await.number("select count(*) from acme_accounts").await, 1);
}
