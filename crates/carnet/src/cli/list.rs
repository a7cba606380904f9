//! `list`: the connectors of the linked project, or all.

use carnet_sdk::{Connector, ConnectorFilter, IncludedProject};
use serde_json::{Value, json};

use super::args::ListArgs;
use super::context::Context;
use super::create::quoted;
use super::failure::Failure;
use super::table::table;

/// Lists connectors.
pub(crate) async fn list(cx: &mut Context<'_>, args: ListArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let again = again(&args);
    let project = if args.all_projects { None } else { cx.linked_project(&client).await? };
    let filter = ConnectorFilter {
        project,
        with_projects: project.is_none(),
        services: args.service,
        types: args.r#type,
        search: args.search,
        limit: args.limit,
        cursor: args.next,
    };
    let page = client.connectors(&filter).await?;
    if cx.talk.wants_json() {
        let connectors: Vec<_> =
            page.connectors.iter().map(|connector| outline(connector, project.is_none())).collect();
        return cx.talk.document(&json!({ "connectors": connectors, "cursor": page.cursor }));
    }
    if page.connectors.is_empty() {
        cx.talk.say("No connectors. Register one: carnet create SERVICE");
        return Ok(());
    }
    let mut headings = vec!["UID", "ID", "Name", "Type"];
    if project.is_none() {
        headings.push("Projects");
    }
    let rows: Vec<_> = page.connectors.iter().map(|connector| row(connector, project.is_none())).collect();
    for line in table(&headings, &rows) {
        cx.talk.answer(&line)?;
    }
    if let Some(cursor) = &page.cursor {
        cx.talk.say(&format!("To see more, run `{again} --next {cursor}`"));
    }
    Ok(())
}

/// The same command, but for the page.
fn again(args: &ListArgs) -> String {
    let mut line = "carnet list".to_owned();
    if args.all_projects {
        line.push_str(" --all-projects");
    }
    let texts = [
        ("type", args.r#type.as_slice()),
        ("service", args.service.as_slice()),
        ("search", args.search.as_slice()),
    ];
    for (name, texts) in texts {
        let text: Vec<_> = texts.iter().map(|text| quoted(text)).collect();
        if !text.concat().is_empty() {
            line = format!("{line} --{name} {}", text.join(","));
        }
    }
    match args.limit {
        Some(limit) => format!("{line} --limit {limit}"),
        None => line,
    }
}

fn row(connector: &Connector, with_projects: bool) -> Vec<String> {
    let kind = connector.type_name.as_deref().unwrap_or_else(|| connector.driver());
    let mut row =
        vec![connector.uid.clone(), connector.id.to_string(), connector.name.clone(), kind.to_owned()];
    if with_projects {
        let (projects, more) = projects(connector);
        let mut names: Vec<_> = projects.iter().map(|project| project.name.as_str()).collect();
        if more {
            names.push("+ more");
        }
        row.push(names.join(", "));
    }
    row
}

/// The members that `vercel connect list --json` prints for each, `null` where there is nothing.
fn outline(connector: &Connector, with_projects: bool) -> Value {
    let rest = |name: &str| connector.rest.get(name).cloned().unwrap_or(Value::Null);
    let mut out = json!({
        "uid": connector.uid,
        "id": connector.id,
        "name": connector.name,
        "type": connector.driver(),
        "typeName": connector.type_name,
        "createdAt": connector.created_at,
        "icon": rest("icon"),
        "backgroundColor": rest("backgroundColor"),
        "accentColor": rest("accentColor"),
    });
    if let (true, Some(object)) = (with_projects, out.as_object_mut()) {
        let (projects, more) = projects(connector);
        object.insert("projects".to_owned(), json!(projects));
        object.insert("hasMoreProjects".to_owned(), more.into());
    }
    out
}

/// The projects that were included. A link whose project is gone has none.
fn projects(connector: &Connector) -> (Vec<&IncludedProject>, bool) {
    let included = connector.includes.as_ref().and_then(|includes| includes.projects.as_ref());
    included.map_or((Vec::new(), false), |included| {
        (included.items.iter().filter_map(|link| link.project.as_ref()).collect(), included.has_more)
    })
}
