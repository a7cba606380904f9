//! How a service can be connected.

use carnet_model::caller::Caller;
use carnet_model::connector::ConnectorType;
use carnet_model::{Code, Fault};
use carnet_providers::catalog;
use serde_json::{Map, Value, json};

use crate::broker::Broker;

impl Broker {
    /// What is known of a service. An unknown one is no mistake: it is connected by its address.
    /// With `schemas` it says of each type what its `data` holds.
    pub fn service(&self, caller: &Caller, name: &str, schemas: bool) -> Result<Value, Fault> {
        self.member_of(caller)?;
        let unknown = || {
            let name: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
            Fault::new(
                Code::NotFound,
                format!("The catalog has no service {name:?}; it can be connected by its address."),
            )
        };
        let definition = catalog::service(&name.to_lowercase()).ok_or_else(unknown)?;
        let managed = self.inner.settings.managed.contains_key(&definition.service);
        let describe = |driver: ConnectorType| {
            let mut about = Map::new();
            about.insert("type".to_owned(), driver.as_str().into());
            if schemas {
                let carnet_providers::DataSchema { schema, secrets } = carnet_providers::data_schema(driver);
                about.insert("createInputSchema".to_owned(), schema);
                about.insert("encryptedFields".to_owned(), secrets.into());
            }
            Value::Object(about)
        };
        let methods: Vec<Value> = definition
            .methods
            .iter()
            .map(|method| {
                let mut about = json!({
                    "connectionMethod": method.method,
                    "label": method.label,
                    "description": method.description,
                    "create": {"managed": managed, "manual": true},
                    "type": describe(method.driver),
                });
                if let (Some(text), Some(about)) = (&method.instructions, about.as_object_mut()) {
                    about.insert("instructions".to_owned(), text.clone().into());
                }
                about
            })
            .collect();
        let mut types: Vec<ConnectorType> = Vec::new();
        for method in &definition.methods {
            if !types.contains(&method.driver) {
                types.push(method.driver);
            }
        }
        let mut about = json!({
            "id": definition.service,
            "name": definition.name,
            "types": types.into_iter().map(describe).collect::<Vec<_>>(),
            "connectionMethods": methods,
        });
        if let ([only], Some(about)) = (definition.methods.as_slice(), about.as_object_mut()) {
            about.insert("resolvedConnectionMethod".to_owned(), only.method.clone().into());
        }
        Ok(about)
    }
}
