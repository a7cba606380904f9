use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use carnet_model::{Clock, OsRandom};

use super::*;

struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Time {
        Time::from_millis(self.0.load(Ordering::SeqCst))
    }
}

fn world() -> (Arc<Hand>, Env, Ledger, Terms) {
    let hand = Arc::new(Hand(AtomicI64::new(1_000_000)));
    let env = Env::new(hand.clone(), Arc::new(OsRandom));
    let ledger = Ledger::new(env.now());
    let terms = Terms::new(Duration::from_mins(1), Duration::from_hours(1), Rotation::Strict).unwrap();
    (hand, env, ledger, terms)
}

fn consent(client: &str, scope: &str) -> Consent {
    Consent {
        client: client.to_owned(),
        redirect_uri: "http://127.0.0.1:1/cb".to_owned(),
        challenge: Digest::of("verifier"),
        person: Person::Ada,
        scopes: scope::parse(Some(scope)).unwrap(),
    }
}

fn grant(ledger: &mut Ledger, env: &Env, terms: &Terms) -> Issued {
    let code = ledger.issue_code(env, consent("app", "profile:read offline_access"));
    let redirect_uri = "http://127.0.0.1:1/cb".to_owned();
    let verifier = "verifier".to_owned().into();
    ledger.redeem(env, terms, "app", &Redemption { code, redirect_uri, verifier }).unwrap()
}

#[test]
fn no_table_grows_without_limit() {
    let (_, env, mut ledger, terms) = world();
    for _ in 0..MOST_CODES + 5 {
        ledger.issue_code(&env, consent("app", "profile:read"));
    }
    assert_eq!(ledger.codes.len(), MOST_CODES);
    let first = grant(&mut ledger, &env, &terms);
    for _ in 0..MOST_MESSAGES + 5 {
        ledger.post(env.now(), "ada", "x");
    }
    assert_eq!(ledger.messages.len(), MOST_MESSAGES);
    assert!(ledger.bearer(env.now(), first.access.expose()).is_some());
}

#[test]
fn a_full_table_drops_spent_rows_before_live_ones() {
    let mut rows = BTreeMap::new();
    let at = Time::from_millis;
    for (name, expires, spent) in
        [("live", 1, None), ("spent", 9, Some(at(0))), ("spent later", 10, Some(at(0)))]
    {
        rows.insert(Digest::of(name), RefreshToken { grant: 1, expires: at(expires), spent });
    }
    make_room(&mut rows, 3, |row| (row.spent.is_none(), row.expires));
    assert!(rows.contains_key(&Digest::of("live")) && !rows.contains_key(&Digest::of("spent")));
    make_room(&mut rows, 3, |row| (row.spent.is_none(), row.expires));
    assert_eq!(rows.len(), 2);
}

#[test]
fn what_has_ended_is_swept() {
    let (hand, env, mut ledger, terms) = world();
    let issued = grant(&mut ledger, &env, &terms);
    hand.0.fetch_add(61_000, Ordering::SeqCst);
    let code = ledger.issue_code(&env, consent("app", "profile:read"));
    assert!(ledger.access.is_empty(), "its minute is over");
    assert_eq!((ledger.grants.len(), ledger.codes.len()), (1, 2), "grant and codes are still remembered");
    let refreshed = ledger.refresh(&env, &terms, "app", &issued.refresh.unwrap(), None).unwrap();
    hand.0.fetch_add(3_600_000, Ordering::SeqCst);
    ledger.issue_to_client(&env, &terms, "app", Scopes::empty());
    assert_eq!((ledger.grants.len(), ledger.codes.len(), ledger.refresh.len()), (0, 0, 0));
    assert_eq!(ledger.access.len(), 1);
    let late = ledger.refresh(&env, &terms, "app", &refreshed.refresh.unwrap(), None);
    assert_eq!(late.err(), Some(Refusal::Unknown));
    let redirect_uri = "http://127.0.0.1:1/cb".to_owned();
    let late = Redemption { code, redirect_uri, verifier: "verifier".to_owned().into() };
    assert_eq!(ledger.redeem(&env, &terms, "app", &late).err(), Some(Refusal::Unknown));
}

#[test]
fn lives_that_make_no_sense_are_refused() {
    let hour = Duration::from_hours(1);
    for (access, refresh, which) in
        [(Duration::ZERO, hour, "access_life"), (hour, Duration::MAX, "refresh_life")]
    {
        let refused = Terms::new(access, refresh, Rotation::Strict);
        assert!(matches!(refused, Err(OpenError::Life { which: named }) if named == which));
    }
}
