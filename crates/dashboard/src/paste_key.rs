//! The consent page of a connector without a page of the provider's: the person pastes a key.

use askama::Template;
use http::StatusCode;

use crate::head::Page;
use crate::instructions::{Block, Instructions, Span};
use crate::request::{Request, Stage, Whose};

/// Consent by pasting a key.
#[derive(Debug)]
pub struct PasteKey {
    /// Who asks.
    pub request: Request,
    /// How to get a key, in the team's words.
    pub instructions: Option<Instructions>,
    /// Why the key that was posted is not taken. The key itself is never put back into the page.
    pub refused: Option<KeyRefused>,
}

/// Why a pasted key is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRefused {
    /// There was none.
    Empty,
    /// Longer than [`PasteKey::MAX_LEN`], or with a space or line break inside.
    Malformed,
    /// The provider does not accept it.
    ByProvider,
}

#[derive(Template)]
#[template(path = "paste_key.html")]
struct View<'a> {
    page: &'a PasteKey,
    request: &'a Request,
}

impl PasteKey {
    /// The longest key that the field takes, in characters.
    pub const MAX_LEN: usize = 8192;

    /// The page.
    pub fn render(&self) -> Page {
        let status = if self.refused.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        Page::of(&View { page: self, request: &self.request }).with_status(status).in_a_popup()
    }
}
