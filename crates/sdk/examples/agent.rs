//! A small agent with one tool: it reads the board of the demo provider, each time on behalf of the user it works for.
//!
//! With `carnet dev` running, and `eval "$(carnet env print)"` in its folder:
//!
//! ```text
//! cargo run --example agent -- alice
//! ```
//!
//! The first time it shows a link, waits until the user has consented, and goes on by itself.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::time::Duration;

use carnet_sdk::{AskedSubject, AuthorizationRequest, CallError, Client, Error, Reason, TokenRequest};

const CONNECTOR: &str = "demo/hello";
/// How often it looks whether the user has consented.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOKS: u32 = 150;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let user = std::env::args().nth(1).unwrap_or_else(|| "alice".to_owned());
    let client = Client::from_env()?;
    #[expect(clippy::disallowed_methods, reason = "a program outside of Carnet, that calls whom it likes")]
    let http = reqwest::Client::new();
    wait_for_consent(&client, &user).await?;
    println!("{}", read_board(&client, &http, &user).await?);
    Ok(())
}

/// The tool. The token is in memory already, or fetched, or made anew if the provider no longer takes it.
async fn read_board(
    client: &Client,
    http: &reqwest::Client,
    user: &str,
) -> Result<String, CallError<reqwest::Error>> {
    let board = format!("{}demo/api/messages", client.url());
    let answer = client
        .with_token(CONNECTOR, &of(user), |token| http.get(&board).bearer_auth(token.expose()).send())
        .await?;
    answer.text().await.map_err(CallError::Request)
}

/// Shows a link if the user has to consent, and asks for the token until it is there.
async fn wait_for_consent(client: &Client, user: &str) -> Result<(), Error> {
    let mut shown = false;
    for _ in 0..LOOKS {
        let Err(error) = client.get_token(CONNECTOR, &of(user)).await else { return Ok(()) };
        match error.reason() {
            Some(Reason::UserAuthorizationRequired { .. }) if !shown => {
                let ask = AuthorizationRequest { token: of(user), ..AuthorizationRequest::default() };
                println!("{user}, please open {}", client.start_authorization(CONNECTOR, &ask).await?.url);
                shown = true;
            }
            Some(Reason::UserAuthorizationRequired { .. } | Reason::AuthorizationPending { .. }) => {}
            _ if error.is_transient() => {}
            _ => return Err(error),
        }
        tokio::time::sleep(PATIENCE).await;
    }
    Err(Error::InvalidArgument("the user did not consent in time"))
}

fn of(user: &str) -> TokenRequest {
    TokenRequest::of(AskedSubject::user(user))
}
