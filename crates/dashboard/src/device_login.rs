//! Signing in a command line: the code, who asks, and what became of it.

use std::time::Duration;

use askama::Template;
use http::StatusCode;

use crate::device::NoSuchCode;
use crate::form::Form;
use crate::head::Page;
use crate::label::Label;
use crate::request::ago;

/// Asks for the code that a command line shows.
#[derive(Debug)]
pub struct EnterLoginCode {
    /// Why the code that was given did not lead on.
    pub refused: Option<NoSuchCode>,
    /// Host name of this server.
    pub host: Label,
}

/// Says who asks, and takes the decision.
#[derive(Debug)]
pub struct ConfirmLogin {
    /// The program.
    pub program: Label,
    /// From where it asked, and what it calls itself.
    pub asked_from: Label,
    /// How long ago.
    pub age: Duration,
    /// The code, to be compared.
    pub code: Label,
    /// Who decides.
    pub email: Label,
    /// The teams in which it could act: identifier and name. There is at least one.
    pub teams: Vec<(String, Label)>,
    /// Host name of this server.
    pub host: Label,
    /// Where the answer goes.
    pub form: Form,
}

/// What became of it.
#[derive(Debug)]
pub struct LoginDecided {
    /// The program.
    pub program: Label,
    /// Whether it is signed in.
    pub allowed: bool,
    /// Host name of this server.
    pub host: Label,
}

#[derive(Template)]
#[template(path = "login_code.html")]
struct EnterView<'a> {
    page: &'a EnterLoginCode,
}

#[derive(Template)]
#[template(path = "login_confirm.html")]
struct ConfirmView<'a> {
    page: &'a ConfirmLogin,
    ago: String,
}

#[derive(Template)]
#[template(path = "login_decided.html")]
struct DecidedView<'a> {
    page: &'a LoginDecided,
}

impl EnterLoginCode {
    /// The page.
    pub fn render(&self) -> Page {
        let status = match self.refused {
            None => StatusCode::OK,
            Some(NoSuchCode::Unknown) => StatusCode::UNPROCESSABLE_ENTITY,
            Some(NoSuchCode::Wait(_)) => StatusCode::TOO_MANY_REQUESTS,
        };
        Page::of(&EnterView { page: self }).with_status(status)
    }
}

impl ConfirmLogin {
    /// The page.
    pub fn render(&self) -> Page {
        Page::of(&ConfirmView { page: self, ago: ago(self.age) })
    }
}

impl LoginDecided {
    /// The page.
    pub fn render(&self) -> Page {
        Page::of(&DecidedView { page: self })
    }
}
