//! The nouns of Carnet.
//!
//! Everything above this crate speaks in these types: typed identifiers, names that were parsed once and never
//! checked again, subjects, scopes, the faults a caller can see, and the two functions that decide: [`rights::decide`],
//! what a person may do in a team, and [`access::decide`], who may ask a connector for what. Nothing here does I/O: the
//! clock and the random source are handed in through [`Env`].
//!
//! What is promised: a value of one of these types is well-formed. What is not: that it exists in any store.

pub mod access;
pub mod audit;
pub mod caller;
pub mod connector;
mod env;
mod environment;
pub mod failpoint;
mod fault;
pub mod grant;
mod id;
mod month;
pub mod rights;
mod scope;
mod secret;
pub mod shown;
mod subject;
mod time;
mod token_format;
mod uid;
pub mod unread;

pub use env::{Clock, Env, OsRandom, Random, SystemClock};
pub use environment::{Environment, InvalidEnvironment, InvalidSlug, Slug};
pub use fault::{Code, Fault, Next};
pub use id::{Id, InvalidId, Kind, kind};
pub use month::{InvalidMonth, Month, day_of};
pub use scope::{InvalidScope, ScopeRequest, Scopes};
pub use secret::{Secret, SecretBytes, SecretString};
pub use subject::{InvalidSubject, Subject, SubjectKind};
pub use time::Time;
pub use token_format::{AccessToken, InvalidAccessToken};
pub use uid::{ConnectorRef, InvalidUid, Uid};
