use carnet_model::Secret;

use super::*;
use crate::envelope::seal as seal_with;
use crate::key::KeyBytes;
use crate::root_key::{Boxed, FileKey};
use crate::secret_file::Location;

const DEPLOYMENT: Id<kind::Deployment> = Id::from_bytes([1; 16]);
const TEAM: Id<kind::Team> = Id::from_bytes([2; 16]);
const OTHER_TEAM: Id<kind::Team> = Id::from_bytes([3; 16]);

const SERVICE: &str = "kek:service";

/// A key service somewhere else: it takes its time, and may be away or forbid to unwrap.
struct KeyService {
    key: Key,
    away: bool,
    forbids_unwrap: bool,
}

impl KeyService {
    fn new(env: &Env) -> Self {
        Self { key: Key::generate(env), away: false, forbids_unwrap: false }
    }

    fn refusal(&self, unwrap: bool) -> Result<(), RootKeyError> {
        if self.away || (unwrap && self.forbids_unwrap) {
            return Err(RootKeyError::Unavailable("connection refused".into()));
        }
        Ok(())
    }
}

fn service_place(of: &RootVersion) -> Aad<'_> {
    crate::wrapped::place(of.deployment, None, &of.id, SERVICE, of.version)
}

impl RootKey for KeyService {
    fn label(&self) -> &str {
        SERVICE
    }

    fn wrap<'a>(
        &'a self,
        env: &'a Env,
        of: RootVersion,
        key: &'a KeyBytes,
    ) -> Boxed<'a, Result<Vec<u8>, RootKeyError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.refusal(false)?;
            Ok(seal_with(env, Suite::Aes256Gcm, &self.key, &service_place(&of), key.expose()).unwrap())
        })
    }

    fn unwrap<'a>(&'a self, of: RootVersion, wrapped: &'a [u8]) -> Boxed<'a, Result<KeyBytes, RootKeyError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.refusal(true)?;
            let bytes = open(&self.key, &service_place(&of), wrapped).map_err(|_| RootKeyError::Damaged)?;
            Ok(Secret::new(bytes.expose().as_slice().try_into().unwrap()))
        })
    }
}

fn aad(team: Option<Id<kind::Team>>) -> Aad<'static> {
    Aad {
        deployment: DEPLOYMENT,
        team,
        table: "grants",
        column: "refresh_token",
        row: b"row",
        project: None,
        environment: None,
        connector: None,
        subject: None,
        version: 1,
    }
}

/// A deployment with a key of [`TEAM`].
async fn created(env: &Env) -> (KeyService, Keyring, Vec<WrappedKey>) {
    let kek = KeyService::new(env);
    let (keyring, mut rows) = Keyring::create(env, DEPLOYMENT, &kek).await.unwrap();
    let row = keyring.new_team_key(env, TEAM).unwrap();
    keyring.admit(&row).unwrap();
    rows.push(row);
    (kek, keyring, rows)
}

fn opened(keyring: &Keyring, aad: &Aad<'_>, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
    keyring.open(aad, sealed).map(|secret| secret.expose().clone())
}

#[tokio::test]
async fn a_keyring_unlocked_from_its_rows_is_the_same_keyring() {
    let env = Env::system();
    let (kek, first, rows) = created(&env).await;
    let roles: Vec<_> = rows.iter().map(|row| row.role).collect();
    let purposes = Purpose::ALL.map(KeyRole::Purpose);
    assert_eq!(roles, [&[KeyRole::Root], purposes.as_slice(), &[KeyRole::Team(TEAM)]].concat());
    assert!(rows.iter().all(|row| row.version == 1));
    assert_eq!(rows[0].wrapped_by, SERVICE);
    assert!(rows[1..].iter().all(|row| row.wrapped_by == rows[0].id.to_string()));

    let second = Keyring::unlock(DEPLOYMENT, &kek, rows).await.unwrap();
    for team in [Some(TEAM), None] {
        let sealed = first.seal(&env, &aad(team), b"secret").unwrap();
        assert_eq!(opened(&second, &aad(team), &sealed), Ok(b"secret".to_vec()));
    }
    let mut digests = Vec::new();
    for purpose in Purpose::ALL {
        let hash = first.hash(purpose, b"crn_token");
        assert_eq!(hash.digest, second.hash(purpose, b"crn_token").digest);
        assert_ne!(hash.digest, first.hash(purpose, b"crn_tokem").digest);
        assert_eq!(hash.version, 1);
        digests.push(hash.digest);
    }
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), Purpose::ALL.len(), "every purpose has a key of its own");
}

#[tokio::test]
async fn a_secret_of_one_team_never_opens_for_another() {
    let env = Env::system();
    let (_, keyring, _) = created(&env).await;
    assert!(keyring.knows_team(TEAM) && !keyring.knows_team(OTHER_TEAM));
    assert_eq!(keyring.seal(&env, &aad(Some(OTHER_TEAM)), b"secret"), Err(SealError::NoKey));

    let row = keyring.new_team_key(&env, OTHER_TEAM).unwrap();
    assert!(!keyring.knows_team(OTHER_TEAM), "a key counts once it is committed and admitted");
    keyring.admit(&row).unwrap();
    let sealed = keyring.seal(&env, &aad(Some(TEAM)), b"secret").unwrap();
    for other in [Some(OTHER_TEAM), None] {
        assert_eq!(opened(&keyring, &aad(other), &sealed), Err(OpenError::WrongKey));
    }
    let mut relabelled = sealed.clone();
    relabelled[4..20].copy_from_slice(row.id.bytes());
    assert_eq!(opened(&keyring, &aad(Some(OTHER_TEAM)), &relabelled), Err(OpenError::Refused));
    assert_eq!(opened(&keyring, &aad(Some(TEAM)), &relabelled), Err(OpenError::WrongKey));

    let elsewhere = Aad { deployment: Id::from_bytes([9; 16]), ..aad(Some(TEAM)) };
    assert_eq!(keyring.seal(&env, &elsewhere, b"secret"), Err(SealError::NoKey));
    assert_eq!(opened(&keyring, &elsewhere, &sealed), Err(OpenError::Refused));
    assert_eq!(opened(&keyring, &aad(Some(TEAM)), b"CB"), Err(OpenError::Malformed));
}

#[tokio::test]
async fn a_key_that_another_node_made_opens_once_it_is_admitted() {
    let env = Env::system();
    let (kek, here, rows) = created(&env).await;
    let there = Keyring::unlock(DEPLOYMENT, &kek, rows).await.unwrap();
    let row = there.new_team_key(&env, TEAM).unwrap();
    assert_eq!(row.version, 2);
    let old = here.seal(&env, &aad(Some(TEAM)), b"old").unwrap();
    there.admit(&row).unwrap();
    let new = there.seal(&env, &aad(Some(TEAM)), b"new").unwrap();
    assert_eq!(sealed_by(&new), Some(row.id), "the newest key seals");
    assert_eq!(opened(&there, &aad(Some(TEAM)), &old), Ok(b"old".to_vec()), "older keys still open");
    assert_eq!(opened(&here, &aad(Some(TEAM)), &new), Err(OpenError::WrongKey));
    for _ in 0..2 {
        here.admit(&row).unwrap();
        assert_eq!(opened(&here, &aad(Some(TEAM)), &new), Ok(b"new".to_vec()));
    }
    assert_eq!(here.new_team_key(&env, TEAM).unwrap().version, 3);
}

#[tokio::test]
async fn of_two_keys_made_at_once_for_one_version_the_second_is_refused() {
    let env = Env::system();
    let (_, keyring, _) = created(&env).await;
    let [first, second] = [(); 2].map(|()| keyring.new_team_key(&env, TEAM).unwrap());
    keyring.admit(&first).unwrap();
    assert_eq!(keyring.admit(&second), Err(AdmitError::Contradiction(second.id)));
    let sealed = keyring.seal(&env, &aad(Some(TEAM)), b"secret").unwrap();
    assert_eq!(sealed_by(&sealed), Some(first.id));
}

#[tokio::test]
async fn every_version_of_a_purpose_key_is_looked_up_and_the_newest_is_stored() {
    let env = Env::system();
    let (kek, keyring, mut rows) = created(&env).await;
    let (_, root) = read(&keyring.sealing).in_use(None, env.now()).unwrap();
    let role = KeyRole::Purpose(Purpose::TokenPepper);
    for version in [3, 2, 5] {
        let (row, _) = WrappedKey::draw(&env, DEPLOYMENT, &root, role, version).unwrap();
        keyring.admit(&row).unwrap();
        rows.push(row);
    }
    rows.reverse();
    let again = Keyring::unlock(DEPLOYMENT, &kek, rows).await.unwrap();
    for keyring in [&keyring, &again] {
        let hashes = keyring.hashes(Purpose::TokenPepper, b"token");
        assert_eq!(hashes.iter().map(|hash| hash.version).collect::<Vec<_>>(), [5, 3, 2, 1]);
        let stored = keyring.hash(Purpose::TokenPepper, b"token");
        assert_eq!((stored.version, stored.digest), (5, hashes[0].digest));
        assert_eq!(keyring.hashes(Purpose::Csrf, b"token").len(), 1);
    }
    let (other, _) = WrappedKey::draw(&env, DEPLOYMENT, &root, role, 3).unwrap();
    assert_eq!(keyring.admit(&other), Err(AdmitError::Contradiction(other.id)));
}

#[tokio::test]
async fn several_root_keys_live_side_by_side() {
    let env = Env::system();
    let (kek, before, mut rows) = created(&env).await;
    let root = Key::generate(&env);
    let of = RootVersion { deployment: DEPLOYMENT, id: root.id(), version: 2 };
    rows.push(WrappedKey {
        id: root.id(),
        role: KeyRole::Root,
        version: 2,
        wrapped_by: kek.label().to_owned(),
        wrapped: kek.wrap(&env, of, root.bytes()).await.unwrap(),
        created_at: env.now(),
        activates_at: env.now(),
    });
    // A root key that only another provider opens stands in nobody's way.
    let file = tempfile::tempdir().unwrap();
    let file = FileKey::create(&env, &file.path().join("key"), Location::Anywhere).unwrap();
    let (_, foreign) = Keyring::create(&env, DEPLOYMENT, &file).await.unwrap();
    rows.push(foreign[0].clone());

    let after = Keyring::unlock(DEPLOYMENT, &kek, rows).await.unwrap();
    for team in [Some(TEAM), None] {
        let old = before.seal(&env, &aad(team), b"old").unwrap();
        assert_eq!(opened(&after, &aad(team), &old), Ok(b"old".to_vec()));
    }
    let new = after.seal(&env, &aad(None), b"new").unwrap();
    assert_eq!(sealed_by(&new), Some(root.id()));
    let team_key = after.new_team_key(&env, OTHER_TEAM).unwrap();
    assert_eq!(team_key.wrapped_by, root.id().to_string());
    after.admit(&team_key).unwrap();
    assert_eq!(before.admit(&team_key), Err(AdmitError::UnknownRoot(team_key.id)));
}

#[tokio::test]
async fn a_row_that_was_altered_or_moved_is_refused() {
    type Change = fn(&mut WrappedKey, &[WrappedKey]);
    let env = Env::system();
    let (kek, keyring, rows) = created(&env).await;
    let (_, foreign_rows) = Keyring::create(&env, Id::from_bytes([9; 16]), &kek).await.unwrap();
    let changes: [(&str, Change); 9] = [
        ("its id", |row, _| row.id = KeyId::from_bytes([9; 16])),
        ("its team", |row, _| row.role = KeyRole::Team(OTHER_TEAM)),
        ("its role", |row, _| row.role = KeyRole::Purpose(Purpose::Csrf)),
        ("its version", |row, _| row.version += 1),
        ("a version below zero", |row, _| row.version = -1),
        ("a byte of it", |row, _| row.wrapped[90] ^= 1),
        ("half of it", |row, _| row.wrapped.truncate(60)),
        ("the wrapping of another key", |row, rows| row.wrapped = rows[1].wrapped.clone()),
        ("the wrapping of another deployment", |row, rows| {
            row.wrapped_by = rows.last().unwrap().wrapped_by.clone();
            row.wrapped = rows.last().unwrap().wrapped.clone();
        }),
    ];
    let source = [rows.clone(), foreign_rows].concat();
    for (what, change) in changes {
        for original in &rows[1..] {
            let mut row = original.clone();
            change(&mut row, &source);
            if row == *original {
                continue;
            }
            let error = keyring.admit(&row).unwrap_err();
            let named = AdmitError::Altered(row.id);
            let unknown = AdmitError::UnknownRoot(row.id);
            assert!(error == named || error == unknown, "{what}: {error:?}");
            let with_it: Vec<_> =
                rows.iter().map(|r| if r == original { &row } else { r }).cloned().collect();
            assert!(Keyring::unlock(DEPLOYMENT, &kek, with_it).await.is_err(), "{what}");
        }
    }
    let unnamed = WrappedKey { wrapped_by: SERVICE.to_owned(), ..rows[6].clone() };
    assert_eq!(keyring.admit(&unnamed), Err(AdmitError::UnknownRoot(unnamed.id)));
    assert_eq!(keyring.admit(&rows[0]), Err(AdmitError::IsRoot(rows[0].id)));
}

#[tokio::test]
async fn nothing_starts_without_all_of_its_keys() {
    let env = Env::system();
    let (mut kek, _, rows) = created(&env).await;
    for missing in 1..=Purpose::ALL.len() {
        let mut rows = rows.clone();
        let KeyRole::Purpose(purpose) = rows.remove(missing).role else { panic!("row {missing}") };
        let error = Keyring::unlock(DEPLOYMENT, &kek, rows).await.unwrap_err();
        assert!(matches!(error, UnlockError::Missing(found) if found == purpose), "{error:?}");
    }
    let mut altered = rows.clone();
    altered[0].version = -1;
    let error = Keyring::unlock(DEPLOYMENT, &kek, altered).await.unwrap_err();
    assert!(matches!(error, UnlockError::Root { source: RootKeyError::Damaged, .. }), "{error:?}");

    let file = tempfile::tempdir().unwrap();
    let file = FileKey::create(&env, &file.path().join("key"), Location::Anywhere).unwrap();
    let error = Keyring::unlock(DEPLOYMENT, &file, rows.clone()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no root key is wrapped by kek:file; those here are wrapped by: kek:service"
    );

    kek.away = true;
    let error = Keyring::unlock(DEPLOYMENT, &kek, rows).await.unwrap_err();
    assert!(matches!(error, UnlockError::Root { source: RootKeyError::Unavailable(_), .. }), "{error:?}");
}

#[tokio::test]
async fn no_deployment_is_made_that_could_not_be_opened_again() {
    let env = Env::system();
    let kek = KeyService { forbids_unwrap: true, ..KeyService::new(&env) };
    let error = Keyring::create(&env, DEPLOYMENT, &kek).await.unwrap_err();
    assert!(matches!(error, CreateError::Root(RootKeyError::Unavailable(_))), "{error:?}");
}

#[tokio::test]
async fn nothing_secret_is_printed() {
    let env = Env::system();
    let (_, keyring, rows) = created(&env).await;
    let printed = format!("{keyring:?} {rows:?}");
    assert!(!printed.contains("wrapped: ["), "{printed}");
    assert!(printed.contains(&rows[0].id.to_string()), "{printed}");
}
