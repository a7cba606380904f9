//! Signing in to an app with a connector: the app, the person with a browser, and whoever has something that is not theirs.

mod authorize;
mod cut;
mod registered;
mod tokens;
mod walk;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use carnet_testkit::{Answer, Browser, Engine, Kit, Plan};
use serde_json::{Value, json};
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

/// Where the app wants its people back; and with what it proves that it is the one that sent them (RFC 7636, appendix B).
const HOME: &str = "https://app.example/callback?tab=2";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A broker with a connector whose provider says whose account it is, and the address of an app of the first project.
struct World {
    kit: Kit,
    connector: String,
}

impl World {
    async fn start(engine: Engine) -> Self {
        let kit = Kit::start(engine, Plan::default()).await;
        let connector = Self::connect(&kit, "signs-in").await;
        let world = Self { kit, connector };
        world.register(&[(HOME, "production")]).await.ok();
        world
    }

    async fn connect(kit: &Kit, name: &str) -> String {
        let endpoint = format!("{}/api/me", kit.provider.issuer());
        kit.connect(name, json!({"account": {"endpoint": endpoint, "subject": "/sub", "name": "/name"}}))
            .await
    }

    fn registered_at(&self, project: &str) -> String {
        format!("/v1/connect/connectors/{}/projects/{project}/redirect-uris", self.connector)
    }

    async fn register(&self, uris: &[(&str, &str)]) -> Answer {
        let all: Vec<_> = uris.iter().map(|(uri, place)| json!({"uri": uri, "environment": place})).collect();
        let path = self.registered_at(&self.kit.tenant.project);
        self.kit.manage("PUT", &path, Some(&json!({"redirectUris": all}))).await
    }

    /// The link that an app makes, with these changes: a value, or none to leave the parameter out.
    fn link(&self, changes: &[(&str, Option<&str>)]) -> String {
        let mut params: Vec<(&str, String)> = vec![
            ("response_type", "code".to_owned()),
            ("client_id", self.connector.clone()),
            ("redirect_uri", HOME.to_owned()),
            ("scope", "openid profile email".to_owned()),
            ("state", "a state & more".to_owned()),
            ("code_challenge", CHALLENGE.to_owned()),
            ("code_challenge_method", "S256".to_owned()),
        ];
        for (name, value) in changes {
            params.retain(|(known, _)| known != name);
            params.extend(value.map(|value| (*name, value.to_owned())));
        }
        format!(
            "{}/oauth/authorize?{}",
            self.kit.url(),
            Serializer::new(String::new()).extend_pairs(params).finish()
        )
    }

    /// Goes to our page by the app's link.
    async fn page(&self, browser: &mut Browser, changes: &[(&str, Option<&str>)]) -> String {
        let answer = browser.get(&self.link(changes)).await;
        let to = answer.header("location").unwrap_or_else(|| panic!("{} {}", answer.status, answer.text()));
        assert!(answer.status == 303 && to.starts_with("/authorize/car_"), "{to}");
        format!("{}{to}", self.kit.url())
    }

    /// The whole walk as this person; what comes back is the address of the app.
    async fn walk(&self, person: &str, changes: &[(&str, Option<&str>)]) -> Url {
        let mut browser = Browser::default();
        let page = self.page(&mut browser, changes).await;
        let back = browser.consent(&page, person).await;
        assert_eq!(back.status, 303, "{}", back.text());
        Url::parse(back.header("location").unwrap()).unwrap()
    }

    async fn code(&self, person: &str) -> String {
        param(&self.walk(person, &[]).await, "code").unwrap()
    }

    /// A request of the app, which proves itself as a workload in production; `changes` to the form.
    async fn ask(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.ask_as(&self.connector, &self.kit.workload("production"), path, fields).await
    }

    async fn ask_as(&self, connector: &str, jwt: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let coded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let basic = BASE64_STANDARD.encode(format!("{}:{}", coded(connector), coded(jwt)));
        let basic = format!("Basic {basic}");
        let headers =
            [("authorization", basic.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        let form = Serializer::new(String::new()).extend_pairs(fields).finish();
        self.kit.http.send("POST", &format!("{}/oauth/{path}", self.kit.url()), &headers, form).await
    }

    async fn redeem(&self, code: &str) -> Answer {
        self.ask("token", &redemption(code)).await
    }

    async fn renew(&self, refresh: &str) -> Answer {
        self.ask("token", &[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await
    }

    /// Somebody who has signed in a moment ago.
    async fn signed_in(&self, person: &str) -> Value {
        let code = self.code(person).await;
        self.redeem(&code).await.ok()
    }

    async fn userinfo(&self, access: &Value) -> Answer {
        self.kit.node.call("GET", "/oauth/userinfo", access.as_str(), None).await
    }
}

fn redemption(code: &str) -> [(&str, &str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", HOME),
        ("code_verifier", VERIFIER),
    ]
}

fn param(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// What a JWT says.
#[track_caller]
fn claims(token: &Value) -> Value {
    let text = token.as_str().unwrap();
    let payload = text.split('.').nth(1).unwrap_or_else(|| panic!("no JWT: {text}"));
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}
