//! Measures sealing, opening and hashing: `cargo run --release -p carnet-vault --example envelope-speed`

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use carnet_model::{Env, Id};
use carnet_vault::{Aad, FileKey, Key, Keyring, Location, Purpose, Suite, open, seal};

const ROUNDS: u32 = 200_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let env = Env::system();
    let key = Key::generate(&env);
    let aad = Aad {
        deployment: Id::from_bytes([1; 16]),
        team: Some(Id::from_bytes([2; 16])),
        table: "grants",
        column: "refresh_token",
        row: &[3; 16],
        project: Some(Id::from_bytes([4; 16])),
        environment: None,
        connector: Some(Id::from_bytes([5; 16])),
        subject: Some("user:alice"),
        version: 1,
    };
    let secret = [7; 600];
    for suite in [Suite::Aes256Gcm, Suite::ChaCha20Poly1305] {
        let sealed = seal(&env, suite, &key, &aad, &secret)?;
        measure(&format!("seal 600 bytes, {suite:?}"), || {
            drop(black_box(seal(&env, suite, &key, &aad, &secret)));
        })?;
        measure(&format!("open 600 bytes, {suite:?}"), || {
            drop(black_box(open(&key, &aad, &sealed)));
        })?;
    }

    let folder = tempfile::tempdir()?;
    let kek = FileKey::create(&env, &folder.path().join("key"), Location::Anywhere)?;
    let (keyring, _) = Keyring::create(&env, aad.deployment, &kek).await?;
    let token = [8; 42];
    measure("keyed hash of a token", || {
        black_box(keyring.hash(Purpose::TokenPepper, &token));
    })?;
    Ok(())
}

fn measure(what: &str, work: impl Fn()) -> std::io::Result<()> {
    let start = Instant::now();
    for _ in 0..ROUNDS {
        work();
    }
    let each = start.elapsed().as_secs_f64() / f64::from(ROUNDS);
    writeln!(std::io::stdout(), "{what}: {:.2} µs", each * 1e6)
}
