//! The step from our form to the provider.
//!
//! A redirect in answer to a form is held to the form's `form-action` at every further hop (seen in Chromium 156): a
//! provider whose authorization page moves on to a login host, or back to us and on to the app, would be stopped. This
//! page is a new navigation, so the policy can stay at `'self'`. It moves on by itself and needs no script.

use askama::Template;
use url::Url;

use crate::head::Page;
use crate::label::Label;

/// Answer to a consent that continues at the provider.
#[derive(Debug)]
pub struct Leaving {
    /// The third party, as people call it.
    pub service: Label,
    /// Host name of this server.
    pub host: Label,
    to: Url,
}

#[derive(Template)]
#[template(path = "leaving.html")]
struct View<'a> {
    page: &'a Leaving,
    there: Label,
}

impl Leaving {
    /// Towards `to`, which must be https or http.
    pub fn to(to: Url, service: Label, host: Label) -> Option<Self> {
        matches!(to.scheme(), "http" | "https").then_some(Self { service, host, to })
    }

    /// The page.
    pub fn render(&self) -> Page {
        Page::of(&View { page: self, there: Label::host(&self.to) }).in_a_popup()
    }
}
