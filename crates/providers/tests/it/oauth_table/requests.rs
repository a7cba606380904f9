//! What the client itself sends, to the browser and to the token endpoint.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::json;

use super::Cases;
use crate::bench::{Bench, STATE, param, query, scopes_of};
use crate::server::Reply;

pub(super) async fn cases() -> Cases {
    let mut cases = Cases::default();
    let bench = Bench::new();
    let basic = bench.oauth(json!({"tokenEndpointAuthMethod": "client_secret_basic"})).await;
    bench.server.on("/token", Reply::json(200, json!({"access_token": "at"})));
    let (url, kept) = basic.begin(|ask| ask.scopes = scopes_of("openid read")).await.unwrap();
    basic.finish("code=c", &kept).await.unwrap();
    let seen = bench.server.only();

    let sent = |name: &str| param(&url, name).unwrap_or_else(|| "nothing".to_owned());
    let verifier = kept.verifier.as_ref().unwrap().expose();
    let digest = challenge(verifier);
    cases.add("response_type is code", sent("response_type"), "code");
    cases.add("client_id is ours", sent("client_id"), "client");
    cases.add("redirect_uri is the registered one", sent("redirect_uri"), basic.redirect_uri.as_str());
    cases.add("state is what the engine drew", sent("state"), STATE);
    cases.add("the challenge is S256 of the verifier", sent("code_challenge"), digest);
    cases.add("and says so", sent("code_challenge_method"), "S256");
    cases.add("nonce is kept", sent("nonce"), kept.nonce.as_ref().unwrap().expose().as_str());
    cases.add("no secret is in the address", url.as_str().contains("s3cret").to_string(), "false");
    cases.add(
        "the verifier is not in the address",
        url.as_str().contains(verifier.as_str()).to_string(),
        "false",
    );
    cases.add("no response_mode is set", sent("response_mode"), "nothing");
    cases.add("no request object is sent", sent("request"), "nothing");
    let mut names: Vec<_> = query(&url).into_iter().map(|(name, _)| name).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    cases.add("nothing is said twice", names.len().to_string(), count.to_string());
    cases.add(
        "the verifier has 43 to 128 characters",
        (43..=128).contains(&verifier.len()).to_string(),
        "true",
    );

    let credentials = format!("Basic {}", BASE64_STANDARD.encode("client:s3cret"));
    cases.add(
        "oidcc-client-test-client-secret-basic",
        seen.header("authorization").unwrap_or_default(),
        credentials,
    );
    let field = |name: &str| seen.field(name).unwrap_or_else(|| "nothing".to_owned());
    cases.add("the secret is not in the form besides", field("client_secret"), "nothing");
    cases.add("the same redirect_uri once more", field("redirect_uri"), basic.redirect_uri.as_str());
    cases.add("the verifier in the form", field("code_verifier"), verifier.as_str());
    cases.add("by POST", seen.line(), "POST /token");
    cases.add("no cookie is sent", seen.header("cookie").unwrap_or("nothing"), "nothing");
    cases.add("no referrer is sent", seen.header("referer").unwrap_or("nothing"), "nothing");
    cases
}

fn challenge(verifier: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(digest.as_ref())
}
