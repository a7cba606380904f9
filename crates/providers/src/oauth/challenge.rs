//! The header `WWW-Authenticate` (RFC 9110 §11.6.1), as far as it helps to find a way in: `resource_metadata`
//! (RFC 9728 §5.1) and `scope` (RFC 6750 §3).

/// What a refusal says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub resource_metadata: Option<String>,
    pub scope: Option<String>,
}

impl Challenge {
    /// Reads one header. Schemes are not told apart: of parameters with the same name the first counts.
    pub(crate) fn read(text: &str) -> Self {
        let mut found = Self::default();
        for (name, value) in Parameters(text) {
            let place = match name.to_ascii_lowercase().as_str() {
                "resource_metadata" => &mut found.resource_metadata,
                "scope" => &mut found.scope,
                _ => continue,
            };
            place.get_or_insert(value);
        }
        found
    }

    /// What is missing here is taken from `other`.
    #[must_use]
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            resource_metadata: self.resource_metadata.or(other.resource_metadata),
            scope: self.scope.or(other.scope),
        }
    }
}

/// The `name=value` in a header, quoted or not. Whatever else stands between them, schemes above all, is passed over.
struct Parameters<'a>(&'a str);

impl<'a> Iterator for Parameters<'a> {
    type Item = (&'a str, String);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.0 = self.0.trim_start_matches(|c: char| !is_token(c));
            if self.0.is_empty() {
                return None;
            }
            let (name, rest) = split_when(self.0, |c| !is_token(c));
            let Some(rest) = rest.trim_start().strip_prefix('=') else {
                self.0 = rest;
                continue;
            };
            let rest = rest.trim_start();
            let (value, rest) = if let Some(quoted) = rest.strip_prefix('"') {
                unquote(quoted)?
            } else {
                let (value, rest) = split_when(rest, |c| c == ',' || c.is_whitespace());
                (value.to_owned(), rest)
            };
            self.0 = rest;
            return Some((name, value));
        }
    }
}

fn split_when(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

/// The text up to the closing quote, and what follows it; `None` if it never closes.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((place, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(place + 1..)?)),
            '\\' => value.push(chars.next()?.1),
            _ => value.push(c),
        }
    }
    None
}

/// RFC 9110 §5.6.2
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_parameters_are_found_wherever_they_stand() {
        for (text, metadata, scope) in [
            (
                r#"Bearer resource_metadata="https://a/x", scope="read write""#,
                Some("https://a/x"),
                Some("read write"),
            ),
            (r#"Bearer error="invalid_token",Resource_Metadata = "https://a/x""#, Some("https://a/x"), None),
            (r#"Basic realm="a, scope=\"b\"", Bearer scope=read"#, None, Some("read")),
            (r#"DPoP algs="ES256", resource_metadata=https://a/x"#, Some("https://a/x"), None),
            (r#"Bearer scope="a", scope="b""#, None, Some("a")),
            ("Bearer", None, None),
            ("", None, None),
            (r#"Bearer resource_metadata="https://never.ends"#, None, None),
            (r#"Bearer scope="a\"#, None, None),
            (r#"Bearer =,="x",,scope="","#, None, Some("")),
        ] {
            let found = Challenge::read(text);
            assert_eq!(
                (found.resource_metadata.as_deref(), found.scope.as_deref()),
                (metadata, scope),
                "{text}"
            );
        }
    }
}
