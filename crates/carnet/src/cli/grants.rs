//! `grants`: who has consented, where, and revoking one consent.

use std::time::Duration;

use carnet_model::Time;
use carnet_sdk::{Client, Connector, ConnectorFilter, GrantInfo};
use serde_json::{Value, json};

use super::args::{GrantArgs, GrantRevokeArgs, GrantsListArgs};
use super::context::Context;
use super::explain::subject_in_words;
use super::failure::Failure;
use super::hit::Would;
use super::table::{moment, sheet, table};

/// Lists them, of one connector or of all.
pub(crate) async fn list(cx: &mut Context<'_>, args: GrantsListArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let connectors = match &args.connector {
        Some(name) => vec![cx.connector(&client, name).await?],
        None => every_connector(&client).await?,
    };
    let before = args.unused.map(|days| days_before(cx.now(), days));
    let mut found: Vec<(String, GrantInfo)> = Vec::new();
    for (at, connector) in connectors.iter().enumerate() {
        cx.talk.progress(&format!("{} of {} connectors", at + 1, connectors.len()));
        let grants = client.grants(&connector.id.to_string()).await?;
        let wanted = |grant: &GrantInfo| {
            args.user.as_deref().is_none_or(|user| of_user(grant) == Some(user))
                && args.state.as_deref().is_none_or(|state| grant.state == state)
                && before.is_none_or(|before| time(grant, "lastUsedAt").is_some_and(|used| used < before))
        };
        found.extend(grants.into_iter().filter(wanted).map(|grant| (connector.uid.clone(), grant)));
    }
    cx.talk.progress("");
    if cx.talk.wants_json() {
        let grants: Vec<Value> = found.iter().map(|(uid, grant)| with_uid(grant, uid)).collect();
        return cx.talk.document(&json!({ "grants": grants }));
    }
    if found.is_empty() {
        cx.talk.say("No grants. One appears when a person consents, or tokens are imported.");
        return Ok(());
    }
    let (now, relative) = (cx.now(), cx.talk.is_read_by_a_person());
    let row = |(uid, grant): &(String, GrantInfo)| {
        let used = time(grant, "lastUsedAt").map(|at| moment(at, now, relative)).unwrap_or_default();
        vec![
            grant.id.clone(),
            uid.clone(),
            subject_in_words(&grant.subject),
            text(grant, "environment"),
            state_in_words(&grant.state, grant.cause.as_deref()),
            used,
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    for line in table(&["ID", "Connector", "User", "Environment", "State", "Last used"], &rows) {
        cx.talk.answer(&line)?;
    }
    Ok(())
}

/// Shows one.
pub(crate) async fn show(cx: &mut Context<'_>, args: GrantArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let (grant, connector) = find(&client, &args.grant).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&with_uid(&grant, &connector.uid));
    }
    let (now, relative) = (cx.now(), cx.talk.is_read_by_a_person());
    let at = |name: &str| time(&grant, name).map(|at| moment(at, now, relative));
    let scopes = grant
        .rest
        .get("scopes")
        .and_then(Value::as_array)
        .map(|scopes| scopes.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "));
    let rows: Vec<(&str, String)> = [
        ("ID", Some(grant.id.clone())),
        ("Connector", Some(connector.uid.clone())),
        ("User", Some(subject_in_words(&grant.subject))),
        ("Account there", some_text(&grant, "externalSubject")),
        ("Project", some_text(&grant, "projectId")),
        ("Environment", some_text(&grant, "environment")),
        ("Installation", some_text(&grant, "installationId")),
        ("Scopes", scopes),
        ("State", Some(state_in_words(&grant.state, grant.cause.as_deref()))),
        ("Token ends", at("expiresAt")),
        ("Consented", at("createdAt")),
        ("Last used", at("lastUsedAt")),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    for line in sheet(&rows) {
        cx.talk.answer(&line)?;
    }
    Ok(())
}

/// Revokes one, here and at the provider.
pub(crate) async fn revoke(cx: &mut Context<'_>, args: GrantRevokeArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let (grant, connector) = find(&client, &args.grant).await?;
    let whose = format!(
        "the grant of {} at {} in {}",
        subject_in_words(&grant.subject),
        connector.uid,
        text(&grant, "environment")
    );
    if args.dry_run {
        let project = text(&grant, "projectId");
        let environments = some_text(&grant, "environment").into_iter().collect();
        let would =
            Would::new(format!("revoke {whose}")).fact("uid", connector.uid.as_str()).grants(vec![grant]);
        let would = if project.is_empty() { would } else { would.project(&project, &project, environments) };
        return would.tell(cx);
    }
    cx.talk.insist(args.yes, &format!("Revoke {whose}? What uses it stops working."))?;
    let done = client.revoke_grant(&grant.id).await?;
    if done.provider_failed > 0 {
        cx.talk.warn("the provider did not confirm; a token already given out may work until it ends");
    }
    if cx.talk.wants_json() {
        let mut out = json!({ "id": grant.id, "uid": connector.uid, "revoked": true });
        if let (Some(out), Ok(Value::Object(counts))) = (out.as_object_mut(), serde_json::to_value(done)) {
            out.extend(counts);
        }
        return cx.talk.document(&out);
    }
    cx.talk.success(&format!("Revoked {whose}"));
    Ok(())
}

/// Every connector of the team, page by page.
pub(crate) async fn every_connector(client: &Client) -> Result<Vec<Connector>, Failure> {
    let mut all = Vec::new();
    let mut filter = ConnectorFilter { limit: Some(100), ..ConnectorFilter::default() };
    loop {
        let page = client.connectors(&filter).await?;
        all.extend(page.connectors);
        match page.cursor {
            Some(cursor) if filter.cursor.as_ref() != Some(&cursor) => filter.cursor = Some(cursor),
            _ => return Ok(all),
        }
    }
}

async fn find(client: &Client, id: &str) -> Result<(GrantInfo, Connector), Failure> {
    let grant = client.grant(id).await.map_err(|error| {
        let mut failure = Failure::from(error);
        if failure.code == "not_found" {
            failure.next.clear();
            failure = failure.next("carnet grants list", "to see the grants there are");
        }
        failure
    })?;
    let connector = client.connector_metadata(&text(&grant, "connectorId")).await?;
    Ok((grant, connector))
}

fn with_uid(grant: &GrantInfo, uid: &str) -> Value {
    let mut out = serde_json::to_value(grant).unwrap_or_default();
    if let Some(out) = out.as_object_mut() {
        out.insert("uid".to_owned(), uid.into());
    }
    out
}

/// The state, and why it is so.
pub(crate) fn state_in_words(state: &str, cause: Option<&str>) -> String {
    let state = state.replace('_', " ");
    let cause = cause.map(|cause| format!("{state} ({})", cause.replace('_', " ")));
    cause.unwrap_or(state)
}

fn of_user(grant: &GrantInfo) -> Option<&str> {
    grant.subject.get("id").and_then(Value::as_str)
}

fn some_text(grant: &GrantInfo, name: &str) -> Option<String> {
    grant.rest.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn text(grant: &GrantInfo, name: &str) -> String {
    some_text(grant, name).unwrap_or_default()
}

fn time(grant: &GrantInfo, name: &str) -> Option<Time> {
    grant.rest.get(name).and_then(Value::as_i64).map(Time::from_millis)
}

fn days_before(now: Time, days: u32) -> Time {
    let span = Duration::from_hours(24 * u64::from(days));
    Time::from_millis(now.millis().saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
}
