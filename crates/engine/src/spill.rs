//! Refreshed tokens that the store does not take: kept in a file until it does.
//!
//! A file is written, flushed and named in one step, for this user alone; what is in it is sealed for its grant. It is
//! removed once the store has the tokens. A start reads what the last process left, before anything is served, and hands
//! it to the store as orphans.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carnet_model::failpoint::Point;
use carnet_model::{Env, Id, Time, kind};
use carnet_store::refreshes::{self, Orphan};
use carnet_store::{Db, DbError, Write, pass};
use serde::{Deserialize, Serialize};

/// The folder of such files. Without one nothing is spilled.
pub(crate) struct Spill(Option<PathBuf>);

/// One file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spilled {
    operation: Id<kind::RefreshOperation>,
    team: Id<kind::Team>,
    grant: Id<kind::Grant>,
    rt_version: i64,
    held: String,
    created_at: Time,
}

impl Spill {
    pub(crate) const fn new(folder: Option<PathBuf>) -> Self {
        Self(folder)
    }

    /// Keeps an orphan in a file.
    pub(crate) fn keep(&self, orphan: &Orphan) -> std::io::Result<()> {
        let Some(folder) = &self.0 else { return Ok(()) };
        if folder.join(name(orphan.id)).exists() {
            // What one attempt brought does not change; what was written is durable.
            return Ok(());
        }
        let spilled = Spilled {
            operation: orphan.id,
            team: orphan.team,
            grant: orphan.grant,
            rt_version: orphan.rt_version,
            held: STANDARD.encode(&orphan.held),
            created_at: orphan.created_at,
        };
        write_durably(folder, &name(orphan.id), &serde_json::to_vec(&spilled)?)
    }

    /// The store has it.
    pub(crate) fn forget(&self, operation: Id<kind::RefreshOperation>) {
        if let Some(folder) = &self.0 {
            let _ = std::fs::remove_file(folder.join(name(operation)));
        }
    }

    /// Hands to the store what the last process left.
    pub(crate) async fn replay(&self, db: &Db, env: &Env) -> Result<(), DbError> {
        let Some(folder) = &self.0 else { return Ok(()) };
        let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
        for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
            if path.extension().is_none_or(|extension| extension != "tokens") {
                continue;
            }
            let Some(orphan) = read(&path) else {
                tracing::error!(path = %path.display(), "a file of spilled tokens cannot be read; it is left where it is");
                continue;
            };
            pass(env, Point::SpillReplay).await?;
            match db.write(Write::new().step(refreshes::keep_orphan(&orphan))).await {
                // Kept, or kept by an earlier start that did not come to remove the file.
                Ok(_) | Err(DbError::Conflict) => drop(std::fs::remove_file(&path)),
                Err(error) if error.is_unavailable() => return Err(error),
                // One that the store will not have keeps neither the others from it nor the server from its start.
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "the store refuses spilled tokens; the file is left where it is");
                }
            }
        }
        Ok(())
    }
}

fn name(operation: Id<kind::RefreshOperation>) -> String {
    format!("{operation}.tokens")
}

fn read(path: &Path) -> Option<Orphan> {
    let spilled: Spilled = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    Some(Orphan {
        id: spilled.operation,
        team: spilled.team,
        grant: spilled.grant,
        rt_version: spilled.rt_version,
        held: STANDARD.decode(spilled.held).ok()?,
        created_at: spilled.created_at,
    })
}

fn write_durably(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let draft = folder.join(format!("{name}.draft"));
    let mut file =
        std::fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, folder.join(name))?;
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use carnet_store::Location;

    use super::*;

    fn orphan(env: &Env) -> Orphan {
        let held = env.bytes::<100>().to_vec();
        Orphan { id: env.id(), team: env.id(), grant: env.id(), rt_version: 3, held, created_at: env.now() }
    }

    #[tokio::test]
    async fn what_the_store_did_not_take_is_handed_to_it_at_the_next_start() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let env = Env::system();
        let folder = tempfile::tempdir().unwrap();
        let spill = Spill::new(Some(folder.path().join("spill")));
        let (kept, taken) = (orphan(&env), orphan(&env));
        spill.keep(&kept).unwrap();
        let written = std::fs::metadata(folder.path().join("spill").join(name(kept.id))).unwrap().ino();
        spill.keep(&kept).unwrap();
        let again = std::fs::metadata(folder.path().join("spill").join(name(kept.id))).unwrap().ino();
        assert_eq!(written, again, "what is on disk is not written again");
        spill.keep(&taken).unwrap();
        spill.forget(taken.id);
        let file = folder.path().join("spill").join(name(kept.id));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let damaged = folder.path().join("spill/damaged.tokens");
        std::fs::write(&damaged, b"{").unwrap();

        let db = Db::open(&Location::Memory, &env).await.unwrap();
        spill.replay(&db, &env).await.unwrap();
        spill.replay(&db, &env).await.unwrap();
        let found = refreshes::orphans(&db, 9).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].id, &found[0].held, found[0].rt_version), (kept.id, &kept.held, 3));
        assert!(!file.exists() && damaged.exists(), "a file goes when the store has it, and only then");

        // What the store refuses stays, and keeps nothing else from it.
        let (refused, fine) = (Orphan { rt_version: 66, ..orphan(&env) }, orphan(&env));
        let check = "create trigger checks before insert on refresh_orphans when new.rt_version = 66 \
                     begin select raise(abort, 'no'); end";
        db.write(Write::new().step(carnet_store::Step::any(check, Vec::new()))).await.unwrap();
        spill.keep(&refused).unwrap();
        spill.keep(&fine).unwrap();
        spill.replay(&db, &env).await.unwrap();
        assert_eq!(refreshes::orphans(&db, 9).await.unwrap().len(), 2);
        let left = |orphan: &Orphan| folder.path().join("spill").join(name(orphan.id)).exists();
        assert!(left(&refused) && !left(&fine));
    }
}
