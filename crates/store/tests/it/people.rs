//! People, their access tokens, and the link that makes the first of them.

use carnet_model::caller::Role;
use carnet_model::rights::{Access, Breadth};
use carnet_model::{Env, Time};
use carnet_store::{Write, access_tokens, people, setup};

use crate::scene::scene;
use crate::stores;

#[tokio::test]
async fn an_access_token_is_good_until_it_ends_or_is_revoked() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let now = env.now();
        let write = async |step| db.write(Write::new().step(step)).await;
        let token = access_tokens::AccessTokenRow {
            id: env.id(),
            team: s.team.id,
            user: s.user.id,
            name: "n".into(),
            last4: "abcd".into(),
            created_at: now,
            expires_at: now,
            revoked_at: None,
            access: Access { breadth: Breadth::Read, project: Some(s.project.id) },
            last_used_at: None,
        };
        write(access_tokens::insert(&token, [5; 32], 1)).await.unwrap();
        let bearer = access_tokens::by_digest(&db, [5; 32]).await.unwrap().unwrap();
        assert_eq!((bearer.token.id, bearer.role), (token.id, Some(Role::Owner)), "{name}");
        assert_eq!(
            (bearer.token.access, bearer.strict, bearer.disabled),
            (token.access.clone(), false, false),
            "{name}"
        );
        assert!(write(access_tokens::revoke(s.other.id, s.user.id, token.id, now)).await.is_err(), "{name}");
        let before = Time::from_millis(now.millis() - 1);
        assert!(write(access_tokens::still_good(token.id, now)).await.is_err(), "{name}: it has expired");
        write(access_tokens::still_good(token.id, before)).await.unwrap();
        write(access_tokens::revoke(s.team.id, s.user.id, token.id, now)).await.unwrap();
        assert!(write(access_tokens::still_good(token.id, before)).await.is_err(), "{name}: it was revoked");
        assert_eq!(
            access_tokens::by_digest(&db, [5; 32]).await.unwrap().unwrap().token.revoked_at,
            Some(now),
            "{name}"
        );
        assert!(access_tokens::of_user(&db, s.team.id, s.user.id).await.unwrap().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn people_and_teams_are_found_by_their_names() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        assert_eq!(people::teams_of(&db, s.user.id).await.unwrap().len(), 1, "{name}");
        assert!(
            people::user_by_email(&db, "a@b.test").await.unwrap().is_some()
                && people::any_team(&db).await.unwrap(),
            "{name}"
        );
        assert!(people::team_by_slug(&db, &s.team.slug).await.unwrap().is_some(), "{name}");
    }
}

#[tokio::test]
async fn of_two_set_up_links_the_later_one_counts_and_once() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let now = env.now();
        let write = async |step| db.write(Write::new().step(step)).await;
        db.write(Write::new().steps(setup::insert([1; 32], now, Time::from_millis(now.millis() + 1000))))
            .await
            .unwrap();
        db.write(Write::new().steps(setup::insert([2; 32], now, Time::from_millis(now.millis() + 1000))))
            .await
            .unwrap();
        assert!(
            setup::is_open(&db, [2; 32], now).await.unwrap()
                && !setup::is_open(&db, [1; 32], now).await.unwrap(),
            "{name}"
        );
        assert!(write(setup::take([1; 32], now)).await.is_err(), "{name}");
        write(setup::take([2; 32], now)).await.unwrap();
        assert!(write(setup::take([2; 32], now)).await.is_err(), "{name}");
    }
}
