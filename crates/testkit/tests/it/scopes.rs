//! Scopes, targets, installations: exactly what was asked for, or the reason why not.

use carnet_testkit::{Browser, Engine, Fault, Gate, Kit, Plan, on_both_engines};
use serde_json::{Value, json};

use crate::of;

on_both_engines!(
    a_narrowed_token_can_do_what_was_asked_and_no_more,
    what_the_person_was_not_asked_for_is_not_handed_out,
);

fn with_scopes(scopes: &[&str]) -> Value {
    json!({"subject": {"type": "user", "id": "alice"}, "scopes": scopes})
}

fn app(scopes: &[&str]) -> Value {
    json!({"subject": {"type": "app"}, "scopes": scopes})
}

async fn a_narrowed_token_can_do_what_was_asked_and_no_more(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    let whole = kit.user_token("alice").await.token();
    assert_eq!(kit.provider.me(&whole).await.unwrap()["scope"], "messages:read offline_access profile:read");
    assert_eq!(kit.provider.api("messages", &whole).await, 200);

    let narrow = kit.ask(&with_scopes(&["profile:read"])).await.token();
    assert_eq!(kit.provider.me(&narrow).await.unwrap()["scope"], "profile:read");
    assert_eq!(kit.provider.api("messages", &narrow).await, 403, "the provider itself says so");
    let board = kit.ask(&with_scopes(&["messages:read"])).await.token();
    assert_eq!(
        (kit.provider.api("messages", &board).await, kit.provider.api("me", &board).await),
        (200, 403)
    );

    let asked = kit.provider.requests("refresh_token");
    assert_eq!(asked, 2);
    assert_eq!(
        kit.ask(&with_scopes(&["profile:read"])).await.token(),
        narrow,
        "the same request, the same token"
    );
    assert_eq!(kit.user_token("alice").await.token(), whole, "the grant keeps its own");
    for all in
        [&["*"][..], &["messages:read", "profile:read"], &["profile:read", "messages:read", "profile:read"]]
    {
        assert_eq!(kit.ask(&with_scopes(all)).await.token(), whole, "{all:?}");
    }
    assert_eq!(kit.provider.requests("refresh_token"), asked);
    assert_eq!(kit.grants().await[0]["scopes"], json!(["messages:read", "offline_access", "profile:read"]));

    let wider = kit.ask(&with_scopes(&["messages:read", "messages:write"])).await;
    assert_eq!(wider.refusal(), (422, "user_authorization_required".to_owned()));
    assert_eq!(wider.json()["error"]["missing"], json!(["messages:write"]));
    assert_eq!(wider.json()["error"]["reason"], "insufficient_scope");
    let command = format!(
        "carnet token {} --subject user --user alice --scopes messages:read,messages:write --yes",
        Kit::UID
    );
    assert_eq!(wider.json()["error"]["next"][0]["command"], command.as_str());
}

/// Scopes that a connector has been given are nobody's until they are consented to, and whoever asks is told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn scopes_that_came_after_a_consent_are_had_by_a_new_one_and_the_refusal_says_so() {
    let plan = Plan { scopes: vec!["profile:read", "offline_access"], ..Plan::default() };
    let kit = Kit::start(Engine::Sqlite, plan).await;
    kit.consent("alice").await;
    let path = format!("/v1/connect/connectors/{}", kit.connector);
    let more = json!({"enabled": true, "scopes": ["profile:read", "messages:read", "offline_access"]});
    kit.manage("PATCH", &path, Some(&json!({"data": {"userAuthorization": more}}))).await.ok();
    // What was consented to is still had.
    kit.user_token("alice").await.token();
    let refused = kit.ask(&with_scopes(&["messages:read"])).await;
    assert_eq!(refused.refusal(), (422, "user_authorization_required".to_owned()));
    let error = &refused.json()["error"];
    assert!(error["message"].as_str().unwrap().contains("Only a new consent gives them"), "{error}");
    let command =
        format!("carnet token {} --subject user --user alice --scopes messages:read --yes", Kit::UID);
    assert_eq!(error["next"][0]["command"], command.as_str(), "{error}");
    let query = "subject=user&user=alice&scopes=messages%3Aread";
    let told = kit
        .node
        .call("GET", &format!("{path}/explain?{query}"), Some(&kit.workload("production")), None)
        .await
        .ok();
    let rule = told["rules"].as_array().unwrap().iter().find(|rule| rule["outcome"] == "denied").unwrap();
    assert_eq!(rule["next"][0]["command"], command.as_str(), "{told}");
    kit.consent("alice").await;
    kit.ask(&with_scopes(&["messages:read"])).await.token();
}

/// Consents to these scopes at a provider that remembers more from another time.
async fn consents(kit: &Kit, scopes: &[&str], given: &'static str) {
    let started = kit.authorize("alice", json!({"scopes": scopes})).await;
    let mut browser = Browser::default();
    let there = browser.leave(started["url"].as_str().unwrap()).await;
    let callback = browser.at_provider(&there, "allow", "ada").await;
    kit.provider.next([Fault::rewritten(move |answer| {
        answer.insert("scope".to_owned(), given.into());
    })]);
    let done = browser.come_back(&callback).await;
    assert!(done.text().contains("is connected to"), "{}", done.text());
}

async fn what_the_person_was_not_asked_for_is_not_handed_out(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let all = "messages:read offline_access profile:read";
    consents(&kit, &["profile:read", "offline_access"], all).await;
    // The connector's defaults are wider than what was consented to, and so is what the provider gave.
    let token = kit.user_token("alice").await.token();
    assert_eq!(kit.provider.me(&token).await.unwrap()["scope"], "offline_access profile:read");
    assert_eq!(kit.provider.last("refresh_token", "scope"), ["offline_access profile:read"]);
    let wider = kit.ask(&with_scopes(&["messages:read"])).await;
    assert_eq!(wider.refusal(), (422, "user_authorization_required".to_owned()));
    assert_eq!(wider.json()["error"]["missing"], json!(["messages:read"]));
    let explained = async |scope: &str| {
        let query = format!("subject=user&user=alice&scopes={scope}");
        let path = format!("/v1/connect/connectors/{}/explain?{query}", kit.connector);
        kit.node.call("GET", &path, Some(&kit.workload("production")), None).await.ok()
    };
    let told = explained("messages:read").await;
    assert_eq!((&told["allowed"], &told["decidedBy"]), (&json!(false), &json!("grant-scopes")), "{told}");

    // Asked for one after the other, both count as asked for.
    consents(&kit, &["messages:read", "offline_access"], all).await;
    for scope in ["messages:read", "profile:read"] {
        let told = explained(scope).await;
        assert_eq!(told["allowed"], true, "{scope}: {told}");
    }
    let wider = kit.ask(&with_scopes(&["messages:write"])).await;
    assert_eq!(wider.refusal(), (422, "user_authorization_required".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_cannot_be_narrowed_is_refused_instead_of_handed_out_whole() {
    let plan = Plan { scopes: vec!["profile:read", "messages:read"], ..Plan::default() };
    let kit = Kit::start(Engine::Sqlite, plan).await;
    kit.consent("alice").await;
    kit.user_token("alice").await.token();
    let refused = kit.ask(&with_scopes(&["profile:read"])).await;
    assert_eq!(refused.refusal(), (422, "invalid_scope".to_owned()));
    assert_eq!(refused.json()["error"]["granted"], "messages:read profile:read");
    assert_eq!(kit.provider.requests("refresh_token"), 0);
}

/// A provider that adds up what a person ever allowed the application gives all of it to who asks for a part, and a token
/// without end cannot be narrowed. Nobody gets more than was consented to; what is missing is the person's word, and once
/// that is given the defaults are had.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_provider_adds_up_is_had_once_the_person_has_consented_to_it_here() {
    let plan = Plan { scopes: vec!["profile:read", "messages:read"], ..Plan::default() };
    let kit = Kit::start(Engine::Sqlite, plan).await;
    let all = "messages:read profile:read";
    consents(&kit, &["profile:read"], all).await;
    let refused = kit.user_token("alice").await;
    assert_eq!(refused.refusal(), (422, "user_authorization_required".to_owned()));
    assert_eq!(refused.json()["error"]["missing"], json!(["messages:read"]));
    let explain = format!("/v1/connect/connectors/{}/explain?subject=user&user=alice", kit.connector);
    let told = kit.node.call("GET", &explain, Some(&kit.workload("production")), None).await.ok();
    assert_eq!((&told["allowed"], &told["decidedBy"]), (&json!(false), &json!("grant-scopes")), "{told}");
    // The part alone cannot be had, and asking the person again would not change that.
    assert_eq!(kit.ask(&with_scopes(&["profile:read"])).await.refusal(), (422, "invalid_scope".to_owned()));

    // The other part, at another time: both were consented to here.
    consents(&kit, &["messages:read"], all).await;
    let token = kit.user_token("alice").await.token();
    assert_eq!(kit.provider.api("messages", &token).await, 200);
    // Narrower once more, it stays what it was.
    consents(&kit, &["profile:read"], all).await;
    kit.user_token("alice").await.token();
    // What was ended does not count any more, whatever the provider remembers.
    let path = format!("/v1/connect/connectors/{}/tokens", kit.connector);
    kit.manage("DELETE", &path, Some(&json!({}))).await.ok();
    consents(&kit, &["profile:read"], all).await;
    assert_eq!(kit.user_token("alice").await.refusal(), (422, "user_authorization_required".to_owned()));
    // Somebody else's consent neither.
    let explained =
        kit.node.call("GET", &explain.replace("alice", "bob"), Some(&kit.workload("production")), None).await;
    assert_eq!(explained.ok()["decidedBy"], "grant-given");
}

/// The page said read, and the server gives more, of a name that nobody knows: at consent, and when it is renewed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_server_adds_unasked_is_narrowed_away_or_refused() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let (asked, more) =
        ("messages:read offline_access profile:read", "admin messages:read offline_access profile:read");
    consents(&kit, &["profile:read", "messages:read", "offline_access"], more).await;
    for scopes in [None, Some("*")] {
        let mut body = of("alice");
        if let Some(scopes) = scopes {
            body["scopes"] = json!([scopes]);
        }
        let token = kit.ask(&body).await.token();
        assert_eq!(kit.provider.me(&token).await.unwrap()["scope"], asked);
        assert_eq!(kit.provider.last("refresh_token", "scope"), [asked]);
    }
    assert_eq!(kit.provider.requests("refresh_token"), 1);
    kit.clock.pass(std::time::Duration::from_hours(2));
    kit.provider.always(move || {
        Fault::rewritten(move |answer| {
            answer.insert("scope".to_owned(), more.into());
        })
    });
    let refused = kit.user_token("alice").await;
    assert_eq!(refused.refusal(), (422, "invalid_scope".to_owned()));
    let error = &refused.json()["error"];
    assert_eq!(error["excess"], json!(["admin"]), "{error}");
    assert!(error["next"][0]["command"].as_str().unwrap().starts_with("carnet update "), "{error}");
    kit.provider.heal();
    kit.clock.pass(std::time::Duration::from_secs(61));
    kit.user_token("alice").await.token();
}

/// The page said `messages:read`, and the server gives `admin` in its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_server_gives_in_place_of_what_was_asked_is_not_handed_out() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let swapped = "admin offline_access profile:read";
    consents(&kit, &["profile:read", "messages:read", "offline_access"], swapped).await;
    let token = kit.user_token("alice").await.token();
    assert_eq!(kit.provider.last("refresh_token", "scope"), ["offline_access profile:read"]);
    assert_eq!(kit.provider.me(&token).await.unwrap()["scope"], "offline_access profile:read");
    let admin = kit.ask(&with_scopes(&["admin"])).await;
    assert_eq!(admin.refusal(), (422, "user_authorization_required".to_owned()));
    // The application is not given it either, whether it names what it wants or not.
    let scope = |text: &'static str| {
        Fault::rewritten(move |answer| {
            answer.insert("scope".to_owned(), text.into());
        })
    };
    for body in [json!({"subject": {"type": "app"}}), app(&["*"]), app(&["profile:read"])] {
        kit.provider.next([scope("admin profile:read")]);
        let refused = kit.ask(&body).await;
        assert_eq!(refused.refusal(), (422, "invalid_scope".to_owned()), "{body}");
        assert_eq!(refused.json()["error"]["excess"], json!(["admin"]), "{body}");
    }
    // Where all that it asked for came, the rest is how the server is set up, and it is told. Who names what it needs
    // gets no more than that.
    let more = "custom email messages:read profile profile:read";
    kit.provider.next([scope(more)]);
    assert_eq!(kit.ask(&app(&["profile:read"])).await.refusal(), (422, "invalid_scope".to_owned()));
    kit.provider.next([scope(more)]);
    let told = kit.ask(&app(&["*"])).await.ok();
    assert_eq!(told["metadata"]["scope"], more, "{told}");
    assert_eq!(kit.ask(&app(&["*"])).await.ok(), told, "it is told of the same token again");
    kit.clock.pass(std::time::Duration::from_hours(2));
    // Fewer are not more, and another name is not another power.
    kit.provider.next([scope("https://provider.example/profile:read")]);
    kit.ask(&json!({"subject": {"type": "app"}})).await.token();
}

/// A server that pays no heed to `scope` at a refresh spends a refresh token on each. It is asked once in a while, and
/// whoever asks meanwhile is told the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_makes_nothing_narrower_is_not_asked_with_each_request() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    kit.consent("alice").await;
    let whole = kit.user_token("alice").await.token();
    kit.provider.always(|| {
        Fault::rewritten(|answer| {
            answer.insert("scope".to_owned(), "messages:read offline_access profile:read".into());
        })
    });
    let narrow = with_scopes(&["profile:read"]);
    for _ in 0..3 {
        let refused = kit.ask(&narrow).await;
        assert_eq!(refused.refusal(), (422, "invalid_scope".to_owned()));
        assert_eq!(refused.json()["error"]["excess"], json!(["messages:read"]));
        assert_eq!(kit.provider.requests("refresh_token"), 1);
    }
    let path = format!("/v1/connect/connectors/{}/explain?subject=user&user=alice", kit.connector);
    let explain = async |scopes: &str| {
        let path = format!("{path}&scopes={scopes}");
        kit.node.call("GET", &path, Some(&kit.workload("production")), None).await.ok()["decidedBy"].clone()
    };
    assert_eq!(explain("profile%3Aread").await, "grant-scopes");
    // Others are not kept from what they can have.
    assert_eq!(kit.user_token("alice").await.token(), whole);
    assert_eq!(kit.ask(&with_scopes(&["messages:read"])).await.refusal().1, "invalid_scope");
    assert_eq!(kit.provider.requests("refresh_token"), 2, "another request is another question");
    // Once in a while, and less and less.
    for (passed, asked) in [(61, 3), (61, 3), (60, 4)] {
        kit.clock.pass(std::time::Duration::from_secs(passed));
        kit.ask(&narrow).await.refusal();
        assert_eq!(kit.provider.requests("refresh_token"), asked);
    }
    // A new consent begins anew.
    kit.provider.heal();
    kit.consent("alice").await;
    let token = kit.ask(&narrow).await.token();
    assert_eq!(kit.provider.me(&token).await.unwrap()["scope"], "profile:read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_provider_that_gives_more_or_less_than_asked_is_not_believed() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    kit.consent("alice").await;
    let scope = |text: &'static str| {
        Fault::rewritten(move |answer| {
            answer.insert("scope".to_owned(), text.into());
        })
    };
    let before = kit.provider.secrets().len();
    for (body, given, member, named) in [
        (app(&["profile:read"]), "profile:read messages:write", "excess", "messages:write"),
        (app(&["profile:read", "messages:read"]), "profile:read", "missing", "messages:read"),
        (with_scopes(&["profile:read"]), "profile:read messages:read", "excess", "messages:read"),
        (with_scopes(&["messages:read"]), "profile:read", "missing", "messages:read"),
    ] {
        kit.provider.next([scope(given)]);
        let answer = kit.ask(&body).await;
        assert_eq!(answer.refusal(), (422, "invalid_scope".to_owned()), "{body} {given}");
        assert_eq!(answer.json()["error"][member], json!([named]), "{body} {given}");
        for (name, secret) in &kit.provider.secrets()[before..] {
            assert!(!answer.text().contains(secret), "{name}");
        }
        // The rotation that came with it is not lost: the same request works when the provider behaves.
        kit.clock.pass(std::time::Duration::from_secs(61));
        let token = kit.ask(&body).await.token();
        assert!(kit.provider.api("me", &token).await != 401, "{body}");
    }
    assert!(kit.events_of("grant.needs-consent").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_the_scopes_of_a_request_mean() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let sent = || kit.provider.last("client_credentials", "scope");
    let first = kit.ask(&json!({"subject": {"type": "app"}})).await.token();
    assert_eq!(sent(), ["messages:read profile:read"], "left out: the defaults");
    assert_eq!(kit.ask(&app(&["*"])).await.token(), first, "and `*` is the same");
    assert_eq!(kit.provider.requests("client_credentials"), 1);
    let unscoped = kit.ask(&app(&[])).await.token();
    assert_eq!(sent(), [""; 0], "none: no scope parameter");
    assert_ne!(unscoped, first);
    // Of a person: all that was consented to here, whatever the connector's own scopes are.
    kit.consent_to("alice", json!({"scopes": ["profile:read", "messages:write", "offline_access"]})).await;
    let all = kit.ask(&with_scopes(&[])).await.token();
    assert_eq!(kit.provider.me(&all).await.unwrap()["scope"], "messages:write offline_access profile:read");
    let own = kit.ask(&with_scopes(&["*"])).await.token();
    assert_eq!(kit.provider.me(&own).await.unwrap()["scope"], "offline_access profile:read");
    let asked = kit.authorize("alice", json!({"scopes": []})).await;
    let there = Browser::default().leave(asked["url"].as_str().unwrap()).await;
    assert!(!there.contains("scope="), "{there}");
    let one = kit.ask(&app(&["messages:write"])).await.token();
    assert_eq!(sent(), ["messages:write"]);
    assert_eq!(kit.provider.api("messages", &one).await, 403);
    for scopes in [
        json!(["*", "profile:read"]),
        json!([""]),
        json!(["a b"]),
        json!(["a,b"]),
        json!("profile:read"),
        json!([1]),
    ] {
        let answer = kit.ask(&json!({"subject": {"type": "app"}, "scopes": scopes})).await;
        assert_eq!(answer.refusal(), (400, "invalid_request".to_owned()), "{scopes}");
    }
    let unknown = kit.ask(&app(&["nonsense"])).await;
    assert_eq!(unknown.refusal(), (422, "invalid_scope".to_owned()));
    assert_eq!(unknown.json()["error"]["vendor"]["error"], "invalid_scope");
}

/// A server may ignore `resource` (RFC 8707 §2), and nobody can tell from its answer. What can be promised: it is told,
/// and a token that was asked for one resource is never handed out for another.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_token_for_one_resource_is_not_handed_out_for_another() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let resources = ["https://one.example/mcp", "https://two.example/mcp"];
    kit.consent_to("alice", json!({"resources": resources})).await;
    assert_eq!(kit.provider.last("authorization_code", "resource"), resources);
    let whole = kit.user_token("alice").await.token();
    let asking = |user: bool, resource: &str| {
        let subject = if user { json!({"type": "user", "id": "alice"}) } else { json!({"type": "app"}) };
        json!({"subject": subject, "resources": [resource]})
    };
    let mut seen = vec![whole];
    for (user, grant_type) in [(false, "client_credentials"), (true, "refresh_token")] {
        for resource in resources {
            let token = kit.ask(&asking(user, resource)).await.token();
            assert_eq!(kit.provider.last(grant_type, "resource"), [resource]);
            assert_eq!(kit.ask(&asking(user, resource)).await.token(), token);
            assert!(!seen.contains(&token), "{resource}");
            seen.push(token);
        }
    }
    // The refresh token is not presented for what nobody consented to: some servers spend it to say no.
    let refreshes = kit.provider.requests("refresh_token");
    let foreign = kit.ask(&asking(true, "https://evil.example/mcp")).await;
    assert_eq!(foreign.refusal(), (422, "user_authorization_required".to_owned()));
    assert_eq!(foreign.json()["error"]["reason"], "resource_not_consented");
    assert_eq!(foreign.json()["error"]["resource"], "https://evil.example/mcp");
    assert_eq!(kit.provider.requests("refresh_token"), refreshes);
    // A final slash makes no other resource.
    kit.ask(&asking(true, "https://one.example/mcp/")).await.token();
    let many = json!(vec!["https://a.example"; 21]);
    for bad in
        [json!([""]), json!(["not a url"]), json!(["https://a.example/#f"]), json!(["x".repeat(2049)]), many]
    {
        let answer = kit.ask(&json!({"subject": {"type": "app"}, "resources": bad})).await;
        assert_eq!(answer.refusal(), (400, "invalid_request".to_owned()), "{bad}");
        assert_eq!(answer.json()["error"]["field"], "resources", "{bad}");
    }
    let details =
        json!({"subject": {"type": "app"}, "authorizationDetails": [{"type": "payment", "amount": 1}]});
    assert_eq!(kit.ask(&details).await.refusal(), (422, "invalid_target".to_owned()));
    for no_type in [json!({"amount": 1}), json!({}), json!({"type": 5}), json!({"type": ""})] {
        let answer = kit.ask(&json!({"subject": {"type": "app"}, "authorizationDetails": [no_type]})).await;
        assert_eq!(answer.refusal(), (400, "invalid_request".to_owned()), "{no_type}");
        assert_eq!(answer.json()["error"]["field"], "authorizationDetails", "{no_type}");
    }
    let no_object = json!({"subject": {"type": "app"}, "authorizationDetails": ["payment"]});
    assert_eq!(kit.ask(&no_object).await.refusal(), (400, "invalid_request".to_owned()));
}

/// Audiences and authorization details are consented to like resources: a server may spend the refresh token to say no.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_nobody_consented_to_is_not_asked_of_the_provider() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let path = format!("/v1/connect/connectors/{}", kit.connector);
    let mut config = kit.manage("GET", &path, None).await.ok()["data"]["serverConfig"].clone();
    config["authorization_details_types_supported"] = json!(["account", "payment"]);
    let data = json!({"data": {"serverConfig": config, "defaultAudience": "own"}});
    kit.manage("PATCH", &path, Some(&data)).await.ok();
    let detail = json!({"type": "account", "actions": ["list", "read"]});
    kit.consent_to("alice", json!({"audience": ["acme"], "authorizationDetails": [detail]})).await;
    kit.consent("bob").await;
    let asking = |user: &str, member: &str, value: &Value| {
        let mut body = of(user);
        body[member] = json!([value]);
        body
    };
    let write = json!({"type": "account", "actions": ["read", "write"]});
    let payment = json!({"type": "payment"});
    let (no_audience, no_detail) = ("audience_not_consented", "authorization_details_not_consented");
    kit.provider.always(|| Fault::error(400, "invalid_target").after_its_work());
    let refreshes = kit.provider.requests("refresh_token");
    for (user, member, value, reason) in [
        ("alice", "audience", &json!("globex"), no_audience),
        ("bob", "audience", &json!("acme"), no_audience),
        ("alice", "authorizationDetails", &write, no_detail),
        ("alice", "authorizationDetails", &payment, no_detail),
        ("bob", "authorizationDetails", &detail, no_detail),
    ] {
        let answer = kit.ask(&asking(user, member, value)).await;
        assert_eq!(answer.refusal(), (422, "user_authorization_required".to_owned()), "{user}: {value}");
        assert_eq!(answer.json()["error"]["reason"], reason, "{user}: {value}");
    }
    assert_eq!(kit.provider.requests("refresh_token"), refreshes);
    kit.provider.heal();
    kit.user_token("alice").await.token();
    kit.ask(&asking("alice", "audience", &json!("acme"))).await.token();
    assert_eq!(kit.provider.last("refresh_token", "audience"), ["acme"]);
    let less = json!({"type": "account", "actions": ["read"]});
    kit.ask(&asking("alice", "authorizationDetails", &less)).await.token();
    assert_eq!(kit.provider.last("refresh_token", "authorization_details"), [json!([less]).to_string()]);
    // The connector's own audience is nobody's to consent to.
    kit.ask(&asking("bob", "audience", &json!("own"))).await.token();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_validity_that_is_asked_for_is_had_or_the_best_there_is() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let ask =
        async |buffer: Value| kit.ask(&json!({"subject": {"type": "app"}, "validityBufferMs": buffer})).await;
    let first = ask(json!(0)).await.ok();
    kit.clock.pass(std::time::Duration::from_mins(50));
    assert_eq!(ask(json!(300_000)).await.ok(), first, "ten minutes are left");
    let second = ask(json!(900_000)).await.ok();
    assert_ne!(second["token"], first["token"]);
    assert!(second["expiresAt"].as_i64() > first["expiresAt"].as_i64());
    assert_eq!(ask(json!(86_400_000)).await.status, 200, "more than the provider ever gives");
    for bad in [json!(-1), json!("1000"), json!(1e300), json!(true)] {
        assert_eq!(ask(bad.clone()).await.refusal(), (400, "invalid_request".to_owned()), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn installations_keep_what_was_granted_apart() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let app_at = |name: &str| json!({"subject": {"type": "app"}, "installationId": name});
    assert_eq!(kit.ask(&app_at("*")).await.refusal(), (400, "invalid_request".to_owned()));
    assert_eq!(kit.ask(&app_at("T1")).await.refusal(), (422, "client_installation_required".to_owned()));
    let path = format!("/v1/connect/connectors/{}/installations", kit.connector);
    // What has no identity is no installation, and what has one takes nothing from those who consented without it.
    kit.consent("carol").await;
    let before = kit.ask(&of("carol")).await.token();
    for body in [json!({}), json!({"name": "acme", "default": true})] {
        let refused = kit.manage("POST", &path, Some(&body)).await;
        assert_eq!(refused.refusal(), (422, "unresolved_token".to_owned()), "{body}");
        assert_eq!(refused.json()["error"]["supportsInstallation"], false);
    }
    let make = async |name: &str| {
        let made = kit.manage("POST", &path, Some(&json!({"externalId": name}))).await.ok();
        made["id"].as_str().unwrap().to_owned()
    };
    let (one, two) = (make("T1").await, make("T2").await);
    assert_eq!(kit.ask(&of("carol")).await.token(), before);
    let twice = kit.manage("POST", &path, Some(&json!({"externalId": "T1"}))).await;
    assert_eq!(twice.refusal(), (409, "conflict".to_owned()));
    let user_at = |name: &str| json!({"subject": {"type": "user", "id": "alice"}, "installationId": name});
    let started = kit.authorize("alice", json!({"installationId": "T1"})).await;
    Browser::default().consent(started["url"].as_str().unwrap(), "ada").await;
    let token = kit.ask(&user_at("T1")).await.ok();
    assert_eq!(token["installationId"], one.as_str());
    assert_eq!(kit.ask(&user_at(&one)).await.ok()["token"], token["token"], "by either name");
    for body in [user_at(&two), of("alice")] {
        assert_eq!(kit.ask(&body).await.refusal(), (422, "user_authorization_required".to_owned()), "{body}");
    }
    assert_ne!(kit.ask(&app_at(&one)).await.token(), kit.ask(&app_at(&two)).await.token());

    assert_eq!(kit.manage("DELETE", &format!("{path}/{one}"), None).await.status, 204);
    assert_eq!(kit.ask(&user_at("T1")).await.refusal(), (422, "client_installation_required".to_owned()));
    kit.provider.until_requests("revoke", 1).await;
    carnet_testkit::eventually("the provider has ended it", async || {
        kit.provider.me(token["token"].as_str().unwrap()).await.is_none().then_some(())
    })
    .await;
}

/// A provider that is in trouble is not asked by each of those who wait, one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_for_one_token_that_cannot_be_had_cost_one_request_too() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let gate = Gate::closed();
    kit.provider.next([Fault::lost().behind(&gate)]);
    let body = json!({"subject": {"type": "app"}});
    let asking: Vec<_> = (0..16).map(|_| kit.asking(&body)).collect();
    kit.provider.until_requests("client_credentials", 1).await;
    // All of them are there before it answers.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    gate.open();
    let mut told = 0;
    for answer in asking {
        let answer = answer.await.unwrap();
        if answer.status == 503 {
            assert_eq!(answer.refusal().1, "provider_unavailable");
            assert!(answer.header("retry-after").is_some());
            told += 1;
        }
    }
    // On a machine where one takes longer to arrive, it asks for itself.
    assert!(told >= 2, "{told}");
    assert!(
        kit.provider.requests("client_credentials") <= 2,
        "{}",
        kit.provider.requests("client_credentials")
    );
    kit.ask(&body).await.token();
}

/// Parallel requests for a token of the application are one request at the provider.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_for_one_token_of_the_application_cost_one_request() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    kit.provider.next([Fault::none().delayed(std::time::Duration::from_millis(200))]);
    let body = json!({"subject": {"type": "app"}});
    let answers = futures_util::future::join_all((0..32).map(|_| kit.ask(&body))).await;
    let tokens: Vec<String> = answers.iter().map(|answer| answer.token()).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(kit.provider.requests("client_credentials"), 1);
}
