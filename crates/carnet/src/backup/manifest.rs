//! What a backup says of itself.
//!
//! Checksums find accidents. Whoever can write the backup can write the manifest too; against that stands what is in the
//! envelopes, and the audit log.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use carnet_engine::copy::Facts;
use carnet_engine::sha256_of;
use carnet_model::Time;
use serde::{Deserialize, Serialize};

use super::private;
use crate::cli::failure::Failure;

/// The manifest.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Manifest {
    /// The form of the backup.
    pub(crate) format: u32,
    /// The version of Carnet that made it.
    pub(crate) carnet: String,
    /// When the copy was taken.
    pub(crate) copied_at: Time,
    /// `sqlite`
    pub(crate) engine: String,
    /// The newest migration.
    pub(crate) schema: i64,
    /// The deployment.
    pub(crate) deployment: String,
    /// What is needed to open it.
    pub(crate) roots: Vec<Needed>,
    /// The files, without the manifest.
    pub(crate) files: Vec<FileFacts>,
    /// Rows of each table.
    pub(crate) tables: BTreeMap<String, i64>,
    /// The end of the audit log.
    pub(crate) audit: AuditEnd,
}

/// A root key.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Needed {
    /// Its identifier.
    pub(crate) id: String,
    /// Its version.
    pub(crate) version: i64,
    /// The providers, each of which opens it.
    pub(crate) wrapped_by: Vec<String>,
}

/// A file.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FileFacts {
    /// Its path in the backup.
    pub(crate) path: String,
    /// Its length.
    pub(crate) bytes: u64,
    /// SHA-256.
    pub(crate) sha256: String,
}

/// The end of the audit log.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AuditEnd {
    /// The number of the last event; there are as many.
    pub(crate) last: i64,
    /// What it commits to.
    pub(crate) commitment: String,
}

impl Manifest {
    /// Of the files in this folder.
    pub(crate) fn of(folder: &Path, facts: &Facts, copied_at: Time) -> anyhow::Result<Self> {
        let mut files = vec![file(folder, "carnet.db")?];
        if let Ok(spilled) = std::fs::read_dir(folder.join("spill")) {
            let mut names: Vec<String> = spilled
                .filter_map(|entry| entry.ok().map(|entry| entry.file_name().to_string_lossy().into_owned()))
                .collect();
            names.sort();
            for name in names {
                files.push(file(folder, &format!("spill/{name}"))?);
            }
        }
        Ok(Self {
            format: FORMAT,
            carnet: env!("CARGO_PKG_VERSION").to_owned(),
            copied_at,
            engine: "sqlite".to_owned(),
            schema: facts.schema,
            deployment: facts.deployment.to_string(),
            roots: facts
                .roots
                .iter()
                .map(|root| Needed {
                    id: hex(&root.id),
                    version: root.version,
                    wrapped_by: root.wrapped_by.clone(),
                })
                .collect(),
            files,
            tables: facts.rows.clone(),
            audit: AuditEnd { last: facts.last_event, commitment: hex(&facts.last_commitment) },
        })
    }

    /// Reads the manifest of a backup and compares the files with it.
    pub(crate) fn read(backup: &Path) -> anyhow::Result<Self> {
        let path = backup.join(NAME);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!("{} is no backup: it has no {NAME} that can be read", backup.display())
        })?;
        let format = serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .and_then(|value| value.get("format").and_then(serde_json::Value::as_u64));
        if format != Some(u64::from(FORMAT)) {
            let found = format.map_or_else(|| "no format".to_owned(), |format| format!("format {format}"));
            return Err(damaged(format!(
                "{} has {found}, and this carnet reads format {FORMAT}.",
                path.display()
            ))
            .into());
        }
        let manifest: Self = serde_json::from_str(&text)
            .map_err(|error| damaged(format!("{} cannot be read: {error}.", path.display())))?;
        let sound = |path: &str| {
            path == "carnet.db"
                || path.strip_prefix("spill/").is_some_and(|name| {
                    name.ends_with(".tokens") && !name.contains(['/', '\\']) && !name.starts_with('.')
                })
        };
        if !manifest.files.iter().any(|file| file.path == "carnet.db") {
            return Err(damaged("The manifest names no carnet.db.".to_owned()).into());
        }
        for told in &manifest.files {
            if !sound(&told.path) {
                return Err(
                    damaged(format!("The manifest names {:?}, which no backup has.", told.path)).into()
                );
            }
            let found = file(backup, &told.path)?;
            if found != *told {
                return Err(damaged(format!(
                    "{} is not what the manifest says: it was changed, cut or damaged since the backup was made.",
                    told.path
                ))
                .into());
            }
        }
        Ok(manifest)
    }

    /// Compares what is in the store with what the manifest says.
    pub(crate) fn agrees_with(&self, facts: &Facts) -> Result<(), Failure> {
        let same = self.schema == facts.schema
            && self.deployment == facts.deployment.to_string()
            && self.tables == facts.rows
            && self.audit.last == facts.last_event
            && self.audit.commitment == hex(&facts.last_commitment);
        if same {
            Ok(())
        } else {
            Err(damaged("The store is not the one that the manifest tells of.".to_owned()))
        }
    }

    /// Writes it, durably.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let mut out = private(&folder.join(NAME))?;
        out.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
        out.write_all(b"\n")?;
        out.sync_all()?;
        for file in &self.files {
            std::fs::File::open(folder.join(&file.path))?.sync_all()?;
        }
        super::sync_folder(Some(folder))
    }

    /// What opens it, for people.
    pub(crate) fn needs(&self) -> String {
        let root = |root: &Needed| format!("root key {} by {}", root.version, root.wrapped_by.join(" or "));
        self.roots.iter().map(root).collect::<Vec<_>>().join(", ")
    }
}

fn file(folder: &Path, path: &str) -> anyhow::Result<FileFacts> {
    let cannot = || format!("cannot read {path} of the backup {}", folder.display());
    let mut file = std::fs::File::open(folder.join(path)).with_context(cannot)?;
    let bytes = file.metadata()?.len();
    let sha256 = sha256_of(|buffer| file.read(buffer)).with_context(cannot)?;
    Ok(FileFacts { path: path.to_owned(), bytes, sha256: hex(&sha256) })
}

fn damaged(sentence: String) -> Failure {
    Failure::new("damaged", sentence)
        .next("carnet restore OTHER --verify", "to look whether another backup is whole")
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

const FORMAT: u32 = 1;
const NAME: &str = "manifest.json";
