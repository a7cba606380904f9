//! More rows than fit into one piece of work, and processes that end in the middle. `CARNET_TEST_LONG=1` for a hundred
//! thousand.

use std::time::{Duration, Instant};

use carnet_model::{Env, Environment, Id, kind};
use carnet_testkit::{Engine, Kit, Plan, Raw};
use carnet_vault::{Aad, FileKey, KeyId, KeyRole, Keyring, Location, WrappedKey};
use rusqlite::Connection;

use super::{IN_USE, everything_opens, rotate, status};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_left_of_many_rows_is_sealed_anew_after_each_start() {
    let long = super::is_long();
    let rows: u32 = if long { 100_000 } else { 3_000 };
    let mut kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    kit.restart(async |kit| fill(kit, rows).await).await;
    rotate(&kit, "team").await;
    kit.clock.pass(IN_USE);
    let begun = Instant::now();
    let role = format!("team:{}", kit.tenant.team);
    let mut restarts = 0;
    loop {
        let status = status(&kit).await;
        let old = status["keys"].as_array().unwrap().iter().find(|key| key["role"] == role.as_str()).unwrap();
        if old["state"] == "empty" {
            break;
        }
        let left = old["left"].as_i64().unwrap_or(i64::from(rows));
        if restarts < 3 && left > 0 && left < i64::from(rows) {
            restarts += 1;
            kit.restart(async |_| {}).await;
        }
        assert!(begun.elapsed() < Duration::from_mins(5), "{left} of {rows} are left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{rows} rows sealed anew in {:?}, with {restarts} restarts", begun.elapsed());
    assert!(restarts > 0, "it was stopped in the middle");
    assert!(everything_opens(&kit).await >= u64::from(rows));
}

/// Rows as the broker would seal them, without asking a provider for each.
async fn fill(kit: &Kit, rows: u32) {
    let env = Env::system();
    let Raw::Sqlite(folder) = kit.raw().await else { panic!("on SQLite") };
    let mut raw = Connection::open(folder.join("carnet.db")).unwrap();
    let deployment: [u8; 16] = raw.query_row("select id from deployment", [], |row| row.get(0)).unwrap();
    let deployment = Id::<kind::Deployment>::from_bytes(deployment);
    let keys: Vec<WrappedKey> = raw
        .prepare("select id, role, version, wrapped_by, wrapped from keys")
        .unwrap()
        .query_map([], |row| {
            Ok(WrappedKey {
                id: KeyId::from_bytes(row.get(0)?),
                role: KeyRole::parse(&row.get::<_, String>(1)?).unwrap(),
                version: row.get(2)?,
                wrapped_by: row.get(3)?,
                wrapped: row.get(4)?,
                created_at: env.now(),
                activates_at: env.now(),
            })
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let kek = FileKey::open(&kit.folder().join("master.key"), Location::Anywhere).unwrap();
    let keyring = Keyring::unlock(deployment, &kek, keys).await.unwrap();
    let team: Id<kind::Team> = Id::parse(&kit.tenant.team).unwrap();
    let connector: Id<kind::Connector> = Id::parse(&kit.connector).unwrap();
    let transaction = raw.transaction().unwrap();
    for _ in 0..rows {
        let place: [u8; 32] = env.bytes();
        let aad = Aad {
            deployment,
            team: Some(team),
            table: "minted_tokens",
            column: "sealed",
            row: &place,
            project: None,
            environment: Some(Environment::Production),
            connector: Some(connector),
            subject: Some("app"),
            version: u64::MAX,
        };
        let sealed = keyring.seal(&env, &aad, b"a token of somebody").unwrap();
        transaction
            .execute(
                "insert into minted_tokens (place, team, connector, environment, subject, sealed, created_at) \
                 values (?1, ?2, ?3, 'production', 'app', ?4, 0)",
                (place, team.bytes(), connector.bytes(), sealed),
            )
            .unwrap();
    }
    transaction.commit().unwrap();
}
