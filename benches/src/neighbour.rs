//! The neighbour: the certified authorization server of the end-to-end tests, asked for client credentials.
//!
//! It is no broker and keeps nothing beyond its memory; it is what a team would otherwise ask for a token.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::load::Target;
use crate::process::{Server, free_port};
use crate::table::say;

/// The server, or nothing where Node or its packages are not there.
pub(crate) fn start() -> Result<Option<Server>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../e2e");
    let node = Command::new("node").arg("--version").output();
    if !node.is_ok_and(|output| output.status.success())
        || !folder.join("node_modules/oidc-provider").is_dir()
    {
        say("!! node or the packages of e2e/ are missing: NOTHING IS COMPARED WITH oidc-provider");
        return Ok(None);
    }
    let port = free_port()?;
    let mut command = Command::new("node");
    command
        .args(["peers/authorization-server.mjs", "--port", &port.to_string()])
        .args(["--redirect", "http://127.0.0.1/"])
        .current_dir(folder);
    let mut server = Server::start(command.env("NODE_ENV", "production"), port)?;
    server.ready("/.well-known/openid-configuration")?;
    Ok(Some(server))
}

/// A token for the client that the peer knows.
pub(crate) fn target(server: &Server) -> Target {
    let form =
        "grant_type=client_credentials&scope=read&client_id=post&client_secret=post-secret-of-the-peer";
    let request = format!(
        "POST /token HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n{form}",
        server.address,
        form.len(),
    );
    Target::same(server.address, request.into_bytes())
}
