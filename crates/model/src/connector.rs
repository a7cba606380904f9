//! Connectors: a registered relationship of a team to one provider or service.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::caller::Principal;
use crate::id::{Id, kind};
use crate::time::Time;
use crate::uid::Uid;

/// The driver that runs a connector. The wire name is the enum member of the HTTP contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectorType {
    /// OAuth 2.0 or OpenID Connect, by metadata or discovery.
    Oauth,
    /// Stored keys, or keys that each person pastes.
    ApiKey,
    /// A GitHub App.
    Github,
    /// A Slack app.
    Slack,
    /// A connected app of Salesforce.
    Salesforce,
    /// A Snowflake account.
    Snowflake,
    /// A service account of Google.
    GoogleServiceAccount,
    /// An application in one directory of Microsoft Entra.
    MicrosoftEntra,
    /// An OAuth client of Google, for people.
    Google,
    /// An application of an Okta organization.
    Okta,
    /// An OAuth 2.0 app of Atlassian.
    Atlassian,
}

impl ConnectorType {
    /// All that this build can run.
    pub const ALL: [Self; 11] = [
        Self::Oauth,
        Self::ApiKey,
        Self::Github,
        Self::Slack,
        Self::Salesforce,
        Self::Snowflake,
        Self::GoogleServiceAccount,
        Self::MicrosoftEntra,
        Self::Google,
        Self::Okta,
        Self::Atlassian,
    ];

    /// The wire name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Oauth => "oauth",
            Self::ApiKey => "api-key",
            Self::Github => "github",
            Self::Slack => "slack",
            Self::Salesforce => "salesforce",
            Self::Snowflake => "snowflake",
            Self::GoogleServiceAccount => "google-service-account",
            Self::MicrosoftEntra => "microsoft-entra",
            Self::Google => "google",
            Self::Okta => "okta",
            Self::Atlassian => "atlassian",
        }
    }

    /// What official clients are told, one of which reads no word that is not in its own list. A driver that the list
    /// has none for is `custom` there; its own name stands beside it, as `driver`.
    pub const fn on_the_wire(self) -> &'static str {
        match self {
            Self::GoogleServiceAccount | Self::Google | Self::Okta | Self::Atlassian => "custom",
            _ => self.as_str(),
        }
    }

    /// The drivers that are meant by a word in a question: one by its own name, or all that are told by that word.
    pub fn meant_by(word: &str) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |kind| kind.as_str() == word || kind.on_the_wire() == word)
    }

    /// What a table shows.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Oauth => "OAuth",
            Self::ApiKey => "API key",
            Self::Github => "GitHub",
            Self::Slack => "Slack",
            Self::Salesforce => "Salesforce",
            Self::Snowflake => "Snowflake",
            Self::GoogleServiceAccount => "Google service account",
            Self::MicrosoftEntra => "Microsoft Entra",
            Self::Google => "Google",
            Self::Okta => "Okta",
            Self::Atlassian => "Atlassian",
        }
    }

    /// Reads the wire name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str() == text)
    }
}

/// A connector as stored, without its secrets.
#[derive(Clone, Debug)]
pub struct Connector {
    /// `scl_…`, for ever the same.
    pub id: Id<kind::Connector>,
    /// Its team.
    pub team: Id<kind::Team>,
    /// `service/name`, unique in the team.
    pub uid: Uid,
    /// The third party, independent of the driver: `slack`, `mcp.linear.app`, `demo`.
    pub service: String,
    /// The driver.
    pub r#type: ConnectorType,
    /// What people call it.
    pub name: String,
    /// Public configuration: the `data` of the wire without its secret members.
    pub data: Map<String, Value>,
    /// How it looks.
    pub branding: Branding,
    /// Used when a request names no installation.
    pub default_installation: Option<Id<kind::Installation>>,
    /// The exact redirect URI registered at the provider.
    pub redirect_uri: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// By whom it was made.
    pub created_by: Principal,
    /// By whom it was last changed.
    pub updated_by: Principal,
    /// Counts changes; part of the associated data of its secrets and of every cache key.
    pub version: i64,
    /// Whether the client at the provider is the operator's, and not the team's own.
    pub managed: bool,
}

/// How a connector looks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Branding {
    /// SHA-1 of an uploaded picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// `#RRGGBB`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background_color: Option<String>,
    /// `#RRGGBB`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accent_color: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::ConnectorType;

    /// The closed list of an official client, as its version 1.28.35 has it.
    #[test]
    fn official_clients_are_told_no_word_that_they_do_not_know() {
        let known = [
            "api-key",
            "aws-alpha",
            "custom",
            "discord",
            "github",
            "linear",
            "linq",
            "microsoft-entra",
            "microsoft-teams",
            "oauth",
            "photon",
            "salesforce",
            "sendblue",
            "slack",
            "snowflake",
            "snowflake-wif",
        ];
        for kind in ConnectorType::ALL {
            assert!(known.contains(&kind.on_the_wire()), "{kind:?}");
            assert!(ConnectorType::meant_by(kind.as_str()).any(|meant| meant == kind), "{kind:?}");
            assert!(ConnectorType::meant_by(kind.on_the_wire()).any(|meant| meant == kind), "{kind:?}");
        }
        assert_eq!(ConnectorType::meant_by("oauth").collect::<Vec<_>>(), [ConnectorType::Oauth]);
        assert_eq!(ConnectorType::meant_by("martian").count(), 0);
    }
}
