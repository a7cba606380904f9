//! What the catalog says of services is something that the drivers take.

use std::collections::BTreeMap;

use carnet_catalog::{Ask, Catalog, ClientAuth, Entry, Method};
use carnet_egress::{Egress, Policy};
use carnet_model::SubjectKind;
use carnet_model::connector::ConnectorType;
use carnet_model::grant::Rotation;
use carnet_providers::driver;
use serde_json::{Map, Value, json};
use url::Url;

use crate::bench::{Bench, param};
use crate::server::Reply;

fn planned(entry: &Entry, method: &Method) -> Option<Map<String, Value>> {
    let is_public = method.oauth.as_ref().is_some_and(|oauth| oauth.client_auth == Some(ClientAuth::None));
    let brought = if is_public {
        json!({"clientId": "id"})
    } else if method.driver == ConnectorType::Oauth {
        json!({"clientId": "id", "clientSecret": "s3cret"})
    } else if method.keys.len() > 1 {
        let keys = method.keys.iter().map(|key| json!({"value": "k", "scope": key.name}));
        json!({"values": keys.collect::<Vec<_>>()})
    } else {
        json!({"values": [{"value": "k"}]})
    };
    let mut brought = brought;
    for need in &method.needs {
        let mut steps = need.as_str().split('.');
        let top = steps.next().unwrap();
        brought[top] = steps.fold("x".into(), |inner: Value, name| json!({name: inner}));
    }
    let params: BTreeMap<String, String> =
        method.fields().map(|field| (field.key.to_string(), field.example.clone())).collect();
    let ask = Ask {
        method: Some(method.method.to_string()),
        params,
        data: brought.as_object().unwrap().clone(),
        ..Ask::default()
    };
    entry.plan(&ask).ok().flatten().map(|plan| plan.data)
}

#[tokio::test]
async fn every_way_of_the_catalog_makes_a_connector() {
    let mut bench = Bench::new();
    let mut made = 0;
    for entry in Catalog::default().all().filter(|entry| !entry.hosts.is_empty()) {
        for method in &entry.methods {
            // What a server says about itself is found out only by asking it, and what a driver of its own needs is in its
            // own tests.
            let plain = [ConnectorType::Oauth, ConnectorType::ApiKey].contains(&method.driver);
            if !plain
                || method.oauth.as_ref().is_some_and(|oauth| oauth.server.is_some() || oauth.beyond.is_some())
            {
                continue;
            }
            let at = format!("{} {}", entry.slug, method.method);
            let data = planned(entry, method).unwrap_or_else(|| panic!("{at}"));
            // Whether a key is one is found out only by asking the service.
            if data.contains_key("probe")
                || data.get("installation").is_some_and(|one| one.get("probe").is_some())
            {
                continue;
            }
            // No secret of a test is tried at its service.
            bench.http = instead_of(&bench, &data.get("serverConfig").cloned().unwrap_or_default());
            let accepted = bench.accept_for(entry.slug.as_str(), method.driver, data.into()).await;
            let accepted = accepted.unwrap_or_else(|bad| panic!("{at}: {}: {}", bad.field, bad.why));
            assert!(
                accepted.secrets.is_empty()
                    == accepted.data.get("tokenEndpointAuthMethod").is_some_and(|auth| auth == "none"),
                "{at}"
            );
            made += 1;
        }
    }
    assert!(made >= 15, "{made}");
}

#[tokio::test]
async fn what_is_known_of_a_service_is_how_its_connector_behaves() {
    let catalog = Catalog::default();
    for (service, method, rotation, subjects) in [
        ("github", "github-app-user", Rotation::Strict, SubjectKind::User),
        ("google", "oauth", Rotation::None, SubjectKind::User),
        ("microsoft", "client-credentials", Rotation::Strict, SubjectKind::App),
        ("linear", "agent", Rotation::Strict, SubjectKind::App),
    ] {
        let entry = catalog.get(service).unwrap();
        let data = planned(entry, entry.method(method).unwrap()).unwrap();
        let bench = rerouted(&data["serverConfig"]);
        let connector = bench.connector(ConnectorType::Oauth, data.into()).await;
        let abilities = driver(ConnectorType::Oauth).abilities(&connector.connector);
        assert_eq!((abilities.rotation, abilities.subjects), (rotation, vec![subjects]), "{service}");
    }
}

/// A bench on which what would go to the addresses of `config` goes to the scripted server.
fn rerouted(config: &Value) -> Bench {
    let mut bench = Bench::new();
    bench.http = instead_of(&bench, config);
    bench
}

fn instead_of(bench: &Bench, config: &Value) -> Egress {
    let addresses = config.as_object().into_iter().flatten().filter_map(|(_, value)| value.as_str());
    let origins = addresses
        .filter_map(|text| Url::parse(text).ok())
        .map(|url| {
            (url.origin().ascii_serialization().parse().unwrap(), bench.server.origin.parse().unwrap())
        })
        .collect();
    Egress::new(Policy { loopback: true, origins, ..Policy::default() }).unwrap()
}

#[tokio::test]
async fn a_consent_runs_as_the_file_of_the_service_says() {
    let catalog = Catalog::default();
    for (service, method, page, scope, more, token, basic) in [
        (
            "linear",
            "oauth",
            "/oauth/authorize",
            Some("read,write"),
            ("prompt", "consent"),
            "/oauth/token",
            false,
        ),
        (
            "bitbucket",
            "oauth",
            "/site/oauth2/authorize",
            Some("account repository"),
            ("response_type", "code"),
            "/site/oauth2/access_token",
            true,
        ),
        ("notion", "oauth", "/v1/oauth/authorize", None, ("owner", "user"), "/v1/oauth/token", true),
        (
            "zendesk",
            "oauth",
            "/oauth/authorizations/new",
            Some("read tickets:write"),
            ("client_id", "id"),
            "/oauth/tokens",
            false,
        ),
        (
            "google",
            "oauth",
            "/o/oauth2/v2/auth",
            Some("email openid profile"),
            ("access_type", "offline"),
            "/token",
            false,
        ),
        (
            "okta",
            "custom-server",
            "/oauth2/default/v1/authorize",
            Some("offline_access openid profile"),
            ("code_challenge_method", "S256"),
            "/oauth2/default/v1/token",
            true,
        ),
        (
            "github",
            "github-app-user",
            "/login/oauth/authorize",
            None,
            ("code_challenge_method", "S256"),
            "/login/oauth/access_token",
            false,
        ),
        (
            "jira",
            "oauth",
            "/authorize",
            Some("offline_access read:jira-user read:jira-work write:jira-work"),
            ("audience", "api.atlassian.com"),
            "/oauth/token",
            false,
        ),
    ] {
        let entry = catalog.get(service).unwrap();
        let data = planned(entry, entry.method(method).unwrap()).unwrap();
        let bench = rerouted(&data["serverConfig"]);
        let made = bench.connector(ConnectorType::Oauth, data.into()).await;
        bench.server.seen();
        let scopes = driver(ConnectorType::Oauth).abilities(&made.connector).user.unwrap().scopes;
        let (url, kept) = made.begin(|ask| ask.scopes = Some(scopes)).await.unwrap();
        assert_eq!(url.as_str().split('?').next(), Some(format!("{}{page}", bench.server.origin).as_str()));
        assert_eq!(param(&url, "scope").as_deref(), scope, "{service}");
        assert_eq!(param(&url, more.0).as_deref(), Some(more.1), "{service}");

        let answer =
            json!({"access_token": "at", "token_type": "bearer", "refresh_token": "rt", "expires_in": 3600});
        bench.server.on(token, Reply::json(200, answer.clone()));
        bench.server.on("/graphql", Reply::json(200, json!({"data": {"viewer": {"id": "u"}}})));
        let held = made.finish("code=c", &kept).await.unwrap().held;
        bench.server.on(token, Reply::json(200, answer));
        made.refresh(&held, "").await.unwrap();
        let mut seen = bench.server.seen();
        seen.retain(|request| request.path != "/graphql");
        assert_eq!(seen.len(), 2, "{service}");
        for request in seen {
            assert_eq!(request.line(), format!("POST {token}"), "{service}");
            assert_eq!(request.header("authorization").is_some(), basic, "{service}");
            if service != "notion" {
                assert_eq!(request.field("client_secret").is_some(), !basic, "{service}");
            }
            assert_eq!(request.header("accept"), Some("application/json"), "{service}");
        }
    }
}
