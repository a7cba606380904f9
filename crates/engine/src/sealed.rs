//! What is sealed where, row by row: the one place in which a sealed column meets its associated data for all rows.
//!
//! Sealing anew, examining and backing up go through [`rows`]. `carnet_store::sealed::COLUMNS` names the columns, and a
//! column that is in that list and not here cannot be walked: a test walks them all.

use carnet_model::{Environment, Id, kind};
use carnet_store::sealed::{COLUMNS, SealedColumn};
use carnet_store::{
    DbError, Value, certificates, connector_keys, connectors, consents, grants, health, keys, managed_apps,
    minted, passphrases, refreshes, trigger_events, triggers,
};
use carnet_vault::Aad;

use crate::broker::Inner;
use crate::consent::place;
use crate::sealing::{broken, led_by, offered_as, whose};

/// One sealed value and its place.
pub(crate) struct SealedRow {
    /// The key of the row, as the store takes it.
    pub(crate) key: Value,
    /// Where to go on after it.
    pub(crate) cursor: Vec<u8>,
    /// The envelope.
    pub(crate) sealed: Vec<u8>,
    place: Option<OwnedPlace>,
}

/// An [`Aad`] that owns its parts.
struct OwnedPlace {
    deployment: Id<kind::Deployment>,
    team: Option<Id<kind::Team>>,
    table: &'static str,
    column: &'static str,
    row: Vec<u8>,
    project: Option<Id<kind::Project>>,
    environment: Option<Environment>,
    connector: Option<Id<kind::Connector>>,
    subject: Option<String>,
    version: u64,
}

impl SealedRow {
    fn new(key: Value, of: &'static SealedColumn, sealed: Vec<u8>, aad: &Aad<'_>) -> Self {
        let place = OwnedPlace {
            deployment: aad.deployment,
            team: aad.team,
            table: of.table,
            column: of.column,
            row: aad.row.to_vec(),
            project: aad.project,
            environment: aad.environment,
            connector: aad.connector,
            subject: aad.subject.map(str::to_owned),
            version: aad.version,
        };
        Self { key, cursor: aad.row.to_vec(), sealed, place: Some(place) }
    }

    /// The place it is sealed for; `None` for what belongs to a row that is gone, and so opens nowhere.
    pub(crate) fn aad(&self) -> Option<Aad<'_>> {
        self.place.as_ref().map(|place| Aad {
            deployment: place.deployment,
            team: place.team,
            table: place.table,
            column: place.column,
            row: &place.row,
            project: place.project,
            environment: place.environment,
            connector: place.connector,
            subject: place.subject.as_deref(),
            version: place.version,
        })
    }
}

/// The sealed columns.
pub(crate) fn columns() -> &'static [SealedColumn] {
    COLUMNS
}

/// The next values of a column after `after`: those that `by` sealed, or all.
pub(crate) async fn rows(
    inner: &Inner,
    of: &'static SealedColumn,
    by: Option<[u8; 16]>,
    after: Vec<u8>,
    limit: i64,
) -> Result<Vec<SealedRow>, DbError> {
    let db = &inner.db;
    let row = |key: Value, sealed, aad: &Aad<'_>| SealedRow::new(key, of, sealed, aad);
    Ok(match (of.table, of.column) {
        ("acme_accounts", "sealed") => {
            let after = String::from_utf8(after).unwrap_or_default();
            certificates::sealed_accounts(db, by, &after, limit)
                .await?
                .into_iter()
                .map(|mut found| {
                    let sealed = std::mem::take(&mut found.sealed);
                    row((&found.directory).into(), sealed, &inner.account_aad(&found.directory))
                })
                .collect()
        }
        ("certificates", "sealed") => {
            let after = String::from_utf8(after).unwrap_or_default();
            certificates::sealed(db, by, &after, limit)
                .await?
                .into_iter()
                .map(|mut found| {
                    let sealed = std::mem::take(&mut found.sealed);
                    row((&found.place).into(), sealed, &inner.certificate_aad(&found.place, found.version))
                })
                .collect()
        }
        ("connector_keys", "sealed") => {
            let after = String::from_utf8(after).unwrap_or_default();
            connector_keys::sealed(db, by, &after, limit)
                .await?
                .into_iter()
                .map(|mut found| {
                    let sealed = std::mem::take(&mut found.sealed);
                    row((&found.kid).into(), sealed, &inner.connector_key_aad(&found))
                })
                .collect()
        }
        ("connectors", "secrets") => connectors::sealed(db, by, after, limit)
            .await?
            .into_iter()
            .map(|found| {
                let led_by = led_by(&found.connector);
                let aad = inner.connector_aad(&found.connector, &led_by);
                row(found.connector.id.into(), found.secrets, &aad)
            })
            .collect(),
        ("consents", "kept") => consents::sealed(db, by, after, limit)
            .await?
            .into_iter()
            .map(|mut found| {
                let kept = found.kept.take().unwrap_or_default();
                let whose = whose(&place(&found), None);
                row(found.id.into(), kept, &inner.kept_aad(&found, &whose))
            })
            .collect(),
        ("consents", "parked") => consents::parked(db, by, after, limit)
            .await?
            .into_iter()
            .map(|mut found| {
                let parked = found.parked.take().unwrap_or_default();
                let whose = whose(&place(&found), None);
                let aad = Aad { column: "parked", ..inner.kept_aad(&found, &whose) };
                row(found.id.into(), parked, &aad)
            })
            .collect(),
        ("grants", "held") => grants::sealed(db, by, after, limit)
            .await?
            .into_iter()
            .map(|found| {
                let grant = &found.grant;
                let whose = whose(&grant.place, grant.scopes.as_ref());
                let aad = inner.grant_aad("grants", grant.id.bytes(), &grant.place, &whose, grant.version);
                row(grant.id.into(), found.held, &aad)
            })
            .collect(),
        ("health_notices", "mend") => health::sealed(db, by, after, limit)
            .await?
            .into_iter()
            .map(|mut found| {
                let mend = found.mend.take().unwrap_or_default();
                let broken = broken(&found);
                row(found.id.into(), mend, &inner.mend_aad(&found, &broken))
            })
            .collect(),
        ("managed_apps", "secrets") => {
            let after = String::from_utf8(after).unwrap_or_default();
            managed_apps::sealed(db, by, &after, limit)
                .await?
                .into_iter()
                .map(|mut found| {
                    let sealed = std::mem::take(&mut found.secrets);
                    let offered_as = offered_as(&found);
                    row((&found.service).into(), sealed, &inner.app_aad(&found, &offered_as))
                })
                .collect()
        }
        ("minted_tokens", "sealed") => minted::sealed(db, by, after, limit)
            .await?
            .into_iter()
            .map(|mut found| {
                let sealed = std::mem::take(&mut found.sealed);
                row(found.place.into(), sealed, &inner.minted_aad(&found))
            })
            .collect(),
        ("passphrases", "sealed") => passphrases::sealed(db, by, after, limit)
            .await?
            .into_iter()
            .map(|found| row(found.user.into(), found.sealed, &inner.passphrase_aad(found.user.bytes())))
            .collect(),
        ("refresh_orphans", "held") => orphans(inner, of, by, after, limit).await?,
        ("signing_keys", "sealed") => {
            let after = String::from_utf8(after).unwrap_or_default();
            keys::sealed(db, by, &after, limit)
                .await?
                .into_iter()
                .map(|found| row((&found.kid).into(), found.sealed, &inner.signing_aad(&found.kid)))
                .collect()
        }
        ("trigger_events", "content") => trigger_events::sealed(db, by, after, limit)
            .await?
            .into_iter()
            .map(|mut found| {
                let sealed = std::mem::take(&mut found.content);
                row(found.id.into(), sealed, &inner.trigger_event_aad(&found))
            })
            .collect(),
        ("trigger_settings", "secrets") => triggers::sealed(db, by, after, limit)
            .await?
            .into_iter()
            .map(|mut found| {
                let sealed = std::mem::take(&mut found.secrets);
                row(found.connector.into(), sealed, &inner.trigger_secrets_aad(&found))
            })
            .collect(),
        (table, _) => return Err(DbError::Corrupt { table, column: 0 }),
    })
}

/// An orphan is sealed for the place of its grant, which may be gone.
async fn orphans(
    inner: &Inner,
    of: &'static SealedColumn,
    by: Option<[u8; 16]>,
    after: Vec<u8>,
    limit: i64,
) -> Result<Vec<SealedRow>, DbError> {
    let mut out = Vec::new();
    for orphan in refreshes::sealed(&inner.db, by, after, limit).await? {
        let key = Value::from(orphan.id);
        out.push(if let Some(row) = grants::find(&inner.db, orphan.team, orphan.grant).await? {
            let place = row.grant.place;
            let whose = whose(&place, None);
            let (id, version) = (orphan.id.bytes(), orphan.rt_version);
            let aad = inner.grant_aad("refresh_orphans", id, &place, &whose, version);
            SealedRow::new(key, of, orphan.held, &aad)
        } else {
            let cursor = orphan.id.bytes().to_vec();
            SealedRow { key, cursor, sealed: orphan.held, place: None }
        });
    }
    Ok(out)
}
