//! `connect keys`: the public signing keys of a connector, and a new one.

use carnet_sdk::{ConnectorKey, ConnectorKeys};
use serde_json::json;

use super::args::ConnectorKeysArgs;
use super::context::Context;
use super::failure::Failure;
use super::hit::Would;
use super::table::{moment, table};

/// Shows the keys of a connector, or turns them.
pub(crate) async fn keys(cx: &mut Context<'_>, args: ConnectorKeysArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let connector = cx.connector(&client, &args.connector).await?;
    let id = connector.id.to_string();
    if args.dry_run {
        let present = client.connector_keys(&id).await?;
        let would = Would::new(format!(
            "make a new signing key for {}, beside {}",
            connector.uid,
            present.keys.len()
        ))
        .fact("uid", connector.uid.as_str())
        .fact("keys", json!(present.keys))
        .links(&client.links(&id).await?);
        return would.tell(cx);
    }
    let keys = if args.rotate {
        let question = format!(
            "Make a new signing key for {}? A provider that was given the present one by hand needs the new one too.",
            connector.uid
        );
        cx.talk.insist(args.yes, &question)?;
        client.turn_connector_key(&id).await?
    } else {
        client.connector_keys(&id).await?
    };
    if cx.talk.wants_json() {
        let ConnectorKeys { jwks_uri, keys, .. } = &keys;
        return cx.talk.document(&json!({
            "id": connector.id, "uid": connector.uid, "jwksUri": jwks_uri, "keys": keys,
        }));
    }
    let now = cx.now();
    let relative = cx.talk.is_read_by_a_person();
    let row = |key: &ConnectorKey| {
        let ends = key.gone_at.map(|at| moment(at, now, relative)).unwrap_or_default();
        let begins = moment(key.activates_at, now, relative);
        vec![key.kid.clone(), key.algorithm.clone(), key.state.clone(), begins, ends]
    };
    let rows: Vec<_> = keys.keys.iter().map(row).collect();
    for line in table(&["Key", "Algorithm", "State", "Signs from", "Published until"], &rows) {
        cx.talk.answer(&line)?;
    }
    cx.talk.say(&format!("Published at {}", keys.jwks_uri));
    Ok(())
}
