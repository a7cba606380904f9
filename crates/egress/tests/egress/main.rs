//! Egress against real sockets: who gets connected to, who does not, and what is said when it goes wrong.

#![cfg(test)]

mod answers;
mod deadlines;
mod environment;
mod names;
mod pool;
mod private_network;
mod reroute;
mod server;
mod silence;
mod spellings;
mod tls;
