//! `show`: one connector, who may ask it, and how its grants are.

use carnet_model::Time;
use carnet_sdk::{Alike, AuditRecord, Link, Standing};
use serde_json::{Value, json};

use super::context::Context;
use super::failure::{Exit, Failure};
use super::grants::state_in_words;
use super::status::{failures_in_words, last_failures};
use super::table::{moment, sheet};
use super::talk::plain;

/// Shows a connector.
pub(crate) async fn show(cx: &mut Context<'_>, name: &str) -> Result<(), Failure> {
    let client = cx.client()?;
    let connector = cx.connector(&client, name).await?;
    let id = connector.id.to_string();
    // A workload may read the connector, but not who else uses it.
    let links = if client.is_member() { Some(client.links(&id).await?) } else { None };
    let failures = if client.is_member() { readable(last_failures(&client, Some(&id)).await)? } else { None };
    if cx.talk.wants_json() {
        // A page of them, and how many there are: a connector may have a hundred thousand.
        let (page, standing) = if client.is_member() {
            let page = client.grants_page(&id, None, Some(SHOWN)).await?;
            (Some(page), Some(client.standing(Some(id.as_str())).await?))
        } else {
            (None, None)
        };
        let mut document = json!({
            "connector": connector, "projects": links, "grants": page.as_ref().map(|page| &page.grants),
            "grantCount": standing.as_ref().map(|standing| standing.grants),
            "grantStates": standing.map(|standing| standing.states), "lastErrors": failures,
        });
        let has_more = page.is_some_and(|page| page.cursor.is_some());
        if let (true, Some(document)) = (has_more, document.as_object_mut()) {
            let all = format!("carnet grants list {} --json", connector.uid);
            let next = json!([{"command": all, "when": "to have all of its grants"}]);
            document.insert("next".to_owned(), next);
        }
        return cx.talk.document(&document);
    }
    let now = cx.now();
    let relative = cx.talk.is_read_by_a_person();
    let mut rows = vec![
        ("UID", connector.uid.clone()),
        ("ID", id.clone()),
        ("Name", connector.name.clone()),
        ("Service", connector.service.clone()),
        ("Type", connector.type_name.clone().unwrap_or_else(|| connector.driver().to_owned())),
        ("Subjects", connector.supported_subject_types.join(", ")),
        ("Created", moment(connector.created_at, now, relative)),
    ];
    if let Some(uri) = connector.rest.get("redirectUri").and_then(Value::as_str) {
        rows.push(("Redirect URI", uri.to_owned()));
    }
    if let Some(end) = connector.rest.get("data").and_then(secret_end) {
        rows.push(("Secret ends", moment(end, now, relative)));
    }
    if let Some(url) = connector.rest.get("triggerUrl").and_then(Value::as_str) {
        rows.push(("Events at", plain(url)));
    }
    let destinations = connector.rest.get("triggerDestinations").and_then(Value::as_array);
    rows.extend(destinations.into_iter().flatten().map(|one| ("Forwarded to", destination_in_words(one))));
    if let Some(links) = &links {
        rows.extend(links_in_words(links).into_iter().map(|link| ("Attached to", link)));
    }
    if client.is_member() {
        rows.push(("Grants", grants_in_words(&client.standing(Some(id.as_str())).await?)));
    }
    for line in sheet(&rows) {
        cx.talk.answer(&line)?;
    }
    if let Some(failures) = failures.filter(|failures| !failures.is_empty()) {
        cx.talk.answer("")?;
        for line in failures_in_words(cx, &failures) {
            cx.talk.answer(&line)?;
        }
        cx.talk.say(&format!("Why a request would be refused now: carnet explain {}", connector.uid));
    }
    if links.is_some_and(|links| links.is_empty()) {
        cx.talk.say(&format!(
            "No project may ask it. Attach one: carnet attach {} --project PROJECT",
            connector.uid
        ));
    }
    Ok(())
}

/// When the secret ends that the provider gave the client when it registered it.
fn secret_end(data: &Value) -> Option<Time> {
    data.get("clientRegistration")?.get("secretExpiresAt")?.as_i64().map(Time::from_millis)
}

/// Not everybody who may see a connector may read the log.
fn readable(read: Result<Vec<AuditRecord>, Failure>) -> Result<Option<Vec<AuditRecord>>, Failure> {
    match read {
        Ok(events) => Ok(Some(events)),
        Err(failure) if failure.exit == Exit::Denied => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// `prj_… production /hook`
fn destination_in_words(destination: &Value) -> String {
    let of = |name: &str| destination.get(name).and_then(Value::as_str).map(plain);
    let branch = of("branch").map(|branch| format!("previews of {branch}"));
    let place = branch.or_else(|| of("customEnvironmentId")).unwrap_or_else(|| "production".to_owned());
    let mut words = vec![of("projectId").unwrap_or_default(), place];
    words.extend(of("path"));
    if destination.get("disabled") == Some(&Value::Bool(true)) {
        words.push("(said that it is gone; set it anew to go on)".to_owned());
    }
    words.join(" ")
}

fn links_in_words(links: &[Link]) -> Vec<String> {
    let words = |link: &Link| {
        let id = link.project_id.to_string();
        let name = link.project.as_ref().map_or(id.as_str(), |project| project.name.as_str());
        let environments: Vec<_> = link.environments.iter().map(ToString::to_string).collect();
        format!("{name} ({})", environments.join(", "))
    };
    links.iter().map(words).collect()
}

fn grants_in_words(standing: &Standing) -> String {
    if standing.states.is_empty() {
        return "none".to_owned();
    }
    let in_words =
        |alike: &Alike| format!("{} {}", alike.grants, state_in_words(&alike.state, alike.cause.as_deref()));
    standing.states.iter().map(in_words).collect::<Vec<_>>().join(", ")
}

/// Grants in the document: as many as the server gives at once.
const SHOWN: u32 = 100;
