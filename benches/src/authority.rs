//! A token endpoint that says yes to whatever it is asked, so that what is measured is the asking.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use serde_json::{Value, json};

/// Serves until it is ended.
pub(crate) fn serve(port: &str) -> Result<()> {
    let port: u16 = port.parse()?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let given = Arc::new(AtomicU64::new(0));
        let token = move || {
            let number = given.fetch_add(1, Ordering::Relaxed);
            async move { Json(answer(number)) }
        };
        let routes = Router::new().route("/token", post(token)).route("/readyz", get(async || "ready"));
        axum::serve(listener.tap_io(|stream| drop(stream.set_nodelay(true))), routes).await?;
        Ok(())
    })
}

/// A token of the length that providers' tokens have.
fn answer(number: u64) -> Value {
    json!({
        "access_token": format!("{number:0>64}"),
        "token_type": "Bearer",
        "expires_in": 3600,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    })
}
