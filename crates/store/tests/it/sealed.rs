//! The list of sealed columns and the schema agree.

use carnet_model::Env;
use carnet_store::sealed::COLUMNS;
use carnet_store::{Db, Location};

/// Columns of bytes that hold no secret, by what they are. A new column of bytes belongs here or into the list of
/// sealed columns, where sealing anew finds it.
const NO_SECRET: &[&str] = &[
    // identifiers
    "id",
    "team",
    "user_id",
    "project",
    "connector",
    "installation",
    "default_installation",
    "grant_id",
    "request",
    "lease_owner",
    "key_id",
    "consent",
    "command_line",
    "token_id",
    "alert_id",
    "made_by",
    "person",
    "target",
    "event",
    "destination",
    "delivery",
    // what an authenticator chose as its name, and the public half of its key
    "credential",
    "public_key",
    // digests of what is drawn at random or stands in other columns
    "digest",
    "place",
    "state_digest",
    "browser_digest",
    "code_digest",
    "completion_digest",
    "device_digest",
    "device_half",
    "digest_before",
    "mend_digest",
    "dedupe",
    "commitment",
    // drawn for a commitment, to be erased with what it commits to
    "salt",
    // shown to whoever looks at a page of its connector
    "picture",
    // keys under other keys, which are wrapped anew as keys
    "wrapped",
];

#[tokio::test]
async fn a_column_of_bytes_is_a_sealed_one_of_the_list_or_known_to_hold_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&Location::Folder(folder.path().to_owned()), &Env::system()).await.unwrap();
    db.close().await;
    let raw = rusqlite::Connection::open(folder.path().join("carnet.db")).unwrap();
    let mut columns = raw
        .prepare(
            "select t.name, c.name from sqlite_master t, pragma_table_info(t.name) c \
             where t.type = 'table' and lower(c.type) = 'bytea' order by 1, 2",
        )
        .unwrap();
    let columns: Vec<(String, String)> =
        columns.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    assert!(columns.len() > 30, "{columns:?}");
    let mut sealed = 0;
    for (table, column) in &columns {
        let listed = COLUMNS.iter().any(|one| one.table == table && one.column == column);
        let known = NO_SECRET.contains(&column.as_str());
        assert!(listed != known, "{table}.{column}: sealed by the list {listed}, no secret {known}");
        sealed += usize::from(listed);
    }
    assert_eq!(sealed, COLUMNS.len(), "the list names a column that the schema does not have");
}
