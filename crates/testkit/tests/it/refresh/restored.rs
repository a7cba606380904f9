//! A copy of a deployment on PostgreSQL, made and brought back as docs/backup.md says, with the commands that stand there.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use carnet_model::grant::Rotation;
use carnet_testkit::{Engine, Kit, Plan};

use crate::anew;

const GRACE: Rotation = Rotation::Grace { seconds: 60 };

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_refresh_token_of_a_copy_is_presented_while_the_access_token_lives() {
    let Some(engine) = Engine::postgres().await else { return };
    for (rotation, spent) in [(GRACE, true), (Rotation::Strict, false)] {
        let first = engine.another().await;
        let mut kit = Kit::start(first, Plan { rotation, ..Plan::default() }).await;
        kit.consent("alice").await;
        let living = kit.user_token("alice").await.token();
        let other = engine.another().await;
        let to = address(&other);
        let first = kit.change_database(other);
        kit.restart(async |kit| {
            for command in commands() {
                let from = if command.starts_with("pg_dump") { address(&first) } else { to.clone() };
                run(&command.replace("postgres://…", &from), kit.folder());
            }
            // What the one that was copied did after the copy.
            if spent {
                assert_eq!(kit.provider.spend(&kit.provider.last_refresh_token()).await.status, 200);
            }
            assert_eq!(kit.raw().await.run(&fenced("sql")).await, 1, "the one grant is put in doubt");
        })
        .await;
        assert_eq!(kit.ask(&anew("alice")).await.token(), living, "{rotation:?}");
        assert_eq!(kit.provider.requests("refresh_token"), 0, "{rotation:?}");

        // It is presented once when there is nothing left to lose.
        kit.clock.pass(Duration::from_hours(2));
        kit.raw().await.end_access().await;
        let answer = kit.ask(&anew("alice")).await;
        if spent {
            assert_eq!(answer.refusal(), (422, "user_authorization_required".to_owned()), "{rotation:?}");
            assert_eq!(answer.json()["error"]["cause"], "crash_during_refresh", "{rotation:?}");
        } else {
            assert!(kit.provider.me(&answer.token()).await.is_some(), "{rotation:?}");
        }
    }
}

fn address(engine: &Engine) -> String {
    let Engine::Postgres(database) = engine else { panic!("it is PostgreSQL") };
    database.url().to_owned()
}

/// What stands between the first fence of this kind in the section about PostgreSQL and its end.
fn fenced(kind: &str) -> String {
    let page = include_str!("../../../../../docs/backup.md");
    let section = page.split_once("## PostgreSQL").unwrap().1;
    let block = section.split_once(&format!("```{kind}\n")).unwrap().1;
    block.split_once("```").unwrap().0.to_owned()
}

fn commands() -> Vec<String> {
    let commands: Vec<String> = fenced("").lines().map(str::to_owned).collect();
    assert_eq!(commands.len(), 2, "{commands:?}");
    commands
}

/// With the programs of the server's own version.
fn run(command: &str, folder: &Path) {
    let programs = carnet_testpg::binaries().unwrap_or_default();
    let command = format!("PATH=\"{}:$PATH\"; {command}", programs.display());
    let done = Command::new("sh").args(["-c", &command]).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
}
