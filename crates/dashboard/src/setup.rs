//! The first start: the set-up form, and the page that shows the first access token, once.

use askama::Template;
use carnet_model::SecretString;
use http::StatusCode;
use url::Url;

use crate::form::Form;
use crate::head::Page;
use crate::label::Label;

/// The form that makes the first team and its owner.
#[derive(Debug)]
pub struct Setup {
    /// The team's name.
    pub team: Entry,
    /// The owner's name.
    pub name: Entry,
    /// The owner's email address.
    pub email: Entry,
    /// The owner's passphrase. What was typed is never shown again.
    pub passphrase: Entry,
    /// Host name of this server.
    pub host: Label,
    /// Where the form goes.
    pub form: Form,
}

/// A field of a form: what was typed, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Entry {
    /// What was typed; empty at first.
    pub value: String,
    /// What is wrong with it, as a sentence of ours.
    pub error: Option<String>,
}

/// The end of the set-up. Rendered once, from the answer that made the token.
#[derive(Debug)]
pub struct SetupDone {
    /// The team that was made.
    pub team: Label,
    /// The owner's first access token.
    pub access_token: SecretString,
    /// The server's public address.
    pub url: Url,
}

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupView<'a> {
    page: &'a Setup,
    wrong: bool,
}

#[derive(Template)]
#[template(path = "setup_done.html")]
struct SetupDoneView<'a> {
    page: &'a SetupDone,
    host: Label,
    url: &'a str,
}

impl Setup {
    /// The page.
    pub fn render(&self) -> Page {
        let wrong =
            [&self.team, &self.name, &self.email, &self.passphrase].iter().any(|entry| entry.error.is_some());
        let status = if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        Page::of(&SetupView { page: self, wrong }).with_status(status)
    }
}

impl SetupDone {
    /// The page.
    pub fn render(&self) -> Page {
        let url = self.url.as_str().trim_end_matches('/');
        Page::of(&SetupDoneView { page: self, host: Label::host(&self.url), url })
    }
}
