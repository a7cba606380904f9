//! Servers that are found, clients that are registered, people who enter a code elsewhere: what the engine makes of it.

mod moved;
pub(crate) mod peer;
mod tried;

use std::time::Duration;

use carnet_model::Clock as _;
use carnet_testkit::{Answer, Browser, Engine, Kit, Plan, eventually, on_both_engines};
use serde_json::{Value, json};

use peer::Peer;

on_both_engines!(
    a_client_is_registered_looked_after_and_taken_back,
    a_server_that_moves_is_followed_only_as_it_was_shown,
    a_change_that_names_another_server_is_about_that_one,
    what_was_granted_at_one_issuer_is_not_taken_to_another_at_its_origin,
    what_was_granted_for_one_resource_is_not_asked_for_another,
    secrets_do_not_follow_a_server_to_another_origin,
    a_person_who_enters_a_code_elsewhere_is_connected_without_coming_back,
    a_token_for_another_audience_is_kept_from_the_caller_and_the_grant_lives_on,
);

async fn create(kit: &Kit, service: &str, data: Value) -> Answer {
    let body = json!({"service": service, "name": "found", "uid": "peer/found", "type": "oauth", "data": data,
        "projectId": kit.tenant.project});
    kit.manage("POST", "/v1/connect/connectors", Some(&body)).await
}

async fn made(kit: &Kit, service: &str, data: Value) -> String {
    create(kit, service, data).await.ok()["id"].as_str().unwrap().to_owned()
}

async fn change(kit: &Kit, connector: &str, body: &Value) -> Answer {
    kit.manage("PATCH", &format!("/v1/connect/connectors/{connector}"), Some(body)).await
}

fn registered(peer: &Peer, care: &str, secret: &str) -> Value {
    json!({"client_id": "given", "client_secret": secret, "registration_access_token": care,
        "registration_client_uri": format!("{}/register/given", peer.url)})
}

/// A peer that registers clients.
fn registrar() -> Peer {
    let peer = Peer::start();
    peer.describe(json!({"registration_endpoint": format!("{}/register", peer.url)}));
    peer.now("/register", 201, registered(&peer, "care-1", "secret-1"));
    peer
}

async fn a_client_is_registered_looked_after_and_taken_back(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let peer = registrar();
    let connector = made(&kit, &peer.url, json!({})).await;
    assert_eq!(peer.lines("/register"), ["POST /register"]);
    assert_eq!(create(&kit, &peer.url, json!({})).await.status, 409);
    assert_eq!(peer.lines("/register"), [""; 0], "a name that is taken registers nothing");

    // Only pages of a provider that was told the address of a picture may show it besides ours.
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x02\x80\x08\0\0\0\0....\
        \0\0\0\x01IDATx....\0\0\0\0IEND...."
        .to_vec();
    let bearer = format!("Bearer {}", kit.tenant.token);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/octet-stream")];
    let kept = kit.http.send("POST", &format!("{}/v2/files", kit.url()), &headers, png).await.ok();
    let sha1 = kept["sha1"].as_str().unwrap();
    for (connector, embedders) in [(&connector, "cross-origin"), (&kit.connector, "same-origin")] {
        change(&kit, connector, &json!({"icon": sha1})).await.ok();
        let url = format!("{}/pictures/{connector}/{sha1}", kit.url());
        let shown = kit.http.send("GET", &url, &[], "").await;
        assert_eq!(shown.status, 200);
        assert_eq!(shown.header("cross-origin-resource-policy"), Some(embedders));
        assert_eq!(shown.header("content-security-policy"), Some("default-src 'none'; sandbox"));
    }
    let odd = format!("{}/pictures/{connector}/a%00b", kit.url());
    assert_eq!(kit.http.send("GET", &odd, &[], "").await.refusal(), (404, "not_found".to_owned()));
    assert_eq!(peer.lines("/register/given"), [""; 0], "a picture without https is not told");

    peer.now("/register/given", 200, registered(&peer, "care-2", "secret-2"));
    let renamed = change(&kit, &connector, &json!({"name": "Renamed"})).await.ok();
    assert_eq!(renamed["serviceSync"], json!({"status": "done"}));
    assert!(!renamed.to_string().contains("secret-2") && !renamed.to_string().contains("care-2"));
    let told = peer.seen("/register/given");
    assert_eq!(
        (told[0].line.as_str(), told[0].bearer.as_deref()),
        ("PUT /register/given", Some("Bearer care-1"))
    );
    assert!(told[0].body.contains("Renamed"));

    peer.now("/register/given", 403, json!({"error": "access_denied"}));
    let unheard = change(&kit, &connector, &json!({"name": "Unheard"})).await.ok();
    assert_eq!(unheard["serviceSync"]["status"], json!("required"));
    assert_eq!(unheard["name"], json!("Unheard"), "the connector changed all the same");
    assert_eq!(
        peer.seen("/register/given")[0].bearer.as_deref(),
        Some("Bearer care-2"),
        "what was given anew was kept"
    );
    let same = change(&kit, &connector, &json!({"accentColor": "#112233"})).await.ok();
    assert_eq!(same["serviceSync"]["status"], json!("required"), "still to be told");

    // A server that turned the token in an answer that was lost takes the old one no more. What is said then works.
    peer.now("/register/given", 401, json!({"error": "invalid_token"}));
    let lost = change(&kit, &connector, &json!({"name": "Lost"})).await.ok();
    let why = lost["serviceSync"]["errors"][0].as_str().unwrap();
    assert!(why.contains("setting clientId, clientSecret and clientRegistration of data to null"), "{why}");
    peer.now("/register", 201, registered(&peer, "care-3", "secret-3"));
    let nothing = json!({"clientId": null, "clientSecret": null, "clientRegistration": null});
    let anew = change(&kit, &connector, &json!({"data": nothing})).await.ok();
    assert_eq!((peer.lines("/register").len(), &anew["data"]["clientId"]), (1, &json!("given")));
    peer.now("/register/given", 200, registered(&peer, "care-3", "secret-3"));
    peer.seen("/register/given");
    assert_eq!(
        change(&kit, &connector, &json!({"name": "Anew"})).await.ok()["serviceSync"]["status"],
        "done"
    );
    assert_eq!(peer.seen("/register/given")[0].bearer.as_deref(), Some("Bearer care-3"));

    peer.now("/register/given", 204, json!(null));
    peer.seen("/register/given");
    let path = format!("/v1/connect/connectors/{connector}");
    assert_eq!(kit.manage("DELETE", &path, None).await.status, 204);
    assert_eq!(peer.lines("/register/given"), ["DELETE /register/given"]);
}

async fn a_server_that_moves_is_followed_only_as_it_was_shown(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let peer = Peer::start();
    let client = json!({"clientId": "c", "serverUrl": peer.url});
    let connector = made(&kit, "peer", client).await;
    let path = format!("/v1/connect/connectors/{connector}/server");
    let same = kit.manage("GET", &path, None).await.ok();
    assert_eq!(same["differences"], json!([]));

    peer.describe(json!({"authorization_endpoint": format!("{}/elsewhere", peer.url)}));
    let moved = kit.manage("GET", &path, None).await.ok();
    assert_eq!(
        moved["differences"],
        json!([{"member": "authorization_endpoint", "pinned": format!("{}/authorize", peer.url),
            "present": format!("{}/elsewhere", peer.url)}])
    );
    for digest in [same["digest"].clone(), json!("0"), json!("")] {
        let answer = kit.manage("POST", &path, Some(&json!({"digest": digest}))).await;
        assert_eq!((answer.status, answer.refusal().1), (409, "conflict".to_owned()), "not what was shown");
    }
    let pinned = async || {
        let shown = kit.manage("GET", &format!("/v1/connect/connectors/{connector}"), None).await.ok();
        shown["data"]["serverConfig"]["authorization_endpoint"].as_str().unwrap().to_owned()
    };
    assert!(pinned().await.ends_with("/authorize"));
    kit.manage("POST", &path, Some(&json!({"digest": moved["digest"]}))).await.ok();
    assert!(pinned().await.ends_with("/elsewhere"));
    let events = kit.events_of("connector.server.accept").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["detail"]["members"], json!(["authorization_endpoint"]));
    let workload = kit.workload("production");
    assert_eq!(kit.node.call("GET", &path, Some(&workload), None).await.status, 403, "people only");
}

/// A change that names another server has that one found and pinned, or is refused by the name of its field.
async fn a_change_that_names_another_server_is_about_that_one(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let (peer, other) = (Peer::start(), Peer::start());
    let connector = made(&kit, "peer", json!({"clientId": "c", "serverUrl": peer.url})).await;
    let path = format!("/v1/connect/connectors/{connector}");
    let shown = async || {
        let data = kit.manage("GET", &path, None).await.ok()["data"].clone();
        (data["serverUrl"].clone(), data["serverConfig"]["token_endpoint"].clone())
    };
    let at = |peer: &Peer| (json!(peer.url), json!(format!("{}/token", peer.url)));
    for wrong in ["nonsense", "http://127.0.0.1:1"] {
        let refused = change(&kit, &connector, &json!({"data": {"serverUrl": wrong}})).await;
        assert_eq!(refused.refusal(), (422, "invalid_connector".to_owned()), "{wrong}");
        assert_eq!(refused.json()["error"]["field"], "data.serverUrl", "{wrong}");
        assert_eq!(shown().await, at(&peer), "{wrong}");
    }
    // The same address is no other server, and is not asked.
    peer.now("/.well-known/oauth-authorization-server", 500, json!({}));
    change(&kit, &connector, &json!({"data": {"serverUrl": peer.url}})).await.ok();
    assert_eq!(shown().await, at(&peer));
    change(&kit, &connector, &json!({"data": {"serverUrl": other.url}})).await.ok();
    assert_eq!(shown().await, at(&other));
    assert_eq!(kit.manage("GET", &format!("{path}/server"), None).await.ok()["differences"], json!([]));

    // What is registered at one server is worth nothing at another.
    let (here, there) = (registrar(), registrar());
    let body =
        json!({"service": here.url, "name": "second", "uid": "peer/second", "type": "oauth", "data": {}});
    let second = kit.manage("POST", "/v1/connect/connectors", Some(&body)).await.ok();
    let connector = second["id"].as_str().unwrap().to_owned();
    let refused = change(&kit, &connector, &json!({"data": {"serverUrl": there.url}})).await;
    assert_eq!(refused.refusal(), (422, "invalid_connector".to_owned()));
    assert_eq!(refused.json()["error"]["field"], "data.serverUrl");
    assert_eq!(there.lines("/register"), [""; 0]);
}

async fn what_was_granted_at_one_issuer_is_not_taken_to_another_at_its_origin(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let peer = Peer::start();
    let data = json!({"clientId": "c", "serverUrl": peer.url, "userAuthorization": {"scopes": ["read"]}});
    let connector = made(&kit, "peer", data).await;
    let realm = format!("{}/realm", peer.url);
    let described = json!({
        "issuer": realm, "authorization_endpoint": format!("{realm}/authorize"),
        "token_endpoint": format!("{realm}/token"), "code_challenge_methods_supported": ["S256"],
    });
    peer.now("/.well-known/oauth-authorization-server/realm", 200, described);
    let import = json!({"tokens": [{
        "accessToken": "at-of-the-first", "refreshToken": "rt-of-the-first", "environment": "production",
        "expiresAt": kit.clock.now().plus(Duration::from_hours(1)), "subject": {"type": "user", "id": "alice"},
    }]});
    let path = format!("/v1/connect/token/{connector}/import");
    assert_eq!(kit.manage("POST", &path, Some(&import)).await.ok()["imported"], 1);
    let refused = change(&kit, &connector, &json!({"data": {"serverUrl": realm}})).await;
    assert_eq!(refused.refusal(), (409, "conflict".to_owned()), "{}", refused.text());
    let tokens = format!("/v1/connect/connectors/{connector}/tokens");
    kit.manage("DELETE", &tokens, Some(&json!({}))).await.ok();
    change(&kit, &connector, &json!({"data": {"serverUrl": realm}})).await.ok();
}

/// What a connector is for by itself is consented to with it: while there are grants it stays.
async fn what_was_granted_for_one_resource_is_not_asked_for_another(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let peer = Peer::start();
    let data = json!({"clientId": "c", "serverUrl": peer.url, "resource": "https://api.example/one",
        "defaultAudience": "one", "userAuthorization": {"scopes": ["read"]}});
    let connector = made(&kit, "peer", data).await;
    // Nobody has granted anything yet.
    let to = |member: &str, value: Value| json!({"data": {member: value}});
    change(&kit, &connector, &to("resource", json!("https://api.example/two"))).await.ok();
    let import = json!({"tokens": [{
        "accessToken": "at-for-two", "refreshToken": "rt-for-two", "environment": "production",
        "expiresAt": kit.clock.now().plus(Duration::from_hours(1)), "subject": {"type": "user", "id": "alice"},
    }]});
    let path = format!("/v1/connect/token/{connector}/import");
    assert_eq!(kit.manage("POST", &path, Some(&import)).await.ok()["imported"], 1);
    for (member, value) in [
        ("resource", json!("https://api.example/three")),
        ("resource", Value::Null),
        ("defaultAudience", json!("two")),
        ("defaultAudience", Value::Null),
    ] {
        let refused = change(&kit, &connector, &to(member, value.clone())).await;
        assert_eq!(refused.refusal(), (409, "conflict".to_owned()), "{member} {value}: {}", refused.text());
        assert_eq!(refused.json()["error"]["field"], format!("data.{member}"), "{}", refused.text());
        assert!(
            refused.text().contains("carnet revoke-tokens peer/found --all-tokens"),
            "{}",
            refused.text()
        );
    }
    // The same in another spelling is the same, and anything else may be changed.
    change(&kit, &connector, &to("resource", json!("https://api.example/two/"))).await.ok();
    change(&kit, &connector, &to("userAuthorization", json!({"scopes": ["read", "write"]}))).await.ok();
    let tokens = format!("/v1/connect/connectors/{connector}/tokens");
    kit.manage("DELETE", &tokens, Some(&json!({}))).await.ok();
    change(&kit, &connector, &to("resource", json!("https://api.example/three"))).await.ok();
    change(&kit, &connector, &to("defaultAudience", Value::Null)).await.ok();
}

async fn secrets_do_not_follow_a_server_to_another_origin(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let (peer, other) = (Peer::start(), Peer::start());
    let client = json!({"clientId": "c", "clientSecret": "s", "serverUrl": peer.url});
    let connector = made(&kit, "peer", client).await;
    let path = format!("/v1/connect/connectors/{connector}/server");
    // The same host, as the issuer's own, and another port.
    peer.describe(json!({"token_endpoint": format!("{}/token", other.url)}));
    let moved = kit.manage("GET", &path, None).await.ok();
    let answer = kit.manage("POST", &path, Some(&json!({"digest": moved["digest"]}))).await;
    assert_eq!(
        (answer.status, answer.refusal().1),
        (422, "invalid_connector".to_owned()),
        "{}",
        answer.text()
    );
    assert!(answer.text().contains("Give the secrets for that server"), "{}", answer.text());
}

fn code(peer: &Peer) -> Value {
    json!({"device_code": "device-code-of-the-peer", "user_code": "WDJB-MJHT", "expires_in": 600, "interval": 1,
        "verification_uri": format!("{}/enter", peer.url)})
}

/// A connector whose people enter a code elsewhere, with a request for this user's consent.
async fn waiting(kit: &Kit, peer: &Peer, user: &str) -> (String, Value) {
    peer.describe(json!({"device_authorization_endpoint": format!("{}/device", peer.url)}));
    peer.now("/device", 200, code(peer));
    peer.now("/token", 400, json!({"error": "authorization_pending"}));
    let data = json!({"clientId": "c", "serverUrl": peer.url, "deviceAuthorization": {"enabled": true},
        "userAuthorization": {"scopes": ["read"]}});
    let connector = made(kit, "peer", data).await;
    let path = format!("/v1/connect/authorize/{connector}");
    let body = json!({"subject": {"type": "user", "id": user}, "returnUrl": "https://app.example/back"});
    let started = kit.node.call("POST", &path, Some(&kit.workload("production")), Some(&body)).await.ok();
    (connector, started)
}

fn token() -> Value {
    json!({"access_token": "at", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "rt", "scope": "read"})
}

async fn of(kit: &Kit, connector: &str, user: &str) -> Answer {
    let body = json!({"subject": {"type": "user", "id": user}});
    kit.node.token(&kit.workload("production"), connector, &body).await
}

async fn a_person_who_enters_a_code_elsewhere_is_connected_without_coming_back(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let peer = Peer::start();
    let (connector, started) = waiting(&kit, &peer, "dora").await;
    let page = started["url"].as_str().unwrap();
    let mut browser = Browser::default();
    browser.get(page).await;
    assert_eq!(peer.lines("/device"), [""; 0], "looking at the page begins nothing");
    let answer = browser.decide(page, "allow").await;
    assert_eq!((answer.status, answer.header("location").is_some()), (303, true), "{}", answer.text());
    let shown = browser.get(page).await;
    assert!(shown.text().contains("WDJB-MJHT") && !shown.text().contains("device-code"), "{}", shown.text());
    assert_eq!(shown.link(), format!("{}/enter", peer.url));
    assert_eq!(Browser::default().get(page).await.status, 403, "the code is for the browser that said yes");
    assert_eq!(peer.lines("/device").len(), 1);

    eventually("it is asked", async || (!peer.seen("/token").is_empty()).then_some(())).await;
    assert_eq!(of(&kit, &connector, "dora").await.refusal().1, "user_authorization_required");
    peer.now("/token", 200, token());
    eventually("she is connected", async || (of(&kit, &connector, "dora").await.status == 200).then_some(()))
        .await;
    let asked = peer.seen("/token");
    assert_eq!(asked[0].field("device_code").as_deref(), Some("device-code-of-the-peer"));
    let end = browser.get(&format!("{page}?waited")).await;
    assert_eq!(end.status, 303);
    assert!(end.header("location").unwrap().starts_with("https://app.example/back?"), "{:?}", end.headers);
    assert_eq!(kit.events_of("authorization.complete").await.len(), 1);
}

#[tokio::test]
async fn a_code_that_was_given_out_is_asked_about_after_a_restart_and_a_no_is_a_no() {
    let mut kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let peer = Peer::start();
    let (connector, started) = waiting(&kit, &peer, "dora").await;
    Browser::default().decide(started["url"].as_str().unwrap(), "allow").await;
    kit.restart(async |_| {
        peer.now("/token", 200, token());
        peer.seen("/token");
    })
    .await;
    eventually("she is connected", async || (of(&kit, &connector, "dora").await.status == 200).then_some(()))
        .await;
    assert_eq!(peer.seen("/token").len(), 1, "a code is redeemed once");

    peer.now("/token", 400, json!({"error": "access_denied"}));
    let path = format!("/v1/connect/authorize/{connector}");
    let body = json!({"subject": {"type": "user", "id": "eve"}});
    let started = kit.node.call("POST", &path, Some(&kit.workload("production")), Some(&body)).await.ok();
    Browser::default().decide(started["url"].as_str().unwrap(), "allow").await;
    let path = format!("/v1/connect/result/{}", started["verifier"].as_str().unwrap());
    let status = async || {
        let told = kit.manage("GET", &path, None).await.ok();
        (told["status"] != json!("pending")).then(|| told["status"].clone())
    };
    assert_eq!(eventually("it is over", status).await, json!("canceled"));
    assert_eq!(of(&kit, &connector, "eve").await.refusal().1, "user_authorization_required");
}

#[tokio::test]
async fn a_request_that_cannot_be_pushed_is_tried_again_or_ends_with_the_reason() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let peer = Peer::start();
    peer.describe(json!({"pushed_authorization_request_endpoint": format!("{}/par", peer.url)}));
    let connector = made(&kit, "peer", json!({"clientId": "c", "serverUrl": peer.url})).await;
    let path = format!("/v1/connect/authorize/{connector}");
    let body = json!({"subject": {"type": "user", "id": "dora"}});
    let started = kit.node.call("POST", &path, Some(&kit.workload("production")), Some(&body)).await.ok();
    let page = started["url"].as_str().unwrap();
    let mut browser = Browser::default();
    for (status, answer, shown) in [(503, json!({}), 503), (200, json!({}), 502)] {
        peer.now("/par", status, answer);
        let told = browser.decide(page, "allow").await;
        assert_eq!(told.status, shown, "{}", told.text());
    }
    peer.now("/par", 201, json!({"request_uri": "urn:once", "expires_in": 60}));
    let there = browser.leave(page).await;
    assert_eq!(there, format!("{}/authorize?client_id=c&request_uri=urn%3Aonce", peer.url));
    assert_eq!(peer.lines("/par").len(), 3);

    // A server that does not have what it lists is asked the usual way.
    for status in [404, 405, 501] {
        let (page, _) = begun(&kit, &path, "erin").await;
        peer.now("/par", status, json!({}));
        let there = Browser::default().leave(&page).await;
        assert!(there.contains("code_challenge="), "{status}: {there}");
    }

    // What is refused stays refused: the application is told, and the person sees what happened.
    let (page, verifier) = begun(&kit, &path, "fred").await;
    peer.now("/par", 400, json!({"error": "invalid_request", "error_description": "no such scope"}));
    let mut browser = Browser::default();
    let told = browser.decide(&page, "allow").await;
    assert_eq!(told.status, 422, "{}", told.text());
    let result = format!("/v1/connect/result/{verifier}");
    let result = kit.node.call("GET", &result, Some(&kit.workload("production")), None).await.ok();
    assert_eq!(result["status"], "error", "{result}");
    assert_eq!(kit.events_of("authorization.complete").await[0]["detail"]["code"], "provider_refused");

    // What cannot be asked at all is said to who asks.
    let odd = json!({"subject": {"type": "user", "id": "gina"}, "resources": ["https://api.example/x#part"]});
    let refused = kit.node.call("POST", &path, Some(&kit.workload("production")), Some(&odd)).await;
    assert_eq!(refused.refusal(), (400, "invalid_request".to_owned()));
}

/// The page of a new request, and what its outcome is asked for with.
async fn begun(kit: &Kit, path: &str, user: &str) -> (String, String) {
    let body = json!({"subject": {"type": "user", "id": user}});
    let started = kit.node.call("POST", path, Some(&kit.workload("production")), Some(&body)).await.ok();
    (started["url"].as_str().unwrap().to_owned(), started["verifier"].as_str().unwrap().to_owned())
}

async fn a_token_for_another_audience_is_kept_from_the_caller_and_the_grant_lives_on(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let peer = Peer::start();
    let data = json!({"clientId": "c", "serverUrl": peer.url, "resource": "https://api.example",
        "deviceAuthorization": {"enabled": true}, "userAuthorization": {"scopes": ["read"]}});
    peer.describe(json!({"device_authorization_endpoint": format!("{}/device", peer.url)}));
    peer.now("/device", 200, code(&peer));
    peer.now("/token", 200, token());
    let connector = made(&kit, "peer", data).await;
    let path = format!("/v1/connect/authorize/{connector}");
    let body = json!({"subject": {"type": "user", "id": "dora"}});
    let started = kit.node.call("POST", &path, Some(&kit.workload("production")), Some(&body)).await.ok();
    Browser::default().decide(started["url"].as_str().unwrap(), "allow").await;
    eventually("she is connected", async || (of(&kit, &connector, "dora").await.status == 200).then_some(()))
        .await;

    // {"alg":"RS256"}.{"aud":"https://other.example"}
    let stray = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwczovL290aGVyLmV4YW1wbGUifQ.c2ln";
    let mut answer = token();
    answer["access_token"] = json!(stray);
    answer["refresh_token"] = json!("rt2");
    peer.now("/token", 200, answer);
    kit.clock.pass(std::time::Duration::from_hours(2));
    let refused = of(&kit, &connector, "dora").await;
    assert_eq!(
        (refused.status, refused.refusal().1),
        (422, "invalid_target".to_owned()),
        "{}",
        refused.text()
    );
    assert!(!refused.text().contains(stray));

    peer.seen("/token");
    peer.now("/token", 200, token());
    assert_eq!(of(&kit, &connector, "dora").await.token(), "at");
    assert_eq!(peer.seen("/token")[0].field("refresh_token").as_deref(), Some("rt2"), "nothing was lost");
}

#[tokio::test]
async fn a_client_that_is_an_address_of_ours_describes_itself_to_everybody() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let peer = Peer::start();
    let connector = made(&kit, "peer", json!({"clientId": "c", "serverUrl": peer.url})).await;
    let path = format!("/clients/{}/{connector}", kit.tenant.team);
    let look = async || kit.node.call("GET", &path, None, None).await;
    assert_eq!(look().await.status, 404, "not for a client that was brought");
    let own = format!("{}{path}", kit.url());
    let document = json!({"clientId": own, "clientRegistration": {"method": "document", "clientId": own},
        "tokenEndpointAuthMethod": "none"});
    change(&kit, &connector, &json!({"data": document})).await.ok();
    let told = look().await.ok();
    assert_eq!(told["client_id"], json!(own));
    assert_eq!(told["redirect_uris"], json!([format!("{}/callback", kit.url())]));
    for strange in [format!("/clients/{}/{}", kit.tenant.team, "scl_x"), format!("/clients/x/{connector}")] {
        assert_eq!(kit.node.call("GET", &strange, None, None).await.status, 404);
    }
}
