//! `projects url`: where a project's environments are reached, which is where its events are forwarded to.

use carnet_sdk::ProjectUrl;
use serde_json::json;

use super::args::ProjectUrlArgs;
use super::context::Context;
use super::failure::{Exit, Failure};
use super::table::table;

/// Shows them, or changes some: what is there after it is what is said.
pub(crate) async fn url(cx: &mut Context<'_>, args: ProjectUrlArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let project = cx.project(&client, args.project.as_deref()).await?;
    let (id, name) = (project.id.to_string(), &project.name);
    let mut urls = client.project_urls(&id).await?;
    if !args.set.is_empty() || !args.remove.is_empty() {
        let mut known = Vec::new();
        for word in args.set.iter().map(|(environment, _)| environment).chain(&args.remove) {
            let environment = super::access::environment(&client, &project, word).await?;
            known.push((word.clone(), environment.to_string()));
        }
        let of = |word: &str| known.iter().find(|(known, _)| known == word).map(|(_, id)| id.clone());
        for word in &args.remove {
            let environment = of(word).unwrap_or_default();
            let at = urls.iter().position(|one| one.environment == environment).ok_or_else(|| {
                Failure::new("not_found", format!("{name} has no address in {word}."))
                    .exit(Exit::NotFound)
                    .next(format!("carnet projects url {name}"), "to see those it has")
            })?;
            urls.remove(at);
        }
        for (word, url) in &args.set {
            let environment = of(word).unwrap_or_default();
            urls.retain(|one| one.environment != environment);
            urls.push(ProjectUrl { environment, url: url.clone() });
        }
        urls = client.set_project_urls(&id, &urls).await?;
    }
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "projectId": id, "urls": urls }));
    }
    if urls.is_empty() {
        cx.talk.say(&format!(
            "Nobody has said where {name} is reached. Say it: carnet projects url {name} --set production=https://…"
        ));
        return Ok(());
    }
    let rows: Vec<_> = urls.into_iter().map(|one| vec![one.environment, one.url]).collect();
    for line in table(&["Environment", "URL"], &rows) {
        cx.talk.answer(&line)?;
    }
    Ok(())
}
