//! JWTs of workloads: parse, then verify, then decide.
//!
//! [`Presented::parse`] reads the token completely and refuses everything that a sound issuer does not write. What it
//! holds is unverified and offers only what is needed to pick the issuer and its keys. [`Presented::verify`] checks
//! algorithm, type, signature, issuer, audience and times, in this order, and is the only maker of
//! [`VerifiedClaims`].
//!
//! The algorithm comes from the issuer's configuration and the key, never from the header alone (RFC 8725 §3.1). No
//! key, address or certificate is ever taken from a header, so a token cannot make anyone fetch anything.

mod claims;
mod expiry;

use std::time::Duration;

use carnet_model::Time;
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::encoding;
use crate::json::{self, JsonError, Limits};
use crate::jwks::{KeySet, is_kid};

pub use claims::VerifiedClaims;
use claims::{Party, Registered};
pub use expiry::claimed_expiry;

/// Longer tokens are refused unread. Identity tokens in the wild have 0.6 to 2 KiB.
const MAX_TOKEN: usize = 8 * 1024;
/// Other people's tokens, of which only the end is read.
const MAX_FOREIGN: usize = 16 * 1024;
const LIMITS: Limits = Limits { depth: 8, members: 200 };
/// All that a header may have. In particular not `crit`, `b64`, `zip`, `cty`, `jku`, `jwk`, `x5u`, `x5c`.
const HEADER_MEMBERS: [&str; 5] = ["alg", "kid", "typ", "x5t", "x5t#S256"];

/// A token that was read and not yet verified.
pub struct Presented<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    algorithm: Algorithm,
    kid: Option<String>,
    typ: Option<String>,
    registered: Registered,
    claims: Map<String, Value>,
}

/// What a token must be to be accepted.
#[derive(Clone, Copy, Debug)]
pub struct Expectation<'a> {
    /// The issuer, byte for byte.
    pub issuer: &'a str,
    /// The token names exactly one audience, and it is one of these.
    pub audiences: &'a [String],
    /// The algorithms that this issuer uses.
    pub algorithms: &'a [Algorithm],
    /// The media types (`typ`) that this issuer writes. Empty text stands for a header without `typ`.
    pub types: &'a [String],
    /// `exp` may be at most this long after `iat`.
    pub max_life: Duration,
    /// `iat` may be at most this long ago.
    pub max_age: Option<Duration>,
    /// How far the issuer's clock may be from ours.
    pub skew: Duration,
}

/// The rule that a token breaks. The words are stable and hold nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// More than 8 KiB.
    #[error("longer than 8 KiB")]
    TooLong,
    /// Not header, payload and signature with dots between them.
    #[error("not three parts with dots between them")]
    Parts,
    /// A part is not unpadded, canonical base64url.
    #[error("a part is not canonical base64url")]
    Encoding,
    /// The header cannot be read.
    #[error("header: {0}")]
    Header(JsonError),
    /// The header has a member that is not accepted.
    #[error("the header has a member that is not accepted")]
    HeaderMember,
    /// A header member has the wrong type.
    #[error("a header member is not text")]
    HeaderType,
    /// `alg` is missing or not an accepted algorithm.
    #[error("the algorithm is not accepted")]
    Algorithm,
    /// `kid` is too long or has odd characters.
    #[error("kid is not 1 to 128 plain characters")]
    Kid,
    /// The payload cannot be read.
    #[error("payload: {0}")]
    Payload(JsonError),
    /// `iss` is missing or not plain text.
    #[error("iss is missing or not plain text")]
    IssuerForm,
    /// The issuer is a SPIFFE trust domain, and `sub` is no SPIFFE ID in it.
    #[error("sub is not a SPIFFE ID of the trust domain")]
    TrustDomain,
    /// `sub` is missing or not plain text.
    #[error("sub is missing or not plain text")]
    SubjectForm,
    /// `aud` is missing, or not one text.
    #[error("aud is missing or not exactly one audience")]
    AudienceForm,
    /// `exp` is missing or not whole seconds.
    #[error("exp is missing or not whole seconds")]
    ExpiryForm,
    /// `iat` is missing or not whole seconds.
    #[error("iat is missing or not whole seconds")]
    IssuedForm,
    /// `nbf` is not whole seconds.
    #[error("nbf is not whole seconds")]
    NotBeforeForm,
    /// `jti` is not text (RFC 7519 §4.1.7).
    #[error("jti is not text")]
    TokenIdForm,
    /// The issuer does not use this algorithm.
    #[error("the algorithm is not configured for this issuer")]
    AlgorithmNotConfigured,
    /// The type is not one that the issuer writes.
    #[error("typ is not configured for this issuer")]
    Type,
    /// No key of the issuer has this `kid` and may verify with this algorithm.
    #[error("no key of the issuer fits")]
    UnknownKey,
    /// The signature is wrong.
    #[error("the signature is wrong")]
    Signature,
    /// Another issuer.
    #[error("the issuer is another")]
    Issuer,
    /// Meant for somebody else.
    #[error("the audience is another")]
    Audience,
    /// `exp` has passed.
    #[error("expired")]
    Expired,
    /// `nbf` is to come.
    #[error("not valid yet")]
    NotYet,
    /// `iat` is to come.
    #[error("issued in the future")]
    IssuedInFuture,
    /// `exp` is not after `iat`, or too long after it.
    #[error("the life from iat to exp is not allowed")]
    Life,
    /// `iat` is too long ago.
    #[error("issued too long ago")]
    TooOld,
}

impl<'a> Presented<'a> {
    /// Reads a token; nothing in it is true yet.
    pub fn parse(token: &'a str) -> Result<Self, JwtError> {
        Self::read(token, None)
    }

    /// Reads an identity token that an OpenID provider gave this client. Unlike a workload's it may name other audiences
    /// besides: those of `beside`, if it says that the client is the party it is for (OpenID Connect Core §3.1.3.7).
    pub fn parse_id_token(token: &'a str, client: &str, beside: &[String]) -> Result<Self, JwtError> {
        Self::read(token, Some(Party { client, beside }))
    }

    fn read(token: &'a str, party: Option<Party<'_>>) -> Result<Self, JwtError> {
        if token.len() > MAX_TOKEN {
            return Err(JwtError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Parts)?;
        let (header, payload) = signed.split_once('.').ok_or(JwtError::Parts)?;
        if payload.contains('.') || header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(JwtError::Parts);
        }
        let header = encoding::decode(header).ok_or(JwtError::Encoding)?;
        let payload = encoding::decode(payload).ok_or(JwtError::Encoding)?;
        let signature = encoding::decode(signature).ok_or(JwtError::Encoding)?;

        let header = json::read_object(&header, LIMITS).map_err(JwtError::Header)?;
        if !header.keys().all(|name| HEADER_MEMBERS.contains(&name.as_str())) {
            return Err(JwtError::HeaderMember);
        }
        if !header.values().all(Value::is_string) {
            return Err(JwtError::HeaderType);
        }
        let member = |name: &str| header.get(name).and_then(Value::as_str);
        let algorithm =
            member("alg").and_then(|name| Algorithm::parse(name).ok()).ok_or(JwtError::Algorithm)?;
        let kid = member("kid").map(str::to_owned);
        if kid.as_deref().is_some_and(|kid| !is_kid(kid)) {
            return Err(JwtError::Kid);
        }
        let typ = member("typ").map(str::to_owned);

        let claims = json::read_object(&payload, LIMITS).map_err(JwtError::Payload)?;
        let registered = Registered::read(&claims, party)?;
        Ok(Self { signed, signature, algorithm, kid, typ, registered, claims })
    }

    /// The issuer that the token claims to be from: only for picking the trusted issuer to verify it against. For a
    /// JWT-SVID without `iss` it is the trust domain of its subject.
    pub fn issuer(&self) -> &str {
        &self.registered.issuer
    }

    /// The claim at a path, as [`VerifiedClaims::claim`] has it; nothing in it is true yet.
    pub fn claim(&self, path: &str) -> Option<&Value> {
        claims::at(&self.claims, path)
    }

    /// All claims, for showing them to whoever has the token. Nothing in them is true yet.
    pub const fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// `typ`
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// `aud`
    pub fn audience(&self) -> &str {
        &self.registered.audience
    }

    /// `iat` and `exp`. For telling how far two clocks are apart, once the signature was found good.
    pub const fn times(&self) -> (Time, Time) {
        (self.registered.issued, self.registered.expires)
    }

    /// `nbf`
    pub const fn not_before(&self) -> Option<Time> {
        self.registered.not_before
    }

    /// The name of the key that the token claims to be signed with.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The algorithm that the token claims to be signed with.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Checks everything. What comes back is true in the words of the issuer.
    pub fn verify(
        self,
        keys: &KeySet,
        expect: &Expectation<'_>,
        now: Time,
    ) -> Result<VerifiedClaims, JwtError> {
        if !expect.algorithms.contains(&self.algorithm) {
            return Err(JwtError::AlgorithmNotConfigured);
        }
        if !expect.types.iter().any(|wanted| same_type(self.typ.as_deref(), wanted)) {
            return Err(JwtError::Type);
        }
        let key = keys.find(self.kid.as_deref(), self.algorithm).ok_or(JwtError::UnknownKey)?;
        if !key.verifies(self.signed.as_bytes(), &self.signature) {
            return Err(JwtError::Signature);
        }
        let claims = self.registered;
        if claims.issuer != expect.issuer {
            return Err(JwtError::Issuer);
        }
        if !expect.audiences.contains(&claims.audience) {
            return Err(JwtError::Audience);
        }
        check_times(&claims, expect, now)?;
        Ok(VerifiedClaims::new(claims, self.claims))
    }
}

/// Media types are compared without case and without the prefix that may be left out (RFC 7515 §4.1.9).
pub(crate) fn same_type(written: Option<&str>, wanted: &str) -> bool {
    const PREFIX: &str = "application/";
    let bare = |text: &'_ str| match text.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest.to_ascii_lowercase(),
        _ => text.to_ascii_lowercase(),
    };
    match written {
        None => wanted.is_empty(),
        Some(written) => !written.is_empty() && bare(written) == bare(wanted),
    }
}

fn check_times(claims: &Registered, expect: &Expectation<'_>, now: Time) -> Result<(), JwtError> {
    let (early, late) = (now.minus(expect.skew), now.plus(expect.skew));
    if claims.expires <= early {
        return Err(JwtError::Expired);
    }
    if claims.not_before.is_some_and(|from| from > late) {
        return Err(JwtError::NotYet);
    }
    if claims.issued > late {
        return Err(JwtError::IssuedInFuture);
    }
    if claims.expires <= claims.issued || claims.issued.until(claims.expires) > expect.max_life {
        return Err(JwtError::Life);
    }
    if expect.max_age.is_some_and(|age| claims.issued.until(early) > age) {
        return Err(JwtError::TooOld);
    }
    Ok(())
}
