//! A file of variables, such as `.env`: each key or token in it becomes a connector of type `api-key`.

use serde_json::{Map, json};

use super::plan::{Home, Plan, PlannedConnector, slug};
use super::unreadable;
use crate::cli::envfile::is_name;
use crate::cli::failure::Failure;

/// Reads it. Without `only`, variables are taken whose names say that they hold a secret.
pub(super) fn read(text: &str, home: &Home, only: &[String]) -> Result<Plan, Failure> {
    let variables = variables(text);
    for name in only {
        if !variables.iter().any(|(known, _)| known == name) {
            return Err(unreadable("variables", &format!("it does not set {name}")));
        }
    }
    let mut plan = Plan::default();
    for (name, value) in variables {
        let wanted = if only.is_empty() { service_of(&name).is_some() } else { only.contains(&name) };
        // Carnet's own are what other secrets are replaced by.
        if !wanted || value.is_empty() || name.starts_with("CARNET_") || name.starts_with("VERCEL_") {
            continue;
        }
        let service = service_of(&name).unwrap_or_else(|| slug(&name));
        let mut data = Map::new();
        data.insert("subjectType".to_owned(), "app".into());
        data.insert("values".to_owned(), json!([{"value": value}]));
        plan.connectors.push(PlannedConnector {
            uid: format!("{service}/{}", slug(&name)),
            service,
            name: name.clone(),
            r#type: Some("api-key".to_owned()),
            data,
            links: vec![(home.project.clone(), Vec::new())],
            ..PlannedConnector::default()
        });
    }
    if !plan.connectors.is_empty() {
        plan.notes.push(
            "take the variables out of the file when programs ask here: carnet run sets them".to_owned(),
        );
    }
    Ok(plan)
}

/// The service by the name of its variable: `OPENAI_API_KEY` is of openai. None if the name says nothing of a secret.
fn service_of(name: &str) -> Option<String> {
    const ENDINGS: [&str; 9] = [
        "_API_KEY",
        "_API_TOKEN",
        "_ACCESS_TOKEN",
        "_BOT_TOKEN",
        "_AUTH_TOKEN",
        "_SECRET_KEY",
        "_TOKEN",
        "_KEY",
        "_PAT",
    ];
    let ending = ENDINGS.iter().find(|ending| name.ends_with(**ending))?;
    let service = name.strip_suffix(ending)?;
    (!service.is_empty()).then(|| slug(service))
}

/// Names and values, quotes taken away, the last of several by one name. Values over several lines are left out.
fn variables(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        let Some((name, value)) = line.strip_prefix("export ").unwrap_or(line).split_once('=') else {
            continue;
        };
        let name = name.trim();
        if line.starts_with('#') || !is_name(name) {
            continue;
        }
        let Some(value) = unquoted(value.trim()) else { continue };
        found.retain(|(known, _)| known != name);
        found.push((name.to_owned(), value));
    }
    found
}

fn unquoted(value: &str) -> Option<String> {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote) {
            let end = inner.find(quote)?;
            return Some(inner.get(..end)?.to_owned());
        }
    }
    // After a space, `#` begins a comment.
    Some(value.split(" #").next().unwrap_or_default().trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_connectors_and_everything_else_stays() {
        let home = Home { project: "shop".to_owned(), environment: "production".to_owned() };
        let text = "# keys\nexport OPENAI_API_KEY='sk-1'\nGITHUB_TOKEN=ghp_2 # mine\nPORT=80\nCARNET_TOKEN=crn\n\
                    EMPTY_TOKEN=\nODD=x\nSLACK_BOT_TOKEN=\"xoxb\"\nOPENAI_API_KEY=sk-3\n";
        let plan = read(text, &home, &[]).unwrap();
        let made: Vec<_> = plan
            .connectors
            .iter()
            .map(|one| (one.uid.as_str(), one.data["values"][0]["value"].as_str().unwrap()))
            .collect();
        assert_eq!(
            made,
            [
                ("github/github-token", "ghp_2"),
                ("slack/slack-bot-token", "xoxb"),
                ("openai/openai-api-key", "sk-3"),
            ]
        );
        let only = read(text, &home, &["ODD".to_owned()]).unwrap();
        assert_eq!(only.connectors[0].uid, "odd/odd");
        assert!(read(text, &home, &["MISSING".to_owned()]).is_err());
        assert!(read("PORT=80", &home, &[]).unwrap().is_empty());
    }
}
