use std::sync::Arc;
use std::time::Duration;

use carnet_model::grant::Rotation;
use tokio::task::JoinSet;

use crate::world::{ALL, World};

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".into())
}

#[tokio::test]
async fn a_strict_refresh_token_works_once_and_a_second_use_ends_the_family() {
    let world = World::new().await;
    let (first_access, first) = world.grant().await;
    let (access, second) = world.refresh(&first).await.tokens();
    assert_ne!(first, second);
    assert!(world.works(&access).await && world.works(&first_access).await);
    assert_eq!(world.refresh(&first).await.error(), invalid_grant());
    assert!(world.demo.events().pop().unwrap().grant_ended);
    assert_eq!(world.refresh(&second).await.error(), invalid_grant());
    assert!(!world.works(&access).await && !world.works(&first_access).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_eight_refreshes_at_once_one_wins_and_the_family_dies() {
    let folder = tempfile::tempdir().unwrap();
    for state in [None, Some(folder.path().join("demo.json"))] {
        let world = Arc::new(World::with(|options| options.state = state).await);
        let (_, token) = world.grant().await;
        let mut flights = JoinSet::new();
        for _ in 0..8 {
            let (world, token) = (Arc::clone(&world), token.clone());
            flights.spawn(async move { world.refresh(&token).await });
        }
        let answers = flights.join_all().await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!((won.len(), lost.len()), (1, 7));
        assert!(lost.iter().all(|answer| answer.error() == invalid_grant()));
        let (access, next) = won[0].tokens();
        assert_eq!(world.refresh(&next).await.error(), invalid_grant());
        assert!(!world.works(&access).await);
    }
}

#[tokio::test]
async fn within_the_grace_a_used_refresh_token_still_works() {
    let world = World::with(|options| options.rotation = Rotation::Grace { seconds: 30 }).await;
    let (_, first) = world.grant().await;
    let (_, second) = world.refresh(&first).await.tokens();
    world.pass(Duration::from_secs(29));
    let (_, third) = world.refresh(&first).await.tokens();
    assert_ne!(second, third);
    let (access, fourth) = world.refresh(&second).await.tokens();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.refresh(&first).await.error(), invalid_grant(), "the grace counts from the first use");
    assert_eq!(world.refresh(&fourth).await.error(), invalid_grant());
    assert_eq!(world.refresh(&third).await.error(), invalid_grant());
    assert!(!world.works(&access).await);
}

#[tokio::test]
async fn without_rotation_the_same_refresh_token_goes_on_until_its_end() {
    let world = World::with(|options| options.rotation = Rotation::None).await;
    let (_, token) = world.grant().await;
    for _ in 0..3 {
        let body = world.refresh(&token).await.json();
        assert_eq!((&body["scope"], body.get("refresh_token")), (&ALL.into(), None));
    }
    world.pass(Duration::from_hours(30 * 24));
    assert_eq!(world.refresh(&token).await.error(), invalid_grant());
}

#[tokio::test]
async fn a_refresh_may_narrow_and_never_widens() {
    let world = World::new().await;
    let code = world.code(&[("scope", "profile:read messages:read offline_access")]).await;
    let (_, token) = world.redeem(&code).await.tokens();
    let narrowed = |token, scope| {
        let world = &world;
        async move {
            let fields = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)];
            world.post("token", &fields).await
        }
    };
    for wider in ["messages:write", "profile:read messages:write", "admin", "profile:read,messages:read"] {
        assert_eq!(narrowed(&token, wider).await.error(), (400, "invalid_scope".into()), "{wider}");
    }
    let answer = narrowed(&token, "messages:read").await;
    assert_eq!(answer.json()["scope"], "messages:read");
    let (access, next) = answer.tokens();
    assert_eq!(world.api("GET", "me", &access, "").await.status, 403);
    assert_eq!(world.api("GET", "messages", &access, "").await.status, 200);
    let whole = world.refresh(&next).await.json();
    assert_eq!(
        whole["scope"], "messages:read offline_access profile:read",
        "the grant itself was not narrowed"
    );
}

#[tokio::test]
async fn a_refresh_token_is_bound_to_its_client_and_its_time() {
    let world = World::new().await;
    let (_, token) = world.grant().await;
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    assert_eq!(world.post_as("other", "token", &fields).await.error(), invalid_grant());
    let (access, token) = world.refresh(&token).await.tokens();
    assert_eq!(world.refresh(&access).await.error(), invalid_grant(), "an access token is no refresh token");
    assert!(!world.works(&token).await, "a refresh token is no access token");
    world.pass(Duration::from_hours(30 * 24));
    assert_eq!(world.refresh(&token).await.error(), invalid_grant());
}

#[tokio::test]
async fn what_is_allowed_without_a_browser_turns_and_ends_like_any_other_grant() {
    let world = World::new().await;
    let scopes = ["profile:read", "offline_access"].map(str::to_owned);
    let allowed = world.demo.allow("app", "grace", &scopes).await.unwrap();
    assert!(world.works(allowed.access.expose()).await);
    let first = allowed.refresh.unwrap();
    let (access, _) = world.refresh(first.expose()).await.tokens();
    assert!(world.works(&access).await);
    assert_eq!(world.refresh(first.expose()).await.error(), invalid_grant());
    assert!(!world.works(&access).await);
    let once = world.demo.allow("app", "ada@hello.test", &scopes[..1]).await.unwrap();
    assert!(once.refresh.is_none() && once.subject == "ada");
    for (client, person, scope) in
        [("nobody", "ada", "profile:read"), ("app", "bob", "profile:read"), ("app", "ada", "x")]
    {
        assert!(
            world.demo.allow(client, person, &[scope.to_owned()]).await.is_err(),
            "{client} {person} {scope}"
        );
    }
}
