//! How the engines read the log.

use carnet_model::Env;
use carnet_testpg::Database;
use rusqlite::Connection;

use super::{AFTER, BEFORE, Texts};
use crate::lite::numbered;
use crate::{Db, Location};

/// Each text, and the index by which it finds its rows.
fn each(texts: &Texts) -> [(&'static str, &'static str); 7] {
    [
        (texts.all, "audit_events_team"),
        (texts.tokens, "audit_events_team"),
        (texts.action, "audit_events_action"),
        (texts.target, "audit_events_target"),
        (texts.tokens_of, "audit_events_target"),
        (texts.both, "audit_events_deed"),
        (texts.refused, "audit_events_refused"),
    ]
}

/// Events of a few teams, so that a planner with statistics has a choice. Of one target there are many, and of one
/// action on it few.
const FILL: &str = "insert into audit_events (seq, at, team, actor, action, target, outcome, commitment) \
    with recursive n(n) as (select 1 union all select n + 1 from n where n < 20000) \
    select n, n, TEAM, '{}', 'action.' || cast(n % 50 as text), 'scl_' || cast(n % 40 as text), \
        case when n % 400 = 0 then 'denied' else 'success' end, COMMITMENT from n";

#[tokio::test]
async fn a_filtered_list_of_events_is_read_by_the_index_of_its_filter() {
    let env = Env::system();
    let folder = tempfile::tempdir().unwrap();
    Db::open(&Location::Folder(folder.path().to_owned()), &env).await.unwrap().close().await;
    let lite = Connection::open(folder.path().join("carnet.db")).unwrap();
    let fill =
        FILL.replace("TEAM", "cast('team' || cast(n % 3 as text) as blob)").replace("COMMITMENT", "x'00'");
    lite.execute_batch(&fill).unwrap();
    for texts in [BEFORE, AFTER] {
        for (text, index) in each(&texts) {
            let mut plan = lite.prepare(&format!("explain query plan {}", numbered(text))).unwrap();
            let arguments =
                rusqlite::params![b"team1", 9_000, "action.1", "scl_1", rusqlite::types::Null, 20];
            let lines: Vec<String> =
                plan.query_map(arguments, |row| row.get(3)).unwrap().map(Result::unwrap).collect();
            let plan = lines.join("; ");
            assert!(
                plan.contains(index) && !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"),
                "{text}: {plan}"
            );
        }
    }

    let Some(database) = Database::create().await.unwrap() else { return };
    Db::open(&Location::Postgres(database.url().to_owned()), &env).await.unwrap().close().await;
    let (client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "ends with the client, at the end of the test")]
    let connection = tokio::spawn(connection);
    let fill = FILL
        .replace("TEAM", "convert_to('team' || cast(n % 3 as text), 'UTF8')")
        .replace("COMMITMENT", "'\\x00'::bytea");
    client.batch_execute(&format!("{fill}; analyze audit_events")).await.unwrap();
    // The plan that is kept for a prepared statement, whatever its arguments are: the one that must be right.
    client.batch_execute("set plan_cache_mode = force_generic_plan").await.unwrap();
    for texts in [BEFORE, AFTER] {
        for (text, index) in each(&texts) {
            let name = format!("plan{}", text.len());
            client.batch_execute(&format!("deallocate all; prepare {name} as {text}")).await.unwrap();
            let asked =
                format!("explain execute {name} ('team1'::bytea, 9000, 'action.1', 'scl_1', null, 20)");
            let rows = client.query(&asked, &[]).await.unwrap();
            let plan = rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n");
            // Where no column but the team's narrows it down, walking the whole log backwards is as good to this planner.
            let walks = index == "audit_events_team" && plan.contains("audit_events_pkey");
            assert!((walks || plan.contains(index)) && !plan.contains("Seq Scan"), "{text}: {plan}");
        }
    }
    drop(client);
    connection.await.unwrap().unwrap();
}
