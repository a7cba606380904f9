//! `context`: several servers, or several sign-ins at one, each under a name.
//!
//! The current context counts only where neither a flag, nor a variable, nor a file of the folder names a server; `list`
//! says which one it is here.

use serde_json::json;

use super::args::{ContextAddArgs, ContextArgs, ContextRemoveArgs};
use super::context::Context;
use super::data::secret;
use super::failure::Failure;
use super::login;
use super::logins::{Known, Logins};
use super::settings::address;
use super::table::{moment, table};

/// Lists them.
pub(crate) fn list(cx: &mut Context<'_>) -> Result<(), Failure> {
    let logins = login::file(cx)?;
    let current = logins.current().map(str::to_owned);
    let all: Vec<Known> = logins.all().collect();
    let here =
        cx.settings.url.as_ref().map(|found| (found.value.origin().ascii_serialization(), &found.source));
    if cx.talk.wants_json() {
        let contexts: Vec<_> = all
            .iter()
            .map(|known| {
                json!({
                    "name": known.name, "url": known.url, "team": known.team, "user": known.user,
                    "signedIn": known.login.is_some(),
                    "expiresAt": known.login.as_ref().and_then(|login| login.expires_at),
                    "current": current.as_deref() == Some(&known.name),
                })
            })
            .collect();
        let here = here.map(|(url, source)| json!({"url": url, "source": source}));
        return cx.talk.document(&json!({"contexts": contexts, "here": here}));
    }
    if all.is_empty() {
        cx.talk.say(
            "No contexts. `carnet login https://…` makes one, and so does `carnet context add NAME URL`.",
        );
    } else {
        let (now, relative) = (cx.now(), cx.talk.is_read_by_a_person());
        let row = |known: &Known| {
            let is_current = current.as_deref() == Some(&known.name);
            let signed_in = match &known.login {
                None => "signed out".to_owned(),
                Some(login) if login.refresh.is_some() => known.user.clone().unwrap_or_default(),
                Some(login) => match login.expires_at {
                    Some(end) => format!("access token, ends {}", moment(end, now, relative)),
                    None => "access token".to_owned(),
                },
            };
            let mark = if is_current { "current" } else { "" };
            let team = known.team.clone().unwrap_or_default();
            vec![known.name.clone(), known.url.clone(), team, signed_in, mark.to_owned()]
        };
        let rows: Vec<_> = all.iter().map(row).collect();
        for line in table(&["Context", "Server", "Team", "Signed in", ""], &rows) {
            cx.talk.answer(&line)?;
        }
    }
    if let Some((url, source)) = here {
        let line = format!("Commands in this folder go to {url}, by {source}.");
        cx.talk.say(&line);
    }
    Ok(())
}

/// Makes one the current one.
pub(crate) fn choose(cx: &mut Context<'_>, args: ContextArgs) -> Result<(), Failure> {
    let mut logins = login::file(cx)?;
    let known = logins.expect(&args.name)?;
    logins.choose(&known.name)?;
    cx.reread()?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({"name": known.name, "url": known.url, "current": true}));
    }
    cx.talk.success(&format!("{} is the current context: {}", known.name, known.url));
    let elsewhere =
        cx.settings.url.as_ref().filter(|found| found.value.origin().ascii_serialization() != known.url);
    if let Some(found) = elsewhere {
        let line = format!("Here {} comes first, and names {}", found.source, found.value);
        cx.talk.warn(&line);
    }
    Ok(())
}

/// Makes one. A token that comes with it is tried first.
pub(crate) async fn add(cx: &mut Context<'_>, args: ContextAddArgs) -> Result<(), Failure> {
    let url = address(&args.server, "the command line")?;
    let mut logins = login::file(cx)?;
    logins.lacks(&args.name)?;
    let token = match &args.token {
        Some(flag) => Some(secret(flag, "--token", cx.place, cx.talk)?.into()),
        None => None,
    };
    if let Some(token) = &token {
        login::try_token(cx, &url, token).await?;
    }
    let team = cx.asked_team().map(str::to_owned);
    logins.add(&args.name, &url, team.clone(), token.as_ref())?;
    let is_current = logins.current() == Some(args.name.as_str());
    let server = url.origin().ascii_serialization();
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({
            "name": args.name, "url": server, "team": team, "signedIn": token.is_some(), "current": is_current,
        }));
    }
    cx.talk.success(&format!("Context {} made: {server}", args.name));
    if token.is_none() {
        cx.talk.say(&format!("  Sign in to it: carnet login --context {}", args.name));
    }
    if !is_current {
        cx.talk.say(&format!("  Use it: carnet context use {0}, or --context {0} for once", args.name));
    }
    Ok(())
}

/// Forgets one, and ends its sign-in at the server.
pub(crate) async fn remove(cx: &mut Context<'_>, args: ContextRemoveArgs) -> Result<(), Failure> {
    let mut logins = login::file(cx)?;
    let known = logins.expect(&args.name)?;
    let signs_out = known.login.as_ref().is_some_and(|login| login.refresh.is_some());
    let what = if signs_out { " The sign-in there ends." } else { "" };
    if args.dry_run {
        if cx.talk.wants_json() {
            let answer =
                json!({"dryRun": true, "name": known.name, "url": known.url, "signedOut": signs_out});
            return cx.talk.document(&answer);
        }
        return cx.talk.answer(&format!("Would forget {} ({}).{what}", known.name, known.url));
    }
    cx.talk.insist(args.yes, &format!("Forget {} ({})?{what}", known.name, known.url))?;
    if let Some(refresh) = known.login.as_ref().and_then(|login| login.refresh.as_ref()) {
        let url = address(&known.url, Logins::NAME)?;
        let client = cx.settings.builder(url).env(cx.place.env.clone()).build()?;
        login::end(cx, &client, refresh, &known.url).await;
    }
    logins.remove(&known.name)?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({"name": known.name, "url": known.url, "removed": true}));
    }
    cx.talk.success(&format!("Context {} is forgotten", known.name));
    Ok(())
}
