//! `update`: what a connector is called, how it looks, and its configuration.

use carnet_sdk::{Connector, ConnectorChange, TriggerChange};
use serde_json::{Map, Value, json};

use super::args::UpdateArgs;
use super::branding;
use super::context::Context;
use super::data::{self, Data};
use super::failure::Failure;
use super::hit::Would;
use super::talk::plain;

/// Changes it.
pub(crate) async fn update(cx: &mut Context<'_>, args: UpdateArgs) -> Result<(), Failure> {
    let given = match &args.data {
        None => Map::new(),
        Some(flag) => match data::read(flag, None, &cx.place.folder, cx.talk)? {
            Data::Object(object) => object,
            Data::Question => {
                return Err(Failure::usage("--data has nothing to change.")
                    .next(format!("carnet create {} --data ''", args.connector), "to see what it may hold"));
            }
        },
    };
    let secret = match &args.rotate_secret {
        Some(flag) => Some(data::secret(flag, "carnet update CONNECTOR --rotate-secret", cx.place, cx.talk)?),
        None => None,
    };
    let signing_secret = match &args.triggers.signing_secret {
        Some(flag) => {
            Some(data::secret(flag, "carnet update CONNECTOR --signing-secret", cx.place, cx.talk)?)
        }
        None => None,
    };
    let picture = branding::picture(cx, args.branding.icon.as_deref())?;
    let client = cx.client()?;
    let connector = cx.connector(&client, &args.connector).await?;
    let mut changed = given;
    if let Some(secret) = secret {
        changed.insert("clientSecret".to_owned(), secret.into());
    }
    if let Some(text) = &args.default_scopes {
        let user = with_scopes(&connector, text)?;
        changed.insert("userAuthorization".to_owned(), user);
    }
    let id = connector.id.to_string();
    if args.dry_run {
        let names = changed.keys().map(|name| format!("data.{name}"));
        let others = [
            ("name", args.name.is_some()),
            ("icon", picture.is_some()),
            ("backgroundColor", args.branding.background_color.is_some()),
            ("accentColor", args.branding.accent_color.is_some()),
            ("triggers", args.triggers.triggers || args.triggers.no_triggers),
            ("events", !args.triggers.trigger_events.is_empty()),
            ("signingSecret", signing_secret.is_some()),
        ];
        let others = others.into_iter().filter(|(_, given)| *given).map(|(name, _)| name.to_owned());
        let members: Vec<String> = names.chain(others).collect();
        let what = format!("change {} of {}", members.join(", "), connector.uid);
        let would = Would::new(what).fact("uid", connector.uid.as_str()).fact("members", members);
        let would = would.links(&client.links(&id).await?).grants(client.grants(&id).await?);
        return would.tell(cx);
    }
    let change = ConnectorChange {
        name: args.name,
        data: Some(changed).filter(|changed| !changed.is_empty()),
        icon: branding::upload(&client, picture).await?,
        background_color: args.branding.background_color,
        accent_color: args.branding.accent_color,
    };
    let events = (!args.triggers.trigger_events.is_empty()).then(|| {
        let all = args.triggers.trigger_events.iter().any(|event| event == "*");
        if all { Vec::new() } else { args.triggers.trigger_events.clone() }
    });
    let turned = args.triggers.triggers || args.triggers.no_triggers;
    let triggers = TriggerChange {
        enabled: turned.then_some(args.triggers.triggers),
        events,
        signing_secret,
        ..TriggerChange::default()
    };
    let is_about_triggers =
        triggers.enabled.is_some() || triggers.events.is_some() || triggers.signing_secret.is_some();
    let is_about_the_rest = change.name.is_some()
        || change.data.is_some()
        || change.icon.is_some()
        || change.background_color.is_some()
        || change.accent_color.is_some();
    let set = if is_about_triggers { Some(client.change_triggers(&id, &triggers).await?) } else { None };
    let after = if is_about_the_rest {
        client.update_connector(&id, &change).await?
    } else {
        client.connector_metadata(&id).await?
    };
    if cx.talk.wants_json() {
        warn_of_what_is_left(cx, &after);
        return cx.talk.document(&outline(&after));
    }
    cx.talk.success(&format!("Connector {} updated.", after.uid));
    if let Some(set) = set.filter(|set| set.enabled) {
        cx.talk.say(&format!("  Its provider sends events to {}", set.url));
    }
    warn_of_what_is_left(cx, &after);
    Ok(())
}

/// What the provider's side of it still lacks, in the server's sentences.
fn warn_of_what_is_left(cx: &mut Context<'_>, after: &Connector) {
    let errors = after.rest.get("serviceSync").and_then(|sync| sync.get("errors")).and_then(Value::as_array);
    for error in errors.into_iter().flatten().filter_map(Value::as_str) {
        cx.talk.warn(&plain(error));
    }
}

/// The members that `vercel connect update --json` prints, `null` where there is nothing.
fn outline(after: &Connector) -> Value {
    let rest = |name: &str| after.rest.get(name).cloned().unwrap_or(Value::Null);
    json!({
        "id": after.id,
        "uid": after.uid,
        "type": after.driver(),
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
