//! What is kept of an event: its body, byte for byte, and the headers that an application needs of it.

use carnet_model::{Secret, SecretBytes};
use carnet_providers::webhook::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Headers and body, behind the length of the headers.
pub(crate) fn pack(scheme: Scheme, headers: &HeaderMap, body: &[u8]) -> SecretBytes {
    let kept = serde_json::to_vec(&kept(scheme, headers)).unwrap_or_default();
    let mut out = Vec::with_capacity(4 + kept.len() + body.len());
    out.extend_from_slice(&u32::try_from(kept.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&kept);
    out.extend_from_slice(body);
    Secret::new(out)
}

/// What [`pack`] made.
pub(crate) fn unpack(bytes: &[u8]) -> Option<(HeaderMap, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (kept, body) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let kept: Vec<(String, String)> = serde_json::from_slice(kept).ok()?;
    let mut headers = HeaderMap::new();
    for (name, value) in kept {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_str(&value).ok()?);
    }
    Some((headers, body))
}

/// The provider's own headers, in the order in which they came. Where one of them is the secret itself, the application
/// could be anybody with it.
fn kept(scheme: Scheme, headers: &HeaderMap) -> Vec<(&str, &str)> {
    let mut room = MOST_BYTES;
    headers
        .iter()
        .filter(|(name, _)| is_the_providers(name.as_str()) && scheme.secret_header() != Some(name.as_str()))
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .take_while(|(name, value)| {
            room = room.saturating_sub(name.len() + value.len());
            room > 0
        })
        .take(MOST)
        .collect()
}

/// What says how to read the body, and what the provider says about it. What proxies on the way added, and what would
/// speak for this server or its caller, is not the provider's.
fn is_the_providers(name: &str) -> bool {
    let named = matches!(name, "content-type" | "content-encoding" | "user-agent")
        || OF_PROVIDERS.iter().any(|start| name.starts_with(start));
    named && !OF_OTHERS.iter().any(|start| name.starts_with(start))
}

const OF_PROVIDERS: &[&str] = &["x-", "linear-", "stripe-", "svix-"];
/// Of proxies, of platforms, and of ours.
const OF_OTHERS: &[&str] = &[
    "x-forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-envoy-",
    "x-amzn-",
    "x-vercel-",
    "x-carnet-",
    "x-trigger-",
    "x-request-id",
    "x-api-key",
    "x-auth",
];
/// A provider sends some ten.
const MOST: usize = 48;
const MOST_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_back_as_it_was_and_of_the_headers_those_of_the_provider() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/json"),
            ("x-slack-signature", "v0=1"),
            ("x-github-event", "push"),
            ("linear-delivery", "d"),
            ("authorization", "Bearer theirs"),
            ("cookie", "a=b"),
            ("x-forwarded-for", "203.0.113.1"),
            ("x-trigger-id", "scl_forged"),
            ("x-vercel-oidc-token", "forged"),
            ("host", "carnet.example"),
            ("webhook-id", "dlv_forged"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let body = b"\xff\0not text";
        headers.append("x-telegram-bot-api-secret-token", HeaderValue::from_static("s"));
        let packed = pack(Scheme::Telegram, &headers, body);
        let (kept, again) = unpack(packed.expose()).unwrap();
        assert_eq!(again, body);
        let names: Vec<_> = kept.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["content-type", "x-slack-signature", "x-github-event", "linear-delivery"]);
        assert!(unpack(&packed.expose()[..5]).is_none() && unpack(b"").is_none());
    }

    #[test]
    fn headers_are_kept_within_reason() {
        let mut headers = HeaderMap::new();
        for number in 0..200 {
            let name = HeaderName::from_bytes(format!("x-h{number}").as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(&"v".repeat(1000)).unwrap());
        }
        assert_eq!(kept(Scheme::Slack, &headers).len(), 16);
    }
}
