//! Thousands of ways of writing an address that must not be called, and listeners that would see it if one were.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use carnet_egress::{Call, Egress, EgressError, Policy, Purpose};
use tokio::net::TcpListener;
use url::Url;

use crate::private_network::{ADDRESSES, INSIDE};
use crate::server::{Answering, Server, get, keep_answering, team};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spelling_of_a_private_address_opens_a_socket() {
    let (port, listeners) = listeners().await;
    assert!(listeners.len() >= 3, "loopback must have a few addresses");
    // The port is open by policy, and every name leads to the listeners: only the host's own rule is in the way.
    let egress = Egress::with_resolver(
        Policy { ports: vec![port, 80], ..Policy::default() },
        Arc::new(Answering(|_: &str| Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]))),
    )
    .unwrap();

    let (mut judged, mut sent) = (0, 0);
    for host in hosts() {
        for url in shapes(&host, port) {
            judged += 1;
            let verdict = egress.check(&url, Purpose::ProviderApi);
            assert!(verdict.is_err(), "{url} passed as {verdict:?}");
            // What another parser made of it is refused too, at the latest by the connector. Except that some
            // spellings mean a public address to it (0127 is 87), which is not for a test to call.
            let Ok(url) = Url::parse(&url) else { continue };
            if egress.check(url.as_str(), Purpose::ProviderApi).is_ok() && url.domain().is_none() {
                continue;
            }
            sent += 1;
            let outcome = egress.send(get(url.clone())).await;
            assert!(matches!(outcome, Err(EgressError::Refused(_))), "{url}: {outcome:?}");
        }
    }
    assert!(judged >= 5000, "only {judged} URLs");
    assert!(sent >= 5000, "only {sent} URLs were tried");

    tokio::time::sleep(Duration::from_millis(100)).await;
    let seen: usize = listeners.iter().map(Server::accepts).sum();
    assert_eq!(seen, 0, "connections after {judged} URLs");
    println!("{judged} URLs judged, {sent} of them sent, {} listeners saw nothing", listeners.len());

    // The listeners do listen.
    for listener in &listeners {
        drop(std::net::TcpStream::connect(listener.address).unwrap());
    }
    let heard = async {
        while !listeners.iter().all(|listener| listener.accepts() == 1) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), heard).await.expect("they are heard of");
    let development = Egress::new(Policy { loopback: true, ..Policy::default() }).unwrap();
    let url = listeners[0].url("/");
    development.send(Call::get(url, Purpose::ProviderApi, team(1))).await.unwrap();
}

/// One port on as many loopback addresses as the machine has; in a network of our own, on every address that is there,
/// and on the usual ports besides.
async fn listeners() -> (u16, Vec<Server>) {
    let (port, mut found) = on_loopback().await;
    #[expect(clippy::disallowed_methods, reason = "the test that starts this one says where it runs")]
    let inside = std::env::var_os(INSIDE).is_some();
    if inside {
        for (address, port) in
            ADDRESSES.iter().flat_map(|address| [(address, port), (address, 443), (address, 80)])
        {
            let address: IpAddr = address.parse().unwrap();
            found.push(Server::on(TcpListener::bind((address, port)).await.unwrap(), keep_answering));
        }
    }
    (port, found)
}

async fn on_loopback() -> (u16, Vec<Server>) {
    for _ in 0..20 {
        let Ok(first) = TcpListener::bind("127.0.0.1:0").await else { continue };
        let port = first.local_addr().unwrap().port();
        let mut found = vec![Server::on(first, keep_answering)];
        for host in ["127.0.0.2", "127.1.2.3", "127.255.255.254", "[::1]"] {
            if let Ok(listener) = TcpListener::bind(format!("{host}:{port}")).await {
                found.push(Server::on(listener, keep_answering));
            }
        }
        if found.len() >= 3 {
            return (port, found);
        }
    }
    panic!("no port is free on several loopback addresses");
}

/// Eleven URLs around one host. Those with two hosts lead to `host` for one reader and elsewhere for another.
fn shapes(host: &str, port: u16) -> [String; 11] {
    [
        format!("https://{host}:{port}/"),
        format!("https://{host}/"),
        format!("HTTPS://{host}:{port}/.well-known/openid-configuration?a=b"),
        format!("http://{host}:{port}/"),
        format!("https://user@{host}:{port}/"),
        format!("https://good.example:443@{host}:{port}/"),
        format!("https://{host}:{port}\\@good.example/"),
        format!("https:\\\\{host}:{port}/"),
        format!("https:{host}:{port}/"),
        format!("https:///{host}:{port}/"),
        format!("https://{host}:{port}#@good.example/"),
    ]
}

fn hosts() -> Vec<String> {
    let v4 = [
        "127.0.0.1",
        "127.0.0.2",
        "127.1.2.3",
        "127.255.255.254",
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.254",
        "192.168.0.1",
        "192.168.255.255",
        "169.254.169.254",
        "169.254.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "0.0.0.0",
        "0.0.0.1",
        "192.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "168.63.129.16",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
    ];
    let v6 = [
        "::",
        "::1",
        "0:0:0:0:0:0:0:1",
        "0000:0000:0000:0000:0000:0000:0000:0001",
        "::0001",
        "0::1",
        "fe80::1",
        "fe80::1%25eth0",
        "fe80::1%eth0",
        "::1%25lo",
        "fec0::1",
        "fc00::1",
        "fd00::1",
        "FD00::1",
        "fd00:ec2::254",
        "ff02::1",
        "2001:db8::1",
        "2001::1",
        "2002::1",
        "3fff::1",
        "100::1",
        "5f00::1",
        "::ffff:0:0",
        "64:ff9b::",
        "::127.0.0.1",
        "::ffff:0x7f.0.0.1",
        "::ffff:127.1",
    ];
    let names = [
        "localhost",
        "LOCALHOST",
        "LocalHost",
        "localhost.",
        "a.localhost",
        "a.b.localhost",
        "a.localhost.",
        "%6cocalhost",
        "%6C%6F%63%61%6C%68%6F%73%74",
        "ｌｏｃａｌｈｏｓｔ",
        "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
        "local\u{ad}host",
        "local\u{200b}host",
        "loc\talhost",
        "localhost%00",
        "localhost%00.good.example",
        "localhost%23.good.example",
        "localhost%2f.good.example",
        "localhost..",
        ".localhost",
        "127.0.0.1%00",
        "127.0.0.1%23.good.example",
        "127.0.0.1%2f.good.example",
        "127.0.0.1%09",
        "127.0.0.1%20",
        "0",
        "0x0",
        "00",
        "0x",
        "0.0",
        "[::]%00",
        "[127.0.0.1]",
        "[0x7f000001]",
        "[localhost]",
        "",
    ];
    let mut hosts: Vec<String> = v4.iter().flat_map(|text| v4_spellings(text.parse().unwrap())).collect();
    hosts.extend(v6.iter().map(|text| format!("[{text}]")));
    hosts.extend(names.iter().map(|&name| name.to_owned()));
    hosts
}

fn v4_spellings(address: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = address.octets();
    let plain = address.to_string();
    let bits = address.to_bits();
    let (high, low) = (bits >> 16, bits & 0xffff);
    let three = bits & 0x00ff_ffff;
    vec![
        plain.clone(),
        // numbers in other bases and fewer parts, as inet_aton reads them
        format!("{bits}"),
        format!("0x{bits:x}"),
        format!("0X{bits:08X}"),
        format!("0{bits:o}"),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("0x{a:02X}.0x{b:02X}.0x{c:02X}.0x{d:02X}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{a:07o}.{b:07o}.{c:07o}.{d:07o}"),
        format!("0x{a:x}.{b}.0{c:o}.{d}"),
        format!("{a}.0x{b:x}.{c}.0{d:o}"),
        format!("{a}.{b}.{low}"),
        format!("{a}.{b}.0x{low:x}"),
        format!("{a}.{three}"),
        format!("0x{a:x}.0x{three:x}"),
        format!("0{a:o}.0{three:o}"),
        format!("0x{a:x}.{three}"),
        format!("{a:03}.{b:03}.{c:03}.{d:03}"),
        format!("0000{a}.{b}.{c}.{d}"),
        format!("{}", u64::from(bits) + (1 << 32)),
        format!("{}.{b}.{c}.{d}", u16::from(a) + 256),
        // dots
        format!("{plain}."),
        format!("{plain}.."),
        format!(".{plain}"),
        format!("{bits}."),
        format!("{a}..{b}.{c}.{d}"),
        plain.replace('.', "。"),
        plain.replace('.', "．"),
        plain.replace('.', "｡"),
        plain.replace('.', "%2e"),
        plain.replace('.', "%E3%80%82"),
        // digits
        plain.chars().map(circled).collect(),
        plain.chars().map(|c| shifted(c, '０')).collect(),
        plain.chars().map(|c| shifted(c, '𝟎')).collect(),
        plain.chars().map(superscript).collect(),
        plain.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat(),
        plain.bytes().map(|byte| format!("%25{byte:02X}")).collect::<Vec<_>>().concat(),
        format!("%3{}{}", &plain[..1], &plain[1..]),
        format!("{}\u{ad}{}", &plain[..1], &plain[1..]),
        format!("{}\u{200d}{}", &plain[..2], &plain[2..]),
        format!("{}\t{}", &plain[..1], &plain[1..]),
        format!("{plain}%20"),
        format!(" {plain}"),
        // v6 with a v4 address inside
        format!("[::ffff:{plain}]"),
        format!("[::FFFF:{plain}]"),
        format!("[::ffff:{high:x}:{low:x}]"),
        format!("[0:0:0:0:0:ffff:{high:x}:{low:x}]"),
        format!("[0000:0000:0000:0000:0000:ffff:{high:04x}:{low:04x}]"),
        format!("[::ffff:0:{plain}]"),
        format!("[::ffff:0:{high:x}:{low:x}]"),
        format!("[::{plain}]"),
        format!("[::{high:x}:{low:x}]"),
        format!("[64:ff9b::{plain}]"),
        format!("[64:ff9b::{high:x}:{low:x}]"),
        format!("[64:ff9b:1::{high:x}:{low:x}]"),
        format!("[2002:{high:x}:{low:x}::]"),
        format!("[2002:{high:x}:{low:x}::1]"),
        format!("[2001:0:1:2:3:4:{:x}:{:x}]", high ^ 0xffff, low ^ 0xffff),
        format!("[{plain}]"),
    ]
}

/// The digits from `zero` on, in the place of ours.
fn shifted(c: char, zero: char) -> char {
    c.to_digit(10).and_then(|digit| char::from_u32(zero as u32 + digit)).unwrap_or(c)
}

fn circled(c: char) -> char {
    c.to_digit(10).and_then(|digit| "⓪①②③④⑤⑥⑦⑧⑨".chars().nth(digit as usize)).unwrap_or(c)
}

fn superscript(c: char) -> char {
    c.to_digit(10).and_then(|digit| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(digit as usize)).unwrap_or(c)
}
