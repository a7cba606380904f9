//! HTML for people: the consent family and what frames it.
//!
//! A page is a struct of what it says ([`Consent`], [`Done`], [`Setup`] …) whose `render` makes a [`Page`]. A `Page`
//! becomes a response in one way only, and that way carries the security headers, so no handler can forget them.
//! Everything works as links and forms: no script, no inline style, nothing from another host.
//!
//! Promised: names and texts from outside reach a page only as [`Label`], [`Instructions`] or [`Permission`], cleaned of
//! what could disguise them, and are escaped where they stand. Not promised: that a name tells the truth; that is why
//! the pages say whose words they are. The handlers decide who may see what; this crate only says it.

mod account;
mod applications;
mod assets;
mod browser_name;
mod consent;
mod device;
mod device_login;
mod done;
mod elsewhere;
mod ended;
mod failure;
mod form;
mod head;
mod home;
mod install;
mod instructions;
mod invitation;
mod label;
mod leaving;
mod monogram;
mod my_account;
mod paste_key;
mod permission;
mod refused;
mod register;
mod request;
mod reset;
mod routes;
mod setup;
mod sign_in;

pub use account::AnotherAccount;
pub use applications::{ApplicationDone, ApplicationLine, ApplicationTyped, Applications};
pub use assets::{Asset, asset};
pub use browser_name::BrowserName;
pub use consent::Consent;
pub use device::{Device, NoSuchCode};
pub use device_login::{ConfirmLogin, EnterLoginCode, LoginDecided};
pub use done::{Done, NotDone, Outcome};
pub use elsewhere::Elsewhere;
pub use ended::{Ended, Why};
pub use failure::Failure;
pub use form::{
    Answer, ApplicationAnswer, ApplicationRemoveAnswer, ApplicationSecretAnswer, BareAnswer, ConsentAnswer,
    Decision, DeviceAnswer, Form, JoinAnswer, LoginAnswer, PasskeyAnswer, PasskeyMadeAnswer,
    PassphraseAnswer, RegisterAnswer, ResetAnswer, SetupAnswer, SignInAnswer, UndoAnswer, UnlinkAnswer,
    WithAnswer,
};
pub use head::{Origin, Page, SeeOther};
pub use home::{Health, Home};
pub use install::Install;
pub use instructions::Instructions;
pub use invitation::{Invitation, Joined, Reader};
pub use label::Label;
pub use leaving::Leaving;
pub use monogram::Monogram;
pub use my_account::{CommandLineLine, Done as AccountDone, LinkLine, MyAccount, PasskeyLine, SessionLine};
pub use paste_key::{KeyRefused, PasteKey};
pub use permission::{Permission, Words};
pub use refused::Refused;
pub use register::{Register, RegisterLeaving, RegisterWay};
pub use request::{Request, Stage, Whose};
pub use reset::{Reset, ResetDone};
pub use routes::router;
pub use setup::{Entry, Setup, SetupDone};
pub use sign_in::{NotSignedIn, Passkey, SignIn, SignOut};
