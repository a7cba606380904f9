//! The page of an invitation, and the one after joining.

use askama::Template;
use carnet_model::caller::Role;
use http::StatusCode;
use url::Url;

use crate::form::Form;
use crate::head::Page;
use crate::label::Label;
use crate::setup::Entry;

/// The page of an invitation.
#[derive(Debug)]
pub struct Invitation {
    /// The team to join.
    pub team: Label,
    /// As what.
    pub role: Role,
    /// Who invites: the name that the person goes by.
    pub by: Label,
    /// Who invites: the name by which the person signs in, which is nobody else's.
    pub by_email: Label,
    /// The e-mail address of the only account that may use it.
    pub only: Option<Label>,
    /// How long it can still be used.
    pub left: String,
    /// Who reads the page.
    pub reader: Reader,
    /// Host name of this server.
    pub host: Label,
}

/// Who reads the page of an invitation.
#[derive(Debug)]
pub enum Reader {
    /// Nobody who is signed in: makes an account, or signs in first.
    Stranger {
        /// The person's name.
        name: Entry,
        /// The e-mail address; of no use where the invitation says it.
        email: Entry,
        /// The passphrase. What was typed is never shown again.
        passphrase: Entry,
        /// Where to sign in and come back from.
        sign_in: String,
        /// Where the form goes.
        form: Form,
    },
    /// Somebody who may join.
    SignedIn {
        /// As whom.
        email: Label,
        /// Where the form goes.
        form: Form,
    },
    /// Somebody with another address than the one that it is for.
    Another {
        /// As whom.
        email: Label,
    },
    /// Somebody who is in the team.
    Already {
        /// As whom.
        email: Label,
    },
}

/// Said once after joining.
#[derive(Debug)]
pub struct Joined {
    /// The team.
    pub team: Label,
    /// The server's public address.
    pub url: Url,
}

#[derive(Template)]
#[template(path = "invitation.html")]
struct View<'a> {
    page: &'a Invitation,
    role: &'static str,
    means: &'static str,
    wrong: bool,
}

#[derive(Template)]
#[template(path = "joined.html")]
struct JoinedView<'a> {
    page: &'a Joined,
    host: Label,
    url: &'a str,
}

impl Invitation {
    /// The page.
    pub fn render(&self) -> Page {
        let wrong = matches!(&self.reader, Reader::Stranger { name, email, passphrase, .. }
            if [name, email, passphrase].iter().any(|entry| entry.error.is_some()));
        let status = match &self.reader {
            Reader::Stranger { .. } if wrong => StatusCode::UNPROCESSABLE_ENTITY,
            Reader::Stranger { .. } | Reader::SignedIn { .. } => StatusCode::OK,
            Reader::Another { .. } => StatusCode::FORBIDDEN,
            Reader::Already { .. } => StatusCode::CONFLICT,
        };
        let (role, means) = self.role.in_words();
        Page::of(&View { page: self, role, means, wrong }).with_status(status)
    }
}

impl Joined {
    /// The page.
    pub fn render(&self) -> Page {
        let url = self.url.as_str().trim_end_matches('/');
        Page::of(&JoinedView { page: self, host: Label::host(&self.url), url })
    }
}
