//! `redirect-uris`: where an app's people are sent back to who sign in with a connector.

use carnet_model::Environment;
use carnet_sdk::{Client, Project, RedirectUri};
use serde_json::json;

use super::args::RedirectUrisArgs;
use super::context::Context;
use super::failure::{Exit, Failure};
use super::hit::Would;
use super::table::table;

/// Lists them, or changes them: the list after it is what is said.
pub(crate) async fn redirect_uris(cx: &mut Context<'_>, args: RedirectUrisArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let project = cx.project(&client, args.project.as_deref()).await?;
    let connector = cx.connector(&client, &args.connector).await?;
    let id = connector.id.to_string();
    let before = client.redirect_uris(&id, project.id).await?;
    let changes = !args.add.is_empty() || !args.remove.is_empty();
    let mut after = before.clone();
    if changes {
        for uri in &args.remove {
            let missing = || {
                Failure::new("not_found", format!("{uri} is not registered."))
                    .exit(Exit::NotFound)
                    .next(format!("carnet redirect-uris {}", connector.uid), "to see those that are")
            };
            let at = after.iter().position(|one| one.uri == *uri).ok_or_else(missing)?;
            after.remove(at);
        }
        if let Some(first) = args.add.first() {
            let environment = environment(&client, &project, args.environment.as_deref(), first).await?;
            after.extend(
                args.add
                    .iter()
                    .map(|uri| RedirectUri { uri: uri.clone(), environment: environment.to_string() }),
            );
        }
    }
    let (uid, name) = (&connector.uid, &project.name);
    if args.dry_run {
        let what = format!("register {} redirect URIs of {name} for {uid}", after.len());
        let would = Would::new(what).fact("uid", uid.as_str()).fact("redirectUris", json!(after));
        return would.tell(cx);
    }
    let present = if changes { client.set_redirect_uris(&id, project.id, after).await? } else { before };
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({
            "clientId": connector.id, "uid": uid, "projectId": project.id, "redirectUris": present,
        }));
    }
    if present.is_empty() {
        cx.talk.say(&format!(
            "No app of {name} signs people in with {uid}. Let one: carnet redirect-uris {uid} --add ADDRESS -e ENVIRONMENT"
        ));
        return Ok(());
    }
    let rows: Vec<_> = present.into_iter().map(|one| vec![one.environment, one.uri]).collect();
    for line in table(&["Environment", "Redirect URI"], &rows) {
        cx.talk.answer(&line)?;
    }
    Ok(())
}

/// The environment that was named, by name; that of development for an address on the person's own machine.
async fn environment(
    client: &Client,
    project: &Project,
    named: Option<&str>,
    uri: &str,
) -> Result<Environment, Failure> {
    let Some(name) = named else {
        if uri.starts_with("http:") {
            return Ok(Environment::Development);
        }
        return Err(Failure::new("usage", "Say with -e in which environment the app runs that is there.")
            .exit(Exit::Usage));
    };
    let names = [name.to_owned()];
    let found = super::access::environments(client, project, &names).await?;
    found
        .into_iter()
        .next()
        .ok_or_else(|| Failure::new("not_found", format!("There is no environment {name}.")))
}
