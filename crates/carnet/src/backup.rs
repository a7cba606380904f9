//! `carnet backup`: the store of a running deployment as it was at one moment, with a manifest, looked through before it
//! counts.
//!
//! ```text
//! BACKUP/manifest.json     what is in it, with checksums
//! BACKUP/carnet.db         the store
//! BACKUP/spill/*.tokens    refreshed tokens that the store had not taken yet
//! ```
//!
//! Nothing is written into the folder of the data. The backup appears under its name when it is whole and on disk.
//! Everything secret in it is sealed; it holds no key. PostgreSQL has tools of its own for this, which are named.

mod manifest;
mod restore;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use carnet_engine::{Examined, Held, Location, Root as EngineRoot, copy};
use carnet_model::Env;

use crate::cli::args::{BackupArgs, ServeArgs};
use crate::cli::failure::{Exit, Failure};
use crate::config::{self, Kept};
use crate::{root_key, server};
use manifest::Manifest;
pub(crate) use restore::run as restore;

/// Makes a backup.
pub(crate) fn run(args: BackupArgs) -> anyhow::Result<ExitCode> {
    let served = args.kept.as_served();
    refuse_postgres(&served, DUMP)?;
    let kept = Kept::read(&served)?;
    let data = folder_of(&kept.location, DUMP)?;
    let manifest = server::runtime()?.block_on(Box::pin(take(&args, kept, &data)))?;
    let mut out = std::io::stdout();
    if args.kept.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&manifest)?)?;
    } else {
        let rows: i64 = manifest.tables.values().sum();
        let events = manifest.audit.last;
        writeln!(out, "{}: {rows} rows, {events} audit events", args.to.display())?;
        writeln!(out, "It opens with the root-key provider alone: {}", manifest.needs())?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn take(args: &BackupArgs, kept: Kept, data: &Path) -> anyhow::Result<Manifest> {
    let env = Env::system();
    let draft = draft_of(&args.to)?;
    let made = async {
        make_folder(&draft)?;
        // First the tokens that the store had not taken: what leaves the folder meanwhile is in the store.
        copy_spilled(&kept.spill, &draft.join("spill"))?;
        let at = env.now();
        let (from, to) = (data.to_owned(), draft.join("carnet.db"));
        let facts = tokio::task::spawn_blocking(move || {
            private(&to)?;
            copy::copy(&from, &to)?;
            Ok::<_, anyhow::Error>(copy::inspect(&to)?)
        })
        .await??;
        if !args.without_key {
            let root = root_key::open_existing(kept.root, kept.next, &kept.location, &env)?;
            let check = draft.join("check");
            let examined = examine(&draft, &check, root, &env).await;
            let _ = std::fs::remove_dir_all(&check);
            whole(&examined?)?;
        }
        let manifest = Manifest::of(&draft, &facts, at)?;
        manifest.write(&draft)?;
        Ok::<_, anyhow::Error>(manifest)
    };
    match made.await {
        Ok(manifest) => {
            std::fs::rename(&draft, &args.to)
                .with_context(|| format!("cannot give the backup its name {}", args.to.display()))?;
            sync_folder(args.to.parent())?;
            Ok(manifest)
        }
        Err(error) => {
            let _ = std::fs::remove_dir_all(&draft);
            Err(error)
        }
    }
}

/// Opens everything in a copy of a copy, which is brought up to date and thrown away.
async fn examine(from: &Path, check: &Path, root: EngineRoot, env: &Env) -> anyhow::Result<Examined> {
    make_folder(check)?;
    let to = check.join("carnet.db");
    private(&to)?;
    std::fs::copy(from.join("carnet.db"), &to).context("cannot copy carnet.db to look into it")?;
    let held = Held::open(check.to_owned(), root, env.clone()).await?;
    let examined = held.examine().await;
    held.close().await;
    Ok(examined?)
}

/// Refuses what has values that do not open.
fn whole(examined: &Examined) -> Result<(), Failure> {
    if examined.is_whole() {
        return Ok(());
    }
    let refused: Vec<String> = examined
        .columns
        .iter()
        .filter(|column| column.refused > 0)
        .map(|column| format!("{} of {}", column.refused, column.name))
        .collect();
    Err(Failure::new(
        "damaged",
        format!(
            "Sealed values do not open: {}. They were altered, moved, or their key is gone.",
            refused.join(", ")
        ),
    )
    .next("carnet keys verify", "to look into the running deployment"))
}

/// The folder of the embedded store; for PostgreSQL, what to use instead.
fn folder_of(location: &Location, instead: &str) -> Result<PathBuf, Failure> {
    match location {
        Location::Folder(data) => Ok(data.clone()),
        Location::Memory | Location::Shared(_) | Location::Postgres(_) => Err(own_tools(instead)),
    }
}

/// Refuses PostgreSQL before a key is asked for, which nothing here needs for it.
fn refuse_postgres(args: &ServeArgs, instead: &str) -> Result<(), Failure> {
    if config::is_in_postgres(args)? { Err(own_tools(instead)) } else { Ok(()) }
}

fn own_tools(instead: &str) -> Failure {
    Failure {
        exit: Exit::Usage,
        ..Failure::new(
            "postgres",
            "PostgreSQL is backed up by its own tools, which take it as it was at one moment while it runs.",
        )
    }
    .next(instead, "with the address of the database; docs/backup.md says what else to keep")
}

/// The name under which it is made, if neither name is taken.
fn draft_of(to: &Path) -> Result<PathBuf, Failure> {
    if to.exists() {
        return Err(taken(to));
    }
    let mut name = to.file_name().map(ToOwned::to_owned).unwrap_or_default();
    name.push(".partial");
    let draft = to.with_file_name(name);
    // What an earlier try left may hold a journal that SQLite would play into the new file.
    if draft.exists() { Err(taken(&draft)) } else { Ok(draft) }
}

fn taken(path: &Path) -> Failure {
    let shown = path.display();
    Failure::new("exists", format!("{shown} exists already, and nothing is overwritten."))
        .exit(Exit::Conflict)
        .next(format!("rm -r {shown}"), "if it is what an earlier try left behind")
}

fn copy_spilled(from: &Path, to: &Path) -> anyhow::Result<()> {
    let Ok(entries) = std::fs::read_dir(from) else { return Ok(()) };
    for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        let Some(name) = path.file_name().filter(|_| path.extension().is_some_and(|end| end == "tokens"))
        else {
            continue;
        };
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            // The store has it now.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).context("cannot read a file of spilled tokens"),
        };
        make_folder(to)?;
        let mut file = private(&to.join(name))?;
        file.write_all(&bytes)?;
        file.sync_all()?;
    }
    Ok(())
}

/// A folder for its owner alone.
fn make_folder(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let cannot = || format!("cannot make the folder {}", path.display());
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(cannot)
}

/// A new file for its owner alone.
fn private(path: &Path) -> anyhow::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let cannot = || format!("cannot make the file {}", path.display());
    std::fs::File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .with_context(cannot)
}

fn sync_folder(path: Option<&Path>) -> anyhow::Result<()> {
    let path = path.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(path)?.sync_all().with_context(|| format!("cannot flush {}", path.display()))
}

const DUMP: &str = "pg_dump --format=custom --no-owner --file=carnet.dump postgres://…";
