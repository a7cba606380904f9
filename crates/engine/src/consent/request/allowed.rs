//! What a request for consent may ask for: where the browser goes afterwards, for how long, with which parameters.

use std::time::Duration;

use carnet_egress::as_written;
use carnet_model::{Code, Fault};
use url::{Host, Url};

use super::AuthorizeAsk;

/// Where a browser may be sent: https, or http on the person's own machine. The rule of the official clients. An address
/// that a browser would repair is refused, as another reader may find another host in it.
pub(in crate::consent) fn return_url(text: &str) -> Result<Url, Fault> {
    let refused = || {
        Fault::new(
            Code::InvalidRequest,
            "returnUrl is an https address as a browser writes it, or http on localhost or 127.0.0.1; without user name, \
             and at most 2048 characters.",
        )
        .with("field", "returnUrl")
    };
    let url = as_written(text).map_err(|_| refused())?;
    let own_machine = match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost" || domain.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if text.len() <= LONGEST_URL && (url.scheme() == "https" || own_machine) {
        Ok(url)
    } else {
        Err(refused())
    }
}

/// How long a request can be used. With a code to enter or compare, ten minutes are the most, and a second is the least,
/// whatever was asked: the answer says until when.
pub(in crate::consent) fn life_of(expires_in: Option<u64>, by_code: bool) -> Result<Duration, Fault> {
    let life = expires_in.map_or(LIFE, Duration::from_millis).max(Duration::from_secs(1));
    if life > LONGEST {
        return Err(Fault::new(Code::InvalidRequest, "expiresInMs is at most 3600000: an hour.")
            .with("field", "expiresInMs"));
    }
    Ok(if by_code { life.min(LIFE) } else { life })
}

pub(super) fn check_parameters(ask: &AuthorizeAsk) -> Result<(), Fault> {
    let odd = |text: &String| text.len() > 1024 || text.chars().any(char::is_control);
    if ask.prompt.as_ref().is_some_and(|text| text.is_empty() || text.chars().count() > 64 || odd(text)) {
        return Err(
            Fault::new(Code::InvalidRequest, "prompt has 1 to 64 characters.").with("field", "prompt")
        );
    }
    let too_many = ask.additional_params.len() > 20;
    if too_many
        || ask.additional_params.iter().any(|(name, value)| name.is_empty() || odd(name) || odd(value))
    {
        return Err(Fault::new(
            Code::InvalidRequest,
            "additionalParams has at most 20 short names and values.",
        )
        .with("field", "additionalParams"));
    }
    if let Some(name) = ask.additional_params.keys().find(|name| carnet_providers::is_protocols_own(name)) {
        return Err(Fault::new(
            Code::InvalidRequest,
            format!(
                "additionalParams cannot set {name}: the protocol sets it, or it has a field of its own."
            ),
        )
        .with("field", "additionalParams"));
    }
    Ok(())
}

/// Of an address that the application gives.
pub(in crate::consent) const LONGEST_URL: usize = 2048;
/// How long a request for consent can be used unless its maker says otherwise.
const LIFE: Duration = Duration::from_mins(10);
const LONGEST: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_sent_only_where_the_rule_allows() {
        for good in [
            "https://app.example/cb?x=1#there",
            "https://App.Example:8443",
            "http://localhost:3000/cb",
            "http://127.0.0.1/",
            "http://app.localhost:3000/cb",
            "http://[::1]:1/",
        ] {
            assert!(return_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://evil.example/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://user:pw@app.example/",
            "http://localhost.evil.example/",
            "//evil.example",
            "/relative",
            "",
            "ftp://localhost/",
            "http://10.0.0.1/",
            "https:/app.example",
            "https:app.example",
            "https:\\\\app.example/",
            "https://app.example\\@evil.example",
            "https://app.example/\r\nX: y",
            "https://app.\texample/",
            " https://app.example/",
            "https://app%2eexample/",
            "http://127.1/",
        ] {
            assert!(return_url(bad).is_err(), "{bad}");
        }
        let long = |letters: usize| return_url(&format!("https://app.example/{}", "x".repeat(letters)));
        assert!(long(2028).is_ok() && long(2029).is_err());
    }
}
