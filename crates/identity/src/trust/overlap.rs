//! Two trusted issuers that recognise the same token.
//!
//! Promised: an entry beside which another has the same issuer, keys and audience, and a rule that is the same, wider or
//! narrower, is found. Not promised: rules about different claims, which a token may meet both; nobody can tell from them.

use super::{Match, TrustRule, TrustedIssuer};
use crate::jwt::same_type;

impl TrustedIssuer {
    /// The first rule of ours, and of the other's, that recognise the same token. Numbers from 1.
    ///
    /// Entries of one name with other keys are others: many clusters have the same.
    pub fn overlaps(&self, other: &Self) -> Option<(usize, usize)> {
        let shared_type = |wanted: &String| {
            other.types.iter().any(|theirs| same_type(Some(theirs), wanted) || theirs == wanted)
        };
        let same = self.issuer == other.issuer
            && self.source == other.source
            && self.audiences.iter().any(|audience| other.audiences.contains(audience))
            && self.algorithms.iter().any(|algorithm| other.algorithms.contains(algorithm))
            && self.types.iter().any(shared_type);
        if !same {
            return None;
        }
        self.rules.iter().enumerate().find_map(|(ours, rule)| {
            let theirs = other.rules.iter().position(|theirs| rule.meets(theirs))?;
            Some((ours + 1, theirs + 1))
        })
    }
}

impl TrustRule {
    /// Whether the claims of one are among those of the other, with a value in common for each.
    fn meets(&self, other: &Self) -> bool {
        let (fewer, more) =
            if self.claims.len() <= other.claims.len() { (self, other) } else { (other, self) };
        let shared =
            |(path, wanted): &(String, Match)| more.claim(path).is_some_and(|theirs| wanted.meets(theirs));
        !fewer.claims.is_empty() && fewer.claims.iter().all(shared)
    }
}

impl Match {
    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::OneBelow(ours), Self::OneBelow(theirs)) => ours == theirs,
            (Self::OneBelow(_), other) => other.values().iter().any(|value| self.accepts(value)),
            (ours, other) => ours.values().iter().any(|value| other.accepts(value)),
        }
    }
}
