//! A deployment's store opened by a process that does not serve: to do one thing in it for the operator, or, of a copy,
//! to see whether it opens and to make it one that may serve.
//!
//! Looking into a copy calls no provider and turns nothing: a refresh token in it may be the one that the deployment
//! itself is using. Before a copy serves, every refresh token in it is in doubt, because it may have been presented
//! since the copy was made. Where the provider takes a token once, that means: not before the access token has ended,
//! and then once; if it is refused, consent is needed again, and the grant says why.

use std::path::PathBuf;

use aws_lc_rs::digest;
use carnet_egress::{Egress, Policy};
use carnet_model::audit::{Action, AuditEvent};
use carnet_model::{Env, Time};
use carnet_store::{DbError, Location, Write, deployment, keys, nodes, refreshes};
use url::Url;

use crate::broker::{Broker, Settings};
use crate::keks::Root;
use crate::keys::Examined;
use crate::seat::Seat;
use crate::start::StartError;

/// Why a copy cannot be looked into.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// It does not open: another key, a newer schema, a damaged row.
    #[error(transparent)]
    Start(#[from] Box<StartError>),
    /// It cannot be read.
    #[error("the copy cannot be read")]
    Store(#[from] DbError),
    /// There is no deployment in it.
    #[error("there is no deployment in it")]
    Empty,
}

/// SHA-256 of what `read` gives, until it gives nothing more.
pub fn sha256_of(mut read: impl FnMut(&mut [u8]) -> std::io::Result<usize>) -> std::io::Result<[u8; 32]> {
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => hash.update(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut out = [0; 32];
    out.copy_from_slice(hash.finish().as_ref());
    Ok(out)
}

/// An opened store, or a copy of one, in which nothing happens by itself.
pub struct Held(Broker);

impl Held {
    /// Opens the folder of a copy with the provider of its root key. Its schema is brought up to date, so give it a copy
    /// of the copy.
    pub async fn open(folder: PathBuf, root: Root, env: Env) -> Result<Self, LookError> {
        Self::at(&Location::Folder(folder), root, env).await
    }

    /// Opens the store itself, whose schema is brought up to date as by a server. One in a folder must be nobody's at
    /// this moment; others may serve from one in PostgreSQL meanwhile.
    pub async fn at(location: &Location, root: Root, env: Env) -> Result<Self, LookError> {
        let url = Url::parse("https://localhost").map_err(|_| LookError::Empty)?;
        let settings = Settings {
            url,
            development: false,
            spill: None,
            device_codes: false,
            sign_in: Vec::new(),
            refreshes_per_second: Settings::REFRESHES_PER_SECOND,
            answer_within: Settings::ANSWER_WITHIN,
            plans: crate::usage::Plans::default(),
            managed: std::collections::BTreeMap::new(),
            catalog: carnet_catalog::Catalog::default(),
            issuer: None,
            recovery_key: None,
            acme: None,
        };
        // An empty store would be made a deployment of its own.
        let db = carnet_store::Db::open(location, &env)
            .await
            .map_err(|error| Box::new(StartError::from(error)))?;
        let found = deployment::find(&db).await;
        db.close().await;
        drop(db);
        if found?.is_none() {
            return Err(LookError::Empty);
        }
        let egress = Egress::new(Policy::default()).map_err(|error| Box::new(StartError::from(error)))?;
        // It refreshes nothing, and does not take the place of who does.
        let seat = Seat::take(None, &env);
        let broker = Box::pin(Broker::assemble(settings, location, root, egress, seat, env)).await;
        Ok(Self(broker.map_err(Box::new)?))
    }

    /// Opens everything that is sealed, and counts.
    pub async fn examine(&self) -> Result<Examined, LookError> {
        Ok(self.0.examine().await?)
    }

    /// Makes of the copy a deployment that may serve.
    pub async fn make_ready(&self, copied_at: Time) -> Result<(), LookError> {
        let inner = &self.0.inner;
        let now = inner.env.now();
        let event = AuditEvent::of_system(now, Action::DeploymentRestore)
            .on(inner.deployment)
            .with("copiedAt", copied_at.millis());
        let write = Write::new()
            .step(refreshes::doubt_all(copied_at))
            .step(nodes::forget_before(Time::FAR_FUTURE))
            .step(keys::turn())
            .event(&inner.env, &event)
            .revises();
        inner.db.write(write).await?;
        Ok(())
    }

    /// The deployment, for one thing that the operator wants done in it.
    pub const fn broker(&self) -> &Broker {
        &self.0
    }

    /// Gives the files back.
    pub async fn close(self) {
        self.0.inner.db.close().await;
    }
}
