//! Connectors: making, listing, reading and removing them.

use std::collections::BTreeMap;

use carnet_model::{Environment, Id, Time, kind};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::client::Client;
use crate::error::Error;
use crate::transport::Call;
use crate::triggers::{NewTriggers, TriggerDestination};

/// A connector as the server describes it. Never a secret.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Connector {
    /// `scl_…`
    pub id: Id<kind::Connector>,
    /// `service/name`
    pub uid: String,
    /// What people call it.
    pub name: String,
    /// The type, as official clients know it.
    pub r#type: String,
    /// What runs it, where the type is no more than `custom`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// What a table shows for the driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// The third party.
    pub service: String,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// For whom it can give tokens.
    #[serde(default)]
    pub supported_subject_types: Vec<String>,
    /// Whether the provider can be told to revoke; unknown counts as yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supports_revocation: Option<bool>,
    /// Asked for with [`ConnectorFilter::with_projects`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub includes: Option<Includes>,
    /// Every other member: branding, public `data`, redirect URI, who made it.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Connector {
    /// What runs it: the name by which another is made like it.
    pub fn driver(&self) -> &str {
        self.driver.as_deref().unwrap_or(&self.r#type)
    }
}

/// What was asked to be included.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Includes {
    /// The projects that may ask the connector for tokens.
    pub projects: Option<IncludedProjects>,
}

/// The first few projects of a connector.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IncludedProjects {
    /// The links. One whose project is gone has none.
    pub items: Vec<IncludedLink>,
    /// Whether there are more.
    #[serde(default)]
    pub has_more: bool,
}

/// A link in a list of connectors.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct IncludedLink {
    /// The project.
    pub project: Option<IncludedProject>,
}

/// A project in a list of connectors.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct IncludedProject {
    /// `prj_…`
    pub id: Id<kind::Project>,
    /// Its name.
    pub name: String,
}

/// Which connectors to list.
#[derive(Clone, Debug, Default)]
pub struct ConnectorFilter {
    /// Only those that this project may use.
    pub project: Option<Id<kind::Project>>,
    /// Say which projects may use each. Ignored with `project`.
    pub with_projects: bool,
    /// Only of these services.
    pub services: Vec<String>,
    /// Only of these types.
    pub types: Vec<String>,
    /// Only with this text in the name or UID.
    pub search: Option<String>,
    /// At most so many.
    pub limit: Option<u32>,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

/// A page of connectors.
#[derive(Clone, Debug, Deserialize)]
pub struct ConnectorPage {
    /// The connectors.
    #[serde(rename = "clients")]
    pub connectors: Vec<Connector>,
    /// For the next page, if there is one.
    pub cursor: Option<String>,
}

/// A connector to be made.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewConnector {
    /// The third party: a word of the catalogue, a host or a URL.
    pub service: String,
    /// What people will call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `service/name`; made from the other two if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Attach it to this project at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<Id<kind::Project>>,
    /// In these environments; all three built-in ones if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environments: Option<Vec<Environment>>,
    /// The driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// What the driver needs, secrets included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Map<String, Value>>,
    /// The way to connect the service, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_method: Option<String>,
    /// What of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What is filled into the addresses of that way.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// Whether it receives its provider's events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub triggers: Option<NewTriggers>,
    /// The names of those that are forwarded; all if left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Where they are forwarded to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger_destination: Option<TriggerDestination>,
    /// What [`Client::upload_picture`] answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// `#RRGGBB`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background_color: Option<String>,
    /// `#RRGGBB`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accent_color: Option<String>,
}

/// A change of a connector. What is left out stays as it is.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorChange {
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The members of its configuration that change, secrets included; `null` takes one away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Map<String, Value>>,
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

/// The signing keys of a connector.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConnectorKeys {
    /// Where providers find them.
    pub jwks_uri: String,
    /// Oldest first.
    pub keys: Vec<ConnectorKey>,
}

/// A signing key of a connector: its public half and where it is in its life.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConnectorKey {
    /// Its name in the key set.
    pub kid: String,
    /// The JWS name of its algorithm.
    pub algorithm: String,
    /// The public half, as a JWK.
    pub public_jwk: Value,
    /// `pending`, `active` or `retiring`.
    pub state: String,
    /// When it was made.
    pub created_at: Time,
    /// From when it signs.
    pub activates_at: Time,
    /// From when it is no longer published, once that is known.
    pub gone_at: Option<Time>,
}

/// What the server of a connector says about itself, beside what is pinned.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct ServerCheck {
    /// The connector.
    pub connector: CheckedConnector,
    /// What differs.
    pub differences: Vec<ServerDifference>,
    /// Names what was shown.
    pub digest: String,
}

/// The connector whose server was looked at.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CheckedConnector {
    /// `scl_…`
    pub id: Id<kind::Connector>,
    /// `service/name`
    pub uid: String,
}

/// A member of a server's metadata that is not as it was.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ServerDifference {
    /// Its name.
    pub member: String,
    /// As pinned; nothing if it was not there.
    pub pinned: Option<Value>,
    /// As it is now; nothing if it is gone.
    pub present: Option<Value>,
}

impl Client {
    /// What the server of a connector says about itself now, beside what is pinned.
    pub async fn check_server(&self, connector: &str) -> Result<ServerCheck, Error> {
        self.fetch(Call::get(&["v1", "connect", "connectors", connector, "server"])).await
    }

    /// Pins what the server says now, if it still is what `digest` names.
    pub async fn accept_server(&self, connector: &str, digest: &str) -> Result<Connector, Error> {
        let body = Map::from_iter([("digest".to_owned(), Value::from(digest))]);
        let call = Call::post(&["v1", "connect", "connectors", connector, "server"]);
        self.fetch(call.json(&body)).await
    }

    /// What the server says about a connector, named by identifier or UID. Never a secret.
    pub async fn connector_metadata(&self, connector: &str) -> Result<Connector, Error> {
        self.fetch(Call::get(&["v1", "connect", "connectors", connector])).await
    }

    /// A page of the team's connectors.
    pub async fn connectors(&self, filter: &ConnectorFilter) -> Result<ConnectorPage, Error> {
        let mut call = Call::get(&["v1", "connect", "connectors"])
            .query_if("limit", filter.limit.as_ref())
            .query_if("cursor", filter.cursor.as_ref())
            .query_if("search", filter.search.as_ref());
        if let Some(project) = filter.project {
            call = call.query("projectId", &project);
        } else if filter.with_projects {
            call = call.query("include", &"projects");
        }
        if !filter.types.is_empty() {
            call = call.query("type", &filter.types.join(",").to_lowercase());
        }
        if !filter.services.is_empty() {
            call = call.query("service", &filter.services.join(",").to_lowercase());
        }
        self.fetch(call).await
    }

    /// Makes a connector from `type` and `data`.
    pub async fn create_connector(&self, new: &NewConnector) -> Result<Connector, Error> {
        self.fetch(Call::post(&["v1", "connect", "connectors"]).json(new)).await
    }

    /// Makes a connector whose client registration the server takes care of.
    pub async fn create_managed_connector(&self, new: &NewConnector) -> Result<Connector, Error> {
        let call = Call::post(&["v1", "connect", "connectors", "managed"]).query("autoinstall", &true);
        self.fetch(call.json(new)).await
    }

    /// Hands over a PNG or JPEG picture for a connector to show; what comes back names it there. It goes after a day if no
    /// connector shows it.
    pub async fn upload_picture(&self, bytes: Vec<u8>) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct Kept {
            sha1: String,
        }
        self.fetch::<Kept>(Call::post(&["v2", "files"]).bytes(bytes)).await.map(|kept| kept.sha1)
    }

    /// The picture that a connector shows: what it is, `image/png` or `image/jpeg`, and its bytes.
    pub async fn picture(&self, connector: &str, sha1: &str) -> Result<(String, Vec<u8>), Error> {
        let answer = self.send(Call::get(&["pictures", connector, sha1])).await?;
        let media = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Ok((media.unwrap_or_default().to_owned(), answer.body.expose().clone()))
    }

    /// Changes a connector.
    pub async fn update_connector(
        &self,
        connector: &str,
        change: &ConnectorChange,
    ) -> Result<Connector, Error> {
        let call = Call::new(Method::PATCH, &["v1", "connect", "connectors", connector]);
        self.fetch(call.json(change)).await
    }

    /// Makes a connector that is the operator's the team's own: with `data` of another client, or with the operator's
    /// where the operator lets go of it.
    pub async fn eject_connector(
        &self,
        connector: &str,
        data: Option<&Map<String, Value>>,
    ) -> Result<Connector, Error> {
        let call = Call::post(&["v1", "connect", "connectors", connector, "managed", "eject"]);
        let body: Map<String, Value> =
            data.map(|data| ("data".to_owned(), Value::Object(data.clone()))).into_iter().collect();
        self.fetch(call.json(&body)).await
    }

    /// Adds a phone number, in the form of E.164, to a connector with phone lines.
    pub async fn add_contact(&self, connector: &str, phone_number: &str) -> Result<Value, Error> {
        let call = Call::post(&["v1", "connect", "connectors", connector, "contacts"]);
        self.fetch(call.json(&serde_json::json!({ "phoneNumber": phone_number }))).await
    }

    /// Removes a connector, its links and everything kept for it.
    pub async fn delete_connector(&self, connector: &str) -> Result<(), Error> {
        self.send(Call::delete(&["v1", "connect", "connectors", connector])).await.map(drop)
    }

    /// The signing keys of a connector.
    pub async fn connector_keys(&self, connector: &str) -> Result<ConnectorKeys, Error> {
        self.fetch(Call::get(&["v1", "connect", "connectors", connector, "keys"])).await
    }

    /// Makes a new signing key, which signs when every verifier can have seen it.
    pub async fn turn_connector_key(&self, connector: &str) -> Result<ConnectorKeys, Error> {
        let call = Call::post(&["v1", "connect", "connectors", connector, "keys"]);
        self.fetch(call.json(&Map::new())).await
    }
}
