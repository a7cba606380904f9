//! Stored and pasted keys.

use carnet_model::connector::ConnectorType::ApiKey;
use carnet_model::{SecretString, SubjectKind, Time};
use carnet_providers::{Callback, ConsentAsk, DriverError, Held, Kept, MintAsk, Revocation, Step};
use serde_json::{Value, json};

use crate::bench::{Bench, Made, NOW, object, outcome, scopes_of};

#[tokio::test]
async fn a_field_that_cannot_work_is_named() {
    let bench = Bench::new();
    let key = || json!([{"value": "k"}]);
    for (data, field) in [
        (json!({}), "values"),
        (json!({"values": []}), "values"),
        (json!({"values": {"value": "k"}}), "values"),
        (json!({"values": ["k"]}), "values.0"),
        (json!({"values": [{"scope": "a"}]}), "values.0.value"),
        (json!({"values": [{"value": ""}]}), "values.0.value"),
        (json!({"values": [{"value": "a\nb"}]}), "values.0.value"),
        (json!({"values": [{"value": "k", "label": "x"}]}), "values.0.label"),
        (json!({"values": [{"value": "k", "scope": "a b"}]}), "values.0.scope"),
        (json!({"values": [{"value": "k", "scope": "*"}]}), "values.0.scope"),
        (json!({"values": [{"value": "k", "scope": "a"}, {"value": "l", "scope": "a"}]}), "values.1.scope"),
        (json!({"values": [{"value": "k"}, {"value": "l"}]}), "values.1.scope"),
        (json!({"values": [{"value": "k", "expiresAt": "soon"}]}), "values.0.expiresAt"),
        (json!({"values": key(), "subjectType": "group"}), "subjectType"),
        (json!({"values": key(), "subjectType": "user"}), "values"),
        (json!({"values": key(), "serviceUrls": ["http://api.example"]}), "serviceUrls.0"),
        (
            json!({"values": key(), "serviceUrls": ["https://api.example", "https://10.0.0.1"]}),
            "serviceUrls.1",
        ),
        (json!({"values": key(), "instructions": "a\u{0}"}), "instructions"),
        (json!({"values": key(), "subjecttype": "app"}), "subjecttype"),
    ] {
        let bad = bench.accept(ApiKey, data.clone()).await.unwrap_err();
        assert_eq!(bad.field, field, "{data}: {bad}");
    }
}

#[tokio::test]
async fn keys_are_apart_and_the_rest_reads_back() {
    let bench = Bench::new();
    let data = json!({
        "values": [{"value": "k-read", "scope": "read"}, {"value": "k-write", "scope": "write", "expiresAt": 5}],
        "serviceUrls": ["https://api.example/v1"],
        "instructions": "Go to *settings*.\nCopy the key.",
    });
    let accepted = bench.accept(ApiKey, data).await.unwrap();
    let shown = json!({
        "subjectType": "app",
        "values": [{"scope": "read"}, {"scope": "write", "expiresAt": 5}],
        "serviceUrls": ["https://api.example/v1"],
        "instructions": "Go to *settings*.\nCopy the key.",
    });
    assert_eq!(Value::Object(accepted.data.clone()), shown);
    assert_eq!(accepted.redirect_uri, None);
    let mut again = accepted.data.clone();
    accepted.secrets.put_back(&mut again, &object(json!({})));
    let second = bench.accept(ApiKey, Value::Object(again)).await.unwrap();
    assert_eq!(Value::Object(second.data), shown);
    assert_eq!(second.secrets.at("/values/1/value").map(|s| s.expose().as_str()), Some("k-write"));
}

#[tokio::test]
async fn a_stored_key_is_chosen_by_its_label_and_never_guessed() {
    let one = json!([{"value": "only"}]);
    let one_labelled = json!([{"value": "only", "scope": "read"}]);
    let two = json!([{"value": "r", "scope": "read"}, {"value": "w", "scope": "write"}]);
    let mixed = json!([{"value": "r", "scope": "read"}, {"value": "plain"}]);
    let bench = Bench::new();
    for (values, asked, want) in [
        (&one, "", Ok("only")),
        (&one, "read", Err("no label")),
        (&one_labelled, "", Ok("only")),
        (&one_labelled, "read", Ok("only")),
        (&one_labelled, "write", Err("read")),
        (&two, "", Err("read, write")),
        (&two, "write", Ok("w")),
        (&two, "admin", Err("read, write")),
        (&two, "read write", Err("one label")),
        (&mixed, "", Ok("plain")),
        (&mixed, "read", Ok("r")),
    ] {
        let made = bench.connector(ApiKey, json!({"values": values})).await;
        let got = made.app(asked).await;
        match (want, got) {
            (Ok(key), Ok(minted)) => {
                assert_eq!(minted.token.expose(), key, "{values} {asked}");
                assert_eq!((minted.expires_at, minted.held.is_none()), (None, true));
            }
            (Err(part), Err(DriverError::Unsupported(why))) => {
                assert!(why.contains(part), "{values} {asked}: {why}");
            }
            (want, got) => panic!("{values} {asked}: wanted {want:?}, got {}", outcome(&got)),
        }
    }
}

#[tokio::test]
async fn a_key_says_what_it_is_and_an_expired_one_is_not_given() {
    let bench = Bench::new();
    let values = json!([
        {"value": "old", "scope": "old", "expiresAt": NOW * 1000},
        {"value": "new", "scope": "new", "expiresAt": NOW * 1000 + 1},
    ]);
    let made = bench.connector(ApiKey, json!({ "values": values })).await;
    let minted = made.app("new").await.unwrap();
    assert_eq!(minted.expires_at, Some(Time::from_millis(NOW * 1000 + 1)));
    assert_eq!(minted.scopes, scopes_of("new"));
    let Err(DriverError::Misconfigured(field, why)) = made.app("old").await else { panic!() };
    assert!(field == "values.0.expiresAt" && why.contains("labelled old has expired"), "{field}: {why}");
}

#[tokio::test]
async fn a_key_cannot_be_bound_to_anything() {
    let bench = Bench::new();
    let made = bench.connector(ApiKey, json!({"values": [{"value": "k"}]})).await;
    let bound = |resources: &[&str], audience: &[&str], details: &[Value]| MintAsk::App {
        scopes: None,
        resources: resources.iter().map(ToString::to_string).collect(),
        audience: audience.iter().map(ToString::to_string).collect(),
        details: details.to_vec(),
        installation: None,
    };
    for ask in
        [bound(&["https://a.example"], &[], &[]), bound(&[], &["a"], &[]), bound(&[], &[], &[json!({})])]
    {
        assert_eq!(outcome(&made.driver.mint(&made.at(), None, &ask).await), "unsupported", "{ask:?}");
    }
}

async fn paste(made: &Made<'_>, key: &str) -> Result<Held, DriverError> {
    let back = Callback::Pasted { key: SecretString::new(key.to_owned()) };
    made.driver.finish(&made.at(), &back, &Kept::default()).await.map(|granted| granted.held)
}

#[tokio::test]
async fn each_person_pastes_a_key_and_gets_it_back() {
    let bench = Bench::new();
    let made = bench.connector(ApiKey, json!({"subjectType": "user", "instructions": "Look here."})).await;
    let state = SecretString::new("s".to_owned());
    let step = made.driver.begin(&made.at(), &ConsentAsk::new(&state)).await.unwrap();
    assert!(matches!(step, Step::PasteKey { instructions: Some(text) } if text == "Look here."));

    let held = paste(&made, "  sk-1 \r\n").await.unwrap();
    let held = Held::from_json(held.to_json().expose()).unwrap();
    assert_eq!(made.refresh(&held, "").await.unwrap().token.expose(), "sk-1");
    assert_eq!(outcome(&made.refresh(&held, "read").await), "unsupported");
    assert_eq!(made.driver.revoke(&made.at(), &held).await.unwrap(), Revocation::NotSupported);
    assert_eq!(outcome(&made.app("").await), "gone expired", "nobody's key is given to somebody else");

    for key in ["", "   ", "a\nb", "é", &"x".repeat(16 * 1024 + 1)] {
        assert_eq!(outcome(&paste(&made, key).await), "callback InvalidKey", "{key:.10}");
    }
    let redirected = Callback::Redirected { params: vec![] };
    let got = made.driver.finish(&made.at(), &redirected, &Kept::default()).await;
    assert_eq!(outcome(&got), "callback Unexpected");
}

#[tokio::test]
async fn keys_of_the_application_and_of_people_are_kept_apart() {
    let bench = Bench::new();
    let app = bench.connector(ApiKey, json!({"values": [{"value": "k", "scope": "a"}]})).await;
    let user = bench.connector(ApiKey, json!({"subjectType": "user"})).await;
    assert_eq!(outcome(&paste(&app, "sk").await), "unsupported");
    let pasted = paste(&user, "sk").await.unwrap();
    assert_eq!(outcome(&app.refresh(&pasted, "").await), "unsupported");

    let abilities = app.driver.abilities(&app.connector);
    assert_eq!(abilities.subjects, [SubjectKind::App]);
    assert!(abilities.app.unwrap().refinement && abilities.user.is_none() && !abilities.revocation);
    let abilities = user.driver.abilities(&user.connector);
    assert_eq!(abilities.subjects, [SubjectKind::User]);
    assert!(abilities.user.unwrap().manual_credential && abilities.app.is_none());
}
