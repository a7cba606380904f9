//! `create`: registers a connector.
//!
//! Without `--data` the server is asked to take care of the registration itself, which it can for the services it
//! manages. With `--data` the connector is made from what is given there.

use carnet_model::Code;
use carnet_sdk::{Client, Connector, NewConnector};
use serde_json::{Value, json};

use super::args::CreateArgs;
use super::context::Context;
use super::data::{self, Data};
use super::failure::Failure;

/// Registers a connector, attached to the linked project.
pub(crate) async fn create(cx: &mut Context<'_>, args: CreateArgs) -> Result<(), Failure> {
    let data = match &args.data {
        Some(flag) => Some(data::read(flag, args.connector_type.as_deref(), &cx.place.folder, cx.talk)?),
        None => None,
    };
    let client = cx.client()?;
    let data = match data {
        Some(Data::Question) => return schema(cx, &client, &args).await,
        Some(Data::Object(object)) => Some(object),
        None => None,
    };
    let project_id = cx.linked_project(&client).await?;
    if args.name.is_none() && project_id.is_none() {
        return Err(Failure::usage("A connector needs a --name where no project is linked.")
            .next(format!("carnet create {} --name NAME", args.service), "to name it"));
    }
    let r#type = match (&data, &args.connector_type) {
        (None, _) => None,
        (Some(_), Some(given)) => Some(given.clone()),
        (Some(_), None) => Some(usual_type(&client, &args.service).await?),
    };
    let new = NewConnector {
        service: args.service.clone(),
        name: args.name,
        uid: args.uid,
        project_id,
        environments: None,
        r#type,
        data,
    };
    let made = if new.data.is_some() {
        client.create_connector(&new).await?
    } else {
        client.create_managed_connector(&new).await.map_err(|error| unmanaged(error, &args.service))?
    };
    if cx.talk.wants_json() {
        return cx.talk.document(&outline(&made));
    }
    let (service, id, uid) = (&made.service, made.id, &made.uid);
    cx.talk.success(&format!("{service} connector created: {id} (UID {uid})"));
    if project_id.is_some() {
        cx.talk.say(&format!("  Attached to the linked project. Try: carnet token {uid}"));
    } else {
        cx.talk.say(&format!("  Attach it to a project: carnet attach {uid} --project PROJECT"));
    }
    Ok(())
}

/// The members that `vercel connect create --json` prints, `null` where there is nothing.
fn outline(made: &Connector) -> Value {
    let rest = |name: &str| made.rest.get(name).cloned().unwrap_or(Value::Null);
    json!({
        "id": made.id,
        "uid": made.uid,
        "type": made.r#type,
        "name": made.name,
        "supportedSubjectTypes": made.supported_subject_types,
        "icon": rest("icon"),
        "backgroundColor": rest("backgroundColor"),
        "accentColor": rest("accentColor"),
        "service": made.service,
        "connectionMethod": rest("connectionMethod"),
        "target": rest("target"),
    })
}

/// The first type that the server knows for a service; OAuth for one it knows nothing about.
async fn usual_type(client: &Client, service: &str) -> Result<String, Failure> {
    let known = client.service(service).await?;
    let first = known.and_then(|service| service.types.into_iter().next());
    Ok(first.map_or_else(|| "oauth".to_owned(), |first| first.r#type))
}

/// What `--data` may hold, as the server says.
async fn schema(cx: &mut Context<'_>, client: &Client, args: &CreateArgs) -> Result<(), Failure> {
    let types = client.service(&args.service).await?.map(|service| service.types).unwrap_or_default();
    let wanted = args.connector_type.as_deref();
    let schema = types
        .into_iter()
        .find(|known| wanted.is_none_or(|wanted| wanted == known.r#type))
        .and_then(|known| known.create_input_schema);
    match schema {
        Some(schema) => cx.talk.document(&schema),
        None => Err(Failure::usage(format!("The server has no schema of --data for {}.", args.service))
            .next(
                format!("carnet create {} --connector-type oauth --data @FILE", args.service),
                "with clientId, clientSecret and serverConfig or serverUrl",
            )),
    }
}

fn unmanaged(error: carnet_sdk::Error, service: &str) -> Failure {
    let by_hand = error.is(Code::InvalidConnector) || error.is(Code::InvalidRequest);
    let named = error.refusal().is_some_and(|refusal| !refusal.next.is_empty());
    let mut failure = Failure::from(error);
    if by_hand && !named {
        failure.next.clear();
        failure = failure.next(
            format!("carnet create {service} --data @FILE"),
            "with the client that you registered there",
        );
    }
    failure
}
