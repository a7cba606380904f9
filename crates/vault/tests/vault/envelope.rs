//! The envelope: what goes in comes out, in its own place and nowhere else.

use std::collections::HashSet;

use carnet_model::{Env, Environment, Id};
use carnet_vault::{Key, OpenError, Suite, open, seal, sealed_by};
use proptest::prelude::*;

use crate::place::{Place, any_place};

const SUITES: [Suite; 2] = [Suite::Aes256Gcm, Suite::ChaCha20Poly1305];

fn any_suite() -> impl Strategy<Value = Suite> {
    proptest::sample::select(SUITES.to_vec())
}

proptest! {
    #[test]
    fn what_is_sealed_opens_in_its_place(
        suite in any_suite(),
        place in any_place(),
        secret in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        let env = Env::system();
        let key = Key::generate(&env);
        let sealed = seal(&env, suite, &key, &place.aad(), &secret).unwrap();
        prop_assert_eq!(sealed_by(&sealed), Some(key.id()));
        prop_assert_eq!(sealed.len(), 100 + (secret.len() + 1).next_multiple_of(64));
        prop_assert!(secret.len() < 16 || !sealed.windows(secret.len()).any(|part| part == secret));
        let opened = open(&key, &place.aad(), &sealed).unwrap();
        prop_assert_eq!(opened.expose(), &secret);
    }

    #[test]
    fn what_is_sealed_opens_in_no_other_place(
        suite in any_suite(),
        place in any_place(),
        other in any_place(),
    ) {
        prop_assume!(place != other);
        let env = Env::system();
        let key = Key::generate(&env);
        let sealed = seal(&env, suite, &key, &place.aad(), b"secret").unwrap();
        prop_assert_eq!(open(&key, &other.aad(), &sealed).err(), Some(OpenError::Refused));
    }

    #[test]
    fn no_part_of_an_envelope_opens_and_nothing_longer(
        suite in any_suite(),
        secret in proptest::collection::vec(any::<u8>(), 0..300),
        more in proptest::collection::vec(any::<u8>(), 1..200),
    ) {
        let env = Env::system();
        let key = Key::generate(&env);
        let place = Place::full();
        let sealed = seal(&env, suite, &key, &place.aad(), &secret).unwrap();
        for at in 0..sealed.len() {
            prop_assert!(open(&key, &place.aad(), &sealed[..at]).is_err(), "the first {} bytes", at);
        }
        for at in 1..sealed.len() {
            prop_assert!(open(&key, &place.aad(), &sealed[at..]).is_err(), "without the first {} bytes", at);
        }
        let longer = [sealed.as_slice(), &more].concat();
        prop_assert!(open(&key, &place.aad(), &longer).is_err());
    }

    #[test]
    fn no_bytes_at_random_open(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let key = Key::generate(&Env::system());
        prop_assert_eq!(open(&key, &Place::full().aad(), &bytes).err(), Some(OpenError::Malformed));
        prop_assert_eq!(sealed_by(&bytes), None);
    }
}

#[test]
fn no_flipped_bit_opens() {
    let env = Env::system();
    let key = Key::generate(&env);
    let place = Place::full();
    for suite in SUITES {
        let sealed = seal(&env, suite, &key, &place.aad(), b"a secret").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key, &place.aad(), &altered).is_err(), "{suite:?}, bit {bit}");
        }
        assert!(open(&key, &place.aad(), &sealed).is_ok());
    }
}

#[test]
fn every_part_of_the_place_is_bound() {
    type Change = fn(&mut Place);
    let changes: [(&str, Change); 18] = [
        ("deployment", |place| place.deployment[0] ^= 1),
        ("team", |place| place.team = Some([9; 16])),
        ("team absent", |place| place.team = None),
        ("table", |place| place.table.push('s')),
        ("column", |place| place.column.push('s')),
        ("row", |place| place.row[15] ^= 1),
        ("row cut", |place| place.row.truncate(15)),
        ("project", |place| place.project = Some([9; 16])),
        ("project absent", |place| place.project = None),
        ("environment", |place| place.environment = Some(Environment::Preview)),
        ("environment custom", |place| {
            place.environment = Some(Environment::Custom(Id::from_bytes([0; 16])));
        }),
        ("environment absent", |place| place.environment = None),
        ("connector", |place| place.connector = Some([9; 16])),
        ("connector absent", |place| place.connector = None),
        ("subject", |place| place.subject = Some("user:alicf".to_owned())),
        ("subject empty", |place| place.subject = Some(String::new())),
        ("subject absent", |place| place.subject = None),
        ("version", |place| place.version += 1),
    ];
    let env = Env::system();
    let key = Key::generate(&env);
    for suite in SUITES {
        for (what, change) in &changes {
            let mut other = Place::full();
            change(&mut other);
            for (from, to) in [(&Place::full(), &other), (&other, &Place::full())] {
                let sealed = seal(&env, suite, &key, &from.aad(), b"secret").unwrap();
                let opened = open(&key, &to.aad(), &sealed);
                assert_eq!(opened.err(), Some(OpenError::Refused), "{suite:?}, {what}");
            }
        }
    }
}

/// Places that differ in few parts, because each part has two or three values only.
#[test]
fn in_a_hundred_thousand_swaps_only_the_right_place_opens() {
    let env = Env::system();
    let key = Key::generate(&env);
    let sealed: Vec<(Place, Vec<u8>)> = (0..64)
        .map(|i| {
            let place = near_place(&env);
            let sealed = seal(&env, SUITES[i % 2], &key, &place.aad(), b"secret").unwrap();
            (place, sealed)
        })
        .collect();
    let mut opened = 0;
    for i in 0..100_000 {
        let (place, sealed) = &sealed[i % sealed.len()];
        let mut tried = near_place(&env);
        if i % 10 == 0 {
            tried = place.clone();
        }
        let right = tried == *place;
        assert_eq!(open(&key, &tried.aad(), sealed).is_ok(), right, "{tried:?} for {place:?}");
        opened += usize::from(right);
    }
    assert!((10_000..20_000).contains(&opened), "{opened}");
}

#[test]
fn the_same_secret_sealed_twice_shares_nothing_but_the_header() {
    let env = Env::system();
    let key = Key::generate(&env);
    let mut blocks = HashSet::new();
    for _ in 0..1000 {
        let sealed = seal(&env, Suite::Aes256Gcm, &key, &Place::full().aad(), &[0; 64]).unwrap();
        for block in sealed[20..].chunks(16) {
            assert!(blocks.insert(block.to_vec()));
        }
    }
}

fn near_place(env: &Env) -> Place {
    let mut dice = env.bytes::<16>().into_iter();
    let mut pick = |of: u8| dice.next().unwrap() % of;
    Place {
        deployment: [pick(2); 16],
        team: [None, Some([2; 16]), Some([3; 16])][usize::from(pick(3))],
        table: ["grants", "tokens"][usize::from(pick(2))].to_owned(),
        column: ["secret", "refresh"][usize::from(pick(2))].to_owned(),
        row: vec![pick(2); 16],
        project: [None, Some([2; 16])][usize::from(pick(2))],
        environment: [None, Some(Environment::Production), Some(Environment::Preview)][usize::from(pick(3))],
        connector: [None, Some([2; 16])][usize::from(pick(2))],
        subject: [None, Some(""), Some("app")][usize::from(pick(3))].map(str::to_owned),
        version: u64::from(pick(2)),
    }
}
