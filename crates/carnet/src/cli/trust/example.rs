//! What comes of an example token, and of a rule that the server finds unsafe.

use carnet_sdk::{TokenCheck, TrustCheck};
use serde_json::Value;

use super::super::context::Context;
use super::super::failure::{Exit, Failure};
use super::shown;

/// Why the example token would be refused, if that is known.
pub(super) fn refusal(token: &TokenCheck) -> Option<String> {
    if token.matched.is_some() {
        return None;
    }
    let lines = token.compared.iter().chain(token.rules.iter().flatten());
    let wrong: Vec<&str> = lines.filter(|line| !line.fits).map(|line| line.what.as_str()).collect();
    match (&token.refusal, wrong.is_empty()) {
        (Some(why), _) => Some(why.clone()),
        (None, false) => Some(format!("it does not fit in {}", wrong.join(", "))),
        (None, true) => None,
    }
}

/// `--yes` answers whether to trust what fits. What does not is for a person, or for a rule without the example.
pub(super) fn not_as_the_example(checked: &TrustCheck, why: &str) -> Failure {
    let failure = Failure::new(
        "token_refused",
        format!("The example token would be refused: {why}. Nothing was changed."),
    )
    .exit(Exit::Denied);
    let typ = checked.token.iter().flat_map(|token| &token.compared).find(|line| line.what == "typ");
    let failure = match typ.filter(|line| !line.fits) {
        Some(line) => {
            let found = line.found.as_ref().and_then(Value::as_str).unwrap_or("none");
            failure.next(format!("--typ {found}"), "if the issuer writes this typ for its workloads")
        }
        None => failure,
    };
    failure.next("leave --token-file out, and name the claims with --claim", "to trust it all the same")
}

/// What a dry run ends with.
pub(super) fn tried(cx: &mut Context<'_>, checked: &TrustCheck) -> Result<(), Failure> {
    if cx.talk.wants_json() {
        cx.talk.document(checked)?;
    }
    match &checked.token {
        Some(token) if token.matched.is_none() => {
            let why = token.refusal.clone().unwrap_or_else(|| "its signature was not looked at".to_owned());
            // A document that was the answer is the only one; the exit code says the rest.
            let failure = if cx.talk.wants_json() {
                Failure::unheard()
            } else {
                Failure::new("token_refused", format!("The example token would be refused: {why}."))
            };
            Err(failure.exit(Exit::Denied))
        }
        _ => Ok(()),
    }
}

/// With the rule that would be safe as a step.
pub(super) fn unsafe_rule(mut failure: Failure) -> Failure {
    let first = failure.extra.get("safeRules").and_then(|rules| rules.get(0)).and_then(Value::as_object);
    let Some(claims) = first else { return failure };
    let line: Vec<String> = claims.iter().map(|(name, value)| shown::flag(name, value)).collect();
    failure.next.clear();
    failure.next(line.join(" "), "a rule that names the workload and nobody else")
}
