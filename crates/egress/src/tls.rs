//! Whom we trust: the machine's certificate authorities and those the operator adds.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::SetupError;
use crate::policy::Policy;

/// TLS 1.2 and 1.3 by aws-lc-rs, HTTP/2 preferred. A machine without certificate authorities is an error, except in
/// development, where a container may have none and the providers are on loopback.
pub(crate) fn client_config(policy: &Policy) -> Result<Arc<ClientConfig>, SetupError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    let (_, unreadable) = roots.add_parsable_certificates(native.certs);
    if unreadable > 0 || !native.errors.is_empty() {
        tracing::debug!(
            unreadable,
            errors = native.errors.len(),
            "some certificate authorities were passed over"
        );
    }
    if let Some(pem) = &policy.extra_roots_pem {
        add(&mut roots, pem)?;
    }
    if roots.is_empty() {
        if !policy.loopback {
            return Err(SetupError::NoRoots);
        }
        tracing::warn!("this machine has no certificate authorities: calls over https will fail");
    }
    let mut config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(SetupError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn add(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), SetupError> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| SetupError::ExtraRoots)?;
        roots.add(certificate).map_err(|_| SetupError::ExtraRoots)?;
    }
    if roots.len() == before { Err(SetupError::ExtraRoots) } else { Ok(()) }
}
