//! `redirect-uris`.

use serde_json::{Value, json};

use super::peer::Peer;
use super::{CONNECTOR, Desk, PROJECT};

#[test]
fn addresses_are_listed_added_and_forgotten() {
    let one = format!("/v1/connect/connectors/{CONNECTOR}/projects/{PROJECT}/redirect-uris");
    let (get, put) = (format!("GET {one}"), format!("PUT {one}"));
    let line = put.clone();
    let there = json!({"redirectUris": [{"uri": "https://app.example/cb", "environment": "production"}]});
    let peer = Peer::with(move |route, body, _| match route {
        _ if route == get => Some((200, there.clone())),
        _ if route == put => Some((200, body.clone())),
        _ => None,
    });
    let desk = Desk::dev(&peer.url);
    let listed = desk.run(&["redirect-uris", "demo/hello"]).exits(0);
    assert!(listed.out.contains("production") && listed.out.contains("https://app.example/cb"), "{listed:?}");
    let add = ["connect", "redirect-uris", "demo/hello", "--add", "http://localhost:3000/cb"];
    let dry = desk.run(&[&add[..], &["--dry-run", "--json"]].concat()).exits(0).json();
    assert_eq!(dry["redirectUris"].as_array().map(Vec::len), Some(2), "{dry}");
    assert!(!peer.lines().contains(&line), "nothing is changed");
    let told = desk.run(&[&add[..], &["--json"]].concat()).exits(0).json();
    assert_eq!(
        told["redirectUris"][1],
        json!({"uri": "http://localhost:3000/cb", "environment": "development"})
    );
    assert_eq!(peer.body(&line), json!({"redirectUris": told["redirectUris"]}));
    let peers = |desk: &Desk, more: &[&str], code| -> Value {
        let words = [&["redirect-uris", "demo/hello", "--json"], more].concat();
        desk.run(&words).exits(code).json()
    };
    let swapped = peers(
        &desk,
        &["--remove", "https://app.example/cb", "--add", "https://qa.example/cb", "-e", "qa"],
        0,
    );
    assert_eq!(
        swapped["redirectUris"],
        json!([{"uri": "https://qa.example/cb", "environment": "env_0000000000000000000001"}])
    );
    assert_eq!(peers(&desk, &["--add", "https://app.example/x"], 2)["error"]["code"], "usage");
    let missing = peers(&desk, &["--remove", "https://nowhere.example/"], 3);
    assert_eq!(missing["error"]["next"][0]["command"], "carnet redirect-uris demo/hello");
}
