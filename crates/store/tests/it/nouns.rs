use carnet_model::caller::{Principal, Role};
use carnet_model::connector::{Branding, Connector, ConnectorType};
use carnet_model::grant::{Cause, Grant, GrantState, Place};
use carnet_model::{ConnectorRef, Env, Environment, Id, Scopes, Slug, Time, Uid, kind};
use carnet_store::connectors::{self, ConnectorRow};
use carnet_store::grants::{self, GrantRow};
use carnet_store::people::{self, Team, User};
use carnet_store::projects::{self, CustomEnvironment, Project};
use carnet_store::refreshes::{self, OpenRefresh};
use carnet_store::{
    Db, DbError, Write, access_tokens, awaited, consents, deployment, installations, issuers, keys, links,
    minted, setup,
};

use crate::stores;

pub(crate) struct Scene {
    pub(crate) team: Team,
    other: Team,
    user: User,
    project: Project,
    pub(crate) connector: ConnectorRow,
}

pub(crate) async fn scene(db: &Db, env: &Env) -> Scene {
    let now = env.now();
    let team = |slug: &str| Team {
        id: env.id(),
        slug: Slug::parse(slug).unwrap(),
        name: slug.into(),
        created_at: now,
    };
    let (team, other) = (team("acme"), team("evil"));
    let user = User { id: env.id(), email: "a@b.test".into(), name: "A".into(), created_at: now };
    let project = Project {
        id: env.id(),
        team: team.id,
        name: Slug::parse("app").unwrap(),
        created_at: now,
        updated_at: now,
    };
    let connector = connector(env, team.id, "demo/hello");
    let write = Write::new()
        .steps([people::insert_team(&team), people::insert_team(&other), people::insert_user(&user)])
        .step(people::insert_member(team.id, user.id, Role::Owner, now))
        .step(projects::insert(&project))
        .step(connectors::insert(&connector));
    db.write(write).await.unwrap();
    Scene { team, other, user, project, connector }
}

fn connector(env: &Env, team: Id<kind::Team>, uid: &str) -> ConnectorRow {
    let uid = Uid::parse(uid).unwrap();
    ConnectorRow {
        connector: Connector {
            id: env.id(),
            team,
            service: uid.as_str().split('/').next().unwrap().to_owned(),
            name: format!("The {uid}"),
            uid,
            r#type: ConnectorType::Oauth,
            data: serde_json::Map::from_iter([("clientId".to_owned(), "x".into())]),
            branding: Branding { icon: None, background_color: Some("#000000".into()), accent_color: None },
            default_installation: None,
            redirect_uri: None,
            created_at: env.now(),
            updated_at: env.now(),
            created_by: Principal::System,
            updated_by: Principal::System,
            version: 1,
        },
        secrets: vec![1, 2, 3],
    }
}

pub(crate) fn grant(env: &Env, scene: &Scene, subject: &str) -> GrantRow {
    let now = env.now();
    GrantRow {
        grant: Grant {
            id: env.id(),
            place: Place {
                team: scene.team.id,
                connector: scene.connector.connector.id,
                project: Some(scene.project.id),
                environment: Environment::Production,
                subject: subject.to_owned(),
                installation: None,
            },
            state: GrantState::Active,
            scopes: Some(Scopes::parse(["a", "b"]).unwrap()),
            external_subject: None,
            access_expires_at: Some(now),
            refresh_expires_at: None,
            refreshable: true,
            version: 1,
            rt_version: 1,
            created_at: now,
            updated_at: now,
        },
        held: vec![7],
        fence: 0,
        lease_until: Time::from_millis(0),
        last_used_at: now,
    }
}

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

/// A refresh of this grant, sent now.
pub(crate) fn sent(env: &Env, row: &GrantRow, now: Time) -> OpenRefresh {
    OpenRefresh {
        id: env.id(),
        team: row.grant.place.team,
        grant: row.grant.id,
        fence: row.fence + 1,
        rt_version: row.grant.rt_version,
        sent_at: now,
        lost: false,
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
            db.write(Write::new().steps(grants::delete(team, row.grant.id))).await.unwrap();
        }
        db.write(Write::new().step(grants::none_left(team, connector))).await.unwrap();
    }
}

#[tokio::test]
async fn a_request_for_consent_is_used_once() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let now = env.now();
        let consent = consents::Consent {
            id: env.id(),
            team: s.team.id,
            connector: s.connector.connector.id,
            project: Some(s.project.id),
            environment: Environment::Development,
            subject: "user:u".into(),
            installation: None,
            requested_by: Principal::System,
            ask: serde_json::json!({"scopes": ["a"]}),
            state: consents::ConsentState::Pending,
            browser_digest: None,
            kept: None,
            parked: None,
            completion_digest: None,
            result: None,
            created_at: now,
            expires_at: Time::from_millis(now.millis() + 60_000),
        };
        let done = serde_json::json!({"status": "success"});
        let step = async |step| db.write(Write::new().step(step)).await.is_ok();
        assert!(step(consents::insert(&consent, [1; 32], None)).await, "{name}");
        assert!(!step(consents::take(consent.id, [2; 32], now)).await, "{name}: not sent yet");
        assert!(step(consents::approve(consent.id, [2; 32], [3; 32], vec![1], now)).await, "{name}");
        assert!(
            !step(consents::approve(consent.id, [4; 32], [9; 32], vec![1], now)).await,
            "{name}: another browser"
        );
        assert!(
            step(consents::approve(consent.id, [4; 32], [3; 32], vec![1], now)).await,
            "{name}: went back"
        );
        assert!(!step(consents::take(consent.id, [2; 32], now)).await, "{name}: old state");
        assert!(
            !step(consents::take(consent.id, [4; 32], Time::from_millis(now.millis() + 60_001))).await,
            "{name}: expired"
        );
        assert!(step(consents::take(consent.id, [4; 32], now)).await, "{name}");
        assert!(!step(consents::take(consent.id, [4; 32], now)).await, "{name}: twice");
        assert!(step(consents::finish(consent.id, &done, now)).await, "{name}");
        assert!(!step(consents::finish(consent.id, &done, now)).await, "{name}: over");
        let found = consents::by_code(&db, s.team.id, [1; 32]).await.unwrap().unwrap();
        assert_eq!(
            (found.state, found.result, found.kept),
            (consents::ConsentState::Done, Some(done), None),
            "{name}"
        );
        assert!(consents::by_code(&db, s.other.id, [1; 32]).await.unwrap().is_none(), "{name}");
        assert!(consents::by_state(&db, [4; 32]).await.unwrap().is_some(), "{name}");
    }
}

#[tokio::test]
async fn the_smaller_nouns_read_back() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let now = env.now();
        let write = async |step| db.write(Write::new().step(step)).await;
        // deployment: one row
        let id = env.id();
        write(deployment::insert(id, now)).await.unwrap();
        assert!(write(deployment::insert(env.id(), now)).await.is_err(), "{name}");
        assert_eq!(deployment::find(&db).await.unwrap(), Some(id), "{name}");
        // access tokens
        let token = access_tokens::AccessTokenRow {
            id: env.id(),
            team: s.team.id,
            user: s.user.id,
            name: "n".into(),
            last4: "abcd".into(),
            created_at: now,
            expires_at: now,
            revoked_at: None,
        };
        write(access_tokens::insert(&token, [5; 32], 1)).await.unwrap();
        let bearer = access_tokens::by_digest(&db, [5; 32]).await.unwrap().unwrap();
        assert_eq!((bearer.token.id, bearer.role), (token.id, Some(Role::Owner)), "{name}");
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
        // projects and environments
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
        assert_eq!(people::teams_of(&db, s.user.id).await.unwrap().len(), 1, "{name}");
        assert!(
            people::user_by_email(&db, "a@b.test").await.unwrap().is_some()
                && people::any_team(&db).await.unwrap(),
            "{name}"
        );
        assert!(people::team_by_slug(&db, &s.team.slug).await.unwrap().is_some(), "{name}");
        // issuers
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
        // installations
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
        // keys
        let key = keys::KeyRow {
            id: [1; 16],
            role: "root".into(),
            version: 1,
            wrapped_by: "file".into(),
            wrapped: vec![1],
            created_at: now,
            activates_at: now,
            emptied_at: None,
        };
        write(keys::insert(&key)).await.unwrap();
        assert_eq!(
            (keys::all(&db).await.unwrap().len(), keys::of_role(&db, "root").await.unwrap().len()),
            (1, 1),
            "{name}"
        );
        let signing = keys::SigningKeyRow {
            kid: "k".into(),
            algorithm: "RS256".into(),
            public_jwk: "{}".into(),
            sealed: vec![1],
            created_at: now,
            activates_at: now,
            retires_at: None,
            gone_at: None,
        };
        write(keys::insert_signing(&signing)).await.unwrap();
        write(keys::retire_signing("k", now, now)).await.unwrap();
        assert!(keys::signing(&db, now).await.unwrap().is_empty(), "{name}");
        // set-up links: the later one counts, once
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
        // refresh operations and orphans
        let g = grant(&env, &s, "user:u");
        write(grants::put(&g, None, None)).await.unwrap();
        let open = sent(&env, &g, now);
        write(refreshes::intend(&open)).await.unwrap();
        assert_eq!(
            refreshes::stranded(&db, Time::from_millis(now.millis() + 1), None, 9).await.unwrap().len(),
            1,
            "{name}"
        );
        write(refreshes::lose(open.id)).await.unwrap();
        assert!(refreshes::open_of(&db, s.team.id, g.grant.id).await.unwrap()[0].lost, "{name}");
        write(refreshes::end(s.team.id, g.grant.id, 1)).await.unwrap();
        assert!(refreshes::open_of(&db, s.team.id, g.grant.id).await.unwrap().is_empty(), "{name}");
        let orphan = refreshes::Orphan {
            id: open.id,
            team: s.team.id,
            grant: g.grant.id,
            rt_version: 1,
            held: vec![1],
            created_at: now,
        };
        write(refreshes::keep_orphan(&orphan)).await.unwrap();
        assert_eq!(
            (
                refreshes::orphans_of(&db, s.team.id, g.grant.id).await.unwrap().len(),
                refreshes::orphans(&db, 9).await.unwrap().len()
            ),
            (1, 1)
        );
        write(refreshes::drop_orphan(orphan.id)).await.unwrap();
        // requests whose provider is asked
        let turn = awaited::Awaited { consent: env.id(), due_at: now, every_seconds: 5 };
        let after = |by: i64| Time::from_millis(now.millis() + by);
        write(awaited::put(turn)).await.unwrap();
        write(awaited::take(turn, after(5), 5)).await.unwrap();
        assert!(write(awaited::take(turn, after(9), 5)).await.is_err(), "{name}: a turn is taken once");
        let next = awaited::Awaited { due_at: after(5), ..turn };
        assert_eq!(awaited::overdue(&db, after(6), 9).await.unwrap(), [next], "{name}");
        assert_eq!(awaited::overdue(&db, after(5), 9).await.unwrap(), [], "{name}: not over its time");
        write(awaited::put(turn)).await.unwrap();
        assert!(write(awaited::take(next, after(9), 5)).await.is_err(), "{name}: it began anew");
        write(awaited::forget(turn.consent)).await.unwrap();
        write(awaited::forget(turn.consent)).await.unwrap();
        assert_eq!(awaited::overdue(&db, Time::FAR_FUTURE, 9).await.unwrap(), [], "{name}");
        // minted tokens
        let row = minted::MintedRow {
            place: [1; 32],
            team: s.team.id,
            connector: s.connector.connector.id,
            grant: None,
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
        // a project goes with its links
        db.write(
            Write::new()
                .step(grants::withdraw(s.team.id, g.grant.id, now))
                .steps(projects::delete(s.team.id, s.project.id)),
        )
        .await
        .unwrap();
        assert!(projects::find(&db, s.team.id, s.project.id).await.unwrap().is_none(), "{name}");
    }
}
