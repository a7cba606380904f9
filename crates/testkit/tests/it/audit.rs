//! The audit log: everything is in it before it is answered, in a row without gaps, and no secret anywhere.

use std::time::Duration;

use carnet_testkit::{Browser, Engine, Fault, Http, Kit, Logs, Plan, on_both_engines, written_forms};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{anew, of};

on_both_engines!(
    every_change_stands_in_the_log_when_it_is_answered,
    what_may_not_be_managed_is_on_the_record,
    a_credential_that_is_refused_is_on_the_record_of_the_team_whose_it_is,
    what_cannot_be_recorded_is_not_answered,
    no_secret_is_kept_in_the_clear_or_logged,
);

async fn every_change_stands_in_the_log_when_it_is_answered(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let (c, p) = (kit.connector.clone(), kit.tenant.project.clone());
    let connector = format!("/v1/connect/connectors/{c}");
    let link = format!("{connector}/projects/{p}");
    let data = json!({"values": [{"value": "k"}]});
    let mut made: Vec<String> = Vec::new();
    // `{}` stands for the identifier of what the latest creating call has made.
    for (method, path, body, action) in [
        ("POST", "/v9/projects".to_owned(), json!({"name": "other"}), "project.create"),
        (
            "POST",
            "/v9/projects/{}/custom-environments".to_owned(),
            json!({"slug": "qa"}),
            "environment.create",
        ),
        ("DELETE", "/v9/projects/other/custom-environments/{}".to_owned(), Value::Null, "environment.delete"),
        ("DELETE", "/v9/projects/other".to_owned(), Value::Null, "project.delete"),
        (
            "POST",
            "/v1/connect/connectors".to_owned(),
            json!({"service": "keys", "name": "k", "type": "api-key", "data": data}),
            "connector.create",
        ),
        ("PATCH", "/v1/connect/connectors/{}".to_owned(), json!({"name": "renamed"}), "connector.update"),
        ("DELETE", "/v1/connect/connectors/{}".to_owned(), Value::Null, "connector.delete"),
        ("POST", link.clone(), json!({"environments": ["production"]}), "link.put"),
        ("DELETE", link.clone(), Value::Null, "link.delete"),
        ("POST", link.clone(), json!({}), "link.put"),
        ("PUT", format!("{link}/redirect-uris"), json!({"redirectUris": []}), "link.redirect-uris.put"),
        (
            "POST",
            format!("{connector}/installations"),
            json!({"externalId": "T1", "default": false}),
            "installation.put",
        ),
        ("DELETE", format!("{connector}/installations/{{}}"), Value::Null, "installation.delete"),
        (
            "PATCH",
            format!("{connector}/consent-rules"),
            json!({"deviceCodes": false}),
            "connector.consent-rules.put",
        ),
        (
            "PUT",
            format!("/v1/projects/{p}/return-origins"),
            json!({"origins": ["https://app.example"]}),
            "project.return-origins.put",
        ),
        ("POST", "/v1/access-tokens".to_owned(), json!({"name": "x"}), "access-token.create"),
        ("DELETE", "/v1/access-tokens/{}".to_owned(), Value::Null, "access-token.revoke"),
        ("POST", format!("/v1/projects/{p}/token"), json!({}), "identity-token.issue"),
        ("GET", format!("/v3/env/pull/{p}/development"), Value::Null, "identity-token.issue"),
        ("POST", format!("/v1/connect/authorize/{c}"), of(&kit.tenant.user), "authorization.start"),
        ("POST", format!("/v1/connect/token/{c}"), json!({"subject": {"type": "app"}}), "token.issue"),
        ("DELETE", format!("{connector}/tokens"), json!({}), "token.revoke"),
    ] {
        let path = path.replace("{}", made.last().map_or("", String::as_str));
        let answer = kit.manage(method, &path, Some(&body).filter(|body| !body.is_null())).await;
        let shown = answer.ok();
        if let Some(id) = shown["id"].as_str().filter(|_| method == "POST") {
            made.push(id.to_owned());
        }
        // The newest event is of this very request.
        let newest = kit.manage("GET", "/v1/audit?limit=1", None).await.ok()["events"][0].clone();
        assert_eq!(newest["action"], action, "{method} {path}");
        assert_eq!(newest["requestId"], answer.header("x-request-id").unwrap(), "{method} {path}");
        assert_eq!(newest["outcome"], "success", "{method} {path}");
        assert_eq!(newest["actor"], json!({"type": "user", "id": kit.tenant.user}), "{method} {path}");
    }
    // Refusals by a rule stand there too.
    let refused = kit.node.token(&kit.tenant.token, &c, &of("somebody")).await;
    assert_eq!(refused.status, 403);
    let newest = kit.manage("GET", "/v1/audit?outcome=denied&limit=1", None).await.ok()["events"][0].clone();
    assert_eq!(newest["requestId"], refused.header("x-request-id").unwrap());
    assert_eq!(
        (&newest["detail"]["rule"], &newest["detail"]["code"]),
        (&json!("own-user-only"), &json!("forbidden"))
    );

    let app = json!({"subject": {"type": "app"}});
    join_all((0..50).map(|_| kit.ask(&app))).await;
    let raw = kit.raw().await;
    let count = raw.number("select count(*) from audit_events").await;
    assert_eq!(raw.number("select max(seq) from audit_events").await, count, "no gap");
    assert_eq!(raw.number("select min(seq) from audit_events").await, 1);
    let issued = kit.events_of("token.issue").await;
    assert_eq!(
        issued.iter().filter(|event| event["outcome"] == "success").count(),
        51,
        "one for each token answered"
    );
    let other = kit.another_tenant("other").await;
    let theirs = kit.node.call("GET", "/v1/audit?limit=1000", Some(&other.token), None).await;
    assert!(!theirs.text().contains(&kit.connector) && !theirs.text().contains(&kit.tenant.user));
}

async fn what_may_not_be_managed_is_on_the_record(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let (url, workload) = (format!("{}/v9/projects/other", kit.url()), kit.workload("production"));
    let answer = Http::default().json("DELETE", &url, Some(&workload), None).await;
    assert_eq!(answer.refusal(), (403, "forbidden".to_owned()));
    let events = kit.events_of("management.reject").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["outcome"], "denied");
    assert_eq!(events[0]["detail"]["operation"], "DELETE /v9/projects/{project}");
    assert_eq!(events[0]["detail"]["code"], "forbidden");
    assert_eq!(events[0]["detail"]["right"], "project.delete");
    assert_eq!(events[0]["actor"]["type"], "project");
    // What is the team's own is the target, however it was called; what is another team's, or nobody's, is not written down.
    let other = kit.another_tenant("other").await;
    let nobody = "prj_0000000000000000000000".to_owned();
    for (named, target) in [
        (&kit.tenant.project, json!(kit.tenant.project)),
        (&other.project, Value::Null),
        (&nobody, Value::Null),
    ] {
        let url = format!("{}/v9/projects/{named}", kit.url());
        assert_eq!(Http::default().json("DELETE", &url, Some(&workload), None).await.status, 403);
        let events = kit.events_of("management.reject").await;
        assert_eq!(events.last().unwrap()["target"], target, "{events:?}");
    }
    let made = json!({"name": "looks", "access": "read"});
    let looks = kit.manage("POST", "/v1/access-tokens", Some(&made)).await.ok()["token"].clone();
    let (looks, uid) = (looks.as_str().unwrap(), Kit::UID.replace('/', "%2F"));
    let project = kit.manage("GET", &format!("/v9/projects/{}", kit.tenant.project), None).await.ok();
    let (project, connector) = (project["name"].as_str().unwrap(), json!(kit.connector));
    let unlink = |project: &str| format!("/v1/connect/connectors/{uid}/projects/{project}");
    for (method, path, action, right, target) in [
        (
            "DELETE",
            format!("/v1/connect/connectors/{uid}"),
            "management.reject",
            "connector.delete",
            &connector,
        ),
        ("PATCH", "/v1/teams/acme".to_owned(), "management.reject", "team.update", &json!(kit.tenant.team)),
        ("DELETE", unlink(project), "management.reject", "link.update", &json!(kit.tenant.project)),
        ("DELETE", unlink("nowhere"), "management.reject", "link.update", &connector),
        (
            "DELETE",
            format!("/v1/connect/connectors/{uid}/tokens"),
            "token.revoke",
            "token.revoke-all",
            &connector,
        ),
    ] {
        for bearer in [looks, &workload] {
            let answer = kit.node.call(method, &path, Some(bearer), Some(&json!({}))).await;
            assert_eq!(answer.refusal(), (403, "forbidden".to_owned()), "{method} {path}");
            let newest =
                kit.manage("GET", "/v1/audit?outcome=denied&limit=1", None).await.ok()["events"][0].clone();
            assert_eq!(newest["requestId"], answer.header("x-request-id").unwrap(), "{method} {path}");
            assert_eq!(newest["action"], action, "{method} {path}");
            assert_eq!(
                (&newest["target"], &newest["detail"]["right"]),
                (target, &json!(right)),
                "{method} {path}"
            );
            let detail = &newest["detail"];
            let named = detail["issuer"].is_string() && detail["sub"].is_string();
            assert_eq!(named, bearer == workload, "a workload is named by its identity: {newest}");
            assert_eq!(detail["subject"] == "*", action == "token.revoke", "{newest}");
        }
    }
}

async fn a_credential_that_is_refused_is_on_the_record_of_the_team_whose_it_is(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let other = kit.another_tenant("other").await;
    let made = kit.manage("POST", "/v1/access-tokens", Some(&json!({"name": "one"}))).await.ok();
    let (token, id) = (made["token"].as_str().unwrap(), made["id"].clone());
    let path = format!("/v1/projects/{}/token", kit.tenant.project);
    let ours = kit.manage("POST", &path, Some(&json!({}))).await.ok()["token"].clone();
    let call = async |bearer: &str, query: &str| {
        kit.node.call("GET", &format!("/v2/user{query}"), Some(bearer), None).await.refusal()
    };
    let rejected = async || kit.events_of("caller.reject").await;
    let query = format!("?teamId={}", other.team);
    assert_eq!(call(token, &query).await, (403, "forbidden".to_owned()));
    assert_eq!(call(token, "?slug=other").await, (403, "forbidden".to_owned()));
    assert_eq!(call(ours.as_str().unwrap(), &query).await, (403, "forbidden".to_owned()));
    let events = rejected().await;
    assert_eq!(events.len(), 2, "once a minute for each credential: {events:?}");
    assert!(events.iter().all(|event| event["detail"]["why"] == "another_team"), "{events:?}");
    for (actor, target) in [("project", &Value::Null), ("user", &id)] {
        let of = |event: &&Value| event["actor"]["type"] == actor && event["target"] == *target;
        assert!(events.iter().any(|event| of(&event)), "{actor}: {events:?}");
    }

    assert_eq!(
        kit.manage("DELETE", &format!("/v1/access-tokens/{}", id.as_str().unwrap()), None).await.status,
        204
    );
    assert_eq!(call(token, "").await, (401, "unauthorized".to_owned()));
    let events = rejected().await;
    let last = events.iter().find(|event| event["detail"]["why"] == "revoked_or_expired").unwrap();
    assert_eq!((&last["target"], &last["outcome"]), (&id, &json!("denied")), "{last}");
    assert_eq!(last["detail"]["user"], kit.tenant.user);
    assert!(!format!("{events:?}").contains(token));
    let theirs = kit.node.call("GET", "/v1/audit?action=caller.reject", Some(&other.token), None).await.ok();
    assert_eq!(theirs["events"], json!([]), "the team that was named is not told");
}

async fn what_cannot_be_recorded_is_not_answered(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    let token = kit.user_token("alice").await.token();
    let raw = kit.raw().await;
    let held = raw.hold_writes().await;
    // The token is in memory, and yet nobody gets it.
    let answer = kit.user_token("alice").await;
    assert_eq!(answer.refusal(), (503, "store_unavailable".to_owned()));
    assert!(answer.header("retry-after").is_some() && !answer.text().contains(&token));
    // Nor is a refresh token presented whose successor could not be kept.
    kit.ask(&anew("alice")).await.refusal();
    assert_eq!(kit.provider.requests("refresh_token"), 0);
    raw.release(held).await;
    carnet_testkit::eventually("it goes on", async || {
        (kit.user_token("alice").await.status == 200).then_some(())
    })
    .await;
}

/// Everything that must never be found, with what it is.
type Canaries = Vec<(String, String)>;

async fn no_secret_is_kept_in_the_clear_or_logged(engine: Engine) {
    let logs = Logs::keep();
    let plan = Plan { client_secret: "canary-client-secret-7c1f".to_owned(), ..Plan::default() };
    let kit = Kit::start(engine, plan).await;
    let mut canaries: Canaries = vec![
        ("client secret".to_owned(), kit.plan.client_secret.clone()),
        ("owner's access token".to_owned(), kit.tenant.token.clone()),
    ];
    let mut answers = Vec::new();

    // A consent with everything that passes through the browser.
    let started = kit.authorize("alice", json!({"deviceCode": true})).await;
    canaries.push(("verifier of the result".to_owned(), started["verifier"].as_str().unwrap().to_owned()));
    let code = started["deviceCode"].as_str().unwrap();
    canaries.push(("device code".to_owned(), code.to_owned()));
    canaries.push(("device code".to_owned(), code.replace('-', "")));
    let mut browser = Browser::default();
    let entry = started["url"].as_str().unwrap();
    let form_token = browser.get(entry).await.hidden("form_token");
    let entered = browser.post(entry, &[("form_token", &form_token), ("code", code)]).await;
    let page = format!("{}{}", kit.url(), entered.header("location").unwrap());
    let provider = browser.leave(&page).await;
    let state =
        url::Url::parse(&provider).unwrap().query_pairs().find(|(k, _)| k == "state").unwrap().1.into_owned();
    canaries.push(("state".to_owned(), state));
    let callback = browser.at_provider(&provider, "allow", "ada").await;
    answers.push(browser.come_back(&callback).await.text());
    canaries.push(("browser's cookie".to_owned(), browser.cookies["carnet-browser"].clone()));

    // Tokens in every way, faults among them that say back what they were sent.
    let bearer = kit.workload("production");
    canaries.push(("workload identity".to_owned(), bearer.clone()));
    kit.node.token(&bearer, Kit::UID, &of("alice")).await.token();
    kit.ask(&json!({"subject": {"type": "user", "id": "alice"}, "scopes": ["profile:read"]})).await.token();
    kit.ask(&json!({"subject": {"type": "app"}})).await.token();
    let (refresh_token, secret) = (kit.provider.last_refresh_token(), kit.plan.client_secret.clone());
    kit.provider.next([Fault::rewritten(move |answer| {
        answer.clear();
        answer.insert("error".to_owned(), "invalid_request".into());
        answer.insert("error_description".to_owned(), format!("{refresh_token} {secret}").into());
    })]);
    kit.clock.pass(Duration::from_hours(2));
    answers.push(kit.user_token("alice").await.text());
    kit.clock.pass(Duration::from_hours(2));
    kit.user_token("alice").await;
    kit.provider.next([Fault::lost().after_its_work()]);
    kit.ask(&anew("alice")).await;

    // Keys, stored and pasted, and credentials that are refused.
    let stored = kit.keep_keys("stored", &json!({"values": [{"value": "canary-stored-key-a1"}]})).await;
    let pasted = kit.keep_keys("pasted", &json!({"subjectType": "user"})).await;
    for key in
        ["canary-stored-key-a1", "canary-pasted-key-b2", "canary malformed-key-c3", "canary-bad-bearer-d4"]
    {
        canaries.push((key.to_owned(), key.to_owned()));
    }
    kit.node.token(&kit.workload("production"), &stored, &json!({"subject": {"type": "app"}})).await.token();
    let path = format!("/v1/connect/authorize/{pasted}");
    let page = kit.node.call("POST", &path, Some(&kit.workload("production")), Some(&of("bob"))).await.ok();
    let page = page["url"].as_str().unwrap();
    let mut browser = Browser::default();
    answers.push(browser.paste(page, "canary malformed-key-c3").await.text());
    answers.push(browser.paste(page, "canary-pasted-key-b2").await.text());
    kit.node.token(&kit.workload("production"), &pasted, &of("bob")).await.token();
    answers.push(kit.node.token("canary-bad-bearer-d4", &stored, &json!({})).await.text());
    let wrong_place = json!({"service": "x.example", "name": "x", "clientSecret": "canary-wrong-place-e5"});
    canaries.push(("a secret in the wrong place".to_owned(), "canary-wrong-place-e5".to_owned()));
    answers.push(kit.manage("POST", "/v1/connect/connectors", Some(&wrong_place)).await.text());
    let made = kit.manage("POST", "/v1/access-tokens", Some(&json!({"name": "second"}))).await.ok();
    canaries.push(("second access token".to_owned(), made["token"].as_str().unwrap().to_owned()));

    // What may be read of it all.
    for path in [
        "/v1/connect/connectors?include=projects".to_owned(),
        "/v2/connect/connectors".to_owned(),
        format!("/v1/connect/connectors/{}", kit.connector),
        format!("/v1/connect/connectors/{stored}"),
        format!("/v1/connect/connectors/{}/grants", kit.connector),
        format!("/v1/connect/connectors/{pasted}/grants"),
        "/v1/access-tokens".to_owned(),
        "/v1/trusted-issuers".to_owned(),
        "/v1/audit?limit=1000".to_owned(),
    ] {
        answers.push(kit.manage("GET", &path, None).await.text());
    }
    canaries.extend(kit.provider.secrets().into_iter().map(|(name, secret)| (name.to_owned(), secret)));
    kit.manage("DELETE", &format!("/v1/connect/connectors/{}/tokens", kit.connector), Some(&json!({})))
        .await
        .ok();

    let mut places: Vec<(String, Vec<u8>)> = kit.raw().await.everything().await;
    assert!(places.len() > 100, "the sweep has something to look at");
    places.push(("the log".to_owned(), logs.bytes()));
    places
        .extend(answers.into_iter().enumerate().map(|(n, text)| (format!("answer {n}"), text.into_bytes())));
    let places: Vec<(String, String)> = places
        .into_iter()
        .map(|(place, bytes)| (place, String::from_utf8_lossy(&bytes).into_owned()))
        .collect();
    for (what, canary) in &canaries {
        for form in written_forms(canary) {
            for (place, text) in &places {
                assert!(!text.contains(&form), "{what} stands in {place}");
            }
        }
    }
    assert!(String::from_utf8_lossy(&logs.bytes()).contains("POST"), "the log was kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_log_is_read_in_pages_and_by_what_one_looks_for() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    for _ in 0..12 {
        kit.ask(&json!({"subject": {"type": "app"}})).await.token();
    }
    kit.user_token("alice").await.refusal();
    let all = kit.events().await;
    let seqs = |events: &Value| -> Vec<i64> {
        events.as_array().unwrap().iter().map(|event| event["seq"].as_i64().unwrap()).collect()
    };
    let (mut before, mut collected) = (String::new(), Vec::new());
    loop {
        let page = kit.manage("GET", &format!("/v1/audit?limit=5{before}"), None).await.ok();
        collected.extend(seqs(&page["events"]));
        match page["next"].as_i64() {
            Some(next) => before = format!("&before={next}"),
            None => break,
        }
    }
    collected.reverse();
    assert_eq!(collected, seqs(&Value::Array(all)), "nothing twice, nothing left out");
    let of = async |query: &str| {
        kit.manage("GET", &format!("/v1/audit?limit=1000&{query}"), None).await.ok()["events"].clone()
    };
    assert_eq!(seqs(&of("action=token.issue").await).len(), 13);
    assert_eq!(seqs(&of("action=token.issue&outcome=failed").await).len(), 1);
    assert_eq!(seqs(&of("connector=demo%2Fhello&action=token.issue").await).len(), 13);
    assert_eq!(seqs(&of(&format!("target={}&action=connector.create", kit.connector)).await).len(), 1);
    assert!(seqs(&of("action=nonsense").await).is_empty());
}
