//! `explain`: why a caller may or may not get a token, rule by rule. Exits as a request for the token would.

use carnet_sdk::{ExplainRequest, Explanation};
use serde_json::{Value, json};

use super::args::{ExplainArgs, SubjectArg};
use super::context::{Context, no_project};
use super::failure::{Exit, Failure, exit_of_code};
use super::table::table;
use super::talk::plain;
use super::token::scopes;

/// Explains it.
pub(crate) async fn explain(cx: &mut Context<'_>, args: ExplainArgs) -> Result<Exit, Failure> {
    let client = cx.client()?;
    let workload = match (&args.project, &args.environment) {
        (_, None) => None,
        (Some(project), Some(environment)) => Some((project.clone(), environment.clone())),
        (None, Some(environment)) => {
            let found = cx.settings.project.as_ref().ok_or_else(no_project)?;
            Some((found.value.clone(), environment.clone()))
        }
    };
    if let (Some((_, environment)), Some(SubjectArg::User), None) =
        (&workload, args.ask.subject, &args.ask.user)
    {
        return Err(Failure::usage("--user is missing: for which user would the workload ask?").next(
            format!("carnet explain {} -e {environment} --subject user --user ID", args.connector),
            "with the identifier by which the app knows the person",
        ));
    }
    let what = ExplainRequest {
        workload,
        subject: args.ask.subject.map(|subject| match subject {
            SubjectArg::App => "app".to_owned(),
            SubjectArg::User => "user".to_owned(),
        }),
        user: args.ask.user.clone(),
        scopes: Some(scopes(&args.ask)).filter(|scopes| *scopes != ["*"]),
        installation_id: args.ask.installation_id.clone(),
    };
    let explained = match client.explain(&args.connector, &what).await {
        Err(error) => match cx.begun(&client, &args.connector, &error).await? {
            Some(found) => client.explain(&found.uid, &what).await?,
            None => return Err(error.into()),
        },
        explained => explained?,
    };
    let refusal = explained.refusal.clone().unwrap_or_default();
    let code = refusal.get("code").and_then(Value::as_str).unwrap_or_default();
    let exit = if explained.allowed { Exit::Done } else { exit_of_code(code) };
    if cx.talk.wants_json() {
        let mut document = serde_json::to_value(&explained)
            .map_err(|error| Failure::new("internal", "The answer cannot be written.").because(&error))?;
        if let (false, Some(object)) = (explained.allowed, document.as_object_mut()) {
            let message = refusal.get("message").cloned().unwrap_or_default();
            let next = decided(&explained);
            object.insert("error".to_owned(), json!({"code": code, "message": message, "next": next}));
        }
        cx.talk.document(&document)?;
        return Ok(exit);
    }
    say(cx, &explained, &refusal, args.environment.as_deref())?;
    Ok(exit)
}

fn say(
    cx: &mut Context<'_>,
    explained: &Explanation,
    refusal: &serde_json::Map<String, Value>,
    environment: Option<&str>,
) -> Result<(), Failure> {
    let text = |name: &str| refusal.get(name).and_then(Value::as_str).unwrap_or_default();
    let verdict = if explained.allowed { "yes" } else { "no" };
    let subject = explained.subject.as_ref().map(subject_in_words).unwrap_or_default();
    let who = caller_in_words(&explained.caller, environment);
    let head = format!("{verdict}: {who} asks {} for a token of {subject}", explained.connector.uid);
    cx.talk.answer(&plain(&head))?;
    let rows: Vec<Vec<String>> = explained
        .rules
        .iter()
        .map(|rule| {
            let outcome = match rule.outcome.as_str() {
                "denied" => "DENIED",
                "not-reached" => "–",
                _ => "passed",
            };
            let change = rule.next.first().and_then(|next| next.get("command")).and_then(Value::as_str);
            let change = change.unwrap_or_default().to_owned();
            vec![outcome.to_owned(), rule.rule.clone(), rule.asks.clone(), change]
        })
        .collect();
    for line in table(&["Outcome", "Rule", "Asks whether", "Changed by"], &rows) {
        cx.talk.answer(&line)?;
    }
    if !explained.allowed {
        let line = format!("{}   [{}]", text("message"), text("code"));
        cx.talk.answer(&plain(&line))?;
        for next in decided(explained) {
            let part = |name: &str| next.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            cx.talk.answer(plain(&format!("  fix: {}   {}", part("command"), part("when"))).trim_end())?;
        }
    }
    if explained.allowed && !explained.provider_decides.is_empty() {
        cx.talk.answer(&plain(&format!(
            "The provider decides: {} does not list {}, and nobody knows before it is asked.",
            explained.connector.uid,
            explained.provider_decides.join(" ")
        )))?;
    }
    for identity in &explained.identities {
        let issuer = identity.get("issuer").and_then(Value::as_str).unwrap_or_default();
        let claims =
            identity.get("claims").filter(|claims| claims.as_object().is_some_and(|c| !c.is_empty()));
        let claims = claims.map(|claims| format!(" with {claims}")).unwrap_or_default();
        cx.talk.say(&format!("Recognised there: {issuer}{claims}"));
    }
    Ok(())
}

/// The steps that change the rule that decided.
fn decided(explained: &Explanation) -> Vec<Value> {
    let denied = explained.rules.iter().find(|rule| rule.outcome == "denied");
    denied.map(|rule| rule.next.clone()).unwrap_or_default()
}

/// Who asks. A custom environment is called as whoever asks about it calls it, and by its identifier.
fn caller_in_words(caller: &Value, called: Option<&str>) -> String {
    let text = |name: &str| caller.get(name).and_then(Value::as_str);
    match (text("id"), text("environment")) {
        (Some(id), Some(environment)) => match called.filter(|called| *called != environment) {
            Some(called) => format!("{id} in {called} ({environment})"),
            None => format!("{id} in {environment}"),
        },
        (Some(id), None) => id.to_owned(),
        _ => "the caller".to_owned(),
    }
}

pub(crate) fn subject_in_words(subject: &Value) -> String {
    let text = |name: &str| subject.get(name).and_then(Value::as_str);
    match (text("type"), text("id")) {
        (Some("app"), _) => "the application".to_owned(),
        (_, Some(id)) => id.to_owned(),
        (Some(kind), None) => kind.to_owned(),
        (None, None) => String::new(),
    }
}
