//! `env pull` and `env print`: the variables that a program needs to ask for tokens.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use carnet_model::{Environment, SecretString};
use serde_json::json;

use super::args::{PrintArgs, PullArgs};
use super::context::Context;
use super::envfile;
use super::failure::Failure;
use super::folder;
use super::git;

/// Writes them into a file; its other lines stay as they are.
pub(crate) async fn pull(cx: &mut Context<'_>, args: PullArgs) -> Result<(), Failure> {
    if args.file.as_os_str() == "-" {
        return Err(Failure::usage("env pull writes a file, and - is none.")
            .next("carnet env print", "to have the variables printed"));
    }
    let variables = fetch(cx, &args.environment).await?;
    let path = cx.place.folder.join(&args.file);
    let cannot = |error: &io::Error| {
        Failure::new("file_failed", format!("{} cannot be written.", args.file.display()))
            .because(error)
            .next("carnet env pull FILE", "to write another file")
    };
    let before = match fs::symlink_metadata(&path) {
        // Through a link, the file of somebody else could be read or replaced.
        Ok(metadata) if !metadata.is_file() => {
            return Err(cannot(&io::Error::other("it is not a regular file")));
        }
        Ok(_) => fs::read_to_string(&path).map_err(|error| cannot(&error))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(cannot(&error)),
    };
    let after = envfile::update(&before, &variables);
    folder::replace(&path, after.as_bytes(), 0o600).map_err(|error| cannot(&error))?;
    if let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
        && git::repository(parent).is_some()
        && !git::ignores(parent, name)
    {
        cx.talk.warn(&format!(
            "{name} holds a credential and git does not ignore it: echo {name} >> .gitignore"
        ));
    }
    let names: Vec<_> = variables.keys().collect();
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({
            "file": args.file.to_string_lossy(), "environment": args.environment, "variables": names,
        }));
    }
    let count = names.len();
    cx.talk.success(&format!("{count} variables of {} written to {}", args.environment, args.file.display()));
    Ok(())
}

/// Prints them for a shell to evaluate.
pub(crate) async fn print(cx: &mut Context<'_>, args: PrintArgs) -> Result<(), Failure> {
    let variables = fetch(cx, &args.environment).await?;
    if cx.talk.wants_json() {
        let exposed: BTreeMap<_, _> = variables.iter().map(|(name, value)| (name, value.expose())).collect();
        return cx.talk.document(&json!({ "env": exposed }));
    }
    for (name, value) in &variables {
        cx.talk.answer(&format!("export {name}={}", envfile::for_shell(value.expose())))?;
    }
    Ok(())
}

/// Only Carnet's own variables: a program would obey others, `PATH` or `NODE_OPTIONS`, that no server has to set.
async fn fetch(cx: &mut Context<'_>, environment: &str) -> Result<BTreeMap<String, SecretString>, Failure> {
    let client = cx.client()?;
    let project = match &cx.settings.project {
        Some(found) => found.value.clone(),
        None => return Err(super::context::no_project()),
    };
    let mut variables = client.variables(&project, environment).await.map_err(|error| {
        let failure = Failure::from(error);
        let built_in = Environment::BUILT_IN.iter().any(|known| known.to_string() == environment);
        if built_in || !matches!(failure.code.as_str(), "not_found" | "invalid_request") {
            return failure;
        }
        Failure { next: Vec::new(), ..failure }
            .next("carnet projects show", "to see the environments of the project")
    })?;
    variables.retain(|name, _| {
        let ours = envfile::is_name(name) && (name.starts_with("CARNET_") || name.starts_with("VERCEL_"));
        if !ours {
            cx.talk.warn(&format!("the server also sets {name}, which is left out"));
        }
        ours
    });
    Ok(variables)
}
