//! A grant without a browser: for tests that need people who have consented before they begin.
//!
//! It is what a person's yes on the page leads to, and ends, turns and is revoked like any other. Only the process that
//! runs the provider can make one; no request can.

use std::time::Duration;

use carnet_model::{Scopes, SecretString};

use crate::Demo;
use crate::event::{Event, What};
use crate::person::Person;
use crate::scope;

/// What a person allowed, on its way to the client.
#[derive(Debug)]
pub struct Allowed {
    /// The access token.
    pub access: SecretString,
    /// How long it is good for.
    pub access_life: Duration,
    /// The refresh token, if `offline_access` is among the scopes.
    pub refresh: Option<SecretString>,
    /// What it may do.
    pub scopes: Scopes,
    /// The person's stable identifier here.
    pub subject: &'static str,
}

/// Why there is no grant.
#[derive(Debug, thiserror::Error)]
pub enum NotAllowed {
    /// There is no such client.
    #[error("the demo provider knows no client {0:?}")]
    Client(String),
    /// There is no such person.
    #[error("there is nobody called {0:?} at the demo provider; there are ada and grace")]
    Person(String),
    /// A scope is not one of the provider's.
    #[error(
        "{0:?} is not made of scopes of the demo provider: profile:read, messages:read, messages:write and offline_access"
    )]
    Scopes(String),
    /// The state file cannot be written.
    #[error("the state file of the demo provider cannot be written")]
    NotSaved,
}

impl Demo {
    /// Lets a person allow a client these scopes.
    pub async fn allow(&self, client: &str, person: &str, scopes: &[String]) -> Result<Allowed, NotAllowed> {
        let server = &self.0;
        let known = server.clients.find(client).ok_or_else(|| NotAllowed::Client(client.to_owned()))?;
        let person = Person::parse(person).ok_or_else(|| NotAllowed::Person(person.to_owned()))?;
        let text = scopes.join(" ");
        let scopes = scope::parse(Some(&text)).ok_or(NotAllowed::Scopes(text))?;
        let (env, terms, client) = (server.env.clone(), server.terms, known.id.clone());
        let mut event = Event::new(env.now(), What::Decision);
        event.client = Some(client.clone());
        let issued =
            server.book.change(move |ledger| ledger.allow(&env, &terms, &client, person, scopes)).await;
        let issued = issued.map_err(|_| NotAllowed::NotSaved)?;
        server.events.record(event);
        Ok(Allowed {
            access: issued.access,
            access_life: server.terms.access,
            refresh: issued.refresh,
            scopes: issued.scopes,
            subject: person.id(),
        })
    }
}
