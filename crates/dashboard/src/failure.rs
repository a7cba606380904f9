//! The plain error page: for an address that is not there, a method that is not, and what went wrong on our side.

use askama::Template;
use http::StatusCode;

use crate::head::Page;
use crate::label::Label;

/// An error that is nobody's particular page.
#[derive(Debug)]
pub struct Failure {
    /// The status it is answered with.
    pub status: StatusCode,
    /// `req_…`, by which the server's log finds it.
    pub request_id: String,
    /// Host name of this server.
    pub host: Label,
}

#[derive(Template)]
#[template(path = "failure.html")]
struct View<'a> {
    page: &'a Failure,
    title: &'static str,
    text: &'static str,
}

impl Failure {
    /// The page.
    pub fn render(&self) -> Page {
        let (title, text) = match self.status.as_u16() {
            404 => ("There is no such page", "The address may be mistyped, or what it led to is gone."),
            405 => {
                ("This page cannot be used that way", "Open it as a link, or go back to where you came from.")
            }
            413 => ("That is too much at once", "What was sent is larger than this server takes."),
            429 => ("Too many requests", "Wait a minute, then try again."),
            503 => {
                ("Not available just now", "The server is busy or stopping. Wait a minute, then try again.")
            }
            400..500 => (
                "This request cannot be answered",
                "Something in it is missing or not allowed. Go back and try again.",
            ),
            _ => (
                "Something went wrong",
                "It is not your doing. Whoever runs this server finds it in the log.",
            ),
        };
        Page::of(&View { page: self, title, text }).with_status(self.status)
    }
}
