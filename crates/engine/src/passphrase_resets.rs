//! A way back for somebody who has lost the passphrase: a link by which the person chooses another one.
//!
//! No message is ever sent, so somebody has to hand the link over: an owner of the person's team, if that is the only
//! team that the person is in, or whoever has the data of the deployment in hand. It works once and for an hour, and a
//! new one takes its place. An owner can thereby act as that person, which is why nobody can for a person who is more
//! than the team's own, and why the log says who made the link.
//!
//! What it ends: every session, and whatever wrong tries keep the person waiting. Passkeys, accounts elsewhere, command
//! lines and access tokens stay, as they do with any other change of a passphrase.

use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{AccessToken, Code, Fault, Id, SecretString, Time, kind};
use carnet_store::passphrase_resets::{self, PassphraseReset};
use carnet_store::people::{self, User};
use carnet_store::{DbError, Write, sessions};
use carnet_vault::Purpose;

use crate::access_tokens::{refused, standing};
use crate::broker::Broker;
use crate::faults;
use crate::sessions::Visitor;
use crate::sign_in::{SignInRefused, check_passphrase};

/// A link, to be handed to its person. What stands in it is told once.
#[derive(Debug)]
pub struct ResetLink {
    /// Whose passphrase it changes.
    pub user: User,
    /// Its last part.
    pub secret: SecretString,
    /// When it ends by itself.
    pub expires_at: Time,
}

impl ResetLink {
    /// The whole link, at a server with this address, which ends without `/`.
    pub fn at(&self, base: &str) -> String {
        format!("{base}/reset/{}", self.secret.expose())
    }
}

impl Broker {
    /// Makes a link for a member of the caller's team who is in no other.
    pub async fn reset_passphrase(
        &self,
        caller: &Caller,
        team: &str,
        user: &str,
        request: Id<kind::Request>,
    ) -> Result<ResetLink, Fault> {
        let member = self.may(caller, Right::MemberResetPassphrase)?;
        let team = self.named_team(member, team).await?;
        let found = self.member_named(team.id, user).await?.user;
        if found.id == member.user {
            return Err(Fault::new(
                Code::Conflict,
                "Your own passphrase is changed on the page of your account.",
            )
            .next(format!("{}/account", self.inner.settings.base()), "to change it there"));
        }
        let now = self.inner.env.now();
        let event = AuditEvent::of(caller, now, Action::PassphraseResetCreate, Some(request));
        let (link, write) = self.new_reset_link(found, Some((team.id, member.user)), vec![event])?;
        // After the two steps of what must stand.
        let write = Write::new()
            .steps(standing(member, now))
            .step(people::only_in(team.id, link.user.id))
            .step(people::still_enabled(link.user.id))
            .also(write);
        match self.inner.db.write(write).await {
            Ok(_) => Ok(link),
            Err(DbError::Unmet(2)) => Err(Fault::new(
                Code::Forbidden,
                format!(
                    "{} is in another team too, whose owners would not be asked. The operator of this server can make the link.",
                    link.user.email
                ),
            )
            .next(format!("carnet admin reset-password {}", link.user.email), "on the machine of the server")),
            Err(DbError::Unmet(3)) => Err(disabled(&link.user)),
            Err(error) => Err(refused(error)),
        }
    }

    /// Makes a link for anybody, by identifier or e-mail address: for whoever has the data of the deployment in hand.
    pub async fn reset_passphrase_as_operator(&self, account: &str) -> Result<ResetLink, Fault> {
        let inner = &self.inner;
        inner.fresh_keys().await.map_err(faults::store)?;
        let found = match Id::parse(account) {
            Ok(id) => people::user(&inner.db, id).await.map_err(faults::store)?,
            Err(_) => self.by_email(account).await?,
        };
        let missing = || Fault::new(Code::NotFound, format!("Nobody has the account {account:?}."));
        let found = found.ok_or_else(missing)?;
        let event =
            AuditEvent::of_system(inner.env.now(), Action::PassphraseResetCreate).with("by", "operator");
        // The log of every team that the person is in says it.
        let teams = self.teams_of(found.id).await?;
        let mut events: Vec<AuditEvent> =
            teams.iter().map(|found| event.clone().in_team(found.team.id)).collect();
        if events.is_empty() {
            events.push(event);
        }
        let (link, write) = self.new_reset_link(found, None, events)?;
        let write = Write::new().step(people::still_enabled(link.user.id)).also(write);
        match inner.db.write(write).await {
            Ok(_) => Ok(link),
            Err(DbError::Unmet(0)) => Err(disabled(&link.user)),
            Err(error) => Err(faults::store(error)),
        }
    }

    /// Whose passphrase a link changes, if it can be used now.
    pub async fn passphrase_reset(&self, secret: &str) -> Result<User, Fault> {
        self.usable_reset(secret).await.map(|(user, ..)| user)
    }

    /// Uses a link. The form is bound to the link itself, which nobody has but whoever may use it.
    pub async fn choose_passphrase(
        &self,
        secret: &str,
        passphrase: &SecretString,
        visitor: &Visitor,
    ) -> Result<(), SignInRefused> {
        let (user, by, digest) = self.usable_reset(secret).await?;
        let names = [user.email.as_str(), &user.name];
        check_passphrase(passphrase, &names)?;
        let steps = self.new_passphrase(user.id, &names, passphrase).await?;
        let mut before = vec![
            passphrase_resets::take(user.id, digest, self.inner.env.now()),
            people::still_enabled(user.id),
        ];
        before.extend(by.map(|(team, _)| people::only_in(team, user.id)));
        let write = Write::new()
            .steps(before)
            .steps(steps)
            .step(sessions::end_others(user.id, None))
            .step(self.forget_tries(&user.email));
        let target = user.id.to_string();
        match self.write_of(user.id, write, Action::PassphraseSet, &target, Some((MEANS, visitor))).await {
            Err(DbError::Unmet(_)) => Err(ended().into()),
            other => other.map_err(|error| faults::store(error).into()),
        }
    }

    /// The link with what is committed for it; `events` are without what they are about.
    fn new_reset_link(
        &self,
        user: User,
        by: Option<(Id<kind::Team>, Id<kind::User>)>,
        events: Vec<AuditEvent>,
    ) -> Result<(ResetLink, Write), Fault> {
        let inner = &self.inner;
        let now = inner.env.now();
        if user.disabled_at.is_some() {
            return Err(disabled(&user));
        }
        let secret = AccessToken::generate(&inner.env).expose().replacen("crn_", "", 1);
        let reset = PassphraseReset { user: user.id, by, created_at: now, expires_at: now.plus(LIFE) };
        let digest = inner.keyring.hash(Purpose::State, &labelled(&secret)).digest;
        let write = Write::new().step(passphrase_resets::put(&reset, digest));
        let expires_at = reset.expires_at;
        let write = events.into_iter().fold(write, |write, event| {
            write.event(&inner.env, &event.on(user.id).with("expiresAt", expires_at.millis()))
        });
        Ok((ResetLink { user, secret: secret.into(), expires_at }, write))
    }

    /// Whose link this is, who made it and its digest, if it can be used now. An owner's counts as long as the owner
    /// may make one.
    async fn usable_reset(&self, secret: &str) -> Result<(User, By, [u8; 32]), Fault> {
        let inner = &self.inner;
        self.is_open()?;
        inner.fresh_keys().await.map_err(faults::store)?;
        let db = &inner.db;
        for hash in inner.keyring.hashes(Purpose::State, &labelled(secret)) {
            let found = passphrase_resets::by_digest(db, hash.digest, inner.env.now()).await;
            let Some(found) = found.map_err(faults::store)? else { continue };
            let user = people::user(db, found.user).await.map_err(faults::store)?;
            let user = user.filter(|user| user.disabled_at.is_none()).ok_or_else(ended)?;
            if let Some((team, owner)) = found.by {
                let strict = self.team(team).await?.strict_connectors;
                let owner = people::member(db, team, owner).await.map_err(faults::store)?;
                let may = owner.is_some_and(|owner| {
                    owner.user.disabled_at.is_none()
                        && Right::MemberResetPassphrase.held_by(owner.role, strict)
                });
                let teams = self.teams_of(user.id).await?;
                if !may || teams.iter().any(|found| found.team.id != team) {
                    return Err(ended());
                }
            }
            return Ok((user, found.by, hash.digest));
        }
        Err(ended())
    }
}

type By = Option<(Id<kind::Team>, Id<kind::User>)>;

/// So that no digest of a link is one of anything else.
fn labelled(secret: &str) -> Vec<u8> {
    [b"passphrase-reset/1 ".as_slice(), secret.as_bytes()].concat()
}

/// The same words for a link that never was, so that nobody learns which were.
fn ended() -> Fault {
    Fault::new(Code::Gone, "The link has expired, was used or replaced, or is not known here.")
        .next("carnet members reset-passphrase EMAIL", "an owner of the team makes a new one")
}

fn disabled(user: &User) -> Fault {
    Fault::new(
        Code::Conflict,
        format!("The account of {} is disabled: nobody can sign in to it.", user.email),
    )
}

/// Long enough to be handed over, short enough not to lie about.
const LIFE: Duration = Duration::from_hours(1);
/// What the log says by what the passphrase was changed.
const MEANS: &str = "reset-link";
