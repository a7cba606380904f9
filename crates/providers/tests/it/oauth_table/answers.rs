//! What the token endpoint answers, to a code, to a refresh token and to the client's own credentials.

use serde_json::{Value, json};

use super::Cases;
use crate::bench::{Bench, outcome};
use crate::server::Reply;

/// Nothing of this is a token. With a good status it may all the same have spent what was sent: that is in doubt.
const NO_TOKENS: &[&str] = &[
    "",
    "null",
    "true",
    "7",
    "\"at\"",
    "[]",
    "[{\"access_token\":\"at\"}]",
    "{}",
    "{\"access_token\":\"at\"",
    "{\"access_token\":\"at\"}}",
    "{\"access_token\":\"at\"}\u{0}",
    "{'access_token':'at'}",
    "{/**/\"access_token\":\"at\"}",
    "while(1);{\"access_token\":\"at\"}",
    "callback({\"access_token\":\"at\"})",
    "{\"access_token\":\"\"}",
    "{\"access_token\":null}",
    "{\"access_token\":7}",
    "{\"access_token\":true}",
    "{\"access_token\":[\"at\"]}",
    "{\"access_token\":{\"value\":\"at\"}}",
    "{\"accessToken\":\"at\"}",
    "{\"ACCESS_TOKEN\":\"at\"}",
    "{\"data\":{\"access_token\":\"at\"}}",
    "{\"access_token\":\"at\",\"access_token\":\"other\"}",
    "{\"access_token\":\"at\",\"\\u0061ccess_token\":\"other\"}",
    "{\"access_token\":\"a\\nt\"}",
    "{\"access_token\":\"a\\u0000t\"}",
    "{\"access_token\":\"a\\u007ft\"}",
    "{\"access_token\":\"\u{e4}t\"}",
    "{\"access_token\":\"a\\r\\nAuthorization: Bearer x\"}",
    "{\"access_token\":\"at\",\"token_type\":\"mac\"}",
    "{\"access_token\":\"at\",\"token_type\":\"DPoP\"}",
    "{\"access_token\":\"at\",\"token_type\":\"Bearer DPoP\"}",
    "{\"access_token\":\"at\",\"token_type\":\"N_A\"}",
    "{\"access_token\":\"at\",\"token_type\":7}",
    "{\"access_token\":\"at\",\"token_type\":[\"Bearer\"]}",
    "{\"access_token\":\"at\",\"expires_in\":NaN}",
    "{\"access_token\":\"at\",\"scope\":7}",
    "{\"access_token\":\"at\",\"scope\":[7]}",
    "{\"access_token\":\"at\",\"scope\":\"re\\\"ad\"}",
    "{\"access_token\":\"at\",\"error\":\"invalid_grant\"}",
    "{\"access_token\":\"at\",\"error\":7}",
    "{\"access_token\":\"at\",\"error\":{\"code\":\"x\"}}",
    "{\"access_token\":\"at\",\"error\":\"\"}",
    "{\"error\":\"\"}",
    "{\"error\":7}",
];

/// And this is one. Each tolerance has its reason in `token_answer`.
const TOKENS: &[&str] = &[
    "{\"access_token\":\"at\",\"token_type\":\"Bearer\",\"expires_in\":3600}",
    "{\"access_token\":\"at\",\"token_type\":\"bearer\"}",
    "{\"access_token\":\"at\"}",
    "{\"access_token\":\"at\",\"expires_in\":\"3600\"}",
    "{\"access_token\":\"at\",\"expires_in\":3600.0}",
    "{\"access_token\":\"at\",\"expires_in\":3599.5}",
    "{\"access_token\":\"at\",\"expires_in\":\"3599.5\"}",
    "{\"access_token\":\"at\",\"expires_in\":-1}",
    "{\"access_token\":\"at\",\"expires_in\":\"-1\"}",
    "{\"access_token\":\"at\",\"expires_in\":\"1e3\"}",
    "{\"access_token\":\"at\",\"expires_in\":\"soon\"}",
    "{\"access_token\":\"at\",\"expires_in\":[3600]}",
    "{\"access_token\":\"at\",\"expires_in\":{}}",
    "{\"access_token\":\"at\",\"expires_in\":true}",
    "{\"access_token\":\"at\",\"expires_in\":1e300}",
    "{\"access_token\":\"at\",\"refresh_token_expires_in\":\"soon\"}",
    "{\"access_token\":\"at\",\"refresh_token\":7}",
    "{\"access_token\":\"at\",\"refresh_token\":\"r\\nt\"}",
    "\u{feff}{\"access_token\":\"at\"}",
    "{\"access_token\":\"at\",\"expires_in\":null,\"scope\":null,\"error\":null,\"refresh_token\":\"\"}",
    "{\"access_token\":\"at\",\"scope\":\"read,write\"}",
    "{\"access_token\":\"at\",\"scope\":\"\"}",
    "{\"access_token\":\"at\",\"unknown\":{\"a\":[1,2,{\"b\":null}]}}",
    " \n{ \"access_token\" : \"at\" }\n",
];

pub(super) async fn cases() -> Cases {
    let mut cases = Cases::default();
    let bench = Bench::new();
    let made = bench.oauth(json!({})).await;
    let held = made.granted().await;
    let named = [("oidcc-client-test", "{\"access_token\":\"at\",\"token_type\":\"Bearer\"}", "ok")];
    let bad = NO_TOKENS.iter().map(|body| (*body, *body, "garbage in doubt"));
    let good = TOKENS.iter().map(|body| (*body, *body, "ok"));
    for (name, body, want) in named.into_iter().chain(bad).chain(good) {
        bench.server.on("/token", Reply::json(200, body));
        let (_, kept) = made.begin(|_| ()).await.unwrap();
        cases.add(name, outcome(&made.finish("code=c", &kept).await), want);
        cases.add(format!("{name} for a refresh token"), outcome(&made.refresh(&held, "").await), want);
        cases.add(format!("{name} for the application"), outcome(&made.app("read").await), want);
        bench.server.forget("/token");
    }
    // What renews the grant is kept whatever the rest is, and of the rest what is sure.
    for (said, want) in [
        ("\"access_token\":\"at\",\"expires_in\":-1", "at, keeps at and rt1"),
        ("\"access_token\":\"at\",\"expires_in\":1e300", "at, keeps at and rt1"),
        ("\"access_token\":\"at\",\"expires_in\":null", "at, keeps at and rt1"),
        ("\"access_token\":\"at\",\"refresh_token_expires_in\":{}", "at, keeps at and rt1"),
        ("\"access_token\":\"at\",\"scope\":7", "its scope cannot be read, keeps at0 and rt1"),
        ("\"access_token\":\"at\",\"token_type\":\"mac\"", "its token_type is not Bearer, keeps at0 and rt1"),
        (
            "\"access_token\":\"at\",\"token_type\":\"N_A\"",
            "it is said to be no access token, keeps at0 and rt1",
        ),
        ("\"access_token\":7", "its access_token is not text that can be a token, keeps at0 and rt1"),
        ("\"ok\":true", "its access_token is missing or empty, keeps at0 and rt1"),
    ] {
        bench.server.on("/token", Reply::json(200, format!("{{{said},\"refresh_token\":\"rt1\"}}")));
        let minted = made.refresh(&held, "").await.unwrap();
        let kept: Value = serde_json::from_slice(minted.held.as_ref().unwrap().to_json().expose()).unwrap();
        let token = minted.stray.unwrap_or_else(|| minted.token.expose().clone());
        let access = kept["access_token"].as_str().map(|access| format!("{access} and ")).unwrap_or_default();
        let refresh = kept["refresh_token"].as_str().unwrap_or("nothing");
        cases.add(format!("a renewal: {said}"), format!("{token}, keeps {access}{refresh}"), want);
        // Where there is nothing to renew yet, half an answer is none.
        let (_, begun) = made.begin(|_| ()).await.unwrap();
        let first = outcome(&made.finish("code=c", &begun).await);
        let expected = if want.starts_with("at,") { "ok" } else { "garbage in doubt" };
        cases.add(format!("a code: {said}"), first, expected);
        bench.server.forget("/token");
    }
    // The media type decides between JSON and a form, and nothing else.
    for (media, body, want) in [
        ("application/json; charset=utf-8", "{\"access_token\":\"at\"}", "ok"),
        ("text/html", "{\"access_token\":\"at\"}", "ok"),
        ("text/html", "<html>Sign in</html>", "garbage in doubt"),
        ("application/x-www-form-urlencoded", "access_token=at&token_type=bearer", "ok"),
        ("APPLICATION/X-WWW-FORM-URLENCODED; a=b", "access_token=at", "ok"),
        ("application/x-www-form-urlencoded", "access_token=at&access_token=other", "garbage in doubt"),
        ("application/x-www-form-urlencoded", "access_token=a%0At", "garbage in doubt"),
        ("application/x-www-form-urlencoded", "{\"access_token\":\"at\"}", "garbage in doubt"),
        ("application/json", "access_token=at&token_type=bearer", "garbage in doubt"),
        ("multipart/form-data", "access_token=at", "garbage in doubt"),
    ] {
        bench.server.on("/token", Reply::text(200, media, body));
        cases.add(format!("{media}: {body}"), outcome(&made.app("read").await), want);
        bench.server.forget("/token");
    }
    let deep = format!("{{\"access_token\":\"at\",\"x\":{}{}}}", "[".repeat(200), "]".repeat(200));
    bench.server.on("/token", Reply::json(200, deep));
    cases.add("nested two hundred deep", outcome(&made.app("read").await), "garbage in doubt");
    bench.server.forget("/token");
    for status in [201, 206, 299] {
        bench.server.on("/token", Reply::json(status, "{\"access_token\":\"at\"}"));
        cases.add(format!("a token with status {status}"), outcome(&made.app("read").await), "ok");
        bench.server.forget("/token");
    }
    for status in [301, 302, 303, 307, 308, 400, 402, 404, 409, 418] {
        let token = Reply::json(status, "{\"access_token\":\"at\"}").with("location", "/elsewhere");
        bench.server.on("/token", token);
        cases.add(format!("a token with status {status}"), outcome(&made.app("read").await), "garbage");
        bench.server.forget("/token");
    }
    cases
}
