//! The rule that would be safe: what a family asks for, with the values of a token, or with gaps to be filled in.

use serde_json::Value;

use super::config::ClaimMap;
use super::family::{Family, Form};
use super::lint::has_form;

/// A rule's claims with what the family asks for added: from `lookup` (the claims of a token), or as `<name>` where it does
/// not have them. Of an issuer that is no known platform the whole rule is made, of who the token says it is about; one
/// that was begun there is `None`, because only a person knows what else identifies a workload.
pub fn safe_rule<'a>(
    family: Family,
    written: &ClaimMap,
    lookup: impl Fn(&str) -> Option<&'a Value>,
) -> Option<ClaimMap> {
    let value_of = |claim: &str| lookup(claim).filter(|value| is_plain(value)).cloned();
    let Some(required) = family.platform().requirement.as_ref() else {
        return written.0.is_empty().then(|| {
            let subject = ("sub".to_owned(), value_of("sub").unwrap_or_else(|| gap("sub")));
            // RFC 9068 §2.2: for whom the issuer made the token, where it says so.
            let client = value_of("client_id").map(|client| ("client_id".to_owned(), client));
            ClaimMap([subject].into_iter().chain(client).collect())
        });
    };
    let mut claims = written.0.clone();
    for (claim, form) in required.identifiers {
        let fitting =
            value_of(claim).filter(|value| value.as_str().map_or(value.is_u64(), |text| form.fits(text)));
        let safe = fitting.unwrap_or_else(|| gap(claim));
        match claims.iter_mut().find(|(known, _)| known == claim) {
            // What was refused for its form is not offered again.
            Some((_, written)) if !fits(*form, written) => *written = safe,
            Some(_) => {}
            None => claims.push(((*claim).to_owned(), safe)),
        }
    }
    let mut add = |claim: &str, value: Value| {
        if !claims.iter().any(|(known, _)| known == claim) {
            claims.push((claim.to_owned(), value));
        }
    };
    // A flag that the token does not have stays asked for: a token of a protected branch is needed.
    for flag in required.flags {
        let is_text = lookup(flag).is_none_or(Value::is_string);
        add(flag, if is_text { "true".into() } else { true.into() });
    }
    for (claim, by) in required.vouched {
        if written.0.iter().any(|(known, _)| known == claim) {
            add(by, true.into());
        }
    }
    let begun = |group: &[&str]| group.iter().any(|claim| written.0.iter().any(|(known, _)| known == claim));
    let had = |group: &[&str]| group.iter().all(|claim| value_of(claim).is_some());
    let groups = required.one_of;
    let group = groups.iter().find(|group| begun(group)).or_else(|| groups.iter().find(|group| had(group)));
    for claim in group.or_else(|| groups.first()).into_iter().flat_map(|group| group.iter()) {
        let value = if *claim == "ref_protected" { Some("true".into()) } else { value_of(claim) };
        add(claim, value.unwrap_or_else(|| gap(claim)));
    }
    Some(ClaimMap(claims))
}

/// Whether a claim of a rule is not refused for the form of its values.
fn fits(form: Form, written: &Value) -> bool {
    match written {
        Value::Array(values) => values.iter().all(|value| has_form(form, value)),
        // `oneBelow` has a form of its own.
        Value::Object(_) => true,
        value => has_form(form, value),
    }
}

fn gap(claim: &str) -> Value {
    format!("<{claim}>").into()
}

fn is_plain(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty() && text.len() <= 512,
        Value::Bool(_) => true,
        Value::Number(number) => number.is_u64() || number.is_i64(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn made(family: Family, written: &Value, token: &Value) -> Value {
        let written = ClaimMap(written.as_object().unwrap().clone().into_iter().collect());
        let claims = safe_rule(family, &written, |claim| token.get(claim)).unwrap();
        Value::Object(claims.0.into_iter().collect::<Map<_, _>>())
    }

    #[test]
    fn a_rule_is_completed_from_the_token() {
        let token = json!({"repository_id": "1", "repository_owner_id": "2", "repository": "o/r",
            "ref": "refs/heads/main", "ref_protected": "false", "job_workflow_ref": "o/r/w@x"});
        let with_ref = json!({"repository_id": "1", "repository_owner_id": "2", "ref": "refs/heads/main",
            "ref_protected": "true"});
        assert_eq!(made(Family::GitHubActions, &json!({}), &token), with_ref);
        let begun = json!({"job_workflow_ref": "o/r/w@x"});
        let with_workflow =
            json!({"repository_id": "1", "repository_owner_id": "2", "job_workflow_ref": "o/r/w@x"});
        assert_eq!(made(Family::GitHubActions, &begun, &token), with_workflow);
        let google = json!({"sub": "123", "email": "a@b"});
        assert_eq!(
            made(Family::Google, &json!({"email": "a@b"}), &google),
            json!({"email": "a@b", "sub": "123", "email_verified": true})
        );
    }

    #[test]
    fn what_the_token_does_not_have_is_left_to_be_filled_in() {
        assert_eq!(
            made(Family::GitLab, &json!({"project_path": "g/p"}), &json!({"project_id": "g/p"})),
            json!({"project_path": "g/p", "project_id": "<project_id>", "namespace_id": "<namespace_id>",
                "ref_protected": "true"})
        );
        assert_eq!(
            made(Family::GitHubActions, &json!({}), &json!({})),
            json!({"repository_id": "<repository_id>", "repository_owner_id": "<repository_owner_id>",
                "environment": "<environment>"})
        );
    }

    #[test]
    fn a_value_that_was_refused_for_its_form_is_not_offered_again() {
        let (tenant, object) =
            ("3b1c2a04-6a0f-4b8e-9d5e-0c8a4f0f1a11", "9f0c2a04-6a0f-4b8e-9d5e-0c8a4f0f1a22");
        let written = json!({"tid": tenant, "oid": "o-1"});
        assert_eq!(made(Family::Azure, &written, &json!({})), json!({"tid": tenant, "oid": "<oid>"}));
        let token = json!({"tid": tenant, "oid": object});
        assert_eq!(made(Family::Azure, &written, &token), token);
        let several = json!({"tid": tenant, "oid": [object, tenant]});
        assert_eq!(made(Family::Azure, &several, &json!({})), several);
    }

    #[test]
    fn of_an_unknown_issuer_the_rule_is_whom_the_token_is_about() {
        let token = json!({"sub": "agent", "client_id": "agent-1", "scope": "x"});
        assert_eq!(
            made(Family::Generic, &json!({}), &token),
            json!({"sub": "agent", "client_id": "agent-1"})
        );
        assert_eq!(made(Family::Generic, &json!({}), &json!({"sub": "agent"})), json!({"sub": "agent"}));
        assert_eq!(made(Family::Generic, &json!({}), &json!({})), json!({"sub": "<sub>"}));
        let begun = ClaimMap(vec![("azp".to_owned(), "a".into())]);
        assert!(safe_rule(Family::Generic, &begun, |claim| token.get(claim)).is_none());
    }
}
