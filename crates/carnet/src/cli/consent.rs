//! Seeing to a consent, or an installation, that a token request lacks: the page, the browser, the wait.

use std::time::Duration;

use carnet_model::{SecretString, Time};
use carnet_sdk::{
    Authorization, AuthorizationRequest, AuthorizationResult, Client, Code, Error, InstallationRequest,
};
use url::Url;

use super::browser;
use super::context::Context;
use super::failure::{Exit, Failure};
use super::token::{Wish, request};

/// What came of it.
pub(crate) struct Consent {
    /// The installation that was made on the way; the next request names it.
    pub(crate) installation_id: Option<String>,
}

/// Obtains the consent if a person is there or `--yes` was given; otherwise fails with the page to open.
pub(crate) async fn obtain(
    cx: &mut Context<'_>,
    client: &Client,
    wish: &Wish<'_>,
    refused: Error,
) -> Result<Consent, Failure> {
    let installs = refused.is(Code::InstallationRequired);
    let failure = Failure::from(refused);
    // The outcome can be watched by people only; a workload asks for its token again.
    let can_wait = client.is_member() && (wish.yes || cx.talk.may_ask());
    if !can_wait && failure.extra.contains_key("authorizationUrl") {
        return Err(with_retry(failure, wish));
    }
    let started = if installs {
        // What the application may do there is the connector's to say, and the provider's.
        client.start_installation(wish.connector, &InstallationRequest::default()).await
    } else {
        let ask = AuthorizationRequest { token: request(wish.ask)?, ..AuthorizationRequest::default() };
        client.start_authorization(wish.connector, &ask).await
    };
    let Ok(authorization) = started else {
        // Why there is no page matters less than that consent is missing.
        return Err(with_retry(failure, wish));
    };
    let page = browser::page(&authorization.url)?;
    let mut stopped = failure.clone();
    stopped.next.clear();
    let what = if installs { "to install it, in a browser" } else { "to consent in a browser" };
    let stopped = with_retry(stopped.next(page.as_str(), what), wish);
    if !can_wait {
        return Err(stopped);
    }
    cx.talk.say(&failure.message);
    lead(cx, &page, wish.yes, &stopped)?;
    cx.talk.say(if installs { "Waiting for the installation…" } else { "Waiting for consent…" });
    let Authorization { verifier, expires_at, .. } = &authorization;
    wait(cx, client, verifier, *expires_at, "consent").await
}

/// Opens a page, if the person wants that; `stopped` is what it comes to if not.
pub(crate) fn lead(cx: &mut Context<'_>, page: &Url, yes: bool, stopped: &Failure) -> Result<(), Failure> {
    if !yes && cx.talk.confirm(&format!("Open {page} in your browser?"), true) != Some(true) {
        return Err(stopped.clone());
    }
    if cx.place.agent.is_none() && (cx.place.open)(page).is_ok() {
        cx.talk.say(&format!("Opened {page}"));
    } else {
        cx.talk.say(&format!("Open {page}"));
    }
    Ok(())
}

/// Looks every now and then until the person has decided or the page has expired. `what` it is for.
pub(crate) async fn wait(
    cx: &mut Context<'_>,
    client: &Client,
    verifier: &SecretString,
    expires_at: Option<Time>,
    what: &str,
) -> Result<Consent, Failure> {
    let last = expires_at.unwrap_or_else(|| cx.now().plus(LONGEST)).min(cx.now().plus(LONGEST));
    let mut absent = 0;
    let mut told = None;
    while cx.now() < last {
        tokio::time::sleep(cx.place.patience).await;
        match client.result(verifier).await {
            Ok(AuthorizationResult::Success { installation_id }) => return Ok(Consent { installation_id }),
            Ok(AuthorizationResult::Canceled) => {
                return Err(undone("canceled", &format!("The {what} was declined.")));
            }
            Ok(AuthorizationResult::Failed { code, message }) => {
                let code = if code.is_empty() { "authorization_failed" } else { &code };
                return Err(undone(code, &format!("The {what} failed: {message}")));
            }
            Ok(AuthorizationResult::Partial { progress }) if progress != told => {
                if let Some(progress) = &progress {
                    cx.talk.say(progress);
                }
                told = progress;
            }
            Ok(_) => {}
            // The record may come a moment after the page.
            Err(error) if error.is(Code::NotFound) => {
                absent += 1;
                if absent > ABSENCES {
                    break;
                }
            }
            Err(error) if error.is_transient() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(undone("expired", &format!("The page for {what} has expired.")))
}

fn undone(code: &str, message: &str) -> Failure {
    Failure::new(code, message).exit(Exit::Person).next("the same command again", "for a new page")
}

fn with_retry(failure: Failure, wish: &Wish<'_>) -> Failure {
    if failure.next.iter().any(|next| next.command == wish.again) {
        return failure;
    }
    failure.next(wish.again, "to open the page and wait")
}

/// As long as the official command line waits.
const LONGEST: Duration = Duration::from_mins(115);
const ABSENCES: u32 = 3;
