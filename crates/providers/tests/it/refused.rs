//! A connector of every driver with something wrong in it: refused when it is made, with the field that is wrong.

use std::collections::BTreeSet;

use carnet_model::connector::ConnectorType;
use serde_json::{Value, json};

use crate::rigs::{TENANT, rigs};
use crate::server::Reply;

/// Of which way; what is changed in the data; what the provider says where; the field.
type Row = (&'static str, Value, Option<(String, Reply)>, &'static str);

#[expect(clippy::unnecessary_wraps, reason = "rows without an answer of their own stand beside these")]
fn says(path: &str, status: u16, body: Value) -> Option<(String, Reply)> {
    Some((path.to_owned(), Reply::json(status, body)))
}

#[expect(clippy::unnecessary_wraps, reason = "rows without an answer of their own stand beside these")]
fn gone(path: &str) -> Option<(String, Reply)> {
    Some((path.to_owned(), Reply::text(404, "text/html", "<html>")))
}

fn refusal(path: &str, status: u16, error: &str, words: &str) -> Option<(String, Reply)> {
    says(path, status, json!({"error": error, "error_description": words}))
}

fn rows() -> Vec<Row> {
    let none = || json!({});
    let login = "/session/v1/login-request";
    let salesforce = "/services/oauth2/token";
    let discovery = "/.well-known/openid-configuration";
    let entra = format!("/{TENANT}/oauth2/v2.0/token");
    let directory = format!("/{TENANT}/v2.0/.well-known/openid-configuration");
    let okta = "/oauth2/default/v1/token";
    let default = "/oauth2/default/.well-known/openid-configuration";
    vec![
        // Accounts, tenants, hosts.
        ("oauth", none(), gone(discovery), "serverUrl"),
        ("salesforce for people", none(), gone(discovery), "loginHost"),
        ("salesforce for people", json!({"loginHost": "acme.lightning.force.com"}), None, "loginHost"),
        ("snowflake for people", none(), gone(login), "accountIdentifier"),
        ("snowflake by a key", none(), gone(login), "accountIdentifier"),
        ("snowflake by a key", json!({"accountIdentifier": "acme.example/"}), None, "accountIdentifier"),
        ("snowflake by workload identity", none(), gone(login), "accountIdentifier"),
        ("snowflake by another server", none(), gone(login), "accountIdentifier"),
        ("microsoft-entra", none(), refusal(&directory, 400, "invalid_tenant", "AADSTS90002"), "tenantId"),
        ("microsoft-entra", json!({"tenantId": "common"}), None, "tenantId"),
        ("google", json!({"hostedDomain": "acme"}), None, "hostedDomain"),
        ("okta", none(), gone(default), "domain"),
        ("okta", json!({"domain": "acme-admin.okta.com"}), None, "domain"),
        ("okta", json!({"domain": "https://acme.okta.com"}), None, "domain"),
        ("okta", json!({"domain": "127.0.0.1"}), None, "domain"),
        (
            "okta",
            none(),
            says(default, 200, json!({"issuer": "https://other.okta.com/oauth2/default"})),
            "domain",
        ),
        ("atlassian", none(), gone("/_edge/tenant_info"), "site"),
        ("atlassian", json!({"site": "evil.example/"}), None, "site"),
        // Private keys.
        ("github", json!({"privateKeyPem": "x"}), None, "privateKeyPem"),
        (
            "github",
            none(),
            says("/app", 401, json!({"message": "A JSON web token could not be decoded"})),
            "privateKeyPem",
        ),
        ("salesforce by a key", json!({"privateKeyPem": "x"}), None, "privateKeyPem"),
        (
            "salesforce by a key",
            none(),
            refusal(salesforce, 400, "invalid_grant", "invalid assertion"),
            "privateKeyPem",
        ),
        ("snowflake by a key", json!({"privateKeyPem": "x"}), None, "privateKeyPem"),
        ("snowflake by a key", json!({"privateKeyPem": null}), None, "privateKeyPem"),
        (
            "snowflake by a key",
            none(),
            says(login, 200, json!({"success": false, "code": "390144", "message": "JWT token is invalid."})),
            "privateKeyPem",
        ),
        ("google-service-account", json!({"privateKeyPem": "x"}), None, "privateKeyPem"),
        (
            "google-service-account",
            none(),
            refusal("/token", 400, "invalid_grant", "Invalid JWT Signature."),
            "privateKeyPem",
        ),
        // Who the application is.
        (
            "salesforce by a key",
            none(),
            refusal(salesforce, 400, "invalid_client_id", "client identifier invalid"),
            "consumerKey",
        ),
        (
            "salesforce by a key",
            none(),
            refusal(salesforce, 400, "invalid_grant", "user hasn't approved this consumer"),
            "appUsername",
        ),
        (
            "google-service-account",
            none(),
            refusal("/token", 400, "invalid_grant", "Invalid grant: account not found"),
            "clientEmail",
        ),
        // Clients and their secrets.
        ("api-key", json!({"values": []}), None, "values"),
        (
            "slack",
            none(),
            says("/api/oauth.v2.access", 200, json!({"ok": false, "error": "bad_client_secret"})),
            "clientSecret",
        ),
        (
            "github",
            none(),
            refusal("/login/oauth/access_token", 200, "incorrect_client_credentials", "x"),
            "clientSecret",
        ),
        ("github", json!({"appScopes": ["issues:read"]}), None, "appScopes"),
        ("slack", json!({"slackTeam": {"id": "xyz"}}), None, "slackTeam.id"),
        ("salesforce for people", none(), refusal(salesforce, 400, "invalid_client_id", "x"), "consumerKey"),
        ("salesforce for people", none(), refusal(salesforce, 400, "invalid_client", "x"), "consumerSecret"),
        (
            "snowflake for people",
            none(),
            refusal("/oauth/token-request", 401, "invalid_client", "x"),
            "clientSecret",
        ),
        (
            "snowflake for people",
            json!({"workloadIdentity": true, "privateKeyPem": "k"}),
            None,
            "privateKeyPem",
        ),
        ("snowflake by workload identity", json!({"workloadIdentity": false}), None, "clientId"),
        ("snowflake by another server", json!({"username": "svc"}), None, "externalOauth"),
        (
            "snowflake by another server",
            json!({"externalOauth": {"clientId": "c", "clientSecret": "s"}}),
            None,
            "externalOauth.serverUrl",
        ),
        (
            "snowflake by another server",
            json!({"externalOauth": {"clientId": "c", "clientSecret": "s", "serverUrl": "https://idp.example"}}),
            None,
            "externalOauth.serverUrl",
        ),
        (
            "microsoft-entra",
            none(),
            refusal(
                &entra,
                400,
                "unauthorized_client",
                "AADSTS700016: Application not found in the directory",
            ),
            "clientId",
        ),
        (
            "microsoft-entra",
            none(),
            refusal(&entra, 401, "invalid_client", "AADSTS7000215: Invalid client secret provided"),
            "clientSecret",
        ),
        (
            "microsoft-entra",
            none(),
            refusal(&entra, 400, "invalid_resource", "AADSTS500011: The resource principal was not found"),
            "appScopes",
        ),
        ("google", json!({"clientId": "12345"}), None, "clientId"),
        (
            "google",
            none(),
            refusal("/token", 401, "invalid_client", "The OAuth client was not found."),
            "clientId",
        ),
        (
            "google",
            none(),
            refusal("/token", 401, "invalid_client", "The provided client secret is invalid."),
            "clientSecret",
        ),
        (
            "okta",
            none(),
            refusal(okta, 401, "invalid_client", "Invalid value for 'client_id' parameter."),
            "clientId",
        ),
        (
            "okta",
            none(),
            refusal(
                okta,
                401,
                "invalid_client",
                "The client secret supplied for a confidential client is invalid.",
            ),
            "clientSecret",
        ),
        ("atlassian", none(), refusal("/oauth/token", 401, "access_denied", "Unauthorized"), "clientSecret"),
    ]
}

#[tokio::test]
async fn what_is_wrong_is_named_by_its_field() {
    let rigs = rigs();
    let mut seen = BTreeSet::new();
    for (name, more, said, field) in rows() {
        let rig = rigs.iter().find(|rig| rig.name == name).unwrap_or_else(|| panic!("{name}"));
        let bench = rig.bench();
        if let Some((path, reply)) = said {
            bench.server.forget(&path);
            bench.server.on(&path, reply);
        }
        let refused = bench.accept(rig.kind, rig.with(&more)).await;
        let refused = refused.expect_err(&format!("{name}: {more}: {field}"));
        assert_eq!(refused.field, field, "{name}: {more}: {refused}");
        assert!(!refused.why.contains("s3cret") && !refused.why.contains("PRIVATE KEY"), "{name}: {refused}");
        seen.insert(rig.kind);
    }
    let all: BTreeSet<ConnectorType> = ConnectorType::ALL.into();
    assert_eq!(seen, all, "every driver refuses something");
}

#[tokio::test]
async fn what_is_right_is_taken_and_taken_again_as_it_is_stored() {
    for rig in rigs() {
        let bench = rig.bench();
        let accepted = bench.accept(rig.kind, rig.data.clone()).await;
        let accepted = accepted.unwrap_or_else(|bad| panic!("{}: {bad}", rig.name));
        let shown = Value::Object(accepted.data.clone()).to_string();
        assert!(!shown.contains("s3cret") && !shown.contains("PRIVATE KEY"), "{}: {shown}", rig.name);
        let mut again = accepted.data.clone();
        accepted.secrets.put_back(&mut again, &serde_json::Map::new());
        let second = bench.accept(rig.kind, again.into()).await;
        let second = second.unwrap_or_else(|bad| panic!("{}, again: {bad}", rig.name));
        assert_eq!(second.data, accepted.data, "{}", rig.name);
        assert_eq!(second.redirect_uri, accepted.redirect_uri, "{}", rig.name);
    }
}
