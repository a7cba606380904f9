//! Associated data, table by table: whatever column decides where a secret goes, a change of it by hand makes the secret
//! open nowhere. Every column of a table with secrets is either bound or listed here with the reason why not.

use carnet_testkit::{Engine, Kit, Raw};
use rusqlite::Connection;

use super::{OF_AN_AUTHORITY, leave_an_orphan, one_of_everything, with_authority};

/// A table with secrets: which change of a column is felt, and which columns may change.
struct Table {
    name: &'static str,
    sealed: &'static str,
    /// Column, and an expression for a value that could stand there.
    bound: &'static [(&'static str, &'static str)],
    /// May change without a new envelope, because it decides nothing about who gets the secret.
    free: &'static [&'static str],
}

const ANOTHER: &str = "x'000102030405060708090a0b0c0d0e0f'";

const CONSENT: &[(&str, &str)] = &[
    ("id", ANOTHER),
    ("team", ANOTHER),
    ("connector", ANOTHER),
    ("project", ANOTHER),
    ("environment", "'preview'"),
    ("subject", "'user:mallory'"),
    ("installation", ANOTHER),
];

const OF_A_CONSENT: &[&str] = &[
    // What was asked for is shown to the person before, and compared with what was granted after.
    "requested_by",
    "ask",
    "result",
    "state",
    "state_digest",
    "browser_digest",
    "code_digest",
    // Each sealed for the same columns; and digests of what the application and the person have.
    "kept",
    "parked",
    "completion_digest",
    "device_digest",
    "device_half",
    "device_tries",
    "created_at",
    "expires_at",
    "updated_at",
];

const TABLES: &[Table] = &[
    Table {
        name: "connectors",
        sealed: "secrets",
        bound: &[
            ("id", ANOTHER),
            ("team", ANOTHER),
            ("type", "'api-key'"),
            ("data", "replace(data, 'clientId', 'clientIe')"),
            ("version", "version + 1"),
        ],
        free: &[
            // Names and looks; the service is what the type and the data make of it.
            "uid",
            "service",
            "name",
            "folded_name",
            "icon",
            "background_color",
            "accent_color",
            "default_installation",
            // Sent along, and compared by the provider with what was registered there.
            "redirect_uri",
            // Only when its server is asked for another client secret.
            "renew_at",
            "created_at",
            "updated_at",
            "created_by",
            "updated_by",
            // Says whose client it is, and is asked by nothing that decides.
            "managed",
        ],
    },
    Table {
        name: "grants",
        sealed: "held",
        bound: &[
            ("id", ANOTHER),
            ("team", ANOTHER),
            ("connector", ANOTHER),
            ("project", ANOTHER),
            ("environment", "'preview'"),
            ("subject", "'user:mallory'"),
            ("installation", ANOTHER),
            ("scopes", "scopes || ' admin'"),
            ("version", "version + 1"),
        ],
        free: &[
            // The digest of columns that are bound.
            "place",
            "state",
            "state_since",
            "cause",
            "external_subject",
            // When tokens end is inside too; the columns are for finding what is due.
            "access_expires_at",
            "refresh_expires_at",
            "ends_since",
            "refreshable",
            "refresh_due",
            // Which of them is to be renewed even if nobody asks.
            "leaked_rt",
            // The order of refreshes.
            "rt_version",
            "lease_owner",
            "lease_until",
            "fence",
            "last_used_at",
            "created_at",
            "updated_at",
        ],
    },
    Table {
        name: "minted_tokens",
        sealed: "sealed",
        bound: &[
            ("place", "x'000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f'"),
            ("team", ANOTHER),
            ("connector", ANOTHER),
            ("project", ANOTHER),
            ("environment", "'preview'"),
            ("subject", "'user:mallory'"),
            ("expires_at", "expires_at + 1"),
        ],
        // Of which grant and installation it is decides when it goes, not who gets it: the place is a digest of the
        // request, which names the installation too.
        free: &["grant_id", "installation", "created_at"],
    },
    Table { name: "consents", sealed: "kept", bound: CONSENT, free: OF_A_CONSENT },
    Table { name: "consents", sealed: "parked", bound: CONSENT, free: OF_A_CONSENT },
    Table {
        name: "connector_keys",
        sealed: "sealed",
        bound: &[
            ("kid", "'another'"),
            ("team", ANOTHER),
            ("connector", ANOTHER),
            ("version", "version + 1"),
            ("algorithm", "'RS256'"),
        ],
        // From when to when it signs: an older key of the same connector at worst.
        free: &["created_at", "activates_at", "gone_at"],
    },
    Table {
        name: "health_notices",
        sealed: "mend",
        bound: &[
            ("id", ANOTHER),
            ("team", ANOTHER),
            ("project", ANOTHER),
            ("environment", "'preview'"),
            ("connector", ANOTHER),
            ("target", ANOTHER),
            ("what", "'idle'"),
            ("since", "since + 1"),
        ],
        free: &[
            // The webhook of the project, as it is set now; what waits is led there when it changes.
            "url",
            // Of what stands in the link.
            "mend_digest",
            "body",
            "state",
            "attempts",
            "due_at",
            "last_error",
            "created_at",
            "ended_at",
        ],
    },
    Table {
        name: "managed_apps",
        sealed: "secrets",
        bound: &[
            ("service", "'another'"),
            ("type", "'api-key'"),
            ("method", "'oauth'"),
            ("data", "replace(data, 'clientId', 'clientIe')"),
            ("teams", "'[]'"),
            ("goes_along", "1 - goes_along"),
            ("created_at", "created_at + 1"),
            ("version", "version + 1"),
            ("params", "'{\"host\":\"evil.example\"}'"),
        ],
        free: &["updated_at", "created_by", "updated_by"],
    },
    Table {
        name: "trigger_events",
        sealed: "content",
        bound: &[("id", ANOTHER), ("team", ANOTHER), ("connector", ANOTHER)],
        // What is said about it; to whom it goes follows from the connector.
        free: &["dedupe", "name", "tenant", "size", "received_at"],
    },
    Table {
        name: "trigger_settings",
        sealed: "secrets",
        bound: &[("connector", ANOTHER), ("team", ANOTHER), ("version", "version + 1")],
        // Whether events are received, and which: nothing is sent to anybody with these secrets.
        free: &["enabled", "events", "created_at", "updated_at"],
    },
    Table {
        name: "acme_accounts",
        sealed: "sealed",
        // The authority; the account's address is inside.
        bound: &[("directory", "'https://ca.example/directory'")],
        free: &["contact", "created_at"],
    },
    Table {
        name: "certificates",
        sealed: "sealed",
        bound: &[("place", "'another'"), ("version", "version + 1")],
        // Public; and a certificate is not served with a key that is not its own.
        free: &["chain", "not_before", "not_after", "created_at"],
    },
    Table { name: "passphrases", sealed: "sealed", bound: &[("user_id", ANOTHER)], free: &["changed_at"] },
    Table {
        name: "signing_keys",
        sealed: "sealed",
        bound: &[("kid", "'another'")],
        // The public half is made from the private one when it is published.
        free: &["algorithm", "public_jwk", "created_at", "activates_at", "retires_at", "gone_at"],
    },
    // The last: for it a grant is refreshed, and a grant that was moved takes it along.
    Table {
        name: "refresh_orphans",
        sealed: "held",
        bound: &[("id", ANOTHER), ("team", ANOTHER), ("grant_id", ANOTHER), ("rt_version", "rt_version + 1")],
        free: &["created_at"],
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_secret_opens_nowhere_but_at_its_place() {
    let kit = Kit::start(Engine::Sqlite, with_authority().await).await;
    one_of_everything(&kit).await;

    let Raw::Sqlite(folder) = kit.raw().await else { panic!("on SQLite") };
    let raw = Connection::open(folder.join("carnet.db")).unwrap();
    raw.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    raw.execute_batch("pragma foreign_keys = off").unwrap();
    for table in TABLES {
        let Table { name, sealed, bound, free } = table;
        if kit.plan.authority.is_none() && OF_AN_AUTHORITY.contains(name) {
            continue;
        }
        if *name == "refresh_orphans" {
            leave_an_orphan(&kit).await;
        }
        let mut columns = raw.prepare(&format!("select name from pragma_table_info('{name}')")).unwrap();
        let columns: Vec<String> =
            columns.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        for column in columns.iter().filter(|column| column != sealed) {
            let listed = bound.iter().filter(|(bound, _)| bound == column).count()
                + free.iter().filter(|free| *free == column).count();
            assert_eq!(listed, 1, "{name}.{column} is bound or free, one of the two");
        }
        let rows: Vec<i64> = raw
            .prepare(&format!("select rowid from {name} where {sealed} is not null"))
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let row = *rows.first().unwrap_or_else(|| panic!("{name} has a secret"));
        for (column, changed) in *bound {
            let before: rusqlite::types::Value = raw
                .query_row(&format!("select {column} from {name} where rowid = ?1"), [row], |row| row.get(0))
                .unwrap();
            let touched = raw
                .execute(&format!("update {name} set {column} = {changed} where rowid = ?1"), [row])
                .unwrap();
            let after: rusqlite::types::Value = raw
                .query_row(&format!("select {column} from {name} where rowid = ?1"), [row], |row| row.get(0))
                .unwrap();
            assert!(touched == 1 && after != before, "{name}.{column} was changed");
            assert_eq!(refused(&kit, name, sealed).await, 1, "{name}.{column}");
            raw.execute(&format!("update {name} set {column} = ?2 where rowid = ?1"), (row, before)).unwrap();
            assert_eq!(refused(&kit, name, sealed).await, 0, "{name}.{column} is back");
        }
        // Every byte of the envelope counts, in the header as in the ciphertext.
        let envelope: Vec<u8> = raw
            .query_row(&format!("select {sealed} from {name} where rowid = ?1"), [row], |row| row.get(0))
            .unwrap();
        let step = envelope.len() / 20;
        for at in (0..envelope.len()).step_by(step.max(1)) {
            let mut altered = envelope.clone();
            altered[at] ^= 1;
            raw.execute(&format!("update {name} set {sealed} = ?2 where rowid = ?1"), (row, altered))
                .unwrap();
            assert_eq!(refused(&kit, name, sealed).await, 1, "{name}: byte {at}");
        }
        raw.execute(&format!("update {name} set {sealed} = ?2 where rowid = ?1"), (row, envelope)).unwrap();
        assert_eq!(refused(&kit, name, sealed).await, 0, "{name}");
    }
}

async fn refused(kit: &Kit, table: &str, column: &str) -> u64 {
    let found = kit.manage("POST", "/v1/keys/verify", None).await.ok();
    let name = format!("{table}.{column}");
    let columns = found["columns"].as_array().unwrap();
    let other: u64 =
        columns.iter().filter(|c| c["name"] != name.as_str()).map(|c| c["refused"].as_u64().unwrap()).sum();
    assert_eq!(other, 0, "{found}");
    let found = columns.iter().find(|c| c["name"] == name.as_str()).unwrap();
    // What belongs to nobody any more opens for nobody either.
    found["refused"].as_u64().unwrap() + found["abandoned"].as_u64().unwrap()
}
