//! Finding a server by the address of what it protects.

use carnet_model::connector::ConnectorType::Oauth;
use carnet_providers::{BadConfiguration, MintAsk};
use serde_json::{Value, json};

use crate::bench::{Bench, Made, metadata, param, scopes_of};
use crate::server::{Reply, Seen};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
const OAUTH: &str = "/.well-known/oauth-authorization-server";

fn document(issuer: &str) -> Value {
    let mut document = metadata(issuer);
    document["scopes_supported"] = json!(["read", "write"]);
    document
}

fn resource(address: &str, issuer: &str) -> Value {
    json!({"resource": address, "authorization_servers": [issuer], "scopes_supported": ["read", "write"]})
}

/// A resource at `/mcp` whose server is the same origin.
fn scene() -> (Bench, String, String) {
    let bench = Bench::new();
    let origin = bench.server.origin.clone();
    let address = format!("{origin}/mcp");
    bench.server.on(OAUTH, Reply::json(200, document(&origin)));
    (bench, origin, address)
}

async fn accept(bench: &Bench, address: &str, data: Value) -> Result<Value, BadConfiguration> {
    bench.accept_for(address, Oauth, data).await.map(|accepted| Value::Object(accepted.data))
}

fn client() -> Value {
    json!({"clientId": "client"})
}

fn lines(bench: &Bench) -> Vec<String> {
    bench.server.seen().iter().map(Seen::line).collect()
}

#[tokio::test]
async fn the_address_of_an_api_is_enough_where_its_refusal_says_the_rest() {
    let (bench, origin, address) = scene();
    let challenge = format!(r#"Bearer resource_metadata="{origin}/meta/mcp", scope="read""#);
    bench.server.on("/mcp", Reply::json(401, "{}").with("www-authenticate", &challenge));
    bench.server.on("/meta/mcp", Reply::json(200, resource(&address, &origin)));
    let data = accept(&bench, &address, client()).await.unwrap();
    assert_eq!(data["resource"], json!(address));
    assert_eq!(data["serverUrl"], json!(address));
    assert_eq!(data["serverConfig"]["issuer"], json!(origin));
    assert_eq!(
        data["userAuthorization"],
        json!({"enabled": true, "scopes": ["read"]}),
        "as the refusal says"
    );
    let openid = "GET /.well-known/openid-configuration".to_owned();
    assert_eq!(lines(&bench), ["GET /mcp", "GET /meta/mcp", &format!("GET {OAUTH}"), &openid]);
}

#[tokio::test]
async fn without_a_word_from_the_api_the_well_known_addresses_are_tried_the_one_of_the_path_first() {
    for (at, speaks_for, asked) in [
        (format!("{WELL_KNOWN}/mcp"), "/mcp", 1),
        (WELL_KNOWN.to_owned(), "", 2),
        (WELL_KNOWN.to_owned(), "/", 2),
    ] {
        let (bench, origin, address) = scene();
        bench.server.on(&at, Reply::json(200, resource(&format!("{origin}{speaks_for}"), &origin)));
        let data = accept(&bench, &address, client()).await.unwrap();
        let canonical = format!("{origin}{speaks_for}");
        assert_eq!(data["resource"], json!(canonical), "as it says it");
        assert_eq!(data["userAuthorization"]["scopes"], json!(["read", "write"]), "all that the API lists");
        let all = ["GET /mcp".to_owned(), format!("GET {WELL_KNOWN}/mcp"), format!("GET {WELL_KNOWN}")];
        assert_eq!(lines(&bench)[..=asked], all[..=asked]);
    }
}

#[tokio::test]
async fn staying_signed_in_is_asked_for_only_where_the_server_knows_it_as_a_scope() {
    for (known, refresh, scopes, prompt) in [
        (
            json!(["read", "offline_access"]),
            json!(null),
            json!(["offline_access", "read", "write"]),
            Some("consent"),
        ),
        (json!(["read"]), json!(null), json!(["read", "write"]), None),
        (json!(["offline_access"]), json!({"enabled": false}), json!(["read", "write"]), None),
    ] {
        let (bench, origin, address) = scene();
        let mut found = document(&origin);
        found["scopes_supported"] = known;
        bench.server.forget(OAUTH);
        bench.server.on(OAUTH, Reply::json(200, found));
        bench.server.on(&format!("{WELL_KNOWN}/mcp"), Reply::json(200, resource(&address, &origin)));
        let data =
            accept(&bench, &address, json!({"clientId": "c", "refreshTokens": refresh})).await.unwrap();
        assert_eq!(data["userAuthorization"]["scopes"], scopes);
        assert_eq!(data["authorizationUrlParams"]["prompt"].as_str(), prompt);
    }
    let (bench, origin, address) = scene();
    bench.server.on(&format!("{WELL_KNOWN}/mcp"), Reply::json(200, resource(&address, &origin)));
    let own = json!({"clientId": "c", "userAuthorization": {"scopes": ["mine"]}});
    let data = accept(&bench, &address, own).await.unwrap();
    assert_eq!(data["userAuthorization"]["scopes"], json!(["mine"]), "what is said is not added to");
}

#[tokio::test]
async fn an_issuer_may_be_given_as_before_and_an_api_in_its_place() {
    let (bench, origin, address) = scene();
    let data = accept(&bench, "acme", json!({"clientId": "c", "serverUrl": origin})).await.unwrap();
    assert_eq!(data.get("resource"), None);
    bench.server.on(&format!("{WELL_KNOWN}/mcp"), Reply::json(200, resource(&address, &origin)));
    let data = accept(&bench, "acme", json!({"clientId": "c", "serverUrl": address})).await.unwrap();
    assert_eq!(data["resource"], json!(address));
}

#[tokio::test]
async fn what_a_resource_says_is_believed_only_about_itself() {
    let (bench, origin, address) = scene();
    let path = format!("{WELL_KNOWN}/mcp");
    let told = |text: &str| {
        Reply::json(401, "{}").with("www-authenticate", &format!("Bearer resource_metadata=\"{text}\""))
    };
    let issuer = |issuer: &str| Reply::json(200, resource(&address, issuer));
    let large = format!("{{\"resource\":\"{}\"}}", "x".repeat(300 * 1024));
    for (probe, answer, why) in [
        (told("https://evil.example/meta"), None, "another origin"),
        (told("http://10.0.0.1/meta"), None, "cannot be used"),
        (told(&format!("{origin}/nothing-here")), None, "no document"),
        (Reply::HangUp, None, "cannot be asked"),
        (
            Reply::json(401, "{}"),
            Some(Reply::json(200, resource(&format!("{origin}/other"), &origin))),
            "another resource",
        ),
        (
            Reply::json(401, "{}"),
            Some(Reply::json(200, resource("https://mcp.example/mcp", &origin))),
            "another resource",
        ),
        (
            Reply::json(401, "{}"),
            Some(Reply::json(200, json!({"resource": address}))),
            "names no authorization server",
        ),
        (Reply::json(401, "{}"), Some(Reply::json(200, large)), "larger than allowed"),
        (Reply::json(401, "{}"), Some(issuer("https://10.0.0.1")), "not public"),
        (Reply::json(401, "{}"), Some(issuer("http://login.example")), "https"),
        (Reply::json(401, "{}"), Some(issuer("https://user@login.example")), "user name"),
        (Reply::json(401, "{}"), Some(issuer(&format!("{origin}//"))), "without the final slash"),
        (Reply::json(401, "{}"), Some(issuer(&format!("{origin}/tenant"))), "no metadata was found"),
    ] {
        bench.server.forget("/mcp");
        bench.server.forget(&path);
        bench.server.on("/mcp", probe.clone());
        if let Some(answer) = answer.clone() {
            bench.server.on(&path, answer);
        }
        let bad = accept(&bench, &address, client()).await.unwrap_err();
        assert_eq!(bad.field, "serverUrl", "{probe:?} {bad}");
        assert!(bad.why.contains(why) && !bad.why.contains("evil"), "{why}: {}", bad.why);
    }
}

#[tokio::test]
async fn what_is_not_a_resources_document_counts_as_none_and_no_redirect_is_followed() {
    for reply in [
        Reply::text(200, "text/html", "<html>sign in</html>"),
        Reply::json(200, "[]"),
        Reply::json(200, r#"{"resource":7}"#),
        Reply::json(200, r#"{"authorization_servers":["https://a.example"]}"#),
        Reply::json(500, "{}"),
        Reply::text(302, "text/plain", "").with("location", "/elsewhere"),
    ] {
        let (bench, origin, _) = scene();
        bench.server.on(WELL_KNOWN, reply.clone());
        bench.server.on("/elsewhere", Reply::json(200, resource(&origin, &origin)));
        let data = accept(&bench, &origin, client()).await.unwrap();
        assert_eq!(data.get("resource"), None, "{reply:?}: an issuer and nothing more");
        assert!(!lines(&bench).contains(&"GET /elsewhere".to_owned()));
    }
}

#[tokio::test]
async fn a_server_of_a_resource_that_does_not_say_that_it_knows_pkce_is_refused() {
    let (bench, origin, address) = scene();
    bench.server.on(&format!("{WELL_KNOWN}/mcp"), Reply::json(200, resource(&address, &origin)));
    let mut found = document(&origin);
    found.as_object_mut().unwrap().remove("code_challenge_methods_supported");
    bench.server.forget(OAUTH);
    bench.server.on(OAUTH, Reply::json(200, found));
    let bad = accept(&bench, &address, client()).await.unwrap_err();
    assert_eq!(bad.field, "pkceRequired");
    assert!(accept(&bench, &address, json!({"clientId": "c", "pkceRequired": false})).await.is_ok());
}

#[tokio::test]
async fn the_resource_is_named_in_every_request_unless_the_caller_names_another() {
    let bench = Bench::new();
    let data = bench.oauth_data(json!({"resource": "https://mcp.example/mcp"}));
    let made = Made::new(&bench, Oauth, bench.accept(Oauth, data).await.unwrap());
    let mine = Some("https://mcp.example/mcp".to_owned());
    let (url, kept) = made.begin(|_| ()).await.unwrap();
    assert_eq!(param(&url, "resource"), mine);
    let token =
        json!({"access_token": "at", "token_type": "Bearer", "expires_in": 60, "refresh_token": "rt"});
    bench.server.on("/token", Reply::json(200, token));
    let held = made.finish("code=c", &kept).await.unwrap().held;
    made.refresh(&held, "").await.unwrap();
    made.app("read").await.unwrap();
    for seen in bench.server.seen() {
        assert_eq!(seen.field("resource"), mine, "{seen:?}");
    }
    let other = vec!["https://other.example".to_owned()];
    let (url, _) = made.begin(|ask| ask.resources.clone_from(&other)).await.unwrap();
    assert_eq!(param(&url, "resource").as_deref(), Some("https://other.example"));
    let ask = MintAsk::App {
        scopes: scopes_of("read"),
        resources: other,
        audience: Vec::new(),
        details: Vec::new(),
        installation: None,
    };
    made.driver.mint(&made.at(), None, &ask).await.unwrap();
    assert_eq!(bench.server.only().field("resource").as_deref(), Some("https://other.example"));
}

/// A server may list the permissions of every tenant it has.
#[tokio::test]
async fn a_server_that_lists_a_thousand_scopes_can_be_used() {
    let (bench, origin, address) = scene();
    let all: Vec<String> = (0..1000).map(|n| format!("scope{n}")).collect();
    let mut described = document(&origin);
    described["scopes_supported"] = json!(all);
    bench.server.forget(OAUTH);
    bench.server.on(OAUTH, Reply::json(200, described));
    bench.server.on(&format!("{WELL_KNOWN}/mcp"), Reply::json(200, resource(&address, &origin)));
    let data = accept(&bench, &address, client()).await.unwrap();
    assert_eq!(data["serverConfig"]["scopes_supported"].as_array().unwrap().len(), 500);
}

#[tokio::test]
async fn where_nobody_brings_a_client_the_server_that_gives_one_is_taken() {
    let (bench, origin, address) = scene();
    let second = format!("{origin}/second");
    let mut gives = document(&second);
    gives["registration_endpoint"] = json!(format!("{origin}/register"));
    gives["token_endpoint_auth_methods_supported"] = json!(["none"]);
    bench.server.on(&format!("{OAUTH}/second"), Reply::json(200, gives));
    bench.server.on("/register", Reply::json(201, json!({"client_id": "given"})));
    let mut named = resource(&address, &origin);
    named["authorization_servers"] = json!([origin, second]);
    bench.server.on(&format!("{WELL_KNOWN}/mcp"), Reply::json(200, named));
    let data = accept(&bench, &address, json!({})).await.unwrap();
    assert_eq!((&data["serverConfig"]["issuer"], &data["clientId"]), (&json!(second), &json!("given")));
    // Whoever brings a client brings it for the first.
    let data = accept(&bench, &address, client()).await.unwrap();
    assert_eq!(data["serverConfig"]["issuer"], json!(origin));
}

/// That it registers nobody would be untrue.
#[tokio::test]
async fn a_registration_at_another_host_is_said_to_be_there() {
    let (bench, origin, address) = scene();
    let mut stray = document(&origin);
    stray["registration_endpoint"] = json!("https://clients.elsewhere.example/register");
    bench.server.forget(OAUTH);
    bench.server.on(OAUTH, Reply::json(200, stray));
    bench.server.on(&format!("{WELL_KNOWN}/mcp"), Reply::json(200, resource(&address, &origin)));
    let bad = accept(&bench, &address, json!({})).await.unwrap_err();
    assert_eq!(bad.field, "clientId");
    for says in ["https://clients.elsewhere.example/register", "serverConfig", "clientSecret"] {
        assert!(bad.why.contains(says), "{}", bad.why);
    }
}

/// Programs that publish addresses add the final slash of a bare origin, or take it away.
#[tokio::test]
async fn a_bare_origin_that_a_resource_names_may_differ_by_its_final_slash() {
    for (named, says) in [("/", ""), ("", "/"), ("/", "/"), ("", "")] {
        let (bench, origin, address) = scene();
        let issuer = format!("{origin}{says}");
        let mut found = document(&origin);
        found["issuer"] = json!(issuer);
        bench.server.forget(OAUTH);
        bench.server.on(OAUTH, Reply::json(200, found));
        let named = format!("{origin}{named}");
        bench.server.on(&format!("{WELL_KNOWN}/mcp"), Reply::json(200, resource(&address, &named)));
        let accepted = bench.accept_for(&address, Oauth, client()).await.unwrap();
        assert_eq!(
            accepted.data["serverConfig"]["issuer"],
            json!(issuer),
            "as the server spells it: {named}"
        );
        // And it has not moved.
        let made = Made::new(&bench, Oauth, accepted);
        let told = made.driver.inspect(&made.at()).await.unwrap().unwrap();
        assert_eq!(told.pinned, told.present, "{named}");
    }
    // Below the origin a slash makes another one.
    let (bench, origin, address) = scene();
    let tenant = format!("{origin}/tenant");
    bench.server.on(&format!("{OAUTH}/tenant"), Reply::json(200, document(&tenant)));
    let named = resource(&address, &format!("{tenant}/"));
    bench.server.on(&format!("{WELL_KNOWN}/mcp"), Reply::json(200, named));
    let bad = accept(&bench, &address, client()).await.unwrap_err();
    assert!(bad.why.contains("without the final slash"), "{bad}");
}

/// Servers compare it byte for byte.
#[tokio::test]
async fn a_resource_is_named_as_it_names_itself_or_as_the_owner_does() {
    for (published, own, sent) in [
        ("/mcp/", None, "/mcp/"),
        ("/mcp", None, "/mcp"),
        ("/", None, "/"),
        ("/mcp/", Some("/mcp"), "/mcp"),
        ("/mcp", Some("/mcp/"), "/mcp/"),
        ("/mcp", Some("urn:acme:api"), "urn:acme:api"),
        // What is left of another server is not meant.
        ("/mcp", Some("https://other.example/mcp"), "/mcp"),
    ] {
        let (bench, origin, address) = scene();
        let absolute =
            |text: &str| if text.starts_with('/') { format!("{origin}{text}") } else { text.to_owned() };
        let answer = Reply::json(200, resource(&absolute(published), &origin));
        bench.server.on(&format!("{WELL_KNOWN}/mcp"), answer);
        let data = json!({"clientId": "client", "resource": own.map(absolute)});
        let accepted = bench.accept_for(&address, Oauth, data).await.unwrap();
        assert_eq!(accepted.data["resource"], json!(absolute(sent)), "{published} {own:?}");
        let made = Made::new(&bench, Oauth, accepted);
        assert!(made.driver.inspect(&made.at()).await.is_ok(), "{published} {own:?}");
        bench.server.seen();
        bench.server.on("/token", Reply::json(200, json!({"access_token": "at", "token_type": "Bearer"})));
        let (url, kept) = made.begin(|_| ()).await.unwrap();
        made.finish("code=c", &kept).await.unwrap();
        let redeemed = bench.server.only().field("resource");
        let all = [param(&url, "resource"), redeemed];
        assert_eq!(all, [Some(absolute(sent)), Some(absolute(sent))], "{published} {own:?}");
        // However a caller spells it.
        let other = absolute(sent).strip_suffix('/').map_or_else(|| absolute(sent), str::to_owned);
        let (url, _) = made.begin(|ask| ask.resources = vec![other]).await.unwrap();
        assert_eq!(param(&url, "resource"), Some(absolute(sent)), "{published} {own:?}");
    }
}

/// What ends TLS before a resource leaves it writing http.
#[tokio::test]
async fn a_resource_that_points_its_metadata_elsewhere_is_asked_for_it_at_its_own_origin() {
    for told in ["https://evil.example/meta", "http://10.0.0.1/meta", "nonsense"] {
        let (bench, origin, address) = scene();
        let challenge = format!(r#"Bearer resource_metadata="{told}", scope="read""#);
        bench.server.on("/mcp", Reply::json(401, "{}").with("www-authenticate", &challenge));
        bench.server.on(&format!("{WELL_KNOWN}/mcp"), Reply::json(200, resource(&address, &origin)));
        let data = accept(&bench, &address, client()).await.unwrap();
        assert_eq!((&data["resource"], &data["serverConfig"]["issuer"]), (&json!(address), &json!(origin)));
        assert_eq!(data["userAuthorization"]["scopes"], json!(["read"]));
    }
}

/// MCP servers of the revision 2025-03-26.
#[tokio::test]
async fn something_guarded_that_says_nothing_has_its_server_at_the_root_of_its_host() {
    for by_data in [false, true] {
        let (bench, origin, address) = scene();
        let asked = async || {
            if by_data {
                accept(&bench, "acme", json!({"clientId": "c", "serverUrl": address})).await
            } else {
                accept(&bench, &address, client()).await
            }
        };
        // What asks for no token is rather an issuer that is wrong.
        let bad = asked().await.unwrap_err();
        assert!(bad.why.contains("no metadata was found"), "{bad}");
        bench.server.on("/mcp", Reply::json(401, json!({"error": "unauthorized"})));
        let data = asked().await.unwrap();
        assert_eq!((&data["serverUrl"], &data["serverConfig"]["issuer"]), (&json!(address), &json!(origin)));
        assert_eq!(data.get("resource"), None, "it has no name");
        bench.server.forget(OAUTH);
        let bad = asked().await.unwrap_err();
        assert!(bad.why.contains("no metadata was found"), "{bad}");
        let mut other = document(&origin);
        other["issuer"] = json!("https://other.example");
        bench.server.on(OAUTH, Reply::json(200, other));
        asked().await.unwrap_err();
    }
}
