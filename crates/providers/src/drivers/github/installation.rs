//! Installations of the app: the way to one, what comes back from it, and their tokens.
//!
//! "Any user can visit the setup URL with a spoofed installation_id" (About the setup URL). So the number in the address is
//! believed only if GitHub lists it among the installations of the person who came back, asked with that person's own
//! token, which is given back at once.
//!
//! Whoever can read one repository of an account has its installation in that list. That is enough where the app is the
//! team's own. An app of the operator serves other teams, who have installed it too: there the person must own the
//! account, be an administrator of the organization, or have made the installation just now.

use std::time::Duration;

use carnet_model::{Scopes, SecretString, Time};
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use url::Url;

use super::api::{self, Api, App};
use super::narrowing::Narrowing;
use super::settings::Settings;
use super::{unsupported, user};
use crate::driver::At;
use crate::driver::consent::{Callback, ConsentAsk, Granted, Kept, Step};
use crate::driver::failure::{CallbackFault, DriverError};
use crate::driver::held::Held;
use crate::driver::installed::Installed;
use crate::driver::mint::Minted;
use crate::driver::profile::Profile;
use crate::driver::standing::Standing;
use crate::fields::is_credential;

/// Where somebody installs the app: at the account of a known number, or at one of their choice.
pub(super) fn page(settings: &Settings, ask: &ConsentAsk<'_>) -> Result<Url, DriverError> {
    let asked = ask.scopes.as_ref().is_some_and(|scopes| !scopes.is_empty());
    if asked || !(ask.resources.is_empty() && ask.audience.is_empty() && ask.details.is_empty()) {
        return Err(unsupported(
            "what an installation of a GitHub App allows is said by the app's settings at GitHub; narrow each token \
             instead",
        ));
    }
    let path = format!("apps/{}/installations/new", settings.slug);
    match ask.tenant.as_deref() {
        None => api::web(&path),
        Some(tenant) if is_number(tenant) => {
            let mut url = api::web(&format!("{path}/permissions"))?;
            url.query_pairs_mut().append_pair("target_id", tenant);
            Ok(url)
        }
        Some(_) => Err(unsupported("tenantId is the number of the account at GitHub")),
    }
}

/// Sends somebody there.
pub(super) fn begin(at: &At<'_>, settings: &Settings, ask: &ConsentAsk<'_>) -> Result<Step, DriverError> {
    // Said before somebody installs in vain.
    Settings::client_secret(at)?;
    let mut url = page(settings, ask)?;
    url.query_pairs_mut().append_pair("state", ask.state.expose());
    let kept = Kept { installs: true, left_at: Some(at.env.now()), ..Kept::default() };
    Ok(Step::Redirect { url: at.http.reroute(&url), kept })
}

/// What came back: the installation, if GitHub confirms it for the person who came.
pub(super) async fn finish(
    at: &At<'_>,
    settings: &Settings,
    back: &Callback,
    kept: &Kept,
) -> Result<Granted, DriverError> {
    let Callback::Redirected { params } = back else { return Err(CallbackFault::Unexpected.into()) };
    let one = |name: &str| params.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    if one("error").is_some() {
        // Says what it means.
        user::code(params)?;
    }
    // A member may ask, and an owner installs later ("Requesting a GitHub App from your organization owner").
    if one("setup_action") == Some("request") {
        return Err(CallbackFault::AwaitsApproval.into());
    }
    let id = one("installation_id").filter(|id| is_number(id)).ok_or(CallbackFault::Unexpected)?;
    if one("code").is_none() {
        return Err(CallbackFault::InstallerUnknown(
            "switch on \u{201c}Request user authorization (OAuth) during installation\u{201d} in the app's settings",
        )
        .into());
    }
    let token = user::redeem(at, settings, &user::code(params)?, None).await?.issued.access;
    let found = confirmed(at, settings, &token, id, kept).await;
    // It was needed for these questions alone.
    let _ = user::forget(at, settings, &token).await;
    let installation = found?;
    Ok(Granted {
        held: Held::nothing(),
        scopes: None,
        external_subject: installation.tenant_id.clone(),
        access_expires_at: None,
        refresh_expires_at: None,
        name: installation.name.clone(),
        metadata: Map::new(),
        profile: Profile::default(),
        installation: Some(installation),
    })
}

/// The installation, if the person whose token it is may say so for it.
async fn confirmed(
    at: &At<'_>,
    settings: &Settings,
    token: &SecretString,
    id: &str,
    kept: &Kept,
) -> Result<Installed, DriverError> {
    let found = among(at, settings, token, id).await?.ok_or(CallbackFault::InstallationNotConfirmed)?;
    if !at.connector.managed || is_new(&found, kept) || decides(at, token, &found).await? {
        Ok(described(&found, id))
    } else {
        Err(CallbackFault::NotTheirsToInstall.into())
    }
}

/// Whether it was made since the person left for GitHub, whose clock may be a little behind.
fn is_new(installation: &Value, kept: &Kept) -> bool {
    let made = installation.get("created_at").and_then(Value::as_str);
    let made = made.and_then(|text| text.parse::<Timestamp>().ok());
    let left = kept.left_at.map(|left| left.secs() - CLOCK);
    made.zip(left).is_some_and(|(made, left)| made.as_second() >= left)
}

/// Whether the person owns the account, or is an administrator of the organization ("Get the authenticated user", "Get an
/// organization membership for the authenticated user"; the latter needs the app to have read access to members).
async fn decides(at: &At<'_>, token: &SecretString, installation: &Value) -> Result<bool, DriverError> {
    let account = |name: &str| installation.get("account").and_then(|account| account.get(name));
    let github = Api::of(at);
    let ask = async |path: &str| {
        let answer = github.with_token(Method::GET, api::api(path)?, None, token).await?;
        Ok::<_, DriverError>(api::object(&answer, StatusCode::OK).unwrap_or_default())
    };
    if account("type").is_some_and(|kind| kind == "User") {
        let person = ask("user").await?;
        return Ok(person.get("id").is_some_and(|id| id.is_u64() && account("id") == Some(id)));
    }
    let login = account("login").and_then(Value::as_str).filter(|login| is_login(login));
    let Some(login) = login else { return Ok(false) };
    let membership = ask(&format!("user/memberships/orgs/{login}")).await?;
    let says = |name: &str, what: &str| membership.get(name).is_some_and(|said| said == what);
    let there = membership.get("organization").and_then(|organization| organization.get("id"));
    Ok(says("role", "admin") && says("state", "active") && there.is_some() && there == account("id"))
}

/// The installation of this number among those of the person whose token it is ("List app installations accessible to
/// the user access token").
async fn among(
    at: &At<'_>,
    settings: &Settings,
    token: &SecretString,
    id: &str,
) -> Result<Option<Value>, DriverError> {
    let github = Api::of(at);
    for page in 1..=PAGES {
        let url = api::api(&format!("user/installations?per_page=100&page={page}"))?;
        let answer = github.with_token(Method::GET, url, None, token).await?;
        let sent = [token.duplicate()];
        let list = api::object(&answer, StatusCode::OK)
            .ok_or_else(|| github.refusal(&answer, &sent, |vendor| DriverError::Refused { vendor }))?;
        let all = list.get("installations").and_then(Value::as_array);
        let all = all.ok_or(DriverError::garbage(false, "it is not what its API promises"))?;
        let ours = all.iter().find(|one| {
            one.get("id").and_then(Value::as_u64).is_some_and(|number| number.to_string() == id)
                && one.get("app_id").and_then(Value::as_u64) == Some(settings.app_id)
        });
        if let Some(found) = ours {
            return Ok(Some(found.clone()));
        }
        if all.len() < 100 {
            break;
        }
    }
    Ok(None)
}

/// What GitHub says about the app's own installation of this number.
pub(super) async fn find(
    at: &At<'_>,
    settings: &Settings,
    external_id: &str,
) -> Result<Installed, DriverError> {
    about(at, settings, external_id).await.map(|found| described(&found.into(), external_id))
}

/// Whether the installation is there and in use: `suspended_at` is when somebody suspended it.
pub(super) async fn standing(
    at: &At<'_>,
    settings: &Settings,
    place: &Installed,
) -> Result<Standing, DriverError> {
    let Some(id) = place.external_id.as_deref() else { return Ok(Standing::Unsaid) };
    match about(at, settings, id).await {
        Ok(found) if found.get("suspended_at").is_some_and(|since| !since.is_null()) => {
            Ok(Standing::Suspended)
        }
        Ok(_) => Ok(Standing::Holds),
        Err(DriverError::NotInstalled { .. }) => Ok(Standing::Gone),
        Err(error) => Err(error),
    }
}

/// "Get an installation for the authenticated app".
async fn about(
    at: &At<'_>,
    settings: &Settings,
    external_id: &str,
) -> Result<Map<String, Value>, DriverError> {
    if !is_number(external_id) {
        return Err(unsupported("an installation of a GitHub App is known by its number"));
    }
    let key = Settings::key(at)?;
    let github = Api::of(at);
    let app = App { id: settings.app_id, key: &key };
    let url = api::api(&format!("app/installations/{external_id}"))?;
    let answer = github.as_app(&app, Method::GET, url, None).await?;
    match api::object(&answer, StatusCode::OK) {
        Some(found)
            if found.get("id").and_then(Value::as_u64).map(|id| id.to_string()).as_deref()
                == Some(external_id) =>
        {
            Ok(found)
        }
        Some(_) => Err(DriverError::garbage(false, "it is not what its API promises")),
        None => Err(github.refusal(&answer, &[], |vendor| DriverError::NotInstalled { vendor })),
    }
}

/// A token of an installation ("Create an installation access token for an app").
pub(super) async fn mint(
    at: &At<'_>,
    settings: &Settings,
    place: Option<&Installed>,
    scopes: Option<&Scopes>,
    details: &[Value],
) -> Result<Minted, DriverError> {
    let place =
        place.ok_or_else(|| unsupported("a token of a GitHub App is of one installation; name it"))?;
    let id = place.external_id.as_deref().filter(|id| is_number(id));
    let id = id
        .ok_or_else(|| unsupported("this installation has no number of GitHub's; record it anew with one"))?;
    let narrowing = Narrowing::read(&settings.app_scopes, scopes, details, place)?;
    let key = Settings::key(at)?;
    let github = Api::of(at);
    let app = App { id: settings.app_id, key: &key };
    let url = api::api(&format!("app/installations/{id}/access_tokens"))?;
    let answer = github.as_app(&app, Method::POST, url, Some(&narrowing.to_json())).await?;
    let Some(mut given) = api::object(&answer, StatusCode::CREATED) else {
        return Err(if answer.status.is_success() {
            DriverError::garbage(false, "it is not what its API promises")
        } else {
            github.refusal(&answer, &[], |vendor| DriverError::NotInstalled { vendor })
        });
    };
    let garbage = DriverError::garbage(false, "it is not what its API promises");
    let token = match given.remove("token") {
        Some(Value::String(text)) if is_credential(&text) && !text.contains(' ') => SecretString::new(text),
        _ => return Err(garbage),
    };
    let ends =
        given.get("expires_at").and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    let expires_at = ends.and_then(|ends| end(at.env.now(), api::there(at.env, &answer), ends));
    let wrong = narrowing.judge(&given);
    if expires_at.is_none() || wrong.is_some() {
        let url = api::api("installation/token")?;
        let _ = github.with_token(Method::DELETE, url, None, &token).await;
        return Err(wrong.map_or(garbage, DriverError::Stray));
    }
    Ok(Minted {
        token,
        expires_at,
        scopes: narrowing.scopes(),
        held: None,
        refresh_expires_at: None,
        metadata: told(&given),
        claims: Map::new(),
        external_subject: place.name.clone(),
        stray: None,
        flawed: false,
    })
}

/// When a token ends that GitHub says ends at `ends`; `None` for one that is over already, by GitHub's clock too. It lives
/// an hour, whatever is said beyond that.
fn end(now: Time, there: Time, ends: Timestamp) -> Option<Time> {
    let left = |from: Time| u64::try_from(ends.as_second().saturating_sub(from.secs())).ok();
    let life = [now, there].into_iter().filter_map(left).find(|life| *life > 0)?;
    Some(now.plus(Duration::from_secs(life).min(LIFE)))
}

/// The reach of a token, for its caller.
fn told(given: &Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::new();
    for name in ["permissions", "repository_selection"] {
        if let Some(value) = given.get(name) {
            out.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(all) = given.get("repositories").and_then(Value::as_array) {
        let names: Vec<&str> = all.iter().filter_map(|one| one.get("full_name")?.as_str()).collect();
        out.insert("repositories".to_owned(), json!(names));
    }
    out
}

fn described(installation: &Value, id: &str) -> Installed {
    let account = installation.get("account");
    let tenant = account.and_then(|account| account.get("id")?.as_u64());
    // An enterprise has a slug and no login.
    let name = account.and_then(|account| account.get("login").or_else(|| account.get("slug"))?.as_str());
    Installed {
        external_id: Some(id.to_owned()),
        tenant_id: tenant.map(|number| number.to_string()),
        name: name.map(|name| name.chars().filter(|c| !c.is_control()).take(200).collect()),
    }
}

/// "Alphanumeric characters or single hyphens, and cannot begin or end with a hyphen": fit for a path.
fn is_login(text: &str) -> bool {
    (1..=39).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_number(text: &str) -> bool {
    text.len() <= 18
        && !text.starts_with('0')
        && text.parse::<u64>().is_ok()
        && text.bytes().all(|b| b.is_ascii_digit())
}

/// "Installation access tokens expire after 1 hour".
const LIFE: Duration = Duration::from_hours(1);
/// A person with more than a thousand installations of one app names the account by its number.
const PAGES: u32 = 10;
/// Seconds by which GitHub's clock may be behind ours.
const CLOCK: i64 = 60;
