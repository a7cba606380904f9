//! The page before the provider's: who wants to act as whom, where, and what that makes possible.

use std::time::Duration;

use askama::Template;

use crate::head::{Origin, Page};
use crate::permission::{Permission, ruled_out};
use crate::request::{Request, Stage, Whose, at_most};

/// Consent for a connector whose provider asks the person itself, on its own page.
#[derive(Debug)]
pub struct Consent {
    /// Who asks.
    pub request: Request,
    /// What it asks for now. Empty: no scopes, the provider decides.
    pub asked: Vec<Permission>,
    /// What the grant holds already; shown after what is new.
    pub already: Vec<Permission>,
    /// The longest life of a token that the app gets, if it is known.
    pub token_life: Option<Duration>,
    /// The provider, if the answer to the form is a redirect to it. Browsers apply `form-action` to every further
    /// redirect too, so this suits only a provider that keeps to one origin; for others answer with
    /// [`Leaving`](crate::Leaving) and leave it out.
    pub provider: Option<Origin>,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct View<'a> {
    page: &'a Consent,
    request: &'a Request,
    ruled_out: Option<Vec<String>>,
    token_life: Option<String>,
}

impl Consent {
    /// The page.
    pub fn render(&self) -> Page {
        let all = self.asked.iter().chain(&self.already);
        Page::of(&View {
            page: self,
            request: &self.request,
            ruled_out: ruled_out(all, &self.request.service),
            token_life: self.token_life.map(at_most),
        })
        .in_a_popup()
        .form_may_lead_to(self.provider.as_ref())
    }
}
