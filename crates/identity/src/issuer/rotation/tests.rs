use super::*;

const START: Time = Time::from_secs(1_800_000_000);

fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

fn key(kid: &str, state: KeyState) -> ScheduledKey {
    ScheduledKey { kid: kid.to_owned(), state }
}

/// Does to the stored keys what the schedule says.
fn apply(keys: &mut Vec<ScheduledKey>, steps: Vec<Step>, made: &mut u32) {
    let put = |keys: &mut Vec<ScheduledKey>, kid: &str, state: KeyState| {
        keys.iter_mut().find(|key| key.kid == kid).unwrap().state = state;
    };
    for step in steps {
        match step {
            Step::Create { activates_at } => {
                *made += 1;
                keys.push(key(&format!("key {made}"), KeyState::Pending { activates_at }));
            }
            Step::Activate { kid, since } => put(keys, &kid, KeyState::Active { since }),
            Step::Retire { kid, gone_at } => put(keys, &kid, KeyState::Retiring { gone_at }),
            Step::Remove { kid } => keys.retain(|key| key.kid != kid),
        }
    }
}

/// A party that keeps our key set for an hour, however long ago it changed.
struct Verifier {
    phase: u64,
    known: Vec<String>,
}

#[test]
fn a_hundred_rotations_fail_no_verifier_that_caches_for_an_hour() {
    let schedule = Schedule { period: minutes(3 * 24 * 60), ..Schedule::default() };
    let (mut keys, mut made) = (Vec::new(), 0);
    let mut verifiers: Vec<_> = (0..6).map(|n| Verifier { phase: n * 10, known: Vec::new() }).collect();
    let mut live: Vec<(Time, String)> = Vec::new();
    let mut signers = std::collections::BTreeSet::new();
    let mut minute = 0;
    while made <= 101 {
        let now = START.plus(minutes(minute));
        // Housekeeping comes irregularly, sometimes hours late.
        if minute == 0 || minute % 130 == 0 || minute % 50 == 30 {
            for _ in 0..2 {
                let steps = next_states(&keys, now, &schedule);
                apply(&mut keys, steps, &mut made);
            }
            assert!(next_states(&keys, now, &schedule).is_empty(), "not settled: {keys:?}");
        }
        for verifier in &mut verifiers {
            if minute == 0 || minute % 60 == verifier.phase {
                verifier.known = published(&keys, now).map(|key| key.kid.clone()).collect();
            }
        }
        let signer = signing(&keys, now).expect("a key signs at any time").kid.clone();
        signers.insert(signer.clone());
        live.push((now, signer));
        live.retain(|(signed_at, _)| signed_at.until(now) <= schedule.token_life + schedule.skew);
        for verifier in &verifiers {
            for (signed_at, kid) in &live {
                assert!(verifier.known.contains(kid), "at {now}, {kid} of {signed_at} is unknown");
            }
        }
        minute += 10;
    }
    assert!(signers.len() >= 100, "{}", signers.len());
    assert!(keys.len() <= 3, "old keys are deleted: {keys:?}");
}

#[test]
fn each_state_leads_to_its_step() {
    let schedule = Schedule::default();
    let long_ago = START.minus(schedule.period);
    let active = |since| key("a", KeyState::Active { since });
    let pending = |activates_at| key("p", KeyState::Pending { activates_at });
    let retiring = |gone_at| key("r", KeyState::Retiring { gone_at });
    let soon = START.plus(schedule.lead());
    for (keys, want) in [
        (vec![], vec![Step::Create { activates_at: schedule.at_once(START) }]),
        (vec![active(START)], vec![]),
        (vec![active(long_ago)], vec![Step::Create { activates_at: soon }]),
        (vec![active(long_ago), pending(soon)], vec![]),
        (
            vec![active(long_ago), pending(START)],
            vec![
                Step::Retire { kid: "a".into(), gone_at: START.plus(schedule.tail()) },
                Step::Activate { kid: "p".into(), since: START },
            ],
        ),
        (vec![active(START), retiring(START)], vec![Step::Remove { kid: "r".into() }]),
        (vec![active(START), retiring(soon)], vec![]),
        (
            vec![retiring(START), pending(soon)],
            vec![Step::Remove { kid: "r".into() }, Step::Create { activates_at: schedule.at_once(START) }],
        ),
    ] {
        assert_eq!(next_states(&keys, START, &schedule), want, "{keys:?}");
    }
}

#[test]
fn a_node_whose_clock_is_behind_makes_no_first_key_of_its_own() {
    let schedule = Schedule::default();
    let (mut keys, mut made) = (Vec::new(), 0);
    let first = next_states(&keys, START, &schedule);
    apply(&mut keys, first, &mut made);
    for behind in [Duration::from_secs(2), schedule.skew] {
        let there = START.minus(behind);
        assert_eq!(signing(&keys, there).map(|key| key.kid.as_str()), Some("key 1"), "{behind:?} behind");
        let steps = next_states(&keys, there, &schedule);
        assert!(
            !steps.iter().any(|step| matches!(step, Step::Create { .. })),
            "{behind:?} behind: {steps:?}"
        );
    }
}

#[test]
fn the_pending_key_signs_on_time_though_nobody_wrote_it_down() {
    let keys = [
        key("a", KeyState::Active { since: START }),
        key("p", KeyState::Pending { activates_at: START.plus(minutes(10)) }),
    ];
    let signer = |minute| signing(&keys, START.plus(minutes(minute))).map(|key| key.kid.as_str());
    assert_eq!([signer(0), signer(9), signer(10), signer(99)], [Some("a"), Some("a"), Some("p"), Some("p")]);
}
