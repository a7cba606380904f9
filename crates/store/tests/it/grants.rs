//! Grants: leases, states, withdrawal; and the tokens that were made of them.

use carnet_model::grant::{Cause, GrantState, Place};
use carnet_model::{Env, Environment, Id, Time};
use carnet_store::{Db, DbError, Write, grants, minted};

use crate::scene::{grant, scene};
use crate::stores;

#[tokio::test]
async fn of_fifty_contenders_one_gets_the_lease() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let g = grant(&env, &s, "user:u");
        db.write(Write::new().step(grants::put(&g, None, None))).await.unwrap();
        let found = grants::at(&db, &g.grant.place).await.unwrap().unwrap();
        let now = db.clock(&env).await.unwrap();
        let until = Time::from_millis(now.millis() + 15_000);
        let tasks: Vec<_> = (0..50_u8)
            .map(|n| {
                let (db, found) = (db.clone(), found.clone());
                tokio::task::spawn(async move {
                    db.write(Write::new().step(grants::lease(&found, [n; 16], now, until))).await.is_ok()
                })
            })
            .collect();
        let mut winners = 0;
        for task in tasks {
            winners += usize::from(task.await.unwrap());
        }
        assert_eq!(winners, 1, "{name}");
        let leased = grants::find(&db, s.team.id, g.grant.id).await.unwrap().unwrap();
        assert_eq!((leased.fence, leased.lease_until), (found.fence + 1, until), "{name}");
        // Its last millisecond is one of it, for whoever looks and for whoever would take it.
        for (millis, held) in [(-1, true), (0, true), (1, false)] {
            let at = Time::from_millis(until.millis() + millis);
            assert_eq!(leased.is_leased(at), held, "{name} {millis}");
            let unmet = Write::new()
                .step(grants::lease(&leased, [60; 16], at, at))
                // Never done: only whether the lease could be had is looked at.
                .step(grants::lease(&leased, [61; 16], at, at));
            let told = db.write(unmet).await.unwrap_err();
            assert_eq!(matches!(told, DbError::Unmet(0)), held, "{name} {millis}: {told}");
        }
        // What it brings is recorded under the fence it got, and only once.
        let mut renewed = leased.clone();
        renewed.grant.version += 1;
        renewed.grant.rt_version += 1;
        renewed.held = vec![8];
        for (fence, met) in [(found.fence, false), (leased.fence, true), (leased.fence, false)] {
            let result = db.write(Write::new().step(grants::renew(&renewed, fence, None))).await;
            assert_eq!(result.is_ok(), met, "{name}");
        }
        // Withdrawn: its place is free, and what comes late does not revive it.
        db.write(Write::new().step(grants::withdraw(s.team.id, g.grant.id, env.now()))).await.unwrap();
        assert!(grants::at(&db, &g.grant.place).await.unwrap().is_none(), "{name}");
        assert_eq!(grants::withdrawn(&db, env.now(), 9).await.unwrap().len(), 1, "{name}");
        let next = grant(&env, &s, "user:u");
        db.write(Write::new().step(grants::put(&next, None, None))).await.unwrap();
        assert_eq!(grants::at(&db, &g.grant.place).await.unwrap().unwrap().grant.id, next.grant.id, "{name}");
    }
}

/// How many grants are due.
async fn due(db: &Db, now: Time) -> usize {
    let mut found = 0;
    for one in grants::due(db, now, 9).await.unwrap() {
        found += grants::due_of(db, one, now, 9).await.unwrap().len();
    }
    found
}

#[tokio::test]
async fn a_grant_keeps_its_state_and_cause() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let g = grant(&env, &s, "user:u");
        db.write(Write::new().step(grants::put(&g, Some(env.now()), None))).await.unwrap();
        assert_eq!(due(&db, env.now()).await, 1, "{name}");
        let stale = grants::needs_consent(s.team.id, g.grant.id, 0, Cause::Expired, env.now());
        assert!(matches!(db.write(Write::new().step(stale)).await, Err(DbError::Unmet(0))), "{name}");
        for cause in Cause::ALL {
            let at = env.now();
            db.write(Write::new().step(grants::needs_consent(s.team.id, g.grant.id, 1, cause, at)))
                .await
                .unwrap();
            let found = grants::find(&db, s.team.id, g.grant.id).await.unwrap().unwrap();
            assert_eq!(found.grant.state, GrantState::NeedsConsent { since: at, cause }, "{name}");
            assert_eq!(due(&db, env.now()).await, 0, "{name}");
            db.write(Write::new().step(grants::put(&g, Some(at), Some(1)))).await.unwrap();
        }
        // The same place cannot be taken twice; others can.
        let twin = grant(&env, &s, "user:u");
        assert!(
            matches!(
                db.write(Write::new().step(grants::put(&twin, None, None))).await,
                Err(DbError::Conflict)
            ),
            "{name}"
        );
        for place in [
            Place { project: None, ..g.grant.place.clone() },
            Place { environment: Environment::Preview, ..g.grant.place.clone() },
            Place { subject: "user:v".into(), ..g.grant.place.clone() },
            Place { installation: Some(env.id()), ..g.grant.place.clone() },
        ] {
            let mut twin = grant(&env, &s, "user:u");
            twin.grant.place = place.clone();
            db.write(Write::new().step(grants::put(&twin, None, None))).await.unwrap();
            assert_eq!(grants::at(&db, &place).await.unwrap().unwrap().grant.place, place, "{name}");
        }
        assert_eq!(
            grants::of_connector(&db, s.team.id, s.connector.connector.id, None, 99).await.unwrap().len(),
            5,
            "{name}"
        );
    }
}

#[tokio::test]
async fn grants_are_withdrawn_together_and_only_where_it_was_said() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let (team, connector) = (s.team.id, s.connector.connector.id);
        let installed = env.id();
        let mut write = Write::new();
        for (subject, installation, project) in [
            ("user:a", None, Some(s.project.id)),
            ("user:b", Some(installed), Some(s.project.id)),
            ("user:c", None, None),
        ] {
            let mut g = grant(&env, &s, subject);
            g.grant.place = Place { installation, project, ..g.grant.place };
            write = write.step(grants::put(&g, None, None));
        }
        db.write(write).await.unwrap();
        let left = async || {
            let rows = grants::of_connector(&db, team, connector, None, 9).await.unwrap();
            let mut left: Vec<_> = rows.into_iter().map(|row| row.grant.place.subject).collect();
            left.sort();
            left
        };
        for (step, want) in [
            (
                grants::withdraw_of_connector(s.other.id, connector, None, env.now()),
                &["user:a", "user:b", "user:c"][..],
            ),
            (
                grants::withdraw_of_connector(team, connector, Some(env.id()), env.now()),
                &["user:a", "user:b", "user:c"],
            ),
            (
                grants::withdraw_of_connector(team, connector, Some(installed), env.now()),
                &["user:a", "user:c"],
            ),
            (grants::withdraw_of_project(s.other.id, s.project.id, env.now()), &["user:a", "user:c"]),
            (grants::withdraw_of_project(team, s.project.id, env.now()), &["user:c"]),
            (grants::withdraw_of_connector(team, connector, None, env.now()), &[]),
        ] {
            db.write(Write::new().step(step)).await.unwrap();
            assert_eq!(left().await, want, "{name}");
        }
        assert!(
            matches!(
                db.write(Write::new().step(grants::none_left(team, connector))).await,
                Err(DbError::Unmet(0))
            ),
            "{name}: the provider has yet to be told"
        );
        for row in grants::withdrawn(&db, env.now(), 9).await.unwrap() {
            db.write(Write::new().steps(grants::delete(team, row.grant.id, &[]))).await.unwrap();
        }
        db.write(Write::new().step(grants::none_left(team, connector))).await.unwrap();
    }
}

#[tokio::test]
async fn a_made_token_takes_the_place_of_the_one_before_and_goes_when_it_ends() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let now = env.now();
        let write = async |step| db.write(Write::new().step(step)).await;
        let row = minted::MintedRow {
            place: [1; 32],
            team: s.team.id,
            connector: s.connector.connector.id,
            grant: None,
            installation: Some(Id::from_bytes([7; 16])),
            project: None,
            environment: Environment::Preview,
            subject: "app".into(),
            sealed: vec![1],
            expires_at: Some(now),
            created_at: now,
        };
        write(minted::put(&row)).await.unwrap();
        write(minted::put(&minted::MintedRow { sealed: vec![2], ..row.clone() })).await.unwrap();
        assert_eq!(minted::at(&db, s.team.id, [1; 32]).await.unwrap().unwrap().sealed, vec![2], "{name}");
        assert!(minted::at(&db, s.other.id, [1; 32]).await.unwrap().is_none(), "{name}");
        assert_eq!(
            minted::without_grant(&db, s.team.id, s.connector.connector.id).await.unwrap().len(),
            1,
            "{name}"
        );
        write(minted::sweep(Time::from_millis(now.millis() + 1))).await.unwrap();
        assert!(minted::at(&db, s.team.id, [1; 32]).await.unwrap().is_none(), "{name}");
        // Those of an installation go with it, and nobody else's.
        let beside =
            minted::MintedRow { place: [2; 32], installation: Some(Id::from_bytes([8; 16])), ..row.clone() };
        write(minted::put(&row)).await.unwrap();
        write(minted::put(&beside)).await.unwrap();
        let there = async |n| minted::is_there(&db, s.team.id, Id::from_bytes([n; 16])).await.unwrap();
        write(minted::delete_of_installation(s.other.id, Id::from_bytes([7; 16]))).await.unwrap();
        assert!(there(7).await, "{name}");
        write(minted::delete_of_installation(s.team.id, Id::from_bytes([7; 16]))).await.unwrap();
        assert_eq!((there(7).await, there(8).await), (false, true), "{name}");
    }
}

#[tokio::test]
async fn the_grants_of_one_subject_are_found_wherever_it_consented_and_a_page_at_a_time() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let (team, connector) = (s.team.id, s.connector.connector.id);
        let mut own = Vec::new();
        for environment in [Environment::Production, Environment::Preview, Environment::Development] {
            for subject in ["user:a", "user:b"] {
                let mut row = grant(&env, &s, subject);
                row.grant.place.environment = environment;
                if subject == "user:a" {
                    own.push(row.grant.id);
                }
                db.write(Write::new().step(grants::put(&row, None, None))).await.unwrap();
            }
        }
        own.sort();
        let ids = |rows: Vec<grants::GrantRow>| rows.into_iter().map(|row| row.grant.id).collect::<Vec<_>>();
        assert_eq!(ids(grants::of_subject(&db, team, connector, "user:a").await.unwrap()), own, "{name}");
        let page = async |after| {
            ids(grants::page_of_subject(&db, team, connector, "user:a", after, 2).await.unwrap())
        };
        assert_eq!(page(None).await, own[..2], "{name}");
        assert_eq!(page(Some(own[1])).await, own[2..], "{name}");
        assert!(grants::of_subject(&db, s.other.id, connector, "user:a").await.unwrap().is_empty(), "{name}");
    }
}
