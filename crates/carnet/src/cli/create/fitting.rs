//! By what was brought along, which of several ways of a service is meant.

use carnet_sdk::{ConnectionMethod, ServiceDescription, TemplateField};
use serde_json::{Map, Value};

use super::brought::needs;
use crate::cli::args::CreateArgs;

/// What is told the server: a way, or a type alone, or nothing, and it finds one.
pub(super) struct Fitting<'a> {
    /// The way.
    pub(super) method: Option<&'a ConnectionMethod>,
    /// The type, where no way is named.
    pub(super) r#type: Option<String>,
}

/// The usual type of the service, as official clients have it, unless what was brought is for another one alone.
pub(super) fn by_data<'a>(
    args: &CreateArgs,
    known: &'a ServiceDescription,
    data: &Map<String, Value>,
) -> Fitting<'a> {
    let named = |r#type: &str| Fitting { method: None, r#type: Some(r#type.to_owned()) };
    let nothing = Fitting { method: None, r#type: None };
    // Where the server is stands in the data, or is what was named: the catalog has no part in it.
    let by_itself = SERVER.iter().any(|name| data.contains_key(*name)) || args.service.contains(['.', ':']);
    let Some(usual) = known.types.first().filter(|_| !by_itself) else { return nothing };
    let fitting: Vec<&ConnectionMethod> = known
        .connection_methods
        .iter()
        .filter(|way| serves(way, args.target.as_deref()) && fits(way, data))
        .collect();
    let mut types: Vec<&str> = fitting.iter().map(|way| way.r#type.r#type.as_str()).collect();
    types.sort_unstable();
    types.dedup();
    let r#type = match types.as_slice() {
        [only] => *only,
        _ => usual.r#type.as_str(),
    };
    let of_type = |way: &&&ConnectionMethod| way.r#type.r#type == r#type;
    // Of several ways of one type the server takes the first; what was brought may be for a later one.
    let first = known.connection_methods.iter().find(|way| way.r#type.r#type == r#type);
    let most = fitting.iter().filter(of_type).map(|way| needs(way).count()).max();
    let best = fitting.iter().filter(of_type).find(|way| Some(needs(way).count()) == most).copied();
    match best.filter(|best| first.is_none_or(|first| first.connection_method != best.connection_method)) {
        Some(best) if !args.params.is_empty() || best.template_fields.iter().all(has_default) => {
            Fitting { method: Some(best), r#type: None }
        }
        _ => named(r#type),
    }
}

fn has_default(field: &TemplateField) -> bool {
    field.rest.contains_key("default")
}

/// Whether a way is for what is to be connected of the service.
pub(super) fn serves(way: &ConnectionMethod, target: Option<&str>) -> bool {
    let targets = way.rest.get("targets").and_then(Value::as_array);
    target.is_none_or(|target| targets.is_none_or(|all| all.iter().any(|one| one == target)))
}

/// Whether a way takes all of this, and needs no more.
fn fits(way: &ConnectionMethod, data: &Map<String, Value>) -> bool {
    let Some(schema) = &way.r#type.create_input_schema else { return false };
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    let properties = schema.get("properties").and_then(Value::as_object);
    let known = |name: &String| !closed || properties.is_some_and(|known| known.contains_key(name));
    let has_required = |schema: &Value| {
        let names = schema.get("required").and_then(Value::as_array);
        names.into_iter().flatten().filter_map(Value::as_str).all(|name| data.contains_key(name))
    };
    let has_needed = match schema.get("anyOf").and_then(Value::as_array) {
        Some(alternatives) => alternatives.iter().any(has_required),
        None => needs(way).all(|name| is_there(data, name)),
    };
    data.keys().all(known) && has_required(schema) && has_needed
}

/// Whether there is something at the end of a dotted name.
fn is_there(data: &Map<String, Value>, name: &str) -> bool {
    let mut steps = name.split('.');
    let first = steps.next().and_then(|step| data.get(step));
    first.and_then(|first| steps.try_fold(first, |at, step| at.get(step))).is_some()
}

/// By which members a configuration says where its server is.
const SERVER: [&str; 3] = ["serverConfig", "serverUrl", "discoveryServerUrl"];
