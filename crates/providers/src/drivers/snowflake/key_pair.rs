//! The application as a service user with a key pair: a JWT that its key signs.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use carnet_egress::{Answer, Call, Purpose};
use carnet_model::{SecretString, Time};
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::account::Account;
use super::settings::{self, Settings};
use crate::driver::failure::{BadConfiguration, DriverError, Vendor};
use crate::driver::mint::Minted;
use crate::driver::{At, NewConnector};
use crate::oauth::json;
use crate::private_key::PrivateKey;

/// A token of the application.
pub(super) fn mint(at: &At<'_>, settings: &Settings) -> Result<Minted, DriverError> {
    let misconfigured = |field: &str, why: String| DriverError::Misconfigured(field.to_owned(), why);
    let username = settings.username.as_ref();
    let username =
        username.ok_or_else(|| super::unsupported("this connector has no user with a key pair"))?;
    let pem = at.secrets.at(settings::PRIVATE_KEY);
    let pem = pem.ok_or_else(|| misconfigured("privateKeyPem", "is missing".to_owned()))?;
    let key = PrivateKey::parse(pem).map_err(|why| misconfigured("privateKeyPem", why.to_string()))?;
    let now = at.env.now();
    let mut metadata = settings.told("KEYPAIR_JWT");
    metadata.insert("username".to_owned(), username.clone().into());
    Ok(Minted {
        token: jwt(&key, &settings.account, username, now)?,
        expires_at: Some(now.plus(LIFE)),
        scopes: None,
        held: None,
        refresh_expires_at: None,
        metadata,
        claims: Map::new(),
        external_subject: Some(username.clone()),
        stray: None,
    })
}

/// "Using key pair authentication" of the SQL API: `iss` is ACCOUNT.USER.SHA256:FINGERPRINT, `sub` ACCOUNT.USER, in
/// capitals; the fingerprint is that of the public key in DER.
fn jwt(key: &PrivateKey, account: &Account, username: &str, now: Time) -> Result<SecretString, DriverError> {
    let cannot = |error: crate::driver::signer::CannotSign| {
        DriverError::Misconfigured("privateKeyPem".to_owned(), error.to_string())
    };
    let fingerprint = BASE64_STANDARD.encode(digest(&SHA256, &key.public_der().map_err(cannot)?));
    let subject = format!("{}.{}", account.claimed(), username.to_uppercase());
    let claims = Map::from_iter([
        ("iss".to_owned(), format!("{subject}.SHA256:{fingerprint}").into()),
        ("sub".to_owned(), subject.into()),
        ("iat".to_owned(), now.secs().into()),
        ("exp".to_owned(), now.plus(LIFE).secs().into()),
    ]);
    key.jwt(None, &claims).map_err(cannot)
}

/// Asks the account whether it takes the key. Whatever comes of the statement itself, who is not let in is told so before.
pub(super) async fn is_taken(
    ask: &NewConnector<'_>,
    account: &Account,
    username: &str,
    pem: &SecretString,
) -> Result<(), BadConfiguration> {
    let key = PrivateKey::parse(pem).map_err(|why| bad("privateKeyPem", why.to_string()))?;
    let token = jwt(&key, account, username, ask.env.now())
        .map_err(|error| bad("privateKeyPem", error.to_string()))?;
    let text = SecretString::new(format!("Bearer {}", token.expose()));
    let mut bearer =
        HeaderValue::from_str(text.expose()).map_err(|error| bad("privateKeyPem", error.to_string()))?;
    bearer.set_sensitive(true);
    let answer = statement(ask, account, Some(bearer)).await?;
    if answer.status == StatusCode::UNAUTHORIZED {
        let said = json::object(&answer.body);
        let words = said.as_ref().and_then(|body| body.get("message")).and_then(Value::as_str);
        let words = Vendor::new(401, "", words, &[token]).quoted();
        let user = username.to_uppercase();
        return Err(bad(
            "privateKeyPem",
            format!("Snowflake does not take this key for the user {user}: {words}"),
        ));
    }
    judge(&answer)
}

/// Whether there is such an account: its SQL API answers, if only that nobody has signed in.
pub(super) async fn is_account(ask: &NewConnector<'_>, account: &Account) -> Result<(), BadConfiguration> {
    judge(&statement(ask, account, None).await?)
}

/// Sends a statement that needs no warehouse and reads nothing.
async fn statement(
    ask: &NewConnector<'_>,
    account: &Account,
    bearer: Option<HeaderValue>,
) -> Result<Answer, BadConfiguration> {
    let url = ask.http.check(&format!("{}/api/v2/statements", account.origin()), Purpose::ProviderApi);
    let url = url.map_err(|refused| unasked(&refused.to_string()))?;
    let body = json!({"statement": "select current_user()", "timeout": 5}).to_string();
    let mut call = Call::post_json(url, body, Purpose::ProviderApi, ask.tenant);
    if let Some(bearer) = bearer {
        call = call.header(AUTHORIZATION, bearer).header(TOKEN_TYPE, HeaderValue::from_static("KEYPAIR_JWT"));
    }
    ask.http.send(call).await.map_err(|error| unasked(&error.to_string()))
}

/// What the answer says about the account.
fn judge(answer: &Answer) -> Result<(), BadConfiguration> {
    match answer.status {
        status if status.is_server_error() => Err(unasked(&format!("status {}", status.as_u16()))),
        // An account that does not exist is answered by no SQL API.
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => {
            Err(bad("accountIdentifier", "is no account".into()))
        }
        _ if json::object(&answer.body).is_some() => Ok(()),
        status => Err(unasked(&format!("status {} and no answer of the SQL API", status.as_u16()))),
    }
}

fn unasked(why: &str) -> BadConfiguration {
    bad("accountIdentifier", format!("Snowflake could not be asked at this account: {why}"))
}

fn bad(field: &str, why: String) -> BadConfiguration {
    BadConfiguration { field: field.to_owned(), why }
}

/// An hour is the most that Snowflake takes; its clock may be ahead of ours.
const LIFE: Duration = Duration::from_mins(59);
const TOKEN_TYPE: HeaderName = HeaderName::from_static("x-snowflake-authorization-token-type");
