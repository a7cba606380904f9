//! The seal of the consent page: proof that a decision comes from a page that this server showed to this browser.
//!
//! A cookie names the browser; the hidden field is an HMAC over the cookie, the request and an end. The key lives as
//! long as the process, so a page from before a restart is shown anew. Nothing is kept per page.

use std::time::Duration;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign, verify};
use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_model::{Env, Time};

/// Makes and checks seals.
pub(crate) struct Seal(Key);

impl Seal {
    pub(crate) fn new(env: &Env) -> Self {
        Self(Key::new(HMAC_SHA256, &env.bytes::<32>()))
    }

    /// A seal for this browser and this request, good for as long as a person may take.
    pub(super) fn set(&self, now: Time, cookie: &str, query: &str) -> String {
        let end = now.plus(GOOD_FOR).millis();
        let tag = sign(&self.0, &content(end, cookie, query));
        format!("{end}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// Whether this is our seal for this browser and this request, and in time. Constant time.
    pub(super) fn holds(&self, now: Time, cookie: &str, query: &str, seal: &str) -> bool {
        let Some((end, tag)) = seal.split_once('.') else { return false };
        let (Ok(end), Ok(tag)) = (end.parse::<i64>(), URL_SAFE_NO_PAD.decode(tag)) else { return false };
        verify(&self.0, &content(end, cookie, query), &tag).is_ok() && now.millis() < end
    }
}

/// The browser's cookie, if it has one of ours.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == COOKIE_NAME && is_ours(value))
        .map(|(_, value)| value)
}

/// A fresh cookie value.
pub(super) fn fresh_cookie(env: &Env) -> String {
    URL_SAFE_NO_PAD.encode(env.bytes::<32>())
}

/// `Lax`, not `Strict`: the page is reached from the client's site and must find the cookie of an earlier tab.
pub(super) fn set_cookie(value: &str, path: &str, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE_NAME}={value}; Path={path}/authorize; HttpOnly; SameSite=Lax{secure}")
}

/// No two different contents look the same: the end is 8 bytes and our cookie 43.
fn content(end: i64, cookie: &str, query: &str) -> Vec<u8> {
    [&end.to_be_bytes(), cookie.as_bytes(), query.as_bytes()].concat()
}

fn is_ours(value: &str) -> bool {
    value.len() == 43 && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

const COOKIE_NAME: &str = "demo_browser";
const GOOD_FOR: Duration = Duration::from_mins(15);
