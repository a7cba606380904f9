//! A server in the foreground: its routes, its listener, and its end.

use std::future::Future;
use std::io::{IsTerminal as _, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use carnet_api::{Limits, Listening, Metrics};
use carnet_engine::{Broker, STOPS_WITHIN};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::cli::failure::Failure;

/// Every route of a server.
pub(crate) fn routes(broker: &Broker, more: Router, metrics: &Metrics) -> Router {
    let routes =
        carnet_api::router(broker.clone()).merge(carnet_dashboard::router(broker.clone())).merge(more);
    carnet_api::frame(routes, broker.clone(), metrics)
}

/// Takes the address, or says who has it.
pub(crate) async fn listen(address: SocketAddr, remedy: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::new("address_in_use", format!("Cannot listen on {address}: {error}."))
            .next(remedy, "to use another address")
            .into()
    })
}

/// Serves until the process is asked to stop, then finishes what was begun. Every listener has its own routes.
pub(crate) async fn run(
    broker: Broker,
    listeners: Vec<(Listening, Router)>,
    ready: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let stop = tokio_util::sync::CancellationToken::new();
    let serve = |(listener, routes)| {
        let stopped = stop.clone();
        broker.spawn(async move {
            carnet_api::serve(listener, routes, Limits::default(), stopped.cancelled_owned()).await;
        })
    };
    let serving: Vec<_> = listeners.into_iter().map(serve).collect();
    let outcome = match ready.await {
        Ok(()) => asked_to_stop().await,
        Err(error) => Err(error),
    };
    stop.cancel();
    let finished = async {
        for one in serving {
            let _ = one.await;
        }
        broker.shut_down(STOPS_WITHIN).await;
    };
    let mut finished = std::pin::pin!(finished);
    if tokio::time::timeout(UNSEEN, &mut finished).await.is_ok() {
        return outcome;
    }
    tracing::warn!(
        "what was begun is finished first, a refresh or a request that somebody waits for: {} seconds at most; a second \
         signal ends at once, and what is in doubt then is judged at the next start",
        (Limits::default().patience + STOPS_WITHIN).as_secs()
    );
    tokio::select! {
        () = &mut finished => outcome,
        again = asked_to_stop() => {
            again?;
            tracing::warn!("ended by a second signal, with work unfinished");
            Err(Failure::new("interrupted", "Ended by a second signal, with work unfinished.").into())
        }
    }
}

async fn asked_to_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be received")?;
    tokio::select! {
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => result.context("signals cannot be received")?,
    }
    Ok(())
}

/// The runtime of a server: a thread for every core.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime can be started")
}

/// Says to whoever started the server where it is. Nobody may be listening: a server that is ready serves all the same.
pub(crate) fn announce(text: &str) {
    if let Err(error) = writeln!(std::io::stdout(), "{text}") {
        tracing::warn!(%error, "standard output cannot be written to");
    }
}

/// Logs to stderr: lines for people at a terminal, JSON for machines. `filter` is what `CARNET_LOG` says.
pub(crate) fn log_to_stderr(filter: Option<&str>, usual: &str) {
    let filter = EnvFilter::try_new(filter.unwrap_or(usual)).unwrap_or_else(|_| EnvFilter::new(usual));
    // What cannot be written would be told on stderr itself, which ends the process.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .log_internal_errors(false)
        .with_writer(|| WhileItLasts(std::io::stderr()));
    let result = if std::io::stderr().is_terminal() {
        builder.with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    // A second call in one process keeps the first one's choice.
    drop(result);
}

/// Where the log goes. A full disk behind it, or a reader that has gone, costs its lines and nothing else.
struct WhileItLasts(std::io::Stderr);

impl Write for WhileItLasts {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        Ok(self.0.write(text).unwrap_or(text.len()))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

/// How long the end may take without a word; and a second signal that comes within it is the first one, which a terminal
/// sends to a whole group of processes and one of them hands on.
const UNSEEN: Duration = Duration::from_millis(500);
