//! How a request for consent ended.

use askama::Template;
use http::StatusCode;
use url::Url;

use crate::form::Form;
use crate::head::Page;
use crate::label::Label;

/// The last page of the ceremony.
#[derive(Debug)]
pub struct Done {
    /// How it ended.
    pub outcome: Outcome,
    /// The project that asked.
    pub app: Label,
    /// The team that runs it.
    pub team: Label,
    /// The third party, as people call it.
    pub service: Label,
    /// The app's page to return to. Anything but https and http is left out.
    pub back: Option<Url>,
    /// The form that takes the consent back, while that is possible here.
    pub undo: Option<Form>,
    /// Host name of this server.
    pub host: Label,
}

/// How it ended.
#[derive(Debug)]
pub enum Outcome {
    /// The app can act now.
    Connected {
        /// With which account, in the words of the third party.
        account: Option<Label>,
    },
    /// The app has access of its own now.
    Installed {
        /// At which account, in the words of the third party.
        account: Option<Label>,
    },
    /// The app must say one thing more before it can act.
    Completing,
    /// It was connected, and the person took it back.
    Undone,
    /// The person said no, here or at the provider.
    Cancelled,
    /// Nothing was connected, for a reason.
    Failed {
        /// The reason, which the page says in our words.
        why: NotDone,
        /// What the provider said, shown as its words.
        vendor: Option<Label>,
        /// By which the server's log finds it.
        request_id: String,
    },
}

/// Why nothing was connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// The provider refused.
    Refused,
    /// The provider did not answer.
    Unavailable,
    /// The provider answered with something that cannot be used, or that is not for this request.
    Unusable,
    /// Somebody asked for the installation, and an administrator at the provider has to approve it.
    AwaitsApproval,
    /// The provider did not say who installed, because the application there is not set to ask.
    InstallerUnknown,
    /// The provider gave less than the app asked for.
    TooLittle,
    /// The provider does not accept the connector's own credentials.
    ConnectorRejected,
    /// Something went wrong on this server.
    Internal,
}

#[derive(Template)]
#[template(path = "done.html")]
struct View<'a> {
    page: &'a Done,
    back: Option<(&'a str, Label)>,
}

impl Done {
    /// The page.
    pub fn render(&self) -> Page {
        let status = match &self.outcome {
            Outcome::Connected { .. }
            | Outcome::Installed { .. }
            | Outcome::Completing
            | Outcome::Undone
            | Outcome::Cancelled
            | Outcome::Failed { why: NotDone::AwaitsApproval, .. } => StatusCode::OK,
            Outcome::Failed { why: NotDone::Unavailable, .. } => StatusCode::SERVICE_UNAVAILABLE,
            Outcome::Failed { why: NotDone::Internal, .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Outcome::Failed { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let back = self.back.as_ref().filter(|url| matches!(url.scheme(), "http" | "https"));
        let back = back.map(|url| (url.as_str(), Label::host(url)));
        Page::of(&View { page: self, back }).with_status(status).in_a_popup()
    }
}
