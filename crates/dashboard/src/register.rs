//! Registering an application at a provider: what it is to be, and the step that takes the browser there.

use askama::Template;
use http::StatusCode;
use url::Url;

use crate::form::Form;
use crate::head::{Origin, Page};
use crate::label::Label;
use crate::setup::Entry;

/// Asks what the application is to be.
#[derive(Debug)]
pub struct Register {
    /// The service.
    pub service: Label,
    /// The team that will own the connector.
    pub team: Label,
    /// The connector that comes of it.
    pub uid: Label,
    /// What the application is called.
    pub name: Entry,
    /// The organization that owns it.
    pub owner: Entry,
    /// What it may do.
    pub scopes: Entry,
    /// Whether accounts besides its owner's may install it.
    pub shared: bool,
    /// Whether the provider would be told to send events here.
    pub hears: bool,
    /// Whether it is not to.
    pub quiet: bool,
    /// The token with which it is made. What was typed is never shown again.
    pub token: Entry,
    /// How it is registered.
    pub way: RegisterWay,
    /// What went wrong that is nothing about one field.
    pub refused: Option<Label>,
    /// Host name of this server.
    pub host: Label,
    /// Where the answer goes.
    pub form: Form,
}

/// How an application is registered.
#[derive(Debug)]
pub enum RegisterWay {
    /// At the provider, which sends the browser back.
    Form,
    /// With a token of the person's.
    Token {
        /// Where one is had.
        tokens: Url,
        /// Where the application can be made by hand.
        by_hand: Url,
    },
}

/// Takes the browser to the provider with a form.
#[derive(Debug)]
pub struct RegisterLeaving {
    /// The service.
    pub service: Label,
    /// Host name of this server.
    pub host: Label,
    /// Where to.
    pub to: Url,
    /// Names and values.
    pub fields: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "register.html")]
struct View<'a> {
    page: &'a Register,
}

#[derive(Template)]
#[template(path = "register_leaving.html")]
struct LeavingView<'a> {
    page: &'a RegisterLeaving,
    there: Label,
}

impl Register {
    /// The page.
    pub fn render(&self) -> Page {
        let fields = [&self.name, &self.owner, &self.scopes, &self.token];
        let wrong = self.refused.is_some() || fields.iter().any(|entry| entry.error.is_some());
        let status = if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        Page::of(&View { page: self }).with_status(status)
    }
}

impl RegisterLeaving {
    /// The page, whose form may lead to the provider; `None` if no policy can name it.
    pub fn render(&self) -> Option<Page> {
        let origin = Origin::of(&self.to)?;
        let there = Label::host(&self.to);
        Some(Page::of(&LeavingView { page: self, there }).form_may_lead_to(Some(&origin)))
    }
}
