//! Each scheme against what its provider sends, and against what it does not.

mod events;
mod forged;
mod sender;
mod vectors;

use carnet_model::{SecretString, Time};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;

/// Judged with these secrets.
fn judge(scheme: Scheme, secrets: &[&str], headers: &HeaderMap, body: &[u8], at: Time) -> Verdict {
    let secrets: Vec<SecretString> =
        secrets.iter().map(|text| SecretString::new((*text).to_owned())).collect();
    verify(scheme, &secrets, &Received { headers, query: None, body, at })
}

fn headers<V: AsRef<[u8]>>(of: &[(&'static str, V)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in of {
        headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_ref()).unwrap());
    }
    headers
}
