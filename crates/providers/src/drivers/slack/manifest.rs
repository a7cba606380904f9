//! Creating a Slack app from a manifest ("apps.manifest.create", docs.slack.dev, read in 2026), with an app configuration
//! token: a person's, of one workspace, good for twelve hours. It is used once and not kept.
//!
//! Token rotation is switched on, so that no token of the app lives longer than twelve hours. Where the connector receives
//! events, the app sends it those that tell of lost access, which need no scope; Slack uses the address once somebody has
//! pressed "verify" beside it in the app's settings ("App manifest reference", `settings.event_subscriptions.request_url`).

use carnet_egress::{Call, Purpose};
use carnet_model::{Env, Id, Scopes, SecretString, kind};
use http::header::{AUTHORIZATION, HeaderValue};
use serde_json::{Value, json};
use url::Url;
use url::form_urlencoded::Serializer;

use super::answer;
use crate::driver::failure::{BadConfiguration, DriverError};
use crate::driver::registration::{Registration, RegistrationAsk};
use crate::fields::is_credential;
use crate::oauth::failure;

/// What Slack made.
pub(super) struct Made {
    pub app_id: Option<String>,
    pub client_id: String,
    pub client_secret: SecretString,
    pub signing_secret: Option<SecretString>,
}

/// What the app is to be.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    pub name: &'a str,
    pub bot: &'a Scopes,
    pub user: &'a Scopes,
    pub redirect_uri: &'a str,
    /// Where it sends its events.
    pub events: Option<&'a str>,
}

/// Where a person makes the app, with a token or by hand.
pub(super) fn pages(ask: &RegistrationAsk<'_>) -> Result<Registration, BadConfiguration> {
    let none = Scopes::empty();
    let redirect_uri = ask.redirect_uri;
    // Who makes it by hand brings its client to a connector that has another address.
    let wish = Wish { name: ask.name, bot: ask.scopes, user: &none, redirect_uri, events: None };
    let address = |text: &str| Url::parse(text).map_err(|_| bad("name", "makes no address".to_owned()));
    let mut by_hand = address(APPS)?;
    by_hand
        .query_pairs_mut()
        .append_pair("new_app", "1")
        .append_pair("manifest_json", &manifest(&wish)?.to_string());
    Ok(Registration::Token { tokens: address(APPS)?, by_hand })
}

fn manifest(wish: &Wish<'_>) -> Result<Value, BadConfiguration> {
    let name = wish.name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(bad("appName", format!("has 1 to {LONGEST_NAME} characters")));
    }
    let mut scopes = json!({});
    for (kind, wanted) in [("bot", wish.bot), ("user", wish.user)] {
        if let (false, Some(scopes)) = (wanted.is_empty(), scopes.as_object_mut()) {
            scopes.insert(kind.to_owned(), json!(wanted));
        }
    }
    let mut manifest = json!({
        "display_information": {"name": name},
        "oauth_config": {"redirect_urls": [wish.redirect_uri], "scopes": scopes},
        "settings": {"org_deploy_enabled": false, "socket_mode_enabled": false, "token_rotation_enabled": true},
    });
    if let (false, Some(manifest)) = (wish.bot.is_empty(), manifest.as_object_mut()) {
        manifest.insert(
            "features".to_owned(),
            json!({"bot_user": {"display_name": name, "always_online": false}}),
        );
    }
    if let (Some(url), Some(settings)) =
        (wish.events, manifest.get_mut("settings").and_then(Value::as_object_mut))
    {
        // An app without a bot hears of people's events alone.
        let whose = if wish.bot.is_empty() { "user_events" } else { "bot_events" };
        settings.insert("event_subscriptions".to_owned(), json!({"request_url": url, whose: LOSSES}));
    }
    Ok(manifest)
}

/// Has Slack make the app.
pub(super) async fn create(
    http: &carnet_egress::Egress,
    env: &Env,
    tenant: Id<kind::Team>,
    token: &SecretString,
    wish: &Wish<'_>,
) -> Result<Made, BadConfiguration> {
    let unasked = |why: String| bad("configurationToken", format!("Slack made no app: {why}"));
    let manifest = manifest(wish)?.to_string();
    let form = Serializer::new(String::new()).append_pair("manifest", &manifest).finish();
    let text = SecretString::new(format!("Bearer {}", token.expose()));
    let mut value = HeaderValue::from_str(text.expose())
        .map_err(|_| bad("configurationToken", "is not a token: xoxe.xoxp-…".to_owned()))?;
    value.set_sensitive(true);
    let url = Url::parse(&format!("{}/api/apps.manifest.create", answer::ORIGIN))
        .map_err(|error| unasked(error.to_string()))?;
    let call = Call::post_form(url, SecretString::new(form), Purpose::ProviderApi, tenant)
        .header(AUTHORIZATION, value);
    let answer = http.send(call).await.map_err(|error| {
        let error = failure::of_transport(error, "configurationToken");
        // It may have been made all the same.
        let look = if error.in_doubt() {
            "; look at api.slack.com/apps whether it is there, and delete it"
        } else {
            ""
        };
        unasked(format!("{error}{look}"))
    })?;
    let said = answer::said(&answer, env.now(), &[token.duplicate()]);
    let said = said.map_err(|error| match error {
        DriverError::Refused { vendor } => match vendor.error.as_str() {
            "invalid_auth" | "token_expired" | "token_revoked" | "not_authed" | "not_allowed_token_type" => bad(
                "configurationToken",
                format!(
                    "Slack does not take it (\u{201c}{}\u{201d}); generate another, it lasts twelve hours",
                    vendor.error
                ),
            ),
            code => unasked(format!("\u{201c}{code}\u{201d}{}", first_error(&answer.body, token))),
        },
        error => unasked(error.to_string()),
    })?;
    let one = |name: &str| {
        let text = said.members.get("credentials")?.get(name)?.as_str()?;
        is_credential(text).then(|| text.to_owned())
    };
    let garbage =
        || unasked("its answer names no client; look at api.slack.com/apps whether it is there".to_owned());
    Ok(Made {
        app_id: said.members.get("app_id").and_then(Value::as_str).map(str::to_owned),
        client_id: one("client_id").ok_or_else(garbage)?,
        client_secret: one("client_secret").map(SecretString::new).ok_or_else(garbage)?,
        signing_secret: one("signing_secret").map(SecretString::new),
    })
}

/// What Slack finds wrong with the manifest, and where, in its words, shortened; never with the token that it was sent.
fn first_error(body: &[u8], sent: &SecretString) -> String {
    let said: Option<Value> = serde_json::from_slice(body).ok();
    let first = said.as_ref().and_then(|said| said.get("errors")?.get(0));
    let text = |name: &str| {
        let text = first?.get(name)?.as_str()?;
        let plain = |c: &char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
        let text: String =
            text.replace(sent.expose().as_str(), "…").chars().filter(plain).take(200).collect();
        Some(text)
    };
    match (text("message"), text("pointer")) {
        (Some(message), Some(pointer)) => format!(": \u{201c}{message}\u{201d} at {pointer}"),
        (Some(message), None) => format!(": \u{201c}{message}\u{201d}"),
        _ => String::new(),
    }
}

fn bad(field: &str, why: String) -> BadConfiguration {
    BadConfiguration { field: field.to_owned(), why }
}

const APPS: &str = "https://api.slack.com/apps";
/// The events that tell of lost access.
const LOSSES: [&str; 2] = ["app_uninstalled", "tokens_revoked"];
/// Of the name of an app ("display_information.name": at most 35 characters).
const LONGEST_NAME: usize = 35;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_asks_for_what_was_said_and_tokens_that_rotate() {
        let bot = Scopes::parse(["chat:write"]).unwrap();
        let none = Scopes::empty();
        let redirect_uri = "https://c.example/callback/scl_1";
        let wish = Wish { name: "Bot", bot: &bot, user: &none, redirect_uri, events: None };
        let made = manifest(&wish).unwrap();
        assert_eq!(made["oauth_config"]["scopes"], json!({"bot": ["chat:write"]}));
        assert_eq!(made["settings"]["token_rotation_enabled"], true);
        assert_eq!(made["features"]["bot_user"]["display_name"], "Bot");
        assert_eq!(made["settings"].get("event_subscriptions"), None, "nobody would hear them");
        let events = Some("https://c.example/connect/trigger/scl_1");
        let heard = |wish: &Wish<'_>| manifest(wish).unwrap()["settings"]["event_subscriptions"].clone();
        let lost = json!(["app_uninstalled", "tokens_revoked"]);
        assert_eq!(heard(&Wish { events, ..wish }), json!({"request_url": events, "bot_events": lost}));
        let people = Wish { bot: &none, user: &bot, ..wish };
        assert_eq!(heard(&Wish { events, ..people }), json!({"request_url": events, "user_events": lost}));
        let made = manifest(&people).unwrap();
        assert_eq!(
            (made.get("features"), &made["oauth_config"]["scopes"]),
            (None, &json!({"user": ["chat:write"]}))
        );
        let long = "x".repeat(36);
        for name in ["", " ", long.as_str(), "a\u{7}"] {
            assert_eq!(manifest(&Wish { name, ..people }).err().unwrap().field, "appName", "{name:?}");
        }
    }

    #[test]
    fn what_slack_finds_wrong_is_quoted_short_and_harmless() {
        let said =
            json!({"ok": false, "errors": [{"message": "bad \"url\"\u{202e}", "pointer": "/oauth_config"}]});
        let token = SecretString::new("xoxe.xoxp-s3cret".to_owned());
        let quoted = |said: Value| first_error(said.to_string().as_bytes(), &token);
        assert_eq!(quoted(said), ": \u{201c}bad url\u{201d} at /oauth_config");
        let echo = json!({"errors": [{"message": "no scope for xoxe.xoxp-s3cret here", "pointer": "/xoxe.xoxp-s3cret"}]});
        assert_eq!(quoted(echo), ": \u{201c}no scope for  here\u{201d} at /");
        assert_eq!(first_error(b"<html>", &token), "");
    }
}
