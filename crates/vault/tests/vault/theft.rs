//! What a thief gets: of the database without the key, of the key without the database, of both from two deployments.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use carnet_model::{Env, Id, Secret};
use carnet_vault::{
    FileKey, Key, KeyId, Keyring, Location, RootKeyError, UnlockError, WrappedKey, open, sealed_by,
};

use crate::place::Place;

struct Stolen {
    rows: Vec<WrappedKey>,
    records: Vec<(Place, Vec<u8>)>,
}

impl Stolen {
    /// All there is, as it would lie in a file.
    fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for row in &self.rows {
            all.extend_from_slice(row.id.bytes());
            all.extend_from_slice(row.role.as_str().as_bytes());
            all.extend_from_slice(row.wrapped_by.as_bytes());
            all.extend_from_slice(&row.wrapped);
        }
        for (place, record) in &self.records {
            all.extend_from_slice(format!("{place:?}").as_bytes());
            all.extend_from_slice(record);
        }
        all
    }
}

/// A key file's key, opened and as it lies in the file.
fn kek(env: &Env) -> (FileKey, [u8; 32]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let kek = FileKey::create(env, &path, Location::Anywhere).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    (kek, STANDARD.decode(text.trim_end()).unwrap().try_into().unwrap())
}

fn secret(i: usize) -> String {
    format!("canary-{i:04}-refresh-token-of-some-provider")
}

/// A deployment with 3 teams and 30 secrets, and everything its database holds.
async fn deployment(env: &Env, kek: &FileKey) -> Stolen {
    let (keyring, mut rows) = Keyring::create(env, Id::from_bytes([1; 16]), kek).await.unwrap();
    let mut records = Vec::new();
    for team in 0..3_u8 {
        let row = keyring.new_team_key(env, Id::from_bytes([team; 16])).unwrap();
        keyring.admit(&row).unwrap();
        rows.push(row);
        for i in 0..10 {
            let i = usize::from(team) * 10 + i;
            let place = Place { team: Some([team; 16]), version: i as u64, ..Place::full() };
            let sealed = keyring.seal(env, &place.aad(), secret(i).as_bytes()).unwrap();
            let opened = keyring.open(&place.aad(), &sealed).unwrap();
            assert_eq!(opened.expose(), secret(i).as_bytes());
            records.push((place, sealed));
        }
    }
    Stolen { rows, records }
}

#[tokio::test]
async fn a_stolen_database_holds_no_secret_and_no_key_that_opens_one() {
    let env = Env::system();
    let (kek, kek_bytes) = kek(&env);
    let stolen = deployment(&env, &kek).await;
    let bytes = stolen.bytes();
    for i in 0..stolen.records.len() {
        let secret = secret(i);
        assert!(!bytes.windows(16).any(|part| secret.as_bytes().windows(16).any(|s| s == part)), "{secret}");
    }
    // Each 32 bytes of it, tried as the key of a record, of a team key and of the root key.
    let (place, record) = stolen.records.last().unwrap();
    let team = stolen.rows.last().unwrap();
    let wrapped_team = Place {
        deployment: [1; 16],
        team: Some([2; 16]),
        table: "keys".to_owned(),
        column: "wrapped".to_owned(),
        row: team.id.bytes().to_vec(),
        project: None,
        environment: None,
        connector: None,
        subject: Some(team.role.to_string()),
        version: 1,
    };
    let root = &stolen.rows[0];
    let wrapped_root = Place {
        team: None,
        row: root.id.bytes().to_vec(),
        subject: Some("kek:file".to_owned()),
        ..wrapped_team.clone()
    };
    let aims = [(&wrapped_root, &root.wrapped), (&wrapped_team, &team.wrapped), (place, record)];
    // With the file's key, all three open, each with what the one before gave. So the aim is true.
    let mut found = kek_bytes.to_vec();
    for (place, sealed) in aims {
        let key = Key::new(sealed_by(sealed).unwrap(), Secret::new(found.try_into().unwrap()));
        found = open(&key, &place.aad(), sealed).unwrap().expose().clone();
    }
    assert_eq!(found, secret(stolen.records.len() - 1).as_bytes());

    let mut tried = 0;
    for window in bytes.windows(32) {
        for (place, sealed) in aims {
            let key = Key::new(sealed_by(sealed).unwrap(), Secret::new(window.try_into().unwrap()));
            assert!(open(&key, &place.aad(), sealed).is_err());
            tried += 1;
        }
    }
    assert!(tried > 10_000, "{tried}");
}

#[tokio::test]
async fn a_foreign_key_opens_nothing() {
    let env = Env::system();
    let stolen = deployment(&env, &kek(&env).0).await;
    let (foreign, _) = kek(&env);
    let error = Keyring::unlock(Id::from_bytes([1; 16]), &foreign, stolen.rows.clone()).await.unwrap_err();
    assert!(matches!(error, UnlockError::Root { source: RootKeyError::WrongKey, .. }), "{error:?}");

    // A keyring of the thief's own, with the stolen rows given to it.
    let (keyring, _) = Keyring::create(&env, Id::from_bytes([1; 16]), &foreign).await.unwrap();
    for row in &stolen.rows {
        assert!(keyring.admit(row).is_err());
    }
    for (place, record) in &stolen.records {
        assert!(keyring.open(&place.aad(), record).is_err());
    }
}

#[tokio::test]
async fn the_key_without_the_database_opens_nothing() {
    let env = Env::system();
    let (kek, _) = kek(&env);
    let stolen = deployment(&env, &kek).await;
    let error = Keyring::unlock(Id::from_bytes([1; 16]), &kek, Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains("no root key is wrapped by kek:file"), "{error}");
    // The provider's key is no key of records.
    let (place, record) = &stolen.records[0];
    let (other, _) = Keyring::create(&env, Id::from_bytes([1; 16]), &kek).await.unwrap();
    assert!(other.open(&place.aad(), record).is_err());
}

#[tokio::test]
async fn the_rows_of_one_deployment_do_not_open_in_another() {
    let env = Env::system();
    let (kek, _) = kek(&env);
    let stolen = deployment(&env, &kek).await;
    let error = Keyring::unlock(Id::from_bytes([2; 16]), &kek, stolen.rows).await.unwrap_err();
    assert!(matches!(error, UnlockError::Root { source: RootKeyError::Damaged, .. }), "{error:?}");
    assert_ne!(KeyId::from_bytes([0; 16]), sealed_by(&stolen.records[0].1).unwrap());
}
