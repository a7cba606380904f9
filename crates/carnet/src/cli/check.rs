//! `check`: what the server of a connector says about itself now, beside what was pinned when the connector was made.
//!
//! Nothing is changed, unless a person says `--accept`, and then exactly what was shown is taken.

use serde_json::{Value, json};

use super::args::CheckArgs;
use super::context::Context;
use super::failure::{Exit, Failure};
use super::talk::plain;

/// Shows the differences. Exits with 1 if there are any and they are not accepted.
pub(crate) async fn check(cx: &mut Context<'_>, args: CheckArgs) -> Result<Exit, Failure> {
    let client = cx.client()?;
    let found = match client.check_server(&args.connector).await {
        Err(error) => match cx.begun(&client, &args.connector, &error).await? {
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
    if !args.accept {
        let is_same = found.differences.is_empty();
        if cx.talk.wants_json() {
            cx.talk.document(&json!({ "connector": found.connector, "differences": found.differences }))?;
        } else if is_same {
            cx.talk.success(&format!("The server of {uid} is as it was pinned"));
        } else {
            cx.talk.say(&format!(
                "Tokens are still asked for as pinned. To take the change: carnet check {uid} --accept"
            ));
        }
        return Ok(if is_same { Exit::Done } else { Exit::Failed });
    }
    if !found.differences.is_empty() {
        let question = format!("Send people and secrets of {uid} to the server as it presents itself now?");
        cx.talk.insist(args.yes, &question)?;
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

fn words(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::String(text)) => plain(text),
        Some(other) => plain(&other.to_string()),
    }
}
