//! A transit engine as Vault and OpenBao have it: one key, AES-256-GCM with associated data, over HTTP.
//!
//! Vault documentation, "Transit secrets engine (API)", `encrypt` and `decrypt`: ciphertext is `vault:vN:` and base64 of
//! nonce, ciphertext and tag.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use axum::body::Body;
use axum::response::IntoResponse as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carnet_kms::{Transit, TransitAuth, TransitConfig};
use carnet_model::Env;
use http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::listener::Listener;

/// The engine. It ends when it is dropped.
pub struct VaultServer {
    listener: Listener,
    asked: Arc<AtomicUsize>,
    folder: tempfile::TempDir,
}

struct Desk {
    env: Env,
    key: LessSafeKey,
    asked: Arc<AtomicUsize>,
}

impl VaultServer {
    /// On a free port, with a key of its own.
    pub async fn start(env: Env) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(token_file(&folder), TOKEN).unwrap();
        let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(token_file(&folder), own).unwrap();
        let asked = Arc::<AtomicUsize>::default();
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &env.bytes::<32>()).unwrap());
        let desk = Arc::new(Desk { env, key, asked: asked.clone() });
        let listener = Listener::serve(Listener::bind().await, move |request| {
            let desk = desk.clone();
            async move {
                let (head, body) = request.into_parts();
                let body: Value = serde_json::from_slice(&body.collect().await.ok()?.to_bytes()).unwrap();
                let known = head.headers.get("x-vault-token").is_some_and(|token| token == TOKEN);
                let (status, answer) = match head.uri.path() {
                    _ if !known => (403, json!({"errors": ["permission denied"]})),
                    "/v1/transit/encrypt/carnet" => desk.encrypt(&body),
                    "/v1/transit/decrypt/carnet" => desk.decrypt(&body),
                    _ => (404, json!({"errors": []})),
                };
                let status = StatusCode::from_u16(status).unwrap();
                Some((status, axum::Json(answer)).into_response().map(Body::new))
            }
        });
        Self { listener, asked, folder }
    }

    /// The way to it.
    pub fn config(&self) -> TransitConfig {
        TransitConfig {
            address: self.listener.url().parse().unwrap(),
            mount: "transit".to_owned(),
            key: "carnet".to_owned(),
            namespace: None,
            auth: TransitAuth::TokenFile(token_file(&self.folder)),
            roots_pem: None,
        }
    }

    /// How often it wrapped or unwrapped something.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Closes its port.
    pub fn go_down(&self) {
        self.listener.stop();
    }
}

impl Desk {
    fn encrypt(&self, body: &Value) -> (u16, Value) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let nonce = self.env.bytes::<NONCE_LEN>();
        let mut sealed = bytes(&body["plaintext"]);
        let bound = Aad::from(bytes(&body["associated_data"]));
        self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound, &mut sealed).unwrap();
        let whole = [nonce.as_slice(), sealed.as_slice()].concat();
        (
            200,
            json!({"data": {"ciphertext": format!("vault:v1:{}", STANDARD.encode(whole)), "key_version": 1}}),
        )
    }

    fn decrypt(&self, body: &Value) -> (u16, Value) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let refused = |why: &str| (400, json!({"errors": [why]}));
        let text = body["ciphertext"].as_str().unwrap_or_default().strip_prefix("vault:v1:");
        let Some(mut whole) =
            text.and_then(|text| STANDARD.decode(text).ok()).filter(|w| w.len() > NONCE_LEN)
        else {
            return refused("invalid ciphertext: no prefix");
        };
        let mut sealed = whole.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&whole).unwrap();
        match self.key.open_in_place(nonce, Aad::from(bytes(&body["associated_data"])), &mut sealed) {
            Ok(plain) => (200, json!({"data": {"plaintext": STANDARD.encode(plain)}})),
            Err(_) => refused("cipher: message authentication failed"),
        }
    }
}

/// A provider that asks it.
pub(crate) fn provider(config: &TransitConfig, env: Env) -> Transit {
    Transit::new(config.clone(), env).unwrap()
}

fn bytes(text: &Value) -> Vec<u8> {
    STANDARD.decode(text.as_str().unwrap()).unwrap()
}

fn token_file(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("token")
}

const TOKEN: &str = "hvs.of-the-test";
