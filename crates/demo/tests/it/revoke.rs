use carnet_demo::{Outcome, What};

use crate::world::{FORM, World, form};

#[tokio::test]
async fn a_revoked_refresh_token_takes_the_whole_grant_with_it() {
    let world = World::new().await;
    let (access, first) = world.grant().await;
    let (_, second) = world.refresh(&first).await.tokens();
    let answer = world.post("revoke", &[("token", &second), ("token_type_hint", "access_token")]).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
    assert!(!world.works(&access).await);
    assert_eq!(world.refresh(&second).await.error(), (400, "invalid_grant".into()));
    let ended: Vec<_> = world.demo.events().into_iter().filter(|event| event.grant_ended).collect();
    assert_eq!(ended.len(), 1);
    assert_eq!((ended[0].what, ended[0].outcome), (What::Revocation, Outcome::Done));
}

#[tokio::test]
async fn a_revoked_access_token_goes_alone() {
    let world = World::new().await;
    let (access, refresh) = world.grant().await;
    assert_eq!(world.post("revoke", &[("token", &access)]).await.status, 200);
    assert!(!world.works(&access).await);
    assert_eq!(world.refresh(&refresh).await.status, 200);
}

#[tokio::test]
async fn what_is_not_known_counts_as_revoked() {
    let world = World::new().await;
    let (_, refresh) = world.grant().await;
    for token in ["nonsense", refresh.as_str(), refresh.as_str()] {
        assert_eq!(world.post("revoke", &[("token", token)]).await.status, 200);
    }
}

#[tokio::test]
async fn only_the_client_that_has_a_token_can_revoke_it() {
    let world = World::new().await;
    let (access, refresh) = world.grant().await;
    for token in [&access, &refresh] {
        let answer = world.post_as("other", "revoke", &[("token", token)]).await;
        assert_eq!(answer.error(), (400, "invalid_grant".into()));
    }
    let url = format!("{}/revoke", world.issuer);
    let answer = world.send("POST", &url, &[("content-type", FORM)], &form(&[("token", &access)])).await;
    assert_eq!(answer.error(), (401, "invalid_client".into()));
    assert_eq!(world.post("revoke", &[]).await.error(), (400, "invalid_request".into()));
    assert!(world.works(&access).await);
}
