//! `keys`: how the deployment's keys stand, turning them, and whether everything opens.

use carnet_sdk::{KeysStatus, Rotated};
use serde_json::json;

use super::args::{KeyArg, KeysRotateArgs};
use super::context::Context;
use super::failure::Failure;
use super::hit::Would;
use super::table::{moment, sheet, table};
use super::talk::plain;

/// Says which versions there are.
pub(crate) async fn status(cx: &mut Context<'_>) -> Result<(), Failure> {
    let status = cx.settings.client_without_project()?.keys().await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&status);
    }
    let mut lines = keys(cx, &status);
    if !status.wraps.is_empty() {
        lines.push(String::new());
        lines.extend(wraps(&status));
    }
    if !status.signing.is_empty() {
        lines.push(String::new());
        lines.extend(signing(cx, &status));
    }
    if !status.nodes.is_empty() {
        lines.push(String::new());
        lines.extend(nodes(cx, &status));
    }
    if !status.unseen_tokens.is_empty() || status.unseen_elsewhere > 0 {
        lines.push(String::new());
        lines.extend(unseen(cx, &status));
    }
    lines.iter().try_for_each(|line| cx.talk.answer(line))?;
    if let Some(left) = left_to_do(&status) {
        cx.talk.warn(&left);
    }
    if status.provider != "fine" {
        cx.talk.warn(&format!("the root-key provider: {}", status.provider));
    }
    Ok(())
}

/// Turns a key.
pub(crate) async fn rotate(cx: &mut Context<'_>, args: KeysRotateArgs) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let step = match (args.finish, args.cancel) {
        (true, _) => "finish",
        (_, true) => "cancel",
        _ => "begin",
    };
    let kind = match args.kind {
        None => "compromised",
        Some(KeyArg::Kek) => "kek",
        Some(KeyArg::Root) => "root",
        Some(KeyArg::Team) => "team",
        Some(KeyArg::Pepper) => "pepper",
        Some(KeyArg::Signing) => "signing",
    };
    if step != "begin" && kind != "kek" {
        return Err(Failure::usage("--finish and --cancel are about kek.")
            .next("carnet keys rotate kek --finish", "to drop what the present provider wrapped"));
    }
    if args.dry_run {
        let status = client.keys().await?;
        // Signing keys have a list of their own.
        let present: Vec<_> =
            status.keys.iter().filter(|key| kind == "compromised" || key.role.contains(kind)).collect();
        let what = match (kind, step) {
            ("compromised", _) => {
                "turn every key, and refuse Carnet's identity tokens of until now at once".to_owned()
            }
            ("kek", "begin") => "have the next root-key provider wrap the root keys too".to_owned(),
            ("kek", "finish") => "drop what the present root-key provider wrapped".to_owned(),
            ("kek", _) => "drop what the next root-key provider wrapped".to_owned(),
            (kind, _) => {
                format!("make a new {kind} key and use it; what the present one sealed is sealed anew")
            }
        };
        let would = Would::new(what).fact("kind", kind).fact("step", step).fact("keys", json!(present));
        return would.tell(cx);
    }
    let question = match (kind, step) {
        ("compromised", _) => "Turn every key, and refuse Carnet's identity tokens of until now at once?",
        (_, "finish") => {
            "Drop what the present root-key provider wrapped? Backups of before still need that provider."
        }
        _ => "",
    };
    if !question.is_empty() {
        cx.talk.insist(args.yes, question)?;
    }
    let done = client.rotate_key(kind, step).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&done);
    }
    cx.talk.success(&sentence(cx, kind, step, &done));
    for entry in &done.runbook {
        cx.talk.answer("")?;
        let grants = if entry.grants > 0 { format!(" ({} grants)", entry.grants) } else { String::new() };
        cx.talk.answer(&format!("{}{grants}", plain(&entry.about)))?;
        for (number, step) in entry.steps.iter().enumerate() {
            cx.talk.answer(&plain(&format!("  {}. {}", number + 1, step.what)))?;
            if let Some(command) = &step.command {
                cx.talk.answer(&plain(&format!("     {command}")))?;
            }
        }
    }
    Ok(())
}

/// Opens everything that is sealed.
pub(crate) async fn verify(cx: &mut Context<'_>) -> Result<(), Failure> {
    let found = cx.settings.client_without_project()?.verify_keys().await?;
    let refused: u64 = found.columns.iter().map(|column| column.refused).sum();
    let whole = refused == 0 && found.events == found.last_event;
    if cx.talk.wants_json() && whole {
        return cx.talk.document(&found);
    }
    if !cx.talk.wants_json() {
        let rows: Vec<Vec<String>> = found
            .columns
            .iter()
            .map(|column| {
                [column.opened, column.refused, column.abandoned].iter().map(ToString::to_string).collect()
            })
            .zip(&found.columns)
            .map(|(counts, column): (Vec<String>, _)| [vec![column.name.clone()], counts].concat())
            .collect();
        for line in table(&["VALUES", "OPEN", "REFUSED", "ABANDONED"], &rows) {
            cx.talk.answer(&line)?;
        }
        let log = format!("Audit log: {} events, the last has number {}", found.events, found.last_event);
        cx.talk.answer(&log)?;
    }
    if whole {
        return Ok(());
    }
    let message = if refused > 0 {
        format!("{refused} sealed values do not open: they were altered, moved, or their key is gone.")
    } else {
        format!("{} events are missing from the audit log.", found.last_event - found.events)
    };
    Err(Failure::new("damaged", message)
        .next("carnet restore --help", "to go back to a backup that is whole"))
}

fn sentence(cx: &Context<'_>, kind: &str, step: &str, done: &Rotated) -> String {
    let when = moment(done.activates_at, cx.now(), cx.talk.is_read_by_a_person());
    match (kind, step) {
        ("kek", "begin") => "the next root-key provider wraps the root keys too, and opens what it wrapped. When \
             `carnet keys status` shows that every process opens it: carnet keys rotate kek --finish"
            .to_owned(),
        ("kek", "finish") => {
            "the root keys are wrapped by the next provider alone. Make it the present one in the configuration."
                .to_owned()
        }
        ("kek", _) => "the root keys are wrapped by the present provider alone".to_owned(),
        ("signing", _) => format!("a new signing key is published, and signs {when}"),
        ("compromised", _) => format!(
            "every key was turned; secrets are sealed by the new ones {when}, and those of before are sealed anew. That ends \
             nothing at the providers. What is left to do:"
        ),
        (kind, _) => format!("a new {kind} key is made, and used {when}. `carnet keys status` shows how it goes on"),
    }
}

fn keys(cx: &Context<'_>, status: &KeysStatus) -> Vec<String> {
    let relative = cx.talk.is_read_by_a_person();
    let rows: Vec<_> = status
        .keys
        .iter()
        .map(|key| {
            vec![
                key.role.clone(),
                key.version.to_string(),
                key.state.clone(),
                moment(key.activates_at, cx.now(), relative),
                key.left.map(|left| format!("{left} rows left")).unwrap_or_default(),
            ]
        })
        .collect();
    table(&["KEY", "VERSION", "STATE", "USED", "TURN"], &rows)
}

fn wraps(status: &KeysStatus) -> Vec<String> {
    let rows: Vec<_> = status
        .wraps
        .iter()
        .map(|wrap| {
            let opens = match wrap.not_opened_by.len() {
                0 => "every process".to_owned(),
                some => format!("not {some}: {}", wrap.not_opened_by.join(", ")),
            };
            let version =
                status.keys.iter().find(|key| key.id == wrap.key).map(|key| key.version.to_string());
            let configured = wrap.configured_as.as_deref().unwrap_or("not here");
            vec![
                version.unwrap_or_default(),
                wrap.wrapped_by.clone(),
                configured.to_owned(),
                wrap.name.clone(),
                opens,
            ]
        })
        .collect();
    table(&["ROOT", "WRAPPED BY", "CONFIGURED AS", "WRAP", "OPENED BY"], &rows)
}

/// What is to be done about the providers before one of them may be thrown away.
fn left_to_do(status: &KeysStatus) -> Option<String> {
    let opened_as =
        |called: &str| status.wraps.iter().any(|wrap| wrap.configured_as.as_deref() == Some(called));
    let unopened =
        |key: &str| !status.wraps.iter().any(|wrap| wrap.key == key && wrap.configured_as.is_some());
    if let Some(wrap) = status.wraps.iter().find(|wrap| unopened(&wrap.key)) {
        return Some(format!(
            "no root-key provider of the process that answers opens root key {}, which {} wraps: name that one in its \
             configuration before it is restarted",
            wrap.key, wrap.wrapped_by
        ));
    }
    (opened_as("next") && !opened_as("present")).then(|| {
        "the next root-key provider alone wraps the root keys: make it the present one in the configuration of every \
         process, without next_root_key"
            .to_owned()
    })
}

fn signing(cx: &Context<'_>, status: &KeysStatus) -> Vec<String> {
    let relative = cx.talk.is_read_by_a_person();
    let rows: Vec<_> = status
        .signing
        .iter()
        .map(|key| {
            let gone = key.gone_at.map(|at| moment(at, cx.now(), relative)).unwrap_or_default();
            vec![key.kid.clone(), key.state.clone(), moment(key.activates_at, cx.now(), relative), gone]
        })
        .collect();
    table(&["SIGNING KEY", "STATE", "SIGNS", "GONE"], &rows)
}

fn nodes(cx: &Context<'_>, status: &KeysStatus) -> Vec<String> {
    let relative = cx.talk.is_read_by_a_person();
    let rows: Vec<_> = status
        .nodes
        .iter()
        .map(|node| {
            let knows = if node.knows_all { "all" } else { "not yet all" };
            let this = if node.this { "answered" } else { "" };
            vec![
                node.id.clone(),
                moment(node.started_at, cx.now(), relative),
                moment(node.seen_at, cx.now(), relative),
                knows.to_owned(),
                this.to_owned(),
            ]
        })
        .collect();
    table(&["PROCESS", "STARTED", "SEEN", "KNOWS KEYS", ""], &rows)
}

fn unseen(cx: &Context<'_>, status: &KeysStatus) -> Vec<String> {
    let relative = cx.talk.is_read_by_a_person();
    let mut lines = vec!["Access tokens that nobody has used since the pepper was turned:".to_owned()];
    let rows: Vec<_> = status
        .unseen_tokens
        .iter()
        .map(|token| {
            let ends = moment(token.expires_at, cx.now(), relative);
            vec![token.id.clone(), token.name.clone(), format!("…{}", token.last4), token.user.clone(), ends]
        })
        .collect();
    lines.extend(table(&["TOKEN", "NAME", "", "OF", "ENDS"], &rows));
    let mut more = Vec::new();
    if status.unseen_elsewhere > 0 {
        more.push(("In other teams", status.unseen_elsewhere.to_string()));
    }
    if let Some(until) = status.unseen_until {
        more.push(("Overdue", moment(until, cx.now(), relative)));
    }
    lines.extend(sheet(&more));
    lines
}
