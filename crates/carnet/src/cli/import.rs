//! `import-tokens`: hands over tokens that users gave somewhere else.
//!
//! The tokens come from a file or stdin, never from the line, where the shell's history and other users would see them.
//! What the server says of each is shown; none of it holds a secret.

use carnet_sdk::ImportedToken;
use serde_json::{Value, json};

use super::args::ImportArgs;
use super::context::Context;
use super::data;
use super::failure::{Exit, Failure};
use super::hit::Would;
use super::table::table;

/// Imports them, some at a time, and says what became of each.
pub(crate) async fn import(cx: &mut Context<'_>, args: ImportArgs) -> Result<(), Failure> {
    let flag = match (&args.file, &args.tokens) {
        (Some(file), _) => format!("@{}", file.display()),
        (None, Some(flag)) => flag.clone(),
        (None, None) => return Err(Failure::usage("There is no file with the tokens; write --file FILE.")),
    };
    let tokens = read(cx, &flag)?;
    let client = cx.client()?;
    if args.dry_run {
        let connector = cx.connector(&client, &args.connector).await?;
        return outline(cx, &connector.uid, &tokens);
    }
    let mut outcomes: Vec<ImportedToken> = Vec::with_capacity(tokens.len());
    for some in tokens.chunks(AT_ONCE) {
        cx.talk.progress(&format!("{} of {} tokens", outcomes.len(), tokens.len()));
        match client.import_tokens(&args.connector, some, args.replace).await {
            Ok(answer) => outcomes.extend(answer.tokens),
            Err(error) if outcomes.is_empty() => return Err(error.into()),
            Err(error) => {
                // What was imported stays imported: it is shown before the failure.
                cx.talk.warn(&format!("stopped after {} of {}", outcomes.len(), tokens.len()));
                show(cx, &args.connector, &outcomes)?;
                return Err(error.into());
            }
        }
    }
    cx.talk.progress("");
    let failed = outcomes.iter().filter(|one| !one.succeeded).count();
    let summary = format!("{failed} of {} tokens were not imported.", outcomes.len());
    if failed > 0 && cx.talk.wants_json() {
        let mut failure = Failure::new("not_all_imported", summary).exit(Exit::Failed);
        failure.extra.insert("tokens".to_owned(), outlines(&outcomes).into());
        return Err(failure);
    }
    show(cx, &args.connector, &outcomes)?;
    if failed > 0 {
        return Err(Failure::new("not_all_imported", summary).next(
            "the same command again",
            "with what is to be mended; what was imported is left as it is",
        ));
    }
    cx.talk.success(&format!("{} tokens imported for {}", outcomes.len(), args.connector));
    Ok(())
}

/// Whose tokens they are, and nothing of the tokens.
fn outline(cx: &mut Context<'_>, uid: &str, tokens: &[Value]) -> Result<(), Failure> {
    let text = |token: &Value, path: &str| token.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let whose: Vec<Value> = tokens
        .iter()
        .map(|token| json!({"subject": text(token, "/subject/id"), "environment": text(token, "/environment")}))
        .collect();
    let mut users: Vec<String> = tokens.iter().filter_map(|token| text(token, "/subject/id")).collect();
    users.dedup();
    users.truncate(10);
    let what = format!("import {} tokens for {uid}, of {}", tokens.len(), users.join(", "));
    Would::new(what).fact("uid", uid).fact("tokens", whose).tell(cx)
}

fn read(cx: &mut Context<'_>, flag: &str) -> Result<Vec<Value>, Failure> {
    let text = match flag.strip_prefix('@') {
        _ if flag == "-" || flag == "@-" => data::from_stdin(cx.talk)?,
        Some(_) => data::text(flag, &cx.place.folder, cx.talk)?,
        None => {
            return Err(Failure::usage("The tokens are not given on the line; write @FILE, or - for stdin.")
                .next("carnet import-tokens CONNECTOR @FILE", "to give them in a file"));
        }
    };
    // Where the mistake is could be next to a secret.
    let wrong = || {
        Failure::usage("The tokens are not a JSON list, nor an object with the member tokens.")
            .next("carnet import-tokens --help", "to see what the file is expected to hold")
    };
    let list = match serde_json::from_str(&text).map_err(|_| wrong())? {
        Value::Object(mut object) if object.len() == 1 => object.remove("tokens").ok_or_else(wrong)?,
        other => other,
    };
    match list {
        Value::Array(tokens) if tokens.is_empty() => Err(Failure::usage("There is no token in the list.")
            .next("carnet import-tokens --help", "to see what the file is expected to hold")),
        Value::Array(tokens) => Ok(tokens),
        _ => Err(wrong()),
    }
}

fn show(cx: &mut Context<'_>, connector: &str, outcomes: &[ImportedToken]) -> Result<(), Failure> {
    if cx.talk.wants_json() {
        let imported = outcomes.iter().filter(|one| one.succeeded).count();
        return cx.talk.document(&json!({
            "connector": connector,
            "accepted": outcomes.len(),
            "imported": imported,
            "tokens": outlines(outcomes),
        }));
    }
    let rows: Vec<Vec<String>> = outcomes
        .iter()
        .enumerate()
        .map(|(place, one)| {
            let text =
                |name: &str| one.shown.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let subject = one.shown.get("subject").and_then(|subject| subject.get("id")?.as_str());
            let outcome = match &one.error {
                None => outcome_of(one).to_owned(),
                Some(error) => format!("{}: {}", error.code, error.message),
            };
            vec![
                (place + 1).to_string(),
                subject.unwrap_or_default().to_owned(),
                text("environment"),
                outcome,
            ]
        })
        .collect();
    for line in table(&["#", "User", "Environment", "Outcome"], &rows) {
        cx.talk.answer(&line)?;
    }
    Ok(())
}

/// What became of one that is kept.
pub(crate) fn outcome_of(one: &ImportedToken) -> &'static str {
    if one.shown.get("unchanged") == Some(&Value::Bool(true)) { "was there" } else { "imported" }
}

fn outlines(outcomes: &[ImportedToken]) -> Vec<Value> {
    let outline = |one: &ImportedToken| {
        let mut out = one.shown.clone();
        out.insert("succeeded".to_owned(), one.succeeded.into());
        if let Some(error) = &one.error {
            out.insert("error".to_owned(), json!({"code": error.code, "message": error.message}));
        }
        Value::Object(out)
    };
    outcomes.iter().map(outline).collect()
}

/// Fewer than the server takes in one request, so that long tokens fit too.
const AT_ONCE: usize = 50;
