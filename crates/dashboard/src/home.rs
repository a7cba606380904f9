//! `/`: that this is Carnet, that it runs, and what to type next. It knows nobody, so it shows nobody's things.

use askama::Template;
use url::Url;

use crate::head::Page;
use crate::label::Label;

/// The page at the root.
#[derive(Debug)]
pub struct Home {
    /// The server's version.
    pub version: &'static str,
    /// The server's public address.
    pub url: Url,
    /// Whether this is `carnet dev`, with its demo connector.
    pub development: bool,
    /// Whether tokens can be issued.
    pub health: Health,
}

/// What `/readyz` says.
#[derive(Clone, Debug)]
pub enum Health {
    /// All is well.
    Ready,
    /// These checks fail, by name.
    NotReady(Vec<Label>),
}

#[derive(Template)]
#[template(path = "home.html")]
struct View<'a> {
    page: &'a Home,
    host: Label,
    url: &'a str,
}

impl Home {
    /// The page.
    pub fn render(&self) -> Page {
        let url = self.url.as_str().trim_end_matches('/');
        Page::of(&View { page: self, host: Label::host(&self.url), url })
    }
}
