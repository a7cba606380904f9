//! Whether an answer is what `/openapi.json` says it is: the status is listed, the body fits its schema.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::http::Answer;

/// Fails unless the answer to this request is described. Paths that are not the API's (pages for people, nothing at
/// all) are let through.
#[track_caller]
pub(crate) fn compare(method: &str, path: &str, answer: &Answer) {
    let Some(template) = template_of(method, path) else { return };
    let told = format!("{method} {path}: {} {}", answer.status, answer.text());
    let schema = schema_of(method, template, answer.status).unwrap_or_else(|| {
        panic!(
            "{told}\nThe description of {method} {template} does not have this status: crates/api/src/router/"
        )
    });
    match schema.as_ref() {
        Schema::Nothing => assert!(answer.body.is_empty(), "{told}\nThe description says that it is empty."),
        Schema::Text => {}
        Schema::Json(validator) => {
            let body = answer.json();
            let wrong: Vec<String> = validator
                .iter_errors(&body)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(
                wrong.is_empty(),
                "{told}\nIt is not what the description of {method} {template} says: {wrong:#?}"
            );
        }
    }
}

/// The path of the description that serves this path.
pub fn template_of(method: &str, path: &str) -> Option<&'static str> {
    let path = path.split('?').next().unwrap_or_default();
    let all = carnet_api::openapi()["paths"].as_object().unwrap();
    // Where a name and a word both fit, the word wins, as in the server.
    let fits = |template: &str| {
        let (mut ours, mut theirs) = (template.split('/'), path.split('/'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (Some(ours), Some(theirs)) if ours == theirs => {}
                (Some(ours), Some(theirs)) if ours.starts_with('{') && !theirs.is_empty() => {}
                _ => return false,
            }
        }
    };
    let found =
        all.keys().filter(|template| fits(template)).min_by_key(|template| template.matches('{').count())?;
    let methods = all[found].as_object().unwrap();
    methods.contains_key(&method.to_ascii_lowercase()).then_some(found.as_str())
}

enum Schema {
    Nothing,
    Text,
    Json(Validator),
}

/// What an answer of this status must be; `None` if the status is not listed. Made once per process.
fn schema_of(method: &str, template: &'static str, status: u16) -> Option<Arc<Schema>> {
    type Known = Mutex<HashMap<(String, &'static str, u16), Option<Arc<Schema>>>>;
    static KNOWN: LazyLock<Known> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (method.to_ascii_lowercase(), template, status);
    known.entry(key).or_insert_with_key(|(method, _, _)| read(method, template, status).map(Arc::new)).clone()
}

fn read(method: &str, template: &str, status: u16) -> Option<Schema> {
    let document = carnet_api::openapi();
    let response = document["paths"][template][method]["responses"].get(status.to_string())?;
    let response = match response.get("$ref").and_then(Value::as_str) {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => response,
    };
    let Some(content) = response.get("content") else { return Some(Schema::Nothing) };
    let Some(json) = content.get("application/json") else { return Some(Schema::Text) };
    let schema = json!({"allOf": [json["schema"]], "components": document["components"]});
    Some(Schema::Json(jsonschema::draft202012::new(&schema).expect("a schema of ours is one")))
}
