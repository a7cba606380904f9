//! Stylesheet, fonts, icon and the one script: part of the binary, served under names that change with their content.
//!
//! A page written by one release and styled by another (two nodes, one of them just upgraded) still gets a stylesheet:
//! a name whose hash is not ours is answered with what we have, and only our own names may be kept for ever.

use std::sync::LazyLock;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};

/// Where the assets are served; the name follows.
pub(crate) const MOUNT: &str = "/assets/";

/// A file of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asset {
    /// What it holds.
    pub bytes: &'static [u8],
    /// Its media type.
    pub content_type: &'static str,
    /// How long it may be kept: for ever under its own name, not at all under another release's.
    pub cache: &'static str,
}

/// The file of this name, which is the part of its path after `/assets/`.
pub fn asset(name: &str) -> Option<Asset> {
    let mut parts = name.split('.');
    let (Some(stem), Some(hash), Some(extension), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let file = FILES.iter().find(|file| file.stem == stem && file.extension == extension)?;
    let cache = if file.hash == hash { "public, max-age=31536000, immutable" } else { "no-cache" };
    Some(Asset { bytes: &file.bytes, content_type: file.content_type, cache })
}

impl IntoResponse for Asset {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(Bytes::from_static(self.bytes)));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(self.cache));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
        response
    }
}

/// The path of a file for a template, by stem.
pub(crate) fn href(stem: &str) -> &'static str {
    FILES.iter().find(|file| file.stem == stem).map_or("", |file| &file.path)
}

struct File {
    stem: &'static str,
    extension: &'static str,
    hash: String,
    path: String,
    content_type: &'static str,
    bytes: Vec<u8>,
}

/// Made at the first request for a page: 100 kB to hash, well under a millisecond.
static FILES: LazyLock<[File; 5]> = LazyLock::new(|| {
    let inter = File::new("inter", "woff2", "font/woff2", include_bytes!("../assets/inter.woff2").to_vec());
    let mono = File::new("mono", "woff2", "font/woff2", include_bytes!("../assets/mono.woff2").to_vec());
    let icon = File::new("icon", "svg", "image/svg+xml", include_bytes!("../assets/icon.svg").to_vec());
    let style = include_str!("../assets/app.css")
        .replace("inter.woff2", &inter.path)
        .replace("mono.woff2", &mono.path);
    let script = include_bytes!("../assets/passkey.js").to_vec();
    let script = File::new("passkey", "js", "text/javascript; charset=utf-8", script);
    [File::new("app", "css", "text/css; charset=utf-8", style.into_bytes()), inter, mono, icon, script]
});

impl File {
    fn new(stem: &'static str, extension: &'static str, content_type: &'static str, bytes: Vec<u8>) -> Self {
        let hash = format!("{:016x}", fnv1a(&bytes));
        let path = format!("{MOUNT}{stem}.{hash}.{extension}");
        Self { stem, extension, hash, path, content_type, bytes }
    }
}

/// FNV-1a, 64 bits: tells releases apart, and is the same in every build. Nobody but us writes these files, so it need
/// not withstand an attacker.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_a_stylesheet_or_page_uses_is_served_and_kept_for_ever() {
        let style = asset(href("app").strip_prefix(MOUNT).unwrap()).unwrap();
        let text = std::str::from_utf8(style.bytes).unwrap();
        let named: Vec<_> = text
            .split("url(")
            .skip(1)
            .map(|rest| rest.split_once(')').unwrap().0.trim_matches('"'))
            .collect();
        assert_eq!(named.len(), 2, "two fonts");
        for path in named.into_iter().chain(["app", "inter", "mono", "icon", "passkey"].map(href)) {
            let found = asset(path.strip_prefix(MOUNT).unwrap()).unwrap();
            assert_eq!(found.cache, "public, max-age=31536000, immutable", "{path}");
            assert!(!found.bytes.is_empty());
        }
    }

    #[test]
    fn a_page_of_another_release_is_still_styled_but_nothing_is_kept() {
        let other = asset("app.0000000000000000.css").unwrap();
        assert_eq!(other.cache, "no-cache");
        assert_eq!(other.bytes, asset(href("app").strip_prefix(MOUNT).unwrap()).unwrap().bytes);
    }

    #[test]
    fn a_file_is_sent_with_its_type_and_to_our_pages_only() {
        let response = asset("icon.0000000000000000.svg").unwrap().into_response();
        for (header, want) in [
            ("content-type", "image/svg+xml"),
            ("cache-control", "no-cache"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(response.headers()[header], want);
        }
    }

    #[test]
    fn other_names_are_not_found() {
        for name in ["", "app.css", "app..x.css", "../Cargo.toml", "app.0.css.map", "app.0.js", "OFL.0.txt"] {
            assert!(asset(name).is_none(), "{name}");
        }
    }

    #[test]
    fn the_hash_is_the_well_known_one() {
        // Test vectors of the algorithm's authors: the empty text, "a" and "foobar".
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
