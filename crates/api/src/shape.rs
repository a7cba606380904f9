//! What stands in an answer or a body, written down so that it reads: `object_of([("id", id("prj")), ("name", text())])`.
//!
//! A [`Shape`] is a JSON Schema (draft 2020-12) and the named schemas that it refers to. Objects are closed: a member
//! that is not listed is a mistake of the answer or of the description, and the tests compare every answer with its
//! shape. Bodies that are read by serde are described by what serde reads them with (`schemars`); [`Shape::of`] takes
//! over what it finds.

use std::collections::BTreeMap;

use carnet_model::caller::Role;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

/// A schema, and what it refers to by name.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    schema: Value,
    named: BTreeMap<&'static str, Value>,
}

impl Shape {
    /// What serde reads into a `T`.
    pub(crate) fn of<T: JsonSchema>() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        });
        let mut schema = Value::from(settings.into_generator().into_root_schema_for::<T>());
        if let Some(schema) = schema.as_object_mut() {
            // The name of a Rust type says nothing to anybody else.
            schema.remove("title");
        }
        Self::bare(schema)
    }

    /// For serde's description of a member that is read as any value: `#[schemars(schema_with = "…")]`.
    pub(crate) fn inside(self) -> Schema {
        Schema::try_from(self.schema).unwrap_or_default()
    }

    /// The same under a name, once in the document however often it is used.
    pub(crate) fn named(self, name: &'static str) -> Self {
        let Self { schema, mut named } = self;
        named.insert(name, schema);
        Self { schema: json!({"$ref": format!("#/components/schemas/{name}")}), named }
    }

    /// An object with these members more.
    pub(crate) fn with<'a>(mut self, members: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        for (name, shape) in members {
            self.named.extend(shape.named);
            let bare = name.trim_end_matches('?');
            if let Some(properties) = self.schema.get_mut("properties").and_then(Value::as_object_mut) {
                properties.insert(bare.to_owned(), shape.schema);
            }
            if let Some(required) = self.schema.get_mut("required").and_then(Value::as_array_mut)
                && bare.len() == name.len()
            {
                required.push(bare.into());
            }
        }
        self
    }

    /// An object that may have further members.
    pub(crate) fn open(mut self) -> Self {
        if let Some(schema) = self.schema.as_object_mut() {
            schema.remove("additionalProperties");
        }
        self
    }

    /// The same, or `null`.
    pub(crate) fn or_null(self) -> Self {
        either([self, Self::bare(json!({"type": "null"}))])
    }

    /// With a sentence about it.
    pub(crate) fn said(mut self, about: &str) -> Self {
        if let Some(schema) = self.schema.as_object_mut() {
            schema.insert("description".to_owned(), about.into());
        }
        self
    }

    /// The schema, and the named ones.
    pub(crate) fn parts(&self) -> (&Value, &BTreeMap<&'static str, Value>) {
        (&self.schema, &self.named)
    }

    fn bare(schema: Value) -> Self {
        Self { schema, named: BTreeMap::new() }
    }
}

/// A text.
pub(crate) fn text() -> Shape {
    Shape::bare(json!({"type": "string"}))
}

/// A text that is exactly one of these.
pub(crate) fn one_of(names: &[&str]) -> Shape {
    Shape::bare(json!({"type": "string", "enum": names}))
}

/// An identifier with this prefix.
pub(crate) fn id(prefix: &str) -> Shape {
    Shape::bare(json!({"type": "string", "pattern": format!("^{prefix}_[0-9A-Za-z]{{22}}$")}))
}

/// A whole number that is not negative.
pub(crate) fn count() -> Shape {
    Shape::bare(json!({"type": "integer", "minimum": 0}))
}

/// A time in milliseconds since 1970.
pub(crate) fn time() -> Shape {
    Shape::bare(json!({"type": "integer", "format": "int64", "description": "Milliseconds since 1970."}))
}

/// `true` or `false`.
pub(crate) fn flag() -> Shape {
    Shape::bare(json!({"type": "boolean"}))
}

/// Whatever JSON can say: where the content is somebody else's.
pub(crate) fn anything() -> Shape {
    Shape::bare(json!({}))
}

/// A list.
pub(crate) fn list_of(of: Shape) -> Shape {
    Shape { schema: json!({"type": "array", "items": of.schema}), named: of.named }
}

/// An object with any names, and one shape of value.
pub(crate) fn map(of: Shape) -> Shape {
    Shape { schema: json!({"type": "object", "additionalProperties": of.schema}), named: of.named }
}

/// One of several shapes.
pub(crate) fn either<const N: usize>(shapes: [Shape; N]) -> Shape {
    let mut named = BTreeMap::new();
    let mut all = Vec::with_capacity(N);
    for shape in shapes {
        named.extend(shape.named);
        all.push(shape.schema);
    }
    Shape { schema: json!({"anyOf": all}), named }
}

/// An object with these members and no others. `name?` may be left out.
pub(crate) fn object_of<const N: usize>(members: [(&str, Shape); N]) -> Shape {
    let empty = json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false});
    Shape::bare(empty).with(members)
}

/// A role in a team.
pub(crate) fn role() -> Shape {
    one_of(&Role::ALL.map(Role::as_str))
}

/// For `#[schemars(schema_with = "…")]`: a role.
pub(crate) fn role_schema(_: &mut SchemaGenerator) -> Schema {
    role().inside()
}

/// For `#[schemars(schema_with = "…")]`: the subject of a token, as the wire has it.
pub(crate) fn subject(_: &mut SchemaGenerator) -> Schema {
    let kind = |name: &str| one_of(&[name]);
    let shape = either([
        object_of([("type", kind("app"))]),
        object_of([("type", kind("user")), ("id?", text()), ("issuer?", text())]),
        object_of([
            ("type", kind("jwt-bearer")),
            ("sub?", text()),
            ("iss?", text()),
            ("aud?", text()),
            ("additionalClaims?", map(anything())),
        ]),
        object_of([("type", kind("token")), ("token", text())]),
    ]);
    shape.inside()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_closed_and_what_may_be_missing_is_not_required() {
        let shape = object_of([("id", id("prj")), ("name?", text())]);
        assert_eq!(
            shape.parts().0,
            &json!({
                "type": "object",
                "properties": {
                    "id": {"type": "string", "pattern": "^prj_[0-9A-Za-z]{22}$"},
                    "name": {"type": "string"},
                },
                "required": ["id"],
                "additionalProperties": false,
            })
        );
    }

    #[test]
    fn a_named_shape_is_carried_along_by_whatever_holds_it() {
        let shape = object_of([("all", list_of(object_of([("x", flag())]).named("Thing")))]).or_null();
        let (_, named) = shape.parts();
        assert_eq!(named.keys().collect::<Vec<_>>(), [&"Thing"]);
    }
}
