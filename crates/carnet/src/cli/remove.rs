//! `remove`: a connector and everything kept for it.

use serde_json::json;

use super::args::RemoveArgs;
use super::context::Context;
use super::failure::{Exit, Failure};
use super::hit::Would;

/// Removes a connector. One that projects use is removed only with `--disconnect-all`.
pub(crate) async fn remove(cx: &mut Context<'_>, args: RemoveArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let connector = cx.connector(&client, &args.connector).await?;
    let id = connector.id.to_string();
    let linked = client.links(&id).await?;
    let links = linked.len();
    if args.dry_run {
        let would = Would::new(format!("remove {}", connector.uid))
            .fact("id", connector.id.to_string())
            .fact("uid", connector.uid.as_str())
            .links(&linked)
            .grants(client.grants(&id).await?);
        return would.tell(cx);
    }
    if links > 0 && !args.disconnect_all {
        let uid = &connector.uid;
        let message = format!("Cannot delete connector {uid} while it has {}.", projects(links));
        return Err(Failure::new("conflict", message)
            .exit(Exit::Conflict)
            .next(format!("carnet remove {uid} --disconnect-all"), "to detach them and remove it")
            .next(format!("carnet show {uid}"), "to see which"));
    }
    let question = format!("Remove {}, {} and every grant kept for it?", connector.uid, projects(links));
    cx.talk.insist_by_name(args.yes, &question, &connector.uid)?;
    client.delete_connector(&id).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "id": connector.id, "uid": connector.uid, "removed": true }));
    }
    cx.talk.success(&format!("{} removed", connector.uid));
    Ok(())
}

fn projects(count: usize) -> String {
    match count {
        0 => "no connected project".to_owned(),
        1 => "1 connected project".to_owned(),
        many => format!("{many} connected projects"),
    }
}
