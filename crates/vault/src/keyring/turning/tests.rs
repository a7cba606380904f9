use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use carnet_model::{Clock, OsRandom};

use super::*;
use crate::root_key::FileKey;
use crate::secret_file::Location;

const DEPLOYMENT: Id<kind::Deployment> = Id::from_bytes([1; 16]);
const TEAM: Id<kind::Team> = Id::from_bytes([2; 16]);
const PEPPER: KeyRole = KeyRole::Purpose(Purpose::TokenPepper);

/// A clock that stands where it is put.
struct Standing(AtomicI64);

impl Clock for Standing {
    fn now(&self) -> Time {
        Time::from_millis(self.0.load(Ordering::SeqCst))
    }
}

struct Bench {
    clock: Arc<Standing>,
    env: Env,
    keks: [FileKey; 2],
    keyring: Keyring,
    rows: Vec<WrappedKey>,
}

impl Bench {
    async fn new() -> Self {
        let clock = Arc::new(Standing(AtomicI64::new(1_000_000)));
        let env = Env::new(clock.clone(), Arc::new(OsRandom));
        let folder = tempfile::tempdir().unwrap();
        let keks = ["a", "b"]
            .map(|name| FileKey::create(&env, &folder.path().join(name), Location::Anywhere).unwrap());
        let (keyring, mut rows) = Keyring::create(&env, DEPLOYMENT, &keks[0]).await.unwrap();
        let row = keyring.new_team_key(&env, TEAM).unwrap();
        keyring.admit(&row).unwrap();
        rows.push(row);
        Self { clock, env, keks, keyring, rows }
    }

    fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    fn soon(&self) -> Time {
        self.env.now().plus(Duration::from_secs(30))
    }

    fn seal(&self, team: Option<Id<kind::Team>>) -> Vec<u8> {
        self.keyring.seal(&self.env, &aad(team), b"secret").unwrap()
    }
}

fn aad(team: Option<Id<kind::Team>>) -> Aad<'static> {
    Aad {
        deployment: DEPLOYMENT,
        team,
        table: "grants",
        column: "held",
        row: b"row",
        project: None,
        environment: None,
        connector: None,
        subject: None,
        version: 1,
    }
}

fn opens(keyring: &Keyring, team: Option<Id<kind::Team>>, sealed: &[u8]) -> bool {
    keyring.open(&aad(team), sealed).is_ok_and(|plain| plain.expose() == b"secret")
}

#[tokio::test]
async fn a_version_is_known_before_it_is_used() {
    let bench = Bench::new().await;
    let Bench { env, keyring, .. } = &bench;
    let team = keyring.new_key(env, KeyRole::Team(TEAM), bench.soon()).unwrap();
    let pepper = keyring.new_key(env, PEPPER, bench.soon()).unwrap();
    assert_eq!((team.version, pepper.version), (2, 2));
    for row in [&team, &pepper] {
        keyring.admit(row).unwrap();
    }
    keyring.advance(env.now());
    let before = keyring.hash(Purpose::TokenPepper, b"token");
    assert_eq!(before.version, 1);
    assert_eq!(keyring.hashes(Purpose::TokenPepper, b"token").len(), 2, "looked up from the first moment");
    assert_ne!(sealed_by(&bench.seal(Some(TEAM))), Some(team.id));
    assert_eq!(keyring.in_use(KeyRole::Team(TEAM), env.now()).unwrap().1, 1);
    bench.pass(30);
    assert_eq!(sealed_by(&bench.seal(Some(TEAM))), Some(team.id));
    assert_eq!(keyring.hash(Purpose::TokenPepper, b"token").version, 1, "nobody has told the time");
    keyring.advance(env.now());
    assert_eq!(keyring.hash(Purpose::TokenPepper, b"token").version, 2);
    assert_eq!(keyring.hashing_version(Purpose::TokenPepper), 2);
    // A clock that was turned back to before all of them does not stop anything.
    bench.pass(-10_000);
    keyring.advance(env.now());
    assert!(opens(keyring, Some(TEAM), &bench.seal(Some(TEAM))));
    keyring.hash(Purpose::TokenPepper, b"token");
}

#[tokio::test]
async fn what_an_older_version_sealed_is_sealed_anew_for_its_place_and_for_no_other() {
    let bench = Bench::new().await;
    let Bench { env, keyring, .. } = &bench;
    let old = bench.seal(Some(TEAM));
    assert_eq!(keyring.reseal(env, &aad(Some(TEAM)), &old), Ok(None), "it is the present one's");
    let row = keyring.new_key(env, KeyRole::Team(TEAM), env.now()).unwrap();
    keyring.admit(&row).unwrap();
    let new = keyring.reseal(env, &aad(Some(TEAM)), &old).unwrap().unwrap();
    assert_eq!(sealed_by(&new), Some(row.id));
    assert!(opens(keyring, Some(TEAM), &new) && opens(keyring, Some(TEAM), &old));
    let elsewhere = Aad { version: 2, ..aad(Some(TEAM)) };
    assert_eq!(keyring.reseal(env, &elsewhere, &old), Err(ResealError::Open(OpenError::Refused)));
    assert!(keyring.open(&elsewhere, &new).is_err());
    assert_eq!(keyring.reseal(env, &aad(Some(TEAM)), b"CB"), Err(ResealError::Open(OpenError::Malformed)));
    // Once the old version is forgotten, what it sealed is lost, and the new goes on.
    keyring.forget(bench.rows.last().unwrap().id);
    assert!(!opens(keyring, Some(TEAM), &old) && opens(keyring, Some(TEAM), &new));
    keyring.forget(row.id);
    assert!(opens(keyring, Some(TEAM), &new), "the last version of a role stays");
}

#[tokio::test]
async fn a_new_root_key_wraps_every_other_key_and_the_old_one_is_needed_no_more() {
    let mut bench = Bench::new().await;
    let sealed = [bench.seal(None), bench.seal(Some(TEAM))];
    let root = bench.keyring.new_root(&bench.env, &bench.keks[0], bench.soon()).await.unwrap();
    let again = bench.keyring.rewrap(&bench.env, &root, &bench.rows).unwrap();
    assert_eq!(again.len(), bench.rows.len() - 1, "all but the root key itself");
    let new_id = root.row.id;
    assert!(again.iter().all(|row| row.wrapped_by == new_id.to_string()));
    let root_row = root.row.clone();
    bench.keyring.admit_root(root).unwrap();
    // A key that is made before the new root key's time is under it already.
    let made = bench.keyring.new_key(&bench.env, KeyRole::Team(TEAM), bench.env.now()).unwrap();
    assert_eq!(made.wrapped_by, new_id.to_string());
    let old_root = bench.rows.remove(0);
    let (old_row, new_row) = (old_root.clone(), root_row.clone());
    let without_old: Vec<_> = again.iter().cloned().chain([root_row.clone()]).collect();
    let after = Keyring::unlock(DEPLOYMENT, &bench.keks[0], without_old).await.unwrap();
    assert!(opens(&after, Some(TEAM), &sealed[1]), "team keys are the same as before");
    assert!(!opens(&after, None, &sealed[0]), "what the old root key sealed itself needs it");
    let with_old: Vec<_> = again.into_iter().chain([root_row, old_root]).collect();
    let both = Keyring::unlock(DEPLOYMENT, &bench.keks[0], with_old).await.unwrap();
    assert!(sealed.iter().zip([None, Some(TEAM)]).all(|(sealed, team)| opens(&both, team, sealed)));
    // A process that runs learns of it from its row, and needs it for what is wrapped by it.
    let running =
        Keyring::unlock(DEPLOYMENT, &bench.keks[0], [vec![old_row], bench.rows].concat()).await.unwrap();
    assert_eq!(running.admit(&made), Err(AdmitError::UnknownRoot(made.id)));
    running.admit_roots(&[&bench.keks[0]], &[new_row]).await.unwrap();
    running.admit(&made).unwrap();
}

#[tokio::test]
async fn either_of_two_providers_opens_while_they_overlap_and_only_the_second_after() {
    let bench = Bench::new().await;
    let [first, second] = &bench.keks;
    let wraps = bench.keyring.wrap_roots(&bench.env, second).await.unwrap();
    assert_eq!(wraps.len(), 1);
    assert!(bench.keyring.proves(second, &wraps[0]).await.unwrap());
    assert!(bench.keyring.proves(first, &wraps[0]).await.is_err());
    let sealed = bench.seal(Some(TEAM));
    let overlapping: Vec<_> = bench.rows.iter().chain(&wraps).cloned().collect();
    for keks in [&[first as &dyn RootKey][..], &[second], &[first, second], &[second, first]] {
        let opened = Keyring::unlock_with(DEPLOYMENT, keks, overlapping.clone()).await.unwrap();
        assert!(opens(&opened, Some(TEAM), &sealed));
    }
    let mut after = bench.rows.clone();
    after[0] = wraps[0].clone();
    assert!(Keyring::unlock(DEPLOYMENT, second, after.clone()).await.is_ok());
    let error = Keyring::unlock(DEPLOYMENT, first, after).await.unwrap_err();
    assert!(matches!(error, UnlockError::Root { source: RootKeyError::WrongKey, .. }), "{error:?}");
}

#[tokio::test]
async fn a_keyring_that_was_shut_opens_nothing_until_it_is_given_its_keys_again() {
    let bench = Bench::new().await;
    let Bench { env, keyring, .. } = &bench;
    let sealed = bench.seal(Some(TEAM));
    let hash = keyring.hash(Purpose::TokenPepper, b"token").digest;
    keyring.shut();
    assert!(keyring.is_shut());
    assert!(!opens(keyring, Some(TEAM), &sealed));
    assert_eq!(keyring.seal(env, &aad(Some(TEAM)), b"secret"), Err(SealError::NoKey));
    assert_eq!(keyring.hash(Purpose::TokenPepper, b"token").digest, hash, "callers are still known");
    let again = Keyring::unlock(DEPLOYMENT, &bench.keks[0], bench.rows.clone()).await.unwrap();
    keyring.replace(again);
    assert!(!keyring.is_shut() && opens(keyring, Some(TEAM), &sealed));
}

#[tokio::test]
async fn keys_that_another_process_dropped_are_forgotten_here() {
    let bench = Bench::new().await;
    let Bench { env, keyring, rows, .. } = &bench;
    let old = bench.seal(Some(TEAM));
    let next =
        [keyring.new_key(env, KeyRole::Team(TEAM), env.now()), keyring.new_key(env, PEPPER, env.now())];
    for row in next.iter().flatten() {
        keyring.admit(row).unwrap();
    }
    let kept = rows.iter().chain(next.iter().flatten());
    let kept = kept.filter(|row| row.version == 2 || !matches!(row.role, KeyRole::Team(_) | PEPPER));
    keyring.retain(&kept.map(|row| row.id).collect());
    assert!(!opens(keyring, Some(TEAM), &old) && opens(keyring, Some(TEAM), &bench.seal(Some(TEAM))));
    assert_eq!(keyring.hashes(Purpose::TokenPepper, b"token").len(), 1);
    assert_eq!(keyring.hashes(Purpose::Csrf, b"token").len(), 1, "the only version of a role stays");
}
