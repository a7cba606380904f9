//! A directory of Microsoft Entra: a client without a secret, people and the application.

use carnet_model::connector::ConnectorType::MicrosoftEntra;
use carnet_model::grant::Rotation;
use carnet_model::{SubjectKind, Time};
use carnet_providers::{MintAsk, Revocation, jwks_url};
use serde_json::{Value, json};

use crate::bench::{BASE, Bench, CONNECTOR, Made, NOW, id_token, object, outcome, param, scopes_of};
use crate::key::PEM;
use crate::server::Reply;

const TENANT: &str = "11111111-2222-3333-4444-555555555555";
const CLIENT: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
const GRAPH: &str = "https://graph.microsoft.com/.default";

fn token() -> String {
    format!("/{TENANT}/oauth2/v2.0/token")
}

fn bench() -> Bench {
    let bench = Bench::instead_of(&["https://login.microsoftonline.com"]);
    let discovery = format!("/{TENANT}/v2.0/.well-known/openid-configuration");
    bench.server.on(&discovery, Reply::json(200, json!({"token_endpoint": "https://x"})));
    bench.server.on(&token(), Reply::json(200, json!({"access_token": "at", "expires_in": 3599})));
    bench
}

fn data(more: Value) -> Value {
    let mut data =
        json!({"tenantId": TENANT, "clientId": CLIENT, "userScopes": ["User.Read", "offline_access"]});
    data.as_object_mut().unwrap().extend(object(more));
    data
}

fn answers(bench: &Bench, reply: Reply) {
    bench.server.forget(&token());
    bench.server.on(&token(), reply);
}

async fn made(bench: &Bench, more: Value) -> Made<'_> {
    let made = bench.connector(MicrosoftEntra, data(more)).await;
    bench.server.seen();
    made
}

#[tokio::test]
async fn the_connector_says_what_entra_has_to_trust() {
    let bench = bench();
    let accepted = bench.accept(MicrosoftEntra, data(json!({}))).await.unwrap();
    let credential = json!({"issuer": jwks_url(BASE, CONNECTOR), "subject": format!("connector:{CONNECTOR}"),
        "audience": "api://AzureADTokenExchange"});
    assert_eq!(accepted.data["federatedCredential"], credential);
    assert_eq!(
        accepted.data["adminConsentUrl"],
        format!("https://login.microsoftonline.com/{TENANT}/adminconsent?client_id={CLIENT}")
    );
    assert!(accepted.secrets.is_empty());
    assert_eq!(bench.accept(MicrosoftEntra, accepted.data.clone().into()).await.unwrap().data, accepted.data);
    // With a secret nothing has to be trusted, and back again.
    let secret = bench.accept(MicrosoftEntra, data(json!({"clientSecret": "s3cret"}))).await.unwrap();
    assert_eq!(secret.data.get("federatedCredential"), None);
    assert_eq!(bench.accept(MicrosoftEntra, secret.data.into()).await.unwrap().data, accepted.data);
    for (more, field) in [
        (json!({"tenantId": null}), "tenantId"),
        (json!({"tenantId": "common"}), "tenantId"),
        (json!({"tenantId": "acme.onmicrosoft.com"}), "tenantId"),
        (json!({"tenantId": "11111111-2222-3333-4444-555555555556"}), "tenantId"),
        (json!({"clientId": "broker"}), "clientId"),
        (json!({"appScopes": ["User.Read"]}), "appScopes"),
        (json!({"appScopes": [GRAPH, "https://vault.azure.net/.default"]}), "appScopes"),
        (json!({"appScopes": [], "userScopes": []}), "userScopes"),
        (json!({"serverUrl": "https://x"}), "serverUrl"),
    ] {
        let refused = bench.accept(MicrosoftEntra, data(more.clone())).await.unwrap_err();
        assert_eq!(refused.field, field, "{more}: {refused}");
    }
}

#[tokio::test]
async fn the_application_proves_itself_by_what_the_connectors_key_signs() {
    let bench = bench();
    let made = made(&bench, json!({})).await;
    let abilities = made.driver.abilities(&made.connector);
    assert_eq!(abilities.subjects, [SubjectKind::App, SubjectKind::User]);
    assert!(abilities.signs.is_some());
    assert_eq!((abilities.rotation, abilities.revocation), (Rotation::None, false));
    answers(
        &bench,
        Reply::json(200, json!({"access_token": "eyJ", "expires_in": 3599, "token_type": "Bearer"})),
    );
    let minted = made.app(GRAPH).await.unwrap();
    assert_eq!(minted.expires_at, Some(Time::from_secs(NOW + 3599)));
    assert_eq!(Value::Object(minted.metadata), json!({"tenantId": TENANT}));
    let seen = bench.server.only();
    assert_eq!(
        (seen.field("scope").as_deref(), seen.field("client_id").as_deref()),
        (Some(GRAPH), Some(CLIENT))
    );
    assert_eq!(seen.field("client_secret"), None);
    let mut claims = made.key.claims(&seen.field("client_assertion").unwrap());
    claims.as_object_mut().unwrap().remove("jti");
    assert_eq!(
        claims,
        json!({"iss": jwks_url(BASE, CONNECTOR), "sub": format!("connector:{CONNECTOR}"),
            "aud": "api://AzureADTokenExchange", "iat": NOW - 10, "exp": NOW + 290})
    );
    let error = |code: &str, words: &str| {
        Reply::json(400, json!({"error": code, "error_description": words, "error_codes": [1]}))
    };
    for (reply, want) in [
        (error("invalid_request", "AADSTS70021: No matching federated identity record found"), "later 60s"),
        (error("invalid_client", "AADSTS700211: No matching federated identity record found"), "later 60s"),
        (
            error("invalid_client", "AADSTS7000215: Invalid client secret provided."),
            "client rejected invalid_client",
        ),
        (
            error("invalid_scope", "AADSTS70011: The provided value for scope is not valid"),
            "refused invalid_scope",
        ),
        (Reply::json(429, json!({})).with("retry-after", "12"), "later 12s"),
        (Reply::text(200, "text/html", "<html>"), "garbage in doubt"),
    ] {
        answers(&bench, reply.clone());
        assert_eq!(outcome(&made.app(GRAPH).await), want, "{reply:?}");
    }
    bench.server.seen();
    let ask = MintAsk::App {
        scopes: None,
        resources: vec![],
        audience: vec!["https://graph.microsoft.com".into()],
        details: vec![],
        installation: None,
    };
    assert_eq!(outcome(&made.driver.mint(&made.at(), None, &ask).await), "unsupported");
    assert_eq!(bench.server.seen(), []);
}

#[tokio::test]
async fn people_of_the_directory_consent_and_their_refresh_tokens_stay_in_it() {
    let bench = bench();
    let made = made(&bench, json!({"clientSecret": "s3cret"})).await;
    let (url, kept) = made.begin(|ask| ask.scopes = scopes_of("User.Read offline_access")).await.unwrap();
    assert_eq!(url.path(), format!("/{TENANT}/oauth2/v2.0/authorize"));
    assert_eq!(
        param(&url, "code_challenge_method").as_deref(),
        Some("S256"),
        "without it Entra takes the verifier as it is"
    );
    answers(
        &bench,
        Reply::json(
            200,
            json!({"access_token": "at", "refresh_token": "rt1", "expires_in": 3599, "scope": "User.Read", "token_type": "Bearer"}),
        ),
    );
    let granted = made.finish("code=c&session_state=x", &kept).await.unwrap();
    assert_eq!(bench.server.only().field("client_secret").as_deref(), Some("s3cret"));
    answers(
        &bench,
        Reply::json(
            200,
            json!({"access_token": "at2", "refresh_token": "rt2", "expires_in": 3599, "token_type": "Bearer"}),
        ),
    );
    let minted = made.refresh(&granted.held, "").await.unwrap();
    assert_eq!(minted.held.unwrap().refresh().map(|rt| rt.expose().as_str()), Some("rt2"));
    answers(
        &bench,
        Reply::json(
            400,
            json!({"error": "invalid_grant", "suberror": "consent_required", "error_description": "AADSTS65001"}),
        ),
    );
    assert_eq!(outcome(&made.refresh(&granted.held, "").await), "gone interaction_required");
    for (words, want) in [
        ("AADSTS700082: The refresh token has expired due to inactivity.", "gone expired"),
        ("AADSTS70008: The provided authorization code or refresh token has expired.", "gone expired"),
        ("AADSTS50173: The provided grant has expired due to it being revoked.", "gone revoked_at_provider"),
    ] {
        answers(&bench, Reply::json(400, json!({"error": "invalid_grant", "error_description": words})));
        assert_eq!(outcome(&made.refresh(&granted.held, "").await), want, "{words}");
    }
    assert_eq!(made.driver.revoke(&made.at(), &granted.held).await.unwrap(), Revocation::NotSupported);
}

#[tokio::test]
async fn a_person_is_known_by_what_the_rest_of_microsoft_knows_them_by() {
    let bench = bench();
    let made =
        made(&bench, json!({"clientSecret": "s3cret", "userScopes": ["openid", "offline_access"]})).await;
    for (tenant, want) in [(TENANT, "ok"), ("11111111-2222-3333-4444-555555555556", "garbage in doubt")] {
        let (url, kept) = made.begin(|ask| ask.scopes = scopes_of("openid offline_access")).await.unwrap();
        let issuer = format!("https://login.microsoftonline.com/{tenant}/v2.0");
        let claims = json!({"iss": issuer, "aud": CLIENT, "sub": "pairwise", "nonce": param(&url, "nonce").unwrap(),
            "exp": NOW + 3600, "oid": "o1", "tid": tenant, "preferred_username": "ada@acme.example", "ver": "2.0"});
        let body = json!({"access_token": "at", "refresh_token": "rt", "expires_in": 3599, "id_token": id_token(&claims)});
        answers(&bench, Reply::json(200, body));
        let granted = made.finish("code=c", &kept).await;
        assert_eq!(outcome(&granted), want, "{tenant}");
        if let Ok(granted) = granted {
            assert_eq!(granted.external_subject.as_deref(), Some("pairwise"));
            assert_eq!(
                Value::Object(granted.held.claims()),
                json!({"oid": "o1", "tid": TENANT, "preferred_username": "ada@acme.example"})
            );
        }
    }
}

#[tokio::test]
async fn the_application_proves_itself_by_a_certificate_that_it_has() {
    let bench = bench();
    let (certificate, thumbprint) = PEM.certificate();
    let by_certificate = |more: Value| {
        let mut whole = data(json!({"certificatePem": certificate, "privateKeyPem": PEM.text}));
        whole.as_object_mut().unwrap().extend(object(more));
        whole
    };
    let accepted = bench.accept(MicrosoftEntra, by_certificate(json!({}))).await.unwrap();
    let tried = bench.server.seen().pop().unwrap();
    assert!(tried.field("client_assertion").is_some(), "what proves it is tried");
    assert_eq!(
        accepted.data["certificatePem"].as_str().map(str::trim),
        Some(certificate.replace('\r', "").trim())
    );
    assert_eq!((accepted.data.get("federatedCredential"), accepted.data.get("hasSecret")), (None, None));
    assert!(accepted.secrets.at("/privateKeyPem").is_some());
    let mut again = accepted.data.clone();
    again.insert("privateKeyPem".to_owned(), PEM.text.clone().into());
    assert_eq!(bench.accept(MicrosoftEntra, again.into()).await.unwrap().data, accepted.data);

    let made = bench.connector(MicrosoftEntra, by_certificate(json!({}))).await;
    bench.server.seen();
    let abilities = made.driver.abilities(&made.connector);
    assert_eq!(abilities.signs, None, "the key came with the configuration");
    made.app(GRAPH).await.unwrap();
    let seen = bench.server.only();
    assert_eq!((seen.field("client_id").as_deref(), seen.field("client_secret")), (Some(CLIENT), None));
    let (head, mut claims) = PEM.read_pss(&seen.field("client_assertion").unwrap());
    assert_eq!(head, json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}));
    claims.as_object_mut().unwrap().remove("jti");
    let audience = format!("https://login.microsoftonline.com{}", token());
    assert_eq!(
        claims,
        json!({"iss": CLIENT, "sub": CLIENT, "aud": audience, "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 290})
    );
    // People, too.
    let (_, kept) = made.begin(|ask| ask.scopes = scopes_of("User.Read offline_access")).await.unwrap();
    let body =
        json!({"access_token": "at", "refresh_token": "rt1", "expires_in": 3599, "token_type": "Bearer"});
    answers(&bench, Reply::json(200, body));
    made.finish("code=c", &kept).await.unwrap();
    PEM.read_pss(&bench.server.only().field("client_assertion").unwrap());

    let other = rcgen::KeyPair::generate().unwrap();
    let other =
        rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap().self_signed(&other).unwrap().pem();
    for (more, field) in [
        (json!({"certificatePem": other}), "certificatePem"),
        (json!({"certificatePem": PEM.text}), "certificatePem"),
        (json!({"certificatePem": format!("{certificate}{}", PEM.text)}), "certificatePem"),
        (json!({"certificatePem": "x"}), "certificatePem"),
        (json!({"certificatePem": null}), "certificatePem"),
        (json!({"clientSecret": "s3cret"}), "certificatePem"),
        (json!({"privateKeyPem": null}), "privateKeyPem"),
        (json!({"privateKeyPem": "x"}), "privateKeyPem"),
    ] {
        let refused = bench.accept(MicrosoftEntra, by_certificate(more)).await.unwrap_err();
        assert_eq!(refused.field, field, "{refused}");
    }
    for (code, words, field) in [
        (
            "invalid_client",
            "AADSTS700027: The certificate with identifier used to sign is not registered",
            "certificatePem",
        ),
        ("unauthorized_client", "AADSTS700016: Application was not found in the directory", "clientId"),
        ("invalid_scope", "AADSTS70011: The provided value for scope is not valid", "appScopes"),
    ] {
        answers(&bench, Reply::json(400, json!({"error": code, "error_description": words})));
        let refused = bench.accept(MicrosoftEntra, by_certificate(json!({}))).await.unwrap_err();
        assert_eq!(refused.field, field, "{refused}");
    }
}
