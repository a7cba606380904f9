//! A GitHub App: what it is asked when it is made, how tokens are made and narrowed, who is believed to have installed it.

mod device;

use carnet_model::connector::ConnectorType::Github;
use carnet_model::grant::Rotation;
use carnet_model::{SecretString, SubjectKind, Time};
use carnet_providers::{
    Callback, ConsentAsk, DriverError, Granted, Held, Installed, Kept, MintAsk, Minted, Revocation, Step,
};
use serde_json::{Value, json};
use url::Url;

use crate::bench::{Bench, Made, NOW, STATE, object, outcome, param, scopes_of};
use crate::key::PEM;
use crate::server::{Reply, Seen};

const ENDS: &str = "2027-01-15T09:00:00Z";
const TOKENS: &str = "/app/installations/100/access_tokens";
const REDEEM: &str = "/login/oauth/access_token";
const FORGET: &str = "/applications/Iv1.broker/token";

fn bench() -> Bench {
    let bench = Bench::instead_of(&["https://github.com", "https://api.github.com"]);
    let app = json!({"id": 4242, "slug": "broker", "client_id": "Iv1.broker", "name": "Broker",
        "owner": {"id": 7, "login": "acme", "type": "Organization"},
        "permissions": {"contents": "write", "metadata": "read"}});
    bench.server.on("/app", Reply::json(200, app));
    bench.server.on(REDEEM, Reply::json(200, json!({"error": "bad_verification_code"})));
    bench
}

fn data(more: Value) -> Value {
    let mut data = json!({"appId": 4242, "privateKeyPem": PEM.text, "clientSecret": "client-s3cret"});
    data.as_object_mut().unwrap().extend(object(more));
    data
}

async fn made(bench: &Bench) -> Made<'_> {
    let made = bench.connector(Github, data(json!({}))).await;
    bench.server.forget(REDEEM);
    bench.server.seen();
    made
}

fn at_acme() -> Installed {
    Installed { external_id: Some("100".into()), tenant_id: Some("7".into()), name: Some("acme".into()) }
}

async fn token(made: &Made<'_>, scopes: &str, details: Value) -> Result<Minted, DriverError> {
    let Value::Array(details) = details else { panic!("a list") };
    let ask = MintAsk::App {
        scopes: scopes_of(scopes),
        resources: vec![],
        audience: vec![],
        details,
        installation: Some(at_acme()),
    };
    made.driver.mint(&made.at(), None, &ask).await
}

fn given(more: Value) -> Reply {
    let mut body = json!({"token": "ghs_made.by_us", "expires_at": ENDS, "permissions": {"contents": "write"},
        "repository_selection": "all"});
    body.as_object_mut().unwrap().extend(object(more));
    Reply::json(201, body)
}

#[tokio::test]
async fn a_token_of_an_installation_lives_an_hour_whatever_is_said() {
    let bench = bench();
    let made = made(&bench).await;
    for (ends, want) in [
        ("2027-01-15T08:30:00Z", NOW + 1800),
        (ENDS, NOW + 3600),
        ("2027-01-16T09:00:00Z", NOW + 3600),
        ("9000-01-01T00:00:00Z", NOW + 3600),
    ] {
        now_on(&bench, TOKENS, given(json!({"expires_at": ends})));
        let minted = token(&made, "", json!([])).await.unwrap();
        assert_eq!(minted.expires_at, Some(Time::from_secs(want)), "{ends}");
    }
    // Our clock is two hours ahead: what is over for us is not over at GitHub.
    let ahead =
        given(json!({"expires_at": "2027-01-15T07:00:00Z"})).with("date", "Fri, 15 Jan 2027 06:00:00 GMT");
    now_on(&bench, TOKENS, ahead);
    assert_eq!(token(&made, "", json!([])).await.unwrap().expires_at, Some(Time::from_secs(NOW + 3600)));
    // What is over everywhere is given back.
    bench.server.seen();
    now_on(&bench, TOKENS, given(json!({"expires_at": "2027-01-15T07:59:59Z"})));
    assert_eq!(outcome(&token(&made, "", json!([])).await), "garbage");
    let lines: Vec<String> = bench.server.seen().iter().map(Seen::line).collect();
    assert_eq!(lines, [format!("POST {TOKENS}"), "DELETE /installation/token".to_owned()]);
}

#[tokio::test]
async fn a_client_secret_is_tried_and_what_the_app_may_is_the_most_that_is_promised() {
    let bench = bench();
    for scopes in [json!(["contents:read"]), json!(["contents:write", "metadata:read"])] {
        bench.accept(Github, data(json!({"appScopes": scopes}))).await.unwrap();
    }
    let refused = bench.accept(Github, data(json!({"appScopes": ["contents:admin"]}))).await.unwrap_err();
    assert!(refused.why.contains("contents:admin: the app has contents:write at GitHub"), "{}", refused.why);
    let error = json!({"error": "incorrect_client_credentials", "error_description": "They are not right."});
    now_on(&bench, REDEEM, Reply::json(200, error));
    let refused = bench.accept(Github, data(json!({}))).await.unwrap_err();
    assert_eq!(refused.field, "clientSecret");
    assert!(refused.why.contains("They are not right."), "{}", refused.why);
    // Who does not say stops nobody, and it is said.
    now_on(&bench, REDEEM, message(503, "unicorn"));
    let made = bench.accept(Github, data(json!({}))).await.unwrap();
    assert_eq!(made.data["notChecked"], json!(["clientSecret"]));
}

fn message(status: u16, text: &str) -> Reply {
    Reply::json(status, json!({"message": text}))
}

fn claims(seen: &Seen) -> Value {
    PEM.read(seen.header("authorization").unwrap().strip_prefix("Bearer ").unwrap()).1
}

fn now_on<'b>(bench: &'b Bench, path: &str, reply: Reply) -> &'b Bench {
    bench.server.forget(path);
    bench.server.on(path, reply);
    bench
}

#[tokio::test]
async fn the_app_is_asked_about_when_it_is_made_and_its_secrets_are_kept_apart() {
    let bench = bench();
    let accepted = bench.accept(Github, data(json!({"webhookSecret": "hook"}))).await.unwrap();
    let [seen, tried] = &bench.server.seen()[..] else { panic!("the app, and the client") };
    assert_eq!(seen.line(), "GET /app");
    assert_eq!(tried.line(), format!("POST {REDEEM}"));
    assert_eq!(tried.field("client_secret").as_deref(), Some("client-s3cret"));
    assert_eq!(claims(seen), json!({"iss": "4242", "iat": NOW - 60, "exp": NOW + 540}));
    assert_eq!(
        Value::Object(accepted.data.clone()),
        json!({"appId": 4242, "appSlug": "broker", "clientId": "Iv1.broker", "appName": "Broker",
            "userTokens": true, "appScopes": [], "permissions": {"contents": "write", "metadata": "read"},
            "owner": {"id": 7, "slug": "acme", "type": "Organization"}})
    );
    assert!(accepted.redirect_uri.as_ref().unwrap().starts_with("https://carnet.example/callback/scl_"));
    let secrets =
        [("/privateKeyPem", PEM.text.trim()), ("/clientSecret", "client-s3cret"), ("/webhookSecret", "hook")];
    for (pointer, secret) in secrets {
        assert_eq!(accepted.secrets.at(pointer).map(|s| s.expose().as_str()), Some(secret));
    }
    // Accepted once, accepted again, with the secrets put back; with line breaks as files of variables write them.
    let mut again = accepted.data.clone();
    again.extend(object(data(json!({"privateKeyPem": PEM.text.replace('\n', "\\n")}))));
    assert_eq!(bench.accept(Github, again.into()).await.unwrap().data, accepted.data);

    let made = Made::new(&bench, Github, accepted);
    let abilities = made.driver.abilities(&made.connector);
    assert_eq!(abilities.subjects, [SubjectKind::App, SubjectKind::User]);
    assert!(abilities.installation && abilities.revocation && abilities.old_access_dies);
    assert_eq!(abilities.rotation, Rotation::Strict);
    assert_eq!(abilities.app.unwrap().details, ["github_app_installation"]);
    assert!(made.driver.recipients(&made.connector).contains("https://api.github.com"));
    let without = bench.accept(Github, data(json!({"clientSecret": null}))).await.unwrap();
    let made = Made::new(&bench, Github, without);
    assert_eq!(made.driver.abilities(&made.connector).subjects, [SubjectKind::App]);
}

#[tokio::test]
async fn what_cannot_work_is_refused_with_the_field_that_is_wrong() {
    let bench = bench();
    for (more, field) in [
        (json!({"appId": null}), "appId"),
        (json!({"appId": "many"}), "appId"),
        (json!({"appId": 0}), "appId"),
        (json!({"appId": 4243}), "appId"),
        (json!({"privateKeyPem": null}), "privateKeyPem"),
        (json!({"privateKeyPem": "secret"}), "privateKeyPem"),
        (json!({"privateKeyPem": "é"}), "privateKeyPem"),
        (json!({"appSlug": "other"}), "appSlug"),
        (json!({"appSlug": "../x"}), "appSlug"),
        (json!({"clientId": "Iv1.other"}), "clientId"),
        (json!({"appScopes": ["read"]}), "appScopes"),
        (json!({"appScopes": ["contents:admin"]}), "appScopes"),
        (json!({"appScopes": ["contents:read", "issues:write"]}), "appScopes"),
        (json!({"botScopes": []}), "botScopes"),
    ] {
        let refused = bench.accept(Github, data(more.clone())).await.unwrap_err();
        assert_eq!(refused.field, field, "{more}: {refused}");
    }
    let unasked = "could not be asked";
    for (reply, field, why) in [
        (
            message(401, "not decoded"),
            "privateKeyPem",
            "does not take this key for the app 4242: “not decoded”",
        ),
        (message(404, "Not Found"), "appId", "knows no app"),
        (message(403, "<b>suspended\u{7}\u{202e}"), "appId", "refuses the app: “<b>suspended”"),
        (message(500, ""), "appId", unasked),
        (Reply::text(200, "text/html", "<html>"), "appId", unasked),
        (Reply::HangUp, "appId", unasked),
    ] {
        now_on(&bench, "/app", reply.clone());
        let refused = bench.accept(Github, data(json!({}))).await.unwrap_err();
        assert_eq!(refused.field, field, "{reply:?}");
        assert!(refused.why.contains(why), "{reply:?}: {}", refused.why);
    }
}

#[tokio::test]
async fn a_token_is_narrowed_and_says_its_reach() {
    let bench = bench();
    let made = made(&bench).await;
    bench.server.on(TOKENS, given(json!({})));
    let minted = token(&made, "", json!([])).await.unwrap();
    let seen = bench.server.only();
    assert_eq!((seen.line(), seen.body.as_str()), (format!("POST {TOKENS}"), "{}"));
    assert_eq!((minted.token.expose().as_str(), minted.scopes), ("ghs_made.by_us", None));
    assert_eq!(minted.expires_at, Some(Time::from_secs(NOW + 3600)));
    assert!(minted.held.is_none());
    let reach = json!({"permissions": {"contents": "write"}, "repository_selection": "all"});
    assert_eq!(Value::Object(minted.metadata), reach);

    let narrow = given(json!({"permissions": {"contents": "read", "metadata": "read"},
        "repository_selection": "selected", "repositories": [{"name": "api", "full_name": "acme/api"}]}));
    now_on(&bench, TOKENS, narrow);
    let detail = json!([{"type": "github_app_installation", "org": "acme", "permissions": ["contents:read"],
        "repositories": ["acme/api"]}]);
    assert_eq!(made.driver.tenant_in(detail.as_array().unwrap()), Some("acme"));
    let minted = token(&made, "", detail).await.unwrap();
    let body: Value = serde_json::from_str(&bench.server.only().body).unwrap();
    assert_eq!(body, json!({"permissions": {"contents": "read"}, "repositories": ["api"]}));
    assert_eq!(minted.metadata["repositories"], json!(["acme/api"]));

    now_on(&bench, TOKENS, given(json!({"permissions": {"contents": "read"}})));
    let minted = token(&made, "contents:read", json!([])).await.unwrap();
    assert_eq!(minted.scopes, scopes_of("contents:read"));
}

#[tokio::test]
async fn a_token_that_reaches_farther_is_given_back_and_kept_from_the_caller() {
    let bench = bench();
    let made = made(&bench).await;
    bench.server.on("/installation/token", Reply::text(204, "text/plain", ""));
    let only_api = json!([{"type": "github_app_installation", "repositories": ["api"]}]);
    for (more, scopes, details) in [
        (json!({"permissions": {"contents": "write"}}), "contents:read", json!([])),
        (json!({"permissions": {"contents": "read", "actions": "read"}}), "contents:read", json!([])),
        (json!({"permissions": null}), "contents:read", json!([])),
        (json!({"repositories": [{"name": "api"}, {"name": "web"}]}), "", only_api.clone()),
        (json!({}), "", only_api),
    ] {
        now_on(&bench, TOKENS, given(more.clone()));
        let refused = token(&made, scopes, details).await;
        assert!(outcome(&refused).starts_with("stray it "), "{more}: {refused:?}");
        assert!(!format!("{refused:?}").contains("ghs_"));
        let back = bench.server.seen().pop().unwrap();
        assert_eq!(back.line(), "DELETE /installation/token");
        assert_eq!(back.header("authorization"), Some("Bearer ghs_made.by_us"));
    }
}

/// What GitHub answers, and what it means. Nothing is followed, and nothing of it is taken for a token.
#[tokio::test]
async fn every_answer_to_a_request_for_a_token_has_its_meaning() {
    let bench = bench();
    let made = made(&bench).await;
    let spent = message(403, "API rate limit exceeded").with("x-ratelimit-remaining", "0");
    for (reply, want) in [
        (message(401, "Bad credentials"), "client rejected"),
        (message(404, "Not Found"), "not installed"),
        (message(403, "This installation has been suspended"), "refused "),
        (message(422, "The permissions requested are not granted to this installation."), "refused "),
        (message(403, "secondary rate limit").with("retry-after", "60"), "later 60s"),
        (message(403, "You have exceeded a secondary rate limit. Please wait a few minutes."), "later 60s"),
        (
            Reply::json(
                403,
                json!({"message": "Wait.", "documentation_url":
                "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}),
            ),
            "later 60s",
        ),
        (spent.with("x-ratelimit-reset", &(NOW + 90).to_string()), "later 90s"),
        (message(429, "slow").with("retry-after", "5"), "later 5s"),
        (message(500, "oops"), "later"),
        (Reply::text(502, "text/html", "<html>"), "later"),
        (message(301, "Moved").with("location", "https://evil.example/"), "garbage"),
        (Reply::text(201, "text/html", "<html>"), "garbage"),
        (Reply::json(200, json!({"token": "ghs_x", "expires_at": ENDS})), "garbage"),
        (Reply::json(201, json!({"token": "", "expires_at": ENDS})), "garbage"),
        (Reply::json(201, json!({"token": "a b", "expires_at": ENDS})), "garbage"),
        (Reply::json(201, json!({"token": "ghs_x", "expires_at": "soon"})), "garbage"),
        (Reply::json(201, json!({"token": "ghs_x", "expires_at": "2027-01-15T08:00:00Z"})), "garbage"),
        (Reply::json(201, json!({"token": "ghs_x", "expires_at": "2020-01-01T00:00:00Z"})), "garbage"),
        (Reply::json(201, json!({"token": "ghs_x"})), "garbage"),
        (Reply::Truncated, "later in doubt"),
        (Reply::HangUp, "later in doubt"),
    ] {
        now_on(&bench, TOKENS, reply.clone());
        assert_eq!(outcome(&token(&made, "", json!([])).await), want, "{reply:?}");
        // A token that cannot be handed out is given back.
        let asked = bench.server.seen().into_iter().filter(|seen| seen.line().starts_with("POST "));
        assert_eq!(asked.count(), 1, "{reply:?}");
    }
}

#[tokio::test]
async fn a_jwt_is_written_anew_by_the_clock_of_github_when_ours_is_wrong() {
    let bench = bench();
    let made = made(&bench).await;
    // Ten minutes before us.
    bench.server.on(TOKENS, message(401, "").with("date", "Fri, 15 Jan 2027 07:50:00 GMT"));
    bench.server.on(TOKENS, given(json!({})));
    token(&made, "", json!([])).await.unwrap();
    let issued: Vec<Value> = bench.server.seen().iter().map(|seen| claims(seen)["iat"].clone()).collect();
    assert_eq!(issued, [json!(NOW - 60), json!(NOW - 600 - 60)]);
}

async fn leave(
    made: &Made<'_>,
    change: impl FnOnce(&mut ConsentAsk<'_>),
) -> Result<(Url, Kept), DriverError> {
    made.begin(|ask| {
        ask.installs = true;
        change(ask);
    })
    .await
}

fn installations(ids: &[(u64, u64)]) -> Reply {
    let one =
        |(id, app): &(u64, u64)| json!({"id": id, "app_id": app, "account": {"id": 7, "login": "acme"}});
    let all: Vec<Value> = ids.iter().map(one).collect();
    Reply::json(200, json!({"total_count": ids.len(), "installations": all}))
}

#[tokio::test]
async fn an_installation_is_believed_if_github_lists_it_for_whoever_came_back() {
    let bench = bench();
    let made = made(&bench).await;
    let (url, kept) = leave(&made, |_| ()).await.unwrap();
    assert_eq!(url.path(), "/apps/broker/installations/new");
    assert_eq!(param(&url, "state").as_deref(), Some(STATE));
    let (url, _) = leave(&made, |ask| ask.tenant = Some("7".into())).await.unwrap();
    assert_eq!(url.path(), "/apps/broker/installations/new/permissions");
    assert_eq!(param(&url, "target_id").as_deref(), Some("7"));
    let detail = json!({"type": "github_app_installation"});
    for refused in [
        leave(&made, |ask| ask.tenant = Some("acme".into())).await,
        leave(&made, |ask| ask.scopes = scopes_of("contents:read")).await,
        leave(&made, |ask| ask.details = vec![detail]).await,
    ] {
        assert_eq!(outcome(&refused), "unsupported");
    }
    bench
        .server
        .on(REDEEM, Reply::json(200, json!({"access_token": "ghu_1", "token_type": "bearer", "scope": ""})));
    bench.server.on(FORGET, Reply::text(204, "text/plain", ""));
    bench.server.on("/user/installations", installations(&[(99, 4242), (100, 4242)]));
    let granted = made.finish("code=c&installation_id=100&setup_action=install", &kept).await.unwrap();
    assert_eq!(granted.installation, Some(at_acme()));
    assert!(granted.held.is_nothing());
    let lines: Vec<String> = bench.server.seen().iter().map(Seen::line).collect();
    let list = "GET /user/installations?per_page=100&page=1";
    assert_eq!(lines, [format!("POST {REDEEM}"), list.to_owned(), format!("DELETE {FORGET}")]);

    // Somebody else's number, another app's, none; and a way back that says nothing about who came.
    for (query, list, want) in [
        ("code=c&installation_id=101", installations(&[(100, 4242)]), "callback InstallationNotConfirmed"),
        ("code=c&installation_id=100", installations(&[(100, 4243)]), "callback InstallationNotConfirmed"),
        ("code=c&installation_id=100", installations(&[]), "callback InstallationNotConfirmed"),
        ("code=c&installation_id=100", Reply::json(200, json!({"installations": 7})), "garbage"),
        ("code=c&installation_id=100", message(403, "no"), "refused "),
        ("code=c&installation_id=../x", installations(&[]), "callback Unexpected"),
        ("code=c", installations(&[]), "callback Unexpected"),
        ("setup_action=request&state=s", installations(&[]), "callback AwaitsApproval"),
        ("error=access_denied&installation_id=100", installations(&[]), "denied"),
    ] {
        now_on(&bench, "/user/installations", list);
        assert_eq!(outcome(&made.finish(query, &kept).await), want, "{query}");
    }
    let without_code = made.finish("installation_id=100&setup_action=install", &kept).await;
    assert!(outcome(&without_code).starts_with("callback InstallerUnknown"), "{without_code:?}");
}

/// Other teams have installed the operator's app too, and whoever reads one repository there has it in the list.
#[tokio::test]
async fn an_installation_of_a_shared_app_is_believed_of_whoever_decides_about_it() {
    let bench = bench();
    let mut made = made(&bench).await;
    made.connector.managed = true;
    let (_, kept) = leave(&made, |_| ()).await.unwrap();
    bench
        .server
        .on(REDEEM, Reply::json(200, json!({"access_token": "ghu_1", "token_type": "bearer", "scope": ""})));
    bench.server.on(FORGET, Reply::text(204, "text/plain", ""));
    let listed = |account: Value, created: &str| {
        let one = json!({"id": 100, "app_id": 4242, "account": account, "created_at": created});
        Reply::json(200, json!({"total_count": 1, "installations": [one]}))
    };
    let acme = || json!({"id": 7, "login": "acme", "type": "Organization"});
    let ada = || json!({"id": 7, "login": "acme", "type": "User"});
    let member = |role: &str, state: &str, id: u64| {
        Reply::json(200, json!({"role": role, "state": state, "organization": {"id": id, "login": "acme"}}))
    };
    let (before, since) = ("2027-01-15T07:58:00Z", "2027-01-15T08:00:01Z");
    let mine = Ok(());
    let not_mine = Err("callback NotTheirsToInstall");
    for (list, membership, user, want) in [
        (listed(acme(), since), message(404, "no"), message(404, "no"), mine),
        (listed(acme(), before), member("admin", "active", 7), message(404, "no"), mine),
        (listed(acme(), before), member("member", "active", 7), message(404, "no"), not_mine),
        (listed(acme(), before), member("admin", "pending", 7), message(404, "no"), not_mine),
        (listed(acme(), before), member("admin", "active", 8), message(404, "no"), not_mine),
        (listed(acme(), before), message(403, "no"), message(404, "no"), not_mine),
        (listed(acme(), "soon"), message(403, "no"), message(404, "no"), not_mine),
        (listed(ada(), before), message(404, "no"), Reply::json(200, json!({"id": 7})), mine),
        (listed(ada(), before), message(404, "no"), Reply::json(200, json!({"id": 8})), not_mine),
        (
            listed(json!({"login": "../../x", "type": "Organization"}), before),
            message(404, "no"),
            message(404, "no"),
            not_mine,
        ),
        (listed(json!({"type": "User"}), before), message(404, "no"), Reply::json(200, json!({})), not_mine),
    ] {
        now_on(&bench, "/user/installations", list.clone());
        now_on(&bench, "/user/memberships/orgs/acme", membership.clone());
        now_on(&bench, "/user", user.clone());
        let got = made.finish("code=c&installation_id=100&setup_action=install", &kept).await;
        let got = got.as_ref().map(|_| ()).map_err(|_| outcome(&got));
        assert_eq!(got.as_ref().map_err(String::as_str).copied(), want, "{list:?} {membership:?} {user:?}");
        let last = bench.server.seen().last().map(Seen::line);
        assert_eq!(last, Some(format!("DELETE {FORGET}")), "the person's token is given back");
    }
}

#[tokio::test]
async fn an_installation_that_is_named_is_looked_up_by_the_app() {
    let bench = bench();
    let made = made(&bench).await;
    let acme = json!({"id": 100, "account": {"id": 7, "login": "acme"}});
    bench.server.on("/app/installations/100", Reply::json(200, acme));
    bench.server.on("/app/installations/102", Reply::json(200, json!({"id": 100})));
    let at = made.at();
    assert_eq!(made.driver.installation(&at, "100").await.unwrap(), Some(at_acme()));
    for (name, want) in [("101", "not installed"), ("../app", "unsupported"), ("102", "garbage")] {
        assert_eq!(outcome(&made.driver.installation(&at, name).await), want, "{name}");
    }
}

async fn person(made: &Made<'_>) -> Granted {
    let server = &made.bench.server;
    let form = "access_token=ghu_1&expires_in=28800&refresh_token=ghr_1&refresh_token_expires_in=15811200&scope=\
                &token_type=bearer";
    server.on(REDEEM, Reply::text(200, "application/x-www-form-urlencoded", form));
    server.on("/user", Reply::json(200, json!({"id": 583_231, "login": "octocat"})));
    let (_, kept) = made.begin(|_| ()).await.unwrap();
    let granted = made.finish("code=c", &kept).await.unwrap();
    server.forget(REDEEM);
    granted
}

#[tokio::test]
async fn a_person_is_known_by_number_and_the_token_lives_as_long_as_github_says() {
    let bench = bench();
    let made = made(&bench).await;
    let (url, kept) = made.begin(|ask| ask.login_hint = Some("octocat".into())).await.unwrap();
    assert_eq!(url.path(), "/login/oauth/authorize");
    for (name, value) in
        [("client_id", "Iv1.broker"), ("login", "octocat"), ("code_challenge_method", "S256")]
    {
        assert_eq!(param(&url, name).as_deref(), Some(value));
    }
    assert!(param(&url, "scope").is_none() && kept.verifier.is_some());
    let granted = person(&made).await;
    let seen = bench.server.seen();
    assert_eq!(seen[0].field("code_verifier").map(|verifier| verifier.len()), Some(43));
    assert_eq!(seen[0].field("client_secret").as_deref(), Some("client-s3cret"));
    assert_eq!(
        (granted.external_subject.as_deref(), granted.name.as_deref()),
        (Some("583231"), Some("octocat"))
    );
    assert_eq!(granted.scopes, None, "GitHub says none, which is not the same as no power");
    assert_eq!(granted.access_expires_at, Some(Time::from_secs(NOW + 28_800)));
    assert_eq!(granted.refresh_expires_at, Some(Time::from_secs(NOW + 15_811_200)));
    assert_eq!(outcome(&made.begin(|ask| ask.scopes = scopes_of("repo")).await), "unsupported");

    // A grant is not lost because GitHub does not say whose it is.
    now_on(&bench, "/user", Reply::HangUp);
    bench.server.on(REDEEM, Reply::json(200, json!({"access_token": "ghu_1"})));
    let granted = made.finish("code=c", &kept).await.unwrap();
    assert_eq!((granted.external_subject, granted.access_expires_at), (None, None));
}

#[tokio::test]
async fn a_refresh_is_sent_once_and_a_refusal_means_what_github_means() {
    let bench = bench();
    let made = made(&bench).await;
    let held = person(&made).await.held;
    bench.server.seen();
    let answer = json!({"access_token": "ghu_2", "expires_in": 28800, "refresh_token": "ghr_2",
        "refresh_token_expires_in": 15_811_200, "scope": "", "token_type": "bearer"});
    bench.server.on(REDEEM, Reply::json(200, answer));
    let minted = made.refresh(&held, "").await.unwrap();
    let seen = bench.server.only();
    assert_eq!(seen.names(), ["grant_type", "refresh_token", "client_id", "client_secret"]);
    assert_eq!(seen.header("accept"), Some("application/json"), "else GitHub answers with a form");
    assert_eq!((minted.token.expose().as_str(), minted.scopes), ("ghu_2", None));
    let new = minted.held.unwrap();
    assert_eq!(new.refresh().map(|refresh| refresh.expose().as_str()), Some("ghr_2"));
    assert_eq!(new.external_subject(), Some("583231"));
    let error = |code: &str| Reply::json(200, json!({"error": code, "error_description": "why"}));
    for (reply, want) in [
        (error("bad_refresh_token"), "gone revoked_at_provider"),
        (error("incorrect_client_credentials"), "client rejected incorrect_client_credentials"),
        (error("unverified_user_email"), "refused unverified_user_email"),
        (Reply::json(429, json!({})).with("retry-after", "9"), "later 9s"),
        (Reply::text(200, "text/html", "<html>"), "garbage in doubt"),
        (Reply::json(503, json!({})), "later in doubt"),
        (Reply::HangUp, "later in doubt"),
    ] {
        now_on(&bench, REDEEM, reply.clone());
        assert_eq!(outcome(&made.refresh(&held, "").await), want, "{reply:?}");
        assert_eq!(bench.server.seen().len(), 1, "{reply:?}");
    }
    assert_eq!(outcome(&made.refresh(&held, "repo").await), "unsupported");
    assert_eq!(bench.server.seen(), [], "what cannot be narrowed spends nothing");
}

#[tokio::test]
async fn a_token_is_ended_where_its_kind_ends() {
    let bench = bench();
    let made = made(&bench).await;
    let held = person(&made).await.held;
    bench.server.seen();
    for (status, want) in [(204, "ok"), (422, "ok"), (404, "ok"), (401, "client rejected"), (500, "later")] {
        now_on(&bench, FORGET, Reply::json(status, json!({})));
        assert_eq!(outcome(&made.driver.revoke(&made.at(), &held).await), want, "{status}");
        let seen = bench.server.only();
        assert_eq!(seen.line(), format!("DELETE {FORGET}"));
        assert_eq!(seen.header("authorization"), Some("Basic SXYxLmJyb2tlcjpjbGllbnQtczNjcmV0"));
        assert_eq!(seen.body, r#"{"access_token":"ghu_1"}"#);
    }
    let app = Held::of_access(SecretString::new("ghs_1".to_owned()));
    for (status, want) in [(204, "ok"), (401, "ok"), (500, "later")] {
        now_on(&bench, "/installation/token", Reply::json(status, json!({})));
        assert_eq!(outcome(&made.driver.revoke(&made.at(), &app).await), want, "{status}");
        assert_eq!(bench.server.only().line(), "DELETE /installation/token");
    }
    assert_eq!(made.driver.revoke(&made.at(), &Held::nothing()).await.unwrap(), Revocation::NotSupported);
    // A way that is not GitHub's.
    let state = SecretString::new(STATE.to_owned());
    let step = made.driver.begin(&made.at(), &ConsentAsk::new(&state)).await.unwrap();
    let Step::Redirect { kept, .. } = step else { panic!("{step:?}") };
    let pasted = Callback::Pasted { key: SecretString::new("ghp_1".to_owned()) };
    assert_eq!(outcome(&made.driver.finish(&made.at(), &pasted, &kept).await), "callback Unexpected");
}
