//! What the clients ask of the platform around: who am I, which team, a development identity.

use axum::Json as Answer;
use axum::extract::State;
use carnet_engine::{Broker, Membership, Team};
use carnet_model::{Code, Environment, Fault};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Json;
use crate::call::Call;
use crate::path::Path;
use crate::problem::Problem;
use crate::query::Whole;
use crate::shape::{Shape, count, flag, id, list_of, map, object_of, role, text, time};

/// A team on the wire.
pub(crate) fn team_object(team: &Team) -> Value {
    json!({
        "id": team.id,
        "slug": team.slug,
        "name": team.name,
        "createdAt": team.created_at,
        "strictConnectors": team.strict_connectors,
    })
}

/// A team on the wire, with the caller's role in it.
fn mine(found: &Membership) -> Value {
    let mut object = team_object(&found.team);
    if let Some(members) = object.as_object_mut() {
        members.insert("role".to_owned(), found.role.as_str().into());
    }
    object
}

pub(crate) fn team_shape() -> Shape {
    bare_team().named("Team")
}

fn bare_team() -> Shape {
    object_of([
        ("id", id("team")),
        ("slug", text()),
        ("name", text()),
        ("createdAt", time()),
        ("strictConnectors", flag()),
    ])
}

pub(crate) fn teams_shape() -> Shape {
    let pagination = object_of([("count", count()), ("next", text().or_null()), ("prev", text().or_null())]);
    object_of([
        ("teams", list_of(bare_team().with([("role", role())]).named("OwnTeam"))),
        ("pagination", pagination),
    ])
}

pub(crate) fn user_shape() -> Shape {
    let user = object_of([
        ("id", id("usr")),
        ("email", text()),
        ("username", text()),
        ("name", text()),
        ("defaultTeamId", id("team")),
        ("version", text()),
    ]);
    object_of([("user", user)])
}

pub(crate) fn token_shape() -> Shape {
    object_of([("token", text()), ("expiresAt", time())]).named("IdentityToken")
}

pub(crate) fn env_shape() -> Shape {
    object_of([("env", map(text())), ("buildEnv", map(text()))])
}

/// `version: "northstar"` with a default team is what makes the official CLI work in that team without a flag.
pub(crate) async fn user(State(broker): State<Broker>, call: Call) -> Result<Answer<Value>, Problem> {
    let (user, team) = broker.me(&call.caller).await?;
    Ok(Answer(json!({"user": {
        "id": user.id,
        "email": user.email,
        "username": user.email.split('@').next().unwrap_or_default(),
        "name": user.name,
        "defaultTeamId": team.id,
        "version": "northstar",
    }})))
}

pub(crate) async fn teams(
    State(broker): State<Broker>,
    call: Call,
    _: Whole,
) -> Result<Answer<Value>, Problem> {
    let teams: Vec<Value> = broker.my_teams(&call.caller).await?.iter().map(mine).collect();
    Ok(Answer(json!({"teams": teams, "pagination": {"count": teams.len(), "next": null, "prev": null}})))
}

pub(crate) async fn team(
    State(broker): State<Broker>,
    Path(name): Path<String>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(team_object(&broker.my_team(&call.caller, &name).await?)))
}

/// What the official CLI and its libraries send besides is read and not used.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct TokenBody {
    environment: Option<String>,
    audience: Option<String>,
}

pub(crate) async fn development_token(
    State(broker): State<Broker>,
    Path(project): Path<String>,
    call: Call,
    Json(body): Json<TokenBody>,
) -> Result<Answer<Value>, Problem> {
    only_development(&broker, &call, &project, body.environment.as_deref().unwrap_or("development")).await?;
    let made =
        broker.development_token(&call.caller, &project, body.audience.as_deref(), call.request).await?;
    Ok(Answer(json!({"token": made.token.expose(), "expiresAt": made.expires_at})))
}

pub(crate) async fn env_pull(
    State(broker): State<Broker>,
    Path((project, target)): Path<(String, String)>,
    call: Call,
) -> Result<Answer<Value>, Problem> {
    only_development(&broker, &call, &project, &target).await?;
    let made = broker.development_token(&call.caller, &project, None, call.request).await?;
    let token = made.token.expose();
    Ok(Answer(json!({
        "env": {
            "CARNET_URL": broker.settings().base(),
            "CARNET_OIDC_TOKEN": token,
            "VERCEL_OIDC_TOKEN": token,
        },
        "buildEnv": {},
    })))
}

/// A person gets an identity for development only: production identities come from where production runs.
async fn only_development(broker: &Broker, call: &Call, project: &str, name: &str) -> Result<(), Problem> {
    let project = broker.project_to_develop(&call.caller, project).await?;
    match broker.known_environment(&call.caller, &project, name).await? {
        Environment::Development => Ok(()),
        _ => Err(Problem(
            Fault::new(
                Code::Forbidden,
                format!("People get identities for development; {name} proves itself where it runs."),
            )
            .next("carnet projects trust --help", "to trust the platform on which it runs"),
        )),
    }
}
