//! What is PostgreSQL's alone: its addresses, its encodings, its certificates, and what many writes share.

use carnet_model::Env;
use carnet_model::audit::{Action, AuditEvent};
use carnet_store::{Db, DbError, Location, OpenError, Write, audit};
use carnet_testpg::{Database, Server};
use futures_util::future::join_all;
use tokio_postgres::NoTls;

async fn open(url: &str) -> Result<Db, OpenError> {
    Db::open(&Location::Postgres(url.to_owned()), &Env::system()).await
}

/// Says something to the server as another client would.
async fn say(url: &str, statements: &[&str]) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    for statement in statements {
        client.batch_execute(statement).await.unwrap();
    }
    connection.abort();
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_text_is_refused() {
    let Some(database) = Database::create().await.unwrap() else { return };
    let name = format!("{}_l", database.url().rsplit_once('/').unwrap().1);
    let make =
        format!("create database {name} encoding 'LATIN1' template template0 lc_collate 'C' lc_ctype 'C'");
    say(database.url(), &[&make]).await;
    let refused = open(&format!("{}_l", database.url())).await.err().unwrap();
    let told = refused.to_string();
    assert!(matches!(refused, OpenError::Encoding(_)), "{told}");
    assert!(told.contains("LATIN1") && told.contains("createdb --encoding=UTF8"), "{told}");
}

#[tokio::test]
async fn a_write_that_is_refused_takes_no_neighbour_with_it() {
    let Some(database) = Database::create().await.unwrap() else { return };
    let db = open(database.url()).await.unwrap();
    let env = Env::system();
    let good = AuditEvent::of_system(env.now(), Action::TeamCreate);
    let bad = good.clone().on("a\0b");
    let writes = (0..40).map(|number| {
        let event = if number % 10 == 3 { &bad } else { &good };
        db.write(Write::new().event(&env, event))
    });
    for (number, answer) in join_all(writes).await.into_iter().enumerate() {
        if number % 10 == 3 {
            assert!(matches!(answer, Err(DbError::Refused(_))), "{number}: {answer:?}");
        } else {
            answer.unwrap();
        }
    }
    assert_eq!(audit::extent(&db).await.unwrap(), (36, 36), "each has a place, and none is left out");
}

#[tokio::test]
async fn what_the_address_says_of_the_session_holds() {
    let Some(database) = Database::create().await.unwrap() else { return };
    say(database.url(), &["create schema elsewhere"]).await;
    let _db = open(&format!("{}?options=-csearch_path%3Delsewhere", database.url())).await.unwrap();
    let (client, connection) = tokio_postgres::connect(database.url(), NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let count = "select count(*) from pg_tables where schemaname = $1";
    for (schema, some) in [("elsewhere", true), ("public", false)] {
        let found: i64 = client.query_one(count, &[&schema]).await.unwrap().get(0);
        assert_eq!(found > 0, some, "{schema}: {found}");
    }
    connection.abort();
}

#[tokio::test]
async fn a_server_that_takes_the_connection_and_says_nothing_gives_way_to_the_next() {
    let Some(database) = Database::create().await.unwrap() else { return };
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = database.url().replace("@127.0.0.1:", &format!("@127.0.0.1:{port},127.0.0.1:"));
    assert_ne!(url, database.url());
    // On a machine that is busy enough half of the time may be too little for anybody.
    let mut opened = open(&url).await;
    for _ in 0..5 {
        if opened.is_err() {
            opened = open(&url).await;
        }
    }
    let db = opened.unwrap();
    let begun = std::time::Instant::now();
    for answer in join_all((0..8).map(|_| audit::extent(&db))).await {
        answer.unwrap();
    }
    drop(silent);
    assert!(begun.elapsed() < std::time::Duration::from_millis(1_700), "who answered last is asked first");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_told_and_can_be_vouched_for() {
    if Database::create().await.unwrap().is_none() {
        return;
    }
    let server = Server::start().await.unwrap();
    let plain = format!("{}/postgres", server.url());
    let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    // The files have to be the server's own.
    let file = |text: &str, name: &str| {
        format!(
            "copy (select regexp_split_to_table('{}', '\n')) to program 'umask 077; cat > {name}'",
            text.trim_end()
        )
    };
    let (certificate, key) = (signed.cert.pem(), signed.signing_key.serialize_pem());
    let make = [file(&certificate, "server.crt"), file(&key, "server.key")];
    say(&plain, &[&make[0], &make[1], "alter system set ssl = on", "select pg_reload_conf()"]).await;

    let mut told = String::new();
    // The server takes its new settings in a moment of its own.
    for _ in 0..100 {
        match open(&plain).await {
            Ok(db) => db.close().await,
            Err(OpenError::Db(error)) => {
                told = error.to_string();
                break;
            }
            Err(other) => panic!("{other}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(told.contains("its certificate") && told.contains("sslrootcert=FILE"), "{told}");
    open(&format!("{plain}?sslmode=disable")).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (ca, other) = (folder.path().join("ca.pem"), folder.path().join("other.pem"));
    std::fs::write(&ca, &certificate).unwrap();
    std::fs::write(&other, "nothing").unwrap();
    open(&format!("{plain}?sslmode=verify-full&sslrootcert={}", ca.display())).await.unwrap();
    let unfit = open(&format!("{plain}?sslrootcert={}", other.display())).await.err().unwrap().to_string();
    assert!(unfit.contains("holds no certificate"), "{unfit}");
}
