use super::*;

fn at_acme() -> Installed {
    Installed { external_id: Some("100".into()), tenant_id: Some("7".into()), name: Some("acme".into()) }
}

fn scopes(text: &str) -> Option<Scopes> {
    (!text.is_empty()).then(|| Scopes::parse_joined(text).unwrap())
}

fn read(scopes_: &str, details: Value) -> Result<Narrowing, DriverError> {
    let Value::Array(details) = details else { unreachable!() };
    Narrowing::read(&Scopes::empty(), scopes(scopes_).as_ref(), &details, &at_acme())
}

fn detail(more: Value) -> Value {
    let mut detail = json!({"type": DETAIL});
    detail.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!([detail])
}

#[test]
fn every_way_to_say_it_comes_to_the_same_request() {
    let contents = json!({"permissions": {"contents": "read"}});
    let api = json!({"repositories": ["api"]});
    for (scopes, details, body) in [
        ("", json!([]), json!({})),
        ("contents:read", json!([]), contents.clone()),
        ("", detail(json!({"permissions": "contents:read"})), contents.clone()),
        ("", detail(json!({"permissions": ["contents:read"]})), contents.clone()),
        ("", detail(json!({"permissions": {"contents": "read"}, "org": "ACME"})), contents.clone()),
        ("contents:write", detail(json!({"permissions": ["contents:read"]})), contents),
        ("", detail(json!({"repositories": "api"})), api.clone()),
        ("", detail(json!({"repositories": ["acme/api"]})), api),
        ("", detail(json!({})), json!({})),
    ] {
        assert_eq!(read(scopes, details.clone()).unwrap().to_json(), body, "{scopes} {details}");
    }
}

#[test]
fn what_would_not_narrow_is_refused_before_anybody_is_asked() {
    for (scopes, details) in [
        ("read", json!([])),
        ("contents:all", json!([])),
        ("Contents:read", json!([])),
        ("", detail(json!({"permissions": []}))),
        ("", detail(json!({"permissions": {}}))),
        ("", detail(json!({"permissions": ["contents"]}))),
        ("", detail(json!({"permissions": ["contents:read", "contents:write"]}))),
        ("", detail(json!({"permissions": null}))),
        ("issues:write", detail(json!({"permissions": ["contents:read"]}))),
        ("contents:read", detail(json!({"permissions": ["contents:write"]}))),
        ("", detail(json!({"repositories": []}))),
        ("", detail(json!({"repositories": [7]}))),
        ("", detail(json!({"repositories": ["other/api"]}))),
        ("", detail(json!({"repositories": ["a b"]}))),
        ("", detail(json!({"org": "other"}))),
        ("", detail(json!({"org": 7}))),
        ("", detail(json!({"repository": "api"}))),
        ("", json!([{"type": DETAIL}, {"type": DETAIL}])),
    ] {
        assert!(read(scopes, details.clone()).is_err(), "{scopes} {details}");
    }
}

#[test]
fn an_answer_of_another_reach_is_told() {
    let asked = |scopes: &str, details: Value| read(scopes, details).unwrap();
    let permissions = asked("contents:read issues:write", json!([]));
    for (given, fits) in [
        (json!({"permissions": {"contents": "read", "issues": "write"}}), true),
        (json!({"permissions": {"contents": "read", "issues": "write", "metadata": "read"}}), true),
        (json!({"permissions": {"contents": "write", "issues": "write"}}), false),
        (json!({"permissions": {"contents": "read", "issues": "write", "metadata": "write"}}), false),
        (json!({"permissions": {"contents": "read", "issues": "write", "actions": "read"}}), false),
        (json!({"permissions": {"contents": "read"}}), false),
        (json!({"permissions": {"contents": "read", "issues": "read"}}), false),
        (json!({"permissions": {"contents": "read", "issues": "everything"}}), false),
        (json!({"permissions": []}), false),
        (json!({}), false),
    ] {
        assert_eq!(permissions.judge(given.as_object().unwrap()).is_none(), fits, "{given}");
    }
    let repositories = asked("", detail(json!({"repositories": ["api", "Web"]})));
    let of = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
    for (given, fits) in [
        (json!({"repository_selection": "selected", "repositories": of(&["API", "web"])}), true),
        (json!({"repository_selection": "all", "repositories": of(&["api", "web"])}), false),
        (json!({"repository_selection": "selected", "repositories": of(&["api", "web", "secret"])}), false),
        (json!({"repository_selection": "selected", "repositories": of(&["api"])}), false),
        (json!({"repository_selection": "selected", "repositories": [{}]}), false),
        (json!({"repository_selection": "selected"}), false),
        (json!({}), false),
    ] {
        assert_eq!(repositories.judge(given.as_object().unwrap()).is_none(), fits, "{given}");
    }
    assert!(asked("", json!([])).judge(&Map::new()).is_none(), "nothing in particular was asked");
}

#[test]
fn scopes_are_said_only_of_what_was_asked_by_scopes() {
    assert_eq!(read("contents:read", json!([])).unwrap().scopes(), scopes("contents:read"));
    let narrower = read("contents:write", detail(json!({"permissions": ["contents:read"]}))).unwrap();
    assert_eq!(narrower.scopes(), None);
    assert_eq!(read("", json!([])).unwrap().scopes(), None);
}

#[test]
fn what_the_connector_allows_is_meant_by_silence_and_never_exceeded() {
    let most = scopes("contents:write issues:read").unwrap();
    let read = |asked: &str, details: Value| {
        let Value::Array(details) = details else { unreachable!() };
        Narrowing::read(&most, scopes(asked).as_ref(), &details, &at_acme())
    };
    for (asked, details, permissions) in [
        ("", json!([]), json!({"contents": "write", "issues": "read"})),
        ("contents:read", json!([]), json!({"contents": "read"})),
        ("", detail(json!({"permissions": ["issues:read"]})), json!({"issues": "read"})),
        ("", detail(json!({"repositories": ["api"]})), json!({"contents": "write", "issues": "read"})),
    ] {
        let body = read(asked, details.clone()).unwrap().to_json();
        assert_eq!(body["permissions"], permissions, "{asked} {details}");
    }
    for (asked, details) in [
        ("issues:write", json!([])),
        ("actions:read", json!([])),
        ("", detail(json!({"permissions": ["contents:admin"]}))),
        ("", detail(json!({"permissions": ["actions:read"]}))),
    ] {
        let refused = read(asked, details.clone());
        assert!(matches!(refused, Err(DriverError::Forbidden(_))), "{asked} {details}");
    }
}

#[test]
fn what_goes_beyond_is_named_with_what_there_is_in_its_place() {
    let most = Scopes::parse_joined("contents:read issues:write").unwrap();
    for (scopes_, says) in [
        ("contents:write", "contents:write goes beyond"),
        ("contents:write", "tokens may read contents at most"),
        ("issues:admin", "tokens may change issues at most"),
        ("actions:read", "tokens may not reach actions at all"),
    ] {
        let refused = Narrowing::read(&most, scopes(scopes_).as_ref(), &[], &at_acme()).unwrap_err();
        assert!(matches!(&refused, DriverError::Forbidden(why) if why.contains(says)), "{refused:?}");
    }
    let asked = read("contents:read", json!([])).unwrap();
    let stray = |permissions: Value| asked.judge(json!({"permissions": permissions}).as_object().unwrap());
    assert_eq!(stray(json!({"contents": "write"})).as_deref(), Some("it may change contents"));
    assert_eq!(
        stray(json!({"contents": "read", "members": "admin"})).as_deref(),
        Some("it may manage members")
    );
}
