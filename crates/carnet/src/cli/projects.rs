//! `projects`: the team's projects.

use carnet_model::Environment;
use carnet_sdk::{ConnectorFilter, GrantInfo};
use serde_json::json;

use super::args::{HealthWebhookArgs, ProjectArgs, ProjectNameArgs, ProjectRemoveArgs, ProjectsListArgs};
use super::context::Context;
use super::create::quoted;
use super::failure::Failure;
use super::hit::{Would, grants_of, member};
use super::table::{moment, sheet, table};

/// Lists them.
pub(crate) async fn list(cx: &mut Context<'_>, args: ProjectsListArgs) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let search = args.search.as_deref().filter(|text| !text.is_empty());
    let (mut projects, mut next) = (Vec::new(), args.next.clone());
    loop {
        let page = client.projects_after(search, Some(args.limit.unwrap_or(100)), next.as_deref()).await?;
        projects.extend(page.projects);
        // A server that repeats itself is not asked for ever.
        let moved = page.next.is_some() && page.next != next;
        next = page.next;
        if args.limit.is_some() || !moved {
            break;
        }
    }
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "projects": projects, "next": next }));
    }
    if let (true, Some(text)) = (projects.is_empty(), search) {
        cx.talk.say(&format!("No project has {text} in its name."));
        return Ok(());
    }
    if projects.is_empty() {
        cx.talk.say("No projects. Make one: carnet projects create NAME");
        return Ok(());
    }
    let (now, relative) = (cx.now(), cx.talk.is_read_by_a_person());
    let linked = cx.settings.project.as_ref().map(|found| found.value.as_str());
    let row = |project: &carnet_sdk::Project| {
        let id = project.id.to_string();
        let here = linked.is_some_and(|linked| linked == id || linked == project.name);
        let created = project.created_at.map(|at| moment(at, now, relative)).unwrap_or_default();
        vec![project.name.clone(), id, created, if here { "this folder's".to_owned() } else { String::new() }]
    };
    let rows: Vec<_> = projects.iter().map(row).collect();
    for line in table(&["Name", "ID", "Created", "Linked"], &rows) {
        cx.talk.answer(&line)?;
    }
    if let (Some(next), Some(limit)) = (&next, args.limit) {
        let search = search.map(|text| format!(" --search {}", quoted(text))).unwrap_or_default();
        cx.talk
            .say(&format!("To see more, run `carnet projects list{search} --limit {limit} --next {next}`"));
    }
    Ok(())
}

/// Makes one.
pub(crate) async fn create(cx: &mut Context<'_>, args: ProjectNameArgs) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let project = client.create_project(&args.name).await.map_err(|error| {
        let failure = Failure::from(error);
        if failure.code == "conflict" {
            return Failure { next: Vec::new(), ..failure }
                .next(format!("carnet link {}", args.name), "to use the one there is");
        }
        failure
    })?;
    if cx.talk.wants_json() {
        return cx.talk.document(&project);
    }
    cx.talk.success(&format!("Project {} created: {}", project.name, project.id));
    cx.talk.say(&format!("  Link this folder to it: carnet link {}", project.name));
    Ok(())
}

/// Shows one.
pub(crate) async fn show(cx: &mut Context<'_>, args: ProjectArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let project = cx.project(&client, args.project.as_deref()).await?;
    let custom = client.custom_environments(&project.id.to_string()).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "project": project, "customEnvironments": custom }));
    }
    let environments: Vec<_> = Environment::BUILT_IN
        .iter()
        .map(ToString::to_string)
        .chain(custom.iter().map(|environment| format!("{} ({})", environment.slug, environment.id)))
        .collect();
    let mut rows = vec![
        ("Name", project.name.clone()),
        ("ID", project.id.to_string()),
        ("Team", project.account_id.to_string()),
        ("Environments", environments.join(", ")),
    ];
    if let Some(at) = project.created_at {
        rows.push(("Created", moment(at, cx.now(), cx.talk.is_read_by_a_person())));
    }
    for line in sheet(&rows) {
        cx.talk.answer(&line)?;
    }
    Ok(())
}

/// Shows, sets or forgets where one is told that what it was granted breaks.
pub(crate) async fn health_webhook(cx: &mut Context<'_>, args: HealthWebhookArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let project = cx.project(&client, args.project.as_deref()).await?;
    let (id, name) = (project.id.to_string(), &project.name);
    if args.remove {
        client.remove_health_webhook(&id).await?;
        if cx.talk.wants_json() {
            return cx.talk.document(&json!({ "projectId": id, "webhook": null }));
        }
        cx.talk.success(&format!("Nobody is told any more when what {name} was granted breaks"));
        return Ok(());
    }
    let webhook = match &args.to {
        Some(url) => Some(client.set_health_webhook(&id, url).await?),
        None => client.health_webhook(&id).await?,
    };
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "projectId": id, "webhook": webhook }));
    }
    match (&args.to, webhook) {
        (Some(_), Some(set)) => {
            cx.talk.success(&format!("{} is told when what {name} was granted breaks", set.url));
        }
        (_, Some(set)) => cx.talk.answer(&super::talk::plain(&set.url))?,
        (_, None) => cx
            .talk
            .say(&format!("Nobody is told. To be: carnet projects health-webhook {name} --to https://…")),
    }
    Ok(())
}

/// Removes one.
pub(crate) async fn remove(cx: &mut Context<'_>, args: ProjectRemoveArgs) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let project = cx.project(&client, Some(&args.project)).await?;
    let question = format!("Remove project {}, its links and every grant given to it?", project.name);
    if args.dry_run {
        let id = project.id.to_string();
        let mut filter =
            ConnectorFilter { project: Some(project.id), limit: Some(100), ..ConnectorFilter::default() };
        let mut linked = Vec::new();
        loop {
            let page = client.connectors(&filter).await?;
            linked.extend(page.connectors);
            match page.cursor {
                Some(cursor) if filter.cursor.as_ref() != Some(&cursor) => filter.cursor = Some(cursor),
                _ => break,
            }
        }
        let uids: Vec<_> = linked.iter().map(|connector| connector.uid.clone()).collect();
        let attached = if uids.is_empty() { "no connector".to_owned() } else { uids.join(", ") };
        let mut would = Would::new(format!("remove project {}, attached to {attached}", project.name))
            .fact("id", id.as_str())
            .fact("name", project.name.as_str())
            .fact("connectors", uids);
        for connector in &linked {
            let of_project = |grant: &GrantInfo| member(grant, "projectId") == Some(&id);
            would = would.grants(grants_of(&client, &connector.id.to_string(), of_project).await?);
        }
        return would.tell(cx);
    }
    cx.talk.insist_by_name(args.yes, &question, &project.name)?;
    client.delete_project(&project.id.to_string()).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "id": project.id, "name": project.name, "removed": true }));
    }
    cx.talk.success(&format!("Project {} removed", project.name));
    Ok(())
}
