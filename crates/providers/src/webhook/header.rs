//! Headers that count: there once, and well formed.

use http::HeaderMap;

use super::Refusal;

/// The one value of a header.
pub(super) fn one<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, Refusal> {
    maybe(headers, name)?.ok_or(Refusal::Missing(name))
}

/// The one value of a header that may be left out.
pub(super) fn maybe<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::Repeated(name));
    }
    // Visible ASCII: other bytes are read differently by different receivers.
    value.to_str().map(Some).map_err(|_| Refusal::Malformed(name))
}

/// The one value of a header that is an identifier or a name: letters, digits and `-_.:`, at most 128 of them.
pub(super) fn word<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, Refusal> {
    let text = one(headers, name)?;
    if super::body::is_word(text) { Ok(text) } else { Err(Refusal::Malformed(name)) }
}
