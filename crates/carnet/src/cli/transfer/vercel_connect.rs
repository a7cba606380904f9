//! What Vercel Connect says about a team's connectors: `vercel connect list --all-projects --json`, or an answer of its API.
//!
//! Neither holds a secret, nor what was granted; so the clients' secrets are given with `--with`, and people consent again.

use serde_json::Value;

use super::plan::{Home, Plan, PlannedConnector, slug};
use super::{json, list_of, text_of, unreadable};
use crate::cli::failure::Failure;

/// Reads it.
pub(super) fn read(text: &str, home: &Home) -> Result<Plan, Failure> {
    const SOURCE: &str = "Vercel Connect";
    let file = json(text, SOURCE)?;
    // The command says `connectors`; the API says `clients`, and later `connectors` too.
    let lists = ["connectors", "clients"];
    let all: Vec<&Value> = match &file {
        Value::Array(all) => all.iter().collect(),
        object => lists.iter().flat_map(|name| list_of(object, name)).collect(),
    };
    if all.is_empty() {
        return Err(unreadable(SOURCE, "it has no list connectors or clients with anything in it"));
    }
    let more = ["/cursor", "/pagination/next"]
        .iter()
        .any(|place| file.pointer(place).is_some_and(|next| !next.is_null() && next != ""));
    if more {
        return Err(unreadable(
            SOURCE,
            "it holds one page of the list, and there is a next one; --limit 100 and --next give the others, import each of \
             them without its cursor",
        ));
    }
    let mut plan = Plan::default();
    for one in all {
        let Some(uid) = text_of(one, "uid") else {
            return Err(unreadable(SOURCE, "a connector has no uid"));
        };
        let service =
            text_of(one, "service").or_else(|| uid.split('/').next()).unwrap_or_default().to_owned();
        let data = one.get("data").and_then(Value::as_object).cloned().unwrap_or_default();
        let projects = list_of(one, "projects")
            .chain(one.pointer("/includes/projects/items").and_then(Value::as_array).into_iter().flatten());
        let names: Vec<String> = projects
            .filter_map(|project| text_of(project.get("project").unwrap_or(project), "name"))
            .map(str::to_owned)
            .collect();
        for name in names
            .iter()
            .filter(|name| plan.projects.iter().all(|known| known.name != **name))
            .cloned()
            .collect::<Vec<_>>()
        {
            plan.projects.push(super::plan::PlannedProject { name, ..Default::default() });
        }
        if ["/hasMoreProjects", "/includes/projects/hasMore"]
            .iter()
            .any(|place| one.pointer(place).and_then(Value::as_bool).unwrap_or_default())
        {
            plan.notes.push(format!(
                "{uid} has more projects than the file names: link the others with carnet attach"
            ));
        }
        // A list that says which projects may ask, and names none, gives nobody the right to.
        let says_projects =
            ["/projects", "/includes/projects/items"].iter().any(|place| one.pointer(place).is_some());
        let links: Vec<_> = if says_projects { names } else { vec![home.project.clone()] };
        plan.connectors.push(PlannedConnector {
            uid: uid.to_owned(),
            service,
            name: text_of(one, "name").map_or_else(|| slug(uid), str::to_owned),
            // Without data there is nothing to make a connector of but what the server's operator has registered.
            r#type: text_of(one, "type").filter(|_| !data.is_empty()).map(str::to_owned),
            listed_type: text_of(one, "type").map(str::to_owned),
            data,
            links: links.into_iter().map(|project| (project, Vec::new())).collect(),
            ..PlannedConnector::default()
        });
    }
    plan.notes.push(
        "Vercel Connect gives out neither client secrets nor grants: secrets are given with --with, and people consent again"
            .to_owned(),
    );
    plan.notes.push("it does not say in which environments: each project may ask in all three".to_owned());
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_list_are_read() {
        let home = Home { project: "here".to_owned(), environment: "production".to_owned() };
        let cli = r#"{"connectors":[{"uid":"slack/bot","id":"scl_1","name":"Bot","type":"oauth",
            "projects":[{"id":"prj_1","name":"shop"}],"hasMoreProjects":false}],"cursor":null}"#;
        let plan = read(cli, &home).unwrap();
        assert_eq!(
            plan.in_words()[..2],
            ["project shop", "connector slack/bot (managed by the server) for shop"]
        );
        let api = r#"{"clients":[{"uid":"mcp.example/x","service":"mcp.example","name":"X","type":"oauth",
            "data":{"serverUrl":"https://mcp.example"}}]}"#;
        let plan = read(api, &home).unwrap();
        assert_eq!(plan.in_words()[0], "connector mcp.example/x (oauth) for here");
        for text in ["", "[]", "{}", r#"{"connectors":[{"id":"scl_1"}]}"#] {
            assert!(read(text, &home).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_is_taken_for_what_it_says() {
        let home = Home { project: "here".to_owned(), environment: "production".to_owned() };
        for more in [r#""cursor":"c""#, r#""pagination":{"next":"n"}"#] {
            let page = format!(r#"{{"connectors":[{{"uid":"slack/bot"}}],{more}}}"#);
            assert!(read(&page, &home).is_err(), "{page}");
        }
        let list = r#"{"connectors":[{"uid":"keys.example.com/mine","type":"api-key","projects":[],
            "hasMoreProjects":true}],"cursor":null}"#;
        let mut plan = read(list, &home).unwrap();
        assert!(plan.connectors[0].links.is_empty());
        assert_eq!(plan.connectors[0].listed_type.as_deref(), Some("api-key"));
        assert!(plan.notes.iter().any(|note| note.contains("more projects")));
        let with = serde_json::json!({ "keys.example.com/mine": { "subjectType": "app" } });
        plan.complete(with.as_object().unwrap()).unwrap();
        assert_eq!(plan.connectors[0].r#type.as_deref(), Some("api-key"));
    }
}
