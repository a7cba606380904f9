//! A strict reader of a connector's `data`: each field is taken once with its type, and what is left over at the end
//! is refused by name. `null` is read as absent.

use std::collections::BTreeSet;

use carnet_model::{Scopes, SecretString};
use serde_json::{Map, Value};

use crate::driver::failure::BadConfiguration;

/// The members of one JSON object that have not been read yet.
pub(crate) struct Fields {
    path: String,
    members: Map<String, Value>,
    /// The names that were asked for, there or not: what to offer for a name that nobody knows.
    known: BTreeSet<String>,
}

type Read<T> = Result<Option<T>, BadConfiguration>;

impl Fields {
    /// All of `members`.
    pub(crate) const fn new(members: Map<String, Value>) -> Self {
        Self::at(String::new(), members)
    }

    const fn at(path: String, members: Map<String, Value>) -> Self {
        Self { path, members, known: BTreeSet::new() }
    }

    /// A complaint about the field `name`.
    pub(crate) fn bad(&self, name: &str, why: impl Into<String>) -> BadConfiguration {
        BadConfiguration { field: format!("{}{name}", self.path), why: why.into() }
    }

    /// The field as it stands.
    pub(crate) fn any(&mut self, name: &str) -> Option<Value> {
        self.known.insert(name.to_owned());
        self.members.remove(name).filter(|value| !value.is_null())
    }

    /// A text of 1 to 2048 characters without control characters.
    pub(crate) fn text(&mut self, name: &str) -> Read<String> {
        match self.any(name) {
            None => Ok(None),
            Some(Value::String(text)) if is_text(&text) => Ok(Some(text)),
            Some(_) => {
                Err(self.bad(name, "must be a text of 1 to 2048 characters without control characters"))
            }
        }
    }

    /// A text of several lines, at most 10000 characters.
    pub(crate) fn prose(&mut self, name: &str) -> Read<String> {
        let is_prose = |text: &str| {
            !text.is_empty()
                && text.chars().count() <= 10_000
                && !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        };
        match self.any(name) {
            None => Ok(None),
            Some(Value::String(text)) if is_prose(&text) => Ok(Some(text)),
            Some(_) => Err(self.bad(name, "must be a text of 1 to 10000 characters")),
        }
    }

    /// A credential: 1 to 16384 printable ASCII characters (RFC 6749, appendix A).
    pub(crate) fn secret(&mut self, name: &str) -> Read<SecretString> {
        let text = match self.any(name) {
            None => return Ok(None),
            Some(Value::String(text)) => SecretString::new(text),
            Some(_) => return Err(self.bad(name, NOT_A_CREDENTIAL)),
        };
        if is_credential(text.expose()) { Ok(Some(text)) } else { Err(self.bad(name, NOT_A_CREDENTIAL)) }
    }

    /// A private key in PEM: text of several lines. Line breaks that were written as `\\n`, as in files of environment
    /// variables, are read as such.
    pub(crate) fn pem(&mut self, name: &str) -> Read<SecretString> {
        let text = match self.any(name) {
            None => return Ok(None),
            Some(Value::String(text)) => SecretString::new(text),
            Some(_) => return Err(self.bad(name, NOT_A_KEY)),
        };
        let lines = SecretString::new(text.expose().replace("\\n", "\n").trim().to_owned());
        let sound = |text: &str| {
            !text.is_empty()
                && text.len() <= 16 * 1024
                && text.bytes().all(|b| matches!(b, 0x20..=0x7e | b'\n' | b'\r'))
        };
        if sound(lines.expose()) { Ok(Some(lines)) } else { Err(self.bad(name, NOT_A_KEY)) }
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str) -> Read<bool> {
        match self.any(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(self.bad(name, "must be true or false")),
        }
    }

    /// A whole number, zero or more.
    pub(crate) fn number(&mut self, name: &str) -> Read<u64> {
        match self.any(name) {
            None => Ok(None),
            Some(value) => match value.as_u64().or_else(|| whole(&value)) {
                Some(number) => Ok(Some(number)),
                None => Err(self.bad(name, "must be a whole number, zero or more")),
            },
        }
    }

    /// A list of at most 500 texts.
    pub(crate) fn texts(&mut self, name: &str) -> Read<Vec<String>> {
        let Some(value) = self.any(name) else { return Ok(None) };
        let texts = match value {
            Value::Array(items) if items.len() <= 500 => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) if is_text(&text) => Some(text),
                    _ => None,
                })
                .collect::<Option<Vec<_>>>(),
            _ => None,
        };
        texts.map(Some).ok_or_else(|| self.bad(name, "must be a list of at most 500 texts"))
    }

    /// The first of a list of texts, however long it is.
    pub(crate) fn first_texts(&mut self, name: &str) -> Read<Vec<String>> {
        if let Some(Value::Array(items)) = self.members.get_mut(name) {
            items.truncate(500);
        }
        self.texts(name)
    }

    /// One text or a list of them; nothing if it is not there.
    pub(crate) fn text_or_texts(&mut self, name: &str) -> Result<Vec<String>, BadConfiguration> {
        match self.members.get(name) {
            Some(Value::String(_)) => Ok(self.text(name)?.into_iter().collect()),
            _ => Ok(self.texts(name)?.unwrap_or_default()),
        }
    }

    /// A list of scope names.
    pub(crate) fn scopes(&mut self, name: &str) -> Read<Scopes> {
        let Some(names) = self.texts(name)? else { return Ok(None) };
        Scopes::parse(names).map(Some).map_err(|invalid| self.bad(name, invalid.to_string()))
    }

    /// An object, to be read in its turn.
    pub(crate) fn object(&mut self, name: &str) -> Read<Self> {
        match self.any(name) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Self::at(format!("{}{name}.", self.path), members))),
            Some(_) => Err(self.bad(name, "must be an object")),
        }
    }

    /// A list of objects, each to be read in its turn.
    pub(crate) fn objects(&mut self, name: &str) -> Read<Vec<Self>> {
        let Some(value) = self.any(name) else { return Ok(None) };
        let Value::Array(items) = value else { return Err(self.bad(name, "must be a list of objects")) };
        let mut out = Vec::with_capacity(items.len());
        for (place, item) in items.into_iter().enumerate() {
            let Value::Object(members) = item else {
                return Err(self.bad(&format!("{name}.{place}"), "must be an object"));
            };
            out.push(Self::at(format!("{}{name}.{place}.", self.path), members));
        }
        Ok(Some(out))
    }

    /// The names and texts of an object of texts.
    pub(crate) fn pairs(&mut self, name: &str) -> Read<Vec<(String, String)>> {
        let Some(mut inner) = self.object(name)? else { return Ok(None) };
        let mut out = Vec::new();
        for key in inner.members.keys().cloned().collect::<Vec<_>>() {
            if let Some(text) = inner.text(&key)? {
                out.push((key, text));
            }
        }
        Ok(Some(out))
    }

    /// The names that have not been read yet.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// What has not been read yet, as it stands.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.members
    }

    /// Renames every member; two members of one new name are refused.
    pub(crate) fn renamed(mut self, rename: impl Fn(&str) -> String) -> Result<Self, BadConfiguration> {
        let mut members = Map::new();
        for (name, value) in std::mem::take(&mut self.members) {
            if members.insert(rename(&name), value).is_some() {
                return Err(self.bad(&name, "is there twice, in two spellings"));
            }
        }
        Ok(Self::at(self.path, members))
    }

    /// Drops members without reading them.
    pub(crate) fn skip(&mut self, is_known: impl Fn(&str) -> bool) {
        self.members.retain(|name, _| !is_known(name));
    }

    /// Refuses what is left over, and says what there is.
    pub(crate) fn finish(self) -> Result<(), BadConfiguration> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(name) => {
                let shown: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
                let known = self.known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                Err(self.bad(&shown, format!("is not a field of this kind of connector; there are: {known}")))
            }
        }
    }
}

const NOT_A_KEY: &str = "must be a private key in PEM, with its first and last line";
const NOT_A_CREDENTIAL: &str = "must be 1 to 16384 printable ASCII characters";

/// RFC 6749, appendix A: tokens and secrets are VSCHAR. The length is ours; the longest known are near 4 KiB.
pub(crate) fn is_credential(text: &str) -> bool {
    !text.is_empty() && text.len() <= 16 * 1024 && text.bytes().all(|b| matches!(b, 0x20..=0x7e))
}

fn is_text(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= 2048 && !text.chars().any(char::is_control)
}

/// A whole number that is written as others are, such as 1e15: then it is what is too large, and not what is no number.
fn whole(value: &Value) -> Option<u64> {
    let number = value.as_f64().filter(|number| number.fract() == 0.0 && *number >= 0.0)?;
    format!("{number:.0}").parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        let Value::Object(members) = value else { unreachable!() };
        Fields::new(members)
    }

    #[test]
    fn the_first_field_that_nobody_read_is_named() {
        let mut all = fields(json!({"a": "x", "b": {"c": 1, "d": null}}));
        assert_eq!(all.text("a").unwrap().as_deref(), Some("x"));
        let inner = all.object("b").unwrap().unwrap();
        assert_eq!(inner.finish().unwrap_err().field, "b.c");
        let mut inner = fields(json!({"lable": "x"}));
        inner.text("label").unwrap();
        inner.secret("value").unwrap();
        assert!(inner.finish().unwrap_err().why.ends_with("there are: label, value"));
        all.finish().unwrap();
    }

    #[test]
    fn a_field_of_the_wrong_type_is_named_with_its_path() {
        let field = |bad: BadConfiguration| bad.field;
        assert_eq!(fields(json!({"a": 1})).text("a").map_err(field), Err("a".to_owned()));
        assert_eq!(fields(json!({"a": ""})).text("a").map_err(field), Err("a".to_owned()));
        assert_eq!(fields(json!({"a": "x\ny"})).text("a").map_err(field), Err("a".to_owned()));
        assert_eq!(fields(json!({"a": "yes"})).flag("a").map_err(field), Err("a".to_owned()));
        assert_eq!(fields(json!({"a": -1})).number("a").map_err(field), Err("a".to_owned()));
        assert_eq!(fields(json!({"a": ["x", 1]})).texts("a").map_err(field), Err("a".to_owned()));
        assert_eq!(fields(json!({"a": ["x y"]})).scopes("a").map_err(field), Err("a".to_owned()));
        assert_eq!(fields(json!({"a": {"b": 1}})).pairs("a").map_err(field), Err("a.b".to_owned()));
        assert_eq!(
            fields(json!({"a": [{}, 1]})).objects("a").map(|_| ()).map_err(field),
            Err("a.1".to_owned())
        );
        assert_eq!(fields(json!({"a": "é"})).secret("a").map(|_| ()).map_err(field), Err("a".to_owned()));
    }
}
