//! AWS Signature Version 4 (IAM User Guide, "Create a signed AWS API request").

use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};
use carnet_model::Time;
use jiff::tz::TimeZone;

/// What is signed.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    /// Percent-encoded as it is sent.
    pub(crate) path: &'a str,
    /// Canonical: names sorted, both halves encoded.
    pub(crate) query: &'a str,
    /// Lower-case names, sorted; `host` and `x-amz-date` among them.
    pub(crate) headers: &'a [(&'a str, String)],
    pub(crate) body: &'a [u8],
}

/// Where and when the signature is good.
pub(crate) struct Scope<'a> {
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) date: &'a Stamp,
}

/// A time as the scheme writes it.
pub(crate) struct Stamp {
    /// `20150830T123600Z`
    pub(crate) long: String,
    /// `20150830`
    short: String,
}

impl Stamp {
    pub(crate) fn at(time: Time) -> Self {
        let at = jiff::Timestamp::from_millisecond(time.millis()).unwrap_or_default().to_zoned(TimeZone::UTC);
        let short = format!("{:04}{:02}{:02}", at.year(), at.month(), at.day());
        Self { long: format!("{short}T{:02}{:02}{:02}Z", at.hour(), at.minute(), at.second()), short }
    }
}

/// The header `Authorization`.
pub(crate) fn authorization(request: &Request<'_>, scope: &Scope<'_>, key_id: &str, secret: &str) -> String {
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let mut canonical = format!(
        "{}\n{}\n{}\n",
        request.method,
        if request.path.is_empty() { "/" } else { request.path },
        request.query
    );
    for (name, value) in request.headers {
        let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(canonical, "{name}:{value}");
    }
    let _ = write!(canonical, "\n{names}\n{}", hex(digest::digest(&digest::SHA256, request.body).as_ref()));
    let place = format!("{}/{}/{}/aws4_request", scope.date.short, scope.region, scope.service);
    let hashed = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let text = format!("AWS4-HMAC-SHA256\n{}\n{place}\n{hashed}", scope.date.long);
    let signature = hex(sign(signing_key(scope, secret).as_ref(), &text).as_ref());
    format!("AWS4-HMAC-SHA256 Credential={key_id}/{place}, SignedHeaders={names}, Signature={signature}")
}

fn signing_key(scope: &Scope<'_>, secret: &str) -> hmac::Tag {
    let date = sign(format!("AWS4{secret}").as_bytes(), &scope.date.short);
    let region = sign(date.as_ref(), scope.region);
    let service = sign(region.as_ref(), scope.service);
    sign(service.as_ref(), "aws4_request")
}

fn sign(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY_ID: &str = "AKIDEXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn stamp() -> Stamp {
        let at: jiff::Timestamp = "2015-08-30T12:36:00Z".parse().unwrap();
        Stamp::at(Time::from_millis(at.as_millisecond()))
    }

    /// AWS General Reference, "Examples of the complete signing process", and the published signature test suite.
    #[test]
    fn the_published_requests_have_the_published_signatures() {
        let date = ("x-amz-date", "20150830T123600Z".to_owned());
        let host = ("host", "example.amazonaws.com".to_owned());
        let form = ("content-type", "application/x-www-form-urlencoded".to_owned());
        let plain = [host.clone(), date.clone()];
        let posted = [form, host, date.clone()];
        let listed = [
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned()),
            ("host", "iam.amazonaws.com".to_owned()),
            date,
        ];
        let header = |name, value: &str| (name, value.to_owned());
        // `get-header-key-duplicate`, as one header; `get-header-value-trim`.
        let repeated = [plain[0].clone(), header("my-header1", "value2,value2,value1"), plain[1].clone()];
        let padded = [
            plain[0].clone(),
            header("my-header1", " value1"),
            header("my-header2", " \"a   b   c\""),
            plain[1].clone(),
        ];
        for (service, request, signature) in [
            (
                "service",
                Request { method: "GET", path: "/", query: "", headers: &repeated, body: b"" },
                "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
            ),
            (
                "service",
                Request { method: "GET", path: "/", query: "", headers: &padded, body: b"" },
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
            (
                "service",
                Request {
                    method: "GET",
                    path: "/",
                    query: "Param1=value1&Param2=value2",
                    headers: &plain,
                    body: b"",
                },
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "service",
                Request { method: "GET", path: "/", query: "%E1%88%B4=bar", headers: &plain, body: b"" },
                "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
            ),
            (
                "service",
                Request { method: "GET", path: "/", query: "", headers: &plain, body: b"" },
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "service",
                Request { method: "POST", path: "/", query: "", headers: &plain, body: b"" },
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "service",
                Request { method: "POST", path: "/", query: "", headers: &posted, body: b"Param1=value1" },
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
            (
                "iam",
                Request {
                    method: "GET",
                    path: "/",
                    query: "Action=ListUsers&Version=2010-05-08",
                    headers: &listed,
                    body: b"",
                },
                "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
            ),
        ] {
            let date = stamp();
            let scope = Scope { region: "us-east-1", service, date: &date };
            let said = authorization(&request, &scope, KEY_ID, SECRET);
            assert!(said.ends_with(&format!("Signature={signature}")), "{} {said}", request.method);
            assert!(
                said.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/"),
                "{said}"
            );
        }
    }

    #[test]
    fn the_published_signing_key_comes_out() {
        let date = stamp();
        let scope = Scope { region: "us-east-1", service: "iam", date: &date };
        assert_eq!(
            hex(signing_key(&scope, SECRET).as_ref()),
            "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
        );
    }
}
