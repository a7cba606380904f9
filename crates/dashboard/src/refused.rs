//! What a person asked for and cannot have, with the reason and what mends it.

use askama::Template;
use http::StatusCode;

use crate::head::Page;
use crate::label::Label;

/// A refusal.
#[derive(Debug)]
pub struct Refused {
    /// The status it is answered with.
    pub status: StatusCode,
    /// The thing and the cause.
    pub message: Label,
    /// What mends it: a command, and when it is the right one.
    pub next: Vec<(Label, Label)>,
    /// The stable code.
    pub code: &'static str,
    /// Host name of this server.
    pub host: Label,
}

#[derive(Template)]
#[template(path = "refused.html")]
struct View<'a> {
    page: &'a Refused,
}

impl Refused {
    /// The page.
    pub fn render(&self) -> Page {
        Page::of(&View { page: self }).with_status(self.status)
    }
}
