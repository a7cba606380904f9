//! Writes the published vectors of the record envelope to standard output:
//! `cargo run -p carnet-vault --example envelope-vectors > crates/vault/tests/vectors/envelope-v1.json`

#[path = "../tests/vault/generate.rs"]
mod generate;
#[path = "../tests/vault/reference.rs"]
mod reference;

use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    std::io::stdout().write_all(generate::text()?.as_bytes())?;
    Ok(())
}
