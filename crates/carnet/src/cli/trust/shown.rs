//! What a check found, for people.

use carnet_sdk::{Compared, TrustCheck};
use serde_json::Value;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::table::table;
use super::super::talk::plain;

/// The token beside the rule, claim by claim, then what else the token says.
pub(super) fn check(cx: &mut Context<'_>, checked: &TrustCheck) -> Result<(), Failure> {
    let Some(token) = &checked.token else {
        let rules = checked.trusted_issuer.get("rules").and_then(Value::as_array);
        for (name, wanted) in
            rules.into_iter().flatten().filter_map(|rule| rule.get("claims")?.as_object()).flatten()
        {
            cx.talk.answer(&plain(&format!("{name} must be {}", value(wanted))))?;
        }
        return Ok(());
    };
    let lines: Vec<&Compared> = token.compared.iter().chain(token.rules.iter().flatten()).collect();
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let found = line.found.as_ref().map(value).unwrap_or_default();
            let fits = if line.fits { "yes" } else { "NO" };
            vec![line.what.clone(), short(&value(&line.wanted)), short(&found), fits.to_owned()]
        })
        .collect();
    for line in table(&["Claim", "Must be", "Is", "Fits"], &rows) {
        cx.talk.answer(&line)?;
    }
    let others: Vec<Vec<String>> = token
        .claims
        .iter()
        .filter(|(name, _)| !lines.iter().any(|line| line.what == **name))
        .map(|(name, claim)| vec![name.clone(), short(&value(claim))])
        .collect();
    if !others.is_empty() {
        cx.talk.answer("")?;
        for line in table(&["Not looked at", "Is"], &others) {
            cx.talk.answer(&line)?;
        }
    }
    let said = match (token.signature.as_str(), &token.unchecked) {
        ("good", _) => "The signature is the issuer's.".to_owned(),
        ("wrong", _) => {
            "The signature is NOT the issuer's: the claims may be anybody's invention.".to_owned()
        }
        ("no-key", _) => {
            "The issuer has no key of this name: the claims may be anybody's invention.".to_owned()
        }
        (_, Some(why)) => format!("The signature was not looked at: {why}."),
        (_, None) => "The signature was not looked at.".to_owned(),
    };
    cx.talk.answer("")?;
    cx.talk.answer(&plain(&said))
}

/// A claim as a flag of the command line.
pub(super) fn flag(name: &str, wanted: &Value) -> String {
    let pair = match (wanted, wanted.get("oneBelow").and_then(Value::as_str)) {
        (_, Some(parent)) => format!("{name}={parent}/*"),
        (Value::String(text), _) => format!("{name}={text}"),
        (other, _) => format!("{name}:={other}"),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.:/=@".contains(c);
    if pair.chars().all(plain) {
        format!("--claim {pair}")
    } else {
        format!("--claim '{}'", pair.replace('\'', "'\\''"))
    }
}

/// A value as people write it.
pub(super) fn value(value: &Value) -> String {
    match (value, value.get("oneBelow").and_then(Value::as_str)) {
        (_, Some(parent)) => format!("{parent}/*"),
        (Value::String(text), _) if text.is_empty() => "none".to_owned(),
        (Value::String(text), _) => text.clone(),
        (Value::Array(items), _) => items.iter().map(self::value).collect::<Vec<_>>().join(" or "),
        (other, _) => other.to_string(),
    }
}

fn short(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    text.chars().take(WIDTH - 1).chain(['…']).collect()
}

/// Wider cells make no table.
const WIDTH: usize = 60;
