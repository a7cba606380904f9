//! The page before the provider's, where an application is to be installed: who wants to act there as itself.

use askama::Template;

use crate::head::Page;
use crate::permission::{Permission, ruled_out};
use crate::request::{Request, Stage};

/// The question whether an application is to be installed.
#[derive(Debug)]
pub struct Install {
    /// Who asks.
    pub request: Request,
    /// What it asks for. Empty: the provider's own page says what the application may do.
    pub asked: Vec<Permission>,
}

#[derive(Template)]
#[template(path = "install.html")]
struct View<'a> {
    page: &'a Install,
    request: &'a Request,
    ruled_out: Option<Vec<String>>,
}

impl Install {
    /// The page.
    pub fn render(&self) -> Page {
        let ruled_out = ruled_out(self.asked.iter(), &self.request.service);
        Page::of(&View { page: self, request: &self.request, ruled_out }).in_a_popup()
    }
}
