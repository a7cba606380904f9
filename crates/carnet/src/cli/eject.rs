//! `eject`: a connector that is made from the operator's application becomes the team's own.

use carnet_sdk::Connector;
use serde_json::{Map, Value};

use super::args::EjectArgs;
use super::context::Context;
use super::data::{self, Data};
use super::failure::Failure;
use super::hit::Would;
use super::talk::plain;

/// Ejects it. With another client what was granted to the operator's ends, so a person confirms.
pub(crate) async fn eject(cx: &mut Context<'_>, args: EjectArgs) -> Result<(), Failure> {
    let own = match &args.data {
        None => None,
        Some(flag) => match data::read(flag, None, &cx.place.folder, cx.talk)? {
            Data::Object(object) => Some(object),
            Data::Question => {
                return Err(Failure::usage("--data has no client of your own.").next(
                    "carnet catalog search WORD",
                    "to see how an application is registered at a service",
                ));
            }
        },
    };
    let client = cx.client()?;
    let connector = cx.connector(&client, &args.connector).await?;
    let id = connector.id.to_string();
    let uid = connector.uid.clone();
    if args.dry_run {
        let members: Vec<String> =
            own.iter().flat_map(Map::keys).map(|name| format!("data.{name}")).collect();
        let would = Would::new(format!("make {uid} the team's own"))
            .fact("uid", uid.as_str())
            .fact("members", members)
            .links(&client.links(&id).await?)
            .grants(client.grants(&id).await?);
        return would.tell(cx);
    }
    if own.is_some() {
        let question = format!(
            "Go on with a client of your own? What was granted to the operator's ends: people consent to {uid} again, and \
             it is installed again."
        );
        cx.talk.insist(args.yes, &question)?;
    }
    let after = client.eject_connector(&id, own.as_ref()).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&after);
    }
    cx.talk.success(&format!("{uid} is the team's own."));
    for sentence in left_to_do(&after) {
        cx.talk.warn(&plain(sentence));
    }
    Ok(())
}

/// What somebody has to see to now, in the server's sentences.
fn left_to_do(after: &Connector) -> impl Iterator<Item = &str> {
    let sync = after.rest.get("serviceSync");
    let all = sync.and_then(|sync| sync.get("errors")).and_then(Value::as_array);
    all.into_iter().flatten().filter_map(Value::as_str)
}
