//! The client: where requests go and as whom.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use carnet_model::Env;
use url::{Host, Url};

use crate::cache::Cache;
use crate::credential::Credential;
use crate::error::Error;

/// A client of one Carnet server.
///
/// Cheap to build where no request follows; connections are made by the first request and kept for the next. A clone
/// shares them, and the tokens that are remembered.
#[derive(Clone)]
pub struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) base: Url,
    pub(crate) credential: Option<Arc<Credential>>,
    pub(crate) team: Option<TeamRef>,
    pub(crate) env: Env,
    pub(crate) cache: Arc<Cache>,
    /// Whether a credential may be sent at all.
    keeps_secrets: bool,
}

/// The team that a person's requests are about. A workload's team follows from its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TeamRef {
    /// `team_…`
    Id(String),
    /// The short name in URLs.
    Slug(String),
}

/// Sets up a [`Client`].
pub struct Builder {
    base: Url,
    credential: Option<Credential>,
    team: Option<TeamRef>,
    timeout: Duration,
    env: Env,
    remembered: usize,
    plain_http: bool,
}

impl Client {
    /// Begins a client of the server at `url`.
    pub fn builder(url: Url) -> Builder {
        Builder {
            base: url,
            credential: None,
            team: None,
            timeout: TIMEOUT,
            env: Env::system(),
            remembered: REMEMBERED,
            plain_http: false,
        }
    }

    /// The same client for another caller of the same team: connections and room for tokens are shared, the tokens
    /// themselves are not.
    #[must_use]
    pub fn with_credential(&self, credential: Credential) -> Self {
        Self { credential: Some(Arc::new(credential)), ..self.clone() }
    }

    /// The server's address.
    pub fn url(&self) -> &Url {
        &self.base
    }

    /// Refuses where a credential would go over the network in clear.
    pub(crate) fn may_send_secrets(&self) -> Result<(), Error> {
        if self.keeps_secrets { Ok(()) } else { Err(plain_http(&self.base)) }
    }

    /// Whether this client calls as a person, and not as a workload or as nobody.
    pub fn is_member(&self) -> bool {
        matches!(self.credential.as_deref(), Some(Credential::AccessToken(_)))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.base.as_str())
            .field("credential", &self.credential)
            .field("team", &self.team)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// Calls with this credential. Without one, only what is open to everybody can be called.
    #[must_use]
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credential = Some(credential);
        self
    }

    /// Calls about this team.
    #[must_use]
    pub fn team(mut self, team: TeamRef) -> Self {
        self.team = Some(team);
        self
    }

    /// How long one request may take, from the first byte sent to the last received. 30 s if not set: the server
    /// itself may wait for a provider.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Tells the time by this clock and draws jitter with these dice.
    #[must_use]
    pub fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// How many tokens are remembered; 1000 if not set. With 0 none is, and callers that ask for the same at the same
    /// time still share one request.
    #[must_use]
    pub fn remembered(mut self, tokens: usize) -> Self {
        self.remembered = tokens;
        self
    }

    /// Sends the credential without TLS to another machine too. Without this it is not sent there: everybody on the way
    /// would read it. For networks where nobody else is.
    #[must_use]
    pub fn allow_plain_http(mut self, allowed: bool) -> Self {
        self.plain_http = allowed;
        self
    }

    /// The client.
    pub fn build(self) -> Result<Client, Error> {
        if !matches!(self.base.scheme(), "http" | "https") || !self.base.has_host() {
            return Err(Error::InvalidArgument("the server's address begins with http:// or https://"));
        }
        let keeps_secrets = self.plain_http || self.base.scheme() == "https" || is_loopback(&self.base);
        if self.credential.is_some() && !keeps_secrets {
            return Err(plain_http(&self.base));
        }
        #[expect(clippy::disallowed_methods, reason = "the one place where the SDK builds its HTTP client")]
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("carnet-rust/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(self.timeout)
            // A redirect would carry the credential to an origin that nobody named.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never());
        if self.base.scheme() == "http" {
            // Reading the machine's certificates takes longer than the request, and nothing would use them.
            http = http.tls_certs_only([]);
        }
        if is_loopback(&self.base) {
            // HTTP_PROXY is not meant for a server on this machine, and must not see its credential.
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| Error::SetUp(Arc::new(error)))?;
        Ok(Client {
            http,
            base: self.base,
            credential: self.credential.map(Arc::new),
            team: self.team,
            env: self.env,
            cache: Arc::new(Cache::new(self.remembered)),
            keeps_secrets,
        })
    }
}

impl TeamRef {
    /// Tells an identifier from a short name.
    pub fn parse(text: &str) -> Self {
        if text.starts_with("team_") { Self::Id(text.to_owned()) } else { Self::Slug(text.to_owned()) }
    }
}

fn plain_http(base: &Url) -> Error {
    Error::PlainHttp { origin: base.origin().ascii_serialization() }
}

/// Whether a URL can only mean this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        // RFC 6761 §6.3
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(30);
/// A few connectors for a few hundred users; about two megabytes.
const REMEMBERED: usize = 1000;
