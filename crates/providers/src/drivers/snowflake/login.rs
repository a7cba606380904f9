//! Asking an account whether it is there, and whether it takes a key: by the call with which Snowflake's own drivers open
//! a session, `POST /session/v1/login-request`.
//!
//! Every account answers it, with status 200 and `success`, `code` and `message` in JSON, whoever asks (as
//! snowflake-connector-python and gosnowflake read it, 2026-11-30); a host of which there is no account answers 403 or
//! 404, which the drivers report as "Verify the account name is correct". What a key that is not taken is answered with is
//! in "Key pair authentication: Troubleshooting". A session that is opened so is closed at once.
//!
//! An answer of another kind decides nothing: then [`Known::NotSaid`], and the connector says what nobody could check.

use carnet_egress::{Answer, Call, Purpose};
use carnet_model::SecretString;
use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use serde_json::{Map, Value, json};

use super::account::Account;
use super::key_pair;
use crate::driver::NewConnector;
use crate::driver::failure::{BadConfiguration, Vendor};
use crate::fields::is_credential;
use crate::oauth::json;
use crate::private_key::PrivateKey;

/// What an account said about what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Yes.
    Yes,
    /// It answered, and the answer tells neither.
    NotSaid,
}

/// Whether there is such an account: it answers, if only that nobody has signed in.
pub(super) async fn is_account(ask: &NewConnector<'_>, account: &Account) -> Result<Known, BadConfiguration> {
    let answer = send(ask, account, login(account, Map::new())).await?;
    judge(&answer).map(|said| if said.is_some() { Known::Yes } else { Known::NotSaid })
}

/// Whether the account takes the key of this user.
pub(super) async fn is_taken(
    ask: &NewConnector<'_>,
    account: &Account,
    username: &str,
    pem: &SecretString,
) -> Result<Known, BadConfiguration> {
    let key = PrivateKey::parse(pem).map_err(|why| bad("privateKeyPem", why.to_string()))?;
    let token = key_pair::jwt(&key, account, username, ask.env.now())
        .map_err(|error| bad("privateKeyPem", error.to_string()))?;
    let user = username.to_uppercase();
    let who = json!({"LOGIN_NAME": user, "AUTHENTICATOR": "SNOWFLAKE_JWT", "TOKEN": token.expose()});
    let answer = send(ask, account, login(account, who.as_object().cloned().unwrap_or_default())).await?;
    let Some(said) = judge(&answer)? else { return Ok(Known::NotSaid) };
    if said.get("success") == Some(&Value::Bool(true)) {
        close(ask, account, &said).await;
        return Ok(Known::Yes);
    }
    let code = match said.get("code") {
        Some(Value::String(text)) => text.parse().unwrap_or_default(),
        Some(Value::Number(number)) => number.as_u64().unwrap_or_default(),
        _ => 0,
    };
    if !is_about_the_key(code) {
        return Ok(Known::NotSaid);
    }
    let words = said.get("message").and_then(Value::as_str);
    let words = Vendor::new(answer.status.as_u16(), "", words, &[token]).quoted();
    Err(bad("privateKeyPem", format!("Snowflake does not take this key for the user {user}: {words}")))
}

/// "JWT token is invalid" is 390144, and the reasons that an administrator finds for it are 394300 and up; a user that
/// there is not, or that is disabled, is 390100 or 390101. Whatever else is wrong (a network policy, a role that is not
/// there) is not the key.
fn is_about_the_key(code: u64) -> bool {
    matches!(code, 390_100 | 390_101 | 390_144 | 394_300..=394_399)
}

/// What is posted, with who signs in.
fn login(account: &Account, who: Map<String, Value>) -> SecretString {
    let mut data = who;
    for (name, value) in [
        ("CLIENT_APP_ID", json!("Carnet")),
        ("CLIENT_APP_VERSION", json!(env!("CARGO_PKG_VERSION"))),
        ("ACCOUNT_NAME", json!(account.claimed())),
        ("CLIENT_ENVIRONMENT", json!({})),
        ("SESSION_PARAMETERS", json!({})),
    ] {
        data.insert(name.to_owned(), value);
    }
    SecretString::new(json!({ "data": data }).to_string())
}

async fn send(
    ask: &NewConnector<'_>,
    account: &Account,
    body: SecretString,
) -> Result<Answer, BadConfiguration> {
    let url = ask.http.check(&format!("{}/session/v1/login-request", account.origin()), Purpose::ProviderApi);
    let url = url.map_err(|refused| unasked(&refused.to_string()))?;
    let call = Call::post_secret_json(url, body, Purpose::ProviderApi, ask.tenant)
        .header(ACCEPT, HeaderValue::from_static("application/snowflake"));
    ask.http.send(call).await.map_err(|error| unasked(&error.to_string()))
}

/// What the account said; `None` where something answers that does not speak as an account does.
fn judge(answer: &Answer) -> Result<Option<Map<String, Value>>, BadConfiguration> {
    let said = json::object(&answer.body).filter(|said| said.get("success").is_some_and(Value::is_boolean));
    match (said, answer.status) {
        (Some(said), _) => Ok(Some(said)),
        (None, status) if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Err(unasked(&format!("status {}", status.as_u16())))
        }
        (None, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN) => Err(bad(
            "accountIdentifier",
            "is no account: Snowflake opens no sessions there; SELECT CURRENT_ORGANIZATION_NAME() || '-' || \
             CURRENT_ACCOUNT_NAME() says what it is"
                .to_owned(),
        )),
        (None, _) => Ok(None),
    }
}

/// Closes the session that a login opened. Where that fails it ends by itself, and nobody has its token.
async fn close(ask: &NewConnector<'_>, account: &Account, said: &Map<String, Value>) {
    let token = said.get("data").and_then(|data| data.get("token")?.as_str());
    let Some(token) = token.filter(|token| is_credential(token) && !token.contains('"')) else { return };
    let text = SecretString::new(format!("Snowflake Token=\"{token}\""));
    let url = ask.http.check(&format!("{}/session?delete=true", account.origin()), Purpose::ProviderApi);
    let (Ok(url), Ok(mut value)) = (url, HeaderValue::from_str(text.expose())) else { return };
    value.set_sensitive(true);
    let call = Call::post_json(url, "{}", Purpose::ProviderApi, ask.tenant)
        .header(AUTHORIZATION, value)
        .header(ACCEPT, HeaderValue::from_static("application/snowflake"));
    let _ = ask.http.send(call).await;
}

fn unasked(why: &str) -> BadConfiguration {
    bad("accountIdentifier", format!("Snowflake could not be asked at this account: {why}"))
}

fn bad(field: &str, why: String) -> BadConfiguration {
    BadConfiguration { field: field.to_owned(), why }
}
