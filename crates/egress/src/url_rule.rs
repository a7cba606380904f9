//! The half of the outbound rule that needs no network: is this text a URL that may be called at all?
//!
//! Two parsers never agree on everything, so this one does not try to understand odd spellings: it refuses them. A
//! host must come out of the URL parser as it was written, which ends `127.1`, `0x7f.1`, `2130706433`, percent-encoded
//! and full-width digits, and everything else that one reader takes for a name and another for an address.
//!
//! What it does not do: resolve. A name that passes here can still be refused when it is called.

use std::net::IpAddr;

use http::Uri;
use rustls::pki_types::DnsName;
use url::{Host, Url};

use crate::policy::{Purpose, Rules};

/// Why a URL is not called.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum UrlRefused {
    /// Longer than any URL in honest use.
    #[error("the URL is longer than {MAX_URL} characters")]
    TooLong,
    /// Spaces, control characters, backslashes, letters beyond ASCII.
    #[error(
        "the URL has a character that must be percent-encoded, or, in the host, written in its xn-- form"
    )]
    Characters,
    /// Not an absolute URL.
    #[error("this is not an absolute URL such as https://example.com/path")]
    Unreadable,
    /// Not `https`.
    #[error("the URL must begin with https://")]
    Scheme,
    /// `user@` or `user:password@`.
    #[error("the URL must not have a user name or password")]
    UserInfo,
    /// `#…`.
    #[error("the URL must not have a fragment")]
    Fragment,
    /// Neither a host name nor an address.
    #[error("the URL's host is not a host name of at most 253 characters, nor an IP address")]
    Host,
    /// An address or a name in a spelling other than its usual one.
    #[error("the URL's host must be written in its usual form: no encoded, shortened or padded spelling")]
    HostSpelling,
    /// A port that is not open.
    #[error("port {0} is not allowed; the operator can allow more ports than 443")]
    Port(u16),
    /// A key service that the operator did not write down.
    #[error("this is not one of the key services of the configuration")]
    KeyService,
    /// A certificate authority that the operator did not write down.
    #[error("this is not the certificate authority of the configuration")]
    Authority,
    /// An address that is not public, or a name that has such an address.
    #[error(
        "the host is, or resolves to, an address that is not public and that the operator has not allowed"
    )]
    Address,
}

/// RFC 9110 §4.1 asks for 8000 at least.
const MAX_URL: usize = 8192;

impl Rules {
    /// The URL in `text`, if it may be called for `purpose` as far as text can tell.
    pub(crate) fn judge(&self, text: &str, purpose: Purpose) -> Result<Url, UrlRefused> {
        if text.len() > MAX_URL {
            return Err(UrlRefused::TooLong);
        }
        if text.contains('#') {
            return Err(UrlRefused::Fragment);
        }
        let url = as_written(text)?;
        if let Some(written_down) = self.written_down(purpose) {
            let known = written_down.iter().any(|origin| origin.is_of(&url));
            Uri::try_from(url.as_str()).map_err(|_| UrlRefused::Unreadable)?;
            return match purpose {
                _ if known => Ok(url),
                Purpose::KeyService => Err(UrlRefused::KeyService),
                _ => Err(UrlRefused::Authority),
            };
        }
        let here = self.judge_host(&url, purpose)?;
        if url.scheme() != "https" && !here {
            return Err(UrlRefused::Scheme);
        }
        let port = url.port_or_known_default().unwrap_or_default();
        if port == 0 || (!here && !self.has_port(port)) {
            return Err(UrlRefused::Port(port));
        }
        // The client speaks `http::Uri`: what that cannot read must not be found out when it is too late.
        Uri::try_from(url.as_str()).map_err(|_| UrlRefused::Unreadable)?;
        Ok(url)
    }

    /// Whether the host is this machine, which only development allows; or the reason why it cannot be called.
    fn judge_host(&self, url: &Url, purpose: Purpose) -> Result<bool, UrlRefused> {
        let address = match url.host() {
            None => return Err(UrlRefused::Host),
            Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
            Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
            Some(Host::Domain(name)) => {
                // A dot at the end is the same host to DNS and another to TLS, cookies and our own comparisons.
                if name.len() > 253 || name.ends_with('.') || DnsName::try_from(name).is_err() {
                    return Err(UrlRefused::Host);
                }
                return match (is_localhost(name), self.loopback) {
                    (true, false) => Err(UrlRefused::Address),
                    (here, _) => Ok(here),
                };
            }
        };
        if self.permits(address, purpose) { Ok(address.is_loopback()) } else { Err(UrlRefused::Address) }
    }
}

/// The `http` or `https` URL in a text that every reader takes for the same: nothing in it is repaired, and its host
/// is the one that stands there. It is not judged where it leads.
///
/// ```
/// assert!(carnet_egress::as_written("https://app.example/done#x").is_ok());
/// assert!(carnet_egress::as_written("https:/app.example").is_err());
/// assert!(carnet_egress::as_written(r"https://app.example\@evil.example/").is_err());
/// ```
pub fn as_written(text: &str) -> Result<Url, UrlRefused> {
    if text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
        return Err(UrlRefused::Characters);
    }
    let (scheme, rest) = text.split_once("://").ok_or(UrlRefused::Unreadable)?;
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return Err(UrlRefused::Scheme);
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let written = host_as_written(authority)?;
    let url = Url::parse(text).map_err(|_| UrlRefused::Unreadable)?;
    if !url.host_str().is_some_and(|host| host.eq_ignore_ascii_case(written)) {
        return Err(UrlRefused::HostSpelling);
    }
    Ok(url)
}

/// Whether a name means this machine, whatever DNS says (RFC 6761 §6.3).
pub(crate) fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// The host as it stands in the text, before a URL parser has tidied it. The port must be a plain number.
fn host_as_written(authority: &str) -> Result<&str, UrlRefused> {
    if authority.contains('@') {
        return Err(UrlRefused::UserInfo);
    }
    let (host, port) = match authority.rsplit_once(':') {
        // the colon of a bracketed v6 address
        _ if authority.ends_with(']') => (authority, None),
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    if host.is_empty() {
        return Err(UrlRefused::Host);
    }
    // A zone (`fe80::1%25eth0`, RFC 6874) means an interface of ours.
    if host.starts_with('[') && host.contains('%') {
        return Err(UrlRefused::HostSpelling);
    }
    if port.is_some_and(|digits| !is_plain_number(digits)) {
        return Err(UrlRefused::Unreadable);
    }
    Ok(host)
}

fn is_plain_number(digits: &str) -> bool {
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
}

#[cfg(test)]
mod tests;
