//! `/v1/projects/{project}/urls`: where a project's environments are reached.

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::{Broker, ProjectUrl};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::path::Path;
use crate::problem::Problem;
use crate::shape::{Shape, list_of, object_of, text, time};

pub(crate) fn shape() -> Shape {
    let one = object_of([("environment", text()), ("url", text()), ("updatedAt", time())]);
    object_of([("urls", list_of(one))]).named("ProjectUrls")
}

fn object(urls: &[ProjectUrl]) -> Value {
    let told = |one: &ProjectUrl| json!({"environment": one.environment, "url": one.url, "updatedAt": one.updated_at});
    json!({"urls": urls.iter().map(told).collect::<Vec<_>>()})
}

pub(crate) async fn show(
    State(broker): State<Broker>,
    Path(project): Path<String>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(object(&broker.project_urls(&call.caller, &project).await?)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetBody {
    urls: Vec<OneUrl>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OneUrl {
    /// `production`, `preview` or a custom environment, by its name or identifier.
    environment: String,
    /// An https address that paths are put behind; for previews with `{branch}` in it where the branch stands.
    url: String,
}

pub(crate) async fn set(
    State(broker): State<Broker>,
    Path(project): Path<String>,
    call: Call,
    Json(body): Json<SetBody>,
) -> Result<Answer<Value>, Problem> {
    let urls: Vec<_> = body.urls.into_iter().map(|one| (one.environment, one.url)).collect();
    Ok(Answer(object(&broker.set_project_urls(&call.caller, &project, &urls, call.request).await?)))
}
