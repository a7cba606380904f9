//! Every range of the rule: its first and last address, and the neighbours on both sides.

use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn every_v4_range_ends_where_it_should() {
    // first, last, is the address before public, is the address after public
    for (first, last, before, after) in [
        ("0.0.0.0", "0.255.255.255", None, Some(("1.0.0.0", true))),
        ("10.0.0.0", "10.255.255.255", Some(("9.255.255.255", true)), Some(("11.0.0.0", true))),
        ("100.64.0.0", "100.127.255.255", Some(("100.63.255.255", true)), Some(("100.128.0.0", true))),
        ("127.0.0.0", "127.255.255.255", Some(("126.255.255.255", true)), Some(("128.0.0.0", true))),
        ("168.63.129.16", "168.63.129.16", Some(("168.63.129.15", true)), Some(("168.63.129.17", true))),
        ("169.254.0.0", "169.254.255.255", Some(("169.253.255.255", true)), Some(("169.255.0.0", true))),
        ("172.16.0.0", "172.31.255.255", Some(("172.15.255.255", true)), Some(("172.32.0.0", true))),
        ("192.0.0.0", "192.0.0.255", Some(("191.255.255.255", true)), Some(("192.0.1.0", true))),
        ("192.0.2.0", "192.0.2.255", Some(("192.0.1.255", true)), Some(("192.0.3.0", true))),
        ("192.88.99.0", "192.88.99.255", Some(("192.88.98.255", true)), Some(("192.88.100.0", true))),
        ("192.168.0.0", "192.168.255.255", Some(("192.167.255.255", true)), Some(("192.169.0.0", true))),
        ("198.18.0.0", "198.19.255.255", Some(("198.17.255.255", true)), Some(("198.20.0.0", true))),
        ("198.51.100.0", "198.51.100.255", Some(("198.51.99.255", true)), Some(("198.51.101.0", true))),
        ("203.0.113.0", "203.0.113.255", Some(("203.0.112.255", true)), Some(("203.0.114.0", true))),
        ("224.0.0.0", "239.255.255.255", Some(("223.255.255.255", true)), Some(("240.0.0.0", false))),
        ("240.0.0.0", "255.255.255.255", Some(("239.255.255.255", false)), None),
    ] {
        assert!(!is_public(address(first)), "{first}");
        assert!(!is_public(address(last)), "{last}");
        for (neighbour, public) in [before, after].into_iter().flatten() {
            assert_eq!(is_public(address(neighbour)), public, "{neighbour}");
        }
    }
}

#[test]
fn every_v6_range_ends_where_it_should() {
    for (text, public) in [
        // 2000::/3
        ("1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("2000::", true),
        ("3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
        ("4000::", false),
        // 2001::/23, Teredo at its start
        ("2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
        ("2001::", false),
        ("2001:0:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("2001:200::", true),
        // 2001:db8::/32
        ("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", true),
        ("2001:db8::", false),
        ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("2001:db9::", true),
        // 2002::/16
        ("2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
        ("2002::", false),
        ("2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("2003::", true),
        // 3fff::/20
        ("3fff::", false),
        ("3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("3fff:1000::", true),
        ("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
    ] {
        assert_eq!(is_public(address(text)), public, "{text}");
    }
}

#[test]
fn no_way_of_carrying_a_v4_address_in_v6_is_public_or_can_be_allowed() {
    for v4 in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "8.8.8.8"] {
        let bits = u128::from(v4.parse::<std::net::Ipv4Addr>().unwrap().to_bits());
        for carrier in [
            bits,                                              // compatible, ::/96
            0xffff << 32 | bits,                               // mapped
            0xffff << 48 | bits,                               // SIIT, ::ffff:0:0:0/96
            0x0064_ff9b << 96 | bits,                          // NAT64, the well-known prefix
            0x0064_ff9b_0001 << 80 | bits,                     // NAT64, the local prefix
            0x0064_ff9b_0001_ffff_ffff_ffff_u128 << 32 | bits, // its last /96
            0x2002 << 112 | bits << 80,                        // 6to4
            0x2001_0000 << 96 | (!bits & 0xffff_ffff),         // Teredo, with the bits turned over
        ] {
            let address = IpAddr::V6(std::net::Ipv6Addr::from_bits(carrier));
            assert!(!is_public(address), "{address}");
            assert!(!may_be_allowed(address), "{address}");
        }
    }
}

#[test]
fn other_addresses_that_are_not_public_are_not_public() {
    for text in [
        "::",
        "::1",
        "fe80::1",
        "febf:ffff::1",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "fdff::1",
        "ff02::1",
        "ff0e::1",
        "100::1",
        "5f00::1",
        "100:0:0:1::1",
    ] {
        assert!(!is_public(address(text)), "{text}");
    }
}

#[test]
fn known_public_addresses_are_public() {
    for text in [
        "1.1.1.1",
        "8.8.8.8",
        "93.184.216.34",
        "140.82.112.3",
        "2606:4700:4700::1111",
        "2a00:1450:4001:81b::200e",
    ] {
        assert!(is_public(address(text)), "{text}");
    }
}

#[test]
fn an_allowance_never_reaches_loopback_link_local_or_metadata() {
    for text in [
        "127.0.0.1",
        "127.255.255.255",
        "::1",
        "169.254.169.254",
        "169.254.0.0",
        "fe80::1",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "255.255.255.255",
        "ff02::1",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fd00:c1::a9fe:a9fe",
    ] {
        assert!(!may_be_allowed(address(text)), "{text}");
    }
    for text in
        ["10.2.3.4", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd12:3456::1", "2001:db8::1", "198.18.0.1"]
    {
        assert!(may_be_allowed(address(text)), "{text}");
    }
}

#[test]
fn an_operator_cannot_allow_a_range_that_touches_what_is_never_allowed() {
    for (text, possible) in [
        ("10.0.0.0/8", true),
        ("172.16.0.0/12", true),
        ("192.168.0.0/16", true),
        ("100.64.0.0/10", true),
        ("203.0.113.0/24", true),
        ("fd00::/8", true),
        ("fc00::/7", true),
        ("2001:db8::/32", true),
        ("0.0.0.0/0", false),
        ("127.0.0.0/8", false),
        ("127.0.0.1/32", false),
        ("126.0.0.0/7", false),
        ("169.254.0.0/16", false),
        ("169.254.169.254/32", false),
        ("168.0.0.0/7", false),
        ("224.0.0.0/4", false),
        ("0.0.0.0/8", false),
        ("::/0", false),
        ("::1/128", false),
        ("fe80::/10", false),
        ("fc00::/6", false),
        ("ff00::/8", false),
        ("::ffff:0:0/96", false),
        ("64:ff9b::/96", false),
        ("2002::/16", false),
        ("2000::/3", false),
        ("2001::/32", false),
    ] {
        assert_eq!(may_be_an_allowance(&text.parse().unwrap()), possible, "{text}");
    }
}
