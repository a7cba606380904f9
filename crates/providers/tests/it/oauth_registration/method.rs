//! How a registered client proves itself.

use carnet_model::connector::ConnectorType::Oauth;
use serde_json::{Value, json};

use super::{data, secret};
use crate::bench::{BASE, Bench, CONNECTOR, Made};
use crate::server::Reply;

#[tokio::test]
async fn the_method_is_one_that_both_know() {
    let bench = Bench::new();
    let bare = json!({"client_id": "given", "client_secret": "s"});
    for (known, asked) in [
        (json!(["none", "client_secret_post"]), "client_secret_post"),
        (json!(["client_secret_post", "client_secret_basic"]), "client_secret_post"),
        (json!(["tls_client_auth", "client_secret_basic", "client_secret_post"]), "client_secret_basic"),
        (json!(["none"]), "none"),
        (json!(null), "client_secret_basic"),
    ] {
        bench.server.on("/register", Reply::json(200, &bare));
        let config = json!({"token_endpoint_auth_methods_supported": known});
        let accepted = bench.accept(Oauth, data(&bench, config, json!({}))).await.unwrap();
        assert!(bench.server.only().body.contains(asked), "{known}");
        assert_eq!(accepted.data["tokenEndpointAuthMethod"], json!(asked));
        assert_eq!(secret(&accepted, "/clientSecret").is_some(), asked != "none");
    }
    // A key where the server takes nothing else: its public half is where the registration says.
    for (algorithms, signs) in [
        (json!(null), None),
        (json!(["PS256", "RS256"]), None),
        (json!(["PS256", "ES256"]), Some("ES256")),
        (json!(["PS384", "PS256"]), Some("PS256")),
        (json!(["ES384"]), Some("ES384")),
        (json!(["EdDSA"]), Some("EdDSA")),
    ] {
        bench.server.on("/register", Reply::json(200, json!({"client_id": "given"})));
        let config = json!({"token_endpoint_auth_methods_supported": ["tls_client_auth", "private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": algorithms});
        let accepted = bench.accept(Oauth, data(&bench, config, json!({}))).await.unwrap();
        let asked: Value = serde_json::from_str(&bench.server.only().body).unwrap();
        assert_eq!(asked["token_endpoint_auth_method"], "private_key_jwt");
        assert_eq!(asked["jwks_uri"], format!("{BASE}/connect/jwks/{CONNECTOR}"));
        assert_eq!(accepted.data["tokenEndpointAuthMethod"], "private_key_jwt");
        assert_eq!(accepted.data.get("signingAlgorithm").and_then(Value::as_str), signs);
        assert_eq!(asked.get("token_endpoint_auth_signing_alg").and_then(Value::as_str), signs);
        assert_eq!(secret(&accepted, "/clientSecret"), None);
        let made = Made::new(&bench, Oauth, accepted);
        assert!(made.driver.abilities(&made.connector).signs.is_some());
    }
    // With what nobody here signs, or what was chosen and the server does not take.
    for (algorithms, chosen) in [(json!(["ES512", "PS512"]), Value::Null), (json!(["RS256"]), json!("ES256"))]
    {
        let config = json!({"token_endpoint_auth_signing_alg_values_supported": algorithms});
        let own = json!({"clientId": "mine", "tokenEndpointAuthMethod": "private_key_jwt", "signingAlgorithm": chosen});
        let bad = bench.accept(Oauth, data(&bench, config, own)).await.unwrap_err();
        assert_eq!(bad.field, "signingAlgorithm");
        assert!(bad.why.contains(algorithms[0].as_str().unwrap()), "{}", bad.why);
    }
    let config = json!({"token_endpoint_auth_methods_supported": ["tls_client_auth"]});
    let bad = bench.accept(Oauth, data(&bench, config, json!({}))).await.unwrap_err();
    assert_eq!((bad.field.as_str(), bench.server.seen().len()), ("tokenEndpointAuthMethod", 0));
}

#[tokio::test]
async fn a_method_that_the_server_lists_and_does_not_take_is_not_the_last() {
    let no = |error: &str| Reply::json(400, json!({"error": error}));
    let metadata = "invalid_client_metadata";
    let app = json!({"clientCredentials": {"enabled": true}});
    let chosen = json!({"tokenEndpointAuthMethod": "client_secret_post"});
    for (listed, more, error, asked) in [
        (json!(["client_secret_post", "none"]), json!({}), metadata, vec!["client_secret_post", "none"]),
        (json!(null), json!({}), metadata, vec!["client_secret_basic", "none"]),
        (
            json!(["client_secret_post", "client_secret_basic"]),
            app.clone(),
            "invalid_request",
            vec!["client_secret_post", "client_secret_basic"],
        ),
        (
            json!(["client_secret_basic", "private_key_jwt"]),
            json!({}),
            metadata,
            vec!["client_secret_basic", "private_key_jwt"],
        ),
        // Who acts for itself is no public client; what is chosen is chosen; what is refused otherwise is not asked twice.
        (json!(null), app, metadata, vec!["client_secret_basic"]),
        (json!(["client_secret_post", "none"]), chosen, metadata, vec!["client_secret_post"]),
        (
            json!(["client_secret_post", "none"]),
            json!({}),
            "invalid_redirect_uri",
            vec!["client_secret_post"],
        ),
    ] {
        for taken in [true, false] {
            let bench = Bench::new();
            bench.server.on("/register", no(error));
            if taken && asked.len() > 1 {
                let client = json!({"client_id": "given", "client_secret": "s"});
                bench.server.on("/register", Reply::json(201, client));
            } else {
                bench.server.on("/register", no("second_word"));
            }
            let config = json!({"token_endpoint_auth_methods_supported": listed});
            let end = bench.accept(Oauth, data(&bench, config, more.clone())).await;
            let said = |seen: &crate::server::Seen| {
                let body: Value = serde_json::from_str(&seen.body).unwrap();
                body["token_endpoint_auth_method"].as_str().unwrap().to_owned()
            };
            let tried: Vec<_> = bench.server.seen().iter().map(said).collect();
            assert_eq!(tried, asked, "{listed} {more} {error}");
            match end {
                Ok(accepted) => {
                    let last = *asked.last().unwrap();
                    assert!(taken && asked.len() > 1, "{listed} {more} {error}");
                    assert_eq!(accepted.data["tokenEndpointAuthMethod"], json!(last));
                    assert_eq!(
                        accepted.data["clientRegistration"]["metadata"]["token_endpoint_auth_method"],
                        last
                    );
                    let has_secret = secret(&accepted, "/clientSecret").is_some();
                    assert_eq!(has_secret, last.starts_with("client_secret"), "{last}");
                }
                Err(bad) => {
                    assert!(
                        !(taken && asked.len() > 1) && bad.why.contains(error),
                        "the first reason: {bad}"
                    );
                }
            }
        }
    }
}
