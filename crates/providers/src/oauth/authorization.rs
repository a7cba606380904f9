//! The URL that sends a person to an authorization endpoint (RFC 6749 §4.1.1), always with PKCE by S256 (RFC 7636).

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use carnet_model::{Env, Scopes, SecretString};
use url::Url;

use super::target::Target;

/// What is sent.
pub(crate) struct Request<'a> {
    pub endpoint: &'a Url,
    pub client: &'a str,
    pub redirect_uri: &'a str,
    pub state: &'a SecretString,
    pub verifier: &'a SecretString,
    pub nonce: Option<&'a SecretString>,
    pub scopes: Option<&'a Scopes>,
    pub separator: &'a str,
    pub target: Target<'a>,
    /// Further parameters; none of them is reserved.
    pub more: BTreeMap<&'a str, &'a str>,
}

impl Request<'_> {
    /// The URL that holds it all.
    pub(crate) fn url(&self) -> Url {
        let mut url = self.endpoint.clone();
        {
            let mut query = url.query_pairs_mut();
            self.each(|name, value| {
                query.append_pair(name, value);
            });
        }
        url
    }

    /// The URL for a request that was pushed before (RFC 9126 §4).
    pub(crate) fn url_of_pushed(&self, request_uri: &str) -> Url {
        let mut url = self.endpoint.clone();
        url.query_pairs_mut().append_pair("client_id", self.client).append_pair("request_uri", request_uri);
        url
    }

    /// Every parameter, in order.
    pub(crate) fn each(&self, mut put: impl FnMut(&str, &str)) {
        put("response_type", "code");
        put("client_id", self.client);
        put("redirect_uri", self.redirect_uri);
        put("state", self.state.expose());
        put("code_challenge", &challenge(self.verifier));
        put("code_challenge_method", "S256");
        if let Some(scopes) = self.scopes.filter(|scopes| !scopes.is_empty()) {
            put("scope", &scopes.joined(self.separator));
        }
        if let Some(nonce) = self.nonce {
            put("nonce", nonce.expose());
        }
        for (name, value) in self.target.params() {
            put(name, value);
        }
        for (name, value) in &self.more {
            if !self.target.params().any(|(taken, _)| taken == *name) {
                put(name, value);
            }
        }
    }
}

/// A fresh verifier or nonce: 256 random bits in 43 characters (RFC 7636 §4.1).
pub(crate) fn fresh(env: &Env) -> SecretString {
    SecretString::new(BASE64_URL_SAFE_NO_PAD.encode(env.bytes::<32>()))
}

fn challenge(verifier: &SecretString) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.expose().as_bytes()))
}

/// Whether a parameter is the protocol's own, so that neither a connector's configuration, nor a caller, nor an
/// endpoint's address may set it.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// Whether a parameter has a field of its own in a caller's request.
pub(crate) fn is_target(name: &str) -> bool {
    ["resource", "audience", "authorization_details"].contains(&name)
}

/// Whether a caller's further parameters may not have this name: it is the protocol's own, or has a field of its own.
pub fn is_protocols_own(name: &str) -> bool {
    is_reserved(name) || is_target(name)
}

const RESERVED: &[&str] = &[
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "dpop_jkt",
    "nonce",
    "redirect_uri",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B
        let verifier = SecretString::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned());
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn a_fresh_verifier_has_the_form_of_the_standard_and_is_never_the_same() {
        let env = Env::system();
        let (one, other) = (fresh(&env), fresh(&env));
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        assert_eq!(one.expose().len(), 43);
        assert!(one.expose().bytes().all(allowed));
        assert_ne!(one.expose(), other.expose());
    }
}
