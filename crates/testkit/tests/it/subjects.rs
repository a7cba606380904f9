//! Tokens of asserted identities, and tokens in exchange for others.

use std::time::Duration;

use carnet_model::Clock as _;
use carnet_testkit::{Answer, Authority, Engine, Kit, Logs, Plan, on_both_engines};
use serde_json::{Value, json};

on_both_engines!(
    an_asserted_identity_gets_its_own_token_and_nobody_elses,
    a_token_is_exchanged_and_known_by_its_digest_alone,
    nothing_is_given_beyond_what_the_connector_allows,
    only_a_workload_whose_rule_says_so_asserts_or_exchanges,
    a_refusal_says_whose_fault_it_is_and_harms_nobody,
    an_inbound_token_is_verified_where_the_connector_says_whose_it_takes,
    a_token_that_is_taken_once_is_taken_once_by_whatever_node,
    what_was_asserted_is_taken_back_and_what_was_exchanged_is_forgotten,
);

/// A connector to `authority` that asserts and exchanges.
async fn connect(kit: &Kit, authority: &Authority, rules: Value) -> String {
    let mut data = json!({
        "serverUrl": null, "rotation": null,
        "serverConfig": authority.config(),
        "signingAlgorithm": "ES256",
        "userAuthorization": {"enabled": false},
        "clientCredentials": {"enabled": false},
        "jwtBearer": {"scopes": ["read", "write"]},
        "tokenExchange": {"scopes": ["read", "write"]},
    });
    data.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
    let connector = kit.connect("subjects", data).await;
    authority.forget();
    connector
}

async fn ask(kit: &Kit, connector: &str, body: &Value) -> Answer {
    kit.node.token(&kit.workload("production"), connector, body).await
}

fn asserted(sub: &str) -> Value {
    json!({"subject": {"type": "jwt-bearer", "sub": sub}})
}

fn exchanged(token: &str) -> Value {
    json!({"subject": {"type": "token", "token": token}})
}

async fn an_asserted_identity_gets_its_own_token_and_nobody_elses(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    let authority = Authority::start().await;
    let connector = connect(&kit, &authority, json!({})).await;
    let shown = kit.manage("GET", &format!("/v1/connect/connectors/{connector}"), None).await.ok();
    assert_eq!(shown["supportedSubjectTypes"], json!(["jwt-bearer", "token"]));

    let first = ask(&kit, &connector, &asserted("alice")).await.token();
    let asked = authority.last();
    let jwks = kit.node.call("GET", &format!("/connect/jwks/{connector}"), None, None).await.ok();
    let endpoint = format!("{}/token", authority.url());
    let now = kit.clock.now();
    let claims = asked.assertion("assertion", &jwks, Kit::CLIENT, &endpoint, now);
    let claims = claims.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(claims.subject(), "alice");
    assert!(claims.expires_at() <= now.plus(Duration::from_mins(3)));
    assert_eq!(asked.field("scope"), Some("read write"), "the connector's own");
    assert_eq!(asked.field("client_secret"), Some(kit.plan.client_secret.as_str()));

    // Everything that was said decides which token it is.
    let mut tokens = vec![first.clone()];
    for subject in [
        json!({"type": "jwt-bearer", "sub": "bob"}),
        json!({"type": "jwt-bearer", "sub": "alice", "iss": "https://me.example"}),
        json!({"type": "jwt-bearer", "sub": "alice", "aud": "https://me.example"}),
        json!({"type": "jwt-bearer", "sub": "alice", "additionalClaims": {"role": "clerk"}}),
        json!({"type": "jwt-bearer", "sub": "alice", "additionalClaims": {"role": "admin"}}),
    ] {
        let token = ask(&kit, &connector, &json!({"subject": subject})).await.token();
        assert!(!tokens.contains(&token), "{subject}");
        tokens.push(token);
    }
    let narrow = json!({"subject": {"type": "jwt-bearer", "sub": "alice"}, "scopes": ["read"]});
    let token = ask(&kit, &connector, &narrow).await.token();
    assert!(!tokens.contains(&token));
    assert_eq!(authority.last().field("scope"), Some("read"));
    let elsewhere = kit.node.token(&kit.workload("preview"), &connector, &asserted("alice")).await.token();
    assert!(!tokens.contains(&elsewhere), "another environment's is its own");
    let count = authority.asked().len();
    assert_eq!(count, 8);

    // The same again, from memory and from the store.
    assert_eq!(ask(&kit, &connector, &asserted("alice")).await.token(), first);
    kit.restart(async |_| {}).await;
    assert_eq!(ask(&kit, &connector, &asserted("alice")).await.token(), first);
    assert_eq!(authority.asked().len(), count);
    kit.clock.pass(Duration::from_hours(1));
    assert_ne!(ask(&kit, &connector, &asserted("alice")).await.token(), first, "it has ended");

    let events = kit.events_of("token.issue").await;
    let event =
        events.iter().find(|event| event["detail"]["asserted"]["iss"] == "https://me.example").unwrap();
    assert_eq!(event["detail"]["asserted"]["sub"], "alice");
    assert_eq!(events[0]["detail"]["subject"], "jwt-bearer:alice");
    let assertions: Vec<String> =
        authority.asked().iter().map(|asked| asked.field("assertion").unwrap().to_owned()).collect();
    for (place, bytes) in kit.raw().await.everything().await {
        let found = |text: &String| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(!tokens.iter().chain(&assertions).any(found), "in the clear in {place}");
    }
}

async fn a_token_is_exchanged_and_known_by_its_digest_alone(engine: Engine) {
    let logs = Logs::keep();
    let mut kit = Kit::start(engine, Plan::default()).await;
    let authority = Authority::start().await;
    let connector = connect(&kit, &authority, json!({})).await;
    let inbound = "inbound-token-0123456789";
    let first = ask(&kit, &connector, &exchanged(inbound)).await;
    assert_eq!(first.ok()["metadata"]["issuedTokenType"], "urn:ietf:params:oauth:token-type:access_token");
    let first = first.token();
    assert_eq!(authority.last().field("subject_token"), Some(inbound));
    assert_eq!(ask(&kit, &connector, &exchanged(inbound)).await.token(), first, "from memory");
    assert_eq!(authority.asked().len(), 1);
    assert_ne!(ask(&kit, &connector, &exchanged("inbound-token-other")).await.token(), first);

    // Who asks at once is answered by one exchange.
    let path = format!("{}/v1/connect/token/{connector}", kit.url());
    let bearer = kit.workload("production");
    let together: Vec<_> = (0..8)
        .map(|_| {
            let (http, path, bearer) = (kit.http.clone(), path.clone(), bearer.clone());
            let body = exchanged("inbound-token-of-many");
            kit.node
                .broker()
                .spawn(async move { http.json("POST", &path, Some(&bearer), Some(&body)).await.token() })
        })
        .collect();
    let mut tokens = Vec::new();
    for one in together {
        tokens.push(one.await.unwrap());
    }
    tokens.dedup();
    assert_eq!((tokens.len(), authority.asked().len()), (1, 3));

    // Nothing of it is kept beyond the process.
    kit.restart(async |_| {}).await;
    assert_ne!(ask(&kit, &connector, &exchanged(inbound)).await.token(), first);

    // What a JWT says of its end is the end of what is kept for it.
    let claims = |life: u64| {
        let now = kit.clock.now();
        let mut claims = kit.issuer.claims(now, "anybody", "prj", "production");
        claims.insert("exp".to_owned(), now.plus(Duration::from_secs(life)).secs().into());
        claims
    };
    let short = kit.issuer.sign(&claims(120));
    let token = ask(&kit, &connector, &exchanged(&short)).await.token();
    assert_eq!(ask(&kit, &connector, &exchanged(&short)).await.token(), token);
    let count = authority.asked().len();
    kit.clock.pass(Duration::from_secs(121));
    let ended = ask(&kit, &connector, &exchanged(&short)).await;
    assert_eq!(ended.refusal(), (400, "invalid_request".to_owned()));
    assert_eq!(ended.json()["error"]["field"], "subject.token");
    assert_eq!(authority.asked().len(), count, "what has ended is not sent");

    let inbound = [inbound.to_owned(), short];
    let events = Value::Array(kit.events().await).to_string();
    let digest = kit.events_of("token.issue").await[0]["detail"]["subject"].as_str().unwrap().to_owned();
    assert!(digest.starts_with("token:") && digest.len() == "token:".len() + 64, "{digest}");
    let written = String::from_utf8_lossy(&logs.bytes()).into_owned();
    assert!(!inbound.iter().any(|token| events.contains(token) || written.contains(token)));
    for (place, bytes) in kit.raw().await.everything().await {
        let found = |text: &String| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(!inbound.iter().any(found), "in the clear in {place}");
    }
    let kept = kit.raw().await.number("select count(*) from minted_tokens").await;
    assert_eq!(kept, 0, "what was exchanged is not in the store");
}

async fn nothing_is_given_beyond_what_the_connector_allows(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let authority = Authority::start().await;
    let rules = json!({"jwtBearer": {"scopes": ["read", "write"], "sub": "*@acme.example", "iss": "https://me.example"}});
    let connector = connect(&kit, &authority, rules).await;
    let alice = "alice@acme.example";
    for subject in [json!({"type": "jwt-bearer", "sub": alice}), json!({"type": "token", "token": "inbound"})]
    {
        let before = authority.asked().len();
        let beyond = json!({"subject": subject, "scopes": ["read", "admin"]});
        let answer = ask(&kit, &connector, &beyond).await;
        assert_eq!(answer.refusal(), (422, "invalid_scope".to_owned()), "{subject}");
        assert_eq!(answer.json()["error"]["excess"], json!(["admin"]));
        assert_eq!(authority.asked().len(), before, "it is not even asked");

        let given = |scope: &str| {
            json!({"access_token": "too-much", "token_type": "Bearer", "scope": scope,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})
        };
        for (scopes, given_scopes) in [
            (json!(["*"]), "read write admin"),
            (json!([]), "read write admin"),
            (json!(["read"]), "read write"),
            (json!(["read", "write"]), "read"),
        ] {
            authority.next(200, given(given_scopes));
            let body = json!({"subject": subject, "scopes": scopes});
            let answer = ask(&kit, &connector, &body).await;
            assert_eq!(answer.refusal(), (422, "invalid_scope".to_owned()), "{body} {given_scopes}");
            assert!(!answer.text().contains("too-much"));
        }
        // Of the connector's own, a provider may leave some out.
        authority.next(200, given("read"));
        assert_eq!(ask(&kit, &connector, &json!({"subject": subject})).await.token(), "too-much");
    }
    for subject in [
        json!({"type": "jwt-bearer", "sub": "alice@evil.example"}),
        json!({"type": "jwt-bearer", "sub": alice, "iss": "https://you.example"}),
    ] {
        let before = authority.asked().len();
        let answer = ask(&kit, &connector, &json!({"subject": subject})).await;
        assert_eq!(answer.refusal(), (403, "forbidden".to_owned()), "{subject}");
        assert_eq!(authority.asked().len(), before);
    }
    for subject in [
        json!({"type": "jwt-bearer", "sub": alice, "additionalClaims": {"exp": 9_999_999_999_i64}}),
        json!({"type": "jwt-bearer", "sub": alice, "additionalClaims": {"scope": "admin"}}),
        json!({"type": "jwt-bearer", "sub": alice, "additionalClaims": {"x": "y".repeat(5000)}}),
        json!({"type": "token", "token": "a b"}),
        json!({"type": "token", "token": "x".repeat(17_000)}),
        json!({"type": "token", "token": "x", "actor": "y"}),
    ] {
        let answer = ask(&kit, &connector, &json!({"subject": subject})).await;
        assert_eq!(answer.refusal(), (400, "invalid_request".to_owned()), "{subject:.100}");
    }
    let refused = kit.events_of("token.issue").await;
    let refused = refused.iter().filter(|event| event["outcome"] != "success").count();
    assert_eq!(refused, 2 * 5 + 2 + 6, "each is on the record");
}

async fn only_a_workload_whose_rule_says_so_asserts_or_exchanges(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let authority = Authority::start().await;
    let connector = connect(&kit, &authority, json!({})).await;
    // Another project, whose rule says nothing about subjects.
    let project = kit.manage("POST", "/v9/projects", Some(&json!({"name": "plain"}))).await.ok();
    let project = project["id"].as_str().unwrap();
    let claims = json!({"workload_project": project, "environment": "production"});
    let rules = json!([{"project": project, "environment": "production", "claims": claims}]);
    let audience = kit.audience(&kit.tenant);
    let mut config = kit.issuer.trusted_for(&audience, &rules);
    config["jwks"] = kit.issuer.jwks();
    kit.manage("POST", "/v1/trusted-issuers", Some(&config)).await.ok();
    let link = format!("/v1/connect/connectors/{connector}/projects/{project}");
    kit.manage("POST", &link, Some(&json!({"environments": ["production"]}))).await.ok();
    let plain = kit.issuer.sign(&kit.issuer.claims(kit.clock.now(), &audience, project, "production"));
    for body in [asserted("alice"), exchanged("inbound")] {
        for bearer in [&plain, &kit.tenant.token] {
            let answer = kit.node.token(bearer, &connector, &body).await;
            assert_eq!(answer.refusal(), (403, "forbidden".to_owned()), "{}", answer.text());
        }
        let other = kit.another_tenant(if body == asserted("alice") { "one" } else { "two" }).await;
        let answer = kit.node.token(&kit.workload_of(&other, "production"), &connector, &body).await;
        assert_eq!(answer.refusal(), (404, "not_found".to_owned()));
    }
    assert_eq!(authority.asked().len(), 0);
    // A connector that does neither says so.
    for body in [asserted("alice"), exchanged("inbound")] {
        let answer = kit.ask(&body).await;
        assert_eq!(answer.refusal().1, "unresolved_token");
        assert_eq!(answer.json()["error"]["supportedSubjectTypes"], json!(["app", "user"]));
    }
}

async fn a_refusal_says_whose_fault_it_is_and_harms_nobody(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let authority = Authority::start().await;
    let connector = connect(&kit, &authority, json!({})).await;
    for (status, answer, want) in [
        (
            400,
            json!({"error": "invalid_grant", "error_description": "user hasn't approved this consumer"}),
            (422, "provider_refused"),
        ),
        (401, json!({"error": "invalid_client"}), (422, "connector_credentials_rejected")),
        (400, json!({"error": "invalid_scope"}), (422, "invalid_scope")),
        (400, json!({"error": "invalid_target"}), (422, "invalid_target")),
        (200, json!({"access_token": "at", "token_type": "mac"}), (502, "provider_answer_invalid")),
    ] {
        for body in [asserted("alice"), exchanged("inbound")] {
            authority.next(status, answer.clone());
            let refused = ask(&kit, &connector, &body).await;
            let (status, code) = refused.refusal();
            assert_eq!((status, code.as_str()), want, "{answer}");
            if want.1 == "provider_refused" {
                assert_eq!(refused.json()["error"]["vendor"]["error"], "invalid_grant");
            }
            if want.1 == "provider_answer_invalid" {
                let error = refused.json()["error"].clone();
                assert_eq!(error["flaw"], "its token_type is not Bearer", "{error}");
                assert!(error["message"].as_str().unwrap().contains("token_type is not Bearer"), "{error}");
                let command = error["next"][0]["command"].as_str().unwrap();
                assert!(command.starts_with("carnet show "), "{error}");
                let events = kit.manage("GET", "/v1/audit?outcome=failed&limit=1", None).await.ok();
                assert_eq!(events["events"][0]["detail"]["flaw"], error["flaw"], "{events}");
            }
        }
    }
    authority.next(200, json!({"access_token": "at", "token_type": "Bearer"}));
    let answer = ask(&kit, &connector, &exchanged("inbound")).await;
    assert_eq!(answer.refusal(), (502, "provider_answer_invalid".to_owned()), "it does not say what it is");
    assert_eq!(answer.json()["error"]["flaw"], "its issued_token_type is missing");
}

async fn an_inbound_token_is_verified_where_the_connector_says_whose_it_takes(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let authority = Authority::start().await;
    let trusted = json!([{"issuer": kit.issuer.url(), "audiences": ["api://acme"]}]);
    let connector = connect(&kit, &authority, json!({"tokenExchange": {"trustedIssuers": trusted}})).await;
    let now = kit.clock.now();
    let claims = kit.issuer.claims(now, "api://acme", "prj", "production");
    let sound = kit.issuer.sign(&claims);
    ask(&kit, &connector, &exchanged(&sound)).await.token();
    assert_eq!(authority.last().field("subject_token"), Some(sound.as_str()));
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims.insert(name.to_owned(), value);
        kit.issuer.sign(&claims)
    };
    let (signed, _) = sound.rsplit_once('.').unwrap();
    let stranger = carnet_testkit::Issuer::start().await;
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", sound.split('.').nth(1).unwrap());
    for (token, why) in [
        (with("aud", "api://other".into()), "another audience"),
        (with("aud", json!(["api://acme", "api://other"])), "two audiences"),
        (with("iss", "https://other.example".into()), "another issuer"),
        (with("exp", (now.secs() - 120).into()), "expired"),
        (with("nbf", (now.secs() + 3600).into()), "not yet"),
        (with("exp", (now.secs() + 400 * 86_400).into()), "no session lives so long"),
        (format!("{signed}.AAAA"), "another signature"),
        (stranger.sign(&claims), "another key"),
        (unsigned, "no signature"),
        ("opaque-token".to_owned(), "no JWT"),
    ] {
        let answer = ask(&kit, &connector, &exchanged(&token)).await;
        assert_eq!(answer.refusal(), (400, "invalid_request".to_owned()), "{why}: {}", answer.text());
        assert_eq!(answer.json()["error"]["field"], "subject.token", "{why}");
        assert!(!answer.text().contains(&token), "{why}");
    }
    // Whose clock is off is told by how much, once the signature was found good.
    let life = |from: i64| {
        let mut claims = claims.clone();
        claims.extend([("iat".to_owned(), from.into()), ("exp".to_owned(), (from + 300).into())]);
        kit.issuer.sign(&claims)
    };
    let slow = life(now.secs() - 3600);
    for (token, by) in [
        (slow.clone(), 3300),
        (life(now.secs() + 3600), 3600),
        (with("nbf", (now.secs() + 3600).into()), 3600),
        (life(now.secs() - 330), 30),
    ] {
        let error = ask(&kit, &connector, &exchanged(&token)).await.json()["error"].clone();
        let off = error["offBySeconds"].as_u64().unwrap();
        assert!(off.abs_diff(by) < 60, "{by}: {error}");
        assert!(error["message"].as_str().unwrap().contains(&format!(" {off} seconds")), "{error}");
    }
    let (signed, _) = slow.rsplit_once('.').unwrap();
    let forged = ask(&kit, &connector, &exchanged(&format!("{signed}.AAAA"))).await;
    assert!(forged.json()["error"].get("offBySeconds").is_none(), "{}", forged.text());
    assert_eq!(authority.asked().len(), 1, "none of them went anywhere");
}

/// Also of those who present it at the same moment, and after a restart.
async fn a_token_that_is_taken_once_is_taken_once_by_whatever_node(engine: Engine) {
    let mut kit = Kit::start(engine, Plan::default()).await;
    let mut beside = if kit.is_shared() { Some(kit.second_node().await) } else { None };
    let authority = Authority::start().await;
    let trusted = json!([{"issuer": kit.issuer.url(), "audiences": ["api://acme"], "oneTime": true}]);
    let rules = json!({"tokenExchange": {"scopes": ["read", "write"], "trustedIssuers": trusted}});
    let connector = connect(&kit, &authority, rules.clone()).await;
    let shown = kit.manage("GET", &format!("/v1/connect/connectors/{connector}"), None).await.ok();
    assert_eq!(shown["data"]["tokenExchange"]["trustedIssuers"][0]["oneTime"], true, "{shown}");
    let mut claims = kit.issuer.claims(kit.clock.now(), "api://acme", "prj", "production");
    let mut with = |jti: Value| {
        claims.insert("jti".to_owned(), jti);
        kit.issuer.sign(&claims)
    };
    let (first, second, third) = (with(json!("one")), with(json!("two")), with(json!("three")));
    let again = with(json!("one"));
    let nameless = [with(json!("")), with(json!(7)), with(Value::Null)];
    let workload = kit.workload("production");

    ask(&kit, &connector, &exchanged(&first)).await.token();
    let asked = authority.asked().len();
    // The same token, for less, and another one that says the same identifier.
    let less = json!({"subject": {"type": "token", "token": first}, "scopes": ["read"]});
    for body in [exchanged(&first), less, exchanged(&again)] {
        let answer = ask(&kit, &connector, &body).await;
        assert_eq!(answer.refusal(), (400, "invalid_request".to_owned()), "{}", answer.text());
        assert_eq!(answer.json()["error"]["field"], "subject.token");
        assert!(answer.text().contains("used before"), "{}", answer.text());
    }
    for token in &nameless {
        let answer = ask(&kit, &connector, &exchanged(token)).await;
        assert!(answer.status == 400 && answer.text().contains("jti"), "{}", answer.text());
    }
    assert_eq!(authority.asked().len(), asked, "none of them went anywhere");

    // At the same moment, one is served.
    let body = exchanged(&second);
    let node = beside.as_ref().unwrap_or(&kit.node);
    let (a, b, c) = tokio::join!(
        ask(&kit, &connector, &body),
        node.token(&workload, &connector, &body),
        node.token(&workload, &connector, &body)
    );
    let served: Vec<u16> = [&a, &b, &c].iter().map(|answer| answer.status).collect();
    let texts = [a.text(), b.text(), c.text()];
    assert_eq!(served.iter().filter(|status| **status == 200).count(), 1, "{texts:?}");
    assert_eq!(served.iter().filter(|status| **status == 400).count(), 2, "{texts:?}");

    // It is the connector's own affair, and outlives the process.
    let changes = json!({"serverUrl": null, "rotation": null, "serverConfig": authority.config(),
        "userAuthorization": {"enabled": false}, "clientCredentials": {"enabled": false},
        "tokenExchange": rules["tokenExchange"]});
    let other = kit.connect("another", changes).await;
    ask(&kit, &other, &exchanged(&first)).await.token();
    if let Some(node) = &mut beside {
        node.stop().await;
    }
    kit.restart(async |_| ()).await;
    assert_eq!(ask(&kit, &connector, &exchanged(&first)).await.status, 400);
    ask(&kit, &connector, &exchanged(&third)).await.token();
}

async fn what_was_asserted_is_taken_back_and_what_was_exchanged_is_forgotten(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let authority = Authority::start().await;
    let connector = connect(&kit, &authority, json!({})).await;
    let first = ask(&kit, &connector, &asserted("alice")).await.token();
    let other = ask(&kit, &connector, &asserted("bob")).await.token();
    let traded = ask(&kit, &connector, &exchanged("inbound")).await.token();
    let path = format!("/v1/connect/connectors/{connector}/tokens");
    let workload = kit.workload("production");
    let revoke = async |body: Value| {
        authority.next(200, json!({}));
        kit.node.call("DELETE", &path, Some(&workload), Some(&body)).await.ok()
    };
    let done = revoke(asserted("alice")).await;
    assert_eq!((&done["tokensFound"], &done["providerRevoked"]), (&json!(1), &json!(1)), "{done}");
    assert_eq!(
        (authority.last().path.as_str(), authority.last().field("token")),
        ("/revoke", Some(first.as_str()))
    );
    assert_eq!(ask(&kit, &connector, &asserted("bob")).await.token(), other, "nobody else's");
    assert_ne!(ask(&kit, &connector, &asserted("alice")).await.token(), first);

    let count = authority.asked().len();
    let done = kit.node.call("DELETE", &path, Some(&workload), Some(&exchanged("inbound"))).await.ok();
    assert_eq!(done["tokensFound"], 0, "it is not kept: {done}");
    assert_eq!(authority.asked().len(), count);
    assert_ne!(
        ask(&kit, &connector, &exchanged("inbound")).await.token(),
        traded,
        "and here it is forgotten"
    );
    let person = kit.manage("DELETE", &path, Some(&asserted("bob"))).await;
    assert_eq!(person.refusal(), (403, "forbidden".to_owned()), "a person takes back everybody's, or none");
}
