//! Reading the configuration of an `oauth` connector.

use std::time::Duration;

use carnet_model::connector::ConnectorType::Oauth;
use carnet_model::grant::Rotation;
use carnet_model::{Scopes, SubjectKind};
use carnet_providers::{Abilities, driver};
use serde_json::{Value, json};

use crate::bench::{BASE, Bench, CONNECTOR, object};
use crate::server::Reply;

#[tokio::test]
async fn a_number_that_is_too_large_is_told_the_bound_however_it_is_written() {
    let bench = Bench::new();
    for (seconds, why) in [
        (json!(1e15), "60 seconds to ten years"),
        (json!(1_000_000_000_000_000_u64), "60 seconds to ten years"),
        (json!(60.5), "a whole number"),
        (json!(-60.0), "a whole number"),
    ] {
        let bad = bench.accept(Oauth, bench.oauth_data(json!({"defaultTokenExpiresIn": seconds}))).await;
        let bad = bad.unwrap_err();
        assert!(bad.field == "defaultTokenExpiresIn" && bad.why.contains(why), "{seconds}: {bad}");
    }
}

#[tokio::test]
async fn a_field_that_cannot_work_is_named() {
    let bench = Bench::new();
    let issuer_promised = json!({"issuer": null, "authorization_response_iss_parameter_supported": true});
    for (more, field) in [
        (json!({"clientId": null}), "clientId"),
        (json!({"clientId": 7}), "clientId"),
        (json!({"clientId": ""}), "clientId"),
        (json!({"clientSecret": ""}), "clientSecret"),
        (json!({"clientSecret": "a\nb"}), "clientSecret"),
        (json!({"clientSecret": null, "tokenEndpointAuthMethod": "client_secret_basic"}), "clientSecret"),
        (json!({"tokenEndpointAuthMethod": "none"}), "clientSecret"),
        (json!({"tokenEndpointAuthMethod": "private_key_jwt"}), "clientSecret"),
        (json!({"tokenEndpointAuthMethod": "tls"}), "tokenEndpointAuthMethod"),
        (json!({"clientSecret": null}), "clientCredentials.enabled"),
        (json!({"pkceRequired": "no"}), "pkceRequired"),
        (json!({"userAuthorization": {"enabled": true, "scope": []}}), "userAuthorization.scope"),
        (json!({"userAuthorization": {"scopes": ["a b"]}}), "userAuthorization.scopes"),
        (json!({"userAuthorization": true}), "userAuthorization"),
        (json!({"userAuthorization": {"enabled": false}, "clientCredentials": null}), "userAuthorization"),
        (json!({"clientCredentials": {"enabled": 1}}), "clientCredentials.enabled"),
        (json!({"refreshTokens": {"enable": true}}), "refreshTokens.enable"),
        (json!({"refreshTokens": {"idleDays": 0}}), "refreshTokens.idleDays"),
        (json!({"refreshTokens": {"idleDays": 3651}}), "refreshTokens.idleDays"),
        (json!({"refreshTokens": {"idleDays": "30"}}), "refreshTokens.idleDays"),
        (json!({"forwardedClaims": ["email"]}), "forwardedClaims"),
        (
            json!({"forwardedClaims": {"idToken": ["email"]}, "serverConfig": {"issuer": null}}),
            "serverConfig.issuer",
        ),
        (json!({"defaultTokenExpiresIn": 59}), "defaultTokenExpiresIn"),
        (json!({"defaultTokenExpiresIn": "3600"}), "defaultTokenExpiresIn"),
        (
            json!({"authorizationUrlParams": {"redirect_uri": "https://evil.example"}}),
            "authorizationUrlParams.redirect_uri",
        ),
        (json!({"authorizationUrlParams": {"state": "x"}}), "authorizationUrlParams.state"),
        (json!({"authorizationUrlParams": {"a": 1}}), "authorizationUrlParams.a"),
        (json!({"scopeSeparator": ";"}), "scopeSeparator"),
        (json!({"rotation": {"class": "maybe"}}), "rotation"),
        (json!({"rotation": {"class": "grace"}}), "rotation"),
        (json!({"rotation": {"class": "strict", "seconds": 5}}), "rotation"),
        (json!({"rotation": {"class": "none", "x": 5}}), "rotation.x"),
        (json!({"responseType": "token"}), "responseType"),
        (json!({"codeChallengeMethod": "plain"}), "codeChallengeMethod"),
        (json!({"signingAlgorithm": "HS256"}), "signingAlgorithm"),
        (json!({"signingAlgorithm": "none"}), "signingAlgorithm"),
        (json!({"clientAssertion": {"type": "saml"}}), "clientAssertion.type"),
        (json!({"clientAssertion": {"ttl": 9}}), "clientAssertion.ttl"),
        (json!({"clientAssertion": {"ttl": 601}}), "clientAssertion.ttl"),
        (json!({"clientAssertion": {"claims": {"sub": "x"}}}), "clientAssertion.claims.sub"),
        (json!({"clientAssertion": {"alg": "none"}}), "clientAssertion.alg"),
        (json!({"jwtBearer": true}), "jwtBearer"),
        (json!({"jwtBearer": {"scopes": ["a b"]}}), "jwtBearer.scopes"),
        (json!({"jwtBearer": {"sub": "a*b"}}), "jwtBearer.sub"),
        (json!({"jwtBearer": {"iss": [""]}}), "jwtBearer.iss"),
        (json!({"jwtBearer": {"aud": 7}}), "jwtBearer.aud"),
        (json!({"jwtBearer": {"ttl": 3600}}), "jwtBearer.ttl"),
        (json!({"jwtBearer": {"additionalClaims": {"exp": 1}}}), "jwtBearer.additionalClaims.exp"),
        (json!({"jwtBearer": {"useClientCredentials": "no"}}), "jwtBearer.useClientCredentials"),
        (json!({"jwtBearer": {"subject": "x"}}), "jwtBearer.subject"),
        (json!({"tokenExchange": {"enabled": 1}}), "tokenExchange.enabled"),
        (json!({"tokenExchange": {"subjectTokenType": "jwt"}}), "tokenExchange.subjectTokenType"),
        (
            json!({"tokenExchange": {"requestedTokenType": "urn:ietf:params:oauth:token-type:refresh_token"}}),
            "tokenExchange.requestedTokenType",
        ),
        (
            json!({"tokenExchange": {"trustedIssuers": [{"issuer": "https://a.example"}]}}),
            "tokenExchange.trustedIssuers.0.audiences",
        ),
        (
            json!({"tokenExchange": {"trustedIssuers": [{"issuer": "https://10.0.0.1", "audiences": "x"}]}}),
            "tokenExchange.trustedIssuers.0",
        ),
        (
            json!({"serverConfig": {"grant_types_supported": ["authorization_code", "client_credentials"]},
                "jwtBearer": {}}),
            "jwtBearer.enabled",
        ),
        (
            json!({"serverConfig": {"grant_types_supported": ["authorization_code", "client_credentials"]},
                "tokenExchange": {}}),
            "tokenExchange.enabled",
        ),
        (json!({"clientid": "x"}), "clientid"),
        (json!({"serverConfig": {"token_endpoint": null}}), "serverConfig.token_endpoint"),
        (json!({"serverConfig": {"token_endpoint": "http://example.com/t"}}), "serverConfig.token_endpoint"),
        (json!({"serverConfig": {"token_endpoint": "https://10.1.2.3/t"}}), "serverConfig.token_endpoint"),
        (json!({"serverConfig": {"tokenEndpoint": "https://a.example/t"}}), "serverConfig.token_endpoint"),
        (json!({"serverConfig": {"authorization_endpoint": null}}), "serverConfig.authorization_endpoint"),
        (
            json!({"serverConfig": {"revocation_endpoint": "javascript:alert(1)"}}),
            "serverConfig.revocation_endpoint",
        ),
        (json!({"serverConfig": {"token_endpiont": "x"}}), "serverConfig.token_endpiont"),
        (json!({"serverConfig": issuer_promised}), "serverConfig.issuer"),
        (
            json!({"serverConfig": {"grant_types_supported": ["client_credentials"]}}),
            "userAuthorization.enabled",
        ),
        (
            json!({"serverConfig": {"grant_types_supported": ["authorization_code"]}}),
            "clientCredentials.enabled",
        ),
        (
            json!({"serverConfig": {"token_endpoint_auth_methods_supported": ["private_key_jwt"]}}),
            "tokenEndpointAuthMethod",
        ),
    ] {
        let bad = bench.accept(Oauth, bench.oauth_data(more.clone())).await.unwrap_err();
        assert_eq!(bad.field, field, "{more}: {bad}");
        assert!(!bad.to_string().contains("s3cret"));
    }
    assert_eq!(bench.server.seen(), [], "a server that was described is not asked");
}

#[tokio::test]
async fn what_is_switched_off_or_absent_is_accepted() {
    let bench = Bench::new();
    for more in [
        json!({"jwtBearer": {"enabled": false}, "tokenExchange": {"enabled": false}, "clientAssertion": null}),
        json!({"responseType": "code", "codeChallengeMethod": "S256", "clientName": null}),
        json!({"userAuthorization": {"enabled": false}}),
        json!({"clientSecret": null, "clientCredentials": {"enabled": false}}),
        json!({"serverConfig": {"jwks_uri": "https://a.example/keys", "userinfoEndpoint": "https://a.example/me"}}),
    ] {
        bench
            .accept(Oauth, bench.oauth_data(more.clone()))
            .await
            .unwrap_or_else(|bad| panic!("{more}: {bad}"));
    }
}

#[tokio::test]
async fn the_secret_is_apart_and_the_rest_reads_back() {
    let bench = Bench::new();
    let more = json!({
        "serverUrl": "https://acme.example",
        "tokenEndpointAuthMethod": "client_secret_basic",
        "forwardedClaims": {"idToken": ["email"]},
        "defaultAudience": "https://api.acme.example",
        "defaultTokenExpiresIn": 7200,
        "authorizationUrlParams": {"access_type": "offline"},
        "scopeSeparator": ",",
        "rotation": {"class": "grace", "seconds": 30},
    });
    let accepted = bench.accept(Oauth, bench.oauth_data(more)).await.unwrap();
    assert_eq!(accepted.secrets.at("/clientSecret").map(|s| s.expose().as_str()), Some("s3cret"));
    let shown = Value::Object(accepted.data.clone());
    let origin = &bench.server.origin;
    assert_eq!(
        shown,
        json!({
            "clientId": "client",
            "serverUrl": "https://acme.example",
            "serverConfig": {
                "issuer": origin,
                "authorization_endpoint": format!("{origin}/authorize"),
                "token_endpoint": format!("{origin}/token"),
                "revocation_endpoint": format!("{origin}/revoke"),
            },
            "tokenEndpointAuthMethod": "client_secret_basic",
            "pkceRequired": true,
            "userAuthorization": {"enabled": true, "scopes": ["read"]},
            "clientCredentials": {"enabled": true, "scopes": ["read"]},
            "refreshTokens": {"enabled": true},
            "forwardedClaims": {"idToken": ["email"]},
            "defaultAudience": "https://api.acme.example",
            "defaultTokenExpiresIn": 7200,
            "authorizationUrlParams": {"access_type": "offline"},
            "scopeSeparator": ",",
            "rotation": {"class": "grace", "seconds": 30},
        })
    );
    let mut again = accepted.data.clone();
    accepted.secrets.put_back(&mut again, &object(json!({})));
    let second = bench.accept(Oauth, Value::Object(again)).await.unwrap();
    assert_eq!(Value::Object(second.data), shown);
}

#[tokio::test]
async fn the_redirect_uri_is_shared_only_by_servers_that_name_themselves() {
    let bench = Bench::new();
    let own = format!("{BASE}/callback/{CONNECTOR}");
    for (more, want) in [
        (json!({}), Some(own.clone())),
        (
            json!({"serverConfig": {"authorization_response_iss_parameter_supported": false}}),
            Some(own.clone()),
        ),
        (
            json!({"serverConfig": {"authorization_response_iss_parameter_supported": true}}),
            Some(format!("{BASE}/callback")),
        ),
        (json!({"userAuthorization": {"enabled": false}}), None),
    ] {
        let accepted = bench.accept(Oauth, bench.oauth_data(more.clone())).await.unwrap();
        assert_eq!(accepted.redirect_uri, want, "{more}");
    }
}

#[tokio::test]
async fn secrets_go_to_the_endpoints_that_take_them_and_nowhere_else() {
    let bench = Bench::new();
    let made = bench
        .oauth(json!({"serverConfig": {
            "authorization_endpoint": "https://login.acme.example/a",
            "token_endpoint": "https://api.acme.example/t",
            "revocation_endpoint": "https://end.acme.example/r",
        }}))
        .await;
    let told: Vec<String> = made.driver.recipients(&made.connector).into_iter().collect();
    assert_eq!(told, ["https://api.acme.example", "https://end.acme.example"]);
}

#[tokio::test]
async fn abilities_follow_from_the_configuration() {
    let bench = Bench::new();
    let made = bench
        .oauth(json!({
            "rotation": {"class": "none"},
            "serverConfig": {"authorization_details_types_supported": ["account"]},
        }))
        .await;
    let abilities = made.driver.abilities(&made.connector);
    assert_eq!(abilities.subjects, [SubjectKind::App, SubjectKind::User]);
    assert!(abilities.revocation && !abilities.installation && !abilities.old_access_dies);
    assert_eq!(abilities.rotation, Rotation::None);
    let user = abilities.user.unwrap();
    assert_eq!(user.scopes, Scopes::parse(["read"]).unwrap());
    assert!(
        user.refinement
            && user.resources.can_be_named()
            && !user.manual_credential
            && !user.cross_installation
    );
    assert_eq!(user.details, ["account"]);

    let more =
        json!({"clientCredentials": {"enabled": false}, "serverConfig": {"revocation_endpoint": null}});
    let made = bench.oauth(more).await;
    let abilities = made.driver.abilities(&made.connector);
    assert_eq!(abilities.subjects, [SubjectKind::User]);
    assert!(!abilities.revocation && abilities.app.is_none());
    assert_eq!(abilities.rotation, Rotation::Strict, "nothing said means the worst");

    assert_eq!(made.driver.idle(&made.connector), None);
    for (tokens, days) in [
        (json!({"idleDays": 30}), Some(30)),
        (json!({"enabled": true, "idleDays": 7}), Some(7)),
        (json!({"enabled": false, "idleDays": 7}), None),
    ] {
        let made = bench.oauth(json!({"refreshTokens": tokens})).await;
        let idle = days.map(|days| Duration::from_hours(24 * days));
        assert_eq!(made.driver.idle(&made.connector), idle, "{tokens}");
        assert_eq!(made.connector.data["refreshTokens"]["idleDays"], tokens["idleDays"]);
    }

    let mut broken = made.connector.clone();
    broken.data.clear();
    assert_eq!(driver(Oauth).abilities(&broken), Abilities::NONE);
}

#[tokio::test]
async fn a_client_is_refused_only_if_the_server_says_twice_that_it_does_not_know_it() {
    let refusal = |status: u16, code: &str| Reply::json(status, json!({"error": code}));
    let said = |words: &str| Reply::json(401, json!({"error": "invalid_client", "error_description": words}));
    for (first, second, field) in [
        (refusal(401, "invalid_client"), None, Some("clientSecret")),
        (refusal(400, "invalid_client"), None, Some("clientSecret")),
        (refusal(401, "access_denied"), None, Some("clientSecret")),
        (refusal(200, "incorrect_client_credentials"), None, Some("clientSecret")),
        (said("The client secret supplied is invalid."), None, Some("clientSecret")),
        (said("Unknown client_id"), None, Some("clientId")),
        (refusal(400, "invalid_client_id"), None, Some("clientId")),
        // One that calls a grant that is none by this name too.
        (refusal(400, "invalid_client"), Some(refusal(400, "invalid_grant")), None),
        (refusal(400, "invalid_client"), Some(refusal(503, "temporarily_unavailable")), None),
        (refusal(400, "invalid_grant"), None, None),
        (refusal(400, "invalid_request"), None, None),
        (refusal(400, "unauthorized_client"), None, None),
        (refusal(400, "unsupported_grant_type"), None, None),
        (refusal(400, "access_denied"), None, None),
        (refusal(401, "invalid_token"), None, None),
        (Reply::text(401, "text/plain", ""), None, None),
        (Reply::text(403, "text/html", "<html>"), None, None),
        (refusal(429, "invalid_client"), None, None),
        (refusal(500, "invalid_client"), None, None),
        (Reply::json(200, json!({"access_token": "at", "token_type": "Bearer"})), None, None),
        (Reply::HangUp, None, None),
        (Reply::Truncated, None, None),
    ] {
        let bench = Bench::new();
        let shown = format!("{first:?} {second:?}");
        bench.server.on("/token", first);
        if let Some(second) = second {
            bench.server.on("/token", second);
        }
        let accepted = bench.accept(Oauth, bench.oauth_data(json!({}))).await;
        let found = accepted.as_ref().err().map(|bad| bad.field.as_str());
        assert_eq!(found, field, "{shown}: {accepted:?}");
        if let Err(bad) = accepted {
            assert!(bad.why.contains("client_secret_post") && !bad.why.contains("s3cret"), "{bad}");
        }
    }
}

#[tokio::test]
async fn a_client_is_tried_as_it_will_prove_itself_and_with_nothing_that_could_be_a_grant() {
    let unknown = || Reply::json(401, json!({"error": "invalid_client"}));
    let bench = Bench { sees_trials: true, ..Bench::new() };
    bench.server.on("/token", unknown());
    bench.accept(Oauth, bench.oauth_data(json!({}))).await.unwrap_err();
    let [refresh, code] = &bench.server.seen()[..] else { panic!("it is asked twice") };
    assert_eq!(refresh.field("grant_type").as_deref(), Some("refresh_token"));
    assert_eq!(code.field("grant_type").as_deref(), Some("authorization_code"));
    assert_eq!(code.field("redirect_uri"), Some(format!("{BASE}/callback/{CONNECTOR}")));
    assert_eq!(code.field("client_secret").as_deref(), Some("s3cret"));

    // Notion takes JSON, and the secret in the header.
    let as_notion = json!({"tokenRequestFormat": "json", "tokenEndpointAuthMethod": "client_secret_basic"});
    let bad = bench.accept(Oauth, bench.oauth_data(as_notion)).await.unwrap_err();
    assert_eq!(bad.field, "clientSecret");
    let seen = bench.server.seen();
    let body: Value = serde_json::from_str(&seen[0].body).unwrap();
    assert_eq!(body, json!({"grant_type": "refresh_token", "refresh_token": "is-this-client-known"}));
    assert!(seen[0].header("authorization").is_some_and(|value| value.starts_with("Basic ")));

    // A client without a secret has nothing that could be wrong, and one that was registered here is the server's word.
    let public = json!({"clientSecret": null, "clientCredentials": {"enabled": false}});
    bench.accept(Oauth, bench.oauth_data(public)).await.unwrap();
    let registered =
        json!({"clientRegistration": {"clientId": "client", "method": "dynamic", "metadata": {}}});
    bench.accept(Oauth, bench.oauth_data(registered)).await.unwrap();
    assert_eq!(bench.server.seen(), []);
}
