//! Teams, who is in them, and invitations.

use carnet_model::caller::Role;
use carnet_model::{Id, SecretString, Time, kind};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::account::{NewAccessToken, Team};
use crate::client::Client;
use crate::error::Error;
use crate::transport::Call;

/// A person in a team.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TeamMember {
    /// `usr_…`
    pub user_id: Id<kind::User>,
    /// Unique.
    pub email: String,
    /// What people call the person.
    pub name: String,
    /// As what.
    pub role: String,
    /// Since when.
    pub joined_at: Time,
    /// Whether nobody may act as this person.
    #[serde(default)]
    pub disabled: bool,
}

/// An invitation that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct InvitationInfo {
    /// `inv_…`
    pub id: Id<kind::Invitation>,
    /// As what the person joins.
    pub role: String,
    /// The e-mail address of the only account that may use it.
    pub email: Option<String>,
    /// Who made it.
    pub created_by: Id<kind::User>,
    /// When it ends.
    pub expires_at: Time,
}

/// An invitation, shown this once.
#[derive(Debug, Deserialize)]
pub struct NewInvitation {
    /// What has to be shown to join.
    pub invitation: SecretString,
    /// The page where whoever has the link joins, with an account or without; not told by older servers.
    pub url: Option<SecretString>,
    /// What is kept about it.
    #[serde(flatten)]
    pub info: InvitationInfo,
}

/// A link by which somebody chooses another passphrase, shown this once.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PassphraseReset {
    /// Whose passphrase it changes.
    pub user_id: Id<kind::User>,
    /// By which that person signs in.
    pub email: String,
    /// The link.
    pub url: SecretString,
    /// When it ends.
    pub expires_at: Time,
}

/// What an invitation is for.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct InvitedTo {
    /// The team.
    pub team: Team,
    /// As what.
    pub role: String,
    /// The e-mail address of the only account that may use it.
    pub email: Option<String>,
    /// When it ends.
    pub expires_at: Time,
}

/// A team with an access token for it, shown this once.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TeamAndToken {
    /// The team.
    pub team: Team,
    /// The token.
    pub access_token: NewAccessToken,
}

impl Client {
    /// Makes a team, whose owner the calling person is.
    pub async fn create_team(&self, name: &str, slug: Option<&str>) -> Result<TeamAndToken, Error> {
        let body = match slug {
            Some(slug) => json!({ "name": name, "slug": slug }),
            None => json!({ "name": name }),
        };
        self.fetch(Call::post(&["v1", "teams"]).json(&body)).await
    }

    /// Changes the name or the strictness of a team; what is left out stays.
    pub async fn update_team(
        &self,
        team: &str,
        name: Option<&str>,
        strict_connectors: Option<bool>,
    ) -> Result<Team, Error> {
        let mut body = Map::new();
        body.extend(name.map(|name| ("name".to_owned(), Value::from(name))));
        body.extend(strict_connectors.map(|strict| ("strictConnectors".to_owned(), Value::from(strict))));
        self.fetch(Call::new(Method::PATCH, &["v1", "teams", team]).json(&body)).await
    }

    /// The people in a team.
    pub async fn members(&self, team: &str) -> Result<Vec<TeamMember>, Error> {
        #[derive(Deserialize)]
        struct Members {
            members: Vec<TeamMember>,
        }
        self.fetch::<Members>(Call::get(&["v1", "teams", team, "members"])).await.map(|answer| answer.members)
    }

    /// Gives a member, by identifier or e-mail address, another role.
    pub async fn update_member(&self, team: &str, member: &str, role: Role) -> Result<TeamMember, Error> {
        let call = Call::new(Method::PATCH, &["v1", "teams", team, "members", member]);
        self.fetch(call.json(&json!({ "role": role }))).await
    }

    /// Takes a member, by identifier or e-mail address, out of a team.
    pub async fn remove_member(&self, team: &str, member: &str) -> Result<(), Error> {
        self.send(Call::delete(&["v1", "teams", team, "members", member])).await.map(drop)
    }

    /// Makes a link by which a member of this team alone chooses another passphrase.
    pub async fn reset_passphrase(&self, team: &str, user: &str) -> Result<PassphraseReset, Error> {
        self.fetch(Call::post(&["v1", "teams", team, "members", user, "passphrase-reset"])).await
    }

    /// Invites somebody.
    pub async fn invite(
        &self,
        team: &str,
        role: Role,
        email: Option<&str>,
        expires_in_ms: Option<u64>,
    ) -> Result<NewInvitation, Error> {
        let mut body = Map::from_iter([("role".to_owned(), Value::from(role.as_str()))]);
        body.extend(email.map(|email| ("email".to_owned(), Value::from(email))));
        body.extend(expires_in_ms.map(|millis| ("expiresInMs".to_owned(), Value::from(millis))));
        self.fetch(Call::post(&["v1", "teams", team, "invitations"]).json(&body)).await
    }

    /// The invitations to a team that can be used.
    pub async fn invitations(&self, team: &str) -> Result<Vec<InvitationInfo>, Error> {
        #[derive(Deserialize)]
        struct Invitations {
            invitations: Vec<InvitationInfo>,
        }
        let call = Call::get(&["v1", "teams", team, "invitations"]);
        self.fetch::<Invitations>(call).await.map(|answer| answer.invitations)
    }

    /// Withdraws an invitation.
    pub async fn withdraw_invitation(&self, team: &str, invitation: &str) -> Result<(), Error> {
        self.send(Call::delete(&["v1", "teams", team, "invitations", invitation])).await.map(drop)
    }

    /// What an invitation is for.
    pub async fn invited_to(&self, invitation: &str) -> Result<InvitedTo, Error> {
        let call = Call::post(&["v1", "invitations", "show"]);
        self.fetch(call.json(&json!({ "invitation": invitation }))).await
    }

    /// Joins the team of an invitation.
    pub async fn accept_invitation(&self, invitation: &str) -> Result<TeamAndToken, Error> {
        let call = Call::post(&["v1", "invitations", "accept"]);
        self.fetch(call.json(&json!({ "invitation": invitation }))).await
    }
}
