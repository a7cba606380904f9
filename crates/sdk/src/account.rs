//! The calling person, the teams, and access tokens.

use carnet_model::{Id, SecretString, Time, kind};
use serde::{Deserialize, Serialize};
use serde_json::json;

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
#[non_exhaustive]
pub struct Team {
    /// `team_…`
    pub id: Id<kind::Team>,
    /// The short name in URLs and identities.
    pub slug: String,
    /// What people call it.
    pub name: String,
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
    /// When it ends.
    pub expires_at: Option<Time>,
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
    pub async fn create_access_token(
        &self,
        name: &str,
        expires_in_ms: Option<u64>,
    ) -> Result<NewAccessToken, Error> {
        let body = match expires_in_ms {
            Some(millis) => json!({ "name": name, "expiresInMs": millis }),
            None => json!({ "name": name }),
        };
        self.fetch(Call::post(&["v1", "access-tokens"]).json(&body)).await
    }

    /// Ends an access token.
    pub async fn delete_access_token(&self, id: Id<kind::AccessToken>) -> Result<(), Error> {
        let id = id.to_string();
        self.send(Call::delete(&["v1", "access-tokens", &id])).await.map(drop)
    }
}
