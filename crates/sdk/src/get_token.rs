//! Getting a token: remembered, shared with whoever asks for the same, renewed before it ends.

use std::sync::Arc;
use std::time::Duration;

use carnet_model::{Env, SecretString, Time};

use crate::ask_key::{self, AskKey};
use crate::cache::{Boarding, Found, Whose};
use crate::client::Client;
use crate::error::Error;
use crate::tokens::{Revocation, RevokeRequest, Token, TokenRequest};

impl Client {
    /// A token of a connector, named by identifier or UID, for a request to the provider.
    ///
    /// It is answered from memory while it lives at least for the validity buffer, 30 seconds if the request names none.
    /// Callers that ask for the same at the same time share one request. Some time before it ends, the next one is
    /// fetched in the background, while the present one is still handed out. If the server cannot be had, a token is
    /// handed out to its very end. A refusal is never remembered.
    ///
    /// ```no_run
    /// # async fn example(client: &carnet_sdk::Client) -> Result<(), carnet_sdk::Error> {
    /// use carnet_sdk::{AskedSubject, TokenRequest};
    ///
    /// let mut ask = TokenRequest::of(AskedSubject::user("alice"));
    /// ask.scopes = Some(vec!["chat:write".to_owned()]);
    /// let token = client.get_token("slack/my-bot", &ask).await?;
    /// // token.expose() goes into the request to Slack
    /// # Ok(()) }
    /// ```
    pub async fn get_token(&self, connector: &str, ask: &TokenRequest) -> Result<SecretString, Error> {
        self.get_token_response(connector, ask).await.map(|answer| answer.token.duplicate())
    }

    /// The same, with everything that the server says about the token.
    pub async fn get_token_response(&self, connector: &str, ask: &TokenRequest) -> Result<Arc<Token>, Error> {
        let key = self.key(connector, ask)?;
        let buffer = ask.validity_buffer_ms.map_or(BUFFER, Duration::from_millis);
        match self.cache.look(&key, self.env.now(), buffer) {
            Found::Good { token, due } => {
                if due {
                    self.renew_in_the_background(&key, ask, token.expires_at);
                }
                Ok(token)
            }
            Found::Missing { ending } => match self.fly(&key, ask.duplicate(), buffer).await {
                Err(error) if error.is_transient() => {
                    ending.filter(|token| token.expires_at > self.env.now()).ok_or(error)
                }
                landed => landed,
            },
        }
    }

    /// A token that was made just now: neither from memory here nor from what the server keeps.
    pub async fn get_fresh_token(&self, connector: &str, ask: &TokenRequest) -> Result<Arc<Token>, Error> {
        let key = self.key(connector, ask)?;
        self.fly_anew(&key, ask).await
    }

    /// A token in the place of one that the provider no longer takes.
    pub(crate) async fn replace_token(
        &self,
        connector: &str,
        ask: &TokenRequest,
        refused: &Token,
    ) -> Result<Arc<Token>, Error> {
        let key = self.key(connector, ask)?;
        match self.cache.replace(&key, refused, self.env.now()) {
            // Somebody else was refused before, and has seen to it.
            Some(newer) => Ok(newer),
            None => self.fly_anew(&key, ask).await,
        }
    }

    /// Forgets the token that is remembered for this request.
    pub fn forget_token(&self, connector: &str, ask: &TokenRequest) -> Result<(), Error> {
        self.cache.forget(&self.key(connector, ask)?);
        Ok(())
    }

    /// Revokes tokens: what Carnet keeps is deleted, the provider is told where it listens, and what is remembered here
    /// of the same subject is forgotten.
    pub async fn revoke_token(&self, connector: &str, which: &RevokeRequest) -> Result<Revocation, Error> {
        let whose = Whose {
            connector,
            subject: which.subject.as_ref().map(ask_key::subject),
            installation: which.installation_id.as_deref(),
        };
        // Before, so that nobody is served while the server is at it; and after, for what came in between.
        self.cache.forget_all(&whose);
        let done = self.withdraw(connector, which).await;
        self.cache.forget_all(&whose);
        done
    }

    fn key(&self, connector: &str, ask: &TokenRequest) -> Result<AskKey, Error> {
        let caller = self.credential.as_ref().map(|credential| credential.present()).transpose()?;
        Ok(AskKey::new(caller.as_deref(), connector, ask))
    }

    async fn fly_anew(&self, key: &AskKey, ask: &TokenRequest) -> Result<Arc<Token>, Error> {
        let mut ask = ask.duplicate();
        ask.validity_buffer_ms = Some(ANEW_MS);
        self.fly(key, ask, Duration::from_millis(ANEW_MS)).await
    }

    /// Waits for the one request that is under way for this key, or begins it. It goes on when whoever waits for it
    /// walks away.
    async fn fly(&self, key: &AskKey, ask: TokenRequest, at_least: Duration) -> Result<Arc<Token>, Error> {
        let mut landing = match self.cache.board(key, at_least) {
            Boarding::Join(landing) => landing,
            Boarding::Lead { flight, landed, landing } => {
                let (client, key, ask) = (self.clone(), key.clone(), ask.duplicate());
                spawn(async move {
                    let result = client.ask(&key.connector, &ask).await.map(Arc::new);
                    let now = client.env.now();
                    let due = result.as_ref().map_or(now, |token| due(&client.env, now, token.expires_at));
                    client.cache.land(&key, flight, &result, now, due);
                    landed.send_replace(Some(result));
                });
                landing
            }
        };
        let landed = landing.wait_for(Option::is_some).await.ok().and_then(|landed| landed.clone());
        match landed {
            Some(result) => result,
            // The runtime in which it flew has ended, and ours has not.
            None => self.ask(&key.connector, &ask).await.map(Arc::new),
        }
    }

    fn renew_in_the_background(&self, key: &AskKey, ask: &TokenRequest, ends: Time) {
        let mut ask = ask.duplicate();
        // Or the server would answer with the token that we have.
        let beyond = self.env.now().until(ends) + Duration::from_secs(1);
        ask.validity_buffer_ms = Some(u64::try_from(beyond.as_millis()).unwrap_or(ANEW_MS));
        let (client, key) = (self.clone(), key.clone());
        spawn(async move {
            // If it fails, the token that is there lives on, and the next caller after a pause tries again.
            drop(client.fly(&key, ask, beyond).await);
        });
    }
}

/// When the next token is fetched: a fifth of its life, at most five minutes, before callers would have to wait for
/// one, and not at the same moment in every process of a fleet.
fn due(env: &Env, now: Time, ends: Time) -> Time {
    let ahead = (now.until(ends) / 5).min(LONGEST_AHEAD);
    ends.minus(BUFFER + ahead).minus(env.jitter(ahead / 2))
}

fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a client has no shutdown: a request that is lost with it is asked again"
    )]
    tokio::spawn(work);
}

/// As the official clients have it, and the server.
const BUFFER: Duration = Duration::from_secs(30);
const LONGEST_AHEAD: Duration = Duration::from_mins(5);
/// No token is taken to live as long, so the server makes a new one.
const ANEW_MS: u64 = 24 * 3600 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_token_is_fetched_in_the_last_part_of_a_life_and_never_at_one_moment() {
        let env = Env::system();
        let now = Time::from_millis(1_800_000_000_000);
        for (life, earliest, latest) in [(60, 12, 18), (3600, 3120, 3270), (30 * 86400, 2_591_520, 2_591_670)]
        {
            let ends = now.plus(Duration::from_secs(life));
            let times: Vec<_> = (0..64).map(|_| now.until(due(&env, now, ends)).as_secs()).collect();
            assert!(times.iter().all(|time| (earliest..=latest).contains(time)), "{life}: {times:?}");
            assert!(times.iter().any(|time| *time != times[0]), "{life}: {times:?}");
        }
    }
}
