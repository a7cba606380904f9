//! Services: what the server knows of them, and how each can be connected.

use carnet_model::Code;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::client::Client;
use crate::error::Error;
use crate::transport::Call;

/// A service in a list.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ServiceOutline {
    /// Its short name.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it is, in a sentence.
    #[serde(default)]
    pub description: String,
    /// What sort of service it is.
    #[serde(default)]
    pub categories: Vec<String>,
    /// The ways to connect it, by name, the usual one first.
    #[serde(default)]
    pub methods: Vec<String>,
    /// `tried`, `read` or `unverified`.
    #[serde(default)]
    pub verified: String,
    /// Every other member.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What the server knows about a service.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ServiceDescription {
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The drivers it can be connected with, the usual one first.
    #[serde(default)]
    pub types: Vec<ServiceType>,
    /// The ways to connect it, the usual one first.
    #[serde(default)]
    pub connection_methods: Vec<ConnectionMethod>,
    /// Of several ways, the one that is meant where nobody names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_connection_method: Option<String>,
    /// What can be connected of it, where it is more than one thing.
    #[serde(default)]
    pub targets: Vec<ServiceTarget>,
    /// What its scopes allow.
    #[serde(default)]
    pub scopes: Vec<ServiceScope>,
    /// `tried`, `read` or `unverified`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<String>,
    /// Every other member.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One driver for a service.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceType {
    /// Its wire name.
    pub r#type: String,
    /// The JSON Schema of `data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create_input_schema: Option<Value>,
}

/// One way to connect a service.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConnectionMethod {
    /// Its name.
    pub connection_method: String,
    /// What people call it.
    pub label: String,
    /// When it is the right one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where a client is registered, or a key made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings_url: Option<String>,
    /// What to do there, in Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// How connectors can be made.
    #[serde(default)]
    pub create: CreationModes,
    /// The driver, and what it needs.
    pub r#type: MethodType,
    /// What has to be filled in.
    #[serde(default)]
    pub template_fields: Vec<TemplateField>,
    /// Every other member.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// How connectors can be made by a way.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct CreationModes {
    /// The server takes care of the registration.
    pub managed: bool,
    /// From what is brought along.
    pub manual: bool,
    /// An application is registered at the service on the way, in a browser.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub assisted: bool,
    /// From an application that the operator of the server registered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub application: bool,
}

/// The driver of a way to connect.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MethodType {
    /// Its wire name.
    pub r#type: String,
    /// The JSON Schema of `data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create_input_schema: Option<Value>,
    /// Every other member.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What has to be filled in.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateField {
    /// Its name among the `params`.
    pub key: String,
    /// What people call it.
    pub label: String,
    /// Every other member.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One thing that can be connected of a service.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceTarget {
    /// Its name.
    pub target: String,
    /// What people call it.
    pub label: String,
    /// Every other member.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A scope of a service, in words.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ServiceScope {
    /// As the service names it.
    pub scope: String,
    /// What it allows.
    pub description: String,
}

impl Client {
    /// What the server knows about a service; `None` if it knows nothing, which is normal for a host of one's own.
    pub async fn service(&self, service: &str) -> Result<Option<ServiceDescription>, Error> {
        let call = Call::get(&["v1", "connect", "services", service]).query("schemas", &true);
        match self.fetch(call).await {
            Ok(description) => Ok(Some(description)),
            Err(error) if error.is(Code::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The services in which all these words stand, and of one category if it is named.
    pub async fn services(&self, words: &str, category: Option<&str>) -> Result<Vec<ServiceOutline>, Error> {
        #[derive(Deserialize)]
        struct Services {
            services: Vec<ServiceOutline>,
        }
        let call = Call::get(&["v1", "connect", "services"])
            .query_if("search", Some(&words).filter(|words| !words.is_empty()))
            .query_if("category", category.as_ref());
        self.fetch::<Services>(call).await.map(|answer| answer.services)
    }
}
