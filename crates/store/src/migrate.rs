//! Brings the schema up to date, forward only.
//!
//! Files are named `NNNN_what.sql` and have one text for both engines, or one each (`.lite.sql`, `.pg.sql`) where the
//! dialects differ. A file that has been released is never changed: its checksum is kept beside its number. A store
//! with a number that this build does not know is refused.

use aws_lc_rs::digest;
use carnet_model::Time;

use crate::db::OpenError;
use crate::lite::failed;

struct Migration {
    version: i64,
    name: &'static str,
    lite: &'static str,
    pg: &'static str,
}

macro_rules! migration {
    ($version:literal, $name:literal) => {
        Migration {
            version: $version,
            name: $name,
            lite: include_str!(concat!("../migrations/", $name, ".sql")),
            pg: include_str!(concat!("../migrations/", $name, ".sql")),
        }
    };
    ($version:literal, $name:literal, two) => {
        Migration {
            version: $version,
            name: $name,
            lite: include_str!(concat!("../migrations/", $name, ".lite.sql")),
            pg: include_str!(concat!("../migrations/", $name, ".pg.sql")),
        }
    };
}

const MIGRATIONS: &[Migration] = &[
    migration!(1, "0001_audit", two),
    migration!(2, "0002_keys"),
    migration!(3, "0003_people_and_projects"),
    migration!(4, "0004_connectors"),
    migration!(5, "0005_grants"),
    migration!(6, "0006_consents"),
    migration!(7, "0007_connector_keys"),
    migration!(8, "0008_consent_endings"),
    migration!(9, "0009_key_turning"),
    migration!(10, "0010_awaited_consents"),
    migration!(12, "0012_due"),
    migration!(13, "0013_rights"),
    migration!(14, "0014_sign_in"),
    migration!(15, "0015_contract"),
    migration!(17, "0017_usage"),
    migration!(18, "0018_sign_in_elsewhere"),
    migration!(19, "0019_passkeys"),
    migration!(20, "0020_people"),
    migration!(21, "0021_health"),
    migration!(22, "0022_registrations"),
    migration!(23, "0023_leaked"),
    migration!(24, "0024_gateway"),
    migration!(26, "0026_pulse"),
    migration!(28, "0028_managed_apps"),
    migration!(31, "0031_audit_actions"),
    migration!(32, "0032_triggers"),
    migration!(36, "0036_certificates"),
    migration!(37, "0037_managed_app_params"),
    migration!(38, "0038_sealed_mend_links"),
    migration!(40, "0040_found_at_once"),
    migration!(41, "0041_minted_installation"),
    migration!(42, "0042_spent_inbound"),
    migration!(44, "0044_deliveries_in_turn"),
    migration!(46, "0046_ended_installations"),
    migration!(48, "0048_ends_since"),
    migration!(49, "0049_leases"),
    migration!(50, "0050_notices_in_turn"),
    migration!(52, "0052_made_tokens"),
    migration!(53, "0053_ended_secrets"),
];

const LEDGER: &str = "create table if not exists schema_migrations \
    (version bigint primary key, name text not null, checksum text not null, applied_at bigint not null)";
const APPLIED: &str = "select version, checksum from schema_migrations order by version";
const APPLY: &str =
    "insert into schema_migrations (version, name, checksum, applied_at) values ($1, $2, $3, $4)";

/// What is still to be done, given what was applied.
fn pending(
    applied: &[(i64, String)],
    text: fn(&Migration) -> &'static str,
) -> Result<Vec<&'static Migration>, OpenError> {
    let known = MIGRATIONS.last().map_or(0, |last| last.version);
    if let Some((found, _)) = applied.iter().find(|(version, _)| *version > known) {
        return Err(OpenError::Newer { found: *found, known });
    }
    let mut out = Vec::new();
    for migration in MIGRATIONS {
        match applied.iter().find(|(version, _)| *version == migration.version) {
            Some((_, sum)) if *sum == checksum(text(migration)) => {}
            Some(_) => return Err(OpenError::Altered(migration.version)),
            None => out.push(migration),
        }
    }
    Ok(out)
}

fn checksum(text: &str) -> String {
    use std::fmt::Write as _;
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().fold(String::with_capacity(64), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

pub(crate) fn lite(connection: &mut rusqlite::Connection, now: Time) -> Result<(), OpenError> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(failed)?;
    transaction.execute_batch(LEDGER).map_err(failed)?;
    let applied = {
        let mut statement = transaction.prepare(APPLIED).map_err(failed)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)?;
        rows.collect::<Result<Vec<_>, _>>().map_err(failed)?
    };
    for migration in pending(&applied, |m| m.lite)? {
        transaction.execute_batch(migration.lite).map_err(failed)?;
        let sum = checksum(migration.lite);
        let row = (migration.version, migration.name, sum, now.millis());
        transaction.execute(&crate::lite::numbered(APPLY), row).map_err(failed)?;
    }
    transaction.commit().map_err(failed)?;
    Ok(())
}

/// Several nodes may start at once: the first migrates, the others wait for it and find nothing to do.
pub(crate) async fn pg(client: &mut tokio_postgres::Client, now: Time) -> Result<(), OpenError> {
    let refused = crate::pg::failed;
    let transaction = client.transaction().await.map_err(refused)?;
    transaction.execute("select pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK]).await.map_err(refused)?;
    transaction.batch_execute(LEDGER).await.map_err(refused)?;
    let rows = transaction.query(APPLIED, &[]).await.map_err(refused)?;
    let applied = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<Vec<(i64, String)>, tokio_postgres::Error>>()
        .map_err(refused)?;
    for migration in pending(&applied, |m| m.pg)? {
        transaction.batch_execute(migration.pg).await.map_err(refused)?;
        let sum = checksum(migration.pg);
        let row: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
            [&migration.version, &migration.name, &sum, &now.millis()];
        transaction.execute(APPLY, &row).await.map_err(refused)?;
    }
    transaction.commit().await.map_err(|error| OpenError::Db(refused(error)))?;
    Ok(())
}

/// "carnet" in ASCII: any number that nothing else on the server uses.
const MIGRATION_LOCK: i64 = 0x6361_726e_6574;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow_and_names_begin_with_them() {
        assert!(MIGRATIONS.is_sorted_by(|one, next| one.version < next.version));
        for migration in MIGRATIONS {
            assert!(migration.name.starts_with(&format!("{:04}_", migration.version)));
        }
    }

    #[test]
    fn a_newer_store_and_an_altered_migration_are_refused() {
        let all: Vec<_> = MIGRATIONS.iter().map(|m| (m.version, checksum(m.lite))).collect();
        assert!(pending(&all, |m| m.lite).unwrap().is_empty());
        assert_eq!(pending(&all[..1], |m| m.lite).unwrap().len(), MIGRATIONS.len() - 1);
        let mut newer = all.clone();
        newer.push((999, String::new()));
        assert!(matches!(pending(&newer, |m| m.lite), Err(OpenError::Newer { found: 999, .. })));
        let mut altered = all;
        altered[0].1 = "other".to_owned();
        assert!(matches!(pending(&altered, |m| m.lite), Err(OpenError::Altered(1))));
    }
}
