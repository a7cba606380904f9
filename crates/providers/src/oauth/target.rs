//! What a token is for: resources (RFC 8707), audiences, authorization details (RFC 9396). Checked before a server is
//! asked, because a server that does not know the parameter gives more than was asked, and says nothing.

use carnet_egress::as_written;
use serde_json::Value;
use url::Url;

use super::client::Form;
use super::granted::{Asked, stray};
use super::metadata::Server;
use super::token_answer::Issued;
use crate::driver::failure::DriverError;

/// What a token is for, found sound.
pub(crate) struct Target<'a> {
    resources: &'a [String],
    audience: Vec<&'a str>,
    names_audience: bool,
    wanted: &'a [Value],
    details: Option<String>,
}

impl<'a> Target<'a> {
    /// Checks what is asked against what `server` knows. `default_audience` stands in where none is asked for.
    pub(crate) fn new(
        server: &Server,
        resources: &'a [String],
        audience: &'a [String],
        default_audience: Option<&'a str>,
        details: &'a [Value],
    ) -> Result<Self, DriverError> {
        if resources.iter().any(|text| !is_resource(text)) {
            return Err(unsupported("a resource is an absolute URI without a fragment (RFC 8707 §2)"));
        }
        if audience.iter().any(|text| text.is_empty() || text.chars().any(char::is_control)) {
            return Err(unsupported("an audience is a text without control characters"));
        }
        if resources.len() > MOST || audience.len() > MOST || details.len() > MOST {
            return Err(unsupported("at most 20 resources, audiences and authorization details"));
        }
        let known = server.document.detail_types.as_deref().unwrap_or_default();
        let is_known = |detail: &Value| {
            detail
                .get("type")
                .and_then(Value::as_str)
                .is_some_and(|name| known.iter().any(|known| known == name))
        };
        if !details.iter().all(is_known) {
            return Err(unsupported(
                "an authorization detail has a type that the server does not list in \
                 authorization_details_types_supported",
            ));
        }
        let names_audience = !audience.is_empty();
        let audience = match audience {
            [] => default_audience.into_iter().collect(),
            some => some.iter().map(String::as_str).collect(),
        };
        let wanted = details;
        let details = (!details.is_empty()).then(|| Value::from(details.to_vec()).to_string());
        Ok(Self { resources, audience, names_audience, wanted, details })
    }

    /// Nothing in particular.
    pub(crate) const fn none() -> Self {
        Self { resources: &[], audience: Vec::new(), names_audience: false, wanted: &[], details: None }
    }

    /// The parameters, in order.
    pub(crate) fn params(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let resources = self.resources.iter().map(|text| ("resource", text.as_str()));
        let audience = self.audience.iter().map(|text| ("audience", *text));
        let details = self.details.as_deref().map(|text| ("authorization_details", text));
        resources.chain(audience).chain(details)
    }

    /// What is wrong with what was issued for it, if anything is.
    pub(crate) fn stray(&self, issued: &Issued) -> Option<String> {
        let asked = Asked {
            resources: self.resources,
            audience: &self.audience,
            names_audience: self.names_audience,
            details: self.wanted,
        };
        stray(asked, issued)
    }

    /// Puts the parameters into a form.
    pub(crate) fn apply(&self, form: &mut Form) {
        for (name, value) in self.params() {
            form.push(name, value);
        }
    }
}

/// Whether a text can name a resource: an absolute URI without a fragment (RFC 8707 §2), of 2048 characters at most, and
/// one in which every reader finds the same host.
#[must_use]
pub fn is_resource(text: &str) -> bool {
    let is_plain =
        text.len() <= 2048 && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'#'));
    let is_web = |url: &Url| matches!(url.scheme(), "https" | "http");
    is_plain && Url::parse(text).is_ok_and(|url| !is_web(&url) || as_written(text).is_ok())
}

fn unsupported(why: &str) -> DriverError {
    DriverError::Unsupported(why.to_owned())
}

const MOST: usize = 20;

#[cfg(test)]
mod tests {
    use super::is_resource;

    #[test]
    fn a_resource_is_an_absolute_uri_that_nobody_repairs() {
        for good in ["https://api.example/mcp", "https://api.example", "urn:example:api", "api://5b1f"] {
            assert!(is_resource(good), "{good}");
        }
        for bad in [
            "",
            "not a url",
            "api",
            "/api",
            "https:/api.example",
            "https://api.example/#f",
            "https://api.example\\@evil.example",
            "https://api.example/\n",
        ] {
            assert!(!is_resource(bad), "{bad:?}");
        }
        assert!(!is_resource(&format!("https://api.example/{}", "x".repeat(2048))));
    }
}
