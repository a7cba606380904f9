//! The operator's socket, `admin.sock` in the folder of the data: one question on one line, one answer on one line.
//!
//! Promised: only processes of the server's own user, and of root, are answered, whatever the folder's mode is; the
//! kernel says whose they are. A server that cannot have the socket serves all the same, and says so.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use carnet_engine::{Broker, Location};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::{Ask, Link, Refusal, answer};
use crate::cli::failure::Failure;

/// A socket that is listened to. It ends with this.
pub(crate) struct Listening {
    work: JoinHandle<()>,
    path: PathBuf,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.work.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What goes over the socket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Link(Link),
    Refused(Refusal),
}

/// Listens in the folder of the data, which this process holds alone. A deployment in a database has no folder.
pub(crate) fn listen(broker: &Broker, location: &Location) -> Option<Listening> {
    let Location::Folder(data) = location else { return None };
    let path = data.join(NAME);
    match bind(&path) {
        Ok(listener) => {
            let work = broker.spawn(serve(broker.clone(), listener));
            Some(Listening { work, path })
        }
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "carnet admin cannot ask this server; stop it first");
            None
        }
    }
}

fn bind(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        // Of a process that was killed: whoever holds the folder is the only one.
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// One after the other: it is the operator who asks.
async fn serve(broker: Broker, listener: UnixListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let talk = tokio::time::timeout(PATIENCE, talk(&broker, stream)).await;
                if let Err(error) = talk.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
                    tracing::warn!(%error, "an operator's question was not answered");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the operator's socket fails");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn talk(broker: &Broker, mut stream: UnixStream) -> std::io::Result<()> {
    let own = rustix::process::geteuid().as_raw();
    if !matches!(stream.peer_cred()?.uid(), uid if uid == own || uid == ROOT) {
        return Err(ErrorKind::PermissionDenied.into());
    }
    let (read, mut write) = stream.split();
    let mut text = String::new();
    BufReader::new(read.take(LONGEST)).read_line(&mut text).await?;
    let ask: Ask = serde_json::from_str(&text).map_err(std::io::Error::from)?;
    let line = match answer(broker, broker.settings().base(), &ask).await {
        Ok(link) => Line::Link(link),
        Err(refusal) => Line::Refused(refusal),
    };
    let mut text = serde_json::to_string(&line).map_err(std::io::Error::from)?;
    text.push('\n');
    write.write_all(text.as_bytes()).await?;
    write.shutdown().await
}

/// Asks the server that holds this folder; nothing if none listens there.
pub(super) async fn ask(data: &Path, ask: &Ask) -> anyhow::Result<Option<Result<Link, Failure>>> {
    let mut stream = match UnixStream::connect(data.join(NAME)).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error).context("the running server cannot be asked"),
    };
    let talk = async {
        let mut text = serde_json::to_string(ask)?;
        text.push('\n');
        stream.write_all(text.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        anyhow::Ok(text)
    };
    let text = tokio::time::timeout(PATIENCE, talk).await.context("the running server does not answer")??;
    let line = serde_json::from_str(&text).context("the running server does not answer as it should")?;
    Ok(Some(match line {
        Line::Link(link) => Ok(link),
        Line::Refused(refusal) => Err(refusal.into()),
    }))
}

const NAME: &str = "admin.sock";
const ROOT: u32 = 0;
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST: u64 = 4096;
