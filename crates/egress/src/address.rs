//! Which addresses are public, which an operator may allow, and which nobody may.
//!
//! The tables follow the IANA special-purpose address registries (RFC 6890 and successors) and leave out what is
//! reachable but never a provider: 6to4 relays, the cloud's own helpers.

use std::net::IpAddr;

use crate::network::Network;

/// Whether `address` is one of the public internet.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => !lies_in(&V4_NOT_PUBLIC, address),
        IpAddr::V6(_) => V6_UNICAST.contains(address) && !lies_in(&V6_NOT_PUBLIC, address),
    }
}

/// Whether an operator's allowance may let `address` through. Looked at for every address, so that a wide allowance
/// does not open the cloud's metadata service.
pub(crate) fn may_be_allowed(address: IpAddr) -> bool {
    let family = match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(_) => V6_UNICAST.contains(address) || V6_LOCAL.contains(address),
    };
    family && !lies_in(&NEVER, address) && !lies_in(&METADATA, address)
}

/// Whether an operator may allow `network` at all: not if any of it is loopback, link-local, multicast or a way of
/// writing a v4 address in v6.
pub(crate) fn may_be_an_allowance(network: &Network) -> bool {
    let family = network.is_within(&V4_ALL) || network.is_within(&V6_UNICAST) || network.is_within(&V6_LOCAL);
    family && !NEVER.iter().any(|never| never.overlaps(network))
}

fn lies_in(table: &[Network], address: IpAddr) -> bool {
    table.iter().any(|network| network.contains(address))
}

const V4_ALL: Network = Network::v4([0, 0, 0, 0], 0);

const V4_NOT_PUBLIC: [Network; 16] = [
    Network::v4([0, 0, 0, 0], 8), // "this network"; 0.0.0.0 reaches the machine itself
    Network::v4([10, 0, 0, 0], 8), // private
    Network::v4([100, 64, 0, 0], 10), // carrier-grade NAT
    Network::v4([127, 0, 0, 0], 8), // loopback
    Network::v4([168, 63, 129, 16], 32), // Azure's host agent and metadata, public by number only
    Network::v4([169, 254, 0, 0], 16), // link-local, metadata services
    Network::v4([172, 16, 0, 0], 12), // private
    Network::v4([192, 0, 0, 0], 24), // protocol assignments
    Network::v4([192, 0, 2, 0], 24), // documentation
    Network::v4([192, 88, 99, 0], 24), // 6to4 relays
    Network::v4([192, 168, 0, 0], 16), // private
    Network::v4([198, 18, 0, 0], 15), // benchmarking
    Network::v4([198, 51, 100, 0], 24), // documentation
    Network::v4([203, 0, 113, 0], 24), // documentation
    Network::v4([224, 0, 0, 0], 4), // multicast
    Network::v4([240, 0, 0, 0], 4), // reserved, broadcast
];

/// The only part of v6 that is handed out for the public internet. Everything that carries a v4 address lies outside
/// of it (mapped `::ffff:0:0/96`, SIIT `::ffff:0:0:0/96`, NAT64 `64:ff9b::/96` and `64:ff9b:1::/48`, compatible
/// `::/96`), or in the table below (Teredo, 6to4).
const V6_UNICAST: Network = Network::v6([0x2000, 0, 0, 0], 3);

const V6_NOT_PUBLIC: [Network; 4] = [
    Network::v6([0x2001, 0, 0, 0], 23), // protocol assignments, Teredo among them
    Network::v6([0x2001, 0x0db8, 0, 0], 32), // documentation
    Network::v6([0x2002, 0, 0, 0], 16), // 6to4
    Network::v6([0x3fff, 0, 0, 0], 20), // documentation
];

/// Unique local addresses (RFC 4193): what an operator may allow besides public ones.
const V6_LOCAL: Network = Network::v6([0xfc00, 0, 0, 0], 7);

const NEVER: [Network; 7] = [
    Network::v4([0, 0, 0, 0], 8),
    Network::v4([127, 0, 0, 0], 8),
    Network::v4([169, 254, 0, 0], 16),
    Network::v4([224, 0, 0, 0], 4),
    Network::v4([240, 0, 0, 0], 4),
    Network::v6([0x2001, 0, 0, 0], 32), // Teredo: a v4 address inside
    Network::v6([0x2002, 0, 0, 0], 16), // 6to4: the same
];

/// Metadata services that lie inside ranges an operator may well allow.
const METADATA: [Network; 6] = [
    Network::v4([168, 63, 129, 16], 32),     // Azure
    Network::v4([100, 100, 100, 200], 32),   // Alibaba Cloud
    Network::v4([192, 0, 0, 192], 32),       // Oracle Cloud
    Network::v6([0xfd00, 0x0ec2, 0, 0], 32), // AWS, fd00:ec2::254 and its siblings
    Network::v6([0xfd20, 0x00ce, 0, 0], 32), // Google Cloud, fd20:ce::254
    Network::v6([0xfd00, 0x00c1, 0, 0], 32), // Oracle Cloud, fd00:c1::a9fe:a9fe
];

#[cfg(test)]
mod tests;
