//! The outside world: what a third party offers, and how a token is had from it.
//!
//! A [`Driver`] knows how connectors of one kind turn what is held into what a caller needs. The engine knows none of
//! them by name: it asks [`driver()`] for the one of a [`ConnectorType`](carnet_model::connector::ConnectorType), hands
//! in an [`At`] (the connector, its secrets, guarded HTTP, time and dice) and keeps what comes back. Drivers never see
//! the store or a vault key, never start a task, never retry and never follow a redirect.
//!
//! Three rules that the engine must keep, because no driver can:
//! - what [`Minted::held`] holds is made durable before [`Minted::token`] leaves the process;
//! - an error that is [in doubt](DriverError::in_doubt) may have used up a refresh token: what to do then follows from
//!   [`Abilities::rotation`];
//! - whether the granted scopes are those that were asked for is compared outside, with [`Minted::scopes`].
//!
//! What providers send by themselves is judged by [`webhook`], which knows how each of them signs.
//!
//! What is data about a service is none of this: `carnet-catalog` has it, and a service that speaks plain OAuth 2.0 or
//! takes a key needs nothing else. `oauth` is the protocol, from discovery to revocation, in pieces that every driver with
//! an OAuth server behind it puts together; `drivers` holds the drivers, one file each.

mod certificate;
mod driver;
mod drivers;
mod fields;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod oauth;
mod private_key;
mod schema;
pub mod webhook;

pub use driver::ability::{Abilities, Inbound, Resources, TokenAbilities, is_same_resource};
pub use driver::consent::{Callback, ConsentAsk, DeviceCode, Granted, InvalidKept, Kept, Step, Way};
pub use driver::failure::{BadConfiguration, CallbackFault, DriverError, NotAccepted, Vendor};
pub use driver::held::{Access, Bound, Held, InvalidHeld};
pub use driver::import::Import;
pub use driver::installed::Installed;
pub use driver::mint::{Asserted, MintAsk, Minted, Revocation};
pub use driver::profile::Profile;
pub use driver::registration::{Redeem, Redeemed, Registration, RegistrationAsk, events_url};
pub use driver::secrets::{ConnectorSecrets, InvalidSecrets};
pub use driver::signer::{CannotSign, Signer, SigningAlgorithm, jwks_url};
pub use driver::standing::{Checked, Standing};
pub use driver::{Accepted, At, Boxed, Driver, Inspection, NewConnector, Registered, Renewal, Synced};
pub use drivers::{driver, usual_rotation};
pub use oauth::authorization::is_protocols_own;
pub use oauth::target::is_resource;
pub use schema::{DataSchema, data_schema};
