//! `login` and `logout`: a person signs this command line in, in a browser here or anywhere.

use std::time::Duration;

use carnet_sdk::{Client, Credential, DeviceLogin, LoginProgress, LoginTokens};
use serde_json::json;
use url::Url;

use super::args::{LoginArgs, LogoutArgs};
use super::browser;
use super::context::Context;
use super::failure::{Exit, Failure};
use super::logins::Logins;
use super::settings::{Login, address};

/// Signs in, and keeps what it was given.
pub(crate) async fn login(cx: &mut Context<'_>, args: LoginArgs) -> Result<(), Failure> {
    let url = server(cx, args.server.as_deref())?;
    let mut logins = file(cx)?;
    let client = Client::builder(url.clone()).env(cx.place.env.clone()).build()?;
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
    logins.keep(&url, &tokens)?;
    let client = client.with_credential(Credential::AccessToken(tokens.access.duplicate()));
    let user = client.user().await?;
    let server = url.origin().ascii_serialization();
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "url": server, "user": user, "file": logins.path() }));
    }
    let name = user.email.or(user.username).unwrap_or_default();
    cx.talk.success(&format!("Signed in to {server} as {name}"));
    Ok(())
}

/// Ends the sign-in, at the server and here.
pub(crate) async fn logout(cx: &mut Context<'_>, args: LogoutArgs) -> Result<(), Failure> {
    let mut logins = file(cx)?;
    let url = match (&args.server, logins.current()) {
        (None, Some(current)) if cx.settings.url.is_none() => address(current, "logins.json")?,
        (named, _) => server(cx, named.as_deref())?,
    };
    let server = url.origin().ascii_serialization();
    let found = logins.at(&url);
    if let Some(login) = &found {
        let client = Client::builder(url.clone()).env(cx.place.env.clone()).build()?;
        if let Err(error) = client.revoke_login(&login.refresh).await {
            let failure = Failure::from(error);
            cx.talk.warn(&format!(
                "The server was not told ({}). End this command line on the page {server}/account.",
                failure.message.trim_end_matches('.')
            ));
        }
        logins.forget(&url)?;
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

/// Before a command: another access token, if the one that is kept ends in a moment.
pub(crate) async fn renew(cx: &mut Context<'_>) -> Result<(), Failure> {
    let Some(kept) = &cx.settings.kept_login else { return Ok(()) };
    let Some(url) = cx.settings.url.as_ref().map(|found| found.value.clone()) else { return Ok(()) };
    if cx.now().plus(AHEAD) < kept.expires_at {
        return Ok(());
    }
    let client = Client::builder(url.clone()).env(cx.place.env.clone()).build()?;
    match client.renew_login(&kept.refresh).await {
        Ok(Some(tokens)) => {
            file(cx)?.keep(&url, &tokens)?;
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
                .next(format!("carnet login {server}"), "to sign in again"))
        }
        // The command itself says what is wrong with the server, better than this could.
        Err(_) => Ok(()),
    }
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

fn server(cx: &Context<'_>, named: Option<&str>) -> Result<Url, Failure> {
    match (named, &cx.settings.url) {
        (Some(named), _) => address(named, "the command line"),
        (None, Some(found)) => Ok(found.value.clone()),
        (None, None) => {
            Err(Failure::usage("Which server?")
                .next("carnet login https://…", "with the address of the server"))
        }
    }
}

fn file(cx: &Context<'_>) -> Result<Logins, Failure> {
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
