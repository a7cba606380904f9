//! How things go wrong at a provider, in the terms by which the engine decides what happens next.
//!
//! The sentences here are ours. What a provider said is carried beside them, as data, in [`Vendor`].

use carnet_model::grant::Cause;
use carnet_model::{SecretString, Time};
use serde::{Deserialize, Serialize};

/// A configuration that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct BadConfiguration {
    /// The field of `data` to change, in dotted form.
    pub field: String,
    /// What is wrong with it and what would be right.
    pub why: String,
}

/// Why a configuration is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// It cannot work.
    #[error(transparent)]
    Bad(#[from] BadConfiguration),
    /// It needs something of the provider, which asks to wait or fails inside: trying again may be all it takes.
    #[error("{why}")]
    Later {
        /// What was asked, and how it was answered.
        why: String,
        /// In how many seconds trying again makes sense, if the provider said.
        retry_after: Option<u64>,
    },
}

/// Why no token came.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The grant is dead; only the person can make a new one.
    #[error("{}", cause.sentence())]
    Gone {
        /// Why.
        cause: Cause,
        /// What the provider said, if it was the provider.
        vendor: Option<Vendor>,
    },
    /// The provider refuses the connector's own credentials. This says nothing about any person's grant.
    #[error("the provider refuses the connector's own credentials")]
    ClientRejected {
        /// What the provider said.
        vendor: Vendor,
    },
    /// The provider could not be reached, or asks to wait.
    #[error("the provider does not answer, or asks to wait")]
    Later {
        /// In how many seconds trying again makes sense, if the provider said.
        retry_after: Option<u64>,
        /// Whether the request may have been carried out all the same.
        in_doubt: bool,
    },
    /// No answer came, and the request may have been carried out all the same.
    #[error("the provider does not answer, or asks to wait")]
    Lost,
    /// The provider answered with something that is not an answer.
    #[error("the provider answered with something that is not an answer: {what}")]
    Garbage {
        /// Whether the request may have been carried out all the same.
        in_doubt: bool,
        /// What is wrong with it: a member and its kind, in our words, and never its value.
        what: &'static str,
    },
    /// The provider refused this request, and neither the grant nor the client is at fault.
    #[error("the provider refused the request")]
    Refused {
        /// What the provider said.
        vendor: Vendor,
    },
    /// The person said no.
    #[error("the person did not consent")]
    Denied,
    /// The person has not decided yet, on the device where the provider asks (RFC 8628 §3.5).
    #[error("the person has not decided yet")]
    Pending {
        /// Whether the provider wants to be asked less often.
        slower: bool,
    },
    /// The provider gave a token for something else than was asked. It is not handed out.
    #[error("the provider gave something else than was asked: {0}")]
    Stray(String),
    /// The secret that the provider gave the client at its registration has ended.
    #[error("the client secret that the provider registered has ended")]
    SecretEnded {
        /// When.
        at: Time,
    },
    /// The provider knows no such installation, or not any more.
    #[error("the application is not installed there")]
    NotInstalled {
        /// What the provider said.
        vendor: Vendor,
    },
    /// What the browser brought back does not complete the consent.
    #[error(transparent)]
    Callback(#[from] CallbackFault),
    /// The connector cannot give what was asked; the sentence names it.
    #[error("{0}")]
    Unsupported(String),
    /// The connector can give what was asked, and its own rules say no; the sentence names the rule.
    #[error("{0}")]
    Forbidden(String),
    /// The connector's configuration cannot work: the field, and why.
    #[error("{0}: {1}")]
    Misconfigured(String, String),
}

impl DriverError {
    /// An answer that is none, and what is wrong with it.
    pub(crate) const fn garbage(in_doubt: bool, what: &'static str) -> Self {
        Self::Garbage { in_doubt, what }
    }

    /// Whether the provider may have done what was asked, although no answer came: a single-use refresh token may be
    /// spent.
    pub const fn in_doubt(&self) -> bool {
        matches!(self, Self::Later { in_doubt: true, .. } | Self::Lost | Self::Garbage { in_doubt: true, .. })
    }
}

impl From<BadConfiguration> for DriverError {
    fn from(bad: BadConfiguration) -> Self {
        Self::Misconfigured(bad.field, bad.why)
    }
}

/// Why a consent cannot be completed with what the browser brought back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackFault {
    /// The answer names another issuer than the one the person was sent to (RFC 9207 §2.4).
    #[error("the answer comes from another server than the one the person was sent to")]
    MixUp,
    /// The server promises to name itself in its answers, and this one does not.
    #[error("the answer does not name the server that it comes from, although this server always does")]
    IssuerMissing,
    /// The connector was pointed at another server between the two steps.
    #[error("the connector was changed while the person was away")]
    ServerChanged,
    /// A parameter appears twice (RFC 6749 §3.1).
    #[error("the answer has the parameter {0} more than once")]
    Repeated(&'static str),
    /// Neither `code` nor `error`.
    #[error("the answer has no authorization code")]
    MissingCode,
    /// The provider does not accept the code: it was used, has expired, or was given to somebody else.
    #[error("the provider does not accept the authorization code")]
    CodeRefused {
        /// What the provider said.
        vendor: Vendor,
    },
    /// The person did not decide in time on the device where the provider asks.
    #[error("the code for the provider's page ran out before it was entered there")]
    DeviceCodeExpired,
    /// A pasted key that cannot be one.
    #[error("a key has 1 to 16384 printable ASCII characters")]
    InvalidKey,
    /// The service does not accept a pasted key.
    #[error("the service does not accept this key")]
    KeyRefused,
    /// Somebody asked for the installation, and somebody else has to approve it at the provider.
    #[error(
        "the installation was asked for at the provider, and an administrator there has yet to approve it"
    )]
    AwaitsApproval,
    /// The provider sent the person back without saying who that is, so that the installation cannot be believed.
    #[error("the provider did not say who installed: {0}")]
    InstallerUnknown(&'static str),
    /// The installation in the answer is none that the provider knows this person to have.
    #[error("the provider does not confirm that this person has to do with the installation")]
    InstallationNotConfirmed,
    /// The application serves other teams too, and the person shows no more than access to what somebody installed before.
    #[error(
        "this application was installed there before, and the provider does not say that this person decides about it; \
         its owner can install it, or remove it there first"
    )]
    NotTheirsToInstall,
    /// A callback of the wrong kind, or one that does not belong to what was kept.
    #[error("the answer does not belong to this kind of connector")]
    Unexpected,
}

/// A provider's own words: data for `error.vendor`, never part of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vendor {
    /// The HTTP status; 0 if the words came through the browser.
    pub status: u16,
    /// The provider's error code; empty if there was none.
    pub error: String,
    /// The provider's explanation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl Vendor {
    /// Takes a provider's words: without what we sent in confidence, which some servers quote back, then only the
    /// characters that RFC 6749 §5.2 allows, then at most 200 of them.
    pub(crate) fn new(status: u16, error: &str, description: Option<&str>, sent: &[SecretString]) -> Self {
        let description = description.map(|text| clean(text, sent)).filter(|text| !text.is_empty());
        Self { status, error: clean(error, sent), description }
    }

    /// What the provider said, in quotation marks, for a sentence about a configuration.
    pub(crate) fn quoted(&self) -> String {
        let words = self.description.as_deref().filter(|words| !words.is_empty()).unwrap_or(&self.error);
        if words.is_empty() { format!("status {}", self.status) } else { format!("\u{201c}{words}\u{201d}") }
    }
}

/// Text of a provider, fit to be stored and shown as data.
fn clean(text: &str, sent: &[SecretString]) -> String {
    let mut text = text.to_owned();
    // Shorter ones would take ordinary words apart, and say nothing.
    for secret in sent.iter().map(SecretString::expose).filter(|secret| secret.len() >= 4) {
        text = text.replace(secret.as_str(), "[secret]");
    }
    let allowed = |c: &char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
    text.chars().filter(allowed).take(LONGEST).collect()
}

const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_providers_words_are_cut_cleaned_and_never_quote_what_we_sent() {
        let sent = [SecretString::new("s3cr3t-value".to_owned()), SecretString::new("a".to_owned())];
        let vendor = Vendor::new(
            400,
            "invalid\r\n_client",
            Some("secret s3cr3t-value is wrong \u{202e}<b>\"x\"</b>"),
            &sent,
        );
        assert_eq!(vendor.error, "invalid_client");
        assert_eq!(vendor.description.as_deref(), Some("secret [secret] is wrong <b>x</b>"));
        assert_eq!(Vendor::new(400, &"x".repeat(500), Some(""), &[]).error.len(), 200);
        assert_eq!(Vendor::new(400, "", Some("\u{1}"), &[]).description, None);
    }
}
