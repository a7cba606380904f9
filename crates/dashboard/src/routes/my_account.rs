//! `/account`: the own account.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_engine::{Broker, PasskeyFor, Session, SessionRow, SignInRefused};
use carnet_model::{Code, Fault, Time};

use super::consent::{failure, fault_page, host};
use super::path::Path;
use super::posted::Posted;
use super::session::{self, SignedIn, Visiting};
use super::sign_in::{elsewhere, elsewhere_of};
use crate::browser_name::BrowserName;
use crate::form::{BareAnswer, PassphraseAnswer};
use crate::label::Label;
use crate::my_account::{CommandLineLine, Done, LinkLine, MyAccount, PasskeyLine, SessionLine};
use crate::request::ago;
use crate::setup::Entry;

pub(super) async fn show(State(broker): State<Broker>, SignedIn(session): SignedIn) -> Response {
    page(&broker, &session, None, Wrong::default()).await
}

pub(super) async fn change_passphrase(
    State(broker): State<Broker>,
    visitor: Visiting,
    Posted { session, answer }: Posted<PassphraseAnswer>,
) -> Response {
    match broker.change_passphrase(&session, &answer.present, &answer.passphrase, &visitor.0).await {
        Ok(fresh) => {
            // Shown with the session as it is now, so that the page's forms are good.
            let now = match broker.session(&fresh).await {
                Ok(Some(now)) => now,
                Ok(None) => return failure(&broker, StatusCode::INTERNAL_SERVER_ERROR),
                Err(fault) => return fault_page(&broker, fault),
            };
            let done = page(&broker, &now, Some(Done::Passphrase), Wrong::default()).await;
            session::keep(done, &broker, &fresh)
        }
        Err(SignInRefused::Fault(fault)) if fault.code == Code::InvalidRequest => {
            page(&broker, &session, None, Wrong { new: Some(fault), present: None }).await
        }
        Err(SignInRefused::Wrong) => {
            let present = Some("This is not your passphrase.");
            page(&broker, &session, None, Wrong { present, new: None }).await
        }
        Err(SignInRefused::Wait(_)) => {
            let present = Some("There were too many wrong tries. Try again in a quarter of an hour.");
            page(&broker, &session, None, Wrong { present, new: None }).await
        }
        Err(refused) => elsewhere(&broker, refused),
    }
}

pub(super) async fn end_one(
    State(broker): State<Broker>,
    Path(id): Path,
    Posted { session, .. }: Posted<BareAnswer>,
) -> Response {
    match broker.end_session(&session, &id).await {
        Ok(()) => page(&broker, &session, Some(Done::Ended), Wrong::default()).await,
        Err(fault) => fault_page(&broker, fault),
    }
}

pub(super) async fn end_others(
    State(broker): State<Broker>,
    Posted { session, .. }: Posted<BareAnswer>,
) -> Response {
    match broker.end_other_sessions(&session).await {
        Ok(()) => page(&broker, &session, Some(Done::Ended), Wrong::default()).await,
        Err(fault) => fault_page(&broker, fault),
    }
}

/// What is wrong with the passphrases that were typed.
#[derive(Default)]
struct Wrong {
    present: Option<&'static str>,
    new: Option<Fault>,
}

async fn page(broker: &Broker, session: &Session, done: Option<Done>, wrong: Wrong) -> Response {
    match account(broker, session, done, wrong).await {
        Ok(account) => account.render().into_response(),
        Err(fault) => fault_page(broker, fault),
    }
}

async fn account(
    broker: &Broker,
    session: &Session,
    done: Option<Done>,
    wrong: Wrong,
) -> Result<MyAccount, Fault> {
    let now = broker.env().now();
    let sessions = broker.sessions(session).await?;
    let teams = broker.teams_of_session(session).await?;
    let lines = broker.command_lines(session).await?;
    let links = broker.sign_in_links(session).await?;
    let passkeys = broker.passkeys(session).await?;
    Ok(MyAccount {
        name: Label::name(&session.user.name),
        email: Label::words(&session.user.email),
        teams: teams.iter().map(|found| (Label::name(&found.team.name), found.role.as_str())).collect(),
        operates: broker.operates(session).await?,
        has_passphrase: broker.has_passphrase(session).await?,
        present: Entry { value: String::new(), error: wrong.present.map(str::to_owned) },
        passphrase: Entry { value: String::new(), error: wrong.new.map(|fault| fault.message) },
        done,
        sessions: sessions.iter().map(|row| line(row, session, now)).collect(),
        passkey: super::passkey::asked(broker, PasskeyFor::Adding, &broker.session_form(session)),
        handle: URL_SAFE_NO_PAD.encode(session.user.id.bytes()),
        passkeys: passkeys
            .into_iter()
            .map(|row| PasskeyLine {
                id: row.id.to_string(),
                name: Label::name(&row.name),
                synced: row.synced,
                used: row.used_at.map(|at| ago(at.until(now))),
            })
            .collect(),
        elsewhere: elsewhere_of(broker),
        links: links
            .into_iter()
            .map(|link| LinkLine {
                label: broker
                    .sign_in_issuers()
                    .iter()
                    .find(|issuer| issuer.issuer == link.issuer)
                    .map_or_else(|| Label::words(&link.issuer), |issuer| Label::name(&issuer.label)),
                shown: Label::words(&link.shown),
                issuer: link.issuer,
                subject: link.subject,
            })
            .collect(),
        command_lines: lines
            .iter()
            .map(|found| CommandLineLine {
                id: found.row.id.to_string(),
                program: Label::name(found.program),
                asked_from: Label::words(&found.row.asked_from),
                used: ago(found.row.turned_at.until(now)),
            })
            .collect(),
        host: host(broker),
        token: broker.session_form(session),
    })
}

fn line(row: &SessionRow, of: &Session, now: Time) -> SessionLine {
    SessionLine {
        id: row.id.to_string(),
        browser: BrowserName::read(&row.browser),
        means: Label::words(&row.means),
        used: ago(row.seen_at.until(now)),
        this: row.id == of.row.id,
    }
}
