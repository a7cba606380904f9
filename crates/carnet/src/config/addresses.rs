//! The addresses of a server: the public one, the issuer's name, and where it listens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::{Host, Url};

use super::{Door, wrong};
use crate::cli::failure::Failure;

pub(super) fn url(text: Option<&str>) -> Result<Url, Failure> {
    let text = text.ok_or_else(|| {
        wrong("The server's public address is missing.")
            .next("carnet serve --url https://connect.example.com", "with yours")
    })?;
    let url = Url::parse(text).map_err(|error| wrong(format!("--url {text:?} is no address: {error}.")))?;
    let loopback = match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !plain || url.path() != "/" {
        return Err(wrong("--url is an origin: scheme, host and port, and nothing behind them."));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        _ => Err(wrong("The public address must be https: tokens would cross the network in the clear.")
            .next(text.replacen("http://", "https://", 1), "with a proxy that terminates TLS in front")),
    }
}

/// An issuer's name: an https origin.
pub(crate) fn issuer(text: &str) -> Result<Url, Failure> {
    let bad =
        || wrong(format!("issuer {text:?} is an https origin: scheme and host, and nothing behind them."));
    let url = Url::parse(text).map_err(|_| bad())?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.path() == "/";
    if plain && url.scheme() == "https" && url.host().is_some() { Ok(url) } else { Err(bad()) }
}

pub(super) fn listen(
    text: Option<&str>,
    door: &Door,
    behind_proxy: bool,
    url: &Url,
) -> Result<SocketAddr, Failure> {
    let speaks_tls = !matches!(door, Door::Plain);
    let address: SocketAddr = match text {
        // Where the public address leads: whoever gives it a certificate wants it to be reached.
        None if speaks_tls => {
            SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), url.port_or_known_default().unwrap_or(443))
        }
        None => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7070),
        Some(text) => text.parse().map_err(|_| wrong(format!("--listen {text:?} is not ADDRESS:PORT.")))?,
    };
    if !address.ip().is_loopback() && !behind_proxy && !speaks_tls {
        return Err(wrong(format!(
            "Listening on {address} would offer plain http to the network. Listen on loopback behind a proxy on this \
             machine, have a certificate got or give it one, or say in the configuration file that a proxy elsewhere \
             terminates TLS."
        ))
        .next(
            format!("carnet serve --acme {} --acme-accept-terms", url.host_str().unwrap_or("DOMAIN")),
            "to have a certificate got",
        )
        .next("[tls]", "in the file of --config, with certificate and private_key")
        .next("behind_proxy = true", "in the file of --config, if that is so"));
    }
    Ok(address)
}
