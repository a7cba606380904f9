//! SPIFFE IDs: `spiffe://trust-domain/path` (SPIFFE-ID §2).
//!
//! One spelling for each: what a library might fold together (case of the trust domain, empty or dotted segments, a slash
//! at the end, percent-encoding) is no SPIFFE ID.

/// A SPIFFE ID, read from a text that outlives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpiffeId<'a> {
    /// `spiffe://trust-domain`
    pub(crate) trust_domain: &'a str,
    /// The path without its first slash; empty if the ID names the trust domain itself.
    pub(crate) path: &'a str,
}

impl<'a> SpiffeId<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix(SCHEME).filter(|_| text.len() <= MAX_ID)?;
        let (name, path) = match rest.split_once('/') {
            None => (rest, ""),
            Some((name, path)) if path.split('/').all(is_segment) => (name, path),
            Some(_) => return None,
        };
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b);
        let named = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain);
        let trust_domain = text.get(..SCHEME.len() + name.len()).filter(|_| named)?;
        Some(Self { trust_domain, path })
    }

    /// A SPIFFE ID of a workload: one with a path.
    pub(crate) fn of_workload(text: &'a str) -> Option<Self> {
        Self::parse(text).filter(|id| !id.path.is_empty())
    }
}

/// Whether `text` is the SPIFFE ID `parent` and exactly one path segment more.
pub(crate) fn is_one_below(parent: &str, text: &str) -> bool {
    let rest = text.strip_prefix(parent).and_then(|rest| rest.strip_prefix('/'));
    rest.is_some_and(is_segment) && SpiffeId::of_workload(text).is_some()
}

fn is_segment(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
    !matches!(text, "" | "." | "..") && text.bytes().all(plain)
}

pub(crate) const SCHEME: &str = "spiffe://";
/// SPIFFE-ID §2.3.
const MAX_ID: usize = 2048;
/// SPIFFE-ID §2.1, as for a host.
const MAX_NAME: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        for (text, want) in [
            ("spiffe://example.org/ns/a/sa/b", Some(("spiffe://example.org", "ns/a/sa/b"))),
            ("spiffe://a_b-c.1/X", Some(("spiffe://a_b-c.1", "X"))),
            ("spiffe://example.org", Some(("spiffe://example.org", ""))),
            ("spiffe://example.org/", None),
            ("spiffe://example.org/a/", None),
            ("spiffe://example.org//a", None),
            ("spiffe://example.org/./a", None),
            ("spiffe://example.org/a/..", None),
            ("spiffe://example.org/a%2fb", None),
            ("spiffe://example.org/a*", None),
            ("spiffe://example.org/a?b", None),
            ("spiffe://example.org/a#b", None),
            ("spiffe://example.org/ä", None),
            ("spiffe://example.org/a b", None),
            ("spiffe://Example.org/a", None),
            ("spiffe://example.org:443/a", None),
            ("spiffe://user@example.org/a", None),
            ("spiffe:///a", None),
            ("spiffe://", None),
            ("SPIFFE://example.org/a", None),
            ("https://example.org/a", None),
            (" spiffe://example.org/a", None),
            ("", None),
        ] {
            let read = SpiffeId::parse(text).map(|id| (id.trust_domain, id.path));
            assert_eq!(read, want, "{text}");
        }
        assert!(SpiffeId::parse(&format!("spiffe://a/{}", "b".repeat(2048))).is_none());
        assert!(SpiffeId::parse(&format!("spiffe://{}/b", "a".repeat(256))).is_none());
    }

    #[test]
    fn one_below_is_one_segment_and_no_more() {
        let parent = "spiffe://example.org/ns/shop";
        for (text, want) in [
            ("spiffe://example.org/ns/shop/agent", true),
            ("spiffe://example.org/ns/shop", false),
            ("spiffe://example.org/ns/shop/", false),
            ("spiffe://example.org/ns/shop/a/b", false),
            ("spiffe://example.org/ns/shopkeeper", false),
            ("spiffe://example.org/ns/shop2/agent", false),
            ("spiffe://example.org/ns/shop/..", false),
            ("spiffe://example.org/ns/shop/a%2fb", false),
            ("spiffe://example.com/ns/shop/agent", false),
            ("xspiffe://example.org/ns/shop/agent", false),
        ] {
            assert_eq!(is_one_below(parent, text), want, "{text}");
        }
    }
}
