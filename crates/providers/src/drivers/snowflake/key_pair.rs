//! The application as a service user with a key pair: a JWT that its key signs.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use carnet_model::{SecretString, Time};
use serde_json::Map;

use super::account::Account;
use super::settings::{self, Settings};
use crate::driver::At;
use crate::driver::failure::DriverError;
use crate::driver::mint::Minted;
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
        flawed: false,
    })
}

/// "Using key pair authentication" of the SQL API: `iss` is ACCOUNT.USER.SHA256:FINGERPRINT, `sub` ACCOUNT.USER, in
/// capitals; the fingerprint is that of the public key in DER.
pub(super) fn jwt(
    key: &PrivateKey,
    account: &Account,
    username: &str,
    now: Time,
) -> Result<SecretString, DriverError> {
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

/// An hour is the most that Snowflake takes; its clock may be ahead of ours.
const LIFE: Duration = Duration::from_mins(59);
