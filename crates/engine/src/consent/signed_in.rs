//! The provider said who somebody is who signs in to an app: the person, the grant and the session, before the code that
//! stands for it is on its way.
//!
//! The person's grant is kept for the subject `user` of the identifier by which the app will know the person. So the app
//! can ask for tokens of whoever has signed in; and a sign-in holds as long as the grant does.

use std::sync::Arc;

use carnet_model::audit::Outcome;
use carnet_model::{Id, Scopes, SecretString, Subject, Time, kind};
use carnet_providers::Granted;
use carnet_store::consents::{self, Consent};
use carnet_store::gateway::{self, Person, Session};
use carnet_store::{DbError, Step, Write};
use carnet_vault::Purpose;

use super::ending::{ConsentEnd, EndingKind};
use super::page::hex;
use super::record::{Confirmed, Given, RETRY, TRY_TO_RECORD};
use super::request::{Remembered, Stored};
use crate::broker::Broker;
use crate::cache::sha256;
use crate::directory::Entry;
use crate::gateway::CODE;

impl Broker {
    /// Takes what the provider gave: the grant is that of whoever it says has signed in, and not of anybody whom the link
    /// named. So nobody is asked whether another account was meant, and a completion code would prove nothing more.
    pub(super) async fn sign_in_with(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        remembered: &Remembered,
        granted: Granted,
        asked: Option<Scopes>,
    ) -> Result<EndingKind, ConsentEnd> {
        let given = Given::of(granted, asked, remembered, consent.id, &self.inner);
        let facts = &given.secret.facts;
        let Some(account) = facts.external_subject.clone() else {
            self.tell_now(entry, &given.secret.held).await;
            let stored = Stored::Error {
                code: "authorization_failed".to_owned(),
                message: "The provider does not say whose account it is, so nobody can sign in with it."
                    .to_owned(),
                vendor: None,
                reason: None,
            };
            return self.finish(consent, entry, remembered, stored, Outcome::Failed).await;
        };
        let tenant = facts.profile.tenant.clone().unwrap_or_default();
        let person = self.gateway_person_of(consent, tenant, account).await?;
        let subject = Subject::User { id: person.id.to_string(), issuer: None };
        let consent = Consent { subject: subject.key().unwrap_or_default(), ..consent.clone() };
        let confirmed = Confirmed { account: true, completion: true };
        self.record_grant(&consent, entry, remembered, given, confirmed).await
    }

    /// Who has this account, by an identifier that stays. The code is spent: the store gets a while to answer.
    async fn gateway_person_of(
        &self,
        consent: &Consent,
        tenant: String,
        account: String,
    ) -> Result<Person, DbError> {
        let inner = &self.inner;
        let (team, connector) = (consent.team, consent.connector);
        let deadline = inner.env.now().plus(TRY_TO_RECORD);
        loop {
            let now = inner.env.now();
            let found = match gateway::person_of(&inner.db, team, connector, &tenant, &account).await {
                Ok(Some(person)) => return Ok(person),
                Ok(None) => {
                    let new = Person { id: inner.env.id(), tenant: tenant.clone(), account: account.clone() };
                    let step = gateway::insert_person(team, connector, &new, now);
                    inner.db.write(Write::new().step(step)).await.map(drop)
                }
                Err(error) => Err(error),
            };
            match found {
                Ok(()) | Err(DbError::Conflict) => {}
                Err(error) if error.is_unavailable() && now < deadline => tokio::time::sleep(RETRY).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// The steps that begin the session, where an app signs somebody in.
    pub(super) fn app_session(&self, consent: &Consent, remembered: &Remembered, now: Time) -> Vec<Step> {
        let person = consent.subject.strip_prefix("user:").and_then(|id| Id::parse(id).ok());
        let (Some(app), Some(person), Some(project)) = (&remembered.sign_in, person, consent.project) else {
            return Vec::new();
        };
        let session = Session {
            id: self.inner.env.id(),
            team: consent.team,
            connector: consent.connector,
            project,
            environment: consent.environment,
            person,
            installation: consent.installation,
            client: app.client.clone(),
            redirect_uri: app.redirect_uri.clone(),
            challenge: app.challenge.clone(),
            nonce: app.nonce.clone(),
            scope: app.scope.clone(),
            code_expires_at: now.plus(CODE),
            redeemed_at: None,
            digest: None,
            digest_before: None,
            turned_at: None,
            signed_in_at: now,
            expires_at: now.plus(CODE),
            ended_at: None,
        };
        let digest = sha256(self.gateway_code(consent.id).expose().as_bytes());
        vec![consents::belongs_to(consent.id, &consent.subject), gateway::insert(&session, digest)]
    }

    /// The code: the same however often it is asked for, so that a browser that is reloaded brings it again.
    pub(super) fn gateway_code(&self, request: Id<kind::AuthorizationRequest>) -> SecretString {
        let text = [b"gateway-code/1".as_slice(), request.bytes()].concat();
        hex(&self.inner.keyring.hash(Purpose::State, &text).digest).into()
    }
}
