//! No change to a sound token leaves it acceptable.

use carnet_identity::Algorithm;
use proptest::prelude::*;

use crate::forge::{sound, verify};

#[test]
fn no_single_bit_of_a_token_can_be_flipped() {
    for algorithm in Algorithm::ALL {
        let good = sound(algorithm);
        assert!(verify(&good).is_ok());
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bytes = good.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                if let Ok(changed) = String::from_utf8(bytes) {
                    assert!(verify(&changed).is_err(), "{algorithm}: bit {bit} of byte {at}: {changed}");
                }
            }
        }
    }
}

fn algorithms() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(Algorithm::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_edit_of_a_token_is_accepted(
        algorithm in algorithms(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..4, "[A-Za-z0-9_.=-]"), 1..6),
    ) {
        let good = sound(algorithm);
        let mut changed: Vec<char> = good.chars().collect();
        for (at, kind, character) in edits {
            let at = at.index(changed.len().max(1));
            let Some(old) = changed.get(at).copied() else { break };
            let new = character.chars().next().unwrap();
            match kind {
                0 => changed[at] = new,
                1 => changed.insert(at, new),
                2 => { changed.remove(at); }
                _ => changed.insert(at, old),
            }
        }
        let changed: String = changed.into_iter().collect();
        prop_assert!(changed == good || verify(&changed).is_err(), "{}", changed);
    }

    #[test]
    fn no_text_makes_the_parser_do_anything_but_refuse(text in ".{0,200}") {
        prop_assert!(verify(&text).is_err());
    }

    #[test]
    fn no_three_parts_of_noise_are_accepted(text in "[A-Za-z0-9_-]{1,80}\\.[A-Za-z0-9_-]{1,200}\\.[A-Za-z0-9_-]{1,90}") {
        prop_assert!(verify(&text).is_err());
    }

    #[test]
    fn parts_of_two_tokens_do_not_mix(a in algorithms(), b in algorithms(), cut in 1_usize..3) {
        let (first, second) = (sound(a), sound(b));
        let mixed: Vec<&str> = first.split('.').take(cut).chain(second.split('.').skip(cut)).collect();
        // The same algorithm signs the same text; its signatures may be exchanged.
        prop_assert_eq!(verify(&mixed.join(".")).is_ok(), a == b);
    }
}
