//! Whether the store takes writes, for whoever watches over the process.
//!
//! It is seen by writing, which takes what a commit takes. So however many ask, it is done one at a time, and what came of
//! it holds for a moment. Who asks is answered within two seconds, whatever the store does.

use std::time::Duration;

use carnet_store::{DbError, Write, pulse};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::broker::Broker;

/// What was last seen.
#[derive(Default)]
pub(crate) struct Pulse(Mutex<Option<(Instant, Result<(), String>)>>);

impl Broker {
    /// Writes, or says why nothing can be written.
    pub(crate) async fn feel_pulse(&self) -> Result<(), String> {
        let mut last = self.inner.pulse.0.lock().await;
        if let Some((at, found)) = &*last
            && at.elapsed() < FRESH
        {
            return found.clone();
        }
        let (broker, beat) = (self.clone(), Write::new().step(pulse::beat(self.inner.env.now())));
        // A task of its own, which has the store's own patience: who asks has less.
        let write = self.track(async move { broker.inner.db.write(beat).await });
        let found = match tokio::time::timeout(LONGEST, write).await {
            Ok(Ok(Ok(_))) => Ok(()),
            Ok(Ok(Err(DbError::Unavailable(why)))) => Err(why),
            Ok(Ok(Err(error))) => Err(error.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("a write does not end".to_owned()),
        };
        let before = last.as_ref().is_none_or(|(_, before)| before.is_ok());
        match &found {
            Err(why) if before => tracing::error!(%why, "the store takes no write"),
            Ok(()) if !before => tracing::info!("the store takes writes again"),
            _ => {}
        }
        *last = Some((Instant::now(), found.clone()));
        found
    }
}

/// How long an answer holds: less than anybody notices, and more than many askers could wear out a disk by.
const FRESH: Duration = Duration::from_millis(250);
/// Longer than a write waits for whoever holds the file of the embedded store.
const LONGEST: Duration = Duration::from_millis(1300);
