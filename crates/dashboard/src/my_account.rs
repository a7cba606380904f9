//! The own account: who one is here, the passphrase, and where one is signed in.

use askama::Template;
use carnet_model::SecretString;
use http::StatusCode;

use crate::browser_name::BrowserName;
use crate::head::Page;
use crate::label::Label;
use crate::setup::Entry;
use crate::sign_in::Passkey;

/// The page of the own account.
#[derive(Debug)]
pub struct MyAccount {
    /// The person's name.
    pub name: Label,
    /// The person's e-mail address.
    pub email: Label,
    /// The person's teams, each with the role there.
    pub teams: Vec<(Label, &'static str)>,
    /// Whether the person sees to what all teams use.
    pub operates: bool,
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
    /// What is needed to make a passkey, where there are passkeys.
    pub passkey: Option<Passkey>,
    /// The person for authenticators: the bytes of the identifier, in base64url.
    pub handle: String,
    /// The passkeys of the person.
    pub passkeys: Vec<PasskeyLine>,
    /// Issuers whose accounts could be added: name in addresses, and for people.
    pub elsewhere: Vec<(String, Label)>,
    /// The accounts elsewhere with which the person signs in.
    pub links: Vec<LinkLine>,
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
    /// Which browser it is.
    pub browser: BrowserName,
    /// By what the person signed in.
    pub means: Label,
    /// How long ago it was used, in words.
    pub used: String,
    /// Whether it is the one in which the page is shown.
    pub this: bool,
}

/// A passkey.
#[derive(Debug)]
pub struct PasskeyLine {
    /// `pky_…`
    pub id: String,
    /// What its person calls it.
    pub name: Label,
    /// Whether it is kept in more places than one.
    pub synced: bool,
    /// How long ago it was used, in words, if it was.
    pub used: Option<String>,
}

/// An account elsewhere.
#[derive(Debug)]
pub struct LinkLine {
    /// The issuer.
    pub issuer: String,
    /// Its identifier of the account.
    pub subject: String,
    /// What the issuer is called.
    pub label: Label,
    /// What it called the account.
    pub shown: Label,
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
        let page = Page::of(&View { page: self, wrong }).with_status(status);
        if self.passkey.is_some() { page.with_script() } else { page }
    }
}
