//! Requests for consent, and the turns in which a provider is asked about one.

use carnet_model::caller::Principal;
use carnet_model::grant::Place;
use carnet_model::{Env, Environment, Time};
use carnet_store::{Write, awaited, consents};

use crate::scene::scene;
use crate::stores;

#[tokio::test]
async fn a_request_for_consent_is_used_once() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let now = env.now();
        let place = Place {
            team: s.team.id,
            connector: s.connector.connector.id,
            project: Some(s.project.id),
            environment: Environment::Development,
            subject: "user:u".into(),
            installation: None,
        };
        let end = Time::from_millis(now.millis() + 60_000);
        let asked = serde_json::json!({"scopes": ["a"]});
        let consent = consents::Consent::pending(env.id(), place, Principal::System, asked, now, end);
        let done = serde_json::json!({"status": "success"});
        let step = async |step| db.write(Write::new().step(step)).await.is_ok();
        assert!(step(consents::insert(&consent, [1; 32], None)).await, "{name}");
        assert!(!step(consents::take(consent.id, [2; 32], now)).await, "{name}: not sent yet");
        assert!(step(consents::approve(consent.id, [2; 32], [3; 32], vec![1], now)).await, "{name}");
        assert!(
            !step(consents::approve(consent.id, [4; 32], [9; 32], vec![1], now)).await,
            "{name}: another browser"
        );
        assert!(
            step(consents::approve(consent.id, [4; 32], [3; 32], vec![1], now)).await,
            "{name}: went back"
        );
        assert!(!step(consents::take(consent.id, [2; 32], now)).await, "{name}: old state");
        assert!(
            !step(consents::take(consent.id, [4; 32], Time::from_millis(now.millis() + 60_001))).await,
            "{name}: expired"
        );
        assert!(step(consents::take(consent.id, [4; 32], now)).await, "{name}");
        assert!(!step(consents::take(consent.id, [4; 32], now)).await, "{name}: twice");
        assert!(step(consents::finish(consent.id, &done, now)).await, "{name}");
        assert!(!step(consents::finish(consent.id, &done, now)).await, "{name}: over");
        let found = consents::by_code(&db, s.team.id, [1; 32]).await.unwrap().unwrap();
        assert_eq!(
            (found.state, found.result, found.kept),
            (consents::ConsentState::Done, Some(done), None),
            "{name}"
        );
        assert!(consents::by_code(&db, s.other.id, [1; 32]).await.unwrap().is_none(), "{name}");
        assert!(consents::by_state(&db, [4; 32]).await.unwrap().is_some(), "{name}");
    }
}

#[tokio::test]
async fn of_those_who_would_ask_a_provider_one_gets_the_turn() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let now = env.now();
        let write = async |step| db.write(Write::new().step(step)).await;
        let turn = awaited::Awaited { consent: env.id(), due_at: now, every_seconds: 5 };
        let after = |by: i64| Time::from_millis(now.millis() + by);
        write(awaited::put(turn)).await.unwrap();
        write(awaited::take(turn, after(5), 5)).await.unwrap();
        assert!(write(awaited::take(turn, after(9), 5)).await.is_err(), "{name}: a turn is taken once");
        let next = awaited::Awaited { due_at: after(5), ..turn };
        assert_eq!(awaited::overdue(&db, after(6), 9).await.unwrap(), [next], "{name}");
        assert_eq!(awaited::overdue(&db, after(5), 9).await.unwrap(), [], "{name}: not over its time");
        write(awaited::put(turn)).await.unwrap();
        assert!(write(awaited::take(next, after(9), 5)).await.is_err(), "{name}: it began anew");
        write(awaited::forget(turn.consent)).await.unwrap();
        write(awaited::forget(turn.consent)).await.unwrap();
        assert_eq!(awaited::overdue(&db, Time::FAR_FUTURE, 9).await.unwrap(), [], "{name}");
    }
}
