//! What the store promises, on both engines.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "contenders are tasks of the test itself")]

mod connectors;
mod consents;
mod contract;
mod deliveries;
mod durability;
mod gateway;
mod grants;
mod health;
mod keys;
mod left_open;
mod people;
mod postgres;
mod projects;
mod refreshes;
mod scene;
mod sealed;

use carnet_model::Env;
use carnet_store::{Db, Location};
use carnet_testpg::Database;

/// An empty store of each engine, and what must live as long as it.
struct Stores(Vec<(&'static str, Db, Keep)>);

#[derive(Default)]
struct Keep {
    _folder: Option<tempfile::TempDir>,
    _database: Option<Database>,
}

async fn stores() -> Stores {
    let env = Env::system();
    let folder = tempfile::tempdir().unwrap();
    let mut out = vec![
        ("memory", Db::open(&Location::Memory, &env).await.unwrap(), Keep::default()),
        (
            "sqlite",
            Db::open(&Location::Folder(folder.path().join("data")), &env).await.unwrap(),
            Keep { _folder: Some(folder), ..Keep::default() },
        ),
    ];
    if let Some(database) = Database::create().await.unwrap() {
        let db = Db::open(&Location::Postgres(database.url().to_owned()), &env).await.unwrap();
        out.push(("postgres", db, Keep { _database: Some(database), ..Keep::default() }));
    }
    Stores(out)
}
