//! Making what a plan says, one thing after the other: of an import, and of the seed of a development server.

use carnet_model::{Code, Next};
use carnet_sdk::{Client, NewConnector, NewTrustedIssuer, Project, RedirectUri, TrustRule};
use serde_json::{Map, Value, json};

use super::plan::{Plan, PlannedConnector, PlannedProject};
use super::{events, settings, team};
use crate::cli::access::environment;
use crate::cli::context::Context;
use crate::cli::create::quoted;
use crate::cli::failure::Failure;
use crate::cli::import::outcome_of;
use crate::cli::table::table;

/// What became of one thing.
pub(crate) struct Done {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    /// What it is of.
    pub(crate) of: Of,
    pub(crate) outcome: Result<&'static str, Failure>,
}

/// Which project, trusted issuer or connector of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Project(usize),
    Issuer(usize),
    Connector(usize),
    Team,
}

/// Makes everything, and says what became of each. Exits with 1 if something could not be made.
pub(super) async fn apply(cx: &mut Context<'_>, client: &Client, mut plan: Plan) -> Result<(), Failure> {
    let mut notes = std::mem::take(&mut plan.notes);
    let tick = |at: usize, total: usize| cx.talk.progress(&format!("{at} of {total}"));
    let mut done = Box::pin(make(client, &plan, &mut notes, tick)).await;
    cx.talk.progress("");
    for one in done.iter_mut().filter(|one| one.kind == "connector") {
        if let Err(failure) = &mut one.outcome {
            let members = quoted(&format!("{{{}:{{…}}}}", json!(one.name)));
            let line = format!("carnet import … --with {members}");
            let when = "with what its data lacks, from @FILE if it is secret".to_owned();
            failure.next = vec![Next { command: line, when }];
        }
    }
    // The last, because it may keep connectors from whoever is at it.
    if let Some(planned) = plan.team.take() {
        done.extend(team::make(cx, client, &planned, &mut notes).await);
    }
    report(cx, &done, &notes)
}

/// Makes everything, one after the other: one thing that cannot be made keeps no other from being made. `notes` is told
/// what was there and is not as the plan says, and `tick` which of how many it is at.
pub(crate) async fn make(
    client: &Client,
    plan: &Plan,
    notes: &mut Vec<String>,
    mut tick: impl FnMut(usize, usize),
) -> Vec<Done> {
    let mut done: Vec<Done> = Vec::new();
    let total = plan.projects.len() + plan.connectors.len() + plan.issuers.len();
    let mut at = 0;
    let mut next = || {
        at += 1;
        tick(at, total);
    };
    for (number, project) in plan.projects.iter().enumerate() {
        next();
        let outcome = make_project(client, project, notes).await;
        done.push(Done { kind: "project", name: project.name.clone(), of: Of::Project(number), outcome });
    }
    for (number, issuer) in plan.issuers.iter().enumerate() {
        next();
        // A family whose issuer is known says no address.
        let named = ["issuer", "family"].iter().find_map(|name| issuer.get(*name).and_then(Value::as_str));
        let name = named.unwrap_or_default().to_owned();
        let outcome = make_issuer(client, issuer).await;
        done.push(Done { kind: "trusted issuer", name, of: Of::Issuer(number), outcome });
    }
    for (number, connector) in plan.connectors.iter().enumerate() {
        next();
        let (name, of) = (connector.uid.clone(), Of::Connector(number));
        let outcome = make_connector(client, connector).await;
        let is_there = outcome.is_ok();
        done.push(Done { kind: "connector", name, of, outcome });
        if is_there {
            done.extend(belongings(client, connector, of, plan.replace, notes).await);
        }
    }
    done
}

async fn make_project(
    client: &Client,
    planned: &PlannedProject,
    notes: &mut Vec<String>,
) -> Result<&'static str, Failure> {
    let (project, made) = match client.project(&planned.name).await {
        Ok(project) => (project, false),
        Err(error) if error.is(Code::NotFound) => (client.create_project(&planned.name).await?, true),
        Err(error) => return Err(error.into()),
    };
    if made {
        settings::narrow(client, &project, planned).await?;
    }
    let id = project.id.to_string();
    let known = client.custom_environments(&id).await?;
    for slug in planned.environments.iter().filter(|slug| known.iter().all(|known| known.slug != **slug)) {
        client.create_custom_environment(&id, slug).await?;
    }
    settings::make_of_project(client, &project, planned, made, notes).await?;
    Ok(if made { "made" } else { "was there" })
}

/// A trusted issuer whose rules name projects and environments by their names.
async fn make_issuer(client: &Client, planned: &Value) -> Result<&'static str, Failure> {
    let text = |name: &str| planned.get(name).and_then(Value::as_str);
    let texts = |name: &str| {
        let list = planned.get(name).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut rules = Vec::new();
    for rule in planned.get("rules").and_then(Value::as_array).into_iter().flatten() {
        let name = rule.get("project").and_then(Value::as_str).unwrap_or_default();
        let project = client.project(name).await?;
        let place = rule.get("environment").and_then(Value::as_str).unwrap_or_default();
        rules.push(TrustRule {
            project: project.id,
            environment: environment(client, &project, place).await?,
            claims: rule.get("claims").and_then(Value::as_object).cloned().unwrap_or_default(),
            subjects: rule
                .get("subjects")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        });
    }
    let known = client.trusted_issuers().await?;
    let audiences = texts("audiences");
    let same = |issuer: &carnet_sdk::TrustedIssuer| {
        Some(issuer.issuer.as_str()) == text("issuer")
            && issuer.rest.get("audiences") == Some(&json!(audiences))
    };
    if known.iter().any(same) {
        return Ok("was there");
    }
    let new = NewTrustedIssuer {
        issuer: text("issuer").map(str::to_owned),
        family: text("family").map(str::to_owned),
        account: text("account").map(str::to_owned),
        jwks_uri: text("jwksUri").map(str::to_owned),
        jwks: planned.get("jwks").and_then(Value::as_object).cloned(),
        audiences,
        algorithms: texts("algorithms"),
        types: texts("types"),
        max_life_seconds: planned.get("maxLifeSeconds").and_then(Value::as_u64),
        max_age_seconds: planned.get("maxAgeSeconds").and_then(Value::as_u64),
        rules,
    };
    match client.create_trusted_issuer(&new).await {
        Ok(_) => Ok("made"),
        // By its family alone, or with other words for the same: its tokens are recognised already.
        Err(error) if error.is(Code::Conflict) => Ok("was there"),
        Err(error) => Err(error.into()),
    }
}

async fn make_connector(client: &Client, planned: &PlannedConnector) -> Result<&'static str, Failure> {
    match client.connector_metadata(&planned.uid).await {
        Ok(_) => return Ok("was there"),
        Err(error) if error.is(Code::NotFound) => {}
        Err(error) => return Err(error.into()),
    }
    let new = NewConnector {
        service: planned.service.clone(),
        name: Some(planned.name.clone()),
        uid: Some(planned.uid.clone()),
        r#type: planned.r#type.clone(),
        data: planned.r#type.is_some().then(|| planned.data.clone()),
        background_color: planned.background_color.clone(),
        accent_color: planned.accent_color.clone(),
        ..NewConnector::default()
    };
    let made = if new.data.is_some() {
        client.create_connector(&new).await
    } else {
        client.create_managed_connector(&new).await
    };
    Ok(made.map(|_| "made")?)
}

/// Links, installations, rules, grants, what becomes of events, and the picture of one that shows none. Each is tried,
/// whatever becomes of the others.
async fn belongings(
    client: &Client,
    planned: &PlannedConnector,
    of: Of,
    replace: bool,
    notes: &mut Vec<String>,
) -> Vec<Done> {
    let mut done = Vec::new();
    let uid = &planned.uid;
    let failed = |kind, outcome: Result<(), Failure>| {
        outcome.err().map(|failure| Done { kind, name: uid.clone(), of, outcome: Err(failure) })
    };
    for (project, environments) in &planned.links {
        done.extend(failed("link", link(client, uid, project, environments).await));
    }
    for (project, _) in &planned.links {
        let named = planned.redirect_uris.iter().filter(|(of, _)| of == project).map(|(_, uri)| uri);
        done.extend(failed("redirect URIs", redirect_uris(client, uid, project, named.collect()).await));
    }
    for installation in &planned.installations {
        let made = client.create_installation(uid, installation).await;
        let made = made.map(drop).or_else(|error| if error.is(Code::Conflict) { Ok(()) } else { Err(error) });
        done.extend(failed("installation", made.map_err(Failure::from)));
    }
    if let Some(rules) = planned.consent_rules {
        let set = client.set_consent_rules(uid, rules).await;
        done.extend(failed("consent rules", set.map(drop).map_err(Failure::from)));
    }
    if let Some(events) = &planned.events {
        done.extend(failed("triggers", events::make(client, uid, events, notes).await));
    }
    if let Some(icon) = &planned.icon {
        done.extend(failed("icon", settings::make_icon(client, uid, icon).await));
    }
    for some in planned.tokens.chunks(AT_ONCE) {
        match grants(client, planned, some, of, replace).await {
            Ok(outcomes) => done.extend(outcomes),
            Err(failure) => done.push(Done { kind: "grants", name: uid.clone(), of, outcome: Err(failure) }),
        }
    }
    done
}

/// Adds to what is linked already; nothing is taken away.
async fn link(client: &Client, uid: &str, name: &str, environments: &[String]) -> Result<(), Failure> {
    let project = client.project(name).await?;
    let mut wanted: Vec<carnet_model::Environment> = match client.link(uid, project.id).await? {
        Some(link) => link.environments,
        None => Vec::new(),
    };
    if environments.is_empty() {
        wanted.extend(carnet_model::Environment::BUILT_IN);
    }
    for place in environments {
        wanted.push(environment(client, &project, place).await?);
    }
    wanted.sort();
    wanted.dedup();
    client.put_link(uid, project.id, &wanted).await?;
    Ok(())
}

/// Adds to what is registered already; nothing is taken away.
async fn redirect_uris(
    client: &Client,
    uid: &str,
    name: &str,
    named: Vec<&RedirectUri>,
) -> Result<(), Failure> {
    if named.is_empty() {
        return Ok(());
    }
    let project = client.project(name).await?;
    // The path of the API has the identifier.
    let id = client.connector_metadata(uid).await?.id.to_string();
    let mut wanted = client.redirect_uris(&id, project.id).await?;
    let before = wanted.len();
    for uri in named {
        if wanted.iter().all(|known| known.uri != uri.uri) {
            let environment = environment(client, &project, &uri.environment).await?.to_string();
            wanted.push(RedirectUri { uri: uri.uri.clone(), environment });
        }
    }
    if wanted.len() > before {
        client.set_redirect_uris(&id, project.id, wanted).await?;
    }
    Ok(())
}

pub(crate) async fn grants(
    client: &Client,
    planned: &PlannedConnector,
    some: &[super::plan::PlannedToken],
    of: Of,
    replace: bool,
) -> Result<Vec<Done>, Failure> {
    let mut known: Vec<Project> = Vec::new();
    let mut tokens = Vec::with_capacity(some.len());
    for one in some {
        if !known.iter().any(|project| project.name == one.project) {
            known.push(client.project(&one.project).await?);
        }
        let Some(project) = known.iter().find(|project| project.name == one.project) else { continue };
        let mut token: Map<String, Value> = one.token.clone();
        token.insert("projectId".to_owned(), project.id.to_string().into());
        let place = token.get("environment").and_then(Value::as_str).unwrap_or("production").to_owned();
        let place = environment(client, project, &place).await?;
        token.insert("environment".to_owned(), place.to_string().into());
        tokens.push(Value::Object(token));
    }
    let answer = client.import_tokens(&planned.uid, &tokens, replace).await?;
    let outcome = |one: carnet_sdk::ImportedToken| {
        let user =
            one.shown.get("subject").and_then(|subject| subject.get("id")?.as_str()).unwrap_or_default();
        let name = format!("{} of {user}", planned.uid);
        let outcome = match &one.error {
            None => Ok(outcome_of(&one)),
            Some(error) if error.code == Code::Conflict.as_str() => {
                Err(Failure::new(&error.code, &error.message)
                    .next("the same command with --replace", "if those in the file are to be kept"))
            }
            Some(error) => Err(Failure::new(&error.code, &error.message)
                .next(format!("carnet show {}", planned.uid), "to see how the connector is set up")),
        };
        Done { kind: "grant", name, of, outcome }
    };
    Ok(answer.tokens.into_iter().map(outcome).collect())
}

fn report(cx: &mut Context<'_>, done: &[Done], notes: &[String]) -> Result<(), Failure> {
    let failed = done.iter().filter(|one| one.outcome.is_err()).count();
    let summary = format!("{failed} of {} things could not be taken over.", done.len());
    let again = "the same command again";
    let when = "with what is to be mended; what was made is left as it is";
    if cx.talk.wants_json() {
        let all: Vec<Value> = done
            .iter()
            .map(|one| match &one.outcome {
                Ok(how) => json!({"kind": one.kind, "name": one.name, "outcome": how}),
                Err(failure) => {
                    let error = failure.document().get("error").cloned();
                    json!({"kind": one.kind, "name": one.name, "outcome": "failed", "error": error})
                }
            })
            .collect();
        if failed > 0 {
            let mut failure = Failure::new("not_all_imported", summary).next(again, when);
            failure.extra.insert("things".to_owned(), all.into());
            failure.extra.insert("notes".to_owned(), json!(notes));
            return Err(failure);
        }
        return cx.talk.document(&json!({"things": all, "notes": notes}));
    }
    let rows: Vec<Vec<String>> = done
        .iter()
        .map(|one| {
            let outcome = match &one.outcome {
                Ok(how) => (*how).to_owned(),
                Err(failure) => failure.to_string(),
            };
            vec![one.kind.to_owned(), one.name.clone(), outcome]
        })
        .collect();
    for line in table(&["What", "Name", "Outcome"], &rows) {
        cx.talk.answer(&line)?;
    }
    for note in notes {
        cx.talk.say(&format!("note: {note}"));
    }
    if failed > 0 {
        let mut failure = Failure::new("not_all_imported", summary);
        let own = done.iter().filter_map(|one| one.outcome.as_ref().err()).flat_map(|failure| &failure.next);
        for next in own {
            if !failure.next.contains(next) {
                failure.next.push(next.clone());
            }
        }
        return Err(failure.next(again, when));
    }
    cx.talk.success(&format!("{} things taken over", done.len()));
    Ok(())
}

/// As `import-tokens` does.
const AT_ONCE: usize = 50;
