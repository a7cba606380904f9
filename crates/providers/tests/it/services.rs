//! Services that are data, and yet have ways of their own: installations by consent, requests in JSON, accounts that
//! have to be asked for, keys that are tried before they are kept. Each as its file in the catalog says.

use carnet_catalog::{Ask, Catalog};
use carnet_model::connector::ConnectorType;
use carnet_model::{Scopes, SecretString, SubjectKind};
use carnet_providers::{
    BadConfiguration, Callback, DriverError, Granted, Held, Installed, Kept, MintAsk, Revocation,
};
use serde_json::{Value, json};

use crate::bench::{Bench, Made, NOW, object, outcome, param, scopes_of};
use crate::server::Reply;

/// What the catalog makes of a way, with what only the service gives.
fn planned(service: &str, method: &str, brought: Value) -> (ConnectorType, Value) {
    let ask = Ask { method: Some(method.to_owned()), data: object(brought), ..Ask::default() };
    let plan = Catalog::default().get(service).unwrap().plan(&ask).unwrap().unwrap();
    (plan.driver, plan.data.into())
}

/// Where everything goes that would go to these origins.
fn bench(origins: &[&str]) -> Bench {
    Bench::instead_of(origins)
}

fn client() -> Value {
    json!({"clientId": "id", "clientSecret": "s3cret"})
}

async fn made<'b>(bench: &'b Bench, service: &str, method: &str, brought: Value) -> Made<'b> {
    let (driver, data) = planned(service, method, brought);
    let made = bench.connector(driver, data).await;
    bench.server.seen();
    made
}

/// Says yes to an installation, or for a person.
async fn consent(made: &Made<'_>, installs: bool, tenant: Option<&str>) -> (url::Url, Kept) {
    let abilities = made.driver.abilities(&made.connector);
    let whose = if installs { abilities.app } else { abilities.user }.unwrap();
    made.begin(|ask| {
        ask.installs = installs;
        ask.tenant = tenant.map(str::to_owned);
        ask.scopes = Some(whose.scopes).filter(|scopes: &Scopes| !scopes.is_empty());
    })
    .await
    .unwrap()
}

fn place(id: &str, name: Option<&str>) -> Installed {
    Installed { external_id: Some(id.into()), tenant_id: Some(id.into()), name: name.map(str::to_owned) }
}

fn tokens(held: &Held) -> (Option<&str>, Option<&str>) {
    (
        held.access().map(|access| access.token.expose().as_str()),
        held.refresh().map(|refresh| refresh.expose().as_str()),
    )
}

async fn app(
    made: &Made<'_>,
    scopes: &str,
    place: Installed,
) -> Result<carnet_providers::Minted, DriverError> {
    let (resources, audience, details) = Default::default();
    let ask =
        MintAsk::App { scopes: scopes_of(scopes), resources, audience, details, installation: Some(place) };
    made.driver.mint(&made.at(), None, &ask).await
}

const LINEAR: &[&str] = &["https://linear.app", "https://api.linear.app"];

fn linear_token() -> Reply {
    Reply::json(
        200,
        json!({"access_token": "lin_1", "token_type": "Bearer", "expires_in": 86399, "refresh_token": "rt_1",
        "scope": "read,write"}),
    )
}

#[tokio::test]
async fn linear_is_installed_in_a_workspace_that_it_names_itself() {
    let bench = bench(LINEAR);
    let made = made(&bench, "linear", "agent", client()).await;
    let abilities = made.driver.abilities(&made.connector);
    assert_eq!((abilities.subjects.as_slice(), abilities.installation), (&[SubjectKind::App][..], true));
    assert!(abilities.revocation && abilities.app.as_ref().unwrap().left_by_installation);
    assert_eq!(abilities.user, None);

    let (url, kept) = consent(&made, true, None).await;
    for (name, value) in
        [("actor", "app"), ("prompt", "consent"), ("scope", "app:assignable,app:mentionable,read,write")]
    {
        assert_eq!(param(&url, name).as_deref(), Some(value), "{name}");
    }
    bench.server.on("/oauth/token", linear_token());
    let said = json!({"data": {"viewer": {"id": "u1", "name": "Broker"}, "organization": {"id": "o1", "name": "Acme"}}});
    bench.server.on("/graphql", Reply::json(200, said));
    let granted = made.finish("code=c", &kept).await.unwrap();
    assert_eq!(granted.installation, Some(place("o1", Some("Acme"))));
    assert_eq!((granted.external_subject.as_deref(), granted.name.as_deref()), (Some("u1"), Some("Acme")));
    assert_eq!(tokens(&granted.held), (Some("lin_1"), Some("rt_1")));
    let seen = bench.server.seen();
    assert_eq!(seen[1].line(), "POST /graphql");
    assert_eq!(seen[1].header("authorization"), Some("Bearer lin_1"));
    assert!(seen[1].body.contains("organization"), "{}", seen[1].body);

    // It is renewed like any other, and nobody is asked again whose it is.
    bench.server.forget("/oauth/token");
    bench.server.on("/oauth/token", linear_token());
    assert_eq!(made.refresh(&granted.held, "").await.unwrap().token.expose(), "lin_1");
    assert_eq!(bench.server.seen().len(), 1);
    // A server that limits says so with 400.
    bench.server.forget("/oauth/token");
    bench
        .server
        .on("/oauth/token", Reply::json(400, json!({"error": "RATELIMITED"})).with("retry-after", "9"));
    assert_eq!(outcome(&made.refresh(&granted.held, "").await), "later 9s");
    bench.server.forget("/oauth/token");
    bench.server.on("/oauth/token", limited());
    assert_eq!(outcome(&made.refresh(&granted.held, "").await), "later 9s");
    assert_eq!(outcome(&made.begin(|_| ()).await), "unsupported", "it has no tokens of people");
}

/// What Linear says when it is asked too often, wherever that is.
fn limits() -> Value {
    json!({"errors": [{"message": "Rate limit exceeded", "extensions": {"code": "RATELIMITED", "statusCode": 429}}]})
}

fn limited() -> Reply {
    Reply::json(400, limits()).with("x-ratelimit-requests-reset", &((NOW + 9) * 1000).to_string())
}

#[tokio::test]
async fn an_installation_at_nobody_knows_where_is_none_and_is_given_back() {
    let bench = bench(LINEAR);
    let made = made(&bench, "linear", "agent", client()).await;
    bench.server.on("/oauth/revoke", Reply::json(200, "{}"));
    for (reply, want) in [
        (Reply::json(200, json!({"errors": [{"message": "no"}]})), "garbage in doubt"),
        (Reply::json(200, json!({"data": {"organization": {"id": {}}}})), "garbage in doubt"),
        (Reply::json(403, "{}"), "garbage in doubt"),
        // It is the token that is not taken, and nothing is said about the client.
        (Reply::json(401, json!({"errors": [{"message": "no"}]})), "refused "),
        (limited(), "later 9s"),
        (Reply::json(200, limits()), "later"),
        (Reply::json(503, "{}"), "later in doubt"),
        (Reply::text(200, "text/html", "<html>"), "garbage"),
    ] {
        let (_, kept) = consent(&made, true, None).await;
        for path in ["/oauth/token", "/graphql"] {
            bench.server.forget(path);
        }
        bench.server.on("/oauth/token", linear_token());
        bench.server.on("/graphql", reply.clone());
        bench.server.seen();
        assert_eq!(outcome(&made.finish("code=c", &kept).await), want, "{reply:?}");
        let ended: Vec<_> = bench
            .server
            .seen()
            .iter()
            .filter(|seen| seen.line().ends_with("/revoke"))
            .map(|seen| seen.field("token").unwrap())
            .collect();
        assert_eq!(ended, ["rt_1", "lin_1"], "{reply:?}");
    }
}

#[tokio::test]
async fn the_account_of_a_person_is_asked_for_where_no_id_token_says_it() {
    let bench = bench(LINEAR);
    let made = made(&bench, "linear", "oauth", client()).await;
    let (url, kept) = consent(&made, false, None).await;
    assert_eq!(param(&url, "actor"), None);
    bench.server.on("/oauth/token", linear_token());
    bench.server.on("/graphql", Reply::json(200, json!({"data": {"viewer": {"id": "u7", "name": "Alice"}}})));
    let granted = made.finish("code=c", &kept).await.unwrap();
    assert_eq!((granted.external_subject.as_deref(), granted.name.as_deref()), (Some("u7"), Some("Alice")));
    assert_eq!(granted.installation, None);
    assert_eq!(granted.held.external_subject(), Some("u7"));
}

#[tokio::test]
async fn notion_is_asked_in_json_and_says_the_workspace_with_the_token() {
    let bench = bench(&["https://api.notion.com"]);
    let answer = |token: &str| {
        Reply::json(
            200,
            json!({"access_token": token, "token_type": "bearer", "refresh_token": "nrt", "bot_id": "b1",
            "workspace_id": "w1", "workspace_name": "Acme", "workspace_icon": null, "duplicated_template_id": null,
            "owner": {"type": "user", "user": {"object": "user", "id": "u1", "name": "Alice"}}, "request_id": "r"}),
        )
    };
    let token = "/v1/oauth/token";
    for (method, installs, subject, name) in
        [("workspace", true, "b1", "Acme"), ("oauth", false, "u1", "Alice")]
    {
        let made = made(&bench, "notion", method, client()).await;
        let (url, kept) = consent(&made, installs, None).await;
        assert_eq!((param(&url, "owner").as_deref(), param(&url, "scope")), (Some("user"), None));
        bench.server.forget(token);
        bench.server.on(token, answer("ntn_1"));
        let granted: Granted = made.finish("code=c", &kept).await.unwrap();
        let seen = bench.server.seen().pop().unwrap();
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert_eq!(seen.header("authorization"), Some("Basic aWQ6czNjcmV0"));
        let sent: Value = serde_json::from_str(&seen.body).unwrap();
        assert_eq!((&sent["grant_type"], &sent["code"]), (&json!("authorization_code"), &json!("c")));
        assert_eq!(sent["redirect_uri"], made.redirect_uri.as_str());
        assert_eq!(granted.external_subject.as_deref(), Some(subject), "{method}");
        assert_eq!(granted.name.as_deref(), Some(name), "{method}");
        assert_eq!(granted.installation, installs.then(|| place("w1", Some("Acme"))), "{method}");
        assert_eq!(granted.metadata["workspace_id"], "w1");

        bench.server.forget(token);
        bench.server.on(token, answer("ntn_2"));
        let minted = made.refresh(&granted.held, "").await.unwrap();
        assert_eq!(
            (minted.token.expose().as_str(), &minted.metadata["workspace_name"]),
            ("ntn_2", &json!("Acme"))
        );
        let sent: Value = serde_json::from_str(&bench.server.only().body).unwrap();
        assert_eq!(sent, json!({"grant_type": "refresh_token", "refresh_token": "nrt"}));
        bench.server.on("/v1/oauth/revoke", Reply::json(200, json!({"request_id": "r"})));
        assert_eq!(made.driver.revoke(&made.at(), &granted.held).await.unwrap(), Revocation::Revoked);
        let ended: Vec<Value> =
            bench.server.seen().iter().map(|seen| serde_json::from_str(&seen.body).unwrap()).collect();
        assert_eq!(ended.iter().map(|one| &one["token"]).collect::<Vec<_>>(), ["nrt", "ntn_1"]);
    }
}

const DISCORD: &[&str] = &["https://discord.com"];

fn bot() -> Value {
    json!({"clientId": "id", "clientSecret": "s3cret", "installation": {"token": "bot.t0ken"}})
}

#[tokio::test]
async fn a_bot_is_added_to_a_server_and_acts_with_its_own_token() {
    let bench = bench(DISCORD);
    bench.server.on("/api/users/@me", Reply::json(200, json!({"id": "99", "username": "broker"})));
    let (driver, data) = planned("discord", "bot", bot());
    let made = bench.connector(driver, data).await;
    let asked = bench.server.only();
    assert_eq!(asked.header("authorization"), Some("Bot bot.t0ken"));
    assert!(!Value::Object(made.connector.data.clone()).to_string().contains("t0ken"));

    let (url, kept) = consent(&made, true, Some("42")).await;
    assert_eq!(param(&url, "scope").as_deref(), Some("applications.commands bot"));
    assert_eq!(param(&url, "guild_id").as_deref(), Some("42"));
    let answer = json!({"access_token": "at", "token_type": "Bearer", "expires_in": 604_800, "refresh_token": "rt",
        "scope": "applications.commands bot", "guild": {"id": "42", "name": "Our server"}});
    bench.server.on("/api/oauth2/token", Reply::json(200, answer));
    // What the address says is nobody's proof.
    let granted = made.finish("code=c&guild_id=7&permissions=8", &kept).await.unwrap();
    assert_eq!(granted.installation, Some(place("42", Some("Our server"))));
    assert!(granted.held.is_nothing(), "whoever added it is acted for by nobody");
    let lines: Vec<String> = bench.server.seen().iter().map(crate::server::Seen::line).collect();
    assert_eq!(
        lines,
        ["POST /api/oauth2/token"],
        "ending one token would end those that the person gave elsewhere"
    );

    let minted = app(&made, "", place("42", Some("Our server"))).await.unwrap();
    assert_eq!((minted.token.expose().as_str(), minted.expires_at), ("bot.t0ken", None));
    assert_eq!(Value::Object(minted.metadata), json!({"tokenType": "Bot", "tenantId": "42"}));
    assert_eq!(outcome(&app(&made, "bot", place("42", None)).await), "unsupported");
    let held = Held::of_access(SecretString::new("bot.t0ken".to_owned()));
    assert_eq!(made.driver.revoke(&made.at(), &held).await.unwrap(), Revocation::NotSupported);
    assert!(bench.server.seen().is_empty());
}

#[tokio::test]
async fn a_bots_token_that_discord_does_not_accept_is_not_kept() {
    let bench = bench(DISCORD);
    for (reply, part) in [
        (Reply::json(401, json!({"message": "401: Unauthorized", "code": 0})), "not accepted by discord.com"),
        (Reply::json(429, "{}"), "could not be tried"),
        (Reply::text(502, "text/html", "<html>"), "could not be tried"),
        (Reply::HangUp, "could not be tried"),
    ] {
        for (method, brought, field) in [
            ("bot", bot(), "installation.token"),
            ("bot-token", json!({"values": [{"value": "bot.t0ken"}]}), "values.0.value"),
        ] {
            bench.server.forget("/api/users/@me");
            bench.server.on("/api/users/@me", reply.clone());
            let (driver, data) = planned("discord", method, brought);
            let bad = bench.accept(driver, data).await.unwrap_err();
            assert_eq!(bad.field, field, "{reply:?}");
            assert!(bad.why.contains(part) && !bad.why.contains("t0ken"), "{bad:?}");
        }
    }
}

#[tokio::test]
async fn a_person_of_discord_is_known_and_revoking_ends_all_of_theirs() {
    let bench = bench(DISCORD);
    let made = made(&bench, "discord", "oauth", client()).await;
    let (_, kept) = consent(&made, false, None).await;
    let answer = json!({"access_token": "at", "token_type": "Bearer", "expires_in": 604_800, "refresh_token": "rt",
        "scope": "guilds identify"});
    bench.server.on("/api/oauth2/token", Reply::json(200, answer));
    bench.server.on("/api/oauth2/@me", Reply::json(200, json!({"user": {"id": "7", "username": "alice"}})));
    let granted = made.finish("code=c", &kept).await.unwrap();
    assert_eq!((granted.external_subject.as_deref(), granted.name.as_deref()), (Some("7"), Some("alice")));
    bench.server.on("/api/oauth2/token/revoke", Reply::json(200, "{}"));
    assert_eq!(made.driver.revoke(&made.at(), &granted.held).await.unwrap(), Revocation::Revoked);
}

#[tokio::test]
async fn an_account_of_stripe_is_an_installation_that_ends_by_being_disconnected() {
    let bench = bench(&["https://connect.stripe.com"]);
    let made = made(&bench, "stripe", "connect", json!({"clientId": "ca_1", "clientSecret": "sk_1"})).await;
    let (url, kept) = consent(&made, true, None).await;
    assert_eq!(param(&url, "scope").as_deref(), Some("read_write"));
    let answer = json!({"access_token": "sk_acct", "livemode": false, "refresh_token": "rt", "token_type": "bearer",
        "stripe_publishable_key": "pk", "stripe_user_id": "acct_1", "scope": "read_write"});
    bench.server.on("/oauth/token", Reply::json(200, answer));
    let granted = made.finish("code=c", &kept).await.unwrap();
    assert_eq!(bench.server.only().field("client_secret").as_deref(), Some("sk_1"));
    assert_eq!(granted.installation, Some(place("acct_1", None)));
    assert_eq!((tokens(&granted.held), granted.access_expires_at), ((Some("sk_acct"), None), None));
    assert_eq!(granted.metadata["stripe_user_id"], "acct_1");

    bench.server.on("/oauth/deauthorize", Reply::json(200, json!({"stripe_user_id": "acct_1"})));
    assert_eq!(made.driver.revoke(&made.at(), &granted.held).await.unwrap(), Revocation::Revoked);
    let seen = bench.server.only();
    assert_eq!(
        (seen.header("authorization"), seen.names()),
        (Some("Bearer sk_1"), vec!["client_id".into(), "stripe_user_id".into()])
    );
    bench.server.forget("/oauth/deauthorize");
    bench.server.on("/oauth/deauthorize", Reply::json(401, json!({"error": "invalid_client"})));
    let refused = made.driver.revoke(&made.at(), &granted.held).await;
    assert_eq!(outcome(&refused), "client rejected invalid_client");
}

#[tokio::test]
async fn a_key_in_a_path_is_tried_before_it_is_kept_and_says_whose_it_is() {
    let bench = bench(&["https://api.telegram.org"]);
    let me = json!({"ok": true, "result": {"id": 123, "is_bot": true, "username": "broker_bot"}});
    bench.server.on("/bot123:AA-b_/getMe", Reply::json(200, me.clone()));
    let (driver, data) = planned("telegram", "bot-token", json!({"values": [{"value": "123:AA-b_"}]}));
    let made = bench.connector(driver, data).await;
    assert_eq!(
        made.connector.data["values"],
        json!([{"account": {"accountId": "123", "accountName": "broker_bot"}}])
    );
    assert_eq!(made.driver.recipients(&made.connector), ["https://api.telegram.org".to_owned()].into());
    let minted = made.app("").await.unwrap();
    assert_eq!(minted.external_subject.as_deref(), Some("123"));
    assert_eq!(Value::Object(minted.metadata), json!({"accountId": "123", "accountName": "broker_bot"}));

    // A key cannot lead elsewhere, whatever stands in it.
    let refused = Reply::json(404, json!({"ok": false, "error_code": 404, "description": "Not Found"}));
    bench.server.on("/botx%2F..%2F%3F%23/getMe", refused.clone());
    let key = |text: &str| planned("telegram", "bot-token", json!({"values": [{"value": text}]}));
    let (driver, data) = key("x/../?#");
    let bad = bench.accept(driver, data).await.unwrap_err();
    assert_eq!(bad.field, "values.0.value");
    assert!(bad.why.contains("not accepted by api.telegram.org"), "{bad:?}");

    // The same for keys that people paste.
    let (driver, data) = planned("telegram", "bot-token", json!({"subjectType": "user"}));
    let people = bench.connector(driver, data).await;
    let paste = async |text: &str| {
        let back = Callback::Pasted { key: SecretString::new(text.to_owned()) };
        people.driver.finish(&people.at(), &back, &Kept::default()).await
    };
    bench.server.on("/bot123:AA-b_/getMe", Reply::json(200, me));
    let granted = paste("123:AA-b_").await.unwrap();
    assert_eq!(
        (granted.external_subject.as_deref(), granted.name.as_deref()),
        (Some("123"), Some("broker_bot"))
    );
    bench.server.on("/bot9:x/getMe", Reply::json(401, json!({"ok": false, "error_code": 401})));
    assert_eq!(outcome(&paste("9:x").await), "callback KeyRefused");
}

#[tokio::test]
async fn what_cannot_work_is_refused_with_the_field() {
    let bench = Bench::new();
    let oauth = async |more: Value| -> BadConfiguration {
        bench.accept(ConnectorType::Oauth, bench.oauth_data(more)).await.unwrap_err()
    };
    let off = json!({"enabled": false});
    for (more, field) in [
        (json!({"tokenRequestFormat": "xml"}), "tokenRequestFormat"),
        (json!({"tokenRequestParams": {"code": "x"}}), "tokenRequestParams.code"),
        (json!({"tokenRequestParams": {"client_secret": "x"}}), "tokenRequestParams.client_secret"),
        (json!({"account": {}}), "account.subject"),
        (json!({"account": {"subject": "id"}}), "account.subject"),
        (json!({"account": {"subject": "/id", "query": "{ me }"}}), "account.query"),
        (json!({"account": {"subject": "/id", "endpoint": "nowhere"}}), "account.endpoint"),
        (json!({"account": {"subject": "/id", "endpoint": "https://10.0.0.1/me"}}), "account.endpoint"),
        (json!({"account": {"subject": "/id", "more": 1}}), "account.more"),
        (json!({"installation": {}}), "clientCredentials.enabled"),
        (json!({"installation": {}, "clientCredentials": off}), "account.tenant"),
        (
            json!({"installation": {"authorizationUrlParams": {"state": "x"}}}),
            "installation.authorizationUrlParams.state",
        ),
        (
            json!({"installation": {"tenantParam": "client_id"}}),
            "installation.authorizationUrlParams.client_id",
        ),
        (
            json!({"installation": {"ownToken": true}, "clientCredentials": off, "account": {"tenant": "/t"}}),
            "installation.token",
        ),
        (json!({"installation": {"token": "Bot x"}}), "installation.token"),
        (
            json!({"installation": {"token": "x", "probe": {"url": "https://10.0.0.1/"}}, "clientCredentials": off, "account": {"tenant": "/t"}}),
            "installation.probe.url",
        ),
        (json!({"disconnection": {"endpoint": "https://a.example/end"}}), "disconnection.accountParam"),
        (
            json!({"disconnection": {"endpoint": "https://10.0.0.1/end", "accountParam": "a"}}),
            "disconnection.endpoint",
        ),
    ] {
        assert_eq!(oauth(more.clone()).await.field, field, "{more}");
    }
    for (probe, field) in [
        (json!({}), "probe.url"),
        (json!({"url": "x"}), "probe.url"),
        (json!({"url": "https://a.example/{key}/{key}"}), "probe.url"),
        (json!({"url": "https://{key}.example/"}), "probe.url"),
        (json!({"url": "https://a.example/?k={key}"}), "probe.url"),
        (json!({"url": "https://10.0.0.1/"}), "probe.url"),
        (json!({"url": "https://a.example/{key}", "scheme": "Bearer"}), "probe.header"),
        (json!({"url": "https://a.example/", "header": "a b"}), "probe.header"),
        (json!({"url": "https://a.example/", "account": "id"}), "probe.account"),
        (json!({"url": "https://a.example/", "more": "id"}), "probe.more"),
    ] {
        let data = json!({"values": [{"value": "k"}], "probe": probe});
        assert_eq!(bench.accept(ConnectorType::ApiKey, data).await.unwrap_err().field, field, "{probe}");
    }
}

/// Tokens that end are asked for where the code is redeemed, and nowhere else.
#[tokio::test]
async fn a_shop_gives_tokens_that_end_and_are_renewed() {
    let bench = bench(&["https://acme.myshopify.com"]);
    let token = |number: u8| {
        Reply::json(
            200,
            json!({"access_token": format!("shpat_{number}"), "scope": "read_products,read_orders", "expires_in": 3600,
                "refresh_token": format!("shprt_{number}"), "refresh_token_expires_in": 7_776_000}),
        )
    };
    bench.server.on("/admin/oauth/access_token", token(1));
    let ask = Ask {
        method: Some("oauth".to_owned()),
        params: [("shop".to_owned(), "acme".to_owned())].into(),
        data: object(client()),
        ..Ask::default()
    };
    let plan = Catalog::default().get("shopify").unwrap().plan(&ask).unwrap().unwrap();
    let made = bench.connector(plan.driver, plan.data.into()).await;
    bench.server.seen();
    let (url, kept) = consent(&made, false, None).await;
    assert_eq!(
        (url.path(), param(&url, "scope").as_deref()),
        ("/admin/oauth/authorize", Some("read_orders,read_products"))
    );
    assert_eq!(param(&url, "expiring"), None);
    let granted = made.finish("code=c", &kept).await.unwrap();
    let redeemed = bench.server.only();
    assert_eq!(
        (redeemed.field("expiring").as_deref(), redeemed.field("code").as_deref()),
        (Some("1"), Some("c"))
    );
    assert_eq!(tokens(&granted.held), (Some("shpat_1"), Some("shprt_1")));
    assert!(granted.access_expires_at.is_some() && granted.refresh_expires_at.is_some());

    bench.server.forget("/admin/oauth/access_token");
    bench.server.on("/admin/oauth/access_token", token(2));
    made.refresh(&granted.held, "").await.unwrap();
    let renewed = bench.server.only();
    assert_eq!(
        (renewed.field("expiring"), renewed.field("refresh_token").as_deref()),
        (None, Some("shprt_1"))
    );
}
