//! kill -9 between the provider's answer and its record, for each way in which providers rotate refresh tokens.
//! `CARNET_TEST_LONG=1` for many rounds.

use std::time::Duration;

use carnet_model::failpoint::Point;
use carnet_model::grant::Rotation;
use carnet_testpg::Database;
use tokio::time::Instant;

use crate::scene::{Scene, person};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_after_the_answer_costs_nothing_or_says_so_on_sqlite() {
    for rotation in CLASSES {
        dies_after_the_answer(None, rotation).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_after_the_answer_costs_nothing_or_says_so_on_postgres() {
    for rotation in CLASSES {
        let Some(database) = Database::create().await.unwrap() else { return };
        dies_after_the_answer(Some(database), rotation).await;
    }
}

const CLASSES: [Rotation; 3] = [Rotation::None, Rotation::Grace { seconds: 30 }, Rotation::Strict];

async fn dies_after_the_answer(database: Option<Database>, rotation: Rotation) {
    let long = std::env::var("CARNET_TEST_LONG").is_ok_and(|value| value == "1");
    let mut scene = Scene::start(database, rotation).await;
    for round in 0..if long { 100 } else { 2 } {
        let user = format!("user-{round}");
        scene.consent(&user).await;
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        let before = scene.provider.requests("refresh_token");
        scene.arm(Point::RefreshAnswered, "60000");
        let subject = person(&user);
        tokio::select! {
            said = scene.ask(&subject) => panic!("answered: {said:?}"),
            () = scene.until_reached(Point::RefreshAnswered) => {}
        }
        assert_eq!(scene.provider.requests("refresh_token"), before + 1);
        scene.kill();
        scene.open().await.unwrap();
        let begun = Instant::now();
        if rotation == Rotation::Strict {
            // Unasked: nobody needs the grant, and it says what became of it.
            let grant = loop {
                let grant = scene.grant(&user).await.unwrap();
                if grant.0 != "active" || begun.elapsed() > Duration::from_secs(6) {
                    break grant;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            };
            assert_eq!(grant, ("needs_consent".to_owned(), "crash_during_refresh".to_owned()));
            let said = scene.ask(&subject).await;
            assert_eq!((said.status, said.code()), (422, "user_authorization_required"), "{}", said.body);
            assert_eq!(said.body["error"]["reason"], "reauthorization_required");
            assert_eq!(said.body["error"]["cause"], "crash_during_refresh");
        } else {
            let said = scene.settled(&user).await;
            assert!(scene.works(&user, said).await, "{rotation:?}");
            assert_eq!(scene.grant(&user).await.unwrap().0, "active");
        }
        assert!(begun.elapsed() < Duration::from_secs(15), "{rotation:?}: {:?}", begun.elapsed());
    }
}
