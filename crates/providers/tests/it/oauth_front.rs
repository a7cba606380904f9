//! What happens between the person's yes here and the provider's page: requests that are pushed first, and codes for
//! people whom the provider sends nowhere.

use carnet_model::SecretString;
use carnet_model::Time;
use carnet_model::connector::ConnectorType::Oauth;
use carnet_providers::{Callback, ConsentAsk, DriverError, Granted, Kept, Step, Way};
use serde_json::{Value, json};

use crate::bench::{Bench, Made, NOW, STATE, outcome, query, scopes_of};
use crate::server::Reply;

const URN: &str = "urn:ietf:params:oauth:request_uri:once";

async fn pushing(bench: &Bench, more: Value) -> Made<'_> {
    let mut config = json!({"pushed_authorization_request_endpoint": format!("{}/par", bench.server.origin)});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    bench.oauth(json!({"serverConfig": config})).await
}

fn pushed() -> Reply {
    Reply::json(201, json!({"request_uri": URN, "expires_in": 60}))
}

#[tokio::test]
async fn the_server_is_told_first_and_the_browser_carries_a_name_alone() {
    let bench = Bench::new();
    let made = pushing(&bench, json!({"authorization_details_types_supported": ["account"]})).await;
    bench.server.on("/par", pushed());
    let (url, kept) = made
        .begin(|ask| {
            ask.scopes = scopes_of("openid read");
            ask.resources = vec!["https://api.example".into()];
            ask.details = vec![json!({"type": "account"})];
            ask.prompt = Some("consent".into());
        })
        .await
        .unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(query(&url), [pair("client_id", "client"), pair("request_uri", URN)]);
    let seen = bench.server.only();
    assert!(
        seen.header("authorization").is_some_and(|text| text.starts_with("Basic "))
            || seen.field("client_secret").is_some()
    );
    let field = |name: &str| seen.field(name).unwrap();
    assert_eq!(
        seen.names().iter().filter(|name| *name == "client_id").count(),
        1,
        "in the body whatever proves us"
    );
    assert_eq!(
        (field("client_id"), field("state"), field("response_type")),
        ("client".into(), STATE.into(), "code".into())
    );
    assert_eq!(
        (field("scope"), field("resource"), field("prompt")),
        ("openid read".into(), "https://api.example".into(), "consent".into())
    );
    assert_eq!(
        (field("code_challenge_method"), field("authorization_details")),
        ("S256".into(), r#"[{"type":"account"}]"#.into())
    );
    assert_eq!(
        (field("redirect_uri"), field("nonce")),
        (made.redirect_uri.clone(), kept.nonce.unwrap().expose().clone())
    );

    made.begin(|_| ()).await.unwrap();
    assert_eq!(bench.server.seen().len(), 1, "every yes is a request of its own");
}

#[tokio::test]
async fn a_public_client_names_itself_once_and_shows_no_secret() {
    let bench = Bench::new();
    let config = json!({"pushed_authorization_request_endpoint": format!("{}/par", bench.server.origin)});
    let made =
        bench.oauth(json!({"clientSecret": null, "clientCredentials": null, "serverConfig": config})).await;
    bench.server.on("/par", pushed());
    made.begin(|_| ()).await.unwrap();
    let seen = bench.server.only();
    assert_eq!(seen.names().iter().filter(|name| *name == "client_id").count(), 1);
    assert_eq!((seen.field("client_secret"), seen.header("authorization")), (None, None));
}

#[tokio::test]
async fn nobody_is_sent_on_with_half_a_request() {
    let bench = Bench::new();
    let made = pushing(&bench, json!({})).await;
    bench.server.on("/elsewhere", pushed());
    let ok = json!({"request_uri": URN, "expires_in": 60});
    for (reply, want) in [
        (Reply::json(200, &ok), "garbage"),
        (Reply::json(201, json!({"request_uri": URN})), "garbage"),
        (Reply::json(201, json!({"request_uri": URN, "expires_in": 0})), "garbage"),
        (Reply::json(201, json!({"request_uri": URN, "expires_in": -1})), "garbage"),
        (Reply::json(201, json!({"request_uri": "a b", "expires_in": 60})), "garbage"),
        (Reply::json(201, json!({"request_uri": "", "expires_in": 60})), "garbage"),
        (Reply::json(201, json!({"expires_in": 60})), "garbage"),
        (Reply::text(201, "text/html", "<html>"), "garbage"),
        (Reply::json(303, "").with("location", "/elsewhere"), "garbage"),
        (Reply::json(400, json!({"error": "invalid_request"})), "refused invalid_request"),
        (Reply::json(400, json!({"error": "invalid_request_uri"})), "refused invalid_request_uri"),
        (Reply::json(401, json!({"error": "invalid_client"})), "client rejected invalid_client"),
        (Reply::json(429, "{}").with("retry-after", "7"), "later 7s"),
        (Reply::json(503, "{}"), "later in doubt"),
        (Reply::HangUp, "later in doubt"),
    ] {
        bench.server.forget("/par");
        bench.server.on("/par", reply.clone());
        assert_eq!(outcome(&made.begin(|_| ()).await), want, "{reply:?}");
        assert_eq!(bench.server.only().path, "/par", "asked once, no redirect followed");
    }
}

#[tokio::test]
async fn a_server_that_takes_only_pushed_requests_must_say_where() {
    let bench = Bench::new();
    let data = bench.oauth_data(json!({"serverConfig": {"require_pushed_authorization_requests": true}}));
    let bad = bench.accept(Oauth, data).await.unwrap_err();
    assert_eq!(bad.field, "serverConfig.pushed_authorization_request_endpoint");
    pushing(&bench, json!({"require_pushed_authorization_requests": true})).await;
}

#[tokio::test]
async fn the_page_that_asks_the_person_tells_nobody() {
    let bench = Bench::new();
    let made = pushing(&bench, json!({})).await;
    let state = SecretString::new(STATE.to_owned());
    let Way::Redirect { page } = made.driver.way(&made.at(), &ConsentAsk::new(&state)).unwrap() else {
        panic!("not there")
    };
    assert_eq!(page.as_str(), format!("{}/authorize", bench.server.origin));
    let mut odd = ConsentAsk::new(&state);
    odd.resources = vec!["not a resource".into()];
    assert!(matches!(made.driver.way(&made.at(), &odd), Err(DriverError::Unsupported(_))));
    assert_eq!(bench.server.seen(), []);
}

async fn device(bench: &Bench, more: Value) -> Made<'_> {
    let config = json!({
        "authorization_endpoint": null,
        "device_authorization_endpoint": format!("{}/device", bench.server.origin),
    });
    let mut data = json!({"deviceAuthorization": {"enabled": true}, "serverConfig": config});
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    bench.oauth(data).await
}

fn code(bench: &Bench) -> Value {
    json!({"device_code": "device", "user_code": "WDJB-MJHT", "expires_in": 600, "interval": 5,
        "verification_uri": format!("{}/enter", bench.server.origin)})
}

async fn begun(made: &Made<'_>) -> Result<Kept, DriverError> {
    let state = SecretString::new(STATE.to_owned());
    let ask = ConsentAsk { scopes: scopes_of("read"), ..ConsentAsk::new(&state) };
    match made.driver.begin(&made.at(), &ask).await? {
        Step::Device { kept } => Ok(Kept::from_json(kept.to_json().expose()).unwrap()),
        step => panic!("not a code: {step:?}"),
    }
}

async fn asked(made: &Made<'_>, kept: &Kept) -> Result<Granted, DriverError> {
    made.driver.finish(&made.at(), &Callback::Awaited, kept).await
}

#[tokio::test]
async fn a_person_gets_a_code_and_the_server_is_asked_until_it_was_entered() {
    let bench = Bench::new();
    let made = device(&bench, json!({"resource": "https://api.example"})).await;
    assert_eq!(made.redirect_uri, "", "nobody is sent back");
    bench.server.on("/device", Reply::json(200, code(&bench)));
    let kept = begun(&made).await.unwrap();
    let seen = bench.server.only();
    assert_eq!((seen.field("client_id"), seen.field("scope")), (Some("client".into()), Some("read".into())));
    assert_eq!(seen.field("resource").as_deref(), Some("https://api.example"));
    let shown = kept.device.as_ref().unwrap();
    assert_eq!((shown.user_code.as_str(), shown.expires_at), ("WDJB-MJHT", Time::from_secs(NOW + 600)));
    assert!(!format!("{kept:?}").contains("\"device\""), "the code that proves us is not printed");

    let pending = |error: &str| Reply::json(400, json!({"error": error}));
    let token =
        json!({"access_token": "at", "token_type": "Bearer", "expires_in": 60, "refresh_token": "rt"});
    bench.server.on("/token", pending("authorization_pending")).on("/token", pending("slow_down"));
    bench.server.on("/token", Reply::json(200, token));
    assert_eq!(outcome(&asked(&made, &kept).await), "pending");
    assert_eq!(outcome(&asked(&made, &kept).await), "pending slower");
    let granted = asked(&made, &kept).await.unwrap();
    assert_eq!(granted.held.refresh().map(|token| token.expose().as_str()), Some("rt"));
    let seen = bench.server.seen().pop().unwrap();
    assert_eq!(seen.field("grant_type").as_deref(), Some("urn:ietf:params:oauth:grant-type:device_code"));
    assert_eq!(
        (seen.field("device_code"), seen.field("client_id")),
        (Some("device".into()), Some("client".into()))
    );
    assert_eq!(seen.field("code_verifier"), None);
}

#[tokio::test]
async fn the_end_of_a_code_is_told_as_what_it_is() {
    let bench = Bench::new();
    let made = device(&bench, json!({})).await;
    bench.server.on("/device", Reply::json(200, code(&bench)));
    let kept = begun(&made).await.unwrap();
    for (status, error, want) in [
        (400, "access_denied", "denied"),
        (400, "expired_token", "callback DeviceCodeExpired"),
        (400, "invalid_grant", "callback CodeRefused"),
        (401, "invalid_client", "client rejected invalid_client"),
        (400, "unauthorized_client", "client rejected unauthorized_client"),
        (503, "server_error", "later in doubt"),
    ] {
        bench.server.forget("/token");
        bench.server.on("/token", Reply::json(status, json!({"error": error})));
        assert_eq!(outcome(&asked(&made, &kept).await), want, "{error}");
    }
    let back = made.finish("code=c", &kept).await;
    assert_eq!(outcome(&back), "callback Unexpected", "no browser can end it");
}

#[tokio::test]
async fn a_code_that_leads_astray_is_not_shown() {
    let bench = Bench::new();
    let made = device(&bench, json!({})).await;
    for (name, value) in [
        ("verification_uri", json!("javascript:alert(1)")),
        ("verification_uri", json!("http://phish.example/enter")),
        ("verification_uri", json!("https://10.0.0.1/enter")),
        ("device_code", json!(null)),
        ("expires_in", json!(0)),
    ] {
        let mut answer = code(&bench);
        answer[name] = value.clone();
        bench.server.forget("/device");
        bench.server.on("/device", Reply::json(200, answer));
        assert_eq!(outcome(&begun(&made).await), "garbage", "{name} {value}");
    }
    // The other page is enough.
    let mut answer = code(&bench);
    answer["verification_uri_complete"] = json!("https://phish.example/enter?code=x");
    bench.server.forget("/device");
    bench.server.on("/device", Reply::json(200, answer));
    let shown = begun(&made).await.unwrap().device.unwrap();
    assert_eq!((shown.page.path(), shown.whole_page), ("/enter", None));
    for (reply, want) in [
        (Reply::text(200, "text/html", "<html>"), "garbage in doubt"),
        (Reply::json(400, json!({"error": "invalid_scope"})), "refused invalid_scope"),
        (Reply::json(429, "{}"), "later"),
    ] {
        bench.server.forget("/device");
        bench.server.on("/device", reply);
        assert_eq!(outcome(&begun(&made).await), want);
    }
}

#[tokio::test]
async fn codes_need_a_server_that_gives_them() {
    let bench = Bench::new();
    let on = json!({"deviceAuthorization": {"enabled": true}});
    let bad = bench.accept(Oauth, bench.oauth_data(on.clone())).await.unwrap_err();
    assert_eq!(bad.field, "serverConfig.device_authorization_endpoint");
    let config = json!({"device_authorization_endpoint": format!("{}/device", bench.server.origin),
        "grant_types_supported": ["authorization_code", "client_credentials"]});
    let mut data = bench.oauth_data(json!({"serverConfig": config}));
    data["deviceAuthorization"] = on["deviceAuthorization"].clone();
    assert_eq!(bench.accept(Oauth, data).await.unwrap_err().field, "deviceAuthorization.enabled");
}
