//! `doctor --fix`: mends what a command of one's own can mend without a choice to make: who can read a file, what git must
//! not take, and which project a folder is where there is only one.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use carnet_sdk::{Client, Project};

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::folder::{DevFile, FOLDER};
use crate::cli::{git, link};

/// Mends it, and says what was done. What cannot be mended is left to the examination that follows.
pub(super) async fn mend(cx: &mut Context<'_>) -> Result<Vec<String>, Failure> {
    let mut done = Vec::new();
    let dev_file = cx.settings.dev_file.clone();
    if let (Some(path), Some(_)) = (&dev_file, &cx.settings.dev_problem)
        && made_private(path)
    {
        done.push(format!("{} can be read by you alone", path.display()));
        cx.reread()?;
    }
    let project_folder = cx.settings.project_file.as_deref().and_then(Path::parent).and_then(Path::parent);
    if let Some(folder) = project_folder.map(Path::to_owned)
        && ignored(&folder, FOLDER)
    {
        done.push(format!("git ignores {FOLDER} in {}", folder.display()));
    }
    let here = cx.place.folder.clone();
    if here.join(ENV_FILE).is_file() && ignored(&here, ENV_FILE) {
        done.push(format!("git ignores {ENV_FILE} in {}", here.display()));
    }
    let unlinked = cx.settings.project.is_none() && cx.settings.project_problem.is_none();
    if unlinked && let Some((client, project)) = only_project(cx).await {
        link::write(cx, &client, &project)?;
        cx.reread()?;
        done.push(format!("this folder is linked to {}, the only project there is", project.name));
    }
    Ok(done)
}

/// Takes the file away from others. Somebody else's is left as it is.
fn made_private(path: &Path) -> bool {
    let readable_by_others =
        fs::symlink_metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o077 != 0);
    readable_by_others
        && fs::set_permissions(path, Permissions::from_mode(0o600)).is_ok()
        && DevFile::read(path).is_ok()
}

/// Has git ignore an entry that it would take.
fn ignored(folder: &Path, name: &str) -> bool {
    git::repository(folder).is_some() && !git::ignores(folder, name) && git::ignore(folder, name).is_ok()
}

/// The project, if there is one alone.
async fn only_project(cx: &Context<'_>) -> Option<(Client, Project)> {
    let client = cx.settings.client_without_project().ok().filter(Client::is_member)?;
    let mut projects = client.projects(None, Some(2)).await.ok()?;
    let project = projects.pop().filter(|_| projects.is_empty())?;
    Some((client, project))
}

/// Where `env pull` writes unless told otherwise.
const ENV_FILE: &str = ".env.local";
