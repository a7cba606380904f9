//! A person goes to the server and comes back.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use carnet_egress::{Egress, Policy};
use carnet_model::Time;
use carnet_providers::{Callback, CallbackFault, DriverError};
use serde_json::{Value, json};

use crate::bench::{Bench, CONNECTOR, NOW, STATE, id_token, outcome, param, query, scopes_of};
use crate::server::Reply;

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn the_person_is_sent_with_exactly_these_parameters() {
    let bench = Bench::new();
    let made = bench.oauth(json!({})).await;
    let (url, kept) = made.begin(|ask| ask.scopes = scopes_of("write read")).await.unwrap();
    assert_eq!(url.as_str().split('?').next(), Some(format!("{}/authorize", bench.server.origin).as_str()));
    let verifier = kept.verifier.as_ref().unwrap().expose();
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    assert_eq!(
        query(&url),
        pairs(&[
            ("response_type", "code"),
            ("client_id", "client"),
            ("redirect_uri", &format!("https://carnet.example/callback/{CONNECTOR}")),
            ("state", STATE),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("scope", "read write"),
        ])
    );
    assert!((43..=128).contains(&verifier.len()));
    assert_eq!((kept.issuer.as_deref(), kept.nonce.is_some()), (Some(bench.server.origin.as_str()), false));
    assert_eq!(bench.server.seen(), [], "the first step speaks to nobody");
}

#[tokio::test]
async fn pkce_is_always_s256_and_every_consent_has_its_own_verifier() {
    let bench = Bench::new();
    let mut challenges = std::collections::BTreeSet::new();
    for more in [
        json!({}),
        json!({"pkceRequired": false}),
        json!({"pkceRequired": false, "serverConfig": {"code_challenge_methods_supported": ["plain"]}}),
        json!({"clientSecret": null, "clientCredentials": null}),
    ] {
        let made = bench.oauth(more).await;
        for _ in 0..5 {
            let (url, _) = made.begin(|_| ()).await.unwrap();
            assert_eq!(param(&url, "code_challenge_method").as_deref(), Some("S256"));
            let challenge = param(&url, "code_challenge").unwrap();
            assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(&challenge).unwrap().len(), 32);
            challenges.insert(challenge);
        }
    }
    assert_eq!(challenges.len(), 20);
}

#[tokio::test]
async fn what_is_asked_configured_and_the_protocols_own_never_collide() {
    let bench = Bench::new();
    let made = bench
        .oauth(json!({
            "scopeSeparator": ",",
            "defaultAudience": "default",
            "authorizationUrlParams": {"access_type": "offline", "prompt": "login", "audience": "configured"},
            "serverConfig": {
                "authorization_endpoint": format!("{}/authorize?tenant=t", bench.server.origin),
                "authorization_details_types_supported": ["account"],
            },
        }))
        .await;
    let (url, kept) = made
        .begin(|ask| {
            ask.scopes = scopes_of("openid read");
            ask.resources = vec!["https://a.example/x".into(), "https://b.example".into()];
            ask.details = vec![json!({"type": "account", "id": 7})];
            ask.prompt = Some("consent".into());
            ask.login_hint = Some("alice@acme".into());
            ask.additional_params.insert("access_type".into(), "online".into());
            ask.additional_params.insert("hd".into(), "acme & co".into());
        })
        .await
        .unwrap();
    let all = query(&url);
    let values =
        |name: &str| all.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect::<Vec<_>>();
    assert_eq!(values("tenant"), ["t"]);
    assert_eq!(values("scope"), ["openid,read"]);
    assert_eq!(values("resource"), ["https://a.example/x", "https://b.example"]);
    assert_eq!(values("audience"), ["default"]);
    assert_eq!(values("authorization_details"), [r#"[{"id":7,"type":"account"}]"#]);
    assert_eq!(values("prompt"), ["consent"]);
    assert_eq!(values("login_hint"), ["alice@acme"]);
    assert_eq!(values("access_type"), ["online"]);
    assert_eq!(values("hd"), ["acme & co"]);
    assert_eq!(values("nonce"), [kept.nonce.as_ref().unwrap().expose()]);
    assert_eq!(kept.resources.len(), 2);

    let (url, _) = made.begin(|ask| ask.audience = vec!["one".into(), "two".into()]).await.unwrap();
    let asked: Vec<_> =
        query(&url).into_iter().filter(|(name, _)| name == "audience").map(|(_, v)| v).collect();
    assert_eq!(asked, ["one", "two"]);
    assert_eq!(param(&url, "scope"), None);
}

#[tokio::test]
async fn what_the_server_could_misread_is_not_sent() {
    let bench = Bench::new();
    let made = bench.oauth(json!({})).await;
    for name in
        ["client_id", "redirect_uri", "state", "code_challenge", "response_mode", "request_uri", "resource"]
    {
        let got = made.begin(|ask| drop(ask.additional_params.insert(name.into(), "x".into()))).await;
        assert_eq!(outcome(&got), "unsupported", "{name}");
    }
    for resource in ["", "api", "/api", "https://a.example/#f", "https://a.example/\n"] {
        let got = made.begin(|ask| ask.resources = vec![resource.into()]).await;
        assert_eq!(outcome(&got), "unsupported", "{resource:?}");
    }
    for detail in [json!({"type": "account"}), json!({}), json!("account")] {
        let got = made.begin(|ask| ask.details = vec![detail.clone()]).await;
        assert_eq!(outcome(&got), "unsupported", "{detail}: the server does not say that it knows this type");
    }
    let made = bench.oauth(json!({"userAuthorization": {"enabled": false}})).await;
    assert_eq!(outcome(&made.begin(|_| ()).await), "unsupported");
}

#[tokio::test]
async fn a_browser_is_sent_where_the_development_server_reroutes_it() {
    let mut bench = Bench::new();
    let made_at = bench.server.origin.clone();
    let origins = vec![(made_at.parse().unwrap(), "http://127.0.0.1:9".parse().unwrap())];
    let accepted = bench
        .accept(carnet_model::connector::ConnectorType::Oauth, bench.oauth_data(json!({})))
        .await
        .unwrap();
    bench.http = Egress::new(Policy { loopback: true, origins, ..Policy::default() }).unwrap();
    let made = crate::bench::Made::new(&bench, carnet_model::connector::ConnectorType::Oauth, accepted);
    let (url, kept) = made.begin(|_| ()).await.unwrap();
    assert!(url.as_str().starts_with("http://127.0.0.1:9/authorize?"), "{url}");
    assert_eq!(kept.issuer.as_deref(), Some(made_at.as_str()), "the issuer is still the real one");
}

#[tokio::test]
async fn a_code_is_redeemed_with_exactly_these_fields() {
    let bench = Bench::new();
    let token =
        json!({"access_token": "at", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "rt"});
    bench.server.on("/token", Reply::json(200, token));
    let basic = |id_and_secret: &str| {
        use base64::prelude::BASE64_STANDARD;
        Some(format!("Basic {}", BASE64_STANDARD.encode(id_and_secret)))
    };
    for (more, authorization, last) in [
        (
            json!({"tokenEndpointAuthMethod": "client_secret_post"}),
            None,
            vec![("client_id", "client"), ("client_secret", "s3cret")],
        ),
        (json!({"tokenEndpointAuthMethod": "client_secret_basic"}), basic("client:s3cret"), vec![]),
        (
            json!({"tokenEndpointAuthMethod": "client_secret_basic", "clientId": "a:b c", "clientSecret": "p%+/&="}),
            basic("a%3Ab+c:p%25%2B%2F%26%3D"),
            vec![],
        ),
        (
            json!({"tokenEndpointAuthMethod": "none", "clientSecret": null, "clientCredentials": null}),
            None,
            vec![("client_id", "client")],
        ),
        (json!({"clientSecret": null, "clientCredentials": null}), None, vec![("client_id", "client")]),
        // Described by hand without a method: in the form.
        (json!({}), None, vec![("client_id", "client"), ("client_secret", "s3cret")]),
        (
            json!({"serverConfig": {"token_endpoint_auth_methods_supported":
                ["private_key_jwt", "client_secret_basic", "client_secret_post"]}}),
            basic("client:s3cret"),
            vec![],
        ),
        (
            json!({"serverConfig": {"token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"]}}),
            None,
            vec![("client_id", "client"), ("client_secret", "s3cret")],
        ),
        (
            json!({"serverConfig": {"token_endpoint_auth_methods_supported": ["client_secret_post"]}}),
            None,
            vec![("client_id", "client"), ("client_secret", "s3cret")],
        ),
    ] {
        let made = bench.oauth(more.clone()).await;
        let resource = "https://api.example/v1";
        let (_, kept) = made.begin(|ask| ask.resources = vec![resource.into()]).await.unwrap();
        made.finish(&format!("code=c%2F1&state={STATE}"), &kept).await.unwrap();
        let seen = bench.server.only();
        assert_eq!(seen.line(), "POST /token");
        assert_eq!(seen.header("accept"), Some("application/json"));
        assert_eq!(seen.header("authorization").map(str::to_owned), authorization, "{more}");
        let mut want = vec![
            ("grant_type", "authorization_code"),
            ("code", "c/1"),
            ("redirect_uri", made.redirect_uri.as_str()),
            ("code_verifier", kept.verifier.as_ref().unwrap().expose()),
            ("resource", resource),
        ];
        want.extend(last);
        assert_eq!(seen.form(), pairs(&want), "{more}");
    }
}

#[tokio::test]
async fn a_discovered_server_that_lists_no_method_means_basic() {
    let bench = Bench::new();
    let issuer = bench.server.origin.clone();
    let metadata = json!({"issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token")});
    bench.server.on("/.well-known/oauth-authorization-server", Reply::json(200, metadata));
    let accepted = bench
        .accept(
            carnet_model::connector::ConnectorType::Oauth,
            json!({"clientId": "c", "clientSecret": "s", "serverUrl": issuer}),
        )
        .await
        .unwrap();
    assert_eq!(accepted.data["tokenEndpointAuthMethod"], json!("client_secret_basic"));
}

#[tokio::test]
async fn a_grant_holds_what_the_server_gave() {
    let bench = Bench::new();
    let made = bench.oauth(json!({})).await;
    for (answer, scopes, access_ends, refresh, refresh_ends) in [
        (
            json!({"access_token": "at", "expires_in": 3600, "refresh_token": "rt", "scope": "read"}),
            "read",
            Some(NOW + 3600),
            Some("rt"),
            None,
        ),
        (json!({"access_token": "at", "expires_in": "60"}), "read write", Some(NOW + 60), None, None),
        (json!({"access_token": "at"}), "read write", None, None, None),
        (
            json!({"access_token": "at", "refresh_token": "rt", "refresh_token_expires_in": 100, "scope": "read,write,more"}),
            "read write more",
            // Nobody says when it ends, and it can be had anew.
            Some(NOW + 900),
            Some("rt"),
            Some(NOW + 100),
        ),
        // Ten years are the most that is believed.
        (
            json!({"access_token": "at", "expires_in": 9_999_999_999_u64}),
            "read write",
            Some(NOW + 315_360_000),
            None,
            None,
        ),
    ] {
        bench.server.on("/token", Reply::json(200, &answer));
        let (_, kept) = made.begin(|ask| ask.scopes = scopes_of("read write")).await.unwrap();
        let granted = made.finish("code=c", &kept).await.unwrap();
        assert_eq!(granted.scopes, scopes_of(scopes), "{answer}");
        assert_eq!(granted.access_expires_at, access_ends.map(Time::from_secs), "{answer}");
        assert_eq!(granted.refresh_expires_at, refresh_ends.map(Time::from_secs), "{answer}");
        assert_eq!(granted.held.refresh().map(|t| t.expose().as_str()), refresh, "{answer}");
        let access = granted.held.access().unwrap();
        assert_eq!((access.token.expose().as_str(), access.expires_at), ("at", granted.access_expires_at));
        assert_eq!(access.scopes, granted.scopes);
        assert_eq!(granted.external_subject, None);
        bench.server.forget("/token");
    }
}

#[tokio::test]
async fn the_configured_life_stands_in_for_a_missing_one_and_unwanted_refresh_tokens_are_not_kept() {
    let bench = Bench::new();
    let made = bench.oauth(json!({"defaultTokenExpiresIn": 600, "refreshTokens": {"enabled": false}})).await;
    bench.server.on("/token", Reply::json(200, json!({"access_token": "at", "refresh_token": "rt"})));
    let (_, kept) = made.begin(|_| ()).await.unwrap();
    let granted = made.finish("code=c", &kept).await.unwrap();
    assert_eq!(granted.access_expires_at, Some(Time::from_secs(NOW + 600)));
    assert!(granted.held.refresh().is_none());
    assert_eq!(granted.scopes, None, "nothing was asked and nothing said");
}

#[tokio::test]
async fn a_mixed_up_answer_is_refused_before_anything_is_sent_or_believed() {
    let bench = Bench::new();
    let promised =
        bench.oauth(json!({"serverConfig": {"authorization_response_iss_parameter_supported": true}})).await;
    let silent = bench.oauth(json!({})).await;
    let right = format!("iss={}", bench.server.origin);
    for (made, query, want) in [
        (&promised, "code=c&iss=https://evil.example".to_owned(), "callback MixUp"),
        (&promised, format!("code=c&{right}/"), "callback MixUp"),
        (&promised, "code=c".to_owned(), "callback IssuerMissing"),
        (&promised, "error=access_denied".to_owned(), "callback IssuerMissing"),
        (&promised, "error=access_denied&iss=https://evil.example".to_owned(), "callback MixUp"),
        (&promised, format!("error=access_denied&{right}"), "denied"),
        (&silent, "code=c&iss=https://evil.example".to_owned(), "callback MixUp"),
        (&silent, "error=access_denied".to_owned(), "denied"),
        (&silent, "error=invalid_scope&error_description=x".to_owned(), "refused invalid_scope"),
        (&silent, "error=temporarily_unavailable".to_owned(), "later"),
        (&silent, String::new(), "callback MissingCode"),
        (&silent, "code=c&code=d".to_owned(), "callback Repeated(\"code\")"),
    ] {
        let (_, kept) = made.begin(|_| ()).await.unwrap();
        assert_eq!(outcome(&made.finish(&query, &kept).await), want, "{query}");
    }
    assert_eq!(bench.server.seen(), []);

    bench.server.on("/token", Reply::json(200, json!({"access_token": "at"})));
    let (_, kept) = promised.begin(|_| ()).await.unwrap();
    assert_eq!(outcome(&promised.finish(&format!("code=c&{right}"), &kept).await), "ok");
}

#[tokio::test]
async fn a_consent_that_began_at_another_server_is_void() {
    let bench = Bench::new();
    let made = bench.oauth(json!({})).await;
    let (_, mut kept) = made.begin(|_| ()).await.unwrap();
    kept.issuer = Some("https://before.example".into());
    let got = made.finish("code=c", &kept).await;
    assert!(matches!(got, Err(DriverError::Callback(CallbackFault::ServerChanged))));
    let pasted = Callback::Pasted { key: "k".to_owned().into() };
    let got = made.driver.finish(&made.at(), &pasted, &kept).await;
    assert!(matches!(got, Err(DriverError::Callback(CallbackFault::Unexpected))));
    assert_eq!(bench.server.seen(), []);
}

#[tokio::test]
async fn an_id_token_says_who_the_person_is_and_only_listed_claims_are_kept() {
    let bench = Bench::new();
    let made = bench.oauth(json!({"forwardedClaims": {"idToken": ["email", "hd"]}})).await;
    let (_, kept) = made.begin(|ask| ask.scopes = scopes_of("openid")).await.unwrap();
    let nonce = kept.nonce.as_ref().unwrap().expose();
    let sound = json!({"iss": bench.server.origin, "aud": "client", "sub": "alice", "exp": NOW + 300,
        "nonce": nonce, "email": "a@b", "name": "Alice", "picture": "x"});
    let answer =
        |claims: &Value| Reply::json(200, json!({"access_token": "at", "id_token": id_token(claims)}));
    bench.server.on("/token", answer(&sound));
    bench.server.on("/revoke", Reply::json(200, "{}"));
    let granted = made.finish("code=c", &kept).await.unwrap();
    assert_eq!(granted.external_subject.as_deref(), Some("alice"));
    assert_eq!(granted.name.as_deref(), Some("Alice"));
    assert_eq!(Value::Object(granted.held.claims()), json!({"email": "a@b"}));

    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("other")),
        ("azp", json!("other")),
        ("nonce", json!("replayed")),
        ("nonce", json!(null)),
        ("exp", json!(NOW - 61)),
        ("sub", json!(null)),
    ] {
        let mut claims = sound.clone();
        claims[name] = value.clone();
        bench.server.forget("/token");
        bench.server.on("/token", answer(&claims));
        bench.server.seen();
        assert_eq!(outcome(&made.finish("code=c", &kept).await), "garbage in doubt", "{name} {value}");
        let revoked = bench.server.seen().into_iter().filter(|seen| seen.path == "/revoke");
        let revoked: Vec<_> = revoked.map(|seen| seen.field("token")).collect();
        assert_eq!(revoked, [Some("at".to_owned())], "nobody will use it: {name} {value}");
    }
    bench.server.forget("/token");
    bench.server.on("/token", Reply::json(200, json!({"access_token": "at", "id_token": "nonsense"})));
    assert_eq!(outcome(&made.finish("code=c", &kept).await), "garbage in doubt");
}

#[tokio::test]
async fn without_a_known_issuer_an_id_token_is_not_read() {
    let bench = Bench::new();
    let made = bench.oauth(json!({"serverConfig": {"issuer": null}})).await;
    let (_, kept) = made.begin(|_| ()).await.unwrap();
    bench.server.on("/token", Reply::json(200, json!({"access_token": "at", "id_token": "nonsense"})));
    let granted = made.finish("code=c&iss=https://whoever.example", &kept).await.unwrap();
    assert_eq!(granted.external_subject, None);
}
