//! `/applications`: the applications from which connectors of all teams are made, for whoever operates the deployment.

use askama::Template;
use carnet_model::SecretString;
use http::StatusCode;

use crate::head::Page;
use crate::label::Label;
use crate::setup::Entry;

/// The page of applications for all teams.
#[derive(Debug)]
pub struct Applications {
    /// Those there are.
    pub all: Vec<ApplicationLine>,
    /// Whether the person has signed in just now, and may change something.
    pub fresh: bool,
    /// What was done just now.
    pub done: Option<ApplicationDone>,
    /// Why what was asked for was not done.
    pub refused: Option<Label>,
    /// What was typed into the form for another one. Secrets are never shown again.
    pub typed: ApplicationTyped,
    /// Host name of this server.
    pub host: Label,
    /// The token of all forms of the page.
    pub token: SecretString,
}

/// An application.
#[derive(Debug)]
pub struct ApplicationLine {
    /// Its service, fit for an address.
    pub service: String,
    /// The same, to be read.
    pub name: Label,
    /// By which way connectors are made from it.
    pub way: Label,
    /// Which teams may use it, in words.
    pub whose: Label,
    /// How many connectors are made from it.
    pub connectors: i64,
    /// What is configured, and may be shown.
    pub data: Vec<(Label, Label)>,
    /// The names of what may not.
    pub sealed: Label,
    /// Where people come back to, which is registered at the provider.
    pub redirect_uri: Option<Label>,
    /// Whether it is changed in the configuration, and not here.
    pub configured: bool,
    /// Whether the configuration has another in its place.
    pub overridden: bool,
    /// Whether it has a secret that can be put in here.
    pub has_secret: bool,
}

/// What was done just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplicationDone {
    /// One is registered.
    Registered,
    /// One has another secret.
    Turned,
    /// One is removed.
    Removed,
}

/// What stands in the form for another application.
#[derive(Debug, Default)]
pub struct ApplicationTyped {
    /// The service.
    pub service: Entry,
    /// The way of the catalog.
    pub way: Entry,
    /// What is filled into its addresses.
    pub params: Entry,
    /// The teams that may use it.
    pub teams: Entry,
    /// The client.
    pub client: Entry,
    /// The client's secret.
    pub secret: Entry,
    /// Further members of its configuration.
    pub more: Entry,
}

#[derive(Template)]
#[template(path = "applications.html")]
struct View<'a> {
    page: &'a Applications,
    wrong: bool,
}

impl Applications {
    /// The page.
    pub fn render(&self) -> Page {
        let ApplicationTyped { service, way, params, teams, client, secret, more } = &self.typed;
        let fields = [service, way, params, teams, client, secret, more];
        let wrong = self.refused.is_some() || fields.iter().any(|entry| entry.error.is_some());
        let status = if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        Page::of(&View { page: self, wrong }).with_status(status)
    }
}
