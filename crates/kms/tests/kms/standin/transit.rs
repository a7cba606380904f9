//! The transit engine and the login of a workload.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::{Path as At, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use carnet_kms::{Transit, TransitAuth, TransitConfig};
use carnet_model::Env;
use carnet_vault::RootKey;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{Mood, Opened, World};

pub(crate) fn provider(base: &str, key: &str, folder: &Path, env: Env) -> Box<dyn RootKey> {
    let jwt_file = folder.join("identity");
    std::fs::write(&jwt_file, "an.identity.token\n").unwrap();
    let config = TransitConfig {
        address: base.parse().unwrap(),
        mount: "secrets/transit".to_owned(),
        key: key.to_owned(),
        namespace: Some("team-a".to_owned()),
        auth: TransitAuth::Login { mount: "kubernetes".to_owned(), role: "carnet".to_owned(), jwt_file },
        roots_pem: None,
    };
    Box::new(Transit::new(config, env).unwrap())
}

pub(crate) fn routes(world: Arc<World>) -> Router {
    Router::new()
        .route("/v1/auth/kubernetes/login", post(login))
        .route("/v1/secrets/transit/{verb}/{key}", post(ask))
        .with_state(world)
}

async fn login(State(world): State<Arc<World>>, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(request, json!({"role": "carnet", "jwt": "an.identity.token"}));
    let number = world.given_out.fetch_add(1, Ordering::SeqCst) + 1;
    axum::Json(
        json!({"auth": {"client_token": format!("hvs.{number}"), "lease_duration": 3600, "renewable": true}}),
    )
    .into_response()
}

fn failure(status: u16, said: &str) -> Response {
    (StatusCode::from_u16(status).unwrap(), axum::Json(json!({"errors": [said]}))).into_response()
}

async fn ask(
    State(world): State<Arc<World>>,
    At((verb, key)): At<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(answer) = world.alike().await {
        return answer;
    }
    assert_eq!(headers["x-vault-namespace"], "team-a");
    let number: usize =
        headers["x-vault-token"].to_str().unwrap().strip_prefix("hvs.").unwrap().parse().unwrap();
    if number <= world.ended.load(Ordering::SeqCst) {
        return failure(403, "permission denied");
    }
    match world.mood() {
        Mood::AccessTaken => return failure(403, "permission denied"),
        Mood::KeyDisabled => {
            return failure(400, "ciphertext or signature version is disallowed by policy (too old)");
        }
        Mood::KeyGone => return failure(400, "encryption key not found"),
        Mood::Throttled => return failure(429, "secret words"),
        _ => {}
    }
    let request: Value = serde_json::from_slice(&body).unwrap();
    let bound = request["associated_data"].as_str().unwrap().to_owned();
    assert!(STANDARD.decode(&bound).unwrap().starts_with(b"carnet-root/1\n"));
    match verb.as_str() {
        "encrypt" => {
            let plain = STANDARD.decode(request["plaintext"].as_str().unwrap()).unwrap();
            let ticket = format!("vault:{}", world.keep(&key, plain, bound));
            axum::Json(json!({"data": {"ciphertext": ticket, "key_version": 1}})).into_response()
        }
        "decrypt" => {
            let ticket = request["ciphertext"].as_str().unwrap();
            let Some(ticket) = ticket.strip_prefix("vault:") else {
                return failure(400, "invalid ciphertext: no prefix");
            };
            match world.open(&key, ticket, &bound) {
                Opened::Plaintext(plain) => {
                    axum::Json(json!({"data": {"plaintext": STANDARD.encode(plain)}})).into_response()
                }
                Opened::OtherKey | Opened::Altered => failure(400, "cipher: message authentication failed"),
            }
        }
        other => panic!("{other}"),
    }
}
