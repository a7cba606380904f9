//! Google Cloud KMS and the token endpoint of a service account.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use axum::Router;
use axum::extract::{Path as At, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use carnet_kms::{GcpCredentials, GcpKms, GcpKmsConfig};
use carnet_model::Env;
use carnet_vault::RootKey;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{Mood, Opened, World};

pub(crate) fn provider(base: &str, key: &str, folder: &Path, env: Env) -> Box<dyn RootKey> {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let lines: Vec<String> = STANDARD
        .encode(der.as_ref())
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    let public: aws_lc_rs::encoding::PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    // The stand-in knows the account by what the address of the token endpoint says.
    let account = json!({
        "type": "service_account",
        "client_email": "carnet@project.iam.gserviceaccount.com",
        "private_key_id": "key-1",
        "private_key": pem,
        "token_uri": format!("{base}/token/{}", URL_SAFE_NO_PAD.encode(public.as_ref())),
    });
    let path = folder.join("account.json");
    std::fs::write(&path, account.to_string()).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let config = GcpKmsConfig {
        key: format!("projects/p/locations/europe-west3/keyRings/r/cryptoKeys/{key}"),
        endpoint: Some(base.parse().unwrap()),
        credentials: GcpCredentials::KeyFile(path),
        roots_pem: None,
    };
    Box::new(GcpKms::new(config, env).unwrap())
}

pub(crate) fn routes(world: Arc<World>) -> Router {
    Router::new()
        .route("/token/{public}", post(token))
        .route("/v1/projects/p/locations/europe-west3/keyRings/r/cryptoKeys/{verb}", post(ask))
        .with_state(world)
}

async fn token(State(world): State<Arc<World>>, At(public): At<String>, body: String) -> Response {
    let assertion = body
        .strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=")
        .unwrap_or_else(|| panic!("{body}"));
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let spki = URL_SAFE_NO_PAD.decode(public).unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &spki)
        .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
        .unwrap();
    let claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap()).unwrap();
    assert_eq!(claims["iss"], "carnet@project.iam.gserviceaccount.com");
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/cloudkms");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    let number = world.given_out.fetch_add(1, Ordering::SeqCst) + 1;
    axum::Json(json!({"access_token": format!("ya29.{number}"), "expires_in": 3599, "token_type": "Bearer"}))
        .into_response()
}

fn failure(code: u16, status: &str) -> Response {
    let body = json!({"error": {"code": code, "status": status, "message": "secret words"}});
    (StatusCode::from_u16(code).unwrap(), axum::Json(body)).into_response()
}

async fn ask(
    State(world): State<Arc<World>>,
    At(verb): At<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(answer) = world.alike().await {
        return answer;
    }
    let bearer = headers["authorization"].to_str().unwrap();
    let number: usize = bearer.strip_prefix("Bearer ya29.").unwrap().parse().unwrap();
    if number <= world.ended.load(Ordering::SeqCst) {
        return failure(401, "UNAUTHENTICATED");
    }
    match world.mood() {
        Mood::AccessTaken => return failure(403, "PERMISSION_DENIED"),
        Mood::KeyDisabled => return failure(400, "FAILED_PRECONDITION"),
        Mood::KeyGone => return failure(404, "NOT_FOUND"),
        Mood::Throttled => return failure(429, "RESOURCE_EXHAUSTED"),
        _ => {}
    }
    let request: Value = serde_json::from_slice(&body).unwrap();
    let text = |name: &str| request[name].as_str().unwrap().to_owned();
    let bytes = |name: &str| {
        let bytes = STANDARD.decode(text(name)).unwrap();
        assert_eq!(text(&format!("{name}Crc32c")), crc(&bytes).to_string(), "{name}");
        bytes
    };
    let bound = String::from_utf8(bytes("additionalAuthenticatedData")).unwrap();
    assert!(bound.starts_with("carnet-root/1\n"), "{bound}");
    match verb.split_once(':').unwrap() {
        (key, "encrypt") => {
            let ticket = world.keep(key, bytes("plaintext"), bound);
            axum::Json(json!({
                "name": format!("{key}/cryptoKeyVersions/1"),
                "ciphertext": STANDARD.encode(&ticket),
                "ciphertextCrc32c": crc(ticket.as_bytes()).to_string(),
                "verifiedPlaintextCrc32c": true,
                "verifiedAdditionalAuthenticatedDataCrc32c": true,
            }))
            .into_response()
        }
        (key, "decrypt") => {
            let blob = bytes("ciphertext");
            match world.open(key, &String::from_utf8_lossy(&blob), &bound) {
                Opened::Plaintext(plain) => axum::Json(json!({
                    "plaintext": STANDARD.encode(&plain),
                    "plaintextCrc32c": crc(&plain).to_string(),
                }))
                .into_response(),
                Opened::OtherKey | Opened::Altered => failure(400, "INVALID_ARGUMENT"),
            }
        }
        other => panic!("{other:?}"),
    }
}

/// CRC-32C by its table, so that it is not compared with itself.
fn crc(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256_u32)
        .map(|n| (0..8).fold(n, |c, _| if c & 1 == 1 { (c >> 1) ^ 0x82F6_3B78 } else { c >> 1 }))
        .collect();
    !bytes.iter().fold(u32::MAX, |crc, byte| table[((crc ^ u32::from(*byte)) & 0xFF) as usize] ^ (crc >> 8))
}
