//! The page while a person decides at a provider that sends nobody back: the code to enter there, and where.

use askama::Template;
use url::Url;

use crate::head::Page;
use crate::label::Label;

/// A code for the provider's own page.
#[derive(Debug)]
pub struct Elsewhere {
    /// The project that asks.
    pub app: Label,
    /// The third party, as people call it.
    pub service: Label,
    /// What is entered there.
    pub code: Label,
    /// Host name of this server.
    pub host: Label,
    to: Url,
    is_whole: bool,
    again: String,
}

#[derive(Template)]
#[template(path = "elsewhere.html")]
struct View<'a> {
    page: &'a Elsewhere,
    there: Label,
}

impl Elsewhere {
    /// The code is entered at `page`, or is in the address of `whole_page` already; both must be https or http. The page
    /// looks at the path `again` every few seconds, to see whether the person has decided.
    pub fn at(
        page: Url,
        whole_page: Option<Url>,
        again: String,
        [app, service, code, host]: [Label; 4],
    ) -> Option<Self> {
        let is_whole = whole_page.is_some();
        let to = whole_page.unwrap_or(page);
        let is_web = matches!(to.scheme(), "http" | "https");
        is_web.then_some(Self { app, service, code, host, to, is_whole, again })
    }

    /// The page.
    pub fn render(&self) -> Page {
        Page::of(&View { page: self, there: Label::host(&self.to) }).in_a_popup()
    }
}
