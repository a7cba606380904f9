//! A person who decides on the provider's own page, by a code, and is not sent back (RFC 8628).

use http::StatusCode;
use serde_json::{Map, Value};
use url::Url;

use super::client::{Client, Form};
use super::failure::{self, Phase};
use super::json;
use super::token_answer::Spoken;
use crate::driver::consent::DeviceCode;
use crate::driver::failure::DriverError;
use crate::fields::is_credential;

/// The grant type with which the token endpoint is asked whether the person has decided.
pub(crate) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

impl Client<'_> {
    /// Asks for a code. `read` judges the addresses to which the person will be sent.
    pub(crate) async fn device_code(
        &self,
        endpoint: &Url,
        mut form: Form,
        read: impl Fn(&str) -> Option<Url>,
    ) -> Result<DeviceCode, DriverError> {
        let answer = self.send(endpoint, &mut form, "serverConfig.device_authorization_endpoint").await?;
        let now = self.env.now();
        let wait = failure::retry_after(&answer.headers, now);
        if answer.status == StatusCode::OK
            && let Some(members) = json::object(&answer.body)
            && !members.contains_key("error")
        {
            let (code, lives) = code(&members, read).ok_or(DriverError::garbage(
                false,
                "it has no device_code, user_code and verification_uri that could be used",
            ))?;
            return Ok(DeviceCode { expires_at: now.plus(std::time::Duration::from_secs(lives)), ..code });
        }
        match super::client::spoken(&answer) {
            Spoken::Refusal(refusal) => {
                Err(failure::of_refusal(Phase::Front, answer.status, &refusal, wait, form.secrets()))
            }
            Spoken::Issued(_) | Spoken::Nothing(_) => {
                Err(failure::of_nothing(answer.status, wait, failure::UNREADABLE))
            }
        }
    }
}

/// RFC 8628 §3.2, with how many seconds it lives.
fn code(members: &Map<String, Value>, read: impl Fn(&str) -> Option<Url>) -> Option<(DeviceCode, u64)> {
    let text = |name: &str| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let seconds = |name: &str| members.get(name).and_then(Value::as_u64);
    // Google's servers said `verification_url` before there was a standard.
    let page = read(text("verification_uri").or_else(|| text("verification_url"))?)?;
    // Of two pages that belong to different origins, the one where the code is entered by hand is enough.
    let whole_page =
        text("verification_uri_complete").and_then(read).filter(|whole| whole.origin() == page.origin());
    let user_code =
        text("user_code").filter(|code| code.len() <= 64 && !code.chars().any(char::is_control))?;
    let code = DeviceCode {
        code: text("device_code").filter(|code| is_credential(code))?.to_owned().into(),
        user_code: user_code.to_owned(),
        page,
        whole_page,
        interval: seconds("interval").unwrap_or(5).clamp(1, 60),
        expires_at: carnet_model::Time::default(),
    };
    let lives = seconds("expires_in").filter(|seconds| *seconds > 0)?;
    Some((code, lives.min(LONGEST)))
}

/// Nobody takes longer, and nobody is asked about for longer.
const LONGEST: u64 = 3600;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judge(members: &Value) -> Option<(DeviceCode, u64)> {
        code(members.as_object().unwrap(), |text| Url::parse(text).ok().filter(|url| url.scheme() == "https"))
    }

    fn sound() -> Value {
        json!({"device_code": "d", "user_code": "WDJB-MJHT", "verification_uri": "https://a.example/device",
            "verification_uri_complete": "https://a.example/device?c=WDJB", "expires_in": 1800, "interval": 5})
    }

    #[test]
    fn a_sound_answer_is_taken_within_our_limits() {
        let (code, lives) = judge(&sound()).unwrap();
        assert_eq!((code.user_code.as_str(), code.interval, lives), ("WDJB-MJHT", 5, 1800));
        for (name, value, interval, lives) in [
            ("interval", json!(null), 5, 1800),
            ("interval", json!(0), 1, 1800),
            ("interval", json!(9999), 60, 1800),
            ("expires_in", json!(999_999), 5, 3600),
        ] {
            let mut members = sound();
            members[name] = value;
            let (code, seconds) = judge(&members).unwrap();
            assert_eq!((code.interval, seconds), (interval, lives), "{name}");
        }
    }

    #[test]
    fn a_whole_page_of_another_origin_is_left_out() {
        assert!(judge(&sound()).unwrap().0.whole_page.is_some());
        for page in ["https://evil.example/device?c=WDJB", "http://a.example/device?c=WDJB", "nonsense"] {
            let mut members = sound();
            members["verification_uri_complete"] = json!(page);
            let (code, _) = judge(&members).unwrap();
            assert_eq!((code.page.as_str(), code.whole_page), ("https://a.example/device", None), "{page}");
        }
    }

    #[test]
    fn half_an_answer_is_none() {
        for (name, value) in [
            ("device_code", json!(null)),
            ("device_code", json!("a\nb")),
            ("user_code", json!("")),
            ("user_code", json!("x".repeat(65))),
            ("user_code", json!("a\u{7}b")),
            ("verification_uri", json!("http://a.example/device")),
            ("verification_uri", json!("javascript:alert(1)")),
            ("verification_uri", json!(7)),
            ("expires_in", json!(0)),
            ("expires_in", json!("1800")),
            ("expires_in", json!(null)),
        ] {
            let mut members = sound();
            members[name] = value.clone();
            assert!(judge(&members).is_none(), "{name} {value}");
        }
    }
}
