//! Writes into the corpus what only code can make: `cargo run -p carnet-fuzz --example corpus`.

use std::fs;
use std::io;

use carnet_fuzz::TARGETS;

fn main() -> io::Result<()> {
    for target in TARGETS {
        fs::create_dir_all(target.folder())?;
        for (number, seed) in (target.made)().into_iter().enumerate() {
            fs::write(target.folder().join(format!("made-{number}")), seed)?;
        }
    }
    Ok(())
}
