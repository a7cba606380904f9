//! Consent: from a request for it to a grant.
//!
//! A request is made by a caller who may ask for the subject's tokens. The person decides on our own page; only then is
//! a browser bound to the request, a one-time `state` made and the person sent to the provider. The callback takes the
//! request in one statement, so a code is exchanged once, by a task that a closed tab does not stop. Where a provider
//! sends nobody back, it is asked instead. The grant, the result and the audit event are one write.

mod callback;
mod completion;
mod elsewhere;
mod page;
mod request;

pub use callback::{ConsentEnd, Ending, EndingKind};
pub use elsewhere::Elsewhere;
pub use page::{After, ConsentPage, Decision, PageKind, ScopeLine};
pub(crate) use page::{hex, place};
pub use request::{AuthorizationStarted, AuthorizeAsk, Progress};
