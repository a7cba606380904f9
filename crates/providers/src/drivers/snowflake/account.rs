//! The name of an account, in the forms that Snowflake knows, and the host that follows from it.
//!
//! `ORGANIZATION-ACCOUNT`, or the older locator with its region and cloud, `ab12345`, `ab12345.eu-central-1`,
//! `ab12345.west-europe.azure`; either with `.privatelink` at its end ("Account identifiers"). The name is somebody's input
//! and becomes a host to which secrets are sent: what is not one of these forms is refused.

use url::Url;

/// An account of a sound form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account(String);

impl Account {
    /// Reads a name; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let lower = text.to_ascii_lowercase();
        if lower.contains("snowflakecomputing") || lower.contains("://") || lower.contains('/') {
            return Err("is the identifier alone, ORGANIZATION-ACCOUNT or a locator, and not the address");
        }
        let labels: Vec<&str> = text.split('.').collect();
        let sound = |label: &&str| {
            let (first, last) = (label.bytes().next(), label.bytes().last());
            let is_edge = |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric());
            label.len() <= 63
                && is_edge(first)
                && is_edge(last)
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        let place = match labels.as_slice() {
            [_, rest @ .., last] if last.eq_ignore_ascii_case("privatelink") => rest,
            [_, rest @ ..] => rest,
            [] => &[],
        };
        if !labels.iter().all(sound) || text.len() > 200 || place.len() > 2 {
            return Err(
                "is ORGANIZATION-ACCOUNT, or LOCATOR, LOCATOR.REGION or LOCATOR.REGION.CLOUD, each perhaps with \
                        .privatelink",
            );
        }
        let clouds = ["aws", "azure", "gcp"];
        if let [_, cloud] = place
            && !clouds.iter().any(|known| known.eq_ignore_ascii_case(cloud))
        {
            return Err("ends with a cloud that is none: aws, azure or gcp");
        }
        if let [first, _, ..] = labels.as_slice()
            && first.contains('_')
        {
            return Err("is a locator of letters and digits before the region");
        }
        let account = Self(text.to_owned());
        // A label that begins with `xn--` may stand for nothing, or for another name (RFC 5891 §4.4).
        let origin = account.origin();
        let is_host = Url::parse(&origin).is_ok_and(|url| url.origin().ascii_serialization() == origin);
        if is_host { Ok(account) } else { Err("is not the name of a host: a part of it begins with xn--") }
    }

    /// As it was given.
    pub(super) fn identifier(&self) -> &str {
        &self.0
    }

    /// `https://` and the host. An underline in a name is a hyphen in the host; China has a domain of its own.
    pub(super) fn origin(&self) -> String {
        let host = self.0.to_ascii_lowercase().replace('_', "-");
        let top = if host.contains(".cn-") { "cn" } else { "com" };
        format!("https://{host}.snowflakecomputing.{top}")
    }

    /// As it stands in the claims of a key pair: in capitals, a locator without what comes after it.
    pub(super) fn claimed(&self) -> String {
        self.0.split('.').next().unwrap_or_default().to_ascii_uppercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_has_its_host_and_its_claim() {
        for (text, host, claim) in [
            ("acme-prod", "acme-prod.snowflakecomputing.com", "ACME-PROD"),
            ("ACME-PROD_EU", "acme-prod-eu.snowflakecomputing.com", "ACME-PROD_EU"),
            ("ab12345", "ab12345.snowflakecomputing.com", "AB12345"),
            ("ab12345.eu-central-1", "ab12345.eu-central-1.snowflakecomputing.com", "AB12345"),
            ("ab12345.west-europe.azure", "ab12345.west-europe.azure.snowflakecomputing.com", "AB12345"),
            ("ab12345.cn-northwest-1.aws", "ab12345.cn-northwest-1.aws.snowflakecomputing.cn", "AB12345"),
            ("acme-prod.privatelink", "acme-prod.privatelink.snowflakecomputing.com", "ACME-PROD"),
            ("ab1.us-east-1.privatelink", "ab1.us-east-1.privatelink.snowflakecomputing.com", "AB1"),
        ] {
            let account = Account::parse(text).unwrap();
            assert_eq!(
                (account.origin(), account.claimed()),
                (format!("https://{host}"), claim.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_would_be_another_host_is_refused() {
        for text in [
            "",
            ".",
            "acme..x",
            "-acme",
            "acme-",
            "acme.",
            "https://acme-prod.snowflakecomputing.com",
            "acme-prod.snowflakecomputing.com",
            "evil.example/x",
            "evil@acme",
            "acme:443",
            "acme prod",
            "XN--1",
            "xn__1",
            "xn--a.eu-central-1",
            "acmé",
            "127.0.0.1",
            "ab1.eu.azure.more",
            "ab1.eu.oracle",
            "ab_1.eu",
        ] {
            assert!(Account::parse(text).is_err(), "{text}");
        }
    }
}
