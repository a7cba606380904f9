//! Signing in, signing in again, signing out.

use askama::Template;
use http::StatusCode;

use crate::form::Form;
use crate::head::Page;
use crate::label::Label;

/// The page on which a person signs in, or proves again who it is.
#[derive(Debug)]
pub struct SignIn {
    /// Who proves it again; nobody where a person signs in.
    pub again: Option<Label>,
    /// The e-mail address as it was typed.
    pub email: String,
    /// Where to go afterwards: a path of ours.
    pub to: String,
    /// Issuers with whose accounts one can sign in: name in addresses, and for people.
    pub elsewhere: Vec<(String, Label)>,
    /// Whether there is a field for a passphrase: whoever proves again who it is may have none.
    pub with_passphrase: bool,
    /// What is needed to ask for a passkey, where there are passkeys.
    pub passkey: Option<Passkey>,
    /// Why it did not lead on.
    pub refused: Option<NotSignedIn>,
    /// Whether this is a server on a developer's machine.
    pub development: bool,
    /// Host name of this server.
    pub host: Label,
    /// Where the form goes.
    pub form: Form,
}

/// What a page needs to ask for a passkey.
#[derive(Debug)]
pub struct Passkey {
    /// What it is asked with, in base64url.
    pub challenge: String,
    /// The host for which passkeys are.
    pub host: String,
}

/// Why somebody is not signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSignedIn {
    /// Address or passphrase is wrong.
    Wrong,
    /// Too many wrong tries; minutes until the next.
    Wait(u64),
    /// Too many people sign in at this moment.
    Busy,
}

/// Asks whether to sign out.
#[derive(Debug)]
pub struct SignOut {
    /// Who is signed in.
    pub email: Label,
    /// Host name of this server.
    pub host: Label,
    /// Where the form goes.
    pub form: Form,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInView<'a> {
    page: &'a SignIn,
}

#[derive(Template)]
#[template(path = "sign_out.html")]
struct SignOutView<'a> {
    page: &'a SignOut,
}

impl SignIn {
    /// The page.
    pub fn render(&self) -> Page {
        let status = match self.refused {
            None => StatusCode::OK,
            Some(NotSignedIn::Wrong) => StatusCode::UNPROCESSABLE_ENTITY,
            Some(NotSignedIn::Wait(_)) => StatusCode::TOO_MANY_REQUESTS,
            Some(NotSignedIn::Busy) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let page = Page::of(&SignInView { page: self }).with_status(status);
        if self.passkey.is_some() { page.with_script() } else { page }
    }
}

impl SignOut {
    /// The page.
    pub fn render(&self) -> Page {
        Page::of(&SignOutView { page: self })
    }
}
