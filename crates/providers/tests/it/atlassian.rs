//! An OAuth 2.0 app of Atlassian: the sites for which a token is good, and the year after which all of it ends.

use carnet_model::connector::ConnectorType::Atlassian;
use carnet_model::grant::Rotation;
use carnet_model::{SubjectKind, Time};
use carnet_providers::{DriverError, Granted, Held, Revocation};
use serde_json::{Value, json};

use crate::bench::{Bench, Made, NOW, object, outcome, param, scopes_of};
use crate::server::Reply;

const TOKEN: &str = "/oauth/token";
const SITES: &str = "/oauth/token/accessible-resources";
const YEAR: i64 = 365 * 24 * 3600;

fn bench() -> Bench {
    let origins = ["https://auth.atlassian.com", "https://api.atlassian.com", "https://acme.atlassian.net"];
    let bench = Bench::instead_of(&origins);
    let words = "Invalid authorization code";
    bench.server.on(TOKEN, Reply::json(403, json!({"error": "invalid_grant", "error_description": words})));
    bench.server.on("/_edge/tenant_info", Reply::json(200, json!({"cloudId": "c1"})));
    bench.server.on(SITES, sites(&[("c1", "acme"), ("c1", "acme"), ("c2", "beta")]));
    bench
        .server
        .on("/me", Reply::json(200, json!({"account_id": "712020:aa", "name": "Ada\u{7}", "email": "a@x"})));
    bench
}

/// As Atlassian lists them: once for each product.
fn sites(sites: &[(&str, &str)]) -> Reply {
    let of = |(id, name): &(&str, &str)| {
        json!({"id": id, "name": name, "url": format!("https://{name}.atlassian.net"), "scopes": ["read:jira-work"],
            "avatarUrl": "https://x"})
    };
    Reply::json(200, Value::from(sites.iter().map(of).collect::<Vec<_>>()))
}

fn data(more: Value) -> Value {
    let mut data = json!({"clientId": "c", "clientSecret": "s3cret",
        "userScopes": ["read:jira-work", "read:me", "offline_access"]});
    data.as_object_mut().unwrap().extend(object(more));
    data
}

async fn made(bench: &Bench, more: Value) -> Made<'_> {
    let made = bench.connector(Atlassian, data(more)).await;
    bench.server.seen();
    made
}

fn answers(bench: &Bench, path: &str, reply: Reply) {
    bench.server.forget(path);
    bench.server.on(path, reply);
}

fn given(number: u8) -> Reply {
    Reply::json(
        200,
        json!({"access_token": format!("at{number}"), "refresh_token": format!("rt{number}"), "expires_in": 3600,
            "token_type": "Bearer", "scope": "read:jira-work read:me offline_access"}),
    )
}

async fn consent(made: &Made<'_>) -> Result<Granted, DriverError> {
    let (_, kept) =
        made.begin(|ask| ask.scopes = scopes_of("read:jira-work read:me offline_access")).await.unwrap();
    answers(made.bench, TOKEN, given(1));
    made.finish("code=c", &kept).await
}

#[tokio::test]
async fn people_are_asked_for_the_api_and_a_site_is_named_in_any_form() {
    let bench = bench();
    for site in ["acme", "acme.atlassian.net", "https://Acme.atlassian.net/"] {
        let accepted = bench.accept(Atlassian, data(json!({"site": site}))).await.unwrap();
        assert_eq!(accepted.data["site"], "acme.atlassian.net", "{site}");
    }
    for (more, field) in [
        (json!({"clientId": null}), "clientId"),
        (json!({"clientSecret": null}), "clientSecret"),
        (json!({"userScopes": null}), "userScopes"),
        (json!({"site": "acme.example"}), "site"),
        (json!({"site": "-"}), "site"),
        (json!({"cloudId": "c1"}), "cloudId"),
    ] {
        let refused = bench.accept(Atlassian, data(more.clone())).await.unwrap_err();
        assert_eq!(refused.field, field, "{more}: {refused}");
    }
    let made = made(&bench, json!({})).await;
    let abilities = made.driver.abilities(&made.connector);
    assert_eq!(
        (abilities.subjects, abilities.rotation),
        (vec![SubjectKind::User], Rotation::Grace { seconds: 600 })
    );
    assert!(!abilities.revocation);
    let recipients: Vec<_> = made.driver.recipients(&made.connector).into_iter().collect();
    assert_eq!(recipients, ["https://api.atlassian.com", "https://auth.atlassian.com"]);
    let (url, _) = made.begin(|ask| ask.prompt = Some("login".to_owned())).await.unwrap();
    for (name, value) in [
        ("audience", "api.atlassian.com"),
        ("prompt", "consent"),
        ("response_type", "code"),
        ("state", "state-of-the-engine"),
    ] {
        assert_eq!(param(&url, name).as_deref(), Some(value), "{name}");
    }
    let audience = |ask: &mut carnet_providers::ConsentAsk<'_>| {
        ask.additional_params.insert("audience".to_owned(), "x".to_owned());
    };
    assert_eq!(outcome(&made.begin(audience).await), "unsupported");
}

#[tokio::test]
async fn a_token_says_for_which_sites_it_is_good() {
    let bench = bench();
    let made = made(&bench, json!({})).await;
    let granted = consent(&made).await.unwrap();
    assert_eq!(
        (granted.external_subject.as_deref(), granted.name.as_deref()),
        (Some("712020:aa"), Some("Ada"))
    );
    assert_eq!(granted.held.external_subject(), Some("712020:aa"));
    let both = json!({"sites": [
        {"cloudId": "c1", "url": "https://acme.atlassian.net", "name": "acme"},
        {"cloudId": "c2", "url": "https://beta.atlassian.net", "name": "beta"},
    ]});
    assert_eq!(Value::Object(granted.metadata), both);
    let asked: Vec<_> = bench.server.seen().into_iter().filter(|seen| seen.method == "GET").collect();
    assert!(asked.iter().all(|seen| seen.header("authorization") == Some("Bearer at1")), "{asked:?}");

    // With a refresh the sites are those of now; where there is one, it is the one.
    answers(&bench, TOKEN, given(2));
    answers(&bench, SITES, sites(&[("c2", "beta")]));
    let minted = made.refresh(&granted.held, "").await.unwrap();
    assert_eq!(
        (&minted.metadata["cloudId"], &minted.metadata["siteUrl"]),
        (&json!("c2"), &json!("https://beta.atlassian.net"))
    );
    // What Atlassian does not say, or says strangely, costs nobody a token.
    for reply in [
        Reply::HangUp,
        Reply::json(503, json!({})),
        Reply::json(200, json!({"id": "c1"})),
        Reply::json(200, json!([{"id": 7}])),
        Reply::text(200, "text/html", "<html>"),
    ] {
        answers(&bench, SITES, reply.clone());
        let minted = made.refresh(&granted.held, "").await.unwrap();
        assert!(minted.stray.is_none() && minted.metadata.is_empty(), "{reply:?}");
        assert_eq!(minted.held.unwrap().refresh().map(|rt| rt.expose().as_str()), Some("rt2"));
    }
    answers(
        &bench,
        SITES,
        Reply::json(200, json!([{"id": "a/b", "url": "https://x"}, {"id": "c3", "url": "http://x"}])),
    );
    assert_eq!(made.refresh(&granted.held, "").await.unwrap().metadata["sites"], json!([]));
}

#[tokio::test]
async fn a_connector_for_one_site_gives_no_token_that_is_not_good_there() {
    let bench = bench();
    let made = made(&bench, json!({"site": "acme"})).await;
    let granted = consent(&made).await.unwrap();
    assert_eq!(granted.metadata["cloudId"], "c1");
    for reply in [sites(&[("c2", "beta")]), sites(&[])] {
        answers(&bench, SITES, reply.clone());
        answers(&bench, TOKEN, given(2));
        let minted = made.refresh(&granted.held, "").await.unwrap();
        assert!(minted.stray.is_some(), "{reply:?}");
        let held = minted.held.unwrap();
        assert!(held.access().is_none(), "{reply:?}");
        assert_eq!(
            held.refresh().map(|rt| rt.expose().as_str()),
            Some("rt2"),
            "{reply:?}: what renews it is kept"
        );
        assert!(outcome(&consent(&made).await).starts_with("stray"), "{reply:?}");
    }
}

/// Nobody says where a new token is good: it is kept, and asked about again before another refresh token is spent.
#[tokio::test]
async fn a_token_about_which_atlassian_says_nothing_is_asked_about_again() {
    let bench = bench();
    let made = made(&bench, json!({"site": "acme"})).await;
    let granted = consent(&made).await.unwrap();
    for silence in [Reply::HangUp, Reply::json(503, json!({}))] {
        answers(&bench, SITES, silence.clone());
        assert_eq!(outcome(&consent(&made).await), "later 5s", "{silence:?}");
        answers(&bench, TOKEN, given(2));
        let held = made.refresh(&granted.held, "").await.unwrap().held.unwrap();
        assert!(held.access().is_none() && held.is_aside(), "{silence:?}");
        let held = Held::from_json(held.to_json().expose()).unwrap();
        // No refresh token is sent while one token waits to be told about.
        answers(&bench, TOKEN, Reply::json(500, json!({})));
        assert_eq!(outcome(&made.refresh(&held, "").await), "later 5s", "{silence:?}");
        answers(&bench, SITES, sites(&[("c1", "acme")]));
        let minted = made.refresh(&held, "").await.unwrap();
        assert_eq!((minted.token.expose().as_str(), &minted.metadata["cloudId"]), ("at2", &json!("c1")));
        let held = minted.held.unwrap();
        assert_eq!(held.access().map(|access| access.token.expose().as_str()), Some("at2"));
        assert_eq!(held.refresh().map(|rt| rt.expose().as_str()), Some("rt2"));
        assert!(!held.is_aside() && minted.stray.is_none());
    }
}

#[tokio::test]
async fn the_year_goes_on_however_often_the_token_turns() {
    let bench = bench();
    let made = made(&bench, json!({})).await;
    let granted = consent(&made).await.unwrap();
    let end = Some(Time::from_secs(NOW + YEAR));
    assert_eq!((granted.refresh_expires_at, granted.held.refresh_expires_at()), (end, end));
    answers(&bench, TOKEN, given(2));
    let minted = made.refresh(&granted.held, "").await.unwrap();
    let held = minted.held.unwrap();
    assert_eq!((minted.refresh_expires_at, held.refresh_expires_at()), (end, end));
    assert_eq!(held.refresh().map(|rt| rt.expose().as_str()), Some("rt2"));
    assert_eq!(held.external_subject(), Some("712020:aa"));
    assert_eq!(outcome(&made.refresh(&granted.held, "read:jira-work").await), "unsupported");
    assert_eq!(made.driver.revoke(&made.at(), &granted.held).await.unwrap(), Revocation::NotSupported);
    for (status, code, words, want) in [
        (403, "invalid_grant", "Unknown or invalid refresh token.", "gone revoked_at_provider"),
        (401, "unauthorized_client", "refresh_token is invalid", "gone revoked_at_provider"),
        (401, "access_denied", "Unauthorized", "client rejected access_denied"),
    ] {
        answers(&bench, TOKEN, Reply::json(status, json!({"error": code, "error_description": words})));
        assert_eq!(outcome(&made.refresh(&granted.held, "").await), want, "{words}");
    }
}
