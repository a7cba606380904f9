//! `carnet restore`: a backup becomes the data of a deployment, or is only looked through.
//!
//! Everything is looked at before anything appears under its name: checksums, integrity, whether the key is the right
//! one, whether everything opens. Nothing is overwritten.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use carnet_engine::{Examined, Held, Location, copy};
use carnet_model::Env;
use serde_json::json;

use super::manifest::Manifest;
use super::{draft_of, folder_of, make_folder, private, refuse_postgres, sync_folder, whole};
use crate::cli::args::RestoreArgs;
use crate::cli::failure::{Exit, Failure};
use crate::config::Kept;
use crate::{root_key, server};

/// Restores, or verifies.
pub(crate) fn run(args: RestoreArgs) -> anyhow::Result<ExitCode> {
    let served = args.kept.as_served();
    refuse_postgres(&served, RESTORE)?;
    let kept = Kept::read(&served)?;
    let data = folder_of(&kept.location, RESTORE)?;
    let manifest = Manifest::read(&args.from)?;
    let (examined, manifest) = server::runtime()?.block_on(Box::pin(bring(&args, kept, &data, manifest)))?;
    let mut out = std::io::stdout();
    if args.kept.json {
        writeln!(
            out,
            "{}",
            serde_json::to_string_pretty(&json!({"manifest": manifest, "examined": examined}))?
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let opened: u64 = examined.columns.iter().map(|column| column.opened).sum();
    if args.verify {
        writeln!(
            out,
            "{} can be restored: its files are those of the manifest, {opened} sealed values open, none of {} audit events \
             is missing",
            args.from.display(),
            manifest.audit.last
        )?;
        writeln!(out, "Not looked at: whether what an audit event says was changed in the database.")?;
    } else {
        writeln!(
            out,
            "{} is restored from {}: {opened} sealed values open",
            data.display(),
            args.from.display()
        )?;
        writeln!(
            out,
            "Stop the deployment it was made of before this one starts: both would use the same refresh tokens."
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn bring(
    args: &RestoreArgs,
    kept: Kept,
    data: &Path,
    manifest: Manifest,
) -> anyhow::Result<(Examined, Manifest)> {
    let env = Env::system();
    let target = if args.verify { beside(&args.from, &env) } else { data.to_owned() };
    let draft = if args.verify { target.clone() } else { draft_of_data(data)? };
    let brought = async {
        make_folder(&draft)?;
        for file in &manifest.files {
            copy_file(&args.from, &draft, &file.path)?;
        }
        let store = draft.join("carnet.db");
        let facts = tokio::task::spawn_blocking(move || copy::inspect(&store)).await??;
        manifest.agrees_with(&facts)?;
        // The key may not lie in the folder of the data, which is where it will be and not where it is made.
        let place = Location::Folder(data.to_owned());
        let root = root_key::open_existing(kept.root, kept.next, &place, &env)?;
        let held = Held::open(draft.clone(), root, env.clone()).await?;
        let examined = held.examine().await;
        let ready = match &examined {
            Ok(examined) if examined.is_whole() && !args.verify => held.make_ready(manifest.copied_at).await,
            _ => Ok(()),
        };
        held.close().await;
        let examined = examined?;
        whole(&examined)?;
        ready?;
        Ok::<_, anyhow::Error>(examined)
    };
    let brought = brought.await;
    if args.verify || brought.is_err() {
        let _ = std::fs::remove_dir_all(&draft);
        return Ok((brought?, manifest));
    }
    std::fs::File::open(draft.join("carnet.db"))?.sync_all()?;
    sync_folder(Some(&draft))?;
    std::fs::rename(&draft, &target)
        .with_context(|| format!("cannot give the data its name {}", target.display()))?;
    sync_folder(target.parent())?;
    Ok((brought?, manifest))
}

fn copy_file(from: &Path, to: &Path, path: &str) -> anyhow::Result<()> {
    if let Some((folder, _)) = path.split_once('/') {
        make_folder(&to.join(folder))?;
    }
    let mut out = private(&to.join(path))?;
    let mut file = std::fs::File::open(from.join(path))?;
    std::io::copy(&mut file, &mut out).with_context(|| format!("cannot copy {path}"))?;
    out.sync_all()?;
    Ok(())
}

/// A folder that is there may be used if it is empty.
fn draft_of_data(data: &Path) -> Result<PathBuf, Failure> {
    let taken = std::fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) || data.is_file();
    if taken {
        return Err(Failure::new(
            "exists",
            format!("{} is not empty, and nothing is overwritten.", data.display()),
        )
        .exit(Exit::Conflict)
        .next("carnet restore BACKUP --data OTHER", "to restore into another folder")
        .next("carnet restore BACKUP --verify", "to look through the backup alone"));
    }
    if data.exists() {
        // Empty, and so as good as not there.
        std::fs::remove_dir(data).ok();
    }
    draft_of(data)
}

/// A folder beside the backup for a copy that is thrown away.
fn beside(backup: &Path, env: &Env) -> PathBuf {
    let name = backup.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let number = u64::from_le_bytes(env.bytes());
    backup.with_file_name(format!(".{name}.check-{number:016x}"))
}

const RESTORE: &str = "pg_restore --clean --if-exists --no-owner --dbname=postgres://… carnet.dump";
