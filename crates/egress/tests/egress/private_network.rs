//! The table of spellings once more, in a network of its own in which the private addresses are there and listen.
//!
//! On a machine that lets us make one (`unshare`, as root) the process is started again inside of it, with every
//! private address that can be had on its loopback interface, and with listeners on the usual ports. Elsewhere the
//! loopback addresses of the machine are all that is watched, and the test says so.

use std::process::Command;

/// Set inside.
pub(crate) const INSIDE: &str = "CARNET_TEST_PRIVATE_NETWORK";

/// An address of every range that must not be called, as far as an interface can have it.
pub(crate) const ADDRESSES: &[&str] = &[
    "10.0.0.1",
    "10.255.255.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.254",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "fc00::1",
    "fd00::1",
    "fd00:ec2::254",
    "fec0::1",
    "2001:db8::1",
    "2001::1",
    "2002::1",
    "2002:7f00:1::1",
    "3fff::1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
];

#[test]
fn no_spelling_opens_a_socket_in_a_network_where_private_addresses_listen() {
    let alone = Command::new("unshare").args(["--net", "true"]).output();
    if !alone.is_ok_and(|output| output.status.success()) {
        println!(
            "!! no network of its own can be had: only the loopback addresses of the machine are watched"
        );
        return;
    }
    let added = ADDRESSES.iter().map(|address| {
        let (family, length) = if address.contains(':') { ("-6", 128) } else { ("-4", 32) };
        format!("ip {family} address add {address}/{length} dev lo\n")
    });
    let script = format!("set -e\nip link set lo up\n{}exec \"$0\" \"$@\"", added.collect::<String>());
    let output = Command::new("unshare")
        .args(["--net", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "spellings::no_spelling_of_a_private_address_opens_a_socket", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    let watched = said.lines().find(|line| line.contains("listeners")).unwrap_or_default();
    println!("in a network of its own: {watched}");
}
