//! `check`: what a connector's provider says about what it gave, and what its server says about itself beside what was
//! pinned when the connector was made.
//!
//! Installations and grants are asked about one by one; a grant that can only be asked about by renewing it is renewed.
//! What the server says changes nothing, unless a person says `--accept`, and then exactly what was shown is taken.

use std::collections::BTreeSet;

use carnet_model::Code;
use carnet_sdk::{Checked, Client, Connector, Health, ServerCheck};
use serde_json::{Value, json};

use super::args::CheckArgs;
use super::context::Context;
use super::explain::subject_in_words;
use super::failure::{Exit, Failure};
use super::grants::every_connector;
use super::talk::plain;

/// Shows what does not hold. Exits with 5 where a person must act, with 1 where the connector or its server is not as it
/// should be, with 8 where the provider could not be asked.
pub(crate) async fn check(cx: &mut Context<'_>, args: CheckArgs) -> Result<Exit, Failure> {
    let client = cx.client()?;
    let Some(name) = &args.connector else { return check_all(cx, &client).await };
    if args.accept {
        return accept(cx, &client, name, args.yes).await;
    }
    let connector = match client.connector_metadata(name).await {
        Err(error) => match cx.begun(&client, name, &error).await? {
            Some(begun) => begun,
            None => return Err(error.into()),
        },
        found => found?,
    };
    let found = look(&client, &connector).await?;
    if cx.talk.wants_json() {
        cx.talk.document(&found.document())?;
    } else {
        found.say(cx)?;
    }
    Ok(found.exit())
}

async fn check_all(cx: &mut Context<'_>, client: &Client) -> Result<Exit, Failure> {
    let connectors = every_connector(client).await?;
    let (mut all, mut refused) = (Vec::with_capacity(connectors.len()), Vec::new());
    for (at, connector) in connectors.iter().enumerate() {
        cx.talk.progress(&format!("{} of {} connectors", at + 1, connectors.len()));
        match look(client, connector).await {
            Ok(found) => all.push(found),
            Err(failure) if is_about_one(&failure) => refused.push((connector, failure)),
            Err(failure) => return Err(failure),
        }
    }
    cx.talk.progress("");
    if cx.talk.wants_json() {
        let told = |(connector, failure): &(&Connector, Failure)| {
            let document = failure.document();
            json!({ "connector": connector, "error": document.get("error") })
        };
        let found: Vec<Value> = all.iter().map(Found::document).chain(refused.iter().map(told)).collect();
        cx.talk.document(&json!({ "connectors": found }))?;
    } else if connectors.is_empty() {
        cx.talk.say("No connectors. Make one: carnet create SERVICE");
    } else {
        for found in &all {
            found.say(cx)?;
        }
        for (connector, failure) in &refused {
            cx.talk.answer(&format!("{}  {}", connector.uid, plain(&failure.message)))?;
            for step in &failure.next {
                cx.talk.say(&format!("{}: {}", step.when, step.command));
            }
        }
    }
    // The one that needs somebody most.
    let worst = [Exit::Person, Exit::Failed, Exit::Later];
    let is_there = |exit: &Exit| {
        all.iter().any(|found| found.exit() == *exit) || (*exit == Exit::Failed && !refused.is_empty())
    };
    Ok(worst.into_iter().find(is_there).unwrap_or(Exit::Done))
}

/// Whether it says nothing about the other connectors: this one's application was taken away by the operator, or
/// something is wrong with it alone.
fn is_about_one(failure: &Failure) -> bool {
    let is = |code: Code| failure.code == code.as_str();
    let withdrawn = failure.extra.get("reason").is_some_and(|reason| reason == "managed_app_withdrawn");
    withdrawn || is(Code::Internal) || is(Code::InvalidConnector) || is(Code::NotFound)
}

/// What was found out about one connector.
struct Found {
    connector: Connector,
    /// `None` where no server says anything about itself.
    server: Option<ServerCheck>,
    health: Health,
    /// Projects whose grants need a person and that nobody tells so.
    untold: BTreeSet<String>,
}

async fn look(client: &Client, connector: &Connector) -> Result<Found, Failure> {
    let data = connector.rest.get("data");
    let names_server = data.and_then(|data| data.get("serverUrl")).is_some_and(Value::is_string);
    let server = match client.check_server(connector.uid.as_str()).await {
        Ok(found) => Some(found),
        Err(error) if error.is(Code::InvalidConnector) && !names_server => None,
        Err(error) => return Err(error.into()),
    };
    let health = client.check_health(connector.uid.as_str()).await?;
    let untold = untold(client, &health).await?;
    Ok(Found { connector: connector.clone(), server, health, untold })
}

/// Of the projects whose people must consent again, those that have said nowhere to be told.
async fn untold(client: &Client, health: &Health) -> Result<BTreeSet<String>, Failure> {
    let waiting = health.grants.iter().filter(|one| one.standing == "needs_consent");
    let projects: BTreeSet<&str> =
        waiting.filter_map(|one| one.rest.get("projectId").and_then(Value::as_str)).collect();
    let mut untold = BTreeSet::new();
    for project in projects {
        match client.health_webhook(project).await {
            Ok(Some(_)) => {}
            Ok(None) => {
                untold.insert(client.project(project).await?.name);
            }
            // Who may not look at it cannot set it either.
            Err(error) if error.is(Code::Forbidden) || error.is(Code::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(untold)
}

impl Found {
    fn checked(&self) -> impl Iterator<Item = &Checked> {
        self.health.installations.iter().chain(&self.health.grants)
    }

    fn moved(&self) -> bool {
        self.server.as_ref().is_some_and(|server| !server.differences.is_empty())
    }

    /// How everything stands that was asked about, the connector's own credentials among it.
    fn standings(&self) -> impl Iterator<Item = &str> {
        let own = self.health.application.iter().map(|one| one.standing.as_str());
        own.chain(self.checked().map(|one| one.standing.as_str()))
    }

    fn exit(&self) -> Exit {
        let any = |names: &[&str]| self.standings().any(|one| names.contains(&one));
        if any(&["needs_consent", "suspended", "gone"]) {
            Exit::Person
        } else if any(&["client_rejected", "secret_ended"]) || self.moved() {
            Exit::Failed
        } else if any(&["unreachable"]) {
            Exit::Later
        } else {
            Exit::Done
        }
    }

    fn document(&self) -> Value {
        let differences = self.server.as_ref().map(|server| &server.differences);
        let mut document = json!({
            "connector": self.connector,
            "differences": differences,
            "holds": self.health.holds,
            "installations": self.health.installations,
            "grants": self.health.grants,
        });
        if let (Some(own), Some(members)) = (&self.health.application, document.as_object_mut()) {
            members.insert("application".to_owned(), json!(own));
        }
        document
    }

    fn say(&self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let uid = &self.connector.uid;
        for difference in self.server.iter().flat_map(|server| &server.differences) {
            cx.talk.answer(&plain(&difference.member))?;
            cx.talk.answer(&format!("  pinned   {}", words(difference.pinned.as_ref())))?;
            cx.talk.answer(&format!("  present  {}", words(difference.present.as_ref())))?;
        }
        if self.moved() {
            cx.talk.say(&format!(
                "Tokens are still asked for as pinned. To take the change: carnet check {uid} --accept"
            ));
        }
        let is_bad = |standing: &str| !matches!(standing, "holds" | "not_asked");
        let bad = |one: &&Checked| is_bad(&one.standing);
        let own = self.health.application.as_ref();
        if let Some(own) = own.filter(|own| is_bad(&own.standing)) {
            let why = own.message.as_deref().map(|why| format!(": {}", plain(why))).unwrap_or_default();
            cx.talk
                .answer(&format!("its own credentials  {}{why}", plain(&own.standing.replace('_', " "))))?;
        }
        for one in self.checked().filter(bad) {
            let why = one.message.as_deref().map(|why| format!(": {}", plain(why))).unwrap_or_default();
            cx.talk.answer(&format!("{}  {}{why}", whose(one), plain(&one.standing.replace('_', " "))))?;
        }
        let standing = |name: &str| self.standings().filter(|one| *one == name).count();
        let bad = self.standings().filter(|one| is_bad(one)).count();
        let all = self.checked().count();
        let unasked = self.checked().filter(|one| one.standing == "not_asked").count();
        if bad == 0 && !self.moved() {
            let unasked =
                if unasked == 0 { String::new() } else { format!(", {unasked} of them not asked about") };
            let server = if self.server.is_some() { "; its server is as it was pinned" } else { "" };
            let own = match own.map(|own| own.standing.as_str()) {
                Some("holds") => "; its own credentials are accepted",
                Some(_) => "; about its own credentials there is nobody to ask",
                None => "",
            };
            cx.talk.success(&format!("{uid}: {all} grants and installations hold{unasked}{own}{server}"));
            return Ok(());
        }
        if self.health.installations.iter().any(|one| one.standing == "gone") {
            cx.talk.say(&format!("To install it again: carnet token {uid} --subject app --yes"));
        }
        if self.health.grants.iter().any(|one| one.standing == "needs_consent") {
            cx.talk.say("Those users must consent again: their application leads them there.");
            for project in &self.untold {
                cx.talk.say(&format!(
                    "To have the application told, with the link: carnet projects health-webhook {project} --to https://…"
                ));
            }
        }
        if standing("client_rejected") > 0 {
            cx.talk.say(&format!("To see the client that the provider refuses: carnet show {uid}"));
        }
        if standing("secret_ended") > 0 {
            cx.talk.say(&format!("To ask the provider for a new secret: carnet check {uid} --accept"));
        }
        Ok(())
    }
}

/// Takes what the server says now.
async fn accept(cx: &mut Context<'_>, client: &Client, name: &str, yes: bool) -> Result<Exit, Failure> {
    let found = match client.check_server(name).await {
        Err(error) => match cx.begun(client, name, &error).await? {
            Some(begun) => client.check_server(&begun.uid).await?,
            None => return Err(error.into()),
        },
        found => found?,
    };
    let uid = &found.connector.uid;
    if !cx.talk.wants_json() {
        for difference in &found.differences {
            cx.talk.answer(&plain(&difference.member))?;
            cx.talk.answer(&format!("  pinned   {}", words(difference.pinned.as_ref())))?;
            cx.talk.answer(&format!("  present  {}", words(difference.present.as_ref())))?;
        }
    }
    if !found.differences.is_empty() {
        let question = format!("Send people and secrets of {uid} to the server as it presents itself now?");
        cx.talk.insist(yes, &question)?;
    }
    let changed = client.accept_server(uid, &found.digest).await?;
    let sync = changed.rest.get("serviceSync");
    if cx.talk.wants_json() {
        cx.talk.document(&json!({
            "connector": found.connector, "differences": found.differences, "accepted": true, "serviceSync": sync,
        }))?;
        return Ok(Exit::Done);
    }
    cx.talk.success(&format!("The server of {uid} is pinned as it is now"));
    let errors = sync.and_then(|sync| sync.get("errors")).and_then(Value::as_array);
    for error in errors.into_iter().flatten().filter_map(Value::as_str) {
        cx.talk.warn(&plain(error));
    }
    Ok(Exit::Done)
}

/// Whose grant it is and where, or which installation.
fn whose(one: &Checked) -> String {
    let text = |name: &str| one.rest.get(name).and_then(Value::as_str).map(plain).unwrap_or_default();
    match one.rest.get("subject") {
        Some(subject) => format!("{}  {}  {}", one.id, subject_in_words(subject), text("environment")),
        None => format!("{}  {}", one.id, text("name")),
    }
}

fn words(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::String(text)) => plain(text),
        Some(other) => plain(&other.to_string()),
    }
}
