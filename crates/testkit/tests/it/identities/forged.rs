//! Forged tokens over HTTP: refused with the envelope of every refusal, without a fetch, and not kept anywhere. What each
//! rule of the parser refuses is tried by the hundreds in the tests of `carnet-identity`; these are some of each kind, and
//! what only a whole server can get wrong.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_identity::Algorithm;
use carnet_testkit::{Engine, Issuer, Kit, Logs, Plan, Receiver};
use serde_json::{Value, json};

use super::{app, claims, trust};

const ES: Algorithm = Algorithm::Es256;

struct Forger<'a> {
    kit: &'a Kit,
    issuer: &'a Issuer,
    /// Where a server would go that took addresses from tokens.
    bait: &'a Receiver,
}

impl Forger<'_> {
    /// The good payload, as text, with these claims changed.
    fn payload(&self, changes: &[(&str, Value)]) -> String {
        serde_json::to_string(&claims(self.kit, self.issuer, changes)).unwrap()
    }

    fn head(&self, changes: &[(&str, Value)]) -> Value {
        let mut head = json!({"alg": "ES256", "typ": "JWT", "kid": "es256"});
        for (name, value) in changes {
            head[name] = value.clone();
        }
        head
    }

    fn with_head(&self, changes: &[(&str, Value)]) -> String {
        self.issuer.raw(ES, self.head(changes).to_string().as_bytes(), self.payload(&[]).as_bytes())
    }

    fn with_claims(&self, changes: &[(&str, Value)]) -> String {
        self.issuer.raw(ES, self.head(&[]).to_string().as_bytes(), self.payload(changes).as_bytes())
    }

    fn with_text(&self, payload: &str) -> String {
        self.issuer.raw(ES, self.head(&[]).to_string().as_bytes(), payload.as_bytes())
    }

    fn headers(&self, out: &mut Vec<(String, String)>) {
        let url = |path: &str| json!(self.bait.url(path));
        for alg in ["none", "None", "NONE", "nOnE", "HS256", "HS512", "RS512", "es256", "ES256K", ""] {
            out.push((format!("alg {alg:?}"), self.with_head(&[("alg", json!(alg))])));
        }
        for (name, value) in [
            ("jku", url("/jku")),
            ("x5u", url("/x5u")),
            ("jwk", self.issuer.jwks()["keys"][0].clone()),
            ("x5c", json!(["MIIB"])),
            ("crit", json!(["exp"])),
            ("crit", json!(["b64"])),
            ("b64", json!(false)),
            ("zip", json!("DEF")),
            ("cty", json!("JWT")),
            ("url", url("/url")),
            ("enc", json!("A128GCM")),
            ("p2c", json!(2_147_483_647)),
        ] {
            out.push((format!("{name}: {value}"), self.with_head(&[(name, value)])));
        }
        for kid in [
            json!("../../../../dev/null"),
            json!("/etc/passwd"),
            json!(self.bait.url("/kid")),
            json!("x' UNION SELECT 'key"),
            json!("k".repeat(4096)),
            json!("es256\u{0}"),
            json!("${jndi:ldap://x}"),
            json!(null),
            json!({"$ne": ""}),
            json!(""),
        ] {
            out.push((format!("kid {kid:.40}"), self.with_head(&[("kid", kid)])));
        }
        for typ in ["at+jwt", "logout+jwt", "dpop+jwt", "JWE", ""] {
            out.push((format!("typ {typ:?}"), self.with_head(&[("typ", json!(typ))])));
        }
    }

    fn payloads(&self, out: &mut Vec<(String, String)>) {
        let good = self.payload(&[]);
        let now = claims(self.kit, self.issuer, &[])["iat"].as_i64().unwrap();
        for (name, value) in [
            ("exp", json!("4102444800")),
            ("exp", json!(4_102_444_800.5)),
            ("exp", json!(null)),
            ("exp", json!(1e30)),
            ("exp", json!(253_402_300_799_i64)),
            ("exp", json!(-1)),
            ("iat", json!(now + 3600)),
            ("iat", json!("now")),
            ("nbf", json!(now + 3600)),
            ("iss", json!([self.issuer.url()])),
            ("iss", json!(self.bait.url(""))),
            ("iss", json!("http://169.254.169.254/latest")),
            ("aud", json!([])),
            ("aud", json!([self.kit.audience(&self.kit.tenant), "https://evil.example"])),
            ("aud", json!("*")),
            ("aud", json!({"aud": self.kit.audience(&self.kit.tenant)})),
            ("sub", json!(1)),
            ("sub", json!("")),
        ] {
            out.push((format!("{name} is {value}"), self.with_claims(&[(name, value)])));
        }
        let inner = good.trim_start_matches('{');
        for (name, text) in [
            ("a claim twice, evil first", format!("{{\"environment\":\"preview\",{inner}")),
            ("a claim twice, escaped", format!("{{\"environm\\u0065nt\":\"preview\",{inner}")),
            ("a claim twice at depth 3", format!("{{\"a\":{{\"b\":{{\"c\":1,\"c\":2}}}},{inner}")),
            ("depth 100", format!("{{\"a\":{}1{},{inner}", "[".repeat(100), "]".repeat(100))),
            ("two documents", format!("{good}{good}")),
            ("a list", format!("[{good}]")),
            ("null", "null".to_owned()),
            ("nothing", "{}".to_owned()),
            ("a token in the token", self.with_text(&good)),
        ] {
            out.push((name.to_owned(), self.with_text(&text)));
        }
    }

    fn signatures(&self, stranger: &Issuer, out: &mut Vec<(String, String)>) {
        let token = self.with_text(&self.payload(&[]));
        let parts: Vec<&str> = token.split('.').collect();
        let (head, payload, signature) = (parts[0], parts[1], parts[2]);
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let none = b64(br#"{"alg":"none","typ":"JWT"}"#);
        let other = b64(self.payload(&[("workload_project", json!("prj_x"))]).as_bytes());
        // The last of 86 characters carries four bits that must be zero.
        let (front, last) = signature.split_at(85);
        let trailing = char::from(last.as_bytes()[0] + 1);
        for (name, token) in [
            ("alg none, no signature", format!("{none}.{payload}.")),
            ("alg none, a signature", format!("{none}.{payload}.{signature}")),
            ("no signature", format!("{head}.{payload}.")),
            ("two parts", format!("{head}.{payload}")),
            ("four parts", format!("{token}.{signature}")),
            ("psychic: r = s = 0", format!("{head}.{payload}.{}", b64(&[0; 64]))),
            (
                "r = s = 1",
                format!("{head}.{payload}.{}", b64(&[&[0; 31][..], &[1], &[0; 31], &[1]].concat())),
            ),
            ("cut short", token[..token.len() - 4].to_owned()),
            ("trailing bits", format!("{head}.{payload}.{front}{trailing}")),
            ("padded", format!("{token}==")),
            ("other claims", format!("{head}.{other}.{signature}")),
            (
                "another issuer's key of the same name",
                stranger.raw(ES, self.head(&[]).to_string().as_bytes(), self.payload(&[]).as_bytes()),
            ),
            ("percent-encoded", token.replace('.', "%2E")),
            ("flattened", json!({"payload": payload, "protected": head, "signature": signature}).to_string()),
            ("just over 8 KiB", self.with_claims(&[("x", json!("x".repeat(6_200)))])),
        ] {
            out.push((name.to_owned(), token));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_forged_token_is_answered_with_401_fetches_nothing_and_is_kept_nowhere() {
    let logs = Logs::keep();
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let (issuer, stranger) = (Issuer::start().await, Issuer::start().await);
    let bait = Receiver::start().await;
    trust(&kit, &issuer, &[("types", json!(["JWT"]))]).await;
    let good = issuer.sign(&claims(&kit, &issuer, &[]));
    kit.node.token(&good, Kit::UID, &app()).await.token();
    let forger = Forger { kit: &kit, issuer: &issuer, bait: &bait };
    let mut forged = Vec::new();
    forger.headers(&mut forged);
    forger.payloads(&mut forged);
    forger.signatures(&stranger, &mut forged);
    let distinct: BTreeSet<_> = forged.iter().map(|(_, token)| token).collect();
    assert_eq!(distinct.len(), forged.len());
    assert!(forged.len() >= 70, "{} cases only", forged.len());

    let mut told = BTreeSet::new();
    for (name, token) in &forged {
        let answer = kit.node.token(token, Kit::UID, &app()).await;
        assert_eq!(answer.refusal(), (401, "unauthorized".to_owned()), "{name}: {}", answer.text());
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{name}");
        assert!(answer.header("x-request-id").is_some(), "{name}");
        assert!(!answer.text().contains(token.as_str()), "{name}: the token is said back");
        told.insert(answer.json()["error"]["message"].as_str().unwrap().to_owned());
    }
    assert!(told.len() >= 20, "each kind has its own words: {told:?}");
    assert_eq!(bait.count(), 0, "no address in a token was visited");
    // The unknown names of keys may have cost the one fetch that a rotation would need.
    assert!(issuer.fetched() <= 2 && stranger.fetched() == 0, "{} {}", issuer.fetched(), stranger.fetched());
    kit.node.token(&good, Kit::UID, &app()).await.token();

    // What was refused for the issuer's sake is in the team's log; what could not even be read, in the deployment's.
    let rejected = kit.events_of("caller.reject").await;
    let why: BTreeSet<_> = rejected.iter().filter_map(|event| event["detail"]["why"].as_str()).collect();
    for reason in [
        "the signature is wrong",
        "the audience is another",
        "no key of the issuer fits",
        "typ is not configured for this issuer",
    ] {
        assert!(why.contains(reason), "{reason}: {why:?}");
    }
    assert!(rejected.iter().all(|event| event["outcome"] == "denied" && event["target"].is_string()));
    let places = kit.raw().await.everything().await;
    let mut kept: Vec<(String, String)> = places
        .into_iter()
        .map(|(name, bytes)| (name, String::from_utf8_lossy(&bytes).into_owned()))
        .collect();
    assert!(kept.len() > 50, "the sweep has something to look at");
    kept.push(("the log".to_owned(), String::from_utf8_lossy(&logs.bytes()).into_owned()));
    for (name, token) in forged.iter().filter(|(_, token)| token.len() > 60) {
        let (_, signature) = token.rsplit_once('.').unwrap_or(("", token));
        for (place, text) in &kept {
            assert!(!text.contains(token.as_str()), "{name} is in {place}");
            let has_signature = signature.len() >= 40 && text.contains(signature);
            assert!(!has_signature, "the signature of {name} is in {place}");
        }
    }
}

/// A name that nobody trusts says so and nothing more, whatever address it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_issuer_that_nobody_trusts_is_never_asked() {
    let kit = Kit::start(Engine::Sqlite, Plan::default()).await;
    let stranger = Issuer::start().await;
    for n in 0..20 {
        let own = [("iss", json!(stranger.url())), ("jti", json!(n.to_string()))];
        let answer = kit.node.token(&stranger.sign(&claims(&kit, &stranger, &own)), Kit::UID, &app()).await;
        assert_eq!(answer.refusal(), (401, "unauthorized".to_owned()));
        assert!(answer.text().contains("No team here trusts the issuer"), "{}", answer.text());
    }
    assert_eq!(stranger.fetched(), 0);
}
