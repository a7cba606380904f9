//! What is renewed before its time, by whoever: the new token is served from then on, and the old one never again.

use std::time::Duration;

use carnet_testkit::{Answer, Engine, Kit, Plan, on_both_engines};
use serde_json::json;

use crate::{anew, of};

on_both_engines!(
    what_a_check_renews_is_served_by_every_process_at_once,
    who_wants_a_longer_life_than_there_is_has_one_renewal_made_and_gets_its_token,
    who_wants_a_longer_life_with_every_request_renews_so_often_and_no_more,
);

async fn what_a_check_renews_is_served_by_every_process_at_once(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let mut beside = if kit.is_shared() { Some(kit.second_node().await) } else { None };
    kit.consent("alice").await;
    let ask = async |body: &serde_json::Value| -> Vec<String> {
        let mut answers: Vec<Answer> = vec![kit.ask(body).await];
        if let Some(node) = &beside {
            answers.push(node.token(&kit.workload("production"), &kit.connector, body).await);
        }
        answers.iter().map(Answer::token).collect()
    };
    let before = ask(&of("alice")).await;
    assert_eq!(ask(&of("alice")).await, before, "from memory");
    let path = format!("/v1/connect/connectors/{}/check", kit.connector);
    assert_eq!(kit.manage("POST", &path, None).await.ok()["grants"][0]["standing"], "holds");
    let after = ask(&of("alice")).await;
    assert!(after.iter().all(|token| *token == after[0] && *token != before[0]), "the old one is served");
    let longer = json!({"subject": {"type": "user", "id": "alice"}, "validityBufferMs": 300_000});
    assert_eq!(ask(&longer).await, after);
    assert_eq!(ask(&of("alice")).await, after);
    assert!(kit.provider.me(&after[0]).await.is_some());
    if let Some(node) = &mut beside {
        node.stop().await;
    }
}

/// The provider is asked twenty times in a minute for a wish that it cannot fulfil, and from then on the living token is
/// what there is. Whose token has ended is not kept waiting by others' wishes.
async fn who_wants_a_longer_life_with_every_request_renews_so_often_and_no_more(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    kit.consent("bob").await;
    let narrow = json!({"subject": {"type": "user", "id": "bob"}, "scopes": ["profile:read"],
        "validityBufferMs": 86_400_000});
    let begun = std::time::Instant::now();
    let (mut alices, mut bobs) = (Vec::new(), Vec::new());
    for _ in 0..24 {
        alices.push(kit.ask(&anew("alice")).await.token());
        bobs.push(kit.ask(&narrow).await.token());
    }
    // One more comes in three seconds.
    let more = usize::try_from(begun.elapsed().as_secs() / 3).unwrap() + 1;
    let refreshes = kit.provider.requests("refresh_token");
    assert!((41..=41 + 2 * more).contains(&refreshes), "{refreshes}, and {more} more");
    for tokens in [alices, bobs] {
        let last = tokens.last().unwrap();
        assert!(kit.provider.me(last).await.is_some(), "what is served lives");
    }
    kit.clock.pass(Duration::from_hours(2));
    assert!(kit.provider.me(&kit.user_token("alice").await.token()).await.is_some());
}

async fn who_wants_a_longer_life_than_there_is_has_one_renewal_made_and_gets_its_token(engine: Engine) {
    let plan = Plan { access_life: Duration::from_secs(25), ..Plan::default() };
    let kit = Kit::start(engine, plan).await;
    kit.consent("alice").await;
    let mut seen = Vec::new();
    for (round, body) in [anew("alice"), of("alice"), anew("alice")].iter().enumerate() {
        seen.push(kit.ask(body).await.token());
        assert_eq!(kit.provider.requests("refresh_token"), round + 1);
    }
    seen.dedup();
    assert_eq!(seen.len(), 3);
}
