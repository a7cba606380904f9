//! What a service wants to be brought along, and the command that brings it.

use carnet_sdk::{ConnectionMethod, ServiceDescription};
use serde_json::{Value, json};

use crate::cli::args::CreateArgs;
use crate::cli::catalog::parameters;
use crate::cli::failure::Failure;
use crate::cli::talk::plain;

/// The command that brings along what the server says is missing.
pub(super) fn with_what_is_brought(
    failure: Failure,
    args: &CreateArgs,
    known: &ServiceDescription,
    method: Option<&ConnectionMethod>,
    had_data: bool,
) -> Failure {
    let field = failure.extra.get("field").and_then(Value::as_str).unwrap_or_default();
    let (brings, fills) = (field.starts_with("data."), field.starts_with("params."));
    let method = method.or(known.connection_methods.first());
    let helps = if fills { args.params.is_empty() } else { brings && !had_data };
    let Some(method) = method.filter(|_| helps) else { return failure };
    let several = known.connection_methods.len() > 1;
    let line = line(args, several.then_some(method));
    if fills {
        let (same, when) = match (args.key.is_some(), had_data) {
            (true, _) => (" --key @-", "with a value of your own and the same key"),
            (false, true) => (" --data @FILE", "with a value of your own and the same data"),
            (false, false) => ("", "with a value of your own"),
        };
        return failure.next(plain(&format!("{line}{}{same}", parameters(method))), when);
    }
    let (line, when) = match brought(method) {
        Brought::Key => (format!("{line} --key @-"), "to paste the key, and end with Ctrl-D".to_owned()),
        Brought::Object(object) => (format!("{line} --data @FILE"), format!("with {object} in the file")),
    };
    failure.next(plain(&line), plain(&when))
}

/// The command as it was given, by a way that is named where there are several.
pub(super) fn line(args: &CreateArgs, method: Option<&ConnectionMethod>) -> String {
    let mut line = format!("carnet create {}", quoted(&args.service));
    let mut add = |words: &str| {
        line.push(' ');
        line.push_str(words);
    };
    for (flag, value) in [("--name", &args.name), ("--uid", &args.uid), ("--target", &args.target)] {
        if let Some(value) = value {
            add(&format!("{flag} {}", quoted(value)));
        }
    }
    if let Some(method) = method {
        add(&format!("--connection-method {}", quoted(&method.connection_method)));
    }
    for (name, value) in &args.params {
        add(&format!("--param {}", quoted(&format!("{name}={value}"))));
    }
    line
}

/// What a way wants to be brought along.
pub(in crate::cli) enum Brought {
    /// One key.
    Key,
    /// These members of `data`, as JSON, with dots in the place of each value.
    Object(String),
}

/// What a way wants to be brought along.
pub(in crate::cli) fn brought(method: &ConnectionMethod) -> Brought {
    if method.r#type.r#type == "api-key" {
        let labels = method.rest.get("keys").and_then(Value::as_array);
        let labels: Vec<&str> = labels.into_iter().flatten().filter_map(Value::as_str).collect();
        if labels.is_empty() {
            return Brought::Key;
        }
        let values = labels.iter().map(|label| json!({"scope": label, "value": "…"}));
        return Brought::Object(written(&json!({"values": values.collect::<Vec<_>>()})));
    }
    let schema = method.r#type.create_input_schema.as_ref();
    let mut object = json!({});
    for name in needs(method) {
        let steps: Vec<&str> = name.split('.').collect();
        let of_step = |schema: &Value, step: &&str| schema.get("properties")?.get(step).cloned();
        let known =
            schema.and_then(|schema| steps.iter().try_fold(schema.clone(), |at, step| of_step(&at, step)));
        let mut shape = place(known.as_ref());
        for step in steps.iter().rev() {
            shape = json!({ *step: shape });
        }
        lay(&mut object, shape);
    }
    Brought::Object(written(&object))
}

/// What only the service gives, with dots where it stands deeper.
pub(super) fn needs(method: &ConnectionMethod) -> impl Iterator<Item = &str> {
    let needs = method.rest.get("needs").and_then(Value::as_array);
    needs.into_iter().flatten().filter_map(Value::as_str)
}

/// What stands in the place of a member of this schema: by its form it is seen what has to be put there.
fn place(schema: Option<&Value>) -> Value {
    // Of several forms the first is the usual one.
    let usual = |schema: &Value| match schema.get("type")? {
        Value::Array(forms) => forms.first()?.as_str().map(str::to_owned),
        form => form.as_str().map(str::to_owned),
    };
    match schema.and_then(usual).as_deref() {
        Some("object") => OBJECT.into(),
        Some("array") => json!(["…"]),
        _ => "…".into(),
    }
}

/// An object in the place of which something stands yet.
const OBJECT: &str = "{…}";

fn written(object: &Value) -> String {
    object.to_string().replace(&format!("\"{OBJECT}\""), OBJECT)
}

/// Adds members, those within objects too.
fn lay(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                lay(under.entry(name).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

/// Fit for a shell.
pub(in crate::cli) fn quoted(text: &str) -> String {
    let plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b'=' | b':' | b'@');
    if text.bytes().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_brought_has_the_form_that_is_taken() {
        let method = |needs: Value| -> ConnectionMethod {
            serde_json::from_value(json!({"connectionMethod": "x", "label": "X", "needs": needs, "type": {
                "type": "google-service-account", "createInputSchema": {"properties": {
                    "key": {"type": ["object", "string"]}, "scopes": {"type": "array"}, "bot": {"type": "object", "properties": {
                        "token": {"type": "string"}, "places": {"type": "array"}}}}}}}))
            .unwrap()
        };
        for (needs, text) in [
            (json!(["key", "scopes"]), r#"{"key":{…},"scopes":["…"]}"#),
            (json!(["bot.token", "bot.places"]), r#"{"bot":{"places":["…"],"token":"…"}}"#),
            (json!(["unknown"]), r#"{"unknown":"…"}"#),
        ] {
            let Brought::Object(said) = brought(&method(needs)) else { panic!("{text}") };
            assert_eq!(said, text);
        }
    }
}
