//! What projects are told, and in which order.

use carnet_model::{Env, Environment, Id, Slug, Time, kind};
use carnet_store::health::{self, Notice};
use carnet_store::projects::{self, Project};
use carnet_store::{Db, Write};

use crate::scene::{connector, scene};
use crate::stores;

/// So much waits for one team that a look at the oldest would see nothing else.
const BACKLOG: i64 = 1_500;

#[tokio::test]
async fn a_team_with_a_backlog_does_not_stand_before_the_others() {
    let env = Env::system();
    for (engine, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let now = env.now();
        let ago = |seconds: i64| Time::from_secs(now.secs() - seconds);
        let theirs = Project {
            id: env.id(),
            team: s.other.id,
            name: Slug::parse("theirs").unwrap(),
            created_at: now,
            updated_at: now,
        };
        let there = connector(&env, s.other.id, "demo/there").connector.id;
        let write = Write::new().step(projects::insert(&theirs));
        let write = [&s.project, &theirs].into_iter().fold(write, |write, project| {
            write.steps(health::set_webhook(project.team, project.id, "https://app.example/hook", now))
        });
        db.write(write).await.unwrap();
        let notice = |project: &Project, connector, seconds| notice(&env, project, connector, ago(seconds));
        for some in (0..BACKLOG).collect::<Vec<_>>().chunks(500) {
            let here = s.connector.connector.id;
            let steps = some.iter().map(|n| health::tell(&notice(&s.project, here, 10_000 - n)));
            db.write(Write::new().steps(steps)).await.unwrap();
        }
        let steps = [20, 10, -60].map(|seconds| health::tell(&notice(&theirs, there, seconds)));
        db.write(Write::new().steps(steps)).await.unwrap();

        let teams = async |each, limit| {
            let due = health::due(&db, now, each, limit).await.unwrap();
            due.iter().map(|one| one.team).collect::<Vec<_>>()
        };
        let (acme, evil) = (s.team.id, s.other.id);
        assert_eq!(teams(3, 64).await, [acme, evil, acme, evil, acme], "{engine}: in turn, the oldest first");
        assert_eq!(teams(8, 2).await, [acme, evil], "{engine}");
        // What is claimed leaves its place to the next.
        let due = health::due(&db, now, 1, 64).await.unwrap();
        assert_eq!(
            due.iter().map(|one| one.created_at).collect::<Vec<_>>(),
            [ago(10_000), ago(20)],
            "{engine}"
        );
        claim(&db, &due[0], now).await;
        let due = health::due(&db, now, 1, 64).await.unwrap();
        assert_eq!(
            due.iter().map(|one| one.created_at).collect::<Vec<_>>(),
            [ago(9_999), ago(20)],
            "{engine}"
        );
        db.close().await;
    }
}

async fn claim(db: &Db, notice: &Notice, now: Time) {
    let until = Time::from_secs(now.secs() + 30);
    db.write(Write::new().step(health::claim(notice, now, until))).await.unwrap();
}

fn notice(env: &Env, project: &Project, connector: Id<kind::Connector>, at: Time) -> Notice {
    Notice {
        id: env.id(),
        team: project.team,
        project: project.id,
        environment: Environment::Production,
        connector,
        target: env.bytes(),
        what: "broken".to_owned(),
        since: at.millis(),
        mend_digest: None,
        mend: None,
        url: String::new(),
        body: "{}".to_owned(),
        attempts: 0,
        created_at: at,
    }
}
