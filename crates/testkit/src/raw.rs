//! The store from behind: SQL as an operator with the database in hand would run it, and every byte that is kept.

use std::path::PathBuf;

use carnet_model::{Clock as _, SystemClock};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

/// A way to the store that does not go through the broker.
pub enum Raw {
    /// The folder of `carnet.db`.
    Sqlite(PathBuf),
    /// A connection.
    Postgres(tokio_postgres::Client, JoinSet<()>),
}

/// A write lock in our hands.
pub enum Held {
    /// On this connection.
    Sqlite(Connection),
    /// On the connection of the [`Raw`] itself.
    Postgres,
}

impl Raw {
    /// The database at this address.
    pub async fn postgres(url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        let mut running = JoinSet::new();
        running.spawn(async move { drop(connection.await) });
        Self::Postgres(client, running)
    }

    /// Runs a statement; how many rows it touched.
    pub async fn run(&self, sql: &str) -> u64 {
        match self {
            Self::Sqlite(folder) => {
                let connection = open(folder);
                u64::try_from(connection.execute(sql, []).unwrap()).unwrap()
            }
            Self::Postgres(client, _) => client.execute(sql, &[]).await.unwrap(),
        }
    }

    /// A number.
    pub async fn number(&self, sql: &str) -> i64 {
        match self {
            Self::Sqlite(folder) => open(folder).query_row(sql, [], |row| row.get(0)).unwrap(),
            Self::Postgres(client, _) => client.query_one(sql, &[]).await.unwrap().get(0),
        }
    }

    /// A text.
    pub async fn text(&self, sql: &str) -> String {
        match self {
            Self::Sqlite(folder) => open(folder).query_row(sql, [], |row| row.get(0)).unwrap(),
            Self::Postgres(client, _) => client.query_one(sql, &[]).await.unwrap().get(0),
        }
    }

    /// The time by which the broker measures leases, as an expression: the server's, or this machine's.
    pub fn clock(&self) -> String {
        match self {
            Self::Sqlite(_) => SystemClock.now().millis().to_string(),
            Self::Postgres(..) => "(extract(epoch from clock_timestamp()) * 1000)::bigint".to_owned(),
        }
    }

    /// Lets every access token have ended.
    pub async fn end_access(&self) {
        self.run(&format!("update grants set access_expires_at = {} - 1000", self.clock())).await;
    }

    /// Keeps the broker from writing for as long as this lives: a store that does not answer.
    pub async fn hold_writes(&self) -> Held {
        match self {
            Self::Sqlite(folder) => {
                let connection = open(folder);
                connection.execute_batch("begin immediate").unwrap();
                Held::Sqlite(connection)
            }
            Self::Postgres(client, _) => {
                client.batch_execute("begin; select * from audit_head for update").await.unwrap();
                Held::Postgres
            }
        }
    }

    /// Lets the broker write again.
    pub async fn release(&self, held: Held) {
        match (self, held) {
            (Self::Postgres(client, _), _) => client.batch_execute("rollback").await.unwrap(),
            (Self::Sqlite(_), Held::Sqlite(connection)) => connection.execute_batch("rollback").unwrap(),
            (Self::Sqlite(_), Held::Postgres) => {}
        }
    }

    /// Every column of every row of every table, each as bytes; on SQLite the bytes of the files besides.
    pub async fn everything(&self) -> Vec<(String, Vec<u8>)> {
        match self {
            Self::Sqlite(folder) => {
                let connection = open(folder);
                let mut found = Vec::new();
                let mut tables =
                    connection.prepare("select name from sqlite_master where type = 'table'").unwrap();
                let tables: Vec<String> =
                    tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
                for table in tables {
                    let mut all = connection.prepare(&format!("select * from {table}")).unwrap();
                    let columns = all.column_count();
                    let mut rows = all.query([]).unwrap();
                    while let Some(row) = rows.next().unwrap() {
                        for column in 0..columns {
                            let bytes = match row.get_ref(column).unwrap() {
                                ValueRef::Null => continue,
                                ValueRef::Integer(number) => number.to_string().into_bytes(),
                                ValueRef::Real(number) => number.to_string().into_bytes(),
                                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
                            };
                            found.push((format!("{table}.{column}"), bytes));
                        }
                    }
                }
                for file in std::fs::read_dir(folder).unwrap() {
                    let path = file.unwrap().path();
                    if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("carnet.db")) {
                        found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
                    }
                }
                found
            }
            Self::Postgres(client, _) => {
                let tables =
                    "select table_name::text from information_schema.tables where table_schema = 'public'";
                let mut found = Vec::new();
                for table in client.query(tables, &[]).await.unwrap() {
                    let table: String = table.get(0);
                    // `bytea` is printed as hexadecimal digits; text inside of it is looked for as bytes.
                    let columns = client
                        .query(
                            "select column_name::text, data_type::text from information_schema.columns \
                             where table_name = $1",
                            &[&table],
                        )
                        .await
                        .unwrap();
                    for column in columns {
                        let (name, kind): (String, String) = (column.get(0), column.get(1));
                        let sql = if kind == "bytea" {
                            format!("select {name} from {table} where {name} is not null")
                        } else {
                            format!(
                                "select convert_to({name}::text, 'UTF8') from {table} where {name} is not null"
                            )
                        };
                        for row in client.query(&sql, &[]).await.unwrap() {
                            found.push((format!("{table}.{name}"), row.get(0)));
                        }
                    }
                }
                found
            }
        }
    }
}

fn open(folder: &std::path::Path) -> Connection {
    let connection = Connection::open(folder.join("carnet.db")).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    connection
}
