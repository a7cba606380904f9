//! A request to the provider's own API, with a token, and once more with a fresh one if the provider says 401.
//!
//! A token can end before its time: the user took consent back and gave it anew, an administrator cleaned up, a provider
//! gave a new one elsewhere and ended the old. The server does not know before somebody is refused.

use carnet_model::SecretString;

use crate::client::Client;
use crate::credential::is_same;
use crate::error::Error;
use crate::tokens::TokenRequest;

/// What a provider answered, as far as it matters here. Whoever uses another HTTP client than reqwest answers with a
/// pair of the status and whatever else there is.
pub trait Answered {
    /// The HTTP status.
    fn status(&self) -> u16;
}

/// Why there is no answer of the provider.
#[derive(Debug, thiserror::Error)]
pub enum CallError<E> {
    /// There was no token to ask with.
    #[error("there is no token to ask the provider with")]
    Token(#[source] Error),
    /// The request itself failed.
    #[error("the request to the provider failed")]
    Request(#[source] E),
}

impl Client {
    /// Sends a request with a token. If the provider answers 401, the token is forgotten, one is made anew, and the
    /// request is sent a second and last time. Whatever else it answers, a second 401 included, is the answer.
    ///
    /// Callers that are refused at the same time share the new token. Where a connector has only the one token, a pasted
    /// key say, nothing is sent twice.
    ///
    /// ```no_run
    /// # async fn example(client: &carnet_sdk::Client, http: &reqwest::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use carnet_sdk::{AskedSubject, TokenRequest};
    ///
    /// let ask = TokenRequest::of(AskedSubject::App);
    /// let answer = client
    ///     .with_token("demo/hello", &ask, |token| {
    ///         http.get("http://127.0.0.1:7070/demo/api/me").bearer_auth(token.expose()).send()
    ///     })
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub async fn with_token<A, E, F, Fut>(
        &self,
        connector: &str,
        ask: &TokenRequest,
        mut request: F,
    ) -> Result<A, CallError<E>>
    where
        A: Answered,
        F: FnMut(SecretString) -> Fut,
        Fut: Future<Output = Result<A, E>>,
    {
        let first = self.get_token_response(connector, ask).await.map_err(CallError::Token)?;
        let answer = request(first.token.duplicate()).await.map_err(CallError::Request)?;
        if answer.status() != 401 {
            return Ok(answer);
        }
        let second = self.replace_token(connector, ask, &first).await.map_err(CallError::Token)?;
        if is_same(&first.token, &second.token) {
            return Ok(answer);
        }
        request(second.token.duplicate()).await.map_err(CallError::Request)
    }
}

impl Answered for reqwest::Response {
    fn status(&self) -> u16 {
        Self::status(self).as_u16()
    }
}

impl<T> Answered for (u16, T) {
    fn status(&self) -> u16 {
        self.0
    }
}
