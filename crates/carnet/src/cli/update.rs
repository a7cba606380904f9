//! `update`: what a connector is called, how it looks, and its configuration.

use std::fs;

use carnet_sdk::{Connector, ConnectorChange};
use serde_json::{Map, Value, json};

use super::args::UpdateArgs;
use super::context::Context;
use super::data::{self, Data};
use super::failure::Failure;
use super::talk::plain;

/// Changes it.
pub(crate) async fn update(cx: &mut Context<'_>, args: UpdateArgs) -> Result<(), Failure> {
    let given = match &args.data {
        None => Map::new(),
        Some(flag) => match data::read(flag, None, &cx.place.folder, cx.talk)? {
            Data::Object(object) => object,
            Data::Question => return Err(Failure::usage("--data has nothing to change.")),
        },
    };
    let secret = match &args.rotate_secret {
        Some(flag) => Some(secret(cx, flag)?),
        None => None,
    };
    let client = cx.client()?;
    let connector = client.connector_metadata(&args.connector).await?;
    let mut changed = given;
    if let Some(secret) = secret {
        changed.insert("clientSecret".to_owned(), secret.into());
    }
    if let Some(text) = &args.default_scopes {
        let user = with_scopes(&connector, text)?;
        changed.insert("userAuthorization".to_owned(), user);
    }
    let change = ConnectorChange {
        name: args.name,
        data: Some(changed).filter(|changed| !changed.is_empty()),
        icon: None,
        background_color: args.background_color,
        accent_color: args.accent_color,
    };
    let after = client.update_connector(&connector.id.to_string(), &change).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&outline(&after));
    }
    cx.talk.success(&format!("Connector {} updated.", after.uid));
    let errors = after.rest.get("serviceSync").and_then(|sync| sync.get("errors")).and_then(Value::as_array);
    for error in errors.into_iter().flatten().filter_map(Value::as_str) {
        cx.talk.warn(&plain(error));
    }
    Ok(())
}

/// The members that `vercel connect update --json` prints, `null` where there is nothing.
fn outline(after: &Connector) -> Value {
    let rest = |name: &str| after.rest.get(name).cloned().unwrap_or(Value::Null);
    json!({
        "id": after.id,
        "uid": after.uid,
        "type": after.r#type,
        "name": after.name,
        "icon": rest("icon"),
        "backgroundColor": rest("backgroundColor"),
        "accentColor": rest("accentColor"),
    })
}

/// What the connector says about users' consent now, with other scopes.
fn with_scopes(connector: &Connector, text: &str) -> Result<Value, Failure> {
    let scopes: Vec<_> = text.split([',', ' ']).filter(|name| !name.is_empty()).collect();
    let data = connector.rest.get("data");
    let present = data.and_then(|data| data.get("userAuthorization")).and_then(Value::as_object);
    let mut user = present.cloned().ok_or_else(|| {
        Failure::usage(format!("{} has no consent of users, and so no default scopes.", connector.uid))
            .next(format!("carnet show {}", connector.uid), "to see what it is")
    })?;
    user.insert("scopes".to_owned(), json!(scopes));
    Ok(Value::Object(user))
}

/// A secret from a file or stdin, never from the line; without the end of its last line.
fn secret(cx: &mut Context<'_>, flag: &str) -> Result<String, Failure> {
    let text = match flag.strip_prefix('@') {
        Some("-") => {
            cx.talk.listen().map_err(|error| Failure::usage("stdin cannot be read.").because(&error))?
        }
        Some(file) => fs::read_to_string(cx.place.folder.join(file)).map_err(|error| {
            Failure::usage(format!("{file} cannot be read."))
                .because(&error)
                .next("carnet update CONNECTOR --rotate-secret @-", "to give it on stdin")
        })?,
        None => {
            let why = "A secret is not given on the line, where the shell's history and other users see it.";
            return Err(Failure::usage(why)
                .next("carnet update CONNECTOR --rotate-secret @FILE", "to give it in a file"));
        }
    };
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(Failure::usage("The secret is empty."));
    }
    Ok(secret.to_owned())
}
