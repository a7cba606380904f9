//! How the engines read the log.

use carnet_model::{Env, Id, kind};
use carnet_testpg::Database;
use rusqlite::Connection;

use super::{AFTER, BEFORE, Filter, Page, Texts, WALKS_AFTER, WALKS_BEFORE, Walks, after, before};
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

/// The same of the texts that look through an index: where the look ends, and what is found on the way.
fn each_walk(walks: &Walks) -> [(&'static str, &'static str); 10] {
    let Walks { team, action, target, both, refused } = walks;
    [
        (team.end, "audit_events_team"),
        (team.page, "audit_events_team"),
        (action.end, "audit_events_action"),
        (action.page, "audit_events_action"),
        (target.end, "audit_events_target"),
        (target.page, "audit_events_target"),
        (both.end, "audit_events_deed"),
        (both.page, "audit_events_deed"),
        (refused.end, "audit_events_refused"),
        (refused.page, "audit_events_refused"),
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
    let texts = [each(&BEFORE), each(&AFTER)].concat();
    let walks = [each_walk(&WALKS_BEFORE), each_walk(&WALKS_AFTER)].concat();
    for (text, index) in texts.iter().chain(&walks) {
        let mut plan = lite.prepare(&format!("explain query plan {}", numbered(text))).unwrap();
        let null = rusqlite::types::Null;
        let explain = |row: &rusqlite::Row<'_>| row.get(3);
        let lines: Vec<String> = if text.contains("$7") {
            let arguments = rusqlite::params![b"team1", 9_000, "action.1", "scl_1", null, 20, 9];
            plan.query_map(arguments, explain).unwrap().map(Result::unwrap).collect()
        } else {
            let arguments = rusqlite::params![b"team1", 9_000, "action.1", "scl_1", null, 20];
            plan.query_map(arguments, explain).unwrap().map(Result::unwrap).collect()
        };
        let plan = lines.join("; ");
        assert!(
            plan.contains(index) && !plan.contains("SCAN audit_events") && !plan.contains("TEMP B-TREE"),
            "{text}: {plan}"
        );
        // Where a look ends is known without reading a single event.
        assert!(!text.contains("offset") || plan.contains("COVERING INDEX"), "{text}: {plan}");
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
    for (text, index) in texts.iter().chain(&walks) {
        let name = format!("plan{}", text.len());
        client.batch_execute(&format!("deallocate all; prepare {name} as {text}")).await.unwrap();
        let last = if text.contains("$7") { "20, 9" } else { "20" };
        let asked =
            format!("explain execute {name} ('team1'::bytea, 9000, 'action.1', 'scl_1', null, {last})");
        let rows = client.query(&asked, &[]).await.unwrap();
        let plan = rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n");
        // Where no column but the team's narrows it down, walking the whole log backwards is as good to this planner.
        let walks = *index == "audit_events_team" && plan.contains("audit_events_pkey");
        assert!((walks || plan.contains(index)) && !plan.contains("Seq Scan"), "{text}: {plan}");
    }
    drop(client);
    connection.await.unwrap().unwrap();
}

const TEAM: Id<kind::Team> = Id::from_bytes([b't'; 16]);

/// Two issued tokens among 25,000 other events of one team.
const RARE: &str = "insert into audit_events (seq, at, team, actor, action, target, outcome, commitment) \
    with recursive n(n) as (select 1 union all select n + 1 from n where n < 25000) \
    select n, n, TEAM, '{}', case when n in (10, 12500) then 'token.issue' else 'token.revoke' end, 'scl_1', \
        case when n = 20000 then 'denied' else 'success' end, COMMITMENT from n";

#[tokio::test]
async fn what_is_rare_is_looked_for_page_by_page_and_none_is_missed() {
    let env = Env::system();
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Folder(folder.path().to_owned());
    Db::open(&location, &env).await.unwrap().close().await;
    let lite = Connection::open(folder.path().join("carnet.db")).unwrap();
    let hex = "74".repeat(16);
    let team = format!("x'{hex}'");
    lite.execute_batch(&RARE.replace("TEAM", &team).replace("COMMITMENT", "zeroblob(32)")).unwrap();
    drop(lite);
    let db = Db::open(&location, &env).await.unwrap();
    every_page(&db).await;
    db.close().await;

    let Some(database) = Database::create().await.unwrap() else { return };
    let location = Location::Postgres(database.url().to_owned());
    let db = Db::open(&location, &env).await.unwrap();
    let (client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "ends with the client, at the end of the test")]
    let connection = tokio::spawn(connection);
    let team = format!("decode('{hex}', 'hex')");
    let commitment = "decode(repeat('00', 32), 'hex')";
    client.batch_execute(&RARE.replace("TEAM", &team).replace("COMMITMENT", commitment)).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
    every_page(&db).await;
    db.close().await;
}

async fn every_page(db: &Db) {
    let told = |page: Page| (page.events.iter().map(|event| event.seq).collect::<Vec<_>>(), page.next);
    let filter = |action: Option<&str>, target: Option<&str>, outcome: Option<&str>| Filter {
        action: action.map(str::to_owned),
        target: target.map(str::to_owned),
        outcome: outcome.map(str::to_owned),
    };
    for target in [None, Some("scl_1")] {
        let issued = filter(Some("token.issue"), target, None);
        let mut pages = Vec::new();
        let mut from = None;
        loop {
            pages.push(told(before(db, TEAM, from, &issued, 100).await.unwrap()));
            from = pages.last().unwrap().1;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(
            pages,
            [(vec![], Some(15_001)), (vec![12_500], Some(5_001)), (vec![10], None)],
            "{target:?}"
        );
        let mut pages = Vec::new();
        let mut from = 0;
        while let (found, Some(next)) = told(after(db, TEAM, from, &issued, 100).await.unwrap()) {
            pages.push((found, next));
            from = next;
        }
        assert_eq!(pages, [(vec![10], 10_000), (vec![12_500], 20_000)], "{target:?}");
        // A page that is full ends where it is full.
        let full = told(before(db, TEAM, Some(15_001), &issued, 1).await.unwrap());
        assert_eq!(full, (vec![12_500], Some(12_500)));
    }
    for (of, found) in [
        // What the index finds alone is found at once, however far it is.
        (filter(Some("token.issue"), None, Some("denied")), (vec![], None)),
        (filter(None, None, Some("denied")), (vec![20_000], None)),
        (filter(Some("token.revoke"), None, Some("denied")), (vec![20_000], None)),
        (filter(Some("token.mint"), None, None), (vec![], None)),
        (filter(None, Some("scl_2"), None), (vec![], None)),
    ] {
        assert_eq!(told(before(db, TEAM, None, &of, 100).await.unwrap()), found, "{of:?}");
    }
    // All of an action that went well: nearly each of those that are looked at.
    let well = filter(Some("token.revoke"), Some("scl_1"), Some("success"));
    let page = before(db, TEAM, Some(20_002), &well, 2).await.unwrap();
    assert_eq!(told(page), (vec![20_001, 19_999], Some(19_999)));
}
