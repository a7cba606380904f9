//! What every page is sent with.

use http::Response;

use crate::samples;

#[test]
fn every_page_has_every_header_and_exactly_this_policy() {
    for (name, page) in samples::pages(&str::to_owned) {
        let response = Response::from(page);
        let header = |header: &str| response.headers().get(header).map(|value| value.to_str().unwrap());

        let action = match name {
            "consent-unknown" => "form-action 'self' https://accounts.google.com",
            "register-leaving" => "form-action 'self' https://github.com",
            _ => "form-action 'self'",
        };
        let asks_for_passkeys = (name.starts_with("sign-in") && name != "sign-in-dev")
            || (name.starts_with("account") && name != "account-ended");
        let script = if asks_for_passkeys { "script-src 'self'; " } else { "" };
        let policy = format!(
            "default-src 'none'; {script}style-src 'self'; img-src 'self' data:; font-src 'self'; {action}; \
             frame-ancestors 'none'; base-uri 'none'"
        );
        assert_eq!(header("content-security-policy"), Some(policy.as_str()), "{name}");

        let ceremony = [
            "another-account",
            "cancelled",
            "completing",
            "consent",
            "done",
            "elsewhere",
            "failed",
            "install",
            "leaving",
            "paste",
            "undone",
        ];
        let ceremony = ceremony.iter().any(|start| name.starts_with(start));
        let opener = if ceremony { "same-origin-allow-popups" } else { "same-origin" };
        for (of, want) in [
            ("content-type", "text/html; charset=utf-8"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-opener-policy", opener),
            ("cross-origin-resource-policy", "same-origin"),
            (
                "permissions-policy",
                "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
            ),
        ] {
            assert_eq!(header(of), Some(want), "{name}: {of}");
        }
        assert_eq!(response.headers().len(), 8, "{name}");
    }
}

#[test]
fn statuses_tell_programs_what_the_words_tell_people() {
    let want = |name: &str| match name {
        "paste-refused"
        | "paste-empty"
        | "paste-malformed"
        | "setup-wrong"
        | "register-wrong"
        | "register-token"
        | "failed-refused"
        | "failed-unusable"
        | "failed-installer-unknown"
        | "failed-too-little"
        | "failed-connector"
        | "device-unknown"
        | "login-code-unknown"
        | "refused"
        | "sign-in-wrong"
        | "sign-in-again-wrong"
        | "account-wrong"
        | "applications-refused"
        | "invitation-wrong"
        | "invitation-only-wrong"
        | "reset-wrong" => 422,
        "device-wait" | "sign-in-wait" | "login-code-wait" => 429,
        "sign-in-busy" | "failed-unavailable" => 503,
        "failed-internal" => 500,
        "ended-unknown" => 404,
        "ended-other-browser" | "invitation-another" => 403,
        "invitation-already" => 409,
        _ if name.starts_with("ended-") => 410,
        _ => name.strip_prefix("failure-").map_or(200, |status| status.parse().unwrap()),
    };
    for (name, page) in samples::pages(&str::to_owned) {
        assert_eq!(Response::from(page).status().as_u16(), want(name), "{name}");
    }
}
