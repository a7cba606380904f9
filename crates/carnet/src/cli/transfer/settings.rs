//! What belongs to a project besides its name, and the picture of a connector: written down, and made.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carnet_model::{Code, Environment};
use carnet_sdk::{Client, Connector, ConnectorChange, Project, ProjectUrl};
use serde_json::{Value, json};

use super::export::Names;
use super::plan::PlannedProject;
use crate::cli::access::environment;
use crate::cli::create::quoted;
use crate::cli::failure::Failure;

/// A project as it stands. What identifiers are called is noted first: the rest is written by names.
pub(super) async fn of_project(
    client: &Client,
    project: &Project,
    names: &mut Names,
) -> Result<Value, Failure> {
    let id = project.id.to_string();
    let own = client.custom_environments(&id).await?;
    let slugs: Vec<_> = own.iter().map(|environment| environment.slug.clone()).collect();
    names.learn(&id, &project.name, own);
    let mut urls = client.project_urls(&id).await?;
    for url in &mut urls {
        url.environment = names.place(&url.environment);
    }
    urls.sort_by(|one, other| one.environment.cmp(&other.environment));
    let provisioning: Vec<String> =
        client.provisioning(&id).await?.iter().map(|place| names.place(place)).collect();
    Ok(json!({
        "name": project.name,
        "environments": slugs,
        "returnOrigins": client.return_origins(&id).await?,
        "urls": urls,
        "healthWebhook": client.health_webhook(&id).await?.map(|webhook| webhook.url),
        "provisioning": provisioning,
    }))
}

/// Says of a project that was just made where its workloads make connectors, as far as that can be said before it has
/// environments of its own: whatever fails after it leaves a project that allows no more than the plan does.
pub(super) async fn narrow(
    client: &Client,
    project: &Project,
    planned: &PlannedProject,
) -> Result<(), Failure> {
    let Some(places) = &planned.provisioning else { return Ok(()) };
    let built_in = Environment::BUILT_IN.map(|place| place.to_string());
    let known: Vec<String> = built_in.into_iter().filter(|place| places.contains(place)).collect();
    client.set_provisioning(&project.id.to_string(), &known).await?;
    Ok(())
}

/// Makes what belongs to a project. A new one gets all of it; of one that was there, what nobody has said yet, and where it
/// allows something else than the plan says, `notes` is told.
pub(super) async fn make_of_project(
    client: &Client,
    project: &Project,
    planned: &PlannedProject,
    is_new: bool,
    notes: &mut Vec<String>,
) -> Result<(), Failure> {
    let id = project.id.to_string();
    let mut differs = |what: &str, here: &[String], there: &[String]| {
        let list = |places: &[String]| match places {
            [] => "nothing".to_owned(),
            places => places.join(", "),
        };
        notes.push(format!(
            "project {} was there, and its {what} stays: {} here, {} in the file",
            project.name,
            list(here),
            list(there)
        ));
    };
    if !planned.return_origins.is_empty() {
        let present = client.return_origins(&id).await?;
        if present.is_empty() {
            client.set_return_origins(&id, &planned.return_origins).await?;
        } else if !are_same(&present, &planned.return_origins) {
            differs("returnOrigins", &present, &planned.return_origins);
        }
    }
    if let Some(places) = &planned.provisioning {
        let mut environments = Vec::with_capacity(places.len());
        for place in places {
            environments.push(environment(client, project, place).await?.to_string());
        }
        let present = client.provisioning(&id).await?;
        let is_so = are_same(&present, &environments);
        if is_new && !is_so {
            client.set_provisioning(&id, &environments).await?;
        } else if !is_so {
            differs("provisioning", &present, places);
        }
    }
    if !planned.urls.is_empty() {
        let mut urls = client.project_urls(&id).await?;
        let before = urls.len();
        for url in &planned.urls {
            let place = environment(client, project, &url.environment).await?.to_string();
            if urls.iter().all(|known| known.environment != place) {
                urls.push(ProjectUrl { environment: place, url: url.url.clone() });
            }
        }
        if urls.len() > before {
            client.set_project_urls(&id, &urls).await?;
        }
    }
    if let Some(url) = &planned.health_webhook
        && client.health_webhook(&id).await?.is_none()
    {
        client.set_health_webhook(&id, url).await?;
    }
    Ok(())
}

/// The same in whatever order.
fn are_same(some: &[String], others: &[String]) -> bool {
    let all_of = |some: &[String], others: &[String]| some.iter().all(|one| others.contains(one));
    all_of(some, others) && all_of(others, some)
}

/// The picture that a connector shows, as a `data:` URL (RFC 2397).
pub(super) async fn icon(client: &Client, connector: &Connector) -> Result<Option<String>, Failure> {
    let Some(sha1) = connector.rest.get("icon").and_then(Value::as_str) else { return Ok(None) };
    match client.picture(&connector.id.to_string(), sha1).await {
        Ok((media, bytes)) => Ok(Some(format!("data:{media};base64,{}", STANDARD.encode(bytes)))),
        // It was changed at this moment.
        Err(error) if error.is(Code::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Has a connector show a picture, if it shows none.
pub(super) async fn make_icon(client: &Client, uid: &str, icon: &str) -> Result<(), Failure> {
    if client.connector_metadata(uid).await?.rest.get("icon").is_some_and(Value::is_string) {
        return Ok(());
    }
    let picture = icon.strip_prefix("data:image/").and_then(|rest| rest.split_once(";base64,"));
    let bytes = picture.and_then(|(_, text)| STANDARD.decode(text).ok()).ok_or_else(|| {
        Failure::usage(format!("The icon of {uid} is no picture as carnet export writes one."))
            .next(format!("carnet update {} --icon FILE", quoted(uid)), "with a PNG or JPEG of at most 5 MiB")
    })?;
    let change =
        ConnectorChange { icon: Some(client.upload_picture(bytes).await?), ..ConnectorChange::default() };
    client.update_connector(uid, &change).await?;
    Ok(())
}
