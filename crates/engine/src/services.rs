//! How a service can be connected.

use carnet_model::caller::Caller;
use carnet_model::{Code, Fault};
use carnet_providers::catalog;
use serde_json::{Value, json};

use crate::broker::Broker;

impl Broker {
    /// What is known of a service. An unknown one is no mistake: it is connected by its address.
    pub fn service(&self, caller: &Caller, name: &str) -> Result<Value, Fault> {
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
        let methods: Vec<Value> = definition
            .methods
            .iter()
            .map(|method| {
                json!({
                    "connectionMethod": method.method,
                    "label": method.label,
                    "description": method.description,
                    "instructions": method.instructions,
                    "create": {"managed": managed, "manual": true},
                    "type": {"type": method.driver},
                })
            })
            .collect();
        let types: Vec<Value> =
            definition.methods.iter().map(|method| json!({"type": method.driver})).collect();
        Ok(json!({
            "id": definition.service,
            "name": definition.name,
            "types": types,
            "connectionMethods": methods,
        }))
    }
}
