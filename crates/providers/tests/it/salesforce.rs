//! A Salesforce connected app: people, the application, asserted users; where a token is good.

use carnet_model::connector::ConnectorType::Salesforce;
use carnet_model::grant::Rotation;
use carnet_model::{SubjectKind, Time};
use carnet_providers::{Asserted, DriverError, MintAsk, Minted, Revocation};
use serde_json::{Value, json};

use crate::bench::{Bench, Made, NOW, object, outcome, param, scopes_of};
use crate::key::PEM;
use crate::server::Reply;

const TOKEN: &str = "/services/oauth2/token";
const INTROSPECT: &str = "/services/oauth2/introspect";
const DISCOVERY: &str = "/.well-known/openid-configuration";

fn bench() -> Bench {
    let hosts =
        ["https://login.salesforce.com", "https://test.salesforce.com", "https://acme.my.salesforce.com"];
    let bench = Bench::instead_of(&hosts);
    bench.server.on(DISCOVERY, Reply::json(200, json!({"token_endpoint": "https://x"})));
    // While a connector is made, an app of people is tried with a code that is none.
    bench.server.on(TOKEN, refused_code());
    bench
}

/// What Salesforce answers: no `expires_in`, and where the token is good.
fn given(more: Value) -> Reply {
    let mut body = json!({"access_token": "00Dxx!at", "instance_url": "https://acme.my.salesforce.com",
        "id": "https://login.salesforce.com/id/00Dxx/005xx", "issued_at": "1800000000000", "signature": "sig",
        "scope": "api refresh_token", "token_type": "Bearer"});
    body.as_object_mut().unwrap().extend(object(more));
    Reply::json(200, body)
}

fn refused_code() -> Reply {
    Reply::json(400, json!({"error": "invalid_grant", "error_description": "invalid authorization code"}))
}

fn answers(bench: &Bench, path: &str, reply: Reply) {
    bench.server.forget(path);
    bench.server.on(path, reply);
}

fn people(more: Value) -> Value {
    let mut data = json!({"consumerKey": "3MVG9", "consumerSecret": "s3cret", "loginHost": "login.salesforce.com",
        "userScopes": ["api", "refresh_token"]});
    data.as_object_mut().unwrap().extend(object(more));
    data
}

fn by_key(more: Value) -> Value {
    let mut data = json!({"consumerKey": "3MVG9", "loginHost": "test.salesforce.com", "privateKeyPem": PEM.text,
        "appUsername": "bot@acme.example", "assertableUsernames": ["*@acme.example"]});
    data.as_object_mut().unwrap().extend(object(more));
    data
}

async fn made(bench: &Bench, data: Value) -> Made<'_> {
    let has_app = data["clientCredentials"] == true || !data["appUsername"].is_null();
    answers(bench, TOKEN, if has_app { given(json!({})) } else { refused_code() });
    let made = bench.connector(Salesforce, data).await;
    answers(bench, TOKEN, given(json!({})));
    bench.server.seen();
    made
}

async fn assert_for(made: &Made<'_>, sub: &str) -> Result<Minted, DriverError> {
    let who = Asserted { sub: sub.to_owned(), iss: None, aud: None, claims: object(json!({})) };
    let ask = MintAsk::Asserted { who, scopes: None, resources: vec![], audience: vec![], details: vec![] };
    made.driver.mint(&made.at(), None, &ask).await
}

#[tokio::test]
async fn what_cannot_work_is_refused_with_the_field_that_is_wrong() {
    let bench = bench();
    for (data, field) in [
        (people(json!({"consumerKey": null})), "consumerKey"),
        (people(json!({"loginHost": null})), "loginHost"),
        (people(json!({"loginHost": "https://login.salesforce.com"})), "loginHost"),
        (people(json!({"loginHost": "acme.lightning.force.com"})), "loginHost"),
        (people(json!({"loginHost": "evil.example"})), "loginHost"),
        (people(json!({"loginHost": "evil.example/.my.salesforce.com"})), "loginHost"),
        (people(json!({"loginHost": "a.b.c.my.salesforce.com"})), "loginHost"),
        (people(json!({"userScopes": []})), "userScopes"),
        (people(json!({"clientCredentials": true})), "clientCredentials"),
        (people(json!({"sessionSeconds": 60})), "sessionSeconds"),
        (people(json!({"clientSecret": "x"})), "clientSecret"),
        (by_key(json!({"privateKeyPem": null})), "privateKeyPem"),
        (by_key(json!({"privateKeyPem": "x"})), "privateKeyPem"),
        (by_key(json!({"clientCredentials": true})), "appUsername"),
    ] {
        let refused = bench.accept(Salesforce, data.clone()).await.unwrap_err();
        assert_eq!(refused.field, field, "{data}: {refused}");
    }
    let error =
        |code: &str, words: &str| Reply::json(400, json!({"error": code, "error_description": words}));
    for (reply, field) in [
        (error("invalid_client_id", "client identifier invalid"), "consumerKey"),
        (error("invalid_grant", "user hasn't approved this consumer"), "appUsername"),
        (error("invalid_grant", "audience is invalid"), "loginHost"),
        (error("invalid_grant", "invalid assertion"), "privateKeyPem"),
        (given(json!({"instance_url": "https://evil.example"})), "loginHost"),
        (Reply::HangUp, "loginHost"),
    ] {
        answers(&bench, TOKEN, reply.clone());
        let refused = bench.accept(Salesforce, by_key(json!({}))).await.unwrap_err();
        assert_eq!(refused.field, field, "{reply:?}: {refused}");
    }
    answers(&bench, TOKEN, error("invalid_client", "invalid client credentials"));
    let data = people(json!({"clientCredentials": true, "loginHost": "acme.my.salesforce.com"}));
    assert_eq!(bench.accept(Salesforce, data).await.unwrap_err().field, "consumerSecret");
    answers(&bench, DISCOVERY, Reply::text(404, "text/html", "<html>"));
    assert_eq!(bench.accept(Salesforce, people(json!({}))).await.unwrap_err().field, "loginHost");
}

#[tokio::test]
async fn a_person_is_known_and_the_token_says_where_it_is_good() {
    let bench = bench();
    let made = made(&bench, people(json!({"sessionSeconds": 7200}))).await;
    let abilities = made.driver.abilities(&made.connector);
    assert_eq!((abilities.subjects, abilities.rotation), (vec![SubjectKind::User], Rotation::Strict));
    let (url, kept) = made.begin(|ask| ask.scopes = scopes_of("api refresh_token")).await.unwrap();
    assert_eq!(
        (url.path(), param(&url, "code_challenge_method").as_deref()),
        ("/services/oauth2/authorize", Some("S256"))
    );
    answers(&bench, TOKEN, given(json!({"refresh_token": "rt1"})));
    let granted = made.finish("code=c", &kept).await.unwrap();
    assert_eq!(granted.external_subject.as_deref(), Some("005xx"));
    assert_eq!(granted.held.external_subject(), Some("005xx"));
    assert_eq!(
        granted.access_expires_at,
        Some(Time::from_secs(NOW + 7200)),
        "as the configuration says, for nobody else does"
    );
    let place = json!({"instanceUrl": "https://acme.my.salesforce.com", "organizationId": "00Dxx", "userId": "005xx"});
    assert_eq!(Value::Object(granted.metadata), place);

    // The organization has moved, and the refresh token has turned.
    answers(
        &bench,
        TOKEN,
        given(json!({"instance_url": "https://acme2.my.salesforce.com", "refresh_token": "rt2"})),
    );
    let minted = made.refresh(&granted.held, "").await.unwrap();
    assert_eq!(minted.metadata["instanceUrl"], "https://acme2.my.salesforce.com");
    assert_eq!(minted.held.unwrap().refresh().map(|rt| rt.expose().as_str()), Some("rt2"));
    bench.server.seen();
    assert_eq!(outcome(&made.refresh(&granted.held, "api").await), "unsupported");
    assert_eq!(bench.server.seen(), [], "what cannot be narrowed spends nothing");

    // A token for elsewhere is not handed out; what renews the grant is kept all the same.
    for more in [
        json!({"instance_url": "https://evil.example"}),
        json!({"instance_url": "http://acme.my.salesforce.com"}),
        json!({"instance_url": "https://acme.my.salesforce.com:444"}),
        json!({"instance_url": "https://evil-salesforce.com"}),
        json!({"instance_url": null}),
        json!({"id": "https://login.salesforce.com/id/00Dxx/005yy"}),
    ] {
        let mut more = more;
        more["refresh_token"] = "rt3".into();
        answers(&bench, TOKEN, given(more.clone()));
        let minted = made.refresh(&granted.held, "").await.unwrap();
        assert!(minted.stray.is_some(), "{more}");
        let held = minted.held.unwrap();
        assert_eq!(held.refresh().map(|rt| rt.expose().as_str()), Some("rt3"), "{more}");
        assert!(held.access().is_none(), "{more}");
    }
    answers(&bench, TOKEN, given(json!({"instance_url": "https://evil.example", "refresh_token": "rt1"})));
    bench.server.on("/services/oauth2/revoke", Reply::json(200, "{}"));
    let refused = made.finish("code=c", &kept).await;
    assert!(outcome(&refused).starts_with("stray"), "{refused:?}");
    assert_eq!(bench.server.seen().last().unwrap().line(), "POST /services/oauth2/revoke");
    assert_eq!(made.driver.revoke(&made.at(), &granted.held).await.unwrap(), Revocation::Revoked);
}

#[tokio::test]
async fn the_key_of_the_connected_app_signs_for_one_user_and_for_those_who_may_be_asserted() {
    let bench = bench();
    let made = made(&bench, by_key(json!({}))).await;
    let abilities = made.driver.abilities(&made.connector);
    assert_eq!(abilities.subjects, [SubjectKind::App, SubjectKind::JwtBearer]);
    assert_eq!(abilities.signs, None, "the key came with the configuration");
    let minted = made.app("").await.unwrap();
    assert_eq!(minted.metadata["instanceUrl"], "https://acme.my.salesforce.com");
    assert_eq!(minted.expires_at, Some(Time::from_secs(NOW + 900)), "nobody says, so it ends soon");
    let seen = bench.server.only();
    assert_eq!(seen.names(), ["grant_type", "assertion"]);
    let (head, mut claims) = PEM.read(&seen.field("assertion").unwrap());
    assert_eq!(head, json!({"alg": "RS256", "typ": "JWT"}));
    claims.as_object_mut().unwrap().remove("jti");
    assert_eq!(
        claims,
        json!({"iss": "3MVG9", "sub": "bot@acme.example", "aud": "https://test.salesforce.com", "iat": NOW - 10, "exp": NOW + 170})
    );
    assert_for(&made, "ada@acme.example").await.unwrap();
    let (_, claims) = PEM.read(&bench.server.only().field("assertion").unwrap());
    assert_eq!(claims["sub"], "ada@acme.example");
    assert_eq!(outcome(&assert_for(&made, "ada@evil.example").await), "forbidden");
    assert_eq!(outcome(&made.app("api").await), "unsupported");
    let ask = MintAsk::App {
        scopes: None,
        resources: vec![],
        audience: vec!["x".into()],
        details: vec![],
        installation: None,
    };
    assert_eq!(outcome(&made.driver.mint(&made.at(), None, &ask).await), "unsupported");
    assert_eq!(bench.server.seen(), []);

    answers(&bench, TOKEN, given(json!({})));
    let only = bench.connector(Salesforce, by_key(json!({"assertableUsernames": null}))).await;
    assert_eq!(only.driver.abilities(&only.connector).subjects, [SubjectKind::App]);
    assert_eq!(outcome(&assert_for(&only, "bot@acme.example").await), "unsupported");
}

#[tokio::test]
async fn the_application_acts_as_its_run_as_user_by_client_credentials() {
    let bench = bench();
    let data = people(json!({"clientCredentials": true, "loginHost": "acme.my.salesforce.com"}));
    let made = made(&bench, data).await;
    made.app("").await.unwrap();
    let [seen, about] = bench.server.seen().try_into().unwrap();
    assert_eq!(seen.names(), ["grant_type", "client_id", "client_secret"]);
    assert_eq!(about.path, INTROSPECT);
    for (reply, want) in [
        (Reply::json(400, json!({"error": "invalid_client"})), "client rejected invalid_client"),
        (
            Reply::json(
                400,
                json!({"error": "invalid_grant", "error_description": "no client credentials user enabled"}),
            ),
            "refused invalid_grant",
        ),
        (Reply::text(200, "text/html", "<html>"), "garbage in doubt"),
        (Reply::json(503, json!({})), "later in doubt"),
    ] {
        answers(&bench, TOKEN, reply.clone());
        assert_eq!(outcome(&made.app("").await), want, "{reply:?}");
    }
}

#[tokio::test]
async fn salesforce_is_asked_when_a_token_ends_where_nobody_else_says() {
    let bench = bench();
    let made = made(&bench, people(json!({}))).await;
    let active = |end: i64| {
        Reply::json(
            200,
            json!({"active": true, "scope": "api refresh_token", "token_type": "access_token", "exp": end}),
        )
    };
    answers(&bench, INTROSPECT, active(NOW + 6000));
    let (_, kept) = made.begin(|ask| ask.scopes = scopes_of("api refresh_token")).await.unwrap();
    answers(&bench, TOKEN, given(json!({"refresh_token": "rt1"})));
    let granted = made.finish("code=c", &kept).await.unwrap();
    assert_eq!(granted.access_expires_at, Some(Time::from_secs(NOW + 6000)));
    let asked = bench.server.seen().pop().unwrap();
    assert_eq!(asked.line(), format!("POST {INTROSPECT}"));
    assert_eq!(asked.field("token").as_deref(), Some("00Dxx!at"));
    assert_eq!(asked.field("client_secret").as_deref(), Some("s3cret"));
    for (reply, end) in [
        (active(NOW + 7000), NOW + 7000),
        // What whoever may not ask is told.
        (Reply::json(200, json!({"active": false})), NOW + 900),
        (Reply::json(401, json!({"error": "invalid_client"})), NOW + 900),
        (Reply::text(200, "text/html", "<html>"), NOW + 900),
        (Reply::HangUp, NOW + 900),
    ] {
        answers(&bench, INTROSPECT, reply.clone());
        let minted = made.refresh(&granted.held, "").await.unwrap();
        assert_eq!(minted.expires_at, Some(Time::from_secs(end)), "{reply:?}");
        assert_eq!(minted.stray, None, "{reply:?}");
    }
    // A token that was made this moment has not ended: an end that says so is none.
    answers(&bench, INTROSPECT, active(NOW - 1));
    let minted = made.refresh(&granted.held, "").await.unwrap();
    assert_eq!((minted.stray, minted.expires_at), (None, Some(Time::from_secs(NOW + 900))));
    assert!(minted.held.unwrap().refresh().is_some());

    // An assertion needs no secret; the question about the token that it brought does.
    answers(&bench, INTROSPECT, active(NOW + 6000));
    let by_jwt = self::made(&bench, by_key(json!({"consumerSecret": "s3cret"}))).await;
    assert_eq!(by_jwt.app("").await.unwrap().expires_at, Some(Time::from_secs(NOW + 6000)));
    let [token, about] = bench.server.seen().try_into().unwrap();
    assert_eq!(token.names(), ["grant_type", "assertion"]);
    assert_eq!(about.field("client_secret").as_deref(), Some("s3cret"));
    // Nobody is asked about what the configuration says.
    let told = self::made(&bench, by_key(json!({"consumerSecret": "s3cret", "sessionSeconds": 1800}))).await;
    assert_eq!(told.app("").await.unwrap().expires_at, Some(Time::from_secs(NOW + 1800)));
    assert_eq!(bench.server.only().path, TOKEN);
}
