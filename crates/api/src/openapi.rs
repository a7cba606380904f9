//! `GET /openapi.json`: the description of the API, made of the routes that are served.
//!
//! OpenAPI 3.1. Every refusal has one schema; which statuses a route refuses with follows from its form (a path that
//! names a thing may not find it, a body may be too large) and from what its line in the list says besides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use axum::Json as Answer;
use axum::response::{IntoResponse, Response};
use carnet_model::Code;
use http::{HeaderValue, Method, header};
use serde_json::{Map, Value, json};

use crate::metrics;
use crate::route::{Callers, Content, Route};
use crate::router::routes;
use crate::shape::{Shape, anything, count, list_of, map, object_of, one_of, text};

/// The document, as it is served.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| describe(&routes()));
    &DOCUMENT
}

pub(crate) async fn show() -> Response {
    let mut response = Answer(document()).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}

pub(crate) fn shape() -> Shape {
    object_of([
        ("openapi", text()),
        ("info", map(anything())),
        ("servers", list_of(map(anything()))),
        ("paths", map(map(anything()))),
        ("components", map(map(anything()))),
    ])
    .said("An OpenAPI 3.1 document.")
}

fn describe(routes: &[Route]) -> Value {
    let mut schemas = BTreeMap::new();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    keep(&mut schemas, &refusal());
    for route in routes {
        let told = operation(route, &mut schemas);
        let methods = paths.entry(route.path).or_default();
        methods.insert(route.method.as_str().to_ascii_lowercase(), told);
    }
    paths.entry(metrics::PATH).or_default().insert("get".to_owned(), of_metrics());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Carnet",
            "version": crate::health::VERSION,
            "summary": "Short-lived tokens to other people's APIs, for code that should keep no secrets.",
            "description": "Bodies are JSON. Times are milliseconds since 1970. A connector in a path is its identifier, \
                or its UID with the slash written %2F.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {
                "Refusal": {
                    "description": "It was refused, or failed; code says why.",
                    "headers": {
                        "retry-after": {
                            "description": "Seconds after which trying again makes sense, where that is known.",
                            "schema": {"type": "integer", "minimum": 0},
                        },
                    },
                    "content": {"application/json": {"schema": refusal().parts().0}},
                },
            },
            "securitySchemes": {
                "workload": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The identity token by which a workload proves project and environment.",
                },
                "person": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An access token of a person, crn_…",
                },
            },
        },
    })
}

/// The figures are no route of the list: who may read them is the operator's business, and nobody of a team's.
fn of_metrics() -> Value {
    let refusal = || json!({"$ref": "#/components/responses/Refusal"});
    json!({
        "operationId": "getMetrics",
        "summary": "Gives the figures of this process, as Prometheus reads them.",
        "description": "With metrics.token_file, to whoever sends that token as bearer; without it, to programs on this machine \
            alone, and to all others there is nothing here.",
        "security": [],
        "parameters": [],
        "responses": {
            "200": {"description": "Done.", "content": {"text/plain": {}}},
            "400": refusal(),
            "401": refusal(),
            "404": refusal(),
        },
    })
}

/// The one shape of every refusal.
pub(crate) fn refusal() -> Shape {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let step = object_of([("command", text()), ("when", text())]);
    let error = object_of([
        ("code", one_of(&codes)),
        ("message", text()),
        ("next?", list_of(step)),
        ("retryAfter?", count()),
    ]);
    object_of([("error", error.open())]).named("Refusal")
}

fn operation(route: &Route, schemas: &mut BTreeMap<&'static str, Value>) -> Value {
    let mut told = json!({
        "operationId": operation_id(route),
        "summary": route.purpose,
        "security": security(route.callers),
        "parameters": parameters(route),
        "responses": responses(route, schemas),
    });
    if !route.told.upload.is_empty()
        && let Some(told) = told.as_object_mut()
    {
        let content: Map<String, Value> =
            route.told.upload.iter().map(|media| ((*media).to_owned(), json!({}))).collect();
        told.insert("requestBody".to_owned(), json!({"required": true, "content": content}));
    }
    if let (Some(body), Some(told)) = (&route.told.body, told.as_object_mut()) {
        keep(schemas, body);
        // An empty body is `{}`, and whether that is enough is for its schema to say.
        told.insert(
            "requestBody".to_owned(),
            json!({"required": false, "content": {"application/json": {"schema": body.parts().0}}}),
        );
    }
    told
}

/// `getV1AccessTokens`, `deleteV1AccessTokensToken`: stays the same as long as method and path do.
fn operation_id(route: &Route) -> String {
    let mut out = route.method.as_str().to_ascii_lowercase();
    for word in route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let mut letters = word.chars();
        out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        out.extend(letters);
    }
    out
}

fn security(callers: Callers) -> Value {
    match callers {
        Callers::Anybody => json!([]),
        Callers::Workload => json!([{"workload": []}]),
        Callers::Person => json!([{"person": []}]),
        Callers::Both => json!([{"workload": []}, {"person": []}]),
    }
}

/// Those of the path, of the query, and the team that a person means.
fn parameters(route: &Route) -> Vec<Value> {
    let mut all: Vec<Value> = names(route.path)
        .map(|name| {
            json!({
                "name": name,
                "in": "path",
                "required": true,
                "description": meaning(name),
                "schema": {"type": "string", "minLength": 1},
            })
        })
        .collect();
    let query = route.told.query.as_ref().map(|query| query.parts().0);
    let required = query.and_then(|query| query.get("required")?.as_array()).cloned().unwrap_or_default();
    for (name, schema) in query.and_then(|query| query.get("properties")?.as_object()).into_iter().flatten() {
        all.push(in_query(name, required.iter().any(|required| required == name), schema.clone()));
    }
    if matches!(route.callers, Callers::Person | Callers::Both) {
        for (name, about) in [
            ("teamId", "The team that a person's call concerns; the person's default team if left out."),
            ("slug", "The same by the team's short name; never both."),
        ] {
            all.push(in_query(name, false, json!({"type": "string", "description": about, "minLength": 1})));
        }
    }
    all
}

/// The names in a path.
pub(crate) fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// What a name in a path stands for.
pub(crate) fn meaning(name: &str) -> Option<&'static str> {
    MEANINGS.iter().find(|(known, _)| *known == name).map(|(_, meaning)| *meaning)
}

/// A parameter of the query: it has no `null`, its text no control character (see [`crate::query`]), and what is said of it
/// stands where readers of such documents look.
fn in_query(name: &str, required: bool, mut schema: Value) -> Value {
    let mut told = json!({"name": name, "in": "query", "required": required});
    let about = schema.as_object_mut().and_then(|members| {
        members.remove("default");
        let kinds = members.get("type").and_then(Value::as_array).cloned().unwrap_or_default();
        if let [kind] = kinds.iter().filter(|kind| *kind != "null").collect::<Vec<_>>().as_slice() {
            members.insert("type".to_owned(), (*kind).clone());
        }
        if let Some(words) = members.get_mut("enum").and_then(Value::as_array_mut) {
            words.retain(|word| !word.is_null());
        } else if members.get("type").is_some_and(|kind| kind == "string") {
            members.insert("pattern".to_owned(), json!(r"^[^\x00-\x1f\x7f]*$"));
        }
        members.remove("description")
    });
    if let Some(members) = told.as_object_mut() {
        members.extend(about.map(|about| ("description".to_owned(), about)));
        members.insert("schema".to_owned(), schema);
    }
    told
}

fn responses(route: &Route, schemas: &mut BTreeMap<&'static str, Value>) -> Map<String, Value> {
    let mut all: Map<String, Value> = refusals(route)
        .into_iter()
        .map(|status| (status.to_string(), json!({"$ref": "#/components/responses/Refusal"})))
        .collect();
    for (status, content) in &route.answers {
        let told = match content {
            Content::None => json!({"description": "Done."}),
            Content::Other(media) => json!({
                "description": "Done.",
                "content": {*media: {}},
            }),
            Content::Json(shape) => {
                keep(schemas, shape);
                let schema = shape.parts().0;
                // A status that is a refusal elsewhere may have a shape of its own here, or either.
                let schema = if *status >= 400 {
                    json!({"anyOf": [schema, refusal().parts().0]})
                } else {
                    schema.clone()
                };
                json!({
                    "description": if *status < 400 { "Done." } else { "Not now." },
                    "content": {"application/json": {"schema": schema}},
                })
            }
        };
        all.insert(status.to_string(), told);
    }
    all
}

/// The statuses that a route refuses with.
fn refusals(route: &Route) -> BTreeSet<u16> {
    let mut codes = vec![Code::InvalidRequest, Code::RateLimited, Code::Internal, Code::Unavailable];
    if route.callers != Callers::Anybody {
        codes.extend([Code::Unauthorized, Code::Forbidden]);
    }
    if route.path.contains('{') {
        codes.push(Code::NotFound);
    }
    if route.told.body.is_some() || !route.told.upload.is_empty() {
        codes.extend([Code::TooLarge, Code::UnsupportedMediaType]);
    }
    if route.method != Method::GET {
        codes.extend([Code::Conflict, Code::NotFound]);
    }
    codes.extend(&route.refusals);
    codes.into_iter().map(Code::status).collect()
}

fn keep(schemas: &mut BTreeMap<&'static str, Value>, shape: &Shape) {
    schemas.extend(shape.parts().1.iter().map(|(name, schema)| (*name, schema.clone())));
}

/// The names in paths.
const MEANINGS: &[(&str, &str)] = &[
    ("connector", "A connector: its identifier, or its UID with the slash written %2F."),
    ("delivery", "An event on its way to a destination, by its identifier."),
    ("environment", "An environment of the project; one of its own by its identifier or short name."),
    ("app", "The application for all teams, by the service that it is for."),
    ("grant", "A grant, by its identifier."),
    ("installation", "An installation of the connector, by its identifier."),
    ("invitation", "An invitation, by its identifier."),
    ("issuer", "A trusted issuer, by its identifier."),
    ("project", "A project, by its identifier or name."),
    ("service", "A service of the catalog, by its short name."),
    ("sha1", "The SHA-1 of a picture, in hexadecimal."),
    ("target", "An environment of the project, by its name."),
    ("team", "A team, by its short name; where a person asks, by its identifier too."),
    ("token", "An access token, by its identifier."),
    ("user", "A person, by the identifier of the account; a member also by e-mail address."),
    ("verifier", "The verifier that came with a consent request."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_says_who_calls_it_what_for_and_what_its_names_mean() {
        for route in routes() {
            let name = format!("{} {}", route.method, route.path);
            let wanted = route.callers != Callers::Anybody;
            assert_eq!(
                route.told.wants_caller, wanted,
                "{name}: who may call it is not what its handler reads"
            );
            assert!(route.purpose.ends_with('.') && route.purpose.len() > 10, "{name}: {}", route.purpose);
            for part in names(route.path) {
                assert!(meaning(part).is_some(), "{name}: say in MEANINGS what {{{part}}} stands for");
            }
            assert!(route.answers.keys().any(|status| (200..300).contains(status)), "{name} gives nothing");
        }
    }

    #[test]
    fn everything_that_is_served_is_described() {
        let paths = document()["paths"].as_object().unwrap();
        assert!(paths[metrics::PATH]["get"]["responses"]["200"].is_object());
        assert!(routes().iter().all(|route| paths.contains_key(route.path)));
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let mut seen = BTreeSet::new();
        for route in routes() {
            assert!(seen.insert(operation_id(&route)), "{} {}", route.method, route.path);
        }
    }

    #[test]
    fn a_name_stands_for_one_shape() {
        let mut known: BTreeMap<&str, Value> = BTreeMap::new();
        for route in routes() {
            let contents = route.answers.values().filter_map(|content| match content {
                Content::Json(shape) => Some(shape),
                _ => None,
            });
            for shape in contents.chain(&route.told.body) {
                for (name, schema) in shape.parts().1 {
                    let first = known.entry(name).or_insert_with(|| schema.clone());
                    assert_eq!(first, schema, "two shapes are called {name}");
                }
            }
        }
    }

    #[test]
    fn no_answer_is_any_object_at_all() {
        fn vague(schema: &Value) -> bool {
            schema.as_object().is_some_and(|schema| {
                schema.is_empty()
                    || schema.get("type").is_some_and(|kind| kind == "object")
                        && !schema.contains_key("properties")
                        && !schema.contains_key("additionalProperties")
            })
        }
        for route in routes() {
            for content in route.answers.values() {
                if let Content::Json(shape) = content {
                    assert!(!vague(shape.parts().0), "{} {}", route.method, route.path);
                }
            }
        }
    }

    #[test]
    fn everything_that_is_referred_to_is_there() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        references(document(), &mut found);
        assert!(found.len() > 100);
        for reference in found {
            let pointer = reference.trim_start_matches('#');
            assert!(document().pointer(pointer).is_some(), "{reference}");
        }
    }
}
