//! A trusted issuer as it stands in a request body and in the store.
//!
//! ```json
//! {"issuer": "https://token.actions.githubusercontent.com",
//!  "audiences": ["https://carnet.example/acme"],
//!  "rules": [{"project": "prj_…", "environment": "production",
//!             "claims": {"repository_id": "1296269", "repository_owner_id": "583231", "environment": "production"}}]}
//! ```
//!
//! Left out, the rest has defaults that suit the issuer's family. For a known platform `family` can stand in place of
//! `issuer`, with `account` where the issuer is named after one. Reading checks form; [`super::lint()`] judges.

use std::fmt;
use std::time::Duration;

use carnet_egress::as_written;
use carnet_model::{Environment, Id, SubjectKind, kind};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::family::{Family, IssuerMissing, LONGEST};
use super::{Match, TrustRule, TrustedIssuer};
use crate::algorithm::Algorithm;
use crate::directory::KeySource;
use crate::jwks::{JwksError, KeySet};
use crate::spiffe::{SCHEME, SpiffeId};

/// A trusted issuer, as written by people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustedIssuerConfig {
    /// `iss`, byte for byte; for a SPIFFE trust domain its name, `spiffe://example.org`. The family's if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The platform; known by the issuer's name if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// The account at the platform after which the issuer is named: instead of `issuer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Where its keys are, if not where the discovery document says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// Its keys themselves, instead of an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Map<String, Value>>,
    /// The audiences that name this team's Carnet.
    pub audiences: Vec<String>,
    /// The algorithms that it uses; all that are accepted if left out. Each key verifies with its own alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<Vec<Algorithm>>,
    /// The `typ` that it writes, empty text for none; `JWT` if left out, and none for families that write none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<Vec<String>>,
    /// The longest life of a token; one hour if left out, more for families whose tokens live longer.
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
    /// Claim path → value, or list of values one of which it must be, or `{"oneBelow": "spiffe://…"}` for `sub`.
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
    /// Neither issuer nor family.
    #[error("give issuer, the iss of its tokens, or the family of a known platform")]
    NoIssuer,
    /// The family does not say what the issuer is.
    #[error(transparent)]
    Family(#[from] IssuerMissing),
    /// Both an issuer and the account after which it would be named.
    #[error("give issuer or account, not both")]
    TwoIssuers,
    /// The issuer is empty, too long, has odd characters or is no trust domain.
    #[error(
        "issuer has 1 to 512 characters, none of them white space or a control character; a trust domain is spiffe:// and its name in lower case"
    )]
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
    /// A duration is zero or longer than 25 hours.
    #[error("{0} is 1 to 90000")]
    Seconds(&'static str),
    /// A subject kind is unknown.
    #[error("rule {0}: subjects are app, user, jwt-bearer and token")]
    Subject(usize),
    /// A claim path is empty or too long.
    #[error("rule {0}: a claim path has 1 to 256 characters and no control character")]
    ClaimPath(usize),
    /// A claim is compared with something other than text, a whole number or a truth value.
    #[error(
        "rule {rule}: claim {claim} is compared with text, a whole number, true or false, a list of these, or, for sub, {{\"oneBelow\": \"spiffe://…\"}} with a SPIFFE ID that has a path"
    )]
    ClaimValue {
        /// Number of the rule, from 1.
        rule: usize,
        /// Path of the claim.
        claim: String,
    },
}

impl ConfigError {
    /// The member that does not fit, as it is found in the configuration: `rules[0].claims`.
    pub fn field(&self) -> String {
        match self {
            Self::NoIssuer | Self::TwoIssuers | Self::Issuer => "issuer".to_owned(),
            Self::Family(_) => "account".to_owned(),
            Self::TwoKeySources | Self::JwksUri => "jwksUri".to_owned(),
            Self::Jwks(_) | Self::NoUsableKey => "jwks".to_owned(),
            // Those of some rule.
            Self::TooMany("claims", _) => "rules".to_owned(),
            Self::TooMany(name, _) | Self::Text(name) | Self::Seconds(name) => (*name).to_owned(),
            Self::Subject(number) => format!("rules[{}].subjects", number.saturating_sub(1)),
            Self::ClaimPath(number) | Self::ClaimValue { rule: number, .. } => {
                format!("rules[{}].claims", number.saturating_sub(1))
            }
        }
    }
}

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
        let TrustedIssuerConfig { jwks_uri, jwks, audiences, algorithms, types, rules, .. } = config;
        let issuer = match (config.issuer, config.family, config.account) {
            (Some(_), _, Some(_)) => return Err(ConfigError::TwoIssuers),
            (Some(issuer), _, None) => issuer,
            (None, Some(family), account) => family.issuer_for(account.as_deref())?,
            (None, None, _) => return Err(ConfigError::NoIssuer),
        };
        if issuer.is_empty()
            || issuer.len() > MAX_TEXT
            || issuer.chars().any(|c| c.is_control() || c.is_whitespace())
        {
            return Err(ConfigError::Issuer);
        }
        // A trust domain has one spelling and no path.
        if issuer.starts_with(SCHEME) && SpiffeId::parse(&issuer).is_none_or(|id| !id.path.is_empty()) {
            return Err(ConfigError::Issuer);
        }
        // What the name tells is what the defaults follow; that nothing else is declared is for the lint to see.
        let by_name = Family::by_name(&issuer);
        let family = config.family.or(by_name).unwrap_or(Family::Generic);
        let platform = by_name.unwrap_or(family).platform();
        let types = types.unwrap_or_else(|| platform.types.iter().map(|typ| (*typ).to_owned()).collect());
        check_texts("audiences", &audiences)?;
        check_texts("types", &types)?;
        if rules.len() > MAX_RULES {
            return Err(ConfigError::TooMany("rules", MAX_RULES));
        }
        Ok(Self {
            id,
            team,
            family,
            source: key_source(jwks_uri.as_deref(), jwks)?,
            audiences,
            algorithms: algorithms.unwrap_or_else(|| Algorithm::ALL.to_vec()),
            types,
            max_life: seconds("maxLifeSeconds", config.max_life_seconds)?.unwrap_or(platform.max_life),
            max_age: seconds("maxAgeSeconds", config.max_age_seconds)?.unwrap_or(platform.max_age),
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
            issuer: Some(self.issuer.clone()),
            family: Some(self.family),
            account: None,
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
            match read_match(&path, value) {
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
        let written = |(path, wanted): &(String, Match)| (path.clone(), wanted.written());
        Self {
            project: rule.project,
            environment: rule.environment,
            claims: ClaimMap(rule.claims.iter().map(written).collect()),
            subjects: Some(rule.subjects.iter().map(|kind| kind.as_str().to_owned()).collect()),
        }
    }
}

impl Match {
    pub(super) fn written(&self) -> Value {
        match self {
            Self::Exact(value) => value.clone(),
            Self::OneOf(values) => Value::Array(values.clone()),
            Self::OneBelow(parent) => json!({ "oneBelow": parent }),
        }
    }
}

fn read_match(claim: &str, value: Value) -> Option<Match> {
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
        // A whole trust domain is not left open: the ID above has a path of its own.
        Value::Object(members) => match (members.len(), members.get("oneBelow")) {
            (1, Some(Value::String(parent))) if claim == "sub" && SpiffeId::of_workload(parent).is_some() => {
                Some(Match::OneBelow(parent.clone()))
            }
            _ => None,
        },
        value => plain(&value).then_some(Match::Exact(value)),
    }
}

fn key_source(jwks_uri: Option<&str>, jwks: Option<Map<String, Value>>) -> Result<KeySource, ConfigError> {
    match (jwks_uri, jwks) {
        (None, None) => Ok(KeySource::Discovery),
        (Some(uri), None) => as_written(uri).map(KeySource::JwksUri).map_err(|_| ConfigError::JwksUri),
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
        Some(seconds) if seconds > LONGEST.as_secs() => Err(ConfigError::Seconds(name)),
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
