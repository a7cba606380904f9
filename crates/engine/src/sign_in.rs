//! Signing in with a passphrase, and choosing one.
//!
//! Whether an account exists cannot be told from an answer nor from the time it takes: a passphrase is stretched and
//! compared in any case, and what is recorded of a failure is recorded behind the answer. Wrong tries are counted in the
//! store (`tries`), and whoever had too many waits. Only a few passphrases are stretched at once; each takes 64 MiB for
//! a quarter of a second.

mod elsewhere;
mod passkey;
mod tries;

use std::sync::Arc;
use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent, Outcome};
use carnet_model::caller::Principal;
use carnet_model::{Code, Fault, Id, SecretString, kind};
use carnet_store::passphrases::{self, PassphraseRow};
use carnet_store::people::{self, User};
use carnet_store::{Step, Write, sessions};
use carnet_vault::{PassphraseError, StretchedPassphrase};
use tokio::sync::Semaphore;

use crate::broker::Broker;
use crate::faults;
use crate::rejections::Rejection;
use crate::sessions::{Session, Visitor};
use crate::tries::Counted;
pub use elsewhere::{CallbackQuery, CameBack, Newcomers, SignInFor, SignInIssuer};
pub use passkey::{PasskeyFor, PasskeyMade, PasskeyUse};
pub(crate) use tries::By;
#[cfg(test)]
pub(crate) use tries::WINDOW;

/// Why somebody is not signed in.
#[derive(Debug)]
pub enum SignInRefused {
    /// There is no such account, or its passphrase is another: which of these is not said.
    Wrong,
    /// Too many wrong tries, or too many people at once.
    Wait(Duration),
    /// The form is not from our page in this browser.
    OtherBrowser,
    /// Something failed.
    Fault(Fault),
}

impl From<Fault> for SignInRefused {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// How many passphrases are stretched at once, and how many wait for it.
pub(crate) struct Stretching(Arc<Semaphore>);

impl Default for Stretching {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Broker {
    /// The form token of the page to sign in, for this browser.
    pub fn sign_in_form(&self, browser: &SecretString) -> SecretString {
        self.form_token_of("sign-in/1", browser)
    }

    /// Whether a form came from the page to sign in, in this browser.
    pub fn is_sign_in_form(&self, browser: &SecretString, token: &SecretString) -> bool {
        let expected = self.sign_in_form(browser);
        carnet_vault::equal(expected.expose().as_bytes(), token.expose().as_bytes())
    }

    /// Signs somebody in by e-mail address and passphrase; what is answered goes into the cookie of the session. `known`
    /// is what [`Broker::known_browser`] gave this browser before. The form must be one of [`Broker::is_sign_in_form`].
    pub async fn sign_in(
        &self,
        email: &str,
        passphrase: &SecretString,
        known: Option<&SecretString>,
        visitor: &Visitor,
    ) -> Result<SecretString, SignInRefused> {
        let (user, counted) = self.prove(email, passphrase, By::Account(email, known), visitor).await?;
        Ok(self.begin_session(user.id, PASSPHRASE, visitor, counted.taken_back()).await?)
    }

    /// The person of a session proves again who it is; what is answered is the session's new cookie.
    pub async fn sign_in_again(
        &self,
        session: &Session,
        passphrase: &SecretString,
        visitor: &Visitor,
    ) -> Result<SecretString, SignInRefused> {
        self.prove_again(session, passphrase, visitor).await?;
        Ok(self.renew_session(session, PASSPHRASE, visitor).await?)
    }

    /// Whether this is the passphrase of a session's person.
    async fn prove_again(
        &self,
        session: &Session,
        passphrase: &SecretString,
        visitor: &Visitor,
    ) -> Result<(), SignInRefused> {
        let by = By::Session(session.row.id);
        let (user, counted) = self.prove(&session.user.email, passphrase, by, visitor).await?;
        if user.id != session.user.id {
            return Err(SignInRefused::Wrong);
        }
        self.take_back(&counted).await
    }

    /// Whether this person has a passphrase.
    pub async fn has_passphrase(&self, session: &Session) -> Result<bool, Fault> {
        let found = passphrases::of_user(&self.inner.db, session.user.id).await.map_err(faults::store)?;
        Ok(found.is_some())
    }

    /// Puts another passphrase in the place of the present one, which must be given; whoever has none must have signed
    /// in a moment ago. All other sessions of the person end. What is answered is the session's new cookie.
    pub async fn change_passphrase(
        &self,
        session: &Session,
        present: &SecretString,
        new: &SecretString,
        visitor: &Visitor,
    ) -> Result<SecretString, SignInRefused> {
        let user = &session.user;
        if self.has_passphrase(session).await? {
            self.prove_again(session, present, visitor).await?;
        } else if !session.login().is_fresh(self.inner.env.now()) {
            return Err(SignInRefused::Wrong);
        }
        let steps = self.new_passphrase(user.id, &[&user.email, &user.name], new).await?;
        let write = Write::new().steps(steps).step(sessions::end_others(user.id, Some(session.row.id)));
        self.write_of(
            user.id,
            write,
            Action::PassphraseSet,
            &user.id.to_string(),
            Some((PASSPHRASE, visitor)),
        )
        .await
        .map_err(faults::store)?;
        Ok(self.renew_session(session, PASSPHRASE, visitor).await?)
    }

    /// Gives the person of a development server a passphrase.
    pub async fn development_passphrase(
        &self,
        user: Id<kind::User>,
        passphrase: &SecretString,
    ) -> Result<(), Fault> {
        let steps = self.new_passphrase(user, &[], passphrase).await?;
        self.write_of(user, Write::new().steps(steps), Action::PassphraseSet, &user.to_string(), None)
            .await
            .map_err(faults::store)
    }

    /// The steps that make this the passphrase of a person. `names` are what it must not be.
    pub(crate) async fn new_passphrase(
        &self,
        user: Id<kind::User>,
        names: &[&str],
        passphrase: &SecretString,
    ) -> Result<Vec<Step>, Fault> {
        check_passphrase(passphrase, names)?;
        let (env, copy) = (self.inner.env.clone(), passphrase.duplicate());
        let stretched = self.stretch(move || StretchedPassphrase::of(&env, &copy)).await?;
        let stretched = stretched.ok_or_else(|| busy().retry_after(BUSY.as_secs()))?;
        let sealed = self.inner.seal_passphrase(user, &stretched).map_err(faults::internal)?;
        Ok(passphrases::put(&PassphraseRow { user, sealed, changed_at: self.inner.env.now() }))
    }

    /// Whose e-mail address and passphrase these are, and what was counted of it, which the caller takes back.
    async fn prove(
        &self,
        email: &str,
        passphrase: &SecretString,
        by: By<'_>,
        visitor: &Visitor,
    ) -> Result<(User, Counted), SignInRefused> {
        let inner = &self.inner;
        // Counted before it is compared: tries that come at the same moment do not slip through.
        let counted = self.count_try(by, visitor).await?;
        let user = self.by_email(email).await?;
        let asked = user.as_ref().map_or_else(|| inner.env.id(), |user| user.id);
        let row = passphrases::of_user(&inner.db, asked).await.map_err(faults::store)?;
        let kept = match &row {
            Some(row) => inner.open_passphrase(row.user, &row.sealed).map_err(faults::internal)?,
            None => StretchedPassphrase::of_nobody(&inner.env),
        };
        let copy = passphrase.duplicate();
        let Some(fits) = self.stretch(move || kept.fits(&copy)).await? else {
            self.take_back(&counted).await?;
            return Err(SignInRefused::Wait(BUSY));
        };
        match user {
            Some(user) if fits && row.is_some() && user.disabled_at.is_none() => Ok((user, counted)),
            user => {
                self.note_wrong_try(user.map(|user| user.id), visitor);
                Err(SignInRefused::Wrong)
            }
        }
    }

    /// Asked twice whatever the first answer is, so that both take the same time.
    pub(crate) async fn by_email(&self, email: &str) -> Result<Option<User>, Fault> {
        let (db, typed) = (&self.inner.db, email.trim());
        let exact = people::user_by_email(db, typed).await.map_err(faults::store)?;
        let lower = people::user_by_email(db, &typed.to_lowercase()).await.map_err(faults::store)?;
        Ok(exact.or(lower))
    }

    /// Behind the answer, because the store takes longer for one than for the other.
    fn note_wrong_try(&self, user: Option<Id<kind::User>>, visitor: &Visitor) {
        let (broker, visitor) = (self.clone(), visitor.clone());
        self.track(async move {
            let recorded = if let Some(user) = user {
                broker.record_wrong_try(user, &visitor).await
            } else {
                let why = "no account has this address and passphrase".to_owned();
                let rejection = Rejection { rule: "sign-in", why, detail: serde_json::Map::new() };
                broker.reject(None, rejection).await
            };
            if let Err(fault) = recorded {
                tracing::warn!(%fault, "a wrong try to sign in is not in the audit log");
            }
        });
    }

    async fn record_wrong_try(&self, user: Id<kind::User>, visitor: &Visitor) -> Result<(), Fault> {
        let now = self.inner.env.now();
        let by = Principal::User { id: user };
        let event =
            AuditEvent { actor: Principal::System, ..AuditEvent::of_system(now, Action::SignInReject) }
                .on(user)
                .ended(Outcome::Denied)
                .with("means", PASSPHRASE)
                .with("account", serde_json::to_value(by).unwrap_or_default())
                .with("address", visitor.address.map(|address| address.to_string()));
        let teams = self.teams_of(user).await?;
        let write = teams.iter().fold(Write::new(), |write, found| {
            write.event(&self.inner.env, &event.clone().in_team(found.team.id))
        });
        self.inner.db.write(write).await.map(drop).map_err(faults::store)
    }

    /// Runs what stretches a passphrase where it may block; `None` if too many wait for that.
    async fn stretch<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PassphraseError> + Send + 'static,
    ) -> Result<Option<T>, Fault> {
        let places = self.inner.stretching.0.clone();
        let Ok(Ok(place)) = tokio::time::timeout(PATIENCE, places.acquire_owned()).await else {
            return Ok(None);
        };
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        match done.await {
            Ok(Ok(value)) => Ok(Some(value)),
            Ok(Err(error)) => Err(faults::internal(error)),
            Err(error) => Err(faults::internal(error)),
        }
    }
}

/// Length alone decides, and that it is not one of the few things that somebody would try first (NIST SP 800-63B-4
/// §3.1.1.2: no rule about kinds of characters).
pub(crate) fn check_passphrase(passphrase: &SecretString, names: &[&str]) -> Result<(), Fault> {
    let text = passphrase.expose();
    let wrong = |sentence: &str| Err(Fault::new(Code::InvalidRequest, sentence).with("field", "passphrase"));
    if text.chars().count() < SHORTEST {
        return wrong(
            "A passphrase has at least 15 characters. Four or five words that have nothing to do with each other are easy to keep in mind.",
        );
    }
    if text.len() > LONGEST {
        return wrong("A passphrase has at most 1024 bytes.");
    }
    let mut different: Vec<char> = text.to_lowercase().chars().collect();
    different.sort_unstable();
    different.dedup();
    if different.len() < FEWEST {
        return wrong(
            "This is the same few characters again and again. Take words that have nothing to do with each other.",
        );
    }
    if names.iter().any(|name| name.trim().eq_ignore_ascii_case(text.trim())) {
        return wrong("Your own name or address is the first thing that somebody else would try.");
    }
    Ok(())
}

fn busy() -> Fault {
    Fault::new(Code::Unavailable, "Too many people sign in at this moment.")
}

/// What is recorded as the means of a proof.
pub(crate) const PASSPHRASE: &str = "passphrase";
/// 128 MiB in all.
const AT_ONCE: usize = 2;
/// How long a person waits for a place among those.
const PATIENCE: Duration = Duration::from_secs(8);
const BUSY: Duration = Duration::from_secs(10);
const SHORTEST: usize = 15;
const LONGEST: usize = 1024;
const FEWEST: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_judged_by_its_length_and_by_what_is_tried_first() {
        let judged = |text: &str| {
            check_passphrase(&text.to_owned().into(), &["ada.lovelace@acme.example", "Ada King"]).is_ok()
        };
        for good in
            ["correct horse battery", "aaaaaaaaaaaabcde", "пароль из пяти слов", &"x1y2z3".repeat(100)]
        {
            assert!(judged(good), "{good}");
        }
        for bad in [
            "",
            "fourteen chars",
            "aaaaaaaaaaaaaaaaaaaa",
            "abababababababababab",
            "ADA.lovelace@acme.example",
        ] {
            assert!(!judged(bad), "{bad}");
        }
        assert!(!judged(&"x1y2z3".repeat(200)), "too long");
    }
}
