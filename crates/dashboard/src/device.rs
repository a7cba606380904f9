//! The page that takes a device code.

use askama::Template;
use http::StatusCode;

use crate::form::Form;
use crate::head::Page;
use crate::label::Label;

/// Asks for the code that an application shows elsewhere.
#[derive(Debug)]
pub struct Device {
    /// Why the code that was posted did not lead on.
    pub refused: Option<NoSuchCode>,
    /// Host name of this server.
    pub host: Label,
    /// Where the answer goes.
    pub form: Form,
}

/// Why a code did not lead on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSuchCode {
    /// It is wrong, was used or is over.
    Unknown,
    /// Too many wrong ones came from here; minutes until the next try.
    Wait(u64),
}

#[derive(Template)]
#[template(path = "device.html")]
struct View<'a> {
    page: &'a Device,
}

impl Device {
    /// The page.
    pub fn render(&self) -> Page {
        let status = match self.refused {
            None => StatusCode::OK,
            Some(NoSuchCode::Unknown) => StatusCode::UNPROCESSABLE_ENTITY,
            Some(NoSuchCode::Wait(_)) => StatusCode::TOO_MANY_REQUESTS,
        };
        Page::of(&View { page: self }).with_status(status)
    }
}
