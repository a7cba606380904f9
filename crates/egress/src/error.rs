//! What goes wrong on the way out. No variant holds a URL, a header or a byte of a body.

use crate::network::Network;
use crate::url_rule::UrlRefused;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum EgressError {
    /// The rules forbid the URL, or an address its host resolved to.
    #[error("the call is not allowed: {0}")]
    Refused(#[from] UrlRefused),
    /// The host has no address.
    #[error("the host name does not resolve")]
    Resolve,
    /// No address of the host takes connections.
    #[error("the host cannot be reached")]
    Connect,
    /// No secure connection: certificate not trusted, wrong name, no common version.
    #[error("no secure connection to the host: its certificate or its TLS was not accepted")]
    Tls,
    /// A deadline has passed.
    #[error("the host did not answer in time")]
    Timeout {
        /// Whether the request had been handed to a connection.
        sent: bool,
    },
    /// The headers or the body of the answer are larger than allowed.
    #[error("the answer is larger than allowed")]
    TooLarge,
    /// The connection ended early, or what came is not HTTP.
    #[error("the connection broke before a whole answer came")]
    Broken {
        /// Whether the request had been handed to a connection.
        sent: bool,
    },
}

impl EgressError {
    /// Whether the peer may have received the request, and acted on it.
    ///
    /// `false` is a promise: name, address or TLS failed, and no byte of the request was written. `true` is doubt:
    /// once a request is handed to a connection, nobody can know how far it came.
    pub fn maybe_received(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Resolve | Self::Connect | Self::Tls => false,
            Self::Timeout { sent } | Self::Broken { sent } => *sent,
            Self::TooLarge => true,
        }
    }
}

/// Why there is no [`Egress`](crate::Egress) for a policy.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// An allowance touches loopback, link-local, multicast, or a way of writing v4 addresses in v6.
    #[error(
        "{0} cannot be allowed for outbound calls: it touches loopback, link-local or multicast addresses"
    )]
    Allowance(Network),
    /// Origins are replaced outside of development.
    #[error("sending one origin's calls to another is for development only")]
    Origins,
    /// The machine has no certificate authorities, and none were given.
    #[error("no certificate authorities found on this machine: install ca-certificates, or name a PEM file")]
    NoRoots,
    /// The given certificate authorities cannot be read.
    #[error("the additional certificate authorities are not PEM certificates")]
    ExtraRoots,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}
