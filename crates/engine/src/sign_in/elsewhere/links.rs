//! Which account elsewhere is whose: links that a person makes and takes away, and people who come by a first sign-in.

use carnet_identity::VerifiedClaims;
use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Principal;
use carnet_model::{Code, Fault, Id, SecretString, kind};
use carnet_store::people::{self, User};
use carnet_store::sign_in_links::{self, SignInLink};
use carnet_store::{DbError, Write};
use url::Url;

use super::{SignInIssuer, unusable};
use crate::broker::Broker;
use crate::faults;
use crate::sessions::{Session, Visitor};
use crate::sign_in::SignInRefused;

impl Broker {
    /// The accounts elsewhere of this person.
    pub async fn sign_in_links(&self, session: &Session) -> Result<Vec<SignInLink>, Fault> {
        sign_in_links::of_user(&self.inner.db, session.user.id).await.map_err(faults::store)
    }

    /// Takes an account off this person. The last way to sign in stays.
    pub async fn remove_sign_in_link(
        &self,
        session: &Session,
        issuer: &str,
        subject: &str,
    ) -> Result<(), SignInRefused> {
        if !session.login().is_fresh(self.inner.env.now()) {
            return Err(SignInRefused::Wrong);
        }
        let links = self.sign_in_links(session).await?;
        let others = links.len() > 1 || !self.passkeys(session).await?.is_empty();
        if !others && !self.has_passphrase(session).await? {
            let message = "This is the only way in which you can sign in. Choose a passphrase first.";
            return Err(Fault::new(Code::Conflict, message).into());
        }
        let user = session.user.id;
        let write = Write::new().step(sign_in_links::remove(user, issuer, subject));
        match self.write_of(user, write, Action::SignInUnlink, &user.to_string(), None).await {
            Err(DbError::Unmet(_)) => Err(faults::not_found("linked account", issuer).into()),
            other => other.map_err(|error| faults::store(error).into()),
        }
    }

    /// Somebody whose account is linked to nobody signs in.
    pub(super) async fn newcomer(
        &self,
        issuer: &SignInIssuer,
        claims: &VerifiedClaims,
        visitor: &Visitor,
    ) -> Result<SecretString, SignInRefused> {
        let inner = &self.inner;
        let Some(newcomers) = &issuer.newcomers else {
            let message = format!(
                "Nobody here has linked this account of {}. Sign in another way and link it on the page of your account.",
                issuer.label
            );
            return Err(Fault::new(Code::Forbidden, message).into());
        };
        let team = people::team_by_slug(&inner.db, &newcomers.team).await.map_err(faults::store)?;
        let team =
            team.ok_or_else(|| unusable(issuer, "its newcomers belong to a team that there is not"))?;
        let now = inner.env.now();
        let host = Url::parse(&issuer.issuer).ok().and_then(|url| url.host_str().map(str::to_owned));
        let host = host.as_deref().unwrap_or("elsewhere");
        let email = told(claims, "email").unwrap_or_else(|| format!("{}@{host}", claims.subject()));
        let name = told(claims, "name").unwrap_or_else(|| email.clone());
        let user = User { id: inner.env.id(), email, name, created_at: now, disabled_at: None };
        let by = Principal::User { id: user.id };
        let event = AuditEvent { actor: by, ..AuditEvent::of_system(now, Action::UserCreate) }
            .in_team(team.id)
            .on(user.id)
            .with("issuer", issuer.issuer.clone());
        // The address is a name like any other: who has it here already is somebody else, or says so while signed in.
        if people::has_email(&inner.db, &user.email).await.map_err(faults::store)? {
            return Err(taken().into());
        }
        let steps = vec![
            people::insert_user(&user),
            people::insert_member(team.id, user.id, newcomers.role, now),
            sign_in_links::insert(&self.link_of(user.id, issuer, claims)),
        ];
        match inner.db.write(Write::new().steps(steps).event(&inner.env, &event).revises()).await {
            Ok(_) => {}
            Err(DbError::Conflict) => return Err(taken().into()),
            Err(error) => return Err(faults::store(error).into()),
        }
        Ok(self.begin_session(user.id, &issuer.issuer, visitor, Vec::new()).await?)
    }

    pub(super) async fn add_sign_in_link(
        &self,
        user: Id<kind::User>,
        issuer: &SignInIssuer,
        claims: &VerifiedClaims,
        visitor: &Visitor,
    ) -> Result<(), SignInRefused> {
        let link = self.link_of(user, issuer, claims);
        let write = Write::new().step(sign_in_links::insert(&link));
        let by = Some((issuer.issuer.as_str(), visitor));
        match self.write_of(user, write, Action::SignInLink, &user.to_string(), by).await {
            Err(DbError::Conflict) => Err(taken().into()),
            other => other.map_err(|error| faults::store(error).into()),
        }
    }

    fn link_of(&self, user: Id<kind::User>, issuer: &SignInIssuer, claims: &VerifiedClaims) -> SignInLink {
        let subject = claims.subject().to_owned();
        SignInLink {
            issuer: issuer.issuer.clone(),
            shown: told(claims, "email").or_else(|| told(claims, "name")).unwrap_or_else(|| subject.clone()),
            subject,
            user,
            created_at: self.inner.env.now(),
        }
    }
}

/// What an issuer tells of a person, as far as it can stand in a column.
fn told(claims: &VerifiedClaims, name: &str) -> Option<String> {
    let text = claims.claim(name)?.as_str()?.trim();
    (!text.is_empty() && text.len() <= 200 && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

pub(super) fn taken() -> Fault {
    let message = "Somebody here has this account or its address already. If that is you, sign in as you did before, and \
                   link the account on the page of your account.";
    Fault::new(Code::Conflict, message)
}
