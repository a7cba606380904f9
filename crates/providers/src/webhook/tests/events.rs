//! What is read from events that are proven.

use aws_lc_rs::hmac::HMAC_SHA256;
use serde_json::{Value, json};

use super::sender::{NOW, Sender, Sent};
use super::*;

fn signed(scheme: Scheme, body: &Value) -> Sent {
    Sender::of(scheme).send_body(NOW, &body.to_string().replace("\"TIME\"", "TIME"))
}

fn judged(scheme: Scheme, sent: &Sent) -> Verdict {
    sent.judged(scheme, &[Sender::of(scheme).secret], NOW)
}

fn event(scheme: Scheme, body: &Value) -> Event {
    match judged(scheme, &signed(scheme, body)) {
        Verdict::Event(event) => event,
        other => panic!("{other:?} of {body}"),
    }
}

fn handshake(scheme: Scheme, sent: &Sent) -> Reply {
    match judged(scheme, sent) {
        Verdict::Handshake(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn form(fields: &[(&str, &str)]) -> Sent {
    let sender = Sender::of(Scheme::Slack);
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let sent = sender.sign(HMAC_SHA256, sender.secret, &NOW.to_string(), body.as_bytes());
    sent.with("content-type", |value| *value = b"application/x-www-form-urlencoded".to_vec())
}

/// Name, tenant, delivery.
fn facts(event: &Event) -> (&str, Option<&str>, Option<&str>) {
    (&event.name, event.tenant.as_deref(), event.delivery.as_deref())
}

fn lost(loss: Loss, tenant: Option<&str>, accounts: &[&str]) -> LossSignal {
    let accounts = accounts.iter().map(|text| (*text).to_owned()).collect();
    LossSignal { loss, tenant: tenant.map(str::to_owned), accounts }
}

#[test]
fn what_slack_asks_is_answered() {
    let question = json!({"type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"});
    let reply = handshake(Scheme::Slack, &signed(Scheme::Slack, &question));
    assert_eq!(reply.body, question["challenge"].as_str().unwrap().as_bytes());
    assert_eq!((reply.status.as_u16(), reply.content_type), (200, Some("text/plain; charset=utf-8")));
    assert_eq!(handshake(Scheme::Slack, &form(&[("ssl_check", "1"), ("token", "x")])), Reply::empty());
    // Anybody can ask; only Slack is answered.
    let unsigned = signed(Scheme::Slack, &question).without("x-slack-signature");
    assert!(matches!(judged(Scheme::Slack, &unsigned), Verdict::Refused(Refusal::Missing(_))));
}

#[test]
fn events_of_slack_are_named() {
    let callback = |event: Value| {
        json!({"type": "event_callback", "team_id": "T1", "enterprise_id": "E1", "event_id": "Ev1", "event": event,
            "authorizations": [{"team_id": "T1", "enterprise_id": "E1", "is_enterprise_install": false}]})
    };
    let mention = event(Scheme::Slack, &callback(json!({"type": "app_mention"})));
    assert_eq!(facts(&mention), ("app_mention", Some("T1"), Some("Ev1")));
    assert_eq!((mention.signal, mention.answer), (None, Reply::empty()));
    let mut whole = callback(json!({"type": "message"}));
    whole["authorizations"][0]["is_enterprise_install"] = true.into();
    assert_eq!(facts(&event(Scheme::Slack, &whole)), ("message", Some("E1"), Some("Ev1")));

    for (said, signal) in [
        (json!({"type": "app_uninstalled"}), Some(lost(Loss::Uninstalled, Some("T1"), &[]))),
        (
            json!({"type": "tokens_revoked", "tokens": {"oauth": ["U1", "U2", "<U3>"], "bot": []}}),
            Some(lost(Loss::Revoked, Some("T1"), &["U1", "U2"])),
        ),
        (
            json!({"type": "tokens_revoked", "tokens": {"oauth": ["U1"], "bot": ["U9"]}}),
            Some(lost(Loss::Revoked, Some("T1"), &[])),
        ),
        (json!({"type": "tokens_revoked", "tokens": {}}), None),
    ] {
        assert_eq!(event(Scheme::Slack, &callback(said)).signal, signal);
    }
    // Of no workspace it is nobody's, and not everybody's.
    let nowhere = json!({"type": "event_callback", "event": {"type": "app_uninstalled"}});
    assert_eq!(event(Scheme::Slack, &nowhere).signal, None);

    let of = |sent: &Sent| match judged(Scheme::Slack, sent) {
        Verdict::Event(event) => (event.name.clone(), event.tenant.clone()),
        other => panic!("{other:?}"),
    };
    let button =
        json!({"type": "block_actions", "team": {"id": "T1"}, "enterprise": {"id": "E1"}}).to_string();
    assert_eq!(of(&form(&[("payload", &button)])), ("block_actions".into(), Some("T1".into())));
    let button = json!({"type": "view_submission", "team": null, "enterprise": {"id": "E1"}, "is_enterprise_install": true});
    assert_eq!(of(&form(&[("payload", &button.to_string())])), ("view_submission".into(), Some("E1".into())));
    let command = [
        ("command", "/deploy"),
        ("team_id", "T1"),
        ("enterprise_id", "E1"),
        ("is_enterprise_install", "false"),
    ];
    assert_eq!(of(&form(&command)), ("slash_command".into(), Some("T1".into())));
    for twice in [[("payload", "{}"), ("payload", "{}")], [("command", "/a"), ("command", "/b")]] {
        assert!(matches!(judged(Scheme::Slack, &form(&twice)), Verdict::Refused(Refusal::Unreadable)));
    }
}

#[test]
fn events_of_github_are_named() {
    let named = |name: &'static str, body: &Value| {
        let sent = signed(Scheme::Github, body).with("x-github-event", |value| *value = name.into());
        judged(Scheme::Github, &sent)
    };
    let of = |name, body: &Value| match named(name, body) {
        Verdict::Event(event) => event,
        other => panic!("{other:?}"),
    };
    let job = of("workflow_job", &json!({"action": "queued", "installation": {"id": 100}}));
    assert_eq!(facts(&job), ("workflow_job", Some("100"), Some("72d3162e-cc78-11e3-81ab-4c9367dc0958")));
    assert!(matches!(named("ping", &json!({"zen": "Speak like a human."})), Verdict::Handshake(_)));
    for (name, said, signal) in [
        (
            "installation",
            json!({"action": "deleted", "installation": {"id": 100}}),
            Some(lost(Loss::Uninstalled, Some("100"), &[])),
        ),
        (
            "installation",
            json!({"action": "suspend", "installation": {"id": 100}}),
            Some(lost(Loss::Suspended, Some("100"), &[])),
        ),
        ("installation", json!({"action": "unsuspend", "installation": {"id": 100}}), None),
        ("installation", json!({"action": "deleted"}), None),
        (
            "github_app_authorization",
            json!({"action": "revoked", "sender": {"id": 7}}),
            Some(lost(Loss::Revoked, None, &["7"])),
        ),
        ("github_app_authorization", json!({"action": "revoked"}), None),
        ("issues", json!({"action": "deleted", "installation": {"id": 100}}), None),
    ] {
        assert_eq!(of(name, &said).signal, signal, "{name} {said}");
    }
    // A webhook may be set to send forms.
    let payload = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", r#"{"action": "opened", "installation": {"id": 100}}"#)
        .finish();
    let sender = Sender::of(Scheme::Github);
    let sent = sender.sign(HMAC_SHA256, sender.secret, "", payload.as_bytes());
    let sent = sent.with("content-type", |value| *value = b"application/x-www-form-urlencoded".to_vec());
    assert!(
        matches!(judged(Scheme::Github, &sent), Verdict::Event(event) if event.tenant.as_deref() == Some("100"))
    );
}

#[test]
fn events_of_linear_are_named() {
    let said = |kind: &str, action: &str| json!({"type": kind, "action": action, "organizationId": "o-1", "userId": "u-1", "webhookTimestamp": "TIME"});
    let issue = event(Scheme::Linear, &said("Issue", "create"));
    assert_eq!(facts(&issue), ("Issue", Some("o-1"), Some("234d1a4e-b617-4388-90fe-adc3633d6b72")));
    for (kind, action, signal) in [
        ("OAuthApp", "revoked", Some(lost(Loss::Uninstalled, Some("o-1"), &[]))),
        ("OAuthAuthorization", "revoked", Some(lost(Loss::Revoked, Some("o-1"), &["u-1"]))),
        ("OAuthAuthorization", "created", None),
        ("Issue", "remove", None),
    ] {
        assert_eq!(event(Scheme::Linear, &said(kind, action)).signal, signal, "{kind} {action}");
    }
}

#[test]
fn discord_is_answered_in_time() {
    let taken =
        Reply { status: StatusCode::NO_CONTENT, content_type: Some("application/json"), body: Vec::new() };
    assert_eq!(
        handshake(Scheme::Discord, &signed(Scheme::Discord, &json!({"version": 1, "type": 0}))),
        taken
    );
    let pong =
        handshake(Scheme::Discord, &signed(Scheme::Discord, &json!({"id": "1", "type": 1, "token": "t"})));
    assert_eq!(pong.body, br#"{"type":1}"#);

    let webhook = |name: &str| json!({"type": 1, "event": {"type": name, "data": {"user": {"id": "5"}, "guild": {"id": "9"}}}});
    let joined = event(Scheme::Discord, &webhook("APPLICATION_AUTHORIZED"));
    assert_eq!(facts(&joined), ("APPLICATION_AUTHORIZED", Some("9"), None));
    assert_eq!((joined.signal, joined.answer), (None, taken));
    let left = event(Scheme::Discord, &webhook("APPLICATION_DEAUTHORIZED"));
    assert_eq!(left.signal, Some(lost(Loss::Revoked, None, &["5"])));

    for (kind, name, answer) in [
        (2, "APPLICATION_COMMAND", json!({"type": 5})),
        (3, "MESSAGE_COMPONENT", json!({"type": 6})),
        (4, "APPLICATION_COMMAND_AUTOCOMPLETE", json!({"type": 8, "data": {"choices": []}})),
        (5, "MODAL_SUBMIT", json!({"type": 5})),
    ] {
        let found = event(Scheme::Discord, &json!({"id": "77", "type": kind, "guild_id": "9", "token": "t"}));
        assert_eq!(facts(&found), (name, Some("9"), Some("77")));
        assert_eq!(serde_json::from_slice::<Value>(&found.answer.body).unwrap(), answer);
    }
    let unknown = signed(Scheme::Discord, &json!({"id": "77", "type": 6}));
    assert!(matches!(judged(Scheme::Discord, &unknown), Verdict::Refused(Refusal::Unreadable)));
}

#[test]
fn events_of_stripe_telegram_and_standard_webhooks_are_named() {
    let gone = json!({"id": "evt_1", "type": "account.application.deauthorized", "account": "acct_1"});
    let found = event(Scheme::Stripe, &gone);
    assert_eq!(facts(&found), ("account.application.deauthorized", Some("acct_1"), Some("evt_1")));
    assert_eq!(found.signal, Some(lost(Loss::Uninstalled, Some("acct_1"), &[])));
    let own = json!({"id": "evt_2", "type": "account.application.deauthorized"});
    assert_eq!(event(Scheme::Stripe, &own).signal, None);

    let update = event(Scheme::Telegram, &json!({"update_id": 10_000, "callback_query": {"id": "1"}}));
    assert_eq!(facts(&update), ("callback_query", None, Some("10000")));
    let two = signed(Scheme::Telegram, &json!({"update_id": 1, "message": {}, "poll": {}}));
    assert!(matches!(judged(Scheme::Telegram, &two), Verdict::Refused(Refusal::Unreadable)));

    let done = event(Scheme::Standard, &json!({"type": "batch.completed"}));
    assert_eq!(facts(&done), ("batch.completed", None, Some("msg_1")));
}

#[test]
fn events_of_jira_bitbucket_and_channels_of_google_are_named() {
    let created = json!({"webhookEvent": "jira:issue_created", "issue": {"id": "10000"}});
    let found = event(Scheme::Websub, &created);
    let identifier = Some("b7dd6b1e-0ac1-4d4a-9f4b-6e6d2f5a3c01");
    assert_eq!((facts(&found), &found.signal), (("jira:issue_created", None, identifier), &None));
    assert!(matches!(
        judged(Scheme::Websub, &signed(Scheme::Websub, &json!({"webhookEvent": "a b"}))),
        Verdict::Refused(Refusal::Unreadable)
    ));

    // Bitbucket says it in headers.
    let mut push = signed(Scheme::Websub, &json!({"push": {"changes": []}}));
    push = push.without("x-atlassian-webhook-identifier");
    push.headers.push(("x-event-key", b"repo:push".to_vec()));
    let verdict = judged(Scheme::Websub, &push);
    assert!(matches!(verdict, Verdict::Refused(Refusal::Missing("x-request-uuid"))), "{verdict:?}");
    push.headers.push(("x-request-uuid", b"8c1ae3d0-1f0e-4c3b-8f7a-0d7c9a2f1b11".to_vec()));
    let Verdict::Event(found) = judged(Scheme::Websub, &push) else { panic!("it is a push") };
    assert_eq!(facts(&found), ("repo:push", None, Some("8c1ae3d0-1f0e-4c3b-8f7a-0d7c9a2f1b11")));
    let odd = push.with("x-event-key", |value| value.extend(b"<b>"));
    assert!(matches!(judged(Scheme::Websub, &odd), Verdict::Refused(Refusal::Malformed("x-event-key"))));

    let sender = Sender::of(Scheme::GoogleChannel);
    let state = |state: &'static str, body: &[u8]| {
        let sent = sender.sign(HMAC_SHA256, sender.secret, "", body);
        sent.with("x-goog-resource-state", |value| *value = state.into())
    };
    assert_eq!(handshake(Scheme::GoogleChannel, &state("sync", b"")), Reply::empty());
    for body in [&b""[..], br#"{"kind": "drive#changes"}"#] {
        let Verdict::Event(found) = judged(Scheme::GoogleChannel, &state("change", body)) else { panic!() };
        assert_eq!(facts(&found), ("change", None, Some("01234567-89ab-cdef-0123456789ab:2")));
    }
    // Who does not have the token does not learn that there is a channel.
    let asked = state("sync", b"").with(sender.proof, |value| value.push(b'x'));
    assert!(matches!(judged(Scheme::GoogleChannel, &asked), Verdict::Refused(Refusal::Unproven)));
}

#[test]
fn okta_is_believed_by_its_secret() {
    let hook = |events: Value| json!({"eventId": "e-1", "eventType": "com.okta.event_hook", "data": {"events": events}});
    let user = |id: &str| json!({"type": "User", "id": id});
    let suspended = json!([
        {"eventType": "user.lifecycle.suspend", "target": [user("00u1")]},
        {"eventType": "user.lifecycle.suspend", "target": [{"type": "AppInstance", "id": "0oa1"}, user("00u2")]},
    ]);
    let found = event(Scheme::Okta, &hook(suspended));
    assert_eq!(facts(&found), ("user.lifecycle.suspend", None, Some("e-1")));
    assert_eq!(found.signal, Some(lost(Loss::Revoked, None, &["00u1", "00u2"])));
    let mixed = json!([
        {"eventType": "user.session.start", "target": [user("00u1")]},
        {"eventType": "group.user_membership.add", "target": [user("00u2")]},
    ]);
    let found = event(Scheme::Okta, &hook(mixed));
    assert_eq!((found.name.as_str(), found.signal), ("com.okta.event_hook", None));
    assert!(matches!(judged(Scheme::Okta, &signed(Scheme::Okta, &hook(json!([])))), Verdict::Refused(_)));

    let asked = |secret: Option<&'static str>, value: &'static str| {
        let mut asked = headers(&[("x-okta-verification-challenge", value)]);
        if let Some(secret) = secret {
            asked.insert("authorization", HeaderValue::from_static(secret));
        }
        let secrets = [SecretString::new(Sender::of(Scheme::Okta).secret.to_owned())];
        challenge(
            Scheme::Okta,
            &secrets,
            &Received { headers: &asked, query: None, body: &[], at: Time::from_secs(NOW) },
        )
    };
    let value = "Me_rShK8JHsTnbyYrWXCEoMGbM_zsZ6k0hLPZ_Pg";
    let Verdict::Handshake(reply) = asked(Some("my shared secret"), value) else { panic!() };
    assert_eq!(serde_json::from_slice::<Value>(&reply.body).unwrap(), json!({"verification": value}));
    for (secret, value) in
        [(None, value), (Some("my shared secre"), value), (Some("my shared secret"), "<b>")]
    {
        assert!(matches!(asked(secret, value), Verdict::Refused(_)), "{secret:?} {value}");
    }
    for scheme in Scheme::ALL.into_iter().filter(|scheme| *scheme != Scheme::Okta) {
        let received =
            Received { headers: &HeaderMap::new(), query: None, body: &[], at: Time::from_secs(NOW) };
        assert!(matches!(challenge(scheme, &[], &received), Verdict::Refused(_)));
    }
}

#[test]
fn each_scheme_has_a_service_and_a_sender() {
    for scheme in Scheme::ALL {
        assert!(SERVICES.iter().any(|(_, found)| *found == scheme), "{scheme:?}");
        let sender = Sender::of(scheme);
        assert_eq!(sender.scheme, scheme);
        assert_eq!(scheme.secret_header(), (!sender.signs()).then_some(sender.proof), "{scheme:?}");
    }
    for (service, scheme) in SERVICES {
        assert_eq!(scheme_of(service), Some(scheme));
    }
    assert_eq!(scheme_of("salesforce"), None, "it signs nothing that it sends");
}
