//! Every target over its corpus and some thousands of mutations, in the ordinary run of the tests.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot be set up fails, and tells its count"
)]

use std::time::Instant;

use carnet_fuzz::{TARGETS, Target};

/// Enough to notice a hole; `CARNET_TEST_LONG=1` looks for a small one.
const MUTATIONS: usize = 4_000;
const LONG: usize = 400_000;

fn drive(name: &str) {
    let target: &Target = TARGETS.iter().find(|target| target.name == name).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test reads how long it may take")]
    let long = std::env::var_os("CARNET_TEST_LONG").is_some();
    let mutations = if long { LONG } else { MUTATIONS };
    let start = Instant::now();
    let accepted = target.drive(mutations);
    println!("{name}: {mutations} mutations, {accepted} of them accepted, in {:?}", start.elapsed());
}

macro_rules! targets {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            drive($name);
        })*

        #[test]
        fn no_target_is_left_out() {
            let driven = [$($name),*];
            assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), driven);
        }
    };
}

targets! {
    no_token_is_accepted_that_the_issuer_did_not_sign: "jwt",
    no_key_set_verifies_what_none_of_its_keys_signed: "jwks",
    no_metadata_leads_to_somebody_elses_host: "metadata",
    no_url_that_is_allowed_leads_to_a_private_address: "url",
    no_answer_becomes_a_token_by_mistake: "token_answer",
    no_callback_is_taken_of_another_server_or_with_an_error: "callback",
    no_token_that_reaches_farther_than_asked_is_taken: "reach",
    no_name_of_an_account_leads_to_another_host: "account",
    no_webhook_is_taken_that_nobody_signed: "webhook",
    no_record_opens_that_was_not_sealed_for_its_place: "envelope",
}
