//! The rule about addresses: what is allowed leads to a global address and nowhere else.
//!
//! The first line of the input is a URL, the second what a resolver answers. If the rule lets it pass, every address
//! that would be connected to is global by a second opinion, which is written down here in other words.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use carnet_egress::{Policy, Purpose, fuzzing};

use super::first_line;

/// Pieces of URLs.
pub const WORDS: &[&str] = &[
    "https://",
    "http://",
    "127.0.0.1",
    "0x7f.1",
    "2130706433",
    "0177.0.0.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "169.254.169.254",
    "localhost",
    "localhost.",
    ".localhost",
    "%6c",
    "%00",
    "@",
    "\\",
    "#",
    ":443",
    ":8443",
    "。",
    "①",
    "１２７",
    "xn--",
    "\u{ad}",
    "\n10.0.0.1 ",
    "\n93.184.216.34 ",
    "::ffff:10.0.0.1",
];

/// Judges the URL, and looks where it would lead; whether it leads anywhere.
pub fn run(data: &[u8]) -> bool {
    let (line, answers) = first_line(data);
    let (Ok(text), Ok(answers)) = (str::from_utf8(line), str::from_utf8(answers)) else { return false };
    let answers: Vec<IpAddr> = answers.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let Ok(url) = fuzzing::judge(Policy::default(), text, Purpose::ProviderApi) else {
        assert_eq!(fuzzing::addresses(Policy::default(), text, Purpose::ProviderApi, answers), None);
        return false;
    };
    assert_eq!((url.scheme(), url.port_or_known_default()), ("https", Some(443)), "{url}");
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{url}");
    // No other reader may see another host: what was judged stands in the text.
    let host = url.host_str().unwrap_or_default();
    assert!(text.to_ascii_lowercase().contains(&format!("//{host}")), "{text} is {host}");
    if let Some(v4) = as_inet_aton_reads(host) {
        assert_eq!(url.host(), Some(url::Host::Ipv4(v4)), "{text} is another address to others");
    }
    let found =
        fuzzing::addresses(Policy::default(), text, Purpose::ProviderApi, answers).unwrap_or_default();
    for address in &found {
        assert!(is_global(*address), "{text} leads to {address}");
    }
    !found.is_empty()
}

/// The old way of reading addresses, in one to four parts of any base.
fn as_inet_aton_reads(host: &str) -> Option<Ipv4Addr> {
    let parts: Vec<&str> = host.trim_end_matches('.').split('.').collect();
    let (last, first) = parts.split_last()?;
    if first.len() > 3 {
        return None;
    }
    let mut bits = 0_u64;
    for (place, part) in first.iter().enumerate() {
        bits |= number(part).filter(|part| *part < 256)? << (24 - 8 * place);
    }
    let last = number(last).filter(|last| *last < 1 << (32 - 8 * first.len()))?;
    u32::try_from(bits | last).ok().map(Ipv4Addr::from_bits)
}

fn number(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text.as_str(), 10),
    };
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// The special-purpose registries of IANA, read the other way round.
fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_global_v4(v4),
        IpAddr::V6(v6) => is_global_v6(v6),
    }
}

fn is_global_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, d] = v4.octets();
    let special = v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_broadcast()
        || v4.is_documentation()
        || v4.is_multicast()
        || v4.is_unspecified()
        || a == 0
        || a >= 240
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && b & 0xfe == 18)
        || [a, b, c, d] == [168, 63, 129, 16];
    !special
}

fn is_global_v6(v6: Ipv6Addr) -> bool {
    let [a, b, ..] = v6.segments();
    let special = v6.is_loopback()
        || v6.is_unspecified()
        || v6.is_multicast()
        || v6.is_unique_local()
        || v6.is_unicast_link_local()
        || v6.to_ipv4_mapped().is_some()
        || (a == 0x2001 && b < 0x200)
        || (a == 0x2001 && b == 0xdb8)
        || a == 0x2002
        || (a == 0x3fff && b < 0x1000);
    a & 0xe000 == 0x2000 && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_way_of_reading_is_known() {
        for (text, address) in [
            ("127.0.0.1", Some(Ipv4Addr::LOCALHOST)),
            ("2130706433", Some(Ipv4Addr::LOCALHOST)),
            ("0x7f.1", Some(Ipv4Addr::LOCALHOST)),
            ("0177.0.0.01", Some(Ipv4Addr::LOCALHOST)),
            ("127.1.", Some(Ipv4Addr::LOCALHOST)),
            ("256.1.1.1", None),
            ("example.com", None),
            ("1.2.3.4.5", None),
            ("08", None),
        ] {
            assert_eq!(as_inet_aton_reads(text), address, "{text}");
        }
    }

    #[test]
    fn the_second_opinion_knows_a_good_address_from_a_bad_one() {
        for (address, global) in [
            ("93.184.216.34", true),
            ("2606:4700:4700::1111", true),
            ("100.63.0.1", true),
            ("100.127.0.1", false),
            ("198.19.0.1", false),
            ("64:ff9b::1", false),
            ("::ffff:1.1.1.1", false),
            ("fec0::1", false),
        ] {
            assert_eq!(is_global(address.parse().unwrap()), global, "{address}");
        }
    }
}
