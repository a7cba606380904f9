//! Asking a service whether it accepts a key, before the key is kept: one call that changes nothing and says whose the key
//! is (Telegram's `getMe`, Discord's `users/@me`).
//!
//! A key that the service refuses is not kept, and neither is one about which it could not be asked: a wrong key would show
//! only when somebody needs it. A key that may do little (403) is a key.

use carnet_egress::{Call, Egress, Purpose};
use carnet_model::{Env, Id, SecretString, kind};
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use url::Url;

use super::oauth::account::text_at;
use crate::driver::NewConnector;
use crate::driver::failure::{BadConfiguration, DriverError};
use crate::fields::Fields;
use crate::oauth::{failure, json};

/// The call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    /// Where to; `{key}` in the path stands for the key.
    url: String,
    /// The header that holds the key, where the path does not.
    header: Option<String>,
    /// What stands before it there.
    scheme: Option<String>,
    /// Where it stands in the answer whose the key is: JSON pointers.
    account: Option<String>,
    name: Option<String>,
}

/// Whose a key is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Holder {
    pub account: Option<String>,
    pub name: Option<String>,
}

impl Holder {
    /// Reads `account`, which was written by this server.
    pub(super) fn read(fields: &mut Fields) -> Result<Self, BadConfiguration> {
        let Some(mut inner) = fields.object("account")? else { return Ok(Self::default()) };
        let holder = Self { account: inner.text("accountId")?, name: inner.text("accountName")? };
        inner.finish()?;
        Ok(holder)
    }

    /// As it is stored, and told to callers.
    pub(super) fn to_metadata(&self) -> Map<String, Value> {
        let members = [("accountId", &self.account), ("accountName", &self.name)];
        members.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?.into()))).collect()
    }
}

/// Why a key is not kept.
#[derive(Debug)]
pub(super) enum Refused {
    /// The service does not accept it, and answered with this status.
    Key(StatusCode),
    /// The service did not say.
    Unsaid(DriverError),
}

impl Probe {
    /// Reads `probe`.
    pub(super) fn read(fields: &mut Fields) -> Result<Option<Self>, BadConfiguration> {
        let Some(mut inner) = fields.object("probe")? else { return Ok(None) };
        let url = inner.text("url")?.ok_or_else(|| inner.bad("url", "is missing"))?;
        let probe = Self {
            url,
            header: inner.text("header")?,
            scheme: inner.text("scheme")?,
            account: inner.text("account")?,
            name: inner.text("name")?,
        };
        let Ok(plain) = Url::parse(&probe.url.replace(KEY, "key")) else {
            return Err(inner.bad("url", "is not a URL"));
        };
        let in_path = probe.url.contains(KEY);
        if in_path && !plain.path().contains("key") || probe.url.matches(KEY).count() > 1 {
            return Err(inner.bad("url", "has {key} once, in its path"));
        }
        if in_path && (probe.header.is_some() || probe.scheme.is_some()) {
            return Err(inner.bad("header", "and {key} in the url say two different places for the key"));
        }
        let is_header = |name: &String| HeaderName::from_bytes(name.as_bytes()).is_ok();
        if !probe.header.as_ref().is_none_or(is_header) {
            return Err(inner.bad("header", "is no name of a header"));
        }
        for (name, place) in [("account", &probe.account), ("name", &probe.name)] {
            if !place.as_ref().is_none_or(|text| text.starts_with('/') && text.len() <= 200) {
                return Err(inner.bad(name, "must be a JSON pointer, such as /user/id"));
            }
        }
        inner.finish()?;
        Ok(Some(probe))
    }

    /// As stored and shown.
    pub(super) fn to_json(&self) -> Value {
        let url = Some(self.url.clone());
        let members = [
            ("url", &url),
            ("header", &self.header),
            ("scheme", &self.scheme),
            ("account", &self.account),
            ("name", &self.name),
        ];
        members
            .into_iter()
            .filter_map(|(name, text)| Some((name.to_owned(), text.clone()?.into())))
            .collect::<Map<_, _>>()
            .into()
    }

    /// The address without a key.
    pub(super) fn plain(&self) -> String {
        self.url.replace(KEY, "key")
    }

    /// The origin to which keys are sent.
    pub(super) fn origin(&self) -> Option<String> {
        Some(Url::parse(&self.plain()).ok()?.origin().ascii_serialization())
    }

    /// Asks about one key.
    pub(super) async fn ask(
        &self,
        http: &Egress,
        env: &Env,
        tenant: Id<kind::Team>,
        key: &SecretString,
    ) -> Result<Holder, Refused> {
        let garbage = || Refused::Unsaid(DriverError::garbage(false, "it is not what its API promises"));
        let text = SecretString::new(self.url.replace(KEY, encoded(key).expose()));
        let url = Url::parse(text.expose()).map_err(|_| garbage())?;
        let mut call = Call::get(url, Purpose::ProviderApi, tenant);
        let in_path = self.url.contains(KEY);
        if !in_path {
            let scheme = self.scheme.as_ref().map(|scheme| format!("{scheme} ")).unwrap_or_default();
            let text = SecretString::new(format!("{scheme}{}", key.expose()));
            let mut value = HeaderValue::from_str(text.expose()).map_err(|_| garbage())?;
            value.set_sensitive(true);
            let name = self.header.as_ref().and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok());
            call = call.header(name.unwrap_or(AUTHORIZATION), value);
        }
        let answer = http.send(call).await;
        let answer = answer.map_err(|error| Refused::Unsaid(failure::of_transport(error, "probe.url")))?;
        match answer.status {
            StatusCode::OK => {
                let said = json::object(&answer.body).ok_or_else(garbage)?;
                let at = |place: &Option<String>| text_at(&said, place.as_deref()?, key);
                Ok(Holder { account: at(&self.account), name: at(&self.name) })
            }
            StatusCode::FORBIDDEN => Ok(Holder::default()),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST) => Err(Refused::Key(status)),
            // There is no such thing as the key stands for.
            status @ StatusCode::NOT_FOUND if in_path => Err(Refused::Key(status)),
            status => {
                let wait = failure::retry_after(&answer.headers, env.now());
                Err(Refused::Unsaid(failure::of_nothing(status, wait, failure::UNREADABLE)))
            }
        }
    }

    /// The same for the key that stands at `field` of a new connector. One that may not be shown there is not tried.
    pub(super) async fn accept(
        &self,
        ask: &NewConnector<'_>,
        key: &SecretString,
        field: &str,
    ) -> Result<Holder, BadConfiguration> {
        let url = Url::parse(&self.plain()).ok();
        if !url.as_ref().is_some_and(|url| ask.may_show(url)) {
            return Ok(Holder::default());
        }
        let host = url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        let bad = |why: String| BadConfiguration { field: field.to_owned(), why };
        self.ask(ask.http, ask.env, ask.tenant, key).await.map_err(|refused| match refused {
            Refused::Key(status) => {
                bad(format!("is not accepted by {host}, which answers with status {}", status.as_u16()))
            }
            Refused::Unsaid(error) => bad(format!("could not be tried at {host}: {error}")),
        })
    }
}

/// A key as it stands in a path (RFC 3986 §3.3).
fn encoded(key: &SecretString) -> SecretString {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(key.expose().len() * 3);
    for byte in key.expose().bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':') {
            out.push(char::from(byte));
        } else {
            // Writing into text has no way to fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    SecretString::new(out)
}

const KEY: &str = "{key}";
