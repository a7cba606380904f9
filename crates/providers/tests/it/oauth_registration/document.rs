//! A client whose identifier is an address of ours, where the server reads about it.

use carnet_model::connector::ConnectorType::Oauth;
use carnet_providers::Synced;
use serde_json::{Value, json};

use super::{data, redirect, registered, with};
use crate::bench::{BASE, Bench, CONNECTOR, DOCUMENT, ICON, Made};
use crate::server::Reply;

#[tokio::test]
async fn an_address_of_ours_comes_before_a_registration() {
    let bench = Bench::new();
    let reads = json!({"client_id_metadata_document_supported": true});
    let accepted = bench.accept(Oauth, data(&bench, reads.clone(), json!({}))).await.unwrap();
    assert_eq!(bench.server.seen(), []);
    assert_eq!(accepted.data["clientId"], json!(DOCUMENT));
    assert_eq!(accepted.data["tokenEndpointAuthMethod"], json!("none"));
    assert!(accepted.secrets.is_empty());
    let made = Made::new(&bench, Oauth, accepted);
    assert_eq!(
        made.driver.client_document(&made.connector).map(Value::Object),
        Some(json!({
            "client_id": DOCUMENT, "client_name": "Acme", "redirect_uris": [redirect()],
            "response_types": ["code"], "grant_types": ["authorization_code", "refresh_token"],
            "application_type": "web", "token_endpoint_auth_method": "none",
            "logo_uri": format!("{BASE}/pictures/{CONNECTOR}/{ICON}"),
        }))
    );
    assert!(
        matches!(made.driver.sync(&made.at(), true).await, Synced::Nothing),
        "it is read when it is needed"
    );

    // Not where it has to prove itself, nor where the server takes only clients that do.
    bench.server.on("/register", Reply::json(201, registered(&bench)));
    for (config, more) in [
        (reads.clone(), json!({"tokenEndpointAuthMethod": "client_secret_basic"})),
        (with(reads, "token_endpoint_auth_methods_supported", json!(["client_secret_basic"])), json!({})),
    ] {
        let accepted = bench.accept(Oauth, data(&bench, config, more)).await.unwrap();
        assert_eq!(accepted.data["clientId"], json!("given"));
    }
    assert_eq!(
        bench.oauth(json!({})).await.driver.client_document(&made_by_hand(&bench).await.connector),
        None
    );
}

/// Where the server has no public clients, or the connector is to prove itself, the document says where its key is, and
/// every request that the server answers to clients alone carries a proof.
#[tokio::test]
async fn an_address_of_ours_says_where_the_key_is_if_the_client_proves_itself_by_one() {
    let bench = Bench::new();
    let origin = bench.server.origin.clone();
    let reads = |methods: Value, algorithms: Value| {
        json!({"client_id_metadata_document_supported": true, "token_endpoint_auth_methods_supported": methods,
            "token_endpoint_auth_signing_alg_values_supported": algorithms,
            "pushed_authorization_request_endpoint": format!("{origin}/par")})
    };
    let chosen = json!({"tokenEndpointAuthMethod": "private_key_jwt"});
    for (methods, algorithms, more, algorithm) in [
        (json!(["private_key_jwt"]), json!(["PS256"]), json!({}), Some("PS256")),
        (json!(["client_secret_basic", "private_key_jwt"]), Value::Null, json!({}), None),
        (json!(["none", "private_key_jwt"]), Value::Null, chosen.clone(), None),
    ] {
        let config = reads(methods, algorithms);
        let accepted = bench.accept(Oauth, data(&bench, config, more)).await.unwrap();
        assert_eq!(bench.server.seen(), [], "nothing is registered");
        assert_eq!(accepted.data["clientId"], DOCUMENT);
        assert_eq!(accepted.data["tokenEndpointAuthMethod"], "private_key_jwt");
        let made = Made::new(&bench, Oauth, accepted);
        let document = made.driver.client_document(&made.connector).unwrap();
        assert_eq!(document["token_endpoint_auth_method"], "private_key_jwt");
        assert_eq!(document["jwks_uri"], format!("{BASE}/connect/jwks/{CONNECTOR}"));
        assert_eq!(document.get("token_endpoint_auth_signing_alg").and_then(Value::as_str), algorithm);
        assert!(made.driver.abilities(&made.connector).signs.is_some(), "there is a key");

        bench.server.on("/par", Reply::json(201, json!({"request_uri": "urn:x", "expires_in": 60})));
        bench.server.on("/revoke", Reply::json(200, "{}"));
        let held = made.granted().await;
        made.begin(|_| {}).await.unwrap();
        bench.server.on("/token", Reply::json(200, json!({"access_token": "at", "expires_in": 60})));
        made.refresh(&held, "").await.unwrap();
        made.driver.revoke(&made.at(), &held).await.unwrap();
        let seen = bench.server.seen();
        let paths: Vec<&str> = seen.iter().map(|seen| seen.path.as_str()).collect();
        assert_eq!(paths, ["/par", "/token", "/revoke", "/revoke"]);
        for seen in seen {
            assert_eq!(seen.field("client_id").as_deref(), Some(DOCUMENT), "{}", seen.path);
            assert_eq!(seen.field("client_secret"), None);
            let claims = made.key.claims(&seen.field("client_assertion").unwrap());
            assert_eq!((&claims["iss"], &claims["sub"]), (&json!(DOCUMENT), &json!(DOCUMENT)));
        }
        for path in ["/par", "/token", "/revoke"] {
            bench.server.forget(path);
        }
    }
    // A public one where the server has those, and where it registers nobody and says nothing of methods.
    for config in [
        reads(json!(["private_key_jwt", "none"]), Value::Null),
        with(reads(Value::Null, Value::Null), "registration_endpoint", Value::Null),
    ] {
        let accepted = bench.accept(Oauth, data(&bench, config, json!({}))).await.unwrap();
        assert_eq!(accepted.data["tokenEndpointAuthMethod"], "none");
        let made = Made::new(&bench, Oauth, accepted);
        assert_eq!(made.driver.client_document(&made.connector).unwrap().get("jwks_uri"), None);
    }
    // What acts for itself is registered, where it can be; and no key is named that the server would not take.
    let grants = json!(["authorization_code", "refresh_token", "client_credentials"]);
    bench.server.on("/register", Reply::json(201, with(registered(&bench), "grant_types", grants)));
    let app = json!({"clientCredentials": {"enabled": true}});
    let both = reads(json!(["client_secret_basic", "private_key_jwt"]), Value::Null);
    let accepted = bench.accept(Oauth, data(&bench, both, app)).await.unwrap();
    assert_eq!(accepted.data["clientId"], "given");
    let refused = reads(json!(["private_key_jwt"]), json!(["ES512"]));
    let bad = bench.accept(Oauth, data(&bench, refused, json!({}))).await.unwrap_err();
    assert_eq!(bad.field, "signingAlgorithm");
}

async fn made_by_hand(bench: &Bench) -> Made<'_> {
    bench.oauth(json!({})).await
}
