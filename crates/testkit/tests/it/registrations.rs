//! An application is registered at its provider in a browser: by the person who asked, in the browser that went there,
//! for the owner that was chosen, once; and nothing of it is copied by hand or shown.

mod events;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_testkit::{Answer, Browser, Engine, Kit, Plan, on_both_engines, unescaped};
use serde_json::{Value, json};
use url::Url;

use crate::installations::pem;
use crate::servers::peer::Peer;
use crate::sign_in::{PASSPHRASE, set_passphrase, signed_in, try_sign_in};

on_both_engines!(
    a_github_app_is_registered_from_a_manifest_and_installed,
    what_comes_back_from_elsewhere_or_for_somebody_else_makes_no_connector,
    a_slack_app_is_made_with_a_token_that_is_not_kept,
    a_registration_whose_process_is_gone_ends_with_what_became_of_it,
    who_does_not_want_an_application_says_so_and_nobody_waits_for_it,
);

const MANAGED: &str = "/v1/connect/connectors/managed?autoinstall=true";
const CONVERSION: &str = "/app-manifests/c0de/conversions";

struct Scene {
    kit: Kit,
    github: Peer,
}

impl Scene {
    async fn start(engine: Engine) -> Self {
        let github = Peer::start();
        let origins = ["https://github.com", "https://api.github.com", "https://slack.com"];
        let origins = origins.map(|origin| (origin, github.url.clone())).to_vec();
        let kit = Kit::start(engine, Plan { origins, ..Plan::default() }).await;
        set_passphrase(&kit, &kit.tenant.user).await;
        github.now("/app", 200, json!({"id": 7, "slug": "bot", "client_id": "Iv1.bot", "name": "Bot"}));
        Self { kit, github }
    }

    /// What GitHub gives for the code.
    fn gives(&self, owner: &str) {
        let app = json!({"id": 7, "slug": "bot", "name": "Bot", "client_id": "Iv1.bot", "client_secret": "app-s3cret",
            "webhook_secret": null, "pem": pem(), "html_url": "https://github.com/apps/bot", "owner": {"login": owner}});
        self.github.now(CONVERSION, 201, app);
    }

    async fn asks(&self, name: &str, more: Value) -> Answer {
        let mut body = json!({"service": "github", "name": name, "projectId": self.kit.tenant.project});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.kit.manage("POST", MANAGED, Some(&body)).await
    }

    /// The page of a registration, and the verifier of its outcome.
    async fn begin(&self, name: &str) -> (String, String) {
        let refused = self.asks(name, json!({})).await;
        assert_eq!(refused.refusal(), (422, "registration_required".to_owned()));
        let error = refused.json()["error"].clone();
        let text = |name: &str| error[name].as_str().unwrap().to_owned();
        (text("registerUrl"), text("verifier"))
    }

    async fn result(&self, verifier: &str) -> Value {
        self.kit.manage("GET", &format!("/v1/connect/result/{verifier}"), None).await.ok()
    }

    /// Fills in the page; what comes back is the page that leads to GitHub.
    async fn chooses(&self, browser: &mut Browser, page: &str, owner: &str) -> Answer {
        self.chooses_with(browser, page, owner, &[]).await
    }

    async fn chooses_with(
        &self,
        browser: &mut Browser,
        page: &str,
        owner: &str,
        more: &[(&str, &str)],
    ) -> Answer {
        let shown = browser.get(page).await;
        assert_eq!(shown.status, 200, "{}", shown.text());
        let token = shown.hidden("form_token");
        let mut fields = vec![
            ("form_token", token.as_str()),
            ("name", "Bot"),
            ("owner", owner),
            ("scopes", "contents:read"),
        ];
        fields.extend(more);
        browser.post(page, &fields).await
    }

    /// The address to which GitHub leads back.
    fn back(&self, leaving: &Answer) -> String {
        let (_, state) = form_of(leaving);
        format!("{}/register/callback?code=c0de&state={state}", self.kit.url())
    }
}

/// Where the form of a page leads, and its state.
fn form_of(page: &Answer) -> (Url, String) {
    let text = page.text();
    let action = text.split("<form method=\"post\" action=\"").nth(1).and_then(|rest| rest.split('"').next());
    let to = Url::parse(&unescaped(action.unwrap_or_else(|| panic!("no form: {text}")))).unwrap();
    let state = to.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    (to, state)
}

async fn a_github_app_is_registered_from_a_manifest_and_installed(engine: Engine) {
    let scene = Scene::start(engine).await;
    let kit = &scene.kit;
    let (page, verifier) = scene.begin("bot").await;
    assert_eq!(scene.result(&verifier).await, json!({"status": "pending"}));

    let mut browser = signed_in(kit).await;
    let leaving = scene.chooses(&mut browser, &page, "acme").await;
    let (to, _) = form_of(&leaving);
    assert_eq!(to.path(), "/organizations/acme/settings/apps/new");
    let policy = leaving.header("content-security-policy").unwrap();
    assert!(policy.contains(&format!("form-action 'self' {}", scene.github.url)), "{policy}");
    let manifest: Value = serde_json::from_str(&leaving.hidden("manifest")).unwrap();
    let callback = manifest["callback_urls"][0].as_str().unwrap().to_owned();
    assert_eq!(manifest["redirect_url"], format!("{}/register/callback", kit.url()));
    assert_eq!(manifest["default_permissions"], json!({"contents": "read"}));
    assert_eq!(
        manifest["public"],
        json!(false),
        "its owner alone installs it, unless somebody says otherwise"
    );
    let (other, _) = scene.begin("of-many").await;
    let of_many = scene.chooses_with(&mut browser, &other, "acme", &[("shared", "yes")]).await;
    let manifest: Value = serde_json::from_str(&of_many.hidden("manifest")).unwrap();
    assert_eq!(manifest["public"], json!(true));

    scene.gives("Acme");
    let back = scene.back(&leaving);
    let done = browser.get(&back).await;
    let on = done.header("location").unwrap_or_else(|| panic!("{}", done.text())).to_owned();
    assert!(on.starts_with("/api/v1/connect/install/scl_"), "installation comes next: {on}");
    let again = browser.get(&back).await;
    assert_eq!(again.header("location"), Some(on.as_str()), "a reload makes nothing anew");
    let conversions = scene.github.lines(CONVERSION);
    assert_eq!(conversions.len(), 1, "a code is redeemed once: {conversions:?}");

    // The connector is complete, linked, and shows no secret.
    let result = scene.result(&verifier).await;
    let id = result["data"]["clientId"].as_str().unwrap_or_else(|| panic!("{result}")).to_owned();
    let shown = kit.manage("GET", &format!("/v1/connect/connectors/{id}"), None).await;
    for secret in ["app-s3cret", "PRIVATE KEY"] {
        assert!(!shown.text().contains(secret) && !done.text().contains(secret));
        assert!(kit.events().await.iter().all(|event| !event.to_string().contains(secret)));
    }
    let shown = shown.ok();
    assert_eq!((&shown["type"], &shown["uid"]), (&json!("github"), &json!("github/bot")));
    assert_eq!((&shown["data"]["appId"], &shown["creationMode"]), (&json!(7), &json!("manual")));
    assert_eq!(shown["redirectUri"], callback, "what was registered is what will be used");
    kit.manage("GET", &format!("/v1/connect/connectors/{id}/projects/{}", kit.tenant.project), None)
        .await
        .ok();

    // And it goes on to GitHub's page for the installation.
    let request = browser.get(&format!("{}{on}", kit.url())).await.header("location").unwrap().to_owned();
    let away = browser.leave(&format!("{}{request}", kit.url())).await;
    assert!(away.contains("/apps/bot/installations/new"), "{away}");
    let ended = kit.events_of("registration.complete").await;
    assert_eq!((ended.len(), &ended[0]["outcome"]), (1, &json!("success")));

    // The same create under its own code finds what was made, as the official command line repeats it.
    let own = "a-verifier-of-the-official-command-line";
    let code = URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, own.as_bytes()));
    let first = scene.asks("other", json!({"request_code": code})).await.json()["error"].clone();
    let second = scene.asks("other", json!({"request_code": code})).await.json()["error"].clone();
    assert_eq!((&first["registerUrl"], first.get("verifier")), (&second["registerUrl"], None));
    assert_eq!(scene.result(own).await["status"], "pending");
    let taken = scene.asks("bot", json!({})).await;
    assert_eq!(taken.refusal(), (409, "conflict".to_owned()));
}

async fn what_comes_back_from_elsewhere_or_for_somebody_else_makes_no_connector(engine: Engine) {
    let scene = Scene::start(engine).await;
    let kit = &scene.kit;
    let other = kit.another_tenant("globex").await;
    set_passphrase(kit, &other.user).await;
    let (page, verifier) = scene.begin("bot").await;
    scene.gives("acme");

    // Nobody but the person who asked sees the page, signed in.
    let stranger = Browser::default().get(&page).await;
    assert!(stranger.header("location").unwrap().starts_with("/login?to="), "{}", stranger.text());
    let mut them = Browser::default();
    try_sign_in(kit, &mut them, "owner@globex.example", PASSPHRASE).await;
    assert_eq!(them.get(&page).await.status, 404);

    // Another browser of the same person does not end what this one began; a made-up state ends nothing.
    let mut browser = signed_in(kit).await;
    let leaving = scene.chooses(&mut browser, &page, "acme").await;
    let back = scene.back(&leaving);
    let mut elsewhere = signed_in(kit).await;
    for (who, url) in [
        (&mut elsewhere, back.clone()),
        (&mut them, back.clone()),
        (&mut browser, format!("{}/register/callback?code=c0de&state=made-up", kit.url())),
    ] {
        let answer = who.get(&url).await;
        assert_eq!(answer.status, 404, "{url}: {}", answer.text());
    }
    assert!(scene.github.lines(CONVERSION).is_empty(), "no code was spent");

    // A form from elsewhere goes nowhere, and what GitHub would not take is said at the field.
    let refused =
        browser.post(&page, &[("form_token", "x"), ("name", "Bot"), ("scopes", "contents:read")]).await;
    assert_eq!(refused.status, 403);
    let token = browser.get(&page).await.hidden("form_token");
    for (owner, scopes) in [("a/b", "contents:read"), ("", "contents:everything"), ("", "")] {
        let fields = [("form_token", token.as_str()), ("name", "Bot"), ("owner", owner), ("scopes", scopes)];
        assert_eq!(browser.post(&page, &fields).await.status, 422, "{owner:?} {scopes:?}");
    }

    // For another owner than was chosen no connector is made; the person is told what to delete.
    scene.gives("mallory");
    let told = browser.get(&back).await;
    assert!(told.status == 422 && told.text().contains("mallory"), "{}", told.text());
    let result = scene.result(&verifier).await;
    assert_eq!((&result["status"], &result["error"]["code"]), (&json!("error"), &json!("invalid_connector")));
    assert_eq!(browser.get(&page).await.status, 410, "it is over");

    // A lost answer leaves an application without a connector, and the page says so, and how to go on.
    for (name, status, answer) in [
        ("lost", 502, json!({})),
        ("odd", 500, json!("<html>")),
        ("cut", 201, json!("not what was asked for")),
    ] {
        let (page, verifier) = scene.begin(name).await;
        let leaving = scene.chooses(&mut browser, &page, "").await;
        assert_eq!(form_of(&leaving).0.path(), "/settings/apps/new");
        scene.github.now(CONVERSION, status, answer);
        let told = browser.get(&scene.back(&leaving)).await;
        assert_eq!(told.status, 503, "{name}: {}", told.text());
        for said in
            ["is registered at github", "Make a new key", "delete it and begin anew", "--data @file.json"]
        {
            assert!(told.text().contains(said), "{name}: {said}: {}", told.text());
        }
        assert!(!told.text().contains("busy or stopping"), "{name}: {}", told.text());
        let result = scene.result(&verifier).await;
        assert_eq!(result["error"]["code"], "provider_unavailable", "{result}");
        assert!(result["error"]["message"].as_str().unwrap().contains("Make a new key"), "{result}");
    }

    // A code that GitHub does not take any more.
    let (page, verifier) = scene.begin("late").await;
    let leaving = scene.chooses(&mut browser, &page, "").await;
    scene.github.now(CONVERSION, 404, json!({"message": "Not Found"}));
    browser.get(&scene.back(&leaving)).await;
    assert_eq!(scene.result(&verifier).await["error"]["code"], "provider_refused");
    let listed = kit.manage("GET", "/v1/connect/connectors?service=github", None).await.ok();
    assert_eq!(listed["clients"], json!([]));
    assert!(kit.events().await.iter().all(|event| !event.to_string().contains("app-s3cret")));
}

async fn who_does_not_want_an_application_says_so_and_nobody_waits_for_it(engine: Engine) {
    let scene = Scene::start(engine).await;
    let (page, verifier) = scene.begin("bot").await;
    let mut browser = signed_in(&scene.kit).await;
    let leaving = scene.chooses(&mut browser, &page, "acme").await;
    let shown = browser.get(&page).await;
    assert!(shown.text().contains(">Cancel</button>"), "{}", shown.text());
    let token = shown.hidden("form_token");
    let no = [("form_token", token.as_str()), ("decision", "deny")];
    let said = browser.post(&page, &no).await;
    assert!(said.status == 200 && said.text().contains("<h1>Cancelled</h1>"), "{}", said.text());
    assert_eq!(scene.result(&verifier).await, json!({"status": "canceled"}));
    assert_eq!(browser.post(&page, &no).await.status, 410, "it is over");
    // Whoever went to the provider before comes back in vain.
    scene.gives("Acme");
    browser.get(&scene.back(&leaving)).await;
    assert!(scene.github.lines(CONVERSION).is_empty());
    assert_eq!(scene.result(&verifier).await, json!({"status": "canceled"}));
    let ended = scene.kit.events_of("registration.complete").await;
    assert_eq!((ended.len(), &ended[0]["detail"]["code"]), (1, &json!("canceled")));
}

async fn a_slack_app_is_made_with_a_token_that_is_not_kept(engine: Engine) {
    let scene = Scene::start(engine).await;
    let (kit, slack) = (&scene.kit, &scene.github);
    slack.now("/api/oauth.v2.access", 200, json!({"ok": false, "error": "invalid_code"}));
    let refused = scene.asks("team-bot", json!({"service": "slack"})).await;
    assert_eq!(refused.refusal(), (422, "registration_required".to_owned()));
    let page = refused.json()["error"]["registerUrl"].as_str().unwrap().to_owned();
    let mut browser = signed_in(kit).await;
    let shown = browser.get(&page).await;
    assert!(
        shown.text().contains("https://api.slack.com/apps?new_app=1&#38;manifest_json="),
        "{}",
        shown.text()
    );
    let token = shown.hidden("form_token");
    let fill = |configuration: &'static str| {
        [
            ("form_token", token.clone()),
            ("name", "Bot".to_owned()),
            ("scopes", "chat:write channels:read".to_owned()),
            ("token", configuration.to_owned()),
        ]
    };
    let post = async |browser: &mut Browser, fields: [(&str, String); 4]| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        browser.post(&page, &fields).await
    };
    let create = "/api/apps.manifest.create";
    // A token that Slack does not take can be given again; what it finds wrong is quoted.
    for (error, says) in [
        (json!({"ok": false, "error": "token_expired"}), "twelve hours"),
        (
            json!({"ok": false, "error": "invalid_manifest", "errors": [{"message": "no", "pointer": "/x"}]}),
            "at /x",
        ),
    ] {
        slack.now(create, 200, error);
        let wrong = post(&mut browser, fill("xoxe.xoxp-wrong")).await;
        assert_eq!(wrong.status, 422, "{}", wrong.text());
        assert!(wrong.text().contains(says) && !wrong.text().contains("xoxe.xoxp-wrong"), "{}", wrong.text());
    }
    slack.seen(create);
    slack.now(
        create,
        200,
        json!({"ok": true, "app_id": "A123", "credentials": {"client_id": "1.2", "client_secret": "app-s3cret",
            "signing_secret": "signing-s3cret", "verification_token": "v"}}),
    );
    let done = post(&mut browser, fill("xoxe.xoxp-right")).await;
    assert!(done.header("location").unwrap().starts_with("/api/v1/connect/install/scl_"), "{}", done.text());
    let sent = slack.seen(create);
    assert_eq!(sent[0].bearer.as_deref(), Some("Bearer xoxe.xoxp-right"));
    let manifest: Value = serde_json::from_str(&sent[0].field("manifest").unwrap()).unwrap();
    assert_eq!(manifest["oauth_config"]["scopes"]["bot"], json!(["channels:read", "chat:write"]));
    let listed = kit.manage("GET", "/v1/connect/connectors?service=slack", None).await;
    let made = listed.json()["clients"][0].clone();
    assert_eq!((&made["data"]["appId"], &made["data"]["clientId"]), (&json!("A123"), &json!("1.2")));
    assert_eq!(manifest["oauth_config"]["redirect_urls"], json!([made["redirectUri"]]));
    for secret in ["xoxe.xoxp-right", "app-s3cret", "signing-s3cret"] {
        assert!(!listed.text().contains(secret), "{secret}");
        assert!(kit.events().await.iter().all(|event| !event.to_string().contains(secret)), "{secret}");
    }
    // Over the API the same takes one call.
    let data = json!({"configurationToken": "xoxe.xoxp-right", "botScopes": ["chat:write"]});
    let body = json!({"service": "slack", "name": "second", "type": "slack", "data": data});
    let made = kit.manage("POST", "/v1/connect/connectors", Some(&body)).await;
    assert!(!made.text().contains("xoxe"), "{}", made.text());
    assert_eq!(made.ok()["data"]["appId"], "A123");
}

async fn a_registration_whose_process_is_gone_ends_with_what_became_of_it(engine: Engine) {
    let mut scene = Scene::start(engine).await;
    // The connector was made, and nobody was left to say so.
    let (page, made) = scene.begin("bot").await;
    let mut browser = signed_in(&scene.kit).await;
    let leaving = scene.chooses(&mut browser, &page, "").await;
    scene.gives("octocat");
    let done = browser.get(&scene.back(&leaving)).await;
    assert_eq!(done.status, 303, "{}", done.text());
    let connector = scene.result(&made).await["data"]["clientId"].clone();
    // The code was on its way, and nobody knows what became of it.
    let (page, lost) = scene.begin("other").await;
    let leaving = scene.chooses(&mut browser, &page, "").await;
    let (_, waiting) = scene.begin("third").await;
    let leave = "update registrations set state = 'redeeming', connector = null, error_code = null";
    let Scene { kit, .. } = &mut scene;
    kit.clock.pass(std::time::Duration::from_mins(1));
    kit.restart(async |kit| {
        let raw = kit.raw().await;
        assert_eq!(raw.run(&format!("{leave} where state in ('done', 'sent')")).await, 2);
        // On a store that others may be at, nobody is taken for dead so soon.
        kit.clock.pass(std::time::Duration::from_mins(4));
    })
    .await;
    let found = scene.result(&made).await;
    assert_eq!((&found["status"], &found["data"]["clientId"]), (&json!("success"), &connector));
    let ended = scene.result(&lost).await;
    assert_eq!(
        (&ended["status"], &ended["error"]["code"]),
        (&json!("error"), &json!("provider_unavailable")),
        "{ended}"
    );
    assert!(ended.to_string().contains("was stopped while it took over"), "{ended}");
    assert_eq!(scene.result(&waiting).await, json!({"status": "pending"}), "what nobody took goes on");
    let events = scene.kit.events_of("registration.complete").await;
    let interrupted: Vec<_> = events.iter().filter(|event| event["detail"]["interrupted"] == true).collect();
    assert_eq!(interrupted.len(), 2, "{events:?}");

    // It is over: what comes back late makes nothing, and another begins anew.
    let late = browser.get(&scene.back(&leaving)).await;
    assert!(late.status >= 400, "{} {}", late.status, late.text());
    let again = scene.asks("other", json!({})).await;
    assert_eq!(again.refusal(), (422, "registration_required".to_owned()));
}
