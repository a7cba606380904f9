//! The calling person, the teams, and access tokens.

use carnet_model::{Id, SecretString, Time, kind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::Client;
use crate::error::Error;
use crate::transport::Call;

/// A person with an account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct User {
    /// `usr_…`
    pub id: Id<kind::User>,
    /// By which the person signs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// A short name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// What people call the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The team that requests are about when they name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_team_id: Option<Id<kind::Team>>,
}

/// A team.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Team {
    /// `team_…`
    pub id: Id<kind::Team>,
    /// The short name in URLs and identities.
    pub slug: String,
    /// What people call it.
    pub name: String,
    /// Whether only owners and connector managers may create and change connectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict_connectors: Option<bool>,
    /// As what the calling person is in it, where that is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// An access token, without the token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AccessTokenInfo {
    /// `atk_…`
    pub id: Id<kind::AccessToken>,
    /// What it is for.
    pub name: String,
    /// Its last four characters.
    pub last4: String,
    /// Whose it is.
    pub user_id: Option<Id<kind::User>>,
    /// What it carries: `"full"`, `"usual"`, `"read"`, or a list of rights.
    #[serde(default)]
    pub access: Value,
    /// The project that it is limited to.
    pub project_id: Option<Id<kind::Project>>,
    /// When it was made.
    pub created_at: Option<Time>,
    /// When it ends.
    pub expires_at: Option<Time>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Time>,
}

/// What a new access token is to be.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessTokenRequest {
    /// What it is for.
    pub name: String,
    /// How long it lives, in milliseconds; 90 days if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_ms: Option<u64>,
    /// What it carries. If left out, what the calling token carries, but for what is dangerous where that carries
    /// everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<AskedAccess>,
    /// The one project, by identifier or name, that it is limited to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
}

/// What an access token is to carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum AskedAccess {
    /// `full`, `usual` or `read`.
    Word(String),
    /// Rights by name.
    Rights(Vec<String>),
}

/// An access token, shown this once.
#[derive(Debug, Deserialize)]
pub struct NewAccessToken {
    /// The token.
    pub token: SecretString,
    /// What is kept about it.
    #[serde(flatten)]
    pub info: AccessTokenInfo,
}

impl Client {
    /// The calling person.
    pub async fn user(&self) -> Result<User, Error> {
        #[derive(Deserialize)]
        struct Wrapped {
            user: User,
        }
        self.fetch::<Wrapped>(Call::get(&["v2", "user"])).await.map(|answer| answer.user)
    }

    /// A team of the calling person, by identifier or short name.
    pub async fn team(&self, team: &str) -> Result<Team, Error> {
        self.fetch(Call::get(&["teams", team])).await
    }

    /// The teams of the calling person.
    pub async fn teams(&self) -> Result<Vec<Team>, Error> {
        #[derive(Deserialize)]
        struct Teams {
            teams: Vec<Team>,
        }
        self.fetch::<Teams>(Call::get(&["v2", "teams"])).await.map(|answer| answer.teams)
    }

    /// Makes an access token.
    pub async fn create_access_token(&self, ask: &AccessTokenRequest) -> Result<NewAccessToken, Error> {
        self.fetch(Call::post(&["v1", "access-tokens"]).json(ask)).await
    }

    /// Access tokens that work: the calling person's, or everybody's in the team.
    pub async fn access_tokens(&self, everybody: bool) -> Result<Vec<AccessTokenInfo>, Error> {
        #[derive(Deserialize)]
        struct Tokens {
            tokens: Vec<AccessTokenInfo>,
        }
        let call = Call::get(&["v1", "access-tokens"]).query_if("everybody", everybody.then_some(&true));
        self.fetch::<Tokens>(call).await.map(|answer| answer.tokens)
    }

    /// Ends an access token.
    pub async fn delete_access_token(&self, id: &str) -> Result<(), Error> {
        self.send(Call::delete(&["v1", "access-tokens", id])).await.map(drop)
    }
}
