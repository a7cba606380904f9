//! The own account: who one is here, the passphrase, and where one is signed in.

use askama::Template;
use carnet_model::SecretString;
use http::StatusCode;

use crate::head::Page;
use crate::label::Label;
use crate::setup::Entry;

/// The page of the own account.
#[derive(Debug)]
pub struct MyAccount {
    /// The person's name.
    pub name: Label,
    /// The person's e-mail address.
    pub email: Label,
    /// The person's teams, each with the role there.
    pub teams: Vec<(Label, &'static str)>,
    /// Whether there is a passphrase that a new one replaces.
    pub has_passphrase: bool,
    /// What is wrong with the present passphrase that was typed.
    pub present: Entry,
    /// What is wrong with the new one.
    pub passphrase: Entry,
    /// What was done just now.
    pub done: Option<Done>,
    /// Where the person is signed in.
    pub sessions: Vec<SessionLine>,
    /// The command lines that are signed in.
    pub command_lines: Vec<CommandLineLine>,
    /// Host name of this server.
    pub host: Label,
    /// The token of all forms of the page.
    pub token: SecretString,
}

/// What was done just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// The passphrase is another.
    Passphrase,
    /// A session was ended, or all others.
    Ended,
}

/// One browser in which the person is signed in.
#[derive(Debug)]
pub struct SessionLine {
    /// `ses_…`
    pub id: String,
    /// What the browser calls itself.
    pub browser: Label,
    /// By what the person signed in.
    pub means: Label,
    /// How long ago it was used, in words.
    pub used: String,
    /// Whether it is the one in which the page is shown.
    pub this: bool,
}

/// A command line that is signed in.
#[derive(Debug)]
pub struct CommandLineLine {
    /// `cli_…`
    pub id: String,
    /// The program.
    pub program: Label,
    /// From where it asked.
    pub asked_from: Label,
    /// How long ago it was renewed, in words.
    pub used: String,
}

#[derive(Template)]
#[template(path = "my_account.html")]
struct View<'a> {
    page: &'a MyAccount,
    wrong: bool,
}

impl MyAccount {
    /// The page.
    pub fn render(&self) -> Page {
        let wrong = self.present.error.is_some() || self.passphrase.error.is_some();
        let status = if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        Page::of(&View { page: self, wrong }).with_status(status)
    }
}
