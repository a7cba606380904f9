//! Signing in a command line: the program, the person with a browser, and whoever has a token that is not theirs.

use std::time::Duration;

use carnet_testkit::{Answer, Browser, Engine, Kit, Plan, on_both_engines};
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use crate::sign_in::{PASSPHRASE, account, kit, set_passphrase, signed_in, try_sign_in};

on_both_engines!(
    a_command_line_is_signed_in_renewed_and_signed_out,
    a_refresh_token_is_good_once_and_for_two_at_the_same_moment,
    nobody_is_signed_in_without_a_fresh_yes,
    what_is_dangerous_asks_a_command_line_to_be_signed_in_again,
    a_command_line_ends_with_the_account_and_with_the_place_in_the_team,
    what_is_odd_is_refused_as_oauth_says,
);

const CLIENT: &str = "carnet-cli";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

async fn oauth(kit: &Kit, path: &str, fields: &[(&str, &str)]) -> Answer {
    let form = Serializer::new(String::new()).extend_pairs(fields).finish();
    let headers =
        [("content-type", "application/x-www-form-urlencoded"), ("user-agent", "carnet/0.1 <b>linux</b>")];
    kit.http.send("POST", &format!("{}/login/oauth/{path}", kit.url()), &headers, form).await
}

/// The same at an endpoint that apps have too.
async fn shared(kit: &Kit, path: &str, fields: &[(&str, &str)]) -> Answer {
    let form = Serializer::new(String::new()).extend_pairs(fields).finish();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    kit.http.send("POST", &format!("{}/oauth/{path}", kit.url()), &headers, form).await
}

async fn start(kit: &Kit) -> Value {
    oauth(kit, "device", &[("client_id", CLIENT), ("scope", "openid offline_access")]).await.ok()
}

async fn poll(kit: &Kit, started: &Value) -> Answer {
    let code = started["device_code"].as_str().unwrap();
    shared(kit, "token", &[("client_id", CLIENT), ("grant_type", DEVICE), ("device_code", code)]).await
}

async fn refresh(kit: &Kit, token: &str) -> Answer {
    let fields = [("client_id", CLIENT), ("grant_type", "refresh_token"), ("refresh_token", token)];
    oauth(kit, "token", &fields).await
}

fn error(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}

async fn decide(kit: &Kit, browser: &mut Browser, page: &Answer, decision: &str) -> Answer {
    let (token, code) = (page.hidden("form_token"), page.hidden("code"));
    let mut fields = vec![("form_token", token.as_str()), ("code", &code), ("decision", decision)];
    let team = page.hidden("team");
    fields.push(("team", &team));
    browser.post(&format!("{}/login/device", kit.url()), &fields).await
}

/// A command line that the owner signed in.
async fn signed_in_line(kit: &Kit, browser: &mut Browser) -> Value {
    let started = start(kit).await;
    let page = browser.get(text(&started, "verification_uri_complete")).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let done = decide(kit, browser, &page, "allow").await;
    assert!(done.status == 200 && done.text().contains("is signed in"), "{}", done.text());
    poll(kit, &started).await.ok()
}

async fn a_command_line_is_signed_in_renewed_and_signed_out(engine: Engine) {
    let kit = kit(engine).await;
    let document = kit.node.call("GET", "/.well-known/openid-configuration", None, None).await.ok();
    for (member, path) in [
        ("device_authorization_endpoint", "login/oauth/device"),
        ("token_endpoint", "oauth/token"),
        ("revocation_endpoint", "oauth/revoke"),
        ("introspection_endpoint", "login/oauth/introspect"),
    ] {
        assert_eq!(document[member], format!("{}/{path}", kit.url()));
    }
    kit.clock.hold();
    let started = start(&kit).await;
    let interval = Duration::from_secs(started["interval"].as_u64().unwrap());
    for (passes, told) in [
        (Duration::ZERO, "authorization_pending"),
        (Duration::ZERO, "slow_down"),
        (interval.mul_f64(0.49), "slow_down"),
        // Half of the interval is on the way.
        (interval / 2, "authorization_pending"),
        (interval, "authorization_pending"),
    ] {
        kit.clock.pass(passes);
        assert_eq!(error(&poll(&kit, &started).await), (400, told.to_owned()), "{passes:?}");
    }

    // Whoever opens the page is asked to sign in first, and comes back to it.
    let page = text(&started, "verification_uri_complete").to_owned();
    let stranger = Browser::default().get(&page).await;
    let code = text(&started, "user_code");
    let there = format!("/login?to=%2Flogin%2Fdevice%3Fcode%3D{code}");
    assert_eq!((stranger.status, stranger.header("location")), (303, Some(there.as_str())));
    let mut ada = signed_in(&kit).await;
    let asked = ada.get(&page).await;
    for said in ["Carnet command line", code, "127.0.0.1, carnet/0.1 &#60;b&#62;linux", "your team <bdi>acme"]
    {
        assert!(asked.text().contains(said), "{said}: {}", asked.text());
    }
    let done = decide(&kit, &mut ada, &asked, "allow").await;
    assert!(done.status == 200 && done.text().contains("is signed in"), "{}", done.text());
    let tokens = poll(&kit, &started).await.ok();
    assert_eq!((text(&tokens, "token_type"), tokens["expires_in"].as_i64()), ("Bearer", Some(8 * 3600)));
    assert_eq!(error(&poll(&kit, &started).await), (400, "invalid_grant".to_owned()), "once");

    let me = kit.node.call("GET", "/v2/user", Some(text(&tokens, "access_token")), None).await.ok();
    assert_eq!(me["user"]["id"], kit.tenant.user.as_str());
    let token = text(&tokens, "access_token").to_owned();
    let told = oauth(&kit, "introspect", &[("token", &token)]).await.ok();
    assert_eq!((told["active"].as_bool(), text(&told, "client_id")), (Some(true), CLIENT));
    assert!(account(&kit, &mut ada).await.text().contains(text(&told, "session_id")));
    // An access token of another kind is none of a command line's.
    let told = oauth(&kit, "introspect", &[("token", &kit.tenant.token)]).await.ok();
    assert_eq!(told, serde_json::json!({"active": false}));

    kit.clock.pass(Duration::from_hours(9));
    let over = kit.node.call("GET", "/v2/user", Some(&token), None).await;
    assert_eq!(over.refusal().0, 401);
    let renewed = refresh(&kit, text(&tokens, "refresh_token")).await.ok();
    assert_ne!(renewed["refresh_token"], tokens["refresh_token"]);
    let token = text(&renewed, "access_token").to_owned();
    kit.node.call("GET", "/v2/user", Some(&token), None).await.ok();

    assert_eq!(oauth(&kit, "revoke", &[("client_id", CLIENT), ("token", &token)]).await.status, 200);
    assert_eq!(kit.node.call("GET", "/v2/user", Some(&token), None).await.refusal().0, 401, "at once");
    let gone = refresh(&kit, text(&renewed, "refresh_token")).await;
    assert_eq!(error(&gone), (400, "invalid_grant".to_owned()));
    assert_eq!(oauth(&kit, "revoke", &[("client_id", CLIENT), ("token", &token)]).await.status, 200);
    for (action, count) in [
        ("command-line.allow", 1),
        ("command-line.start", 1),
        ("command-line.renew", 1),
        ("command-line.end", 1),
    ] {
        assert_eq!(kit.events_of(action).await.len(), count, "{action}");
    }
}

async fn a_refresh_token_is_good_once_and_for_two_at_the_same_moment(engine: Engine) {
    let kit = kit(engine).await;
    let mut ada = signed_in(&kit).await;
    let first = signed_in_line(&kit, &mut ada).await;
    let old = text(&first, "refresh_token").to_owned();
    let (one, two) = tokio::join!(refresh(&kit, &old), refresh(&kit, &old));
    let (one, two) = (one.ok(), two.ok());
    assert_eq!(one["refresh_token"], two["refresh_token"]);
    assert_ne!(one["access_token"], two["access_token"]);
    for tokens in [&one, &two] {
        kit.node.call("GET", "/v2/user", Some(text(tokens, "access_token")), None).await.ok();
    }
    kit.clock.pass(Duration::from_mins(2));
    // Whoever comes with it now has copied it: nobody is signed in by it any more.
    assert_eq!(error(&refresh(&kit, &old).await), (400, "invalid_grant".to_owned()));
    assert_eq!(error(&refresh(&kit, text(&one, "refresh_token")).await), (400, "invalid_grant".to_owned()));
    let over = kit.node.call("GET", "/v2/user", Some(text(&one, "access_token")), None).await;
    assert_eq!(over.refusal().0, 401);
    let ended = kit.events_of("command-line.end").await;
    assert_eq!(ended[0]["detail"]["why"], "a replaced refresh token was used");

    let unused = signed_in_line(&kit, &mut ada).await;
    kit.clock.pass(Duration::from_hours(24 * 31));
    let over = refresh(&kit, text(&unused, "refresh_token")).await;
    assert_eq!(error(&over), (400, "invalid_grant".to_owned()));
}

async fn nobody_is_signed_in_without_a_fresh_yes(engine: Engine) {
    let kit = kit(engine).await;
    let mut ada = signed_in(&kit).await;
    let started = start(&kit).await;
    let page = text(&started, "verification_uri_complete").to_owned();
    let shown = ada.get(&page).await;
    let said_no = decide(&kit, &mut ada, &shown, "deny").await;
    assert!(said_no.text().contains("is not signed in"), "{}", said_no.text());
    assert_eq!(error(&poll(&kit, &started).await), (400, "access_denied".to_owned()));
    assert_eq!(ada.get(&page).await.status, 422, "it was decided");
    assert_eq!(kit.events_of("command-line.deny").await.len(), 1);

    // A page that was left open is not enough.
    let started = start(&kit).await;
    let page = text(&started, "verification_uri_complete").to_owned();
    let shown = ada.get(&page).await;
    assert_eq!(shown.status, 200);
    kit.clock.pass(Duration::from_mins(9));
    let started = start(&kit).await;
    let page = text(&started, "verification_uri_complete").to_owned();
    let shown = ada.get(&page).await;
    kit.clock.pass(Duration::from_mins(2));
    let late = decide(&kit, &mut ada, &shown, "allow").await;
    let again = late.header("location").unwrap_or_default().to_owned();
    assert!(late.status == 303 && again.starts_with("/login/again?to=%2Flogin%2Fdevice"), "{}", late.text());
    assert_eq!(poll(&kit, &started).await.status, 400, "nobody has said yes");
    assert_eq!(ada.get(&page).await.status, 303);
    let form = ada.get(&format!("{}{again}", kit.url())).await;
    let (token, to) = (form.hidden("form_token"), form.hidden("to"));
    let fields = [("form_token", token.as_str()), ("to", &to), ("passphrase", PASSPHRASE)];
    let proved = ada.post(&format!("{}/login/again", kit.url()), &fields).await;
    let back = proved.header("location").unwrap().to_owned();
    let shown = ada.get(&format!("{}{back}", kit.url())).await;
    // A form of another session, and one without a session.
    let mut grace = signed_in(&kit).await;
    let (token, code, team) = (shown.hidden("form_token"), shown.hidden("code"), shown.hidden("team"));
    let fields = [("form_token", token.as_str()), ("code", &code), ("team", &team), ("decision", "allow")];
    let url = format!("{}/login/device", kit.url());
    assert_eq!(grace.post(&url, &fields).await.status, 403);
    assert_eq!(Browser::default().post(&url, &fields).await.status, 303);
    // Another team's name is no way into it.
    let other = kit.another_tenant("other").await;
    let fields =
        [("form_token", token.as_str()), ("code", &code), ("team", &other.team), ("decision", "allow")];
    assert_eq!(ada.post(&url, &fields).await.status, 404);
    assert_eq!(poll(&kit, &started).await.status, 400, "nobody has said yes");
    assert!(decide(&kit, &mut ada, &shown, "allow").await.text().contains("is signed in"));
    poll(&kit, &started).await.ok();

    // Nobody came in time.
    let started = start(&kit).await;
    kit.clock.pass(Duration::from_mins(11));
    assert_eq!(error(&poll(&kit, &started).await), (400, "expired_token".to_owned()));
    // Who guesses waits.
    let mut ada = signed_in(&kit).await;
    for letter in ["K", "L", "M", "N", "P"] {
        assert_eq!(ada.get(&format!("{url}?code=BCDF-GHJ{letter}")).await.status, 422);
    }
    let started = start(&kit).await;
    let held = ada.get(text(&started, "verification_uri_complete")).await;
    assert_eq!((held.status, held.headers.contains_key("retry-after")), (429, true));
}

async fn a_command_line_ends_with_the_account_and_with_the_place_in_the_team(engine: Engine) {
    let kit = kit(engine).await;
    let other = kit.another_tenant("other").await;
    set_passphrase(&kit, &other.user).await;
    let mut grace = Browser::default();
    assert_eq!(try_sign_in(&kit, &mut grace, "owner@other.example", PASSPHRASE).await.status, 303);
    let invitations = format!("/v1/teams/{}/invitations", kit.tenant.team);
    let invited = kit.manage("POST", &invitations, Some(&json!({"role": "member"}))).await.ok();
    let body = json!({"invitation": invited["invitation"]});
    kit.node.call("POST", "/v1/invitations/accept", Some(&other.token), Some(&body)).await.ok();

    // One in each of her teams.
    let mut lines = Vec::new();
    for team in [&kit.tenant.team, &other.team] {
        let started = start(&kit).await;
        let page = grace.get(text(&started, "verification_uri_complete")).await;
        let (token, code) = (page.hidden("form_token"), page.hidden("code"));
        let fields = [("form_token", token.as_str()), ("code", &code), ("team", team), ("decision", "allow")];
        let done = grace.post(&format!("{}/login/device", kit.url()), &fields).await;
        assert!(done.text().contains("is signed in"), "{}", done.text());
        lines.push(poll(&kit, &started).await.ok());
    }
    let [here, hers] = &lines[..] else { panic!("{lines:?}") };
    let count = async || kit.raw().await.number("select count(*) from command_lines").await;
    assert_eq!(count().await, 2);

    // The person asks, in whichever of her teams is named and as what she is there; in no other.
    let third = kit.another_tenant("third").await;
    let token = text(hers, "access_token").to_owned();
    let ask = async |method: &str, path: &str, bearer: &str, body: Option<&Value>| {
        kit.node.call(method, path, Some(bearer), body).await
    };
    let connectors = |team: &str| format!("/v2/connect/connectors?teamId={team}");
    let uids = |answer: &Answer| answer.json()["connectors"].as_array().map(Vec::len);
    assert_eq!(uids(&ask("GET", &connectors(&kit.tenant.team), &token, None).await), Some(1));
    assert_eq!(uids(&ask("GET", &connectors(&other.team), &token, None).await), Some(0));
    assert_eq!(uids(&ask("GET", "/v2/connect/connectors", &token, None).await), Some(0), "the chosen one");
    let by_name = ask("GET", &format!("/v2/connect/connectors?slug={}", kit.tenant.slug), &token, None).await;
    assert_eq!(uids(&by_name), Some(1));
    let teams = ask("GET", "/v2/teams", &token, None).await.ok();
    assert_eq!(teams["teams"].as_array().unwrap().len(), 2, "{teams}");
    assert_eq!(ask("GET", &format!("/teams/{}", kit.tenant.team), &token, None).await.status, 200);
    for path in [connectors(&third.team), connectors("team_0000000000000000000000"), connectors("x")] {
        let refused = ask("GET", &path, &token, None).await;
        assert_eq!(refused.refusal(), (403, "forbidden".to_owned()), "{path}");
    }
    assert_eq!(ask("GET", &format!("/teams/{}", third.team), &token, None).await.status, 404);
    let invites = json!({"role": "member"});
    let there = format!("/v1/teams/{}/invitations?teamId={}", kit.tenant.team, kit.tenant.team);
    let refused = ask("POST", &there, &token, Some(&invites)).await;
    assert_eq!(refused.json()["error"]["right"], "member.invite", "a member there: {}", refused.text());
    // What is made with it is for one team.
    let made = ask("POST", "/v1/access-tokens", &token, Some(&json!({"name": "ci"}))).await.json();
    let narrow = made["token"].as_str().unwrap_or_else(|| panic!("{made}"));
    assert_eq!(ask("GET", &connectors(&kit.tenant.team), narrow, None).await.refusal().0, 403);
    assert_eq!(ask("GET", "/v2/connect/connectors", narrow, None).await.status, 200);

    let member = format!("/v1/teams/{}/members/{}", kit.tenant.team, other.user);
    assert_eq!(kit.manage("DELETE", &member, None).await.status, 204);
    assert_eq!(ask("GET", &connectors(&kit.tenant.team), &token, None).await.refusal().0, 403);
    assert_eq!(count().await, 1, "the one in the team that she left has ended");
    assert_eq!(error(&refresh(&kit, text(here, "refresh_token")).await), (400, "invalid_grant".to_owned()));
    kit.node.call("GET", "/v2/user", Some(text(hers, "access_token")), None).await.ok();
    let ended = kit.events_of("command-line.end").await;
    assert_eq!(ended[0]["detail"]["why"], "the person was removed from the team");

    let path = format!("/v1/accounts/{}", other.user);
    kit.manage("PATCH", &path, Some(&json!({"disabled": true}))).await.ok();
    assert_eq!(count().await, 0);
    kit.manage("PATCH", &path, Some(&json!({"disabled": false}))).await.ok();
    assert_eq!(error(&refresh(&kit, text(hers, "refresh_token")).await), (400, "invalid_grant".to_owned()));
    let over = kit.node.call("GET", "/v2/user", Some(text(hers, "access_token")), None).await;
    assert_eq!(over.refusal().0, 401);
    assert_eq!(account(&kit, &mut grace).await.status, 303, "the browser was signed out too");
}

async fn what_is_dangerous_asks_a_command_line_to_be_signed_in_again(engine: Engine) {
    let kit = kit(engine).await;
    let mut browser = signed_in(&kit).await;
    let line = signed_in_line(&kit, &mut browser).await;
    let token = text(&line, "access_token").to_owned();
    let ask = async |token: &str, method: &str, path: &str, body: &Value| {
        kit.node.call(method, path, Some(token), Some(body)).await
    };
    let team = format!("/v1/teams/{}", kit.tenant.team);
    let name = json!({"name": "Acme"});
    assert_eq!(ask(&token, "PATCH", &team, &name).await.status, 200, "a moment ago somebody said yes to it");

    kit.clock.pass(Duration::from_mins(10));
    for (method, path, body) in [
        ("PATCH", team.as_str(), name.clone()),
        ("POST", "/v1/access-tokens", json!({"name": "for ever", "expiresInMs": 31_000_000_000_i64})),
        ("POST", "/v1/keys/rotate", json!({"kind": "team"})),
    ] {
        let refused = ask(&token, method, path, &body).await;
        assert_eq!(refused.refusal(), (403, "forbidden".to_owned()), "{path}");
        let error = &refused.json()["error"];
        assert_eq!(
            (&error["signInAgain"], &error["next"][0]["command"]),
            (&json!(true), &json!("carnet login"))
        );
    }
    // Another access token of the same sign-in is no newer proof.
    let renewed = refresh(&kit, text(&line, "refresh_token")).await.ok();
    assert_eq!(ask(text(&renewed, "access_token"), "PATCH", &team, &name).await.status, 403);
    // Everything else goes on: connectors, their secrets and where events go, as the official command line has it.
    let connector = format!("/v1/connect/connectors/{}", kit.connector);
    assert_eq!(ask(&token, "PATCH", &connector, &json!({"name": "renamed"})).await.status, 200);
    let destinations = format!("{connector}/trigger-destinations");
    let nowhere = json!({"destinations": []});
    assert_eq!(ask(&token, "PATCH", &destinations, &nowhere).await.status, 200);
    assert_eq!(
        ask(&token, "DELETE", &format!("{connector}/tokens"), &json!({"all": true})).await.status,
        200
    );
    assert_eq!(ask(&token, "DELETE", &connector, &Value::Null).await.status, 204);

    // Signed in again, it may.
    let mut browser = signed_in(&kit).await;
    let again = signed_in_line(&kit, &mut browser).await;
    assert_eq!(ask(text(&again, "access_token"), "PATCH", &team, &name).await.status, 200);
    assert_eq!(ask(&token, "PATCH", &team, &name).await.status, 403, "the one before is as old as it was");
}

async fn what_is_odd_is_refused_as_oauth_says(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    for (path, fields, told) in [
        ("device", vec![("client_id", "another")], (401, "invalid_client")),
        ("device", vec![], (400, "invalid_request")),
        ("device", vec![("client_id", CLIENT), ("client_id", CLIENT)], (400, "invalid_request")),
        ("token", vec![("client_id", CLIENT)], (400, "invalid_request")),
        ("token", vec![("client_id", CLIENT), ("grant_type", "password")], (400, "unsupported_grant_type")),
        (
            "token",
            vec![("client_id", CLIENT), ("grant_type", DEVICE), ("device_code", "0")],
            (400, "invalid_grant"),
        ),
        (
            "token",
            vec![("client_id", CLIENT), ("grant_type", "refresh_token"), ("refresh_token", "crr_0")],
            (400, "invalid_grant"),
        ),
        ("revoke", vec![("client_id", "another"), ("token", "0")], (401, "invalid_client")),
        ("introspect", vec![], (400, "invalid_request")),
    ] {
        let answer = oauth(&kit, path, &fields).await;
        assert_eq!(error(&answer), (told.0, told.1.to_owned()), "{path} {fields:?}");
        assert!(!answer.json()["error_description"].as_str().unwrap().is_empty());
    }
    let url = format!("{}/login/oauth/device", kit.url());
    let json = kit.http.send("POST", &url, &[("content-type", "application/json")], "{}").await;
    assert_eq!(error(&json), (400, "invalid_request".to_owned()));
    // Nobody fills the table.
    let mut last = 200;
    for _ in 0..12 {
        last = oauth(&kit, "device", &[("client_id", CLIENT)]).await.status;
    }
    assert_eq!(last, 429);
}
