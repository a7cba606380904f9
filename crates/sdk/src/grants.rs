//! What people have granted, without what is held.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::client::Client;
use crate::error::Error;
use crate::tokens::Revocation;
use crate::transport::Call;

/// A grant, without its secrets.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct GrantInfo {
    /// `grt_…`
    pub id: String,
    /// Whose it is, in the form of the wire.
    pub subject: Value,
    /// `active` or `needs_consent`.
    pub state: String,
    /// Why it needs consent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Every other member.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A page of grants.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct GrantPage {
    /// The grants.
    pub grants: Vec<GrantInfo>,
    /// For the next page, if there is one.
    pub cursor: Option<String>,
    /// On the first page, how many tokens are kept that hang on no grant: the application's above all.
    #[serde(default, rename = "madeTokens", skip_serializing_if = "Vec::is_empty")]
    pub made_tokens: Vec<MadeTokens>,
}

/// Tokens that hang on no grant.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MadeTokens {
    /// Of this installation, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation_id: Option<String>,
    /// How many.
    pub tokens: u64,
}

/// How everything that is granted stands.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Standing {
    /// How many connectors there are.
    pub connectors: u64,
    /// How many grants.
    pub grants: u64,
    /// How many of them stand alike.
    pub states: Vec<Alike>,
    /// Those that wait for a person, the latest first and no more than a hundred.
    pub need_consent: Vec<Waiting>,
}

/// Grants that stand alike.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Alike {
    /// `active` or `needs_consent`.
    pub state: String,
    /// Why they need consent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// How many.
    pub grants: u64,
}

/// A grant that waits for a person.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Waiting {
    /// Its connector.
    pub uid: String,
    /// The grant.
    pub grant: GrantInfo,
}

impl Client {
    /// How the grants of the team stand, or those of one connector, in one request however many there are.
    pub async fn standing(&self, connector: Option<&str>) -> Result<Standing, Error> {
        self.fetch(Call::get(&["v1", "connect", "standing"]).query_if("connector", connector.as_ref())).await
    }

    /// A page of the grants kept for a connector.
    pub async fn grants_page(
        &self,
        connector: &str,
        cursor: Option<&str>,
        limit: Option<u32>,
    ) -> Result<GrantPage, Error> {
        let call = Call::get(&["v1", "connect", "connectors", connector, "grants"])
            .query_if("cursor", cursor.as_ref())
            .query_if("limit", limit.as_ref());
        self.fetch(call).await
    }

    /// All grants kept for a connector: as many requests as there are hundreds of them.
    pub async fn grants(&self, connector: &str) -> Result<Vec<GrantInfo>, Error> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = self.grants_page(connector, cursor.as_deref(), Some(PAGE)).await?;
            let empty = page.grants.is_empty();
            all.extend(page.grants);
            match page.cursor {
                Some(next) if !empty && cursor.as_ref() != Some(&next) => cursor = Some(next),
                _ => return Ok(all),
            }
        }
    }

    /// How many tokens of a connector are kept that hang on no grant, by installation.
    pub async fn made_tokens(&self, connector: &str) -> Result<Vec<MadeTokens>, Error> {
        Ok(self.grants_page(connector, None, Some(1)).await?.made_tokens)
    }

    /// One grant.
    pub async fn grant(&self, grant: &str) -> Result<GrantInfo, Error> {
        self.fetch(Call::get(&["v1", "connect", "grants", grant])).await
    }

    /// Revokes one grant: at the server at once, then at the provider.
    pub async fn revoke_grant(&self, grant: &str) -> Result<Revocation, Error> {
        self.fetch(Call::delete(&["v1", "connect", "grants", grant])).await
    }
}

/// The most that the server gives at once.
const PAGE: u32 = 100;

/// What a connector's provider says about what it gave: a page of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether everything on this page holds, as far as somebody could be asked.
    pub holds: bool,
    /// The connector's own credentials, where tokens of the application are had with nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<CheckedApplication>,
    /// The installations.
    #[serde(default)]
    pub installations: Vec<Checked>,
    /// The grants.
    #[serde(default)]
    pub grants: Vec<Checked>,
    /// For the next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// How a connector's own credentials stand with its provider.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct CheckedApplication {
    /// `holds`, `client_rejected`, `secret_ended`, `unreachable` or `not_asked`.
    pub standing: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A grant or an installation, and how it stands.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Checked {
    /// `grt_…` or `sci_…`
    pub id: String,
    /// `holds`, `needs_consent`, `suspended`, `gone`, `client_rejected`, `secret_ended`, `unreachable` or `not_asked`.
    pub standing: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Every other member.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Client {
    /// Asks the provider of a connector which of its installations and grants still hold: as many requests as there are
    /// twenties of them.
    pub async fn check_health(&self, connector: &str) -> Result<Health, Error> {
        let mut all: Option<Health> = None;
        loop {
            let cursor = all.as_ref().and_then(|health| health.cursor.clone());
            let call = Call::post(&["v1", "connect", "connectors", connector, "check"])
                .query_if("cursor", cursor.as_ref());
            let page: Health = self.fetch(call).await?;
            let next = page.cursor.clone().filter(|next| cursor.as_ref() != Some(next));
            let whole = match all.take() {
                None => Health { cursor: next, ..page },
                Some(mut before) => {
                    before.holds &= page.holds;
                    before.installations.extend(page.installations);
                    before.grants.extend(page.grants);
                    before.cursor = next;
                    before
                }
            };
            if whole.cursor.is_none() {
                return Ok(whole);
            }
            all = Some(whole);
        }
    }
}
