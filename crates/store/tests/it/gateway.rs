//! Who signs in to apps with a connector: each arrow of a session's life, once, and by its own team.

use std::time::Duration;

use carnet_model::{Env, Environment, Id, kind};
use carnet_store::gateway::{self, Person, Session};
use carnet_store::{DbError, Write, connectors, links, projects, redirect_uris};

use crate::scene::{Scene, scene};
use crate::stores;

fn session(env: &Env, s: &Scene, person: Id<kind::GatewayPerson>) -> Session {
    let now = env.now();
    Session {
        id: env.id(),
        team: s.team.id,
        connector: s.connector.connector.id,
        project: s.project.id,
        environment: Environment::Production,
        person,
        installation: None,
        client: "demo/hello".into(),
        redirect_uri: "https://app.example/cb".into(),
        challenge: "c".repeat(43),
        nonce: Some("n".into()),
        scope: "openid".into(),
        code_expires_at: now.plus(Duration::from_mins(1)),
        redeemed_at: None,
        digest: None,
        digest_before: None,
        turned_at: None,
        signed_in_at: now,
        expires_at: now.plus(Duration::from_mins(1)),
        ended_at: None,
    }
}

#[tokio::test]
async fn a_code_is_redeemed_once_and_a_refresh_token_turned_once() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let (team, other, connector) = (s.team.id, s.other.id, s.connector.connector.id);
        let now = env.now();
        let step = async |step| db.write(Write::new().step(step)).await.is_ok();
        let ada = Person { id: env.id(), tenant: String::new(), account: "ada".into() };
        let again = Person { id: env.id(), ..ada.clone() };
        let elsewhere = Person { id: env.id(), tenant: "T1".into(), account: "ada".into() };
        for person in [&ada, &again, &elsewhere] {
            assert!(step(gateway::insert_person(team, connector, person, now)).await, "{name}");
        }
        let found =
            async |tenant: &str| gateway::person_of(&db, team, connector, tenant, "ada").await.unwrap();
        assert_eq!(found("").await, Some(ada.clone()), "{name}: who came first stays");
        assert_eq!(found("T1").await, Some(elsewhere), "{name}: another tenant's is another");
        assert_eq!(gateway::person_of(&db, other, connector, "", "ada").await.unwrap(), None, "{name}");
        assert_eq!(gateway::person(&db, other, ada.id).await.unwrap(), None, "{name}");

        let row = session(&env, &s, ada.id);
        let later = now.plus(Duration::from_hours(1));
        assert!(step(gateway::insert(&row, [1; 32])).await, "{name}");
        assert!(gateway::by_code(&db, other, [1; 32]).await.unwrap().is_none(), "{name}");
        assert!(gateway::find(&db, other, row.id).await.unwrap().is_none(), "{name}");
        assert!(!step(gateway::redeem(other, row.id, [2; 32], now, later)).await, "{name}: another team");
        assert!(!step(gateway::redeem(team, row.id, [2; 32], later, later)).await, "{name}: too late");
        assert!(step(gateway::redeem(team, row.id, [2; 32], now, later)).await, "{name}");
        assert!(!step(gateway::redeem(team, row.id, [3; 32], now, later)).await, "{name}: twice");
        assert!(
            !step(gateway::turn(team, row.id, [9; 32], [3; 32], now, later)).await,
            "{name}: not its own"
        );
        assert!(!step(gateway::turn(other, row.id, [2; 32], [3; 32], now, later)).await, "{name}");
        assert!(step(gateway::turn(team, row.id, [2; 32], [3; 32], now, later)).await, "{name}");
        assert!(!step(gateway::turn(team, row.id, [2; 32], [4; 32], now, later)).await, "{name}: twice");
        assert!(step(gateway::still_lasts(team, row.id, now)).await, "{name}");
        assert!(!step(gateway::still_lasts(team, row.id, later)).await, "{name}: over by itself");
        let read = gateway::by_code(&db, team, [1; 32]).await.unwrap().unwrap();
        assert_eq!(
            (read.digest, read.digest_before, read.redeemed_at, read.nonce.as_deref()),
            (Some([3; 32]), Some([2; 32]), Some(now), Some("n")),
            "{name}"
        );
        assert!(!step(gateway::end(other, row.id, now)).await, "{name}");
        assert!(step(gateway::end(team, row.id, now)).await, "{name}");
        assert!(!step(gateway::end(team, row.id, now)).await, "{name}: once");
        assert!(!step(gateway::turn(team, row.id, [3; 32], [4; 32], now, later)).await, "{name}: ended");
        assert!(!step(gateway::still_lasts(team, row.id, now)).await, "{name}");
        assert!(step(gateway::sweep(now)).await, "{name}");
        assert!(
            gateway::find(&db, team, row.id).await.unwrap().is_some(),
            "{name}: known while it could be tried"
        );
        assert!(step(gateway::sweep(later.plus(Duration::from_secs(1)))).await, "{name}");
        assert!(gateway::find(&db, team, row.id).await.unwrap().is_none(), "{name}");
    }
}

#[tokio::test]
async fn an_address_is_one_projects_and_goes_with_it() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let (team, connector, project) = (s.team.id, s.connector.connector.id, s.project.id);
        let now = env.now();
        let second = projects::Project {
            id: env.id(),
            name: carnet_model::Slug::parse("second").unwrap(),
            ..s.project.clone()
        };
        db.write(Write::new().step(projects::insert(&second))).await.unwrap();
        let set = async |project, uris: &[(&str, Environment)]| {
            let uris: Vec<_> = uris.iter().map(|(uri, place)| ((*uri).to_owned(), *place)).collect();
            db.write(Write::new().steps(redirect_uris::replace(team, connector, project, &uris, now))).await
        };
        let (one, two) = ("https://one.example/cb", "https://two.example/cb");
        set(project, &[(one, Environment::Production), (two, Environment::Preview)]).await.unwrap();
        let taken = set(
            second.id,
            &[("https://three.example", Environment::Production), (two, Environment::Production)],
        )
        .await;
        assert!(matches!(taken, Err(DbError::Unmet(2))), "{name}: {taken:?}");
        let of = async |project| redirect_uris::of_link(&db, team, connector, project).await.unwrap();
        assert_eq!(of(second.id).await, [], "{name}: nothing of it");
        let found = redirect_uris::find(&db, team, connector, two).await.unwrap().unwrap();
        assert_eq!((found.project, found.environment), (project, Environment::Preview), "{name}");
        assert!(redirect_uris::find(&db, s.other.id, connector, two).await.unwrap().is_none(), "{name}");
        let step = redirect_uris::delete_of_environment(team, project, Environment::Preview);
        db.write(Write::new().step(step)).await.unwrap();
        assert_eq!(of(project).await.len(), 1, "{name}");
        set(second.id, &[(two, Environment::Production)]).await.unwrap();

        let ada = Person { id: env.id(), tenant: String::new(), account: "ada".into() };
        let row = session(&env, &s, ada.id);
        let write = Write::new()
            .step(links::put(team, connector, project, &[Environment::Production], now))
            .step(gateway::insert_person(team, connector, &ada, now))
            .step(gateway::insert(&row, [1; 32]));
        db.write(write).await.unwrap();
        db.write(Write::new().steps(projects::delete(team, project))).await.unwrap();
        assert!(gateway::find(&db, team, row.id).await.unwrap().is_none(), "{name}");
        assert_eq!(
            gateway::person(&db, team, ada.id).await.unwrap(),
            Some(ada.clone()),
            "{name}: known elsewhere"
        );
        db.write(Write::new().steps(connectors::delete(team, connector))).await.unwrap();
        assert_eq!(gateway::person(&db, team, ada.id).await.unwrap(), None, "{name}");
        assert!(redirect_uris::find(&db, team, connector, two).await.unwrap().is_none(), "{name}");
    }
}
