//! The way to Slack and back: an installation, which leaves the bot's token, or a person's consent.
//!
//! One walk asks for one of the two. If Slack gives the other besides, it is not kept.

use carnet_model::{Scopes, SecretString};
use serde_json::{Map, Value};
use url::Url;

use super::answer::{self, ORIGIN, Said, Token};
use super::settings::Settings;
use super::{CANNOT_BE_NARROWED, tokens, unsupported};
use crate::driver::At;
use crate::driver::consent::{Callback, ConsentAsk, Granted, Kept};
use crate::driver::failure::{CallbackFault, DriverError};
use crate::driver::held::{Access, Held, Tokens};
use crate::driver::import::Import;
use crate::driver::installed::Installed;
use crate::driver::profile::Profile;
use crate::fields::is_credential;
use crate::oauth::authorization::{is_reserved, is_target};
use crate::oauth::callback;
use crate::oauth::client::Form;
use crate::oauth::failure::Phase;

/// The page that asks.
pub(super) fn page(at: &At<'_>, settings: &Settings, ask: &ConsentAsk<'_>) -> Result<Url, DriverError> {
    if !(ask.resources.is_empty() && ask.audience.is_empty() && ask.details.is_empty()) {
        return Err(unsupported(CANNOT_BE_NARROWED));
    }
    if let Some(name) = ask.additional_params.keys().find(|name| is_own(name)) {
        return Err(unsupported(&format!("the parameter {} is set by the protocol", name.escape_default())));
    }
    let none = Scopes::empty();
    let scopes = ask.scopes.as_ref().unwrap_or(&none);
    if scopes.is_empty() {
        return Err(unsupported(
            "Slack has no token without scopes; name some, or ask for the connector's own",
        ));
    }
    let mut url = Url::parse(&format!("{ORIGIN}/oauth/v2/authorize"))
        .map_err(|_| DriverError::garbage(false, "it is not what its API promises"))?;
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("client_id", &settings.client_id);
        // Both are always said: an empty one asks for nothing of its kind.
        let joined = scopes.joined(",");
        let (bot, user) = if ask.installs { (joined.as_str(), "") } else { ("", joined.as_str()) };
        query.append_pair("scope", bot).append_pair("user_scope", user);
        query.append_pair("redirect_uri", at.redirect_uri).append_pair("state", ask.state.expose());
        if let Some(team) = ask.tenant.as_deref().or(settings.team.as_deref()) {
            query.append_pair("team", team);
        }
        query.extend_pairs(&ask.additional_params);
    }
    Ok(url)
}

/// Somebody came back.
pub(super) async fn finish(
    at: &At<'_>,
    settings: &Settings,
    back: &Callback,
    kept: &Kept,
) -> Result<Granted, DriverError> {
    let Callback::Redirected { params } = back else { return Err(CallbackFault::Unexpected.into()) };
    let mut form = Form::new();
    form.push_secret("code", &callback::code(params, None, false)?);
    form.push("redirect_uri", at.redirect_uri);
    let said = answer::access(at.env, &settings.client(at)?, form, Phase::Code).await?;
    let garbage = || DriverError::garbage(true, "it is not what its API promises");
    let nobody = Map::new();
    let person = said.members.get("authed_user").and_then(Value::as_object).unwrap_or(&nobody);
    let (token, other) = if kept.installs {
        (Token::read(&said.members)?, Token::read(person).unwrap_or(None))
    } else {
        (Token::read(person)?, Token::read(&said.members).unwrap_or(None))
    };
    let token = token.filter(|token| token.is_bot == kept.installs).ok_or_else(garbage)?;
    let place = place(&said).ok_or_else(garbage)?;
    if settings.team.as_ref().is_some_and(|team| place.tenant_id.as_ref() != Some(team)) {
        for token in [Some(&token), other.as_ref()].into_iter().flatten() {
            let _ = tokens::end(at, &token.access).await;
        }
        return Err(DriverError::Stray("it is for another workspace than slackTeam names".to_owned()));
    }
    // A bot token beside a person's is the one that an installation already has; a person's beside a bot's is nobody's.
    if let Some(other) = other.filter(|other| !other.is_bot) {
        let _ = tokens::end(at, &other.access).await;
    }
    let mut metadata = Map::new();
    let mut put = |name: &str, text: Option<String>| {
        text.map(|text| metadata.insert(name.to_owned(), text.into()));
    };
    put("teamId", said.text("team", "id"));
    put("enterpriseId", said.text("enterprise", "id"));
    let one = |members: &Map<String, Value>, name: &str| {
        members.get(name).and_then(Value::as_str).filter(|text| is_credential(text)).map(str::to_owned)
    };
    put("appId", one(&said.members, "app_id"));
    let external_subject = if kept.installs {
        let bot = one(&said.members, "bot_user_id");
        put("botUserId", bot.clone());
        bot
    } else {
        one(person, "id")
    };
    let to_exchange = tokens::to_exchange(settings, &token.access).filter(|_| token.refresh.is_none());
    let access_expires_at = match to_exchange {
        Some(_) => Some(said.at),
        None => token.expires_in.map(|seconds| tokens::end_of(said.at, seconds)),
    };
    let scopes = token.scopes.clone().or_else(|| kept.scopes.clone());
    let access = Access { token: token.access, expires_at: access_expires_at, scopes: scopes.clone() };
    Ok(Granted {
        held: Held::of_tokens(Tokens {
            access: Some(access),
            refresh: token.refresh.or(to_exchange),
            scopes: scopes.clone(),
            external_subject: external_subject.clone(),
            tenant: place.tenant_id.clone(),
            ..Tokens::default()
        }),
        scopes,
        external_subject,
        access_expires_at,
        refresh_expires_at: None,
        name: place.name.clone(),
        metadata,
        profile: Profile { tenant: place.tenant_id.clone(), ..Profile::default() },
        installation: kept.installs.then_some(place),
    })
}

/// The workspace, or the whole organization where an administrator installed for all of it ("is_enterprise_install").
pub(super) fn place(said: &Said) -> Option<Installed> {
    let whole = said.members.get("is_enterprise_install").and_then(Value::as_bool).unwrap_or(false);
    let object = if whole { "enterprise" } else { "team" };
    let id = said.text(object, "id")?;
    Some(Installed { external_id: Some(id.clone()), tenant_id: Some(id), name: said.text(object, "name") })
}

/// Tokens that the same app got for a person.
pub(super) fn import(at: &At<'_>, settings: &Settings, import: Import) -> Result<Granted, DriverError> {
    if settings.user_scopes.is_empty() {
        return Err(unsupported("this connector has no tokens of people: userScopes is empty"));
    }
    let sound = |token: &SecretString| is_credential(token.expose()) && !token.expose().contains(' ');
    if !import.refresh.iter().chain([&import.access]).all(sound) {
        return Err(unsupported("a token has 1 to 16384 printable ASCII characters and no space"));
    }
    if tokens::is_bot(&import.access) {
        return Err(unsupported("this is the token of a bot; install the app to have one"));
    }
    let to_exchange = tokens::to_exchange(settings, &import.access).filter(|_| import.refresh.is_none());
    let access_expires_at = if to_exchange.is_some() { Some(at.env.now()) } else { import.access_expires_at };
    let access =
        Access { token: import.access, expires_at: access_expires_at, scopes: import.scopes.clone() };
    Ok(Granted {
        held: Held::of_tokens(Tokens {
            access: Some(access),
            refresh: import.refresh.or(to_exchange),
            scopes: import.scopes.clone(),
            external_subject: import.external_subject.clone(),
            ..Tokens::default()
        }),
        scopes: import.scopes,
        external_subject: import.external_subject,
        access_expires_at,
        refresh_expires_at: None,
        name: import.name,
        metadata: import.metadata,
        profile: Profile::default(),
        installation: None,
    })
}

fn is_own(name: &str) -> bool {
    is_reserved(name) || is_target(name) || matches!(name, "user_scope" | "team")
}
