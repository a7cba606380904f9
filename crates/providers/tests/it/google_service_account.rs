//! A Google service account: the application as the account, and people of a domain that lets it act as them.

use carnet_model::connector::ConnectorType::GoogleServiceAccount;
use carnet_model::{SubjectKind, Time};
use carnet_providers::{Asserted, DriverError, MintAsk, Minted, Revocation};
use serde_json::{Value, json};

use crate::bench::{Bench, Made, NOW, object, outcome, scopes_of};
use crate::key::PEM;
use crate::server::Reply;

const DRIVE: &str = "https://www.googleapis.com/auth/drive.readonly";
const MAIL: &str = "https://www.googleapis.com/auth/gmail.send";
const EMAIL: &str = "bot@acme.iam.gserviceaccount.com";

fn bench() -> Bench {
    let bench = Bench::instead_of(&["https://oauth2.googleapis.com"]);
    bench.server.on("/token", given(json!({})));
    bench
}

fn given(more: Value) -> Reply {
    let mut body = json!({"access_token": "ya29.at", "expires_in": 3599, "token_type": "Bearer"});
    body.as_object_mut().unwrap().extend(object(more));
    Reply::json(200, body)
}

fn data(more: Value) -> Value {
    let key = json!({"type": "service_account", "project_id": "acme", "private_key_id": "k1", "private_key": PEM.text,
        "client_email": EMAIL, "client_id": "1", "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token", "universe_domain": "googleapis.com"});
    let mut data = json!({"key": key, "scopes": [DRIVE, MAIL], "assertableUsers": ["*@acme.example"]});
    data.as_object_mut().unwrap().extend(object(more));
    data
}

fn answers(bench: &Bench, reply: Reply) {
    bench.server.forget("/token");
    bench.server.on("/token", reply);
}

async fn assert_for(made: &Made<'_>, who: Asserted) -> Result<Minted, DriverError> {
    let ask = MintAsk::Asserted {
        who,
        scopes: scopes_of(DRIVE),
        resources: vec![],
        audience: vec![],
        details: vec![],
    };
    made.driver.mint(&made.at(), None, &ask).await
}

fn person(sub: &str) -> Asserted {
    Asserted { sub: sub.to_owned(), iss: None, aud: None, claims: object(json!({})) }
}

#[tokio::test]
async fn the_file_of_the_account_is_taken_whole_and_tried() {
    let bench = bench();
    let accepted = bench.accept(GoogleServiceAccount, data(json!({}))).await.unwrap();
    let seen = bench.server.only();
    assert_eq!(seen.names(), ["grant_type", "assertion"]);
    let (head, claims) = PEM.read(&seen.field("assertion").unwrap());
    assert_eq!(head, json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
    assert_eq!(
        claims,
        json!({"iss": EMAIL, "scope": format!("{DRIVE} {MAIL}"), "aud": "https://oauth2.googleapis.com/token",
            "iat": NOW - 30, "exp": NOW + 600})
    );
    assert_eq!(
        Value::Object(accepted.data.clone()),
        json!({"clientEmail": EMAIL, "privateKeyId": "k1", "projectId": "acme", "scopes": [DRIVE, MAIL],
            "assertableUsers": ["*@acme.example"]})
    );
    // The text of the file says the same as what stands in it.
    let mut as_text = data(json!({}));
    as_text["key"] = as_text["key"].to_string().into();
    assert_eq!(bench.accept(GoogleServiceAccount, as_text).await.unwrap().data, accepted.data);
    let mut again = accepted.data.clone();
    again.insert("privateKeyPem".to_owned(), PEM.text.clone().into());
    assert_eq!(bench.accept(GoogleServiceAccount, again.into()).await.unwrap().data, accepted.data);
    for (more, field) in [
        (json!({"key": null}), "clientEmail"),
        (json!({"key": {"type": "authorized_user"}}), "key.type"),
        (
            json!({"key": {"type": "service_account", "token_uri": "https://evil.example/token"}}),
            "key.token_uri",
        ),
        (json!({"key": {"type": "service_account", "client_email": "ada@acme.example"}}), "clientEmail"),
        (json!({"key": {"type": "service_account", "client_email": EMAIL}}), "privateKeyPem"),
        (
            json!({"key": {"type": "service_account", "client_email": EMAIL, "private_key": "x"}}),
            "privateKeyPem",
        ),
        (json!({"scopes": []}), "scopes"),
        (json!({"assertableUsers": ["*"]}), "assertableUsers"),
        (json!({"clientSecret": "x"}), "clientSecret"),
    ] {
        let refused = bench.accept(GoogleServiceAccount, data(more.clone())).await.unwrap_err();
        assert_eq!(refused.field, field, "{more}: {refused}");
    }
    let error =
        |code: &str, words: &str| Reply::json(400, json!({"error": code, "error_description": words}));
    for (reply, field) in [
        (error("invalid_grant", "Invalid JWT Signature."), "privateKeyPem"),
        (error("invalid_grant", "Invalid grant: account not found"), "clientEmail"),
        (error("invalid_scope", "Invalid OAuth scope"), "scopes"),
        (given(json!({"expires_in": null})), "clientEmail"),
        (Reply::HangUp, "clientEmail"),
    ] {
        answers(&bench, reply.clone());
        let refused = bench.accept(GoogleServiceAccount, data(json!({}))).await.unwrap_err();
        assert_eq!(refused.field, field, "{reply:?}: {refused}");
    }
}

#[tokio::test]
async fn a_token_has_the_scopes_that_are_asked_for_and_never_more_than_the_connectors() {
    let bench = bench();
    let made = bench.connector(GoogleServiceAccount, data(json!({}))).await;
    bench.server.seen();
    let abilities = made.driver.abilities(&made.connector);
    assert_eq!(abilities.subjects, [SubjectKind::App, SubjectKind::JwtBearer]);
    for (asked, sent) in [("", format!("{DRIVE} {MAIL}")), (MAIL, MAIL.to_owned())] {
        let minted = made.app(asked).await.unwrap();
        let (_, claims) = PEM.read(&bench.server.only().field("assertion").unwrap());
        assert_eq!(claims["scope"], *sent);
        assert_eq!(minted.scopes, scopes_of(&sent));
        assert_eq!(minted.expires_at, Some(Time::from_secs(NOW + 3599)));
        assert_eq!(minted.external_subject.as_deref(), Some(EMAIL));
    }
    assert_eq!(outcome(&made.app("https://www.googleapis.com/auth/cloud-platform").await), "forbidden");
    assert_eq!(bench.server.seen(), []);
    answers(&bench, given(json!({"scope": format!("{DRIVE} {MAIL}")})));
    assert!(outcome(&made.app(MAIL).await).starts_with("stray"));
    assert_eq!(
        made.driver.revoke(&made.at(), &carnet_providers::Held::nothing()).await.unwrap(),
        Revocation::NotSupported
    );
}

#[tokio::test]
async fn only_people_that_the_connector_names_are_asserted() {
    let bench = bench();
    let made = bench.connector(GoogleServiceAccount, data(json!({}))).await;
    bench.server.seen();
    let minted = assert_for(&made, person("ada@acme.example")).await.unwrap();
    let (_, claims) = PEM.read(&bench.server.only().field("assertion").unwrap());
    assert_eq!((&claims["sub"], &claims["scope"]), (&json!("ada@acme.example"), &json!(DRIVE)));
    assert_eq!(minted.external_subject.as_deref(), Some("ada@acme.example"));
    for who in [
        person("ada@acme.example.evil"),
        person("@acme.example"),
        person("ada@other.example"),
        Asserted { iss: Some("x".into()), ..person("ada@acme.example") },
        Asserted { aud: Some("x".into()), ..person("ada@acme.example") },
        Asserted { claims: object(json!({"x": 1})), ..person("ada@acme.example") },
    ] {
        assert_eq!(outcome(&assert_for(&made, who.clone()).await), "forbidden", "{who:?}");
    }
    assert_eq!(bench.server.seen(), []);
    answers(
        &bench,
        Reply::json(
            401,
            json!({"error": "unauthorized_client", "error_description": "Client is unauthorized to retrieve access tokens using this method"}),
        ),
    );
    assert_eq!(
        outcome(&assert_for(&made, person("ada@acme.example")).await),
        "client rejected unauthorized_client"
    );
}
