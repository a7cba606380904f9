//! What may be brought to a way to connect, as JSON Schema.

use serde_json::{Value, json};

use crate::entry::Method;

impl Method {
    /// The schema of a type's `data`, narrowed to what may be brought to this way: where the server is, is the file's to
    /// say, and what only the service gives is required.
    pub fn narrow(&self, mut schema: Value) -> Value {
        if let Some(oauth) = &self.oauth {
            if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
                properties.retain(|name, _| !crate::plan::SERVER.contains(&name.as_str()));
            }
            let secret = oauth.client_auth.is_some_and(crate::ClientAuth::has_secret);
            let required: Vec<&str> = match (oauth.server.is_some(), secret) {
                (true, _) => Vec::new(),
                (false, true) => vec!["clientId", "clientSecret"],
                (false, false) => vec!["clientId"],
            };
            put(&mut schema, "required", json!(required));
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
