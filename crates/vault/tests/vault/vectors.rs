//! The published vectors.

use carnet_model::{Environment, Secret};
use carnet_vault::{Key, KeyId, OpenError, Suite, open, seal};

use crate::generate::{self, Outcome, Vector};
use crate::place::{self, Place};
use crate::reference::unhex;

const PUBLISHED: &str = include_str!("../vectors/envelope-v1.json");

#[test]
fn the_published_file_is_what_the_generator_makes() {
    let made = generate::text().unwrap();
    // Not assert_eq, which would print both files.
    assert!(
        made == PUBLISHED,
        "run: cargo run -p carnet-vault --example envelope-vectors, and see what changed"
    );
}

#[test]
fn every_published_vector_opens_or_fails_as_it_says() {
    let mut counted = [0, 0];
    for vector in published() {
        let opened = open(&key(&vector), &place(&vector).aad(), &unhex(&vector.envelope).unwrap());
        let opened = opened.map(|plaintext| plaintext.expose().clone());
        let expected = match vector.outcome {
            Outcome::Opens => Ok(unhex(vector.plaintext.as_deref().unwrap()).unwrap()),
            Outcome::Malformed => Err(OpenError::Malformed),
            Outcome::WrongKey => Err(OpenError::WrongKey),
            Outcome::Refused => Err(OpenError::Refused),
        };
        assert_eq!(opened, expected, "vector {}: {}", vector.number, vector.what);
        counted[usize::from(expected.is_err())] += 1;
    }
    let [opening, failing] = counted;
    assert!(opening >= 20 && failing >= 80 && opening + failing >= 100, "{opening} and {failing}");
}

#[test]
fn sealing_with_the_salt_of_a_vector_makes_its_envelope() {
    for vector in published().into_iter().filter(|vector| vector.outcome == Outcome::Opens) {
        let envelope = unhex(&vector.envelope).unwrap();
        let suite = if envelope[3] == 1 { Suite::Aes256Gcm } else { Suite::ChaCha20Poly1305 };
        let env = place::dice(envelope[20..52].to_vec());
        let plaintext = unhex(vector.plaintext.as_deref().unwrap()).unwrap();
        let sealed = seal(&env, suite, &key(&vector), &place(&vector).aad(), &plaintext).unwrap();
        assert_eq!(sealed, envelope, "vector {}: {}", vector.number, vector.what);
    }
}

fn published() -> Vec<Vector> {
    let file: generate::File = serde_json::from_str(PUBLISHED).unwrap();
    assert_eq!(file.opening + file.failing, file.vectors.len());
    assert!(!file.about.is_empty());
    file.vectors
}

fn key(vector: &Vector) -> Key {
    let bytes = unhex(&vector.key).unwrap().try_into().unwrap();
    Key::new(KeyId::parse(&vector.key_id).unwrap(), Secret::new(bytes))
}

fn place(vector: &Vector) -> Place {
    let place = vector.place.clone();
    let id = |text: &str| <[u8; 16]>::try_from(unhex(text).unwrap()).unwrap();
    // The record key and the bound bytes are there for other implementations; here they show that the file is whole.
    assert_eq!(vector.record_key.is_some(), vector.outcome == Outcome::Opens);
    assert_eq!(vector.bound.is_some(), vector.outcome == Outcome::Opens);
    Place {
        deployment: id(&place.deployment),
        team: place.team.as_deref().map(id),
        table: place.table,
        column: place.column,
        row: unhex(&place.row).unwrap(),
        project: place.project.as_deref().map(id),
        environment: place.environment.map(|text| Environment::parse(&text).unwrap()),
        connector: place.connector.as_deref().map(id),
        subject: place.subject,
        version: place.version.parse().unwrap(),
    }
}
