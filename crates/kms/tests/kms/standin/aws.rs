//! AWS KMS and the credentials of a container.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use aws_lc_rs::{digest, hmac};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use carnet_kms::{AwsCredentials, AwsKms, AwsKmsConfig};
use carnet_model::{Clock as _, Env};
use carnet_vault::RootKey;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{Mood, Opened, World};

const SECRET: &str = "a-secret-access-key";
const REGION: &str = "eu-central-1";

pub(crate) fn provider(base: &str, key: &str, env: Env) -> Box<dyn RootKey> {
    let credentials =
        AwsCredentials::Container { url: format!("{base}/credentials").parse().unwrap(), token_file: None };
    let config = AwsKmsConfig {
        key: key.to_owned(),
        region: REGION.to_owned(),
        endpoint: Some(base.parse().unwrap()),
        credentials,
        roots_pem: None,
    };
    Box::new(AwsKms::new(config, env).unwrap())
}

pub(crate) const ROLE: &str = "arn:aws:iam::111122223333:role/carnet";

/// One that proves itself with the identity in this file.
pub(crate) fn provider_by_identity(base: &str, key: &str, token_file: &Path, env: Env) -> Box<dyn RootKey> {
    let credentials = AwsCredentials::WebIdentity {
        role: ROLE.to_owned(),
        session_name: "carnet".to_owned(),
        token_file: token_file.to_owned(),
        endpoint: Some(format!("{base}/sts").parse().unwrap()),
    };
    let config = AwsKmsConfig {
        key: key.to_owned(),
        region: REGION.to_owned(),
        endpoint: Some(base.parse().unwrap()),
        credentials,
        roots_pem: None,
    };
    Box::new(AwsKms::new(config, env).unwrap())
}

pub(crate) fn routes(world: Arc<World>) -> Router {
    Router::new()
        .route("/credentials", get(credentials))
        .route("/sts", post(assume))
        .route("/", post(ask))
        .with_state(world)
}

/// As the reference of the security token service answers: XML, with line ends inside. An identity is good if it is
/// `identity-N` for an N above those that have ended.
async fn assume(State(world): State<Arc<World>>, headers: HeaderMap, body: Bytes) -> Response {
    assert!(headers.get("authorization").is_none(), "the identity is the proof");
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| &form.iter().find(|(key, _)| key == name).unwrap().1;
    assert_eq!(
        (field("Action").as_str(), field("Version").as_str()),
        ("AssumeRoleWithWebIdentity", "2011-06-15")
    );
    let refused = |code: &str| {
        let said = field("WebIdentityToken");
        let xml = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>secret {said}</Message></Error></ErrorResponse>"
        );
        (StatusCode::BAD_REQUEST, xml).into_response()
    };
    if field("RoleArn") != ROLE || field("RoleSessionName") != "carnet" {
        return refused("AccessDenied");
    }
    let identity = field("WebIdentityToken").strip_prefix("identity-").and_then(|n| n.parse::<usize>().ok());
    match identity {
        None => return refused("InvalidIdentityToken"),
        Some(number) if number <= world.ended.load(Ordering::SeqCst) => {
            return refused("ExpiredTokenException");
        }
        Some(_) => {}
    }
    let number = world.given_out.fetch_add(1, Ordering::SeqCst) + 1;
    let ends = jiff::Timestamp::from_millisecond(world.clock.now().millis() + 3_600_000).unwrap();
    let ns = "https://sts.amazonaws.com/doc/2011-06-15/";
    let xml = format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"{ns}\">\n <AssumeRoleWithWebIdentityResult>\n  <Credentials>\n   \
         <SessionToken>\n    session\n    -{number}\n   </SessionToken>\n   <SecretAccessKey>{SECRET}</SecretAccessKey>\n   \
         <Expiration>{ends}</Expiration>\n   <AccessKeyId>AKID{number}</AccessKeyId>\n  </Credentials>\n \
         </AssumeRoleWithWebIdentityResult>\n</AssumeRoleWithWebIdentityResponse>"
    );
    ([("content-type", "text/xml")], xml).into_response()
}

/// For an hour.
async fn credentials(State(world): State<Arc<World>>) -> Response {
    let number = world.given_out.fetch_add(1, Ordering::SeqCst) + 1;
    let ends = jiff::Timestamp::from_millisecond(world.clock.now().millis() + 3_600_000).unwrap();
    axum::Json(json!({
        "AccessKeyId": format!("AKID{number}"),
        "SecretAccessKey": SECRET,
        "Token": format!("session-{number}"),
        "Expiration": ends.to_string(),
    }))
    .into_response()
}

fn failure(kind: &str) -> Response {
    let body = json!({"__type": format!("com.amazonaws.kms#{kind}"), "message": "secret words"});
    (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
}

async fn ask(State(world): State<Arc<World>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(answer) = world.alike().await {
        return answer;
    }
    if let Err(why) = signed(&headers, &body) {
        return failure(why);
    }
    let session = headers["x-amz-security-token"].to_str().unwrap();
    let number: usize = session.strip_prefix("session-").unwrap().parse().unwrap();
    if number <= world.ended.load(Ordering::SeqCst) {
        return failure("ExpiredTokenException");
    }
    match world.mood() {
        Mood::AccessTaken => return failure("AccessDeniedException"),
        Mood::KeyDisabled => return failure("DisabledException"),
        Mood::KeyGone => return failure("KMSInvalidStateException"),
        Mood::Throttled => return failure("ThrottlingException"),
        _ => {}
    }
    assert_eq!(headers["content-type"], "application/x-amz-json-1.1");
    let request: Value = serde_json::from_slice(&body).unwrap();
    let key = request["KeyId"].as_str().unwrap();
    let context = request["EncryptionContext"].to_string();
    assert!(context.contains("carnet:deployment") && context.contains("carnet:root-version"), "{context}");
    let bytes = |name: &str| STANDARD.decode(request[name].as_str().unwrap()).unwrap();
    match headers["x-amz-target"].to_str().unwrap() {
        "TrentService.Encrypt" => {
            let ticket = world.keep(key, bytes("Plaintext"), context);
            axum::Json(json!({"CiphertextBlob": STANDARD.encode(ticket), "KeyId": key})).into_response()
        }
        "TrentService.Decrypt" => {
            let blob = bytes("CiphertextBlob");
            match world.open(key, &String::from_utf8_lossy(&blob), &context) {
                Opened::Plaintext(plain) => {
                    axum::Json(json!({"Plaintext": STANDARD.encode(plain), "KeyId": key})).into_response()
                }
                Opened::OtherKey => failure("IncorrectKeyException"),
                Opened::Altered => failure("InvalidCiphertextException"),
            }
        }
        other => panic!("{other}"),
    }
}

/// The signature of what arrived, reckoned from the headers that it says it covers.
fn signed(headers: &HeaderMap, body: &[u8]) -> Result<(), &'static str> {
    let said = headers.get("authorization").and_then(|value| value.to_str().ok());
    let said = said
        .and_then(|text| text.strip_prefix("AWS4-HMAC-SHA256 "))
        .ok_or("MissingAuthenticationTokenException")?;
    let part = |name: &str| {
        said.split(", ")
            .find_map(|part| part.strip_prefix(name))
            .unwrap_or_else(|| panic!("no {name} in {said}"))
    };
    let (credential, names, signature) = (part("Credential="), part("SignedHeaders="), part("Signature="));
    for needed in ["host", "x-amz-date", "x-amz-target", "x-amz-security-token", "content-type"] {
        assert!(names.split(';').any(|name| name == needed), "{needed} is signed: {names}");
    }
    let mut canonical = "POST\n/\n\n".to_owned();
    for name in names.split(';') {
        let _ = writeln!(canonical, "{name}:{}", headers[name].to_str().unwrap().trim());
    }
    let _ = write!(canonical, "\n{names}\n{}", hex(digest::digest(&digest::SHA256, body).as_ref()));
    let scope: Vec<&str> = credential.split('/').skip(1).collect();
    let [day, region, "kms", "aws4_request"] = scope[..] else { panic!("{credential}") };
    assert_eq!(region, REGION);
    let date = headers["x-amz-date"].to_str().unwrap();
    assert!(date.starts_with(day) && date.ends_with('Z') && date.len() == 16, "{date}");
    let hashed = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{}\n{hashed}", scope.join("/"));
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in scope.iter().copied().chain([text.as_str()]) {
        key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
    }
    if hex(&key) == signature { Ok(()) } else { Err("InvalidSignatureException") }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
