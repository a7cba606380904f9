//! A trusted issuer as it stands in a request body and in the store.
//!
//! ```json
//! {"issuer": "https://token.actions.githubusercontent.com",
//!  "audiences": ["https://carnet.example/acme"],
//!  "rules": [{"project": "prj_…", "environment": "production",
//!             "claims": {"repository_id": "1296269", "repository_owner_id": "583231", "environment": "production"}}]}
//! ```
//!
//! Left out, the rest has defaults that suit the issuer. Reading checks form; [`super::lint()`] judges.

use std::fmt;
use std::time::Duration;

use carnet_model::{Environment, Id, SubjectKind, kind};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use url::Url;

use super::family::Family;
use super::{Match, TrustRule, TrustedIssuer};
use crate::algorithm::Algorithm;
use crate::directory::KeySource;
use crate::jwks::{JwksError, KeySet};

/// A trusted issuer, as written by people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustedIssuerConfig {
    /// `iss`, byte for byte.
    pub issuer: String,
    /// Where its keys are, if not where the discovery document says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// Its keys themselves, instead of an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Map<String, Value>>,
    /// The audiences that name this team's Carnet.
    pub audiences: Vec<String>,
    /// The algorithms that it uses; RS256 and ES256 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<Vec<Algorithm>>,
    /// The `typ` that it writes, empty text for none; `JWT` if left out, for Kubernetes also none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<Vec<String>>,
    /// The longest life of a token; one hour if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_life_seconds: Option<u64>,
    /// The greatest age of a token when it is presented; 15 minutes if left out, one hour for issuers whose tokens
    /// are handed out ahead of use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<u64>,
    /// What its claims stand for.
    #[serde(default)]
    pub rules: Vec<TrustRuleConfig>,
}

/// A rule, as written by people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustRuleConfig {
    /// The project that a matching token proves.
    pub project: Id<kind::Project>,
    /// The environment that it proves.
    pub environment: Environment,
    /// Claim path → value, or list of values one of which it must be.
    pub claims: ClaimMap,
    /// The kinds of subject it may ask for; `app` and `user` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subjects: Option<Vec<String>>,
}

/// An object from claim paths to values, in the order written. A path given twice is refused.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClaimMap(pub Vec<(String, Value)>);

/// What is wrong with the form of a configuration. The values quoted are the configuration's own, never a token's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The issuer is empty, too long or has odd characters.
    #[error("issuer has 1 to 512 characters, none of them white space or a control character")]
    Issuer,
    /// Both an address and the keys themselves.
    #[error("give jwksUri or jwks, not both")]
    TwoKeySources,
    /// The address is not a URL.
    #[error("jwksUri is not a URL")]
    JwksUri,
    /// The pinned key set is not accepted.
    #[error("jwks: {0}")]
    Jwks(JwksError),
    /// The pinned key set has no key that can be used.
    #[error("jwks has no usable key: RSA of 2048 to 8192 bits with exponent 65537, P-256, P-384 or Ed25519")]
    NoUsableKey,
    /// More entries in a list than allowed.
    #[error("{0} has at most {1} entries")]
    TooMany(&'static str, usize),
    /// An audience or type is too long or has control characters.
    #[error("{0} has an entry that is too long or has a control character")]
    Text(&'static str),
    /// A duration is zero or longer than a day.
    #[error("{0} is 1 to 86400")]
    Seconds(&'static str),
    /// A subject kind is unknown.
    #[error("rule {0}: subjects are app, user, jwt-bearer and token")]
    Subject(usize),
    /// A claim path is empty or too long.
    #[error("rule {0}: a claim path has 1 to 256 characters and no control character")]
    ClaimPath(usize),
    /// A claim is compared with something other than text, a whole number or a truth value.
    #[error(
        "rule {rule}: claim {claim} is compared with text, a whole number, true or false, or a list of these"
    )]
    ClaimValue {
        /// Number of the rule, from 1.
        rule: usize,
        /// Path of the claim.
        claim: String,
    },
}

const DAY: u64 = 24 * 3600;
const HOUR: Duration = Duration::from_hours(1);
const MAX_RULES: usize = 200;
const MAX_LIST: usize = 20;
const MAX_TEXT: usize = 512;

impl TrustedIssuer {
    /// From the written form.
    pub fn from_config(
        id: Id<kind::TrustedIssuer>,
        team: Id<kind::Team>,
        config: TrustedIssuerConfig,
    ) -> Result<Self, ConfigError> {
        let TrustedIssuerConfig { issuer, jwks_uri, jwks, audiences, algorithms, types, rules, .. } = config;
        if issuer.is_empty()
            || issuer.len() > MAX_TEXT
            || issuer.chars().any(|c| c.is_control() || c.is_whitespace())
        {
            return Err(ConfigError::Issuer);
        }
        let family = Family::of(&issuer);
        let types = types.unwrap_or_else(|| family.types().iter().map(|typ| (*typ).to_owned()).collect());
        check_texts("audiences", &audiences)?;
        check_texts("types", &types)?;
        if rules.len() > MAX_RULES {
            return Err(ConfigError::TooMany("rules", MAX_RULES));
        }
        Ok(Self {
            id,
            team,
            source: key_source(jwks_uri.as_deref(), jwks)?,
            audiences,
            algorithms: algorithms.unwrap_or_else(|| vec![Algorithm::Rs256, Algorithm::Es256]),
            types,
            max_life: seconds("maxLifeSeconds", config.max_life_seconds)?.unwrap_or(HOUR),
            max_age: seconds("maxAgeSeconds", config.max_age_seconds)?.unwrap_or(family.max_age()),
            rules: rules
                .into_iter()
                .enumerate()
                .map(|(i, rule)| rule.read(i + 1))
                .collect::<Result<_, _>>()?,
            issuer,
        })
    }

    /// The written form, with every default filled in.
    pub fn to_config(&self) -> TrustedIssuerConfig {
        let (jwks_uri, jwks) = match &self.source {
            KeySource::Discovery => (None, None),
            KeySource::JwksUri(url) => (Some(url.to_string()), None),
            KeySource::Pinned(text) => (None, serde_json::from_str(text).ok()),
        };
        TrustedIssuerConfig {
            issuer: self.issuer.clone(),
            jwks_uri,
            jwks,
            audiences: self.audiences.clone(),
            algorithms: Some(self.algorithms.clone()),
            types: Some(self.types.clone()),
            max_life_seconds: Some(self.max_life.as_secs()),
            max_age_seconds: Some(self.max_age.as_secs()),
            rules: self.rules.iter().map(TrustRuleConfig::from).collect(),
        }
    }
}

impl TrustRuleConfig {
    fn read(self, number: usize) -> Result<TrustRule, ConfigError> {
        let ClaimMap(claims) = self.claims;
        if claims.len() > MAX_LIST {
            return Err(ConfigError::TooMany("claims", MAX_LIST));
        }
        let claims = claims.into_iter().map(|(path, value)| {
            if path.is_empty() || path.len() > 256 || path.chars().any(char::is_control) {
                return Err(ConfigError::ClaimPath(number));
            }
            match read_match(value) {
                Some(wanted) => Ok((path, wanted)),
                None => Err(ConfigError::ClaimValue { rule: number, claim: path }),
            }
        });
        let subjects = match self.subjects {
            None => vec![SubjectKind::App, SubjectKind::User],
            Some(names) => names
                .iter()
                .map(|name| SubjectKind::parse(name).ok_or(ConfigError::Subject(number)))
                .collect::<Result<_, _>>()?,
        };
        let claims = claims.collect::<Result<_, _>>()?;
        Ok(TrustRule { project: self.project, environment: self.environment, claims, subjects })
    }
}

impl From<&TrustRule> for TrustRuleConfig {
    fn from(rule: &TrustRule) -> Self {
        let written = |(path, wanted): &(String, Match)| {
            let value = match wanted {
                Match::Exact(value) => value.clone(),
                Match::OneOf(values) => Value::Array(values.clone()),
            };
            (path.clone(), value)
        };
        Self {
            project: rule.project,
            environment: rule.environment,
            claims: ClaimMap(rule.claims.iter().map(written).collect()),
            subjects: Some(rule.subjects.iter().map(|kind| kind.as_str().to_owned()).collect()),
        }
    }
}

fn read_match(value: Value) -> Option<Match> {
    let plain = |value: &Value| match value {
        Value::String(text) => text.len() <= MAX_TEXT,
        Value::Bool(_) => true,
        Value::Number(number) => number.is_i64() || number.is_u64(),
        _ => false,
    };
    match value {
        Value::Array(values) => {
            (values.len() <= MAX_LIST && values.iter().all(plain)).then_some(Match::OneOf(values))
        }
        value => plain(&value).then_some(Match::Exact(value)),
    }
}

fn key_source(jwks_uri: Option<&str>, jwks: Option<Map<String, Value>>) -> Result<KeySource, ConfigError> {
    match (jwks_uri, jwks) {
        (None, None) => Ok(KeySource::Discovery),
        (Some(uri), None) => Url::parse(uri).map(KeySource::JwksUri).map_err(|_| ConfigError::JwksUri),
        (None, Some(set)) => {
            let text = Value::Object(set).to_string();
            let keys = KeySet::parse(text.as_bytes()).map_err(ConfigError::Jwks)?;
            if keys.is_empty() { Err(ConfigError::NoUsableKey) } else { Ok(KeySource::Pinned(text)) }
        }
        (Some(_), Some(_)) => Err(ConfigError::TwoKeySources),
    }
}

fn check_texts(name: &'static str, texts: &[String]) -> Result<(), ConfigError> {
    if texts.len() > MAX_LIST {
        return Err(ConfigError::TooMany(name, MAX_LIST));
    }
    let sound = |text: &String| text.len() <= MAX_TEXT && !text.chars().any(char::is_control);
    if texts.iter().all(sound) { Ok(()) } else { Err(ConfigError::Text(name)) }
}

fn seconds(name: &'static str, value: Option<u64>) -> Result<Option<Duration>, ConfigError> {
    match value {
        Some(0) => Err(ConfigError::Seconds(name)),
        Some(seconds) if seconds > DAY => Err(ConfigError::Seconds(name)),
        other => Ok(other.map(Duration::from_secs)),
    }
}

impl Serialize for ClaimMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(path, value)| (path, value)))
    }
}

impl<'de> Deserialize<'de> for ClaimMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ClaimMapVisitor)
    }
}

struct ClaimMapVisitor;

impl<'de> Visitor<'de> for ClaimMapVisitor {
    type Value = ClaimMap;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object from claim paths to values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<ClaimMap, A::Error> {
        let mut claims: Vec<(String, Value)> = Vec::new();
        while let Some((path, value)) = access.next_entry::<String, Value>()? {
            if claims.iter().any(|(other, _)| *other == path) {
                return Err(A::Error::custom("a claim path is given twice"));
            }
            claims.push((path, value));
        }
        Ok(ClaimMap(claims))
    }
}
