//! What providers, or their specifications, publish as signed.

use super::*;

#[test]
fn what_is_published_as_signed_is_taken() {
    // docs.slack.dev/authentication/verifying-requests-from-slack
    let slack = headers(&[
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-slack-request-timestamp", "1531420618"),
        ("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
    ]);
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
        &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
        &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
        &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let secret = ["8f742231b10e8888abcd99yyyzzz85a5"];
    let Verdict::Event(event) =
        judge(Scheme::Slack, &secret, &slack, body.as_bytes(), Time::from_secs(1_531_420_618))
    else {
        panic!("Slack's own example");
    };
    assert_eq!((event.name.as_str(), event.tenant.as_deref()), ("slash_command", Some("T1DC2JH3J")));

    // docs.github.com, "Validating webhook deliveries". Its body is not an event, so that it gets as far as that.
    let github = headers(&[
        ("x-hub-signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
        ("x-github-event", "ping"),
        ("x-github-delivery", "1"),
    ]);
    let secret = ["It's a Secret to Everybody"];
    let verdict = judge(Scheme::Github, &secret, &github, b"Hello, World!", Time::from_secs(0));
    assert!(matches!(verdict, Verdict::Refused(Refusal::Unreadable)), "{verdict:?}");
    let verdict = judge(Scheme::Github, &secret, &github, b"Hello, World?", Time::from_secs(0));
    assert!(matches!(verdict, Verdict::Refused(Refusal::Unproven)), "{verdict:?}");

    // The vector of Svix's and Standard Webhooks' libraries; its body has no type either.
    for prefix in ["webhook", "svix"] {
        let name = |rest: &str| HeaderName::try_from(format!("{prefix}-{rest}")).unwrap();
        let mut standard = HeaderMap::new();
        standard.insert(name("id"), HeaderValue::from_static("msg_p5jXN8AQM9LWM0D4loKWxJek"));
        standard.insert(name("timestamp"), HeaderValue::from_static("1614265330"));
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        standard.insert(name("signature"), HeaderValue::from_static(signature));
        let secret = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];
        let at = Time::from_secs(1_614_265_330);
        let verdict = judge(Scheme::Standard, &secret, &standard, br#"{"test": 2432232314}"#, at);
        assert!(matches!(verdict, Verdict::Refused(Refusal::Unreadable)), "{verdict:?}");
        let verdict = judge(Scheme::Standard, &secret, &standard, br#"{"test": 2432232315}"#, at);
        assert!(matches!(verdict, Verdict::Refused(Refusal::Unproven)), "{verdict:?}");
    }
}
