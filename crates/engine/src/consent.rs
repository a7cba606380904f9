//! Consent: from a request for it to a grant.
//!
//! A request is made by a caller who may ask for the subject's tokens. The person decides on our own page; only then is
//! a browser bound to the request, a one-time `state` made and the person sent to the provider. The callback takes the
//! request in one statement, so a code is exchanged once, by a task that a closed tab does not stop. Where a provider
//! sends nobody back, it is [asked](elsewhere) instead. The grant, the result, the completion webhook and the audit event
//! are one write.
//!
//! Everything between the request and its end is in the store. A process that stops leaves a request that can be gone on
//! with, or one that is [brought to an end](lapse) by whoever comes next.

mod adding;
mod brake;
mod callback;
mod completion;
mod confirm;
mod decide;
mod device;
mod elsewhere;
mod ending;
mod install;
mod installed;
mod lapse;
mod link;
mod page;
mod parked;
mod record;
mod request;
mod rules;
mod sign_in;
mod signed_in;
mod still;

#[cfg(test)]
pub(crate) use brake::CODE_WINDOWS;
pub(crate) use completion::{CLAIM, Delivery};
pub use confirm::AccountQuestion;
pub use decide::{After, Decision};
pub use device::CodeRefused;
pub(crate) use device::DeviceCode;
pub use elsewhere::Elsewhere;
pub use ending::{ConsentEnd, Ending, EndingKind, NotYet};
pub use install::InstallAsk;
pub(crate) use lapse::EXCHANGE;
pub use link::LinkAsk;
pub use page::{ConsentPage, PageKind, ScopeLine};
pub(crate) use page::{hex, place};
pub(crate) use record::{Given, is_another_account};
pub(crate) use request::Remembered;
pub use request::{AuthorizationStarted, AuthorizeAsk, Progress};
pub use rules::ConsentRulesChange;
