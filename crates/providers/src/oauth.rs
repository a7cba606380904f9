//! OAuth 2.0 and OpenID Connect from the client's side, in pieces that a driver puts together.
//!
//! The way of a token: [`resource`] finds the server of an API, [`discovery`] finds out about the server and gives
//! [`metadata`]; [`registration`] makes a client there; [`authorization`] sends a person there, [`pushed`] first tells
//! the server with what, and [`callback`] reads what the browser brings back, while [`device`] is for servers that send
//! nobody back; [`client`] asks the token endpoint, with one [`client_auth`] method, perhaps
//! with an [`assertion`], and [`probe`] asks it whether it knows a client at all; [`token_answer`] reads what it
//! says, [`failure`] says what a refusal means, [`introspection`] asks for what was not said, and [`granted`] compares
//! what came with what was asked; [`id_token`] reads who the person is.
//!
//! A request to a token endpoint is sent once. It is not repeated and not redirected: it may spend a refresh token
//! that works only once.

pub(crate) mod assertion;
pub(crate) mod authorization;
pub(crate) mod callback;
mod challenge;
pub(crate) mod client;
pub(crate) mod client_auth;
pub(crate) mod device;
pub(crate) mod discovery;
pub(crate) mod failure;
pub(crate) mod granted;
pub(crate) mod id_token;
pub(crate) mod introspection;
pub(crate) mod json;
pub(crate) mod metadata;
pub(crate) mod probe;
pub(crate) mod pushed;
pub(crate) mod registration;
pub(crate) mod resource;
pub(crate) mod target;
pub(crate) mod token_answer;
