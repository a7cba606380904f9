//! Connectors and their installations.

use std::time::Duration;

use carnet_model::{ConnectorRef, Env, Environment, Slug, Time};
use carnet_store::connectors::{Place, Sort};
use carnet_store::pictures::Picture;
use carnet_store::projects::Project;
use carnet_store::{DbError, Write, connectors, creations, grants, installations, links, pictures, projects};

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
            let uids: Vec<_> = connectors::list(&db, s.team.id, &filter, Sort::Name, None, 100)
                .await
                .unwrap()
                .into_iter()
                .map(|row| row.connector.uid.to_string())
                .collect();
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
        for sort in [Sort::Name, Sort::Created, Sort::Updated] {
            let whole = connectors::list(&db, s.team.id, &filter(), sort, None, 100).await.unwrap();
            let whole: Vec<_> = whole.into_iter().map(|row| row.connector.id).collect();
            let mut seen = Vec::new();
            let mut after = None;
            while let [row] = &connectors::list(&db, s.team.id, &filter(), sort, after, 1).await.unwrap()[..]
            {
                seen.push(row.connector.id);
                after = Some(Place::of(&row.connector, sort));
            }
            assert_eq!((seen.len(), &seen), (4, &whole), "{name} {sort:?}");
        }
        // Letters outside ASCII have two cases as well.
        let mut foreign = connector(&env, s.team.id, "slack/umlaut");
        foreign.connector.name = "ÄPFEL".to_owned();
        db.write(Write::new().step(connectors::insert(&foreign))).await.unwrap();
        let search = |text: &str| connectors::Filter { search: Some(text.to_owned()), ..filter() };
        assert_eq!(list(search("äpf")).await, "slack/umlaut", "{name}");
        db.write(Write::new().steps(connectors::delete(s.team.id, foreign.connector.id))).await.unwrap();
        // Of identifiers that are named, those of the team.
        let wanted = [own.id, more[0].connector.id, elsewhere.connector.id];
        let some = connectors::some(&db, s.team.id, &wanted).await.unwrap();
        let mut some: Vec<_> = some.into_iter().map(|row| row.connector.id).collect();
        some.sort();
        let mut own_two = wanted[..2].to_vec();
        own_two.sort();
        assert_eq!(some, own_two, "{name}");
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
            ended_at: None,
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
        // With another client it is none of its own any more, and is in use again where it is installed anew.
        let (team, connector) = (s.team.id, s.connector.connector.id);
        db.write(Write::new().steps(installations::end_all(team, connector, now))).await.unwrap();
        assert_eq!(default().await, None, "{name}");
        assert!(installations::list(&db, team, connector).await.unwrap().is_empty(), "{name}");
        let ended = installations::all(&db, team, connector).await.unwrap();
        assert_eq!((ended.len(), ended[0].ended_at), (1, Some(now)), "{name}");
        write(installations::renew(team, &installation)).await.unwrap();
        let again = installations::list(&db, team, connector).await.unwrap();
        assert_eq!((again.len(), again[0].ended_at), (1, None), "{name}");
        write(connectors::set_default_installation(team, connector, Some(installation.id))).await.unwrap();
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

#[tokio::test]
async fn links_are_paged_and_the_first_of_each_connector_are_shown_with_it() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let own = s.connector.connector.id;
        let second = connector(&env, s.team.id, "slack/second");
        let now = env.now();
        let at = |millis: i64| Time::from_millis(now.millis() + millis);
        let made: Vec<Project> = ["a", "b", "c", "d"]
            .iter()
            .map(|slug| Project {
                id: env.id(),
                team: s.team.id,
                name: Slug::parse(slug).unwrap(),
                created_at: now,
                updated_at: now,
            })
            .collect();
        let mut write =
            Write::new().steps(made.iter().map(projects::insert)).step(connectors::insert(&second));
        for (place, project) in made.iter().enumerate() {
            let at = at(i64::try_from(place / 2).unwrap());
            write = write.step(links::put(s.team.id, own, project.id, &[Environment::Preview], at));
        }
        write = write.step(links::put(
            s.team.id,
            second.connector.id,
            made[0].id,
            &[Environment::Production],
            now,
        ));
        db.write(write).await.unwrap();

        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = links::page_of_connector(&db, s.team.id, own, after, 3).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some((last.link.created_at, last.link.project));
            seen.extend(page.into_iter().map(|linked| linked.project.name.to_string()));
        }
        let (mut early, mut late) = (seen[..2].to_vec(), seen[2..].to_vec());
        early.sort();
        late.sort();
        assert_eq!((early.join(""), late.join("")), ("ab".to_owned(), "cd".to_owned()), "{name}");
        assert!(links::page_of_connector(&db, s.other.id, own, None, 9).await.unwrap().is_empty(), "{name}");

        let page = links::page_of_project(&db, s.team.id, made[0].id, None, 9).await.unwrap();
        assert_eq!(page.len(), 2, "{name}");
        let rest = links::page_of_project(
            &db,
            s.team.id,
            made[0].id,
            Some((page[0].created_at, page[0].connector)),
            9,
        );
        assert_eq!(rest.await.unwrap()[0].connector, page[1].connector, "{name}");
        assert!(links::find(&db, s.other.id, own, made[0].id).await.unwrap().is_none(), "{name}");

        let both = [own, second.connector.id];
        let shown = links::of_connectors(&db, s.team.id, &both, 3).await.unwrap();
        let of = |id| shown.iter().filter(|linked| linked.link.connector == id).count();
        assert_eq!((of(own), of(second.connector.id)), (3, 1), "{name}");
        assert!(links::of_connectors(&db, s.other.id, &both, 3).await.unwrap().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_picture_stays_while_a_connector_shows_it_and_a_code_names_one_connector() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let (own, now) = (&s.connector.connector, env.now());
        let write = async |step| db.write(Write::new().step(step)).await;
        let later = Time::from_millis(now.millis() + 1);
        let picture = Picture { media_type: "image/png".to_owned(), bytes: vec![0, 1, 255] };
        for sha1 in ["shown", "unused"] {
            write(pictures::put(s.team.id, sha1, &picture, now)).await.unwrap();
        }
        let mut row = s.connector.clone();
        row.connector.version = 2;
        row.connector.branding.icon = Some("shown".to_owned());
        write(connectors::update(&row)).await.unwrap();
        assert_eq!(pictures::unused(&db, s.team.id).await.unwrap(), 1, "{name}");
        write(pictures::drop_unused(s.other.id, later)).await.unwrap();
        write(pictures::drop_unused(s.team.id, now)).await.unwrap();
        assert!(pictures::is_there(&db, s.team.id, "unused").await.unwrap(), "{name}: not yet old");
        write(pictures::drop_unused(s.team.id, later)).await.unwrap();
        assert!(!pictures::is_there(&db, s.team.id, "unused").await.unwrap(), "{name}");
        let kept = pictures::find(&db, s.team.id, "shown").await.unwrap().unwrap();
        assert_eq!((kept.media_type.as_str(), kept.bytes), ("image/png", picture.bytes.clone()), "{name}");
        assert!(pictures::find(&db, s.other.id, "shown").await.unwrap().is_none(), "{name}");
        assert!(
            matches!(write(pictures::still_there(s.team.id, "unused")).await, Err(DbError::Unmet(0))),
            "{name}"
        );
        let team =
            async |sha1| connectors::by_icon(&db, own.id, sha1).await.unwrap().map(|row| row.connector.team);
        assert_eq!((team("shown").await, team("unused").await), (Some(s.team.id), None), "{name}");

        write(creations::insert(s.team.id, "code", own.id, now)).await.unwrap();
        let again = write(creations::insert(s.team.id, "code", own.id, now)).await;
        assert!(matches!(again, Err(DbError::Conflict)), "{name}");
        let found = async |team, code| creations::find(&db, team, code).await.unwrap();
        assert_eq!(found(s.team.id, "code").await, Some(own.id), "{name}");
        assert_eq!((found(s.other.id, "code").await, found(s.team.id, "cod").await), (None, None), "{name}");
        db.write(Write::new().steps(connectors::delete(s.team.id, own.id))).await.unwrap();
        assert_eq!(found(s.team.id, "code").await, None, "{name}");
    }
}

#[tokio::test]
async fn a_secret_that_ends_is_looked_after_by_one() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let now = env.now();
        let write = async |step| db.write(Write::new().step(step)).await;
        let due = async |at: Time| connectors::to_renew(&db, at, 9).await.unwrap();
        assert_eq!(due(Time::FAR_FUTURE).await, [], "{name}: none has an end");
        let mut row = s.connector.clone();
        row.connector.version = 2;
        row.connector.data["clientId"] = "given".into();
        let registration = serde_json::json!({"secretExpiresAt": now.plus(Duration::from_secs(9)).millis()});
        row.connector.data.insert("clientRegistration".to_owned(), registration);
        write(connectors::update(&row)).await.unwrap();
        let found = due(now).await;
        assert_eq!(
            (found.len(), found[0].connector, found[0].team),
            (1, row.connector.id, s.team.id),
            "{name}"
        );
        let later = now.plus(Duration::from_secs(5));
        write(connectors::put_off(&found[0], Some(later))).await.unwrap();
        let second = write(connectors::put_off(&found[0], Some(later))).await;
        assert!(matches!(second, Err(DbError::Unmet(0))), "{name}: it was claimed");
        assert_eq!((due(now).await.len(), due(later).await.len()), (0, 1), "{name}");
        write(connectors::look_at(s.team.id, row.connector.id, None)).await.unwrap();
        assert_eq!(due(Time::FAR_FUTURE).await, [], "{name}");
        // A change is looked at anew, whatever it is.
        row.connector.version = 3;
        write(connectors::update(&row)).await.unwrap();
        assert_eq!(due(now).await.len(), 1, "{name}");
        let elsewhere = write(connectors::look_at(s.other.id, row.connector.id, None)).await;
        assert!(matches!(elsewhere, Err(DbError::Unmet(0))), "{name}: of another team");
    }
}
