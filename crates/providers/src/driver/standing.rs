//! Whether what a provider gave still holds, by its own word.

use super::held::Held;
use super::installed::Installed;

/// What is asked about.
#[derive(Clone, Copy, Debug)]
pub enum Checked<'a> {
    /// The application at one tenant.
    Installation(&'a Installed),
    /// What is held for a subject. Its access token is still alive.
    Held(&'a Held),
    /// The connector's own credentials, where no token is asked for with them
    /// ([`Driver::asks_for_app_tokens`](super::Driver::asks_for_app_tokens)).
    Application,
}

/// What the provider says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can be used.
    Holds,
    /// It is there, and somebody at the provider has stopped it for now.
    Suspended,
    /// It is not there any more.
    Gone,
    /// There is nobody to ask, or the answer says nothing about it.
    Unsaid,
}
