//! Ports for programs that are told one before they open it.

use std::net::{TcpListener, UdpSocket};
use std::sync::Mutex;

/// A port that nobody takes before the server does. It lies below those that the machine gives out by itself, and the
/// UDP port of the same number is held for as long as this process lives: no other test draws it.
pub fn free_port() -> u16 {
    static HELD: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    let given_out = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let end = given_out.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(32_768_u16);
    let ports = 10_000..end.max(11_000);
    let begin = usize::try_from(std::process::id()).unwrap() * 31 % ports.len();
    for port in ports.clone().cycle().skip(begin).take(ports.len()) {
        let Ok(claim) = UdpSocket::bind(("127.0.0.1", port)) else { continue };
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            HELD.lock().unwrap().push(claim);
            return port;
        }
    }
    panic!("no port of {ports:?} is free");
}
