//! Who calls, and who we are.
//!
//! A workload presents a JWT. [`Presented::parse`] reads it with a parser stricter than any library's,
//! [`KeyDirectory`] finds the issuer's keys, [`Presented::verify`] checks signature and claims against an
//! [`Expectation`], and [`TrustedIssuer::recognise`] says which project and environment the claims stand for.
//! [`Family`] is what is known about the platforms, and [`lint`](lint()) refuses what would trust their strangers.
//! [`Remembered`] keeps what came out for a few minutes, so that the next call with the same bearer costs a hash.
//!
//! In the other direction Carnet is an issuer itself: [`SigningKey`] signs, [`IdentityClaims`] says what,
//! [`rotation`] says which key at which time, [`discovery_document`] tells the world.
//!
//! Promised: a [`VerifiedClaims`] was signed by a key of the issuer it names, for one of the expected audiences, and
//! is inside its time; nothing but [`Presented::verify`] makes one. No error holds text of a token.
//! Not promised: that a project, team or person named in a token exists; that is for the engine to look up. Nothing
//! here stores anything or starts a task.

mod algorithm;
mod directory;
mod encoding;
mod issuer;
mod json;
mod jwks;
mod jwt;
pub mod passkey;
mod remembered;
mod spiffe;
mod trust;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use directory::{
    Document, FetchFailed, KeyDirectory, KeySource, KeysUnavailable, can_be_fetched, fetch_keys,
};
pub use issuer::rotation;
pub use issuer::{
    CustomRuntime, IdentityClaims, InvalidKey, NotOurs, ProjectName, ReservedName, Runtime, SigningFailed,
    SigningKey, TeamName, discovery_document,
};
pub use json::JsonError;
pub use jwks::{JwksError, KeySet};
pub use jwt::{Expectation, JwtError, Presented, VerifiedClaims, claimed_expiry};
pub use remembered::{BearerKey, Freshness, Remembered};
pub use trust::{
    ClaimMap, Comparison, ConfigError, Family, IssuerMissing, Match, NoRule, Setting, TrustRule,
    TrustRuleConfig, TrustedIssuer, TrustedIssuerConfig, UnknownFamily, Weakness, lint, safe_rule,
};
