//! A link that leads nowhere any more: what happened to it, and what to do.

use askama::Template;
use http::StatusCode;

use crate::head::Page;
use crate::label::Label;

/// The page for a link that cannot be used.
#[derive(Debug)]
pub struct Ended {
    /// What happened to it.
    pub why: Why,
    /// The project that made the link, if it is known and this browser may know it.
    pub app: Option<Label>,
    /// Host name of this server.
    pub host: Label,
}

/// What happened to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A request for consent that waited too long.
    Expired,
    /// A request for consent that was answered already.
    Used,
    /// Nothing is known by this link.
    Unknown,
    /// A request for consent that was begun in another browser.
    OtherBrowser,
    /// A set-up link that waited too long.
    SetupExpired,
    /// A set-up link that was used already.
    SetupUsed,
    /// An invitation that cannot be used, or never was one: which of these is not said.
    InvitationEnded,
    /// A link for another passphrase that cannot be used, or never was one.
    ResetEnded,
}

#[derive(Template)]
#[template(path = "ended.html")]
struct View<'a> {
    page: &'a Ended,
    app: String,
}

impl Ended {
    /// The page.
    pub fn render(&self) -> Page {
        let app = self.app.as_ref().map_or_else(|| "the app".to_owned(), ToString::to_string);
        Page::of(&View { page: self, app }).with_status(self.why.status())
    }
}

impl Why {
    fn status(self) -> StatusCode {
        match self {
            Self::Expired
            | Self::Used
            | Self::SetupExpired
            | Self::SetupUsed
            | Self::InvitationEnded
            | Self::ResetEnded => StatusCode::GONE,
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::OtherBrowser => StatusCode::FORBIDDEN,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Expired => "This link has expired",
            Self::Used => "This link was used already",
            Self::Unknown => "This link is not known here",
            Self::OtherBrowser => "This was begun in another browser",
            Self::SetupExpired => "This set-up link has expired",
            Self::SetupUsed => "This server is set up already",
            Self::InvitationEnded => "This invitation cannot be used",
            Self::ResetEnded => "This link cannot be used",
        }
    }
}
