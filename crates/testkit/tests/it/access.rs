//! Who may ask for what. The rules are tried one by one, and each answer is the one that the caller can act on.

use std::time::Duration;

use carnet_model::Clock as _;
use carnet_testkit::{Answer, Engine, Kit, Plan, Tenant, on_both_engines};
use serde_json::{Value, json};

use crate::of;

on_both_engines!(
    every_rule_of_access_answers_with_its_own_words,
    what_is_taken_away_is_refused_at_once,
    a_link_is_cut_environment_by_environment,
);

/// The second project of the first team, on the same platform.
async fn second_project(kit: &Kit) -> Tenant {
    let made = kit.manage("POST", "/v9/projects", Some(&json!({"name": "second"}))).await.ok();
    let second = Tenant { project: made["id"].as_str().unwrap().to_owned(), ..kit.tenant.clone() };
    kit.trust(&second).await;
    second
}

async fn every_rule_of_access_answers_with_its_own_words(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let second = second_project(&kit).await;
    let other = kit.another_tenant("other").await;
    let (uid, id) = (Kit::UID, kit.connector.as_str());
    let link = format!("/v1/connect/connectors/{id}/projects/{}", kit.tenant.project);
    kit.manage("POST", &link, Some(&json!({"environments": ["production", "development"]}))).await.ok();

    let production = kit.workload("production");
    let app = json!({"subject": {"type": "app"}});
    let own = of(&kit.tenant.user);
    for (name, bearer, connector, body, told) in [
        ("not linked", kit.workload_of(&second, "production"), uid, app.clone(), (403, "forbidden")),
        (
            "environment not linked",
            kit.workload("preview"),
            uid,
            app.clone(),
            (403, "environment_not_linked"),
        ),
        ("linked by UID", production.clone(), uid, app.clone(), (200, "")),
        ("linked by identifier", production.clone(), id, app.clone(), (200, "")),
        (
            "any user of the project",
            production.clone(),
            uid,
            of("alice"),
            (422, "user_authorization_required"),
        ),
        (
            "an asserted identity",
            production.clone(),
            uid,
            json!({"subject": {"type": "jwt-bearer", "sub": "a@b"}}),
            (422, "unresolved_token"),
        ),
        (
            "a token to exchange",
            production.clone(),
            uid,
            json!({"subject": {"type": "token", "token": "t"}}),
            (422, "unresolved_token"),
        ),
        (
            "a subject with more",
            production.clone(),
            uid,
            json!({"subject": {"type": "token", "token": "t", "x": 1}}),
            (400, "invalid_request"),
        ),
        (
            "an unknown kind",
            production.clone(),
            uid,
            json!({"subject": {"type": "martian"}}),
            (400, "invalid_request"),
        ),
        ("no kind", production.clone(), uid, json!({"subject": {}}), (400, "invalid_request")),
        (
            "no subject is a subject",
            production.clone(),
            uid,
            json!({"subject": "app"}),
            (400, "invalid_request"),
        ),
        (
            "a user without identifier",
            production.clone(),
            uid,
            json!({"subject": {"type": "user"}}),
            (400, "invalid_request"),
        ),
        (
            "an unknown member",
            production.clone(),
            uid,
            json!({"subject": {"type": "app"}, "x": 1}),
            (400, "invalid_request"),
        ),
        ("an unknown connector", production.clone(), "demo/nope", app.clone(), (404, "not_found")),
        ("nonsense for a name", production.clone(), "nope", app.clone(), (404, "not_found")),
        ("the application, by a person", kit.tenant.token.clone(), uid, app.clone(), (200, "")),
        ("oneself, by a person", kit.tenant.token.clone(), uid, own, (422, "user_authorization_required")),
        ("oneself, unsaid", kit.tenant.token.clone(), uid, json!({}), (422, "user_authorization_required")),
        ("somebody else, by a person", kit.tenant.token.clone(), uid, of("alice"), (403, "forbidden")),
        (
            "an assertion, by a person",
            kit.tenant.token.clone(),
            uid,
            json!({"subject": {"type": "jwt-bearer", "sub": "a@b"}}),
            (403, "forbidden"),
        ),
        (
            "another team's workload",
            kit.workload_of(&other, "production"),
            id,
            app.clone(),
            (404, "not_found"),
        ),
        ("another team's owner", other.token.clone(), id, app.clone(), (404, "not_found")),
    ] {
        let answer = kit.node.token(&bearer, connector, &body).await;
        match told {
            (200, _) => assert!(kit.provider.me(&answer.token()).await.is_some(), "{name}"),
            (status, code) => assert_eq!(answer.refusal(), (status, code.to_owned()), "{name}"),
        }
    }
    let unlinked = kit.node.token(&kit.workload_of(&second, "production"), uid, &app).await;
    assert!(unlinked.text().contains("connector is not linked to this project"), "{}", unlinked.text());
    // Every refusal by a rule stands in the log with the rule.
    let denied: Vec<Value> =
        kit.events_of("token.issue").await.into_iter().filter(|event| event["outcome"] == "denied").collect();
    let mut rules: Vec<&str> = denied.iter().map(|event| event["detail"]["rule"].as_str().unwrap()).collect();
    rules.sort_unstable();
    rules.dedup();
    assert_eq!(
        rules,
        ["connector-exists", "link-environment", "own-user-only", "project-link", "subject-for-workloads"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_trust_rule_bounds_what_its_workloads_may_ask_for() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let second = second_project_for(&kit, &json!(["app"])).await;
    let link = format!("/v1/connect/connectors/{}/projects/{}", kit.connector, second.project);
    kit.manage("POST", &link, None).await.ok();
    let bearer = kit.workload_of(&second, "production");
    let ask = async |body: &Value| kit.node.token(&bearer, Kit::UID, body).await;
    ask(&json!({"subject": {"type": "app"}})).await.token();
    assert_eq!(ask(&of("alice")).await.refusal(), (403, "forbidden".to_owned()));
    let path = format!("/v1/connect/authorize/{}", kit.connector);
    let consent = kit.node.call("POST", &path, Some(&bearer), Some(&of("alice"))).await;
    assert_eq!(consent.refusal(), (403, "forbidden".to_owned()));
}

async fn second_project_for(kit: &Kit, subjects: &Value) -> Tenant {
    let made = kit.manage("POST", "/v9/projects", Some(&json!({"name": "second"}))).await.ok();
    let second = Tenant { project: made["id"].as_str().unwrap().to_owned(), ..kit.tenant.clone() };
    let rules = json!([{
        "project": second.project, "environment": "production", "subjects": subjects,
        "claims": {"workload_project": second.project, "environment": "production"},
    }]);
    let mut config = kit.issuer.trusted_for(&kit.audience(&second), &rules);
    config["jwks"] = kit.issuer.jwks();
    kit.manage("POST", "/v1/trusted-issuers", Some(&config)).await.ok();
    second
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_workload_asks_for_tokens_and_manages_nothing() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let (c, p) = (&kit.connector, &kit.tenant.project);
    let connector = format!("/v1/connect/connectors/{c}");
    for (method, path, body) in [
        (
            "POST",
            "/v1/connect/connectors".to_owned(),
            json!({"service": "x.example", "name": "x", "data": {}}),
        ),
        ("GET", "/v1/connect/connectors".to_owned(), Value::Null),
        ("GET", "/v2/connect/connectors".to_owned(), Value::Null),
        ("PATCH", connector.clone(), json!({"name": "mine"})),
        ("DELETE", connector.clone(), Value::Null),
        ("DELETE", format!("{connector}/tokens"), json!({})),
        ("GET", format!("{connector}/projects"), Value::Null),
        ("POST", format!("{connector}/projects/{p}"), json!({"environments": ["production"]})),
        ("DELETE", format!("{connector}/projects/{p}"), Value::Null),
        ("GET", format!("{connector}/grants"), Value::Null),
        ("GET", format!("{connector}/installations"), Value::Null),
        ("POST", format!("{connector}/installations"), json!({"externalId": "T1"})),
        ("GET", "/v9/projects".to_owned(), Value::Null),
        ("POST", "/v9/projects".to_owned(), json!({"name": "mine"})),
        ("DELETE", format!("/v9/projects/{p}"), Value::Null),
        ("POST", format!("/v9/projects/{p}/custom-environments"), json!({"slug": "qa"})),
        ("POST", format!("/v1/projects/{p}/token"), json!({})),
        ("GET", format!("/v3/env/pull/{p}/development"), Value::Null),
        ("GET", "/v1/trusted-issuers".to_owned(), Value::Null),
        ("POST", "/v1/trusted-issuers".to_owned(), json!({})),
        ("POST", "/v1/trusted-issuers/check".to_owned(), json!({"trustedIssuer": {}})),
        ("GET", "/v1/trusted-issuers/families".to_owned(), Value::Null),
        ("GET", "/v1/access-tokens".to_owned(), Value::Null),
        ("POST", "/v1/access-tokens".to_owned(), json!({"name": "mine"})),
        ("GET", "/v1/audit".to_owned(), Value::Null),
        ("GET", "/v2/user".to_owned(), Value::Null),
        ("GET", format!("/v9/projects/{p}"), Value::Null),
        ("GET", format!("/teams/{}", kit.tenant.team), Value::Null),
        ("GET", format!("/v1/teams/{}/members", kit.tenant.team), Value::Null),
        ("POST", format!("/v1/teams/{}/invitations", kit.tenant.team), json!({"role": "owner"})),
        ("POST", "/v1/invitations/accept".to_owned(), json!({"invitation": "x"})),
        ("GET", "/v2/teams".to_owned(), Value::Null),
    ] {
        let bearer = kit.workload("production");
        let body = Some(&body).filter(|body| !body.is_null());
        let answer = kit.node.call(method, &path, Some(&bearer), body).await;
        assert_eq!(answer.refusal(), (403, "forbidden".to_owned()), "{method} {path}");
    }
    // What it may see of its connector holds no secret.
    let shown = kit.node.call("GET", &connector, Some(&kit.workload("production")), None).await;
    assert_eq!(shown.ok()["uid"], Kit::UID);
    assert!(!shown.text().contains(&kit.plan.client_secret));
}

async fn what_is_taken_away_is_refused_at_once(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let second = if kit.is_shared() { Some(kit.second_node().await) } else { None };
    let connector = format!("/v1/connect/connectors/{}", kit.connector);
    let link = format!("{connector}/projects/{}", kit.tenant.project);
    // Everywhere the token is in memory before, and on no node is it served from there afterwards.
    let ask = async |bearer: String| {
        let mut told = vec![kit.node.token(&bearer, &kit.connector, &of("alice")).await];
        if let Some(second) = &second {
            told.push(second.token(&bearer, &kit.connector, &of("alice")).await);
        }
        told
    };
    let workload = || kit.workload("production");
    let is = |answers: &[Answer], status: u16| {
        for answer in answers {
            assert_eq!(answer.status, status, "{}", answer.text());
        }
    };
    kit.consent("alice").await;
    is(&ask(workload()).await, 200);
    kit.manage("DELETE", &link, None).await;
    is(&ask(workload()).await, 403);
    kit.manage("POST", &link, Some(&json!({"environments": ["preview"]}))).await.ok();
    is(&ask(workload()).await, 403);
    kit.manage("POST", &link, None).await.ok();
    is(&ask(workload()).await, 200);

    let mine = json!({"subject": {"type": "user", "id": "alice"}});
    let gone =
        kit.node.call("DELETE", &format!("{connector}/tokens"), Some(&workload()), Some(&mine)).await.ok();
    assert_eq!(gone["deleted"], 1);
    is(&ask(workload()).await, 422);
    kit.consent("alice").await;
    is(&ask(workload()).await, 200);

    let issuers = kit.manage("GET", "/v1/trusted-issuers", None).await.ok();
    let issuer = issuers["trustedIssuers"][0]["id"].as_str().unwrap().to_owned();
    let bearer = workload();
    is(&ask(bearer.clone()).await, 200);
    assert_eq!(kit.manage("DELETE", &format!("/v1/trusted-issuers/{issuer}"), None).await.status, 204);
    assert_eq!(kit.node.token(&bearer, &kit.connector, &of("alice")).await.status, 401);
    kit.trust(&kit.tenant).await;
    let token = kit.manage("POST", "/v1/access-tokens", Some(&json!({"name": "second"}))).await.ok();
    let (id, token) = (token["id"].as_str().unwrap(), token["token"].as_str().unwrap().to_owned());
    let own = json!({"subject": {"type": "app"}});
    is(&[kit.node.token(&token, &kit.connector, &own).await], 200);
    if let Some(second) = &second {
        is(&[second.token(&token, &kit.connector, &own).await], 200);
    }
    assert_eq!(kit.manage("DELETE", &format!("/v1/access-tokens/{id}"), None).await.status, 204);
    is(&[kit.node.token(&token, &kit.connector, &own).await], 401);
    if let Some(second) = &second {
        is(&[second.token(&token, &kit.connector, &own).await], 401);
    }

    assert_eq!(kit.manage("DELETE", &connector, None).await.status, 204);
    let told = ask(workload()).await;
    is(&told[..1], 404);
    assert!(told.iter().all(|answer| answer.status >= 400), "and nothing is served anywhere");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_credential_that_does_not_verify_is_told_nothing() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let other_platform = carnet_testkit::Issuer::start().await;
    let audience = kit.audience(&kit.tenant);
    let now = kit.clock.now();
    let claims = || kit.issuer.claims(now, &audience, &kit.tenant.project, "production");
    let signed = |change: &[(&str, Value)]| {
        let mut claims = claims();
        for (name, value) in change {
            claims.insert((*name).to_owned(), value.clone());
        }
        kit.issuer.sign(&claims)
    };
    let good = signed(&[]);
    let (head, rest) = good.split_once('.').unwrap();
    let (payload, _) = rest.split_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let development = format!("/v1/projects/{}/token", kit.tenant.project);
    let elsewhere = json!({"audience": "https://elsewhere.example"});
    let own_elsewhere = kit.manage("POST", &development, Some(&elsewhere)).await.token();
    let mut altered = kit.tenant.token.clone();
    altered.replace_range(6..7, if &altered[6..7] == "A" { "B" } else { "A" });
    let app = json!({"subject": {"type": "app"}});
    for (name, bearer) in [
        ("expired", signed(&[("iat", json!(now.secs() - 700)), ("exp", json!(now.secs() - 400))])),
        ("not yet", signed(&[("iat", json!(now.secs() + 300)), ("exp", json!(now.secs() + 600))])),
        ("too long a life", signed(&[("exp", json!(now.secs() + 90_000))])),
        ("another audience", signed(&[("aud", json!("https://elsewhere.example"))])),
        ("two audiences", signed(&[("aud", json!([audience, "https://elsewhere.example"]))])),
        ("another issuer", signed(&[("iss", json!("https://nobody.example"))])),
        ("our own issuer's name", signed(&[("iss", json!(format!("{}/acme", kit.url())))])),
        ("no rule", signed(&[("environment", json!("staging"))])),
        ("another platform's key", {
            let mut claims = other_platform.claims(now, &audience, &kit.tenant.project, "production");
            claims.insert("iss".to_owned(), kit.issuer.url().into());
            other_platform.sign(&claims)
        }),
        ("no signature", format!("{head}.{payload}.")),
        ("alg none", format!("{none}.{payload}.")),
        ("alg none, signed", format!("{none}.{rest}")),
        ("cut short", good[..good.len() - 4].to_owned()),
        ("own token for elsewhere", own_elsewhere),
        ("mistyped access token", altered),
        ("cut access token", kit.tenant.token[..20].to_owned()),
        ("unknown access token", "crn_000000000000000000000000000000000000".to_owned()),
        ("garbage", "garbage".to_owned()),
        ("dots", "..".to_owned()),
    ] {
        let answer = kit.node.token(&bearer, Kit::UID, &app).await;
        assert_eq!(answer.refusal(), (401, "unauthorized".to_owned()), "{name}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{name}");
        assert!(!answer.text().contains(&bearer), "{name}: the credential is not said back");
    }
    assert_eq!(kit.node.token(&good, Kit::UID, &app).await.status, 200, "and the good one is good");
    let path = format!("/v1/connect/token/{}", kit.connector);
    assert_eq!(kit.node.call("POST", &path, None, Some(&app)).await.refusal().0, 401);
    for header in
        [format!("Basic {good}"), "Bearer".to_owned(), "Bearer ".to_owned(), format!("Token {good}")]
    {
        let headers = [("authorization", header.as_str()), ("content-type", "application/json")];
        let answer = kit.http.send("POST", &format!("{}{path}", kit.url()), &headers, app.to_string()).await;
        assert_eq!(answer.refusal(), (401, "unauthorized".to_owned()), "{header}");
    }
    kit.clock.pass(Duration::from_hours(24 * 366));
    assert_eq!(kit.manage("GET", "/v2/user", None).await.refusal(), (401, "unauthorized".to_owned()));
}

/// Naming a team is no way into it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_credential_is_for_one_team() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let other = kit.another_tenant("other").await;
    for (query, status) in [
        (format!("teamId={}", kit.tenant.team), 200),
        (format!("slug={}", kit.tenant.slug), 200),
        (format!("teamId={}", other.team), 403),
        (format!("slug={}", other.slug), 403),
        ("teamId=team_0000000000000000000000".to_owned(), 403),
        (format!("teamId={}&slug={}", kit.tenant.team, kit.tenant.slug), 400),
        (format!("teamId={}&teamId={}", kit.tenant.team, kit.tenant.team), 400),
    ] {
        assert_eq!(kit.manage("GET", &format!("/v2/user?{query}"), None).await.status, status, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_development_identity_of_our_own_works_in_development_alone() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let path = format!("/v1/projects/{}/token", kit.tenant.project);
    let bearer = kit.manage("POST", &path, None).await.token();
    let app = json!({"subject": {"type": "app"}});
    kit.node.token(&bearer, Kit::UID, &app).await.token();
    // It stands for its person: a user without identifier is that person.
    let own = kit.node.token(&bearer, Kit::UID, &json!({"subject": {"type": "user"}})).await;
    assert!(own.json()["error"]["message"].as_str().unwrap().contains(&kit.tenant.user), "{}", own.text());
    let link = format!("/v1/connect/connectors/{}/projects/{}", kit.connector, kit.tenant.project);
    kit.manage("POST", &link, Some(&json!({"environments": ["production", "preview"]}))).await.ok();
    let refused = kit.node.token(&bearer, Kit::UID, &app).await;
    assert_eq!(refused.refusal(), (403, "environment_not_linked".to_owned()));
    for environment in ["production", "preview"] {
        let asked = kit.manage("POST", &path, Some(&json!({"environment": environment}))).await;
        assert_eq!(asked.refusal(), (403, "forbidden".to_owned()), "{environment}");
    }
    kit.clock.pass(Duration::from_hours(13));
    assert_eq!(kit.node.token(&bearer, Kit::UID, &app).await.status, 401);
}

/// What a person consented to in one environment is not there in another.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_consent_counts_where_it_was_given() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    kit.consent("alice").await;
    kit.user_token("alice").await.token();
    let second = second_project(&kit).await;
    let link = format!("/v1/connect/connectors/{}/projects/{}", kit.connector, second.project);
    kit.manage("POST", &link, None).await.ok();
    let issuer = json!({"subject": {"type": "user", "id": "alice", "issuer": "https://idp.example"}});
    for (name, bearer, body) in [
        ("another environment", kit.workload("preview"), of("alice")),
        ("another project", kit.workload_of(&second, "production"), of("alice")),
        ("another identifier space", kit.workload("production"), issuer),
        ("another user", kit.workload("production"), of("Alice")),
    ] {
        let answer = kit.node.token(&bearer, Kit::UID, &body).await;
        assert_eq!(answer.refusal(), (422, "user_authorization_required".to_owned()), "{name}");
    }
}

async fn a_link_is_cut_environment_by_environment(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let link = format!("/v1/connect/connectors/{}/projects/{}", kit.connector, kit.tenant.project);
    let cut = async |environment: &str| {
        kit.manage("DELETE", &format!("{link}/environments/{environment}"), None).await
    };
    let unknown = kit.manage("POST", &link, Some(&json!({"environments": ["qa"]}))).await;
    let known = "It has production, preview, development.";
    assert!(unknown.text().contains(known), "{}", unknown.text());
    kit.manage("POST", &link, Some(&json!({"environments": ["production", "preview", "development"]})))
        .await
        .ok();
    let app = json!({"subject": {"type": "app"}});
    kit.ask(&app).await.token();
    // Two at once, and each once more: what one took the other does not put back.
    let (one, other, again) = tokio::join!(cut("preview"), cut("production"), cut("preview"));
    for answer in [one, other, again, cut("preview").await] {
        assert_eq!(answer.status, 204, "{}", answer.text());
    }
    assert_eq!(kit.manage("GET", &link, None).await.ok()["environments"], json!(["development"]));
    assert_eq!(kit.ask(&app).await.refusal(), (403, "environment_not_linked".to_owned()));
    assert_eq!(
        kit.events_of("link.put").await.last().unwrap()["detail"]["environments"],
        json!(["development"])
    );
    assert_eq!(cut("qa").await.refusal(), (404, "not_found".to_owned()));
    // The last one takes the link with it.
    assert_eq!(cut("development").await.status, 204);
    assert_eq!(kit.manage("GET", &link, None).await.refusal(), (404, "not_found".to_owned()));
    assert_eq!(kit.events_of("link.delete").await.len(), 1);
    assert_eq!(cut("development").await.status, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_custom_environment_is_linked_by_itself_and_ends_with_what_hangs_on_it() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let project = format!("/v9/projects/{}", kit.tenant.project);
    let made = kit
        .manage("POST", &format!("{project}/custom-environments"), Some(&json!({"slug": "qa"})))
        .await
        .ok();
    let qa = made["id"].as_str().unwrap();
    let like_an_id = json!({"slug": "env_x"});
    let refused = kit.manage("POST", &format!("{project}/custom-environments"), Some(&like_an_id)).await;
    assert_eq!(refused.refusal(), (400, "invalid_request".to_owned()));
    assert_eq!(refused.json()["error"]["field"], "slug");
    let rules = json!([{"project": kit.tenant.project, "environment": qa,
        "claims": {"workload_project": kit.tenant.project, "environment": "qa"}}]);
    let mut config = kit.issuer.trusted_for(&kit.audience(&kit.tenant), &rules);
    config["jwks"] = kit.issuer.jwks();
    kit.manage("POST", "/v1/trusted-issuers", Some(&config)).await.ok();
    let app = json!({"subject": {"type": "app"}});
    let ask = async || kit.node.token(&kit.workload("qa"), Kit::UID, &app).await;
    assert_eq!(ask().await.refusal(), (403, "environment_not_linked".to_owned()));
    let link = format!("/v1/connect/connectors/{}/projects/{}", kit.connector, kit.tenant.project);
    kit.manage("POST", &link, Some(&json!({"environments": ["production", "qa"]}))).await.ok();
    ask().await.token();
    assert_eq!(kit.manage("DELETE", &format!("{project}/custom-environments/qa"), None).await.status, 204);
    assert_eq!(ask().await.refusal(), (401, "unauthorized".to_owned()));
    assert_eq!(kit.manage("GET", &link, None).await.ok()["environments"], json!(["production"]));
    kit.ask(&app).await.token();
    // And a project that is gone takes its workloads' credentials with it.
    assert_eq!(kit.manage("DELETE", &project, None).await.status, 204);
    assert_eq!(kit.ask(&app).await.refusal(), (401, "unauthorized".to_owned()));
}

/// The issuer's keys are found by its discovery document, over the network, and kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_trusted_issuer_is_believed_by_the_keys_it_publishes() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let platform = carnet_testkit::Issuer::start().await;
    let audience = "https://carnet.example/for-ci";
    let rules = json!([{"project": kit.tenant.project, "environment": "production",
        "claims": {"workload_project": kit.tenant.project, "environment": "production"}}]);
    let config = platform.trusted_for(audience, &rules);
    let app = json!({"subject": {"type": "app"}});
    let bearer =
        || platform.sign(&platform.claims(kit.clock.now(), audience, &kit.tenant.project, "production"));
    assert_eq!(kit.node.token(&bearer(), Kit::UID, &app).await.status, 401);
    assert_eq!(platform.fetched(), 0, "an issuer that nobody trusts is not asked");
    let made = kit.manage("POST", "/v1/trusted-issuers", Some(&config)).await.ok();
    for _ in 0..3 {
        kit.node.token(&bearer(), Kit::UID, &app).await.token();
    }
    assert_eq!(platform.fetched(), 1);
    let event = kit.events_of("token.issue").await.pop().unwrap();
    assert_eq!(event["detail"]["issuer"], platform.url().as_str());
    assert_eq!(event["actor"]["type"], "project");
    let path = format!("/v1/trusted-issuers/{}", made["id"].as_str().unwrap());
    kit.manage("DELETE", &path, None).await;
    assert_eq!(kit.node.token(&bearer(), Kit::UID, &app).await.status, 401);
}
