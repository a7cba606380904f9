//! A token held against a trusted issuer, claim by claim: for whoever writes a rule and wonders why it does not match.
//!
//! Nothing here is a decision. What is compared may be unverified; whether the token is accepted is for
//! [`Presented::verify`] and [`TrustedIssuer::recognise`] to say, and a comparison is equal exactly where they agree.

use carnet_model::Time;
use serde_json::{Value, json};

use super::{Match, TrustRule, TrustedIssuer};
use crate::jwt::{Presented, same_type};

/// One thing that a token must have, and what it has.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The claim's path, or `alg`, `typ`, `life`, `age`.
    pub what: String,
    /// What it must be.
    pub wanted: Value,
    /// What it is; nothing if the token does not have it, or if its path can be read in two ways.
    pub found: Option<Value>,
    /// Whether it is what it must be.
    pub fits: bool,
}

impl TrustedIssuer {
    /// What is asked of every token of the issuer.
    pub fn compare(&self, token: &Presented<'_>, now: Time) -> Vec<Comparison> {
        let (issued, expires) = token.times();
        let expect = self.expectation();
        let (early, late) = (now.minus(expect.skew), now.plus(expect.skew));
        let text = |what: &str, wanted: Value, found: Option<&str>, fits: bool| Comparison {
            what: what.to_owned(),
            wanted,
            found: found.map(Value::from),
            fits,
        };
        let names: Vec<&str> = self.algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
        let has_type = self.types.iter().any(|wanted| same_type(token.typ(), wanted));
        let life = issued.until(expires);
        let age = issued.until(now);
        vec![
            text("iss", json!(self.issuer), Some(token.issuer()), token.issuer() == self.issuer),
            text(
                "aud",
                any_of(&self.audiences),
                Some(token.audience()),
                self.audiences.iter().any(|audience| audience == token.audience()),
            ),
            text(
                "alg",
                any_of(&names),
                Some(token.algorithm().as_str()),
                self.algorithms.contains(&token.algorithm()),
            ),
            text("typ", any_of(&self.types), token.typ(), has_type),
            Comparison {
                what: "life".to_owned(),
                wanted: json!(format!("{} s at most", self.max_life.as_secs())),
                found: Some(json!(format!("{} s", life.as_secs()))),
                fits: expires > issued && life <= self.max_life,
            },
            Comparison {
                what: "age".to_owned(),
                wanted: json!(format!("{} s at most, and not ended", self.max_age.as_secs())),
                found: Some(json!(if expires <= early {
                    format!("ended {} s ago", expires.until(now).as_secs())
                } else if issued > late {
                    format!("{} s in the future", now.until(issued).as_secs())
                } else {
                    format!("{} s", age.as_secs())
                })),
                fits: expires > early
                    && issued <= late
                    && token.not_before().is_none_or(|from| from <= late)
                    && issued.until(early) <= self.max_age,
            },
        ]
    }
}

impl TrustRule {
    /// What this rule asks of a token besides.
    pub fn compare(&self, token: &Presented<'_>) -> Vec<Comparison> {
        let compared = |(path, wanted): &(String, Match)| {
            let found = token.claim(path);
            Comparison {
                what: path.clone(),
                wanted: wanted.written(),
                found: found.cloned(),
                fits: found.is_some_and(|value| wanted.accepts(value)),
            }
        };
        self.claims.iter().map(compared).collect()
    }
}

fn any_of<T: Into<Value> + Clone>(values: &[T]) -> Value {
    match values {
        [one] => one.clone().into(),
        many => Value::Array(many.iter().cloned().map(Into::into).collect()),
    }
}
