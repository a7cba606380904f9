//! Asks whether another account is to take the place of the one connected before.

use askama::Template;

use crate::form::Form;
use crate::head::Page;
use crate::label::Label;

/// The question after a person has signed in to another account than before.
#[derive(Debug)]
pub struct AnotherAccount {
    /// The project that asked.
    pub app: Label,
    /// The team that runs it.
    pub team: Label,
    /// The third party, as people call it.
    pub service: Label,
    /// The account that is connected, in the service's words.
    pub before: Label,
    /// The account that was used now.
    pub now: Label,
    /// Host name of this server.
    pub host: Label,
    /// Where the answer goes.
    pub form: Form,
}

#[derive(Template)]
#[template(path = "account.html")]
struct View<'a> {
    page: &'a AnotherAccount,
}

impl AnotherAccount {
    /// The page.
    pub fn render(&self) -> Page {
        Page::of(&View { page: self }).in_a_popup()
    }
}
