//! Whether the head of a request can be read in one way only.
//!
//! hyper refuses what is no HTTP, and is lenient about the rest. What is left over is decided here, for every route: two
//! readers who disagree about whom a request is for, where it ends or what its body is are how one is smuggled past the
//! other. Who answers is `request_id::identify`, so that the refusal has an identifier and is counted like any other.

use carnet_model::{Code, Fault};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, Version, header};
use hyper::body::Body;

use super::{MAX_FIELDS, MAX_HEAD};

/// In the extensions of a request that is refused before anybody looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    code: Code,
    /// Where it is another one than that of the code.
    pub(crate) status: Option<StatusCode>,
    why: &'static str,
    /// Whether what follows on the connection could be anything.
    pub(crate) ends: bool,
}

impl Malformed {
    pub(crate) fn fault(self) -> Fault {
        Fault::new(self.code, self.why)
    }

    const fn unsound(why: &'static str) -> Self {
        Self { code: Code::InvalidRequest, status: None, why, ends: true }
    }
}

/// `twice` if it was seen that there is a length beside a transfer coding.
pub(super) fn check<B: Body>(request: &Request<B>, twice: bool) -> Result<(), Malformed> {
    let headers = request.headers();
    if request.version() < Version::HTTP_2 {
        length(headers, twice)?;
    } else {
        size(request.uri(), headers)?;
    }
    host(request.version(), headers)?;
    if request.version() == Version::HTTP_2 {
        authority(request.uri(), headers)?;
    }
    if !request.body().is_end_stream() {
        content(headers)?;
    }
    let waits = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if request.version() > Version::HTTP_10 && !headers.get_all(header::EXPECT).iter().all(waits) {
        return Err(Malformed {
            code: Code::InvalidRequest,
            status: Some(StatusCode::EXPECTATION_FAILED),
            why: "Nothing is known here that Expect could ask for, but 100-continue.",
            ends: true,
        });
    }
    Ok(())
}

/// RFC 9112 §3.2: one, and it names a host.
fn host(version: Version, headers: &HeaderMap) -> Result<(), Malformed> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    match first {
        None if version == Version::HTTP_11 => Err(Malformed::unsound("The request says no Host.")),
        None => Ok(()),
        Some(_) if second.is_some() => Err(Malformed::unsound("The request says more than one Host.")),
        Some(host) if is_host(host) => Ok(()),
        Some(_) => Err(Malformed::unsound("Host is a name or an address, and a port where it has one.")),
    }
}

/// RFC 9113 §8.3.1: `:authority` names nobody who asks, and a Host beside it is the same; a server behind this one may
/// read either.
fn authority(address: &Uri, headers: &HeaderMap) -> Result<(), Malformed> {
    let Some(authority) = address.authority() else { return Ok(()) };
    if authority.as_str().contains('@') {
        return Err(Malformed::unsound(
            "The :authority of a request is a host, and a port where it has one.",
        ));
    }
    let Some(host) = headers.get(header::HOST) else { return Ok(()) };
    let usual = match address.scheme_str() {
        Some("http") => Some(":80"),
        Some("https") => Some(":443"),
        _ => None,
    };
    // RFC 3986 §6.2.3: a port that says nothing new is not there.
    let plain = |text: &str| {
        let text = text.to_ascii_lowercase();
        let plain = usual.and_then(|port| text.strip_suffix(port)).or_else(|| text.strip_suffix(':'));
        plain.map_or_else(|| text.clone(), str::to_owned)
    };
    if host.to_str().is_ok_and(|host| plain(host) == plain(authority.as_str())) {
        return Ok(());
    }
    Err(Malformed::unsound("The request names two hosts: :authority and Host."))
}

fn is_host(value: &HeaderValue) -> bool {
    let Ok(authority) = Authority::try_from(value.as_bytes()) else { return false };
    let (whole, host) = (authority.as_str(), authority.host());
    let port = whole
        .strip_prefix(host)
        .and_then(|rest| if rest.is_empty() { Some("") } else { rest.strip_prefix(':') });
    !host.is_empty() && port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// RFC 9112 §6: chunks and nothing around them, or a length. Where both were said, hyper has taken the length away; it reads
/// the chunks, and nothing more on that connection (§6.1).
fn length(headers: &HeaderMap, twice: bool) -> Result<(), Malformed> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    if twice {
        return Err(Malformed::unsound(
            "The request says the length of its body in two ways: Transfer-Encoding and Content-Length.",
        ));
    }
    if codings.next().is_some() || !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") {
        return Err(Malformed::unsound("Of the transfer codings only chunked is known, once."));
    }
    Ok(())
}

/// What hyper sees to for HTTP/1. Counted as RFC 9113 §6.5.2 does.
fn size(address: &Uri, headers: &HeaderMap) -> Result<(), Malformed> {
    let of_address = address.path_and_query().map_or(0, |path| path.as_str().len());
    let size = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum::<usize>()
        + of_address;
    if size <= MAX_HEAD && headers.len() <= MAX_FIELDS {
        return Ok(());
    }
    Err(OVERSIZE)
}

const OVERSIZE: Malformed = Malformed {
    code: Code::TooLarge,
    status: Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
    why: "The head of a request has at most 16 KiB, and 64 fields.",
    ends: false,
};

/// RFC 9110 §8: what the bytes of the body are.
fn content(headers: &HeaderMap) -> Result<(), Malformed> {
    let unread = |why| Malformed { code: Code::UnsupportedMediaType, status: None, why, ends: false };
    let is_plain = |value: &HeaderValue| {
        let mut codings = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity"))
    };
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(is_plain) {
        return Err(unread("The body is read as it is, without a Content-Encoding."));
    }
    if differs(headers, &header::CONTENT_TYPE) {
        return Err(Malformed {
            ends: false,
            ..Malformed::unsound("The request says two different things of what its body is: Content-Type.")
        });
    }
    if headers.get(header::CONTENT_TYPE).is_some_and(is_json_of_another_charset) {
        return Err(unread(
            "JSON is UTF-8, and so is every body that is read here; Content-Type says another charset.",
        ));
    }
    Ok(())
}

fn differs(headers: &HeaderMap, name: &HeaderName) -> bool {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    values.any(|value| Some(value) != first)
}

/// RFC 8259 §8.1: JSON that goes from one system to another is UTF-8, of which ASCII is a part.
fn is_json_of_another_charset(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    let text = text.to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|media| media.ends_with("json"));
    let charsets = parts.filter_map(|part| part.strip_prefix("charset")?.trim_start().strip_prefix('='));
    is_json
        && charsets
            .map(|charset| charset.trim().trim_matches('"'))
            .any(|charset| !matches!(charset, "utf-8" | "utf8" | "us-ascii"))
}

#[cfg(test)]
mod tests {
    use http_body_util::{Empty, Full};

    use super::*;

    fn said(version: Version, fields: &[(&str, &[u8])], body: &'static str) -> Option<u16> {
        let mut request = Request::new(Full::new(bytes::Bytes::from_static(body.as_bytes())));
        *request.version_mut() = version;
        for (name, value) in fields {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().append(name, HeaderValue::from_bytes(value).unwrap());
        }
        let refused = check(&request, false).err()?;
        Some(refused.status.map_or(refused.code.status(), |status| status.as_u16()))
    }

    #[test]
    fn a_host_is_named_once_and_is_one() {
        for host in ["x", "127.0.0.1:7070", "[::1]:7070", "[::1]", "a_b.example", "x:"] {
            assert_eq!(said(Version::HTTP_11, &[("host", host.as_bytes())], ""), None, "{host}");
        }
        for host in [&b"a b"[..], b"", b"\xff", b"a@b:1", b"a/b", b"a:b"] {
            let told = said(Version::HTTP_11, &[("host", host)], "");
            assert_eq!(told, Some(400), "{}", String::from_utf8_lossy(host));
        }
        assert_eq!(said(Version::HTTP_11, &[], ""), Some(400));
        assert_eq!(said(Version::HTTP_11, &[("host", b"x"), ("host", b"y")], ""), Some(400));
        // HTTP/1.0 has none, HTTP/2 says it elsewhere.
        assert_eq!(said(Version::HTTP_10, &[], ""), None);
        assert_eq!(said(Version::HTTP_2, &[], ""), None);
    }

    #[test]
    fn a_host_beside_an_authority_is_the_same() {
        for (address, host, want) in [
            ("https://carnet.example/x", "carnet.example", true),
            ("https://carnet.example/x", "Carnet.Example:443", true),
            ("https://carnet.example:443/x", "carnet.example:", true),
            ("http://carnet.example:7070/x", "carnet.example:7070", true),
            ("http://[::1]:7070/x", "[::1]:7070", true),
            ("/x", "carnet.example", true),
            ("https://carnet.example/x", "other.example", false),
            ("https://carnet.example/x", "carnet.example:8443", false),
            ("https://carnet.example/x", "carnet.example:80", false),
            ("http://carnet.example:7070/x", "carnet.example", false),
        ] {
            let mut request = Request::new(Empty::<bytes::Bytes>::new());
            *request.version_mut() = Version::HTTP_2;
            *request.uri_mut() = address.parse().unwrap();
            assert_eq!(check(&request, false), Ok(()), "{address} alone");
            request.headers_mut().insert(header::HOST, HeaderValue::from_static(host));
            assert_eq!(check(&request, false).is_ok(), want, "{address}, {host}");
        }
        let mut named = Request::new(Empty::<bytes::Bytes>::new());
        *named.version_mut() = Version::HTTP_2;
        *named.uri_mut() = "https://somebody@carnet.example/x".parse().unwrap();
        assert!(check(&named, false).is_err());
    }

    #[test]
    fn what_a_body_is_is_said_once_and_known() {
        let json: (&str, &[u8]) = ("content-type", b"application/json");
        for (fields, want) in [
            (&[("transfer-encoding", &b"chunked"[..])][..], None),
            (&[("transfer-encoding", b"Chunked"), json], None),
            (&[("transfer-encoding", b"gzip, chunked")], Some(400)),
            (&[("transfer-encoding", b"chunked"), ("transfer-encoding", b"chunked")], Some(400)),
            (&[("content-encoding", b"identity"), json], None),
            (&[("content-encoding", b"br"), json], Some(415)),
            (&[("content-encoding", b"identity, gzip")], Some(415)),
            (&[json, json], None),
            (&[json, ("content-type", b"text/plain")], Some(400)),
            (&[("content-type", b"application/json; charset=utf-16")], Some(415)),
            (&[("content-type", b"application/vnd.x+json;Charset=\"latin1\"")], Some(415)),
            (&[("content-type", b"application/json; charset=\"UTF-8\"")], None),
            (&[("content-type", b"text/plain; charset=latin1")], None),
            (&[("expect", b"100-Continue")], None),
            (&[("expect", b"nonsense")], Some(417)),
        ] {
            let fields = [&[("host", &b"x"[..])][..], fields].concat();
            assert_eq!(said(Version::HTTP_11, &fields, "{}"), want, "{fields:?}");
        }
        let mut bare = Request::new(Empty::<bytes::Bytes>::new());
        bare.headers_mut().insert(header::HOST, HeaderValue::from_static("x"));
        bare.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(check(&bare, false), Ok(()), "there is nothing to be read");
        bare.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        assert!(check(&bare, true).is_err(), "the length is not there any more, and was");
    }

    #[test]
    fn a_head_of_http_2_is_no_larger_than_one_of_http_1() {
        let long = vec![b'y'; MAX_HEAD];
        let many: Vec<String> = (0..=MAX_FIELDS).map(|n| format!("x-{n}")).collect();
        let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b"y"[..])).collect();
        assert_eq!(said(Version::HTTP_2, &[("x", &long)], ""), Some(431));
        assert_eq!(said(Version::HTTP_2, &many, ""), Some(431));
        assert_eq!(said(Version::HTTP_2, &many[1..], ""), None);
        assert!(OVERSIZE.why.contains(&format!("{} KiB, and {MAX_FIELDS} fields", MAX_HEAD / 1024)));
    }
}
