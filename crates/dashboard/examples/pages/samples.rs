//! One of every page, and of every state of a page. The tests render the same ones.

use std::time::Duration;

use carnet_dashboard::{
    AccountDone, AnotherAccount, ApplicationDone, ApplicationLine, ApplicationTyped, Applications,
    BrowserName, CommandLineLine, ConfirmLogin, Consent, Device, Done, Elsewhere, Ended, EnterLoginCode,
    Entry, Failure, Form, Health, Home, Install, Instructions, Invitation, Joined, KeyRefused, Label,
    Leaving, LinkLine, LoginDecided, Monogram, MyAccount, NoSuchCode, NotDone, NotSignedIn, Origin, Outcome,
    Page, Passkey, PasskeyLine, PasteKey, Permission, Reader, Refused, Register, RegisterLeaving,
    RegisterWay, Request, Reset, ResetDone, SessionLine, Setup, SetupDone, SignIn, SignOut, Stage, Whose,
    Why, Words,
};
use carnet_model::caller::Role;
use carnet_model::{Secret, Slug};
use http::StatusCode;
use url::Url;

/// All pages by name. Every text from outside goes through `say`.
pub(crate) fn pages(say: &dyn Fn(&str) -> String) -> Vec<(&'static str, Page)> {
    let host = || Label::name("connect.acme.dev");
    let mut all = Vec::new();

    all.push(("consent", consent(say, Stage::Production).render()));

    let mut preview = consent(say, Stage::Preview);
    preview.request.whose = Whose::Member(Label::name(&say("ops@acme.dev")));
    preview.request.returns_to = None;
    preview.already = vec![known(say, "read", "Read issues, projects and comments you can see")];
    preview.asked = vec![
        known(say, "issues:create", "Create issues"),
        Permission {
            scope: Label::name(&say("issues:delete")),
            words: Some(Words {
                can: Label::words(&say("Change and delete issues")),
                deletes: true,
                manages: false,
                sure: true,
            }),
        },
    ];
    all.push(("consent-more", preview.render()));

    let mut unknown = consent(say, Stage::Custom(staging()));
    unknown.request.device_code = Some(Label::name(&say("WDJB-MJHT")));
    unknown.asked = vec![
        Permission {
            scope: Label::name(&say("https://www.googleapis.com/auth/calendar.readonly")),
            words: None,
        },
        known(say, "openid", "Know which account you use"),
    ];
    unknown.token_life = None;
    unknown.provider =
        Url::parse("https://accounts.google.com/o/oauth2/v2/auth").ok().as_ref().and_then(Origin::of);
    all.push(("consent-unknown", unknown.render()));

    let mut bare = consent(say, Stage::Development);
    bare.asked = Vec::new();
    all.push(("consent-bare", bare.render()));

    let paste = |refused| PasteKey {
        request: request(say, Stage::Production),
        instructions: Instructions::parse(INSTRUCTIONS),
        refused,
    };
    all.push(("paste", paste(None).render()));
    all.push(("paste-refused", paste(Some(KeyRefused::ByProvider)).render()));
    all.push(("paste-empty", paste(Some(KeyRefused::Empty)).render()));
    all.push((
        "paste-malformed",
        PasteKey { instructions: None, ..paste(Some(KeyRefused::Malformed)) }.render(),
    ));

    for (name, refused) in [
        ("device", None),
        ("device-unknown", Some(NoSuchCode::Unknown)),
        ("device-wait", Some(NoSuchCode::Wait(9))),
    ] {
        all.push((name, Device { refused, host: host(), form: form("/device") }.render()));
    }
    let mut entered = consent(say, Stage::Production);
    entered.request.by_code = true;
    all.push(("consent-by-code", entered.render()));
    let Consent { request, asked, .. } = entered;
    all.push(("install-by-code", Install { request, asked: Vec::new() }.render()));
    let Consent { request, .. } = consent(say, Stage::Preview);
    all.push(("install", Install { request, asked }.render()));

    let other = AnotherAccount {
        app: Label::name(&say("Support Agent")),
        team: Label::name(&say("Acme")),
        service: Label::name(&say("Linear")),
        before: Label::words(&say("ada@acme.dev")),
        now: Label::words(&say("grace@acme.dev")),
        host: host(),
        form: form("/authorize/car_4Kd0aTwXyZ3kLmN8bVc2D1"),
    };
    all.push(("another-account", other.render()));

    let away = address("https://linear.app/oauth/authorize", say);
    let leaving = away.and_then(|to| Leaving::to(to, Label::name(&say("Linear")), host()));
    all.extend(leaving.map(|leaving| ("leaving", leaving.render())));

    for (name, whole) in
        [("elsewhere", None), ("elsewhere-whole", address("https://linear.app/device?code=1", say))]
    {
        let to = address("https://linear.app/device", say);
        let labels = [say("Support Agent"), say("Linear"), say("WDJB-MJHT")].map(|text| Label::name(&text));
        let [app, service, code] = labels;
        let again = "/authorize/car_5PqJ0aTwXyZ3kLmN8bVc2D?waited".to_owned();
        let page = to.and_then(|to| Elsewhere::at(to, whole, again, [app, service, code, host()]));
        all.extend(page.map(|page| (name, page.render())));
    }

    let done = |outcome, back| Done {
        outcome,
        app: Label::name(&say("Support Agent")),
        team: Label::name(&say("Acme")),
        service: Label::name(&say("Linear")),
        back,
        undo: None,
        host: host(),
    };
    let failed = |why, vendor: Option<&str>| Outcome::Failed {
        why,
        vendor: vendor.map(|words| Label::words(&say(words))),
        request_id: "req_5PqJ0aTwXyZ3kLmN8bVc2D".to_owned(),
    };
    let back = address("https://agent.acme.dev/settings", say);
    let connected = || Outcome::Connected { account: Some(Label::words(&say("ada@acme.dev"))) };
    all.push(("done", done(connected(), back).render()));
    let undo = Some(form("/authorize/car_4Kd0aTwXyZ3kLmN8bVc2D1/undo"));
    all.push(("done-close", Done { undo, ..done(connected(), None) }.render()));
    all.push(("done-bare", done(Outcome::Connected { account: None }, None).render()));
    all.push(("completing", done(Outcome::Completing, None).render()));
    let account = Some(Label::words(&say("acme")));
    all.push(("installed", done(Outcome::Installed { account }, None).render()));
    all.push(("undone", done(Outcome::Undone, None).render()));
    all.push((
        "cancelled",
        done(Outcome::Cancelled, address("https://agent.acme.dev/settings", say)).render(),
    ));
    let refused = "The workspace administrator has not approved this application.";
    all.push(("failed-refused", done(failed(NotDone::Refused, Some(refused)), None).render()));
    for (name, why) in [
        ("failed-unavailable", NotDone::Unavailable),
        ("failed-unusable", NotDone::Unusable),
        ("failed-awaits-approval", NotDone::AwaitsApproval),
        ("failed-installer-unknown", NotDone::InstallerUnknown),
        ("failed-too-little", NotDone::TooLittle),
        ("failed-connector", NotDone::ConnectorRejected),
        ("failed-internal", NotDone::Internal),
    ] {
        all.push((name, done(failed(why, None), None).render()));
    }

    for (name, why) in [
        ("ended-expired", Why::Expired),
        ("ended-used", Why::Used),
        ("ended-unknown", Why::Unknown),
        ("ended-other-browser", Why::OtherBrowser),
        ("ended-setup-expired", Why::SetupExpired),
        ("ended-setup-used", Why::SetupUsed),
        ("ended-invitation", Why::InvitationEnded),
        ("ended-reset", Why::ResetEnded),
    ] {
        let app = (why != Why::Unknown).then(|| Label::name(&say("Support Agent")));
        all.push((name, Ended { why, app, host: host() }.render()));
    }

    let empty = Setup {
        team: Entry::default(),
        name: Entry::default(),
        email: Entry::default(),
        passphrase: Entry::default(),
        host: host(),
        form: form("/setup/k3Jd"),
    };
    all.push(("setup", empty.render()));

    let register = |way, error: Option<&str>| Register {
        service: Label::name(&say("GitHub")),
        team: Label::name(&say("Acme")),
        uid: Label::name(&say("github/bot")),
        name: Entry { value: say("Acme bot"), error: None },
        owner: Entry { value: say("acme"), error: error.map(str::to_owned) },
        scopes: Entry { value: say("contents:read"), error: None },
        shared: false,
        hears: true,
        quiet: false,
        token: Entry::default(),
        way,
        refused: None,
        host: host(),
        form: form("/register/reg_1"),
    };
    all.push(("register", register(RegisterWay::Form, None).render()));
    all.push(("register-wrong", register(RegisterWay::Form, Some("owner is an organization.")).render()));
    let slack = |path: &str| Url::parse(&format!("https://api.slack.com/apps{path}")).ok();
    if let (Some(tokens), Some(by_hand)) = (slack(""), slack("?new_app=1&manifest_json=%7B%7D")) {
        let mut token = register(RegisterWay::Token { tokens, by_hand }, None);
        token.refused = Some(Label::words(&say("Slack made no app.")));
        all.push(("register-token", token.render()));
    }
    let to = Url::parse("https://github.com/organizations/acme/settings/apps/new?state=s").ok();
    let leaving = to.and_then(|to| {
        let fields = vec![("manifest", "a-manifest".to_owned())];
        RegisterLeaving { service: Label::name(&say("GitHub")), host: host(), to, fields }.render()
    });
    all.extend(leaving.map(|page| ("register-leaving", page)));
    let wrong = Setup {
        team: Entry { value: say("Acme"), error: None },
        name: Entry { value: say("Olga Petrova"), error: None },
        email: Entry {
            value: say("olga@"),
            error: Some("An email address has a name, an @ and a domain.".to_owned()),
        },
        passphrase: Entry::default(),
        host: host(),
        form: form("/setup/k3Jd"),
    };
    all.push(("setup-wrong", wrong.render()));

    sign_in(say, &mut all);
    coming(say, &mut all);

    if let Ok(url) = Url::parse("https://connect.acme.dev/") {
        let access_token = Secret::new("crn_0000000000000000000000000000000example".to_owned());
        let done = SetupDone { team: Label::name(&say("Acme")), access_token, url: url.clone() };
        all.push(("setup-done", done.render()));
        let home = |development, health| Home { version: "0.1.0", url: url.clone(), development, health };
        all.push(("home", home(false, Health::Ready).render()));
        all.push(("home-dev", home(true, Health::Ready).render()));
        let failing = vec![Label::name(&say("store")), Label::name(&say("audit log"))];
        all.push(("home-bad", home(false, Health::NotReady(failing)).render()));
    }

    for (name, status) in [
        ("failure-404", StatusCode::NOT_FOUND),
        ("failure-405", StatusCode::METHOD_NOT_ALLOWED),
        ("failure-413", StatusCode::PAYLOAD_TOO_LARGE),
        ("failure-422", StatusCode::UNPROCESSABLE_ENTITY),
        ("failure-429", StatusCode::TOO_MANY_REQUESTS),
        ("failure-500", StatusCode::INTERNAL_SERVER_ERROR),
        ("failure-503", StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let request_id = "req_5PqJ0aTwXyZ3kLmN8bVc2D".to_owned();
        all.push((name, Failure { status, request_id, host: host() }.render()));
    }
    all
}

fn passkey() -> Passkey {
    Passkey { challenge: "c2l4dGVlbiBieXRlcyBhdA".to_owned(), host: "connect.acme.dev".to_owned() }
}

/// Joining a team, and coming back without a passphrase.
fn coming(say: &dyn Fn(&str) -> String, all: &mut Vec<(&'static str, Page)>) {
    let host = || Label::name("connect.acme.dev");
    let email = || Label::words(&say("grace@acme.dev"));
    let entry = |value: &str, error: Option<&str>| Entry {
        value: if value.is_empty() { String::new() } else { say(value) },
        error: error.map(str::to_owned),
    };
    let stranger = |name: &str, wrong| Reader::Stranger {
        name: entry(name, None),
        email: entry(name, wrong),
        passphrase: Entry::default(),
        sign_in: "/login?to=%2Finvitation%2Fk3Jd".to_owned(),
        form: form("/invitation/k3Jd"),
    };
    let taken = "Somebody here has an account with this address.";
    for (name, role, only, reader) in [
        ("invitation", Role::Member, None, stranger("", None)),
        ("invitation-wrong", Role::Owner, None, stranger("Grace", Some(taken))),
        ("invitation-only", Role::ConnectorManager, Some(email()), stranger("", None)),
        ("invitation-only-wrong", Role::Viewer, Some(email()), stranger("Grace", Some(taken))),
        (
            "invitation-signed-in",
            Role::Viewer,
            None,
            Reader::SignedIn { email: email(), form: form("/invitation/k3Jd/join") },
        ),
        ("invitation-another", Role::Viewer, Some(email()), Reader::Another { email: email() }),
        ("invitation-already", Role::Viewer, None, Reader::Already { email: email() }),
    ] {
        let page = Invitation {
            team: Label::name(&say("Acme")),
            role,
            by: Label::name(&say("Olga Petrova")),
            by_email: Label::words(&say("olga@acme.dev")),
            only,
            left: "6 days".to_owned(),
            reader,
            host: host(),
        };
        all.push((name, page.render()));
    }
    if let Ok(url) = Url::parse("https://connect.acme.dev/") {
        all.push(("joined", Joined { team: Label::name(&say("Acme")), url }.render()));
    }
    for (name, error) in [("reset", None), ("reset-wrong", Some("A passphrase has at least 15 characters."))]
    {
        let passphrase = entry("", error);
        let page = Reset { email: email(), passphrase, host: host(), form: form("/reset/k3Jd") };
        all.push((name, page.render()));
    }
    all.push(("reset-done", ResetDone { host: host() }.render()));
}

/// Signing in, and the own account.
fn sign_in(say: &dyn Fn(&str) -> String, all: &mut Vec<(&'static str, Page)>) {
    let host = || Label::name("connect.acme.dev");
    for (name, again, refused, development) in [
        ("sign-in", false, None, false),
        ("sign-in-dev", false, None, true),
        ("sign-in-wrong", false, Some(NotSignedIn::Wrong), false),
        ("sign-in-wait", false, Some(NotSignedIn::Wait(14)), false),
        ("sign-in-busy", false, Some(NotSignedIn::Busy), false),
        ("sign-in-again", true, None, false),
        ("sign-in-again-wrong", true, Some(NotSignedIn::Wrong), false),
    ] {
        let page = SignIn {
            again: again.then(|| Label::words(&say("olga@acme.dev"))),
            email: say("olga@acme.dev"),
            elsewhere: if development {
                Vec::new()
            } else {
                vec![("acme".to_owned(), Label::name(&say("Acme accounts")))]
            },
            passkey: (!development).then(passkey),
            with_passphrase: name != "sign-in-again",
            to: "/account".to_owned(),
            refused,
            development,
            host: host(),
            form: form("/login"),
        };
        all.push((name, page.render()));
    }
    let out = SignOut { email: Label::words(&say("olga@acme.dev")), host: host(), form: form("/logout") };
    all.push(("sign-out", out.render()));
    let refused = Refused {
        status: StatusCode::UNPROCESSABLE_ENTITY,
        message: Label::words(&say("keys/bot has nothing to install.")),
        next: vec![(
            Label::words(&say("carnet token keys/bot --subject app")),
            Label::words(&say("to ask for a token at once")),
        )],
        code: "unresolved_token",
        host: host(),
    };
    all.push(("refused", refused.render()));
    for (name, refused) in [
        ("login-code", None),
        ("login-code-unknown", Some(NoSuchCode::Unknown)),
        ("login-code-wait", Some(NoSuchCode::Wait(9))),
    ] {
        all.push((name, EnterLoginCode { refused, host: host() }.render()));
    }
    for (name, teams) in [("login-confirm", 1), ("login-confirm-teams", 3)] {
        let team = |n: usize| (format!("team_4Kd0aTwXyZ3kLmN8bVc2D{n}"), Label::name(&say("Acme")));
        let page = ConfirmLogin {
            program: Label::name("Vercel command line"),
            asked_from: Label::words(&say("203.0.113.7, vercel 60.1.3 node-v22 linux (x64)")),
            age: Duration::from_secs(40),
            code: Label::name("WDJB-MJHT"),
            email: Label::words(&say("olga@acme.dev")),
            teams: (0..teams).map(team).collect(),
            host: host(),
            form: form("/login/device"),
        };
        all.push((name, page.render()));
    }
    for (name, allowed) in [("login-allowed", true), ("login-denied", false)] {
        let page = LoginDecided { program: Label::name("Vercel command line"), allowed, host: host() };
        all.push((name, page.render()));
    }
    for (name, done, error, has_passphrase) in [
        ("account", None, None, true),
        ("account-changed", Some(AccountDone::Passphrase), None, true),
        ("account-ended", Some(AccountDone::Ended), None, false),
        ("account-wrong", None, Some("A passphrase has at least 15 characters.".to_owned()), true),
    ] {
        let line = |n: u8, browser: &str, this| SessionLine {
            id: format!("ses_4Kd0aTwXyZ3kLmN8bVc2D{n}"),
            browser: BrowserName::read(&say(browser)),
            means: Label::words(&say("passphrase")),
            used: "7 minutes ago".to_owned(),
            this,
        };
        let page = MyAccount {
            name: Label::name(&say("Olga Petrova")),
            email: Label::words(&say("olga@acme.dev")),
            teams: vec![(Label::name(&say("Acme")), "owner")],
            operates: has_passphrase,
            has_passphrase,
            present: Entry::default(),
            passphrase: Entry { value: String::new(), error },
            done,
            sessions: vec![
                line(1, "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0", true),
                line(2, "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X)", false),
            ],
            passkey: has_passphrase.then(passkey),
            handle: "T5NqTZ6TP47bpAAAAAAAAA".to_owned(),
            passkeys: if has_passphrase {
                let key = |n: u8, synced, used| PasskeyLine {
                    id: format!("pky_4Kd0aTwXyZ3kLmN8bVc2D{n}"),
                    name: Label::name(&say("The laptop")),
                    synced,
                    used,
                };
                vec![key(1, true, Some("2 hours ago".to_owned())), key(2, false, None)]
            } else {
                Vec::new()
            },
            elsewhere: if has_passphrase {
                vec![("acme".to_owned(), Label::name(&say("Acme accounts")))]
            } else {
                Vec::new()
            },
            links: if has_passphrase {
                vec![LinkLine {
                    issuer: "https://accounts.acme.dev".to_owned(),
                    subject: "248289761001".to_owned(),
                    label: Label::name(&say("Acme accounts")),
                    shown: Label::words(&say("olga@acme.dev")),
                }]
            } else {
                Vec::new()
            },
            command_lines: if has_passphrase {
                vec![CommandLineLine {
                    id: "cli_4Kd0aTwXyZ3kLmN8bVc2D7".to_owned(),
                    program: Label::name(&say("Vercel command line")),
                    asked_from: Label::words(&say("203.0.113.7, vercel 60.1.3 node-v22 linux (x64)")),
                    used: "2 hours ago".to_owned(),
                }]
            } else {
                Vec::new()
            },
            host: host(),
            token: Secret::new("form-token-of-this-browser".to_owned()),
        };
        all.push((name, page.render()));
    }

    let application = |service: &str, configured| ApplicationLine {
        service: service.to_owned(),
        name: Label::words(&say(service)),
        way: Label::words(&say("app")),
        whose: Label::words(&say("all teams")),
        connectors: if configured { 1 } else { 12 },
        data: vec![(Label::words(&say("clientId")), Label::words(&say("8423.9911")))],
        sealed: Label::words(&say("clientSecret, signingSecret")),
        redirect_uri: Some(Label::words(&say("https://connect.acme.dev/callback/slack"))),
        configured,
        overridden: false,
        has_secret: true,
    };
    let applications = |all, fresh, done, refused: Option<&str>| {
        let typed = ApplicationTyped {
            service: Entry {
                value: if refused.is_some() { say("gitlab") } else { String::new() },
                error: None,
            },
            ..ApplicationTyped::default()
        };
        let token = Secret::new("form-token-of-this-browser".to_owned());
        let refused = refused.map(|text| Label::words(&say(text)));
        Applications { all, fresh, done, refused, typed, host: host(), token }
    };
    let both = || vec![application("slack", false), application("github", true)];
    all.push(("applications", applications(both(), true, Some(ApplicationDone::Turned), None).render()));
    let none = applications(Vec::new(), true, None, Some("There is an application for gitlab already."));
    all.push(("applications-refused", none.render()));
    all.push(("applications-stale", applications(both(), false, None, None).render()));
}

/// The first sample, to be changed.
pub(crate) fn consent(say: &dyn Fn(&str) -> String, stage: Stage) -> Consent {
    Consent {
        request: request(say, stage),
        asked: vec![
            known(say, "read", "Read issues, projects and comments you can see"),
            known(say, "issues:create", "Create issues"),
            known(say, "comments:create", "Write comments"),
        ],
        already: Vec::new(),
        token_life: Some(Duration::from_hours(1)),
        provider: None,
    }
}

fn request(say: &dyn Fn(&str) -> String, stage: Stage) -> Request {
    Request {
        id: "car_4Kd0aTwXyZ3kLmN8bVc2D1".to_owned(),
        app: Label::name(&say("Support Agent")),
        team: Label::name(&say("Acme")),
        stage,
        service: Label::name(&say("Linear")),
        picture: None,
        monogram: Monogram::of("#5E6AD2"),
        connector: Label::name(&say("linear/support")),
        whose: Whose::NamedByApp(Label::words(&say("customer-48213"))),
        device_code: None,
        by_code: false,
        age: Duration::from_secs(150),
        returns_to: Some(Label::name(&say("agent.acme.dev"))),
        host: Label::name("connect.acme.dev"),
        form: form("/authorize/car_4Kd0aTwXyZ3kLmN8bVc2D1"),
    }
}

fn known(say: &dyn Fn(&str) -> String, scope: &str, can: &str) -> Permission {
    let words = Words { can: Label::words(&say(can)), deletes: false, manages: false, sure: true };
    Permission { scope: Label::name(&say(scope)), words: Some(words) }
}

fn form(action: &str) -> Form {
    Form { action: action.to_owned(), token: Secret::new("form-token-of-this-browser".to_owned()) }
}

/// An address whose query is from outside.
fn address(url: &str, say: &dyn Fn(&str) -> String) -> Option<Url> {
    let mut url = Url::parse(url).ok()?;
    url.set_query(Some(&say("state=1")));
    Some(url)
}

fn staging() -> Slug {
    Slug::near("staging", "staging")
}

const INSTRUCTIONS: &str = "Linear calls these **personal API keys**.\n\n1. Open [Security & access](https://linear.app/settings/account/security).\n2. Choose **New API key** and call it `acme-support`.\n3. Give it `Read` only, and copy it.\n\nKeys begin with `lin_api_`. More at https://linear.app/developers.";
