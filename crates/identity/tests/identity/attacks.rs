//! Tokens that must be refused, made systematically from one that is accepted. Every case names the rule that must
//! refuse it, so that no case passes because it was broken by accident.

mod claims;
mod headers;
mod keys;
mod shape;
mod signatures;

use carnet_identity::{Algorithm, JwtError};
use serde_json::Value;

use crate::forge::{self, Policy, key_set};

/// One hostile token.
pub(crate) struct Attack {
    name: String,
    token: String,
    /// The issuer's key set, if it matters.
    jwks: Option<Value>,
    why: JwtError,
}

impl Attack {
    pub(crate) fn new(name: impl Into<String>, token: impl Into<String>, why: JwtError) -> Self {
        Self { name: name.into(), token: token.into(), jwks: None, why }
    }

    pub(crate) fn against(mut self, jwks: Value) -> Self {
        self.jwks = Some(jwks);
        self
    }
}

fn refuse(group: &str, attacks: &[Attack], at_least: usize) {
    for attack in attacks {
        let jwks = attack.jwks.clone().unwrap_or_else(forge::jwks);
        let outcome = Policy::default().verify(&attack.token, &key_set(&jwks));
        assert_eq!(outcome.err(), Some(attack.why), "{group}: {}: {:.400}", attack.name, attack.token);
    }
    assert!(attacks.len() >= at_least, "{group}: {} cases only", attacks.len());
}

#[test]
fn what_the_attacks_are_made_from_is_accepted() {
    for algorithm in Algorithm::ALL {
        assert!(forge::verify(&forge::sound(algorithm)).is_ok(), "{algorithm}");
    }
}

#[test]
fn no_other_algorithm_is_accepted() {
    refuse("algorithms", &headers::algorithms(), 100);
}

#[test]
fn no_key_is_taken_for_another() {
    refuse("confusion", &keys::confusion(), 40);
}

#[test]
fn no_unsuitable_key_verifies() {
    refuse("unsuitable keys", &keys::unsuitable(), 20);
}

#[test]
fn no_header_member_changes_anything() {
    refuse("header members", &headers::members(), 60);
}

#[test]
fn a_kid_is_nothing_but_a_name() {
    refuse("kid", &headers::kids(), 30);
}

#[test]
fn a_token_of_another_type_is_refused() {
    refuse("typ", &headers::types(), 15);
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    refuse("json", &shape::json(), 70);
}

#[test]
fn there_is_one_way_to_write_a_token() {
    refuse("shape", &shape::shape(), 90);
}

#[test]
fn a_claim_of_the_wrong_form_or_value_is_refused() {
    refuse("claims", &claims::all(), 120);
}

#[test]
fn no_signature_but_the_issuers_is_accepted() {
    refuse("signatures", &signatures::all(), 80);
}

#[test]
fn the_attacks_are_many_and_distinct() {
    let all = [
        headers::algorithms(),
        headers::members(),
        headers::kids(),
        headers::types(),
        keys::confusion(),
        keys::unsuitable(),
        shape::json(),
        shape::shape(),
        claims::all(),
        signatures::all(),
    ];
    let all: Vec<_> = all.iter().flatten().collect();
    let names: std::collections::BTreeSet<_> = all.iter().map(|attack| &attack.name).collect();
    assert_eq!(names.len(), all.len(), "every case is told apart by its name");
    let tokens: std::collections::BTreeSet<_> = all.iter().map(|attack| &attack.token).collect();
    assert!(tokens.len() >= 900, "{} distinct texts", tokens.len());
}
