//! Connectors and their installations.

use carnet_model::{ConnectorRef, Env, Environment};
use carnet_store::{DbError, Write, connectors, grants, installations, links};

use crate::scene::{connector, grant, scene};
use crate::stores;

#[tokio::test]
async fn connectors_are_found_listed_and_removed_within_their_team() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let own = &s.connector.connector;
        for reference in [ConnectorRef::Id(own.id), ConnectorRef::Uid(own.uid.clone())] {
            let found = connectors::find(&db, s.team.id, &reference).await.unwrap().unwrap();
            assert_eq!(
                (found.connector.id, found.connector.data["clientId"].as_str()),
                (own.id, Some("x")),
                "{name}"
            );
            assert!(connectors::find(&db, s.other.id, &reference).await.unwrap().is_none(), "{name}");
        }
        let again = connector(&env, s.team.id, "demo/hello");
        assert!(
            matches!(db.write(Write::new().step(connectors::insert(&again))).await, Err(DbError::Conflict)),
            "{name}"
        );
        // The same UID in another team is another connector.
        let elsewhere = connector(&env, s.other.id, "demo/hello");
        let more: Vec<_> = ["slack/a_b", "slack/axb", "github/c"]
            .iter()
            .map(|uid| connector(&env, s.team.id, uid))
            .collect();
        let write = more.iter().chain([&elsewhere]).map(connectors::insert);
        db.write(Write::new().steps(write)).await.unwrap();
        let put = links::put(
            s.team.id,
            own.id,
            s.project.id,
            &[Environment::Preview, Environment::Production],
            env.now(),
        );
        db.write(Write::new().step(put)).await.unwrap();
        let list = async |filter: connectors::Filter| {
            let mut uids: Vec<_> = connectors::list(&db, s.team.id, &filter, None, 100)
                .await
                .unwrap()
                .into_iter()
                .map(|row| row.connector.uid.to_string())
                .collect();
            uids.sort();
            uids.join(" ")
        };
        let filter = connectors::Filter::default;
        assert_eq!(list(filter()).await, "demo/hello github/c slack/a_b slack/axb", "{name}");
        assert_eq!(
            list(connectors::Filter { services: vec!["slack".into(), "github".into()], ..filter() }).await,
            "github/c slack/a_b slack/axb"
        );
        assert_eq!(list(connectors::Filter { types: vec!["api-key".into()], ..filter() }).await, "");
        assert_eq!(
            list(connectors::Filter {
                types: vec!["oauth".into()],
                services: vec!["demo".into()],
                ..filter()
            })
            .await,
            "demo/hello"
        );
        assert_eq!(
            list(connectors::Filter { search: Some("A_B".into()), ..filter() }).await,
            "slack/a_b",
            "{name}"
        );
        assert_eq!(
            list(connectors::Filter { project: Some(s.project.id), ..filter() }).await,
            "demo/hello",
            "{name}"
        );
        // Page by page: no gap, no repeat.
        let mut seen = Vec::new();
        let mut after = None;
        while let [row] = &connectors::list(&db, s.team.id, &filter(), after, 1).await.unwrap()[..] {
            seen.push(row.connector.id);
            after = Some((row.connector.created_at, row.connector.id));
        }
        assert_eq!(seen.len(), 4, "{name}");
        // A change that somebody else was faster with.
        let mut changed = s.connector.clone();
        changed.connector.version = 2;
        changed.connector.name = "New".into();
        db.write(Write::new().step(connectors::update(&changed))).await.unwrap();
        assert!(
            matches!(db.write(Write::new().step(connectors::update(&changed))).await, Err(DbError::Unmet(0))),
            "{name}"
        );
        // Gone with everything that hung on it.
        let g = grant(&env, &s, "user:u");
        db.write(Write::new().step(grants::put(&g, None, None))).await.unwrap();
        assert!(
            matches!(
                db.write(Write::new().steps(connectors::delete(s.other.id, own.id))).await,
                Err(DbError::Unmet(_))
            ),
            "{name}"
        );
        db.write(Write::new().steps(connectors::delete(s.team.id, own.id))).await.unwrap();
        assert!(
            connectors::find(&db, s.team.id, &ConnectorRef::Id(own.id)).await.unwrap().is_none(),
            "{name}"
        );
        assert!(grants::at(&db, &g.grant.place).await.unwrap().is_none(), "{name}");
    }
}

#[tokio::test]
async fn an_installation_that_goes_is_no_longer_the_default() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let now = env.now();
        let write = async |step| db.write(Write::new().step(step)).await;
        let installation = installations::Installation {
            id: env.id(),
            connector: s.connector.connector.id,
            external_id: Some("1".into()),
            tenant_id: None,
            name: None,
            created_at: now,
            updated_at: now,
        };
        write(installations::insert(s.team.id, &installation)).await.unwrap();
        write(connectors::set_default_installation(
            s.team.id,
            s.connector.connector.id,
            Some(installation.id),
        ))
        .await
        .unwrap();
        let own = ConnectorRef::Id(s.connector.connector.id);
        let default = async || {
            connectors::find(&db, s.team.id, &own).await.unwrap().unwrap().connector.default_installation
        };
        assert_eq!(default().await, Some(installation.id), "{name}");
        db.write(Write::new().steps(installations::delete(
            s.team.id,
            s.connector.connector.id,
            installation.id,
        )))
        .await
        .unwrap();
        assert!(
            installations::list(&db, s.team.id, s.connector.connector.id).await.unwrap().is_empty(),
            "{name}"
        );
        assert_eq!(default().await, None, "{name}");
    }
}
