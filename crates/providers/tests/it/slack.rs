//! A Slack app: installed in a workspace or a whole organization, acting for people, with token rotation or without.

use carnet_model::connector::ConnectorType::Slack;
use carnet_model::{Scopes, SecretString, SubjectKind, Time};
use carnet_providers::{Bound, Granted, Held, Import, Installed, Kept, MintAsk, Revocation};
use serde_json::{Map, Value, json};

use crate::bench::{Bench, Made, NOW, STATE, object, outcome, param, scopes_of};
use crate::server::Reply;

const ACCESS: &str = "/api/oauth.v2.access";
const EXCHANGE: &str = "/api/oauth.v2.exchange";
const REVOKE: &str = "/api/auth.revoke";

fn bench() -> Bench {
    let bench = Bench::instead_of(&["https://slack.com"]);
    bench.server.on(ACCESS, error("invalid_code"));
    bench
}

fn error(code: &str) -> Reply {
    Reply::json(200, json!({"ok": false, "error": code}))
}

fn data(more: Value) -> Value {
    let mut data = json!({"clientId": "1.2", "clientSecret": "s3cret", "signingSecret": "sign",
        "botScopes": ["chat:write", "channels:read"], "userScopes": ["users:read"]});
    data.as_object_mut().unwrap().extend(object(more));
    data
}

async fn made(bench: &Bench, more: Value) -> Made<'_> {
    let made = bench.connector(Slack, data(more)).await;
    bench.server.seen();
    made
}

fn answers(bench: &Bench, path: &str, reply: Reply) {
    bench.server.forget(path);
    bench.server.on(path, reply);
}

/// What Slack says after an installation, as in its reference of `oauth.v2.access`.
fn installed(more: Value) -> Reply {
    let mut body = json!({"ok": true, "access_token": "xoxb-1", "token_type": "bot", "scope": "chat:write,channels:read",
        "bot_user_id": "U0BOT", "app_id": "A0APP", "team": {"name": "Acme", "id": "T1"}, "enterprise": null,
        "is_enterprise_install": false, "authed_user": {"id": "U1"}});
    body.as_object_mut().unwrap().extend(object(more));
    Reply::json(200, body)
}

fn person(more: Value) -> Reply {
    let mut user = json!({"id": "U1", "scope": "users:read", "access_token": "xoxp-1", "token_type": "user"});
    user.as_object_mut().unwrap().extend(object(more));
    Reply::json(
        200,
        json!({"ok": true, "app_id": "A0APP", "team": {"name": "Acme", "id": "T1"}, "enterprise": null,
        "is_enterprise_install": false, "authed_user": user}),
    )
}

async fn install(made: &Made<'_>, reply: Reply) -> Result<Granted, carnet_providers::DriverError> {
    let (_, kept) = made
        .begin(|ask| {
            ask.installs = true;
            ask.scopes = scopes_of("chat:write channels:read");
        })
        .await
        .unwrap();
    answers(made.bench, ACCESS, reply);
    made.finish("code=c", &kept).await
}

async fn consent(made: &Made<'_>, reply: Reply) -> Result<Granted, carnet_providers::DriverError> {
    let (_, kept) = made.begin(|ask| ask.scopes = scopes_of("users:read")).await.unwrap();
    answers(made.bench, ACCESS, reply);
    made.finish("code=c", &kept).await
}

fn texts(held: &Held) -> (Option<&str>, Option<&str>) {
    (
        held.access().map(|access| access.token.expose().as_str()),
        held.refresh().map(|refresh| refresh.expose().as_str()),
    )
}

#[tokio::test]
async fn slack_is_asked_whether_it_knows_the_client() {
    let bench = bench();
    let accepted =
        bench.accept(Slack, data(json!({"appId": "A0APP", "slackTeam": {"id": "T1"}}))).await.unwrap();
    let seen = bench.server.only();
    assert_eq!(seen.header("authorization"), Some("Basic MS4yOnMzY3JldA=="));
    assert_eq!(seen.names(), ["code"]);
    assert_eq!(
        Value::Object(accepted.data.clone()),
        json!({"clientId": "1.2", "botScopes": ["channels:read", "chat:write"], "userScopes": ["users:read"],
            "appId": "A0APP", "slackTeam": {"id": "T1"}})
    );
    for (pointer, secret) in [("/clientSecret", "s3cret"), ("/signingSecret", "sign")] {
        assert_eq!(accepted.secrets.at(pointer).map(|secret| secret.expose().as_str()), Some(secret));
    }
    let mut again = accepted.data.clone();
    again.insert("clientSecret".to_owned(), "s3cret".into());
    assert_eq!(bench.accept(Slack, again.into()).await.unwrap().data, accepted.data);
    for (more, field) in [
        (json!({"clientId": null}), "clientId"),
        (json!({"clientSecret": null}), "clientSecret"),
        (json!({"botScopes": null, "userScopes": []}), "botScopes"),
        (json!({"appId": "T1"}), "appId"),
        (json!({"appId": "A"}), "appId"),
        (json!({"slackTeam": {"name": "Acme"}}), "slackTeam.id"),
        (json!({"slackTeam": {"id": "xyz"}}), "slackTeam.id"),
        (json!({"slackTeam": {"id": "T"}}), "slackTeam.id"),
        (json!({"slackTeam": {"id": "acme.slack.com"}}), "slackTeam.id"),
        (json!({"privateKeyPem": "x"}), "privateKeyPem"),
    ] {
        assert_eq!(bench.accept(Slack, data(more.clone())).await.unwrap_err().field, field, "{more}");
    }
    // Who says nothing of scopes gets a bot that can speak; who says something gets that alone.
    for (more, bot) in [
        (
            json!({"botScopes": null, "userScopes": null}),
            json!(["channels:read", "chat:write", "users:read"]),
        ),
        (json!({"botScopes": null}), json!([])),
        (json!({"slackTeam": {"id": "E0ORG"}}), json!(["channels:read", "chat:write"])),
    ] {
        let accepted = bench.accept(Slack, data(more.clone())).await.unwrap();
        assert_eq!(accepted.data["botScopes"], bot, "{more}");
    }
    for (reply, field) in [
        (error("bad_client_secret"), "clientSecret"),
        (error("invalid_client_id"), "clientId"),
        (Reply::json(200, json!({"ok": true})), "clientId"),
        (Reply::text(503, "text/html", "<html>"), "clientId"),
    ] {
        answers(&bench, ACCESS, reply.clone());
        assert_eq!(bench.accept(Slack, data(json!({}))).await.unwrap_err().field, field, "{reply:?}");
    }
}

#[tokio::test]
async fn the_scopes_of_one_kind_are_asked_for_at_a_time() {
    let bench = bench();
    let both = made(&bench, json!({})).await;
    let abilities = both.driver.abilities(&both.connector);
    assert_eq!(abilities.subjects, [SubjectKind::App, SubjectKind::User]);
    assert!(abilities.installation && abilities.app.as_ref().unwrap().left_by_installation);
    let people = made(&bench, json!({"botScopes": null})).await;
    let abilities = people.driver.abilities(&people.connector);
    assert_eq!((abilities.subjects, abilities.installation), (vec![SubjectKind::User], false));

    for (installs, bot, user) in
        [(true, "channels:read,chat:write", ""), (false, "", "channels:read,chat:write")]
    {
        let (url, kept) = both
            .begin(|ask| {
                ask.installs = installs;
                ask.scopes = scopes_of("chat:write channels:read");
                ask.tenant = installs.then(|| "T1".to_owned());
            })
            .await
            .unwrap();
        assert_eq!(url.path(), "/oauth/v2/authorize");
        for (name, value) in [("scope", bot), ("user_scope", user), ("client_id", "1.2"), ("state", STATE)] {
            assert_eq!(param(&url, name).as_deref(), Some(value), "{name}");
        }
        assert_eq!(param(&url, "team").as_deref(), installs.then_some("T1"));
        assert_eq!((kept.installs, kept.verifier.is_none()), (installs, true));
    }
    assert_eq!(outcome(&both.begin(|_| ()).await), "unsupported", "no scopes are no token");
    let own = |name: &str| [(name.to_owned(), "x".to_owned())].into();
    for name in ["user_scope", "team", "state"] {
        let refused = both
            .begin(|ask| {
                ask.scopes = scopes_of("users:read");
                ask.additional_params = own(name);
            })
            .await;
        assert_eq!(outcome(&refused), "unsupported", "{name}");
    }
}

#[tokio::test]
async fn an_installation_leaves_the_bots_token() {
    let bench = bench();
    let made = made(&bench, json!({})).await;
    let granted = install(&made, installed(json!({}))).await.unwrap();
    let seen = bench.server.only();
    assert_eq!(seen.names(), ["code", "redirect_uri"]);
    let place =
        Installed { external_id: Some("T1".into()), tenant_id: Some("T1".into()), name: Some("Acme".into()) };
    assert_eq!(granted.installation, Some(place));
    assert_eq!(texts(&granted.held), (Some("xoxb-1"), None));
    assert_eq!(granted.access_expires_at, None, "without rotation it ends when it is revoked");
    assert_eq!(granted.scopes, scopes_of("chat:write channels:read"));
    assert_eq!(
        Value::Object(granted.metadata),
        json!({"teamId": "T1", "appId": "A0APP", "botUserId": "U0BOT"})
    );

    // With rotation, and for a whole organization.
    let whole = json!({"team": null, "enterprise": {"id": "E1", "name": "Acme Group"}, "is_enterprise_install": true,
        "access_token": "xoxe.xoxb-1", "refresh_token": "xoxe-1", "expires_in": 43200});
    let granted = install(&made, installed(whole)).await.unwrap();
    let place = granted.installation.unwrap();
    assert_eq!((place.external_id.as_deref(), place.name.as_deref()), (Some("E1"), Some("Acme Group")));
    assert_eq!(texts(&granted.held), (Some("xoxe.xoxb-1"), Some("xoxe-1")));
    assert_eq!(granted.access_expires_at, Some(Time::from_secs(NOW + 43_200)));
    assert_eq!(granted.metadata["enterpriseId"], "E1");

    bench.server.on(REVOKE, Reply::json(200, json!({"ok": true, "revoked": true})));
    // A person's token that nobody asked for is given back.
    bench.server.seen();
    let more = json!({"authed_user": {"id": "U1", "access_token": "xoxp-9", "token_type": "user", "scope": "users:read"}});
    install(&made, installed(more)).await.unwrap();
    let back = bench.server.seen().pop().unwrap();
    assert_eq!(
        (back.line().as_str(), back.header("authorization")),
        ("POST /api/auth.revoke", Some("Bearer xoxp-9"))
    );
    for (reply, want) in [
        (installed(json!({"access_token": null})), "garbage in doubt"),
        (installed(json!({"token_type": "user"})), "garbage in doubt"),
        (installed(json!({"team": null})), "garbage in doubt"),
        (installed(json!({"scope": "é"})), "garbage in doubt"),
        (installed(json!({"expires_in": "soon"})), "ok"),
        (Reply::json(200, json!({"ok": "true"})), "garbage in doubt"),
        (Reply::json(200, json!({"ok": true, "error": "x"})), "garbage in doubt"),
        (error("invalid_code"), "callback CodeRefused"),
        (error("code_already_used"), "callback CodeRefused"),
        (error("bad_client_secret"), "client rejected bad_client_secret"),
        (error("something_new"), "refused something_new"),
        (error("internal_error"), "later in doubt"),
        (Reply::json(429, json!({})).with("retry-after", "30"), "later 30s"),
        (Reply::text(200, "text/html", "<html>"), "garbage in doubt"),
        (Reply::HangUp, "later in doubt"),
    ] {
        assert_eq!(outcome(&install(&made, reply.clone()).await), want, "{reply:?}");
    }
}

#[tokio::test]
async fn an_app_for_one_workspace_is_installed_in_no_other() {
    let bench = bench();
    let made = made(&bench, json!({"slackTeam": {"id": "T2"}})).await;
    bench.server.on(REVOKE, Reply::json(200, json!({"ok": true})));
    let (url, _) = made.begin(|ask| ask.scopes = scopes_of("users:read")).await.unwrap();
    assert_eq!(param(&url, "team").as_deref(), Some("T2"));
    let refused = install(&made, installed(json!({}))).await;
    assert!(outcome(&refused).starts_with("stray"), "{refused:?}");
    assert_eq!(bench.server.seen().pop().unwrap().header("authorization"), Some("Bearer xoxb-1"));
    assert!(outcome(&consent(&made, person(json!({}))).await).starts_with("stray"));
    assert!(install(&made, installed(json!({"team": {"id": "T2"}}))).await.is_ok());
}

#[tokio::test]
async fn a_persons_token_is_the_persons_and_not_the_bots() {
    let bench = bench();
    let made = made(&bench, json!({})).await;
    let granted =
        consent(&made, person(json!({"refresh_token": "xoxe-u1", "expires_in": 43200}))).await.unwrap();
    assert_eq!(texts(&granted.held), (Some("xoxp-1"), Some("xoxe-u1")));
    assert_eq!((granted.external_subject.as_deref(), granted.installation), (Some("U1"), None));
    // Some servers give a bot's token besides, whether or not one was asked for; it is not taken for the person's.
    let beside = installed(
        json!({"authed_user": {"id": "U1", "access_token": "xoxp-2", "token_type": "user", "scope": "users:read"}}),
    );
    assert_eq!(texts(&consent(&made, beside).await.unwrap().held), (Some("xoxp-2"), None));
    for reply in
        [person(json!({"access_token": null})), person(json!({"token_type": "bot"})), installed(json!({}))]
    {
        assert_eq!(outcome(&consent(&made, reply.clone()).await), "garbage in doubt", "{reply:?}");
    }
}

fn held(access: &str, refresh: Option<&str>) -> Held {
    let refresh = refresh.map(|text| format!(r#","refresh_token":"{text}""#)).unwrap_or_default();
    let json = format!(
        r#"{{"kind":"tokens","access_token":"{access}"{refresh},"scopes":["chat:write"],"external_subject":"U0BOT"}}"#
    );
    Held::from_json(json.as_bytes()).unwrap()
}

#[tokio::test]
async fn each_token_is_renewed_by_its_own_refresh_token() {
    let bench = bench();
    let made = made(&bench, json!({})).await;
    for (access, kind) in [("xoxe.xoxb-1", "bot"), ("xoxe.xoxp-1", "user")] {
        let held = held(access, Some("xoxe-1"));
        let answer = |kind: &str| {
            Reply::json(
                200,
                json!({"ok": true, "access_token": "xoxe.new", "refresh_token": "xoxe-2", "expires_in": 43200,
                "token_type": kind, "scope": "chat:write"}),
            )
        };
        answers(&bench, ACCESS, answer(kind));
        let minted = made.refresh(&held, "").await.unwrap();
        let seen = bench.server.only();
        assert_eq!(seen.names(), ["grant_type", "refresh_token"]);
        assert_eq!(seen.field("refresh_token").as_deref(), Some("xoxe-1"));
        assert_eq!(minted.expires_at, Some(Time::from_secs(NOW + 43_200)));
        let new = minted.held.unwrap();
        assert_eq!(texts(&new), (Some("xoxe.new"), Some("xoxe-2")));
        assert_eq!(new.external_subject(), Some("U0BOT"));
        // The other one's token would act as somebody else.
        answers(&bench, ACCESS, answer(if kind == "bot" { "user" } else { "bot" }));
        assert_eq!(outcome(&made.refresh(&held, "").await), "garbage in doubt");
        bench.server.seen();
    }
    let held = held("xoxe.xoxb-1", Some("xoxe-1"));
    for (reply, want) in [
        (error("invalid_refresh_token"), "gone revoked_at_provider"),
        (error("token_revoked"), "gone revoked_at_provider"),
        (error("account_inactive"), "gone revoked_at_provider"),
        (error("bad_client_secret"), "client rejected bad_client_secret"),
        (error("ratelimited"), "later"),
        (error("fatal_error"), "later in doubt"),
        (error("unknown"), "refused unknown"),
        (Reply::text(200, "text/html", "<html>"), "garbage in doubt"),
        (Reply::Truncated, "later in doubt"),
    ] {
        answers(&bench, ACCESS, reply.clone());
        assert_eq!(outcome(&made.refresh(&held, "").await), want, "{reply:?}");
    }
    bench.server.seen();
    assert_eq!(outcome(&made.refresh(&held, "chat:write").await), "unsupported");
    assert_eq!(outcome(&made.refresh(&self::held("xoxb-1", None), "").await), "gone expired");
    let ask = MintAsk::App {
        scopes: None,
        resources: vec![],
        audience: vec![],
        details: vec![],
        installation: None,
    };
    assert_eq!(outcome(&made.driver.mint(&made.at(), None, &ask).await), "unsupported");
    assert_eq!(bench.server.seen(), [], "nothing of this spends a token");
}

#[tokio::test]
async fn a_renewal_for_another_workspace_is_not_handed_out_and_spends_nothing() {
    let bench = bench();
    let rotating = json!({"access_token": "xoxe.xoxb-1", "refresh_token": "xoxe-1", "expires_in": 43200});
    let renewed = |team: &str| {
        installed(json!({"access_token": "xoxe.xoxb-2", "refresh_token": "xoxe-2", "expires_in": 43200,
            "team": {"name": "Acme", "id": team}}))
    };
    for more in [json!({}), json!({"slackTeam": {"id": "T1"}})] {
        answers(&bench, ACCESS, error("invalid_code"));
        let made = made(&bench, more).await;
        let held = install(&made, installed(rotating.clone())).await.unwrap().held;
        answers(&bench, ACCESS, renewed("T1"));
        assert_eq!(made.refresh(&held, "").await.unwrap().stray, None);
        answers(&bench, REVOKE, Reply::json(200, json!({"ok": true})));
        bench.server.seen();
        answers(&bench, ACCESS, renewed("T2"));
        let minted = made.refresh(&held, "").await.unwrap();
        assert!(minted.stray.as_deref().is_some_and(|why| why.contains("another workspace")), "{minted:?}");
        let ended = bench.server.seen().pop().unwrap();
        assert_eq!(
            (ended.line().as_str(), ended.header("authorization")),
            ("POST /api/auth.revoke", Some("Bearer xoxe.xoxb-2"))
        );
        // What is kept says still for which workspace it is.
        let kept = minted.held.unwrap();
        assert_eq!(texts(&kept), (None, Some("xoxe-2")));
        let kept = Held::from_json(kept.to_json().expose()).unwrap();
        answers(&bench, ACCESS, renewed("T1"));
        assert_eq!(made.refresh(&kept, "").await.unwrap().stray, None);
    }
    // Of a whole organization, whichever of its workspaces is named beside it.
    answers(&bench, ACCESS, error("invalid_code"));
    let of_all = made(&bench, json!({})).await;
    let mut whole = rotating.clone();
    whole.as_object_mut().unwrap().extend(object(
        json!({"is_enterprise_install": true, "team": null, "enterprise": {"id": "E1", "name": "Acme Group"}}),
    ));
    let held_of_all = install(&of_all, installed(whole)).await.unwrap().held;
    for (more, stray) in [
        (json!({"team": null, "enterprise": {"id": "E1"}, "is_enterprise_install": true}), false),
        (json!({"team": {"id": "T1"}, "enterprise": {"id": "E1"}}), false),
        (json!({"team": null, "enterprise": null}), false),
        (json!({"team": {"id": "T1"}, "enterprise": {"id": "E2"}}), true),
    ] {
        let mut body = json!({"access_token": "xoxe.xoxb-2", "refresh_token": "xoxe-2", "expires_in": 43200});
        body.as_object_mut().unwrap().extend(object(more.clone()));
        answers(&bench, ACCESS, installed(body));
        let minted = of_all.refresh(&held_of_all, "").await.unwrap();
        assert_eq!(minted.stray.is_some(), stray, "{more}");
    }
    // A life that cannot be read costs nothing but itself.
    for life in [json!("soon"), json!(-1), json!({})] {
        let body = json!({"access_token": "xoxe.xoxb-2", "refresh_token": "xoxe-2", "expires_in": life,
            "team": null, "enterprise": {"id": "E1"}});
        answers(&bench, ACCESS, installed(body));
        let minted = of_all.refresh(&held_of_all, "").await.unwrap();
        assert_eq!(texts(&minted.held.unwrap()), (Some("xoxe.xoxb-2"), Some("xoxe-2")), "{life}");
        assert_eq!(minted.expires_at, Some(Time::from_secs(NOW + 900)), "{life}");
    }
    // Who was there before it was written down belongs where the connector says.
    answers(&bench, ACCESS, error("invalid_code"));
    let made = made(&bench, json!({"slackTeam": {"id": "T1"}})).await;
    answers(&bench, ACCESS, renewed("T2"));
    let astray = made.refresh(&held("xoxe.xoxb-1", Some("xoxe-1")), "").await.unwrap();
    assert!(astray.stray.is_some());
    let again = made.refresh(&astray.held.unwrap(), "").await.unwrap();
    assert!(again.stray.is_some(), "what came from elsewhere once is not where it belongs");
}

#[tokio::test]
async fn a_token_is_ended_with_itself() {
    let bench = bench();
    let made = made(&bench, json!({})).await;
    let held = held("xoxb-1", None);
    for (reply, want) in [
        (Reply::json(200, json!({"ok": true, "revoked": true})), "ok"),
        (error("token_revoked"), "ok"),
        (error("account_inactive"), "ok"),
        (error("missing_scope"), "refused missing_scope"),
        (Reply::json(500, json!({})), "later in doubt"),
    ] {
        answers(&bench, REVOKE, reply.clone());
        assert_eq!(outcome(&made.driver.revoke(&made.at(), &held).await), want, "{reply:?}");
        assert_eq!(bench.server.only().header("authorization"), Some("Bearer xoxb-1"));
    }
    assert_eq!(made.driver.revoke(&made.at(), &Held::nothing()).await.unwrap(), Revocation::NotSupported);
    assert_eq!(
        texts(&made.driver.import(&made.at(), import("xoxp-1")).unwrap().held),
        (Some("xoxp-1"), None)
    );
    assert_eq!(outcome(&made.driver.import(&made.at(), import("xoxe.xoxb-1"))), "unsupported");
    assert_eq!(outcome(&made.finish("code=c&code=d", &Kept::default()).await), "callback Repeated(\"code\")");
}

/// A person's token from elsewhere.
fn import(access: &str) -> Import {
    Import {
        access: SecretString::new(access.to_owned()),
        access_expires_at: None,
        refresh: None,
        refresh_expires_at: None,
        scopes: Scopes::parse(["users:read"]).ok(),
        bound: Bound::default(),
        external_subject: Some("U1".to_owned()),
        name: None,
        metadata: Map::new(),
    }
}

#[tokio::test]
async fn a_token_from_before_rotation_is_exchanged_once() {
    let bench = bench();
    let made = made(&bench, json!({"tokenRotation": true})).await;
    let brought = made.driver.import(&made.at(), import("xoxp-1")).unwrap();
    assert_eq!(texts(&brought.held), (Some("xoxp-1"), Some("xoxp-1")), "it renews itself");
    assert_eq!(brought.access_expires_at, Some(Time::from_secs(NOW)), "at its first use");
    let pair = |more: Value| {
        let mut body = json!({"ok": true, "access_token": "xoxe.xoxp-2", "refresh_token": "xoxe-2", "expires_in": 43200});
        body.as_object_mut().unwrap().extend(object(more));
        Reply::json(200, body)
    };
    for more in [json!({}), json!({"token_type": "user"})] {
        answers(&bench, EXCHANGE, pair(more));
        let minted = made.refresh(&brought.held, "").await.unwrap();
        let seen = bench.server.only();
        assert_eq!(seen.path, EXCHANGE);
        assert_eq!(seen.names(), ["token", "client_id", "client_secret"]);
        assert_eq!(seen.field("token").as_deref(), Some("xoxp-1"));
        assert_eq!(minted.expires_at, Some(Time::from_secs(NOW + 43_200)));
        assert_eq!(minted.scopes, scopes_of("users:read"), "what it may do stays what it was");
        let new = minted.held.unwrap();
        assert_eq!(texts(&new), (Some("xoxe.xoxp-2"), Some("xoxe-2")));
        // From here on like any other.
        answers(&bench, ACCESS, pair(json!({"token_type": "user"})));
        made.refresh(&new, "").await.unwrap();
        assert_eq!(bench.server.only().field("refresh_token").as_deref(), Some("xoxe-2"));
    }
    for (reply, want) in [
        (pair(json!({"token_type": "bot"})), "garbage in doubt"),
        (pair(json!({"access_token": "xoxe.xoxb-2"})), "garbage in doubt"),
        (pair(json!({"access_token": null})), "garbage in doubt"),
        (error("token_already_exchanged"), "gone revoked_at_provider"),
        (error("authorization_not_found"), "gone revoked_at_provider"),
        (error("token_rotation_not_enabled"), "misconfigured tokenRotation"),
        (error("invalid_token"), "refused invalid_token"),
        (error("bad_client_secret"), "client rejected bad_client_secret"),
        (error("internal_error"), "later in doubt"),
        (Reply::json(429, json!({})).with("retry-after", "30"), "later 30s"),
        (Reply::HangUp, "later in doubt"),
    ] {
        answers(&bench, EXCHANGE, reply.clone());
        assert_eq!(outcome(&made.refresh(&brought.held, "").await), want, "{reply:?}");
    }
    bench.server.seen();

    // What was not exchanged yet can be ended all the same.
    answers(&bench, REVOKE, Reply::json(200, json!({"ok": true})));
    assert_eq!(made.driver.revoke(&made.at(), &brought.held).await.unwrap(), Revocation::Revoked);
    assert_eq!(bench.server.only().header("authorization"), Some("Bearer xoxp-1"));

    // An installation that leaves one, and one that leaves what rotates.
    let left = install(&made, installed(json!({}))).await.unwrap();
    assert_eq!(texts(&left.held), (Some("xoxb-1"), Some("xoxb-1")));
    let rotating = json!({"access_token": "xoxe.xoxb-1", "refresh_token": "xoxe-1", "expires_in": 43200});
    let left = install(&made, installed(rotating)).await.unwrap();
    assert_eq!(texts(&left.held), (Some("xoxe.xoxb-1"), Some("xoxe-1")));
    assert_eq!(left.access_expires_at, Some(Time::from_secs(NOW + 43_200)));

    // If the app does not rotate after all, the token is what it was, and nobody is asked.
    answers(&bench, ACCESS, error("invalid_code"));
    let without = self::made(&bench, json!({})).await;
    let minted = without.refresh(&brought.held, "").await.unwrap();
    assert_eq!((minted.token.expose().as_str(), minted.expires_at), ("xoxp-1", None));
    assert_eq!(texts(&minted.held.unwrap()), (Some("xoxp-1"), None));
    assert_eq!(bench.server.seen(), []);
}
