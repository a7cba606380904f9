//! Registering a GitHub App from a manifest ("Registering a GitHub App from a manifest", docs.github.com, read in 2026):
//! the person's browser posts the manifest to GitHub, GitHub leads it back with a code, and the code is exchanged once,
//! within an hour, for the app with its key and secrets.
//!
//! A webhook is asked for only where GitHub can reach it: it refuses the whole app otherwise ("Hook url is not supported
//! because it isn't reachable over the public Internet"), and a connector works without. `installation` and
//! `github_app_authorization`, which tell of lost access, come to every app with a webhook, and cannot be subscribed to; the
//! secret is GitHub's, and comes back with the app (`webhook_secret`).

use carnet_egress::{Call, Purpose};
use carnet_model::Scopes;
use http::header::ACCEPT;
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};

use super::api::{self, Api};
use super::narrowing::Permissions;
use crate::driver::failure::{BadConfiguration, CallbackFault, DriverError};
use crate::driver::registration::{Redeem, Redeemed, Registration, RegistrationAsk};
use crate::oauth::failure;

/// The form that a person's browser posts to GitHub.
pub(super) fn form(ask: &RegistrationAsk<'_>) -> Result<Registration, BadConfiguration> {
    let name = ask.name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(bad("name", "has 1 to 34 characters, and nobody else's app at GitHub has it"));
    }
    let is_login = |text: &str| {
        !text.is_empty()
            && text.len() <= 39
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !text.starts_with('-')
    };
    let path = match ask.owner {
        None => "settings/apps/new".to_owned(),
        Some(owner) if is_login(owner) => format!("organizations/{owner}/settings/apps/new"),
        Some(_) => {
            return Err(bad("owner", "is the name of an organization at GitHub: letters, digits and -"));
        }
    };
    let mut to = api::web(&path).map_err(|_| bad("owner", "makes no address"))?;
    to.query_pairs_mut().append_pair("state", ask.state);
    let mut manifest = json!({
        "name": name,
        "url": ask.home,
        "redirect_url": ask.back,
        "callback_urls": [ask.redirect_uri],
        "public": ask.shared,
        "request_oauth_on_install": true,
        "default_permissions": permissions(ask.scopes)?,
        "default_events": [],
    });
    if let (Some(url), Some(manifest)) = (ask.events, manifest.as_object_mut()) {
        manifest.insert("hook_attributes".to_owned(), json!({"url": url, "active": true}));
    }
    Ok(Registration::Form { to, fields: vec![("manifest", manifest.to_string())] })
}

fn permissions(scopes: &Scopes) -> Result<Value, BadConfiguration> {
    Permissions::of_scopes(scopes).map(|permissions| permissions.to_json()).map_err(|why| bad("scopes", &why))
}

/// The app whose code this is. The code works once, so the call is not repeated.
pub(super) async fn redeem(ask: &Redeem<'_>) -> Result<Redeemed, DriverError> {
    let sound = |code: &str| {
        (1..=200).contains(&code.len())
            && code.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if !sound(ask.code) {
        return Err(CallbackFault::Unexpected.into());
    }
    let url = api::api(&format!("app-manifests/{}/conversions", ask.code))?;
    let call = Call::new(Method::POST, url, Purpose::ProviderApi, ask.tenant)
        .header(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
    let answer = ask.http.send(call).await.map_err(|error| failure::of_transport(error, "code"))?;
    let Some(app) = api::object(&answer, StatusCode::CREATED) else {
        let github = Api { http: ask.http, env: ask.env, tenant: ask.tenant };
        return Err(if answer.status.is_success() {
            DriverError::garbage(true, "it is not what its API promises")
        } else {
            let refused = |vendor| CallbackFault::CodeRefused { vendor }.into();
            match github.refusal(&answer, &[], refused) {
                DriverError::Refused { vendor } | DriverError::ClientRejected { vendor } => {
                    CallbackFault::CodeRefused { vendor }.into()
                }
                // It may have been exchanged all the same.
                DriverError::Later { retry_after, .. } if answer.status.is_server_error() => {
                    DriverError::Later { retry_after, in_doubt: true }
                }
                error => error,
            }
        });
    };
    read(&app).ok_or(DriverError::garbage(true, "it is not what its API promises"))
}

fn read(app: &Map<String, Value>) -> Option<Redeemed> {
    let text = |name: &str| app.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let mut data = Map::from_iter([
        ("appId".to_owned(), app.get("id")?.as_u64().filter(|id| *id > 0)?.into()),
        ("clientId".to_owned(), text("client_id")?.into()),
        ("clientSecret".to_owned(), text("client_secret")?.into()),
        ("privateKeyPem".to_owned(), text("pem")?.into()),
    ]);
    for (name, theirs) in [("appSlug", "slug"), ("webhookSecret", "webhook_secret")] {
        if let Some(text) = text(theirs) {
            data.insert(name.to_owned(), text.into());
        }
    }
    let owner = app.get("owner").and_then(|owner| owner.get("login")?.as_str());
    Some(Redeemed {
        data,
        owner: owner.map(str::to_owned),
        name: text("name").map(str::to_owned),
        page: text("html_url").filter(|page| page.starts_with("https://")).map(str::to_owned),
    })
}

fn bad(field: &str, why: &str) -> BadConfiguration {
    BadConfiguration { field: field.to_owned(), why: why.to_owned() }
}

/// Of the name of an app ("name: GitHub App names are limited to 34 characters").
const LONGEST_NAME: usize = 34;

#[cfg(test)]
mod tests {
    use super::*;

    fn ask<'a>(name: &'a str, owner: Option<&'a str>, scopes: &'a Scopes) -> RegistrationAsk<'a> {
        RegistrationAsk {
            name,
            owner,
            scopes,
            shared: false,
            home: "https://carnet.example",
            redirect_uri: "https://carnet.example/callback/scl_1",
            events: None,
            back: "https://carnet.example/register/callback",
            state: "st",
        }
    }

    #[test]
    fn the_form_leads_to_the_owner_and_asks_for_what_was_said_and_no_more() {
        let scopes = Scopes::parse(["contents:read", "issues:write"]).unwrap();
        for (owner, to) in [
            (None, "https://github.com/settings/apps/new?state=st"),
            (Some("acme-inc"), "https://github.com/organizations/acme-inc/settings/apps/new?state=st"),
        ] {
            let Registration::Form { to: found, fields } = form(&ask("Bot", owner, &scopes)).unwrap() else {
                panic!("it is a form")
            };
            assert_eq!(found.as_str(), to);
            let manifest: Value = serde_json::from_str(&fields[0].1).unwrap();
            assert_eq!(manifest["default_permissions"], json!({"contents": "read", "issues": "write"}));
            assert_eq!(manifest["callback_urls"], json!(["https://carnet.example/callback/scl_1"]));
            assert_eq!(
                (&manifest["public"], &manifest["request_oauth_on_install"]),
                (&json!(false), &json!(true))
            );
            assert_eq!(manifest.get("hook_attributes"), None);
        }
        let shared = RegistrationAsk { shared: true, ..ask("Bot", Some("acme-inc"), &scopes) };
        let Registration::Form { fields, .. } = form(&shared).unwrap() else { panic!("it is a form") };
        let manifest: Value = serde_json::from_str(&fields[0].1).unwrap();
        assert_eq!(manifest["public"], json!(true), "several organizations may install it");
        let events = Some("https://carnet.example/connect/trigger/scl_1");
        let heard = RegistrationAsk { events, ..ask("Bot", None, &scopes) };
        let Registration::Form { fields, .. } = form(&heard).unwrap() else { panic!("it is a form") };
        let manifest: Value = serde_json::from_str(&fields[0].1).unwrap();
        assert_eq!(manifest["hook_attributes"], json!({"url": events, "active": true}));
        let long = "x".repeat(35);
        for (name, owner, field) in [
            ("", None, "name"),
            (long.as_str(), None, "name"),
            ("a\nb", None, "name"),
            ("Bot", Some("acme/../evil"), "owner"),
            ("Bot", Some(""), "owner"),
            ("Bot", Some("-acme"), "owner"),
        ] {
            assert_eq!(form(&ask(name, owner, &scopes)).unwrap_err().field, field, "{name:?} {owner:?}");
        }
        let odd = Scopes::parse(["contents:everything"]).unwrap();
        assert_eq!(form(&ask("Bot", None, &odd)).unwrap_err().field, "scopes");
    }

    #[test]
    fn half_an_app_is_none() {
        let whole = json!({"id": 7, "slug": "bot", "name": "Bot", "client_id": "Iv1.x", "client_secret": "s",
            "webhook_secret": null, "pem": "-----BEGIN", "html_url": "https://github.com/apps/bot", "owner": {"login": "acme"}});
        let read_one = |app: &Value| read(app.as_object().unwrap());
        let found = read_one(&whole).unwrap();
        assert_eq!((found.owner.as_deref(), found.data.get("webhookSecret")), (Some("acme"), None));
        assert_eq!(found.data["appId"], 7);
        let mut with_hook = whole.clone();
        with_hook["webhook_secret"] = "hook-s3cret".into();
        assert_eq!(read_one(&with_hook).unwrap().data["webhookSecret"], "hook-s3cret");
        for missing in ["id", "client_id", "client_secret", "pem"] {
            let mut half = whole.clone();
            half[missing] = Value::Null;
            assert!(read_one(&half).is_none(), "{missing}");
        }
    }
}
