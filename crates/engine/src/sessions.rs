//! Sessions: a browser in which somebody has signed in.
//!
//! What stands in the cookie is 256 random bits, of which a keyed hash is kept. A session ends half an hour after its
//! last use and twelve hours after its beginning, whichever is first; when its person ends it, here or from another
//! browser; and with every change of the passphrase but the one that is made in it. Proving again who one is gives the
//! browser another cookie.
//!
//! A session is a person's, not a team's: [`Broker::caller_of`] makes a [`Caller`] of it for one of the person's teams,
//! with the role that the person has there now. Nothing of it is remembered between two requests.

use std::net::IpAddr;
use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::{Caller, Login, Member, Principal};
use carnet_model::rights::Access;
use carnet_model::{Code, Fault, Id, SecretString, Time, kind};
use carnet_store::people::{self, Membership, User};
use carnet_store::sessions::{self, SessionRow};
use carnet_store::{DbError, Step, Write};
use carnet_vault::Purpose;
use http::HeaderMap;

use crate::broker::Broker;
use crate::consent::hex;
use crate::faults;

/// A browser in which somebody has signed in, as a request came with its cookie.
#[derive(Debug)]
pub struct Session {
    /// What is kept of it.
    pub row: SessionRow,
    /// Who signed in.
    pub user: User,
    secret: SecretString,
}

/// What is known of a browser besides.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    /// Its address, as the nearest proxy saw it.
    pub address: Option<IpAddr>,
    /// What it calls itself.
    pub browser: String,
}

impl Visitor {
    /// The address of a visitor: what the proxy before this server saw, which it writes last; else the peer's own. A proxy
    /// that lets the visitor write it only loosens the brakes on guessing; that of all visitors together, or that of an
    /// account, holds all the same.
    pub fn seen_by(headers: &HeaderMap, peer: Option<IpAddr>) -> Option<IpAddr> {
        let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
        let last = forwarded.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
        last.or(peer)
    }
}

impl Session {
    /// How its person proved who they are.
    pub fn login(&self) -> Login {
        Login::Session { id: self.row.id, proved_at: self.row.proved_at }
    }
}

impl Broker {
    /// The session of a cookie; none if it is unknown or over.
    pub async fn session(&self, cookie: &SecretString) -> Result<Option<Session>, Fault> {
        let inner = &self.inner;
        self.is_open()?;
        inner.fresh_keys().await.map_err(faults::store)?;
        let now = inner.env.now();
        for hash in inner.keyring.hashes(Purpose::TokenPepper, &labelled(cookie)) {
            let found = sessions::by_digest(&inner.db, hash.digest, now, now.minus(IDLE)).await;
            let Some(row) = found.map_err(faults::store)? else { continue };
            let user = people::user(&inner.db, row.user).await.map_err(faults::store)?;
            let Some(user) = user.filter(|user| user.disabled_at.is_none()) else { return Ok(None) };
            self.seen(&row, now);
            return Ok(Some(Session { row, user, secret: cookie.duplicate() }));
        }
        Ok(None)
    }

    /// The person as a caller in one of their teams: the one named by identifier or short name, else the first.
    pub async fn caller_of(&self, session: &Session, team: Option<&str>) -> Result<Caller, Fault> {
        let teams = self.teams_of(session.user.id).await?;
        let named = |found: &&Membership| {
            team.is_none_or(|name| found.team.id.to_string() == name || found.team.slug.as_str() == name)
        };
        let Some(found) = teams.iter().find(named) else {
            // Of a team that there is not, and of one that the person is not in, the same is said.
            return Err(match team {
                Some(name) => faults::not_found("membership of yours in the team", name),
                None => Fault::new(Code::Forbidden, "You are in no team on this server."),
            });
        };
        Ok(Caller::Member(Member {
            team: found.team.id,
            user: session.user.id,
            role: found.role,
            strict: found.team.strict_connectors,
            access: Access::FULL,
            login: session.login(),
        }))
    }

    /// The person's teams, with the role in each.
    pub async fn teams_of_session(&self, session: &Session) -> Result<Vec<Membership>, Fault> {
        self.teams_of(session.user.id).await
    }

    /// The teams of a person.
    pub(crate) async fn teams_of(&self, user: Id<kind::User>) -> Result<Vec<Membership>, Fault> {
        people::teams_of(&self.inner.db, user).await.map_err(faults::store)
    }

    /// Whether this session may do what is dangerous now.
    pub fn is_fresh(&self, session: &Session) -> bool {
        session.login().is_fresh(self.inner.env.now())
    }

    /// The form token of pages in this session.
    pub fn session_form(&self, session: &Session) -> SecretString {
        self.form_token_of("session-form/1", &session.secret)
    }

    /// Whether a form came from a page in this session.
    pub fn is_session_form(&self, session: &Session, token: &SecretString) -> bool {
        carnet_vault::equal(self.session_form(session).expose().as_bytes(), token.expose().as_bytes())
    }

    pub(crate) fn form_token_of(&self, label: &str, secret: &SecretString) -> SecretString {
        let bound = [label.as_bytes(), secret.expose().as_bytes()].concat();
        hex(&self.inner.keyring.hash(Purpose::Csrf, &bound).digest).into()
    }

    /// The sessions of this person that are not over, newest first.
    pub async fn sessions(&self, session: &Session) -> Result<Vec<SessionRow>, Fault> {
        let now = self.inner.env.now();
        sessions::of_user(&self.inner.db, session.user.id, now, now.minus(IDLE)).await.map_err(faults::store)
    }

    /// Ends one of this person's sessions, this one or another.
    pub async fn end_session(&self, session: &Session, id: &str) -> Result<(), Fault> {
        let missing = || faults::not_found("session", id);
        let parsed: Id<kind::Session> = Id::parse(id).map_err(|_| missing())?;
        let write = Write::new().step(sessions::end(session.user.id, parsed));
        match self.write_of(session.user.id, write, Action::SessionEnd, &parsed.to_string(), None).await {
            Err(DbError::Unmet(_)) => Err(missing()),
            other => other.map_err(faults::store),
        }
    }

    /// Ends all of this person's sessions but this one.
    pub async fn end_other_sessions(&self, session: &Session) -> Result<(), Fault> {
        let write = Write::new().step(sessions::end_others(session.user.id, Some(session.row.id)));
        self.write_of(session.user.id, write, Action::SessionEnd, "others", None).await.map_err(faults::store)
    }

    /// Begins a session for somebody who has proved who they are by `means`; what is answered goes into the cookie.
    pub(crate) async fn begin_session(
        &self,
        user: Id<kind::User>,
        means: &str,
        visitor: &Visitor,
        before: Vec<Step>,
    ) -> Result<SecretString, Fault> {
        self.begin_session_proved(user, means, visitor, before, self.inner.env.now()).await
    }

    /// The same for somebody who has proved it a while ago.
    pub(crate) async fn begin_session_proved(
        &self,
        user: Id<kind::User>,
        means: &str,
        visitor: &Visitor,
        before: Vec<Step>,
        proved_at: Time,
    ) -> Result<SecretString, Fault> {
        let inner = &self.inner;
        let now = inner.env.now();
        let (cookie, digest) = self.fresh_cookie();
        let row = SessionRow {
            id: inner.env.id(),
            user,
            means: means.to_owned(),
            browser: called(&visitor.browser),
            created_at: now,
            proved_at,
            seen_at: now,
            expires_at: now.plus(LONGEST),
        };
        let steps = sessions::insert(&row, digest, now.minus(IDLE));
        // A session that began while nobody may act as the person would be good as soon as somebody may.
        let write = Write::new().step(people::still_enabled(user)).steps(before).steps(steps);
        let id = row.id.to_string();
        match self.write_of(user, write, Action::SessionStart, &id, Some((means, visitor))).await {
            Ok(()) => Ok(cookie),
            Err(DbError::Unmet(0)) => {
                Err(Fault::new(Code::Forbidden, "This account is disabled: nobody can sign in to it."))
            }
            Err(error) => Err(faults::store(error)),
        }
    }

    /// The person has proved again who it is: the same session, fresh and with another cookie.
    pub(crate) async fn renew_session(
        &self,
        session: &Session,
        means: &str,
        visitor: &Visitor,
    ) -> Result<SecretString, Fault> {
        let (cookie, digest) = self.fresh_cookie();
        let (id, user) = (session.row.id, session.user.id);
        let write = Write::new().step(sessions::prove(id, user, digest, self.inner.env.now()));
        self.write_of(user, write, Action::SessionProve, &id.to_string(), Some((means, visitor)))
            .await
            .map_err(faults::store)?;
        Ok(cookie)
    }

    fn fresh_cookie(&self) -> (SecretString, [u8; 32]) {
        let cookie = SecretString::new(hex(&self.inner.env.bytes::<32>()));
        let digest = self.inner.keyring.hash(Purpose::TokenPepper, &labelled(&cookie)).digest;
        (cookie, digest)
    }

    /// Commits what a person did with the person's own account; it stands in the log of each of the person's teams.
    pub(crate) async fn write_of(
        &self,
        user: Id<kind::User>,
        write: Write,
        action: Action,
        target: &str,
        by: Option<(&str, &Visitor)>,
    ) -> Result<(), DbError> {
        let now = self.inner.env.now();
        let mut event =
            AuditEvent { actor: Principal::User { id: user }, ..AuditEvent::of_system(now, action) }
                .on(target);
        if let Some((means, visitor)) = by {
            event = event.with("means", means).with("browser", called(&visitor.browser));
            if let Some(address) = visitor.address {
                event = event.with("address", address.to_string());
            }
        }
        let teams = people::teams_of(&self.inner.db, user).await?;
        let write = if teams.is_empty() {
            write.event(&self.inner.env, &event)
        } else {
            teams.iter().fold(write, |write, found| {
                write.event(&self.inner.env, &event.clone().in_team(found.team.id))
            })
        };
        self.inner.db.write(write).await.map(drop)
    }

    /// Notes that a session is used, once a minute at most, in the background.
    fn seen(&self, row: &SessionRow, now: Time) {
        if row.seen_at.until(now) < NOTED {
            return;
        }
        let (broker, step) = (self.clone(), sessions::touch(row.id, now));
        self.track(async move {
            if let Err(error) = broker.inner.db.write(Write::new().step(step)).await {
                tracing::debug!(%error, "the use of a session is noted by its next use");
            }
        });
    }
}

/// So that no digest of a cookie is one of an access token.
fn labelled(cookie: &SecretString) -> Vec<u8> {
    [b"session/1".as_slice(), cookie.expose().as_bytes()].concat()
}

/// What a browser calls itself, short enough to be kept.
pub(crate) fn called(browser: &str) -> String {
    browser.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect()
}

/// From the last use of a session to its end.
pub(crate) const IDLE: Duration = Duration::from_mins(30);
/// From the beginning of a session to its end.
const LONGEST: Duration = Duration::from_hours(12);
/// How exactly it is known when a session was last used. Far below [`IDLE`], which it lengthens by nothing.
const NOTED: Duration = Duration::from_mins(1);
const LONGEST_NAME: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_what_the_nearest_proxy_saw() {
        let peer: IpAddr = "127.0.0.1".parse().unwrap();
        for (given, want) in [
            (&[][..], "127.0.0.1"),
            (&["203.0.113.9"], "203.0.113.9"),
            (&["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
            (&["198.51.100.1", "2001:db8::7"], "2001:db8::7"),
            (&["203.0.113.9", "nonsense"], "127.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for value in given {
                headers.append("x-forwarded-for", value.parse().unwrap());
            }
            assert_eq!(Visitor::seen_by(&headers, Some(peer)), Some(want.parse().unwrap()), "{given:?}");
        }
    }
}
