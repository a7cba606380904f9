//! The certificate with which the server speaks TLS, where an authority is asked for it by ACME (RFC 8555).
//!
//! Promised:
//! - The processes of a deployment have one account and one certificate, both sealed in the store. One of them renews it,
//!   under a lease that it keeps alive; the others serve the new one within about a second.
//! - It is renewed when two thirds of its life are over, and a little later, by dice, so that servers that were set up
//!   together do not come together. A try that fails keeps what is there, is told (log, audit, `/readyz`, `/metrics`), and
//!   is made again after longer and longer pauses, or when the authority says.
//! - A certificate is taken only if it is for all of the names, and for the key that was made for it.
//!
//! How a name is proved: by TLS-ALPN-01 (RFC 8737), on the one port on which the server listens anyway. What is to be shown
//! stands in the store, so whichever process the authority comes to can show it. HTTP-01 would need port 80 besides.
//!
//! Who takes part: `api` takes the present certificate at each handshake and shows what is to be shown; where certificates
//! come from files, `carnet` reads them and only tells here how they stand.

mod order;
mod refused;
mod wire;
mod x509;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use carnet_model::Time;
use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_store::certificates::{self, CertificateRow, OrderRow};
use carnet_store::{DbError, Write};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use url::Url;

use crate::broker::Broker;

use order::{Obtained, OrderError};
pub use x509::validity;

/// Which authority gives the server its certificate, and for which names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// The address of the authority's directory; https.
    pub directory: Url,
    /// The names, in small letters.
    pub domains: Vec<String>,
    /// Addresses that the authority may write to.
    pub contact: Vec<String>,
}

/// How the certificate stands with which a server speaks TLS itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateState {
    /// Until when it holds; none if there is none yet.
    pub ends: Option<Time>,
    /// Why there is no newer one, if that was tried.
    pub trouble: Option<String>,
    /// How many tries failed since the last that did not.
    pub failures: u64,
}

/// What is served at present, and how it stands.
#[derive(Default)]
pub(crate) struct Served {
    present: RwLock<Option<Present>>,
    state: RwLock<Option<CertificateState>>,
}

#[derive(Clone)]
struct Present {
    key: Arc<CertifiedKey>,
    version: i64,
    ends: Time,
}

impl Acme {
    /// What its certificate is kept under. With another authority or other names it is another one.
    fn place(&self) -> String {
        let mut names = self.domains.clone();
        names.sort();
        format!("{} {}", self.directory, names.join(","))
    }
}

impl CertificateState {
    /// Whether clients can be served with it.
    pub fn holds(&self, now: Time) -> bool {
        self.ends.is_some_and(|ends| ends > now)
    }
}

impl Broker {
    /// The certificate of the authority, with its key; none before there is one.
    pub fn certificate(&self) -> Option<Arc<CertifiedKey>> {
        self.present_certificate().map(|present| present.key)
    }

    /// What is to be shown to an authority that asks whether this name is ours (RFC 8737 §3); none if nobody asked it to.
    pub async fn challenge(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let (inner, name) = (&self.inner, name.to_ascii_lowercase());
        let found = certificates::challenged(&inner.db, &name, inner.env.now()).await;
        let digest = unhex(&found.ok()??)?;
        let key = KeyPair::generate().ok()?;
        let mut params = CertificateParams::new([name]).ok()?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(&digest)];
        let chain = vec![params.self_signed(&key).ok()?.der().clone()];
        // Not compared with its key: who reads certificates as clients do refuses this one, for the extension that makes it
        // what it is.
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing = aws_lc_rs::default_provider().key_provider.load_private_key(key).ok()?;
        Some(Arc::new(CertifiedKey::new(chain, signing)))
    }

    /// How the certificate stands; none where the server does not speak TLS itself.
    pub(crate) fn certificate_state(&self) -> Option<CertificateState> {
        self.inner.served.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says how the certificate stands, for whoever keeps it elsewhere.
    pub fn tell_certificate(&self, state: CertificateState) {
        *self.inner.served.state.write().unwrap_or_else(PoisonError::into_inner) = Some(state);
    }

    fn present_certificate(&self) -> Option<Present> {
        self.inner.served.present.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over what another process got, and gets the next certificate when it is due and nobody is at it.
    pub(crate) async fn keep_certificate(&self) -> Result<(), String> {
        let inner = &self.inner;
        let Some(acme) = inner.settings.acme.clone() else { return Ok(()) };
        // Nothing is opened and nothing sealed while the keys are shut.
        if inner.turning.is_shut() {
            return Ok(());
        }
        let place = acme.place();
        let outcome = self.keep(&acme, &place).await;
        // Whatever it was: what is in the store says how it stands.
        let order = certificates::order(&inner.db, &place).await.map_err(|error| error.to_string())?;
        self.tell_certificate(state(self.present_certificate().as_ref(), order.as_ref()));
        outcome.map_err(|error| error.to_string())
    }

    async fn keep(&self, acme: &Acme, place: &str) -> Result<(), DbError> {
        let inner = &self.inner;
        self.take_up(place).await?;
        let order = certificates::order(&inner.db, place).await?;
        self.tell_certificate(state(self.present_certificate().as_ref(), order.as_ref()));
        let today = inner.env.now();
        if order.is_some_and(|order| order.due_at > today) {
            return Ok(());
        }
        let now = inner.db.clock(&inner.env).await?;
        let lease = certificates::lease(place, inner.seat.node, now, now.plus(LEASE), today);
        match inner.db.write(Write::new().step(lease)).await {
            Ok(_) => {}
            Err(DbError::Unmet(_) | DbError::Conflict) => return Ok(()),
            Err(error) => return Err(error),
        }
        let fence = certificates::order(&inner.db, place).await?.map_or(0, |order| order.fence);
        tracing::info!(names = acme.domains.join(","), authority = %acme.directory, "a certificate is asked for");
        let obtained = tokio::select! {
            obtained = Box::pin(self.obtain(acme)) => obtained,
            () = self.hold(place, fence) => {
                // Another process may be at it, or nothing can be written here.
                tracing::warn!("the lease on the certificate is lost; the order is given up");
                return Ok(());
            }
            () = inner.stop.cancelled() => {
                let write = Write::new()
                    .step(certificates::release(place, fence))
                    .steps(acme.domains.iter().map(|name| certificates::answered(name)));
                return inner.db.write(write).await.map(drop);
            }
        };
        match obtained {
            Ok(obtained) => self.keep_obtained(acme, place, fence, obtained).await,
            Err(error) => self.record_failure(acme, place, fence, error).await,
        }
    }

    /// Serves a later certificate, if there is one in the store.
    async fn take_up(&self, place: &str) -> Result<(), DbError> {
        let inner = &self.inner;
        let version = self.present_certificate().map_or(0, |present| present.version);
        let Some(row) = certificates::later(&inner.db, place, version).await? else { return Ok(()) };
        let corrupt = || DbError::Corrupt { table: "certificates", column: 2 };
        let pkcs8 = inner.open_certificate(place, row.version, &row.sealed).map_err(|_| corrupt())?;
        let chain = chain(&row.chain).ok_or_else(corrupt)?;
        let key = certified(chain, pkcs8.expose()).ok_or_else(corrupt)?;
        let present = Present { key: Arc::new(key), version: row.version, ends: row.not_after };
        *inner.served.present.write().unwrap_or_else(PoisonError::into_inner) = Some(present);
        tracing::info!(version = row.version, "a certificate is served");
        Ok(())
    }

    /// Keeps the lease alive; ends when it is lost.
    async fn hold(&self, place: &str, fence: i64) {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            let Ok(now) = self.inner.db.clock(&self.inner.env).await else { return };
            let hold = certificates::hold(place, fence, now.plus(LEASE));
            if self.inner.db.write(Write::new().step(hold)).await.is_err() {
                return;
            }
        }
    }

    async fn keep_obtained(
        &self,
        acme: &Acme,
        place: &str,
        fence: i64,
        obtained: Obtained,
    ) -> Result<(), DbError> {
        let (inner, now) = (&self.inner, self.inner.env.now());
        let Obtained { chain, pkcs8, not_before, not_after } = obtained;
        let version = self.present_certificate().map_or(0, |present| present.version) + 1;
        let sealed = inner
            .seal_certificate(place, version, pkcs8)
            .map_err(|error| DbError::Refused(Box::new(error)))?;
        let life = not_before.until(not_after);
        // However short its life, and whatever the clocks say: not again at once.
        let due_at = due(not_before, life, inner.env.jitter(life / 24)).max(now.plus(LEAST.min(life / 3)));
        let row = CertificateRow {
            place: place.to_owned(),
            chain,
            sealed,
            not_before,
            not_after,
            version,
            created_at: now,
        };
        let event = AuditEvent::of_system(now, Action::CertificateIssue)
            .on(acme.domains.join(","))
            .with("authority", acme.directory.as_str())
            .with("expiresAt", not_after.millis())
            .with("nextAt", due_at.millis());
        let write = Write::new()
            .step(certificates::succeed(place, fence, due_at))
            .step(certificates::put(&row))
            .steps(acme.domains.iter().map(|name| certificates::answered(name)))
            .event(&inner.env, &event);
        inner.db.write(write).await?;
        self.take_up(place).await
    }

    async fn record_failure(
        &self,
        acme: &Acme,
        place: &str,
        fence: i64,
        error: OrderError,
    ) -> Result<(), DbError> {
        let (inner, now) = (&self.inner, self.inner.env.now());
        let before = certificates::order(&inner.db, place).await?.map_or(0, |order| order.failures);
        let pause = pause(before).max(error.wait().unwrap_or_default());
        let due_at = now.plus(pause + inner.env.jitter(pause / 8));
        let cause = error.to_string();
        let said = error.said();
        tracing::error!(cause, said, pause_seconds = pause.as_secs(), "no certificate was got");
        let mut event = AuditEvent::of_system(now, Action::CertificateIssue)
            .on(acme.domains.join(","))
            .ended(Outcome::Failed)
            .with("authority", acme.directory.as_str())
            .with("cause", cause.as_str())
            .with("nextAt", due_at.millis());
        if let Some(said) = said {
            event = event.with("said", said);
        }
        let write = Write::new()
            .step(certificates::fail(place, fence, due_at, &cause, now))
            .steps(acme.domains.iter().map(|name| certificates::answered(name)))
            .event(&inner.env, &event);
        inner.db.write(write).await.map(drop)
    }
}

fn state(present: Option<&Present>, order: Option<&OrderRow>) -> CertificateState {
    CertificateState {
        ends: present.map(|present| present.ends),
        trouble: order.and_then(|order| order.error.clone()),
        failures: order.map_or(0, |order| order.failures.unsigned_abs()),
    }
}

/// When the next one is due.
fn due(not_before: Time, life: Duration, later: Duration) -> Time {
    not_before.plus(life / 3 * 2).plus(later)
}

/// How long to wait after a try that failed, if so many failed before it. Let's Encrypt takes five failed proofs of a name
/// in an hour (letsencrypt.org/docs/rate-limits, 2025-06): 4, 8 and 16 minutes make four.
fn pause(failures: i64) -> Duration {
    let doublings = u32::try_from(failures.clamp(0, 7)).unwrap_or(0);
    (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE)
}

/// The certificates of a PEM text; none if there is none, or one is not to be read.
fn chain(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    chain.ok().filter(|chain| !chain.is_empty())
}

/// Both together, if they belong together.
fn certified(chain: Vec<CertificateDer<'static>>, pkcs8: &[u8]) -> Option<CertifiedKey> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.to_vec()));
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> =
        pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()).collect();
    bytes.filter(|bytes| bytes.len() == 32)
}

/// How long a process that says nothing keeps the others from trying.
const LEASE: Duration = Duration::from_secs(30);
/// Between one certificate and the next, at least.
const LEAST: Duration = Duration::from_hours(1);
const FIRST_PAUSE: Duration = Duration::from_mins(4);
const LONGEST_PAUSE: Duration = Duration::from_hours(6);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_quarter_of_a_day() {
        let minutes: Vec<u64> = [0, 1, 2, 3, 6, 7, 100, i64::MAX]
            .into_iter()
            .map(|failures| pause(failures).as_secs() / 60)
            .collect();
        assert_eq!(minutes, [4, 8, 16, 32, 256, 360, 360, 360]);
    }

    #[test]
    fn a_certificate_of_ninety_days_is_renewed_after_sixty() {
        let day = Duration::from_hours(24);
        let from = Time::from_secs(1_700_000_000);
        assert_eq!(from.until(due(from, day * 90, Duration::ZERO)), day * 60);
    }

    #[test]
    fn another_authority_or_other_names_are_another_place_and_the_order_of_names_is_not() {
        let acme = |directory: &str, domains: &[&str]| Acme {
            directory: Url::parse(directory).unwrap(),
            domains: domains.iter().map(|&name| name.to_owned()).collect(),
            contact: Vec::new(),
        };
        let one = acme("https://ca.example/dir", &["b.example", "a.example"]).place();
        assert_eq!(one, acme("https://ca.example/dir", &["a.example", "b.example"]).place());
        assert_ne!(one, acme("https://ca.example/other", &["a.example", "b.example"]).place());
        assert_ne!(one, acme("https://ca.example/dir", &["a.example"]).place());
    }

    #[test]
    fn only_a_whole_digest_is_read() {
        assert_eq!(unhex(&"0f".repeat(32)), Some(vec![15; 32]));
        for text in ["", "0f", &"0f".repeat(31), &"zz".repeat(32), &"0f".repeat(33)] {
            assert_eq!(unhex(text), None, "{text}");
        }
    }
}
