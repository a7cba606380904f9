//! Reading what was proven: nothing here is called before a signature was verified.

use http::{HeaderMap, header};
use serde_json::Value;
use url::form_urlencoded;

use super::{Received, Refusal};

/// The body as a JSON object.
pub(super) fn object(received: &Received<'_>) -> Result<Value, Refusal> {
    is_utf8(received.headers)?;
    parse(received.body)
}

/// A JSON object.
pub(super) fn parse(json: &[u8]) -> Result<Value, Refusal> {
    match serde_json::from_slice(json) {
        Ok(value @ Value::Object(_)) => Ok(value),
        _ => Err(Refusal::Unreadable),
    }
}

/// Whether the body is a form.
pub(super) fn is_form(headers: &HeaderMap) -> Result<bool, Refusal> {
    let essence = content_type(headers)?.and_then(|text| text.split(';').next().map(str::trim));
    Ok(essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")))
}

/// The fields of a form.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn of(received: &Received<'_>) -> Result<Self, Refusal> {
        is_utf8(received.headers)?;
        Ok(Self(form_urlencoded::parse(received.body).into_owned().collect()))
    }

    /// The one value of a field.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.0.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Refusal::Unreadable),
        }
    }
}

/// A text at a JSON pointer that is a word.
pub(super) fn text(body: &Value, pointer: &str) -> Option<String> {
    body.pointer(pointer)?.as_str().filter(|text| is_word(text)).map(str::to_owned)
}

/// The same, or a whole number in its place.
pub(super) fn id(body: &Value, pointer: &str) -> Option<String> {
    match body.pointer(pointer)? {
        Value::Number(number) => number.as_u64().map(|number| number.to_string()),
        Value::String(text) if is_word(text) => Some(text.clone()),
        _ => None,
    }
}

/// The words of a list, without what is none.
pub(super) fn words(body: &Value, pointer: &str) -> Vec<String> {
    let items = body.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).filter(|text| is_word(text)).map(str::to_owned).collect()
}

/// What names and identifiers of providers are made of; it is shown to people and stands in logs.
pub(super) fn is_word(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/');
    !text.is_empty() && text.len() <= 128 && text.bytes().all(is_part)
}

/// Who receives the event would read another encoding differently than we do.
fn is_utf8(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Refusal::Malformed("content-encoding"));
    }
    let Some(text) = content_type(headers)? else { return Ok(()) };
    let sound = text.split(';').skip(1).map(str::trim).all(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else { return true };
        !name.trim().eq_ignore_ascii_case("charset")
            || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    if sound { Ok(()) } else { Err(Refusal::Malformed(CONTENT_TYPE)) }
}

fn content_type(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    super::header::maybe(headers, CONTENT_TYPE)
}

const CONTENT_TYPE: &str = "content-type";
