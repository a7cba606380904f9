//! JWT assertions (RFC 7523 §3): what a client or an application says, signed by the connector's own key.
//!
//! Every one has an end, a time of issue and an identifier of its own. Further claims never take the place of these.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use carnet_model::{Env, SecretString, Time};
use serde_json::{Map, Value};

use crate::driver::failure::DriverError;
use crate::driver::signer::Signer;

/// What is asserted, to whom, for how long.
pub(crate) struct Assertion<'a> {
    pub issuer: &'a str,
    pub subject: &'a str,
    pub audience: &'a str,
    pub life: Duration,
    /// Claims besides those that every assertion has.
    pub claims: Map<String, Value>,
}

impl Assertion<'_> {
    /// When it says that it was made, and when it ends, if it is signed now. The whole life is the one that was set: servers
    /// refuse what claims to live longer than they allow.
    pub(crate) fn times(&self, now: Time) -> (Time, Time) {
        let behind = Duration::from_secs(BEHIND.as_secs().min(self.life.as_secs() / 4));
        let made = now.minus(behind);
        (made, made.plus(self.life))
    }

    /// Signs it. It says that it was made a little earlier, for servers whose clocks are behind.
    /// `now` is the time at the server that reads it, as far as that is known.
    pub(crate) fn sign(self, signer: &dyn Signer, env: &Env, now: Time) -> Result<SecretString, DriverError> {
        let (made, ends) = self.times(now);
        let mut claims = self.claims;
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("iss", self.issuer.into());
        put("sub", self.subject.into());
        put("aud", self.audience.into());
        put("iat", made.secs().into());
        put("exp", ends.secs().into());
        put("jti", BASE64_URL_SAFE_NO_PAD.encode(env.bytes::<16>()).into());
        signer
            .sign("JWT", &claims)
            .map_err(|error| DriverError::Misconfigured("signingAlgorithm".to_owned(), error.to_string()))
    }
}

/// Whether a claim is one that every assertion has, or that bounds it in time (RFC 7519 §4.1).
pub(crate) fn is_registered(name: &str) -> bool {
    ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"].contains(&name)
}

/// The clocks of well-kept servers are not farther apart.
const BEHIND: Duration = Duration::from_secs(10);
