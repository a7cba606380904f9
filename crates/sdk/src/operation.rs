//! How the server is.

use reqwest::header::DATE;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::client::Client;
use crate::error::Error;
use crate::transport::Call;

/// The server answers.
#[derive(Clone, Debug)]
pub struct Liveness {
    /// The server's clock, in the form of the `Date` header (RFC 9110 §6.6.1).
    pub date: Option<String>,
}

/// Whether the server can do its work.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Readiness {
    /// `ok`, or what is the matter.
    pub status: String,
    /// What it looked at, and how each thing is.
    #[serde(default)]
    pub checks: Map<String, Value>,
    /// The version that runs.
    #[serde(default)]
    pub version: Option<String>,
}

impl Client {
    /// Whether the server answers at all.
    pub async fn livez(&self) -> Result<Liveness, Error> {
        let answer = self.send(Call::get(&["livez"])).await?;
        let date = answer.headers.get(DATE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Liveness { date })
    }

    /// Whether there is a page for people at this path, for whoever asks: one that only a signed-in person sees counts.
    pub async fn has_page(&self, path: &[&str]) -> Result<bool, Error> {
        let (status, _) = self.exchange(Call::get(path)).await?;
        Ok(status != 404 && status < 500)
    }

    /// Whether it can do its work; `(false, …)` says with the checks what it lacks.
    pub async fn readyz(&self) -> Result<(bool, Readiness), Error> {
        let (status, answer) = self.exchange(Call::get(&["readyz"])).await?;
        Ok((status == 200, answer.json()?))
    }
}
