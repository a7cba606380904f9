//! What may be brought to a way to connect, as JSON Schema.

use carnet_model::connector::ConnectorType;
use serde_json::{Value, json};

use crate::entry::Method;
use crate::text::Line;

impl Method {
    /// The members of `data` that only the service gives, dotted where they stand deeper. `has_secret` says that the client
    /// proves itself by a secret. The keys of a way that is made of keys are none of them.
    pub fn needs(&self, has_secret: bool) -> Vec<&str> {
        let client = self.oauth.as_ref().filter(|oauth| oauth.server.is_none());
        let secret = client.filter(|_| has_secret);
        let client = client.map(|_| "clientId").into_iter().chain(secret.map(|_| "clientSecret"));
        client.chain(self.needs.iter().map(Line::as_str)).collect()
    }

    /// The schema of a type's `data`, narrowed to what may be brought to this way: where the server is, is the file's to
    /// say, and what only the service gives is required.
    pub fn narrow(&self, mut schema: Value) -> Value {
        if self.oauth.is_some()
            && let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut)
        {
            properties.retain(|name, _| !crate::plan::SERVER.contains(&name.as_str()));
        }
        if self.driver != ConnectorType::ApiKey {
            let secret = self.oauth.as_ref().and_then(|oauth| oauth.client_auth);
            let mut required = self.needs(secret.is_some_and(crate::ClientAuth::has_secret));
            required.retain(|name| !name.contains('.'));
            match &self.instead {
                None => put(&mut schema, "required", json!(required)),
                Some(instead) => put(
                    &mut schema,
                    "anyOf",
                    json!([{"required": required}, {"required": [instead.as_str()]}]),
                ),
            }
        }
        let names: Vec<&str> = self.keys.iter().filter_map(|key| Some(key.name.as_ref()?.as_str())).collect();
        if let (Some(scope), false) =
            (schema.pointer_mut("/properties/values/items/properties/scope"), names.is_empty())
        {
            put(scope, "enum", json!(names));
        }
        schema
    }
}

fn put(schema: &mut Value, name: &str, value: Value) {
    if let Some(members) = schema.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}
