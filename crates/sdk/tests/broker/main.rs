//! The client against a whole broker, over real HTTP, with a clock that a test can put forward.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod consenting;
mod identity;
mod people;
mod provider;
mod remembering;
mod silence;
mod under_way;

use carnet_sdk::{AskedSubject, Builder, Client, Credential, TokenRequest};
use carnet_testkit::{Engine, Kit, Plan};

/// A broker with a strict provider whose tokens live an hour.
async fn kit() -> Kit {
    Kit::start(Engine::Sqlite, Plan::default()).await
}

/// A client of the broker, on the broker's clock, as a workload in production.
fn builder(kit: &Kit) -> Builder {
    let identity = Credential::Identity(kit.workload("production").into());
    Client::builder(kit.url().parse().unwrap()).env(kit.clock.env()).credential(identity)
}

fn client(kit: &Kit) -> Client {
    builder(kit).build().unwrap()
}

fn app() -> TokenRequest {
    TokenRequest::of(AskedSubject::App)
}

fn of(user: &str) -> TokenRequest {
    TokenRequest::of(AskedSubject::user(user))
}

fn scoped(scopes: &[&str]) -> TokenRequest {
    let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
    TokenRequest { scopes: Some(scopes), ..app() }
}

/// How often the broker was asked for a token: each answer and each refusal is an event.
async fn asked(kit: &Kit) -> usize {
    kit.events_of("token.issue").await.len()
}
