//! What a server says about itself at its well-known addresses.

use carnet_model::connector::ConnectorType::Oauth;
use serde_json::{Value, json};

use super::Cases;
use crate::bench::Bench;
use crate::server::Reply;

const OPENID: &str = "/.well-known/openid-configuration";

fn sound(issuer: &str) -> Value {
    json!({"issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token")})
}

async fn accepted(bench: &Bench, reply: Reply) -> String {
    let issuer = &bench.server.origin;
    bench.server.on(OPENID, reply);
    let data = json!({"clientId": "client", "clientSecret": "s", "serverUrl": issuer});
    let got = match bench.accept(Oauth, data).await {
        Ok(_) => "accepted".to_owned(),
        Err(bad) => {
            // But for the address of an endpoint elsewhere, which somebody has to judge.
            let is_shown = bad.why.contains("the server's metadata puts it at ");
            assert!(
                is_shown || !bad.why.contains("evil"),
                "a stranger's words are not repeated: {}",
                bad.why
            );
            bad.field
        }
    };
    bench.server.forget(OPENID);
    got
}

pub(super) async fn cases() -> Cases {
    let mut cases = Cases::default();
    let bench = Bench::new();
    let issuer = bench.server.origin.clone();
    for (name, change, want) in [
        ("oidcc-client-test-discovery-openid-config", json!({}), "accepted"),
        (
            "oidcc-client-test-discovery-issuer-mismatch",
            json!({"issuer": "https://evil.example"}),
            "serverUrl",
        ),
        (
            "fapi2-security-profile-final-client-test-discovery-issuer-mismatch",
            json!({"issuer": format!("{issuer}1")}),
            "serverUrl",
        ),
        ("the issuer with a slash", json!({"issuer": format!("{issuer}/")}), "serverUrl"),
        ("the issuer in capitals", json!({"issuer": issuer.to_uppercase()}), "serverUrl"),
        ("the issuer with a query", json!({"issuer": format!("{issuer}?a")}), "serverUrl"),
        ("no issuer", json!({"issuer": null}), "serverUrl"),
        ("an issuer that is a number", json!({"issuer": 7}), "serverUrl"),
        ("two issuers", json!({"issuer": [issuer]}), "serverUrl"),
        ("no token endpoint", json!({"token_endpoint": null}), "serverConfig.token_endpoint"),
        (
            "a token endpoint elsewhere",
            json!({"token_endpoint": "https://evil.example/token"}),
            "serverConfig.token_endpoint",
        ),
        (
            "a token endpoint on a name that only ends alike",
            json!({"token_endpoint": "https://evil.127.0.0.1.example/token"}),
            "serverConfig.token_endpoint",
        ),
        (
            "a token endpoint behind a user name",
            json!({"token_endpoint": issuer.replace("http://", "http://evil@") + "/token"}),
            "serverConfig.token_endpoint",
        ),
        (
            "a token endpoint with a fragment",
            json!({"token_endpoint": format!("{issuer}/token#evil")}),
            "serverConfig.token_endpoint",
        ),
        ("a relative token endpoint", json!({"token_endpoint": "/token"}), "serverConfig.token_endpoint"),
        (
            "a token endpoint without scheme",
            json!({"token_endpoint": "//evil.example/token"}),
            "serverConfig.token_endpoint",
        ),
        (
            "a token endpoint in a file",
            json!({"token_endpoint": "file:///etc/passwd"}),
            "serverConfig.token_endpoint",
        ),
        (
            "a token endpoint that is a script",
            json!({"token_endpoint": "javascript:evil()"}),
            "serverConfig.token_endpoint",
        ),
        (
            "a token endpoint in the cloud's metadata service",
            json!({"token_endpoint": "http://169.254.169.254/latest"}),
            "serverConfig.token_endpoint",
        ),
        (
            "a token endpoint that is a list",
            json!({"token_endpoint": [format!("{issuer}/token")]}),
            "serverUrl",
        ),
        (
            "an authorization endpoint elsewhere",
            json!({"authorization_endpoint": "https://evil.example/a"}),
            "serverConfig.authorization_endpoint",
        ),
        (
            "an authorization endpoint that is a script",
            json!({"authorization_endpoint": "javascript:evil()"}),
            "serverConfig.authorization_endpoint",
        ),
        (
            "an authorization endpoint that sets the state",
            json!({"authorization_endpoint": format!("{issuer}/authorize?state=evil")}),
            "serverConfig.authorization_endpoint",
        ),
        (
            "an authorization endpoint that sets the redirect address",
            json!({"authorization_endpoint": format!("{issuer}/authorize?redirect_uri=https://evil.example")}),
            "serverConfig.authorization_endpoint",
        ),
        (
            "an authorization endpoint with a parameter of its own",
            json!({"authorization_endpoint": format!("{issuer}/authorize?tenant=a")}),
            "accepted",
        ),
        (
            "a revocation endpoint elsewhere",
            json!({"revocation_endpoint": "https://evil.example/r"}),
            "serverConfig.revocation_endpoint",
        ),
        (
            "keys elsewhere, which nobody fetches",
            json!({"jwks_uri": "https://evil.example/keys"}),
            "accepted",
        ),
        ("no challenge methods told", json!({"code_challenge_methods_supported": null}), "accepted"),
        (
            "S256 among the challenge methods",
            json!({"code_challenge_methods_supported": ["plain", "S256"]}),
            "accepted",
        ),
        ("plain challenges only", json!({"code_challenge_methods_supported": ["plain"]}), "pkceRequired"),
        ("s256 in small letters", json!({"code_challenge_methods_supported": ["s256"]}), "pkceRequired"),
        ("no challenges at all", json!({"code_challenge_methods_supported": []}), "pkceRequired"),
        (
            "client secrets in no way that is known",
            json!({"token_endpoint_auth_methods_supported": ["tls_client_auth"]}),
            "tokenEndpointAuthMethod",
        ),
        ("scopes that are a text", json!({"scopes_supported": "read write"}), "serverUrl"),
        (
            "flags that are texts",
            json!({"authorization_response_iss_parameter_supported": "true"}),
            "serverUrl",
        ),
        ("members that nobody knows", json!({"evil": {"a": [1, {"b": null}]}}), "accepted"),
    ] {
        let mut document = sound(&issuer);
        let change = change.as_object().unwrap();
        document.as_object_mut().unwrap().extend(change.clone());
        document.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        cases.add(name, accepted(&bench, Reply::json(200, &document)).await, want);
    }
    let good = sound(&issuer).to_string();
    for (name, reply) in [
        ("a page", Reply::text(200, "text/html", "<html>Sign in</html>")),
        ("nothing", Reply::json(200, "")),
        ("half a document", Reply::json(200, &good[..40])),
        ("a list of documents", Reply::json(200, format!("[{good}]"))),
        ("a document and more", Reply::json(200, format!("{good}{good}"))),
        ("a member twice", Reply::json(200, good.replacen('{', "{\"issuer\":\"https://evil.example\",", 1))),
        (
            "a document of three megabytes",
            Reply::json(200, good.replacen('{', &format!("{{\"x\":\"{}\",", "x".repeat(3 << 20)), 1)),
        ),
        ("a document with status 404", Reply::json(404, &good)),
        ("a document with status 500", Reply::json(500, &good)),
        ("a document with status 203", Reply::json(203, &good)),
        ("a redirect to another document", Reply::json(302, &good).with("location", "https://evil.example/")),
        ("nothing before the connection ends", Reply::HangUp),
        ("an answer that breaks off", Reply::Truncated),
    ] {
        cases.add(name, accepted(&bench, reply).await, "serverUrl");
    }
    cases
}
