//! A JSON reader that does not guess.
//!
//! Two parsers that disagree about one text are how a token means one thing to the verifier and another to the code
//! behind it. So a member given twice is refused at every depth (however it is escaped), and depth and number of
//! members are bounded. Numbers keep the form they were written in: only integers read back as integers.
//!
//! The bytes are tokenised by serde_json, which already refuses what is not JSON: trailing text, lone surrogates,
//! leading zeros, numbers out of range, invalid UTF-8.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How large a document may be in structure. Its length in bytes is checked where it comes in.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Objects and arrays within each other; the outermost counts as one.
    pub(crate) depth: usize,
    /// Members of all objects together.
    pub(crate) members: usize,
}

/// Why a text is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON.
    #[error("not JSON")]
    Syntax,
    /// One object has a member of the same name twice.
    #[error("a member is given twice")]
    Duplicate,
    /// Nested deeper than allowed.
    #[error("nested too deeply")]
    Depth,
    /// More members than allowed.
    #[error("too many members")]
    Members,
    /// The outermost value is not an object.
    #[error("not an object")]
    NotAnObject,
}

/// Reads one object.
pub(crate) fn read_object(bytes: &[u8], limits: Limits) -> Result<Map<String, Value>, JsonError> {
    let progress = Progress { members_left: Cell::new(limits.members), broken: Cell::new(JsonError::Syntax) };
    let mut source = serde_json::Deserializer::from_slice(bytes);
    let value = Reader { progress: &progress, depth_left: limits.depth }
        .deserialize(&mut source)
        .and_then(|value| source.end().map(|()| value))
        .map_err(|_| progress.broken.get())?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(JsonError::NotAnObject),
    }
}

/// What is shared by the readers of one document.
struct Progress {
    members_left: Cell<usize>,
    /// Which of our own rules stopped the reading, if one did.
    broken: Cell<JsonError>,
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    progress: &'a Progress,
    depth_left: usize,
}

impl Reader<'_> {
    fn stop<E: serde::de::Error>(self, why: JsonError) -> E {
        self.progress.broken.set(why);
        E::custom("stopped")
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth_left = self.depth_left.checked_sub(1).ok_or_else(|| self.stop(JsonError::Depth))?;
        Ok(Self { depth_left, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let left = self.progress.members_left.get();
            self.progress.members_left.set(left.checked_sub(1).ok_or_else(|| self.stop(JsonError::Members))?);
            if members.contains_key(&name) {
                return Err(self.stop(JsonError::Duplicate));
            }
            members.insert(name, access.next_value_seed(inner)?);
        }
        Ok(Value::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { depth: 3, members: 5 };

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        use JsonError::{Depth, Duplicate, Members, NotAnObject, Syntax};
        for (text, why) in [
            (r#"{"a":1,"a":1}"#, Duplicate),
            (r#"{"a":1,"\u0061":2}"#, Duplicate),
            (r#"{"a":{"b":1,"b":2}}"#, Duplicate),
            (r#"{"a":[{"b":1,"b":2}]}"#, Duplicate),
            (r#"{"":1,"":2}"#, Duplicate),
            (r#"{"a":[[[1]]]}"#, Depth),
            (r#"{"a":{"b":{"c":{}}}}"#, Depth),
            (r#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1}"#, Members),
            (r#"{"a":{"b":1,"c":1},"d":{"e":1,"f":1}}"#, Members),
            ("[]", NotAnObject),
            ("1", NotAnObject),
            ("\"a\"", NotAnObject),
            ("", Syntax),
            ("{} {}", Syntax),
            ("{}x", Syntax),
            (r#"{"a":1,}"#, Syntax),
            (r#"{"a":01}"#, Syntax),
            (r#"{"a":+1}"#, Syntax),
            (r#"{"a":.5}"#, Syntax),
            (r#"{"a":NaN}"#, Syntax),
            (r#"{"a":1e999}"#, Syntax),
            (r"{'a':1}", Syntax),
            (r"{a:1}", Syntax),
            (r#"{"a":"\ud800"}"#, Syntax),
            (r#"{"a":/**/1}"#, Syntax),
            ("{\"a\":\"\n\"}", Syntax),
            ("\u{feff}{}", Syntax),
        ] {
            assert_eq!(read_object(text.as_bytes(), LIMITS).err(), Some(why), "{text}");
        }
        assert_eq!(read_object(b"{\"a\":\"\xff\"}", LIMITS).err(), Some(Syntax));
        assert_eq!(read_object(&vec![b'['; 100_000], LIMITS).err(), Some(Depth));
    }

    #[test]
    fn a_sound_text_is_read_as_it_was_written() {
        let text = r#" {"a":[1,-1,1.5,true,null,"é\u00e9"],"b":{"a":{}}} "#;
        let read = read_object(text.as_bytes(), LIMITS).map(Value::Object);
        assert_eq!(read, Ok(serde_json::from_str(text).unwrap()));
    }

    #[test]
    fn only_integers_read_back_as_integers() {
        let read =
            read_object(br#"{"a":1.0,"b":1e3,"c":-0,"d":18446744073709551616,"e":7}"#, LIMITS).unwrap();
        let whole: Vec<_> =
            read.iter().filter(|(_, v)| v.as_i64().is_some()).map(|(k, _)| k.as_str()).collect();
        assert_eq!(whole, ["e"]);
    }
}
