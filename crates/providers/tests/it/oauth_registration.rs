//! A client that nobody brought.

mod upkeep;

use carnet_model::Time;
use carnet_model::connector::ConnectorType::Oauth;
use carnet_providers::{Accepted, BadConfiguration, Synced};
use serde_json::{Value, json};

use crate::bench::{BASE, Bench, CONNECTOR, DOCUMENT, ICON, Made, NOW, outcome};
use crate::server::Reply;

/// A described server that registers clients; `more` goes into its description, `data` on top.
fn data(bench: &Bench, more: Value, data: Value) -> Value {
    let mut config = json!({
        "registration_endpoint": format!("{}/register", bench.server.origin),
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut all = bench.oauth_data(json!({"clientId": null, "clientSecret": null, "clientCredentials": null,
        "serverConfig": config}));
    all.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
    all
}

fn redirect() -> String {
    format!("https://carnet.example/callback/{CONNECTOR}")
}

fn registered(bench: &Bench) -> Value {
    json!({
        "client_id": "given", "client_secret": "given-secret", "client_secret_expires_at": 0,
        "registration_access_token": "care", "registration_client_uri": format!("{}/register/given", bench.server.origin),
        "redirect_uris": [redirect()], "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "client_secret_basic",
    })
}

fn with(mut value: Value, name: &str, member: Value) -> Value {
    value[name] = member;
    value
}

async fn accept(bench: &Bench, answer: Value, more: Value) -> Result<Accepted, BadConfiguration> {
    bench.server.forget("/register");
    bench.server.on("/register", Reply::json(201, answer));
    bench.accept(Oauth, data(bench, json!({}), more)).await
}

async fn made(bench: &Bench) -> Made<'_> {
    let made = Made::new(bench, Oauth, accept(bench, registered(bench), json!({})).await.unwrap());
    bench.server.seen();
    made
}

fn secret(accepted: &Accepted, place: &str) -> Option<String> {
    accepted.secrets.at(place).map(|secret| secret.expose().clone())
}

#[tokio::test]
async fn a_client_is_registered_once_and_kept_with_its_secrets_apart() {
    let bench = Bench::new();
    let accepted = accept(&bench, registered(&bench), json!({})).await.unwrap();
    let seen = bench.server.only();
    assert_eq!((seen.line().as_str(), seen.header("authorization")), ("POST /register", None));
    assert_eq!(
        serde_json::from_str::<Value>(&seen.body).unwrap(),
        json!({
            "client_name": "Acme", "redirect_uris": [redirect()], "response_types": ["code"],
            "grant_types": ["authorization_code", "refresh_token"], "application_type": "web",
            "token_endpoint_auth_method": "client_secret_basic",
            "logo_uri": format!("{BASE}/pictures/{CONNECTOR}/{ICON}"),
        })
    );
    assert_eq!(accepted.data["clientId"], json!("given"));
    assert_eq!(accepted.data["tokenEndpointAuthMethod"], json!("client_secret_basic"));
    assert_eq!(accepted.data["clientRegistration"]["method"], json!("dynamic"));
    assert_eq!(secret(&accepted, "/clientSecret").as_deref(), Some("given-secret"));
    assert_eq!(secret(&accepted, "/clientRegistration/accessToken").as_deref(), Some("care"));
    let shown = Value::Object(accepted.data.clone()).to_string();
    assert!(!shown.contains("given-secret") && !shown.contains("care\""), "{shown}");

    let mut again = accepted.data.clone();
    accepted.secrets.put_back(&mut again, &serde_json::Map::new());
    let second = bench.accept(Oauth, Value::Object(again)).await.unwrap();
    assert_eq!(second.data, accepted.data);
    assert_eq!(secret(&second, "/clientRegistration/accessToken").as_deref(), Some("care"));
    assert_eq!(bench.server.seen(), [], "registered once");
}

#[tokio::test]
async fn who_brings_a_client_or_an_initial_token_is_taken_at_the_word() {
    let bench = Bench::new();
    let own = json!({"clientId": "mine", "clientSecret": "s"});
    let accepted = accept(&bench, registered(&bench), own).await.unwrap();
    assert_eq!((&accepted.data["clientId"], bench.server.seen().len()), (&json!("mine"), 0));
    assert_eq!(accepted.data.get("clientRegistration"), None);

    let more = json!({"initialAccessToken": "first", "clientName": "Acme at work"});
    let accepted = accept(&bench, registered(&bench), more).await.unwrap();
    let seen = bench.server.only();
    assert_eq!(seen.header("authorization"), Some("Bearer first"));
    assert!(seen.body.contains("Acme at work"));
    assert_eq!(accepted.data.get("initialAccessToken"), None);
    assert_eq!(secret(&accepted, "/initialAccessToken"), None, "used, and not kept");

    // A client that is set by hand later is not the registered one.
    let mut changed = accepted.data.clone();
    accepted.secrets.put_back(&mut changed, &serde_json::Map::new());
    changed.extend(json!({"clientId": "mine", "clientSecret": "s"}).as_object().unwrap().clone());
    let mine = bench.accept(Oauth, Value::Object(changed)).await.unwrap();
    assert_eq!(mine.data.get("clientRegistration"), None);
    assert_eq!(secret(&mine, "/clientRegistration/accessToken"), None);
}

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

#[tokio::test]
async fn where_nothing_can_be_registered_the_person_is_told_what_to_register() {
    let bench = Bench::new();
    let without = data(&bench, json!({"registration_endpoint": null}), json!({}));
    let bad = bench.accept(Oauth, without).await.unwrap_err();
    assert_eq!(bad.field, "clientId");
    for told in [redirect(), bench.server.origin.clone(), "clientSecret".to_owned()] {
        assert!(bad.why.contains(&told), "{told}: {}", bad.why);
    }
}

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

#[tokio::test]
async fn what_the_server_changed_is_taken_where_it_still_works() {
    let bench = Bench::new();
    let post = with(registered(&bench), "token_endpoint_auth_method", json!("client_secret_post"));
    let accepted = accept(&bench, post, json!({})).await.unwrap();
    assert_eq!(accepted.data["tokenEndpointAuthMethod"], json!("client_secret_post"));

    let elsewhere =
        with(registered(&bench), "registration_client_uri", json!("https://collector.example/given"));
    let accepted = accept(&bench, elsewhere, json!({})).await.unwrap();
    assert_eq!(accepted.data["clientRegistration"].get("uri"), None);
    assert_eq!(secret(&accepted, "/clientRegistration/accessToken"), None, "nothing to use it at");
}

#[tokio::test]
async fn a_server_that_says_no_more_than_the_identifier_has_made_a_public_client_where_it_has_those() {
    let bench = Bench::new();
    let bare = json!({"client_id": "given"});
    let accepted = accept(&bench, bare.clone(), json!({})).await.unwrap();
    assert_eq!(accepted.data["tokenEndpointAuthMethod"], json!("none"));
    assert_eq!(secret(&accepted, "/clientSecret"), None);
    // Who asked for a secret, or needs one, is not given a client without.
    for more in [
        json!({"tokenEndpointAuthMethod": "client_secret_basic"}),
        json!({"clientCredentials": {"enabled": true}}),
    ] {
        let refused = accept(&bench, bare.clone(), more).await.unwrap_err();
        assert_eq!(refused.field, "clientSecret");
    }
    bench.server.forget("/register");
    bench.server.on("/register", Reply::json(201, bare));
    let secrets_only = json!({"token_endpoint_auth_methods_supported": ["client_secret_basic"]});
    let refused = bench.accept(Oauth, data(&bench, secrets_only, json!({}))).await.err();
    assert_eq!(refused.map(|bad| bad.field).as_deref(), Some("clientSecret"));
}

#[tokio::test]
async fn a_registration_that_is_not_what_was_asked_is_refused_and_taken_back() {
    let bench = Bench::new();
    for (name, value, more, field) in [
        ("redirect_uris", json!(["https://evil.example/cb"]), json!({}), "clientId"),
        ("redirect_uris", json!([redirect(), "https://evil.example/cb"]), json!({}), "clientId"),
        ("redirect_uris", json!([]), json!({}), "clientId"),
        ("grant_types", json!(["refresh_token"]), json!({}), "userAuthorization.enabled"),
        (
            "grant_types",
            json!(["authorization_code"]),
            json!({"clientCredentials": {}}),
            "clientCredentials.enabled",
        ),
        ("token_endpoint_auth_method", json!("tls_client_auth"), json!({}), "tokenEndpointAuthMethod"),
        ("client_secret", json!(null), json!({}), "clientSecret"),
    ] {
        let bad = accept(&bench, with(registered(&bench), name, value.clone()), more).await.unwrap_err();
        assert_eq!(bad.field, field, "{name} {value}: {bad}");
        assert!(!bad.why.contains("evil"), "{bad}");
        let seen = bench.server.seen();
        assert_eq!(seen[1].line(), "DELETE /register/given", "{name} {value}");
        assert_eq!(seen[1].header("authorization"), Some("Bearer care"));
    }
}

#[tokio::test]
async fn what_is_no_registration_is_none() {
    let bench = Bench::new();
    bench.server.on("/elsewhere", Reply::json(201, registered(&bench)));
    let huge = with(registered(&bench), "padding", json!("x".repeat(300 * 1024)));
    for (reply, field, why) in [
        (Reply::text(200, "text/html", "<html>hello</html>"), "clientId", "not a registration (HTTP 200)"),
        (Reply::json(201, json!({"client_secret": "s"})), "clientId", "not a registration (HTTP 201)"),
        (Reply::json(204, ""), "clientId", "not a registration (HTTP 204)"),
        (Reply::json(302, "").with("location", "/elsewhere"), "clientId", "not a registration (HTTP 302)"),
        (Reply::json(307, "").with("location", "/elsewhere"), "clientId", "not a registration (HTTP 307)"),
        (Reply::json(500, "{}"), "clientId", "not a registration (HTTP 500)"),
        (Reply::json(201, huge), "clientId", "larger than allowed"),
        (Reply::HangUp, "clientId", "no answer"),
        (
            Reply::json(400, json!({"error": "invalid_redirect_uri", "error_description": "<b>no</b>"})),
            "clientId",
            "HTTP 400, invalid_redirect_uri",
        ),
        (Reply::json(401, "{}"), "initialAccessToken", "initial access token"),
        (Reply::json(403, json!({"error": "access_denied"})), "initialAccessToken", "initial access token"),
    ] {
        bench.server.forget("/register");
        bench.server.on("/register", reply.clone());
        let bad = bench.accept(Oauth, data(&bench, json!({}), json!({}))).await.unwrap_err();
        assert_eq!(bad.field, field, "{reply:?}");
        assert!(bad.why.contains(why), "{why}: {}", bad.why);
        assert_eq!(bench.server.only().line(), "POST /register", "asked once, no redirect followed");
    }
    for endpoint in ["https://10.0.0.1/register", "http://public.example/register", "nonsense"] {
        let config = json!({"registration_endpoint": endpoint});
        let bad = bench.accept(Oauth, data(&bench, config, json!({}))).await.unwrap_err();
        assert_eq!(bad.field, "serverConfig.registration_endpoint");
    }
    assert_eq!(bench.server.seen(), []);
}

#[tokio::test]
async fn nothing_is_registered_for_a_connector_that_cannot_work() {
    let bench = Bench::new();
    let config = json!({"code_challenge_methods_supported": ["plain"]});
    assert!(bench.accept(Oauth, data(&bench, config, json!({}))).await.is_err());
    assert_eq!(bench.server.seen(), []);
}
