//! Form-encoded parameters, read strictly: what cannot be decoded or stands twice is refused, not guessed.

use std::collections::BTreeMap;

use carnet_model::{Secret, SecretString};

/// The parameters of a request. Values may be secrets, so they are wiped when dropped.
pub(crate) struct Form {
    values: BTreeMap<String, SecretString>,
    repeated: Vec<String>,
}

/// A percent sign without two hexadecimal digits, or bytes that are not UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Form {
    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        let mut form = Self { values: BTreeMap::new(), repeated: Vec::new() };
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or(Malformed)?;
            let value = decode(value).ok_or(Malformed)?;
            if form.values.insert(name.clone(), Secret::new(value)).is_some() {
                form.repeated.push(name);
            }
        }
        Ok(form)
    }

    /// The value of a parameter. One without a value counts as left out (RFC 6749 §3.1).
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.expose().as_str()).filter(|value| !value.is_empty())
    }

    /// Whether this parameter stands more than once.
    pub(crate) fn repeats(&self, name: &str) -> bool {
        self.repeated.iter().any(|repeated| repeated == name)
    }

    /// Whether any parameter stands more than once that must not (RFC 6749 §3.1, §3.2). `resource` and `audience`
    /// may (RFC 8707 §2, RFC 8693 §2.1), and mean nothing here.
    pub(crate) fn repeats_any(&self) -> bool {
        self.repeated.iter().any(|name| name != "resource" && name != "audience")
    }
}

/// Decodes one name or value of `application/x-www-form-urlencoded`.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_decodes_or_is_refused() {
        for (text, read) in [
            ("a+b%20c", Some("a b c")),
            ("%C3%A4%2b", Some("ä+")),
            ("a:b", Some("a:b")),
            ("%", None),
            ("%2", None),
            ("%zz", None),
            ("%ff", None),
        ] {
            assert_eq!(decode(text).as_deref(), read, "{text}");
        }
    }

    #[test]
    fn repeats_are_seen_and_empty_values_are_left_out() {
        let form = Form::parse("a=1&b=&resource=x&resource=y&c").unwrap();
        assert_eq!((form.get("a"), form.get("b"), form.get("c")), (Some("1"), None, None));
        assert!(!form.repeats_any() && form.repeats("resource"));
        assert!(Form::parse("a=1&b=2&%61=3").unwrap().repeats_any());
        assert!(Form::parse("a=%").is_err());
    }
}
