//! Whose certificates are trusted, and for which name.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use carnet_egress::{Egress, EgressError, Policy, SetupError};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use url::Url;

use crate::server::{Answering, Server, addresses, keep_answering, post};

/// A certificate authority of the test's own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// Development, trusting this authority, with the server's port open.
    pub(crate) fn policy(&self, server: &Server) -> Policy {
        Policy {
            loopback: true,
            ports: vec![server.address.port()],
            extra_roots_pem: Some(self.pem()),
            ..Policy::default()
        }
    }

    fn acceptor(
        &self,
        names: &[&str],
        protocols: &[&str],
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params =
            CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    /// HTTP/1.1 over TLS, with a certificate for `names`.
    pub(crate) async fn serve(&self, names: &[&str], protocols: &[&str]) -> Server {
        accepting(self.acceptor(names, protocols, rustls::ALL_VERSIONS), keep_answering).await
    }

    /// HTTP/2 over TLS. The answer's body is the version and the URL of the request.
    pub(crate) async fn serve_http2(&self, names: &[&str]) -> Server {
        accepting(self.acceptor(names, &["h2"], rustls::ALL_VERSIONS), |stream| async move {
            let echo = service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                let text = format!("{:?} {}", request.version(), request.uri());
                Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from(text))))
            });
            let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            serving.serve_connection(TokioIo::new(stream), echo).await.ok();
        })
        .await
    }
}

async fn accepting<F, T>(acceptor: TlsAcceptor, talk: F) -> Server
where
    F: Fn(TlsStream<TcpStream>) -> T + Copy + Send + Sync + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    Server::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                talk(stream).await;
            }
        }
    })
    .await
}

fn at_home(policy: Policy) -> Egress {
    Egress::with_resolver(policy, Arc::new(Answering(|_: &str| Ok(addresses(&["127.0.0.1"]))))).unwrap()
}

fn url(host: &str, server: &Server) -> Url {
    format!("https://{host}:{}/", server.address.port()).parse().unwrap()
}

#[tokio::test]
async fn an_added_authority_is_trusted_for_the_names_it_certifies() {
    let authority = Authority::new();
    for protocols in [&[][..], &["http/1.1"], &["http/1.1", "h3"]] {
        let server =
            authority.serve(&["idp.example", "*.wild.example", "127.0.0.1", "localhost"], protocols).await;
        let egress = at_home(authority.policy(&server));
        for host in ["idp.example", "a.wild.example", "127.0.0.1", "localhost"] {
            assert_eq!(egress.send(post(url(host, &server))).await.unwrap().status.as_u16(), 200, "{host}");
        }
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_before_anything_is_sent() {
    let authority = Authority::new();
    let server = authority.serve(&["idp.example", "*.wild.example"], &[]).await;
    let egress = at_home(authority.policy(&server));
    for host in ["other.example", "wild.example", "a.b.wild.example", "127.0.0.1", "localhost"] {
        let error = egress.send(post(url(host, &server))).await.unwrap_err();
        assert_eq!(error, EgressError::Tls, "{host}");
        assert!(!error.maybe_received());
    }
}

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let (trusted, other) = (Authority::new(), Authority::new());
    let server = other.serve(&["idp.example"], &[]).await;
    for policy in [trusted.policy(&server), Policy { extra_roots_pem: None, ..trusted.policy(&server) }] {
        let error = at_home(policy).send(post(url("idp.example", &server))).await.unwrap_err();
        assert_eq!(error, EgressError::Tls);
        assert!(!error.maybe_received());
    }
}

#[tokio::test]
async fn tls_1_2_is_still_spoken() {
    let authority = Authority::new();
    let acceptor = authority.acceptor(&["idp.example"], &[], &[&rustls::version::TLS12]);
    let server = accepting(acceptor, keep_answering).await;
    let egress = at_home(authority.policy(&server));
    assert_eq!(egress.send(post(url("idp.example", &server))).await.unwrap().status.as_u16(), 200);
}

#[tokio::test]
async fn a_peer_that_does_not_speak_tls_gets_no_request() {
    for answer in ["", "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", "\u{0}\u{0}\u{0}"] {
        let server = Server::start(move |mut stream| async move {
            crate::server::say(&mut stream, answer.as_bytes()).await;
        })
        .await;
        let egress =
            at_home(Policy { loopback: true, ports: vec![server.address.port()], ..Policy::default() });
        let error = egress.send(post(url("idp.example", &server))).await.unwrap_err();
        assert_eq!(error, EgressError::Tls);
        assert!(!error.maybe_received());
    }
}

#[test]
fn authorities_that_cannot_be_read_are_an_error_at_the_start() {
    for pem in [&b""[..], b"not PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let policy = Policy { extra_roots_pem: Some(pem.to_vec()), loopback: true, ..Policy::default() };
        assert!(matches!(Egress::new(policy), Err(SetupError::ExtraRoots)), "{}", pem.escape_ascii());
    }
}
