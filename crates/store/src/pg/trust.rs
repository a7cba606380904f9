//! Whose word for a PostgreSQL server's certificate is taken, and how it is told that a certificate has none.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError, RootCertStore};

use crate::db::OpenError;

/// The authorities that are believed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Roots {
    /// Those that this machine believes.
    System,
    /// Those of this file, PEM, and no others.
    File(PathBuf),
}

pub(super) fn tls(roots: &Roots) -> Result<rustls::ClientConfig, OpenError> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::System => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Roots::File(path) => {
            let unfit =
                |why: String| OpenError::Address(format!("sslrootcert, the file {}, {why}", path.display()));
            let pem = std::fs::read(path).map_err(|error| unfit(format!("cannot be read: {error}")))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let added = certificate.ok().and_then(|certificate| store.add(certificate).ok());
                added.ok_or_else(|| unfit("holds something that is no certificate".to_owned()))?;
            }
            if store.is_empty() {
                return Err(unfit("holds no certificate in PEM".to_owned()));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    #[expect(clippy::expect_used, reason = "fails only if the provider supported no protocol version at all")]
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs supports TLS 1.2 and 1.3")
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(config)
}

/// What is wrong with the certificate that the server showed, if it is that on which the connection failed.
pub(super) fn of_certificate(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let found = error.downcast_ref().or_else(|| inner.and_then(|inner| inner.downcast_ref()));
        if let Some(rustls::Error::InvalidCertificate(why)) = found {
            return Some(told(why));
        }
        next = error.source();
    }
    None
}

fn told(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => "its certificate is signed by itself or by an authority that is not \
            trusted here; name the file with that certificate in the address, sslrootcert=FILE, or, where the network \
            between is yours alone, go without TLS: sslmode=disable"
            .to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name than the host in the address".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has ended".to_owned()
        }
        other => format!("its certificate is not accepted: {other}"),
    }
}
