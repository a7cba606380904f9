//! What belongs to a project besides its name, and the picture of a connector: written down, and made.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carnet_model::Code;
use carnet_sdk::{Client, Connector, ConnectorChange, Project, ProjectUrl};
use serde_json::{Value, json};

use super::export::Names;
use super::plan::PlannedProject;
use crate::cli::access::environment;
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

/// Makes what belongs to a project. A new one gets all of it; of one that was there, what nobody has said yet.
pub(super) async fn make_of_project(
    client: &Client,
    project: &Project,
    planned: &PlannedProject,
    is_new: bool,
) -> Result<(), Failure> {
    let id = project.id.to_string();
    if is_new && !planned.return_origins.is_empty() {
        client.set_return_origins(&id, &planned.return_origins).await?;
    }
    if let (true, Some(places)) = (is_new, &planned.provisioning) {
        let mut environments = Vec::with_capacity(places.len());
        for place in places {
            environments.push(environment(client, project, place).await?.to_string());
        }
        client.set_provisioning(&id, &environments).await?;
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

/// Has a connector show a picture.
pub(super) async fn make_icon(client: &Client, uid: &str, icon: &str) -> Result<(), Failure> {
    let picture = icon.strip_prefix("data:image/").and_then(|rest| rest.split_once(";base64,"));
    let bytes = picture.and_then(|(_, text)| STANDARD.decode(text).ok()).ok_or_else(|| {
        Failure::usage(format!("The icon of {uid} is no picture as carnet export writes one."))
            .next(format!("carnet update {uid} --icon FILE"), "with a PNG or JPEG of at most 5 MiB")
    })?;
    let change =
        ConnectorChange { icon: Some(client.upload_picture(bytes).await?), ..ConnectorChange::default() };
    client.update_connector(uid, &change).await?;
    Ok(())
}
