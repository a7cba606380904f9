//! TLS by certificate files: read at the start, and anew whenever they change.
//!
//! Whoever renews a certificate (certbot, cert-manager, an ACME client beside the server) writes the files, and nothing
//! else is to be done. Files that cannot be used stop a start; later they are told, in the log once and by `/readyz` as long
//! as it is so, and what was read before goes on. A certificate is taken only with the key that it is for, and only if it is
//! for the server's own name.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use carnet_engine::{Broker, CertificateState, validity};
use carnet_model::{SecretString, Time};
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::cli::failure::Failure;
use crate::config::wrong;

/// `[tls]`: the files.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsTable {
    /// The certificate and those that lead to an authority, PEM.
    pub(crate) certificate: PathBuf,
    /// The private key, PEM.
    pub(crate) private_key: PathBuf,
}

/// When the files were last written, and how long they are.
type Stamp = [Option<(std::time::SystemTime, u64)>; 2];

/// The files, and what is served of them at present.
#[derive(Debug)]
pub(crate) struct CertificateFiles {
    files: TlsTable,
    name: ServerName<'static>,
    /// Of what was read at the start.
    stamp: Stamp,
    present: RwLock<Present>,
}

#[derive(Clone, Debug)]
struct Present {
    key: Arc<CertifiedKey>,
    ends: Option<Time>,
}

impl CertificateFiles {
    /// Reads the files for the server of this address; else which member is wrong, and why.
    pub(crate) fn open(files: &TlsTable, url: &Url) -> Result<Arc<Self>, (&'static str, Failure)> {
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| ("tls", wrong(format!("No certificate is for a name like {host:?}."))))?;
        // Before they are read: what is written meanwhile is read again.
        let stamp = stamp(files);
        let present = RwLock::new(read(files, &name)?);
        Ok(Arc::new(Self { files: files.clone(), name, stamp, present }))
    }

    /// How they stand, as long as they are read.
    pub(crate) fn state(&self) -> CertificateState {
        CertificateState { ends: self.present().ends, trouble: None, failures: 0 }
    }

    /// Reads the files anew whenever they change, for ever.
    pub(crate) async fn watch(self: Arc<Self>, broker: Broker) {
        let mut seen = self.stamp;
        let mut failures = 0;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = stamp(&self.files);
            if now == seen {
                continue;
            }
            seen = now;
            match read(&self.files, &self.name) {
                Ok(fresh) => {
                    failures = 0;
                    *self.present.write().unwrap_or_else(PoisonError::into_inner) = fresh;
                    broker.tell_certificate(self.state());
                    tracing::info!(certificate = %self.files.certificate.display(), "another certificate is served");
                }
                // Of two files one is written first: the next look finds them whole.
                Err((member, failure)) => {
                    failures += 1;
                    tracing::warn!(member, why = %failure.message, "the certificate of before is served on");
                    let trouble = Some(format!("{member} cannot be used; the server's log says why"));
                    broker.tell_certificate(CertificateState { trouble, failures, ..self.state() });
                }
            }
        }
    }

    fn present(&self) -> Present {
        self.present.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for CertificateFiles {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.present().key)
    }
}

/// What changes with the files: where they are links, with what these lead to.
fn stamp(files: &TlsTable) -> Stamp {
    [&files.certificate, &files.private_key].map(|path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len()))
    })
}

/// Certificate and key, if they belong together and to the name.
fn read(files: &TlsTable, name: &ServerName<'_>) -> Result<Present, (&'static str, Failure)> {
    let shown = files.certificate.display();
    let unfit = |why: String| ("tls.certificate", wrong(format!("tls.certificate {shown} {why}.")));
    let pem = std::fs::read(&files.certificate).map_err(|error| unfit(format!("cannot be read: {error}")))?;
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|_| unfit("is not PEM".to_owned()))?;
    let leaf = chain.first().ok_or_else(|| unfit("has no certificate".to_owned()))?;
    let ends = validity(leaf).map(|(_, ends)| ends);
    let parsed = ParsedCertificate::try_from(leaf).map_err(|_| unfit("is no certificate".to_owned()))?;
    verify_server_name(&parsed, name)
        .map_err(|_| unfit(format!("is not for {}, the name of the server", name.to_str())))?;
    let key = private_key(&files.private_key)?;
    let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|_| {
        let why = format!(
            "tls.private_key {} is not the key of the certificate {shown}.",
            files.private_key.display()
        );
        ("tls.private_key", wrong(why))
    })?;
    Ok(Present { key: Arc::new(key), ends })
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, (&'static str, Failure)> {
    use std::os::unix::fs::PermissionsExt as _;
    let shown = path.display();
    let member = "tls.private_key";
    let cannot = |error: std::io::Error| (member, wrong(format!("Cannot read {member} {shown}: {error}.")));
    // A group may have it, as distributions arrange for those who serve TLS.
    let mode = std::fs::metadata(path).map_err(cannot)?.permissions().mode();
    if mode & 0o007 != 0 {
        let failure = wrong(format!("{member} {shown} can be read by everybody on this machine."));
        return Err((member, failure.next(format!("chmod 600 {shown}"), "to keep it to its owner")));
    }
    let pem = SecretString::new(std::fs::read_to_string(path).map_err(cannot)?);
    PrivateKeyDer::from_pem_slice(pem.expose().as_bytes())
        .map_err(|_| (member, wrong(format!("{member} {shown} holds no private key in PEM."))))
}

/// Two looks at two files cost nothing.
const LOOK_EVERY: Duration = Duration::from_secs(1);
