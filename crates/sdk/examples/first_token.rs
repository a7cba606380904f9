//! The Rust program of the project's README; a test compares the two and runs it.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use carnet_sdk::{AskedSubject, AuthorizationRequest, Client, Error, Reason, TokenRequest};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::from_env()?;

    // The application itself.
    let app = TokenRequest::of(AskedSubject::App);
    println!("app {}", client.get_token("demo/hello", &app).await?.expose());

    // One of your users, by your own id. The first time there is no consent yet.
    let alice = TokenRequest::of(AskedSubject::user("alice"));
    match client.get_token("demo/hello", &alice).await {
        Ok(token) => println!("alice {}", token.expose()),
        Err(error) if matches!(error.reason(), Some(Reason::UserAuthorizationRequired { .. })) => {
            let return_url = Some("http://localhost:3000/".to_owned());
            let ask = AuthorizationRequest { token: alice, return_url, ..AuthorizationRequest::default() };
            println!("open {}", client.start_authorization("demo/hello", &ask).await?.url);
        }
        Err(error) => return Err(error),
    }
    Ok(())
}
