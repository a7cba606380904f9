//! Installations: asked for, given by somebody at the provider, believed only if the provider confirms them, and what
//! tokens they have.

use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use carnet_testkit::{Answer, Browser, Engine, Http, Kit, Plan, Receiver, eventually, on_both_engines};
use serde_json::{Value, json};
use url::Url;

use crate::servers::peer::Peer;

on_both_engines!(
    an_application_is_installed_and_has_tokens_there_and_nowhere_else,
    an_installation_that_the_provider_does_not_confirm_is_not_recorded,
    an_installation_that_is_recorded_by_hand_is_looked_up,
    many_installations_are_asked_about_a_page_at_a_time,
    an_installation_takes_nobodys_grant_away,
    a_person_is_acted_for_beside_the_installations,
    an_installation_that_was_suspended_or_removed_is_told_of_when_it_is_met,
    a_removal_that_github_tells_of_is_believed_when_github_is_asked,
);

const REDEEM: &str = "/login/oauth/access_token";
const LISTED: &str = "/user/installations";
const HOOK_SECRET: &str = "what-github-signs-with";

/// A broker, GitHub as far as it is scripted, and a connector to it.
struct Scene {
    kit: Kit,
    github: Peer,
    connector: String,
}

impl Scene {
    async fn start(engine: Engine) -> Self {
        let github = Peer::start();
        let origins = ["https://github.com", "https://api.github.com"];
        let origins = origins.map(|origin| (origin, github.url.clone())).to_vec();
        let kit = Kit::start(engine, Plan { origins, ..Plan::default() }).await;
        github.now(
            "/app",
            200,
            json!({"id": 4242, "slug": "broker", "client_id": "Iv1.broker", "name": "Broker",
                "permissions": {"contents": "write", "metadata": "read", "members": "write"}}),
        );
        github.now(
            REDEEM,
            200,
            json!({"access_token": "ghu_installer", "token_type": "bearer", "scope": ""}),
        );
        github.now("/applications/Iv1.broker/token", 204, json!({}));
        let data = json!({"appId": 4242, "privateKeyPem": pem(), "clientSecret": "client-s3cret",
            "webhookSecret": HOOK_SECRET});
        let body = json!({"service": "github", "name": "app", "uid": "github/app", "type": "github", "data": data,
            "projectId": kit.tenant.project, "triggers": {"enabled": true}});
        let made = kit.manage("POST", "/v1/connect/connectors", Some(&body)).await.ok();
        assert!(!made.to_string().contains("PRIVATE KEY") && !made.to_string().contains("client-s3cret"));
        assert_eq!(made["supportsInstallation"], true);
        let connector = made["id"].as_str().unwrap().to_owned();
        Self { kit, github, connector }
    }

    /// What GitHub lists for whoever comes back.
    fn lists(&self, all: &[(u64, u64, &str)]) {
        let one = |(id, account, login): &(u64, u64, &str)| json!({"id": id, "app_id": 4242, "account": {"id": account, "login": login}});
        let all: Vec<Value> = all.iter().map(one).collect();
        self.github.now(LISTED, 200, json!({"total_count": all.len(), "installations": all}));
    }

    fn gives(&self, installation: u64, token: &str, more: Value) {
        let ends = "2200-01-01T00:00:00Z";
        let mut body = json!({"token": token, "expires_at": ends, "permissions": {"contents": "write"},
            "repository_selection": "all"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.github.now(&format!("/app/installations/{installation}/access_tokens"), 201, body);
    }

    async fn ask(&self, body: &Value) -> Answer {
        self.kit.node.token(&self.kit.workload("production"), &self.connector, body).await
    }

    async fn install(&self, more: Value) -> Value {
        let path = format!("/v1/connect/install/{}", self.connector);
        self.kit.manage("POST", &path, Some(&more)).await.ok()
    }

    /// Walks to GitHub and comes back with this query; the page in the end.
    async fn walk(&self, started: &Value, query: &str) -> Answer {
        let mut browser = Browser::default();
        let away = Url::parse(&browser.leave(started["url"].as_str().unwrap()).await).unwrap();
        assert_eq!(away.path(), "/apps/broker/installations/new");
        let state = away.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let back = format!("{}/callback/{}?state={state}&{query}", self.kit.url(), self.connector);
        browser.come_back(&back).await
    }

    async fn installs(&self, query: &str) -> Value {
        let started = self.install(json!({})).await;
        let page = self.walk(&started, query).await;
        assert!(page.text().contains("is installed in"), "{}", page.text());
        self.result(&started).await
    }

    async fn result(&self, started: &Value) -> Value {
        let path = format!("/v1/connect/result/{}", started["verifier"].as_str().unwrap());
        self.kit.manage("GET", &path, None).await.ok()
    }

    async fn recorded(&self) -> Vec<Value> {
        let path = format!("/v1/connect/connectors/{}/installations", self.connector);
        self.kit.manage("GET", &path, None).await.ok()["installations"].as_array().unwrap().clone()
    }
}

/// A key as GitHub gives it.
pub(crate) fn pem() -> String {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        BASE64_STANDARD.encode(der.as_ref())
    )
}

fn app() -> Value {
    json!({"subject": {"type": "app"}})
}

async fn an_application_is_installed_and_has_tokens_there_and_nowhere_else(engine: Engine) {
    let scene = Scene::start(engine).await;
    let missing = scene.ask(&app()).await;
    assert_eq!(missing.refusal(), (422, "client_installation_required".to_owned()));

    scene.lists(&[(100, 7, "acme"), (200, 8, "globex")]);
    let started = scene.install(json!({})).await;
    assert!(started["url"].as_str().unwrap().contains("/install/car_"), "{started}");
    let page = Browser::default().get(started["url"].as_str().unwrap()).await;
    assert!(page.text().contains("wants to be installed in"), "{}", page.text());
    assert!(!page.text().contains("act as you"), "{}", page.text());
    // What GitHub gives to each installation of this app, in words.
    for told in [
        "Read, change and delete the code",
        "Manage who belongs to an organization",
        "See which repositories",
    ] {
        assert!(page.text().contains(told), "{told}: {}", page.text());
    }
    let page = scene.walk(&started, "code=c1&installation_id=100&setup_action=install").await;
    assert!(page.text().contains("acme"), "{}", page.text());
    let result = scene.result(&started).await;
    let first = result["data"]["installationId"].as_str().unwrap().to_owned();
    assert_eq!((&result["status"], &first[..4]), (&json!("success"), "sci_"));

    scene.gives(100, "ghs_acme", json!({}));
    let token = scene.ask(&app()).await.ok();
    assert_eq!((token["token"].as_str(), token["tenantId"].as_str()), (Some("ghs_acme"), Some("7")));
    assert_eq!(token["installationId"], first);
    assert_eq!(token["metadata"]["permissions"], json!({"contents": "write"}));

    // A second organization: named by its installation, by the provider's number, or by the detail.
    let second = scene.installs("code=c2&installation_id=200&setup_action=install").await;
    let second = second["data"]["installationId"].as_str().unwrap();
    scene.gives(200, "ghs_globex", json!({}));
    let detail = json!([{"type": "github_app_installation", "org": "Globex"}]);
    for more in [
        json!({"installationId": second}),
        json!({"installationId": "200"}),
        json!({"authorizationDetails": detail}),
    ] {
        let mut body = app();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(scene.ask(&body).await.token(), "ghs_globex", "{more}");
    }
    assert_eq!(scene.ask(&app()).await.token(), "ghs_acme", "the first one stays the default");
    // What is revoked of one installation leaves the other's tokens.
    let tokens = format!("/v1/connect/connectors/{}/tokens", scene.connector);
    for body in [
        json!({"installationId": first, "subject": {"type": "app"}}),
        json!({"installationId": first, "all": true}),
    ] {
        assert_eq!(scene.ask(&app()).await.token(), "ghs_acme");
        scene.github.seen("/installation/token");
        let revoked = scene.kit.manage("DELETE", &tokens, Some(&body)).await.ok();
        assert_eq!((&revoked["tokensFound"], &revoked["deleted"]), (&json!(1), &json!(1)), "{body}");
        assert_eq!(scene.github.lines("/installation/token").len(), 1, "GitHub is told of one");
        scene.github.now("/app/installations/200/access_tokens", 500, json!({}));
        let kept = json!({"subject": {"type": "app"}, "installationId": second});
        assert_eq!(scene.ask(&kept).await.token(), "ghs_globex");
        scene.gives(200, "ghs_globex", json!({}));
        scene.gives(100, "ghs_acme", json!({}));
    }
    let other = json!([{"type": "github_app_installation", "org": "initech"}]);
    let refused = scene.ask(&json!({"subject": {"type": "app"}, "authorizationDetails": other})).await;
    assert_eq!(refused.refusal(), (422, "client_installation_required".to_owned()));

    // Installed once more it is the same installation.
    let again = scene.installs("code=c3&installation_id=100&setup_action=update").await;
    assert_eq!(again["data"]["installationId"], first);
    let recorded = scene.recorded().await;
    assert_eq!(recorded.len(), 2);
    assert!(recorded.iter().any(|one| one["tenantId"] == "7" && one["name"] == "acme" && one["id"] == first));
    let put = scene.kit.events_of("installation.put").await;
    assert_eq!(put.len(), 3);
    assert!(scene.kit.events().await.iter().all(|event| !event.to_string().contains("ghs_")));

    // Narrowing that GitHub does not keep to is refused, and what it gave is given back.
    scene.github.seen("/installation/token");
    let narrow = json!({"subject": {"type": "app"}, "scopes": ["contents:read"]});
    assert_eq!(scene.ask(&narrow).await.refusal(), (422, "invalid_target".to_owned()));
    assert_eq!(scene.github.lines("/installation/token"), ["DELETE /installation/token"]);
    scene.gives(100, "ghs_narrow", json!({"permissions": {"contents": "read", "metadata": "read"}}));
    assert_eq!(scene.ask(&narrow).await.token(), "ghs_narrow");

    // GitHub has lost the installation: the caller is told what to do.
    scene.github.now("/app/installations/200/access_tokens", 404, json!({"message": "Not Found"}));
    let gone = json!({"subject": {"type": "app"}, "installationId": second, "validityBufferMs": 86_400_000, "scopes": ["issues:read"]});
    let refused = scene.ask(&gone).await;
    assert_eq!(refused.refusal(), (422, "client_installation_required".to_owned()));
    assert_eq!(refused.json()["error"]["vendor"]["description"], "Not Found");
}

async fn an_installation_that_the_provider_does_not_confirm_is_not_recorded(engine: Engine) {
    let scene = Scene::start(engine).await;
    scene.lists(&[(100, 7, "acme")]);
    for (query, words) in [
        ("code=c&installation_id=666&setup_action=install", "was not connected"),
        (
            "installation_id=100&setup_action=install",
            "Request user authorization (OAuth) during installation",
        ),
        ("setup_action=request", "waits for an approval"),
    ] {
        let started = scene.install(json!({})).await;
        let page = scene.walk(&started, query).await;
        assert!(page.text().contains(words), "{query}: {}", page.text());
        let is_ours = page.text().contains("not an answer to this request");
        assert_eq!(is_ours, words == "was not connected", "{query}: {}", page.text());
        let result = scene.result(&started).await;
        assert_eq!(
            (&result["status"], &result["error"]["code"]),
            (&json!("error"), &json!("authorization_failed")),
            "{query}"
        );
    }
    assert_eq!(scene.recorded().await, [json!(null); 0]);
    assert_eq!(scene.kit.events_of("installation.put").await.len(), 0);
    // Neither does a workload that is not linked begin one, nor anybody at a connector that has nothing to install.
    let path = format!("/v1/connect/install/{}", scene.kit.connector);
    let refused = scene.kit.manage("POST", &path, Some(&json!({}))).await;
    assert_eq!(refused.refusal(), (422, "unresolved_token".to_owned()));
    let refused = scene
        .kit
        .manage(
            "POST",
            &format!("/v1/connect/install/{}", scene.connector),
            Some(&json!({"tenantId": "acme"})),
        )
        .await;
    assert_eq!(refused.refusal(), (422, "unresolved_token".to_owned()), "{}", refused.text());
}

async fn an_installation_that_is_recorded_by_hand_is_looked_up(engine: Engine) {
    let scene = Scene::start(engine).await;
    let path = format!("/v1/connect/connectors/{}/installations", scene.connector);
    let put = async |body: Value| scene.kit.manage("POST", &path, Some(&body)).await;
    scene.github.now(
        "/app/installations/100",
        200,
        json!({"id": 100, "account": {"id": 7, "login": "acme"}}),
    );
    for body in [json!({"externalId": "101"}), json!({"name": "acme"})] {
        let refused = put(body.clone()).await;
        assert_eq!(refused.refusal(), (400, "invalid_request".to_owned()), "{body}");
        assert_eq!(refused.json()["error"]["field"], "externalId");
    }
    let made = put(json!({"externalId": "100", "tenantId": "666", "name": "somebody else"})).await.ok();
    assert_eq!(
        (&made["tenantId"], &made["name"]),
        (&json!("7"), &json!("acme")),
        "what GitHub says, not what was sent"
    );
    scene.gives(100, "ghs_acme", json!({}));
    assert_eq!(scene.ask(&app()).await.token(), "ghs_acme");
}

async fn many_installations_are_asked_about_a_page_at_a_time(engine: Engine) {
    let scene = Scene::start(engine).await;
    let path = format!("/v1/connect/connectors/{}", scene.connector);
    for id in 100..103 {
        let about = format!("/app/installations/{id}");
        scene.github.now(
            &about,
            200,
            json!({"id": id, "account": {"id": id, "login": format!("acme-{id}")}}),
        );
        let body = json!({"externalId": id.to_string()});
        scene.kit.manage("POST", &format!("{path}/installations"), Some(&body)).await.ok();
    }
    scene.github.now("/app/installations/101", 404, json!({"message": "Not Found"}));
    let (mut seen, mut cursor, mut pages) = (Vec::new(), None::<String>, 0);
    loop {
        let after = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = scene.kit.manage("POST", &format!("{path}/check?limit=2{after}"), None).await.ok();
        let found = page["installations"].as_array().unwrap();
        assert!(found.len() <= 2, "{page}");
        let one = |one: &Value| (one["externalId"].clone(), one["standing"].clone());
        seen.extend(found.iter().map(one));
        pages += 1;
        cursor = page.get("cursor").map(|cursor| cursor.as_str().unwrap().to_owned());
        if cursor.is_none() {
            break;
        }
    }
    seen.sort_by_key(|(id, _)| id.to_string());
    let want = [("100", "holds"), ("101", "gone"), ("102", "holds")];
    assert_eq!(seen, want.map(|(id, standing)| (json!(id), json!(standing))));
    assert_eq!(pages, 2);
    let bad = scene.kit.manage("POST", &format!("{path}/check?cursor=usr_1"), None).await;
    assert_eq!(bad.refusal(), (400, "invalid_request".to_owned()));
}

async fn an_installation_that_was_suspended_or_removed_is_told_of_when_it_is_met(engine: Engine) {
    let scene = Scene::start(engine).await;
    let receiver = Receiver::start().await;
    let path = format!("/v1/projects/{}/health-webhook", scene.kit.tenant.project);
    scene.kit.manage("PUT", &path, Some(&json!({"url": receiver.url("/health")}))).await.ok();
    scene.lists(&[(100, 7, "acme")]);
    let made = scene.installs("code=c1&installation_id=100&setup_action=install").await;
    let installation = made["data"]["installationId"].clone();
    let check = async || {
        let path = format!("/v1/connect/connectors/{}/check", scene.connector);
        scene.kit.manage("POST", &path, None).await.ok()["installations"][0]["standing"].clone()
    };
    let at_github = |suspended: Value| json!({"id": 100, "account": {"id": 7, "login": "acme"}, "suspended_at": suspended});
    scene.github.now("/app/installations/100", 200, at_github(Value::Null));
    assert_eq!(check().await, "holds");

    // Tokens that were had before are remembered, and dead at GitHub from then on.
    scene.gives(100, "ghs_before", json!({}));
    assert_eq!(scene.ask(&app()).await.token(), "ghs_before");
    let beside = if scene.kit.is_shared() { Some(scene.kit.second_node().await) } else { None };
    let everywhere = async || {
        let mut answers = vec![scene.ask(&app()).await];
        if let Some(node) = &beside {
            answers.push(node.token(&scene.kit.workload("production"), &scene.connector, &app()).await);
        }
        answers
    };
    for answer in everywhere().await {
        assert_eq!(answer.token(), "ghs_before");
    }

    // Met by a token request: the caller has GitHub's words and what they mean, the project is told behind it, and once.
    scene.github.now("/app/installations/100", 200, at_github(json!("2026-11-30T00:00:00Z")));
    let words = json!({"message": "This installation has been suspended"});
    scene.github.now("/app/installations/100/access_tokens", 403, words);
    let refused = scene.ask(&json!({"subject": {"type": "app"}, "scopes": ["contents:read"]})).await;
    let error = &refused.json()["error"];
    assert_eq!(error["vendor"]["description"], "This installation has been suspended");
    assert_eq!(
        (&error["code"], &error["cause"]),
        (&json!("provider_refused"), &json!("suspended")),
        "{error}"
    );
    assert_eq!(error["next"][0]["command"], "carnet check github/app", "{error}");
    for answer in everywhere().await {
        assert_eq!(
            answer.refusal(),
            (422, "provider_refused".to_owned()),
            "what is dead is not served from memory"
        );
        assert_eq!(answer.json()["error"]["cause"], "suspended");
    }
    let told = receiver.at("/health").await.body;
    assert_eq!((&told["type"], &told["cause"]), (&json!("installation.broken"), &json!("suspended")));
    assert_eq!(told["installation"], json!({"id": installation, "externalId": "100", "name": "acme"}));
    assert_eq!(told.get("mend"), None, "only somebody at GitHub can end that");
    assert_eq!(check().await, "suspended");

    // The suspension ends, and with it the refusal.
    scene.github.now("/app/installations/100", 200, at_github(Value::Null));
    scene.gives(100, "ghs_after", json!({}));
    for answer in everywhere().await {
        assert_eq!(answer.token(), "ghs_after");
    }

    // Met by who asks.
    scene.github.now("/app/installations/100/access_tokens", 404, json!({"message": "Not Found"}));
    scene.github.now("/app/installations/100", 404, json!({"message": "Not Found"}));
    assert_eq!(check().await, "gone");
    for answer in everywhere().await {
        assert_eq!(answer.refusal(), (422, "client_installation_required".to_owned()));
        let error = &answer.json()["error"];
        assert_eq!(error["cause"], "uninstalled", "{error}");
        assert_eq!(error["next"][0]["command"], "carnet token github/app --subject app --yes", "{error}");
    }
    let forgotten = scene.kit.events_of("token.revoke").await;
    assert!(forgotten.iter().any(|event| event["detail"]["cause"] == "suspended"), "{forgotten:?}");
    assert!(forgotten.iter().any(|event| event["detail"]["cause"] == "uninstalled"), "{forgotten:?}");
    let told = receiver.count_at("/health", 2).await[1].body.clone();
    assert_eq!(
        (&told["cause"], told["mend"]["url"].as_str().unwrap()),
        (
            &json!("uninstalled"),
            format!(
                "{}/api/v1/connect/install/github%2Fapp?teamId={}",
                scene.kit.url(),
                scene.kit.tenant.team
            )
            .as_str(),
        )
    );
    assert_eq!(check().await, "gone");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(receiver.count(), 2, "each once");
    if let Some(mut node) = beside {
        node.stop().await;
    }
}

async fn a_removal_that_github_tells_of_is_believed_when_github_is_asked(engine: Engine) {
    let scene = Scene::start(engine).await;
    let receiver = Receiver::start().await;
    let path = format!("/v1/projects/{}/health-webhook", scene.kit.tenant.project);
    scene.kit.manage("PUT", &path, Some(&json!({"url": receiver.url("/health")}))).await.ok();
    scene.lists(&[(100, 7, "acme")]);
    scene.installs("code=c1&installation_id=100&setup_action=install").await;
    let tells = async |delivery: &str, action: &str| {
        let body = json!({"action": action, "installation": {"id": 100}}).to_string();
        let key = hmac::Key::new(hmac::HMAC_SHA256, HOOK_SECRET.as_bytes());
        let tag = hmac::sign(&key, body.as_bytes());
        let proof =
            tag.as_ref().iter().fold("sha256=".to_owned(), |text, byte| text + &format!("{byte:02x}"));
        let url = format!("{}/connect/trigger/{}", scene.kit.url(), scene.connector);
        let headers = [
            ("content-type", "application/json"),
            ("x-github-event", "installation"),
            ("x-github-delivery", delivery),
            ("x-hub-signature-256", proof.as_str()),
        ];
        assert_eq!(Http::default().send("POST", &url, &headers, body).await.status, 200);
    };
    let asked = async |times: usize| {
        let all = eventually("GitHub is asked", async || {
            Some(scene.kit.events_of("connector.check").await).filter(|all| all.len() >= times)
        });
        all.await[times - 1]["detail"].clone()
    };

    // It was removed, says the event, and is there, says GitHub.
    let there = json!({"id": 100, "account": {"id": 7, "login": "acme"}, "suspended_at": null});
    scene.github.now("/app/installations/100", 200, there);
    tells("d1", "deleted").await;
    let told = asked(1).await;
    for (name, said) in [
        ("signal", json!("uninstalled")),
        ("tenant", json!("100")),
        ("installations", json!(1)),
        ("broken", json!(0)),
    ] {
        assert_eq!(told[name], said, "{told}");
    }
    assert_eq!(receiver.count(), 0);

    scene.github.now("/app/installations/100", 404, json!({"message": "Not Found"}));
    scene.kit.clock.pass(Duration::from_mins(2));
    tells("d2", "deleted").await;
    assert_ne!(asked(2).await["broken"], 0);
    let told = receiver.at("/health").await.body;
    assert_eq!((&told["type"], &told["cause"]), (&json!("installation.broken"), &json!("uninstalled")));
}

async fn a_person_is_acted_for_beside_the_installations(engine: Engine) {
    let scene = Scene::start(engine).await;
    let alice = json!({"subject": {"type": "user", "id": "alice"}});
    assert_eq!(scene.ask(&alice).await.refusal(), (422, "user_authorization_required".to_owned()));
    scene.github.now("/user", 200, json!({"id": 583_231, "login": "octocat"}));
    let tokens = |number: u8| {
        json!({"access_token": format!("ghu_{number}"), "expires_in": 28800, "refresh_token": format!("ghr_{number}"),
            "refresh_token_expires_in": 15_811_200, "scope": "", "token_type": "bearer"})
    };
    scene.github.now(REDEEM, 200, tokens(1));
    let path = format!("/v1/connect/authorize/{}", scene.connector);
    let bearer = scene.kit.workload("production");
    let started = scene.kit.node.call("POST", &path, Some(&bearer), Some(&alice)).await.ok();
    let mut browser = Browser::default();
    let away = Url::parse(&browser.leave(started["url"].as_str().unwrap()).await).unwrap();
    assert_eq!(away.path(), "/login/oauth/authorize");
    let state = away.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let back = format!("{}/callback/{}?state={state}&code=c", scene.kit.url(), scene.connector);
    assert!(browser.come_back(&back).await.text().contains("octocat"));
    let token = scene.ask(&alice).await.ok();
    assert_eq!((&token["token"], &token["name"]), (&json!("ghu_1"), &json!("octocat")));
    assert_eq!(token.get("installationId"), None);
    scene.github.now(REDEEM, 200, tokens(2));
    scene.github.seen(REDEEM);
    scene.kit.clock.pass(Duration::from_hours(1));
    let anew = json!({"subject": {"type": "user", "id": "alice"}, "validityBufferMs": 86_400_000});
    assert_eq!(scene.ask(&anew).await.token(), "ghu_2");
    assert_eq!(
        scene.github.lines(REDEEM),
        [format!("POST {REDEEM}")],
        "one refresh, however long a life is wanted"
    );
    assert_eq!(scene.ask(&alice).await.token(), "ghu_2", "the one before is dead");
    let bound = json!({"subject": {"type": "user", "id": "alice"}, "installationId": "100"});
    assert_eq!(scene.ask(&bound).await.refusal(), (400, "invalid_request".to_owned()));
}

async fn an_installation_takes_nobodys_grant_away(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    let path = format!("/v1/connect/connectors/{}", kit.connector);
    let installations = format!("{path}/installations");
    let nowhere = kit.manage("POST", &installations, Some(&json!({}))).await;
    assert_eq!(nowhere.refusal(), (422, "unresolved_token".to_owned()));
    kit.manage("POST", &installations, Some(&json!({"tenantId": "acme"}))).await.ok();
    assert_eq!(kit.manage("GET", &path, None).await.ok().get("defaultInstallationId"), None);
    kit.user_token("alice").await.token();
}
