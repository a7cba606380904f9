//! Sealed records.
//!
//! No bytes open but those that were sealed, in the place for which they were sealed.

use std::sync::{Arc, LazyLock};

use carnet_model::{Env, Environment, Id, Random, Secret, SystemClock};
use carnet_vault::{Aad, Key, KeyId, Suite, open, seal, sealed_by};

/// There are no words in it.
pub const WORDS: &[&str] = &[];

static KEY: LazyLock<Key> = LazyLock::new(|| Key::new(KeyId::from_bytes([9; 16]), Secret::new([0x5a; 32])));
/// One record in each suite.
static SEALED: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let env = Env::new(Arc::new(SystemClock), Arc::new(Counting));
    [Suite::Aes256Gcm, Suite::ChaCha20Poly1305]
        .map(|suite| seal(&env, suite, &KEY, &place(1), b"a refresh token").expect("sealed"))
});

/// Dice that always fall the same way, so that the corpus can hold what they made.
struct Counting;

impl Random for Counting {
    fn fill(&self, out: &mut [u8]) {
        for (place, byte) in out.iter_mut().enumerate() {
            *byte = place.to_le_bytes()[0];
        }
    }
}

/// Tries to open the input; whether it opens.
pub fn run(data: &[u8]) -> bool {
    let opened = open(&KEY, &place(1), data);
    let sealed = SEALED.iter().any(|sealed| sealed == data);
    assert_eq!(opened.is_ok(), sealed, "{:?}", opened.err());
    if let Ok(plain) = opened {
        assert_eq!(plain.expose().as_slice(), b"a refresh token");
        assert_eq!(sealed_by(data), Some(KEY.id()));
    }
    assert!(open(&KEY, &place(2), data).is_err(), "opened in the next version of the row");
    sealed
}

fn place(version: u64) -> Aad<'static> {
    Aad {
        deployment: Id::from_bytes([1; 16]),
        team: Some(Id::from_bytes([2; 16])),
        table: "grants",
        column: "held",
        row: b"grt",
        project: Some(Id::from_bytes([3; 16])),
        environment: Some(Environment::Production),
        connector: Some(Id::from_bytes([4; 16])),
        subject: Some("user:alice"),
        version,
    }
}

/// The sealed records.
pub fn made() -> Vec<Vec<u8>> {
    SEALED.to_vec()
}
