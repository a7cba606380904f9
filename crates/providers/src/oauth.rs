//! OAuth 2.0 and OpenID Connect from the client's side, in pieces that a driver puts together.
//!
//! The way of a token: [`discovery`] finds out about the server and gives [`metadata`]; [`authorization`] sends a person
//! there, and [`callback`] reads what the browser brings back; [`client`] asks the token endpoint, with one
//! [`client_auth`] method, perhaps with an [`assertion`]; [`token_answer`] reads what it says, and [`failure`] says what a refusal means;
//! [`id_token`] reads who the person is.
//!
//! A request to a token endpoint is sent once. It is not repeated and not redirected: it may spend a refresh token
//! that works only once.

pub(crate) mod assertion;
pub(crate) mod authorization;
pub(crate) mod callback;
pub(crate) mod client;
pub(crate) mod client_auth;
pub(crate) mod discovery;
pub(crate) mod failure;
pub(crate) mod id_token;
mod json;
pub(crate) mod metadata;
pub(crate) mod target;
pub(crate) mod token_answer;
