//! `link`: makes a folder a project's, in `.carnet/project.json`, and keeps that out of the repository.

use std::path::PathBuf;

use carnet_sdk::{Client, Project};

use super::args::LinkArgs;
use super::context::Context;
use super::failure::{Exit, Failure};
use super::folder::{FOLDER, ProjectFile};
use super::git;

/// Links the folder. Without a name: the project that is already meant, or the only one there is.
pub(crate) async fn link(cx: &mut Context<'_>, args: LinkArgs) -> Result<(), Failure> {
    let client = cx.client_of_a_team().await?.0;
    let project = match (&args.project, &cx.settings.project) {
        (Some(_), _) | (None, Some(_)) => {
            cx.project(&client, args.project.as_deref()).await.map_err(|failure| {
                match (&args.project, failure.exit) {
                    (Some(name), Exit::NotFound) => {
                        failure.next(format!("carnet projects create {name}"), "to make it")
                    }
                    (None, Exit::NotFound) => failure.next("carnet link PROJECT", "to link one of them"),
                    _ => failure,
                }
            })?
        }
        (None, None) => only(&client).await?,
    };
    let (file, path) = write(cx, &client, &project)?;
    if cx.talk.wants_json() {
        return cx.talk.document(&file);
    }
    cx.talk.success(&format!("Linked to {} at {} ({})", file.project_name, file.url, path.display()));
    cx.talk.say("  Next: carnet create SERVICE, or carnet env pull");
    Ok(())
}

/// Writes the file, and has git ignore it.
pub(crate) fn write(
    cx: &mut Context<'_>,
    client: &Client,
    project: &Project,
) -> Result<(ProjectFile, PathBuf), Failure> {
    let file = ProjectFile {
        project_id: project.id,
        team_id: project.account_id,
        project_name: project.name.clone(),
        url: client.url().as_str().trim_end_matches('/').to_owned(),
    };
    let folder = &cx.place.folder;
    let cannot = |what: &str, error: &std::io::Error| {
        Failure::new("file_failed", format!("{what} in {} cannot be written.", folder.display()))
            .because(error)
    };
    let path = file.write(folder).map_err(|error| cannot(FOLDER, &error))?;
    if git::repository(folder).is_some() && !git::ignores(folder, FOLDER) {
        git::ignore(folder, FOLDER).map_err(|error| cannot(".gitignore", &error))?;
        cx.talk.say(&format!("Added {FOLDER} to .gitignore"));
    }
    Ok((file, path))
}

async fn only(client: &Client) -> Result<Project, Failure> {
    let mut projects = client.projects(None, None).await?;
    match (projects.pop(), projects.is_empty()) {
        (Some(project), true) => Ok(project),
        (None, _) => {
            Err(Failure::usage("There is no project yet.").next("carnet projects create NAME", "to make one"))
        }
        (Some(_), false) => Err(Failure::usage("There are several projects; name PROJECT.")
            .next("carnet projects", "to see them")
            .next("carnet link PROJECT", "to link one")),
    }
}
