//! Another passphrase for somebody who has lost it, by a link.

use askama::Template;
use http::StatusCode;

use crate::form::Form;
use crate::head::Page;
use crate::label::Label;
use crate::setup::Entry;

/// The page of the link.
#[derive(Debug)]
pub struct Reset {
    /// Whose passphrase it is.
    pub email: Label,
    /// The new one. What was typed is never shown again.
    pub passphrase: Entry,
    /// Host name of this server.
    pub host: Label,
    /// Where the form goes.
    pub form: Form,
}

/// The passphrase is changed.
#[derive(Debug)]
pub struct ResetDone {
    /// Host name of this server.
    pub host: Label,
}

#[derive(Template)]
#[template(path = "reset.html")]
struct View<'a> {
    page: &'a Reset,
}

#[derive(Template)]
#[template(path = "reset_done.html")]
struct DoneView<'a> {
    page: &'a ResetDone,
}

impl Reset {
    /// The page.
    pub fn render(&self) -> Page {
        let wrong = self.passphrase.error.is_some();
        let status = if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        Page::of(&View { page: self }).with_status(status)
    }
}

impl ResetDone {
    /// The page.
    pub fn render(&self) -> Page {
        Page::of(&DoneView { page: self })
    }
}
