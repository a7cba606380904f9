//! The targets, one file each.

pub mod account;
pub mod callback;
pub mod envelope;
pub mod jwks;
pub mod jwt;
pub mod metadata;
pub mod reach;
pub mod token_answer;
pub mod url;
pub mod webhook;

/// The first line, and what follows it.
fn first_line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[]),
    }
}
