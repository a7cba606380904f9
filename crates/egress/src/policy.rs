//! What the operator decides about outbound calls, and the rules that follow from it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::Url;

use crate::address;
use crate::error::SetupError;
use crate::network::Network;
use crate::origin::Origin;
use crate::place::Place;

/// The operator's decisions. The default is what production wants: `https`, port 443, public addresses.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// For development: plain http to loopback hosts, loopback addresses, any port on them.
    pub loopback: bool,
    /// Networks that are not public and may be called all the same.
    pub allow: Vec<Allowance>,
    /// Networks that are never called, though they are public by number: the operator's own, or a NAT64 prefix.
    pub deny: Vec<Network>,
    /// Ports for `https` besides 443.
    pub ports: Vec<u16>,
    /// What would go to the first place goes to the second; of several that fit, by the one that says most. Development
    /// only.
    pub origins: Vec<(Place, Place)>,
    /// Where key services and what gives out credentials for them are: addresses that the operator wrote down, which
    /// may be private, link-local or plain http. Calls of [`Purpose::KeyService`] go there and nowhere else.
    pub key_services: Vec<Origin>,
    /// Where the server's own certificates are asked for: the authorities that the operator wrote down, which may be
    /// private ones. Calls of [`Purpose::Certificates`] go there and nowhere else.
    pub authorities: Vec<Origin>,
    /// Certificate authorities to trust besides the machine's, in PEM.
    pub extra_roots_pem: Option<Vec<u8>>,
}

/// A network the operator opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// For calls of this purpose only; `None` for all.
    pub purpose: Option<Purpose>,
    /// Where to.
    pub network: Network,
}

macro_rules! purposes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a call is made. Connections are kept apart by it, and allowances can be given for one alone.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Purpose { $($(#[$doc])* $name,)* }

        impl Purpose {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name in configuration and logs.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

purposes! {
    /// Metadata of an authorization server or issuer.
    Discovery = "discovery",
    /// Keys of an issuer.
    Jwks = "jwks",
    /// A provider's token endpoint, revocation included.
    ProviderToken = "provider_token",
    /// A provider's API.
    ProviderApi = "provider_api",
    /// The webhook that tells an application of a finished authorization.
    Completion = "completion",
    /// A trigger on its way to a destination.
    Forward = "forward",
    /// A key service that holds the deployment's root key.
    KeyService = "key_service",
    /// The authority that gives the server its own certificate.
    Certificates = "certificates",
}

/// Text that names no purpose.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "not a purpose: one of discovery, jwks, provider_token, provider_api, completion, forward, key_service, \
     certificates"
)]
pub struct InvalidPurpose;

impl FromStr for Purpose {
    type Err = InvalidPurpose;

    fn from_str(text: &str) -> Result<Self, InvalidPurpose> {
        Self::ALL.iter().copied().find(|purpose| purpose.as_str() == text).ok_or(InvalidPurpose)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A policy that was found sound.
pub(crate) struct Rules {
    pub(crate) loopback: bool,
    allow: Vec<Allowance>,
    deny: Vec<Network>,
    ports: Vec<u16>,
    origins: Vec<(Place, Place)>,
    pub(crate) key_services: Vec<Origin>,
    pub(crate) authorities: Vec<Origin>,
}

impl Rules {
    pub(crate) fn new(policy: Policy) -> Result<Self, SetupError> {
        let Policy { loopback, allow, deny, ports, origins, key_services, authorities, extra_roots_pem: _ } =
            policy;
        if let Some(allowance) =
            allow.iter().find(|allowance| !address::may_be_an_allowance(&allowance.network))
        {
            return Err(SetupError::Allowance(allowance.network));
        }
        if !origins.is_empty() && !loopback {
            return Err(SetupError::Origins);
        }
        Ok(Self { loopback, allow, deny, ports, origins, key_services, authorities })
    }

    /// Whether a socket to `address` may be opened for `purpose`.
    pub(crate) fn permits(&self, address: IpAddr, purpose: Purpose) -> bool {
        if self.deny.iter().any(|network| network.contains(address)) {
            return false;
        }
        if let Some(written_down) = self.written_down(purpose) {
            // Where they are was written down by the operator, and the URL was compared with it.
            return !written_down.is_empty();
        }
        if address.is_loopback() {
            return self.loopback;
        }
        address::is_public(address) || (address::may_be_allowed(address) && self.allows(address, purpose))
    }

    /// The only places that calls of this purpose go to, where the operator wrote them down.
    pub(crate) fn written_down(&self, purpose: Purpose) -> Option<&[Origin]> {
        match purpose {
            Purpose::KeyService => Some(&self.key_services),
            Purpose::Certificates => Some(&self.authorities),
            _ => None,
        }
    }

    fn allows(&self, address: IpAddr, purpose: Purpose) -> bool {
        self.allow.iter().any(|allowance| {
            allowance.purpose.is_none_or(|only| only == purpose) && allowance.network.contains(address)
        })
    }

    pub(crate) fn has_port(&self, port: u16) -> bool {
        port == 443 || self.ports.contains(&port)
    }

    pub(crate) fn reroute(&self, url: &Url) -> Url {
        let fits = self.origins.iter().filter(|(from, _)| from.holds(url));
        let most = fits.rev().max_by_key(|(from, _)| from.length());
        most.and_then(|(from, to)| from.replace(url, to)).unwrap_or_else(|| url.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(policy: Policy) -> Rules {
        Rules::new(policy).unwrap_or_else(|error| panic!("{error}"))
    }

    fn allowance(purpose: Option<Purpose>, network: &str) -> Allowance {
        Allowance { purpose, network: network.parse().unwrap() }
    }

    #[test]
    fn an_allowance_opens_its_network_for_its_purpose_alone() {
        let rules = rules(Policy {
            allow: vec![allowance(Some(Purpose::Forward), "10.2.0.0/16"), allowance(None, "fd12::/16")],
            ..Policy::default()
        });
        for (address, purpose, permitted) in [
            ("10.2.3.4", Purpose::Forward, true),
            ("10.2.3.4", Purpose::ProviderApi, false),
            ("10.3.0.0", Purpose::Forward, false),
            ("fd12::1", Purpose::Jwks, true),
            ("fd13::1", Purpose::Jwks, false),
            ("::ffff:10.2.3.4", Purpose::Forward, false),
            ("127.0.0.1", Purpose::Forward, false),
            ("1.1.1.1", Purpose::Forward, true),
        ] {
            assert_eq!(rules.permits(address.parse().unwrap(), purpose), permitted, "{address} {purpose}");
        }
    }

    #[test]
    fn a_wide_allowance_does_not_open_metadata() {
        let rules = rules(Policy {
            allow: vec![allowance(None, "100.64.0.0/10"), allowance(None, "fd00::/8")],
            ..Policy::default()
        });
        for (address, permitted) in [
            ("100.100.100.199", true),
            ("100.100.100.200", false),
            ("fd00:ec1::1", true),
            ("fd00:ec2::254", false),
        ] {
            assert_eq!(rules.permits(address.parse().unwrap(), Purpose::ProviderApi), permitted, "{address}");
        }
    }

    #[test]
    fn development_opens_loopback_and_nothing_else() {
        let rules = rules(Policy { loopback: true, ..Policy::default() });
        for (address, permitted) in [
            ("127.0.0.1", true),
            ("127.255.255.254", true),
            ("::1", true),
            ("::ffff:127.0.0.1", false),
            ("0.0.0.0", false),
            ("::", false),
            ("10.0.0.1", false),
            ("169.254.169.254", false),
        ] {
            assert_eq!(rules.permits(address.parse().unwrap(), Purpose::Discovery), permitted, "{address}");
        }
    }

    #[test]
    fn what_is_denied_is_denied_even_if_public_or_allowed() {
        let rules = rules(Policy {
            deny: vec!["8.8.8.0/24".parse().unwrap(), "10.2.9.0/24".parse().unwrap()],
            allow: vec![allowance(None, "10.2.0.0/16")],
            ..Policy::default()
        });
        for (address, permitted) in
            [("8.8.8.8", false), ("8.8.9.8", true), ("10.2.9.1", false), ("10.2.8.1", true)]
        {
            assert_eq!(rules.permits(address.parse().unwrap(), Purpose::Completion), permitted, "{address}");
        }
    }

    #[test]
    fn an_unsafe_policy_is_refused() {
        let wide = Policy { allow: vec![allowance(None, "0.0.0.0/0")], ..Policy::default() };
        assert!(matches!(Rules::new(wide), Err(SetupError::Allowance(_))));
        let origins = vec![("https://a.example".parse().unwrap(), "http://127.0.0.1:1".parse().unwrap())];
        assert!(matches!(
            Rules::new(Policy { origins: origins.clone(), ..Policy::default() }),
            Err(SetupError::Origins)
        ));
        assert!(Rules::new(Policy { origins, loopback: true, ..Policy::default() }).is_ok());
    }

    #[test]
    fn the_authority_that_was_written_down_is_called_wherever_it_is_and_for_certificates_alone() {
        let authorities = vec!["https://10.0.0.7:9000".parse().unwrap()];
        let rules = rules(Policy { authorities, ..Policy::default() });
        let directory = "https://10.0.0.7:9000/directory";
        assert!(rules.judge(directory, Purpose::Certificates).is_ok());
        assert!(rules.permits("10.0.0.7".parse().unwrap(), Purpose::Certificates));
        for other in
            ["https://10.0.0.8:9000/directory", "https://10.0.0.7/directory", "http://10.0.0.7:9000/"]
        {
            let judged = rules.judge(other, Purpose::Certificates);
            assert_eq!(judged, Err(crate::UrlRefused::Authority), "{other}");
        }
        assert!(rules.judge(directory, Purpose::ProviderApi).is_err());
        assert!(!rules.permits("10.0.0.7".parse().unwrap(), Purpose::ProviderApi));
        assert!(
            !super::Rules::new(Policy::default())
                .is_ok_and(|rules| { rules.permits("1.1.1.1".parse().unwrap(), Purpose::Certificates) })
        );
    }

    #[test]
    fn purposes_read_back() {
        for purpose in Purpose::ALL {
            assert_eq!(purpose.as_str().parse(), Ok(*purpose));
        }
        assert_eq!("Forward".parse::<Purpose>(), Err(InvalidPurpose));
    }
}
