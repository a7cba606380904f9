use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::{Env, Id, Slug, Time};
use carnet_store::people::{self, Team};
use carnet_store::{Db, DbError, Step, Write, audit, rules_of, same_rules};

use crate::stores;

fn team(env: &Env, slug: &str) -> Team {
    Team {
        id: env.id(),
        slug: Slug::parse(slug).unwrap(),
        name: slug.to_owned(),
        created_at: env.now(),
        strict_connectors: false,
    }
}

fn event(env: &Env, team: &Team) -> AuditEvent {
    AuditEvent::of_system(env.now(), Action::TeamCreate).in_team(team.id).on(team.id)
}

async fn add(db: &Db, env: &Env, team: &Team) -> Result<carnet_store::Written, DbError> {
    db.write(Write::new().step(people::insert_team(team)).event(env, &event(env, team))).await
}

#[tokio::test]
async fn a_write_is_whole_or_not_at_all() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let (a, b) = (team(&env, "a"), team(&env, "b"));
        add(&db, &env, &a).await.unwrap();
        // The second step meets a row that exists: the first is undone, and so is the event.
        let twice = Write::new()
            .step(people::insert_team(&b))
            .step(people::insert_team(&a))
            .event(&env, &event(&env, &b));
        assert!(matches!(db.write(twice).await, Err(DbError::Conflict)), "{name}");
        assert!(people::team(&db, b.id).await.unwrap().is_none(), "{name}");
        // A step that finds nothing.
        let nobody = Step::one(
            "delete from teams where id = $1",
            vec![Id::<carnet_model::kind::Team>::from_bytes([9; 16]).into()],
        );
        let unmet = Write::new().step(people::insert_team(&b)).step(nobody);
        assert!(matches!(db.write(unmet).await, Err(DbError::Unmet(1))), "{name}");
        assert!(people::team(&db, b.id).await.unwrap().is_none(), "{name}");
        assert_eq!(audit::extent(&db).await.unwrap(), (1, 1), "{name}");
    }
}

#[tokio::test]
async fn the_log_is_dense_under_many_writers_and_failures() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let own = team(&env, "own");
        add(&db, &env, &own).await.unwrap();
        let tasks: Vec<_> = (0..200)
            .map(|i| {
                let (db, env, own) = (db.clone(), env.clone(), own.clone());
                tokio::task::spawn(async move {
                    match i % 4 {
                        0 => drop(add(&db, &env, &own).await.unwrap_err()),
                        1 => drop(add(&db, &env, &team(&env, &format!("t{i}"))).await.unwrap()),
                        2 => drop(
                            db.write(Write::new().event(&env, &event(&env, &own)).only_at(-1))
                                .await
                                .unwrap_err(),
                        ),
                        _ => drop(db.write(Write::new().event(&env, &event(&env, &own))).await.unwrap()),
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(audit::extent(&db).await.unwrap(), (101, 101), "{name}");
        let events = audit::after(&db, own.id, 0, &audit::Filter::default(), 1000).await.unwrap().events;
        assert_eq!(events.len(), 51, "{name}");
        assert!(events.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    }
}

/// A page that looks at so many events and no more ends where the next begins, although others are added at its beginning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_a_log_that_grows_leaves_nothing_between_it_and_the_next() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let own = team(&env, "own");
        add(&db, &env, &own).await.unwrap();
        let good = event(&env, &own);
        let bad = event(&env, &own).ended(Outcome::Failed);
        let pairs =
            |count| (0..count).fold(Write::new(), |write, _| write.event(&env, &good).event(&env, &bad));
        for _ in 0..10 {
            db.write(pairs(505)).await.unwrap();
        }
        let filter = audit::Filter { outcome: Some("success".to_owned()), ..audit::Filter::default() };
        let read = async {
            for _ in 0..20 {
                let page = audit::before(&db, own.id, None, &filter, 10_000).await.unwrap();
                let (next, last) = (page.next.unwrap(), page.events.last().unwrap().seq);
                assert!(
                    last - next <= 1,
                    "{name}: every second fits, the last at {last}, and it goes on at {next}"
                );
            }
        };
        let grow = async {
            loop {
                db.write(pairs(1)).await.unwrap();
            }
        };
        tokio::select! {
            () = read => {}
            () = grow => {}
        }
    }
}

#[tokio::test]
async fn a_decision_made_against_older_rules_is_not_recorded() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let own = team(&env, "own");
        add(&db, &env, &own).await.unwrap();
        let decided_at = db.revision();
        let same = db.write(Write::new().event(&env, &event(&env, &own)).only_at(decided_at)).await.unwrap();
        assert_eq!((same.revision, same.first_seq), (decided_at, Some(2)), "{name}");
        let changed = db.write(Write::new().event(&env, &event(&env, &own)).revises()).await.unwrap();
        assert_eq!(rules_of(changed.revision), rules_of(decided_at) + 1, "{name}");
        assert_eq!(db.revision(), changed.revision, "{name}");
        let late = db.write(Write::new().event(&env, &event(&env, &own)).only_at(decided_at)).await;
        assert!(matches!(late, Err(DbError::Stale(present)) if present == changed.revision), "{name}");
        assert_eq!(audit::extent(&db).await.unwrap(), (3, 3), "{name}");
    }
}

#[tokio::test]
async fn a_renewal_before_its_time_makes_old_only_what_was_made_of_grants() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let own = team(&env, "own");
        add(&db, &env, &own).await.unwrap();
        let one = || Write::new().event(&env, &event(&env, &own));
        let before = db.revision();
        let renewed = db.write(one().renews()).await.unwrap().revision;
        assert_eq!((renewed, db.revision()), (before + 1, before + 1), "{name}");
        assert!(same_rules(before, renewed), "{name}");
        db.write(one().only_at(before)).await.unwrap();
        db.write(one().only_just_at(renewed)).await.unwrap();
        let late = db.write(one().only_just_at(before)).await;
        assert!(matches!(late, Err(DbError::Stale(present)) if present == renewed), "{name}");
        // A change of the rules is newer than every renewal before it.
        let revised = db.write(one().revises().renews()).await.unwrap().revision;
        assert!(revised > renewed && !same_rules(renewed, revised), "{name}");
        assert_eq!(db.refresh_revision().await.unwrap(), revised, "{name}");
    }
}

#[tokio::test]
async fn what_an_event_commits_to_can_be_recomputed() {
    use aws_lc_rs::digest;
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let own = team(&env, "own");
        let mut said = event(&env, &own).with("scopes", "a b").with("n", 7);
        said.at = Time::from_millis(1);
        db.write(Write::new().event(&env, &said)).await.unwrap();
        let [found] =
            &audit::before(&db, own.id, None, &audit::Filter::default(), 9).await.unwrap().events[..]
        else {
            panic!("{name}")
        };
        assert_eq!(found.detail, Some(serde_json::json!({"scopes": "a b", "n": 7})), "{name}");
        assert_eq!(
            (found.seq, found.at, found.action.as_str()),
            (1, Time::from_millis(1), "team.create"),
            "{name}"
        );
        assert_ne!(found.commitment.as_slice(), digest::digest(&digest::SHA256, b"").as_ref(), "{name}");
    }
}
