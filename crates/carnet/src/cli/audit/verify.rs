//! `audit verify`: whether events are missing, or their details are not what they were; and what that leaves open.

use carnet_sdk::AuditCheck;
use serde_json::json;

use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// Has the server look at the log part by part. Exits with 1 if anything is wrong.
pub(crate) async fn verify(cx: &mut Context<'_>) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let mut all: Option<AuditCheck> = None;
    loop {
        let after = all.as_ref().and_then(|all| all.next).unwrap_or(0);
        let part = client.verify_audit(after).await?;
        let whole = match all.take() {
            None => part,
            Some(mut all) => {
                all.checked += part.checked;
                all.last = part.last;
                all.gaps.extend(part.gaps);
                all.altered.extend(part.altered);
                all.erased += part.erased;
                all.next = part.next.filter(|next| *next > after);
                all
            }
        };
        cx.talk.progress(&format!("{} events", whole.checked));
        let done = whole.next.is_none();
        all = Some(whole);
        if done {
            break;
        }
    }
    cx.talk.progress("");
    let Some(all) = all else { return Ok(()) };
    let sound = all.gaps.is_empty() && all.altered.is_empty();
    let document = json!({
        "checked": all.checked, "last": all.last, "whole": all.whole, "gaps": all.gaps, "altered": all.altered,
        "erased": all.erased, "notLookedAt": NOT_LOOKED_AT,
    });
    if !sound {
        let missing: i64 = all.gaps.iter().map(|gap| gap.to - gap.from + 1).sum();
        let first = all.gaps.iter().map(|gap| gap.from).chain(all.altered.iter().copied()).min().unwrap_or(0);
        let message = format!(
            "The audit log is not whole: {missing} events are missing and the details of {} are not what they were, from number {first} on.",
            all.altered.len()
        );
        let mut failure = Failure::new("audit_damaged", message)
            .next("carnet restore --help", "to look at the log in a backup")
            .next("carnet audit tail", "to see what was done last");
        if let Some(document) = document.as_object() {
            failure.extra.clone_from(document);
        }
        return Err(failure);
    }
    if cx.talk.wants_json() {
        return cx.talk.document(&document);
    }
    let which = if all.whole { "all teams" } else { "this team" };
    cx.talk
        .success(&format!("{} events of {which} are there, and their details are as they were", all.checked));
    cx.talk.say(
        "  Not looked at: who acted, for which team, what was done, to what, when, and how it ended. Whoever can write to \
         the database can change these, or details together with their digest, unseen.",
    );
    if !all.whole {
        cx.talk.say("  Whether one is missing is seen by owners of the deployment's first team.");
    }
    Ok(())
}

/// The members of an event that nothing commits to.
const NOT_LOOKED_AT: [&str; 7] = ["at", "team", "actor", "action", "target", "outcome", "requestId"];
