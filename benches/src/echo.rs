//! The limit: axum reading a JSON body and sending it back, and nothing else.

use std::net::Ipv4Addr;

use anyhow::Result;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use serde_json::Value;

/// Serves until it is ended.
pub(crate) fn serve(port: &str) -> Result<()> {
    let port: u16 = port.parse()?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let routes = Router::new()
            .route("/v1/connect/token/{connector}", post(async |body: Json<Value>| body))
            .route("/readyz", get(async || "ready"));
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        axum::serve(listener, routes).await?;
        Ok(())
    })
}
