//! What is due, and in which order.

use carnet_model::{Env, Environment, Id, Time, kind};
use carnet_store::Write;
use carnet_store::deliveries::{self, DeliveryState, TriggerDelivery};
use carnet_store::trigger_events::{self, TriggerEvent};

use crate::scene::{Scene, scene};
use crate::stores;

/// So much waits for one destination that a look at the oldest would see nothing else.
const BACKLOG: i64 = 4_500;

#[tokio::test]
async fn a_destination_with_a_backlog_does_not_stand_before_the_others() {
    let env = Env::system();
    for (engine, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let now = env.now();
        let event = TriggerEvent {
            id: env.id(),
            team: s.team.id,
            connector: s.connector.connector.id,
            dedupe: [1; 32],
            name: "message".to_owned(),
            tenant: None,
            size: 1,
            content: vec![1],
            received_at: now,
        };
        db.write(Write::new().step(trigger_events::insert(&event))).await.unwrap();
        let [slow, one, other, late] = [1_u8, 2, 3, 4].map(|n| Id::<kind::Destination>::from_bytes([n; 16]));
        let due = |seconds: i64| Time::from_secs(now.secs() - 10_000 + seconds);
        let delivery = |destination, at| delivery(&env, &s, event.id, destination, at);
        for some in (0..BACKLOG).collect::<Vec<_>>().chunks(500) {
            let steps = some.iter().map(|n| deliveries::insert(&delivery(slow, due(n % 100))));
            db.write(Write::new().steps(steps)).await.unwrap();
        }
        let few = [(one, 5_000), (one, 4_000), (other, 6_000), (late, 20_000)];
        let steps = few.map(|(destination, at)| deliveries::insert(&delivery(destination, due(at))));
        db.write(Write::new().steps(steps)).await.unwrap();

        let found = deliveries::due(&db, now, 4, 128).await.unwrap();
        let order: Vec<_> =
            found.iter().map(|one| (one.destination, one.due_at.secs() - due(0).secs())).collect();
        let expected = [
            // The oldest of each, and then the next.
            (slow, 0),
            (one, 4_000),
            (other, 6_000),
            (slow, 0),
            (one, 5_000),
            (slow, 0),
            (slow, 0),
        ];
        assert_eq!(order, expected, "{engine}");
        let found = deliveries::due(&db, now, 4, 3).await.unwrap();
        assert_eq!(
            found.iter().map(|one| one.destination).collect::<Vec<_>>(),
            [slow, one, other],
            "{engine}"
        );
        // What is claimed, or put off, leaves its place to the others.
        db.write(Write::new().step(deliveries::put_off(slow, now, due(20_000)))).await.unwrap();
        let found = deliveries::due(&db, now, 4, 128).await.unwrap();
        assert_eq!(
            found.iter().map(|one| one.destination).collect::<Vec<_>>(),
            [one, other, one],
            "{engine}"
        );
        db.close().await;
    }
}

fn delivery(
    env: &Env,
    s: &Scene,
    event: Id<kind::Event>,
    destination: Id<kind::Destination>,
    due_at: Time,
) -> TriggerDelivery {
    TriggerDelivery {
        id: env.id(),
        team: s.team.id,
        connector: s.connector.connector.id,
        event,
        destination,
        project: s.project.id,
        environment: Environment::Production,
        branch: None,
        state: DeliveryState::Waiting,
        attempts: 0,
        round_from: 0,
        due_at,
        last_status: None,
        last_error: None,
        created_at: env.now(),
        ended_at: None,
    }
}
