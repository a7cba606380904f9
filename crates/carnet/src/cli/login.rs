//! `login` and `logout`: a person signs this command line in, in a browser here or anywhere.

use std::time::Duration;

use carnet_model::SecretString;
use carnet_sdk::{Client, Credential, DeviceLogin, LoginProgress, LoginTokens};
use serde_json::json;
use url::Url;

use super::args::{LoginArgs, LogoutArgs};
use super::browser;
use super::context::Context;
use super::failure::{Exit, Failure};
use super::logins::{self, Logins, origin};
use super::settings::{Login, address};

/// Signs in, and keeps what it was given.
pub(crate) async fn login(cx: &mut Context<'_>, args: LoginArgs) -> Result<(), Failure> {
    let mut logins = file(cx)?;
    let url = server(cx, &logins, args.server.as_deref())?;
    let name = match cx.asked_context() {
        Some(name) => of_server(&logins, name, &url)?,
        None => match logins.at(&url) {
            Some(known) => known.name,
            None => logins.usual_name(&url)?,
        },
    };
    // Nobody is sent through the pages for a sign-in that is lost in the end.
    logins.try_out()?;
    let client = cx.settings.builder(url.clone()).env(cx.place.env.clone()).build()?;
    let started = client.start_device_login().await?;
    let page = page_of(&url, &started.verification_uri_complete)?;
    cx.talk.say(&format!("The code is {}. The page must show the same.", started.user_code));
    let here = !args.device && cx.place.agent.is_none();
    if here && (cx.place.open)(&page).is_ok() {
        cx.talk.say(&format!("Opened {page}"));
    } else {
        cx.talk.say(&format!("Open {} on any device and enter the code.", started.verification_uri));
    }
    cx.talk.say("Waiting for you to decide there…");
    let tokens = wait(cx, &client, &started).await?;
    // Kept before anything else can fail: the code was good once.
    logins.keep(&name, &url, &tokens, "")?;
    let client = client.with_credential(Credential::AccessToken(tokens.access.duplicate()));
    let user = client.user().await?;
    let who = user.email.clone().or_else(|| user.username.clone()).unwrap_or_default();
    logins.keep(&name, &url, &tokens, &who)?;
    let server = url.origin().ascii_serialization();
    if cx.talk.wants_json() {
        let file = logins.path().to_string_lossy();
        return cx.talk.document(&json!({ "url": server, "context": name, "user": user, "file": file }));
    }
    cx.talk.success(&format!("Signed in to {server} as {who} (context {name})"));
    Ok(())
}

/// Ends the sign-in, at the server and here.
pub(crate) async fn logout(cx: &mut Context<'_>, args: LogoutArgs) -> Result<(), Failure> {
    let mut logins = file(cx)?;
    let url = server(cx, &logins, args.server.as_deref())?;
    let server = url.origin().ascii_serialization();
    let known = match cx.asked_context() {
        Some(name) => logins.named(&of_server(&logins, name, &url)?),
        None => logins.at(&url),
    };
    let found = known.and_then(|known| known.login);
    if let Some(login) = &found {
        if let Some(refresh) = &login.refresh {
            let client = cx.settings.builder(url.clone()).env(cx.place.env.clone()).build()?;
            end(cx, &client, refresh, &server).await;
        }
        logins.sign_out(&login.context)?;
    }
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "url": server, "signedOut": found.is_some() }));
    }
    if found.is_some() {
        cx.talk.success(&format!("Signed out of {server}"));
    } else {
        cx.talk.say(&format!("You are not signed in to {server}. Nothing to do."));
    }
    Ok(())
}

/// Ends a sign-in at its server. That it cannot be told keeps nobody from forgetting it here.
pub(crate) async fn end(cx: &mut Context<'_>, client: &Client, refresh: &SecretString, server: &str) {
    if let Err(error) = client.revoke_login(refresh).await {
        let failure = Failure::from(error);
        cx.talk.warn(&format!(
            "The server was not told ({}). End this command line on the page {server}/account.",
            failure.message.trim_end_matches('.')
        ));
    }
}

/// Whether a server takes an access token, before it is kept.
pub(crate) async fn try_token(cx: &Context<'_>, url: &Url, token: &SecretString) -> Result<(), Failure> {
    let client = cx.settings.builder(url.clone()).env(cx.place.env.clone());
    let client = client.credential(Credential::AccessToken(token.duplicate())).build()?;
    client.user().await?;
    Ok(())
}

/// A context that was named and is of this server, or is new.
fn of_server(logins: &Logins, name: &str, url: &Url) -> Result<String, Failure> {
    match logins.named(name) {
        Some(known) if Some(&known.url) != origin(url).as_ref() => {
            let message = format!("Context {name} is of another server: {}.", known.url);
            Err(Failure::new("conflict", message)
                .exit(Exit::Conflict)
                .next(format!("carnet login {url} --context NAME"), "with another name")
                .next(format!("carnet context remove {name}"), "to forget it"))
        }
        _ => Ok(name.to_owned()),
    }
}

/// Before a command: another access token, if the one that is kept ends in a moment.
pub(crate) async fn renew(cx: &mut Context<'_>) -> Result<(), Failure> {
    let Some(context) = cx.settings.kept_login.as_ref().filter(|kept| ends(cx, kept)) else { return Ok(()) };
    let lives = context.expires_at.is_some_and(|end| end > cx.now());
    let context = context.context.clone();
    let Some(url) = cx.settings.url.as_ref().map(|found| found.value.clone()) else { return Ok(()) };
    let mut logins = file(cx)?;
    // Where another command takes too long over it, this one goes with the token that there is. So it does where a new one
    // could not be kept, as in a home that is only read: the old one would be spent for nothing.
    let turn = match logins.turn().await.and_then(|turn| logins.try_out().map(|()| turn)) {
        Ok(Some(turn)) => turn,
        Ok(None) => return Ok(()),
        Err(_) if lives => return Ok(()),
        Err(failure) => return Err(failure),
    };
    // Another command may have had it renewed, or ended, since this one read the file.
    logins = file(cx)?;
    let Some(kept) = logins.named(&context).and_then(|known| known.login) else { return Ok(()) };
    if !ends(cx, &kept) {
        if let Some(found) = &mut cx.settings.credential {
            found.value = Login::AccessToken(kept.access);
        }
        return Ok(());
    }
    let Some(refresh) = &kept.refresh else { return Ok(()) };
    let client = cx.settings.builder(url.clone()).env(cx.place.env.clone()).build()?;
    match client.renew_login(refresh).await {
        Ok(Some(tokens)) => {
            logins.renewed(&context, &tokens, &turn)?;
            if let Some(found) = &mut cx.settings.credential {
                found.value = Login::AccessToken(tokens.access);
            }
            Ok(())
        }
        Ok(None) => {
            let server = url.origin().ascii_serialization();
            let message =
                format!("Your sign-in at {server} is over: it was not used for long, or was ended.");
            Err(Failure::new("signed_out", message)
                .exit(Exit::SignIn)
                .next(format!("carnet login {server} --context {context}"), "to sign in again"))
        }
        // The command itself says what is wrong with the server, better than this could.
        Err(_) => Ok(()),
    }
}

/// Whether a sign-in that can be renewed ends in a moment.
fn ends(cx: &Context<'_>, kept: &logins::Login) -> bool {
    kept.refresh.is_some() && kept.expires_at.is_some_and(|end| end <= cx.now().plus(AHEAD))
}

async fn wait(cx: &Context<'_>, client: &Client, started: &DeviceLogin) -> Result<LoginTokens, Failure> {
    let last = cx.now().plus(started.expires_in());
    let mut pause = started.interval().max(cx.place.patience);
    while cx.now() < last {
        tokio::time::sleep(pause).await;
        match client.poll_device_login(started).await {
            Ok(LoginProgress::Done(tokens)) => return Ok(tokens),
            Ok(LoginProgress::Denied) => {
                return Err(Failure::new("access_denied", "Somebody said no on the page.").exit(Exit::Denied));
            }
            Ok(LoginProgress::Expired) => break,
            // RFC 8628 §3.5: five seconds more from then on.
            Ok(LoginProgress::SlowDown) => pause += SLOWER,
            Ok(_) => {}
            Err(error) if error.is_transient() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::new("expired_token", "Nobody decided in time.")
        .exit(Exit::Person)
        .next("the same command again", "for a new code"))
}

/// The page must be the server's own: no answer leads a person anywhere else.
fn page_of(url: &Url, text: &str) -> Result<Url, Failure> {
    let page = browser::page(text)?;
    if page.origin() == url.origin() {
        return Ok(page);
    }
    Err(Failure::new(
        "unexpected_answer",
        format!("The server says that its pages are at {}.", page.origin().ascii_serialization()),
    )
    .next(format!("carnet login {}", page.origin().ascii_serialization()), "if that is your server"))
}

/// The server that is named; that of the context that is named; or the one that commands go to here.
fn server(cx: &Context<'_>, logins: &Logins, named: Option<&str>) -> Result<Url, Failure> {
    if let Some(named) = named {
        return address(named, "the command line");
    }
    if let Some(name) = cx.asked_context() {
        return address(&logins.expect(name)?.url, Logins::NAME);
    }
    cx.settings.url.as_ref().map(|found| found.value.clone()).ok_or_else(|| {
        Failure::usage("Which server?").next("carnet login https://…", "with the address of the server")
    })
}

/// The file with everything that is kept.
pub(crate) fn file(cx: &Context<'_>) -> Result<Logins, Failure> {
    match &cx.place.config {
        Some(folder) => Logins::read(folder),
        None => {
            Err(Failure::usage("There is no folder for settings: neither XDG_CONFIG_HOME nor HOME is set.")
                .next("export XDG_CONFIG_HOME=…", "with a folder of your own"))
        }
    }
}

/// How long before its end an access token is renewed: a command may wait for a person.
const AHEAD: Duration = Duration::from_mins(5);
const SLOWER: Duration = Duration::from_secs(5);
