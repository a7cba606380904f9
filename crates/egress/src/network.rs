//! A range of addresses: `10.2.0.0/16`, `fd12:3456::/32`, or one address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address range, read from `address/prefix`. A bare address is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Text that is not an address range.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an address range: write it as 10.2.0.0/16, with no bit set after the prefix")]
pub struct InvalidNetwork;

impl Network {
    /// Whether `address` lies in the range. A v4 address is never in a v6 range, however it is written.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => same_prefix(v4_bits(own), v4_bits(other), self.prefix),
            (IpAddr::V6(own), IpAddr::V6(other)) => same_prefix(own.to_bits(), other.to_bits(), self.prefix),
            _ => false,
        }
    }

    /// Whether the two ranges have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    /// Whether all of this range lies in `other`.
    pub fn is_within(&self, other: &Self) -> bool {
        self.prefix >= other.prefix && other.contains(self.address)
    }

    pub(crate) const fn v4(octets: [u8; 4], prefix: u8) -> Self {
        let [a, b, c, d] = octets;
        Self { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
    }

    /// From the first four of the eight groups; the rest are zero.
    pub(crate) const fn v6(groups: [u16; 4], prefix: u8) -> Self {
        let [a, b, c, d] = groups;
        Self { address: IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)), prefix }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let (bits, width) = match address {
            IpAddr::V4(v4) => (v4_bits(v4), 32),
            IpAddr::V6(v6) => (v6.to_bits(), 128),
        };
        let prefix = match prefix {
            None => width,
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().map_err(|_| InvalidNetwork)?
            }
            Some(_) => return Err(InvalidNetwork),
        };
        if prefix > width || bits & !mask(prefix) != 0 {
            return Err(InvalidNetwork);
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The 32 bits at the top of 128, so that one comparison serves both families.
fn v4_bits(address: Ipv4Addr) -> u128 {
    u128::from(address.to_bits()) << 96
}

fn mask(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0)
}

fn same_prefix(one: u128, other: u128, prefix: u8) -> bool {
    (one ^ other) & mask(prefix) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn a_range_holds_its_first_and_last_address_and_not_the_neighbours() {
        for (range, first, last, before, after) in [
            ("10.2.0.0/16", "10.2.0.0", "10.2.255.255", "10.1.255.255", "10.3.0.0"),
            ("192.168.1.128/25", "192.168.1.128", "192.168.1.255", "192.168.1.127", "192.168.2.0"),
            ("10.9.8.7", "10.9.8.7", "10.9.8.7", "10.9.8.6", "10.9.8.8"),
            ("fd00::/8", "fd00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fcff:ffff::", "fe00::"),
            ("fd12:3456::/32", "fd12:3456::", "fd12:3456:ffff::", "fd12:3455:ffff::", "fd12:3457::"),
        ] {
            let range = network(range);
            for (address, inside) in [(first, true), (last, true), (before, false), (after, false)] {
                assert_eq!(range.contains(address.parse().unwrap()), inside, "{address} in {range}");
            }
        }
        assert!(network("0.0.0.0/0").contains("255.255.255.255".parse().unwrap()));
        assert!(!network("0.0.0.0/0").contains("::".parse().unwrap()));
        assert!(!network("::/0").contains("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn ranges_overlap_whichever_is_the_wider() {
        assert!(network("10.0.0.0/8").overlaps(&network("10.2.0.0/16")));
        assert!(network("10.2.0.0/16").overlaps(&network("10.0.0.0/8")));
        assert!(!network("10.2.0.0/16").overlaps(&network("10.3.0.0/16")));
        assert!(network("10.2.0.0/16").is_within(&network("10.0.0.0/8")));
        assert!(!network("10.0.0.0/8").is_within(&network("10.2.0.0/16")));
    }

    #[test]
    fn what_is_not_a_range_is_refused() {
        for text in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/ 8",
            "10.0.0.1/8",
            "10/8",
            "fd00::/129",
            "fd00::1/64",
            "[fd00::]/8",
            "10.0.0.0/8/8",
            "example.com/8",
            "10.0.0.0/256",
        ] {
            assert_eq!(text.parse::<Network>(), Err(InvalidNetwork), "{text}");
        }
    }

    #[test]
    fn a_range_is_printed_as_it_is_read() {
        for text in ["10.2.0.0/16", "fd12:3456::/32", "0.0.0.0/0"] {
            assert_eq!(network(text).to_string(), text);
        }
    }
}
