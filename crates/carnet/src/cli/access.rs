//! `attach` and `detach`: which project may ask a connector for tokens, and where.

use std::collections::BTreeSet;

use carnet_model::Environment;
use carnet_sdk::{Client, Connector, Project, TriggerDestination};
use serde_json::{Value, json};

use super::args::{AttachArgs, DetachArgs, TriggerArgs};
use super::context::Context;
use super::failure::{Exit, Failure};
use super::hit::{Would, grants_of, member};

/// Lets a project ask in exactly the given environments. Asks before it takes an environment away.
pub(crate) async fn attach(cx: &mut Context<'_>, args: AttachArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let project = cx.project(&client, args.project.as_deref()).await?;
    let wanted = environments(&client, &project, &args.environment).await?;
    let connector = cx.connector(&client, &args.connector).await?;
    let id = connector.id.to_string();
    let before: BTreeSet<_> = client
        .link(&id, project.id)
        .await?
        .map(|link| link.environments.into_iter().collect())
        .unwrap_or_default();
    let unchanged = before == wanted;
    let lost: Vec<_> = before.difference(&wanted).map(ToString::to_string).collect();
    if args.dry_run {
        let (uid, name, project_id) = (&connector.uid, &project.name, project.id.to_string());
        let gained: Vec<_> = wanted.difference(&before).map(ToString::to_string).collect();
        let what = match (gained.is_empty(), lost.is_empty()) {
            (true, true) => format!("change nothing: {uid} is attached to {name} like that"),
            (false, true) => format!("attach {uid} to {name} in {}", gained.join(", ")),
            (true, false) => format!("detach {uid} from {name} in {}", lost.join(", ")),
            (false, false) => {
                format!(
                    "attach {uid} to {name} in {} and detach it in {}",
                    gained.join(", "),
                    lost.join(", ")
                )
            }
        };
        let grants = grants_of(&client, &id, |grant| {
            member(grant, "projectId") == Some(&project_id)
                && member(grant, "environment").is_some_and(|place| lost.iter().any(|lost| lost == place))
        })
        .await?;
        let would = Would::new(what)
            .fact("uid", uid.as_str())
            .fact("gained", gained)
            .fact("lost", lost.clone())
            .project(&project_id, name, lost)
            .grants(grants);
        return would.tell(cx);
    }
    if !unchanged {
        if !lost.is_empty() {
            let question = format!(
                "{} can then no longer ask {} in {}. Go on?",
                project.name,
                connector.uid,
                lost.join(", ")
            );
            cx.talk.insist(args.yes, &question)?;
        }
        let wanted: Vec<_> = wanted.iter().copied().collect();
        client.put_link(&id, project.id, &wanted).await?;
        if !lost.is_empty() {
            cx.talk.say(&format!(
                "{} can no longer ask {} in {}",
                project.name,
                connector.uid,
                lost.join(", ")
            ));
        }
    }
    let forwarded = if args.triggers.triggers {
        Some(forward(cx, &client, &connector, &project, &args.triggers).await?)
    } else {
        None
    };
    let unchanged = unchanged && forwarded.as_ref().is_none_or(|(_, is_new)| !is_new);
    if cx.talk.wants_json() {
        let mut answer = json!({
            "clientId": connector.id, "uid": connector.uid, "projectId": project.id, "environments": wanted,
        });
        if let (Some((destination, _)), Some(object)) = (&forwarded, answer.as_object_mut()) {
            object.insert("triggerDestination".to_owned(), json!(destination));
        }
        if let (true, Some(object)) = (unchanged, answer.as_object_mut()) {
            object.insert("unchanged".to_owned(), true.into());
        }
        return cx.talk.document(&answer);
    }
    let places: Vec<_> = wanted.iter().map(ToString::to_string).collect();
    let (uid, name, places) = (&connector.uid, &project.name, places.join(", "));
    if unchanged {
        cx.talk.say(&format!("{uid} is already attached to {name} in {places}. Nothing to do."));
    } else {
        cx.talk.success(&format!("{uid} attached to {name} in {places}"));
    }
    Ok(())
}

/// Adds a destination of the connector's events, beside those that are there; whether it is a new one.
async fn forward(
    cx: &mut Context<'_>,
    client: &Client,
    connector: &Connector,
    project: &Project,
    args: &TriggerArgs,
) -> Result<(TriggerDestination, bool), Failure> {
    let uid = &connector.uid;
    let rest = &connector.rest;
    if rest.get("supportsTriggers") == Some(&Value::Bool(false)) {
        return Err(Failure::usage(format!("{uid} receives no events of its provider."))
            .next(format!("carnet attach {uid}"), "to attach it without"));
    }
    let destination = destination(client, project, args).await?;
    let known = rest.get("triggerDestinations").cloned().unwrap_or_else(|| json!([]));
    let mut all: Vec<TriggerDestination> = serde_json::from_value(known).unwrap_or_default();
    let is_new = !all.contains(&destination);
    if is_new {
        all.push(destination.clone());
        client.set_trigger_destinations(&connector.id.to_string(), &all).await?;
    }
    if rest.get("triggers").is_none() {
        cx.talk.warn(&format!("{uid} receives no events yet; turn them on: carnet update {uid} --triggers"));
    }
    Ok((destination, is_new))
}

/// A destination as the flags name it.
pub(super) async fn destination(
    client: &Client,
    project: &Project,
    args: &TriggerArgs,
) -> Result<TriggerDestination, Failure> {
    let custom_environment_id = match &args.trigger_environment {
        None => None,
        Some(name) => match environment(client, project, name).await? {
            Environment::Custom(id) => Some(id.to_string()),
            Environment::Production => None,
            Environment::Preview | Environment::Development => {
                return Err(Failure::usage(format!("Events are not forwarded to {name} as a whole."))
                    .next("--trigger-branch BRANCH", "for the previews of a branch"));
            }
        },
    };
    Ok(TriggerDestination {
        project_id: Some(project.id.to_string()),
        path: args.trigger_path.clone(),
        branch: args.trigger_branch.clone(),
        custom_environment_id,
    })
}

/// Stops a project from asking, everywhere or in the environments that were named.
pub(crate) async fn detach(cx: &mut Context<'_>, args: DetachArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let project = cx.project(&client, args.project.as_deref()).await?;
    let named = match args.environment.as_slice() {
        [] => None,
        names => Some(environments(&client, &project, names).await?),
    };
    let connector = cx.connector(&client, &args.connector).await?;
    let id = connector.id.to_string();
    let link = client.link(&id, project.id).await?;
    let lost: Vec<Environment> = link.iter().flat_map(|link| link.environments.iter().copied()).collect();
    let lost: Vec<_> =
        lost.into_iter().filter(|one| named.as_ref().is_none_or(|named| named.contains(one))).collect();
    let places: Vec<String> = lost.iter().map(ToString::to_string).collect();
    let (uid, name, project_id) = (&connector.uid, &project.name, project.id.to_string());
    let there = if named.is_some() { format!(" in {}", places.join(", ")) } else { String::new() };
    if args.dry_run {
        if lost.is_empty() {
            let would = Would::new(format!("change nothing: {uid} is not attached to {name}"));
            return would.fact("uid", uid.as_str()).tell(cx);
        }
        let grants = grants_of(&client, &id, |grant| {
            member(grant, "projectId") == Some(&project_id)
                && member(grant, "environment").is_none_or(|place| places.iter().any(|lost| lost == place))
        });
        let would = Would::new(format!("detach {uid} from {name}{there}"))
            .fact("uid", uid.as_str())
            .grants(grants.await?)
            .project(&project_id, name, places);
        return would.tell(cx);
    }
    if !lost.is_empty() {
        let question = format!("{name} can then no longer ask {uid} for tokens{there}. Go on?");
        cx.talk.insist(args.yes, &question)?;
        match named {
            None => client.delete_link(&id, project.id).await.map(drop)?,
            Some(_) => {
                for environment in &lost {
                    client.cut_link(&id, project.id, *environment).await?;
                }
            }
        }
    }
    if cx.talk.wants_json() {
        let done = if lost.is_empty() { "unchanged" } else { "detached" };
        let mut answer = json!({"clientId": connector.id, "uid": uid, "projectId": project.id, done: true});
        if let (true, Some(answer)) = (named.is_some(), answer.as_object_mut()) {
            answer.insert("environments".to_owned(), json!(lost));
        }
        return cx.talk.document(&answer);
    }
    if lost.is_empty() {
        cx.talk.say(&format!("{uid} is not attached to {name}. Nothing to do."));
    } else {
        cx.talk.success(&format!("{uid} detached from {name}{there}"));
    }
    Ok(())
}

/// The environments that were named; the three built-in ones if none was. The project's own are known by short name.
pub(super) async fn environments(
    client: &Client,
    project: &Project,
    names: &[String],
) -> Result<BTreeSet<Environment>, Failure> {
    if names.is_empty() {
        return Ok(Environment::BUILT_IN.into());
    }
    let mut known = None;
    let mut found = BTreeSet::new();
    for name in names {
        if let Ok(environment) = Environment::parse(name) {
            found.insert(environment);
            continue;
        }
        if known.is_none() {
            known = Some(client.custom_environments(&project.id.to_string()).await?);
        }
        let custom = known.iter().flatten().find(|custom| custom.slug == *name);
        let custom = custom.ok_or_else(|| {
            Failure::new("not_found", format!("{} has no environment {name}.", project.name))
                .exit(Exit::NotFound)
                .next(format!("carnet projects show {}", project.name), "to see the environments it has")
        })?;
        found.insert(Environment::Custom(custom.id));
    }
    Ok(found)
}

/// One environment by its name on the command line.
pub(crate) async fn environment(
    client: &Client,
    project: &Project,
    name: &str,
) -> Result<Environment, Failure> {
    let found = environments(client, project, &[name.to_owned()]).await?;
    found.into_iter().next().ok_or_else(|| Failure::usage("No environment is named."))
}
