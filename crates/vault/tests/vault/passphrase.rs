//! Passphrases: stretched at a price, and told apart from damage.

use aws_lc_rs::digest::{SHA256, digest};
use carnet_model::{Env, Id, SecretString};
use carnet_vault::{
    Cost, CostError, Keyring, PassphraseError, PassphraseKey, RootKey, RootKeyError, RootVersion,
    UnlockError, WrappedKey,
};

const DEPLOYMENT: [u8; 16] = [1; 16];

fn passphrase(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

/// The floor: the fastest there is.
fn floor() -> Cost {
    Cost::new(64 * 1024, 3, 1).unwrap()
}

async fn sealed_with(text: &str) -> Vec<WrappedKey> {
    let env = Env::system();
    let kek = PassphraseKey::create(&env, &passphrase(text), floor()).unwrap();
    Keyring::create(&env, Id::from_bytes(DEPLOYMENT), &kek).await.unwrap().1
}

#[tokio::test]
async fn the_right_passphrase_opens_and_a_wrong_one_is_called_wrong() {
    let rows = sealed_with("six words drawn at random").await;
    assert_eq!(rows[0].wrapped_by, "kek:passphrase");
    let parameters = PassphraseKey::parameters(&rows[0].wrapped).unwrap();
    assert!(parameters.starts_with("$argon2id$v=19$m=65536,t=3,p=1$"), "{parameters}");

    let kek = PassphraseKey::open(parameters, &passphrase("six words drawn at random")).unwrap();
    Keyring::unlock(Id::from_bytes(DEPLOYMENT), &kek, rows.clone()).await.unwrap();
    let elsewhere = Keyring::unlock(Id::from_bytes([2; 16]), &kek, rows.clone()).await.unwrap_err();
    assert!(matches!(elsewhere, UnlockError::Root { source: RootKeyError::Damaged, .. }), "{elsewhere:?}");

    let kek = PassphraseKey::open(parameters, &passphrase("Six words drawn at random")).unwrap();
    let wrong = Keyring::unlock(Id::from_bytes(DEPLOYMENT), &kek, rows.clone()).await.unwrap_err();
    assert!(matches!(wrong, UnlockError::Root { source: RootKeyError::WrongKey, .. }), "{wrong:?}");
}

#[tokio::test]
async fn a_damaged_row_is_called_damaged_and_not_a_wrong_passphrase() {
    let rows = sealed_with("six words drawn at random").await;
    let root = &rows[0];
    let parameters = PassphraseKey::parameters(&root.wrapped).unwrap();
    let kek = PassphraseKey::open(parameters, &passphrase("six words drawn at random")).unwrap();
    let of = RootVersion { deployment: Id::from_bytes(DEPLOYMENT), id: root.id, version: 1 };
    for at in 0..root.wrapped.len() {
        let mut altered = root.wrapped.clone();
        altered[at] ^= 0x10;
        let error = kek.unwrap(of, &altered).await.unwrap_err();
        assert!(matches!(error, RootKeyError::Damaged), "byte {at}: {error:?}");
        assert!(PassphraseKey::parameters(&altered).is_err(), "byte {at}");
        let error = kek.unwrap(of, &root.wrapped[..at]).await.unwrap_err();
        assert!(matches!(error, RootKeyError::Damaged), "cut at {at}: {error:?}");
    }

    // With a checksum that fits, the key commitment decides.
    let envelope = 2 + parameters.len();
    for (what, at, damaged) in
        [("salt", 20, false), ("commitment", 52, false), ("ciphertext", 84, true), ("tag", 84 + 64, true)]
    {
        let mut altered = root.wrapped.clone();
        altered[envelope + at] ^= 1;
        let end = altered.len() - 8;
        let checksum = digest(&SHA256, &altered[..end]);
        altered[end..].copy_from_slice(&checksum.as_ref()[..8]);
        let error = kek.unwrap(of, &altered).await.unwrap_err();
        assert_eq!(matches!(error, RootKeyError::Damaged), damaged, "{what}: {error:?}");
        assert_eq!(matches!(error, RootKeyError::WrongKey), !damaged, "{what}: {error:?}");
    }
}

#[test]
fn a_cost_below_the_floor_or_above_the_ceiling_is_refused() {
    for (memory_kib, passes, lanes) in [
        (64 * 1024 - 1, 3, 1),
        (64 * 1024, 2, 1),
        (64 * 1024, 3, 0),
        (0, 0, 0),
        (4 * 1024 * 1024 + 1, 3, 1),
        (64 * 1024, 65, 1),
        (64 * 1024, 3, 17),
        (u32::MAX, u32::MAX, u32::MAX),
    ] {
        assert_eq!(Cost::new(memory_kib, passes, lanes), Err(CostError));
        let parameters = format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}$AAAAAAAAAAAAAAAAAAAAAA");
        let error = PassphraseKey::open(&parameters, &passphrase("six words drawn at random")).unwrap_err();
        assert_eq!(error, PassphraseError::Cost(CostError), "{parameters}");
    }
    assert_eq!(Cost::new(256 * 1024, 3, 1), Ok(Cost::DEFAULT));
}

#[test]
fn only_the_one_spelling_of_parameters_is_read() {
    let salt = "AAAAAAAAAAAAAAAAAAAAAA";
    for parameters in [
        String::new(),
        format!("$argon2i$v=19$m=65536,t=3,p=1${salt}"),
        format!("$argon2id$v=16$m=65536,t=3,p=1${salt}"),
        format!("$argon2id$v=19$t=3,m=65536,p=1${salt}"),
        format!("$argon2id$v=19$m=065536,t=3,p=1${salt}"),
        format!("$argon2id$v=19$m=+65536,t=3,p=1${salt}"),
        format!("$argon2id$v=19$m=65536,t=3,p=1,data=AAAA${salt}"),
        format!("$argon2id$v=19$m=65536,t=3,p=1${salt}=="),
        format!("$argon2id$v=19$m=65536,t=3,p=1${salt}AA"),
        format!("$argon2id$v=19$m=65536,t=3,p=1${salt}$AAAA"),
        format!("$argon2id$v=19$m=99999999999,t=3,p=1${salt}"),
    ] {
        let error = PassphraseKey::open(&parameters, &passphrase("six words drawn at random")).unwrap_err();
        assert_eq!(error, PassphraseError::Parameters, "{parameters}");
    }
}

#[test]
fn a_short_passphrase_is_refused_when_it_is_chosen() {
    for text in ["", "password", "fourteen chars", "ÄÖÜäöüß-ÄÖÜäöü"] {
        let error = PassphraseKey::create(&Env::system(), &passphrase(text), floor()).unwrap_err();
        assert_eq!(error, PassphraseError::TooShort, "{text}");
    }
}
