//! `installations`: the tenants at the provider at which a connector is installed.

use carnet_sdk::{InstallationInfo, NewInstallation};
use serde_json::{Value, json};

use super::args::{ConnectorArgs, InstallationAddArgs, InstallationRemoveArgs};
use super::context::Context;
use super::failure::{Exit, Failure};
use super::hit::{Would, member};
use super::table::{moment, table};
use super::talk::plain;

/// Lists them.
pub(crate) async fn list(cx: &mut Context<'_>, args: ConnectorArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let connector = cx.connector(&client, &args.connector).await?;
    let found = client.installations(&connector.id.to_string()).await?;
    let default = connector.rest.get("defaultInstallationId").and_then(Value::as_str);
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({
            "id": connector.id, "uid": connector.uid, "defaultInstallationId": default, "installations": found,
        }));
    }
    if found.is_empty() {
        let uid = &connector.uid;
        let installs = connector.rest.get("supportsInstallation").and_then(Value::as_bool);
        if installs == Some(true) {
            cx.talk.say(&format!(
                "{uid} is not installed anywhere. Install it: carnet token {uid} --subject app --yes"
            ));
            cx.talk.say(&format!("Or record where it is: carnet installations add {uid} --external-id ID"));
        } else {
            cx.talk.say(&format!("{uid} has nothing to install: it gives tokens without it."));
        }
        return Ok(());
    }
    let (now, relative) = (cx.now(), cx.talk.is_read_by_a_person());
    let row = |one: &InstallationInfo| {
        let id = one.id.to_string();
        let usual = match (default == Some(id.as_str()), one.ended_at) {
            (_, Some(_)) => "ended: of the client before",
            (true, None) => "default",
            (false, None) => "",
        };
        vec![
            id,
            one.name.clone().unwrap_or_default(),
            one.external_id.clone().unwrap_or_default(),
            one.tenant_id.clone().unwrap_or_default(),
            moment(one.created_at, now, relative),
            usual.to_owned(),
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    for line in table(&["ID", "Name", "There", "Tenant", "Recorded", "Used"], &rows) {
        cx.talk.answer(&line)?;
    }
    Ok(())
}

/// Records one.
pub(crate) async fn add(cx: &mut Context<'_>, args: InstallationAddArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let connector = cx.connector(&client, &args.connector).await?;
    let new = NewInstallation {
        external_id: args.external_id,
        tenant_id: args.tenant_id,
        name: args.name,
        default: args.default.then_some(true),
    };
    let made = client.create_installation(&connector.id.to_string(), &new).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({"uid": connector.uid, "installation": made}));
    }
    cx.talk.success(&format!("Installation {} of {} recorded", made.id, connector.uid));
    Ok(())
}

/// Removes one, with the grants behind it.
pub(crate) async fn remove(cx: &mut Context<'_>, args: InstallationRemoveArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let connector = cx.connector(&client, &args.connector).await?;
    let id = connector.id.to_string();
    let uid = &connector.uid;
    let all = client.installations(&id).await?;
    let found = all.iter().find(|one| is_called(one, &args.installation));
    let found = found.ok_or_else(|| absent(uid, &args.installation))?;
    let behind = found.id.to_string();
    let mut grants = client.grants(&id).await?;
    grants.retain(|grant| member(grant, "installationId") == Some(behind.as_str()));
    let hit = grants.len();
    if args.dry_run {
        let would = Would::new(format!("remove {behind} of {uid}, and revoke the grants behind it"))
            .fact("uid", uid.as_str())
            .fact("installation", json!(found))
            .grants(grants);
        return would.tell(cx);
    }
    let question = format!("Remove installation {behind} of {uid} and revoke {hit} grants behind it?");
    cx.talk.insist(args.yes, &question)?;
    client.delete_installation(&id, &behind).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({"id": found.id, "uid": uid, "removed": true, "grants": hit}));
    }
    cx.talk.success(&format!("Installation {behind} of {uid} removed"));
    Ok(())
}

/// Whether an installation is meant by this name, as the server takes it: our identifier of it, or the provider's.
pub(crate) fn is_called(installation: &InstallationInfo, name: &str) -> bool {
    installation.id.to_string() == name || installation.external_id.as_deref() == Some(name)
}

/// A connector has no installation that is called so.
pub(crate) fn absent(uid: &str, name: &str) -> Failure {
    Failure::new("not_found", format!("{uid} has no installation {}.", plain(name)))
        .exit(Exit::NotFound)
        .next(format!("carnet installations list {uid}"), "to see those it has")
}
