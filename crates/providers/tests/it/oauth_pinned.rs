//! A server that says something else than before is not followed, and what it says can be looked at.

use carnet_model::connector::ConnectorType::Oauth;
use serde_json::{Value, json};

use crate::bench::{Bench, Made, metadata};
use crate::server::Reply;

const OAUTH: &str = "/.well-known/oauth-authorization-server";

fn document(issuer: &str) -> Value {
    let mut document = metadata(issuer);
    document["registration_endpoint"] = json!(format!("{issuer}/register"));
    document
}

fn put(bench: &Bench, document: &Value) {
    bench.server.forget(OAUTH);
    bench.server.on(OAUTH, Reply::json(200, document));
}

async fn discovered(bench: &Bench, data: Value) -> Made<'_> {
    put(bench, &document(&bench.server.origin));
    let accepted = bench.accept(Oauth, data).await.unwrap();
    bench.server.seen();
    Made::new(bench, Oauth, accepted)
}

#[tokio::test]
async fn what_a_server_says_now_is_told_beside_what_is_pinned() {
    let bench = Bench::new();
    let origin = bench.server.origin.clone();
    let made = discovered(&bench, json!({"clientId": "c", "serverUrl": origin})).await;
    let found = made.driver.inspect(&made.at()).await.unwrap().unwrap();
    assert_eq!(found.pinned, found.present);

    let mut moved = document(&origin);
    moved["token_endpoint"] = json!(format!("{origin}/token2"));
    put(&bench, &moved);
    let found = made.driver.inspect(&made.at()).await.unwrap().unwrap();
    assert_eq!(found.pinned["token_endpoint"], json!(format!("{origin}/token")));
    assert_eq!(found.present["token_endpoint"], json!(format!("{origin}/token2")));
    assert_eq!(found.change["serverConfig"], Value::Object(found.present.clone()));
    assert_eq!(found.change.len(), 1);

    // Until somebody takes it, tokens are asked for where they were.
    bench.server.seen();
    bench.server.on("/token", Reply::json(200, json!({"access_token": "at", "token_type": "Bearer"})));
    let (_, kept) = made.begin(|_| ()).await.unwrap();
    made.finish("code=c", &kept).await.unwrap();
    assert_eq!(bench.server.only().path, "/token");
}

#[tokio::test]
async fn a_server_that_hides_or_strays_is_an_error_and_not_a_difference() {
    let bench = Bench::new();
    let origin = bench.server.origin.clone();
    let made = discovered(&bench, json!({"clientId": "c", "serverUrl": origin})).await;
    let mut stray = document(&origin);
    stray["token_endpoint"] = json!("https://collector.example/token");
    let mut renamed = document(&origin);
    renamed["issuer"] = json!("https://evil.example");
    for answer in [Reply::json(200, stray), Reply::json(200, renamed), Reply::json(404, "{}"), Reply::HangUp]
    {
        bench.server.forget(OAUTH);
        bench.server.on(OAUTH, answer);
        let bad = made.driver.inspect(&made.at()).await.unwrap_err();
        assert!(bad.field.starts_with("serverConfig."), "{bad}");
    }
    let by_hand = bench.oauth(json!({"serverConfig": {"issuer": null}})).await;
    assert_eq!(by_hand.driver.inspect(&by_hand.at()).await.unwrap_err().field, "serverConfig.issuer");
}

/// A server that spreads over several hosts is refused with a remedy; the remedy is enough, and the server is looked at as
/// any other afterwards.
#[tokio::test]
async fn a_server_that_its_owner_described_at_two_hosts_is_looked_at_there_and_followed_to_no_third() {
    let (auth, api) = ("https://auth.provider.example", "https://api.provider.example");
    let bench = Bench::instead_of(&[auth, api]);
    let mut said = document(auth);
    said["token_endpoint"] = json!(format!("{api}/token"));
    put(&bench, &said);
    let data = json!({"clientId": "c", "clientSecret": "s", "serverUrl": auth});
    let bad = bench.accept(Oauth, data.clone()).await.unwrap_err();
    assert_eq!(bad.field, "serverConfig.token_endpoint");
    for part in ["api.provider.example", "write issuer, authorization_endpoint and token_endpoint"] {
        assert!(bad.why.contains(part), "{part}: {}", bad.why);
    }

    let mut typed = data;
    typed["serverConfig"] = json!({"issuer": auth, "authorization_endpoint": format!("{auth}/authorize"),
        "token_endpoint": format!("{api}/token")});
    let made = Made::new(&bench, Oauth, bench.accept(Oauth, typed).await.unwrap());
    bench.server.on("/token", Reply::json(200, json!({"access_token": "at", "token_type": "Bearer"})));
    let (_, kept) = made.begin(|_| ()).await.unwrap();
    made.finish("code=c", &kept).await.unwrap();

    let found = made.driver.inspect(&made.at()).await.unwrap().unwrap();
    assert_eq!(found.present["token_endpoint"], found.pinned["token_endpoint"]);
    assert_eq!(
        found.present["registration_endpoint"],
        json!(format!("{auth}/register")),
        "what was not typed"
    );
    said["token_endpoint"] = json!("https://collector.example/token");
    put(&bench, &said);
    let bad = made.driver.inspect(&made.at()).await.unwrap_err();
    assert_eq!(bad.field, "serverConfig.token_endpoint");
}

#[tokio::test]
async fn a_resource_that_moved_to_another_server_leaves_the_old_registration_behind() {
    let bench = Bench::new();
    let origin = bench.server.origin.clone();
    let address = format!("{origin}/mcp");
    let place = "/.well-known/oauth-protected-resource/mcp";
    let resource =
        |issuer: &str| Reply::json(200, json!({"resource": address, "authorization_servers": [issuer]}));
    put(&bench, &document(&origin));
    bench.server.on(place, resource(&origin));
    bench.server.on("/register", Reply::json(201, json!({"client_id": "given", "client_secret": "s"})));
    let accepted = bench.accept_for(&address, Oauth, json!({})).await.unwrap();
    let made = Made::new(&bench, Oauth, accepted);

    let tenant = format!("{origin}/tenant");
    bench.server.on(&format!("{OAUTH}/tenant"), Reply::json(200, document(&tenant)));
    bench.server.forget(place);
    bench.server.on(place, resource(&tenant));
    let found = made.driver.inspect(&made.at()).await.unwrap().unwrap();
    assert_eq!(found.present["issuer"], json!(tenant));
    for gone in ["clientId", "clientSecret", "clientRegistration"] {
        assert_eq!(found.change[gone], Value::Null, "credentials belong to their issuer");
    }
}
