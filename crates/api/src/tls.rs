//! TLS where the listener speaks it itself: 1.2 and 1.3, HTTP/1.1 and HTTP/2.
//!
//! The certificate is asked for at every handshake, so a new one is served from the next connection on. An authority that
//! asks whether a name is ours (RFC 8737: a handshake that offers `acme-tls/1` alone) is shown what it gave us to show; its
//! connection ends there.

use std::sync::Arc;

use carnet_engine::Broker;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{Acceptor, ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// What connections are accepted with.
pub struct Tls {
    config: Arc<ServerConfig>,
    /// Who knows what is to be shown to an authority, where one is asked for certificates.
    challenges: Option<Broker>,
    /// Whether it is the first that a visitor meets; else a proxy says who the visitor is.
    pub(crate) is_first: bool,
}

/// The certificate that the broker keeps.
struct Kept(Broker);

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept")
    }
}

impl ResolvesServerCert for Kept {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.certificate()
    }
}

impl Tls {
    /// With certificates from elsewhere. `behind_proxy` says that a proxy stands before it all the same.
    pub fn with(
        certificates: Arc<dyn ResolvesServerCert>,
        behind_proxy: bool,
    ) -> Result<Self, rustls::Error> {
        let config = config(certificates, &[b"h2", b"http/1.1"])?;
        Ok(Self { config, challenges: None, is_first: !behind_proxy })
    }

    /// With the certificate that the broker gets from an authority.
    pub fn kept_by(broker: Broker, behind_proxy: bool) -> Result<Self, rustls::Error> {
        let tls = Self::with(Arc::new(Kept(broker.clone())), behind_proxy)?;
        Ok(Self { challenges: Some(broker), ..tls })
    }

    /// The handshake; none if there is nothing to be served on the connection.
    pub(crate) async fn accept(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await.ok()?;
        let hello = start.client_hello();
        let is_challenge = hello.alpn().is_some_and(|mut names| names.any(|name| name == ACME));
        let name = hello.server_name().map(str::to_owned);
        let Some(broker) = self.challenges.as_ref().filter(|_| is_challenge) else {
            return start.into_stream(self.config.clone()).await.ok();
        };
        let key = broker.challenge(&name?).await?;
        let shown = config(Arc::new(SingleCertAndKey::from(key)), &[ACME]).ok()?;
        let mut shown = start.into_stream(shown).await.ok()?;
        let _ = shown.shutdown().await;
        None
    }
}

fn config(
    certificates: Arc<dyn ResolvesServerCert>,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

/// RFC 8737 §6.2.
const ACME: &[u8] = b"acme-tls/1";
