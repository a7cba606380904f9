//! Projects, their environments, and whom a team trusts to name them.

use carnet_model::{Env, Environment, Slug};
use carnet_store::projects::{self, CustomEnvironment};
use carnet_store::{Write, grants, issuers, links};

use crate::scene::{grant, scene};
use crate::stores;

#[tokio::test]
async fn a_project_goes_with_its_environments_and_links() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let now = env.now();
        let write = async |step| db.write(Write::new().step(step)).await;
        let environment =
            CustomEnvironment { id: env.id(), project: s.project.id, slug: Slug::parse("qa").unwrap() };
        write(projects::insert_environment(s.team.id, &environment, now)).await.unwrap();
        assert_eq!(projects::environments(&db, s.team.id, s.project.id).await.unwrap().len(), 1, "{name}");
        assert!(projects::environment(&db, s.other.id, environment.id).await.unwrap().is_none(), "{name}");
        assert_eq!(
            projects::by_name(&db, s.team.id, &s.project.name).await.unwrap().unwrap().id,
            s.project.id,
            "{name}"
        );
        assert_eq!(projects::list(&db, s.team.id, "", 9).await.unwrap().len(), 1, "{name}");
        let own = s.project.name.as_str();
        let loud = own.to_uppercase();
        for (text, after, found) in [
            (own.get(1..).unwrap(), "", 1),
            (loud.as_str(), "", 1),
            ("%", "", 0),
            ("_", "", 0),
            (own, own, 0),
        ] {
            let all = projects::search(&db, s.team.id, text, after, 9).await.unwrap();
            assert_eq!(all.len(), found, "{name}: {text} after {after}");
        }
        let connector = s.connector.connector.id;
        write(links::put(s.team.id, connector, s.project.id, &[Environment::Preview], now)).await.unwrap();
        let g = grant(&env, &s, "user:u");
        write(grants::put(&g, None, None)).await.unwrap();
        db.write(
            Write::new()
                .step(grants::withdraw(s.team.id, g.grant.id, now))
                .steps(projects::delete(s.team.id, s.project.id)),
        )
        .await
        .unwrap();
        assert!(projects::find(&db, s.team.id, s.project.id).await.unwrap().is_none(), "{name}");
        assert!(projects::environment(&db, s.team.id, environment.id).await.unwrap().is_none(), "{name}");
        assert!(links::of_connector(&db, s.team.id, connector).await.unwrap().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn an_issuer_is_found_by_its_team_alone() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let now = env.now();
        let write = async |step| db.write(Write::new().step(step)).await;
        let issuer = issuers::IssuerRow {
            id: env.id(),
            team: s.team.id,
            issuer: "https://i".into(),
            config: "{}".into(),
            created_at: now,
            updated_at: now,
        };
        write(issuers::insert(&issuer)).await.unwrap();
        assert_eq!(issuers::by_issuer(&db, "https://i").await.unwrap().len(), 1, "{name}");
        assert!(issuers::find(&db, s.other.id, issuer.id).await.unwrap().is_none(), "{name}");
        write(issuers::delete(s.team.id, issuer.id)).await.unwrap();
        assert!(issuers::find(&db, s.team.id, issuer.id).await.unwrap().is_none(), "{name}");
    }
}
