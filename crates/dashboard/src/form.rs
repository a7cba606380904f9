//! What the forms post: the one place where field names stand beside the templates, and a test compares the two.

use carnet_model::SecretString;
use serde::Deserialize;

/// Where a form goes, and the token that proves it came from our page.
#[derive(Debug)]
pub struct Form {
    /// A path of ours.
    pub action: String,
    /// The form token, bound to the browser's session by whoever made it.
    pub token: SecretString,
}

/// What a consent page posts. `key` comes from the page that asks for a pasted key.
#[derive(Debug, Deserialize)]
pub struct ConsentAnswer {
    /// The token of the form, to be checked before anything else.
    pub form_token: SecretString,
    /// Which button it was.
    pub decision: Decision,
    /// The pasted key.
    pub key: Option<SecretString>,
}

/// The two buttons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Cancel.
    Deny,
    /// Continue, or save the key.
    Allow,
}

/// What the page for device codes posts.
#[derive(Debug, Deserialize)]
pub struct DeviceAnswer {
    /// The token of the form, to be checked before anything else.
    pub form_token: SecretString,
    /// The code as it was typed.
    pub code: String,
}

/// What the button that takes a consent back posts.
#[derive(Debug, Deserialize)]
pub struct UndoAnswer {
    /// The token of the form.
    pub form_token: SecretString,
}

/// What the set-up page posts.
#[derive(Debug, Deserialize)]
pub struct SetupAnswer {
    /// The token of the form, to be checked before anything else.
    pub form_token: SecretString,
    /// The team's name.
    pub team: String,
    /// The first owner's name.
    pub name: String,
    /// The first owner's email address.
    pub email: String,
}
