//! Whether what only the service gives is there, and where it is had if not.

use serde_json::{Map, Value};

use super::{Unfit, page, unfit};
use crate::entry::{BasicPart, Entry, Key, Method};

/// Whether everything is there that only the service gives.
pub(super) fn complete(entry: &Entry, method: &Method, data: &Map<String, Value>) -> Result<(), Unfit> {
    let has = |name: &&str| match at(data, name) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    };
    if method.instead.as_ref().is_some_and(|name| has(&name.as_str())) {
        return Ok(());
    }
    // How a client proves itself may be said otherwise by who brings it.
    let auth = data.get("tokenEndpointAuthMethod").and_then(Value::as_str);
    let has_secret = auth.is_some_and(|auth| auth.starts_with("client_secret"));
    let missing: Vec<&str> = method.needs(has_secret).into_iter().filter(|name| !has(name)).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let is_client = missing.iter().all(|name| name.starts_with("client"));
    let (thing, when) = if is_client {
        ("a client that you register there", "to register a client there")
    } else {
        ("what only its own pages give", "to find what is missing")
    };
    Err(Unfit {
        page: Some((page(method, entry), when.to_owned())),
        ..unfit(
            &format!("data.{first}"),
            format!("{} wants {thing}. Give {} in data.", entry.name, list(&missing)),
        )
    })
}

pub(super) fn has_keys(entry: &Entry, method: &Method, data: &Map<String, Value>) -> Result<(), Unfit> {
    let people = data.get("subjectType").and_then(Value::as_str) == Some("user");
    let some = data.get("values").and_then(Value::as_array).is_some_and(|values| !values.is_empty());
    if people || some {
        return Ok(());
    }
    let names: Vec<&str> =
        method.keys.iter().filter_map(|key: &Key| Some(key.name.as_ref()?.as_str())).collect();
    let which = if names.is_empty() {
        r#"values: [{"value": KEY}]"#.to_owned()
    } else {
        let each: Vec<String> =
            names.iter().map(|name| format!(r#"{{"scope": "{name}", "value": KEY}}"#)).collect();
        format!("values: [{}]", each.join(", "))
    };
    // One that is two parts with a colon between looks like no key of the service.
    let form = if method.keys.iter().any(|key| key.basic == Some(BasicPart::Both)) {
        format!(" {}", method.description)
    } else {
        String::new()
    };
    Err(Unfit {
        page: Some((page(method, entry), "to make a key there".to_owned())),
        ..unfit(
            "data.values",
            format!(
                "{} wants a key that you make there.{form} Give {which} in data, or subjectType \"user\" to have each \
                 person paste their own.",
                entry.name
            ),
        )
    })
}

/// The member of this dotted name.
fn at<'a>(data: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let mut steps = name.split('.');
    let top = data.get(steps.next()?)?;
    steps.try_fold(top, |value, step| value.get(step))
}

/// `a`, `a and b`, `a, b and c`
fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [some @ .., last] => format!("{} and {last}", some.join(", ")),
    }
}
