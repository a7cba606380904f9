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

/// What comes with the token of its form.
pub trait Answer {
    /// The token of the form, to be checked before anything else.
    fn form_token(&self) -> &SecretString;
}

macro_rules! answers {
    ($($answer:ident),* $(,)?) => {$(
        impl Answer for $answer {
            fn form_token(&self) -> &SecretString {
                &self.form_token
            }
        }
    )*};
}

answers!(
    ApplicationAnswer,
    ApplicationRemoveAnswer,
    ApplicationSecretAnswer,
    BareAnswer,
    JoinAnswer,
    LoginAnswer,
    PasskeyAnswer,
    PasskeyMadeAnswer,
    PassphraseAnswer,
    RegisterAnswer,
    SignInAnswer,
    UnlinkAnswer,
    WithAnswer,
);

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

/// What the page to sign in posts.
#[derive(Debug, Deserialize)]
pub struct SignInAnswer {
    /// The token of the form, to be checked before anything else.
    pub form_token: SecretString,
    /// The e-mail address; nothing where somebody signs in again.
    #[serde(default)]
    pub email: String,
    /// The passphrase.
    pub passphrase: SecretString,
    /// Where to go afterwards: a path of ours.
    #[serde(default)]
    pub to: String,
}

/// What the form for another passphrase posts.
#[derive(Debug, Deserialize)]
pub struct PassphraseAnswer {
    /// The token of the form, to be checked before anything else.
    pub form_token: SecretString,
    /// The passphrase up to now; nothing if there is none.
    #[serde(default = "nothing")]
    pub present: SecretString,
    /// The passphrase from now on.
    pub passphrase: SecretString,
}

/// What the page posts on which an application is registered.
#[derive(Debug, Deserialize)]
pub struct RegisterAnswer {
    /// The token of the form, to be checked before anything else.
    pub form_token: SecretString,
    /// There if nothing is to be registered.
    pub decision: Option<Decision>,
    /// What the application is called.
    #[serde(default)]
    pub name: String,
    /// The organization that owns it; nothing for the person.
    #[serde(default)]
    pub owner: String,
    /// What it may do.
    #[serde(default)]
    pub scopes: String,
    /// There if accounts besides its owner's may install it.
    pub shared: Option<String>,
    /// Checked if the provider is not to send events here.
    pub quiet: Option<String>,
    /// The token with which the provider makes it, where one is asked for.
    pub token: Option<SecretString>,
}

/// What the page posts on which a command line is signed in.
#[derive(Debug, Deserialize)]
pub struct LoginAnswer {
    /// The token of the form, to be checked before anything else.
    pub form_token: SecretString,
    /// Which command line: the code that it shows.
    pub code: String,
    /// Which button it was.
    pub decision: Decision,
    /// The team in which it acts, if it may.
    pub team: Option<String>,
}

/// What a button posts that leads to an account elsewhere.
#[derive(Debug, Deserialize)]
pub struct WithAnswer {
    /// The token of the form, to be checked before anything else.
    pub form_token: SecretString,
    /// Where to go afterwards: a path of ours.
    #[serde(default)]
    pub to: String,
}

/// What the button posts that takes an account elsewhere off the own one.
#[derive(Debug, Deserialize)]
pub struct UnlinkAnswer {
    /// The token of the form, to be checked before anything else.
    pub form_token: SecretString,
    /// The issuer.
    pub issuer: String,
    /// Its identifier of the account.
    pub subject: String,
}

/// What is posted of a passkey that was used. Bytes are in base64url.
#[derive(Debug, Deserialize)]
pub struct PasskeyAnswer {
    /// The token of the form, to be checked before anything else.
    pub form_token: SecretString,
    /// Where to go afterwards: a path of ours.
    #[serde(default)]
    pub to: String,
    /// The challenge of the page.
    pub challenge: String,
    /// Which passkey.
    pub credential: String,
    /// The browser's account of the ceremony.
    pub client_data: String,
    /// The authenticator's.
    pub authenticator_data: String,
    /// The signature over both.
    pub signature: String,
}

/// What is posted of a passkey that was made. Bytes are in base64url.
#[derive(Debug, Deserialize)]
pub struct PasskeyMadeAnswer {
    /// The token of the form, to be checked before anything else.
    pub form_token: SecretString,
    /// The challenge of the page.
    pub challenge: String,
    /// The browser's account of the ceremony.
    pub client_data: String,
    /// The authenticator's.
    pub authenticator_data: String,
    /// What its person calls it.
    pub name: String,
}

/// What the form posts in which an application for all teams is registered.
#[derive(Debug, Deserialize)]
pub struct ApplicationAnswer {
    /// The token of the form, to be checked before anything else.
    pub form_token: SecretString,
    /// The service, by its name in the catalog.
    pub service: String,
    /// The way of the catalog.
    #[serde(default)]
    pub way: String,
    /// What is filled into its addresses: `host=git.acme.example`, with spaces between.
    #[serde(default)]
    pub params: String,
    /// The teams that may use it, with spaces between; nothing for all.
    #[serde(default)]
    pub teams: String,
    /// The client's identifier at the provider.
    #[serde(default)]
    pub client: String,
    /// The client's secret.
    #[serde(default = "nothing")]
    pub secret: SecretString,
    /// Further members of `data`, as one JSON object.
    #[serde(default = "nothing")]
    pub more: SecretString,
}

/// What the form posts that puts another secret in the place of an application's.
#[derive(Debug, Deserialize)]
pub struct ApplicationSecretAnswer {
    /// The token of the form, to be checked before anything else.
    pub form_token: SecretString,
    /// The client's secret from now on.
    pub secret: SecretString,
}

/// What the form posts that removes an application.
#[derive(Debug, Deserialize)]
pub struct ApplicationRemoveAnswer {
    /// The token of the form, to be checked before anything else.
    pub form_token: SecretString,
    /// Whether the box is ticked that says: even if connectors stop working.
    pub force: Option<String>,
}

/// What a form without fields posts.
#[derive(Debug, Deserialize)]
pub struct BareAnswer {
    /// The token of the form, to be checked before anything else.
    pub form_token: SecretString,
}

/// What the page of an invitation posts where nobody is signed in.
#[derive(Debug, Deserialize)]
pub struct JoinAnswer {
    /// The token of the form, to be checked before anything else.
    pub form_token: SecretString,
    /// The person's name.
    pub name: String,
    /// The e-mail address; nothing where the invitation says it.
    #[serde(default)]
    pub email: String,
    /// The passphrase.
    pub passphrase: SecretString,
}

/// What the page of a link for another passphrase posts. The link is what proves the right; the page repeats its secret,
/// so that a form elsewhere cannot be posted.
#[derive(Debug, Deserialize)]
pub struct ResetAnswer {
    /// The secret of the link.
    pub form_token: SecretString,
    /// The passphrase from now on.
    pub passphrase: SecretString,
}

fn nothing() -> SecretString {
    SecretString::new(String::new())
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
    /// The first owner's passphrase.
    pub passphrase: SecretString,
}
