use carnet_model::audit::{Action, AuditEvent};
use carnet_model::{Env, Slug};
use carnet_store::people::{self, Team};
use carnet_store::{Db, Location, OpenError, Write, audit};

#[tokio::test]
async fn what_was_acknowledged_is_there_after_reopening() {
    let env = Env::system();
    let folder = tempfile::tempdir().unwrap();
    let place = Location::Folder(folder.path().to_owned());
    for round in 1..=3 {
        let db = Db::open(&place, &env).await.unwrap();
        let team = Team {
            id: env.id(),
            slug: Slug::parse(&format!("t{round}")).unwrap(),
            name: String::new(),
            created_at: env.now(),
            strict_connectors: false,
        };
        let event = AuditEvent::of_system(env.now(), Action::TeamCreate);
        db.write(Write::new().step(people::insert_team(&team)).event(&env, &event)).await.unwrap();
        assert_eq!(audit::extent(&db).await.unwrap(), (round, round));
        db.close().await;
    }
}

#[tokio::test]
async fn a_folder_belongs_to_one_process_at_a_time() {
    let env = Env::system();
    let folder = tempfile::tempdir().unwrap();
    let place = Location::Folder(folder.path().to_owned());
    let first = Db::open(&place, &env).await.unwrap();
    assert!(matches!(Db::open(&place, &env).await, Err(OpenError::InUse(_))));
    drop(first);
    Db::open(&place, &env).await.unwrap();
}

#[tokio::test]
async fn a_store_of_a_newer_carnet_is_refused() {
    let env = Env::system();
    let folder = tempfile::tempdir().unwrap();
    let place = Location::Folder(folder.path().to_owned());
    drop(Db::open(&place, &env).await.unwrap());
    let file = rusqlite::Connection::open(folder.path().join("carnet.db")).unwrap();
    file.execute("insert into schema_migrations values (999, 'later', '', 0)", []).unwrap();
    drop(file);
    assert!(matches!(Db::open(&place, &env).await, Err(OpenError::Newer { found: 999, .. })));
}

#[tokio::test]
async fn the_bundled_sqlite_has_the_wal_fix() {
    // The WAL-reset bug was mended in 3.51.3; two connections of one process are its shape.
    assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
}

#[tokio::test]
async fn the_data_folder_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let env = Env::system();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("a/b");
    let _db = Db::open(&Location::Folder(data.clone()), &env).await.unwrap();
    assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn an_address_that_is_none_and_a_server_that_is_gone_are_told_apart() {
    let env = Env::system();
    let open = |url: &str| Location::Postgres(url.to_owned());
    assert!(matches!(Db::open(&open("nonsense://x"), &env).await, Err(OpenError::Address(_))));
    let begun = std::time::Instant::now();
    let gone = Db::open(&open("postgres://postgres@127.0.0.1:1/x"), &env).await;
    assert!(matches!(gone, Err(OpenError::Db(error)) if error.is_unavailable()));
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
}

/// What another program does to the files is told at once, and nothing is acknowledged that would be lost.
#[tokio::test]
async fn a_file_that_is_held_or_taken_away_takes_no_write_until_it_is_back() {
    let env = Env::system();
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&Location::Folder(folder.path().to_owned()), &env).await.unwrap();
    let write = || Write::new().event(&env, &AuditEvent::of_system(env.now(), Action::TeamCreate));
    db.write(write()).await.unwrap();

    let other = rusqlite::Connection::open(folder.path().join("carnet.db")).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let begun = std::time::Instant::now();
    let (one, two) = tokio::join!(db.write(write()), db.write(write()));
    for held in [one, two] {
        assert!(held.is_err_and(|error| error.is_unavailable()));
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
    other.execute_batch("rollback").unwrap();
    drop(other);
    db.write(write()).await.unwrap();

    for name in ["carnet.db", "carnet.db-wal"] {
        let (there, away) = (folder.path().join(name), folder.path().join("away"));
        std::fs::rename(&there, &away).unwrap();
        assert!(db.write(write()).await.is_err_and(|error| error.is_unavailable()), "{name} is gone");
        std::fs::write(&there, "another").unwrap();
        assert!(db.write(write()).await.is_err_and(|error| error.is_unavailable()), "{name} is another");
        std::fs::rename(&away, &there).unwrap();
        db.write(write()).await.unwrap();
    }
    drop(db);
    let db = Db::open(&Location::Folder(folder.path().to_owned()), &env).await.unwrap();
    assert_eq!(audit::extent(&db).await.unwrap(), (4, 4), "what was acknowledged, and nothing else");
}

#[tokio::test]
async fn sessions_that_began_while_the_server_only_read_are_not_kept() {
    let env = Env::system();
    let Some(database) = carnet_testpg::Database::create().await.unwrap() else { return };
    let db = Db::open(&Location::Postgres(database.url().to_owned()), &env).await.unwrap();
    let event = AuditEvent::of_system(env.now(), Action::TeamCreate);
    let write = async || db.write(Write::new().event(&env, &event)).await;
    // Another client of the same database: it changes the default of sessions to come, and ends those of the store.
    let (other, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let (_, name) = database.url().rsplit_once('/').unwrap();
    let end = "select pg_terminate_backend(pid) from pg_stat_activity \
               where datname = current_database() and pid <> pg_backend_pid()";
    other
        .batch_execute(&format!("alter database {name} set default_transaction_read_only = on; {end}"))
        .await
        .unwrap();
    // Readers fill the pool with sessions that will never write.
    while futures_util::future::join_all((0..8).map(|_| audit::extent(&db))).await.iter().any(Result::is_err)
    {
    }
    assert!(write().await.is_err());
    while futures_util::future::join_all((0..8).map(|_| audit::extent(&db))).await.iter().any(Result::is_err)
    {
    }

    other.batch_execute("set default_transaction_read_only = off").await.unwrap();
    other.batch_execute(&format!("alter database {name} reset default_transaction_read_only")).await.unwrap();
    let mut refused = 0;
    for _ in 0..50 {
        refused += usize::from(write().await.is_err());
    }
    assert!(refused <= 1, "one write finds it out, and takes the others along: {refused}");
    connection.abort();
}
